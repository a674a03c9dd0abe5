//! The exact standard deviation of a window.

use super::aggregate::{Aggregate, Merge, Remove, plain_state};
use super::state::{Number, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};
use std::marker::PhantomData;

/// The population standard deviation, `√(Σ (x − x̄)² / n) = √(n · Σ x² − (Σ x)²) / n`, rounded down to the
/// unit. The sums are exact in 256 bits, so the result does not drift as values leave the window. Where `n`
/// times the deviation exceeds 2^64 units, far beyond any price, the lowest bits of the result are imprecise.
#[derive(Clone, Copy, Debug)]
pub struct Deviation<N> {
    count: u64,
    sum: i128,
    squares: Wide,
    number: PhantomData<fn() -> N>,
}

impl<N> Default for Deviation<N> {
    fn default() -> Self {
        Self { count: 0, sum: 0, squares: Wide::default(), number: PhantomData }
    }
}

plain_state!([N] Deviation<N>, count, sum, squares);

#[inline]
fn square<N: Number>(number: N) -> Wide {
    let magnitude = u64::try_from(number.units().unsigned_abs()).unwrap_or(u64::MAX);
    Wide { high: 0, low: u128::from(magnitude) * u128::from(magnitude) }
}

impl<N: Number> Aggregate<N> for Deviation<N> {
    type Out = N;

    #[inline]
    fn add(&mut self, _: u64, input: &N) {
        self.count += 1;
        self.sum += input.units();
        self.squares = self.squares.plus(square(*input));
    }

    #[inline]
    fn value(&self) -> N {
        assert!(self.count > 0, "an empty window has no value");
        let variance = self.squares.times(self.count).minus(Wide::square(self.sum.unsigned_abs()));
        let root = variance.root();
        N::from_units(match u64::try_from(root) {
            Ok(root) => (root / self.count).into(),
            Err(_) => (root / u128::from(self.count)) as i128,
        })
    }
}

impl<N> Merge for Deviation<N> {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares = self.squares.plus(other.squares);
    }
}

impl<N: Number> Remove<N> for Deviation<N> {
    #[inline]
    fn remove(&mut self, _: u64, input: &N) {
        self.count -= 1;
        self.sum -= input.units();
        self.squares = self.squares.minus(square(*input));
    }
}

/// A non-negative number of 256 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Wide {
    high: u128,
    low: u128,
}

impl Wide {
    #[inline]
    fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high + other.high + u128::from(carry), low }
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { high: self.high - other.high - u128::from(borrow), low }
    }

    #[inline]
    fn times(self, factor: u64) -> Self {
        let factor = u128::from(factor);
        let (lower, upper) = (u128::from(self.low as u64) * factor, (self.low >> 64) * factor);
        Self { high: self.high * factor + (upper >> 64), low: lower }.plus(Self { high: 0, low: upper << 64 })
    }

    /// The square of a number below 2^127.
    #[inline]
    fn square(number: u128) -> Self {
        let (lower, upper) = (u128::from(number as u64), number >> 64);
        let middle = lower * upper;
        Self { high: upper * upper + (middle >> 63), low: lower * lower }
            .plus(Self { high: 0, low: middle << 65 })
    }

    /// The square root, rounded down; for results above 64 bits, only the leading 64 bits are exact.
    #[inline]
    fn root(self) -> u128 {
        if self.high == 0 {
            return u64::try_from(self.low).map_or_else(|_| self.low.isqrt(), |low| low.isqrt().into());
        }
        let shift = (128 - self.high.leading_zeros()).next_multiple_of(2);
        let first =
            self.high.checked_shl(128 - shift).unwrap_or(0) | self.low.checked_shr(shift).unwrap_or(0);
        first.isqrt() << (shift / 2)
    }
}

impl StateValue for Wide {
    fn put(&self, out: &mut Vec<u8>) {
        (self.high as i128, self.low as i128).put(out);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let (high, low) = <(i128, i128)>::take(reader)?;
        Ok(Self { high: high as u128, low: low as u128 })
    }
}
