//! One side of a book: its price levels, ordered by price.

use smallvec::SmallVec;
use stele_wire::{Price, Quantity};

/// A price level of a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// Price of the level.
    pub price: Price,
    /// Total quantity of its orders.
    pub quantity: Quantity,
    /// Number of orders; 0 when the source does not say.
    pub orders: u32,
}

/// The slot number that means none.
pub(super) const NONE: u32 = u32::MAX;

/// The levels of one side. `rungs` is sorted with the best price at its end, where most changes happen and
/// move no other rung. A level keeps its slot for its whole life, so an order refers to its level by slot,
/// without a search. A single level needs no memory of its own: among thousands of instruments, most of which
/// have only a best bid and offer, an update touches few cache lines.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Mask that is combined with a price by exclusive or, so that a better price is a greater key: 0 for
    /// bids, -1 for asks.
    sign: i64,
    rungs: SmallVec<[Rung; 1]>,
    levels: SmallVec<[LevelSlot; 1]>,
    /// The first vacant slot of `levels`; the next one is in its `head`. [`NONE`] for none.
    free: u32,
}

#[derive(Clone, Copy, Debug)]
struct Rung {
    key: i64,
    level: u32,
}

/// A price level; its orders are a linked list from `head`, the oldest, to `tail`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelSlot {
    pub(super) price: i64,
    pub(super) quantity: u64,
    pub(super) count: u32,
    pub(super) head: u32,
    pub(super) tail: u32,
}

/// The number of best rungs that are searched linearly before the rest is searched by bisection.
const NEAR: usize = 8;

impl Ladder {
    pub(super) fn new(is_bid: bool, capacity: usize) -> Self {
        Self {
            sign: if is_bid { 0 } else { -1 },
            rungs: SmallVec::with_capacity(capacity),
            levels: SmallVec::with_capacity(capacity),
            free: NONE,
        }
    }

    #[inline]
    fn search(&self, price: i64) -> Result<usize, usize> {
        let key = price ^ self.sign;
        let near = self.rungs.len().saturating_sub(NEAR);
        for at in (near..self.rungs.len()).rev() {
            let found = self.rungs[at].key;
            if found <= key {
                return if found == key { Ok(at) } else { Err(at + 1) };
            }
        }
        self.rungs[..near].binary_search_by_key(&key, |rung| rung.key)
    }

    /// The slot of the level at `price`.
    #[inline]
    pub(super) fn find(&self, price: i64) -> Option<u32> {
        self.search(price).ok().map(|at| self.rungs[at].level)
    }

    /// The slot of the level at `price`, which is created if needed.
    #[inline]
    pub(super) fn find_or_insert(&mut self, price: i64) -> u32 {
        match self.search(price) {
            Ok(at) => self.rungs[at].level,
            Err(at) => {
                let slot = LevelSlot { price, quantity: 0, count: 0, head: NONE, tail: NONE };
                let level = match self.free {
                    NONE => {
                        self.levels.push(slot);
                        (self.levels.len() - 1) as u32
                    }
                    level => {
                        let vacant = std::mem::replace(&mut self.levels[level as usize], slot);
                        self.free = vacant.head;
                        level
                    }
                };
                self.rungs.insert(at, Rung { key: price ^ self.sign, level });
                level
            }
        }
    }

    /// Removes the level at `price` and returns whether it existed.
    pub(super) fn remove(&mut self, price: i64) -> bool {
        let Ok(at) = self.search(price) else { return false };
        let rung = self.rungs.remove(at);
        self.vacate(rung.level);
        true
    }

    #[inline]
    fn vacate(&mut self, level: u32) {
        self.levels[level as usize].head = self.free;
        self.free = level;
    }

    /// Removes every level that is worse than `price`.
    pub(super) fn remove_worse_than(&mut self, price: i64) {
        let end = self.search(price).unwrap_or_else(|at| at);
        for at in 0..end {
            self.vacate(self.rungs[at].level);
        }
        self.rungs.drain(..end);
    }

    #[inline]
    pub(super) fn level(&self, slot: u32) -> &LevelSlot {
        &self.levels[slot as usize]
    }

    #[inline]
    pub(super) fn level_mut(&mut self, slot: u32) -> &mut LevelSlot {
        &mut self.levels[slot as usize]
    }

    #[inline]
    pub(super) fn best(&self) -> Option<Level> {
        self.rungs.last().map(|rung| self.level(rung.level).public())
    }

    /// The best price.
    #[inline]
    pub(super) fn touch(&self) -> Option<i64> {
        self.rungs.last().map(|rung| rung.key ^ self.sign)
    }

    /// The levels, best first.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Level> {
        self.rungs.iter().rev().map(|rung| self.level(rung.level).public())
    }

    /// The slots, best first.
    pub(super) fn slots(&self) -> impl ExactSizeIterator<Item = &LevelSlot> {
        self.rungs.iter().rev().map(|rung| self.level(rung.level))
    }

    pub(super) fn count(&self) -> usize {
        self.rungs.len()
    }

    /// Total quantity at `price` and better prices.
    pub(super) fn volume_to(&self, price: i64) -> u64 {
        let key = price ^ self.sign;
        self.rungs
            .iter()
            .rev()
            .take_while(|rung| rung.key >= key)
            .fold(0, |sum, rung| sum.saturating_add(self.level(rung.level).quantity))
    }

    pub(super) fn clear(&mut self) {
        self.rungs.clear();
        self.levels.clear();
        self.free = NONE;
    }
}

impl LevelSlot {
    #[inline]
    fn public(&self) -> Level {
        Level { price: Price(self.price), quantity: Quantity(self.quantity), orders: self.count }
    }
}
