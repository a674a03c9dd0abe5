//! The pool: a background thread that keeps the next segments prepared, so that rolling to one costs a single
//! write.
//!
//! A segment is created under a temporary name, filled with zeros and flushed; then it is renamed to its
//! final name and the directory is flushed. Only then can the journal take it. Its header block stays zeros
//! until the roll, which marks a segment that was never used.
//!
//! The zeros must be written: in a file that is merely allocated, the first write of each block changes the
//! metadata of the file system, which costs the journal 3–8 µs at the median and milliseconds in the tail.
//! Writing zeros takes time of the disk and of a CPU from the journal. So the thread writes in small pieces,
//! which delay a write of the journal only briefly, and while a segment is ready it rests after each piece as
//! long as the piece took. When none is ready, it does not rest. If the journal is faster still, the journal
//! waits ([`crate::JournalStatistics::waits_for_segment`]), the ring fills, and publishers are slowed down;
//! nothing fails.
//!
//! A file is never used twice, although it exists and is full of blocks: recovery distinguishes a segment's
//! own bytes from older ones by the seed of their checksums, which is the epoch's, so older bytes of the same
//! epoch would pass for new ones.

use crate::bounds::{
    HEADER_BLOCK_LENGTH, PAGE_LENGTH, SEGMENTS_WATCHED_MAX, SPARE_SEGMENTS_MAX, ZEROING_LENGTH,
};
use crate::directory::Directory;
use crate::format::{UNFINISHED_EXTENSION, segment_name};
use crate::index::Indexer;
use crate::pages::Pages;
use crate::space::{FreeSpace, SpaceWatch};
use crate::storage::Storage;
use rustix::fs::{FallocateFlags, Mode, OFlags, StatxFlags};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the thread checks whether a segment was taken.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long it rests between two pieces of a closed segment's index.
const INDEX_REST: Duration = Duration::from_millis(1);
/// How often it checks whether the segments of this run still exist.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// A prepared segment file, open for writing.
#[derive(Debug)]
pub struct SpareSegment<F> {
    /// The index in its name.
    pub index: u64,
    /// The file.
    pub file: F,
}

/// Provides the journal's next segments.
pub trait SegmentPool<F>: Send {
    /// Returns the next segment, in the order of the indexes; `None` while it is not ready. Never waits.
    ///
    /// # Errors
    /// Why no further segment will come.
    fn take(&mut self) -> Option<io::Result<SpareSegment<F>>>;

    /// Returns why a segment that was taken has been lost, as far as this is checked.
    fn lost(&mut self) -> Option<io::Error> {
        None
    }

    /// Returns a full segment, to which nothing writes any more, to the pool, which makes it read-only and
    /// closes it.
    fn retire(&mut self, file: F);

    /// Stops the pool and removes unused segments. May wait.
    ///
    /// # Errors
    /// The error of the medium.
    fn stop(&mut self) -> io::Result<()>;

    /// Returns the watch over the free space; `None` where that is not known.
    fn space(&self) -> Option<Arc<SpaceWatch>> {
        None
    }
}

/// The options of a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolOptions {
    /// Whether files bypass the page cache.
    pub direct: bool,
    /// Data bytes of a segment.
    pub segment_length: u64,
    /// The number of segments that are kept ready.
    pub count: usize,
    /// Index of the first segment.
    pub next: u64,
    /// The CPUs that the thread may run on; empty for any.
    pub cpus: Vec<usize>,
    /// Free bytes below which the pool warns.
    pub free_space_warning: u64,
}

/// How segment files on a medium must be opened and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediumProperties {
    /// Whether files bypass the page cache.
    pub direct: bool,
    /// Bytes that the device writes atomically.
    pub block_length: u32,
}

/// The pool over a directory.
pub struct FilePool {
    ready: rtrb::Consumer<io::Result<SpareSegment<File>>>,
    retired: rtrb::Producer<File>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    directory: Directory,
    /// The index of the first segment that it prepared.
    first: u64,
    space: Arc<SpaceWatch>,
    lost: Arc<OnceLock<String>>,
}

struct Worker {
    directory: Directory,
    options: PoolOptions,
    next: u64,
    free_space: Box<dyn FreeSpace>,
    space: Arc<SpaceWatch>,
    ready: rtrb::Producer<io::Result<SpareSegment<File>>>,
    retired: rtrb::Consumer<File>,
    stopping: Arc<AtomicBool>,
    watched: Instant,
    lost: Arc<OnceLock<String>>,
}

impl FilePool {
    /// Starts the thread, which prepares segments in `directory`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(directory: &Directory, options: PoolOptions) -> io::Result<Self> {
        Self::start_with(directory, options, Box::new(directory.clone()))
    }

    fn start_with(
        directory: &Directory,
        options: PoolOptions,
        free_space: Box<dyn FreeSpace>,
    ) -> io::Result<Self> {
        let (ready_in, ready) = rtrb::RingBuffer::new(options.count.clamp(1, SPARE_SEGMENTS_MAX));
        let (retired, retired_out) = rtrb::RingBuffer::new(SPARE_SEGMENTS_MAX);
        let stopping = Arc::new(AtomicBool::new(false));
        let space = Arc::new(SpaceWatch::new(options.segment_length, options.free_space_warning));
        let (first, lost) = (options.next, Arc::<OnceLock<String>>::default());
        let worker = Worker {
            directory: directory.clone(),
            options,
            next: first,
            free_space,
            space: space.clone(),
            ready: ready_in,
            retired: retired_out,
            stopping: stopping.clone(),
            watched: Instant::now(),
            lost: lost.clone(),
        };
        let thread = std::thread::Builder::new().name("journal-pool".into()).spawn(|| worker.run())?;
        Ok(Self {
            ready,
            retired,
            stopping,
            thread: Some(thread),
            directory: directory.clone(),
            first,
            space,
            lost,
        })
    }

    /// Waits for the next segment.
    ///
    /// # Errors
    /// Why no further segment will come.
    pub fn wait(&mut self) -> io::Result<SpareSegment<File>> {
        loop {
            if let Some(spare) = self.take() {
                return spare;
            }
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(io::Error::other("the thread that prepares segments has ended"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl SegmentPool<File> for FilePool {
    fn take(&mut self) -> Option<io::Result<SpareSegment<File>>> {
        self.ready.pop().ok()
    }

    fn lost(&mut self) -> Option<io::Error> {
        self.lost.get().map(|why| io::Error::new(io::ErrorKind::NotFound, why.as_str()))
    }

    fn retire(&mut self, file: File) {
        // If the queue is full, the file stays writable, which recovery and readers accept.
        let _ = self.retired.push(file);
    }

    fn stop(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.stopping.store(true, Ordering::Release);
        thread.thread().unpark();
        let _ = thread.join();
        let mut removed = false;
        while let Ok(spare) = self.ready.pop() {
            if let Ok(spare) = spare {
                std::fs::remove_file(self.directory.root().join(segment_name(spare.index)))?;
                removed = true;
            }
        }
        let synced = if removed { self.directory.sync() } else { Ok(()) };
        Indexer::for_trail(&self.directory, self.first..u64::MAX).finish(&self.directory);
        synced
    }

    fn space(&self) -> Option<Arc<SpaceWatch>> {
        Some(self.space.clone())
    }
}

impl Drop for FilePool {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

impl Worker {
    fn run(mut self) {
        // If it cannot be pinned, it works on another CPU and may take time from other threads.
        let _ = stele_bus::keep_to(&self.options.cpus);
        let mut failed = false;
        let first = self.next;
        let (mut indexer, mut retired) = (Indexer::for_trail(&self.directory, 0..first), first);
        while !self.stopping.load(Ordering::Acquire) {
            while let Ok(file) = self.retired.pop() {
                // A segment that stays writable is not damaged by it.
                let _ = file.set_permissions(Permissions::from_mode(0o400));
                indexer.add(retired);
                retired += 1;
            }
            self.watch(first);
            if failed || self.ready.is_full() {
                let indexed = indexer.do_work(&self.directory);
                std::thread::park_timeout(if indexed { INDEX_REST } else { LOOK_INTERVAL });
                continue;
            }
            let spare = self.prepare();
            failed = spare.is_err();
            if let Some(spare) = spare.transpose() {
                let _ = self.ready.push(spare);
            }
        }
        while let Ok(file) = self.retired.pop() {
            let _ = file.set_permissions(Permissions::from_mode(0o400));
        }
    }

    /// Checks from time to time whether the newest segments from `first` on still exist. What the journal
    /// writes to a removed file is lost when the journal closes it.
    fn watch(&mut self, first: u64) {
        if self.watched.elapsed() < WATCH_INTERVAL {
            return;
        }
        self.watched = Instant::now();
        for index in first.max(self.next.saturating_sub(SEGMENTS_WATCHED_MAX))..self.next {
            let path = self.directory.root().join(segment_name(index));
            if let Err(error) = std::fs::symlink_metadata(&path) {
                let _ = self.lost.set(format!("{}: {error}", path.display()));
            }
        }
    }

    /// Prepares the next segment; `None` when the pool was stopped meanwhile.
    fn prepare(&mut self) -> io::Result<Option<SpareSegment<File>>> {
        if let Ok(free) = self.free_space.free() {
            self.space.note(free);
        }
        let index = self.next;
        let name = segment_name(index);
        let path = self.directory.root().join(&name);
        let unfinished = path.with_extension(UNFINISHED_EXTENSION);
        let filled = self.fill(&unfinished);
        if !matches!(filled, Ok(Some(_))) {
            let _ = std::fs::remove_file(&unfinished);
        }
        let Some(file) = filled.map_err(|error| named(&error, &unfinished))? else { return Ok(None) };
        std::fs::rename(&unfinished, &path)
            .and_then(|()| self.directory.sync())
            .map_err(|e| named(&e, &path))?;
        self.next += 1;
        Ok(Some(SpareSegment { index, file }))
    }

    fn fill(&self, path: &Path) -> io::Result<Option<File>> {
        let file = create(path, self.options.direct)?;
        let length = HEADER_BLOCK_LENGTH as u64 + self.options.segment_length;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length) {
            Err(rustix::io::Errno::OPNOTSUPP) | Ok(()) => {}
            Err(errno) => return Err(errno.into()),
        }
        let zeros = Pages::zeroed(ZEROING_LENGTH);
        let mut offset = 0;
        while offset < length {
            if self.stopping.load(Ordering::Acquire) {
                return Ok(None);
            }
            let count = (length - offset).min(zeros.len() as u64);
            let start = Instant::now();
            file.write_all_at(&zeros[..count as usize], offset)?;
            offset += count;
            if self.ready.slots() < self.ready.buffer().capacity() {
                std::thread::sleep(start.elapsed());
            }
        }
        file.sync_all()?;
        Ok(Some(file))
    }
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

pub(crate) fn create(path: &Path, direct: bool) -> io::Result<File> {
    let flags = if direct { OFlags::DIRECT } else { OFlags::empty() };
    let flags = flags | OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?))
}

impl MediumProperties {
    /// Determines how files in `directory` can be written: whether past the page cache, and in which blocks.
    ///
    /// # Errors
    /// The error of the file system when no file can be written at all.
    pub fn probe(directory: &Directory, allow_direct: bool) -> io::Result<Self> {
        let path = directory.root().join(format!("probe.{UNFINISHED_EXTENSION}"));
        let result = Self::probe_with(&path, allow_direct);
        let _ = std::fs::remove_file(&path);
        result
    }

    fn probe_with(path: &Path, allow_direct: bool) -> io::Result<Self> {
        let buffered = Self { direct: false, block_length: PAGE_LENGTH as u32 };
        let file = match create(path, allow_direct) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                create(path, false)?;
                return Ok(buffered);
            }
            other => other?,
        };
        if !allow_direct {
            return Ok(buffered);
        }
        if let Some(block_length) = alignment_by_statx(&file) {
            return Ok(Self { direct: true, block_length });
        }
        let zeros = Pages::zeroed(PAGE_LENGTH);
        for block_length in [512, 1024, 2048, 4096u32] {
            match file.write_all_at(&zeros[..block_length as usize], u64::from(block_length)) {
                Ok(()) => return Ok(Self { direct: true, block_length }),
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(buffered)
    }
}

/// Returns the alignment that direct I/O on the file needs, if the kernel reports it.
fn alignment_by_statx(file: &File) -> Option<u32> {
    let flags = rustix::fs::AtFlags::EMPTY_PATH;
    let stat = rustix::fs::statx(file, "", flags, StatxFlags::DIOALIGN).ok()?;
    let is_known = stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
    let fits = (512..=4096).contains(&stat.stx_dio_offset_align) && stat.stx_dio_mem_align <= 4096;
    (is_known && fits).then_some(stat.stx_dio_offset_align)
}

/// Removes unfinished files that a killed pool left.
pub(crate) fn remove_unfinished(storage: &dyn Storage) -> io::Result<()> {
    for name in storage.list()? {
        if name.ends_with(&format!(".{UNFINISHED_EXTENSION}")) {
            storage.remove(&name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::HeaderState;
    use crate::space::SpaceLevel;
    use crate::trail::find_segments;

    fn options(direct: bool, next: u64) -> PoolOptions {
        PoolOptions {
            direct,
            segment_length: 1 << 20,
            count: 2,
            next,
            cpus: Vec::new(),
            free_space_warning: 0,
        }
    }

    /// A file system whose free space shrinks by this much at each query.
    struct Shrinking(std::cell::Cell<u64>, u64);

    impl FreeSpace for Shrinking {
        fn free(&self) -> io::Result<u64> {
            self.0.set(self.0.get().saturating_sub(self.1));
            Ok(self.0.get())
        }
    }

    #[test]
    fn a_file_system_that_fills_up_is_reported_when_space_is_low_and_when_it_is_critical() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let shrinking = Shrinking(std::cell::Cell::new(12 << 20), 2 << 20);
        let options = PoolOptions { count: 1, free_space_warning: 5 << 20, ..options(false, 1) };
        let mut pool = FilePool::start_with(&directory, options, Box::new(shrinking)).unwrap();
        let space = pool.space().unwrap();
        let mut notes = Vec::new();
        for _ in 0..8 {
            let spare = pool.wait().unwrap();
            notes.push((space.level(), space.warnings()));
            pool.retire(spare.file);
        }
        assert!(notes.is_sorted(), "{notes:?}");
        assert_eq!(notes[0], (SpaceLevel::Ample, 0), "{notes:?}");
        assert!(notes.contains(&(SpaceLevel::Low, 1)), "{notes:?}");
        assert_eq!(notes[7], (SpaceLevel::Critical, 2), "{notes:?}");
    }

    #[test]
    fn segments_are_ready_zeroed_in_order_and_gone_when_unused() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let medium = MediumProperties::probe(&directory, true).unwrap();
        let mut pool = FilePool::start(&directory, options(medium.direct, 7)).unwrap();
        let (first, second) = (pool.wait().unwrap(), pool.wait().unwrap());
        assert_eq!((first.index, second.index), (7, 8));
        assert!(pool.wait().unwrap().index == 9);
        for found in find_segments(&directory).unwrap() {
            assert_eq!((found.state, found.file_length), (HeaderState::Blank, 4096 + (1 << 20)));
        }
        pool.retire(first.file);
        pool.stop().unwrap();
        let left: Vec<u64> = find_segments(&directory).unwrap().iter().map(|found| found.index).collect();
        assert_eq!(left, [7, 8, 9], "only what was taken stays");
        let mode =
            |index| std::fs::metadata(folder.path().join(segment_name(index))).unwrap().permissions().mode();
        assert_eq!((mode(7) & 0o777, mode(8) & 0o777), (0o400, 0o600));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_pool_that_cannot_prepare_says_which_file() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path().join("gone"));
        let mut pool = FilePool::start(&directory, options(false, 1)).unwrap();
        let error = pool.wait().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("0000000001.new"), "{error}");
    }
}
