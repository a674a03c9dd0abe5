//! Market data that the checks use: reference prices, and the value of a quantity at a price.

use crate::bounds::RISK_INSTRUMENTS_MAX;
use crate::table::Table;
use stele_wire::messages::{
    BookClear, BookDepth, BookExecute, BookScope, ExecuteAttributes, FeedState, FeedStatus,
    InstrumentDefinition, MarketFlags, TopOfBook, Trade, TradeAttributes, TradeBreak, UpdateAction,
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
    /// The value of price × quantity is multiplied by `numerator` / `denominator`.
    pub(crate) numerator: u64,
    pub(crate) denominator: u64,
    /// The source of bid and ask.
    pub(crate) source: u16,
    /// The number of its set of limits; 0 for none.
    pub(crate) limits: u16,
    /// Zeros when unknown.
    pub(crate) currency: [u8; 3],
}

impl Default for Instrument {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl Instrument {
    /// An instrument without a definition: price × quantity is its value.
    pub(crate) const UNKNOWN: Self = Self {
        last: NONE,
        last_trade: 0,
        bid: NONE,
        ask: NONE,
        opening: NONE,
        numerator: 1,
        denominator: 1,
        source: 0,
        limits: 0,
        currency: [0; 3],
    };

    /// The reference price: the last trade, but not outside the current best bid and ask, so that the
    /// reference follows the market; before the first trade, their middle; before that, the reference price
    /// of the definition; otherwise none. Before the first trade, a crossed book or a single side is ignored.
    #[inline]
    pub(crate) fn reference(&self) -> Option<i64> {
        let is_book = self.bid != NONE && self.ask != NONE;
        if self.last != NONE {
            let is_crossed = is_book && self.bid > self.ask;
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
    /// `i64::MAX`.
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

    /// The ratio of [`Instrument::value`]: the multiplier (units of 1e-9) times ten to the quantity's
    /// exponent.
    fn set_scale(&mut self, multiplier: i64, exponent: i8) {
        let is_known = multiplier > 0 && multiplier != NONE;
        let multiplier = if is_known { multiplier } else { Price::SCALE };
        let exponent = if matches!(exponent, i8::MIN | i8::MAX) { 0 } else { exponent };
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

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Every instrument that was defined, quoted or traded, as far as there is room.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) instruments: Table<u32, Instrument>,
}

impl Default for Market {
    fn default() -> Self {
        Self { instruments: Table::new(RISK_INSTRUMENTS_MAX) }
    }
}

/// Trades whose price is not a current market price.
const NO_PRICE: TradeAttributes = TradeAttributes::OFF_BOOK
    .with(TradeAttributes::BLOCK)
    .with(TradeAttributes::LATE)
    .with(TradeAttributes::NON_PRINTABLE);

impl Market {
    #[inline]
    pub(crate) fn on_top(&mut self, top: &TopOfBook) {
        let prices = [top.bid_price.get(), top.ask_price.get()];
        self.set_top(top.instrument.get(), prices, top.flags, top.source.get());
    }

    pub(crate) fn on_depth(&mut self, depth: &BookDepth, prices: [i64; 2]) {
        self.set_top(depth.instrument.get(), prices, depth.flags, depth.source.get());
    }

    #[inline]
    fn set_top(&mut self, instrument: u32, [bid, ask]: [i64; 2], flags: MarketFlags, source: u16) {
        let Some(known) = self.instruments.entry(instrument) else { return };
        let is_bad = flags.contains(MarketFlags::MAYBE_BAD_BOOK);
        (known.bid, known.ask) = if is_bad { (NONE, NONE) } else { (bid, ask) };
        known.source = source;
    }

    #[inline]
    pub(crate) fn on_trade(&mut self, trade: &Trade) {
        if trade.attributes.bits() & NO_PRICE.bits() != 0 || trade.price.get() == NONE {
            return;
        }
        let Some(known) = self.instruments.entry(trade.instrument.get()) else { return };
        (known.last, known.last_trade) = (trade.price.get(), trade.trade_id.get());
    }

    /// Handles an execution in the book, which sets the last price if the venue prints it.
    #[inline]
    pub(crate) fn on_execute(&mut self, execute: &BookExecute) {
        if execute.price.get() == NONE || execute.attributes.contains(ExecuteAttributes::NON_PRINTABLE) {
            return;
        }
        let Some(known) = self.instruments.entry(execute.instrument.get()) else { return };
        (known.last, known.last_trade) = (execute.price.get(), execute.trade_id.get());
    }

    /// Handles a trade that was broken or corrected: if it is the newest, the last price becomes the
    /// corrected one or none.
    pub(crate) fn on_break(&mut self, broken: &TradeBreak) {
        let id = broken.trade_id.get();
        if let Some(slot) = self.instruments.slot(broken.instrument.get()).filter(|_| id != 0) {
            let known = self.instruments.at_mut(slot);
            if known.last_trade == id {
                known.last = broken.price.get();
            }
        }
    }

    pub(crate) fn on_clear(&mut self, clear: &BookClear) {
        let (instrument, source) = (clear.instrument.get(), clear.source.get());
        match clear.scope {
            BookScope::INSTRUMENT => {
                if let Some(slot) = self.instruments.slot(instrument) {
                    empty(self.instruments.at_mut(slot));
                }
            }
            BookScope::SOURCE => self.clear_source(source),
            _ => self.instruments.values_mut().for_each(empty),
        }
    }

    pub(crate) fn on_feed(&mut self, status: &FeedStatus) {
        if status.state == FeedState::STARTED {
            self.clear_source(status.source.get());
        }
    }

    fn clear_source(&mut self, source: u16) {
        self.instruments.values_mut().filter(|known| known.source == source).for_each(empty);
    }

    pub(crate) fn on_definition(&mut self, definition: &InstrumentDefinition) {
        let Some(known) = self.instruments.entry(definition.instrument.get()) else { return };
        if definition.action == UpdateAction::DELETE {
            (known.last, known.opening) = (NONE, NONE);
            return empty(known);
        }
        known.opening = definition.trading_reference_price.get();
        known.currency = definition.currency;
        known.set_scale(definition.multiplier.get(), definition.quantity_exponent);
    }
}

fn empty(known: &mut Instrument) {
    (known.bid, known.ask) = (NONE, NONE);
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

    #[test]
    fn a_value_takes_multiplier_and_exponent_and_is_rounded_up() {
        let mut known = Instrument::default();
        assert_eq!(known.value(-3, Quantity(5)), 15);
        known.set_scale(50_000_000_000, 0);
        assert_eq!((known.numerator, known.denominator), (50, 1));
        assert_eq!(known.value(3, Quantity(5)), 750);
        known.set_scale(NONE, -8);
        assert_eq!(known.value(1_000_000_000, Quantity(150_000_000)), 1_500_000_000);
        assert_eq!(known.value(1, Quantity(1)), 1, "rounded up");
        assert_eq!(known.value(i64::MAX - 1, Quantity(u64::MAX - 1)), i64::MAX, "overflow");
        known.set_scale(i64::MAX - 1, 120);
        assert_eq!(known.value(1, Quantity(1)), i64::MAX);
    }
}
