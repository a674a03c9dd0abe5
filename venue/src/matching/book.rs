//! The exchange's own book: price levels of orders in the order of their arrival.

use super::index::OwnerIndex;
use super::order::{Order, Owner};
use stele_strategies::book::BookSide;

/// No slot.
const NONE: u32 = u32::MAX;

/// Orders there is room for before anything is allocated.
const CAPACITY: usize = 256;

/// The orders of one instrument: those that stand in a level, and those that a stop holds back.
///
/// Orders lie in a slab, each level is a list through it, and the levels of a side lie in a sorted array, the best one
/// last: the touch is changed at its end. Nothing is allocated unless more orders or levels are held at once than
/// ever before.
#[derive(Clone, Debug)]
pub(super) struct OrderBook {
    slots: Vec<Slot>,
    free: u32,
    count: usize,
    index: OwnerIndex,
    /// By side.
    levels: [Vec<Level>; 2],
    /// Orders behind a stop, first come first.
    stops: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// None where the slot is free; `next` is then the next free one.
    order: Option<Order>,
    next: u32,
    previous: u32,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    price: i64,
    first: u32,
    last: u32,
}

/// Where an order stands that has no limit: before every one that has.
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

    /// Orders in it, those behind a stop counted.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn find(&self, owner: Owner, client_order_id: u64) -> Option<u32> {
        self.index.get((owner, client_order_id))
    }

    /// # Panics
    /// When nothing stands in the slot.
    pub(super) fn order(&self, slot: u32) -> &Order {
        self.slots[slot as usize].order.as_ref().expect("a slot of the book has an order")
    }

    /// To change its quantities alone: its place follows from its side, its limit and its stop.
    ///
    /// # Panics
    /// When nothing stands in the slot.
    pub(super) fn order_mut(&mut self, slot: u32) -> &mut Order {
        self.slots[slot as usize].order.as_mut().expect("a slot of the book has an order")
    }

    /// The order that is met first on a side.
    pub(super) fn first(&self, side: BookSide) -> Option<u32> {
        self.levels[side as usize].last().map(|level| level.first)
    }

    /// Slots of a side in the order in which they are met.
    pub(super) fn queue(&self, side: BookSide) -> impl Iterator<Item = u32> {
        self.levels[side as usize].iter().rev().flat_map(|level| {
            std::iter::successors(Some(level.first), |slot| {
                let next = self.slots[*slot as usize].next;
                (next != NONE).then_some(next)
            })
        })
    }

    /// Orders behind a stop, first come first.
    pub(super) fn stops(&self) -> &[u32] {
        &self.stops
    }

    /// Every slot with an order; in no order that means anything, the same for the same history.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        (0..self.slots.len() as u32).filter(|slot| self.slots[*slot as usize].order.is_some())
    }

    /// Puts an order in: last of its level, or last behind a stop.
    pub(super) fn insert(&mut self, order: Order) -> u32 {
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

    /// Takes an order out.
    ///
    /// # Panics
    /// When nothing stands in the slot.
    pub(super) fn remove(&mut self, slot: u32) -> Order {
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

    /// Gives an order terms that keep its side, its limit and its stop, in its place; its name may be new.
    pub(super) fn rename(&mut self, slot: u32, order: Order) {
        let old = *self.order(slot);
        self.index.remove((old.owner, old.client_order_id));
        self.index.insert((order.owner, order.client_order_id), slot);
        *self.order_mut(slot) = order;
    }

    /// Moves an order behind the others of its level.
    pub(super) fn requeue(&mut self, slot: u32) {
        self.unlink(slot);
        self.link(slot);
    }

    fn allocate(&mut self, order: Order) -> u32 {
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

    /// Where the level of `price` is among those of the side, or where it would go in.
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
        let at = self.level(side, rank(side, limit)).expect("an order that works stands in a level");
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
