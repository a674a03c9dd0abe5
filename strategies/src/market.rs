//! The state of the market according to the log: instruments, their order books and last trades.
//!
//! **When a venue event is complete.** Several records may belong to one venue event, and a strategy sees a
//! book only after the last of them. A record completes the event when its flag `last` is set. A source that
//! has not set this flag since it started is assumed never to set it: each of its records, except those of a
//! snapshot, is then an event of its own. From the first `last` on, only `last` counts.
//!
//! **Which trades count.** Every `Trade`, and every `BookExecute` that removes quantity from the book and is
//! to be printed. A `BookExecute` without effect on the book (Databento's fills) repeats a `Trade`.

mod forwarded;
mod numbering;
mod state;

pub use numbering::{FORWARDED_INSTRUMENT_MIN, FORWARDED_SOURCE_MIN, InstrumentOrigin};

use crate::account::ContractScale;
use crate::book::{Book, BookKind, BookSide};
use crate::by_instrument::ByInstrument;
use numbering::OtherShards;
use stele_wire::codec::text;
use stele_wire::messages::{
    BookAction, BookAdd, BookCancel, BookClear, BookDepth, BookExecute, BookLevel, BookModify, BookReplace,
    BookScope, BookSnapshot, Boolean, ExecuteAttributes, FeedState, FeedStatus, Forwarded,
    InstrumentDefinition, MarketFlags, Side, TopOfBook, Trade,
};
use stele_wire::{Frame, Nanos, Price, Quantity};

/// An instrument: symbol, contract terms, order book and last trade.
///
/// What most events touch comes first, in adjacent cache lines.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Instrument {
    is_touched: bool,
    book: Book,
    last_trade: Option<TradePrint>,
    tick: Price,
    scale: ContractScale,
    symbol: [u8; 72],
}

impl Instrument {
    /// An instrument that no event has defined, with the memory of its book.
    fn with(book: Book) -> Self {
        Self {
            symbol: [0; 72],
            tick: Price::UNDEFINED,
            scale: ContractScale::default(),
            book,
            last_trade: None,
            is_touched: false,
        }
    }

    /// Completes a venue event, and returns the change to show to the strategies if a record touched the
    /// book.
    #[inline]
    fn end_event(&mut self, id: u32) -> MarketChange {
        if !std::mem::take(&mut self.is_touched) {
            return MarketChange::default();
        }
        self.book.end_event();
        MarketChange { book: Some(id), trade: None }
    }

    /// The venue's symbol; empty when the instrument was not defined.
    pub fn symbol(&self) -> &str {
        text(&self.symbol)
    }

    /// The tick size, if the definition has one.
    pub fn tick(&self) -> Option<Price> {
        self.tick.is_defined().then_some(self.tick)
    }

    /// The contract terms that convert price × quantity into money.
    pub fn scale(&self) -> ContractScale {
        self.scale
    }

    /// The order book.
    #[inline]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The last trade.
    pub fn last_trade(&self) -> Option<&TradePrint> {
        self.last_trade.as_ref()
    }

    /// The current mark: the mid of the book, or the price of the last trade where the book has no mid.
    pub fn mark(&self) -> Option<Price> {
        self.book.mid().or_else(|| self.last_trade.map(|trade| trade.price))
    }

    fn define(&mut self, definition: &InstrumentDefinition) {
        self.symbol = definition.venue_symbol;
        self.tick = Price(definition.tick.get());
        let multiplier = definition.multiplier.get();
        let multiplier = if multiplier == i64::MAX || multiplier == 0 { Price::SCALE } else { multiplier };
        let quantity_exponent = match definition.quantity_exponent {
            i8::MIN | i8::MAX => 0,
            exponent => exponent,
        };
        self.scale = ContractScale { multiplier, quantity_exponent };
    }
}

/// A trade at the venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TradePrint {
    /// Id of the instrument.
    pub instrument: u32,
    /// Price of the trade.
    pub price: Price,
    /// Quantity of the trade.
    pub quantity: Quantity,
    /// The side of the resting order, when the source says so: bid for an incoming sale.
    pub resting: Option<BookSide>,
    /// The venue's id of the trade; 0 when there is none.
    pub trade_id: u64,
    /// Time of the trade according to the venue.
    pub venue_time: Option<Nanos>,
}

/// The effect of one event on the market.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarketChange {
    /// The instrument whose book changed, when a venue event that touched it is complete.
    pub book: Option<u32>,
    /// The trade, if the event is one.
    pub trade: Option<TradePrint>,
}

/// All instruments and their order books, as a pure state machine: the same events give the same market.
///
/// # Examples
///
/// ```
/// use stele_strategies::StrategyTester;
/// use stele_wire::Price;
///
/// let mut tester = StrategyTester::start("ma-cross", "").unwrap();
/// tester.define(1, "ESU7").quote(1, (100, 10), (104, 10));
/// let market = tester.host().market();
/// let (id, instrument) = market.find("ESU7").unwrap();
/// assert_eq!((id, instrument.mark()), (1, Some(Price(102))));
/// assert_eq!(market.book(1).unwrap().spread(), Some(4));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Market {
    instruments: ByInstrument<Instrument>,
    /// The sources, and whether each has set the flag `last` since it started.
    sources: Vec<(u16, bool)>,
    foreign: OtherShards,
    /// Instruments that are prepared for the next ids: see [`Market::prepare`].
    spare: Vec<Instrument>,
}

/// The instruments whose books are large from the beginning. Those after them begin small and grow with
/// their orders, so that a market of thousands of instruments takes the memory that it uses.
const LARGE_BOOKS: usize = 64;

/// The fields that begin every market-data message, read from the current one.
struct Record {
    instrument: u32,
    source: u16,
    flags: MarketFlags,
    side: Option<BookSide>,
    venue_time: Option<Nanos>,
}

macro_rules! record {
    ($message:expr) => {{
        let message = &$message;
        Record {
            instrument: message.instrument.get(),
            source: message.source.get(),
            flags: message.flags,
            side: book_side(message.side),
            venue_time: Some(Nanos(message.venue_time.get())).filter(|time| time.0 != u64::MAX),
        }
    }};
}

/// The side of a book; `None` for a side that is neither buy nor sell.
pub fn book_side(side: Side) -> Option<BookSide> {
    match side {
        Side::BUY => Some(BookSide::Bid),
        Side::SELL => Some(BookSide::Ask),
        _ => None,
    }
}

/// The book of the instrument that is the `number`th to be named, from 0.
#[cold]
fn book_of(number: usize) -> Book {
    if number < LARGE_BOOKS { Book::default() } else { Book::small() }
}

fn optional(quantity: u64) -> Option<Quantity> {
    (quantity != u64::MAX).then_some(Quantity(quantity))
}

impl Market {
    /// Allocates the memory of `instruments` instruments in all: the definition of an instrument then
    /// allocates nothing, and a book nothing until it outgrows its first memory. Call it before the first
    /// event, away from the hot thread.
    pub fn prepare(&mut self, instruments: usize) {
        let known = self.instruments.len() + self.spare.len();
        self.instruments.reserve(instruments);
        self.spare.reserve(instruments.saturating_sub(known));
        // The next instrument is taken from the end.
        let prepared = (known..instruments).rev().map(|number| Instrument::with(book_of(number)));
        self.spare.splice(0..0, prepared);
    }

    /// The instrument with this id, created when it is named for the first time.
    #[inline]
    fn entry(&mut self, instrument: u32) -> &mut Instrument {
        let Self { instruments, spare, .. } = self;
        let known = instruments.len();
        instruments.entry_with(instrument, || spare.pop().unwrap_or_else(|| Instrument::with(book_of(known))))
    }

    /// The instrument with this id, if an event has named it.
    #[inline]
    pub fn instrument(&self, instrument: u32) -> Option<&Instrument> {
        self.instruments.get(instrument)
    }

    /// All instruments in the order of their first mention.
    pub fn instruments(&self) -> impl Iterator<Item = (u32, &Instrument)> {
        self.instruments.iter()
    }

    /// The order book of an instrument.
    #[inline]
    pub fn book(&self, instrument: u32) -> Option<&Book> {
        self.instruments.get(instrument).map(|known| &known.book)
    }

    /// Applies one event. An event that is not about the market changes nothing.
    #[inline]
    pub fn apply(&mut self, frame: &Frame<'_>) -> MarketChange {
        self.take_in(frame).unwrap_or_default()
    }

    /// Returns `None` also for a body that is shorter than its block: such an event changes nothing.
    #[inline]
    fn take_in(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        match frame.template_id() {
            BookAdd::TEMPLATE_ID => self.on_add(frame),
            BookCancel::TEMPLATE_ID => self.on_cancel(frame),
            BookExecute::TEMPLATE_ID => self.on_execute(frame),
            BookModify::TEMPLATE_ID => self.on_modify(frame),
            BookReplace::TEMPLATE_ID => self.on_replace(frame),
            Trade::TEMPLATE_ID => self.on_trade(frame),
            TopOfBook::TEMPLATE_ID => self.on_top(frame),
            BookLevel::TEMPLATE_ID => self.on_level(frame),
            BookDepth::TEMPLATE_ID => self.on_depth(frame),
            BookSnapshot::TEMPLATE_ID => self.on_snapshot(frame),
            BookClear::TEMPLATE_ID => self.on_clear(frame),
            FeedStatus::TEMPLATE_ID => self.on_feed_status(frame),
            Forwarded::TEMPLATE_ID => self.on_forwarded(frame),
            InstrumentDefinition::TEMPLATE_ID => {
                let definition = frame.message::<InstrumentDefinition>()?;
                self.known(definition.instrument.get())?.define(&definition);
                None
            }
            _ => None,
        }
    }

    /// The instrument with this venue symbol; if several have it, the one that was mentioned first.
    pub fn find(&self, symbol: &str) -> Option<(u32, &Instrument)> {
        self.instruments().find(|(_, known)| known.symbol() == symbol)
    }

    /// The instrument with this venue symbol; for an empty symbol, the instrument number `at` in the order of
    /// first mention, counted from 0.
    pub fn find_or_nth(&self, symbol: &str, at: usize) -> Option<(u32, &Instrument)> {
        if symbol.is_empty() { self.instruments().nth(at) } else { self.find(symbol) }
    }

    #[inline]
    fn known(&mut self, instrument: u32) -> Option<&mut Instrument> {
        (instrument != 0).then(|| self.entry(instrument))
    }

    /// Applies `update` to the book if the book accepts the record, and determines whether the venue event is
    /// complete.
    #[inline]
    fn update<T>(
        &mut self,
        record: &Record,
        kind: BookKind,
        update: impl FnOnce(&mut Book) -> T,
    ) -> (MarketChange, Option<T>) {
        if record.instrument == 0 {
            return (MarketChange::default(), None);
        }
        let ends = self.ends_event(record.source, record.flags);
        let known = self.entry(record.instrument);
        let updated = known.book.admit(record.source, kind).then(|| {
            known.is_touched = true;
            update(&mut known.book)
        });
        let change = if ends { known.end_event(record.instrument) } else { MarketChange::default() };
        (change, updated)
    }

    /// The change of a record that may complete a venue event.
    #[inline]
    fn end(&mut self, record: &Record) -> MarketChange {
        if !self.ends_event(record.source, record.flags) {
            return MarketChange::default();
        }
        let known = self.instruments.get_mut(record.instrument);
        known.map(|known| known.end_event(record.instrument)).unwrap_or_default()
    }

    #[inline]
    fn ends_event(&mut self, source: u16, flags: MarketFlags) -> bool {
        let is_last = flags.contains(MarketFlags::LAST);
        match self.sources.iter_mut().find(|(id, _)| *id == source) {
            Some((_, sets_last)) => {
                *sets_last |= is_last;
                is_last || !*sets_last && !flags.contains(MarketFlags::SNAPSHOT)
            }
            None => {
                self.sources.push((source, is_last));
                is_last || !flags.contains(MarketFlags::SNAPSHOT)
            }
        }
    }

    fn on_add(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let add = frame.message::<BookAdd>()?;
        let record = record!(add);
        let (price, quantity) = (Price(add.price.get()), Quantity(add.quantity.get()));
        let update = |book: &mut Book| {
            let Some(side) = record.side else { return book.note_malformed() };
            if record.flags.contains(MarketFlags::TOP_OF_BOOK) {
                book.clear_side(side);
                if !price.is_defined() {
                    return;
                }
            }
            book.add(add.order_id.get(), side, price, quantity);
        };
        Some(self.update(&record, BookKind::Orders, update).0)
    }

    fn on_modify(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let modify = frame.message::<BookModify>()?;
        let record = record!(modify);
        let (price, quantity) = (Price(modify.price.get()), Quantity(modify.quantity.get()));
        let update = |book: &mut Book| book.modify(modify.order_id.get(), record.side, price, quantity);
        Some(self.update(&record, BookKind::Orders, update).0)
    }

    fn on_replace(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let replace = frame.message::<BookReplace>()?;
        let record = record!(replace);
        let (price, quantity) = (Price(replace.price.get()), Quantity(replace.quantity.get()));
        let (id, prior) = (replace.order_id.get(), replace.prior_order_id.get());
        let update = |book: &mut Book| book.replace(id, prior, record.side, price, quantity);
        Some(self.update(&record, BookKind::Orders, update).0)
    }

    fn on_cancel(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let cancel = frame.message::<BookCancel>()?;
        let record = record!(cancel);
        let update = |book: &mut Book| {
            book.reduce(cancel.order_id.get(), optional(cancel.quantity.get()));
        };
        Some(self.update(&record, BookKind::Orders, update).0)
    }

    fn on_execute(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let execute = frame.message::<BookExecute>()?;
        let record = record!(execute);
        if execute.book_effect != Boolean::TRUE {
            return Some(self.end(&record));
        }
        let quantity = Quantity(execute.quantity.get());
        let update = |book: &mut Book| book.reduce(execute.order_id.get(), optional(quantity.0));
        let (change, order) = self.update(&record, BookKind::Orders, update);
        let order = order.flatten();
        let price = match Price(execute.price.get()) {
            price if price.is_defined() => Some(price),
            _ => order.map(|order| order.price),
        };
        let trade =
            price.filter(|_| !execute.attributes.contains(ExecuteAttributes::NON_PRINTABLE)).map(|price| {
                let resting = order.map(|order| order.side).or(record.side);
                let trade_id = execute.trade_id.get();
                let instrument = record.instrument;
                TradePrint { instrument, price, quantity, resting, trade_id, venue_time: record.venue_time }
            });
        Some(MarketChange { trade: self.note_trade(trade), ..change })
    }

    fn on_trade(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let trade = frame.message::<Trade>()?;
        let record = record!(trade);
        let print = TradePrint {
            instrument: record.instrument,
            price: Price(trade.price.get()),
            quantity: Quantity(trade.quantity.get()),
            resting: record.side.map(BookSide::opposite),
            trade_id: trade.trade_id.get(),
            venue_time: record.venue_time,
        };
        self.known(record.instrument)?;
        let change = self.end(&record);
        Some(MarketChange {
            trade: self.note_trade(Some(print).filter(|print| print.price.is_defined())),
            ..change
        })
    }

    fn note_trade(&mut self, trade: Option<TradePrint>) -> Option<TradePrint> {
        if let Some(known) = trade.and_then(|trade| self.instruments.get_mut(trade.instrument)) {
            known.last_trade = trade;
        }
        trade
    }

    fn on_top(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let top = frame.message::<TopOfBook>()?;
        let record = record!(top);
        let update = |book: &mut Book| {
            let bid = (top.bid_price.get(), top.bid_quantity.get(), top.bid_order_count.get());
            let ask = (top.ask_price.get(), top.ask_quantity.get(), top.ask_order_count.get());
            for (side, (price, quantity, orders)) in [(BookSide::Bid, bid), (BookSide::Ask, ask)] {
                book.clear_side(side);
                set_level(book, side, price, quantity, orders);
            }
        };
        Some(self.update(&record, BookKind::Top, update).0)
    }

    fn on_depth(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let depth = frame.message::<BookDepth>()?;
        let record = record!(depth);
        let update = |book: &mut Book| {
            book.clear_side(BookSide::Bid);
            book.clear_side(BookSide::Ask);
            for level in depth.levels() {
                let (bid, ask) = (level.bid_price.get(), level.ask_price.get());
                set_level(book, BookSide::Bid, bid, level.bid_quantity.get(), level.bid_order_count.get());
                set_level(book, BookSide::Ask, ask, level.ask_quantity.get(), level.ask_order_count.get());
            }
        };
        Some(self.update(&record, BookKind::Depth, update).0)
    }

    fn on_snapshot(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let snapshot = frame.message::<BookSnapshot>()?;
        let record = record!(snapshot);
        let update = |book: &mut Book| {
            book.begin_levels();
            for bid in snapshot.bids() {
                set_level(book, BookSide::Bid, bid.price.get(), bid.quantity.get(), bid.order_count.get());
            }
            for ask in snapshot.asks() {
                set_level(book, BookSide::Ask, ask.price.get(), ask.quantity.get(), ask.order_count.get());
            }
        };
        Some(self.update(&record, BookKind::Levels, update).0)
    }

    fn on_level(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let level = frame.message::<BookLevel>()?;
        let record = record!(level);
        let (price, quantity) = (Price(level.price.get()), Quantity(level.quantity.get()));
        let update = |book: &mut Book| match (level.action, record.side) {
            (BookAction::CLEAR, side) => book.clear_levels(side),
            (BookAction::TRADE | BookAction::FILL | BookAction::NONE, _) => {}
            (_, None) => book.note_malformed(),
            (BookAction::DELETE, Some(side)) => book.set_level(side, price, Quantity(0), 0),
            (action, Some(side)) => {
                book.set_level(side, price, quantity, level.order_count.get());
                if action == BookAction::REPLACE {
                    book.clear_worse_than(side, price);
                }
            }
        };
        Some(self.update(&record, BookKind::Levels, update).0)
    }

    fn on_clear(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let clear = frame.message::<BookClear>()?;
        let record = record!(clear);
        match clear.scope {
            BookScope::SOURCE => self.clear_books(|book| book.source() == record.source),
            BookScope::ALL => self.clear_all_books(record.source),
            _ => {
                let known = self.known(record.instrument)?;
                if [0, record.source].contains(&known.book.source()) {
                    if record.flags.contains(MarketFlags::SNAPSHOT) {
                        known.book.begin_snapshot();
                    } else {
                        known.book.clear();
                    }
                    known.is_touched = true;
                }
            }
        }
        Some(self.end(&record))
    }

    fn on_feed_status(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let status = frame.message::<FeedStatus>()?;
        if status.state == FeedState::STARTED {
            let source = status.source.get();
            self.clear_books(|book| book.source() == source);
            self.sources.retain(|(id, _)| *id != source);
        }
        None
    }

    /// Clears every book of the source's shard.
    fn clear_all_books(&mut self, source: u16) {
        let Self { instruments, foreign, .. } = self;
        let theirs = instruments.iter_mut().filter(|(id, _)| foreign.are_of_one_shard(source, *id));
        for (_, known) in theirs {
            known.book.clear();
            known.is_touched = false;
        }
    }

    fn clear_books(&mut self, which: impl Fn(&Book) -> bool) {
        for (_, known) in self.instruments.iter_mut().filter(|(_, known)| which(&known.book)) {
            known.book.clear();
            known.is_touched = false;
        }
    }
}

/// Sets a level, if the price is defined.
fn set_level(book: &mut Book, side: BookSide, price: i64, quantity: u64, orders: u32) {
    if price != i64::MAX && (1..u64::MAX).contains(&quantity) {
        book.set_level(side, Price(price), Quantity(quantity), orders);
    }
}
