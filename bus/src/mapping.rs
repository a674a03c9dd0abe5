//! Memory outside the heap that is mapped, touched and locked before any hot thread starts: anonymous, or a
//! file that other processes map.
#![allow(unsafe_code)]

use crate::bounds::PAGE_LENGTH;
use crate::sync::AtomicU64;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap};
use std::fs::{File, OpenOptions};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr::NonNull;
use std::{fs, io, slice};

/// A mapping of zeroed memory, accessed as words that any thread may load and store.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    locked: bool,
}

// SAFETY: a mapping is memory and belongs to no thread; `words` gives access to it as atomics only, and
// `bytes` is unsafe: its caller proves that no thread stores meanwhile.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

/// What a process may do with a mapped file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Load only. A store would kill the process, so nothing that uses such a mapping stores.
    Read,
    /// Load and store.
    Write,
}

impl Mapping {
    /// Maps `length` bytes, a multiple of [`PAGE_LENGTH`], touches each page and locks them all if allowed.
    /// With `huge_pages` the kernel is asked for transparent huge pages first; it may decline.
    pub(crate) fn anonymous(length: usize, huge_pages: bool) -> io::Result<Self> {
        assert!(length > 0 && length.is_multiple_of(PAGE_LENGTH), "mapping of {length} bytes");
        Self::over(pages::map(length)?, length).prepared(huge_pages)
    }

    /// Creates the file `path` of `length` bytes, accessible only to the user of this process, and maps it as
    /// [`Mapping::anonymous`] maps memory. The file's memory is allocated before this returns, so that too
    /// little memory is an error now and not a SIGBUS later.
    pub(crate) fn create(path: &Path, length: usize, huge_pages: bool) -> io::Result<Self> {
        assert!(length > 0 && length.is_multiple_of(PAGE_LENGTH), "mapping of {length} bytes");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let made = fallocate(&file, FallocateFlags::empty(), 0, length as u64)
            .map_err(io::Error::from)
            .and_then(|()| Self::of_file(&file, length, Access::Write)?.prepared(huge_pages));
        if made.is_err() {
            let _ = fs::remove_file(path);
        }
        made
    }

    /// Maps the whole file that another process created with [`Mapping::create`].
    pub(crate) fn open(path: &Path, access: Access) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(path)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if length == 0 || !length.is_multiple_of(PAGE_LENGTH) {
            let what = format!("{length} bytes long, which is not a multiple of {PAGE_LENGTH}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Self::of_file(&file, length, access)
    }

    fn of_file(file: &File, length: usize, access: Access) -> io::Result<Self> {
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: the kernel chooses the address, so no memory in use is replaced. Other processes may store
        // to the file: everything in it is read as atomics.
        let start = unsafe { mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file, 0) }?;
        Ok(Self::over(start, length))
    }

    fn over(start: *mut std::ffi::c_void, length: usize) -> Self {
        let start = NonNull::new(start.cast::<u8>()).expect("the kernel maps nothing at address 0");
        Self { start, length, locked: false }
    }

    /// Touches each page and locks them all if allowed.
    fn prepared(mut self, huge_pages: bool) -> io::Result<Self> {
        if cfg!(miri) {
            return Ok(self);
        }
        let (start, length) = (self.start.as_ptr().cast(), self.length);
        // SAFETY: the range is the mapping. A child process must not share pages that a device reads.
        unsafe { madvise(start, length, Advice::LinuxDontFork) }?;
        if huge_pages {
            // SAFETY: the range is the mapping. A refusal only costs speed.
            let _ = unsafe { madvise(start, length, Advice::LinuxHugepage) };
        }
        for page in self.words().chunks(PAGE_LENGTH / 8) {
            page[0].store(0, crate::sync::Ordering::Relaxed);
        }
        // SAFETY: the range is the mapping; locking changes no byte.
        self.locked = unsafe { mlock(start, length) }.is_ok();
        Ok(self)
    }

    /// Bytes mapped.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Whether every page is locked in memory.
    pub(crate) fn locked(&self) -> bool {
        self.locked
    }

    /// The mapping as words.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned and `length` bytes long, a multiple of 8, mapped until `drop`,
        // which `&self` outlives; every bit pattern is an `AtomicU64`.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length / 8) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the one that was mapped, and every borrow of it ended before `drop`.
        unsafe { pages::unmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Pages from the kernel.
#[cfg(not(miri))]
mod pages {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    use std::ffi::c_void;
    use std::io;

    pub(super) fn map(length: usize) -> io::Result<*mut c_void> {
        let (protection, flags) =
            (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: the kernel chooses the address, so that no memory in use is replaced.
        Ok(unsafe { mmap_anonymous(std::ptr::null_mut(), length, protection, flags) }?)
    }

    /// # Safety
    /// The range was mapped and is not used again.
    pub(super) unsafe fn unmap(start: *mut c_void, length: usize) {
        // SAFETY: the caller's promise.
        let unmapped = unsafe { munmap(start, length) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Pages from the heap, for Miri, which does not support mmap.
#[cfg(miri)]
mod pages {
    use super::PAGE_LENGTH;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ffi::c_void;
    use std::io;

    fn layout(length: usize) -> Layout {
        Layout::from_size_align(length, PAGE_LENGTH).expect("a mapping is of whole pages")
    }

    pub(super) fn map(length: usize) -> io::Result<*mut c_void> {
        // SAFETY: a mapping has at least one page.
        Ok(unsafe { alloc_zeroed(layout(length)) }.cast())
    }

    /// # Safety
    /// The range was mapped and is not used again.
    pub(super) unsafe fn unmap(start: *mut c_void, length: usize) {
        // SAFETY: `map` took it with the same layout; the rest is the caller's promise.
        unsafe { dealloc(start.cast(), layout(length)) }
    }
}

/// The shared header in the first bytes of a mapping.
///
/// # Safety
/// The type is `repr(C)` and consists only of `AtomicU64` and padding. Its size is a multiple of
/// [`PAGE_LENGTH`] and its alignment a divisor. So any bytes are a value of it, and sharing it with another
/// process is not a data race.
pub(crate) unsafe trait Board: Sync {}

/// A mapping that begins with a board, followed by words.
#[derive(Debug)]
pub(crate) struct Mapped<B> {
    mapping: Mapping,
    /// The first byte after the board.
    start: NonNull<u8>,
    /// The bytes after the board.
    length: usize,
    board: PhantomData<B>,
}

// SAFETY: as for `Mapping`, whose memory this is.
unsafe impl<B: Board> Send for Mapped<B> {}
// SAFETY: as for `Send`; a board is `Sync`.
unsafe impl<B: Board> Sync for Mapped<B> {}

impl<B: Board> Mapped<B> {
    /// The length of the board in bytes, a multiple of [`PAGE_LENGTH`].
    pub(crate) const BOARD_LENGTH: usize = {
        assert!(size_of::<B>().is_multiple_of(PAGE_LENGTH) && PAGE_LENGTH.is_multiple_of(align_of::<B>()));
        size_of::<B>()
    };

    /// None when the mapping is not longer than the board.
    pub(crate) fn new(mapping: Mapping) -> Option<Self> {
        let length = mapping.length().checked_sub(Self::BOARD_LENGTH).filter(|length| *length > 0)?;
        // SAFETY: the mapping is longer than the board.
        let start = unsafe { mapping.start.add(Self::BOARD_LENGTH) };
        Some(Self { mapping, start, length, board: PhantomData })
    }

    /// The board.
    #[inline]
    pub(crate) fn board(&self) -> &B {
        // SAFETY: `start` is a board's length after the beginning of the mapping, which is page-aligned and
        // mapped until `drop`, which `&self` outlives; the trait guarantees that any bytes are a board.
        unsafe { self.start.sub(Self::BOARD_LENGTH).cast::<B>().as_ref() }
    }

    /// Whether every page is locked in memory.
    pub(crate) fn locked(&self) -> bool {
        self.mapping.locked()
    }

    /// The address of the first byte after the board, page-aligned.
    pub(crate) fn start(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// The bytes after the board.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The words after the board.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned and followed by `length` bytes, a multiple of 8, mapped until
        // `drop`, which `&self` outlives; every bit pattern is an `AtomicU64`.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length / 8) }
    }

    /// The `length` bytes from `offset` on, in place.
    ///
    /// # Safety
    /// Until the borrow ends, no thread stores to a word that overlaps the range, and the stores of its
    /// content happened before this call (through an Acquire load, or on this thread).
    ///
    /// # Panics
    /// When the range is not within the mapping.
    #[inline]
    pub(crate) unsafe fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        assert!(offset <= self.length && length <= self.length - offset);
        // SAFETY: the range is inside the mapping by the assertion above. Atomic loads by other threads are
        // reads and may happen during this borrow; the caller excludes stores.
        unsafe { slice::from_raw_parts(self.start.as_ptr().add(offset), length) }
    }
}
