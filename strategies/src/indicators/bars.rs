//! Bars of trades by time and by volume, and the volume-weighted average price.

use crate::market::TradePrint;
use crate::operators::{
    Aggregate, DropCounts, Late, Merge, Operator, Remove, State, StateValue, Window, Windows, floor_divide,
};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::{Nanos, Price, Quantity};

/// Open, high, low, close and volume of a bar, which has at least one trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candle {
    /// Price of the first trade.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Price of the last trade.
    pub close: Price,
    /// Total quantity.
    pub volume: Quantity,
    /// Sum of price × quantity mantissas.
    pub notional: i128,
    /// Number of trades.
    pub trades: u64,
}

impl Candle {
    /// The volume-weighted average price, rounded down; `None` when the volume is 0.
    pub fn vwap(&self) -> Option<Price> {
        weighted(self.notional, self.volume.0.into())
    }
}

/// A candle with its time window.
pub type Bar = Window<Candle>;

fn weighted(notional: i128, volume: i128) -> Option<Price> {
    (volume > 0).then(|| Price(floor_divide(notional, volume) as i64))
}

fn notional(print: &TradePrint) -> i128 {
    i128::from(print.price.0).wrapping_mul(print.quantity.0.into())
}

/// Open, high, low, close and volume of trades: the aggregate of every [`Bar`]. Among trades with equal
/// times, the one that arrived first is the first. Sums wrap beyond values that no market reaches.
#[derive(Clone, Copy, Debug)]
pub struct Ohlcv {
    candle: Candle,
    first: u64,
    last: u64,
}

impl Default for Ohlcv {
    fn default() -> Self {
        let zero = Price(0);
        let candle = Candle {
            open: zero,
            high: zero,
            low: zero,
            close: zero,
            volume: Quantity(0),
            notional: 0,
            trades: 0,
        };
        Self { candle, first: 0, last: 0 }
    }
}

impl State for Ohlcv {
    #[inline]
    fn reset(&mut self) {
        *self = Self::default();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        let Candle { open, high, low, close, volume, notional, trades } = self.candle;
        (open, high, low, close).put(out);
        (volume, notional, trades).put(out);
        (self.first, self.last).put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        let (open, high, low, close) = StateValue::take(reader)?;
        let (volume, notional, trades) = StateValue::take(reader)?;
        self.candle = Candle { open, high, low, close, volume, notional, trades };
        (self.first, self.last) = StateValue::take(reader)?;
        Ok(())
    }
}

impl Aggregate<TradePrint> for Ohlcv {
    type Out = Candle;

    #[inline]
    fn add(&mut self, order: u64, print: &TradePrint) {
        let candle = &mut self.candle;
        if candle.trades == 0 {
            (candle.open, candle.high, candle.low) = (print.price, print.price, print.price);
            (candle.close, self.first, self.last) = (print.price, order, order);
        }
        if order < self.first {
            (candle.open, self.first) = (print.price, order);
        }
        if order >= self.last {
            (candle.close, self.last) = (print.price, order);
        }
        candle.high = candle.high.max(print.price);
        candle.low = candle.low.min(print.price);
        candle.volume.0 = candle.volume.0.wrapping_add(print.quantity.0);
        candle.notional = candle.notional.wrapping_add(notional(print));
        candle.trades += 1;
    }

    #[inline]
    fn value(&self) -> Candle {
        assert!(self.candle.trades > 0, "an empty window has no value");
        self.candle
    }
}

impl Merge for Ohlcv {
    fn merge(&mut self, other: &Self) {
        if self.candle.trades == 0 {
            *self = *other;
            return;
        }
        let (candle, theirs) = (&mut self.candle, &other.candle);
        if theirs.trades == 0 {
            return;
        }
        if other.first < self.first {
            (candle.open, self.first) = (theirs.open, other.first);
        }
        if other.last >= self.last {
            (candle.close, self.last) = (theirs.close, other.last);
        }
        candle.high = candle.high.max(theirs.high);
        candle.low = candle.low.min(theirs.low);
        candle.volume.0 = candle.volume.0.wrapping_add(theirs.volume.0);
        candle.notional = candle.notional.wrapping_add(theirs.notional);
        candle.trades += theirs.trades;
    }
}

/// Volume-weighted average price: `Σ price · quantity / Σ quantity`, rounded down (Berkowitz, Logue and
/// Noser, The Total Cost of Transactions on the NYSE, Journal of Finance 43, 1988). For any window; `None`
/// while the volume is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vwap {
    notional: i128,
    volume: i128,
}

impl State for Vwap {
    #[inline]
    fn reset(&mut self) {
        *self = Self::default();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        (self.notional, self.volume).put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        (self.notional, self.volume) = StateValue::take(reader)?;
        Ok(())
    }
}

impl Aggregate<TradePrint> for Vwap {
    type Out = Option<Price>;

    #[inline]
    fn add(&mut self, _: u64, print: &TradePrint) {
        self.notional = self.notional.wrapping_add(notional(print));
        self.volume += i128::from(print.quantity.0);
    }

    #[inline]
    fn value(&self) -> Option<Price> {
        weighted(self.notional, self.volume)
    }
}

impl Merge for Vwap {
    fn merge(&mut self, other: &Self) {
        self.notional = self.notional.wrapping_add(other.notional);
        self.volume += other.volume;
    }
}

impl Remove<TradePrint> for Vwap {
    #[inline]
    fn remove(&mut self, _: u64, print: &TradePrint) {
        self.notional = self.notional.wrapping_sub(notional(print));
        self.volume -= i128::from(print.quantity.0);
    }
}

/// Time bars: one bar for each `length` since the epoch (López de Prado, Advances in Financial Machine
/// Learning, 2018, section 2.3.1). Bars close and treat late trades as [`Windows`] do; an interval without
/// trades has no bar.
#[derive(Clone, Debug)]
pub struct TimeBars {
    windows: Windows<Ohlcv>,
}

impl TimeBars {
    /// Bars of `length`, emitted `grace` after their end.
    ///
    /// # Panics
    /// As [`Windows::new`].
    pub fn new(length: Nanos, grace: Nanos) -> Self {
        Self { windows: Windows::new(length, length, grace, Ohlcv::default()) }
    }
}

impl State for TimeBars {
    fn reset(&mut self) {
        self.windows.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.windows.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.windows.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.windows.drops()
    }
}

impl Operator<TradePrint> for TimeBars {
    type Out = Result<Bar, Late<TradePrint>>;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: TradePrint, emit: &mut impl FnMut(Nanos, Self::Out)) {
        self.windows.on_event(at, input, emit);
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        Operator::<TradePrint>::on_time(&mut self.windows, at, emit)
    }
}

/// Volume bars: trades in the order of arrival until their volume reaches a threshold. The trade that reaches
/// it belongs to the bar completely (López de Prado, Advances in Financial Machine Learning, 2018, section
/// 2.3.1). The bar spans from its earliest trade to just after its latest one, and is emitted with the trade
/// that completes it.
#[derive(Clone, Copy, Debug)]
pub struct VolumeBars {
    threshold: u64,
    ohlcv: Ohlcv,
}

impl VolumeBars {
    /// Bars with a volume of at least `threshold`.
    ///
    /// # Panics
    /// When `threshold` is 0.
    pub fn new(threshold: Quantity) -> Self {
        assert!(threshold.0 > 0, "the threshold must not be 0");
        Self { threshold: threshold.0, ohlcv: Ohlcv::default() }
    }
}

impl State for VolumeBars {
    fn reset(&mut self) {
        self.ohlcv.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.ohlcv.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.ohlcv.restore(reader)
    }
}

impl Operator<TradePrint> for VolumeBars {
    type Out = Bar;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: TradePrint, emit: &mut impl FnMut(Nanos, Bar)) {
        self.ohlcv.add(at.0, &input);
        if self.ohlcv.candle.volume.0 >= self.threshold {
            let (start, end) = (Nanos(self.ohlcv.first), Nanos(self.ohlcv.last.saturating_add(1)));
            let value = self.ohlcv.value();
            self.ohlcv.reset();
            emit(at, Window { start, end, value });
        }
    }
}
