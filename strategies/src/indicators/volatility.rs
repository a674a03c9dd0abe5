//! Measures of price movement: realised volatility and Bollinger bands.

use super::decimal::FixedDecimal;
use crate::operators::{
    Deviation, DropCounts, Mean, Number, Operator, Recent, State, StateValue, Sum, floor_divide,
};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::{Nanos, Price};

/// The number of units in a logarithmic return of 1: 1e12.
const RETURN_UNITS: f64 = 1e12;

/// Realised volatility: the square root of the sum of the squared last `n` logarithmic returns, emitted from
/// return number `n` on. It applies to the time that the returns span and is not annualised (Andersen,
/// Bollerslev, Diebold and Labys, Modeling and Forecasting Realized Volatility, Econometrica 71, 2003,
/// section 2).
///
/// Logarithms are irrational, so the result is an `f64`. The logarithm and the square root come from the
/// `libm` crate, which gives the same bits on every machine. In between, a return is an integer in units of
/// 1e-12 and the sum is exact, so it does not drift as returns leave the window. A price that is not positive
/// has no logarithm; it is skipped and counted as [`DropCounts::undefined`].
#[derive(Clone, Debug)]
pub struct RealisedVolatility {
    last: Option<Price>,
    returns: Recent<SquaredReturn, Sum>,
    drops: DropCounts,
}

/// A return in units of 1e-12, which is summed by its square.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct SquaredReturn(i64);

impl StateValue for SquaredReturn {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        reader.i64().map(Self)
    }
}

impl Number for SquaredReturn {
    /// Below 2^92 for any two prices, so 2^20 of them fit.
    #[inline]
    fn units(self) -> i128 {
        i128::from(self.0) * i128::from(self.0)
    }

    fn from_units(units: i128) -> Self {
        Self(units.max(0).isqrt() as i64)
    }
}

impl RealisedVolatility {
    /// The volatility over the last `returns` returns.
    ///
    /// # Panics
    /// When `returns` is 0 or above [`crate::operators::bounds::BUFFERED_MAX`].
    pub fn new(returns: usize) -> Self {
        Self { last: None, returns: Recent::new(returns, Sum::default()), drops: DropCounts::default() }
    }
}

impl State for RealisedVolatility {
    fn reset(&mut self) {
        self.last = None;
        self.returns.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.last.put(out);
        self.drops.put(out);
        self.returns.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.last = StateValue::take(reader)?;
        self.drops = StateValue::take(reader)?;
        self.returns.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.drops
    }
}

impl Operator<Price> for RealisedVolatility {
    type Out = f64;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: Price, emit: &mut impl FnMut(Nanos, f64)) {
        if input.0 <= 0 {
            self.drops.undefined += 1;
            return;
        }
        if let Some(last) = self.last.replace(input) {
            let logarithm = libm::log(input.0 as f64 / last.0 as f64);
            let squared = SquaredReturn(libm::round(logarithm * RETURN_UNITS) as i64);
            if let Some(sum) = self.returns.push(squared) {
                emit(at, libm::sqrt(sum as f64) / RETURN_UNITS);
            }
        }
    }
}

/// Bands around a moving average.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bands<N> {
    /// The average minus the width in deviations.
    pub lower: N,
    /// The average.
    pub middle: N,
    /// The average plus the width in deviations.
    pub upper: N,
}

/// Bollinger bands: the mean of the last `n` values, plus and minus `k` population standard deviations of the
/// same values. Bollinger uses 20 and 2 (Bollinger on Bollinger Bands, 2001, chapter 7). Mean, deviation and
/// width are each rounded down to the unit. Emitted from value number `n` on.
#[derive(Clone, Debug)]
pub struct Bollinger<N> {
    recent: Recent<N, (Mean<N>, Deviation<N>)>,
    width: FixedDecimal,
}

impl<N: Number> Bollinger<N> {
    /// The bands over the last `count` values, `width` deviations to either side.
    ///
    /// # Panics
    /// When `width` is negative, or `count` is 0 or above [`crate::operators::bounds::BUFFERED_MAX`].
    pub fn new(count: usize, width: FixedDecimal) -> Self {
        assert!(width >= FixedDecimal(0), "the width must not be negative, but is {width}");
        Self { recent: Recent::new(count, Default::default()), width }
    }
}

impl<N: Number> State for Bollinger<N> {
    fn reset(&mut self) {
        self.recent.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.recent.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.recent.restore(reader)
    }
}

impl<N: Number> Operator<N> for Bollinger<N> {
    type Out = Bands<N>;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: N, emit: &mut impl FnMut(Nanos, Bands<N>)) {
        if let Some((middle, deviation)) = self.recent.push(input) {
            let width = deviation.units() * i128::from(self.width.0);
            let (mean, width) = (middle.units(), floor_divide(width, FixedDecimal::ONE.0.into()));
            emit(
                at,
                Bands { lower: N::from_units(mean - width), middle, upper: N::from_units(mean + width) },
            );
        }
    }
}
