//! The book of one instrument on the exchange: price levels, each with its orders in order of arrival.

use super::index::OwnerIndex;
use super::order::{MatchingOrder, OrderOwner};
use stele_strategies::book::BookSide;

/// No slot.
const NONE: u32 = u32::MAX;

/// The number of orders that fit before anything is allocated.
const CAPACITY: usize = 256;

/// The orders of one instrument: those in the price levels, and the stops that wait.
///
/// Orders are in a slab, each level is a linked list through it, and the levels of a side are in a sorted
/// array with the best one last, so that changes at the touch are changes at its end. Nothing is allocated
/// unless there are more orders or levels at once than ever before.
#[derive(Clone, Debug)]
pub(super) struct OrderBook {
    slots: Vec<Slot>,
    free: u32,
    count: usize,
    index: OwnerIndex,
    /// The levels by side.
    levels: [Vec<Level>; 2],
    /// Waiting stops, in order of arrival.
    stops: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// None when the slot is free; `next` is then the next free slot.
    order: Option<MatchingOrder>,
    next: u32,
    previous: u32,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    price: i64,
    first: u32,
    last: u32,
}

/// The sort key of a limit. An order without a limit comes before every order that has one.
fn rank(side: BookSide, limit: Option<i64>) -> i64 {
    limit.unwrap_or(if side == BookSide::Bid { i64::MAX } else { i64::MIN })
}

impl OrderBook {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::with_capacity(CAPACITY),
            free: NONE,
            count: 0,
            index: OwnerIndex::with_capacity(CAPACITY),
            levels: [Vec::with_capacity(64), Vec::with_capacity(64)],
            stops: Vec::with_capacity(64),
        }
    }

    /// The number of orders, waiting stops included.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn find(&self, owner: OrderOwner, client_order_id: u64) -> Option<u32> {
        self.index.get((owner, client_order_id))
    }

    /// Returns the order in a slot.
    ///
    /// # Panics
    /// When the slot is free.
    pub(super) fn order(&self, slot: u32) -> &MatchingOrder {
        self.slots[slot as usize].order.as_ref().expect("a slot of the book has an order")
    }

    /// Returns the order in a slot, to change its quantities only. Its place follows from its side, limit
    /// and stop.
    ///
    /// # Panics
    /// When the slot is free.
    pub(super) fn order_mut(&mut self, slot: u32) -> &mut MatchingOrder {
        self.slots[slot as usize].order.as_mut().expect("a slot of the book has an order")
    }

    /// Returns the slot of the order that trades first on a side.
    pub(super) fn first(&self, side: BookSide) -> Option<u32> {
        self.levels[side as usize].last().map(|level| level.first)
    }

    /// Returns the slots of a side in the order in which they trade.
    pub(super) fn queue(&self, side: BookSide) -> impl Iterator<Item = u32> {
        self.levels[side as usize].iter().rev().flat_map(|level| {
            std::iter::successors(Some(level.first), |slot| {
                let next = self.slots[*slot as usize].next;
                (next != NONE).then_some(next)
            })
        })
    }

    /// Returns the waiting stops, in order of arrival.
    pub(super) fn stops(&self) -> &[u32] {
        &self.stops
    }

    /// Returns every slot with an order. The order of the slots has no meaning, but the same calls give the
    /// same one.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        (0..self.slots.len() as u32).filter(|slot| self.slots[*slot as usize].order.is_some())
    }

    /// Adds an order at the back of its level, or as the last of the waiting stops.
    pub(super) fn insert(&mut self, order: MatchingOrder) -> u32 {
        let slot = self.allocate(order);
        self.index.insert((order.owner, order.client_order_id), slot);
        self.count += 1;
        if order.is_working() {
            self.link(slot)
        } else {
            self.stops.push(slot)
        }
        slot
    }

    /// Removes an order.
    ///
    /// # Panics
    /// When the slot is free.
    pub(super) fn remove(&mut self, slot: u32) -> MatchingOrder {
        let order = *self.order(slot);
        if order.is_working() {
            self.unlink(slot);
        } else {
            self.stops.retain(|stop| *stop != slot);
        }
        self.index.remove((order.owner, order.client_order_id));
        self.slots[slot as usize] = Slot { order: None, next: self.free, previous: NONE };
        self.free = slot;
        self.count -= 1;
        order
    }

    /// Gives an order new terms in its place. Side, limit and stop must stay; the client order id may
    /// change.
    pub(super) fn rename(&mut self, slot: u32, order: MatchingOrder) {
        let old = *self.order(slot);
        self.index.remove((old.owner, old.client_order_id));
        self.index.insert((order.owner, order.client_order_id), slot);
        *self.order_mut(slot) = order;
    }

    /// Moves an order to the back of its level.
    pub(super) fn requeue(&mut self, slot: u32) {
        self.unlink(slot);
        self.link(slot);
    }

    fn allocate(&mut self, order: MatchingOrder) -> u32 {
        let filled = Slot { order: Some(order), next: NONE, previous: NONE };
        if self.free == NONE {
            self.slots.push(filled);
            return (self.slots.len() - 1) as u32;
        }
        let slot = self.free;
        self.free = self.slots[slot as usize].next;
        self.slots[slot as usize] = filled;
        slot
    }

    /// Returns the index of the level of `price`, or the index at which to insert it.
    fn level(&self, side: BookSide, price: i64) -> Result<usize, usize> {
        let levels = &self.levels[side as usize];
        match side {
            BookSide::Bid => levels.binary_search_by(|level| level.price.cmp(&price)),
            BookSide::Ask => levels.binary_search_by(|level| price.cmp(&level.price)),
        }
    }

    fn link(&mut self, slot: u32) {
        let (side, limit) = (self.order(slot).side, self.order(slot).limit);
        let price = rank(side, limit);
        match self.level(side, price) {
            Ok(at) => {
                let level = &mut self.levels[side as usize][at];
                let last = std::mem::replace(&mut level.last, slot);
                self.slots[last as usize].next = slot;
                (self.slots[slot as usize].previous, self.slots[slot as usize].next) = (last, NONE);
            }
            Err(at) => {
                self.levels[side as usize].insert(at, Level { price, first: slot, last: slot });
                (self.slots[slot as usize].previous, self.slots[slot as usize].next) = (NONE, NONE);
            }
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { next, previous, .. } = self.slots[slot as usize];
        let (side, limit) = (self.order(slot).side, self.order(slot).limit);
        let at = self.level(side, rank(side, limit)).expect("a working order is in a level");
        if previous == NONE && next == NONE {
            self.levels[side as usize].remove(at);
            return;
        }
        let level = &mut self.levels[side as usize][at];
        match previous {
            NONE => level.first = next,
            _ => self.slots[previous as usize].next = next,
        }
        match next {
            NONE => level.last = previous,
            _ => self.slots[next as usize].previous = previous,
        }
    }
}
