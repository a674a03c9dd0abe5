//! Writing and reading messages, and printing them, takes no memory from the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;
use stele_wire::codec::View;
use stele_wire::describe;
use stele_wire::messages::{BookAdd, BookSnapshot, BookSnapshotAsks, BookSnapshotBids, NewOrder, SCHEMA};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{I64, U32, U64};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes on to `System` as it came; the count beside it is a `Cell` without a destructor, so that
// touching it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are `System`'s, and `alloc` got `memory` from it.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Takes text and keeps how much it was.
struct Discard(usize);

impl fmt::Write for Discard {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[test]
fn writing_reading_and_printing_allocate_nothing() {
    let mut buffer = [0; 1024];
    let mut printed = Discard(0);
    let before = ALLOCATIONS.get();
    let add = BookAdd { instrument: U32::new(7), price: I64::new(5_214_250_000_000), ..BookAdd::NULL };
    let read = View::<BookAdd>::read(BookAdd::BLOCK_LENGTH, 1, add.as_bytes()).unwrap();
    assert!(*read == add);
    let bids = (0..5).map(|level| BookSnapshotBids { price: I64::new(level), ..BookSnapshotBids::NULL });
    let asks = (0..5).map(|level| BookSnapshotAsks { price: I64::new(level), ..BookSnapshotAsks::NULL });
    let bytes = BookSnapshot::NULL.encode(&mut buffer, bids, asks).unwrap();
    let snapshot = View::<BookSnapshot>::read(BookSnapshot::BLOCK_LENGTH, 1, bytes).unwrap();
    let sum: i64 = snapshot.bids().map(|level| level.price.get()).sum();
    assert!(sum == 10 && snapshot.asks().len() == 5);
    let reading = SCHEMA.read(BookSnapshot::TEMPLATE_ID, BookSnapshot::BLOCK_LENGTH, 1, bytes).unwrap();
    describe::json(&reading, &mut printed).unwrap();
    describe::line(&reading, &mut printed).unwrap();
    describe::csv_row(&reading, &mut printed).unwrap();
    let order = NewOrder { client_order_id: U64::new(9), ..NewOrder::NULL };
    let bytes = order.encode(&mut buffer, [], b"", b"outside").unwrap();
    let order = View::<NewOrder>::read(NewOrder::BLOCK_LENGTH, 1, bytes).unwrap();
    assert!(order.external_order_id() == b"outside");
    let after = ALLOCATIONS.get();
    assert_eq!(after - before, 0);
    assert!(printed.0 > 500);
    drop(Box::new(after));
    assert_eq!(ALLOCATIONS.get() - after, 1, "the count counts");
}
