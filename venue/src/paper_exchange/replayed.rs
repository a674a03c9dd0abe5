//! Orders that trade with the replayed market.

use super::PaperExchange;
use super::market::{self, Venue};
use super::queue::{self, Taker};
use super::report::{CancelCause, Fill, Reporter};
use super::resting::Resting;
use crate::matching::{MatchingOrder, Phase, Remainder, SelfTrade, reaches};
use stele_strategies::book::BookSide;
use stele_wire::messages::Liquidity;

impl PaperExchange {
    /// Works an accepted order; a stop order waits for its price.
    pub(super) fn enter(&mut self, order: MatchingOrder) {
        let id = order.instrument;
        let Some(venue) = self.venues.get_mut(id) else { return };
        if order.is_working() {
            return self.work(order);
        }
        venue.orders.push(Resting::at_back(order, 0));
        self.open += 1;
        self.trigger(id);
    }

    /// Works the stops that the market's last trade has triggered, in order of arrival.
    pub(super) fn trigger(&mut self, id: u32) {
        while let Some(venue) = self.venues.get_mut(id)
            && venue.phase == Phase::Continuous
            && let Some(last) = venue.last
            && let Some(at) = venue.orders.iter().position(|order| order.is_triggered_by(last))
        {
            let mut order = venue.orders.remove(at).order;
            self.open -= 1;
            order.stop = None;
            order.priority_time = self.reporter.venue_time;
            self.reporter.triggered(&order);
            self.work(order);
        }
    }

    /// Fills `order` from the displayed market; the remainder rests or is cancelled.
    fn work(&mut self, mut order: MatchingOrder) {
        let id = order.instrument;
        let Some(phase) = self.venues.get(id).map(|venue| venue.phase) else { return };
        if phase == Phase::Continuous {
            self.prevent_self_trade(&mut order);
            self.take(&mut order);
        }
        let left = order.leaves();
        if left == 0 {
            return;
        }
        let Some(venue) = self.venues.get_mut(id) else { return };
        let can_rest = order.limit.is_some() || phase != Phase::Continuous;
        if order.remainder == Remainder::Rests && can_rest {
            order.show();
            let book = self.market.book(id);
            let displayed = order.limit.map_or(0, |limit| market::displayed(book, order.side, limit));
            venue.orders.push(Resting::at_back(order, displayed));
            self.open += 1;
        } else {
            order.take_off(left);
            self.reporter.cancelled((&order).into(), left, CancelCause::Market);
        }
    }

    fn take(&mut self, order: &mut MatchingOrder) {
        let Some(instrument) = self.market.instrument(order.instrument) else { return };
        let Some(Venue { shadow, currency, .. }) = self.venues.get_mut(order.instrument) else { return };
        let (book, scale, currency) = (Some(instrument.book()), instrument.scale(), *currency);
        let levels = || market::levels(book, order.side.opposite());
        let taker =
            Taker { owner: order.owner, side: order.side, limit: order.limit, quantity: order.leaves() };
        if order.remainder == Remainder::AllOrNothing
            && queue::reachable(levels(), taker, shadow) < taker.quantity
        {
            return;
        }
        let (levels, rate) = (levels(), self.options.fees.taker);
        queue::take(levels, taker, shadow, |price, quantity| {
            order.fill(quantity);
            let (fee, liquidity) = (rate.fee(price, quantity, scale), Liquidity::TAKER);
            self.reporter.filled(order, Fill { price, quantity, liquidity, fee, currency, match_id: None });
        });
    }

    /// Applies the self-trade prevention of an incoming order. Orders of one account never trade with each
    /// other here; with a mode, a resting order within the incoming order's limit counts as met as soon as
    /// the order arrives, best price first.
    fn prevent_self_trade(&mut self, order: &mut MatchingOrder) {
        let Some(venue) = self.venues.get_mut(order.instrument) else { return };
        while order.self_trade != SelfTrade::Allowed && order.leaves() > 0 {
            let is_met = |other: &Resting| {
                other.is_working()
                    && other.side == order.side.opposite()
                    && other.owner.account == order.owner.account
                    && other.limit.is_some_and(|price| reaches(order.side, order.limit, price))
            };
            let eagerness = |other: &Resting| {
                let price = other.limit.map_or(0, i128::from);
                if other.side == BookSide::Bid { -price } else { price }
            };
            let best = (0..venue.orders.len())
                .filter(|at| is_met(&venue.orders[*at]))
                .min_by_key(|at| eagerness(&venue.orders[*at]));
            let Some(at) = best else { return };
            let rested = &mut venue.orders[at];
            let (newest, oldest) = match order.self_trade {
                SelfTrade::CancelNewest => (order.leaves(), 0),
                SelfTrade::CancelOldest => (0, rested.leaves()),
                SelfTrade::CancelBoth => (order.leaves(), rested.leaves()),
                SelfTrade::Decrement | SelfTrade::Allowed => {
                    let both = order.leaves().min(rested.leaves());
                    (both, both)
                }
            };
            if oldest > 0 {
                rested.take_off(oldest);
                self.reporter.cancelled((&rested.order).into(), oldest, CancelCause::SelfTrade);
                if rested.leaves() == 0 {
                    venue.orders.remove(at);
                    self.open -= 1;
                }
            }
            if newest > 0 {
                order.take_off(newest);
                self.reporter.cancelled((&*order).into(), newest, CancelCause::SelfTrade);
            }
        }
    }

    /// Removes every order that `wanted` selects, and calls `report_end` with each and its open quantity.
    pub(super) fn drop_orders(
        &mut self,
        id: u32,
        wanted: impl Fn(&MatchingOrder) -> bool,
        mut report_end: impl FnMut(&mut Reporter, &MatchingOrder, u64),
    ) {
        let Some(venue) = self.venues.get_mut(id) else { return };
        venue.orders.retain_mut(|resting| {
            if !wanted(resting) {
                return true;
            }
            let left = resting.leaves();
            resting.take_off(left);
            report_end(&mut self.reporter, resting, left);
            self.open -= 1;
            false
        });
    }

    /// Gives the order at index `at` the terms of `new` in its place, or works it as a new order.
    /// `replaced` is its earlier client order id.
    pub(super) fn amend(&mut self, at: usize, new: MatchingOrder, replaced: u64) {
        let Some(venue) = self.venues.get_mut(new.instrument) else { return };
        let old = venue.orders[at].order;
        if crate::matching::keeps_place(&old, &new) {
            let shown = if new.tranche == old.tranche { old.shown.min(new.leaves()) } else { new.shown };
            let new = MatchingOrder { priority_time: old.priority_time, shown, ..new };
            venue.orders[at].order = new;
            self.reporter.replaced(&new, replaced);
        } else {
            venue.orders.remove(at);
            self.open -= 1;
            self.reporter.replaced(&new, replaced);
            self.enter(new);
        }
    }

    /// Cancels up to `quantity` of the order at index `at`. Returns the order in its new state and the
    /// cancelled quantity.
    pub(super) fn withdraw(
        venue: &mut Venue,
        open: &mut usize,
        at: usize,
        quantity: u64,
    ) -> (MatchingOrder, u64) {
        let order = &mut venue.orders[at];
        let quantity = quantity.min(order.leaves());
        order.take_off(quantity);
        let left = order.order;
        if left.leaves() == 0 {
            venue.orders.remove(at);
            *open -= 1;
        }
        (left, quantity)
    }
}
