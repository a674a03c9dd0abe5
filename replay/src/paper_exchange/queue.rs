//! Where our resting orders stand, and what a market event gives them.
//!
//! The model errs against us:
//! - A new order stands behind everything that is displayed at its price.
//! - An execution at its price shortens the queue ahead by its quantity. What an execution has left when nothing
//!   is ahead any more is ours.
//! - A cancel ahead of it cannot be told from one behind it, so cancels do not shorten the queue, except that
//!   the queue ahead is never longer than the level that is displayed.
//! - An execution at a worse price than ours went through us: it is ours first, at our price, and no more than it.
//! - Displayed quantity of the other side at our price or better would have met us: once nothing is ahead of us
//!   we take it, at our price, through the owner's [`Shadow`].
//! - An owner's orders share what an event gives, best price first, then first come.

use super::order::{Order, Owner, reaches};
use super::shadow::Shadow;
use stele_strategies::book::BookSide;

/// One execution in the market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Execution {
    /// The side that rested.
    pub(super) resting: BookSide,
    pub(super) price: i64,
    pub(super) quantity: u64,
}

/// What a resting order gets: its place in the list of resting orders, and how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Match {
    pub(super) index: usize,
    pub(super) quantity: u64,
}

/// Moves the queues ahead by `execution` and writes what each order gets into `matches`.
pub(super) fn execute(orders: &mut [Order], execution: Execution, matches: &mut Vec<Match>) {
    let side = execution.resting;
    let reached = |order: &Order| {
        order.side == side && order.limit.is_some() && reaches(side, order.limit, execution.price)
    };
    rank(orders, reached, matches);
    let mut budget = Budget::default();
    for entry in matches.iter_mut() {
        let order = &mut orders[entry.index];
        let is_through = order.limit != Some(execution.price);
        let reach =
            if is_through { execution.quantity } else { execution.quantity.saturating_sub(order.ahead) };
        order.ahead = if is_through { 0 } else { order.ahead.saturating_sub(execution.quantity) };
        entry.quantity = budget.spend(order, reach);
    }
    matches.retain(|entry| entry.quantity > 0);
}

/// Meets the orders with what the other side displays, best level first; `levels` walks a side outwards.
pub(super) fn meet<L: Iterator<Item = (i64, u64)>>(
    orders: &[Order],
    levels: impl Fn(BookSide) -> L,
    shadow: &mut Shadow,
    matches: &mut Vec<Match>,
) {
    let touch = [levels(BookSide::Bid).next(), levels(BookSide::Ask).next()];
    let meets = |order: &Order| {
        let other = if order.side == BookSide::Bid { touch[1] } else { touch[0] };
        order.ahead == 0 && other.is_some_and(|(price, _)| reaches(order.side, order.limit, price))
    };
    rank(orders, meets, matches);
    for entry in matches.iter_mut() {
        let order = &orders[entry.index];
        entry.quantity = take(
            levels(order.side.opposite()),
            Taker { owner: order.owner, side: order.side, limit: order.limit, quantity: order.leaves() },
            shadow,
            |_, _| (),
        );
    }
    matches.retain(|entry| entry.quantity > 0);
}

/// Who takes from the displayed market, and how much at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub(super) owner: Owner,
    pub(super) side: BookSide,
    pub(super) limit: Option<i64>,
    pub(super) quantity: u64,
}

/// Takes from `levels` what the taker's limit reaches, through its shadow, and calls `fill` with the price and
/// quantity of each. Returns the quantity taken.
pub(super) fn take(
    levels: impl Iterator<Item = (i64, u64)>,
    taker: Taker,
    shadow: &mut Shadow,
    mut fill: impl FnMut(i64, u64),
) -> u64 {
    let mut left = taker.quantity;
    let side = taker.side.opposite();
    for (price, displayed) in levels.take_while(|(price, _)| reaches(taker.side, taker.limit, *price)) {
        if left == 0 {
            break;
        }
        let quantity = shadow.left(taker.owner, side, price, displayed).min(left);
        if quantity > 0 {
            shadow.take(taker.owner, side, price, quantity);
            left -= quantity;
            fill(price, quantity);
        }
    }
    taker.quantity - left
}

/// What the taker could take, nothing being taken.
pub(super) fn reachable(levels: impl Iterator<Item = (i64, u64)>, taker: Taker, shadow: &Shadow) -> u64 {
    levels
        .take_while(|(price, _)| reaches(taker.side, taker.limit, *price))
        .map(|(price, displayed)| shadow.left(taker.owner, taker.side.opposite(), price, displayed))
        .fold(0, u64::saturating_add)
}

/// Keeps no queue longer than its level.
pub(super) fn follow(orders: &mut [Order], displayed: impl Fn(BookSide, i64) -> u64) {
    for order in orders.iter_mut().filter(|order| order.ahead > 0) {
        if let Some(limit) = order.limit {
            order.ahead = order.ahead.min(displayed(order.side, limit));
        }
    }
}

/// Fills `matches` with the orders that `wanted` names, by owner, then best price, then first come.
fn rank(orders: &[Order], wanted: impl Fn(&Order) -> bool, matches: &mut Vec<Match>) {
    matches.clear();
    matches.extend(
        orders
            .iter()
            .enumerate()
            .filter(|(_, order)| wanted(order))
            .map(|(index, _)| Match { index, quantity: 0 }),
    );
    matches.sort_unstable_by_key(|entry| {
        let order = &orders[entry.index];
        let price = order.limit.map_or(0, i128::from);
        let eagerness = if order.side == BookSide::Bid { -price } else { price };
        (order.owner, order.side as u8, eagerness, entry.index)
    });
}

/// What an owner has had of one execution.
#[derive(Default)]
struct Budget {
    owner: Option<Owner>,
    spent: u64,
}

impl Budget {
    fn spend(&mut self, order: &Order, reach: u64) -> u64 {
        if self.owner != Some(order.owner) {
            *self = Self { owner: Some(order.owner), spent: 0 };
        }
        let quantity = order.leaves().min(reach.saturating_sub(self.spent));
        self.spent += quantity;
        quantity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { strategy: 1, account: 7 };

    fn order(side: BookSide, limit: i64, quantity: u64, ahead: u64) -> Order {
        Order {
            owner: OWNER,
            instrument: 1,
            side,
            client_order_id: 1,
            venue_order_id: 1,
            sequence: 1,
            limit: Some(limit),
            quantity,
            cumulative: 0,
            ahead,
            priority_time: 0,
        }
    }

    fn executed(orders: &mut [Order], resting: BookSide, price: i64, quantity: u64) -> Vec<(usize, u64)> {
        let mut matches = Vec::new();
        execute(orders, Execution { resting, price, quantity }, &mut matches);
        matches.iter().map(|entry| (entry.index, entry.quantity)).collect()
    }

    #[test]
    fn an_execution_at_our_price_first_serves_the_queue_ahead() {
        let mut orders = [order(BookSide::Bid, 100, 10, 25)];
        assert_eq!(executed(&mut orders, BookSide::Bid, 100, 20), []);
        assert_eq!(orders[0].ahead, 5);
        assert_eq!(executed(&mut orders, BookSide::Bid, 100, 9), [(0, 4)]);
        assert_eq!(orders[0].ahead, 0);
    }

    #[test]
    fn an_execution_through_our_price_is_ours_and_no_more_than_it() {
        let mut orders = [order(BookSide::Ask, 100, 10, 25)];
        assert_eq!(executed(&mut orders, BookSide::Ask, 99, 50), [], "better than ours: not our turn");
        assert_eq!(executed(&mut orders, BookSide::Ask, 101, 3), [(0, 3)]);
        assert_eq!(orders[0].ahead, 0);
    }

    #[test]
    fn an_owner_shares_an_execution_best_price_first() {
        let mut orders = [
            order(BookSide::Bid, 100, 10, 0),
            order(BookSide::Bid, 101, 10, 0),
            Order { owner: Owner { strategy: 2, account: 7 }, ..order(BookSide::Bid, 100, 10, 0) },
        ];
        assert_eq!(executed(&mut orders, BookSide::Bid, 100, 12), [(1, 10), (0, 2), (2, 10)]);
    }

    #[test]
    fn an_execution_on_the_other_side_is_none_of_ours() {
        let mut orders = [order(BookSide::Bid, 100, 10, 4)];
        assert_eq!(executed(&mut orders, BookSide::Ask, 99, 12), []);
        assert_eq!(orders[0].ahead, 4);
    }

    #[test]
    fn a_queue_is_never_longer_than_its_level() {
        let mut orders = [order(BookSide::Bid, 100, 10, 40)];
        follow(&mut orders, |_, _| 60);
        assert_eq!(orders[0].ahead, 40);
        follow(&mut orders, |_, _| 15);
        assert_eq!(orders[0].ahead, 15);
    }

    #[test]
    fn a_taker_walks_the_levels_it_reaches_and_leaves_a_shadow() {
        let levels = [(100, 5), (101, 5), (102, 5)];
        let taker = Taker { owner: OWNER, side: BookSide::Bid, limit: Some(101), quantity: 20 };
        let (mut shadow, mut fills) = (Shadow::default(), Vec::new());
        assert_eq!(reachable(levels.into_iter(), taker, &shadow), 10);
        assert_eq!(
            take(levels.into_iter(), taker, &mut shadow, |price, quantity| fills.push((price, quantity))),
            10
        );
        assert_eq!(fills, [(100, 5), (101, 5)]);
        assert_eq!(reachable(levels.into_iter(), taker, &shadow), 0);
        let market = Taker { limit: None, ..taker };
        assert_eq!(reachable(levels.into_iter(), market, &shadow), 5);
    }

    #[test]
    fn a_resting_order_meets_what_is_displayed_at_its_price_once_nothing_is_ahead() {
        let asks = [(100, 5)];
        let (mut shadow, mut matches) = (Shadow::default(), Vec::new());
        let levels =
            |side: BookSide| if side == BookSide::Ask { asks.iter().copied() } else { [].iter().copied() };
        meet(&[order(BookSide::Bid, 100, 8, 1)], levels, &mut shadow, &mut matches);
        assert_eq!(matches, []);
        meet(&[order(BookSide::Bid, 101, 8, 0)], levels, &mut shadow, &mut matches);
        assert_eq!(matches, [Match { index: 0, quantity: 5 }]);
        meet(&[order(BookSide::Bid, 101, 3, 0)], levels, &mut shadow, &mut matches);
        assert_eq!(matches, [], "the same liquidity is not taken twice");
    }
}
