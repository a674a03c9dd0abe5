//! Checks the cosignatures of a trail.

use super::cosigned_name;
use crate::seal::note::{NoteError, VerifierKey};
use crate::seal::sealing::{SealError, count_checkpoints, read_checkpoint};
use crate::seal::tiles::checkpoint_name;
use jiff::Timestamp;
use std::fmt;
use stele_journal::Storage;

/// The checkpoints that one witness cosigned.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct CosignedByWitness {
    /// Name of the witness.
    pub witness: String,
    /// Number of checkpoints that it cosigned.
    pub checkpoints: u64,
    /// Number of events under the newest of them; 0 when there is none.
    pub events: u64,
    /// Time of the cosignature, by the witness's clock, in seconds since 1970; `None` when there is none.
    pub time: Option<u64>,
}

/// Summary of the cosignatures of a trail.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct WitnessReport {
    /// Number of witnesses that must have cosigned a checkpoint for it to count.
    pub quorum: usize,
    /// Number of events under the newest checkpoint with that many cosignatures.
    pub events: u64,
    /// Each witness that was checked.
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

/// Why the cosignatures are missing or invalid.
#[derive(Debug, thiserror::Error)]
pub enum WitnessCheckError {
    /// The seals cannot be read.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The cosigned checkpoint differs from the checkpoint of the same number.
    #[error("the cosigned {file} differs from the checkpoint of the same number: one of the two was changed")]
    Differs {
        /// The cosigned file.
        file: String,
    },
    /// A signature line of a witness is invalid.
    #[error("{file}: {why}")]
    Cosignature {
        /// The cosigned file.
        file: String,
        /// The reason.
        why: NoteError,
    },
    /// No checkpoint has enough cosignatures.
    #[error("no checkpoint is cosigned by {quorum} of the {asked} witnesses: {}", describe(.said))]
    Quorum {
        /// The number of cosignatures that are required.
        quorum: usize,
        /// The number of witnesses that were checked.
        asked: usize,
        /// The checkpoints that each of them cosigned.
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

/// Checks the cosignatures of the trail in `storage`. [`crate::seal::check()`] checks that its checkpoints
/// are those of the trail and the firm.
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
