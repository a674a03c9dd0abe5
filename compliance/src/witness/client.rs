//! Collects the cosignatures of one witness for one trail. It sends nothing itself: it returns what to send,
//! and receives the reply.

use super::cosigned_name;
use super::request::WitnessRequest;
use crate::seal::checkpoint::{CheckpointError, read_decimal};
use crate::seal::note::{Note, VerifierKey};
use crate::seal::sealing::{SealError, count_checkpoints, hash_leaves, read_checkpoint};
use crate::seal::tiles::{StoredNodes, checkpoint_name};
use crate::seal::tree::prove_consistency;
use crate::seal::{Hash, SignedCheckpoint};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use stele_journal::{Storage, TrailReader};

/// The reply of a witness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WitnessReply {
    /// HTTP status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// The result of a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CollectOutcome {
    /// The checkpoint is cosigned, and the cosignature is stored.
    Cosigned {
        /// Number of events under it.
        size: u64,
    },
    /// The witness has cosigned another size than expected: ask again.
    Again,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The trail or its seals cannot be read.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A tile of the tree cannot be read.
    #[error("the proof for the witness cannot be made: {0}")]
    Tile(io::Error),
    /// The witness has cosigned more events than there are.
    #[error(
        "the witness has cosigned {witness} events of this log, its newest checkpoint is over {size}: the log was \
         rolled back, or another copy of it is being written"
    )]
    Ahead {
        /// Number of events that the witness has cosigned.
        witness: u64,
        /// Number of events under the newest checkpoint here.
        size: u64,
    },
    /// The witness has cosigned another tree of the same size.
    #[error("the witness has cosigned another tree of {size} events of this log: it was forked")]
    Forked {
        /// Number of events.
        size: u64,
    },
    /// The witness refuses.
    #[error("the witness refuses ({status}): {why}")]
    Refused {
        /// HTTP status code.
        status: u16,
        /// The first line of its message.
        why: String,
    },
    /// The reply is not a valid cosignature of the witness.
    #[error("the reply is not a cosignature of the witness: {0}")]
    Cosignature(CheckpointError),
}

/// Collects cosignatures: see the [module documentation](self). Several collectors for one trail share
/// `writing`, because their cosignatures go into the same files.
pub struct CosignatureCollector {
    witness: VerifierKey,
    storage: Arc<dyn Storage>,
    writing: Arc<Mutex<()>>,
    /// Number of events that the witness has cosigned, as far as is known.
    known: u64,
    asked: Option<Asked>,
}

struct Asked {
    number: u64,
    old: u64,
    checkpoint: SignedCheckpoint,
}

impl CosignatureCollector {
    /// Makes a collector for the trail in `storage`, from the witness with this key.
    pub fn new(witness: VerifierKey, storage: Arc<dyn Storage>, writing: Arc<Mutex<()>>) -> Self {
        Self { witness, storage, writing, known: 0, asked: None }
    }

    /// The number of events that the witness has cosigned, as far as is known.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// The request to send; `None` when the witness has cosigned the newest checkpoint.
    ///
    /// # Errors
    /// [`CollectError::Seal`] and [`CollectError::Tile`].
    pub fn request(&mut self) -> Result<Option<WitnessRequest>, CollectError> {
        let storage = self.storage.as_ref();
        let counted = count_checkpoints(storage);
        let number = counted.map_err(|source| SealError::Io { file: storage.describe("seals"), source })?;
        if number == 0 {
            return Ok(None);
        }
        let Some(checkpoint) = read_checkpoint(storage, &checkpoint_name(number))? else { return Ok(None) };
        let size = checkpoint.unchecked().size;
        let is_kept = self.known == size
            && read_checkpoint(storage, &cosigned_name(number))?
                .is_some_and(|kept| kept.note().check(&self.witness).is_ok());
        if is_kept {
            return Ok(None);
        }
        let old = self.known;
        if old > size {
            return Err(CollectError::Ahead { witness: old, size });
        }
        let proof = if old == 0 { Vec::new() } else { self.prove(old, size)? };
        self.asked = Some(Asked { number, old, checkpoint: checkpoint.clone() });
        Ok(Some(WitnessRequest { old, proof, checkpoint }))
    }

    fn prove(&self, old: u64, size: u64) -> Result<Vec<Hash>, CollectError> {
        let mut reader = TrailReader::over(self.storage.clone()).map_err(SealError::from)?;
        let leaves = |first, count| hash_leaves(&mut reader, first, count).map_err(io::Error::other);
        let mut nodes =
            StoredNodes { storage: self.storage.as_ref(), stored: size, leaves, cache: Vec::new() };
        prove_consistency(&mut nodes, old, size).map_err(CollectError::Tile)
    }

    /// Handles the reply to [`Self::request`].
    ///
    /// # Errors
    /// [`CollectError`].
    ///
    /// # Panics
    /// When no request was made.
    pub fn on_reply(&mut self, reply: &WitnessReply) -> Result<CollectOutcome, CollectError> {
        let asked = self.asked.take().expect("a reply is to a request");
        let size = asked.checkpoint.unchecked().size;
        let refused = || {
            let why = reply.body.lines().next().unwrap_or_default();
            let why = why.chars().filter(|letter| !letter.is_control()).take(200).collect();
            CollectError::Refused { status: reply.status, why }
        };
        match reply.status {
            200 => {
                self.keep(asked, &reply.body)?;
                self.known = size;
                Ok(CollectOutcome::Cosigned { size })
            }
            409 => {
                let theirs = reply.body.strip_suffix('\n').and_then(read_decimal).ok_or_else(refused)?;
                let before = std::mem::replace(&mut self.known, theirs);
                match theirs {
                    _ if theirs > size => Err(CollectError::Ahead { witness: theirs, size }),
                    // The request started from the witness's size, so the conflict is about the root.
                    _ if theirs == asked.old && before == theirs => Err(CollectError::Forked { size }),
                    _ => Ok(CollectOutcome::Again),
                }
            }
            _ => Err(refused()),
        }
    }

    /// Adds the witness's signature to the local checkpoint, as the specification requires.
    fn keep(&self, asked: Asked, lines: &str) -> Result<(), CollectError> {
        let bad = CollectError::Cosignature;
        let answer = Note::parse(&format!("{}\n{lines}", asked.checkpoint.note().text()));
        let answer = answer.map_err(|error| bad(error.into()))?;
        answer.check(&self.witness).map_err(|error| bad(error.into()))?;
        let own = |name: &str, id: [u8; 4]| name == self.witness.name() && id == self.witness.id();
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = cosigned_name(asked.number);
        let text = asked.checkpoint.note().text();
        let kept = read_checkpoint(self.storage.as_ref(), &name)?;
        let mut signed = kept.filter(|kept| kept.note().text() == text).unwrap_or(asked.checkpoint.clone());
        let signatures = &mut signed.note_mut().signatures;
        signatures.retain(|one| !own(&one.name, one.id));
        signatures.extend(answer.signatures.into_iter().filter(|one| own(&one.name, one.id)).take(1));
        let kept = self.storage.keep(&name, &mut signed.to_string().as_bytes());
        kept.map_err(|source| SealError::Io { file: self.storage.describe(&name), source }.into())
    }
}
