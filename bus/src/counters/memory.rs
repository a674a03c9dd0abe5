//! The memory that counters live in: anonymous, or a file that others map read-only.
#![allow(unsafe_code)]

use crate::bounds::PAGE_LENGTH;
use crate::sync::{AtomicU64, Ordering};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;
use std::{io, slice};

/// Words that any thread, and any process that maps the file, may load. Only whoever made them stores.
#[derive(Debug)]
pub(crate) struct Words {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping is memory and belongs to no thread; it is handed out as atomics only.
unsafe impl Send for Words {}
// SAFETY: as for `Send`.
unsafe impl Sync for Words {}

impl Words {
    /// `length` bytes of memory that is this process's alone, zero, touched, locked if allowed.
    pub(crate) fn anonymous(length: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses the address, so that no memory in use is replaced.
        let start = unsafe {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(std::ptr::null_mut(), length, access, MapFlags::PRIVATE)
        }?;
        Ok(Self::new(start.cast(), length).touched())
    }

    /// A new file of `length` bytes, zero, touched, locked if allowed, that `fill` completes before anybody can find
    /// it at `path`. What was there is replaced; who has it mapped keeps it.
    pub(crate) fn create(path: &Path, length: usize, fill: impl FnOnce(&Self)) -> io::Result<Self> {
        let unfinished = path.with_extension("new");
        let _ = fs::remove_file(&unfinished);
        let mode = 0o644;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&unfinished)?;
        file.set_len(length as u64)?;
        let words = Self::of(&file, length, ProtFlags::READ | ProtFlags::WRITE)?.touched();
        fill(&words);
        fs::rename(&unfinished, path)?;
        Ok(words)
    }

    /// The file at `path`, read-only, as long as it is now.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len() as usize;
        if length == 0 || !length.is_multiple_of(PAGE_LENGTH) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{length} bytes are no file of counters"),
            ));
        }
        Self::of(&file, length, ProtFlags::READ)
    }

    fn of(file: &File, length: usize, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: the kernel chooses the address, so that no memory in use is replaced.
        let start = unsafe { mmap(std::ptr::null_mut(), length, access, MapFlags::SHARED, file, 0) }?;
        Ok(Self::new(start.cast(), length))
    }

    fn new(start: *mut u8, length: usize) -> Self {
        assert!(length > 0 && length.is_multiple_of(PAGE_LENGTH), "counters of {length} bytes");
        Self { start: NonNull::new(start).expect("the kernel maps nothing at address 0"), length }
    }

    /// Stores to each page and locks them all if allowed. Before the memory is anybody else's.
    fn touched(self) -> Self {
        let start = self.start.as_ptr().cast();
        // SAFETY: the range is this mapping's. A refusal is no harm: a child gets a copy, or the file's pages.
        let _ = unsafe { madvise(start, self.length, Advice::LinuxDontFork) };
        self.words().chunks(PAGE_LENGTH / 8).for_each(|page| page[0].store(0, Ordering::Relaxed));
        // SAFETY: the range is this mapping's; locking changes no byte. A refusal costs a page fault at worst.
        let _ = unsafe { mlock(start, self.length) };
        self
    }

    /// All of them. Storing to those of [`Words::open`] is a fault: [`super::CounterReader`] only loads.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned and `length` bytes long, a multiple of 8, mapped until `drop`, which
        // `&self` outlives; every bit pattern is an `AtomicU64`. A file that somebody cuts meanwhile ends this
        // process by SIGBUS, and no memory is read that is not the mapping's.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length / 8) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the range is the one that was mapped, and every borrow of it ended before `drop`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
