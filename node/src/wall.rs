//! The system's clock, for operations that are done once: [`stele_bus::UtcClock`] needs up to 200 ms to
//! calibrate the processor's counter.

use std::time::{SystemTime, UNIX_EPOCH};
use stele_bus::{Clock, ClockQuality};
use stele_wire::Nanos;

/// The system's UTC clock; a reading costs a system call at worst.
pub(crate) struct WallClock;

impl WallClock {
    /// Returns the time in nanoseconds since 1970.
    pub(crate) fn read() -> Nanos {
        Nanos(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64))
    }
}

impl Clock for WallClock {
    fn now(&mut self) -> Nanos {
        Self::read()
    }

    /// It is the reference itself, so its error is zero.
    fn status(&self) -> Option<ClockQuality> {
        Some(ClockQuality::default())
    }
}
