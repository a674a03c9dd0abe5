//! The exact quantile of a window.

use super::aggregate::{Aggregate, Merge, Remove};
use super::ring::Ring;
use super::state::{DropCounts, Number, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};

/// A quantile: the value at rank `⌈p · n⌉` of `n` values in ascending order, the inverse of the empirical
/// distribution (Hyndman and Fan, Sample Quantiles in Statistical Packages, The American Statistician 50,
/// 1996, definition 1). The result is always one of the values; it is not interpolated.
///
/// The values are kept in order: an event costs a binary search and moves at most half of the values. It is
/// meant for windows of thousands of values, not millions. Values beyond the capacity are left out and
/// counted as [`DropCounts::crowded_out`].
#[derive(Clone, Debug)]
pub struct Quantile<N> {
    per_mille: u64,
    values: Ring<N>,
    drops: DropCounts,
}

impl<N: Number> Quantile<N> {
    /// The quantile at `per_mille` thousandths (500 is the median, 0 the minimum, 1,000 the maximum) over at
    /// most `capacity` events.
    ///
    /// # Panics
    /// When `per_mille` is above 1,000, or `capacity` is 0 or above [`super::bounds::BUFFERED_MAX`].
    pub fn new(per_mille: u64, capacity: usize) -> Self {
        assert!(per_mille <= 1_000, "a quantile is 0 to 1000 thousandths, not {per_mille}");
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
        *self.values.get(rank as usize - 1).expect("an empty window has no value")
    }
}

impl<N: Number> Merge for Quantile<N> {
    fn merge(&mut self, other: &Self) {
        other.values.iter().for_each(|value| self.insert(*value));
    }
}

/// A value that was left out for lack of room cannot be removed, so a sliding window needs a quantile of its
/// own capacity.
impl<N: Number> Remove<N> for Quantile<N> {
    #[inline]
    fn remove(&mut self, _: u64, input: &N) {
        if let Ok(place) = self.values.binary_search(input) {
            self.values.remove(place);
        }
    }
}
