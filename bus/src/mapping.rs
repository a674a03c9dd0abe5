//! Memory outside the heap that is mapped, touched and locked before any hot thread starts: anonymous, or an
//! unnamed file (memfd) whose descriptor other processes get and map.
//!
//! The length of such a file is sealed: no process can shrink it, so that a load never ends in SIGBUS. The
//! file of a ring or of counters is also sealed against every write except through the mapping of its owner.
#![allow(unsafe_code)]

use crate::bounds::PAGE_LENGTH;
use crate::sync::AtomicU64;
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate,
    memfd_create,
};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap};
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::{io, slice};

/// A mapping of zeroed memory, accessed as words that any thread may load and store.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    locked: bool,
    /// The file that is mapped, in the process that created it.
    descriptor: Option<OwnedFd>,
}

// SAFETY: a mapping is memory and belongs to no thread; `words` gives access to it as atomics only, and
// `bytes` is unsafe: its caller proves that no thread stores meanwhile.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

/// What a process may do with shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Load only. A store would kill the process, so nothing that uses such a mapping stores.
    Read,
    /// Load and store.
    Write,
}

impl Access {
    /// What no process can do with the file once it is mapped by its creator, if this is what others may do
    /// with it.
    fn seals(self) -> SealFlags {
        let fixed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        match self {
            Self::Read => fixed | SealFlags::FUTURE_WRITE,
            Self::Write => fixed,
        }
    }
}

impl Mapping {
    /// Maps `length` bytes, a multiple of [`PAGE_LENGTH`], touches each page and locks them all if allowed.
    /// With `huge_pages` the kernel is asked for transparent huge pages first; it may decline.
    pub(crate) fn anonymous(length: usize, huge_pages: bool) -> io::Result<Self> {
        assert!(length > 0 && length.is_multiple_of(PAGE_LENGTH), "mapping of {length} bytes");
        Self::over(pages::map(length)?, length).prepared(huge_pages)
    }

    /// Creates shared memory of `length` bytes and maps it as [`Mapping::anonymous`] maps memory; `access` is
    /// what others may do with it. The kernel shows `name` in /proc/PID/maps. All of the memory is allocated
    /// before this returns, so that too little memory is an error now and does not end the process later.
    pub(crate) fn shared(name: &str, length: usize, huge_pages: bool, access: Access) -> io::Result<Self> {
        assert!(length > 0 && length.is_multiple_of(PAGE_LENGTH), "mapping of {length} bytes");
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
            // Kernels before 6.3 do not know the flag.
            Err(Errno::INVAL) => memfd_create(name, flags),
            made => made,
        }?;
        ftruncate(&file, length as u64)?;
        fallocate(&file, FallocateFlags::empty(), 0, length as u64)?;
        let mut mapping = Self::of_file(file.as_fd(), length, Access::Write)?.prepared(huge_pages)?;
        fcntl_add_seals(&file, access.seals())?;
        mapping.descriptor = Some(file);
        Ok(mapping)
    }

    /// Maps memory that another process created with [`Mapping::shared`]. Memory whose length may change is
    /// refused.
    pub(crate) fn attach(file: BorrowedFd<'_>, access: Access) -> io::Result<Self> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let seals = fcntl_get_seals(file).map_err(|_| invalid("it cannot be sealed".into()))?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(invalid("its length is not sealed".into()));
        }
        let length = usize::try_from(fstat(file)?.st_size).map_err(io::Error::other)?;
        if length == 0 || !length.is_multiple_of(PAGE_LENGTH) {
            return Err(invalid(format!("{length} bytes long, which is not a multiple of {PAGE_LENGTH}")));
        }
        Self::of_file(file, length, access)
    }

    fn of_file(file: BorrowedFd<'_>, length: usize, access: Access) -> io::Result<Self> {
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: the kernel chooses the address, so no memory in use is replaced. Other processes may store
        // to the file: everything in it is read as atomics.
        let start = unsafe { mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file, 0) }?;
        Ok(Self::over(start, length))
    }

    /// The file to hand to other processes; none for anonymous memory and in other processes.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(OwnedFd::as_fd)
    }

    fn over(start: *mut std::ffi::c_void, length: usize) -> Self {
        let start = NonNull::new(start.cast::<u8>()).expect("the kernel maps nothing at address 0");
        Self { start, length, locked: false, descriptor: None }
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

    /// The file to hand to other processes; none for anonymous memory and in other processes.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.mapping.descriptor()
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

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    const LENGTH: usize = 4 * PAGE_LENGTH;

    fn file(mapping: &Mapping) -> File {
        File::from(mapping.descriptor().unwrap().try_clone_to_owned().unwrap())
    }

    fn is_refused<T: std::fmt::Debug>(done: io::Result<T>) -> bool {
        done.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// A ring was a file that any process of the user could truncate, which ended the trading process with
    /// SIGBUS at its next load.
    #[test]
    fn memory_for_readers_cannot_be_shortened_lengthened_or_written_by_others() {
        let own = Mapping::shared("test", LENGTH, false, Access::Read).unwrap();
        own.words()[9].store(7, Ordering::Relaxed);
        let file = file(&own);
        let holes = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        assert!(is_refused(file.set_len(0)) && is_refused(file.set_len(2 * LENGTH as u64)));
        assert!(is_refused(file.write_all_at(b"x", 0)));
        assert!(is_refused(fallocate(&file, holes, 0, LENGTH as u64).map_err(io::Error::from)));
        assert!(is_refused(fcntl_add_seals(&file, SealFlags::WRITE).map_err(io::Error::from)));
        assert!(is_refused(Mapping::attach(file.as_fd(), Access::Write)));
        let other = Mapping::attach(file.as_fd(), Access::Read).unwrap();
        own.words()[9].store(8, Ordering::Relaxed);
        assert_eq!(other.words()[9].load(Ordering::Relaxed), 8, "the owner writes on, others see it");
    }

    #[test]
    fn memory_that_both_sides_write_has_a_fixed_length() {
        let own = Mapping::shared("test", LENGTH, false, Access::Write).unwrap();
        let file = file(&own);
        assert!(is_refused(file.set_len(0)) && is_refused(file.set_len(2 * LENGTH as u64)));
        let other = Mapping::attach(file.as_fd(), Access::Write).unwrap();
        other.words()[9].store(8, Ordering::Relaxed);
        assert_eq!(own.words()[9].load(Ordering::Relaxed), 8);
    }

    #[test]
    fn memory_whose_length_another_process_can_change_is_not_mapped() {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let open = memfd_create("test", flags).unwrap();
        ftruncate(&open, LENGTH as u64).unwrap();
        let refused = Mapping::attach(open.as_fd(), Access::Read).unwrap_err().to_string();
        assert_eq!(refused, "its length is not sealed");
        fcntl_add_seals(&open, SealFlags::SHRINK).unwrap();
        assert!(Mapping::attach(open.as_fd(), Access::Read).is_ok());
        let plain = tempfile();
        assert!(Mapping::attach(plain.as_fd(), Access::Read).is_err());
    }

    fn tempfile() -> File {
        let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::open(std::env::temp_dir(), flags, mode).unwrap().into()
    }
}
