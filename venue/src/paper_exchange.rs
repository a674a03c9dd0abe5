//! An exchange on paper: our orders against the market that is replayed, or against one another.
//!
//! Pure and deterministic: the same events and orders in the same order give the same reports. It owns no thread,
//! reads no clock and waits for nothing; an agent feeds it (see [`crate::PaperVenue`]).
//!
//! # Against the replayed market
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
//! | a stop or stop-limit order | it waits for a trade in the market at its price or beyond, and is then worked; of several the first that came goes first |
//! | an order that shows a part of its quantity | the part is what an execution at its price can meet; then the next one rests behind all that is displayed |
//! | an order with self-trade prevention that reaches a resting one of its account | as its mode says, as soon as it arrives |
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
//! fill nothing, but that an auction's trade fills what was collected for it and is better than its price.
//!
//! While an instrument is halted or in an auction, orders are collected and nothing is filled; when it closes, orders
//! of the day expire. `phases` says what counts as which. [`QueueModel`] says how a queue ahead shortens.
//!
//! # Against one another
//!
//! [`Counterparty::OwnBook`] makes it an exchange of its own: the rules are those of [`crate::matching`], everybody sees
//! its trades, and of the replayed market only definitions and trading status count.
//!
//! # Delays
//!
//! An order, replacement or cancel reaches the exchange [`PaperOptions::order_delay`] after it was handed over, a report
//! the sequencer [`PaperOptions::report_delay`] after it was made; none overtakes another, and the seed decides the
//! jitter. Time is that of the events and of [`PaperExchange::advance`]. What is on its way when a session ends is in
//! doubt for the next one, as is everything that a lost exchange had.

mod delay;
mod fees;
mod market;
mod options;
mod own_book;
mod phases;
mod queue;
mod replayed;
mod report;
mod request;
mod resting;
mod shadow;

pub use delay::Delay;
pub use fees::{FeeRate, FeeSchedule};
pub use options::{Counterparty, OPEN_ORDERS_MAX, PaperOptions, QueueModel, ScheduledPhase};
pub use report::{REPORT_LENGTH_MAX, Report};
pub use request::Refusal;

use crate::matching::{Matching, Order, Owner, Phase};
use crate::open_orders::{Numbers, OpenOrder, OpenState};
use delay::Line;
use market::Venue;
use own_book::OwnTape;
use queue::Match;
use report::{CancelCause, Reporter, Subject};
use request::{Request, Terms};
use stele_strategies::by_instrument::ByInstrument;
use stele_strategies::market::Market;
use stele_wire::messages::{
    CancelOrder, CancelScope, Initiator, MassCancel, NewOrder, Quote, ReplaceOrder, Side,
};
use stele_wire::{Frame, Nanos};

/// The exchange.
#[derive(Debug)]
pub struct PaperExchange {
    options: PaperOptions,
    market: Market,
    venues: ByInstrument<Venue>,
    reporter: Reporter,
    /// What is on its way here.
    entries: Line<Entry>,
    open: usize,
    matches: Vec<Match>,
    /// In nanoseconds since the epoch; never goes back.
    now: u64,
    /// When the first market event came.
    began: Option<u64>,
    /// The schedule's next phase, and the one in force.
    next_phase: usize,
    scheduled: Phase,
    /// What the last status of each source's whole market says.
    wide: Vec<(u16, Phase)>,
    ids: Vec<u32>,
}

/// What an order gateway hands over, as far as the exchange looks at it.
#[derive(Clone, Copy, Debug)]
enum Entry {
    New(Request),
    Replace(Request),
    Cancel(CancelOrder, u64),
    MassCancel(MassCancel, u64),
    Quote(Subject),
}

impl Entry {
    fn read(event: &Frame<'_>) -> Option<Self> {
        let sequence = event.sequence().0;
        Some(match event.template_id() {
            NewOrder::TEMPLATE_ID => Self::New(Request::from((&*event.message::<NewOrder>()?, sequence))),
            ReplaceOrder::TEMPLATE_ID => {
                Self::Replace(Request::from((&*event.message::<ReplaceOrder>()?, sequence)))
            }
            CancelOrder::TEMPLATE_ID => Self::Cancel(*event.message::<CancelOrder>()?, sequence),
            MassCancel::TEMPLATE_ID => Self::MassCancel(*event.message::<MassCancel>()?, sequence),
            Quote::TEMPLATE_ID => Self::Quote(Subject::of_quote(&*event.message::<Quote>()?, sequence)),
            _ => return None,
        })
    }
}

impl PaperExchange {
    /// An exchange that has seen nothing.
    pub fn new(options: PaperOptions) -> Self {
        let mut exchange = Self::prompt(options, Numbers::default());
        exchange.delay();
        exchange
    }

    /// Without the delays of its options.
    fn prompt(options: PaperOptions, numbers: Numbers) -> Self {
        Self {
            reporter: Reporter::new(options.source, numbers),
            options,
            market: Market::default(),
            venues: ByInstrument::default(),
            entries: Line::at_once(),
            open: 0,
            matches: Vec::with_capacity(64),
            now: 0,
            began: None,
            next_phase: 0,
            scheduled: Phase::Continuous,
            wide: Vec::new(),
            ids: Vec::with_capacity(64),
        }
    }

    fn delay(&mut self) {
        let PaperOptions { order_delay, report_delay, seed, .. } = self.options;
        self.entries.set_delay(order_delay, seed);
        self.reporter.line.set_delay(report_delay, !seed);
    }

    /// The exchange of a new session over a trail whose exchange is gone, with the orders that were open when it
    /// went ([`crate::OpenOrders`]). Cancel on disconnect: an order that worked is cancelled by the
    /// market; one that was sequenced and never answered is refused as in doubt; so is an unanswered replacement,
    /// and the order that it was to replace is cancelled. `numbers` are the last that the trail has. These reports
    /// wait for no delay.
    pub fn resume(options: PaperOptions, open: &[OpenOrder], numbers: Numbers) -> Self {
        let mut exchange = Self::prompt(options, numbers);
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
        exchange.delay();
        exchange
    }

    /// The next report that has arrived and waits to be sequenced.
    pub fn report(&self) -> Option<&Report> {
        self.reporter.line.front()
    }

    /// Takes the next report that has arrived.
    pub fn pop_report(&mut self) -> Option<Report> {
        self.reporter.line.pop()
    }

    /// When something happens by itself next, nothing new coming: an arrival or a phase of the schedule.
    #[inline]
    pub fn due(&self) -> Option<Nanos> {
        [self.next_arrival(), self.next_phase_due().map(Nanos)].into_iter().flatten().min()
    }

    /// When the next message on its way arrives: an order here, or a report at the sequencer.
    #[inline]
    pub fn next_arrival(&self) -> Option<Nanos> {
        [self.entries.due(), self.reporter.line.due()].into_iter().flatten().min().map(Nanos)
    }

    /// How many orders rest or wait behind a stop.
    pub fn open_orders(&self) -> usize {
        self.open
    }

    /// Time goes on to `now`, and what is due until then happens. Time never goes back.
    pub fn advance(&mut self, now: Nanos) {
        let now = now.0.max(self.now);
        loop {
            let (entry, phase) = (self.entries.due(), self.next_phase_due());
            match (entry, phase) {
                (_, Some(phase)) if phase <= now && entry.is_none_or(|entry| phase <= entry) => {
                    self.stand_at(phase);
                    self.begin_next_phase();
                }
                (Some(entry), _) if entry <= now => {
                    self.stand_at(entry);
                    if let Some(entry) = self.entries.pop() {
                        self.handle(entry);
                    }
                }
                _ => break,
            }
        }
        self.stand_at(now);
    }

    fn stand_at(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.entries.advance(self.now);
        self.reporter.line.advance(self.now);
    }

    /// Takes an order, a replacement, a cancel, a mass cancel or a quote that has left the host. Anything else
    /// is none of the exchange's business.
    pub fn on_order(&mut self, event: &Frame<'_>) {
        self.advance(event.timestamp());
        if let Some(entry) = Entry::read(event) {
            self.entries.push(entry);
            self.advance(event.timestamp());
        }
    }

    fn handle(&mut self, entry: Entry) {
        self.reporter.venue_time = self.now;
        match entry {
            Entry::New(request) => self.submit(&request),
            Entry::Replace(request) => self.replace(&request),
            Entry::Cancel(message, sequence) => self.cancel(&message, sequence),
            Entry::MassCancel(message, sequence) => self.cancel_all(&message, sequence),
            Entry::Quote(subject) => self.reporter.rejected(subject, Refusal::OrderType),
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
        let id = self.reporter.next_order_id();
        let order = self.order(request, terms, id, 0);
        self.reporter.accepted(&order);
        match self.options.counterparty {
            Counterparty::Replayed => self.enter(order),
            Counterparty::OwnBook => self.with_book(order.instrument, |book, tape| book.submit(order, tape)),
        }
    }

    /// The order that a request asks for, of which `cumulative` was executed under another name.
    fn order(&self, request: &Request, terms: Terms, venue_order_id: u64, cumulative: u64) -> Order {
        let mut order = Order {
            owner: request.owner,
            instrument: request.instrument,
            side: terms.side,
            client_order_id: request.client_order_id,
            venue_order_id,
            sequence: request.sequence,
            limit: terms.limit,
            stop: terms.stop,
            quantity: cumulative.saturating_add(request.quantity),
            cumulative,
            shown: 0,
            tranche: terms.tranche,
            remainder: terms.remainder,
            is_day: terms.is_day,
            self_trade: terms.self_trade.unwrap_or(self.options.self_trade),
            priority_time: self.reporter.venue_time,
        };
        order.show();
        order
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
        if venue.phase == Phase::Closed {
            return Err(Refusal::Closed);
        }
        let other = terms.side.opposite();
        let best = match self.options.counterparty {
            Counterparty::Replayed => {
                let book = self.market.book(request.instrument);
                book.and_then(|book| book.best(other)).map(|level| level.price.0)
            }
            Counterparty::OwnBook => venue.book.as_ref().and_then(|book| book.best(other)),
        };
        let takes = |best| crate::matching::reaches(terms.side, terms.limit, best);
        if terms.is_post_only && venue.phase == Phase::Continuous && best.is_some_and(takes) {
            return Err(Refusal::WouldTake);
        }
        Ok(terms)
    }

    /// Does something in the exchange's own book of an instrument.
    fn with_book(&mut self, id: u32, act: impl FnOnce(&mut Matching, &mut OwnTape<'_>)) {
        let Self { venues, market, reporter, options, open, now, .. } = self;
        let Some(Venue { book, phase, currency, .. }) = venues.get_mut(id) else { return };
        let instrument = market.instrument(id);
        let scale = instrument.map(|instrument| instrument.scale()).unwrap_or_default();
        let mut tape = OwnTape { reporter, fees: options.fees, scale, currency: *currency };
        let book = book.get_or_insert_with(|| {
            let mut book = Box::<Matching>::default();
            book.set_phase(*phase, &mut tape);
            book
        });
        book.set_time(*now);
        book.set_tick(instrument.and_then(|instrument| instrument.tick()).map_or(1, |tick| tick.0));
        let before = book.count();
        act(book, &mut tape);
        *open = *open + book.count() - before;
    }

    fn replace(&mut self, request: &Request) {
        let venue = self.venues.get(request.instrument);
        let found = venue.and_then(|venue| venue.find(request.owner, request.replaced_order_id)).copied();
        let Some(old) = found else {
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
        let new = self.order(request, terms, old.venue_order_id, old.cumulative);
        let replaced = old.client_order_id;
        match self.options.counterparty {
            Counterparty::Replayed => {
                let venue = self.venues.get(request.instrument);
                if let Some(at) = venue.and_then(|venue| venue.position(old.owner, replaced)) {
                    self.amend(at, new, replaced);
                }
            }
            Counterparty::OwnBook => self.with_book(new.instrument, |book, tape| {
                book.replace(replaced, new, tape, |tape, order| tape.reporter.replaced(order, replaced));
            }),
        }
    }

    fn cancel(&mut self, request: &CancelOrder, sequence: u64) {
        let owner = Owner { strategy: request.strategy.get(), account: request.account.get() };
        let (id, wanted) = (request.cancelled_order_id.get(), request.quantity.get());
        let Self { venues, open, .. } = self;
        let taken = venues.get_mut(request.instrument.get()).and_then(|venue| {
            let venue_time = venue.venue_time;
            let (order, quantity) = match &mut venue.book {
                Some(book) => {
                    let before = book.count();
                    let taken = book.cancel(owner, id, wanted)?;
                    *open = *open + book.count() - before;
                    taken
                }
                None => {
                    let at = venue.position(owner, id)?;
                    Self::withdraw(venue, open, at, wanted)
                }
            };
            Some((venue_time, order, quantity))
        });
        let Some((venue_time, order, quantity)) = taken else {
            let subject = Subject::of_cancel(request, owner);
            let id = request.client_order_id.get();
            return self.reporter.cancel_rejected(subject, sequence, id, Refusal::UnknownOrder);
        };
        self.reporter.venue_time = venue_time.unwrap_or(self.reporter.venue_time);
        let cause = CancelCause::Requested { sequence, initiator: request.initiator };
        self.reporter.cancelled((&order).into(), quantity, cause);
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
        let mut ids = std::mem::take(&mut self.ids);
        ids.clear();
        ids.extend(self.venues.iter().map(|(id, _)| id));
        for id in &ids {
            let Some(venue) = self.venues.get_mut(*id) else { continue };
            self.reporter.venue_time = venue.venue_time.unwrap_or(self.reporter.venue_time);
            if venue.book.is_some() {
                self.with_book(*id, |book, tape| {
                    book.cancel_where(wanted, |order, left| {
                        tape.reporter.cancelled(order.into(), left, cause);
                    });
                });
            } else {
                self.drop_orders(*id, wanted, |reporter, order, left| {
                    reporter.cancelled(order.into(), left, cause);
                });
            }
        }
        self.ids = ids;
    }
}

#[cfg(test)]
mod tests;
