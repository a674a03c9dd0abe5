//! Global allocators for tests: one counts the calls of each thread, the other limits the memory of the
//! process.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static RELEASES: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator with a count of the calls of each thread, so that the tests of one binary do not
/// affect one another.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: stele_testkit::CountingAllocator = stele_testkit::CountingAllocator;
/// ```
#[derive(Debug)]
pub struct CountingAllocator;

/// Returns the number of this thread's allocations since it started; growing a buffer counts as one.
///
/// It is zero where [`CountingAllocator`] is not the global allocator.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Returns the number of this thread's calls of the allocator, to allocate or to release memory.
///
/// It is zero where [`CountingAllocator`] is not the global allocator.
pub fn allocator_calls() -> u64 {
    ALLOCATIONS.get() + RELEASES.get()
}

// SAFETY: every call is passed to the system's allocator with the same arguments. The counters are
// thread-local cells with a constant initial value and no destructor, so access to them does not allocate.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller obeys the contract of `alloc`, which is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller obeys the contract of `alloc_zeroed`, which is that of the system's allocator.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        RELEASES.set(RELEASES.get() + 1);
        // SAFETY: `pointer` comes from this allocator, and so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: `pointer` comes from this allocator, and so from the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The system's allocator with a limit: an allocation fails where it would raise the process's live memory
/// above `MAX` bytes. Rust aborts the process then.
#[derive(Debug)]
pub struct BoundedAllocator<const MAX: usize> {
    live: AtomicUsize,
}

impl<const MAX: usize> BoundedAllocator<MAX> {
    /// Creates an allocator without allocations.
    pub const fn new() -> Self {
        Self { live: AtomicUsize::new(0) }
    }
}

impl<const MAX: usize> Default for BoundedAllocator<MAX> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every call is passed to the system's allocator with the same arguments, or fails, which the
// contract of `alloc` allows. The counter is an atomic and does not allocate.
unsafe impl<const MAX: usize> GlobalAlloc for BoundedAllocator<MAX> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = self.live.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        if live > MAX {
            self.live.fetch_sub(layout.size(), Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller obeys the contract of `alloc`, which is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.live.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` comes from this allocator, and so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: CountingAllocator = CountingAllocator;

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
    fn an_allocation_above_the_limit_fails_and_released_memory_can_be_allocated_again() {
        let bounded = BoundedAllocator::<100>::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the layouts are not empty, and each pointer is released once, with the layout of its
        // allocation.
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
