//! Arrival times of an open loop. An arrival never waits for earlier ones, so a stall counts for every event
//! that was due during it.

use std::time::Duration;

/// Random arrivals at a given rate (a Poisson process), determined by a seed.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    state: u64,
    mean_ns: f64,
    next_ns: f64,
}

impl Arrivals {
    /// `rate` arrivals per second; the first one is due after a random time.
    pub(crate) fn new(seed: u64, rate: f64) -> Self {
        let mut arrivals = Self { state: seed, mean_ns: 1e9 / rate, next_ns: 0.0 };
        arrivals.take();
        arrivals
    }

    /// Returns when the next arrival is due, from the start.
    pub(crate) fn next_due(&self) -> Duration {
        Duration::from_nanos(self.next_ns as u64)
    }

    /// Returns when the next arrival is due, and moves on to the one after it.
    pub(crate) fn take(&mut self) -> Duration {
        let due = self.next_due();
        self.next_ns -= self.mean_ns * (1.0 - self.uniform()).ln();
        due
    }

    /// Returns a value in [0, 1), by splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
    /// generators", 2014).
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_irregular_at_the_given_rate_and_reproducible() {
        let take = |seed| {
            let mut arrivals = Arrivals::new(seed, 1_000.0);
            (0..20_000).map(|_| arrivals.take()).collect::<Vec<_>>()
        };
        let due = take(7);
        assert_eq!(due, take(7));
        assert_ne!(due, take(8));
        let mean = due[due.len() - 1].as_secs_f64() / due.len() as f64;
        assert!((0.00095..0.00105).contains(&mean), "{mean}");
        let short = due.windows(2).filter(|pair| pair[1] - pair[0] < Duration::from_micros(100)).count();
        let share = short as f64 / due.len() as f64;
        assert!(
            (0.08..0.11).contains(&share),
            "1 − e^−0.1 of the gaps are below a tenth of the mean: {share}"
        );
    }
}
