//! The order book of one instrument, as a pure state machine.
//!
//! A book is built from one [`BookKind`] of records of one source: single orders, price levels, whole depths
//! or the best bid and offer alone. No record can make it panic. The rules are:
//!
//! | record | effect | counted as |
//! |---|---|---|
//! | an add with an id that is in the book | the newer record wins: the order is removed and added again, last in its queue | `repeated` |
//! | a modify of an unknown id | treated as an add | `unknown` |
//! | a replace of an unknown id | the new order is added if the record names its side | `unknown` |
//! | a cancel or an execution of an unknown id | none | `unknown` |
//! | a reduction by more than remains | the order is removed | `excess` |
//! | a missing id, side, price or quantity that is needed | none | `malformed` |
//! | a clear of the book or of one side | the book or side is emptied; a book that was cleared as a whole then accepts records of any source and kind | `clears` |
//! | a snapshot: all levels in one record, or records after a clear with the flag `snapshot` | the book is replaced by the snapshot | `snapshots` |
//! | removal of a level that does not exist | none | `unknown` |
//! | a record of another source than the book's | none | `foreign` |
//! | a record of a poorer kind than the book's | none; a record of a richer kind empties the book, which is then of that kind | `poorer` |
//! | best bid at or above best ask | none; [`Book::is_crossed`] returns true | `crossed`, once per venue event |
//!
//! An order keeps its place in the queue only when its quantity shrinks; a new price, a new side or more
//! quantity moves it to the end of the queue.

mod index;
mod ladder;
mod queries;
mod state;

pub(crate) use index::IdIndex;
pub use ladder::Level;
use ladder::{Ladder, NONE};
pub use queries::weighted_mid;
use stele_wire::{Price, Quantity};

/// A side of a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BookSide {
    /// The buyers.
    Bid,
    /// The sellers.
    Ask,
}

impl BookSide {
    /// The other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Ask,
            Self::Ask => Self::Bid,
        }
    }
}

/// An order in a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BookOrder {
    /// The venue's id of the order.
    pub id: u64,
    /// Side of the order.
    pub side: BookSide,
    /// Price of the order.
    pub price: Price,
    /// Quantity that remains open.
    pub quantity: Quantity,
}

/// The kind of records that a book is built from, poorest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum BookKind {
    /// No record yet.
    #[default]
    Empty,
    /// The best bid and offer.
    Top,
    /// The best levels, all of them in each record.
    Depth,
    /// Changes of single price levels, and snapshots of them.
    Levels,
    /// Changes of single orders.
    Orders,
}

/// How often each rule of the [module documentation](self) was applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BookCounts {
    /// Records that the book accepted.
    pub updates: u64,
    /// Adds with an id that was in the book.
    pub repeated: u64,
    /// Records about an id or a level that was not in the book.
    pub unknown: u64,
    /// Reductions by more than remained.
    pub excess: u64,
    /// Records that lacked a field they need.
    pub malformed: u64,
    /// Records of another source.
    pub foreign: u64,
    /// Records of a poorer kind.
    pub poorer: u64,
    /// Venue events after which the book was crossed or locked.
    pub crossed: u64,
    /// Clears.
    pub clears: u64,
    /// Snapshots.
    pub snapshots: u64,
}

/// The orders that have priority over an order at its price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueuePosition {
    /// Number of orders.
    pub orders: u32,
    /// Quantity of those orders.
    pub quantity: Quantity,
}

#[derive(Clone, Copy, Debug)]
struct OrderSlot {
    id: u64,
    quantity: u64,
    level: u32,
    previous: u32,
    next: u32,
    side: BookSide,
}

/// The order book of one instrument. An update allocates only when the number of orders or levels exceeds its
/// previous maximum.
///
/// # Examples
///
/// ```
/// use stele_strategies::book::{Book, BookKind, BookSide};
/// use stele_wire::{Price, Quantity};
///
/// let mut book = Book::default();
/// assert!(book.admit(1, BookKind::Orders));
/// book.add(11, BookSide::Bid, Price(100), Quantity(5));
/// book.add(12, BookSide::Bid, Price(100), Quantity(3));
/// book.add(13, BookSide::Ask, Price(104), Quantity(2));
/// assert_eq!(book.mid(), Some(Price(102)));
/// assert_eq!(book.bid().unwrap().quantity, Quantity(8));
/// assert_eq!(book.queue_position(12).unwrap().quantity, Quantity(5));
///
/// book.reduce(11, None);
/// assert_eq!(book.queue_position(12).unwrap().orders, 0);
/// ```
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Book {
    kind: BookKind,
    source: u16,
    free: u32,
    ladders: [Ladder; 2],
    counts: BookCounts,
    index: IdIndex,
    orders: Vec<OrderSlot>,
}

/// The number of orders that fit before a book allocates.
const ORDERS_CAPACITY: usize = 1024;
/// The number of levels per side that fit before a book allocates.
const LEVELS_CAPACITY: usize = 256;

impl Default for Book {
    /// A book with room for 1,024 orders and 256 levels on each side: about 100 KiB.
    fn default() -> Self {
        Self::with_capacity(ORDERS_CAPACITY, LEVELS_CAPACITY)
    }
}

impl Book {
    /// Makes an empty book of about 1 KiB, for one instrument among thousands. It allocates when it grows.
    pub fn small() -> Self {
        Self::with_capacity(8, 1)
    }

    /// Makes an empty book with room for `orders` orders, and for `levels` levels on each side.
    pub fn with_capacity(orders: usize, levels: usize) -> Self {
        Self {
            kind: BookKind::Empty,
            source: 0,
            ladders: [Ladder::new(true, levels), Ladder::new(false, levels)],
            orders: Vec::with_capacity(orders),
            free: NONE,
            index: IdIndex::with_capacity(orders),
            counts: BookCounts::default(),
        }
    }

    /// Whether the book accepts a record of this source and kind; if so, the book is of that kind from now
    /// on. See the [module documentation](self) for the rule.
    #[inline]
    pub fn admit(&mut self, source: u16, kind: BookKind) -> bool {
        if self.kind == kind && self.source == source {
            self.counts.updates += 1;
            return true;
        }
        self.admit_other(source, kind)
    }

    #[cold]
    fn admit_other(&mut self, source: u16, kind: BookKind) -> bool {
        if self.kind != BookKind::Empty && self.source != source {
            self.counts.foreign += 1;
            return false;
        }
        if kind < self.kind {
            self.counts.poorer += 1;
            return false;
        }
        self.reset();
        (self.kind, self.source) = (kind, source);
        self.counts.updates += 1;
        true
    }

    /// Applies a clear: empties the book, which then accepts records of any source and kind.
    pub fn clear(&mut self) {
        self.counts.clears += 1;
        self.reset();
    }

    /// Begins a snapshot: empties the book, which then accepts records of any source and kind.
    pub fn begin_snapshot(&mut self) {
        self.counts.snapshots += 1;
        self.reset();
    }

    /// Begins a snapshot of levels that follow in the same record: empties both sides. The book keeps its
    /// kind.
    pub fn begin_levels(&mut self) {
        self.counts.snapshots += 1;
        self.clear_side(BookSide::Bid);
        self.clear_side(BookSide::Ask);
    }

    /// Applies a clear of one side, or of both when `side` is `None`. The book keeps its kind.
    pub fn clear_levels(&mut self, side: Option<BookSide>) {
        self.counts.clears += 1;
        match side {
            Some(side) => self.clear_side(side),
            None => [BookSide::Bid, BookSide::Ask].into_iter().for_each(|side| self.clear_side(side)),
        }
    }

    fn reset(&mut self) {
        self.ladders.iter_mut().for_each(Ladder::clear);
        self.orders.clear();
        self.free = NONE;
        self.index.clear();
        (self.kind, self.source) = (BookKind::Empty, 0);
    }

    /// Empties one side, before the same record fills it again.
    pub fn clear_side(&mut self, side: BookSide) {
        while let Some(level) = self.ladders[side as usize].best() {
            self.remove_level(side, level.price);
        }
    }

    /// Adds an order, last in the queue at its price.
    #[inline]
    pub fn add(&mut self, id: u64, side: BookSide, price: Price, quantity: Quantity) {
        if id == 0 || !price.is_defined() || !(1..u64::MAX).contains(&quantity.0) {
            self.counts.malformed += 1;
            return;
        }
        let order = OrderSlot { id, quantity: quantity.0, level: NONE, previous: NONE, next: NONE, side };
        let free = if self.free == NONE { self.orders.len() as u32 } else { self.free };
        let slot = match self.index.get_or_insert(id, free) {
            Some(slot) => {
                self.counts.repeated += 1;
                self.unlink(slot);
                self.orders[slot as usize] = order;
                slot
            }
            None if self.free == NONE => {
                self.orders.push(order);
                free
            }
            None => {
                self.free = self.orders[free as usize].next;
                self.orders[free as usize] = order;
                free
            }
        };
        self.orders[slot as usize].level = self.ladders[side as usize].find_or_insert(price.0);
        self.link(slot);
    }

    /// Changes price and quantity of an order; `side` is given when the source repeats it.
    #[inline]
    pub fn modify(&mut self, id: u64, side: Option<BookSide>, price: Price, quantity: Quantity) {
        let Some(slot) = self.index.get(id) else {
            self.counts.unknown += 1;
            match side {
                Some(side) => self.add(id, side, price, quantity),
                None => self.counts.malformed += 1,
            }
            return;
        };
        let order = self.orders[slot as usize];
        let side = side.unwrap_or(order.side);
        if !price.is_defined() || quantity.0 == u64::MAX {
            self.counts.malformed += 1;
            return;
        }
        if quantity.0 == 0 {
            self.take(slot, order.quantity);
            return;
        }
        let level = self.ladders[order.side as usize].level_mut(order.level);
        if side == order.side && level.price == price.0 && quantity.0 <= order.quantity {
            level.quantity -= order.quantity - quantity.0;
            self.orders[slot as usize].quantity = quantity.0;
            return;
        }
        self.unlink(slot);
        let level = self.ladders[side as usize].find_or_insert(price.0);
        self.orders[slot as usize] =
            OrderSlot { quantity: quantity.0, level, side, previous: NONE, next: NONE, ..order };
        self.link(slot);
    }

    /// Replaces the order `prior` by a new one, last in the queue at its price. The side is that of the prior
    /// order, where it is known.
    #[inline]
    pub fn replace(&mut self, id: u64, prior: u64, side: Option<BookSide>, price: Price, quantity: Quantity) {
        let known = match self.index.get(prior) {
            Some(slot) => {
                let order = self.orders[slot as usize];
                self.take(slot, order.quantity);
                Some(order.side)
            }
            None => {
                self.counts.unknown += 1;
                None
            }
        };
        match known.or(side) {
            Some(side) => self.add(id, side, price, quantity),
            None => self.counts.malformed += 1,
        }
    }

    /// Reduces an order by a cancel or an execution; without a `quantity`, by all that remains. Returns the
    /// order as it was before.
    #[inline]
    pub fn reduce(&mut self, id: u64, quantity: Option<Quantity>) -> Option<BookOrder> {
        let Some(slot) = self.index.get(id) else {
            self.counts.unknown += 1;
            return None;
        };
        let order = self.order_in(slot);
        let left = order.quantity.0;
        let taken = quantity.map_or(left, |quantity| quantity.0);
        if taken > left {
            self.counts.excess += 1;
        }
        self.take(slot, taken.min(left));
        Some(order)
    }

    /// Sets a price level from a source of levels; quantity 0 removes it.
    #[inline]
    pub fn set_level(&mut self, side: BookSide, price: Price, quantity: Quantity, orders: u32) {
        if !price.is_defined() || quantity.0 == u64::MAX {
            self.counts.malformed += 1;
            return;
        }
        if quantity.0 == 0 {
            self.counts.unknown += u64::from(!self.ladders[side as usize].remove(price.0));
            return;
        }
        let ladder = &mut self.ladders[side as usize];
        let slot = ladder.find_or_insert(price.0);
        let level = ladder.level_mut(slot);
        (level.quantity, level.count) = (quantity.0, orders);
    }

    /// Removes every level that is worse than `price`, with its orders.
    pub fn clear_worse_than(&mut self, side: BookSide, price: Price) {
        if self.kind == BookKind::Orders {
            self.counts.malformed += 1;
            return;
        }
        self.ladders[side as usize].remove_worse_than(price.0);
    }

    /// Ends a venue event that touched the book: counts it when the book is crossed. The caller calls it once
    /// per event.
    #[inline]
    pub fn end_event(&mut self) {
        self.counts.crossed += u64::from(self.is_crossed());
    }

    /// Counts a record that lacks a field it needs.
    #[cold]
    pub fn note_malformed(&mut self) {
        self.counts.malformed += 1;
    }

    fn remove_level(&mut self, side: BookSide, price: Price) {
        let ladder = &mut self.ladders[side as usize];
        let Some(level) = ladder.find(price.0) else { return };
        let mut at = ladder.level(level).head;
        ladder.remove(price.0);
        while at != NONE {
            let next = self.orders[at as usize].next;
            self.index.remove(self.orders[at as usize].id);
            self.release(at);
            at = next;
        }
    }

    /// Removes `quantity`, which is at most what remains, from an order.
    #[inline]
    fn take(&mut self, slot: u32, quantity: u64) {
        let order = &mut self.orders[slot as usize];
        if quantity >= order.quantity {
            let id = order.id;
            self.unlink(slot);
            self.index.remove(id);
            self.release(slot);
        } else {
            order.quantity -= quantity;
            self.ladders[order.side as usize].level_mut(order.level).quantity -= quantity;
        }
    }

    #[inline]
    fn release(&mut self, slot: u32) {
        self.orders[slot as usize].next = self.free;
        self.free = slot;
    }

    /// Adds an order to the end of its level's queue.
    #[inline]
    fn link(&mut self, slot: u32) {
        let order = &mut self.orders[slot as usize];
        let level = self.ladders[order.side as usize].level_mut(order.level);
        level.quantity = level.quantity.saturating_add(order.quantity);
        level.count += 1;
        order.previous = level.tail;
        let previous = std::mem::replace(&mut level.tail, slot);
        if previous == NONE {
            level.head = slot;
        } else {
            self.orders[previous as usize].next = slot;
        }
    }

    /// Removes an order from its level's queue, and the level when it was the last.
    #[inline]
    fn unlink(&mut self, slot: u32) {
        let OrderSlot { quantity, level: level_slot, previous, next, side, .. } = self.orders[slot as usize];
        let ladder = &mut self.ladders[side as usize];
        let level = ladder.level_mut(level_slot);
        level.quantity = level.quantity.saturating_sub(quantity);
        level.count -= 1;
        if level.count == 0 {
            let price = level.price;
            ladder.remove(price);
            return;
        }
        if previous == NONE {
            level.head = next;
        } else {
            self.orders[previous as usize].next = next;
        }
        if next == NONE {
            level.tail = previous;
        } else {
            self.orders[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests;
