//! Who cosigned what of a trail.

use super::cosigned_name;
use crate::seal::note::{NoteError, VerifierKey};
use crate::seal::sealing::{SealError, count_checkpoints, read_checkpoint};
use crate::seal::tiles::checkpoint_name;
use jiff::Timestamp;
use std::fmt;
use stele_journal::Storage;

/// What one witness cosigned.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct CosignedByWitness {
    /// The witness's name.
    pub witness: String,
    /// Checkpoints that it cosigned.
    pub checkpoints: u64,
    /// Events under the newest of them; 0 for none.
    pub events: u64,
    /// When it did, by its own clock, in seconds since 1970; none where it did not.
    pub time: Option<u64>,
}

/// What witnesses say.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct WitnessReport {
    /// How many must have cosigned a checkpoint for it to count.
    pub quorum: usize,
    /// Events under the newest checkpoint that so many cosigned.
    pub events: u64,
    /// Each witness that was asked about.
    pub witnesses: Vec<CosignedByWitness>,
}

impl fmt::Display for WitnessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quorum, events, witnesses } = self;
        let one = if witnesses.len() == 1 { "witness" } else { "witnesses" };
        write!(f, "{events} events are cosigned by {quorum} of {} {one}", witnesses.len())?;
        for CosignedByWitness { witness, checkpoints, events, time } in witnesses {
            write!(f, "\n  {witness}: {checkpoints} checkpoints")?;
            let time = time.and_then(|time| Timestamp::from_second(i64::try_from(time).ok()?).ok());
            if let Some(time) = time {
                write!(f, ", the newest over {events} events, cosigned at {time}")?;
            }
        }
        Ok(())
    }
}

/// Why the witnesses' word is missing or worthless.
#[derive(Debug, thiserror::Error)]
pub enum WitnessCheckError {
    /// Seals.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What was cosigned is not the checkpoint that is there.
    #[error("{file} is cosigned, and is not the checkpoint of the same number: one of the two was changed")]
    Differs {
        /// The cosigned file.
        file: String,
    },
    /// A signature that claims to be a witness's is not.
    #[error("{file}: {why}")]
    Cosignature {
        /// The cosigned file.
        file: String,
        /// What is wrong.
        why: NoteError,
    },
    /// No checkpoint has enough cosignatures.
    #[error("no checkpoint is cosigned by {quorum} of the {asked} witnesses: {}", describe(.said))]
    Quorum {
        /// How many must have.
        quorum: usize,
        /// How many were asked about.
        asked: usize,
        /// What each of them cosigned.
        said: Vec<CosignedByWitness>,
    },
}

fn describe(said: &[CosignedByWitness]) -> String {
    let one = |CosignedByWitness { witness, events, .. }: &CosignedByWitness| match events {
        0 => format!("{witness} cosigned none"),
        events => format!("{witness} cosigned {events} events"),
    };
    said.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Checks the cosignatures on the trail in `storage`. That its checkpoints are the trail's own and the firm's is
/// [`crate::seal::check()`]'s to say.
///
/// # Errors
/// [`WitnessCheckError`].
pub fn check(
    storage: &dyn Storage,
    witnesses: &[VerifierKey],
    quorum: usize,
) -> Result<WitnessReport, WitnessCheckError> {
    let counted = count_checkpoints(storage);
    let count = counted.map_err(|source| SealError::Io { file: storage.describe("seals"), source })?;
    let nothing = |key: &VerifierKey| CosignedByWitness {
        witness: key.name().to_owned(),
        checkpoints: 0,
        events: 0,
        time: None,
    };
    let mut report = WitnessReport { quorum, events: 0, witnesses: witnesses.iter().map(nothing).collect() };
    for number in 1..=count {
        let name = cosigned_name(number);
        let Some(cosigned) = read_checkpoint(storage, &name)? else { continue };
        let file = storage.describe(&name);
        let own = read_checkpoint(storage, &checkpoint_name(number))?;
        if own.is_none_or(|own| own.note().text() != cosigned.note().text()) {
            return Err(WitnessCheckError::Differs { file });
        }
        let events = cosigned.unchecked().size;
        let mut agree = 0;
        for (key, said) in witnesses.iter().zip(&mut report.witnesses) {
            match cosigned.note().check(key) {
                Ok(time) => {
                    (said.checkpoints, said.events, said.time) = (said.checkpoints + 1, events, time);
                    agree += 1;
                }
                Err(NoteError::NotSigned { .. }) => {}
                Err(why) => return Err(WitnessCheckError::Cosignature { file, why }),
            }
        }
        if agree >= quorum {
            report.events = events;
        }
    }
    if report.events == 0 {
        let (asked, said) = (witnesses.len(), report.witnesses);
        return Err(WitnessCheckError::Quorum { quorum, asked, said });
    }
    Ok(report)
}
