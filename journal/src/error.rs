//! The errors of a trail. Each message says what to do.

use crate::continuity::ContinuityFault;
use crate::format::{FORMAT_VERSION, HeaderFault};
use crate::storage::Storage;
use std::io;
use stele_wire::units::{Position, Sequence};

/// Why a trail cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The medium failed.
    #[error("cannot {action} {file}: {source}{}", advice(source))]
    Io {
        /// The file.
        file: String,
        /// What was attempted.
        action: &'static str,
        /// The error of the medium.
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
        /// What is wrong with the header.
        fault: HeaderFault,
    },
    /// A segment was written by a newer version of Stele.
    #[error(
        "{file} is of format version {version}, this version of stele reads up to {FORMAT_VERSION}: use a newer one"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// A segment has a blank header although later segments were written.
    #[error("{file}: the header is blank although later segments were written")]
    Blank {
        /// The file.
        file: String,
    },
    /// A segment is missing.
    #[error("{file} is missing although later segments exist: restore it from a copy")]
    Missing {
        /// The file.
        file: String,
    },
    /// A segment does not follow the previous one.
    #[error(
        "{file} does not belong here: its {field} is {found}, expected {expected} by its name and the previous segment"
    )]
    Chain {
        /// The file.
        file: String,
        /// The header field that does not fit.
        field: &'static str,
        /// The expected value.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A frame is expected at this offset, and the bytes there are not the next frame.
    #[error("{file}, offset {offset} (position {position}, after sequence {after}): {fault}")]
    Frame {
        /// The file.
        file: String,
        /// Offset in the file.
        offset: u64,
        /// Log position of that offset.
        position: Position,
        /// The last event before it.
        after: Sequence,
        /// What is wrong with the bytes.
        fault: ContinuityFault,
    },
    /// A segment's link does not match the content before it.
    #[error(
        "{file}: the link to the previous segment is {found}, the content of that segment gives {expected}: one of \
         the two was changed after it was written"
    )]
    Link {
        /// The file.
        file: String,
        /// The link that the previous segment's content gives, hexadecimal.
        expected: String,
        /// The link in the header, hexadecimal.
        found: String,
    },
    /// The event is not in the trail.
    #[error("sequence {sequence} is not in the trail, which holds {first} to {last}")]
    NotFound {
        /// The sequence that was looked for.
        sequence: Sequence,
        /// The first event of the trail.
        first: Sequence,
        /// The last event of the trail.
        last: Sequence,
    },
}

impl TrailError {
    pub(crate) fn io(storage: &dyn Storage, name: &str, action: &'static str, source: io::Error) -> Self {
        Self::Io { file: storage.describe(name), action, source }
    }
}

/// Returns advice on an error of the medium, as the end of a sentence.
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
