//! Checkpoints: signed statements of a tree's size and root. C2SP tlog-checkpoint v1.0.0.
//!
//! ```text
//!  stele.internal/00112233445566778899aabbccddeeff/0           origin: trail and shard
//!  20852163                                                    number of events
//!  CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=                root
//!
//!  — bank.example/stele Az3grlgtzPICa5OS…                      the firm's key, then witnesses'
//! ```
//!
//! The origin names the trail and the shard, not the firm. So a checkpoint of another trail is recognised
//! without knowing a key, and one key may seal all shards of a firm; a key's name need not equal the origin.
//! There are no extension lines, because witnesses make no statement about them. The time of a checkpoint is
//! bounded by the last event under it, whose frame has a time, and by the witnesses' cosignatures.

use super::hash::Hash;
use super::note::{Note, NoteError, Signer, VerifierKey};
use std::fmt;
use stele_wire::units::{ShardId, TrailId};

/// The statement of a checkpoint.
///
/// # Examples
///
/// ```
/// use stele_compliance::seal::{Checkpoint, Hash};
///
/// let checkpoint = Checkpoint { origin: "stele.internal/1".into(), size: 0, root: Hash::EMPTY_TREE };
/// assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Ok(checkpoint));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Origin of the log; see [`origin_of`].
    pub origin: String,
    /// Number of leaves: the sequence of the last event under the checkpoint.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// Why a checkpoint is malformed or not trustworthy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The text is malformed.
    #[error("this is not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The note around it is malformed, or its signature is invalid.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It is a checkpoint of another log.
    #[error("it is a checkpoint of {found}, not of {expected}")]
    Origin {
        /// The expected origin.
        expected: String,
        /// The origin of the checkpoint.
        found: String,
    },
}

/// The origin of a shard's trail: `stele.internal/`, the trail's 32 hexadecimal digits, `/` and the shard.
pub fn origin_of(trail: TrailId, shard: ShardId) -> String {
    let digits: String = trail.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("stele.internal/{digits}/{}", shard.0)
}

impl Checkpoint {
    /// Reads the text of a note.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let text = text.strip_suffix('\n').ok_or(malformed("it does not end in a newline"))?;
        let mut lines = text.split('\n');
        if text.split('\n').any(str::is_empty) {
            return Err(malformed("it has an empty line"));
        }
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(malformed("it has fewer than three lines"));
        };
        let size = read_decimal(size).ok_or(malformed("its size is not a decimal number"))?;
        let root = Hash::from_base64(root).ok_or(malformed("its root is not the base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Signs the checkpoint.
    pub fn sign(self, signer: &Signer) -> SignedCheckpoint {
        let text = self.to_string();
        let signature = signer.sign(&text, 0);
        let note = Note::new(text, vec![signature]).expect("a checkpoint's text ends in a newline");
        SignedCheckpoint { checkpoint: self, note }
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)
    }
}

/// Reads a decimal number without leading zeros.
pub(crate) fn read_decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// A checkpoint with its signatures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a checkpoint, without checking its signatures.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] and [`CheckpointError::Note`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let note = Note::parse(text)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// The statement, without a check of the signatures.
    pub fn unchecked(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, to add signatures.
    pub fn note_mut(&mut self) -> &mut Note {
        &mut self.note
    }

    /// The note.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Checks the signature of `key`, and the origin if one is given, and returns the statement.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] and [`CheckpointError::Origin`].
    pub fn check(&self, key: &VerifierKey, origin: Option<&str>) -> Result<&Checkpoint, CheckpointError> {
        if let Some(expected) = origin.filter(|origin| *origin != self.checkpoint.origin) {
            let found = self.checkpoint.origin.clone();
            return Err(CheckpointError::Origin { expected: expected.to_owned(), found });
        }
        self.note.check(key)?;
        Ok(&self.checkpoint)
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::KeyKind;
    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut id = [0; 16];
        id[15] = 0xab;
        Checkpoint { origin: origin_of(TrailId(id), ShardId(3)), size: 20_852_163, root: Hash::leaf(b"x") }
    }

    #[test]
    fn the_bytes_of_a_checkpoint_are_stable() {
        let signer = Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap();
        let expected = "stele.internal/000000000000000000000000000000ab/3\n20852163\n\
            PH6byTDck/AfppmF7yQtn56GHzxTVaokzl70tLinDMs=\n\n\u{2014} bank.example/stele Cscj3Ks2RsRRjuKzSyJHQ3vyIOavyk/9tMmfSxP3+n2JvH9lLYB8Eem9Y52pZZjcRU8xGNXRgUYOcsllauR7dp/DTQ8=\n";
        assert_eq!(checkpoint().sign(&signer).to_string(), expected);
    }

    #[test]
    fn a_checkpoint_survives_its_text_and_checks_under_its_key_and_origin_alone() {
        let signer = Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap();
        let signed = checkpoint().sign(&signer);
        let read = SignedCheckpoint::parse(&signed.to_string()).unwrap();
        let origin = checkpoint().origin;
        assert_eq!(read.check(signer.public(), Some(&origin)), Ok(&checkpoint()));
        let other = read.check(signer.public(), Some("stele.internal/00/0"));
        assert!(matches!(other, Err(CheckpointError::Origin { .. })));
        let stranger = Signer::new("bank.example/stele", KeyKind::Log, &[8; 32]).unwrap();
        assert!(matches!(read.check(stranger.public(), None), Err(CheckpointError::Note(_))));
        let grown = signed.to_string().replace("20852163", "20852164");
        let grown = SignedCheckpoint::parse(&grown).unwrap();
        assert!(matches!(grown.check(signer.public(), None), Err(CheckpointError::Note(_))));
    }

    #[test]
    fn a_malformed_checkpoint_is_refused() {
        let good = checkpoint().to_string();
        let root = checkpoint().root.to_base64();
        let bad = [
            good[..good.len() - 1].to_owned(),
            good.replace("20852163", "020852163"),
            good.replace("20852163", "+20852163"),
            good.replace("20852163", "99999999999999999999999"),
            good.replace(&root, &root[..40]),
            format!("\n{good}"),
            format!("{good}\n"),
            "origin\n0\n".to_owned(),
        ];
        assert!(bad.iter().all(|text| Checkpoint::parse(text).is_err()));
        assert_eq!(Checkpoint::parse(&format!("{good}extension\n")).unwrap(), checkpoint());
    }
}
