//! A simulated hour of readings with known faults; the same seed gives the same hour.

use super::plant::{Quantity, Reading};
use stele_strategies::Random;

/// The kinds of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fault {
    /// A reading above the limit.
    Threshold,
    /// One reading far from the others.
    Spike,
    /// A slow drift away from the usual value.
    Drift,
}

impl Fault {
    pub(crate) const ALL: [Self; 3] = [Self::Threshold, Self::Spike, Self::Drift];

    /// Returns the code of the pattern in an alert.
    pub(crate) const fn pattern(self) -> u16 {
        self as u16 + 1
    }

    pub(crate) fn of_pattern(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.pattern() == code)
    }
}

/// A simulated fault: its sensor, its first second and its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Made {
    pub(crate) fault: Fault,
    pub(crate) sensor: u32,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Readings in order of their times, and the faults among them.
pub(crate) struct Hour {
    pub(crate) readings: Vec<Reading>,
    pub(crate) faults: Vec<Made>,
}

const SENSORS: u32 = 20;
const SECONDS: u64 = 3_600;
const SECOND: u64 = 1_000_000_000;
/// 2026-03-02, noon UTC.
const NOON: u64 = 1_772_452_800 * SECOND;
/// The largest deviation of a sensor without a fault from its level, in units of 1e-3.
const NOISE: u64 = 1_000;

/// Returns the second of a time, counted from the first reading.
pub(crate) fn second_of(time: u64) -> u64 {
    (time - NOON) / SECOND
}

/// Returns the hour of `seed`: three sensors per fault, the others without one.
pub(crate) fn with_faults(seed: u64) -> Hour {
    let mut random = Random::new(seed);
    let levels: Vec<i64> = (0..SENSORS).map(|_| 55_000 + random.below(10_000) as i64).collect();
    let mut faults = Vec::new();
    for (at, fault) in Fault::ALL.into_iter().enumerate() {
        for nth in 0..3 {
            let from = 1_000 + random.below(1_000);
            let lasts = match fault {
                Fault::Threshold => 5,
                Fault::Spike => 1,
                Fault::Drift => 600,
            };
            faults.push(Made { fault, sensor: (3 * at + nth) as u32, from, to: from + lasts });
        }
    }
    let mut readings = Vec::new();
    for second in 0..SECONDS {
        for sensor in 0..SENSORS {
            let fault = faults.iter().find(|made| made.sensor == sensor && made.from <= second);
            let noise = random.below(2 * NOISE + 1) as i64 - NOISE as i64;
            let value = levels[sensor as usize] + noise + fault.map_or(0, |made| off(made, second));
            readings.push(Reading {
                time: (NOON + second * SECOND).into(),
                value: value.into(),
                sensor: sensor.into(),
                quantity: Quantity::TEMPERATURE,
                ..Reading::NULL
            });
        }
    }
    Hour { readings, faults }
}

/// Returns the error of a reading in a second at or after the fault's first.
fn off(made: &Made, second: u64) -> i64 {
    let is_over = second >= made.to;
    match made.fault {
        Fault::Threshold if !is_over => 40_000,
        Fault::Spike if !is_over => 8_000,
        // The drift is six degrees in a thousand seconds, and then stays.
        Fault::Drift => (second.min(made.to) - made.from) as i64 * 6,
        _ => 0,
    }
}
