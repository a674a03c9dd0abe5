//! The message rate: a token bucket on the log's time.

/// A bucket of one second's messages that refills at the rate. Its state is the time at which it would be
/// full (the "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371 annex A).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    full_at: u64,
}

/// A limit in messages a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate {
    limit: i64,
    /// The nanoseconds after which there is room for one more message.
    cost: u64,
    /// The nanoseconds until a bucket without room would be full again.
    debt_max: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self::NONE
    }
}

impl Rate {
    /// No limit.
    pub(crate) const NONE: Self = Self { limit: i64::MAX, cost: 0, debt_max: u64::MAX };

    /// A rate of `limit` messages a second. `i64::MAX` means no limit, and 0 lets no message pass.
    pub(crate) fn per_second(limit: i64) -> Self {
        match limit {
            i64::MAX => Self::NONE,
            ..=0 => Self { limit, cost: 1_000_000_000, debt_max: 0 },
            _ => {
                let cost = 1_000_000_000_u64.div_ceil(limit as u64);
                Self { limit, cost, debt_max: cost.saturating_mul(limit as u64) }
            }
        }
    }

    pub(crate) fn limit(self) -> i64 {
        self.limit
    }
}

impl Bucket {
    pub(crate) const NEW: Self = Self { full_at: 0 };

    /// The number of messages in the bucket with one more at `now`, if the bucket has no room for it.
    #[inline]
    pub(crate) fn overflow(self, rate: Rate, now: u64) -> Option<i64> {
        let debt = self.full_at.max(now).saturating_add(rate.cost) - now;
        if debt <= rate.debt_max { None } else { Some(debt.div_ceil(rate.cost) as i64) }
    }

    /// Counts a message at `now`.
    #[inline]
    pub(crate) fn take(&mut self, rate: Rate, now: u64) {
        self.full_at = self.full_at.max(now).saturating_add(rate.cost);
    }

    /// The state, for a snapshot.
    pub(crate) fn full_at(self) -> u64 {
        self.full_at
    }

    /// Restores a bucket from a snapshot.
    pub(crate) fn restored(full_at: u64) -> Self {
        Self { full_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_takes_a_seconds_messages_at_once_and_then_one_per_interval() {
        let (mut bucket, rate) = (Bucket::default(), Rate::per_second(3));
        for _ in 0..3 {
            assert_eq!(bucket.overflow(rate, 5), None);
            bucket.take(rate, 5);
        }
        assert_eq!(bucket.overflow(rate, 5), Some(4));
        assert_eq!(bucket.overflow(rate, 5 + 333_333_333), Some(4));
        assert_eq!(bucket.overflow(rate, 5 + 333_333_334), None);
    }

    #[test]
    fn a_limit_of_zero_lets_none_pass_and_no_limit_lets_all_pass() {
        assert_eq!(Bucket::default().overflow(Rate::per_second(0), 9), Some(1));
        assert_eq!(Bucket::default().overflow(Rate::NONE, u64::MAX), None);
    }
}
