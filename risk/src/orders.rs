//! The open orders: a slab of entries, an index by owner and order id, and a list by price for each
//! beneficial owner, instrument and side, which begins with the own order that would be matched first.

use crate::bounds::RISK_OPEN_ORDERS_MAX;
use crate::table::{SlotIndex, TableKey};
use crate::terms::OrderOwner;
use stele_wire::Price;
use stele_wire::messages::Side;

/// No entry.
pub(crate) const NIL: u32 = u32::MAX;

/// The key with which reports identify an order, with the leg of a quote (0 for an order, otherwise the
/// side).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct OrderKey {
    pub(crate) client_order_id: u64,
    pub(crate) account: u32,
    pub(crate) strategy: u16,
    pub(crate) leg: u8,
}

impl TableKey for OrderKey {
    #[inline]
    fn hash(self) -> u64 {
        let owner = u64::from(self.account) << 24 | u64::from(self.strategy) << 8 | u64::from(self.leg);
        (self.client_order_id.rotate_left(17) ^ owner.hash()).hash()
    }
}

/// Buy is 0, sell is 1.
#[inline]
pub(crate) fn side_index(side: Side) -> Option<usize> {
    match side {
        Side::BUY => Some(0),
        Side::SELL => Some(1),
        _ => None,
    }
}

/// The rank of a price: the order with the higher rank is matched first. An order without a limit accepts any
/// price.
#[inline]
pub(crate) fn rank(side: usize, price: i64) -> i64 {
    if side == 0 || price == Price::UNDEFINED.0 { price } else { !price }
}

/// An open order, or a leg of an open quote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: OrderKey,
    pub(crate) owner: OrderOwner,
    pub(crate) sequence: u64,
    /// The order that it is to replace, until the venue has answered; 0 for none.
    pub(crate) replaces: u64,
    pub(crate) price: i64,
    /// The price at which it is valued.
    pub(crate) valued_at: i64,
    /// The quantity that is left to trade.
    pub(crate) leaves: u64,
    /// What it adds to its holding's open quantity and value. For a replacement that the venue has not
    /// answered, this is less than its whole quantity, because the replaced order still counts.
    pub(crate) counted: u64,
    pub(crate) counted_value: i64,
    pub(crate) holding: u32,
    pub(crate) strategy: u32,
    pub(crate) side: Side,
    pub(crate) is_resting: bool,
    /// Whether a cancel of all of it is on the log and not answered.
    pub(crate) is_cancelling: bool,
    pub(crate) next: u32,
    pub(crate) previous: u32,
}

const VACANT: Entry = Entry {
    key: OrderKey { client_order_id: 0, account: 0, strategy: 0, leg: 0 },
    owner: OrderOwner {
        account: 0,
        instrument: 0,
        strategy: 0,
        is_by_person: false,
        algorithms: [0; 3],
        desk: 0,
        trader: 0,
        client: 0,
    },
    sequence: 0,
    replaces: 0,
    price: Price::UNDEFINED.0,
    valued_at: Price::UNDEFINED.0,
    leaves: 0,
    counted: 0,
    counted_value: 0,
    holding: NIL,
    strategy: NIL,
    side: Side::NONE,
    is_resting: false,
    is_cancelling: false,
    next: NIL,
    previous: NIL,
};

impl Entry {
    pub(crate) fn new(key: OrderKey, owner: OrderOwner, sequence: u64) -> Self {
        Self { key, owner, sequence, ..VACANT }
    }

    #[inline]
    fn rank(&self) -> i64 {
        rank((self.side == Side::SELL).into(), self.price)
    }
}

/// Both ends of a list, ordered by rank, the highest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    first: u32,
    last: u32,
}

impl Ends {
    pub(crate) const EMPTY: Self = Self { first: NIL, last: NIL };
}

impl Default for Ends {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The open orders.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    index: SlotIndex<OrderKey>,
    entries: Box<[Entry]>,
    free: Vec<u32>,
}

impl Default for Orders {
    fn default() -> Self {
        let capacity = RISK_OPEN_ORDERS_MAX;
        let free = (0..capacity as u32).rev().collect();
        Self { index: SlotIndex::new(capacity), entries: vec![VACANT; capacity].into(), free }
    }
}

impl Orders {
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is room for `count` more.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.free.len() >= count
    }

    #[inline]
    pub(crate) fn find(&self, key: OrderKey) -> Option<u32> {
        self.index.get(key)
    }

    #[inline]
    pub(crate) fn at(&self, slot: u32) -> &Entry {
        &self.entries[slot as usize]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[slot as usize]
    }

    /// Inserts an entry with a new key and returns its slot; none when there is no room.
    #[inline]
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<u32> {
        let slot = self.free.pop()?;
        self.entries[slot as usize] = entry;
        self.index.set(entry.key, slot);
        Some(slot)
    }

    /// Removes an entry that is not in a list.
    pub(crate) fn remove(&mut self, slot: u32) {
        debug_assert!(!self.at(slot).is_resting);
        self.index.remove(self.at(slot).key);
        self.free.push(slot);
    }

    /// Inserts an order into a list of resting orders, after those with the same rank.
    pub(crate) fn link(&mut self, ends: &mut Ends, slot: u32) {
        let rank = self.at(slot).rank();
        let after = if ends.last == NIL || self.at(ends.last).rank() >= rank {
            ends.last
        } else {
            self.last_of_rank(ends, rank)
        };
        let before = if after == NIL { ends.first } else { self.at(after).next };
        let entry = self.at_mut(slot);
        (entry.previous, entry.next, entry.is_resting) = (after, before, true);
        self.join(ends, after, slot);
        self.join(ends, slot, before);
    }

    /// The last entry with at least this rank. The last entry of the list has a lower one.
    fn last_of_rank(&self, ends: &Ends, rank: i64) -> u32 {
        let (mut after, mut at) = (NIL, ends.first);
        while self.at(at).rank() >= rank {
            (after, at) = (at, self.at(at).next);
        }
        after
    }

    /// Removes an order from its list, if it is in one.
    pub(crate) fn unlink(&mut self, ends: &mut Ends, slot: u32) {
        let Entry { previous, next, is_resting, .. } = *self.at(slot);
        if !is_resting {
            return;
        }
        self.join(ends, previous, next);
        let entry = self.at_mut(slot);
        (entry.previous, entry.next, entry.is_resting) = (NIL, NIL, false);
    }

    fn join(&mut self, ends: &mut Ends, left: u32, right: u32) {
        match left {
            NIL => ends.first = right,
            _ => self.at_mut(left).next = right,
        }
        match right {
            NIL => ends.last = left,
            _ => self.at_mut(right).previous = left,
        }
    }

    /// Iterates over the resting orders of a list, the highest rank first.
    #[inline]
    pub(crate) fn resting(&self, ends: &Ends) -> impl Iterator<Item = &Entry> {
        let mut at = ends.first;
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?;
            at = entry.next;
            Some(entry)
        })
    }

    /// Marks every order as not being cancelled.
    pub(crate) fn forget_cancels(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.is_cancelling = false);
    }

    /// Inserts every resting order into the list that `ends` returns for its holding and side. All lists must
    /// be empty.
    pub(crate) fn relink(&mut self, mut ends: impl FnMut(u32, usize, &mut dyn FnMut(&mut Ends))) {
        for slot in 0..self.entries.len() as u32 {
            let Entry { key, holding, side, is_resting, .. } = *self.at(slot);
            if let Some(side) = side_index(side).filter(|_| is_resting && self.find(key) == Some(slot)) {
                ends(holding, side, &mut |ends| self.link(ends, slot));
            }
        }
    }

    /// Iterates over all open orders, in an arbitrary order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        let slots = self.entries.iter().zip(0_u32..);
        slots.filter(|(entry, slot)| self.index.get(entry.key) == Some(*slot)).map(|(entry, _)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(id: u64, side: Side, price: i64) -> Entry {
        let key = OrderKey { client_order_id: id, ..OrderKey::default() };
        Entry { side, price, ..Entry::new(key, OrderOwner::default(), id) }
    }

    proptest! {
        #[test]
        fn a_list_is_ordered_by_price_and_then_by_arrival(
            steps in prop::collection::vec((any::<bool>(), 0_i64..12, 0_usize..64), 1..60),
            is_buy in any::<bool>(),
        ) {
            let (mut orders, mut ends) = (Orders::default(), Ends::EMPTY);
            let side = if is_buy { Side::BUY } else { Side::SELL };
            let mut model: Vec<(i64, u64, u32)> = Vec::new();
            for (number, (is_new, price, pick)) in steps.into_iter().enumerate() {
                if is_new || model.is_empty() {
                    let price = if price == 0 { Price::UNDEFINED.0 } else { price };
                    let slot = orders.insert(order(number as u64, side, price)).unwrap();
                    orders.link(&mut ends, slot);
                    let key = match (price, is_buy) {
                        (i64::MAX, _) => i64::MIN,
                        (price, true) => -price,
                        (price, false) => price,
                    };
                    model.push((key, number as u64, slot));
                    model.sort();
                } else {
                    let (_, _, slot) = model.remove(pick % model.len());
                    orders.unlink(&mut ends, slot);
                    orders.remove(slot);
                }
                let found: Vec<u64> = orders.resting(&ends).map(|entry| entry.sequence).collect();
                let expected: Vec<u64> = model.iter().map(|(_, number, _)| *number).collect();
                prop_assert_eq!(found, expected);
                prop_assert_eq!(orders.iter().count(), model.len());
            }
        }
    }
}
