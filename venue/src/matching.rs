//! A matching engine for one instrument: price-time priority over a book of its own.
//!
//! Pure and deterministic: the same calls give the listener the same events. A call allocates nothing once
//! the book has held as many orders before.
//!
//! | event | effect |
//! |---|---|
//! | a market order, or an order whose limit reaches the other side | it trades at the resting orders' prices: best price first, and at each price in order of arrival |
//! | the remainder of a limit order | it rests at the back of the queue at its price |
//! | the remainder of an IOC or market order | it is cancelled |
//! | a fill-or-kill order that cannot be filled completely | it is cancelled, and nothing trades |
//! | an iceberg order | others see one tranche; when that is executed, the next tranche joins the back of the queue at its price |
//! | a stop order | it waits for a trade at its stop price or beyond, and is then worked as a new order. Several triggered stops are worked in order of arrival, and the trades of one may trigger the next |
//! | an order that meets a resting order of its own account | the [`SelfTrade`] mode of the incoming order decides |
//! | a replacement with the same limit and no more quantity | the order keeps its place in the queue; after any other replacement it is worked as a new order |
//! | an order during an auction or a halt | orders that can rest are collected in the book, market orders for the day included, and nothing trades; IOC and fill-or-kill orders are cancelled |
//! | continuous trading begins | everything that can trade does so at [one price](auction): orders without a limit first, then better limits first, then order of arrival; hidden quantity counts like displayed quantity, and self-trade prevention does not apply. Remaining orders without a limit are then cancelled, and stops are checked |
//! | the close | after an auction phase the auction is held first, after a halt it is not; then day orders expire |

pub mod auction;
mod book;
mod index;
mod order;
#[cfg(test)]
mod tests;

pub use order::{MatchingOrder, OrderOwner, Remainder, SelfTrade, reaches};

use auction::{Clearing, Interest};
use book::OrderBook;
use stele_strategies::book::BookSide;

/// What may be done in an instrument, from the least restricted to the most restricted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Phase {
    /// Orders trade as they arrive.
    #[default]
    Continuous,
    /// Orders are collected for an auction.
    Auction,
    /// Orders are collected. If the day ends in this phase, nothing trades.
    Halted,
    /// Every order is refused.
    Closed,
}

/// Why the engine cancelled an order, or part of it, without a request of its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelReason {
    /// It cannot rest in the book.
    Unfilled,
    /// It met an order of its own account.
    SelfTrade,
}

/// Receives what happens in the book, as it happens. Each order is passed in its state after the event.
pub trait MatchingListener {
    /// `maker`, the resting order, traded with `taker`. In an auction `maker` is the buy order.
    fn traded(&mut self, maker: &MatchingOrder, taker: &MatchingOrder, trade: MatchedTrade);
    /// `quantity` of the order was cancelled.
    fn cancelled(&mut self, order: &MatchingOrder, quantity: u64, why: CancelReason);
    /// The stop price was reached; the order is worked from now on.
    fn triggered(&mut self, order: &MatchingOrder);
    /// The next tranche of an iceberg order is displayed.
    fn refreshed(&mut self, order: &MatchingOrder);
    /// `quantity` of the order expired at the end of the trading day.
    fn expired(&mut self, order: &MatchingOrder, quantity: u64);
}

/// One trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MatchedTrade {
    /// The price in units of 1e-9.
    pub price: i64,
    /// The quantity, a mantissa.
    pub quantity: u64,
    /// Whether the trade belongs to an auction.
    pub is_auction: bool,
}

/// The matching engine of one instrument. See the [module](self) for its rules.
///
/// ```
/// use stele_strategies::book::BookSide;
/// use stele_venue::matching::*;
///
/// # let order = |client_order_id, side, limit| MatchingOrder {
/// #     owner: OrderOwner { strategy: 1, account: 7 },
/// #     instrument: 1,
/// #     side,
/// #     client_order_id,
/// #     venue_order_id: client_order_id,
/// #     sequence: client_order_id,
/// #     limit: Some(limit),
/// #     stop: None,
/// #     quantity: 10,
/// #     cumulative: 0,
/// #     shown: 10,
/// #     tranche: u64::MAX,
/// #     remainder: Remainder::Rests,
/// #     is_day: true,
/// #     self_trade: SelfTrade::Allowed,
/// #     priority_time: 0,
/// # };
/// #[derive(Default)]
/// struct Trades(Vec<MatchedTrade>);
///
/// impl MatchingListener for Trades {
///     fn traded(&mut self, _: &MatchingOrder, _: &MatchingOrder, trade: MatchedTrade) {
///         self.0.push(trade);
///     }
///     fn cancelled(&mut self, _: &MatchingOrder, _: u64, _: CancelReason) {}
///     fn triggered(&mut self, _: &MatchingOrder) {}
///     fn refreshed(&mut self, _: &MatchingOrder) {}
///     fn expired(&mut self, _: &MatchingOrder, _: u64) {}
/// }
///
/// let (mut engine, mut trades) = (Matching::default(), Trades::default());
/// engine.submit(order(1, BookSide::Ask, 101), &mut trades);
/// engine.submit(order(2, BookSide::Bid, 103), &mut trades);
/// assert_eq!(trades.0, [MatchedTrade { price: 101, quantity: 10, is_auction: false }]);
/// assert_eq!(engine.count(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Matching {
    book: OrderBook,
    phase: Phase,
    /// The price of the last trade.
    last: Option<i64>,
    tick: i64,
    /// The priority time of orders that get a new place in the queue.
    now: u64,
    interests: [Vec<Interest>; 2],
    prices: Vec<i64>,
    slots: Vec<u32>,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            book: OrderBook::new(),
            phase: Phase::Continuous,
            last: None,
            tick: 1,
            now: 0,
            interests: [Vec::with_capacity(64), Vec::with_capacity(64)],
            prices: Vec::with_capacity(64),
            slots: Vec::with_capacity(64),
        }
    }
}

/// Whether an order has met one of the same account that it must not trade with.
enum Met {
    Another,
    Own,
}

impl Matching {
    /// Returns the phase in force.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the price of the last trade, in units of 1e-9; none before the first.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// The number of orders in the book, waiting stops included.
    pub fn count(&self) -> usize {
        self.book.count()
    }

    /// Sets the tick that an auction price is rounded to; a tick below 1 counts as 1.
    pub fn set_tick(&mut self, tick: i64) {
        self.tick = tick.max(1);
    }

    /// Sets the time, in nanoseconds since the epoch.
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// Finds an order by its owner and client order id.
    pub fn find(&self, owner: OrderOwner, client_order_id: u64) -> Option<&MatchingOrder> {
        self.book.find(owner, client_order_id).map(|slot| self.book.order(slot))
    }

    /// Returns the best price of a side; none when the side is empty or its first order has no limit.
    pub fn best(&self, side: BookSide) -> Option<i64> {
        self.book.first(side).and_then(|slot| self.book.order(slot).limit)
    }

    /// Returns the orders of a side in the order in which they trade.
    pub fn queue(&self, side: BookSide) -> impl Iterator<Item = &MatchingOrder> {
        self.book.queue(side).map(|slot| self.book.order(slot))
    }

    /// Works a new order. A stop order waits for its price. The owner must not have an order with the same
    /// client order id in the book.
    pub fn submit(&mut self, order: MatchingOrder, listener: &mut impl MatchingListener) {
        debug_assert!(self.find(order.owner, order.client_order_id).is_none());
        if order.is_working() {
            self.work(order, listener);
        } else {
            self.book.insert(order);
        }
        self.trigger(listener);
    }

    /// Gives the order `client_order_id` the terms of `new`, whose `quantity` includes what was executed
    /// before. Calls `on_terms` with the new terms before the order is worked. Returns false when there is
    /// no such order.
    pub fn replace<T: MatchingListener>(
        &mut self,
        client_order_id: u64,
        mut new: MatchingOrder,
        listener: &mut T,
        on_terms: impl FnOnce(&mut T, &MatchingOrder),
    ) -> bool {
        let Some(slot) = self.book.find(new.owner, client_order_id) else { return false };
        let old = *self.book.order(slot);
        if keeps_place(&old, &new) {
            new.priority_time = old.priority_time;
            new.shown = if new.tranche == old.tranche { old.shown.min(new.leaves()) } else { new.shown };
            self.book.rename(slot, new);
            on_terms(listener, &new);
        } else {
            self.book.remove(slot);
            on_terms(listener, &new);
            self.submit(new, listener);
        }
        true
    }

    /// Cancels up to `quantity` of an order. Returns the order in its new state and the quantity that was
    /// cancelled; none when there is no such order.
    pub fn cancel(
        &mut self,
        owner: OrderOwner,
        client_order_id: u64,
        quantity: u64,
    ) -> Option<(MatchingOrder, u64)> {
        let slot = self.book.find(owner, client_order_id)?;
        let order = self.book.order_mut(slot);
        let quantity = quantity.min(order.leaves());
        order.take_off(quantity);
        let left = *order;
        if left.leaves() == 0 {
            self.book.remove(slot);
        }
        Some((left, quantity))
    }

    /// Cancels every order that `wanted` selects, oldest first, and calls `gone` with each and its
    /// cancelled quantity.
    pub fn cancel_where(
        &mut self,
        wanted: impl Fn(&MatchingOrder) -> bool,
        mut gone: impl FnMut(&MatchingOrder, u64),
    ) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.clear();
        slots.extend(self.book.slots().filter(|slot| wanted(self.book.order(*slot))));
        slots.sort_unstable_by_key(|slot| self.book.order(*slot).venue_order_id);
        for slot in &slots {
            let mut order = self.book.remove(*slot);
            let quantity = order.leaves();
            order.take_off(quantity);
            gone(&order, quantity);
        }
        self.slots = slots;
    }

    /// Changes the phase. An auction is held when continuous trading begins after orders were collected,
    /// and when the day closes from an auction phase.
    pub fn set_phase(&mut self, phase: Phase, listener: &mut impl MatchingListener) {
        let before = std::mem::replace(&mut self.phase, phase);
        let is_held = match phase {
            Phase::Continuous => before != Phase::Continuous,
            Phase::Closed => before == Phase::Auction,
            Phase::Auction | Phase::Halted => false,
        };
        if is_held {
            self.uncross(listener);
            self.cancel_where(
                |order| order.is_working() && order.limit.is_none(),
                |order, quantity| listener.cancelled(order, quantity, CancelReason::Unfilled),
            );
        }
        match phase {
            Phase::Closed => {
                self.cancel_where(|order| order.is_day, |order, quantity| listener.expired(order, quantity));
            }
            _ => self.trigger(listener),
        }
    }

    /// Returns the result that an auction would have now; none when nothing could be executed.
    pub fn indicative(&mut self) -> Option<Clearing> {
        for side in [BookSide::Bid, BookSide::Ask] {
            let interests = &mut self.interests[side as usize];
            interests.clear();
            for slot in self.book.queue(side) {
                let order = self.book.order(slot);
                match interests.last_mut() {
                    Some((limit, left)) if *limit == order.limit => {
                        *left = left.saturating_add(order.leaves())
                    }
                    _ => interests.push((order.limit, order.leaves())),
                }
            }
        }
        auction::clearing(&self.interests[0], &self.interests[1], self.last, self.tick, &mut self.prices)
    }

    fn uncross(&mut self, listener: &mut impl MatchingListener) {
        let Some(Clearing { price, volume }) = self.indicative() else { return };
        let mut left = volume;
        while left > 0 {
            let [bid, ask] = [BookSide::Bid, BookSide::Ask].map(|side| self.book.first(side));
            let (Some(bid), Some(ask)) = (bid, ask) else { break };
            let quantity = left.min(self.book.order(bid).leaves()).min(self.book.order(ask).leaves());
            [bid, ask].into_iter().for_each(|slot| self.book.order_mut(slot).fill(quantity));
            left -= quantity;
            self.last = Some(price);
            let traded = MatchedTrade { price, quantity, is_auction: true };
            listener.traded(self.book.order(bid), self.book.order(ask), traded);
            for slot in [bid, ask] {
                if self.book.order(slot).leaves() == 0 {
                    self.book.remove(slot);
                } else if self.book.order(slot).shown == 0 {
                    self.book.order_mut(slot).show();
                }
            }
        }
    }

    /// Removes an order that is filled, and displays the next tranche of an iceberg order whose last one is
    /// executed.
    fn settle(&mut self, slot: u32, listener: &mut impl MatchingListener) {
        let now = self.now;
        let order = self.book.order_mut(slot);
        if order.leaves() == 0 {
            self.book.remove(slot);
        } else if order.shown == 0 {
            order.show();
            order.priority_time = now;
            let order = *order;
            self.book.requeue(slot);
            listener.refreshed(&order);
        }
    }

    fn work(&mut self, mut order: MatchingOrder, listener: &mut impl MatchingListener) {
        if self.phase != Phase::Continuous {
            if order.remainder == Remainder::Rests {
                order.show();
                self.book.insert(order);
            } else {
                lapse(&mut order, CancelReason::Unfilled, listener);
            }
            return;
        }
        if order.remainder != Remainder::AllOrNothing || self.reachable(&order) >= order.leaves() {
            self.meet(&mut order, listener);
        }
        if order.leaves() == 0 {
            return;
        }
        if order.remainder == Remainder::Rests && order.limit.is_some() {
            order.show();
            self.book.insert(order);
        } else {
            lapse(&mut order, CancelReason::Unfilled, listener);
        }
    }

    /// Trades the order with the orders that it reaches on the other side.
    fn meet(&mut self, order: &mut MatchingOrder, listener: &mut impl MatchingListener) {
        while order.leaves() > 0 {
            let Some(slot) = self.book.first(order.side.opposite()) else { return };
            let maker = self.book.order_mut(slot);
            let Some(price) = maker.limit.filter(|price| reaches(order.side, order.limit, *price)) else {
                return;
            };
            if let Met::Own = met(order, maker) {
                self.meet_own(order, slot, listener);
                continue;
            }
            let quantity = order.leaves().min(maker.shown);
            maker.fill(quantity);
            order.fill(quantity);
            let maker = *maker;
            self.last = Some(price);
            listener.traded(&maker, order, MatchedTrade { price, quantity, is_auction: false });
            self.settle(slot, listener);
        }
    }

    /// Applies the self-trade mode after the order has met one of its own account.
    fn meet_own(&mut self, order: &mut MatchingOrder, slot: u32, listener: &mut impl MatchingListener) {
        let mut maker = *self.book.order(slot);
        let (newest, oldest) = match order.self_trade {
            SelfTrade::CancelNewest => (order.leaves(), 0),
            SelfTrade::CancelOldest => (0, maker.leaves()),
            SelfTrade::CancelBoth => (order.leaves(), maker.leaves()),
            SelfTrade::Decrement => {
                let both = order.leaves().min(maker.leaves());
                (both, both)
            }
            SelfTrade::Allowed => return,
        };
        if oldest > 0 {
            maker.take_off(oldest);
            if maker.leaves() == 0 {
                self.book.remove(slot);
            } else {
                *self.book.order_mut(slot) = maker;
            }
            listener.cancelled(&maker, oldest, CancelReason::SelfTrade);
        }
        if newest > 0 {
            order.take_off(newest);
            listener.cancelled(order, newest, CancelReason::SelfTrade);
        }
    }

    /// Returns how much of the order could be executed at once. An order of its own account that would cost
    /// it quantity ends the walk. The hidden quantity of an iceberg order counts only after what others
    /// display at its price.
    fn reachable(&self, order: &MatchingOrder) -> u64 {
        let mut sum = 0u64;
        let mut level: Option<i64> = None;
        let mut hidden = 0u64;
        for maker in self.queue(order.side.opposite()) {
            let Some(price) = maker.limit.filter(|price| reaches(order.side, order.limit, *price)) else {
                break;
            };
            if level != Some(price) {
                sum = sum.saturating_add(std::mem::take(&mut hidden));
                level = Some(price);
            }
            match met(order, maker) {
                Met::Own if order.self_trade == SelfTrade::CancelOldest => {}
                Met::Own => return sum,
                Met::Another => {
                    sum = sum.saturating_add(maker.shown);
                    hidden = hidden.saturating_add(maker.leaves() - maker.shown);
                }
            }
        }
        sum.saturating_add(hidden)
    }

    /// Works the stops that the last price has triggered, in order of arrival.
    fn trigger(&mut self, listener: &mut impl MatchingListener) {
        while self.phase == Phase::Continuous
            && let Some(last) = self.last
            && let Some(slot) =
                self.book.stops().iter().copied().find(|slot| self.book.order(*slot).is_triggered_by(last))
        {
            let mut order = self.book.remove(slot);
            order.stop = None;
            order.priority_time = self.now;
            listener.triggered(&order);
            self.work(order, listener);
        }
    }
}

/// Decides whether the two orders are of one account and must not trade.
fn met(order: &MatchingOrder, maker: &MatchingOrder) -> Met {
    if order.self_trade != SelfTrade::Allowed && order.owner.account == maker.owner.account {
        Met::Own
    } else {
        Met::Another
    }
}

/// Whether an order keeps its place in the queue when it gets the terms of `new`.
pub fn keeps_place(old: &MatchingOrder, new: &MatchingOrder) -> bool {
    new.remainder == Remainder::Rests
        && (new.side, new.limit, new.stop) == (old.side, old.limit, old.stop)
        && new.leaves() <= old.leaves()
}

fn lapse(order: &mut MatchingOrder, why: CancelReason, listener: &mut impl MatchingListener) {
    let quantity = order.leaves();
    order.take_off(quantity);
    listener.cancelled(order, quantity, why);
}
