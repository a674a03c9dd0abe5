//! Writing and reading messages, and printing them, takes no memory from the heap.

use std::fmt;
use stele_testkit::allocations;
use stele_wire::codec::View;
use stele_wire::describe;
use stele_wire::messages::{BookAdd, BookSnapshot, BookSnapshotAsks, BookSnapshotBids, NewOrder, SCHEMA};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{I64, U32, U64};

/// Counts the bytes that are written to it.
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
    let before = allocations();
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
    let after = allocations();
    assert_eq!(after - before, 0);
    assert!(printed.0 > 500);
    drop(std::hint::black_box(Box::new(after)));
    assert_eq!(allocations() - after, 1, "an allocation is counted");
}
