//! What can go wrong with a trail, said so that the reader of the message knows what to do.

use crate::continuity::Fault;
use crate::format::{FORMAT_VERSION, HeaderFault};
use crate::storage::Storage;
use std::io;
use stele_wire::units::{Position, Sequence};

/// Why a trail cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The medium refused.
    #[error("cannot {action} {file}: {source}{}", advice(source))]
    Io {
        /// The file.
        file: String,
        /// What was tried.
        action: &'static str,
        /// What the medium said.
        source: io::Error,
    },
    /// There is no trail.
    #[error("{0} holds no trail: it has no segment file (0000000001.stele …) with a header")]
    NoTrail(String),
    /// A segment's header is damaged.
    #[error("{file}: {fault}")]
    Header {
        /// The file.
        file: String,
        /// What is wrong with it.
        fault: HeaderFault,
    },
    /// A segment was written by a newer stele.
    #[error(
        "{file} is of format version {version}, this stele reads up to {FORMAT_VERSION}: use a newer one"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// A segment in front of written ones has no header.
    #[error("{file}: the header is blank although later segments were written")]
    Blank {
        /// The file.
        file: String,
    },
    /// A segment is not there.
    #[error("{file} is missing although later segments are there: bring it back from a copy")]
    Missing {
        /// The file.
        file: String,
    },
    /// A segment does not follow the one in front of it.
    #[error(
        "{file} does not belong here: its {field} is {found}, expected {expected} from its name and the segment in front"
    )]
    Chain {
        /// The file.
        file: String,
        /// Which field of its header.
        field: &'static str,
        /// What it had to be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Bytes that are not the next frame stand where one must be.
    #[error("{file}, offset {offset} (position {position}, after sequence {after}): {fault}")]
    Frame {
        /// The file.
        file: String,
        /// Offset in it.
        offset: u64,
        /// The log position of that offset.
        position: Position,
        /// The last event in front.
        after: Sequence,
        /// What is wrong with the bytes.
        fault: ContinuityFault,
    },
    /// A segment's link is not that of what stands in front of it.
    #[error(
        "{file}: the link to the segment in front is {found}, what stands there gives {expected}: one of the two was \
         changed after it was written"
    )]
    Link {
        /// The file.
        file: String,
        /// What the segment in front gives, hexadecimal.
        expected: String,
        /// What the header says, hexadecimal.
        found: String,
    },
    /// The event is not in the trail.
    #[error("sequence {sequence} is not in the trail, which holds {first} to {last}")]
    NotFound {
        /// What was looked for.
        sequence: Sequence,
        /// The first event there.
        first: Sequence,
        /// The last event there.
        last: Sequence,
    },
}

impl TrailError {
    pub(crate) fn io(storage: &dyn Storage, name: &str, action: &'static str, source: io::Error) -> Self {
        Self::Io { file: storage.describe(name), action, source }
    }
}

/// What to do about an error of the medium, as the end of a sentence.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            ": free some space or choose another directory; everything acknowledged so far is intact"
        }
        io::ErrorKind::QuotaExceeded => ": the quota is used up; everything acknowledged so far is intact",
        io::ErrorKind::PermissionDenied => {
            ": a trail is for its owner only; run as that user or choose another directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => ": choose a directory on a file system that can be written",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            ": a trail is a directory; choose another path"
        }
        _ => "",
    }
}
