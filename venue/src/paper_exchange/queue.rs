//! The queue positions of resting orders in the replayed market, and what a market event fills.
//!
//! The model is conservative; it underestimates fills:
//! - A new order rests after everything that is displayed at its price.
//! - An execution at its price shortens the queue ahead by the executed quantity. What is left of the
//!   execution when nothing is ahead any more fills the order.
//! - A cancel of an order ahead cannot be distinguished from a cancel of an order after it, so cancels do not
//!   shorten the queue, except that the queue ahead is never longer than the displayed level.
//!   [`QueueModel`] has less conservative variants.
//! - An execution at a worse price than the order's limit would have met the order first: it fills the
//!   order at its limit, up to the executed quantity.
//! - Quantity that the other side displays at the order's limit or better would have met the order: once
//!   nothing is ahead, the order takes it at its limit, through its owner's [`Shadow`].
//! - The orders of one owner share what an event fills: best price first, then order of arrival.
//! - An execution at the price of an iceberg order meets only the displayed tranche. The next tranche rests
//!   after everything that is displayed.
//! - An auction in the market fills orders with a limit better than its price, at the auction price, up to
//!   the auction's quantity. It fills none with a limit equal to its price.

use super::options::QueueModel;
use super::resting::Resting;
use super::shadow::Shadow;
use crate::matching::{OrderOwner, reaches};
use stele_strategies::book::BookSide;

/// One execution in the market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Execution {
    /// The side of the order that rested.
    pub(super) resting: BookSide,
    pub(super) price: i64,
    pub(super) quantity: u64,
}

/// A resting order that is filled: its index in the list of resting orders, and the quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Match {
    pub(super) index: usize,
    pub(super) quantity: u64,
}

/// Shortens the queues ahead by `execution` and writes what it fills into `matches`.
pub(super) fn execute(orders: &mut [Resting], execution: Execution, matches: &mut Vec<Match>) {
    let side = execution.resting;
    let reached = |order: &Resting| {
        order.is_working()
            && order.side == side
            && order.limit.is_some()
            && reaches(side, order.limit, execution.price)
    };
    rank(orders, reached, matches);
    let mut budget = Budget::default();
    for entry in matches.iter_mut() {
        let order = &mut orders[entry.index];
        let is_through = order.limit != Some(execution.price);
        let reach =
            if is_through { execution.quantity } else { execution.quantity.saturating_sub(order.ahead) };
        order.ahead = if is_through { 0 } else { order.ahead.saturating_sub(execution.quantity) };
        order.executed = if is_through { 0 } else { order.executed.saturating_add(execution.quantity) };
        let most = if is_through { order.leaves() } else { order.shown };
        entry.quantity = budget.spend(order.owner, most, reach);
    }
    matches.retain(|entry| entry.quantity > 0);
}

/// Fills the orders from what the other side displays, best level first. `levels` returns the levels of a
/// side, best first.
pub(super) fn meet<L: Iterator<Item = (i64, u64)>>(
    orders: &[Resting],
    levels: impl Fn(BookSide) -> L,
    shadow: &mut Shadow,
    matches: &mut Vec<Match>,
) {
    let touch = [levels(BookSide::Bid).next(), levels(BookSide::Ask).next()];
    let meets = |order: &Resting| {
        let other = if order.side == BookSide::Bid { touch[1] } else { touch[0] };
        order.is_working()
            && order.ahead == 0
            && other.is_some_and(|(price, _)| reaches(order.side, order.limit, price))
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

/// An order that takes from the displayed market.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub(super) owner: OrderOwner,
    pub(super) side: BookSide,
    pub(super) limit: Option<i64>,
    pub(super) quantity: u64,
}

/// Takes from `levels` what the taker's limit reaches and its shadow leaves, and calls `fill` with the
/// price and quantity of each part. Returns the quantity taken.
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

/// Returns the quantity that the taker could take, without taking it.
pub(super) fn reachable(levels: impl Iterator<Item = (i64, u64)>, taker: Taker, shadow: &Shadow) -> u64 {
    levels
        .take_while(|(price, _)| reaches(taker.side, taker.limit, *price))
        .map(|(price, displayed)| shadow.left(taker.owner, taker.side.opposite(), price, displayed))
        .fold(0, u64::saturating_add)
}

/// Fills the orders with their share of an auction in the market at `price`.
pub(super) fn auction(orders: &[Resting], price: i64, quantity: u64, matches: &mut Vec<Match>) {
    let is_better = |order: &Resting| {
        order.is_working() && order.limit != Some(price) && reaches(order.side, order.limit, price)
    };
    rank(orders, is_better, matches);
    let mut budgets = [Budget::default(), Budget::default()];
    for entry in matches.iter_mut() {
        let order = &orders[entry.index];
        entry.quantity = budgets[order.side as usize].spend(order.owner, order.leaves(), quantity);
    }
    matches.retain(|entry| entry.quantity > 0);
}

/// Quantity that leaves a level of the replayed market without being executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Leaving {
    pub(super) side: BookSide,
    pub(super) price: i64,
    /// The quantity before it in its level.
    pub(super) before: u64,
    pub(super) quantity: u64,
}

/// Shortens the queue of each order by the quantity that leaves ahead of it. Needs a book that is kept by
/// order.
pub(super) fn leave(orders: &mut [Resting], leaving: Leaving) {
    let is_there = |order: &Resting| {
        order.is_working() && order.side == leaving.side && order.limit == Some(leaving.price)
    };
    for order in orders.iter_mut().filter(|order| is_there(order)) {
        // Quantity that was executed before, without an effect on the book, leaves the book now.
        let executed = order.executed.min(leaving.quantity);
        order.executed -= executed;
        let in_front = order.ahead.saturating_sub(leaving.before);
        order.ahead -= in_front.min(leaving.quantity - executed);
    }
}

/// Updates the queues to what the levels display; no queue is longer than its level.
pub(super) fn follow(orders: &mut [Resting], model: QueueModel, displayed: impl Fn(BookSide, i64) -> u64) {
    for order in orders.iter_mut().filter(|order| order.is_working()) {
        let Some(limit) = order.limit else { continue };
        let now = displayed(order.side, limit);
        if now == order.displayed {
            continue;
        }
        let others = order.displayed.saturating_sub(order.executed);
        let left = others.saturating_sub(now);
        if model == QueueModel::Proportional && left > 0 {
            let share = u128::from(left) * u128::from(order.ahead) / u128::from(others.max(order.ahead));
            order.ahead -= share as u64;
        }
        order.ahead = order.ahead.min(now);
        (order.displayed, order.executed) = (now, 0);
    }
}

/// Fills `matches` with the orders that `wanted` selects, by owner, then best price, then order of arrival.
fn rank(orders: &[Resting], wanted: impl Fn(&Resting) -> bool, matches: &mut Vec<Match>) {
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
        let eagerness = match (order.limit.map(i128::from), order.side) {
            (None, _) => i128::MIN,
            (Some(limit), BookSide::Bid) => -limit,
            (Some(limit), BookSide::Ask) => limit,
        };
        (order.owner, order.side as u8, eagerness, entry.index)
    });
}

/// The part of one execution that an owner has used.
#[derive(Default)]
struct Budget {
    owner: Option<OrderOwner>,
    spent: u64,
}

impl Budget {
    /// Returns what `owner` gets of an execution that reaches `reach` deep into the queue, at most `most`.
    fn spend(&mut self, owner: OrderOwner, most: u64, reach: u64) -> u64 {
        if self.owner != Some(owner) {
            *self = Self { owner: Some(owner), spent: 0 };
        }
        let quantity = most.min(reach.saturating_sub(self.spent));
        self.spent += quantity;
        quantity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{MatchingOrder, Remainder, SelfTrade};

    const OWNER: OrderOwner = OrderOwner { strategy: 1, account: 7 };

    fn order(side: BookSide, limit: i64, quantity: u64, ahead: u64) -> Resting {
        let order = MatchingOrder {
            owner: OWNER,
            instrument: 1,
            side,
            client_order_id: 1,
            venue_order_id: 1,
            sequence: 1,
            limit: Some(limit),
            stop: None,
            quantity,
            cumulative: 0,
            shown: quantity,
            tranche: u64::MAX,
            remainder: Remainder::Rests,
            is_day: true,
            self_trade: SelfTrade::Allowed,
            priority_time: 0,
        };
        Resting { order, ahead, displayed: ahead, executed: 0 }
    }

    fn executed(orders: &mut [Resting], resting: BookSide, price: i64, quantity: u64) -> Vec<(usize, u64)> {
        let mut matches = Vec::new();
        execute(orders, Execution { resting, price, quantity }, &mut matches);
        matches.iter().map(|entry| (entry.index, entry.quantity)).collect()
    }

    #[test]
    fn an_execution_at_an_orders_price_first_serves_the_queue_ahead() {
        let mut orders = [order(BookSide::Bid, 100, 10, 25)];
        assert_eq!(executed(&mut orders, BookSide::Bid, 100, 20), []);
        assert_eq!(orders[0].ahead, 5);
        assert_eq!(executed(&mut orders, BookSide::Bid, 100, 9), [(0, 4)]);
        assert_eq!(orders[0].ahead, 0);
    }

    #[test]
    fn an_execution_through_an_orders_price_fills_it_up_to_the_executed_quantity() {
        let mut orders = [order(BookSide::Ask, 100, 10, 25)];
        assert_eq!(executed(&mut orders, BookSide::Ask, 99, 50), [], "a better price than the order's");
        assert_eq!(executed(&mut orders, BookSide::Ask, 101, 3), [(0, 3)]);
        assert_eq!(orders[0].ahead, 0);
    }

    #[test]
    fn an_owner_shares_an_execution_best_price_first() {
        let mut orders = [
            order(BookSide::Bid, 100, 10, 0),
            order(BookSide::Bid, 101, 10, 0),
            order(BookSide::Bid, 100, 10, 0),
        ];
        orders[2].owner.strategy = 2;
        assert_eq!(executed(&mut orders, BookSide::Bid, 100, 12), [(1, 10), (0, 2), (2, 10)]);
    }

    #[test]
    fn an_execution_on_the_other_side_fills_nothing() {
        let mut orders = [order(BookSide::Bid, 100, 10, 4)];
        assert_eq!(executed(&mut orders, BookSide::Ask, 99, 12), []);
        assert_eq!(orders[0].ahead, 4);
    }

    #[test]
    fn a_queue_is_never_longer_than_its_level() {
        let mut orders = [order(BookSide::Bid, 100, 10, 40)];
        follow(&mut orders, QueueModel::Conservative, |_, _| 60);
        assert_eq!(orders[0].ahead, 40);
        follow(&mut orders, QueueModel::Conservative, |_, _| 15);
        assert_eq!(orders[0].ahead, 15);
    }

    #[test]
    fn the_proportional_queue_shortens_by_its_share_of_cancelled_quantity() {
        let mut orders = [order(BookSide::Bid, 100, 10, 40)];
        follow(&mut orders, QueueModel::Proportional, |_, _| 80);
        follow(&mut orders, QueueModel::Proportional, |_, _| 60);
        assert_eq!(orders[0].ahead, 30, "half of the 20 that left");
        assert_eq!(executed(&mut orders, BookSide::Bid, 100, 10), []);
        follow(&mut orders, QueueModel::Proportional, |_, _| 50);
        assert_eq!(orders[0].ahead, 20, "executed quantity is not deducted twice");
        follow(&mut orders, QueueModel::Proportional, |_, _| 40);
        assert_eq!(orders[0].ahead, 16);
    }

    #[test]
    fn an_order_that_leaves_shortens_the_queue_by_the_part_that_was_ahead() {
        let leaving = |before, quantity| Leaving { side: BookSide::Bid, price: 100, before, quantity };
        let mut orders = [order(BookSide::Bid, 100, 10, 40)];
        leave(&mut orders, leaving(40, 5));
        assert_eq!(orders[0].ahead, 40, "after the order");
        leave(&mut orders, leaving(10, 5));
        assert_eq!(orders[0].ahead, 35);
        leave(&mut orders, leaving(30, 9));
        assert_eq!(orders[0].ahead, 30);
        leave(&mut orders, Leaving { price: 99, ..leaving(0, 9) });
        assert_eq!(orders[0].ahead, 30, "another level");
    }

    #[test]
    fn an_auction_fills_orders_better_than_its_price_up_to_its_quantity() {
        let mut orders = [
            order(BookSide::Bid, 101, 10, 7),
            order(BookSide::Bid, 100, 10, 0),
            order(BookSide::Bid, 102, 10, 7),
            order(BookSide::Ask, 99, 10, 7),
        ];
        orders[3].limit = None;
        let mut matches = Vec::new();
        auction(&orders, 100, 15, &mut matches);
        let found: Vec<_> = matches.iter().map(|entry| (entry.index, entry.quantity)).collect();
        assert_eq!(found, [(2, 10), (0, 5), (3, 10)]);
    }

    #[test]
    fn an_iceberg_fills_no_more_at_its_price_than_it_shows() {
        let mut orders = [order(BookSide::Ask, 100, 10, 0)];
        (orders[0].tranche, orders[0].shown) = (4, 4);
        assert_eq!(executed(&mut orders, BookSide::Ask, 100, 9), [(0, 4)]);
        assert_eq!(executed(&mut orders, BookSide::Ask, 101, 9), [(0, 9)], "traded through");
    }

    #[test]
    fn a_taker_takes_the_levels_it_reaches_and_adds_them_to_its_shadow() {
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
    fn a_resting_order_takes_what_is_displayed_at_its_price_once_nothing_is_ahead() {
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
