//! Finds the orders that a LOBSTER file shows to be gone although it has no message of it.
//!
//! A file of N levels has no messages of an order while it is further away than the best N prices, and the
//! order may leave the book there. Two facts show later that it did. The visible book of NASDAQ is never
//! locked or crossed, so an order on one side means that the other side has none at its price or beyond. And
//! every message of a file of one level is about the best price, so its side has no order at a better price.

use stele_wire::messages::Side;

/// The visible orders of the file. Each side is sorted with the best price at its end, where nearly all
/// changes are.
pub(super) struct Window {
    sides: [Vec<Order>; 2],
    is_touch_only: bool,
}

/// An order of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    /// Greater is better: the price of a bid, the negated price of an ask.
    rank: i64,
    pub(super) id: u64,
    quantity: u64,
    pub(super) price: i64,
    pub(super) side: Side,
}

/// The number of orders of a side for which memory is allocated at first.
const CAPACITY: usize = 4_096;

impl Window {
    /// Creates the window of a file of `levels` levels, if that is known.
    pub(super) fn new(levels: Option<u32>) -> Self {
        Self { sides: [(); 2].map(|()| Vec::with_capacity(CAPACITY)), is_touch_only: levels == Some(1) }
    }

    /// Removes one order that cannot be in the book together with a visible one at `price`; `None` if there
    /// is none.
    #[inline]
    pub(super) fn take_stale(&mut self, side: Side, price: i64) -> Option<Order> {
        let rank = rank(side, price);
        let other = &mut self.sides[1 - at(side)];
        if other.last().is_some_and(|order| order.rank >= -rank) {
            return other.pop();
        }
        let own = &mut self.sides[at(side)];
        if self.is_touch_only && own.last().is_some_and(|order| order.rank > rank) { own.pop() } else { None }
    }

    /// Adds an order.
    #[inline]
    pub(super) fn add(&mut self, id: u64, side: Side, price: i64, quantity: u64) {
        let order = Order { rank: rank(side, price), id, quantity, price, side };
        match self.find(id, side, price) {
            Ok(at_order) => self.sides[at(side)][at_order] = order,
            Err(at_order) => self.sides[at(side)].insert(at_order, order),
        }
    }

    /// Reduces an order by `quantity`, or removes it. Returns whether the quantity is all that the file
    /// showed of the order, or the order is unknown.
    #[inline]
    pub(super) fn reduce(&mut self, id: u64, side: Side, price: i64, quantity: u64, is_all: bool) -> bool {
        let Ok(found) = self.find(id, side, price) else { return true };
        let orders = &mut self.sides[at(side)];
        let left = orders[found].quantity;
        if is_all || quantity >= left {
            orders.remove(found);
        } else {
            orders[found].quantity -= quantity;
        }
        left == quantity
    }

    #[inline]
    fn find(&self, id: u64, side: Side, price: i64) -> Result<usize, usize> {
        self.sides[at(side)].binary_search_by_key(&(rank(side, price), id), |order| (order.rank, order.id))
    }
}

fn at(side: Side) -> usize {
    usize::from(side == Side::SELL)
}

fn rank(side: Side, price: i64) -> i64 {
    if side == Side::SELL { -price } else { price }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn stale(window: &mut Window, side: Side, price: i64) -> Vec<u64> {
        std::iter::from_fn(|| window.take_stale(side, price)).map(|order| order.id).collect()
    }

    #[test]
    fn an_order_that_would_be_crossed_or_locked_is_gone() {
        let mut window = Window::new(Some(10));
        for (id, price) in [(1, 100), (2, 101), (3, 102)] {
            window.add(id, Side::SELL, price, 5);
        }
        assert_eq!(stale(&mut window, Side::BUY, 99), [] as [u64; 0]);
        assert_eq!(stale(&mut window, Side::BUY, 101), [1, 2]);
        window.add(4, Side::BUY, 101, 5);
        assert_eq!(
            stale(&mut window, Side::BUY, 90),
            [] as [u64; 0],
            "ten levels: a better one may be there"
        );
        assert_eq!(stale(&mut window, Side::SELL, 100), [4]);
    }

    #[test]
    fn in_a_file_of_one_level_orders_at_better_prices_than_a_message_are_gone() {
        let mut window = Window::new(Some(1));
        for (id, price) in [(1, 100), (2, 101), (3, 102)] {
            window.add(id, Side::BUY, price, 5);
        }
        assert_eq!(stale(&mut window, Side::BUY, 101), [3]);
        assert_eq!(stale(&mut window, Side::BUY, 101), [] as [u64; 0]);
    }

    #[test]
    fn an_order_is_forgotten_with_the_last_of_its_quantity() {
        let mut window = Window::new(None);
        window.add(1, Side::BUY, 100, 5);
        assert!(!window.reduce(1, Side::BUY, 100, 2, false));
        assert!(!window.reduce(1, Side::BUY, 100, 2, true), "one was left that the file does not show");
        assert!(window.reduce(1, Side::BUY, 100, 9, true), "the window knows nothing else");
        assert_eq!(stale(&mut window, Side::SELL, 1), [] as [u64; 0]);
    }

    proptest! {
        #[test]
        fn it_knows_the_orders_that_a_map_knows(
            steps in prop::collection::vec((0u8..4, 1u64..20, any::<bool>(), 1i64..12, 1u64..9), 0..200),
            is_touch_only in any::<bool>(),
        ) {
            let mut window = Window::new(Some(if is_touch_only { 1 } else { 5 }));
            let mut naive: BTreeMap<(bool, i64, u64), u64> = BTreeMap::new();
            for (step, id, is_bid, price, quantity) in steps {
                let side = if is_bid { Side::BUY } else { Side::SELL };
                let key = (is_bid, price, id);
                let mut gone = stale(&mut window, side, price);
                let mut expected = Vec::new();
                naive.retain(|&(bid, at, id), _| {
                    let crosses = bid != is_bid && if is_bid { at <= price } else { at >= price };
                    let is_before = bid == is_bid && if is_bid { at > price } else { at < price };
                    let stays = !(crosses || is_touch_only && is_before);
                    if !stays {
                        expected.push(id);
                    }
                    stays
                });
                gone.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(gone, expected);
                if step < 2 {
                    window.add(id, side, price, quantity);
                    naive.insert(key, quantity);
                } else {
                    let known = naive.get(&key).copied();
                    let is_whole = window.reduce(id, side, price, quantity, step == 3);
                    prop_assert_eq!(is_whole, known.is_none_or(|left| left == quantity));
                    match known {
                        Some(left) if step == 3 || quantity >= left => { naive.remove(&key); }
                        Some(left) => { naive.insert(key, left - quantity); }
                        None => {}
                    }
                }
            }
            prop_assert_eq!(window.sides[0].len() + window.sides[1].len(), naive.len());
        }
    }
}
