//! The system's clock, for what is done once: [`stele_bus::UtcClock`] takes up to 200 ms to know the processor's.

use std::time::{SystemTime, UNIX_EPOCH};
use stele_bus::{Clock, ClockQuality};
use stele_wire::Nanos;

/// UTC as the system says it, by a system call at worst.
pub(crate) struct WallClock;

impl WallClock {
    /// Nanoseconds since 1970.
    pub(crate) fn read() -> Nanos {
        Nanos(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64))
    }
}

impl Clock for WallClock {
    fn now(&mut self) -> Nanos {
        Self::read()
    }

    /// It follows itself.
    fn status(&self) -> Option<ClockQuality> {
        Some(ClockQuality::default())
    }
}
