//! The stalls of the machine itself, to tell them from those of the software under test.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The stalls of a thread that did nothing but read the clock.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Default)]
pub struct Noise {
    /// The 99th percentile of the time between two readings, in ns.
    pub hiccup_p99_ns: u64,
    /// The longest time between two readings, in ns.
    pub hiccup_max_ns: u64,
    /// The number of gaps above 10 µs per second.
    pub gaps_per_second: u64,
}

/// Reads the clock repeatedly and records the time between two readings.
pub struct HiccupMeter {
    gaps: Histogram<u64>,
    above_10_us: u64,
    watched: Duration,
}

impl HiccupMeter {
    /// A meter without readings.
    pub fn new() -> Self {
        let gaps = Histogram::new_with_bounds(1, 10_000_000_000, 2).expect("the bounds are valid");
        Self { gaps, above_10_us: 0, watched: Duration::ZERO }
    }

    /// Reads the clock on the calling thread for `length`.
    pub fn watch(&mut self, length: Duration) {
        let start = Instant::now();
        let mut last = start;
        while last - start < length {
            let now = Instant::now();
            let gap = (now - last).as_nanos() as u64;
            self.gaps.saturating_record(gap);
            self.above_10_us += u64::from(gap > 10_000);
            last = now;
        }
        self.watched += last - start;
    }

    /// Returns the stalls so far.
    pub fn noise(&self) -> Noise {
        let seconds = self.watched.as_secs_f64().max(f64::MIN_POSITIVE);
        Noise {
            hiccup_p99_ns: self.gaps.value_at_quantile(0.99),
            hiccup_max_ns: self.gaps.max(),
            gaps_per_second: (self.above_10_us as f64 / seconds) as u64,
        }
    }
}

impl Default for HiccupMeter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_records_gaps_for_the_whole_time() {
        let mut meter = HiccupMeter::new();
        meter.watch(Duration::from_millis(2));
        let quiet = meter.noise();
        assert!(quiet.hiccup_max_ns > 0 && quiet.hiccup_p99_ns <= quiet.hiccup_max_ns);
        assert!(meter.watched >= Duration::from_millis(2));
    }
}
