//! Global allocators for tests: one counts the calls of each thread, one limits the memory of the process.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static RELEASES: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the calls of each thread: tests of one binary do not disturb one
/// another.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: stele_testkit::Counting = stele_testkit::Counting;
/// ```
#[derive(Debug)]
pub struct Counting;

/// How often this thread has taken memory, from the beginning of the thread; growing a buffer counts.
///
/// Stays at zero where [`Counting`] is not the global allocator.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// How often this thread has called the allocator, to take memory or to give it back.
///
/// Stays at zero where [`Counting`] is not the global allocator.
pub fn allocator_calls() -> u64 {
    ALLOCATIONS.get() + RELEASES.get()
}

// SAFETY: every call goes to the system's allocator with the arguments it came with; the counters are
// thread-local cells with a constant initial value and no destructor, so that touching them allocates
// nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the system's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        RELEASES.set(RELEASES.get() + 1);
        // SAFETY: `pointer` came from this allocator, so from the system.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: `pointer` came from this allocator, so from the system.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The system's allocator with a limit: an allocation that would bring the process above `MAX` live bytes
/// fails, which ends the process.
#[derive(Debug)]
pub struct Bounded<const MAX: usize> {
    live: AtomicUsize,
}

impl<const MAX: usize> Bounded<MAX> {
    /// An allocator with nothing allocated.
    pub const fn new() -> Self {
        Self { live: AtomicUsize::new(0) }
    }
}

impl<const MAX: usize> Default for Bounded<MAX> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every call goes to the system's allocator with the arguments it came with, or fails, which the
// contract of `alloc` allows; the counter is an atomic and allocates nothing.
unsafe impl<const MAX: usize> GlobalAlloc for Bounded<MAX> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = self.live.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        if live > MAX {
            self.live.fetch_sub(layout.size(), Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.live.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` came from this allocator, so from the system.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn each_thread_counts_its_own_calls() {
        let before = (allocations(), allocator_calls());
        drop(std::hint::black_box(Box::new(1_u64)));
        assert_eq!((allocations() - before.0, allocator_calls() - before.1), (1, 2));
        let (from, to) = std::thread::spawn(|| {
            let from = allocations();
            let mut grown: Vec<u64> = Vec::with_capacity(1);
            grown.extend([1, 2, 3, 4]);
            std::hint::black_box(&grown);
            (from, allocations())
        })
        .join()
        .unwrap();
        assert_eq!(to - from, 2, "growing counts");
    }

    #[test]
    fn an_allocation_above_the_limit_fails_and_what_is_released_can_be_taken_again() {
        let bounded = Bounded::<100>::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the layouts are not empty, and each pointer is released once, with the layout it was
        // taken with.
        unsafe {
            let first = bounded.alloc(layout(80));
            assert!(!first.is_null() && bounded.alloc(layout(24)).is_null());
            bounded.dealloc(first, layout(80));
            let second = bounded.alloc(layout(96));
            assert!(!second.is_null());
            bounded.dealloc(second, layout(96));
        }
    }
}
