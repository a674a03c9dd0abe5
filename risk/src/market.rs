//! What the checks know about instruments: reference prices, the value of a quantity at a price, and whether
//! the market is stale or doubtful.
//!
//! Only an `InstrumentDefinition` defines an instrument. Market data of an undefined instrument is ignored.

use crate::ids::IdSet;
use crate::table::{Size, Table};
use stele_wire::messages::{
    BookClear, BookDepth, BookExecute, BookScope, Boolean, ExecuteAttributes, FeedState, FeedStatus,
    InstrumentClass, InstrumentDefinition, MarketFlags, TopOfBook, Trade, TradeAttributes, TradeBreak,
    TradingState, TradingStatus, UpdateAction,
};
use stele_wire::{Price, Quantity};

/// No price.
const NONE: i64 = Price::UNDEFINED.0;

/// The state of an instrument that the checks use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instrument {
    pub(crate) last: i64,
    pub(crate) last_trade: u64,
    pub(crate) bid: i64,
    pub(crate) ask: i64,
    /// The definition's own reference price.
    pub(crate) opening: i64,
    /// The contract multiplier, in units of 1e-9; `NONE` when unknown.
    pub(crate) multiplier: i64,
    /// The value of price × quantity is multiplied by `numerator` / `denominator`.
    pub(crate) numerator: u64,
    pub(crate) denominator: u64,
    /// The time of its newest quote; 0 when there is none.
    pub(crate) quoted_at: u64,
    /// The source of bid and ask.
    pub(crate) source: u16,
    /// The number of its set of limits; 0 for none.
    pub(crate) limits: u16,
    /// Zeros when unknown.
    pub(crate) currency: [u8; 3],
    /// The power of ten of a quantity's mantissa; `EXPONENT_UNKNOWN` when unknown.
    pub(crate) exponent: i8,
    /// Whether an event defines it; otherwise it only has limits.
    pub(crate) is_defined: bool,
    /// Whether its newest market data says that a gap was found and not repaired.
    pub(crate) has_gap: bool,
    /// Whether the venue has stopped its trading.
    pub(crate) is_halted: bool,
}

/// The null value of an exponent in the schema.
pub(crate) const EXPONENT_UNKNOWN: i8 = i8::MIN;

impl Default for Instrument {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl Instrument {
    /// An instrument without a definition.
    pub(crate) const UNKNOWN: Self = Self {
        last: NONE,
        last_trade: 0,
        bid: NONE,
        ask: NONE,
        opening: NONE,
        multiplier: NONE,
        numerator: 1,
        denominator: 1,
        quoted_at: 0,
        source: 0,
        limits: 0,
        currency: [0; 3],
        exponent: EXPONENT_UNKNOWN,
        is_defined: false,
        has_gap: false,
        is_halted: false,
    };

    /// Whether multiplier and exponent are known, so that a quantity has a value.
    #[inline]
    pub(crate) fn has_scale(&self) -> bool {
        self.multiplier != NONE && self.exponent != EXPONENT_UNKNOWN
    }

    #[inline]
    pub(crate) fn is_crossed(&self) -> bool {
        self.bid != NONE && self.ask != NONE && self.bid > self.ask
    }

    /// The reference price: the last trade, but not outside the current best bid and ask, so that the
    /// reference follows the market; before the first trade, their middle; before that, the reference price
    /// of the definition; otherwise none. Before the first trade, a crossed book or a single side is ignored.
    #[inline]
    pub(crate) fn reference(&self) -> Option<i64> {
        let is_book = self.bid != NONE && self.ask != NONE;
        if self.last != NONE {
            let is_crossed = self.is_crossed();
            let mut reference = self.last;
            if self.bid != NONE && !is_crossed {
                reference = reference.max(self.bid);
            }
            if self.ask != NONE && !is_crossed {
                reference = reference.min(self.ask);
            }
            return Some(reference);
        }
        if is_book && self.bid <= self.ask {
            return Some(i64::midpoint(self.bid, self.ask));
        }
        (self.opening != NONE).then_some(self.opening)
    }

    /// The absolute value of `quantity` at `price`, in units of 1e-9 of the currency, rounded up; at most
    /// `i64::MAX`. Without a scale it is price × quantity, which is not the value of anything.
    #[inline]
    pub(crate) fn value(&self, price: i64, quantity: Quantity) -> i64 {
        let product = u128::from(price.unsigned_abs()) * u128::from(quantity.0);
        let value = if self.numerator == 1 && self.denominator == 1 {
            product
        } else {
            let product = product.saturating_mul(self.numerator.into());
            match u64::try_from(product) {
                Ok(product) => product.div_ceil(self.denominator).into(),
                Err(_) => product.div_ceil(self.denominator.into()),
            }
        };
        i64::try_from(value).unwrap_or(i64::MAX)
    }

    /// Sets multiplier and exponent. What is null keeps its known value.
    fn define_scale(&mut self, definition: &InstrumentDefinition) {
        let (multiplier, exponent) = (definition.multiplier.get(), definition.quantity_exponent);
        if multiplier > 0 && multiplier != NONE {
            self.multiplier = multiplier;
        } else if self.multiplier == NONE && is_its_own_unit(definition.instrument_class) {
            self.multiplier = Price::SCALE;
        }
        if !matches!(exponent, i8::MIN | i8::MAX) {
            self.exponent = exponent;
        }
        self.derive_scale();
    }

    /// Sets multiplier and exponent from a snapshot.
    pub(crate) fn restore_scale(&mut self, multiplier: i64, exponent: i8) {
        (self.multiplier, self.exponent) = (multiplier, exponent);
        self.derive_scale();
    }

    /// The ratio of [`Instrument::value`]: the multiplier (units of 1e-9) times ten to the quantity's
    /// exponent.
    fn derive_scale(&mut self) {
        if !self.has_scale() {
            return;
        }
        let (multiplier, exponent) = (self.multiplier, self.exponent);
        let power = 10_u128.saturating_pow(exponent.unsigned_abs().into());
        let (up, down) = if exponent >= 0 { (power, 1) } else { (1, power) };
        let numerator = up.saturating_mul(multiplier.unsigned_abs().into());
        let denominator = down.saturating_mul(Price::SCALE.unsigned_abs().into());
        let divisor = greatest_common_divisor(numerator, denominator);
        let (numerator, denominator) = (numerator / divisor, denominator / divisor);
        // If the ratio does not fit, values are too large rather than too small.
        (self.numerator, self.denominator) = match u64::try_from(numerator) {
            Ok(numerator) => (numerator, u64::try_from(denominator).unwrap_or(u64::MAX)),
            Err(_) => (u64::try_from(numerator.div_ceil(denominator)).unwrap_or(u64::MAX), 1),
        };
    }
}

/// Whether a quantity of one is one unit of the instrument itself, so that its multiplier is 1 unless the
/// definition states another. A derivative's multiplier is never implied.
fn is_its_own_unit(class: InstrumentClass) -> bool {
    matches!(
        class,
        InstrumentClass::EQUITY
            | InstrumentClass::FUND
            | InstrumentClass::FX_SPOT
            | InstrumentClass::CRYPTO_SPOT
    )
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Every instrument that is defined or has limits, as far as there is room.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) instruments: Table<u32, Instrument>,
    /// The sources with a gap that is not healed: they failed, or something was lost.
    pub(crate) broken_sources: IdSet,
    /// The sources whose market as a whole is halted.
    pub(crate) halted_sources: IdSet,
}

/// Trades whose price is not a current market price.
const NO_PRICE: TradeAttributes = TradeAttributes::OFF_BOOK
    .with(TradeAttributes::BLOCK)
    .with(TradeAttributes::LATE)
    .with(TradeAttributes::NON_PRINTABLE);

/// A quote or another change of a book.
#[derive(Clone, Copy)]
pub(crate) struct Quoted {
    pub(crate) instrument: u32,
    pub(crate) source: u16,
    pub(crate) flags: MarketFlags,
    pub(crate) time: u64,
}

impl Market {
    pub(crate) fn new(instruments: Size) -> Self {
        Self {
            instruments: Table::new(instruments),
            broken_sources: IdSet::default(),
            halted_sources: IdSet::default(),
        }
    }

    #[inline]
    fn known(&mut self, instrument: u32) -> Option<&mut Instrument> {
        let slot = self.instruments.slot(instrument)?;
        Some(self.instruments.at_mut(slot))
    }

    #[inline]
    pub(crate) fn on_top(&mut self, top: &TopOfBook, time: u64) {
        let (instrument, source) = (top.instrument.get(), top.source.get());
        let quoted = Quoted { instrument, source, flags: top.flags, time };
        self.set_top(&quoted, [top.bid_price.get(), top.ask_price.get()]);
    }

    pub(crate) fn on_depth(&mut self, depth: &BookDepth, prices: [i64; 2], time: u64) {
        let (instrument, source) = (depth.instrument.get(), depth.source.get());
        self.set_top(&Quoted { instrument, source, flags: depth.flags, time }, prices);
    }

    #[inline]
    fn set_top(&mut self, quoted: &Quoted, [bid, ask]: [i64; 2]) {
        let Some(known) = self.known(quoted.instrument) else { return };
        known.note(quoted);
        (known.bid, known.ask) = if known.has_gap { (NONE, NONE) } else { (bid, ask) };
    }

    /// Handles a change of a book that does not state its best prices.
    pub(crate) fn on_book(&mut self, quoted: &Quoted) {
        self.known(quoted.instrument).into_iter().for_each(|known| known.note(quoted));
    }

    /// Handles the trading status of an instrument, or of all instruments of a source (instrument 0).
    #[cold]
    pub(crate) fn on_status(&mut self, status: &TradingStatus) {
        let is_halted = match status.state {
            TradingState::PRE_OPEN | TradingState::TRADING | TradingState::POST_CLOSE => false,
            TradingState::HALTED
            | TradingState::PAUSED
            | TradingState::QUOTATION_ONLY
            | TradingState::SUSPENDED
            | TradingState::CLOSED
            | TradingState::NOT_AVAILABLE => true,
            // The status is about something else, unless it says whether there is trading.
            _ => match status.is_trading {
                Boolean::TRUE => false,
                Boolean::FALSE => true,
                _ => return,
            },
        };
        match status.instrument.get() {
            0 => self.halted_sources.set(status.source.get(), is_halted),
            instrument => self.known(instrument).into_iter().for_each(|known| known.is_halted = is_halted),
        }
    }

    /// Whether the market of an instrument is doubtful for another reason than its age.
    #[inline]
    pub(crate) fn is_doubtful(&self, known: &Instrument) -> bool {
        known.has_gap
            || known.is_halted
            || known.is_crossed()
            || self.broken_sources.contains(known.source)
            || self.halted_sources.contains(known.source)
    }

    #[inline]
    pub(crate) fn on_trade(&mut self, trade: &Trade) {
        if trade.attributes.bits() & NO_PRICE.bits() != 0 || trade.price.get() == NONE {
            return;
        }
        let Some(known) = self.known(trade.instrument.get()) else { return };
        (known.last, known.last_trade) = (trade.price.get(), trade.trade_id.get());
    }

    /// Handles an execution in the book, which sets the last price if the venue prints it.
    #[inline]
    pub(crate) fn on_execute(&mut self, execute: &BookExecute) {
        if execute.price.get() == NONE || execute.attributes.contains(ExecuteAttributes::NON_PRINTABLE) {
            return;
        }
        let Some(known) = self.known(execute.instrument.get()) else { return };
        (known.last, known.last_trade) = (execute.price.get(), execute.trade_id.get());
    }

    /// Handles a trade that was broken or corrected: if it is the newest, the last price becomes the
    /// corrected one or none.
    pub(crate) fn on_break(&mut self, broken: &TradeBreak) {
        let id = broken.trade_id.get();
        if let Some(known) = self.known(broken.instrument.get())
            && id != 0
            && known.last_trade == id
        {
            known.last = broken.price.get();
        }
    }

    pub(crate) fn on_clear(&mut self, clear: &BookClear) {
        let (instrument, source) = (clear.instrument.get(), clear.source.get());
        match clear.scope {
            BookScope::INSTRUMENT => self.known(instrument).into_iter().for_each(empty),
            BookScope::SOURCE => self.clear_source(source),
            _ => self.instruments.values_mut().for_each(empty),
        }
    }

    /// Handles the status of a source. Its books are empty when it starts, which heals a gap; a quote from
    /// before the start is not a current one.
    #[cold]
    pub(crate) fn on_feed(&mut self, status: &FeedStatus) {
        let source = status.source.get();
        match status.state {
            FeedState::STARTED => {
                self.broken_sources.set(source, false);
                self.halted_sources.set(source, false);
                self.clear_source(source);
            }
            FeedState::DISCONNECTED | FeedState::GAP | FeedState::SILENT | FeedState::FAILED => {
                self.broken_sources.set(source, true);
            }
            _ => {}
        }
    }

    fn clear_source(&mut self, source: u16) {
        self.instruments.values_mut().filter(|known| known.source == source).for_each(empty);
    }

    pub(crate) fn on_definition(&mut self, definition: &InstrumentDefinition) {
        let Some(known) = self.instruments.entry(definition.instrument.get()) else { return };
        known.is_defined = definition.action != UpdateAction::DELETE;
        if !known.is_defined {
            (known.last, known.opening) = (NONE, NONE);
            return empty(known);
        }
        known.opening = definition.trading_reference_price.get();
        if definition.currency != [0; 3] {
            known.currency = definition.currency;
        }
        if known.source == 0 {
            known.source = definition.source.get();
        }
        known.define_scale(definition);
    }
}

impl Instrument {
    /// Notes a quote or another change of its book.
    #[inline]
    fn note(&mut self, quoted: &Quoted) {
        (self.quoted_at, self.source) = (quoted.time, quoted.source);
        self.has_gap = quoted.flags.contains(MarketFlags::MAYBE_BAD_BOOK);
    }
}

/// Empties the book of an instrument.
fn empty(known: &mut Instrument) {
    (known.bid, known.ask, known.quoted_at, known.has_gap) = (NONE, NONE, 0, false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_the_last_trade_within_the_current_market() {
        let book = |last, bid, ask| Instrument { last, bid, ask, opening: 7, ..Instrument::default() };
        assert_eq!(book(NONE, NONE, NONE).reference(), Some(7));
        assert_eq!(book(NONE, 100, 103).reference(), Some(101));
        assert_eq!(book(NONE, 100, NONE).reference(), Some(7), "a single side is ignored");
        assert_eq!(book(102, 100, 103).reference(), Some(102));
        assert_eq!(book(90, 100, 103).reference(), Some(100));
        assert_eq!(book(190, NONE, 103).reference(), Some(103));
        assert_eq!(book(90, 104, 103).reference(), Some(90), "a crossed book is ignored");
        assert_eq!(Instrument::default().reference(), None);
    }

    fn defined(known: &mut Instrument, class: InstrumentClass, multiplier: i64, quantity_exponent: i8) {
        known.define_scale(&InstrumentDefinition {
            instrument_class: class,
            multiplier: multiplier.into(),
            quantity_exponent,
            ..InstrumentDefinition::NULL
        });
    }

    #[test]
    fn a_value_takes_multiplier_and_exponent_and_is_rounded_up() {
        let mut known = Instrument::default();
        defined(&mut known, InstrumentClass::FUTURE, 50_000_000_000, 0);
        assert_eq!((known.numerator, known.denominator), (50, 1));
        assert_eq!(known.value(3, Quantity(5)), 750);
        known.restore_scale(Price::SCALE, -8);
        assert_eq!(known.value(1_000_000_000, Quantity(150_000_000)), 1_500_000_000);
        assert_eq!(known.value(1, Quantity(1)), 1, "rounded up");
        assert_eq!(known.value(i64::MAX - 1, Quantity(u64::MAX - 1)), i64::MAX, "overflow");
        known.restore_scale(i64::MAX - 1, 120);
        assert_eq!(known.value(1, Quantity(1)), i64::MAX);
    }

    #[test]
    fn a_scale_is_unknown_until_it_is_stated_and_a_later_null_keeps_it() {
        let (mut future, mut share) = (Instrument::default(), Instrument::default());
        defined(&mut future, InstrumentClass::UNKNOWN, NONE, 0);
        assert!(!future.has_scale(), "no definition stated a multiplier");
        defined(&mut future, InstrumentClass::FUTURE, 50_000_000_000, i8::MIN);
        assert_eq!((future.has_scale(), future.value(3, Quantity(5))), (true, 750));
        defined(&mut future, InstrumentClass::UNKNOWN, NONE, i8::MIN);
        assert_eq!((future.has_scale(), future.value(3, Quantity(5))), (true, 750));
        defined(&mut share, InstrumentClass::EQUITY, NONE, i8::MIN);
        assert!(!share.has_scale(), "its exponent is unknown");
        defined(&mut share, InstrumentClass::EQUITY, NONE, 0);
        assert_eq!((share.has_scale(), share.value(3, Quantity(5))), (true, 15));
    }
}
