//! Finds the segment files of a trail and checks whether they belong together.

use crate::bounds::{HEADER_BLOCK_LENGTH, PAGE_LENGTH, SEGMENT_LENGTH_MIN};
use crate::continuity::Continuity;
use crate::error::TrailError;
use crate::format::{HeaderBlock, HeaderState, SegmentHeader, align_up, segment_index, segment_name};
use crate::pages::Pages;
use crate::storage::Storage;
use std::io;
use stele_wire::units::{Position, Sequence};

/// A segment with a valid header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The segment's header.
    pub header: SegmentHeader,
    /// Length of the file in bytes.
    pub file_length: u64,
}

/// A segment file as found, with any header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundSegment {
    /// The index in the file's name.
    pub index: u64,
    /// Length of the file in bytes.
    pub file_length: u64,
    /// The state of the header block.
    pub state: HeaderState,
}

impl Segment {
    /// Returns the name of the segment's file.
    pub fn name(&self) -> String {
        segment_name(self.header.index)
    }

    /// Returns the header block, byte for byte as it is in the file.
    pub fn header_block(&self) -> HeaderBlock {
        self.header.to_block()
    }

    /// Returns what the first frame must continue.
    pub(crate) fn start(&self) -> Continuity {
        Continuity {
            seed: self.header.identity.seed(),
            last_sequence: Sequence(self.header.base_sequence.0 - 1),
            last_timestamp: self.header.created,
        }
    }

    /// Returns the position after the last byte that the file has room for.
    pub fn file_end(&self) -> Position {
        let data = self.file_length.saturating_sub(HEADER_BLOCK_LENGTH as u64);
        self.header.base_position.plus(data.min(self.header.segment_length))
    }

    /// Checks that this segment follows `previous`, by the two headers and file lengths.
    ///
    /// # Errors
    /// [`TrailError::Chain`] with the field that does not fit.
    pub fn check_follows(&self, previous: &Self, storage: &dyn Storage) -> Result<(), TrailError> {
        let (this, before) = (&self.header, &previous.header);
        let same_epoch = this.identity.epoch == before.identity.epoch;
        let base = align_up(previous.file_end(), this.block_length);
        let rows = [
            (
                "trail",
                this.identity.trail == before.identity.trail,
                before.identity.trail.to_string(),
                this.identity.trail.to_string(),
            ),
            (
                "shard",
                this.identity.shard == before.identity.shard,
                before.identity.shard.to_string(),
                this.identity.shard.to_string(),
            ),
            ("index", this.index == before.index + 1, (before.index + 1).to_string(), this.index.to_string()),
            (
                "epoch",
                this.identity.epoch >= before.identity.epoch,
                format!("{} or later", before.identity.epoch),
                this.identity.epoch.to_string(),
            ),
            ("base position", this.base_position == base, base.to_string(), this.base_position.to_string()),
            (
                "base sequence",
                this.base_sequence >= before.base_sequence,
                format!("{} or later", before.base_sequence),
                this.base_sequence.to_string(),
            ),
            (
                "segment length",
                !same_epoch || this.segment_length == before.segment_length,
                before.segment_length.to_string(),
                this.segment_length.to_string(),
            ),
            (
                "block length",
                !same_epoch || this.block_length == before.block_length,
                before.block_length.to_string(),
                this.block_length.to_string(),
            ),
        ];
        match rows.into_iter().find(|(_, holds, _, _)| !holds) {
            None => Ok(()),
            Some((field, _, expected, found)) => {
                Err(TrailError::Chain { file: storage.describe(&self.name()), field, expected, found })
            }
        }
    }
}

/// Lists the segment files of a trail in the order of their indexes, with their headers. A trail that does
/// not exist has none.
///
/// # Errors
/// [`TrailError::Io`].
pub fn find_segments(storage: &dyn Storage) -> Result<Vec<FoundSegment>, TrailError> {
    let names = match storage.list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|source| TrailError::io(storage, ".", "list", source))?,
    };
    let mut indexes: Vec<u64> = names.iter().filter_map(|name| segment_index(name)).collect();
    // The newest first: while a writer runs, everything before a segment that was begun is complete.
    indexes.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Vec::with_capacity(indexes.len());
    let mut pages = Pages::zeroed(HEADER_BLOCK_LENGTH);
    for index in indexes {
        found.extend(find_segment(storage, index, &mut pages)?);
    }
    found.reverse();
    Ok(found)
}

/// Returns segment `index` as it is now; `None` when its file is missing.
pub(crate) fn find_segment(
    storage: &dyn Storage,
    index: u64,
    pages: &mut Pages,
) -> Result<Option<FoundSegment>, TrailError> {
    let name = segment_name(index);
    let file = match storage.open(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| TrailError::io(storage, &name, "open", source))?,
    };
    let read = |source| TrailError::io(storage, &name, "read", source);
    let file_length = file.length().map_err(read)?;
    let count = file.read_at(&mut pages[..HEADER_BLOCK_LENGTH], 0).map_err(read)?;
    Ok(Some(FoundSegment { index, file_length, state: HeaderState::read(&pages[..count]) }))
}

/// Returns the usable segments of a trail, checked against each other: indexes without a gap, one trail, one
/// shard, each beginning where the previous one ends. Blank segments at the end, which the writer keeps
/// ready, are excluded.
///
/// # Errors
/// [`TrailError`]: a damaged or newer header, a missing segment, or segments that do not belong together.
pub fn read_segments(storage: &dyn Storage) -> Result<Vec<Segment>, TrailError> {
    chain(storage, &find_written(storage)?)
}

/// As [`read_segments`], for a trail that may be written at this moment: a newest segment whose header may be
/// half-written is excluded.
///
/// # Errors
/// As [`read_segments`].
pub(crate) fn read_live_segments(storage: &dyn Storage) -> Result<Vec<Segment>, TrailError> {
    let mut found = find_written(storage)?;
    if let [.., previous, last] = &found[..]
        && let HeaderState::Valid(header) = previous.state
        && last.may_be_begun_after(&Segment { header, file_length: previous.file_length })
    {
        found.pop();
    }
    chain(storage, &found)
}

/// Returns the segment files up to the last one that is not blank.
fn find_written(storage: &dyn Storage) -> Result<Vec<FoundSegment>, TrailError> {
    let mut found = find_segments(storage)?;
    while found.last().is_some_and(|last| last.state == HeaderState::Blank) {
        found.pop();
    }
    Ok(found)
}

fn chain(storage: &dyn Storage, found: &[FoundSegment]) -> Result<Vec<Segment>, TrailError> {
    let mut segments: Vec<Segment> = Vec::with_capacity(found.len());
    for found in found {
        let segment = found.usable(storage)?;
        if let Some(previous) = segments.last() {
            if segment.header.index != previous.header.index + 1 {
                let file = storage.describe(&segment_name(previous.header.index + 1));
                return Err(TrailError::Missing { file });
            }
            segment.check_follows(previous, storage)?;
        }
        segments.push(segment);
    }
    Ok(segments)
}

impl FoundSegment {
    /// Returns whether this, the newest segment that is not blank, may be one whose header is being written
    /// after `previous`: its header is not valid yet, and its file has the length that it was prepared with.
    /// The file of a closed segment is shorter, except in the rare case that the segment was full.
    pub(crate) fn may_be_begun_after(&self, previous: &Segment) -> bool {
        let is_prepared = if previous.file_end() == previous.header.end_position() {
            self.file_length == HEADER_BLOCK_LENGTH as u64 + previous.header.segment_length
        } else {
            self.has_prepared_length()
        };
        matches!(self.state, HeaderState::Damaged(_))
            && self.index == previous.header.index + 1
            && is_prepared
    }

    /// Returns whether the file is as long as one that was prepared and not closed, in any epoch.
    pub(crate) fn has_prepared_length(&self) -> bool {
        self.file_length >= HEADER_BLOCK_LENGTH as u64 + SEGMENT_LENGTH_MIN
            && self.file_length.is_multiple_of(PAGE_LENGTH as u64)
    }

    /// Returns the segment if its header is valid and matches the file's name.
    ///
    /// # Errors
    /// [`TrailError::Header`], [`TrailError::Newer`] or [`TrailError::Chain`].
    pub fn usable(&self, storage: &dyn Storage) -> Result<Segment, TrailError> {
        let file = || storage.describe(&segment_name(self.index));
        match self.state {
            HeaderState::Valid(header) if header.index == self.index => {
                Ok(Segment { header, file_length: self.file_length })
            }
            HeaderState::Valid(header) => Err(TrailError::Chain {
                file: file(),
                field: "index",
                expected: self.index.to_string(),
                found: header.index.to_string(),
            }),
            HeaderState::Blank => Err(TrailError::Blank { file: file() }),
            HeaderState::Newer(version) => Err(TrailError::Newer { file: file(), version }),
            HeaderState::Damaged(fault) => Err(TrailError::Header { file: file(), fault }),
        }
    }
}
