//! Reads many segments at once, each from its beginning to its end, and folds the results in the trail's
//! order.
//!
//! Each thread has a [`BulkReader`] of the method that the options name, or of [`UringRead`] if they name
//! none or this machine refuses the method. If both are refused, and for archives, the threads read through
//! [`Storage`], one request at a time.

use crate::bounds::{HEADER_BLOCK_LENGTH, PAGE_LENGTH, READ_LENGTH};
use crate::bulk::{BulkReader, ReadMethod};
use crate::continuity::{Continuity, ContinuityFault};
use crate::error::TrailError;
use crate::format::RunningCrc;
use crate::pages::Pages;
use crate::storage::Storage;
use crate::trail::Segment;
use crate::uring_reader::UringRead;
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, mpsc};
use stele_wire::bounds::HEADER_LENGTH;
use stele_wire::frame::Frame;
use stele_wire::units::{Nanos, Position, Sequence};

/// Bytes that are checked frame by frame before they are added to the CRC, while they are still in the
/// first-level cache.
const SUM_LENGTH: usize = 16 << 10;

/// Processes the frames of one segment.
pub trait SegmentVisitor {
    /// The result for the segment.
    type Output: Send;

    /// Called for each verified frame, padding included, in the order of the log.
    fn on_frame(&mut self, position: Position, frame: &Frame<'_>);

    /// Called for a run of whole frames, the first at `position`, after [`Self::on_frame`] was called for
    /// each of them.
    fn on_run(&mut self, position: Position, frames: &[u8]) {
        let _ = (position, frames);
    }

    /// Called at the end of the segment, or of its readable part. Returns the result.
    fn finish(self) -> Self::Output;
}

/// The options of a scan.
#[derive(Clone, Copy, Default)]
pub struct ScanOptions<'a> {
    /// The number of threads; 0 for one per CPU that this process may use.
    pub threads: usize,
    /// Called from any thread with the bytes done and the total.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// How whole files are read; [`UringRead`] when `None`.
    pub method: Option<&'a dyn ReadMethod>,
    /// Whether to read only through [`Storage`].
    pub plain: bool,
}

/// The result of reading one segment.
#[derive(Clone, Debug)]
pub struct SegmentScan<T> {
    /// The segment.
    pub segment: Segment,
    /// Position after its last good frame.
    pub end: Position,
    /// The last event before `end`.
    pub last_sequence: Sequence,
    /// Timestamp of the last frame before `end`.
    pub last_timestamp: Nanos,
    /// The number of its events.
    pub events: u64,
    /// CRC-32C of its data before `end`.
    pub data_crc: u32,
    /// What the bytes at `end` are instead of a frame; `None` when the file ends there.
    pub fault: Option<ContinuityFault>,
    /// Whether anything but zeros follows `end`.
    pub strays: bool,
    /// The visitor's result.
    pub output: T,
}

impl<T> SegmentScan<T> {
    /// Splits off the visitor's result.
    pub fn split(self) -> (SegmentScan<()>, T) {
        let Self { segment, end, last_sequence, last_timestamp, events, data_crc, fault, strays, output } =
            self;
        let bare = SegmentScan {
            segment,
            end,
            last_sequence,
            last_timestamp,
            events,
            data_crc,
            fault,
            strays,
            output: (),
        };
        (bare, output)
    }
}

/// Statistics of a scan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ScanReport {
    /// Bytes read.
    pub bytes: u64,
    /// The number of threads that read.
    pub threads: usize,
    /// The [`ReadMethod`] by which whole files were read; `plain` for reads through [`Storage`].
    pub method: &'static str,
    /// Why better methods were not used, a sentence each.
    pub refusals: Vec<String>,
}

/// Scans `segments`, several at a time. `start` creates a visitor for each, on the thread that reads it.
/// `fold` receives the results in the order of `segments`, on the caller's thread, and may end the scan.
///
/// # Errors
/// [`TrailError::Io`]. Damage inside a segment is reported in [`SegmentScan::fault`].
pub fn scan<V: SegmentVisitor>(
    storage: &dyn Storage,
    segments: &[Segment],
    options: &ScanOptions<'_>,
    start: impl Fn(&Segment) -> V + Sync,
    mut fold: impl FnMut(SegmentScan<V::Output>) -> ControlFlow<()>,
) -> Result<ScanReport, TrailError> {
    let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if options.threads == 0 { cpus() } else { options.threads };
    let threads = threads.clamp(1, segments.len().max(1));
    let total = segments.iter().map(|segment| segment.file_length).sum();
    let work = Work {
        storage,
        segments,
        turn: Mutex::new(Turn { next: 0, folded: 0, stop: false }),
        moved: Condvar::new(),
        window: threads * 2,
        done: AtomicU64::new(0),
        total,
        progress: options.progress,
        methods: Mutex::new(Methods::of(options)),
    };
    let (sender, receiver) = mpsc::channel();
    let mut failure = None;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (work, start, sender) = (&work, &start, sender.clone());
            scope.spawn(move || work.run(start, &sender));
        }
        drop(sender);
        failure = work.fold_in_order(&receiver, &mut fold).err();
    });
    match failure {
        Some(failure) => Err(failure),
        None => {
            let Methods { left, refusals } = work.methods.into_inner().expect("no thread panicked");
            let method = left.front().map_or(PLAIN, |method| method.name());
            Ok(ScanReport { bytes: work.done.into_inner(), threads, method, refusals })
        }
    }
}

type Scanned<T> = (usize, Result<SegmentScan<T>, TrailError>);

struct Work<'a> {
    storage: &'a dyn Storage,
    segments: &'a [Segment],
    turn: Mutex<Turn>,
    moved: Condvar,
    /// The number of segments that may be read ahead of the one that is folded.
    window: usize,
    done: AtomicU64,
    total: u64,
    progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    methods: Mutex<Methods<'a>>,
}

/// The name of reading through [`Storage`] in reports.
const PLAIN: &str = "plain";

/// The read methods that this machine has not refused, the best first.
struct Methods<'a> {
    left: VecDeque<&'a dyn ReadMethod>,
    refusals: Vec<String>,
}

impl<'a> Methods<'a> {
    fn of(options: &ScanOptions<'a>) -> Self {
        let own: &dyn ReadMethod = &UringRead;
        let all = options.method.into_iter().chain([own]);
        Self { left: all.filter(|_| !options.plain).collect(), refusals: Vec::new() }
    }

    /// Returns a reader of the best method that is left; `None` when all are refused.
    fn reader(&mut self) -> Option<Box<dyn BulkReader>> {
        while let Some(method) = self.left.front() {
            match method.reader() {
                Ok(reader) => return Some(reader),
                Err(why) => self.refusals.push(format!("{}: {why}", method.name())),
            }
            self.left.pop_front();
        }
        None
    }
}

struct Turn {
    next: usize,
    folded: usize,
    stop: bool,
}

impl Work<'_> {
    fn run<V: SegmentVisitor>(
        &self,
        start: &(impl Fn(&Segment) -> V + Sync),
        to: &mpsc::Sender<Scanned<V::Output>>,
    ) {
        let mut reader = self.methods.lock().expect("no thread panicked").reader();
        while let Some(at) = self.take() {
            let segment = &self.segments[at];
            let mut scanner = Scanner::new(segment, start(segment));
            let name = segment.name();
            let read = self.stream(reader.as_deref_mut(), &name, |bytes| self.feed(&mut scanner, bytes));
            let result = read.map(|()| scanner.finish(*segment));
            let result = result.map_err(|source| TrailError::io(self.storage, &name, "read", source));
            if to.send((at, result)).is_err() {
                return;
            }
        }
    }

    /// Returns the next segment to read; waits while too many are read and not folded.
    fn take(&self) -> Option<usize> {
        let mut turn = self.turn.lock().expect("no thread panicked");
        while !turn.stop && turn.next >= turn.folded + self.window {
            turn = self.moved.wait(turn).expect("no thread panicked");
        }
        (!turn.stop && turn.next < self.segments.len()).then(|| {
            turn.next += 1;
            turn.next - 1
        })
    }

    fn feed<V: SegmentVisitor>(&self, scanner: &mut Scanner<V>, bytes: &[u8]) {
        scanner.feed(bytes);
        let done = self.done.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        if let Some(progress) = self.progress {
            progress(done, self.total);
        }
    }

    /// Passes on the bytes of a segment's file, in order.
    fn stream(
        &self,
        reader: Option<&mut (dyn BulkReader + '_)>,
        name: &str,
        mut on_bytes: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut given = 0;
        if let (Some(reader), Some(path)) = (reader, self.storage.path(name)) {
            let read = reader.read(&path, &mut |bytes| {
                given += bytes.len() as u64;
                on_bytes(bytes);
            });
            match read {
                // The file system does not support the method for this file.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                read => return read,
            }
        }
        self.stream_plainly(name, given, on_bytes)
    }

    /// Reads from `begin` on through [`Storage`].
    fn stream_plainly(&self, name: &str, begin: u64, mut on_bytes: impl FnMut(&[u8])) -> io::Result<()> {
        let file = self.storage.open(name)?;
        let mut pages = Pages::zeroed(READ_LENGTH);
        // Reads begin on a page boundary.
        let mut known = (begin % PAGE_LENGTH as u64) as usize;
        let mut offset = begin - known as u64;
        loop {
            let count = file.read_at(&mut pages, offset)?;
            on_bytes(&pages[known.min(count)..count]);
            known = 0;
            offset += count as u64;
            if count < pages.len() {
                return Ok(());
            }
        }
    }

    fn fold_in_order<T>(
        &self,
        from: &mpsc::Receiver<Scanned<T>>,
        fold: &mut impl FnMut(SegmentScan<T>) -> ControlFlow<()>,
    ) -> Result<(), TrailError> {
        let mut waiting: Vec<Option<SegmentScan<T>>> = self.segments.iter().map(|_| None).collect();
        let mut folded = 0;
        let mut outcome = Ok(());
        while folded < self.segments.len() {
            let Ok((at, result)) = from.recv() else { break };
            match result {
                Ok(scan) => waiting[at] = Some(scan),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            let mut broken_off = false;
            while !broken_off && let Some(scan) = waiting.get_mut(folded).and_then(Option::take) {
                broken_off = fold(scan).is_break();
                folded += 1;
            }
            if broken_off {
                break;
            }
            self.turn.lock().expect("no thread panicked").folded = folded;
            self.moved.notify_all();
        }
        self.turn.lock().expect("no thread panicked").stop = true;
        self.moved.notify_all();
        outcome
    }
}

/// Processes a segment's bytes in pieces of any length.
struct Scanner<V> {
    visitor: V,
    continuity: Continuity,
    /// Header bytes that are still to be skipped.
    skip: usize,
    position: Position,
    room: u64,
    events: u64,
    crc: RunningCrc,
    /// The beginning of a frame whose end has not been read yet.
    carry: Vec<u8>,
    fault: Option<ContinuityFault>,
    strays: bool,
}

impl<V: SegmentVisitor> Scanner<V> {
    fn new(segment: &Segment, visitor: V) -> Self {
        Self {
            visitor,
            continuity: segment.start(),
            skip: HEADER_BLOCK_LENGTH,
            position: segment.header.base_position,
            room: segment.header.segment_length,
            events: 0,
            crc: RunningCrc::default(),
            carry: Vec::new(),
            fault: None,
            strays: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let mut bytes = &bytes[skipped..];
        while !self.carry.is_empty() && !bytes.is_empty() && self.fault.is_none() {
            let wanted = self.wanted() - self.carry.len();
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.carry.extend_from_slice(part);
            bytes = rest;
            let carry = std::mem::take(&mut self.carry);
            let used = self.admit_all(&carry);
            self.carry = carry;
            self.carry.drain(..used);
        }
        if self.fault.is_none() {
            let used = self.admit_all(bytes);
            bytes = &bytes[used..];
            if self.fault.is_none() {
                self.carry.extend_from_slice(bytes);
                return;
            }
        }
        self.strays |= self.carry.iter().chain(bytes).any(|&byte| byte != 0);
        self.carry.clear();
    }

    /// Returns how many bytes the carried frame needs before it can be checked again.
    fn wanted(&self) -> usize {
        if self.carry.len() < HEADER_LENGTH {
            return HEADER_LENGTH;
        }
        let length = u16::from_le_bytes([self.carry[4], self.carry[5]]) as usize;
        length.max(self.carry.len())
    }

    /// Processes every whole frame at the start of `bytes`; returns their length.
    fn admit_all(&mut self, bytes: &[u8]) -> usize {
        let mut continuity = self.continuity;
        let (mut used, mut summed, mut padding, mut frames) = (0, 0, 0, 0);
        let fault = loop {
            let before = continuity;
            match continuity.admit(&bytes[used..]) {
                Ok(frame) => {
                    let length = frame.len();
                    if (used + length) as u64 > self.room {
                        continuity = before;
                        break Some(ContinuityFault::Cut);
                    }
                    self.visitor.on_frame(self.position.plus(used as u64), &frame);
                    used += length;
                    frames += 1;
                    padding += u64::from(frame.is_padding());
                    if used - summed >= SUM_LENGTH {
                        self.crc.update(&bytes[summed..used]);
                        summed = used;
                    }
                }
                Err(fault) if fault.is_short() => break None,
                Err(fault) => break Some(fault),
            }
        };
        self.crc.update(&bytes[summed..used]);
        self.visitor.on_run(self.position, &bytes[..used]);
        self.continuity = continuity;
        self.fault = fault;
        self.position = self.position.plus(used as u64);
        self.room -= used as u64;
        self.events += frames - padding;
        used
    }

    fn finish(mut self, segment: Segment) -> SegmentScan<V::Output> {
        if !self.carry.is_empty() && self.fault.is_none() {
            self.fault = Some(ContinuityFault::Cut);
            self.strays = self.carry.iter().any(|&byte| byte != 0);
        }
        SegmentScan {
            segment,
            end: self.position,
            last_sequence: self.continuity.last_sequence,
            last_timestamp: self.continuity.last_timestamp,
            events: self.events,
            data_crc: self.crc.value(),
            fault: self.fault,
            strays: self.strays,
            output: self.visitor.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use crate::fixture::Epochs;
    use crate::trail::read_segments;

    struct Sequences(Vec<(Position, u64)>);

    impl SegmentVisitor for Sequences {
        type Output = Vec<(Position, u64)>;

        fn on_frame(&mut self, position: Position, frame: &Frame<'_>) {
            if !frame.is_padding() {
                self.0.push((position, frame.sequence().0));
            }
        }

        fn finish(self) -> Self::Output {
            self.0
        }
    }

    fn trail() -> Epochs {
        let mut epochs = Epochs::new(256 << 10);
        while epochs.segments.len() < 5 {
            epochs.batch(40, 300);
        }
        epochs.start_epoch();
        epochs.batch(3, 60_000);
        epochs
    }

    fn collect(folder: &std::path::Path, options: &ScanOptions<'_>) -> (Vec<(Position, u64)>, ScanReport) {
        let directory = Directory::new(folder);
        let segments = read_segments(&directory).unwrap();
        let mut all = Vec::new();
        let report = scan(
            &directory,
            &segments,
            options,
            |_| Sequences(Vec::new()),
            |scan| {
                all.extend(scan.output);
                ControlFlow::Continue(())
            },
        );
        (all, report.unwrap())
    }

    #[test]
    fn a_parallel_scan_gives_every_event_in_order_with_and_without_io_uring() {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), true);
        let expected: Vec<_> = epochs.events.iter().map(|event| (event.0, event.2.0)).collect();
        for plain in [false, true] {
            for threads in [1, 3] {
                let seen = AtomicU64::new(0);
                let progress = |done: u64, total: u64| {
                    assert!(done <= total);
                    seen.fetch_max(done, Ordering::Relaxed);
                };
                let options =
                    ScanOptions { threads, plain, progress: Some(&progress), ..ScanOptions::default() };
                let (all, report) = collect(folder.path(), &options);
                assert_eq!(all, expected);
                assert_eq!(seen.load(Ordering::Relaxed), report.bytes);
                let is_plain = plain || UringRead.reader().is_err();
                assert_eq!(report.method, if is_plain { PLAIN } else { "io_uring" }, "{report:?}");
            }
        }
    }

    /// A method whose reader passes on this many bytes of a file before the file system refuses.
    struct Unsupported(usize);

    impl ReadMethod for Unsupported {
        fn name(&self) -> &'static str {
            "unsupported"
        }

        fn reader(&self) -> io::Result<Box<dyn BulkReader>> {
            Ok(Box::new(Self(self.0)))
        }
    }

    impl BulkReader for Unsupported {
        fn read(&mut self, path: &std::path::Path, on_bytes: &mut dyn FnMut(&[u8])) -> io::Result<()> {
            on_bytes(&std::fs::read(path)?[..self.0]);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn a_file_that_the_method_cannot_read_on_is_read_on_without_it() {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), true);
        let expected: Vec<_> = epochs.events.iter().map(|event| (event.0, event.2.0)).collect();
        for given in [0, 1, 4_096, 9_000] {
            let method = Unsupported(given);
            let options = ScanOptions { method: Some(&method), threads: 2, ..ScanOptions::default() };
            assert_eq!(collect(folder.path(), &options).0, expected, "{given}");
        }
    }

    /// A method that no machine allows.
    struct Forbidden;

    impl ReadMethod for Forbidden {
        fn name(&self) -> &'static str {
            "forbidden"
        }

        fn reader(&self) -> io::Result<Box<dyn BulkReader>> {
            Err(io::Error::other("it is forbidden"))
        }
    }

    #[test]
    fn a_method_that_the_machine_refuses_is_reported_and_the_next_one_reads() {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), true);
        let options = ScanOptions { method: Some(&Forbidden), threads: 2, ..ScanOptions::default() };
        let (all, report) = collect(folder.path(), &options);
        assert_eq!(all.len(), epochs.events.len());
        assert_eq!(report.refusals[0], "forbidden: it is forbidden");
        assert_ne!(report.method, "forbidden");
    }

    #[test]
    fn frames_cut_anywhere_between_two_pieces_are_put_together() {
        let epochs = trail();
        let (header, data) = &epochs.segments[0];
        let segment = Segment { header: *header, file_length: 4096 + data.len() as u64 };
        let mut bytes = zerocopy::IntoBytes::as_bytes(&header.to_block()).to_vec();
        bytes.extend_from_slice(data);
        let whole = {
            let mut scanner = Scanner::new(&segment, Sequences(Vec::new()));
            scanner.feed(&bytes);
            scanner.finish(segment)
        };
        assert!(whole.events > 100 && whole.fault.is_none());
        for piece in [1, 7, 31, 33, 64, 500, 4095, 4097] {
            let mut scanner = Scanner::new(&segment, Sequences(Vec::new()));
            bytes.chunks(piece).for_each(|part| scanner.feed(part));
            let scan = scanner.finish(segment);
            assert_eq!((scan.output, scan.data_crc), (whole.output.clone(), whole.data_crc), "{piece}");
            assert_eq!((scan.end, scan.fault), (whole.end, None));
        }
    }

    #[test]
    fn a_fault_ends_its_segment_and_breaking_off_ends_the_scan() {
        let epochs = trail();
        let folder = tempfile::tempdir().unwrap();
        epochs.write(folder.path(), true);
        let path = folder.path().join("0000000002.stele");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100_000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let directory = Directory::new(folder.path());
        let segments = read_segments(&directory).unwrap();
        let mut order = Vec::new();
        scan(
            &directory,
            &segments,
            &ScanOptions::default(),
            |_| Sequences(Vec::new()),
            |scan| {
                order.push((scan.segment.header.index, scan.fault.is_some()));
                if scan.fault.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        )
        .unwrap();
        assert_eq!(order, [(1, false), (2, true)]);
    }
}
