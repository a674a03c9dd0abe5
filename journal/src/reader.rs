//! Reads a trail's frames in order, verified, across segments and epochs, and follows a live trail.

use crate::continuity::{Continuity, ContinuityFault};
use crate::directory::Directory;
use crate::error::TrailError;
use crate::format::{HeaderState, align_up};
use crate::index::{IndexEntry, SegmentIndex};
use crate::pages::Pages;
use crate::storage::Storage;
use crate::stream::ByteStream;
use crate::trail::{Segment, find_segment, read_live_segments};
use std::path::Path;
use std::sync::Arc;
use stele_wire::bounds::FRAME_ALIGNMENT;
use stele_wire::frame::Frame;
use stele_wire::units::{Epoch, Nanos, Position, Sequence};

/// A frame of a trail, with its place.
#[derive(Clone, Copy, Debug)]
pub struct TrailEntry<'a> {
    /// Position of the frame's first byte.
    pub position: Position,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// Index of the segment that holds it.
    pub segment: u64,
    /// The frame; its CRC was checked.
    pub frame: Frame<'a>,
}

/// A cursor over a trail, open for reading only.
///
/// Every frame that it returns has passed its CRC, follows its predecessor without a gap and does not step
/// back in time. It lends one frame at a time and allocates nothing per frame. At the end of a trail that is
/// still being written it returns nothing for now and can be asked again: it takes no lock and never blocks
/// the writer. It does not check the links between segments; [`crate::verify`] does.
///
/// ```
/// use stele_journal::TrailReader;
/// use stele_wire::messages::Trade;
///
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/trail.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let trail = folder.path();
/// # write_trades(trail, 100);
/// let mut reader = TrailReader::open(trail)?;
/// let mut quantity = 0;
/// while let Some(entry) = reader.read_next()? {
///     if let Some(trade) = entry.frame.message::<Trade>() {
///         quantity += trade.quantity.get();
///     }
/// }
/// assert_eq!(quantity, 1_000);
/// # Ok(()) }
/// ```
pub struct TrailReader {
    storage: Arc<dyn Storage>,
    segments: Vec<Segment>,
    current: usize,
    stream: ByteStream,
    continuity: Continuity,
    reread: bool,
}

/// What is at the cursor.
enum Step {
    Frame(usize),
    NextSegment,
    Nothing,
}

impl TrailReader {
    /// Opens the trail in `directory`, at its first frame.
    ///
    /// # Errors
    /// [`TrailError`]; [`TrailError::NoTrail`] when there is none.
    pub fn open(directory: &Path) -> Result<Self, TrailError> {
        Self::over(Arc::new(Directory::new(directory)))
    }

    /// Opens the trail in `storage`, at its first frame.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn over(storage: Arc<dyn Storage>) -> Result<Self, TrailError> {
        let segments = read_live_segments(storage.as_ref())?;
        let Some(first) = segments.first() else {
            return Err(TrailError::NoTrail(storage.describe("")));
        };
        let stream = open_stream(storage.as_ref(), first)?;
        let continuity = first.start();
        Ok(Self { storage, segments, current: 0, stream, continuity, reread: false })
    }

    /// Returns the segments known so far, oldest first.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the position of the next frame.
    pub fn position(&self) -> Position {
        let segment = &self.segments[self.current];
        segment
            .header
            .base_position
            .plus(self.stream.offset() - segment.header.file_offset(segment.header.base_position))
    }

    /// Returns the sequence of the last event before the cursor.
    pub fn last_sequence(&self) -> Sequence {
        self.continuity.last_sequence
    }

    /// Returns the timestamp of the last frame before the cursor; at the start of a segment, the time when it
    /// was begun.
    pub fn last_timestamp(&self) -> Nanos {
        self.continuity.last_timestamp
    }

    /// Returns the next event; padding is skipped. `None` at the current end of the trail: a live trail may
    /// have more later.
    ///
    /// # Errors
    /// [`TrailError::Frame`] when a closed segment holds anything but frames; errors of the medium.
    #[inline]
    pub fn read_next(&mut self) -> Result<Option<TrailEntry<'_>>, TrailError> {
        loop {
            match self.advance()? {
                None => return Ok(None),
                Some((length, false)) => return Ok(Some(self.entry(length))),
                Some((_, true)) => {}
            }
        }
    }

    /// As [`Self::read_next`], padding included.
    ///
    /// # Errors
    /// As [`Self::read_next`].
    pub fn read_next_frame(&mut self) -> Result<Option<TrailEntry<'_>>, TrailError> {
        Ok(self.advance()?.map(|(length, _)| length).map(|length| self.entry(length)))
    }

    /// Moves the cursor to just before event `sequence`. The event after the last one is allowed.
    ///
    /// # Errors
    /// [`TrailError::NotFound`] when the trail does not reach that far, and as [`Self::read_next`].
    pub fn seek(&mut self, sequence: Sequence) -> Result<(), TrailError> {
        while self.discover()? {}
        let after = self.segments.partition_point(|segment| segment.header.base_sequence <= sequence);
        let first = self.segments[0].header.base_sequence;
        if after == 0 {
            return Err(TrailError::NotFound { sequence, first, last: self.find_last()? });
        }
        self.enter(after - 1)?;
        self.skip(|entry| entry.sequence < sequence)?;
        while self.continuity.last_sequence.next() < sequence {
            if self.read_next()?.is_none() {
                return Err(TrailError::NotFound { sequence, first, last: self.continuity.last_sequence });
            }
        }
        Ok(())
    }

    /// Moves the cursor to just before the first event at or after `time`, or to the end.
    ///
    /// # Errors
    /// As [`Self::read_next`].
    pub fn seek_time(&mut self, time: Nanos) -> Result<(), TrailError> {
        while self.discover()? {}
        let after = self.segments.partition_point(|segment| segment.header.created <= time);
        self.enter(after.saturating_sub(1))?;
        self.skip(|entry| entry.timestamp < time)?;
        loop {
            match self.peek()? {
                Step::Frame(length) => {
                    let frame = Frame::read(&self.stream.bytes()[..length]).expect("peeked at");
                    if frame.timestamp() >= time && !frame.is_padding() {
                        return Ok(());
                    }
                    self.advance()?;
                }
                Step::NextSegment => self.enter_next()?,
                Step::Nothing => return Ok(()),
            }
        }
    }

    /// Moves the cursor to just before the first frame that begins at or after `position`, or to the end.
    ///
    /// # Errors
    /// As [`Self::read_next`].
    pub fn seek_position(&mut self, position: Position) -> Result<(), TrailError> {
        while self.discover()? {}
        let after = self.segments.partition_point(|segment| segment.header.base_position <= position);
        let at = after.saturating_sub(1);
        let header = self.segments[at].header;
        self.enter(at)?;
        // Before the segment there is no offset, and no entry is needed.
        let offset = header.file_offset(position.max(header.base_position));
        self.skip(|entry| entry.offset < offset)?;
        while self.position() < position {
            match self.peek()? {
                Step::Frame(_) => self.advance().map(|_| ())?,
                Step::NextSegment => self.enter_next()?,
                Step::Nothing => break,
            }
        }
        Ok(())
    }

    /// Moves the cursor back to the trail's first frame.
    ///
    /// # Errors
    /// Errors of the medium.
    pub fn rewind(&mut self) -> Result<(), TrailError> {
        self.enter(0)
    }

    /// Moves the cursor forward within the segment that it has just entered, to the last entry of the
    /// segment's index for which `is_before` holds. The entry is used only if its event is at the offset that
    /// the entry states.
    fn skip(&mut self, is_before: impl Fn(&IndexEntry) -> bool) -> Result<(), TrailError> {
        let segment = self.segments[self.current];
        let header = &segment.header;
        let index = SegmentIndex::read(self.storage.as_ref(), &segment);
        let Some(entry) = index.and_then(|index| index.last_where(is_before)) else { return Ok(()) };
        let inside = header.file_offset(header.base_position)..segment.file_length;
        let is_aligned = entry.offset.is_multiple_of(FRAME_ALIGNMENT as u64);
        if !inside.contains(&entry.offset) || !is_aligned || entry.sequence < header.base_sequence {
            return Ok(());
        }
        let Continuity { seed, last_timestamp: created, .. } = self.continuity;
        self.stream.restart(entry.offset);
        self.continuity =
            Continuity { seed, last_sequence: Sequence(entry.sequence.0 - 1), last_timestamp: created };
        loop {
            let mut probe = self.continuity;
            let admitted = probe.admit(self.stream.bytes());
            match admitted.map(|frame| !frame.is_padding() && frame.timestamp() == entry.timestamp) {
                Ok(true) => return Ok(()),
                Err(fault) if fault.is_short() && self.refill()? => {}
                _ => return self.enter(self.current),
            }
        }
    }

    fn find_last(&mut self) -> Result<Sequence, TrailError> {
        self.enter(self.segments.len() - 1)?;
        while self.read_next()?.is_some() {}
        Ok(self.continuity.last_sequence)
    }

    fn entry(&self, length: usize) -> TrailEntry<'_> {
        let header = &self.segments[self.current].header;
        let bytes = self.stream.before(length);
        TrailEntry {
            position: Position(self.position().0 - length as u64),
            epoch: header.identity.epoch,
            segment: header.index,
            frame: Frame::read(bytes).expect("admitted when the cursor passed it"),
        }
    }

    /// Skips the next frame; returns its length and whether it is padding.
    #[inline]
    fn advance(&mut self) -> Result<Option<(usize, bool)>, TrailError> {
        loop {
            if let Ok(frame) = self.continuity.admit(self.stream.bytes()) {
                let (length, padding) = (frame.len(), frame.is_padding());
                self.stream.consume(length);
                self.reread = false;
                return Ok(Some((length, padding)));
            }
            match self.peek()? {
                Step::Frame(_) => {}
                Step::NextSegment => self.enter_next()?,
                Step::Nothing => return Ok(None),
            }
        }
    }

    /// Returns what is at the cursor, without moving it.
    fn peek(&mut self) -> Result<Step, TrailError> {
        loop {
            let mut probe = self.continuity;
            let fault = match probe.admit(self.stream.bytes()) {
                Ok(frame) => return Ok(Step::Frame(frame.len())),
                Err(fault) => fault,
            };
            if fault.is_short() && self.refill()? {
                continue;
            }
            let offset = self.stream.offset();
            let followed = self.current + 1 < self.segments.len() || self.discover()?;
            if followed && self.stream.bytes().is_empty() && self.ends_here() {
                return Ok(Step::NextSegment);
            }
            let complete = followed && self.is_complete()?;
            if complete && self.reread {
                return Err(self.frame_error(fault));
            }
            // The bytes may be older than the write that completed them: read them once more, at once if the
            // segment is complete, at the next call if it is not.
            self.stream.restart(offset);
            self.reread = complete;
            if !complete {
                return Ok(Step::Nothing);
            }
        }
    }

    /// Returns whether every write to the current segment, which has a successor, is certain to be done.
    /// Writes complete out of order, so the successor's header may be there before the last bytes of this
    /// segment. A second successor, one of a later epoch, or a closed one proves that they are done.
    fn is_complete(&mut self) -> Result<bool, TrailError> {
        let next = &self.segments[self.current + 1];
        let is_closed = next.file_end() < next.header.base_position.plus(next.header.segment_length);
        let is_later = next.header.identity.epoch > self.segments[self.current].header.identity.epoch;
        Ok(is_closed || is_later || self.current + 2 < self.segments.len() || self.discover()?)
    }

    fn refill(&mut self) -> Result<bool, TrailError> {
        let segment = &self.segments[self.current];
        self.stream
            .refill()
            .map_err(|source| TrailError::io(self.storage.as_ref(), &segment.name(), "read", source))
    }

    fn ends_here(&self) -> bool {
        let next = &self.segments[self.current + 1].header;
        align_up(self.position(), next.block_length) == next.base_position
            && next.base_sequence == self.continuity.last_sequence.next()
    }

    fn frame_error(&self, fault: ContinuityFault) -> TrailError {
        let next = &self.segments[self.current + 1].header;
        let fault = match fault {
            fault if !self.stream.bytes().is_empty() => fault,
            _ if align_up(self.position(), next.block_length) != next.base_position => ContinuityFault::Cut,
            _ => ContinuityFault::Sequence {
                expected: self.continuity.last_sequence.next(),
                found: next.base_sequence,
            },
        };
        TrailError::Frame {
            file: self.storage.describe(&self.segments[self.current].name()),
            offset: self.stream.offset(),
            position: self.position(),
            after: self.continuity.last_sequence,
            fault,
        }
    }

    /// Looks for a segment after the last known one.
    fn discover(&mut self) -> Result<bool, TrailError> {
        let mut last = *self.segments.last().expect("a reader has a segment");
        let index = last.header.index + 1;
        let mut pages = Pages::zeroed(crate::bounds::HEADER_BLOCK_LENGTH);
        let storage = self.storage.as_ref();
        let Some(mut found) = find_segment(storage, index, &mut pages)? else { return Ok(false) };
        if found.state == HeaderState::Blank {
            return Ok(false);
        }
        // Closing a segment cuts its file: its length was different when it was found.
        if let Some(now) = find_segment(storage, last.header.index, &mut pages)? {
            last.file_length = now.file_length;
        }
        if found.may_be_begun_after(&last) {
            match find_segment(storage, index + 1, &mut pages)? {
                // Everything before a begun segment is complete, if not a moment ago then now.
                Some(beyond) if beyond.state != HeaderState::Blank => {
                    found = find_segment(storage, index, &mut pages)?.unwrap_or(found);
                }
                _ => return Ok(false),
            }
        }
        let next = found.usable(storage)?;
        next.check_follows(&last, storage)?;
        *self.segments.last_mut().expect("checked above") = last;
        self.segments.push(next);
        Ok(true)
    }

    fn enter_next(&mut self) -> Result<(), TrailError> {
        let (sequence, timestamp) = (self.continuity.last_sequence, self.continuity.last_timestamp);
        self.enter(self.current + 1)?;
        assert_eq!(self.continuity.last_sequence, sequence, "checked before the segment was left");
        self.continuity.last_timestamp = self.continuity.last_timestamp.max(timestamp);
        Ok(())
    }

    fn enter(&mut self, index: usize) -> Result<(), TrailError> {
        let segment = &self.segments[index];
        let name = segment.name();
        let file = self.storage.open(&name);
        let file = file.map_err(|source| TrailError::io(self.storage.as_ref(), &name, "open", source))?;
        self.stream.replace(file, segment.header.file_offset(segment.header.base_position));
        self.continuity = segment.start();
        (self.current, self.reread) = (index, false);
        Ok(())
    }
}

fn open_stream(storage: &dyn Storage, segment: &Segment) -> Result<ByteStream, TrailError> {
    let name = segment.name();
    let file = storage.open(&name).map_err(|source| TrailError::io(storage, &name, "open", source))?;
    Ok(ByteStream::new(file, segment.header.file_offset(segment.header.base_position)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Epochs;
    use crate::format::segment_name;

    /// Three segments of epoch 1, two of epoch 2.
    fn trail() -> Epochs {
        let mut epochs = Epochs::new(16 << 10);
        while epochs.segments.len() < 3 {
            epochs.batch(7, 60);
        }
        epochs.batch(5, 60);
        epochs.start_epoch();
        while epochs.segments.len() < 5 {
            epochs.batch(3, 500);
        }
        epochs.batch(2, 30);
        epochs
    }

    fn read_all(reader: &mut TrailReader) -> Vec<(Position, usize, Sequence)> {
        let mut all = Vec::new();
        while let Some(entry) = reader.read_next().unwrap() {
            all.push((entry.position, entry.frame.len(), entry.frame.sequence()));
        }
        all
    }

    #[test]
    fn every_event_comes_in_order_across_segments_and_epochs() {
        for closed in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let epochs = trail();
            epochs.write(folder.path(), closed);
            let mut reader = TrailReader::open(folder.path()).unwrap();
            assert_eq!(read_all(&mut reader), epochs.events);
            assert_eq!(reader.position(), epochs.position);
            assert!(reader.read_next().unwrap().is_none());
        }
    }

    #[test]
    fn seeking_finds_any_sequence_and_any_time() {
        let folder = tempfile::tempdir().unwrap();
        let epochs = trail();
        epochs.write(folder.path(), true);
        let mut reader = TrailReader::open(folder.path()).unwrap();
        for &(position, _, sequence) in epochs.events.iter().rev().step_by(3) {
            reader.seek(sequence).unwrap();
            let entry = reader.read_next().unwrap().unwrap();
            assert_eq!((entry.position, entry.frame.sequence()), (position, sequence));
            let time = entry.frame.timestamp();
            for time in [Nanos(time.0 - 1), time] {
                reader.seek_time(time).unwrap();
                assert_eq!(reader.read_next().unwrap().unwrap().frame.sequence(), sequence);
            }
        }
        let last = epochs.sequence;
        reader.seek(last.next()).unwrap();
        assert!(reader.read_next().unwrap().is_none());
        let error = reader.seek(Sequence(last.0 + 2)).unwrap_err();
        assert!(matches!(error, TrailError::NotFound { last: found, .. } if found == last), "{error}");
        reader.seek_time(Nanos(0)).unwrap();
        assert_eq!(reader.read_next().unwrap().unwrap().frame.sequence(), Sequence(1));
        reader.seek_time(Nanos(u64::MAX)).unwrap();
        assert!(reader.read_next().unwrap().is_none());
    }

    #[test]
    fn a_live_tail_is_followed_byte_by_byte_and_into_the_next_segment() {
        let folder = tempfile::tempdir().unwrap();
        let mut epochs = Epochs::new(16 << 10);
        epochs.batch(5, 60);
        epochs.write(folder.path(), false);
        let mut reader = TrailReader::open(folder.path()).unwrap();
        let mut seen = read_all(&mut reader);
        while epochs.segments.len() < 4 {
            epochs.batch(5, 60);
            epochs.write(folder.path(), false);
            seen.extend(read_all(&mut reader));
            assert_eq!(seen, epochs.events);
        }
        epochs.start_epoch();
        epochs.batch(5, 60);
        epochs.write(folder.path(), true);
        seen.extend(read_all(&mut reader));
        assert_eq!(seen, epochs.events);
    }

    /// A header that is being written may be read half-written: it does not count yet, unless a later segment
    /// shows that it was written long ago, or its file that it was closed.
    #[test]
    fn a_header_that_is_being_written_is_ignored_and_a_damaged_one_is_an_error() {
        let mut epochs = Epochs::new(256 << 10);
        while epochs.segments.len() < 3 {
            epochs.batch(20, 900);
        }
        epochs.batch(5, 60);
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), false);
        let path = |index| folder.path().join(segment_name(index));
        let tear = |index| {
            let mut bytes = std::fs::read(path(index)).unwrap();
            bytes[1024..1536].fill(0xee);
            std::fs::write(path(index), bytes).unwrap();
        };
        let (two, three) = (std::fs::read(path(2)).unwrap(), std::fs::read(path(3)).unwrap());
        std::fs::write(path(3), vec![0; three.len()]).unwrap();
        let mut reader = TrailReader::open(folder.path()).unwrap();
        let in_front = epochs.segments[2].0.base_sequence.0 as usize - 1;
        assert_eq!(read_all(&mut reader), epochs.events[..in_front]);
        std::fs::write(path(3), &three).unwrap();
        tear(3);
        assert!(reader.read_next().unwrap().is_none());
        assert_eq!(read_all(&mut TrailReader::open(folder.path()).unwrap()), epochs.events[..in_front]);
        std::fs::write(path(3), &three).unwrap();
        assert_eq!(read_all(&mut reader), epochs.events[in_front..]);
        tear(2);
        let begun_behind = TrailReader::open(folder.path()).err().unwrap();
        assert!(matches!(begun_behind, TrailError::Header { .. }), "{begun_behind}");
        std::fs::write(path(2), &two).unwrap();
        std::fs::write(path(3), &three[..8192]).unwrap();
        tear(3);
        let closed = TrailReader::open(folder.path()).err().unwrap();
        assert!(matches!(closed, TrailError::Header { .. }), "{closed}");
    }

    #[test]
    fn a_damaged_closed_segment_is_named_with_offset_and_sequence() {
        let folder = tempfile::tempdir().unwrap();
        let epochs = trail();
        epochs.write(folder.path(), true);
        let path = folder.path().join(segment_name(2));
        let base = epochs.segments[1].0.base_position;
        let &(position, _, sequence) = epochs.events.iter().find(|event| event.0 > base.plus(5000)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let offset = 4096 + (position.0 - base.0);
        bytes[offset as usize + 40] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut reader = TrailReader::open(folder.path()).unwrap();
        let error = loop {
            match reader.read_next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the damage was passed over"),
                Err(error) => break error,
            }
        };
        match error {
            TrailError::Frame { file, offset: at, position: place, after, .. } => {
                assert!(file.ends_with("0000000002.stele"));
                assert_eq!((at, place, after.next()), (offset, position, sequence));
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn segments_that_do_not_belong_together_are_refused_by_name() {
        let story = |change: &dyn Fn(&Path)| {
            let folder = tempfile::tempdir().unwrap();
            trail().write(folder.path(), true);
            change(folder.path());
            TrailReader::open(folder.path()).err().unwrap().to_string()
        };
        let missing = story(&|folder| std::fs::remove_file(folder.join(segment_name(2))).unwrap());
        assert!(missing.contains("0000000002.stele is missing"), "{missing}");
        let copied = story(&|folder| {
            std::fs::copy(folder.join(segment_name(1)), folder.join(segment_name(2))).unwrap();
        });
        assert!(copied.contains("its index is 1, expected 2"), "{copied}");
        let empty = story(&|folder| {
            (1..=5).for_each(|index| std::fs::remove_file(folder.join(segment_name(index))).unwrap());
        });
        assert!(empty.contains("holds no trail"), "{empty}");
        let blank = story(&|folder| std::fs::write(folder.join(segment_name(3)), [0; 8192]).unwrap());
        assert!(blank.contains("blank although later segments"), "{blank}");
    }
}
