//! The open orders: a slab of entries, found by the sequence of their event and by account and client order
//! id, which is unique among the open orders of an account.

pub(crate) use crate::levels::NIL;
use crate::table::{Size, SlotIndex, TableKey};
use crate::terms::OrderOwner;
use stele_wire::Price;
use stele_wire::messages::Side;

/// What identifies an open order of an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct OrderKey {
    pub(crate) client_order_id: u64,
    pub(crate) account: u32,
}

impl TableKey for OrderKey {
    #[inline]
    fn hash(self) -> u64 {
        (self.client_order_id.rotate_left(17) ^ self.account.hash()).hash()
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

/// The price with this rank.
#[inline]
pub(crate) fn price_of(side: usize, rank: i64) -> i64 {
    if side == 0 || rank == Price::UNDEFINED.0 { rank } else { !rank }
}

/// An open order, or a leg of an open quote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: OrderKey,
    pub(crate) owner: OrderOwner,
    /// The event that gave it its present terms; 0 in a vacant slot.
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
    /// The other leg of a quote; [`NIL`] for none.
    pub(crate) sibling: u32,
    /// The level at which it rests; [`NIL`] while it cannot be matched.
    pub(crate) level: u32,
    /// When the last cancel of all of it was logged.
    pub(crate) cancelled_at: u64,
    /// The operator's request to cancel it, until the cancel is logged; 0 for none.
    pub(crate) asked_by: u64,
    pub(crate) side: Side,
    pub(crate) is_quote: bool,
    /// Whether a cancel of all of it is on the log and not answered.
    pub(crate) is_cancelling: bool,
    /// The cancels of all of it that are on the log.
    pub(crate) cancels: u8,
}

const VACANT: Entry = Entry {
    key: OrderKey { client_order_id: 0, account: 0 },
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
    sibling: NIL,
    level: NIL,
    cancelled_at: 0,
    asked_by: 0,
    side: Side::NONE,
    is_quote: false,
    is_cancelling: false,
    cancels: 0,
};

impl Entry {
    pub(crate) fn new(key: OrderKey, owner: OrderOwner, sequence: u64) -> Self {
        Self { key, owner, sequence, ..VACANT }
    }

    #[inline]
    pub(crate) fn rank(&self) -> i64 {
        rank((self.side == Side::SELL).into(), self.price)
    }
}

/// The open orders.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    by_key: SlotIndex<OrderKey>,
    by_sequence: SlotIndex<u64>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    grows: bool,
}

impl Orders {
    pub(crate) fn new(size: Size) -> Self {
        let capacity = size.first();
        Self {
            by_key: SlotIndex::new(capacity),
            by_sequence: SlotIndex::new(capacity),
            entries: vec![VACANT; capacity],
            free: (0..capacity as u32).rev().collect(),
            grows: size == Size::Growing,
        }
    }

    /// The entries that there can be.
    pub(crate) fn room(&self) -> usize {
        if self.grows { usize::MAX } else { self.entries.len() }
    }

    /// Makes room for more if there is none and the orders may grow. Returns the room that there is.
    pub(crate) fn make_room(&mut self) -> usize {
        if self.free.is_empty() && self.grows {
            let (before, capacity) = (self.entries.len(), 2 * self.entries.len());
            self.entries.resize(capacity, VACANT);
            self.free.extend((before as u32..capacity as u32).rev());
            (self.by_key, self.by_sequence) = (SlotIndex::new(capacity), SlotIndex::new(capacity));
            for (slot, entry) in (0_u32..).zip(&self.entries[..before]) {
                self.by_key.set(entry.key, slot);
                self.by_sequence.set(entry.sequence, slot);
            }
        }
        self.free.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// An order, or one leg of a quote, by account and client order id.
    #[inline]
    pub(crate) fn find(&self, key: OrderKey) -> Option<u32> {
        self.by_key.get(key)
    }

    /// An order, or one leg of a quote, by the sequence of its event.
    #[inline]
    pub(crate) fn find_sequence(&self, sequence: u64) -> Option<u32> {
        self.by_sequence.get(sequence)
    }

    /// An order and nothing, or the legs of a quote.
    #[inline]
    pub(crate) fn legs(&self, slot: u32) -> [Option<u32>; 2] {
        let sibling = self.at(slot).sibling;
        [Some(slot), (sibling != NIL).then_some(sibling)]
    }

    #[inline]
    pub(crate) fn at(&self, slot: u32) -> &Entry {
        &self.entries[slot as usize]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[slot as usize]
    }

    /// Inserts an entry and returns its slot; none when there is no room. Its key is new, or `sibling` has
    /// it.
    #[inline]
    pub(crate) fn insert(&mut self, mut entry: Entry, sibling: Option<u32>) -> Option<u32> {
        debug_assert!(entry.sequence != 0);
        let slot = self.free.pop()?;
        entry.sibling = sibling.unwrap_or(NIL);
        self.entries[slot as usize] = entry;
        match sibling {
            Some(sibling) => self.at_mut(sibling).sibling = slot,
            None => {
                self.by_key.set(entry.key, slot);
                self.by_sequence.set(entry.sequence, slot);
            }
        }
        Some(slot)
    }

    /// Removes an entry that does not rest.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Entry { key, sequence, sibling, level, .. } = *self.at(slot);
        debug_assert!(level == NIL);
        if sibling == NIL {
            self.by_key.remove(key);
            self.by_sequence.remove(sequence);
        } else {
            self.by_key.set(key, sibling);
            self.by_sequence.set(sequence, sibling);
            self.at_mut(sibling).sibling = NIL;
        }
        self.at_mut(slot).sequence = 0;
        self.free.push(slot);
    }

    /// Gives an order, or both legs of a quote, another identification.
    pub(crate) fn rename(&mut self, slot: u32, key: OrderKey, sequence: u64) {
        let Entry { key: old_key, sequence: old_sequence, .. } = *self.at(slot);
        self.by_key.remove(old_key);
        self.by_sequence.remove(old_sequence);
        self.by_key.set(key, slot);
        self.by_sequence.set(sequence, slot);
        for leg in self.legs(slot).into_iter().flatten() {
            let entry = self.at_mut(leg);
            (entry.key, entry.sequence) = (key, sequence);
        }
    }

    /// Marks every order as not being cancelled.
    pub(crate) fn forget_cancels(&mut self) {
        self.entries.iter_mut().for_each(|entry| (entry.is_cancelling, entry.cancels) = (false, 0));
    }

    /// Iterates over all open orders and their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0_u32..).zip(&self.entries).filter(|(_, entry)| entry.sequence != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_gives_its_price_back() {
        for price in [0, 1, -1, 7, Price::UNDEFINED.0] {
            for side in [0, 1] {
                assert_eq!(price_of(side, rank(side, price)), price);
            }
        }
        assert!(rank(0, 5) > rank(0, 4) && rank(1, 4) > rank(1, 5));
    }

    #[test]
    fn the_legs_of_a_quote_are_found_until_the_last_is_removed() {
        let (mut orders, key) = (Orders::new(Size::Fixed(4)), OrderKey { client_order_id: 7, account: 1 });
        let entry = Entry { is_quote: true, ..Entry::new(key, OrderOwner::default(), 10) };
        let bid = orders.insert(entry, None).unwrap();
        let ask = orders.insert(entry, Some(bid)).unwrap();
        assert_eq!(orders.legs(bid), [Some(bid), Some(ask)]);
        orders.remove(bid);
        assert_eq!((orders.find(key), orders.find_sequence(10)), (Some(ask), Some(ask)));
        orders.rename(ask, OrderKey { client_order_id: 8, account: 1 }, 11);
        assert_eq!((orders.find(key), orders.find_sequence(10)), (None, None));
        orders.remove(ask);
        assert_eq!((orders.find_sequence(11), orders.len()), (None, 0));
    }
}
