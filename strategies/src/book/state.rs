//! Writes a book, including the order of its queues, into a snapshot and reads it back.

use super::{Book, BookKind, BookSide, NONE};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::{Price, Quantity};

const KINDS: [BookKind; 5] =
    [BookKind::Empty, BookKind::Top, BookKind::Depth, BookKind::Levels, BookKind::Orders];

/// The number of fields of [`super::BookCounts`].
const COUNTS: usize = 10;

impl Book {
    /// Appends the whole state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.kind as u64);
        out.put_u64(self.source.into());
        for side in [BookSide::Bid, BookSide::Ask] {
            let ladder = &self.ladders[side as usize];
            out.put_u64(ladder.count() as u64);
            for level in ladder.slots() {
                out.put_i64(level.price);
                out.put_u64(level.quantity);
                out.put_u64(level.count.into());
                let mut at = level.head;
                while at != NONE {
                    let order = &self.orders[at as usize];
                    out.put_u64(order.id);
                    out.put_u64(order.quantity);
                    at = order.next;
                }
            }
        }
        for count in self.counts.as_array() {
            out.put_u64(count);
        }
    }

    /// Reads the book that [`Book::snapshot`] wrote into this book, which is empty.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes were not written by [`Book::snapshot`].
    pub fn restore(self, reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut book = self;
        let kind = KINDS[reader.at_most("kind of book", 4)? as usize];
        let source = reader.at_most("source", u16::MAX.into())? as u16;
        for side in [BookSide::Bid, BookSide::Ask] {
            for _ in 0..reader.count("levels")? {
                let (price, quantity) = (Price(reader.i64()?), Quantity(reader.u64()?));
                let orders = reader.at_most("orders", u32::MAX.into())? as u32;
                if kind != BookKind::Orders {
                    book.set_level(side, price, quantity, orders);
                    continue;
                }
                for _ in 0..orders {
                    book.add(reader.u64()?, side, price, Quantity(reader.u64()?));
                }
            }
        }
        (book.kind, book.source) = (kind, source);
        let mut counts = [0; COUNTS];
        for count in &mut counts {
            *count = reader.u64()?;
        }
        book.counts = super::BookCounts::from_array(counts);
        Ok(book)
    }
}

impl super::BookCounts {
    /// The counts in the order of declaration.
    fn as_array(&self) -> [u64; COUNTS] {
        let Self {
            updates,
            repeated,
            unknown,
            excess,
            malformed,
            foreign,
            poorer,
            crossed,
            clears,
            snapshots,
        } = *self;
        [updates, repeated, unknown, excess, malformed, foreign, poorer, crossed, clears, snapshots]
    }

    fn from_array(counts: [u64; COUNTS]) -> Self {
        let [updates, repeated, unknown, excess, malformed, foreign, poorer, crossed, clears, snapshots] =
            counts;
        Self { updates, repeated, unknown, excess, malformed, foreign, poorer, crossed, clears, snapshots }
    }
}
