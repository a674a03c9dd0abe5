//! The pool: a background thread that keeps the next segments prepared, so that rolling costs one write.
//!
//! A segment is created under a name of its own, filled with zeros, flushed, renamed to the name it will have as
//! a segment, and the directory flushed, all before the journal can take it. Its header block is zeros until the
//! roll, which is what tells a segment that was never used.
//!
//! Zeros must be written: in a file that is merely allocated the first write of each block changes the file system's
//! own books, which costs the journal 3–8 µs at the median and milliseconds in the tail. Writing them takes the disk
//! and a CPU from the journal, so the thread writes in pieces behind which a write of the journal does not wait long,
//! and rests after each piece as long as the piece took, while a segment is ready. When none is, it
//! goes as fast as it can. If the journal is faster still, it waits ([`crate::JournalStatistics::waits_for_segment`]),
//! the ring fills, and publishers are held back: nothing fails. A segment is never used twice, although its file is
//! there and full of blocks: recovery tells a segment's own bytes from those of an earlier life by their checksums'
//! seed, which is the epoch's, so that old bytes of the same epoch would pass for new ones.

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

/// How often the thread looks whether a segment was taken.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long it rests between two pieces of a closed segment's index.
const INDEX_REST: Duration = Duration::from_millis(1);
/// How often it looks whether the segments of this run are still there.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// A segment file that is prepared and open.
#[derive(Debug)]
pub struct Spare<F> {
    /// The index that its name says.
    pub index: u64,
    /// The file.
    pub file: F,
}

/// Where the journal gets its next segment from.
pub trait Spares<F>: Send {
    /// The next segment, in the order of the indexes; none while it is not ready. Never waits.
    ///
    /// # Errors
    /// Why there will be none.
    fn take(&mut self) -> Option<io::Result<Spare<F>>>;

    /// Why a segment that was handed out cannot be found again, as far as somebody looked.
    fn lost(&mut self) -> Option<io::Error> {
        None
    }

    /// Takes back a full segment that nothing writes to any more, to be made read-only and closed.
    fn retire(&mut self, file: F);

    /// Ends the pool and removes what was not used. May wait.
    ///
    /// # Errors
    /// What the medium says.
    fn stop(&mut self) -> io::Result<()>;

    /// How much room there is for more segments; none where that is not known.
    fn space(&self) -> Option<Arc<SpaceWatch>> {
        None
    }
}

/// What a pool prepares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolOptions {
    /// Whether files bypass the page cache.
    pub direct: bool,
    /// Data bytes of a segment.
    pub segment_length: u64,
    /// Segments that are kept ready.
    pub count: usize,
    /// Index of the first one.
    pub next: u64,
    /// CPUs that the thread keeps to; any where none is named.
    pub cpus: Vec<usize>,
    /// Free bytes below which it warns.
    pub free_space_warning: u64,
}

/// How segment files on this medium are to be opened and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Medium {
    /// Whether files bypass the page cache.
    pub direct: bool,
    /// Bytes that the device writes as a whole.
    pub block_length: u32,
}

/// The pool over a directory.
pub struct FilePool {
    ready: rtrb::Consumer<io::Result<Spare<File>>>,
    retired: rtrb::Producer<File>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    directory: Directory,
    /// The first segment that it prepared.
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
    ready: rtrb::Producer<io::Result<Spare<File>>>,
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
    /// Why there will be none.
    pub fn wait(&mut self) -> io::Result<Spare<File>> {
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

impl Spares<File> for FilePool {
    fn take(&mut self) -> Option<io::Result<Spare<File>>> {
        self.ready.pop().ok()
    }

    fn lost(&mut self) -> Option<io::Error> {
        self.lost.get().map(|why| io::Error::new(io::ErrorKind::NotFound, why.as_str()))
    }

    fn retire(&mut self, file: File) {
        // A full queue leaves the file writable; recovery and readers do not mind.
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
        // Elsewhere it does its work as well; only the threads that it meets there are worse off.
        let _ = stele_bus::set_affinity(&self.options.cpus);
        let mut failed = false;
        let first = self.next;
        let (mut indexer, mut retired) = (Indexer::for_trail(&self.directory, 0..first), first);
        while !self.stopping.load(Ordering::Acquire) {
            while let Ok(file) = self.retired.pop() {
                // A segment that stays writable is no harm to what is in it.
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

    /// Looks, now and then, whether the newest segments from `first` on are where they were put. A file that was
    /// removed takes what is written to it along when the journal closes it.
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

    /// Prepares the next segment; none when it was told to stop meanwhile.
    fn prepare(&mut self) -> io::Result<Option<Spare<File>>> {
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
        Ok(Some(Spare { index, file }))
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

impl Medium {
    /// Finds out how files in `directory` can be written: whether past the page cache, and in which blocks.
    ///
    /// # Errors
    /// What the file system says when it lets no file be written at all.
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
        if let Some(block_length) = told_by_statx(&file) {
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

/// The alignment that direct I/O on the file needs, where the kernel tells it.
fn told_by_statx(file: &File) -> Option<u32> {
    let flags = rustix::fs::AtFlags::EMPTY_PATH;
    let stat = rustix::fs::statx(file, "", flags, StatxFlags::DIOALIGN).ok()?;
    let told = stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
    let fits = (512..=4096).contains(&stat.stx_dio_offset_align) && stat.stx_dio_mem_align <= 4096;
    (told && fits).then_some(stat.stx_dio_offset_align)
}

/// Removes what a pool that was killed left unfinished.
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

    /// A file system that has this much less free at each look.
    struct Shrinking(std::cell::Cell<u64>, u64);

    impl FreeSpace for Shrinking {
        fn free(&self) -> io::Result<u64> {
            self.0.set(self.0.get().saturating_sub(self.1));
            Ok(self.0.get())
        }
    }

    #[test]
    fn a_file_system_that_fills_up_is_told_of_when_it_gets_low_and_when_it_gets_critical() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let shrinking = Shrinking(std::cell::Cell::new(12 << 20), 2 << 20);
        let options = PoolOptions { count: 1, free_space_warning: 5 << 20, ..options(false, 1) };
        let mut pool = FilePool::start_with(&directory, options, Box::new(shrinking)).unwrap();
        let space = pool.space().unwrap();
        let mut told = Vec::new();
        for _ in 0..8 {
            let spare = pool.wait().unwrap();
            told.push((space.level(), space.warnings()));
            pool.retire(spare.file);
        }
        assert!(told.is_sorted(), "{told:?}");
        assert_eq!(told[0], (SpaceLevel::Ample, 0), "{told:?}");
        assert!(told.contains(&(SpaceLevel::Low, 1)), "{told:?}");
        assert_eq!(told[7], (SpaceLevel::Critical, 2), "{told:?}");
    }

    #[test]
    fn segments_are_ready_zeroed_in_order_and_gone_when_unused() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let medium = Medium::probe(&directory, true).unwrap();
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
