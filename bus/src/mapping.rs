//! Memory of our own outside the heap: mapped, touched and locked before anything hot begins.

use crate::bounds::PAGE_LENGTH;
use crate::sync::AtomicU64;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use std::ptr::NonNull;
use std::{io, slice};

/// A private anonymous mapping, zero at first, seen as words that any thread may load and store.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    locked: bool,
}

// SAFETY: a mapping is memory and belongs to no thread; `words` hands it out as atomics only, and `bytes` is
// unsafe and makes its caller prove that nobody stores meanwhile.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes, a multiple of [`PAGE_LENGTH`], touches each page and locks them all if allowed.
    /// With `huge_pages` the kernel is asked for transparent huge pages first; it may decline.
    pub(crate) fn anonymous(length: usize, huge_pages: bool) -> io::Result<Self> {
        assert!(length > 0 && length.is_multiple_of(PAGE_LENGTH), "mapping of {length} bytes");
        // SAFETY: the kernel chooses the address, so that no memory in use is replaced.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let start = NonNull::new(start.cast::<u8>()).expect("the kernel maps nothing at address 0");
        let mut mapping = Self { start, length, locked: false };
        // SAFETY: the range is the mapping made above. A child process must not share pages that a device reads.
        unsafe { madvise(start.as_ptr().cast(), length, Advice::LinuxDontFork) }?;
        if huge_pages {
            // SAFETY: the range is the mapping made above. A refusal costs speed alone.
            let _ = unsafe { madvise(start.as_ptr().cast(), length, Advice::LinuxHugepage) };
        }
        for page in mapping.words().chunks(PAGE_LENGTH / 8) {
            page[0].store(0, crate::sync::Ordering::Relaxed);
        }
        // SAFETY: the range is the mapping made above; locking changes no byte.
        mapping.locked = unsafe { mlock(start.as_ptr().cast(), length) }.is_ok();
        Ok(mapping)
    }

    /// Bytes mapped.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Whether every page is locked in memory.
    pub(crate) fn locked(&self) -> bool {
        self.locked
    }

    /// The first byte, page-aligned.
    pub(crate) fn start(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// The mapping as words.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned and `length` bytes long, a multiple of 8, mapped until `drop`, which
        // `&self` outlives; every bit pattern is an `AtomicU64`.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length / 8) }
    }

    /// `length` bytes from `offset` on, in place.
    ///
    /// # Safety
    /// Until the borrow ends no thread stores to a word that overlaps the range, and the stores of what it
    /// holds happened before this call (through an Acquire load, or by being this thread's own).
    ///
    /// # Panics
    /// When the range leaves the mapping.
    #[inline]
    pub(crate) unsafe fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        assert!(offset <= self.length && length <= self.length - offset);
        // SAFETY: the range is inside the mapping by the assertion above. Atomic loads by other threads are
        // reads and may go on beside this borrow; the caller excludes stores.
        unsafe { slice::from_raw_parts(self.start.as_ptr().add(offset), length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the one `anonymous` mapped, and every borrow of it ended before `drop`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
