//! An exchange on paper: our orders against the market that is replayed.
//!
//! Pure and deterministic: the same events and orders in the same order give the same reports. It owns no thread,
//! reads no clock and waits for nothing; an agent feeds it (see [`crate::paper_venue`]).
//!
//! Market data is public the moment it is sequenced; an order reaches the exchange when its release watermark has
//! passed. The market never learns of our orders: its books change by its own events only. What we took from a
//! displayed level is kept in a shadow per owner (strategy and account), so that the same quantity is not taken
//! twice, and an owner's orders never meet one another or another owner's.
//!
//! | what comes | what happens |
//! |---|---|
//! | an order whose limit reaches the other side, or a market order | it takes what is displayed, best level first, at each level's price: *taker* |
//! | the rest of a day or GTC limit order | it rests behind all that is displayed at its price |
//! | the rest of an IOC or market order | cancelled by the market |
//! | a fill-or-kill order that cannot be filled whole | cancelled by the market, nothing filled |
//! | a post-only order that would take | refused |
//! | an execution in the market at a resting order's price | it shortens the queue ahead; what is left of it fills the order at its limit: *maker* |
//! | an execution through a resting order's price | it fills the order, and no more than it: *maker* |
//! | the other side displays quantity at a resting order's limit or better, nothing being ahead | it fills the order at its limit: *maker* |
//! | a replacement | its quantity is what is to work from here on, whatever was executed |
//! | a replacement at the same price for no more quantity | the order keeps its place |
//! | any other replacement | cancelled and new: it may take, and rests behind all that is displayed |
//! | a book that is cleared, or a source that starts again | queues and shadows stand still until the first record that is no snapshot |
//!
//! Trades count as executions only for instruments whose books are not kept by order: where they are, every trade
//! also comes as an execution of the order that rested. Trades off the book, late, corrected or from an auction
//! fill nothing.

mod fees;
mod market;
mod order;
mod queue;
mod report;
mod request;
mod shadow;

pub use fees::{FeeRate, FeeSchedule};
pub use order::Owner;
pub use report::{Numbers, REPORT_LENGTH_MAX, Report};
pub use request::Refusal;

use crate::open_orders::{OpenOrder, OpenState};
use market::Venue;
use order::{Order, reaches};
use queue::{Match, Taker};
use report::{CancelCause, Fill, Reporter, Subject};
use request::{Remainder, Request, Terms};
use stele_strategies::by_instrument::ByInstrument;
use stele_strategies::market::Market;
use stele_wire::Frame;
use stele_wire::messages::{
    CancelOrder, CancelScope, Initiator, Liquidity, MassCancel, NewOrder, Quote, ReplaceOrder, Side,
};

/// How an exchange is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaperOptions {
    /// The source that its reports name.
    pub source: u16,
    /// What executions cost.
    pub fees: FeeSchedule,
    /// Resting orders at most, of all owners together; one more is refused.
    pub open_orders_max: usize,
}

impl Default for PaperOptions {
    fn default() -> Self {
        Self { source: 0, fees: FeeSchedule::FREE, open_orders_max: OPEN_ORDERS_MAX }
    }
}

/// Resting orders that an exchange takes unless told otherwise.
pub const OPEN_ORDERS_MAX: usize = 10_000;

/// The exchange.
#[derive(Debug)]
pub struct PaperExchange {
    options: PaperOptions,
    market: Market,
    venues: ByInstrument<Venue>,
    reporter: Reporter,
    open: usize,
    matches: Vec<Match>,
}

impl PaperExchange {
    /// An exchange that has seen nothing.
    pub fn new(options: PaperOptions) -> Self {
        Self {
            options,
            market: Market::default(),
            venues: ByInstrument::default(),
            reporter: Reporter::new(options.source, Numbers::default()),
            open: 0,
            matches: Vec::with_capacity(64),
        }
    }

    /// The exchange of a new session over a trail whose exchange is gone, with the orders that were open when it
    /// went ([`crate::open_orders::OpenOrders`]). Cancel on disconnect: an order that worked is cancelled by the
    /// market; one that was sequenced and never answered is refused as in doubt; so is an unanswered replacement,
    /// and the order that it was to replace is cancelled. `numbers` are the last that the trail has.
    pub fn resume(options: PaperOptions, open: &[OpenOrder], numbers: Numbers) -> Self {
        let mut exchange = Self::new(options);
        exchange.reporter.numbers = numbers;
        for order in open {
            let gone = Subject { leaves: 0, ..Subject::from(order) };
            match order.state {
                OpenState::Working => {
                    let cause = match order.cancel {
                        Some((sequence, _)) => {
                            CancelCause::Requested { sequence, initiator: Initiator::FIRM }
                        }
                        None => CancelCause::Market,
                    };
                    exchange.reporter.cancelled(gone, order.leaves, cause);
                }
                OpenState::Pending if order.replaced_order_id != 0 => {
                    let replaced = Subject { client_order_id: order.replaced_order_id, ..gone };
                    let id = order.client_order_id;
                    exchange.reporter.replace_rejected(replaced, order.sequence, id, Refusal::InDoubt);
                }
                OpenState::Pending => exchange.reporter.rejected(gone, Refusal::InDoubt),
            }
        }
        exchange
    }

    /// The next report that waits to be sequenced.
    pub fn report(&self) -> Option<&Report> {
        self.reporter.reports.front()
    }

    /// Takes the next report: it is on its way.
    pub fn pop_report(&mut self) -> Option<Report> {
        self.reporter.reports.pop_front()
    }

    /// How many orders rest.
    pub fn open_orders(&self) -> usize {
        self.open
    }

    /// Takes an order, a replacement, a cancel, a mass cancel or a quote that has left the host. Anything else
    /// is none of the exchange's business.
    pub fn on_order(&mut self, event: &Frame<'_>) {
        let sequence = event.sequence().0;
        self.stand_at(event);
        match event.template_id() {
            NewOrder::TEMPLATE_ID => {
                if let Some(message) = event.message::<NewOrder>() {
                    self.submit(&Request::from((&*message, sequence)));
                }
            }
            ReplaceOrder::TEMPLATE_ID => {
                if let Some(message) = event.message::<ReplaceOrder>() {
                    self.replace(&Request::from((&*message, sequence)));
                }
            }
            CancelOrder::TEMPLATE_ID => {
                if let Some(message) = event.message::<CancelOrder>() {
                    self.cancel(&message, sequence);
                }
            }
            MassCancel::TEMPLATE_ID => {
                if let Some(message) = event.message::<MassCancel>() {
                    self.cancel_all(&message, sequence);
                }
            }
            Quote::TEMPLATE_ID => {
                if let Some(message) = event.message::<Quote>() {
                    self.reporter.rejected(Subject::of_quote(&message, sequence), Refusal::OrderType);
                }
            }
            _ => {}
        }
    }

    fn submit(&mut self, request: &Request) {
        let terms = match self.admit(request, None) {
            Ok(terms) if self.open < self.options.open_orders_max => terms,
            Ok(_) => {
                let refusal = Refusal::TooManyOrders { limit: self.options.open_orders_max };
                return self.reporter.rejected(request.into(), refusal);
            }
            Err(refusal) => return self.reporter.rejected(request.into(), refusal),
        };
        let order = Order {
            owner: request.owner,
            instrument: request.instrument,
            side: terms.side,
            client_order_id: request.client_order_id,
            venue_order_id: self.reporter.next_order_id(),
            sequence: request.sequence,
            limit: terms.limit,
            quantity: request.quantity,
            cumulative: 0,
            ahead: 0,
            priority_time: self.reporter.venue_time,
        };
        self.reporter.accepted(&order);
        self.work(order, terms.remainder);
    }

    /// Whether the request can be worked, in the place of the order `replaced` if there is one.
    fn admit(&mut self, request: &Request, replaced: Option<&Order>) -> Result<Terms, Refusal> {
        let venue = self.venues.get(request.instrument).filter(|venue| venue.is_defined);
        let venue = venue.ok_or(Refusal::UnknownInstrument)?;
        self.reporter.venue_time = venue.venue_time.unwrap_or(self.reporter.venue_time);
        let tick = self.market.instrument(request.instrument).and_then(|instrument| instrument.tick());
        let terms = request.terms(tick.map(|tick| tick.0).filter(|tick| *tick > 0))?;
        let is_own = replaced.is_some_and(|order| order.client_order_id == request.client_order_id);
        if !is_own && venue.find(request.owner, request.client_order_id).is_some() {
            return Err(Refusal::Duplicate);
        }
        let best = self.market.book(request.instrument).and_then(|book| book.best(terms.side.opposite()));
        if terms.is_post_only && best.is_some_and(|level| reaches(terms.side, terms.limit, level.price.0)) {
            return Err(Refusal::WouldTake);
        }
        Ok(terms)
    }

    /// Meets `order` with the displayed market and lets what is left rest, or go.
    fn work(&mut self, mut order: Order, remainder: Remainder) {
        let Some(instrument) = self.market.instrument(order.instrument) else { return };
        let Some(Venue { shadow, orders, currency, .. }) = self.venues.get_mut(order.instrument) else {
            return;
        };
        let (book, scale, currency) = (Some(instrument.book()), instrument.scale(), *currency);
        let levels = || market::levels(book, order.side.opposite());
        let taker =
            Taker { owner: order.owner, side: order.side, limit: order.limit, quantity: order.leaves() };
        if remainder != Remainder::AllOrNothing || queue::reachable(levels(), taker, shadow) >= taker.quantity
        {
            let (levels, rate) = (levels(), self.options.fees.taker);
            queue::take(levels, taker, shadow, |price, quantity| {
                order.cumulative += quantity;
                let fee = rate.fee(price, quantity, scale);
                let fill = Fill { price, quantity, liquidity: Liquidity::TAKER, fee, currency };
                self.reporter.filled(&order, fill);
            });
        }
        if order.leaves() == 0 {
            return;
        }
        match (remainder, order.limit) {
            (Remainder::Rests, Some(limit)) => {
                order.ahead = market::displayed(book, order.side, limit);
                orders.push(order);
                self.open += 1;
            }
            _ => {
                let gone = Subject { leaves: 0, ..Subject::from(&order) };
                self.reporter.cancelled(gone, order.leaves(), CancelCause::Market);
            }
        }
    }

    fn replace(&mut self, request: &Request) {
        let venue = self.venues.get(request.instrument);
        let found = venue.and_then(|venue| {
            let index = venue.find(request.owner, request.replaced_order_id)?;
            Some((index, venue.orders[index]))
        });
        let Some((index, old)) = found else {
            let subject = Subject { client_order_id: request.replaced_order_id, ..Subject::from(request) };
            let refusal = if venue.is_some() { Refusal::UnknownOrder } else { Refusal::UnknownInstrument };
            return self.reporter.replace_rejected(
                subject,
                request.sequence,
                request.client_order_id,
                refusal,
            );
        };
        let admitted = self
            .admit(request, Some(&old))
            .and_then(|terms| if terms.side == old.side { Ok(terms) } else { Err(Refusal::SideChanged) });
        let terms = match admitted {
            Ok(terms) => terms,
            Err(refusal) => {
                let (sequence, id) = (request.sequence, request.client_order_id);
                return self.reporter.replace_rejected((&old).into(), sequence, id, refusal);
            }
        };
        let new = Order {
            client_order_id: request.client_order_id,
            sequence: request.sequence,
            limit: terms.limit,
            quantity: old.cumulative.saturating_add(request.quantity),
            ..old
        };
        let keeps_place =
            terms.remainder == Remainder::Rests && new.limit == old.limit && new.leaves() <= old.leaves();
        let Some(venue) = self.venues.get_mut(request.instrument) else { return };
        if keeps_place {
            venue.orders[index] = new;
            self.reporter.replaced(&new, old.client_order_id);
        } else {
            venue.orders.remove(index);
            self.open -= 1;
            let new = Order { priority_time: self.reporter.venue_time, ..new };
            self.reporter.replaced(&new, old.client_order_id);
            self.work(new, terms.remainder);
        }
    }

    fn cancel(&mut self, request: &CancelOrder, sequence: u64) {
        let owner = Owner { strategy: request.strategy.get(), account: request.account.get() };
        let found = self.venues.get_mut(request.instrument.get()).and_then(|venue| {
            let index = venue.find(owner, request.cancelled_order_id.get())?;
            Some((venue, index))
        });
        let Some((venue, index)) = found else {
            let subject = Subject::of_cancel(request, owner);
            let id = request.client_order_id.get();
            return self.reporter.cancel_rejected(subject, sequence, id, Refusal::UnknownOrder);
        };
        self.reporter.venue_time = venue.venue_time.unwrap_or(self.reporter.venue_time);
        let order = &mut venue.orders[index];
        let quantity = order.leaves().min(request.quantity.get());
        order.quantity -= quantity;
        let left = *order;
        if left.leaves() == 0 {
            venue.orders.remove(index);
            self.open -= 1;
        }
        let cause = CancelCause::Requested { sequence, initiator: request.initiator };
        self.reporter.cancelled((&left).into(), quantity, cause);
    }

    /// A strategy's mass cancel covers its own orders only; one from nobody (strategy 0) covers everybody's.
    fn cancel_all(&mut self, request: &MassCancel, sequence: u64) {
        let (strategy, id) = (request.strategy.get(), request.scope_id.get());
        let wanted = |order: &Order| {
            (strategy == 0 || order.owner.strategy == strategy)
                && (request.side == Side::NONE || Subject::from(order).side == request.side)
                && match request.scope {
                    CancelScope::ALL => true,
                    CancelScope::ACCOUNT => order.owner.account == id,
                    CancelScope::INSTRUMENT => order.instrument == request.instrument.get(),
                    CancelScope::STRATEGY => u32::from(order.owner.strategy) == id,
                    _ => false,
                }
        };
        let cause = CancelCause::Requested { sequence, initiator: request.initiator };
        for (_, venue) in self.venues.iter_mut() {
            self.reporter.venue_time = venue.venue_time.unwrap_or(self.reporter.venue_time);
            venue.orders.retain(|order| {
                if !wanted(order) {
                    return true;
                }
                let gone = Subject { leaves: 0, ..Subject::from(order) };
                self.reporter.cancelled(gone, order.leaves(), cause);
                self.open -= 1;
                false
            });
        }
    }

    /// Before the first market event of an instrument, the exchange's time is that of the event in hand.
    fn stand_at(&mut self, event: &Frame<'_>) {
        self.reporter.venue_time = event.timestamp().0;
    }
}

#[cfg(test)]
mod tests;
