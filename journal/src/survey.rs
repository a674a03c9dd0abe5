//! Examines a trail that a writer left: how far the log is intact, what was acknowledged, and what follows
//! its end.
//!
//! Only the end of the last epoch is read frame by frame: back to the first segment that begins at or below
//! the acknowledged floor. Everything before was acknowledged as durable; [`crate::verify`] checks it.

use crate::bounds::HEADER_BLOCK_LENGTH;
use crate::continuity::{Continuity, ContinuityFault};
use crate::error::TrailError;
use crate::format::{HeaderState, RunningCrc, segment_name};
use crate::storage::Storage;
use crate::stream::ByteStream;
use crate::trail::{FoundSegment, Segment, find_segments};
use stele_wire::bounds::{HEADER_LENGTH, PADDING_LENGTH_MIN};
use stele_wire::frame::{Frame, FrameError, Seed};
use stele_wire::units::{Epoch, Nanos, Position, Sequence};

/// The result of a survey: everything that recovery decides on.
#[derive(Debug)]
pub struct TrailSurvey {
    /// Written segments that follow each other, oldest first.
    pub segments: Vec<Segment>,
    /// The first problem that prevents the segments from being one trail, if there is one.
    pub problem: Option<TrailError>,
    /// Segments after the problem whose headers are valid, oldest first.
    pub beyond: Vec<Segment>,
    /// The end of the last epoch; `None` when no segment was ever written.
    pub tail: Option<LogTail>,
    /// Indexes of prepared segments that were never used.
    pub unused: Vec<u64>,
    /// The torn header of a trail's very first segment, when there is nothing else: the trail never began.
    pub torn_start: Option<StrayBytes>,
}

/// The end of the last epoch.
#[derive(Debug)]
pub struct LogTail {
    /// Index in [`TrailSurvey::segments`] of the segment with the last intact frame, or of the one where it
    /// would be.
    pub last: usize,
    /// Index in [`TrailSurvey::segments`] of the first segment that was read. Everything before it was
    /// acknowledged; from here on bytes may have been read that are not on the medium yet.
    pub from: usize,
    /// Position after the last frame that follows from those before it.
    pub end: Position,
    /// The last event before `end`.
    pub last_sequence: Sequence,
    /// Timestamp of the last frame before `end`.
    pub last_timestamp: Nanos,
    /// CRC-32C of the last segment's data before `end`.
    pub data_crc: u32,
    /// The highest durable watermark in any valid padding of the epoch, also after `end`.
    pub floor: Position,
    /// What the bytes at `end` are instead of a frame; `None` when the file ends there.
    pub fault: Option<ContinuityFault>,
    /// The files that hold anything but zeros after `end`: from which offset on, how many bytes, and which
    /// sequences.
    pub strays: Vec<StrayBytes>,
    /// Files after the last segment that must be removed because nothing in them counts.
    pub files_after: Vec<u64>,
    /// Length of the last segment's file in bytes.
    pub file_length: u64,
}

/// Bytes after the end of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrayBytes {
    /// Index of the segment file.
    pub index: u64,
    /// Offset in the file at which they begin.
    pub offset: u64,
    /// Their number, up to the last one that is not zero.
    pub bytes: u64,
    /// Lowest and highest sequence of the intact frames among them.
    pub sequences: Option<(Sequence, Sequence)>,
}

/// One segment file, read to its end.
struct Swept {
    end: Position,
    continuity: Continuity,
    data_crc: u32,
    fault: Option<ContinuityFault>,
    floor: Position,
    stray: Option<StrayBytes>,
}

/// Examines the trail in `storage`.
///
/// # Errors
/// [`TrailError::Io`]; problems of the trail itself are in the survey.
pub fn survey(storage: &dyn Storage) -> Result<TrailSurvey, TrailError> {
    let mut found = find_segments(storage)?;
    let sweeper = &mut Sweeper::new(storage);
    let mut unused = Vec::new();
    while let Some(last) = found.last()
        && last.state == HeaderState::Blank
        && sweep_headless(sweeper, last, None)?.is_none()
    {
        unused.push(last.index);
        found.pop();
    }
    let mut headless = Vec::new();
    while found.len() > 1
        && let Some(last) = found.last()
        && matches!(last.state, HeaderState::Damaged(_) | HeaderState::Blank)
    {
        headless.push(*last);
        found.pop();
    }
    let torn_start = torn_start(sweeper, &found)?;
    if torn_start.is_some() {
        found.clear();
    }
    let (segments, problem) = chain(storage, &found);
    let beyond = if problem.is_some() { whole_after(storage, &found, &segments) } else { Vec::new() };
    let mut survey = TrailSurvey { segments, problem, beyond, tail: None, unused, torn_start };
    if survey.problem.is_none() && !survey.segments.is_empty() {
        survey.tail = Some(sweep_tail(sweeper, &survey.segments, &headless)?);
    }
    Ok(survey)
}

/// Detects what a first start leaves that is cut short within its first write: a damaged header of segment 1,
/// in a file of the length that it was prepared with, and nothing in any later file. The header is written
/// before everything else in its segment, so nothing was acknowledged. Any bytes after the header prove that
/// it was valid once.
fn torn_start(sweeper: &mut Sweeper<'_>, found: &[FoundSegment]) -> Result<Option<StrayBytes>, TrailError> {
    let [only] = found else { return Ok(None) };
    if only.index != 1 || !matches!(only.state, HeaderState::Damaged(_)) || !only.has_prepared_length() {
        return Ok(None);
    }
    let stray = sweep_headless(sweeper, only, None)?.map(|(stray, _)| stray);
    Ok(stray.filter(|stray| stray.bytes <= HEADER_BLOCK_LENGTH as u64))
}

/// Returns the longest run of segments that follow each other, and the problem that ends it.
fn chain(storage: &dyn Storage, found: &[FoundSegment]) -> (Vec<Segment>, Option<TrailError>) {
    let mut segments: Vec<Segment> = Vec::with_capacity(found.len());
    for found in found {
        let follows = found.usable(storage).and_then(|segment| {
            let Some(previous) = segments.last() else { return Ok(segment) };
            if segment.header.index != previous.header.index + 1 {
                let file = storage.describe(&segment_name(previous.header.index + 1));
                return Err(TrailError::Missing { file });
            }
            segment.check_follows(previous, storage).map(|()| segment)
        });
        match follows {
            Ok(segment) => segments.push(segment),
            Err(problem) => return (segments, Some(problem)),
        }
    }
    (segments, None)
}

/// Returns the segments with valid headers after the run and the file that does not fit.
fn whole_after(storage: &dyn Storage, found: &[FoundSegment], segments: &[Segment]) -> Vec<Segment> {
    let rest = found.iter().skip(segments.len());
    let later = rest.filter(|found| segments.last().is_none_or(|last| found.index > last.header.index));
    later.filter_map(|found| found.usable(storage).ok()).collect()
}

fn sweep_tail(
    sweeper: &mut Sweeper<'_>,
    segments: &[Segment],
    headless: &[FoundSegment],
) -> Result<LogTail, TrailError> {
    let newest = segments.last().expect("the caller has a segment");
    let epoch = newest.header.identity.epoch;
    let mut floor = Position(0);
    let (mut strays, mut files_after) = (Vec::new(), Vec::new());
    for file in headless {
        // Its header would state its epoch: this one, or one that each such file may have begun.
        for later in 0..=headless.len() as u32 {
            let mut identity = newest.header.identity;
            identity.epoch = Epoch(epoch.0 + later);
            if let Some((stray, durable)) = sweep_headless(sweeper, file, Some(identity.seed()))? {
                floor = floor.max(durable);
                if later == 0 || stray.sequences.is_some() {
                    strays.retain(|known: &StrayBytes| known.index != stray.index);
                    strays.push(stray);
                }
            }
        }
        files_after.push(file.index);
    }
    // From the newest segment back to the first that begins at or below the floor.
    let first = segments.partition_point(|segment| segment.header.identity.epoch < epoch);
    let mut tail: Option<(usize, Swept)> = None;
    let mut from = first;
    for at in (first..segments.len()).rev() {
        let segment = &segments[at];
        let swept = sweep(sweeper, segment)?;
        floor = floor.max(swept.floor);
        tail = Some(match tail {
            Some((last, later)) if swept.leads_to(segment, &segments[at + 1]) => (last, later),
            dropped => {
                if let Some((last, _)) = dropped {
                    (at + 1..=last).try_for_each(|at| {
                        files_after.push(segments[at].header.index);
                        strays.extend(whole_file(sweeper, &segments[at])?);
                        Ok::<_, TrailError>(())
                    })?;
                }
                (at, swept)
            }
        });
        if floor >= segment.header.base_position {
            from = at;
            break;
        }
    }
    let (last, swept) = tail.expect("at least one segment was swept");
    strays.retain(|stray| stray.index != segments[last].header.index);
    strays.extend(swept.stray.clone());
    strays.sort_by_key(|stray| stray.index);
    Ok(LogTail {
        last,
        from,
        end: swept.end,
        last_sequence: swept.continuity.last_sequence,
        last_timestamp: swept.continuity.last_timestamp,
        data_crc: swept.data_crc,
        floor,
        fault: swept.fault,
        strays,
        files_after,
        file_length: segments[last].file_length,
    })
}

impl Swept {
    /// Returns whether the log continues from this segment into `next` without a gap.
    fn leads_to(&self, segment: &Segment, next: &Segment) -> bool {
        self.end == segment.header.end_position()
            && self.continuity.last_sequence.next() == next.header.base_sequence
    }
}

/// Returns everything in the file of a segment that the log does not reach.
fn whole_file(sweeper: &mut Sweeper<'_>, segment: &Segment) -> Result<Option<StrayBytes>, TrailError> {
    let found = FoundSegment {
        index: segment.header.index,
        file_length: segment.file_length,
        state: HeaderState::Valid(segment.header),
    };
    let stray = sweep_headless(sweeper, &found, Some(segment.header.identity.seed()))?;
    Ok(stray.map(|(stray, _)| stray))
}

/// Returns the bytes of a file whose header does not count, and the highest durable watermark in valid
/// padding among them; `None` when they are all zeros.
fn sweep_headless(
    sweeper: &mut Sweeper<'_>,
    found: &FoundSegment,
    seed: Option<Seed>,
) -> Result<Option<(StrayBytes, Position)>, TrailError> {
    sweeper.begin(&segment_name(found.index), 0)?;
    let mut stray = StrayBytes { index: found.index, offset: 0, bytes: 0, sequences: None };
    let floor = sweeper.sweep_rest(seed, &mut stray, 0)?;
    Ok((stray.bytes > 0).then_some((stray, floor)))
}

fn sweep(sweeper: &mut Sweeper<'_>, segment: &Segment) -> Result<Swept, TrailError> {
    let header = &segment.header;
    let mut continuity = segment.start();
    let mut crc = RunningCrc::default();
    let mut floor = Position(0);
    sweeper.begin(&segment.name(), HEADER_BLOCK_LENGTH as u64)?;
    let room = header.segment_length;
    let mut done = 0;
    let fault = loop {
        let admitted = continuity.admit(sweeper.stream().bytes());
        match admitted.map(|frame| (frame.len(), durable_in(&frame))) {
            Ok((length, _)) if done + length as u64 > room => break Some(ContinuityFault::Cut),
            Ok((length, durable)) => {
                floor = floor.max(durable);
                done += length as u64;
                sweeper.stream().consume(length);
                crc.update(sweeper.stream().before(length));
            }
            Err(fault) if fault.is_short() && sweeper.refill()? => {}
            Err(_) if sweeper.stream().bytes().is_empty() => break None,
            Err(fault) => break Some(fault),
        }
    };
    let end = header.base_position.plus(done);
    let offset = header.file_offset(end);
    let mut stray = StrayBytes { index: header.index, offset, bytes: 0, sequences: None };
    let block = u64::from(header.block_length);
    floor =
        floor.max(sweeper.sweep_rest(Some(continuity.seed), &mut stray, offset.next_multiple_of(block))?);
    let stray = (stray.bytes > 0).then_some(stray);
    Ok(Swept { end, continuity, data_crc: crc.value(), fault, floor, stray })
}

fn durable_in(frame: &Frame<'_>) -> Position {
    frame.padding().map_or(Position(0), |padding| Position(padding.durable.get()))
}

/// The smallest block that a batch can begin on.
const STEP: usize = 512;

/// A block that was prepared and not written: most of what a sweep skips.
const ZEROS: [u8; STEP] = [0; STEP];

/// Reads files one after another, with the same memory.
struct Sweeper<'a> {
    storage: &'a dyn Storage,
    name: String,
    stream: Option<ByteStream>,
}

impl<'a> Sweeper<'a> {
    fn new(storage: &'a dyn Storage) -> Self {
        Self { storage, name: String::new(), stream: None }
    }

    fn begin(&mut self, name: &str, offset: u64) -> Result<(), TrailError> {
        let file = self.storage.open(name);
        let file = file.map_err(|source| TrailError::io(self.storage, name, "open", source))?;
        name.clone_into(&mut self.name);
        match &mut self.stream {
            Some(stream) => stream.replace(file, offset),
            none => *none = Some(ByteStream::new(file, offset)),
        }
        Ok(())
    }

    fn stream(&mut self) -> &mut ByteStream {
        self.stream.as_mut().expect("a file was begun")
    }

    fn refill(&mut self) -> Result<bool, TrailError> {
        let refilled = self.stream().refill();
        refilled.map_err(|source| TrailError::io(self.storage, &self.name, "read", source))
    }

    /// Reads the rest of the file: records its bytes up to the last non-zero one in `stray`, and looks for
    /// intact frames at every block from `blocks_from` on, because batches may have been written after a gap.
    /// Returns the highest durable watermark in their padding.
    fn sweep_rest(
        &mut self,
        seed: Option<Seed>,
        stray: &mut StrayBytes,
        blocks_from: u64,
    ) -> Result<Position, TrailError> {
        let mut floor = Position(0);
        loop {
            let offset = self.stream().offset();
            let bytes = self.stream().bytes();
            if let Some(seed) = seed
                && offset >= blocks_from
            {
                match Frame::read(bytes).and_then(|frame| frame.verify(seed).map(|()| frame)) {
                    Ok(frame) => {
                        let length = frame.len();
                        if frame.is_padding() && length >= PADDING_LENGTH_MIN {
                            floor = floor.max(durable_in(&frame));
                        } else if !frame.is_padding() {
                            stray.note(frame.sequence());
                        }
                        stray.bytes = offset + length as u64 - stray.offset;
                        self.stream().consume(length);
                        continue;
                    }
                    Err(FrameError::Truncated { needed, .. })
                        if needed > HEADER_LENGTH || bytes.len() < HEADER_LENGTH =>
                    {
                        if self.refill()? {
                            continue;
                        }
                    }
                    Err(_) => {}
                }
            }
            if self.stream().bytes().is_empty() && !self.refill()? {
                return Ok(floor);
            }
            // No frame here: try the next block.
            let offset = self.stream().offset();
            let bytes = self.stream().bytes();
            let step = (STEP - (offset % STEP as u64) as usize).min(bytes.len());
            if bytes[..step] != ZEROS[..step]
                && let Some(at) = bytes[..step].iter().rposition(|&byte| byte != 0)
            {
                stray.bytes = offset + at as u64 + 1 - stray.offset;
            }
            self.stream().consume(step);
        }
    }
}

impl StrayBytes {
    fn note(&mut self, sequence: Sequence) {
        let (low, high) = self.sequences.unwrap_or((sequence, sequence));
        self.sequences = Some((low.min(sequence), high.max(sequence)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use crate::fixture::Epochs;

    fn epochs() -> Epochs {
        let mut epochs = Epochs::new(16 << 10);
        while epochs.segments.len() < 4 {
            epochs.batch(5, 60);
        }
        epochs.batch(5, 60);
        epochs.batch(3, 100);
        epochs
    }

    fn survey_of(epochs: &Epochs, closed: bool, change: impl Fn(&std::path::Path)) -> TrailSurvey {
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), closed);
        change(folder.path());
        survey(&Directory::new(folder.path())).unwrap()
    }

    #[test]
    fn the_end_and_the_floor_of_a_whole_trail_are_found() {
        let epochs = epochs();
        for closed in [true, false] {
            let tail = survey_of(&epochs, closed, |_| {}).tail.unwrap();
            assert_eq!((tail.end, tail.floor), (epochs.position, epochs.floor()));
            assert_eq!((tail.last_sequence, tail.last_timestamp), (epochs.sequence, epochs.time));
            assert_eq!((tail.fault.is_none(), tail.strays.len(), tail.files_after.len()), (closed, 0, 0));
        }
    }

    #[test]
    fn a_batch_after_a_gap_is_stray_and_its_watermark_counts() {
        let epochs = epochs();
        let (hole, after) =
            (epochs.batches[epochs.batches.len() - 3], epochs.batches[epochs.batches.len() - 2]);
        let header = epochs.segments.last().unwrap().0;
        let tail = survey_of(&epochs, false, |folder| {
            let path = folder.join(segment_name(header.index));
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[header.file_offset(hole) as usize..header.file_offset(after) as usize].fill(0);
            std::fs::write(&path, bytes).unwrap();
        });
        let tail = tail.tail.unwrap();
        assert_eq!((tail.end, tail.floor), (hole, epochs.floor()));
        let last = epochs.sequence;
        let stray = &tail.strays[0];
        assert_eq!(stray.sequences, Some((Sequence(last.0 - 2), last)));
        assert_eq!(stray.offset, header.file_offset(hole));
        assert!(stray.offset + stray.bytes <= header.file_offset(epochs.position));
    }

    /// A file's blocks may hold old bytes: of another use of the disk, or of the trail's own earlier epoch.
    #[test]
    fn frames_of_another_epoch_after_the_end_are_never_taken_for_the_log() {
        let epochs = epochs();
        let mut older = Epochs::new(16 << 10);
        older.identity.epoch = Epoch(7);
        older.sequence = epochs.sequence;
        older.time = epochs.time;
        older.segments.clear();
        older.start_epoch();
        older.batch(4, 60);
        let (header, data) = epochs.segments.last().unwrap();
        let tail = survey_of(&epochs, false, |folder| {
            let path = folder.join(segment_name(header.index));
            let mut bytes = std::fs::read(&path).unwrap();
            let at = 4096 + data.len();
            let old = &older.segments[0].1;
            bytes[at..at + old.len()].copy_from_slice(old);
            std::fs::write(&path, bytes).unwrap();
        });
        let tail = tail.tail.unwrap();
        assert_eq!((tail.end, tail.last_sequence), (epochs.position, epochs.sequence));
        assert_eq!(tail.strays[0].sequences, None);
    }

    #[test]
    fn a_gap_at_a_segments_end_drops_the_later_segments() {
        let mut epochs = Epochs::new(16 << 10);
        epochs.lag = 1_000;
        while epochs.segments.len() < 4 {
            epochs.batch(5, 60);
        }
        epochs.batch(5, 60);
        let header = epochs.segments[1].0;
        let survey = survey_of(&epochs, false, |folder| {
            let path = folder.join(segment_name(2));
            let mut bytes = std::fs::read(&path).unwrap();
            let length = bytes.len();
            bytes[length - 512..].fill(0);
            std::fs::write(&path, bytes).unwrap();
        });
        let tail = survey.tail.unwrap();
        assert_eq!(survey.segments[tail.last].header, header);
        assert!(tail.end >= header.end_position().0.checked_sub(1024).map(Position).unwrap());
        assert!(tail.end < header.end_position());
        let mut files_after = tail.files_after.clone();
        files_after.sort_unstable();
        assert_eq!(files_after, [3, 4]);
        let strays: Vec<u64> = tail.strays.iter().map(|stray| stray.index).collect();
        assert!(strays.contains(&3) && strays.contains(&4), "{strays:?}");
    }
}
