//! An exchange on paper: orders trade against the replayed market, or with one another.
//!
//! Pure and deterministic: the same events and orders in the same order give the same reports. It owns no
//! thread, reads no clock and never blocks; an agent feeds it (see [`crate::PaperVenue`]).
//!
//! # Against the replayed market
//!
//! Market data is public as soon as it is sequenced. An order reaches the exchange when its release
//! watermark has passed. Orders do not change the market: its books change only by its own events. What an
//! owner (strategy and account) took from a displayed level is recorded in the owner's shadow, so that the
//! same quantity is not taken twice. Orders never meet one another, of the same owner or of different ones.
//!
//! | event | effect |
//! |---|---|
//! | a market order, or an order whose limit reaches the other side | it takes what is displayed, best level first, at each level's price (*taker*) |
//! | the remainder of a day or GTC limit order | it rests after everything that is displayed at its price |
//! | the remainder of an IOC or market order | it is cancelled by the market |
//! | a stop or stop-limit order | it waits for a trade in the market at its stop price or beyond, and is then worked; several triggered stops are worked in order of arrival |
//! | an iceberg order | an execution at its price meets only the displayed tranche; the next tranche then rests after everything that is displayed |
//! | an order with self-trade prevention that reaches a resting order of its account | the mode applies as soon as it arrives |
//! | a fill-or-kill order that cannot be filled completely | it is cancelled by the market, and nothing is filled |
//! | a post-only order that would take | it is refused |
//! | an execution in the market at a resting order's price | it shortens the queue ahead; what is left of it fills the order at its limit (*maker*) |
//! | an execution through a resting order's price | it fills the order, up to the executed quantity (*maker*) |
//! | the other side displays quantity at a resting order's limit or better, and nothing is ahead of the order | it fills the order at its limit (*maker*) |
//! | a replacement | its quantity is what is to be worked from now on, regardless of what was executed |
//! | a replacement at the same price for no more quantity | the order keeps its place in the queue |
//! | any other replacement | the order is cancelled and worked as a new one: it may take, and rests after everything that is displayed |
//! | a book is cleared, or a source restarts | queues and shadows stay unchanged until the first record that is not part of a snapshot |
//!
//! Trades count as executions only for instruments whose books are not kept by order. In a book kept by order
//! every trade also appears as an execution of the resting order. Trades off the book, late trades,
//! corrected trades and auction trades fill nothing, with one exception: an auction trade fills collected
//! orders whose limit is better than its price.
//!
//! While an instrument is halted or in an auction, orders are collected and nothing is filled. When it
//! closes, day orders expire. The module `phases` has the mapping from trading status to phase.
//! [`QueueModel`] selects how a queue ahead shortens.
//!
//! # Orders with one another
//!
//! [`Counterparty::OwnBook`] makes it an exchange with a book of its own. The rules are those of
//! [`crate::matching`]. Its trades are published as market data. Of the replayed market only definitions
//! and trading status count.
//!
//! # Delays
//!
//! An order, replacement or cancel reaches the exchange [`PaperOptions::order_delay`] after it was
//! submitted; a report reaches the sequencer [`PaperOptions::report_delay`] after it was made. No message
//! overtakes another of the same direction, and the seed determines the jitter. Time is that of the events
//! and of [`PaperExchange::advance`]. What is in flight when a session ends is in doubt for the next one,
//! and so is everything that a lost exchange held.

mod delay;
mod fees;
mod market;
mod mass_cancel;
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
pub use options::{Counterparty, OPEN_ORDERS_MAX, PaperOptions, QueueModel, ScheduledPhase, VenueFaults};
pub use report::{PaperReport, REPORT_LENGTH_MAX};
pub use request::PaperRefusal;

use crate::matching::{Matching, MatchingOrder, OrderOwner, Phase};
use crate::open_orders::{LastIds, OpenOrder, OpenState};
use crate::releases::Departure;
use delay::Line;
use market::Venue;
use mass_cancel::Emergency;
use own_book::BookReporter;
use queue::Match;
use report::{CancelCause, Reporter, Subject};
use request::{Request, Terms};
use stele_strategies::by_instrument::ByInstrument;
use stele_strategies::market::Market;
use stele_wire::messages::{CancelOrder, Initiator, MassCancel, NewOrder, Quote, ReplaceOrder};
use stele_wire::{Frame, Nanos};

/// The exchange on paper. See the [module](self) for its rules.
#[derive(Debug)]
pub struct PaperExchange {
    options: PaperOptions,
    market: Market,
    venues: ByInstrument<Venue>,
    reporter: Reporter,
    /// Orders in flight to the exchange.
    entries: Line<Entry>,
    open: usize,
    matches: Vec<Match>,
    /// The time in nanoseconds since the epoch; it never goes back.
    now: u64,
    /// The time of the first market event.
    began: Option<u64>,
    /// The index of the next scheduled phase, and the scheduled phase in force.
    next_phase: usize,
    scheduled: Phase,
    /// The phase of each source's whole market, by its last status.
    wide: Vec<(u16, Phase)>,
    ids: Vec<u32>,
    emergency: Emergency,
}

/// What an order gateway submits, reduced to what the exchange uses.
#[derive(Clone, Copy, Debug)]
enum Entry {
    New(Request),
    Replace(Request),
    Cancel(CancelOrder, u64),
    MassCancel(MassCancel, u64),
    Quote(Subject),
    Emergency,
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
    /// Creates an exchange that has seen no event.
    pub fn new(options: PaperOptions) -> Self {
        let mut exchange = Self::prompt(options, LastIds::default());
        exchange.delay();
        exchange
    }

    /// Creates an exchange without the delays of its options.
    fn prompt(options: PaperOptions, numbers: LastIds) -> Self {
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
            emergency: Emergency::default(),
        }
    }

    /// Allocates the memory of `instruments` instruments in all, see [`Market::prepare`].
    pub fn prepare(&mut self, instruments: usize) {
        self.market.prepare(instruments);
        self.venues.reserve(instruments);
    }

    fn delay(&mut self) {
        let PaperOptions { order_delay, report_delay, seed, .. } = self.options;
        self.entries.set_delay(order_delay, seed);
        self.reporter.line.set_delay(report_delay, !seed);
    }

    /// Creates the exchange of a new session over a trail whose exchange is lost. `open` are the orders
    /// that were open when it was lost ([`crate::OpenOrders`]), `numbers` the last ids on the trail. The
    /// exchange cancels on disconnect: working orders are cancelled by the market. An order that was
    /// sequenced and never answered is refused as in doubt. An unanswered replacement is refused as in
    /// doubt too, and the order that it was to replace is cancelled. An order that was dropped before it left
    /// is not the exchange's. These reports have no delay.
    pub fn resume(options: PaperOptions, open: &[OpenOrder], numbers: LastIds) -> Self {
        let mut exchange = Self::prompt(options, numbers);
        let may_have_left = |order: &&OpenOrder| !matches!(order.departure, Some(Departure::Dropped { .. }));
        for order in open.iter().filter(may_have_left) {
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
                    exchange.reporter.replace_rejected(replaced, order.sequence, id, PaperRefusal::InDoubt);
                }
                OpenState::Pending => exchange.reporter.rejected(gone, PaperRefusal::InDoubt),
            }
        }
        exchange.delay();
        exchange
    }

    /// Returns the next report that has arrived at the sequencer's side and waits to be published.
    pub fn report(&self) -> Option<&PaperReport> {
        self.reporter.line.front()
    }

    /// Removes and returns the next report that has arrived.
    pub fn pop_report(&mut self) -> Option<PaperReport> {
        self.reporter.line.pop()
    }

    /// Returns when the exchange next acts without new input: an arrival, or a scheduled phase.
    #[inline]
    pub fn due(&self) -> Option<Nanos> {
        [self.next_arrival(), self.next_phase_due().map(Nanos)].into_iter().flatten().min()
    }

    /// Returns when the next request arrives at the exchange; a silent exchange looks at none.
    #[inline]
    fn next_entry(&self) -> Option<u64> {
        if self.options.faults.is_silent { None } else { self.entries.due() }
    }

    /// Returns when the next message in flight arrives: an order at the exchange, or a report at the
    /// sequencer.
    #[inline]
    pub fn next_arrival(&self) -> Option<Nanos> {
        [self.next_entry(), self.reporter.line.due()].into_iter().flatten().min().map(Nanos)
    }

    /// The number of orders that rest or wait for a stop price.
    pub fn open_orders(&self) -> usize {
        self.open
    }

    /// Advances the time to `now`, and does what is due until then. An earlier `now` changes nothing.
    pub fn advance(&mut self, now: Nanos) {
        let now = now.0.max(self.now);
        loop {
            let (entry, phase) = (self.next_entry(), self.next_phase_due());
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

    /// Takes an order, a replacement, a cancel, a mass cancel or a quote that has left the host. Ignores
    /// every other event.
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
            Entry::Quote(subject) => self.reporter.rejected(subject, PaperRefusal::OrderType),
            Entry::Emergency => self.on_emergency(),
        }
    }

    fn submit(&mut self, request: &Request) {
        let terms = match self.admit(request, None) {
            Ok(terms) if self.open < self.options.open_orders_max => terms,
            Ok(_) => {
                let refusal = PaperRefusal::TooManyOrders { limit: self.options.open_orders_max };
                return self.reporter.rejected(request.into(), refusal);
            }
            Err(refusal) => return self.reporter.rejected(request.into(), refusal),
        };
        let id = self.reporter.next_order_id();
        let order = self.order(request, terms, id, 0);
        self.reporter.accepted(&order);
        match self.options.counterparty {
            Counterparty::Replayed => self.enter(order),
            Counterparty::OwnBook => {
                self.with_book(order.instrument, |book, listener| book.submit(order, listener))
            }
        }
    }

    /// Builds the order that a request asks for, of which `cumulative` was executed under an earlier client
    /// order id.
    fn order(&self, request: &Request, terms: Terms, venue_order_id: u64, cumulative: u64) -> MatchingOrder {
        let mut order = MatchingOrder {
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

    /// Decides whether the request can be worked; `replaced` is the order that it is to replace.
    fn admit(&mut self, request: &Request, replaced: Option<&MatchingOrder>) -> Result<Terms, PaperRefusal> {
        let venue = self.venues.get(request.instrument).filter(|venue| venue.is_defined);
        let venue = venue.ok_or(PaperRefusal::UnknownInstrument)?;
        self.reporter.venue_time = venue.venue_time.unwrap_or(self.reporter.venue_time);
        let tick = self.market.instrument(request.instrument).and_then(|instrument| instrument.tick());
        let terms = request.terms(tick.map(|tick| tick.0).filter(|tick| *tick > 0))?;
        let is_own = replaced.is_some_and(|order| order.client_order_id == request.client_order_id);
        if !is_own && venue.find(request.owner, request.client_order_id).is_some() {
            return Err(PaperRefusal::Duplicate);
        }
        if venue.phase == Phase::Closed {
            return Err(PaperRefusal::Closed);
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
            return Err(PaperRefusal::WouldTake);
        }
        Ok(terms)
    }

    /// Calls `act` with the exchange's own book of an instrument.
    fn with_book(&mut self, id: u32, act: impl FnOnce(&mut Matching, &mut BookReporter<'_>)) {
        let Self { venues, market, reporter, options, open, now, .. } = self;
        let Some(Venue { book, phase, currency, .. }) = venues.get_mut(id) else { return };
        let instrument = market.instrument(id);
        let scale = instrument.map(|instrument| instrument.scale()).unwrap_or_default();
        let mut listener = BookReporter { reporter, fees: options.fees, scale, currency: *currency };
        let book = book.get_or_insert_with(|| {
            let mut book = Box::<Matching>::default();
            book.set_phase(*phase, &mut listener);
            book
        });
        book.set_time(*now);
        book.set_tick(instrument.and_then(|instrument| instrument.tick()).map_or(1, |tick| tick.0));
        let before = book.count();
        act(book, &mut listener);
        *open = *open + book.count() - before;
    }

    fn replace(&mut self, request: &Request) {
        let venue = self.venues.get(request.instrument);
        let found = venue.and_then(|venue| venue.find(request.owner, request.replaced_order_id)).copied();
        let Some(old) = found else {
            let subject = Subject { client_order_id: request.replaced_order_id, ..Subject::from(request) };
            let refusal =
                if venue.is_some() { PaperRefusal::UnknownOrder } else { PaperRefusal::UnknownInstrument };
            return self.reporter.replace_rejected(
                subject,
                request.sequence,
                request.client_order_id,
                refusal,
            );
        };
        let admitted = self.admit(request, Some(&old)).and_then(|terms| {
            if terms.side == old.side { Ok(terms) } else { Err(PaperRefusal::SideChanged) }
        });
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
            Counterparty::OwnBook => self.with_book(new.instrument, |book, listener| {
                book.replace(replaced, new, listener, |listener, order| {
                    listener.reporter.replaced(order, replaced)
                });
            }),
        }
    }

    fn cancel(&mut self, request: &CancelOrder, sequence: u64) {
        let owner = OrderOwner { strategy: request.strategy.get(), account: request.account.get() };
        let (id, wanted) = (request.cancelled_order_id.get(), request.quantity.get());
        if self.options.faults.cancels_refused > 0
            && let Some(order) = self.venues.get(request.instrument.get()).and_then(|it| it.find(owner, id))
        {
            let subject = Subject::from(order);
            self.options.faults.cancels_refused -= 1;
            let (id, refusal) = (request.client_order_id.get(), PaperRefusal::CancelsRefused);
            return self.reporter.cancel_rejected(subject, sequence, id, refusal);
        }
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
            return self.reporter.cancel_rejected(subject, sequence, id, PaperRefusal::UnknownOrder);
        };
        self.reporter.venue_time = venue_time.unwrap_or(self.reporter.venue_time);
        let cause = CancelCause::Requested { sequence, initiator: request.initiator };
        self.reporter.cancelled((&order).into(), quantity, cause);
    }
}

#[cfg(test)]
mod tests;
