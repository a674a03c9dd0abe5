//! The sparse index of a closed segment: the offsets of some sequences and times in its file, and the number
//! of its events of each kind. `journal/FORMAT.md` draws it.
//!
//! An index speeds reading up and proves nothing. It is built from the headers of frames without checking
//! their CRCs, and it is not flushed. A reader checks the frame that an entry leads to, so a damaged or wrong
//! index costs time only.

use crate::bounds::{
    HEADER_BLOCK_LENGTH, INDEX_AT_STOP_MAX, INDEX_ENTRIES_MAX, INDEX_INTERVAL, INDEX_TEMPLATES_MAX,
};
use crate::directory::Directory;
use crate::error::TrailError;
use crate::format::RunningCrc;
use crate::pages::Pages;
use crate::storage::Storage;
use crate::stream::ByteStream;
use crate::trail::{Segment, find_segment, find_segments};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use stele_wire::frame::{Frame, FrameError, Identity, crc32c};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first 8 bytes of every index file.
pub const INDEX_MAGIC: [u8; 8] = *b"STELEIDX";

/// Version of the layout that this code writes, and the only one that it reads: an index is built again
/// rather than converted.
pub const INDEX_VERSION: u32 = 1;

/// File name extension of an index.
pub const INDEX_EXTENSION: &str = "index";

/// The first bytes of an index file.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
struct Head {
    magic: [u8; 8],
    version: U32,
    data_crc: U32,
    trail: [u8; 16],
    shard: U32,
    epoch: U32,
    index: U64,
    base_position: U64,
    end_position: U64,
    base_sequence: U64,
    last_sequence: U64,
    first_timestamp: U64,
    last_timestamp: U64,
    events: U64,
    templates: U32,
    entries: U32,
}

/// The number of events of one template.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
struct Count {
    schema_id: U16,
    template_id: U16,
    reserved: U32,
    events: U64,
}

/// An event and the offset of its frame.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
struct Mark {
    sequence: U64,
    timestamp: U64,
    offset: U64,
}

const HEAD_LENGTH: usize = size_of::<Head>();
const _: () = assert!(HEAD_LENGTH == 112);
const _: () = assert!(size_of::<Count>() == 16 && size_of::<Mark>() == 24);

/// One of the indexed events, which are about 256 KiB apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexEntry {
    /// Sequence of the event.
    pub sequence: Sequence,
    /// Its timestamp.
    pub timestamp: Nanos,
    /// Offset of its frame in the segment's raw file.
    pub offset: u64,
}

/// The contents of an index file. Nothing in it is proved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentIndex {
    /// Trail, shard and epoch of the segment.
    pub identity: Identity,
    /// Index of the segment.
    pub index: u64,
    /// Position of the first data byte.
    pub base_position: Position,
    /// Position after the last frame.
    pub end_position: Position,
    /// Sequence of the first event in the segment or after it.
    pub base_sequence: Sequence,
    /// The last event in the segment or before it.
    pub last_sequence: Sequence,
    /// Timestamp of the first event; 0 if there is none.
    pub first_timestamp: Nanos,
    /// Timestamp of the last event; 0 if there is none.
    pub last_timestamp: Nanos,
    /// The number of events.
    pub events: u64,
    /// CRC-32C of all data bytes.
    pub data_crc: u32,
    /// The number of events by schema id and template id.
    pub templates: BTreeMap<(u16, u16), u64>,
    /// The indexed events, in the order of the log.
    pub entries: Vec<IndexEntry>,
}

/// Returns the name of the index file of segment `index`.
pub fn index_name(index: u64) -> String {
    format!("{index:010}.{INDEX_EXTENSION}")
}

impl SegmentIndex {
    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            magic: INDEX_MAGIC,
            version: U32::new(INDEX_VERSION),
            data_crc: U32::new(self.data_crc),
            trail: self.identity.trail.0,
            shard: U32::new(self.identity.shard.0),
            epoch: U32::new(self.identity.epoch.0),
            index: U64::new(self.index),
            base_position: U64::new(self.base_position.0),
            end_position: U64::new(self.end_position.0),
            base_sequence: U64::new(self.base_sequence.0),
            last_sequence: U64::new(self.last_sequence.0),
            first_timestamp: U64::new(self.first_timestamp.0),
            last_timestamp: U64::new(self.last_timestamp.0),
            events: U64::new(self.events),
            templates: U32::new(self.templates.len() as u32),
            entries: U32::new(self.entries.len() as u32),
        };
        let mut bytes = head.as_bytes().to_vec();
        for (&(schema_id, template_id), &events) in &self.templates {
            let (schema_id, template_id) = (U16::new(schema_id), U16::new(template_id));
            let count = Count { schema_id, template_id, reserved: U32::ZERO, events: U64::new(events) };
            bytes.extend_from_slice(count.as_bytes());
        }
        for entry in &self.entries {
            let (sequence, timestamp) = (U64::new(entry.sequence.0), U64::new(entry.timestamp.0));
            let mark = Mark { sequence, timestamp, offset: U64::new(entry.offset) };
            bytes.extend_from_slice(mark.as_bytes());
        }
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Parses the bytes of an index file; `None` when they are damaged or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        let (head, rest) = Head::read_from_prefix(bytes).ok()?;
        let known = head.magic == INDEX_MAGIC && head.version.get() == INDEX_VERSION;
        if !known || crc32c(bytes) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (counts, rest) =
            <[Count]>::ref_from_prefix_with_elems(rest, head.templates.get() as usize).ok()?;
        let marks = <[Mark]>::ref_from_bytes_with_elems(rest, head.entries.get() as usize).ok()?;
        let entry = |mark: &Mark| IndexEntry {
            sequence: Sequence(mark.sequence.get()),
            timestamp: Nanos(mark.timestamp.get()),
            offset: mark.offset.get(),
        };
        let template = |count: &Count| (count.schema_id.get(), count.template_id.get());
        Some(Self {
            identity: Identity {
                trail: TrailId(head.trail),
                shard: ShardId(head.shard.get()),
                epoch: Epoch(head.epoch.get()),
            },
            index: head.index.get(),
            base_position: Position(head.base_position.get()),
            end_position: Position(head.end_position.get()),
            base_sequence: Sequence(head.base_sequence.get()),
            last_sequence: Sequence(head.last_sequence.get()),
            first_timestamp: Nanos(head.first_timestamp.get()),
            last_timestamp: Nanos(head.last_timestamp.get()),
            events: head.events.get(),
            data_crc: head.data_crc.get(),
            templates: counts.iter().map(|count| (template(count), count.events.get())).collect(),
            entries: marks.iter().map(entry).collect(),
        })
    }

    /// Reads the index of `segment`; `None` when there is none, or it does not match the segment.
    pub fn read(storage: &dyn Storage, segment: &Segment) -> Option<Self> {
        let file = storage.open(&index_name(segment.header.index)).ok()?;
        let length = file.length().ok().filter(|length| *length <= INDEX_LENGTH_MAX as u64)? as usize;
        let mut pages = Pages::zeroed(length + 1);
        let count = file.read_at(&mut pages, 0).ok()?;
        Self::from_bytes(pages.get(..count.min(length))?).filter(|index| index.is_of(segment))
    }

    fn is_of(&self, segment: &Segment) -> bool {
        let header = &segment.header;
        let end = HEADER_BLOCK_LENGTH as u64 + self.end_position.0.saturating_sub(self.base_position.0);
        (self.identity, self.index) == (header.identity, header.index)
            && (self.base_position, self.base_sequence) == (header.base_position, header.base_sequence)
            && end == segment.file_length
    }

    /// Returns the last entry for which `is_before` holds; entries are in the order of the log.
    pub(crate) fn last_where(&self, is_before: impl Fn(&IndexEntry) -> bool) -> Option<IndexEntry> {
        self.entries.iter().rev().copied().find(is_before)
    }
}

/// The most bytes in an index file.
const INDEX_LENGTH_MAX: usize = HEAD_LENGTH
    + INDEX_TEMPLATES_MAX * size_of::<Count>()
    + INDEX_ENTRIES_MAX * size_of::<Mark>()
    + size_of::<u32>();

/// An index that is being built, a piece at a time, so that the thread can do other work in between.
struct IndexJob {
    segment: Segment,
    stream: ByteStream,
    crc: RunningCrc,
    done: SegmentIndex,
    next_entry: u64,
}

enum Piece {
    More,
    Made(SegmentIndex),
    /// The file holds something other than frames up to its end: it is not closed, or it is damaged.
    Unfit,
}

impl IndexJob {
    fn begin(storage: &dyn Storage, segment: &Segment) -> io::Result<Self> {
        let done = SegmentIndex::begun(segment);
        let stream = ByteStream::new(storage.open(&segment.name())?, HEADER_BLOCK_LENGTH as u64);
        Ok(Self { segment: *segment, stream, crc: RunningCrc::default(), done, next_entry: 0 })
    }

    /// Processes about another mebibyte.
    fn go_on(&mut self) -> io::Result<Piece> {
        let came = self.stream.refill()?;
        let (mut used, from) = (0, self.stream.offset());
        let bytes = self.stream.bytes();
        loop {
            match Frame::read(&bytes[used..]) {
                Ok(frame) if self.done.note(&frame, from + used as u64, &mut self.next_entry) => {
                    used += frame.len();
                }
                Err(FrameError::Truncated { .. }) => break,
                _ => return Ok(Piece::Unfit),
            }
        }
        self.crc.update(&bytes[..used]);
        self.stream.consume(used);
        if came {
            return Ok(Piece::More);
        }
        let end = self.stream.offset();
        if end != self.segment.file_length {
            return Ok(Piece::Unfit);
        }
        self.done.end_position = self.done.base_position.plus(end - HEADER_BLOCK_LENGTH as u64);
        self.done.data_crc = self.crc.value();
        Ok(Piece::Made(self.done.clone()))
    }
}

/// Builds the index of a segment from frames that other code reads.
#[derive(Clone)]
pub struct IndexBuilder {
    done: SegmentIndex,
    next_entry: u64,
    is_fit: bool,
}

impl IndexBuilder {
    /// Creates the builder for a segment, before its first frame.
    pub fn new(segment: &Segment) -> Self {
        Self { done: SegmentIndex::begun(segment), next_entry: 0, is_fit: true }
    }

    /// Adds the next frame, padding included, which begins at `offset` of the file.
    #[inline]
    pub fn on_frame(&mut self, frame: &Frame<'_>, offset: u64) {
        self.is_fit = self.is_fit && self.done.note(frame, offset, &mut self.next_entry);
    }

    /// Returns the index of the segment, which ends at `end`; `None` when it cannot have one.
    pub fn finish(mut self, end: Position, data_crc: u32) -> Option<SegmentIndex> {
        (self.done.end_position, self.done.data_crc) = (end, data_crc);
        self.is_fit.then_some(self.done)
    }
}

/// Returns whether the index file of segment `index` equals `made`, a new index; `None` when there is no
/// file.
///
/// # Errors
/// The error of the medium.
pub fn index_matches(
    storage: &dyn Storage,
    index: u64,
    made: Option<&SegmentIndex>,
) -> io::Result<Option<bool>> {
    let file = match storage.open(&index_name(index)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.length()?.min(INDEX_LENGTH_MAX as u64 + 1) as usize;
    let mut pages = Pages::zeroed(length + 1);
    let count = file.read_at(&mut pages, 0)?.min(length);
    Ok(Some(made.is_some_and(|made| made.to_bytes() == pages[..count])))
}

impl SegmentIndex {
    /// Starts the index of a segment, before its first frame.
    fn begun(segment: &Segment) -> Self {
        let header = &segment.header;
        Self {
            identity: header.identity,
            index: header.index,
            base_position: header.base_position,
            end_position: header.base_position,
            base_sequence: header.base_sequence,
            last_sequence: Sequence(header.base_sequence.0 - 1),
            first_timestamp: Nanos(0),
            last_timestamp: Nanos(0),
            events: 0,
            data_crc: 0,
            templates: BTreeMap::new(),
            entries: Vec::new(),
        }
    }

    /// Adds the frame at `offset`. Returns whether, by its header, it can be the next one.
    #[inline]
    fn note(&mut self, frame: &Frame<'_>, offset: u64, next_entry: &mut u64) -> bool {
        if frame.is_padding() {
            return true;
        }
        let (sequence, timestamp) = (frame.sequence(), frame.timestamp());
        if sequence != self.last_sequence.next() || timestamp < self.last_timestamp {
            return false;
        }
        if self.events == 0 {
            self.first_timestamp = timestamp;
        }
        if offset >= *next_entry && self.entries.len() < INDEX_ENTRIES_MAX {
            self.entries.push(IndexEntry { sequence, timestamp, offset });
            *next_entry = offset + INDEX_INTERVAL;
        }
        (self.last_sequence, self.last_timestamp) = (sequence, timestamp);
        self.events += 1;
        let template = (frame.header().schema_id.get(), frame.template_id());
        if let Some(count) = self.templates.get_mut(&template) {
            *count += 1;
        } else if self.templates.len() < INDEX_TEMPLATES_MAX {
            self.templates.insert(template, 1);
        } else {
            return false;
        }
        true
    }
}

/// Builds the index of one segment and writes its file. `None`, and no file, when the segment is not closed
/// or holds anything but frames.
///
/// # Errors
/// [`TrailError`]: there is no such segment, or the medium fails.
pub fn make_index(storage: &dyn Storage, index: u64) -> Result<Option<SegmentIndex>, TrailError> {
    let mut pages = Pages::zeroed(HEADER_BLOCK_LENGTH);
    let Some(found) = find_segment(storage, index, &mut pages)? else { return Ok(None) };
    let segment = found.usable(storage)?;
    let io =
        |action| move |source| TrailError::Io { file: storage.describe(&index_name(index)), action, source };
    let mut making = IndexJob::begin(storage, &segment).map_err(io("make"))?;
    loop {
        match making.go_on().map_err(io("make"))? {
            Piece::More => {}
            Piece::Unfit => return Ok(None),
            Piece::Made(made) => {
                storage.keep(&index_name(index), &mut &made.to_bytes()[..]).map_err(io("write"))?;
                return Ok(Some(made));
            }
        }
    }
}

/// Builds the indexes of a trail in the background of its writer, a piece at each call. Failures are ignored:
/// an index only speeds reading up.
#[derive(Default)]
pub struct Indexer {
    waiting: VecDeque<u64>,
    making: Option<IndexJob>,
}

impl Indexer {
    /// Creates an indexer that begins with those segments of `indexes` that have no index.
    pub fn for_trail(storage: &dyn Storage, indexes: Range<u64>) -> Self {
        let found = find_segments(storage).unwrap_or_default();
        let lacks = |segment: &Segment| SegmentIndex::read(storage, segment).is_none();
        let segments = found.iter().filter(|found| indexes.contains(&found.index));
        let segments = segments.filter_map(|found| found.usable(storage).ok()).filter(lacks);
        Self { waiting: segments.map(|segment| segment.header.index).collect(), making: None }
    }

    /// Adds the closed segment `index`.
    pub fn add(&mut self, index: u64) {
        self.waiting.push_back(index);
    }

    /// Works for about a millisecond. Returns whether there was any work.
    pub fn do_work(&mut self, directory: &Directory) -> bool {
        if let Some(making) = &mut self.making {
            match making.go_on() {
                Ok(Piece::More) => return true,
                Ok(Piece::Made(made)) => {
                    let _ = put(directory, &made);
                }
                Ok(Piece::Unfit) | Err(_) => {}
            }
            self.making = None;
            return true;
        }
        let Some(index) = self.waiting.pop_front() else { return false };
        let mut pages = Pages::zeroed(HEADER_BLOCK_LENGTH);
        let found = find_segment(directory, index, &mut pages).ok().flatten();
        let segment = found.and_then(|found| found.usable(directory).ok());
        self.making = segment.and_then(|segment| IndexJob::begin(directory, &segment).ok());
        true
    }

    /// Indexes the waiting segments, unless there are many; then the next start does.
    pub fn finish(&mut self, directory: &Directory) {
        if self.waiting.len() <= INDEX_AT_STOP_MAX {
            while self.do_work(directory) {}
        }
    }
}

/// Writes an index so that it appears whole, without a flush, which would delay the writer's own flushes.
fn put(directory: &Directory, index: &SegmentIndex) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = directory.root().join(index_name(index.index));
    let unfinished = path.with_added_extension("unfinished");
    // A half-written file of an earlier start is read-only.
    let _ = std::fs::remove_file(&unfinished);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(&unfinished)?;
    file.write_all(&index.to_bytes())?;
    std::fs::rename(&unfinished, &path)
}

#[cfg(test)]
mod tests;
