//! The order book of one instrument, as pure state.
//!
//! A book is kept from one [`BookKind`] of records of one source: single orders, price levels, whole depths or
//! the touch alone. Whatever comes in, a record is never a reason to panic; the rules are:
//!
//! | what comes | what happens | counted as |
//! |---|---|---|
//! | an add with an id that is in the book | the newer record counts: the order leaves and enters again, last in its queue | `repeated` |
//! | a modify of an unknown id | it is an add | `unknown` |
//! | a replace of an unknown id | the new order is entered, where the record names its side | `unknown` |
//! | a cancel or an execution of an unknown id | nothing | `unknown` |
//! | more taken off than is left | the order leaves | `excess` |
//! | no id, no side, no price or no quantity where one is needed | nothing | `malformed` |
//! | a clear, of the book or of one side | what it names is emptied; a whole book then takes records of any source and kind | `clears` |
//! | a snapshot: all levels in one record, or records that follow a clear with the flag `snapshot` | the book is emptied and is what the snapshot says | `snapshots` |
//! | a level taken away that is not there | nothing | `unknown` |
//! | a record of a source other than the book's | nothing | `foreign` |
//! | a record of a kind poorer than the book's | nothing; a richer one empties the book and takes over | `poorer` |
//! | bid at or above ask | nothing: a state that [`Book::is_crossed`] tells | `crossed`, once a venue event |
//!
//! An order keeps its place in the queue when only its quantity shrinks; a new price, a new side or more
//! quantity sends it to the back.

mod index;
mod ladder;
mod queries;
mod state;

pub(crate) use index::IdIndex;
use ladder::{Ladder, NONE};
pub use queries::weighted_mid;
use stele_wire::{Price, Quantity};

/// A side of a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BookSide {
    /// Those who buy.
    Bid,
    /// Those who sell.
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

/// What stands at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// Quantity of all orders there.
    pub quantity: Quantity,
    /// How many orders; 0 where the source does not say.
    pub orders: u32,
}

/// An order in a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BookOrder {
    /// The venue's identification.
    pub id: u64,
    /// Where it stands.
    pub side: BookSide,
    /// Its price.
    pub price: Price,
    /// What is left of it.
    pub quantity: Quantity,
}

/// What records a book is kept from, the poorest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum BookKind {
    /// None yet.
    #[default]
    Empty,
    /// The best bid and offer.
    Top,
    /// The best levels, all of them in each record.
    Depth,
    /// Single price levels, and snapshots of them.
    Levels,
    /// Single orders.
    Orders,
}

/// How often each rule of the [module](self) was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BookCounts {
    /// Records that changed the book, or could have.
    pub updates: u64,
    /// Adds with an id that was there.
    pub repeated: u64,
    /// Records about an id, or a level, that was not there.
    pub unknown: u64,
    /// Records that took off more than was left.
    pub excess: u64,
    /// Records without what they need.
    pub malformed: u64,
    /// Records of another source.
    pub foreign: u64,
    /// Records of a poorer kind.
    pub poorer: u64,
    /// Venue events that left the book crossed or locked.
    pub crossed: u64,
    /// Clears.
    pub clears: u64,
    /// Snapshots.
    pub snapshots: u64,
}

/// What stands before an order at its price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueuePosition {
    /// How many orders.
    pub orders: u32,
    /// Their quantity.
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

/// The book of one instrument. Nothing allocates while neither more orders nor more levels are held than ever
/// before.
#[derive(Clone, Debug)]
pub struct Book {
    kind: BookKind,
    source: u16,
    ladders: [Ladder; 2],
    orders: Vec<OrderSlot>,
    free: u32,
    index: IdIndex,
    counts: BookCounts,
}

/// Orders a book has room for before it allocates.
const ORDERS_CAPACITY: usize = 1024;
/// Levels a side has room for before it allocates.
const LEVELS_CAPACITY: usize = 256;

impl Default for Book {
    fn default() -> Self {
        Self::with_capacity(ORDERS_CAPACITY, LEVELS_CAPACITY)
    }
}

impl Book {
    /// An empty book with room for so many orders, and levels a side.
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

    /// Whether a record of this source and kind is for this book; when it is, the book is of that kind from now
    /// on. See the [module](self) for the rule.
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

    /// A clear: empties the book, which then takes records of any source and kind.
    pub fn clear(&mut self) {
        self.counts.clears += 1;
        self.reset();
    }

    /// A snapshot begins: empties the book, which then takes records of any source and kind.
    pub fn begin_snapshot(&mut self) {
        self.counts.snapshots += 1;
        self.reset();
    }

    /// A snapshot of levels follows in the same record: empties both sides of the book, which stays of its kind.
    pub fn begin_levels(&mut self) {
        self.counts.snapshots += 1;
        self.clear_side(BookSide::Bid);
        self.clear_side(BookSide::Ask);
    }

    /// A clear of one side, or of both where none is named; the book stays of its kind.
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

    /// Empties one side, to be filled by the same record.
    pub fn clear_side(&mut self, side: BookSide) {
        while let Some(level) = self.ladders[side as usize].best() {
            self.remove_level(side, level.price);
        }
    }

    /// An order enters, last at its price.
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

    /// An order has a new price and quantity; a side is given where the source repeats it.
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

    /// An order leaves and another takes its place, last at its price. The side is the prior order's where it is
    /// known.
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

    /// An order loses quantity, by a cancel or an execution; none is all that is left. Gives the order as it was
    /// before.
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

    /// A price level as a source of levels gives it; quantity 0 takes it away.
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

    /// Takes every level that is worse than `price` away, with its orders.
    pub fn clear_behind(&mut self, side: BookSide, price: Price) {
        if self.kind == BookKind::Orders {
            self.counts.malformed += 1;
            return;
        }
        self.ladders[side as usize].remove_behind(price.0);
    }

    /// To be called at the end of a venue event that touched the book: counts it when the book is crossed.
    #[inline]
    pub fn end_event(&mut self) {
        self.counts.crossed += u64::from(self.is_crossed());
    }

    /// To be called for a record that lacks what it needs.
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

    /// Takes `quantity`, which is not more than is left, off an order.
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

    /// Puts an order at the end of its level's queue.
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

    /// Takes an order out of its level's queue, and the level away when it was the last.
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
