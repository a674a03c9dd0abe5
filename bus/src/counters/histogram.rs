//! A histogram of fixed size whose buckets are words in shared memory.
//!
//! ```text
//!  value      0 … 7     8 … 15     16 … 31                        2^e … 2^(e+1) - 1
//!  buckets   8 of 1     8 of 1     8 of 2      …                 8 of 2^(e-3) each        … up to 2^34
//! ```
//! Each power of two has eight buckets, so a value is known to within an eighth. Values of 2^34 (17 s in
//! nanoseconds) and above are in the last bucket.

/// The number of buckets of a histogram.
pub const BUCKETS: usize = 256;
/// The number of buckets for each power of two, as a power of two.
const PRECISION: u32 = 3;

/// Returns the index of the bucket that `value` is in.
#[inline]
pub fn bucket(value: u64) -> usize {
    if value < 1 << PRECISION {
        return value as usize;
    }
    let shift = value.ilog2() - PRECISION;
    let index = ((shift as usize + 1) << PRECISION) + ((value >> shift) as usize & ((1 << PRECISION) - 1));
    index.min(BUCKETS - 1)
}

/// Returns the smallest value of the bucket `index`.
pub fn lower_bound(index: usize) -> u64 {
    let (octave, place) = (index >> PRECISION, index as u64 & ((1 << PRECISION) - 1));
    if octave == 0 { place } else { ((1 << PRECISION) + place) << (octave - 1) }
}

/// The content of a histogram when it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    /// The number of values in each bucket.
    pub buckets: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// The number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The quantile, from 0 to 1, rounded up to the end of its bucket; none when there are no values.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let count = self.count();
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let index = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        })?;
        Some(lower_bound(index + 1) - 1)
    }

    /// The number of values below `end`, which is the lower bound of a bucket.
    pub fn count_below(&self, end: u64) -> u64 {
        let buckets = self.buckets.iter().enumerate();
        buckets.take_while(|(index, _)| lower_bound(*index) < end).map(|(_, count)| count).sum()
    }

    /// The values that were counted after `earlier` was read.
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            buckets: buckets.map(|(now, before)| now.wrapping_sub(*before)).collect(),
            sum: self.sum.wrapping_sub(earlier.sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_follow_each_other() {
        assert!((1..BUCKETS).all(|index| lower_bound(index) > lower_bound(index - 1)));
        let values = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) + 1, (1_u64 << bit) - 1]);
        for value in values.filter(|value| *value < lower_bound(BUCKETS)) {
            let index = bucket(value);
            assert!((lower_bound(index)..lower_bound(index + 1)).contains(&value), "{value} in {index}");
            assert!(lower_bound(index + 1) - lower_bound(index) <= (value / 8).max(1));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(lower_bound(BUCKETS), 1 << 34);
    }

    #[test]
    fn a_quantile_is_the_end_of_the_bucket_that_it_falls_in() {
        let mut distribution = Distribution { buckets: vec![0; BUCKETS], sum: 0 };
        assert_eq!(distribution.quantile(0.5), None);
        for value in [100, 100, 100, 1_000_000] {
            distribution.buckets[bucket(value)] += 1;
        }
        assert_eq!(distribution.quantile(0.5), Some(103));
        assert_eq!(distribution.quantile(0.75), Some(103));
        let last = distribution.quantile(0.99).unwrap();
        assert!((1_000_000..1_125_000).contains(&last), "{last}");
        assert_eq!((distribution.count_below(128), distribution.count_below(1 << 20)), (3, 4));
    }

    #[test]
    fn what_came_since_is_the_difference_of_the_buckets() {
        let earlier = Distribution { buckets: vec![1; BUCKETS], sum: 10 };
        let mut now = earlier.clone();
        (now.buckets[5], now.sum) = (4, 25);
        let since = now.since(&earlier);
        assert_eq!((since.count(), since.sum, since.quantile(1.0)), (3, 15, Some(5)));
    }
}
