//! Snapshot files: a container for the state of every state machine of a shard after the last event of a
//! segment.
//!
//! The content of a section belongs to its state machine ([`SnapshotSection`]). This module stores the
//! sections: durable as a whole or not at all, checked by hashes, and tied to the trail and segment that the
//! state follows from ([`SnapshotOrigin`]). `journal/FORMAT.md` draws the bytes.

mod shelf;

pub(crate) use shelf::read_up_to;
pub use shelf::{NewestSnapshot, list, newest, prune, read, read_end, write};

use crate::bounds::{SNAPSHOT_LENGTH_MAX, SNAPSHOT_SECTIONS_MAX};
use crate::error::TrailError;
use crate::format::SegmentLink;
use sha2::{Digest as _, Sha256};
use std::ops::Range;
use stele_wire::codec::{text, text_field};
use stele_wire::frame::Identity;
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first 8 bytes of every snapshot file.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"STELESNP";

/// Version of the container that this code writes, and the newest it reads.
pub const SNAPSHOT_VERSION: u32 = 1;

/// File name extension of a snapshot.
pub const SNAPSHOT_EXTENSION: &str = "snapshot";

/// Length of the hash at the end of the file: SHA-256 of everything before it.
const HASH_LENGTH: usize = 32;

/// Alignment of a section's body in bytes.
const ALIGNMENT: usize = 8;

/// The head of a snapshot file.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy)]
pub struct SnapshotHead {
    /// [`SNAPSHOT_MAGIC`].
    pub magic: [u8; 8],
    /// [`SNAPSHOT_VERSION`].
    pub version: U32,
    /// The number of sections in the table after the head.
    pub sections: U32,
    /// The trail.
    pub trail: [u8; 16],
    /// The shard.
    pub shard: U32,
    /// The epoch of the segment.
    pub epoch: U32,
    /// Index of the segment after whose last event the state is.
    pub segment: U64,
    /// Position after the segment's last frame.
    pub end: U64,
    /// Sequence of the last event before `end`.
    pub last_sequence: U64,
    /// Timestamp of that event.
    pub last_timestamp: U64,
    /// The link that the next segment carries or will carry.
    pub link: SegmentLink,
    /// Length of the file in bytes.
    pub length: U64,
    /// Version of the program that wrote it, as text.
    pub program: [u8; 32],
}

/// A row of the table after the head.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy)]
pub struct SectionRow {
    /// The name of the state machine, as text.
    pub name: [u8; 32],
    /// Version of the layout of its state.
    pub version: U32,
    /// Zeros.
    pub reserved: U32,
    /// Offset in the file at which the state begins.
    pub offset: U64,
    /// Length of the state in bytes.
    pub length: U64,
    /// SHA-256 of the state.
    pub hash: [u8; 32],
}

const _: () = assert!(size_of::<SnapshotHead>() == 144 && align_of::<SnapshotHead>() == 1);
const _: () = assert!(size_of::<SectionRow>() == 88 && align_of::<SectionRow>() == 1);
const _: () = assert!(size_of::<SnapshotHead>().is_multiple_of(ALIGNMENT));
const _: () = assert!(size_of::<SectionRow>().is_multiple_of(ALIGNMENT));

/// What a state follows from: the trail up to the end of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotOrigin {
    /// Trail and shard, and the epoch of the segment.
    pub identity: Identity,
    /// Index of the segment.
    pub segment: u64,
    /// Position after its last frame.
    pub end: Position,
    /// Sequence of the last event before `end`, 0 for none.
    pub last_sequence: Sequence,
    /// Its timestamp in nanoseconds UTC, 0 for none.
    pub last_timestamp: Nanos,
    /// The link in the next segment's header, which covers everything before it: see
    /// [`crate::format::link_after`].
    pub link: SegmentLink,
}

/// The state of one state machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotSection {
    /// The name of the state machine, at most 32 bytes.
    pub name: &'static str,
    /// Version of the layout of its state. A version that the program does not know is not loaded.
    pub version: u32,
    /// The state.
    pub body: Vec<u8>,
}

/// Length and hash of a snapshot file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotDigest {
    /// Length of the file in bytes.
    pub length: u64,
    /// SHA-256 of the whole file.
    pub hash: [u8; 32],
}

/// A snapshot that was read and whose hashes were checked.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the state follows from.
    pub origin: SnapshotOrigin,
    /// Version of the program that wrote it.
    pub program: String,
    /// Length and hash of the file.
    pub digest: SnapshotDigest,
    bytes: Vec<u8>,
    sections: Vec<(String, u32, Range<usize>)>,
}

/// Why a snapshot cannot be used or taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The medium failed, or the trail of the snapshot cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Its bytes are not those that were written.
    #[error("{file} is damaged: {fault}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        fault: SnapshotFault,
    },
    /// It was written by a newer version of Stele.
    #[error("{file} is of version {version}, this version of stele reads snapshots up to {SNAPSHOT_VERSION}")]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// It belongs to another trail, or to other segments.
    #[error("{file} does not belong to this trail: its {field} is {found}, expected {expected}")]
    Misfit {
        /// The file.
        file: String,
        /// The field that does not fit.
        field: &'static str,
        /// The expected value.
        expected: String,
        /// The value found.
        found: String,
    },
    /// The state needs more bytes than a snapshot may have.
    #[error("{file} would take {length} bytes, a snapshot has at most {SNAPSHOT_LENGTH_MAX}")]
    TooLong {
        /// The file.
        file: String,
        /// The length that it would have.
        length: u64,
    },
}

/// What is wrong with the bytes of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotFault {
    /// The file is shorter than head, table and hash, or its length differs from that in its head.
    #[error("it has {found} bytes, expected {expected}")]
    Length {
        /// The length in the head, or the minimum.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
    /// The magic is missing.
    #[error("it does not begin with STELESNP")]
    Magic,
    /// The bytes do not match the hash at the end.
    #[error("its bytes do not give the hash at its end")]
    Hash,
    /// The hashes match, but the table is impossible.
    #[error("row {row} of its table is impossible")]
    Table {
        /// The row, 0 for the first.
        row: usize,
    },
}

/// Returns the file name of the snapshot after segment `index`.
pub fn snapshot_name(index: u64) -> String {
    format!("{index:010}.{SNAPSHOT_EXTENSION}")
}

/// Returns the segment after which the snapshot in the file `name` was taken; `None` when the name is not a
/// snapshot's.
pub fn snapshot_index(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SNAPSHOT_EXTENSION)?.strip_suffix('.')?;
    let is_index = digits.len() >= 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|index| is_index && snapshot_name(*index) == name)
}

/// Returns the bytes of a snapshot file.
///
/// # Panics
/// When there are more than [`SNAPSHOT_SECTIONS_MAX`] sections, or a section's name is longer than 32 bytes.
pub fn encode(origin: &SnapshotOrigin, program: &str, sections: &[SnapshotSection]) -> Vec<u8> {
    assert!(sections.len() <= SNAPSHOT_SECTIONS_MAX, "{} sections are too many", sections.len());
    let table = size_of::<SnapshotHead>() + sections.len() * size_of::<SectionRow>();
    let bodies: usize = sections.iter().map(|section| section.body.len().next_multiple_of(ALIGNMENT)).sum();
    let length = table + bodies + HASH_LENGTH;
    let head = SnapshotHead {
        magic: SNAPSHOT_MAGIC,
        version: U32::new(SNAPSHOT_VERSION),
        sections: U32::new(sections.len() as u32),
        trail: origin.identity.trail.0,
        shard: U32::new(origin.identity.shard.0),
        epoch: U32::new(origin.identity.epoch.0),
        segment: U64::new(origin.segment),
        end: U64::new(origin.end.0),
        last_sequence: U64::new(origin.last_sequence.0),
        last_timestamp: U64::new(origin.last_timestamp.0),
        link: origin.link,
        length: U64::new(length as u64),
        program: text_field(&program[..program.floor_char_boundary(32)]).expect("it was cut to the field"),
    };
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(head.as_bytes());
    let mut offset = table;
    for section in sections {
        let row = SectionRow {
            name: text_field(section.name).expect("a section's name fits its field"),
            version: U32::new(section.version),
            reserved: U32::ZERO,
            offset: U64::new(offset as u64),
            length: U64::new(section.body.len() as u64),
            hash: Sha256::digest(&section.body).into(),
        };
        bytes.extend_from_slice(row.as_bytes());
        offset += section.body.len().next_multiple_of(ALIGNMENT);
    }
    for section in sections {
        bytes.extend_from_slice(&section.body);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    assert_eq!(bytes.len(), length, "every part has the length that the head says");
    bytes
}

/// Parses the bytes of a snapshot file. It allocates as many bytes as it is given, and a table for which they
/// have room.
///
/// # Errors
/// [`SnapshotFault`]. The inner error is the version of a snapshot that a newer program wrote.
pub fn decode(bytes: Vec<u8>) -> Result<Result<Snapshot, u32>, SnapshotFault> {
    let head = check_head(&bytes, bytes.len() as u64)?;
    if head.version.get() > SNAPSHOT_VERSION {
        return Ok(Err(head.version.get()));
    }
    let (content, found) = bytes.split_at(bytes.len() - HASH_LENGTH);
    let digest: [u8; 32] = Sha256::digest(content).into();
    if digest != *found {
        return Err(SnapshotFault::Hash);
    }
    let count = head.sections.get() as usize;
    let table = content[size_of::<SnapshotHead>()..].chunks_exact(size_of::<SectionRow>()).take(count);
    let mut offset = size_of::<SnapshotHead>() + count * size_of::<SectionRow>();
    let mut sections = Vec::with_capacity(table.len());
    for (row, bytes) in table.enumerate() {
        let fault = SnapshotFault::Table { row };
        let found = SectionRow::read_from_bytes(bytes).map_err(|_| fault)?;
        let length = usize::try_from(found.length.get()).map_err(|_| fault)?;
        let body = offset..offset.checked_add(length).ok_or(fault)?;
        let end = body.end.checked_next_multiple_of(ALIGNMENT).ok_or(fault)?;
        if found.offset.get() != offset as u64 || end > content.len() {
            return Err(fault);
        }
        let digest: [u8; 32] = Sha256::digest(&content[body.clone()]).into();
        if digest != found.hash {
            return Err(fault);
        }
        sections.push((text(&found.name).to_owned(), found.version.get(), body));
        offset = end;
    }
    if sections.len() != count || offset != content.len() {
        return Err(SnapshotFault::Table { row: sections.len() });
    }
    let digest = SnapshotDigest::of(&bytes);
    let (origin, program) = (head.origin(), text(&head.program).to_owned());
    Ok(Ok(Snapshot { origin, program, digest, bytes, sections }))
}

/// Checks the head at the start of `bytes`, which are the beginning, or all, of a file of `length` bytes.
pub(crate) fn check_head(bytes: &[u8], length: u64) -> Result<SnapshotHead, SnapshotFault> {
    let least = (size_of::<SnapshotHead>() + HASH_LENGTH) as u64;
    if length < least || bytes.len() < size_of::<SnapshotHead>() {
        return Err(SnapshotFault::Length { expected: least, found: length });
    }
    let (head, _) = SnapshotHead::read_from_prefix(bytes).expect("the length was checked");
    if head.magic != SNAPSHOT_MAGIC {
        return Err(SnapshotFault::Magic);
    }
    if head.length.get() != length {
        return Err(SnapshotFault::Length { expected: head.length.get(), found: length });
    }
    Ok(head)
}

impl SnapshotDigest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, hash: Sha256::digest(bytes).into() }
    }
}

impl SnapshotHead {
    fn origin(&self) -> SnapshotOrigin {
        SnapshotOrigin {
            identity: Identity {
                trail: TrailId(self.trail),
                shard: ShardId(self.shard.get()),
                epoch: Epoch(self.epoch.get()),
            },
            segment: self.segment.get(),
            end: Position(self.end.get()),
            last_sequence: Sequence(self.last_sequence.get()),
            last_timestamp: Nanos(self.last_timestamp.get()),
            link: self.link,
        }
    }
}

impl Snapshot {
    /// Returns version and state of the state machine `name`; `None` when the snapshot has none.
    pub fn section(&self, name: &str) -> Option<(u32, &[u8])> {
        let (_, version, body) = self.sections.iter().find(|(own, _, _)| own == name)?;
        Some((*version, &self.bytes[body.clone()]))
    }

    /// Returns the names of the state machines and the lengths of their states, in the file's order.
    pub fn machines(&self) -> impl Iterator<Item = (&str, usize)> {
        self.sections.iter().map(|(name, _, body)| (name.as_str(), body.len()))
    }
}

#[cfg(test)]
mod tests;
