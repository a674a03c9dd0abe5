//! Decides what to do with a trail that a writer left, and does it.
//!
//! The decision is a table over what [`crate::survey`] found; it does no I/O. The acknowledged floor is the
//! highest durable watermark in any valid padding of the last epoch: below it nothing may be lost, above it
//! nothing was promised.
//!
//! | row | what was found | what is done |
//! |---|---|---|
//! | A | no segment was ever written, except for a torn header of the very first with nothing after it | that header is set aside; a new trail begins at sequence 1 |
//! | B | the segments are not one trail: foreign, renamed, missing, newer, or damaged before written ones | refuse, naming the file and the intact segments on both sides of it |
//! | C | the last frame ends with its file: a clean stop | continue after it |
//! | D | after the last frame are only zeros: killed while nothing was in flight | cut the zeros, continue |
//! | E | after the last frame is something else, and the floor is not above the frame's end: a torn batch, a gap, a segment that was just begun | set aside, cut, report, continue |
//! | F | the last continuous frame ends below the floor: acknowledged bytes are damaged | refuse, stating the place and what is intact on both sides |
//!
//! A refusal changes nothing and points to `stele repair`. Everything that is cut is first kept in `cut/`.
//! Running recovery again, also after a crash in its middle, gives the same result. `recovery/cases.rs` tests
//! every row on bytes, the simulator (`sim/`) at every moment of a writer's life.

use crate::bounds::{CARRY_LENGTH_MAX, HEADER_BLOCK_LENGTH};
use crate::continuity::ContinuityFault;
use crate::error::TrailError;
use crate::format::{SegmentHeader, SegmentLink, align_up, link_after, segment_name};
use crate::pages::Pages;
use crate::storage::{CUT_FOLDER, Storage, StoredFile};
use crate::survey::{LogTail, StrayBytes, TrailSurvey};
use crate::trail::Segment;
use std::io;
use stele_wire::messages::{RecoveryReport as RecoveryEvent, RepairKind};
use stele_wire::units::{Epoch, Nanos, Position, Sequence};

/// A row of the table in the documentation of the [module](self).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecoveryRow {
    /// No segment was ever written.
    A,
    /// The segments are not one trail.
    B,
    /// A clean stop.
    C,
    /// Killed while nothing was in flight.
    D,
    /// Bytes after the last frame, none of them acknowledged.
    E,
    /// Acknowledged bytes are damaged.
    F,
}

/// The input of the decision table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// The segments do not belong together.
    pub broken_chain: bool,
    /// A segment was written.
    pub any_segment: bool,
    /// Position after the last frame.
    pub end: Position,
    /// The acknowledged floor.
    pub floor: Position,
    /// The file ends with its last frame.
    pub ends_with_file: bool,
    /// Something other than zeros follows the last frame.
    pub strays: bool,
    /// A segment file follows the one with the last frame and must be removed.
    pub files_after: bool,
}

/// Picks the row. Every evidence has exactly one.
pub fn decide(evidence: &Evidence) -> RecoveryRow {
    match *evidence {
        Evidence { broken_chain: true, .. } => RecoveryRow::B,
        Evidence { any_segment: false, .. } => RecoveryRow::A,
        Evidence { end, floor, .. } if end < floor => RecoveryRow::F,
        Evidence { strays: true, .. } | Evidence { files_after: true, .. } => RecoveryRow::E,
        Evidence { ends_with_file: true, .. } => RecoveryRow::C,
        Evidence { ends_with_file: false, .. } => RecoveryRow::D,
    }
}

/// Bytes that recovery cut off, and where they are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutBytes {
    /// Index of their segment.
    pub segment: u64,
    /// The segment's file.
    pub file: String,
    /// Their offset in it.
    pub offset: u64,
    /// Their number, without zeros at the end.
    pub bytes: u64,
    /// Lowest and highest sequence of the intact frames among them.
    pub sequences: Option<(Sequence, Sequence)>,
    /// The file in which they are kept.
    pub kept: String,
}

/// What recovery found and did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveryReport {
    /// The row of the table that applied.
    pub row: RecoveryRow,
    /// The epoch that ended; 0 when there was none.
    pub epoch: Epoch,
    /// The number of segments of the trail, without those that were cut.
    pub segments: usize,
    /// Position after the last frame that stays.
    pub end: Position,
    /// The last event that stays; 0 when there is none.
    pub last_sequence: Sequence,
    /// Time of the last frame that stays.
    pub last_timestamp: Nanos,
    /// What was acknowledged as durable, as far as the trail itself shows.
    pub floor: Position,
    /// What was cut.
    pub cuts: Vec<CutBytes>,
}

impl RecoveryReport {
    /// Returns whether the previous epoch ended with a clean stop; `None` when there was none.
    pub fn ended_cleanly(&self) -> Option<bool> {
        (self.epoch.0 > 0).then_some(self.row == RecoveryRow::C)
    }

    /// Returns the events that the new epoch logs about the recovery: one for each stretch that was cut, with
    /// the file that keeps it.
    pub fn events(&self) -> Vec<(RecoveryEvent, &str)> {
        let event = |cut: &'_ CutBytes| RecoveryEvent {
            acknowledged: self.floor.0.into(),
            end: self.end.0.into(),
            segment: cut.segment.into(),
            offset: cut.offset.into(),
            cut_bytes: cut.bytes.into(),
            cut_events: cut
                .sequences
                .map_or(RecoveryEvent::NULL.cut_events, |(first, last)| (last.0 - first.0 + 1).into()),
            kind: RepairKind::CUT,
            ..RecoveryEvent::NULL
        };
        self.cuts.iter().map(|cut| (event(cut), cut.kept.as_str())).collect()
    }
}

/// Where and how the trail continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Continuation {
    /// Index of the next segment.
    pub index: u64,
    /// The epoch that begins.
    pub epoch: Epoch,
    /// Position after the last frame that stays.
    pub end: Position,
    /// The last event that stays.
    pub last_sequence: Sequence,
    /// Time of the last frame that stays.
    pub last_timestamp: Nanos,
    /// The link in the next segment's header.
    pub link: SegmentLink,
}

/// Why a trail cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The medium failed.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Row B of the table.
    #[error("{problem}. {}. {}", intact_around(before, beyond), what_to_do(trail))]
    NotOneTrail {
        /// The trail.
        trail: Box<str>,
        /// The first file that does not belong, or is missing.
        problem: Box<TrailError>,
        /// The segments before it, which belong together, oldest first.
        before: Vec<SegmentHeader>,
        /// Segments after it whose headers are valid, oldest first.
        beyond: Vec<SegmentHeader>,
    },
    /// Row F of the table.
    #[error(
        "{file}, offset {offset} (position {position}): acknowledged bytes are damaged: {fault}. Everything is intact \
         up to sequence {after}; the log was durable up to position {floor}{}. {}",
        intact_after(beyond),
        what_to_do(trail)
    )]
    Damaged {
        /// The trail.
        trail: Box<str>,
        /// The segment file.
        file: String,
        /// Offset in it at which the damage begins.
        offset: u64,
        /// Log position of that offset.
        position: Position,
        /// What is wrong there.
        fault: ContinuityFault,
        /// The last event before it.
        after: Sequence,
        /// The acknowledged floor.
        floor: Position,
        /// Lowest and highest sequence of the intact frames after the damage.
        beyond: Option<(Sequence, Sequence)>,
    },
}

fn what_to_do(trail: &str) -> String {
    format!("Nothing was changed: `stele repair {trail}` says what can be done")
}

fn intact_after(beyond: &Option<(Sequence, Sequence)>) -> String {
    beyond.map_or(String::new(), |(low, high)| {
        format!(", and intact events between sequences {low} and {high} follow the damage")
    })
}

/// Describes the headers on both sides of a file that does not belong.
fn intact_around(before: &[SegmentHeader], beyond: &[SegmentHeader]) -> String {
    let front = before.last().map_or("No segment before it is intact".to_owned(), |last| {
        let (index, position, sequence) = (last.index, last.base_position, last.base_sequence);
        format!(
            "Before it the segments up to {index} belong together; that one begins at position {position} with \
             sequence {sequence}"
        )
    });
    let [first, ..] = beyond else { return format!("{front}; after it there is none") };
    let (index, position, sequence) = (first.index, first.base_position, first.base_sequence);
    let count = beyond.len();
    format!(
        "{front}; after it {count} have valid headers, of which {index} begins at position {position} with sequence \
         {sequence}"
    )
}

impl TrailSurvey {
    /// Returns the input of the decision table.
    pub fn evidence(&self) -> Evidence {
        let tail = self.tail.as_ref();
        let ends_with_file = tail
            .is_some_and(|tail| tail.file_length == self.segments[tail.last].header.file_offset(tail.end));
        Evidence {
            broken_chain: self.problem.is_some(),
            any_segment: !self.segments.is_empty(),
            end: tail.map_or(Position(0), |tail| tail.end),
            floor: tail.map_or(Position(0), |tail| tail.floor),
            ends_with_file,
            strays: tail.is_some_and(|tail| !tail.strays.is_empty()),
            files_after: tail.is_some_and(|tail| !tail.files_after.is_empty()),
        }
    }
}

/// Brings the trail into a state that a new epoch can continue. Running it again, also after a crash in its
/// middle, gives the same result.
///
/// # Errors
/// [`RecoveryError`]; nothing was changed then, unless the medium failed half-way.
pub fn recover(
    storage: &dyn Storage,
    survey: TrailSurvey,
) -> Result<(RecoveryReport, Continuation), RecoveryError> {
    let row = decide(&survey.evidence());
    let TrailSurvey { segments, problem, beyond, tail, mut unused, torn_start } = survey;
    if let (RecoveryRow::B, Some(problem)) = (row, problem) {
        let [before, beyond] =
            [segments, beyond].map(|side| side.iter().map(|segment| segment.header).collect());
        return Err(RecoveryError::NotOneTrail {
            trail: storage.describe("").into(),
            problem: problem.into(),
            before,
            beyond,
        });
    }
    let Some(tail) = tail else {
        let mut cuts = Vec::new();
        if let Some(stray) = torn_start {
            cuts.push(set_aside(storage, &stray)?);
            unused.push(stray.index);
        }
        remove_all(storage, &mut unused)?;
        return Ok(begin(row, cuts));
    };
    let last = &segments[tail.last];
    if row == RecoveryRow::F {
        return Err(RecoveryError::Damaged {
            trail: storage.describe("").into(),
            file: storage.describe(&last.name()),
            offset: last.header.file_offset(tail.end),
            position: tail.end,
            fault: tail.fault.unwrap_or(ContinuityFault::Cut),
            after: tail.last_sequence,
            floor: tail.floor,
            beyond: span(&tail.strays),
        });
    }
    let cuts = cut(storage, &tail)?;
    remove_all(storage, &mut unused)?;
    close_swept(storage, &segments, &tail)?;
    let epoch = last.header.identity.epoch;
    let link = link_after(&last.header_block(), tail.end, tail.last_sequence, tail.data_crc);
    let (last_sequence, last_timestamp) = (tail.last_sequence, tail.last_timestamp);
    let report = RecoveryReport {
        row,
        epoch,
        segments: tail.last + 1,
        end: tail.end,
        last_sequence,
        last_timestamp,
        floor: tail.floor,
        cuts,
    };
    let (index, epoch) = (last.header.index + 1, Epoch(epoch.0 + 1));
    Ok((report, Continuation { index, epoch, end: tail.end, last_sequence, last_timestamp, link }))
}

impl Continuation {
    /// Returns the first position of the new epoch, on a device with blocks of `block_length`.
    pub fn base(&self, block_length: u32) -> Position {
        align_up(self.end, block_length)
    }
}

fn begin(row: RecoveryRow, cuts: Vec<CutBytes>) -> (RecoveryReport, Continuation) {
    let (end, last_sequence, last_timestamp) = (Position(0), Sequence(0), Nanos(0));
    let report = RecoveryReport {
        row,
        epoch: Epoch(0),
        segments: 0,
        end,
        last_sequence,
        last_timestamp,
        floor: Position(0),
        cuts,
    };
    let link = [0; 32];
    (report, Continuation { index: 1, epoch: Epoch(1), end, last_sequence, last_timestamp, link })
}

fn span(strays: &[StrayBytes]) -> Option<(Sequence, Sequence)> {
    let ranges = strays.iter().filter_map(|stray| stray.sequences);
    ranges.reduce(|(low, high), (other_low, other_high)| (low.min(other_low), high.max(other_high)))
}

/// Keeps the bytes after the end, then removes the files after it.
fn cut(storage: &dyn Storage, tail: &LogTail) -> Result<Vec<CutBytes>, TrailError> {
    let mut cuts = Vec::new();
    for stray in &tail.strays {
        cuts.push(set_aside(storage, stray)?);
    }
    let mut files = tail.files_after.clone();
    remove_all(storage, &mut files)?;
    Ok(cuts)
}

fn set_aside(storage: &dyn Storage, stray: &StrayBytes) -> Result<CutBytes, TrailError> {
    let name = segment_name(stray.index);
    let kept = keep(storage, &name, stray)?;
    Ok(CutBytes {
        segment: stray.index,
        file: storage.describe(&name),
        offset: stray.offset,
        bytes: stray.bytes,
        sequences: stray.sequences,
        kept: storage.describe(&kept),
    })
}

/// Closes, and thereby syncs, every segment that the decision rests on, oldest first. The writes of a killed
/// writer may be in a cache only: they can be read, but the next power failure would remove them from under
/// the epoch that builds on them.
fn close_swept(storage: &dyn Storage, segments: &[Segment], tail: &LogTail) -> Result<(), TrailError> {
    for segment in &segments[tail.from..=tail.last] {
        let name = segment.name();
        let end = tail.end.min(segment.header.end_position());
        let length = segment.header.file_offset(end);
        storage.close(&name, length).map_err(|source| TrailError::io(storage, &name, "cut", source))?;
    }
    Ok(())
}

/// Removes segment files from the highest index down, so that no gap appears if this is cut short.
fn remove_all(storage: &dyn Storage, indexes: &mut Vec<u64>) -> Result<(), TrailError> {
    indexes.sort_unstable();
    for index in indexes.drain(..).rev() {
        let name = segment_name(index);
        storage.remove(&name).map_err(|source| TrailError::io(storage, &name, "remove", source))?;
    }
    Ok(())
}

/// Copies stray bytes to the cut folder and returns the copy's name. A file kept earlier under the same name
/// stays.
fn keep(storage: &dyn Storage, name: &str, stray: &StrayBytes) -> Result<String, TrailError> {
    let open =
        |name: &str| storage.open(name).map_err(|source| TrailError::io(storage, name, "open", source));
    for attempt in 1u32.. {
        let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
        let copy = format!("{CUT_FOLDER}/{:010}-{}{suffix}.bytes", stray.index, stray.offset);
        let mut source = Slice::new(open(name)?, stray.offset, stray.bytes);
        match storage.open(&copy) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                storage
                    .keep(&copy, &mut source)
                    .map_err(|source| TrailError::io(storage, &copy, "write", source))?;
                return Ok(copy);
            }
            Err(source) => return Err(TrailError::io(storage, &copy, "open", source)),
            Ok(kept) => {
                let read = |source| TrailError::io(storage, &copy, "read", source);
                let length = kept.length().map_err(read)?;
                if length == stray.bytes
                    && same(&mut Slice::new(kept, 0, length), &mut source).map_err(read)?
                {
                    return Ok(copy);
                }
            }
        }
    }
    unreachable!("more attempts than a u32 counts")
}

fn same(a: &mut Slice, b: &mut Slice) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = io::Read::read(a, &mut left)?;
        if count == 0 {
            return Ok(io::Read::read(b, &mut right)? == 0);
        }
        if io::Read::read_exact(b, &mut right[..count]).is_err() || left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

/// A range of a stored file as a stream.
struct Slice {
    file: Box<dyn StoredFile>,
    pages: Pages,
    next: u64,
    end: u64,
}

impl Slice {
    fn new(file: Box<dyn StoredFile>, offset: u64, length: u64) -> Self {
        Self { file, pages: Pages::zeroed(CARRY_LENGTH_MAX), next: offset, end: offset + length }
    }
}

impl io::Read for Slice {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.next >= self.end || into.is_empty() {
            return Ok(0);
        }
        let skip = (self.next % HEADER_BLOCK_LENGTH as u64) as usize;
        let count = self.file.read_at(&mut self.pages, self.next - skip as u64)?;
        let rest = (self.end - self.next).min(into.len() as u64) as usize;
        let count = count.saturating_sub(skip).min(rest);
        into[..count].copy_from_slice(&self.pages[skip..skip + count]);
        self.next += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
