//! The same rules in the simplest form: one list that is searched for everything.

use super::Said;
use crate::matching::{CancelReason, MatchingOrder, OrderOwner, Phase, Remainder, SelfTrade};
use stele_strategies::book::BookSide;

#[derive(Clone, Default)]
pub(super) struct Naive {
    /// In no order; the second number is the priority, the lower the earlier.
    orders: Vec<(MatchingOrder, u64)>,
    next_place: u64,
    phase: Phase,
    last: Option<i64>,
    said: Vec<Said>,
}

impl Naive {
    fn place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    pub(super) fn submit(&mut self, order: MatchingOrder) -> Vec<Said> {
        self.enter(order);
        std::mem::take(&mut self.said)
    }

    fn enter(&mut self, order: MatchingOrder) {
        if order.stop.is_some() {
            let place = self.place();
            self.orders.push((order, place));
        } else {
            self.work(order);
        }
        self.trigger();
    }

    pub(super) fn replace(&mut self, id: u64, new: MatchingOrder) -> Vec<Said> {
        let at = self.orders.iter().position(|(order, _)| order.client_order_id == id).unwrap();
        let old = self.orders[at].0;
        if old.limit == new.limit && old.stop == new.stop && new.leaves() <= old.leaves() {
            self.orders[at].0 = MatchingOrder { shown: old.shown.min(new.leaves()), ..new };
        } else {
            self.orders.remove(at);
            self.enter(new);
        }
        std::mem::take(&mut self.said)
    }

    pub(super) fn cancel(&mut self, owner: OrderOwner, id: u64, quantity: u64) -> Option<(u64, u64)> {
        let at =
            self.orders.iter().position(|(order, _)| order.client_order_id == id && order.owner == owner)?;
        let order = &mut self.orders[at].0;
        let quantity = quantity.min(order.leaves());
        order.quantity -= quantity;
        order.shown = order.shown.min(order.leaves());
        let leaves = order.leaves();
        if leaves == 0 {
            self.orders.remove(at);
        }
        Some((leaves, quantity))
    }

    /// Returns the orders that work on a side, best first.
    fn ranked(&self, side: BookSide) -> Vec<usize> {
        let mut ranked: Vec<usize> = (0..self.orders.len())
            .filter(|at| self.orders[*at].0.side == side && self.orders[*at].0.stop.is_none())
            .collect();
        ranked.sort_by_key(|at| {
            let (order, place) = &self.orders[*at];
            let price = match (order.limit, side) {
                (None, _) => i64::MIN,
                (Some(limit), BookSide::Bid) => -limit,
                (Some(limit), BookSide::Ask) => limit,
            };
            (price, *place)
        });
        ranked
    }

    pub(super) fn queue(&self, side: BookSide) -> Vec<u64> {
        self.ranked(side).into_iter().map(|at| self.orders[at].0.client_order_id).collect()
    }

    fn work(&mut self, order: MatchingOrder) {
        let mut order = order;
        if self.phase == Phase::Continuous {
            let is_met = order.remainder != Remainder::AllOrNothing || {
                let (mut trial, mut whole) = (self.clone(), order);
                trial.meet(&mut whole);
                whole.cumulative == order.quantity
            };
            if is_met {
                self.meet(&mut order);
            }
            if order.leaves() == 0 {
                return;
            }
        }
        let rests =
            order.remainder == Remainder::Rests && (order.limit.is_some() || self.phase != Phase::Continuous);
        if rests {
            order.shown = order.tranche.min(order.leaves());
            let place = self.place();
            self.orders.push((order, place));
        } else {
            self.lapse(order.client_order_id, order.leaves(), 0, CancelReason::Unfilled);
        }
    }

    fn lapse(&mut self, order: u64, quantity: u64, leaves: u64, why: CancelReason) {
        self.said.push(Said::Lapsed { order, quantity, leaves, why });
    }

    fn meet(&mut self, order: &mut MatchingOrder) {
        while order.leaves() > 0 {
            let Some(at) = self.ranked(order.side.opposite()).first().copied() else { return };
            let maker = self.orders[at].0;
            let price = maker.limit.expect("nothing without a limit rests in continuous trading");
            let is_reached = match (order.limit, order.side) {
                (None, _) => true,
                (Some(limit), BookSide::Bid) => price <= limit,
                (Some(limit), BookSide::Ask) => price >= limit,
            };
            if !is_reached {
                return;
            }
            if order.self_trade != SelfTrade::Allowed && maker.owner.account == order.owner.account {
                self.prevent(order, at);
                continue;
            }
            let quantity = order.leaves().min(maker.shown);
            order.cumulative += quantity;
            self.last = Some(price);
            let (maker, taker) = (maker.client_order_id, order.client_order_id);
            self.said.push(Said::Traded { maker, taker, price, quantity, is_auction: false });
            let rested = &mut self.orders[at].0;
            rested.cumulative += quantity;
            rested.shown -= quantity;
            if rested.leaves() == 0 {
                self.orders.remove(at);
            } else if rested.shown == 0 {
                rested.shown = rested.tranche.min(rested.leaves());
                self.said.push(Said::Refreshed { order: maker, shown: rested.shown });
                self.orders[at].1 = self.place();
            }
        }
    }

    fn prevent(&mut self, order: &mut MatchingOrder, at: usize) {
        let (mine, theirs) = (order.leaves(), self.orders[at].0.leaves());
        let (mine, theirs) = match order.self_trade {
            SelfTrade::CancelNewest => (mine, 0),
            SelfTrade::CancelOldest => (0, theirs),
            SelfTrade::CancelBoth => (mine, theirs),
            _ => (mine.min(theirs), mine.min(theirs)),
        };
        if theirs > 0 {
            let rested = &mut self.orders[at].0;
            rested.quantity -= theirs;
            rested.shown = rested.shown.min(rested.leaves());
            let (id, leaves) = (rested.client_order_id, rested.leaves());
            if leaves == 0 {
                self.orders.remove(at);
            }
            self.lapse(id, theirs, leaves, CancelReason::SelfTrade);
        }
        if mine > 0 {
            order.quantity -= mine;
            self.lapse(order.client_order_id, mine, order.leaves(), CancelReason::SelfTrade);
        }
    }

    fn trigger(&mut self) {
        while self.phase == Phase::Continuous
            && let Some(last) = self.last
        {
            let reached = |order: &MatchingOrder| match (order.stop, order.side) {
                (Some(stop), BookSide::Bid) => last >= stop,
                (Some(stop), BookSide::Ask) => last <= stop,
                (None, _) => false,
            };
            let first = (0..self.orders.len())
                .filter(|at| reached(&self.orders[*at].0))
                .min_by_key(|at| self.orders[*at].1);
            let Some(at) = first else { return };
            let (mut order, _) = self.orders.remove(at);
            order.stop = None;
            self.said.push(Said::Triggered(order.client_order_id));
            self.work(order);
        }
    }

    pub(super) fn set_phase(&mut self, phase: Phase) -> Vec<Said> {
        let before = std::mem::replace(&mut self.phase, phase);
        let is_held = (phase == Phase::Continuous && before != phase)
            || (phase == Phase::Closed && before == Phase::Auction);
        if is_held {
            self.uncross();
            self.drop_all(|order| order.stop.is_none() && order.limit.is_none(), false);
        }
        if phase == Phase::Closed {
            self.drop_all(|order| order.is_day, true);
        }
        self.trigger();
        std::mem::take(&mut self.said)
    }

    fn drop_all(&mut self, wanted: impl Fn(&MatchingOrder) -> bool, expires: bool) {
        let mut gone: Vec<MatchingOrder> =
            self.orders.iter().map(|(order, _)| *order).filter(|order| wanted(order)).collect();
        gone.sort_by_key(|order| order.venue_order_id);
        self.orders.retain(|(order, _)| !wanted(order));
        for order in gone {
            let (id, quantity) = (order.client_order_id, order.leaves());
            if expires {
                self.said.push(Said::Expired { order: id, quantity });
            } else {
                self.lapse(id, quantity, 0, CancelReason::Unfilled);
            }
        }
    }

    /// Tries every possible price, and fills each order with its share in turn.
    fn uncross(&mut self) {
        let sum = |naive: &Self, side: BookSide, price: i64| -> u64 {
            let orders = naive.orders.iter().map(|(order, _)| order);
            orders
                .filter(|order| order.side == side && order.stop.is_none())
                .filter(|order| match (order.limit, side) {
                    (None, _) => true,
                    (Some(limit), BookSide::Bid) => limit >= price,
                    (Some(limit), BookSide::Ask) => limit <= price,
                })
                .map(MatchingOrder::leaves)
                .sum()
        };
        let mut limits: Vec<i64> = self
            .orders
            .iter()
            .filter(|(order, _)| order.stop.is_none())
            .filter_map(|(order, _)| order.limit)
            .collect();
        limits.sort_unstable();
        if limits.is_empty() {
            limits.extend(self.last);
        }
        let table: Vec<(i64, u64, u64)> = limits
            .iter()
            .map(|price| (*price, sum(self, BookSide::Bid, *price), sum(self, BookSide::Ask, *price)))
            .collect();
        let most = table.iter().map(|(_, demand, supply)| *demand.min(supply)).max().unwrap_or(0);
        if most == 0 {
            return;
        }
        let table: Vec<_> =
            table.into_iter().filter(|(_, demand, supply)| *demand.min(supply) == most).collect();
        let least = table.iter().map(|(_, demand, supply)| demand.abs_diff(*supply)).min().unwrap();
        let table: Vec<_> =
            table.into_iter().filter(|(_, demand, supply)| demand.abs_diff(*supply) == least).collect();
        let (low, high) = (table[0].0, table[table.len() - 1].0);
        let price = if table.iter().all(|(_, demand, supply)| demand > supply) {
            high
        } else if table.iter().all(|(_, demand, supply)| demand < supply) {
            low
        } else {
            self.last.map_or((low + high).div_euclid(2), |last| last.clamp(low, high))
        };
        self.last = Some(price);
        let mut volume = most;
        while volume > 0 {
            let [bid, ask] = [BookSide::Bid, BookSide::Ask].map(|side| self.ranked(side)[0]);
            let quantity = volume.min(self.orders[bid].0.leaves()).min(self.orders[ask].0.leaves());
            let (maker, taker) = (self.orders[bid].0.client_order_id, self.orders[ask].0.client_order_id);
            self.said.push(Said::Traded { maker, taker, price, quantity, is_auction: true });
            for at in [bid, ask] {
                let order = &mut self.orders[at].0;
                order.cumulative += quantity;
                order.shown = order.shown.saturating_sub(quantity).min(order.leaves());
                if order.shown == 0 {
                    order.shown = order.tranche.min(order.leaves());
                }
            }
            volume -= quantity;
            self.orders.retain(|(order, _)| order.leaves() > 0);
        }
    }
}
