//! The order book of one generated instrument, of arrays and index lists only, so that no event allocates.
//!
//! Prices are whole ticks. Each side keeps its levels in a ring of [`WINDOW`] entries indexed by the tick's
//! low bits, so a side never spans [`WINDOW`] ticks. Orders are in one slab and are queued in their level by
//! index, oldest first.

use super::random::Random;

/// The number of levels that a side can address at once; a power of two.
pub(super) const WINDOW: i32 = 512;

/// The greatest number of orders of one side.
pub(super) const ORDERS_MAX: usize = 1024;

const NONE: u32 = u32::MAX;
const _: () = assert!((WINDOW as u32).is_power_of_two());

/// One half of a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Half {
    Bid,
    Ask,
}

impl Half {
    pub(super) fn other(self) -> Self {
        if self == Self::Bid { Self::Ask } else { Self::Bid }
    }

    /// +1 if a better price is a higher one, else -1.
    #[inline]
    pub(super) fn better(self) -> i32 {
        if self == Self::Bid { 1 } else { -1 }
    }
}

/// An order that rests in the book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) tick: i32,
    pub(super) quantity: u32,
    older: u32,
    newer: u32,
    /// The order's index in its side's list of all orders.
    listed: u32,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    oldest: u32,
    newest: u32,
    quantity: u32,
}

const EMPTY: Level = Level { oldest: NONE, newest: NONE, quantity: 0 };

/// The orders of one half.
#[derive(Clone, Debug)]
pub(super) struct Side {
    half: Half,
    levels: Box<[Level]>,
    orders: Vec<Order>,
    vacant: Vec<u32>,
    listed: Vec<u32>,
    best: i32,
    worst: i32,
    level_count: u32,
}

impl Side {
    pub(super) fn new(half: Half) -> Self {
        Self {
            half,
            levels: vec![EMPTY; WINDOW as usize].into_boxed_slice(),
            orders: Vec::with_capacity(ORDERS_MAX),
            vacant: Vec::with_capacity(ORDERS_MAX),
            listed: Vec::with_capacity(ORDERS_MAX),
            best: 0,
            worst: 0,
            level_count: 0,
        }
    }

    #[inline]
    pub(super) fn best(&self) -> i32 {
        self.best
    }

    /// Quantity at the best price.
    #[inline]
    pub(super) fn best_quantity(&self) -> u32 {
        self.level(self.best).quantity
    }

    #[inline]
    pub(super) fn order_count(&self) -> usize {
        self.listed.len()
    }

    #[inline]
    pub(super) fn level_count(&self) -> u32 {
        self.level_count
    }

    /// Ticks from the best price to the worst, both included.
    #[inline]
    pub(super) fn span(&self) -> i32 {
        (self.best - self.worst) * self.half.better() + 1
    }

    /// The slot of an order drawn evenly from all.
    #[inline]
    pub(super) fn any(&self, random: &mut Random) -> u32 {
        self.listed[random.below(self.listed.len() as u32) as usize]
    }

    /// The slot of the oldest order at the best price.
    #[inline]
    pub(super) fn front(&self) -> u32 {
        self.level(self.best).oldest
    }

    /// The slot of the newest order at the best price.
    #[inline]
    pub(super) fn last_at_best(&self) -> u32 {
        self.level(self.best).newest
    }

    /// The slot of the newest order at the worst price.
    #[inline]
    pub(super) fn last_at_worst(&self) -> u32 {
        self.level(self.worst).newest
    }

    #[inline]
    pub(super) fn order(&self, slot: u32) -> &Order {
        &self.orders[slot as usize]
    }

    /// Whether the order is the only one at its price.
    #[inline]
    pub(super) fn is_alone(&self, slot: u32) -> bool {
        let order = self.order(slot);
        order.older == NONE && order.newer == NONE
    }

    /// The first price without orders, going away from `tick`.
    pub(super) fn vacant_from(&self, tick: i32) -> i32 {
        let mut tick = tick;
        while self.level(tick).oldest != NONE {
            tick -= self.half.better();
        }
        tick
    }

    /// Whether the ring of levels can address `tick`, and the side has room for an order.
    #[inline]
    pub(super) fn takes(&self, tick: i32) -> bool {
        let (from_best, from_worst) =
            ((self.best - tick) * self.half.better(), (tick - self.worst) * self.half.better());
        self.listed.len() < ORDERS_MAX
            && (self.listed.is_empty() || (from_best < WINDOW - 1 && from_worst < WINDOW - 1))
    }

    /// Inserts an order after all others at its price.
    #[inline]
    pub(super) fn insert(&mut self, id: u64, tick: i32, quantity: u32) {
        debug_assert!(self.takes(tick));
        let listed = self.listed.len() as u32;
        let order = Order { id, tick, quantity, older: NONE, newer: NONE, listed };
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.orders[slot as usize] = order;
                slot
            }
            None => {
                self.orders.push(order);
                self.orders.len() as u32 - 1
            }
        };
        self.listed.push(slot);
        self.enqueue(slot);
    }

    /// Reduces an order by `quantity`, and removes it when nothing is left.
    #[inline]
    pub(super) fn reduce(&mut self, slot: u32, quantity: u32) {
        let order = &mut self.orders[slot as usize];
        debug_assert!(quantity <= order.quantity);
        if quantity == order.quantity {
            return self.remove(slot);
        }
        order.quantity -= quantity;
        let tick = order.tick;
        self.level_mut(tick).quantity -= quantity;
    }

    /// Moves an order to another price, after all others there.
    #[inline]
    pub(super) fn reprice(&mut self, slot: u32, tick: i32) {
        self.dequeue(slot);
        self.orders[slot as usize].tick = tick;
        self.enqueue(slot);
    }

    #[inline]
    fn remove(&mut self, slot: u32) {
        self.dequeue(slot);
        let listed = self.orders[slot as usize].listed;
        self.listed.swap_remove(listed as usize);
        if let Some(moved) = self.listed.get(listed as usize) {
            self.orders[*moved as usize].listed = listed;
        }
        self.vacant.push(slot);
    }

    #[inline]
    fn enqueue(&mut self, slot: u32) {
        let Order { tick, quantity, .. } = self.orders[slot as usize];
        let level = self.level_mut(tick);
        let newest = std::mem::replace(&mut level.newest, slot);
        level.quantity += quantity;
        if newest == NONE {
            level.oldest = slot;
            self.extend(tick);
        } else {
            self.orders[newest as usize].newer = slot;
        }
        let order = &mut self.orders[slot as usize];
        (order.older, order.newer) = (newest, NONE);
    }

    #[inline]
    fn extend(&mut self, tick: i32) {
        let better = self.half.better();
        if self.level_count == 0 {
            (self.best, self.worst) = (tick, tick);
        } else if (tick - self.best) * better > 0 {
            self.best = tick;
        } else if (tick - self.worst) * better < 0 {
            self.worst = tick;
        }
        self.level_count += 1;
    }

    #[inline]
    fn dequeue(&mut self, slot: u32) {
        let Order { tick, quantity, older, newer, .. } = self.orders[slot as usize];
        if older != NONE {
            self.orders[older as usize].newer = newer;
        }
        if newer != NONE {
            self.orders[newer as usize].older = older;
        }
        let level = self.level_mut(tick);
        level.quantity -= quantity;
        if level.oldest == slot {
            level.oldest = newer;
        }
        if level.newest == slot {
            level.newest = older;
        }
        if level.oldest == NONE {
            self.shrink(tick);
        }
    }

    #[inline]
    fn shrink(&mut self, tick: i32) {
        self.level_count -= 1;
        if self.level_count == 0 {
            return;
        }
        let better = self.half.better();
        if tick == self.best {
            while self.level(self.best).oldest == NONE {
                self.best -= better;
            }
        } else if tick == self.worst {
            while self.level(self.worst).oldest == NONE {
                self.worst += better;
            }
        }
    }

    #[inline]
    fn level(&self, tick: i32) -> &Level {
        &self.levels[(tick & (WINDOW - 1)) as usize]
    }

    #[inline]
    fn level_mut(&mut self, tick: i32) -> &mut Level {
        &mut self.levels[(tick & (WINDOW - 1)) as usize]
    }
}
