//! A matching engine for one instrument: price-time priority over a book of its own.
//!
//! Pure and deterministic: the same calls give the same [`Tape`]. Nothing is allocated per call once the book has
//! been as large before.
//!
//! | what comes | what happens |
//! |---|---|
//! | an order whose limit reaches the other side, or a market order | it trades with the best price first, at each price with who came first, at the price of the order that rests |
//! | the rest of a limit order | it stands last at its price |
//! | the rest of an IOC or market order | it is cancelled |
//! | a fill-or-kill order that cannot be filled whole | it is cancelled, and nothing trades |
//! | an iceberg | others see a tranche of it; when that is executed the next one stands last at its price |
//! | a stop | it waits for a trade at its price or beyond, and is then worked as an order that just came; of several the first that came goes first, and each may reach the next |
//! | an order that meets one of its own account | [`SelfTrade`], the mode of the one that comes in |
//! | a replacement of the same limit for no more | the order keeps its place; any other one is a new order |
//! | an auction or a halt | orders that can wait, market orders of the day too, stand in the book and nothing trades; IOC and fill-or-kill orders are cancelled |
//! | trading goes on | all that can be is executed at [one price](auction): orders without a limit first, then better limits, at a limit who came first, hidden quantity like shown; self-trade prevention has no part in it. What has no limit is then cancelled, and stops are looked at |
//! | the close | an auction is held as before continuous trading, a halt is not; then orders of the day expire |

pub mod auction;
mod book;
mod index;
mod order;
#[cfg(test)]
mod tests;

pub use order::{Order, Owner, Remainder, SelfTrade, reaches};

use auction::{Clearing, Interest};
use book::OrderBook;
use stele_strategies::book::BookSide;

/// What may be done in an instrument, the least restricted first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Phase {
    /// Orders trade as they come.
    #[default]
    Continuous,
    /// Orders are collected for a price.
    Auction,
    /// Orders are collected; if the day ends so, nothing trades.
    Halted,
    /// Every order is refused.
    Closed,
}

/// Why an order stopped working without being executed, its owner not having asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lapse {
    /// It cannot rest.
    Unfilled,
    /// It met an order of its own account.
    SelfTrade,
}

/// Is told what happens, as it happens. An order is shown as it stands afterwards.
pub trait Tape {
    /// `maker`, which rested, traded with `taker`; in an auction the one to buy comes first.
    fn traded(&mut self, maker: &Order, taker: &Order, trade: Traded);
    /// `quantity` of the order was cancelled.
    fn lapsed(&mut self, order: &Order, quantity: u64, why: Lapse);
    /// A stop was reached: the order is worked from here on.
    fn triggered(&mut self, order: &Order);
    /// The next tranche of an iceberg is shown.
    fn refreshed(&mut self, order: &Order);
    /// `quantity` of the order expired with the trading day.
    fn expired(&mut self, order: &Order, quantity: u64);
}

/// One trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traded {
    /// In units of 1e-9.
    pub price: i64,
    /// How much.
    pub quantity: u64,
    /// Whether it is of an auction.
    pub is_auction: bool,
}

/// The engine. See the [module](self) for its rules.
#[derive(Clone, Debug)]
pub struct Matching {
    book: OrderBook,
    phase: Phase,
    /// Price of the last trade.
    last: Option<i64>,
    tick: i64,
    /// The time that an order that gets a new place gets with it.
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

/// What follows from meeting an order of the same account.
enum Met {
    Another,
    Own,
}

impl Matching {
    /// What may be done.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Price of the last trade, in units of 1e-9.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// Orders in the book and behind stops.
    pub fn count(&self) -> usize {
        self.book.count()
    }

    /// The price that an auction would be rounded to, at least 1.
    pub fn set_tick(&mut self, tick: i64) {
        self.tick = tick.max(1);
    }

    /// The time from here on, in nanoseconds since the epoch.
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// An order by what its owner calls it.
    pub fn find(&self, owner: Owner, client_order_id: u64) -> Option<&Order> {
        self.book.find(owner, client_order_id).map(|slot| self.book.order(slot))
    }

    /// The best price of a side; none where it is empty or its first order has no limit.
    pub fn best(&self, side: BookSide) -> Option<i64> {
        self.book.first(side).and_then(|slot| self.book.order(slot).limit)
    }

    /// The orders of a side in the order in which they are met.
    pub fn queue(&self, side: BookSide) -> impl Iterator<Item = &Order> {
        self.book.queue(side).map(|slot| self.book.order(slot))
    }

    /// Works a new order, whose identification no order of its owner has. A stop waits.
    pub fn submit(&mut self, order: Order, tape: &mut impl Tape) {
        debug_assert!(self.find(order.owner, order.client_order_id).is_none());
        if order.is_working() {
            self.work(order, tape);
        } else {
            self.book.insert(order);
        }
        self.trigger(tape);
    }

    /// Gives the order `client_order_id` the terms of `new`, whose `quantity` counts what was executed before, and
    /// says by `told` how it stands before it is worked. False when there is no such order.
    pub fn replace<T: Tape>(
        &mut self,
        client_order_id: u64,
        mut new: Order,
        tape: &mut T,
        told: impl FnOnce(&mut T, &Order),
    ) -> bool {
        let Some(slot) = self.book.find(new.owner, client_order_id) else { return false };
        let old = *self.book.order(slot);
        if keeps_place(&old, &new) {
            new.priority_time = old.priority_time;
            new.shown = if new.tranche == old.tranche { old.shown.min(new.leaves()) } else { new.shown };
            self.book.rename(slot, new);
            told(tape, &new);
        } else {
            self.book.remove(slot);
            told(tape, &new);
            self.submit(new, tape);
        }
        true
    }

    /// Cancels up to `quantity` of an order. Gives the order as it stands then, and how much it was.
    pub fn cancel(&mut self, owner: Owner, client_order_id: u64, quantity: u64) -> Option<(Order, u64)> {
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

    /// Cancels every order that `wanted` names, oldest first, and gives `gone` each with what was left of it.
    pub fn cancel_where(&mut self, wanted: impl Fn(&Order) -> bool, mut gone: impl FnMut(&Order, u64)) {
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

    /// Changes what may be done. Where orders were collected and may trade now, or the day ends with an auction, the
    /// auction is held.
    pub fn set_phase(&mut self, phase: Phase, tape: &mut impl Tape) {
        let before = std::mem::replace(&mut self.phase, phase);
        let is_held = match phase {
            Phase::Continuous => before != Phase::Continuous,
            Phase::Closed => before == Phase::Auction,
            Phase::Auction | Phase::Halted => false,
        };
        if is_held {
            self.uncross(tape);
            self.cancel_where(
                |order| order.is_working() && order.limit.is_none(),
                |order, quantity| tape.lapsed(order, quantity, Lapse::Unfilled),
            );
        }
        match phase {
            Phase::Closed => {
                self.cancel_where(|order| order.is_day, |order, quantity| tape.expired(order, quantity));
            }
            _ => self.trigger(tape),
        }
    }

    /// What an auction would come to if it were held now.
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

    fn uncross(&mut self, tape: &mut impl Tape) {
        let Some(Clearing { price, volume }) = self.indicative() else { return };
        let mut left = volume;
        while left > 0 {
            let [bid, ask] = [BookSide::Bid, BookSide::Ask].map(|side| self.book.first(side));
            let (Some(bid), Some(ask)) = (bid, ask) else { break };
            let quantity = left.min(self.book.order(bid).leaves()).min(self.book.order(ask).leaves());
            [bid, ask].into_iter().for_each(|slot| self.book.order_mut(slot).fill(quantity));
            left -= quantity;
            self.last = Some(price);
            let traded = Traded { price, quantity, is_auction: true };
            tape.traded(self.book.order(bid), self.book.order(ask), traded);
            for slot in [bid, ask] {
                if self.book.order(slot).leaves() == 0 {
                    self.book.remove(slot);
                } else if self.book.order(slot).shown == 0 {
                    self.book.order_mut(slot).show();
                }
            }
        }
    }

    /// Lets go of an order that is done, and shows the next tranche of an iceberg whose last one is gone.
    fn settle(&mut self, slot: u32, tape: &mut impl Tape) {
        let now = self.now;
        let order = self.book.order_mut(slot);
        if order.leaves() == 0 {
            self.book.remove(slot);
        } else if order.shown == 0 {
            order.show();
            order.priority_time = now;
            let order = *order;
            self.book.requeue(slot);
            tape.refreshed(&order);
        }
    }

    fn work(&mut self, mut order: Order, tape: &mut impl Tape) {
        if self.phase != Phase::Continuous {
            if order.remainder == Remainder::Rests {
                order.show();
                self.book.insert(order);
            } else {
                lapse(&mut order, Lapse::Unfilled, tape);
            }
            return;
        }
        if order.remainder != Remainder::AllOrNothing || self.reachable(&order) >= order.leaves() {
            self.meet(&mut order, tape);
        }
        if order.leaves() == 0 {
            return;
        }
        if order.remainder == Remainder::Rests && order.limit.is_some() {
            order.show();
            self.book.insert(order);
        } else {
            lapse(&mut order, Lapse::Unfilled, tape);
        }
    }

    /// Trades the order with what it reaches on the other side.
    fn meet(&mut self, order: &mut Order, tape: &mut impl Tape) {
        while order.leaves() > 0 {
            let Some(slot) = self.book.first(order.side.opposite()) else { return };
            let maker = self.book.order_mut(slot);
            let Some(price) = maker.limit.filter(|price| reaches(order.side, order.limit, *price)) else {
                return;
            };
            if let Met::Own = met(order, maker) {
                self.meet_own(order, slot, tape);
                continue;
            }
            let quantity = order.leaves().min(maker.shown);
            maker.fill(quantity);
            order.fill(quantity);
            let maker = *maker;
            self.last = Some(price);
            tape.traded(&maker, order, Traded { price, quantity, is_auction: false });
            self.settle(slot, tape);
        }
    }

    /// The order has met one of its own account.
    fn meet_own(&mut self, order: &mut Order, slot: u32, tape: &mut impl Tape) {
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
            tape.lapsed(&maker, oldest, Lapse::SelfTrade);
        }
        if newest > 0 {
            order.take_off(newest);
            tape.lapsed(order, newest, Lapse::SelfTrade);
        }
    }

    /// How much of the order could be executed at once. An order of its own account that would cost it quantity ends
    /// the walk; what an iceberg hides counts only behind what others show at its price.
    fn reachable(&self, order: &Order) -> u64 {
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

    /// Works the stops that the last price has reached, the first that came first.
    fn trigger(&mut self, tape: &mut impl Tape) {
        while self.phase == Phase::Continuous
            && let Some(last) = self.last
            && let Some(slot) =
                self.book.stops().iter().copied().find(|slot| self.book.order(*slot).is_triggered_by(last))
        {
            let mut order = self.book.remove(slot);
            order.stop = None;
            order.priority_time = self.now;
            tape.triggered(&order);
            self.work(order, tape);
        }
    }
}

/// Whether the two are of one account and must not trade.
fn met(order: &Order, maker: &Order) -> Met {
    if order.self_trade != SelfTrade::Allowed && order.owner.account == maker.owner.account {
        Met::Own
    } else {
        Met::Another
    }
}

/// Whether an order keeps its place when it gets the terms of `new`.
pub fn keeps_place(old: &Order, new: &Order) -> bool {
    new.remainder == Remainder::Rests
        && (new.side, new.limit, new.stop) == (old.side, old.limit, old.stop)
        && new.leaves() <= old.leaves()
}

fn lapse(order: &mut Order, why: Lapse, tape: &mut impl Tape) {
    let quantity = order.leaves();
    order.take_off(quantity);
    tape.lapsed(order, quantity, why);
}
