//! Verifies a whole trail: every frame's CRC, sequences without a gap, times that never go back, and the
//! links between segments.

use crate::bounds::HEADER_BLOCK_LENGTH;
use crate::continuity::ContinuityFault;
use crate::error::TrailError;
use crate::format::{SegmentLink, align_up, link_after};
use crate::recovery::{RecoveryRow, decide};
use crate::relay::Relay;
use crate::scan::{ScanOptions, ScanReport, SegmentScan, SegmentVisitor, scan};
use crate::storage::Storage;
use crate::survey::survey;
use crate::trail::{Segment, read_segments};
use std::ops::ControlFlow;
use stele_wire::frame::Frame;
use stele_wire::units::{Epoch, Nanos, Position, Sequence};

/// The result of verifying a trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyReport {
    /// The number of segments.
    pub segments: usize,
    /// The last epoch.
    pub epoch: Epoch,
    /// The number of events.
    pub events: u64,
    /// The first event's sequence.
    pub first_sequence: Sequence,
    /// The last event's sequence.
    pub last_sequence: Sequence,
    /// Timestamp of the last frame.
    pub last_timestamp: Nanos,
    /// Position after the last frame.
    pub end: Position,
    /// Where the log ends in the last segment, when its writer did not close it: the writer is running, or
    /// was killed.
    pub open_tail: Option<OpenTail>,
    /// Statistics of the scan.
    pub scan: ScanReport,
}

/// The unclosed end of a trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenTail {
    /// The last segment's file.
    pub file: String,
    /// Offset in it at which the log ends.
    pub offset: u64,
    /// Whether anything but zeros follows: a batch that was being written.
    pub torn: bool,
}

struct Nothing;

impl SegmentVisitor for Nothing {
    type Output = ();

    fn on_frame(&mut self, _: Position, _: &Frame<'_>) {}

    fn finish(self) {}
}

/// Receives the frames of a trail while it is verified.
pub trait LogVisitor {
    /// Called at the beginning of each segment, also one without a frame.
    fn on_segment(&mut self, segment: &Segment) -> ControlFlow<()>;

    /// Called for the next frame of the segment, padding included.
    fn on_frame(&mut self, position: Position, frame: &Frame<'_>) -> ControlFlow<()>;
}

/// Verifies the trail in `storage`, without its seals.
///
/// # Errors
/// [`TrailError`]: the first error in the order of the log, with file, offset and sequence.
pub fn verify(storage: &dyn Storage, options: &ScanOptions<'_>) -> Result<VerifyReport, TrailError> {
    check(storage, &written_segments(storage)?, options, |_| Nothing, OnFailure::Stop)
}

/// As [`verify`], with a visitor for each segment on the thread that reads it. `on_segment` receives their
/// results in the order of the log, on the caller's thread, also after a link that does not match. It
/// receives no more after the first segment that does not continue the previous ones, or once it returns a
/// break.
///
/// # Errors
/// As [`verify`].
pub fn verify_each<V: SegmentVisitor>(
    storage: &dyn Storage,
    options: &ScanOptions<'_>,
    start: impl Fn(&Segment) -> V + Sync,
    mut on_segment: impl FnMut(&SegmentScan<()>, V::Output) -> ControlFlow<()>,
) -> Result<VerifyReport, TrailError> {
    let segments = written_segments(storage)?;
    let mut chain = Chain::new(storage, &segments, OnFailure::ReadOn);
    let mut is_listening = true;
    let report = scan(storage, &segments, options, start, |scan| {
        let (scan, output) = scan.split();
        is_listening = is_listening && chain.follows(&scan) && on_segment(&scan, output).is_continue();
        chain.fold(scan)
    })?;
    chain.end(report)
}

/// Checks segments that were each scanned before, at any time, as one trail: what [`verify`] does once the
/// segments are read.
///
/// # Errors
/// As [`verify`].
pub fn verify_scanned<T>(
    storage: &dyn Storage,
    segments: &[Segment],
    scans: impl IntoIterator<Item = SegmentScan<T>>,
    mut on_segment: impl FnMut(&SegmentScan<()>, T) -> ControlFlow<()>,
) -> Result<VerifyReport, TrailError> {
    let mut chain = Chain::new(storage, segments, OnFailure::ReadOn);
    let mut is_listening = true;
    for scan in scans {
        let (scan, output) = scan.split();
        is_listening = is_listening && chain.follows(&scan) && on_segment(&scan, output).is_continue();
        if chain.fold(scan).is_break() {
            break;
        }
    }
    chain.end(ScanReport::default())
}

/// As [`verify`]. In addition it passes every verified frame to `visitor` in the order of the log, on the
/// caller's thread, while other threads read and check. Each byte is read once. The visitor receives
/// everything before the first byte that is not the next frame, also after a link that does not match. If it
/// returns a break, the verification continues without it.
///
/// # Errors
/// As [`verify`].
pub fn verify_with(
    storage: &dyn Storage,
    options: &ScanOptions<'_>,
    visitor: &mut impl LogVisitor,
) -> Result<VerifyReport, TrailError> {
    let segments = written_segments(storage)?;
    let relay = Relay::default();
    let first = segments[0].header.index;
    std::thread::scope(|scope| {
        let medium = scope.spawn(|| {
            let _ended = relay.end_guard();
            let filler = |segment: &Segment| relay.filler((segment.header.index - first) as usize);
            check(storage, &segments, options, filler, OnFailure::ReadOn)
        });
        show(&relay, &segments, visitor);
        medium.join().expect("checking does not panic")
    })
}

/// Returns the segments of a trail, which must exist.
fn written_segments(storage: &dyn Storage) -> Result<Vec<Segment>, TrailError> {
    let segments = read_segments(storage)?;
    if segments.is_empty() { Err(TrailError::NoTrail(storage.describe(""))) } else { Ok(segments) }
}

/// Passes what comes through `relay` to `visitor`, up to the first segment that does not continue the
/// previous one.
fn show(relay: &Relay, segments: &[Segment], visitor: &mut impl LogVisitor) {
    let _left = relay.leave_guard();
    let mut reached = None;
    for segment in segments {
        let header = &segment.header;
        let start = (header.base_position, header.base_sequence);
        let follows = |(end, next): (Position, Sequence)| (align_up(end, header.block_length), next) == start;
        if !reached.is_none_or(follows) || visitor.on_segment(segment).is_break() {
            return;
        }
        let (mut end, mut next) = start;
        while let Some(block) = relay.next() {
            let mut rest = &block.bytes[..];
            while !rest.is_empty() {
                let frame = Frame::read(rest).expect("verified by the thread that read it");
                let position = Position(block.position.0 + (block.bytes.len() - rest.len()) as u64);
                if visitor.on_frame(position, &frame).is_break() {
                    return;
                }
                rest = &rest[frame.len()..];
                end = position.plus(frame.len() as u64);
                if !frame.is_padding() {
                    next = frame.sequence().next();
                }
            }
            relay.recycle(block);
        }
        relay.next_lane();
        reached = Some((end, next));
    }
}

/// What a check does after the first error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    Stop,
    /// Reads on as long as there are frames: a visitor wants them.
    ReadOn,
}

fn check<V: SegmentVisitor<Output = ()>>(
    storage: &dyn Storage,
    segments: &[Segment],
    options: &ScanOptions<'_>,
    start: impl Fn(&Segment) -> V + Sync,
    on_failure: OnFailure,
) -> Result<VerifyReport, TrailError> {
    let mut chain = Chain::new(storage, segments, on_failure);
    let report = scan(storage, segments, options, start, |scan| chain.fold(scan))?;
    chain.end(report)
}

/// Checks the segments' results in their order.
struct Chain<'a> {
    storage: &'a dyn Storage,
    segments: &'a [Segment],
    on_failure: OnFailure,
    previous: Option<SegmentScan<()>>,
    /// The end of the readable log so far.
    reached: Option<(Position, Sequence)>,
    events: u64,
    failure: Option<TrailError>,
}

impl<'a> Chain<'a> {
    fn new(storage: &'a dyn Storage, segments: &'a [Segment], on_failure: OnFailure) -> Self {
        Self { storage, segments, on_failure, previous: None, reached: None, events: 0, failure: None }
    }

    /// Returns whether the segment begins where the previous ones end.
    fn follows(&self, scan: &SegmentScan<()>) -> bool {
        let header = &scan.segment.header;
        self.reached.is_none_or(|(end, last)| {
            (align_up(end, header.block_length), last.next()) == (header.base_position, header.base_sequence)
        })
    }

    fn end(self, report: ScanReport) -> Result<VerifyReport, TrailError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let last = self.previous.expect("there is a segment");
        let open_tail = check_tail(self.storage, &last)?;
        Ok(VerifyReport {
            segments: self.segments.len(),
            epoch: last.segment.header.identity.epoch,
            events: self.events,
            first_sequence: self.segments[0].header.base_sequence,
            last_sequence: last.last_sequence,
            last_timestamp: last.last_timestamp,
            end: last.end,
            open_tail,
            scan: report,
        })
    }

    fn fold(&mut self, scan: SegmentScan<()>) -> ControlFlow<()> {
        self.reached = Some((scan.end, scan.last_sequence));
        if self.failure.is_none() {
            match self.check(&scan) {
                Ok(()) => {
                    self.events += scan.events;
                    self.previous = Some(scan);
                    return ControlFlow::Continue(());
                }
                Err(failure) => self.failure = Some(failure),
            }
        }
        match self.on_failure {
            OnFailure::ReadOn if scan.fault.is_none() => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    fn check(&self, scan: &SegmentScan<()>) -> Result<(), TrailError> {
        let header = &scan.segment.header;
        if let Some(previous) = &self.previous {
            if header.created < previous.last_timestamp {
                let fault =
                    ContinuityFault::Time { previous: previous.last_timestamp, found: header.created };
                return Err(frame_error(self.storage, previous, fault));
            }
            let block = previous.segment.header_block();
            let expected = link_after(&block, previous.end, previous.last_sequence, previous.data_crc);
            if expected != header.link {
                let file = self.storage.describe(&scan.segment.name());
                return Err(TrailError::Link { file, expected: hex(&expected), found: hex(&header.link) });
            }
        } else if header.index == 1 && header.link != [0; 32] {
            let file = self.storage.describe(&scan.segment.name());
            return Err(TrailError::Link { file, expected: hex(&[0; 32]), found: hex(&header.link) });
        }
        let is_last = self.segments.last().is_some_and(|last| last.header.index == header.index);
        if is_last {
            return Ok(());
        }
        let next = &self.segments[(header.index - self.segments[0].header.index) as usize + 1].header;
        if let Some(fault) = scan.fault {
            return Err(frame_error(self.storage, scan, fault));
        }
        if align_up(scan.end, next.block_length) != next.base_position {
            return Err(frame_error(self.storage, scan, ContinuityFault::Cut));
        }
        let expected = scan.last_sequence.next();
        if next.base_sequence != expected {
            let fault = ContinuityFault::Sequence { expected, found: next.base_sequence };
            return Err(frame_error(self.storage, scan, fault));
        }
        Ok(())
    }
}

fn frame_error(storage: &dyn Storage, scan: &SegmentScan<()>, fault: ContinuityFault) -> TrailError {
    TrailError::Frame {
        file: storage.describe(&scan.segment.name()),
        offset: scan.segment.header.file_offset(scan.end),
        position: scan.end,
        after: scan.last_sequence,
        fault,
    }
}

/// Checks the end of the last segment, which may be anywhere at or above the acknowledged floor.
fn check_tail(storage: &dyn Storage, last: &SegmentScan<()>) -> Result<Option<OpenTail>, TrailError> {
    let header = &last.segment.header;
    let ends_with_file = header.file_offset(last.end) == last.segment.file_length;
    if last.fault.is_none() && ends_with_file && last.segment.file_length >= HEADER_BLOCK_LENGTH as u64 {
        return Ok(None);
    }
    let survey = survey(storage)?;
    let tail_moved = survey.tail.as_ref().is_none_or(|tail| tail.end != last.end);
    if decide(&survey.evidence()) == RecoveryRow::F && !tail_moved {
        return Err(frame_error(storage, last, last.fault.unwrap_or(ContinuityFault::Cut)));
    }
    Ok(Some(OpenTail {
        file: storage.describe(&last.segment.name()),
        offset: header.file_offset(last.end),
        torn: last.strays,
    }))
}

fn hex(link: &SegmentLink) -> String {
    link.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use crate::fixture::Epochs;
    use crate::format::segment_name;
    use std::path::Path;
    use stele_wire::frame::seal;

    fn trail() -> Epochs {
        let mut epochs = Epochs::new(16 << 10);
        while epochs.segments.len() < 3 {
            epochs.batch(5, 60);
        }
        epochs.batch(5, 60);
        epochs.start_epoch();
        for _ in 0..6 {
            epochs.batch(5, 60);
        }
        epochs
    }

    fn verify_in(folder: &Path) -> Result<VerifyReport, TrailError> {
        verify(&Directory::new(folder), &ScanOptions { threads: 2, ..ScanOptions::default() })
    }

    fn after(closed: bool, change: impl Fn(&Epochs, &Path)) -> Result<VerifyReport, TrailError> {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), closed);
        change(&epochs, folder.path());
        verify_in(folder.path())
    }

    fn edit(folder: &Path, index: u64, change: impl Fn(&mut Vec<u8>)) {
        let path = folder.join(segment_name(index));
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
    }

    #[test]
    fn a_whole_trail_passes_and_is_counted() {
        let epochs = trail();
        for closed in [true, false] {
            let report = after(closed, |_, _| {}).unwrap();
            assert_eq!((report.segments, report.epoch), (4, Epoch(2)));
            assert_eq!(report.events, epochs.sequence.0);
            assert_eq!((report.first_sequence, report.last_sequence), (Sequence(1), epochs.sequence));
            assert_eq!((report.end, report.last_timestamp), (epochs.position, epochs.time));
            assert_eq!(report.open_tail.is_none(), closed);
            assert!(report.open_tail.is_none_or(|tail| !tail.torn));
        }
    }

    /// Returns a break before a sequence.
    struct Seen(Vec<(Position, Sequence)>, Sequence, Vec<u64>);

    impl LogVisitor for Seen {
        fn on_segment(&mut self, segment: &Segment) -> ControlFlow<()> {
            self.2.push(segment.header.index);
            ControlFlow::Continue(())
        }

        fn on_frame(&mut self, position: Position, frame: &Frame<'_>) -> ControlFlow<()> {
            if frame.is_padding() {
                return ControlFlow::Continue(());
            }
            if frame.sequence() == self.1 {
                return ControlFlow::Break(());
            }
            self.0.push((position, frame.sequence()));
            ControlFlow::Continue(())
        }
    }

    #[test]
    fn a_visitor_sees_every_event_in_order_and_may_stop_without_a_change_to_the_result() {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), false);
        let directory = Directory::new(folder.path());
        let options = ScanOptions { threads: 3, plain: true, ..ScanOptions::default() };
        let alone = verify(&directory, &options).unwrap();
        for until in [u64::MAX, 1, 40] {
            let mut seen = Seen(Vec::new(), Sequence(until), Vec::new());
            assert_eq!(verify_with(&directory, &options, &mut seen).unwrap(), alone);
            let expected = epochs.events.iter().filter(|event| event.2.0 < until);
            assert_eq!(seen.0, expected.map(|event| (event.0, event.2)).collect::<Vec<_>>());
            assert!(until < u64::MAX || seen.2 == [1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_visitor_sees_what_is_before_damage_and_what_is_after_a_wrong_link() {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), true);
        let (position, length, damaged) = epochs.events[3];
        let at = 4096 + position.0 as usize;
        let options = ScanOptions { threads: 2, ..ScanOptions::default() };
        let see = || {
            let mut seen = Seen(Vec::new(), Sequence(u64::MAX), Vec::new());
            let error = verify_with(&Directory::new(folder.path()), &options, &mut seen).unwrap_err();
            (seen.0.len(), error)
        };
        edit(folder.path(), 1, |bytes| bytes[at + 40] ^= 1);
        let (seen, error) = see();
        assert_eq!(seen as u64, damaged.0 - 1);
        assert!(matches!(error, TrailError::Frame { after, .. } if after.next() == damaged), "{error}");
        edit(folder.path(), 1, |bytes| {
            seal(&mut bytes[at..at + length], epochs.segments[0].0.identity.seed())
        });
        let (seen, error) = see();
        assert_eq!(seen, epochs.events.len());
        assert!(matches!(error, TrailError::Link { .. }), "{error}");
    }

    /// Counts the events of a segment.
    struct Counted(u64);

    impl SegmentVisitor for Counted {
        type Output = u64;

        fn on_frame(&mut self, _: Position, frame: &Frame<'_>) {
            self.0 += u64::from(!frame.is_padding());
        }

        fn finish(self) -> u64 {
            self.0
        }
    }

    #[test]
    fn segments_read_at_once_and_those_read_one_by_one_are_judged_alike() {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        let (position, length, damaged) = epochs.events[30];
        let (header, _) = &epochs.segments[0];
        let at = header.file_offset(position) as usize;
        assert!(position < header.end_position());
        let seed = header.identity.seed();
        type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
        let changes: [Change<'_>; 3] = [&|_| {}, &|bytes| bytes[at + 40] ^= 1, &|bytes| {
            bytes[at + 40] ^= 1;
            seal(&mut bytes[at..at + length], seed);
        }];
        // The visitor receives all events, those before the damage, and all again, because frames and
        // sequences are valid.
        let shown = [epochs.sequence.0, damaged.0 - 1, epochs.sequence.0];
        for (change, shown) in changes.into_iter().zip(shown) {
            epochs.write(folder.path(), true);
            edit(folder.path(), 1, change);
            let directory = Directory::new(folder.path());
            let options = ScanOptions { threads: 2, ..ScanOptions::default() };
            let expected = verify(&directory, &options);
            let mut events = 0;
            let add = |events: &mut u64, count: u64| {
                *events += count;
                ControlFlow::Continue(())
            };
            let each = verify_each(&directory, &options, |_| Counted(0), |_, count| add(&mut events, count));
            assert_eq!(events, shown);
            let segments = read_segments(&directory).unwrap();
            let scan_alone = |segment: &Segment| {
                let mut found = None;
                let keep = |scan| {
                    found = Some(scan);
                    ControlFlow::Break(())
                };
                scan(&directory, &[*segment], &options, |_| Counted(0), keep).unwrap();
                found.unwrap()
            };
            let scans = segments.iter().map(scan_alone);
            let mut events = 0;
            let one_by_one = verify_scanned(&directory, &segments, scans, |_, count| add(&mut events, count));
            assert_eq!(events, shown);
            let said = |result: Result<VerifyReport, TrailError>| {
                result.map(|report| (report.events, report.end)).map_err(|error| error.to_string())
            };
            let expected = said(expected);
            assert_eq!((said(each), said(one_by_one)), (expected.clone(), expected));
        }
    }

    #[test]
    fn a_flipped_bit_in_any_segment_is_found_at_its_frame() {
        for index in 1..=3 {
            let error =
                after(true, |_, folder| edit(folder, index, |bytes| bytes[4096 + 777] ^= 4)).unwrap_err();
            let TrailError::Frame { file, offset, .. } = error else { panic!("{error}") };
            assert!(file.ends_with(&segment_name(index)));
            assert!((4096 + 777 - 1_100..=4096 + 777).contains(&offset), "{offset}");
        }
    }

    /// Anyone who can compute CRCs can rewrite an event: the chain of links still shows it.
    #[test]
    fn an_event_rewritten_with_a_right_crc_breaks_the_chain_of_links() {
        let error = after(true, |epochs, folder| {
            let (position, length, _) = epochs.events[3];
            edit(folder, 1, |bytes| {
                let at = 4096 + position.0 as usize;
                bytes[at + 40] ^= 1;
                seal(&mut bytes[at..at + length], epochs.segments[0].0.identity.seed());
            });
        });
        let error = error.unwrap_err();
        assert!(
            matches!(&error, TrailError::Link { file, .. } if file.ends_with("0000000002.stele")),
            "{error}"
        );
    }

    #[test]
    fn a_torn_tail_is_reported_and_damage_below_the_floor_is_an_error() {
        let torn = after(false, |epochs, folder| {
            let header = epochs.segments.last().unwrap().0;
            let at = header.file_offset(epochs.batches[epochs.batches.len() - 2]) as usize;
            edit(folder, header.index, |bytes| bytes[at + 5] ^= 1);
        });
        assert!(torn.unwrap().open_tail.unwrap().torn);
        let error = after(false, |epochs, folder| {
            let header = epochs.segments.last().unwrap().0;
            edit(folder, header.index, |bytes| bytes[4096 + 50] ^= 1);
        });
        assert!(matches!(error, Err(TrailError::Frame { .. })));
    }
}
