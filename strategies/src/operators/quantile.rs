//! The quantile of a window, exact.

use super::aggregate::{Aggregate, Merge, Remove};
use super::ring::Ring;
use super::state::{DropCounts, Number, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};

/// The value below or at which a share of the values lies: the one at rank `⌈p · n⌉` of `n` in ascending order, the
/// inverse of the empirical distribution (Hyndman and Fan, Sample Quantiles in Statistical Packages, The American
/// Statistician 50, 1996, definition 1). No value is invented by interpolation.
///
/// Keeps the values in order: an event costs a search and a move of half of them at most, so it is meant for
/// windows of thousands, not of millions. What comes when it is full is left out and counted as
/// [`DropCounts::crowded_out`].
#[derive(Clone, Debug)]
pub struct Quantile<N> {
    per_mille: u64,
    values: Ring<N>,
    drops: DropCounts,
}

impl<N: Number> Quantile<N> {
    /// The quantile of `per_mille` thousandths (500 is the median, 0 the least value, 1,000 the greatest) over at
    /// most `capacity` events.
    ///
    /// # Panics
    /// When `per_mille` is above 1,000, or `capacity` is 0 or above [`super::bounds::BUFFERED_MAX`].
    pub fn new(per_mille: u64, capacity: usize) -> Self {
        assert!(per_mille <= 1_000, "a quantile of {per_mille} thousandths: 0 to 1000 are");
        Self { per_mille, values: Ring::new(capacity), drops: DropCounts::default() }
    }

    fn insert(&mut self, value: N) {
        if self.values.is_full() {
            self.drops.crowded_out += 1;
            return;
        }
        let place = self.values.partition_point(|known| *known <= value);
        self.values.insert(place, value);
    }
}

impl<N: Number> State for Quantile<N> {
    fn reset(&mut self) {
        self.values.clear();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.values.snapshot(out);
        self.drops.put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.values.restore(reader)?;
        self.drops = StateValue::take(reader)?;
        Ok(())
    }

    fn drops(&self) -> DropCounts {
        self.drops
    }
}

impl<N: Number> Aggregate<N> for Quantile<N> {
    type Out = N;

    #[inline]
    fn add(&mut self, _: u64, input: &N) {
        self.insert(*input);
    }

    #[inline]
    fn value(&self) -> N {
        let rank = (self.values.len() as u64 * self.per_mille).div_ceil(1_000).max(1);
        *self.values.get(rank as usize - 1).expect("a window is asked only while something is in it")
    }
}

impl<N: Number> Merge for Quantile<N> {
    fn merge(&mut self, other: &Self) {
        other.values.iter().for_each(|value| self.insert(*value));
    }
}

/// What was left out for want of room has no place here either, so a window that slides is given a quantile of its
/// own capacity.
impl<N: Number> Remove<N> for Quantile<N> {
    #[inline]
    fn remove(&mut self, _: u64, input: &N) {
        if let Ok(place) = self.values.binary_search(input) {
            self.values.remove(place);
        }
    }
}
