//! Proofs that one event is on the log, checkable offline: C2SP tlog-proof v1.
//!
//! ```text
//!  c2sp.org/tlog-proof@v1
//!  extra base64(the frame)               the event; proved by the rest, like everything else here
//!  index 73893                           sequence − 1
//!  gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//!  …
//!
//!  the checkpoint, verbatim
//! ```
//!
//! The `extra` line of the specification carries the event itself. It is not signed and need not be: it is
//! the leaf that the proof is about.

use super::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, read_decimal};
use super::hash::Hash;
use super::note::VerifierKey;
use super::sealing::{SealError, hash_leaves, origin_of_trail, read_checkpoint};
use super::tiles::{CHECKPOINT_NAME, StoredNodes};
use super::tree::{ProofError, prove_inclusion, verify_inclusion};
use base64ct::{Base64, Encoding as _};
use std::fmt;
use std::sync::Arc;
use stele_journal::{Storage, TrailError, TrailReader};
use stele_wire::{Frame, Sequence};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// An event with the path from its leaf to a signed root.
///
/// # Examples
///
/// ```
/// use stele_compliance::seal::Proof;
///
/// let error = Proof::parse("not a proof").unwrap_err();
/// assert_eq!(error.to_string(), "this is not a proof: there is no blank line");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The bytes of the frame as they are on the log.
    pub frame: Vec<u8>,
    /// Leaf index: the sequence − 1.
    pub index: u64,
    /// The path, from the leaf's sibling upwards.
    pub path: Vec<Hash>,
    /// The checkpoint with the root.
    pub checkpoint: SignedCheckpoint,
}

/// Why a proof is invalid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidProof {
    /// The text is malformed.
    #[error("this is not a proof: {0}")]
    Malformed(&'static str),
    /// The checkpoint is malformed, or its signature is invalid.
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead from the event to the root.
    #[error("the event is not under the checkpoint: {0}")]
    Path(ProofError),
    /// The frame has another sequence than the proof.
    #[error("the event has sequence {frame}, but the proof is for {index}", index = .index + 1)]
    Sequence {
        /// The sequence in the frame.
        frame: u64,
        /// The leaf index in the proof.
        index: u64,
    },
}

/// Why an event cannot be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The trail or its seals cannot be read.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The trail is not sealed, or not up to the event.
    #[error(
        "event {sequence} is not under a checkpoint yet: {sealed} events are sealed; run `stele seal` first"
    )]
    NotSealed {
        /// The event.
        sequence: u64,
        /// Number of events under the newest checkpoint.
        sealed: u64,
    },
    /// The stored seals do not give a valid proof.
    #[error("the seals do not match the trail: {0}; run `stele verify --key`")]
    Broken(#[from] InvalidProof),
    /// A tile cannot be read.
    #[error("{0}; `stele seal` recreates tiles")]
    Tile(std::io::Error),
}

/// Proves that event `sequence` of the trail is under its newest checkpoint, which must be signed by `key`.
/// The returned proof has been checked.
///
/// # Errors
/// [`ProveError`].
pub fn prove(storage: &Arc<dyn Storage>, sequence: Sequence, key: &VerifierKey) -> Result<Proof, ProveError> {
    let mut reader = TrailReader::over(storage.clone()).map_err(SealError::from)?;
    let origin = origin_of_trail(&reader);
    let checkpoint = read_checkpoint(storage.as_ref(), CHECKPOINT_NAME)?;
    let sealed = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.unchecked().size);
    let Some(checkpoint) = checkpoint.filter(|_| (1..=sealed).contains(&sequence.0)) else {
        return Err(ProveError::NotSealed { sequence: sequence.0, sealed });
    };
    checkpoint.check(key, Some(&origin)).map_err(InvalidProof::from)?;
    let index = sequence.0 - 1;
    reader.seek(sequence).map_err(SealError::from)?;
    let found = reader.read_next().map_err(SealError::from)?.map(|entry| entry.frame.bytes().to_vec());
    let missing = || TrailError::NotFound { sequence, first: Sequence(1), last: Sequence(sealed) };
    let frame = found.ok_or_else(missing).map_err(SealError::from)?;
    let leaves = |first, count| hash_leaves(&mut reader, first, count).map_err(std::io::Error::other);
    let mut nodes = StoredNodes { storage: storage.as_ref(), stored: sealed, leaves, cache: Vec::new() };
    let path = prove_inclusion(&mut nodes, index, sealed).map_err(ProveError::Tile)?;
    let proof = Proof { frame, index, path, checkpoint };
    proof.check(key)?;
    Ok(proof)
}

impl Proof {
    /// Reads a proof, without checking it.
    ///
    /// # Errors
    /// [`InvalidProof::Malformed`] and [`InvalidProof::Checkpoint`].
    pub fn parse(text: &str) -> Result<Self, InvalidProof> {
        let malformed = InvalidProof::Malformed;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(malformed("there is no blank line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("it does not begin with c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.ok_or(malformed("it carries no event in an `extra` line"))?;
        let frame = Base64::decode_vec(extra).map_err(|_| malformed("its `extra` line is not base64"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(read_decimal);
        let index = index.ok_or(malformed("it has no `index` line"))?;
        let path = lines.map(Hash::from_base64).collect::<Option<Vec<_>>>();
        let path = path.ok_or(malformed("a line is not the base64 of a hash"))?;
        Ok(Self { frame, index, path, checkpoint: SignedCheckpoint::parse(checkpoint)? })
    }

    /// Checks the whole proof with nothing but the key: the signature, the path, and that the event has the
    /// proved sequence. Returns the event and the checkpoint.
    ///
    /// # Errors
    /// [`InvalidProof`].
    pub fn check(&self, key: &VerifierKey) -> Result<(Frame<'_>, &Checkpoint), InvalidProof> {
        let checkpoint = self.checkpoint.check(key, None)?;
        let frame = Frame::read(&self.frame)
            .map_err(|_| InvalidProof::Malformed("its `extra` line is not an event"))?;
        if frame.len() != self.frame.len() || frame.is_padding() {
            return Err(InvalidProof::Malformed("its `extra` line is not exactly one event"));
        }
        if frame.sequence().0.checked_sub(1) != Some(self.index) {
            return Err(InvalidProof::Sequence { frame: frame.sequence().0, index: self.index });
        }
        let leaf = Hash::leaf(&self.frame);
        verify_inclusion(self.index, checkpoint.size, leaf, checkpoint.root, &self.path)
            .map_err(InvalidProof::Path)?;
        Ok((frame, checkpoint))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nextra {}\nindex {}", Base64::encode_string(&self.frame), self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
