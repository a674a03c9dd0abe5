//! Recent new orders, for the check of duplicates.

use crate::bounds::RISK_RECENT_ORDERS_MAX;
use crate::table::{SlotIndex, TableKey};

/// The terms that two duplicate orders share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Likeness {
    pub(crate) account: u32,
    pub(crate) instrument: u32,
    pub(crate) side: u8,
    pub(crate) price: i64,
    pub(crate) quantity: u64,
}

impl TableKey for Likeness {
    #[inline]
    fn hash(self) -> u64 {
        let owner = u64::from(self.account) << 32 | u64::from(self.instrument);
        let terms = (self.price as u64).rotate_left(23) ^ self.quantity ^ u64::from(self.side) << 61;
        (owner.hash() ^ terms).hash()
    }
}

/// A queue of the newest orders, and an index of the newest order with each likeness.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    index: SlotIndex<Likeness>,
    queue: Box<[(Likeness, u64)]>,
    /// The number of orders ever entered, and of those removed; the queue contains those between.
    end: u64,
    start: u64,
}

/// The most orders that one new order removes from the queue: more than one, so that the queue shrinks to the
/// window.
const FORGOTTEN_AT_ONCE: usize = 4;

impl Default for Recent {
    fn default() -> Self {
        let capacity = RISK_RECENT_ORDERS_MAX;
        let queue = vec![(Likeness::default(), 0); capacity].into();
        Self { index: SlotIndex::new(capacity), queue, end: 0, start: 0 }
    }
}

impl Recent {
    #[inline]
    fn place(&self, number: u64) -> usize {
        number as usize & (self.queue.len() - 1)
    }

    /// The time of the newest order with this likeness.
    #[inline]
    pub(crate) fn newest(&self, likeness: Likeness) -> Option<u64> {
        self.index.get(likeness).map(|slot| self.queue[slot as usize].1)
    }

    /// Whether there is no room for another order at `now` without removing one that is newer than `now -
    /// horizon`.
    #[inline]
    pub(crate) fn is_full(&self, now: u64, horizon: u64) -> bool {
        self.end - self.start == self.queue.len() as u64 && !self.is_oldest_over(now, horizon)
    }

    #[inline]
    fn is_oldest_over(&self, now: u64, horizon: u64) -> bool {
        now.saturating_sub(self.queue[self.place(self.start)].1) >= horizon
    }

    /// Enters a new order at `now`. Orders older than `horizon` are removed.
    #[inline]
    pub(crate) fn enter(&mut self, likeness: Likeness, now: u64, horizon: u64) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            if self.start == self.end || !self.is_oldest_over(now, horizon) {
                break;
            }
            self.forget_oldest();
        }
        if self.end - self.start == self.queue.len() as u64 {
            self.forget_oldest();
        }
        let place = self.place(self.end);
        self.queue[place] = (likeness, now);
        self.index.set(likeness, place as u32);
        self.end += 1;
    }

    fn forget_oldest(&mut self) {
        let place = self.place(self.start);
        let likeness = self.queue[place].0;
        if self.index.get(likeness) == Some(place as u32) {
            self.index.remove(likeness);
        }
        self.start += 1;
    }

    /// Iterates over the orders, from the oldest to the newest.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(Likeness, u64)> {
        let length = (self.end - self.start) as usize;
        (0..length).map(|offset| &self.queue[self.place(self.start + offset as u64)])
    }
}
