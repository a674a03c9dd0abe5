//! The market as the exchange follows it: definitions, books, executions.

use super::PaperExchange;
use super::options::{Counterparty, QueueModel};
use super::queue::{self, Execution, Leaving};
use super::report::Fill;
use super::resting::Resting;
use super::shadow::Shadow;
use crate::matching::{Matching, MatchingOrder, OrderOwner, Phase};
use stele_strategies::book::{Book, BookKind, BookSide};
use stele_strategies::market::book_side;
use stele_wire::Frame;
use stele_wire::Price;
use stele_wire::codec::View;
use stele_wire::messages::{
    BookAction, BookCancel, BookClear, BookDepth, BookExecute, BookModify, BookReplace, BookScope, FeedState,
    FeedStatus, InstrumentDefinition, Liquidity, MarketFlags, Side, TopOfBook, Trade, TradeAttributes,
    TradingStatus, UpdateAction,
};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The exchange's state of one instrument, besides the market's own.
#[derive(Debug, Default)]
pub(super) struct Venue {
    /// Whether the instrument is defined.
    pub(super) is_defined: bool,
    pub(super) currency: [u8; 3],
    /// The venue's time of its last event.
    pub(super) venue_time: Option<u64>,
    /// The source of its last event.
    pub(super) source: u16,
    /// Whether its book was cleared and is being rebuilt.
    is_rebuilding: bool,
    /// The phase in force.
    pub(super) phase: Phase,
    /// The phase by the instrument's own last status.
    pub(super) own_phase: Phase,
    /// The phase by the last status of its source's whole market.
    pub(super) wide_phase: Phase,
    /// The price of the market's last trade.
    pub(super) last: Option<i64>,
    /// Orders that trade against the replayed market.
    pub(super) orders: Vec<Resting>,
    pub(super) shadow: Shadow,
    /// The book of orders that trade with one another; created for the first of them.
    pub(super) book: Option<Box<Matching>>,
}

impl Venue {
    /// Returns the index of the owner's order of this id among those that trade against the replayed
    /// market.
    pub(super) fn position(&self, owner: OrderOwner, client_order_id: u64) -> Option<usize> {
        self.orders.iter().position(|order| order.client_order_id == client_order_id && order.owner == owner)
    }

    /// Returns the owner's order of this id.
    pub(super) fn find(&self, owner: OrderOwner, client_order_id: u64) -> Option<&MatchingOrder> {
        match &self.book {
            Some(book) => book.find(owner, client_order_id),
            None => self.position(owner, client_order_id).map(|at| &self.orders[at].order),
        }
    }

    /// Whether there is no order or shadow that a market event could change.
    fn is_idle(&self) -> bool {
        self.orders.is_empty() && self.shadow.is_empty()
    }
}

/// Returns the levels of a side, best first, as price and quantity.
pub(super) fn levels(book: Option<&Book>, side: BookSide) -> impl Iterator<Item = (i64, u64)> {
    book.into_iter().flat_map(move |book| book.levels(side)).map(|level| (level.price.0, level.quantity.0))
}

/// Returns the quantity that a side displays at a price.
pub(super) fn displayed(book: Option<&Book>, side: BookSide, price: i64) -> u64 {
    book.and_then(|book| book.level(side, Price(price))).map_or(0, |level| level.quantity.0)
}

/// The fields that every market-data message begins with.
#[repr(C)]
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
struct Prefix {
    venue_time: U64,
    instrument: U32,
    venue_sequence: U32,
    received_delta: U32,
    source: U16,
    flags: MarketFlags,
    side: Side,
}

/// Template ids of the market-data messages.
const MARKET_DATA: std::ops::RangeInclusive<u16> = 101..=199;

/// Trades that are not executions of a displayed order in continuous trading.
const APART: [TradeAttributes; 5] = [
    TradeAttributes::CROSS,
    TradeAttributes::OFF_BOOK,
    TradeAttributes::LATE,
    TradeAttributes::CORRECTION,
    TradeAttributes::BLOCK,
];

impl PaperExchange {
    /// Takes the next market event: a definition, market data or the state of a feed. Ignores every other
    /// event.
    pub fn on_market(&mut self, event: &Frame<'_>) {
        self.advance(event.timestamp());
        if !event.is_stele() {
            return;
        }
        match event.template_id() {
            InstrumentDefinition::TEMPLATE_ID => {
                if let Some(message) = event.message::<InstrumentDefinition>()
                    && message.instrument.get() != 0
                {
                    self.market.apply(event);
                    let id = message.instrument.get();
                    let wide_phase = self.wide_phase(message.source.get());
                    let venue = self.venues.entry_with(id, || Venue { wide_phase, ..Venue::default() });
                    venue.is_defined = message.action != UpdateAction::DELETE;
                    venue.currency = message.currency;
                    self.settle_phase(id);
                }
            }
            FeedStatus::TEMPLATE_ID => {
                let message = event.message::<FeedStatus>();
                self.market.apply(event);
                if let Some(message) = message.filter(|message| message.state == FeedState::STARTED) {
                    let source = message.source.get();
                    self.rebuild(|_, venue| venue.source == source);
                }
            }
            template if MARKET_DATA.contains(&template) => self.on_record(event),
            _ => {}
        }
    }

    fn on_record(&mut self, event: &Frame<'_>) {
        let Ok((prefix, _)) = Prefix::ref_from_prefix(event.body()) else { return };
        let id = prefix.instrument.get();
        if prefix.source.get() == self.options.source {
            return;
        }
        self.began.get_or_insert(event.timestamp().0);
        if let Some(status) = event.message::<TradingStatus>() {
            return self.on_status(&status);
        }
        if self.options.counterparty == Counterparty::OwnBook {
            return;
        }
        let is_idle = self.venues.get(id).is_none_or(Venue::is_idle);
        let executions = if is_idle { [None, None] } else { self.executions(event, id) };
        let leaving = if is_idle { None } else { self.leaving(event, id) };
        let change = self.market.apply(event);
        if let Some(message) = event.message::<BookClear>() {
            return self.clear(&message);
        }
        let Some(venue) = self.venues.get_mut(id) else { return };
        let venue_time = prefix.venue_time.get();
        let venue_time = if venue_time == u64::MAX { event.timestamp().0 } else { venue_time };
        (venue.venue_time, venue.source) = (Some(venue_time), prefix.source.get());
        if venue.is_rebuilding && !prefix.flags.contains(MarketFlags::SNAPSHOT) {
            venue.is_rebuilding = false;
        }
        let apart = event.message::<Trade>().filter(|trade| is_apart(trade));
        if let Some(trade) = change.trade.filter(|_| apart.is_none()) {
            venue.last = Some(trade.price.0);
        }
        if is_idle || venue.is_rebuilding {
            return;
        }
        self.reporter.venue_time = venue_time;
        let is_continuous = venue.phase == Phase::Continuous;
        if let Some(leaving) = leaving {
            queue::leave(&mut venue.orders, leaving);
        }
        for execution in executions.into_iter().flatten().filter(|_| is_continuous) {
            self.execute(id, execution);
        }
        self.follow(id);
        match apart {
            Some(trade) if !is_continuous && trade.attributes.contains(TradeAttributes::CROSS) => {
                self.auction(id, trade.price.get(), trade.quantity.get());
            }
            _ => {}
        }
        if is_continuous {
            if change.book == Some(id) {
                self.meet(id);
            }
            self.trigger(id);
        }
    }

    /// Returns what `event` removes from the book without execution, when the queue model needs it. Call it
    /// before the event changes the book.
    fn leaving(&self, event: &Frame<'_>, id: u32) -> Option<Leaving> {
        let book = self.market.book(id).filter(|_| self.options.queue == QueueModel::ByOrder)?;
        let (order_id, quantity) = match event.template_id() {
            BookCancel::TEMPLATE_ID => {
                let message = event.message::<BookCancel>()?;
                (message.order_id.get(), message.quantity.get())
            }
            BookReplace::TEMPLATE_ID => (event.message::<BookReplace>()?.prior_order_id.get(), u64::MAX),
            BookModify::TEMPLATE_ID => {
                let message = event.message::<BookModify>()?;
                let order = book.order(message.order_id.get())?;
                let is_moved = message.price.get() != order.price.0;
                let less = order.quantity.0.saturating_sub(message.quantity.get());
                (order.id, if is_moved { u64::MAX } else { less })
            }
            _ => return None,
        };
        let order = book.order(order_id)?;
        let before = book.queue_position(order_id)?.quantity.0;
        let quantity = quantity.min(order.quantity.0);
        Some(Leaving { side: order.side, price: order.price.0, before, quantity })
    }

    /// Returns what `event` executed in the market. Call it before the event changes the book.
    fn executions(&self, event: &Frame<'_>, id: u32) -> [Option<Execution>; 2] {
        let book = self.market.book(id);
        match event.template_id() {
            BookExecute::TEMPLATE_ID => [event.message().and_then(|message| resting(book, &message)), None],
            _ if book.is_some_and(|book| book.kind() == BookKind::Orders) => [None, None],
            Trade::TEMPLATE_ID => {
                let Some(trade) = event.message::<Trade>() else { return [None, None] };
                if is_apart(&trade) {
                    return [None, None];
                }
                traded(book, trade.side, trade.price.get(), trade.quantity.get())
            }
            TopOfBook::TEMPLATE_ID => match event.message::<TopOfBook>() {
                Some(top) if top.action == BookAction::TRADE => {
                    traded(book, top.side, top.price.get(), top.quantity.get())
                }
                _ => [None, None],
            },
            BookDepth::TEMPLATE_ID => match event.message::<BookDepth>() {
                Some(depth) if depth.action == BookAction::TRADE => {
                    traded(book, depth.side, depth.price.get(), depth.quantity.get())
                }
                _ => [None, None],
            },
            _ => [None, None],
        }
    }

    fn clear(&mut self, message: &BookClear) {
        let (id, source) = (message.instrument.get(), message.source.get());
        match message.scope {
            BookScope::SOURCE => self.rebuild(|_, venue| venue.source == source),
            BookScope::ALL => self.rebuild(|_, _| true),
            _ => self.rebuild(|instrument, _| instrument == id),
        }
    }

    fn rebuild(&mut self, wanted: impl Fn(u32, &Venue) -> bool) {
        for (id, venue) in self.venues.iter_mut() {
            if wanted(id, venue) {
                venue.is_rebuilding = true;
            }
        }
    }

    /// Fills resting orders with their share of an execution in the market.
    fn execute(&mut self, id: u32, execution: Execution) {
        let Some(venue) = self.venues.get_mut(id) else { return };
        queue::execute(&mut venue.orders, execution, &mut self.matches);
        self.fill_matches(id, None);
    }

    /// Fills collected orders with their share of an auction in the market.
    fn auction(&mut self, id: u32, price: i64, quantity: u64) {
        let Some(venue) = self.venues.get_mut(id) else { return };
        if price != i64::MAX && quantity != u64::MAX {
            queue::auction(&venue.orders, price, quantity, &mut self.matches);
            self.fill_matches(id, Some(price));
        }
    }

    /// Limits queues and shadows to what is displayed.
    fn follow(&mut self, id: u32) {
        let Some(venue) = self.venues.get_mut(id) else { return };
        let book = self.market.book(id);
        queue::follow(&mut venue.orders, self.options.queue, |side, price| displayed(book, side, price));
        venue.shadow.follow(|side, price| displayed(book, side, price));
    }

    /// Fills resting orders from what the other side displays.
    pub(super) fn meet(&mut self, id: u32) {
        let Some(venue) = self.venues.get_mut(id) else { return };
        let book = self.market.book(id);
        let Venue { orders, shadow, .. } = venue;
        queue::meet(orders, |side| levels(book, side), shadow, &mut self.matches);
        self.fill_matches(id, None);
    }

    /// Fills the matched resting orders, each at its limit or all at the price of an auction, and removes
    /// those that are done.
    fn fill_matches(&mut self, id: u32, auction: Option<i64>) {
        if self.matches.is_empty() {
            return;
        }
        let Some(venue) = self.venues.get_mut(id) else { return };
        let (book, scale) = match self.market.instrument(id) {
            Some(instrument) => (Some(instrument.book()), instrument.scale()),
            None => (None, Default::default()),
        };
        let currency = venue.currency;
        let (rate, liquidity) = match auction {
            Some(_) => (self.options.fees.taker, Liquidity::AUCTION),
            None => (self.options.fees.maker, Liquidity::MAKER),
        };
        for found in &self.matches {
            let order = &mut venue.orders[found.index];
            let Some(price) = auction.or(order.limit) else { continue };
            order.fill(found.quantity);
            let fee = rate.fee(price, found.quantity, scale);
            let fill = Fill { price, quantity: found.quantity, liquidity, fee, currency, match_id: None };
            self.reporter.filled(order, fill);
            if order.leaves() > 0 && order.shown == 0 {
                order.show();
                order.priority_time = self.reporter.venue_time;
                let displayed = order.limit.map_or(0, |limit| displayed(book, order.side, limit));
                *order = Resting::at_back(order.order, displayed);
                self.reporter.refreshed(order);
            }
        }
        self.matches.clear();
        let before = venue.orders.len();
        venue.orders.retain(|order| order.leaves() > 0);
        self.open -= before - venue.orders.len();
    }
}

fn is_apart(trade: &Trade) -> bool {
    APART.iter().any(|attribute| trade.attributes.contains(*attribute))
}

/// Returns the execution of a resting order: side and price come from the book, or from the record when the
/// order is not in it.
fn resting(book: Option<&Book>, message: &View<'_, BookExecute>) -> Option<Execution> {
    let order = book.and_then(|book| book.order(message.order_id.get()));
    let side = order.map(|order| order.side).or_else(|| book_side(message.side))?;
    let price = order.map_or(message.price.get(), |order| order.price.0);
    let quantity = message.quantity.get();
    let is_whole = price != i64::MAX && quantity != u64::MAX;
    is_whole.then_some(Execution { resting: side, price, quantity })
}

/// Returns the executions of a trade in a book that is not kept by order. `aggressor` is the side that took.
/// When the source does not report it, the trade counts as an execution of resting bids unless the displayed
/// offer is at its price or lower, and of resting offers unless the displayed bid is at its price or higher.
fn traded(book: Option<&Book>, aggressor: Side, price: i64, quantity: u64) -> [Option<Execution>; 2] {
    if price == i64::MAX || quantity == u64::MAX {
        return [None, None];
    }
    let execution = |resting| Execution { resting, price, quantity };
    match book_side(aggressor) {
        Some(side) => [Some(execution(side.opposite())), None],
        None => [BookSide::Bid, BookSide::Ask].map(|side| {
            let other = book.and_then(|book| book.best(side.opposite()));
            let is_lifted =
                other.is_some_and(|level| crate::matching::reaches(side, Some(price), level.price.0));
            (!is_lifted).then(|| execution(side))
        }),
    }
}
