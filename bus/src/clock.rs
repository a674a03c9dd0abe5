//! Clocks: UTC in nanoseconds, read without a system call, and a manual clock for tests and replays.

use crate::bounds::{
    CLOCK_CHECK_INTERVAL, CLOCK_STEP_MIN, CLOCK_TOLERANCE, CLOCK_UNCERTAINTY_MIN, SLEW_PPB_MAX,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use stele_wire::Nanos;
use stele_wire::messages::{ClockSource, ClockStatus as ClockEvent};

/// A source of time. It may go back: a caller that needs a monotonic time takes the maximum, as the sequencer
/// does.
pub trait Clock: Send {
    /// Returns the time in nanoseconds since the Unix epoch, UTC.
    fn now(&mut self) -> Nanos;

    /// Returns how well the clock follows UTC; none when it does not measure that.
    fn status(&self) -> Option<ClockQuality> {
        None
    }
}

/// How well a clock follows UTC, as of its last comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClockQuality {
    /// This clock's time minus the system's UTC, in nanoseconds.
    pub offset: i64,
    /// How long the comparison took, in nanoseconds. UTC was read at some moment within that time.
    pub uncertainty: u64,
    /// The change of rate that corrects the offset, in parts per billion.
    pub slew_ppb: i64,
    /// The number of steps since the start.
    pub steps: u64,
    /// The last step in nanoseconds; 0 before the first.
    pub last_step: i64,
}

/// A clock that reads the processor's counter and slews it towards the system's UTC by at most
/// [`SLEW_PPB_MAX`].
///
/// A reading costs one read of the counter and a multiplication. Every [`CLOCK_CHECK_INTERVAL`], a reading
/// also compares the clock with the system's UTC (through the vDSO, so without a system call) and sets the
/// rate that corrects the difference over the next interval. If UTC is ahead by [`CLOCK_STEP_MIN`] or more,
/// the clock steps forward. If UTC stepped back, the clock only slews, because events cannot be timed
/// backwards.
#[derive(Debug)]
pub struct UtcClock {
    counter: quanta::Clock,
    anchor_raw: u64,
    anchor_utc: u64,
    status: ClockQuality,
}

impl Default for UtcClock {
    fn default() -> Self {
        Self::new()
    }
}

impl UtcClock {
    /// A clock at the system's UTC. The first call in a process calibrates the counter, which takes up to 200
    /// ms.
    pub fn new() -> Self {
        let counter = quanta::Clock::new();
        let (anchor_raw, anchor_utc, uncertainty) = compare(&counter);
        let status = ClockQuality { uncertainty, ..ClockQuality::default() };
        Self { counter, anchor_raw, anchor_utc, status }
    }

    /// How well the clock follows UTC.
    pub fn status(&self) -> ClockQuality {
        self.status
    }

    #[inline]
    fn at(&self, raw: u64) -> (u64, u64) {
        let elapsed = self.counter.delta_as_nanos(self.anchor_raw, raw);
        (self.anchor_utc.wrapping_add_signed(slewed(elapsed, self.status.slew_ppb)), elapsed)
    }

    #[cold]
    #[inline(never)]
    fn discipline(&mut self) {
        let (raw, utc, uncertainty) = compare(&self.counter);
        let (ours, _) = self.at(raw);
        let correction = correct(ours, utc);
        self.anchor_raw = raw;
        self.anchor_utc = ours.wrapping_add_signed(correction.step);
        self.status.offset = ours.wrapping_sub(utc) as i64;
        self.status.uncertainty = uncertainty;
        self.status.slew_ppb = correction.slew_ppb;
        if correction.step != 0 {
            self.status.steps += 1;
            self.status.last_step = correction.step;
        }
    }
}

impl Clock for UtcClock {
    #[inline]
    fn now(&mut self) -> Nanos {
        let (utc, elapsed) = self.at(self.counter.raw());
        if elapsed >= CLOCK_CHECK_INTERVAL.0 {
            self.discipline();
        }
        Nanos(utc)
    }

    fn status(&self) -> Option<ClockQuality> {
        Some(self.status)
    }
}

/// `elapsed` nanoseconds of the counter at a rate that differs by `slew_ppb`.
#[inline]
fn slewed(elapsed: u64, slew_ppb: i64) -> i64 {
    // Saturates after five hours without a reading; the comparison that follows such a reading corrects it.
    elapsed as i64 + (elapsed as i64).saturating_mul(slew_ppb) / 1_000_000_000
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Correction {
    step: i64,
    slew_ppb: i64,
}

/// The correction that brings a clock at `ours` to `utc`.
fn correct(ours: u64, utc: u64) -> Correction {
    let error = utc.wrapping_sub(ours) as i64;
    if error >= CLOCK_STEP_MIN.0 as i64 {
        return Correction { step: error, slew_ppb: 0 };
    }
    let slew_ppb = error as i128 * 1_000_000_000 / CLOCK_CHECK_INTERVAL.0 as i128;
    Correction { step: 0, slew_ppb: slew_ppb.clamp(-SLEW_PPB_MAX as i128, SLEW_PPB_MAX as i128) as i64 }
}

/// Reads UTC between two readings of the counter, five times. Returns the closest: counter, UTC, width in
/// nanoseconds.
fn compare(counter: &quanta::Clock) -> (u64, u64, u64) {
    (0..5)
        .map(|_| {
            let before = counter.raw();
            let utc = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
            let after = counter.raw();
            (before + (after - before) / 2, utc, counter.delta_as_nanos(before, after))
        })
        .min_by_key(|(_, _, width)| *width)
        .expect("five readings")
}

/// Decides when a clock's quality is recorded on the log: RTS 25 Art. 4, traceability to UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockWatch {
    recorded: ClockQuality,
}

impl ClockWatch {
    /// A watch whose log already records `status`.
    pub(crate) fn new(status: Option<ClockQuality>) -> Self {
        Self { recorded: status.unwrap_or_default() }
    }

    /// Returns an event if something is to be recorded: a step, forward by the clock's own count or backward
    /// by `back`; an uncertainty that has doubled or halved; a divergence that passed the tolerance in either
    /// direction.
    pub(crate) fn check(
        &mut self,
        status: Option<ClockQuality>,
        back: i64,
        now: Nanos,
    ) -> Option<ClockEvent> {
        let found = status.unwrap_or(self.recorded);
        let step = if back != 0 {
            back
        } else if found.steps != self.recorded.steps {
            found.last_step
        } else {
            0
        };
        let is_other = step != 0
            || is_tolerable(&found) != is_tolerable(&self.recorded)
            || has_changed(self.recorded.uncertainty, found.uncertainty);
        if !is_other {
            return None;
        }
        self.recorded = found;
        let (known, null) = (status.is_some(), ClockEvent::NULL);
        Some(ClockEvent {
            measured: now.0.into(),
            offset: if known { found.offset.into() } else { null.offset },
            step: if step != 0 { step.into() } else { null.step },
            uncertainty: if known { found.uncertainty.into() } else { null.uncertainty },
            tolerance: CLOCK_TOLERANCE.0.into(),
            source: if known { ClockSource::SYSTEM } else { ClockSource::UNKNOWN },
            ..null
        })
    }
}

fn is_tolerable(status: &ClockQuality) -> bool {
    status.offset.unsigned_abs().saturating_add(status.uncertainty) <= CLOCK_TOLERANCE.0
}

fn has_changed(recorded: u64, found: u64) -> bool {
    let (less, more) = (recorded.min(found), recorded.max(found));
    more >= CLOCK_UNCERTAINTY_MIN.0 && more >= 2 * less.max(CLOCK_UNCERTAINTY_MIN.0 / 2)
}

/// A clock that only moves when it is set or advanced. Its clones share one time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    now: Arc<AtomicU64>,
    status: Arc<Mutex<Option<ClockQuality>>>,
}

impl ManualClock {
    /// A clock at `now`.
    pub fn at(now: Nanos) -> Self {
        Self { now: Arc::new(AtomicU64::new(now.0)), status: Arc::default() }
    }

    /// Sets the time, back as well as forward.
    pub fn set(&self, now: Nanos) {
        self.now.store(now.0, Ordering::Relaxed);
    }

    /// Sets how well the clock follows UTC.
    pub fn set_status(&self, status: ClockQuality) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Nanos) {
        self.now.fetch_add(by.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&mut self) -> Nanos {
        Nanos(self.now.load(Ordering::Relaxed))
    }

    fn status(&self) -> Option<ClockQuality> {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_small_error_is_slewed_away_within_the_next_interval() {
        let correction = correct(1_000_000_000, 1_000_020_000);
        assert_eq!(correction.step, 0);
        let gained = slewed(CLOCK_CHECK_INTERVAL.0, correction.slew_ppb) - CLOCK_CHECK_INTERVAL.0 as i64;
        assert!((19_990..=20_010).contains(&gained), "{gained}");
    }

    #[test]
    fn the_rate_never_changes_by_more_than_the_limit() {
        assert_eq!(correct(0, 100_000_000).slew_ppb, SLEW_PPB_MAX);
        assert_eq!(correct(100_000_000, 0).slew_ppb, -SLEW_PPB_MAX);
    }

    #[test]
    fn utc_that_steps_forward_is_followed_at_once_and_back_by_slewing() {
        let hour = 3_600_000_000_000;
        assert_eq!(correct(hour, 2 * hour), Correction { step: hour as i64, slew_ppb: 0 });
        assert_eq!(correct(2 * hour, hour), Correction { step: 0, slew_ppb: -SLEW_PPB_MAX });
    }

    #[test]
    fn steps_doubled_uncertainty_and_divergence_are_recorded_once() {
        let mut watch = ClockWatch::new(Some(ClockQuality { uncertainty: 60, ..ClockQuality::default() }));
        let mut check = |status: ClockQuality, back| {
            let event = watch.check(Some(status), back, Nanos(9))?;
            Some((event.offset.get(), event.step.get(), event.uncertainty.get()))
        };
        let (none, mut status) = (i64::MAX, ClockQuality { uncertainty: 900, ..ClockQuality::default() });
        assert_eq!(check(status, 0), None, "both are below what matters");
        status.uncertainty = 2_000;
        assert_eq!((check(status, 0), check(status, 0)), (Some((0, none, 2_000)), None));
        status.uncertainty = 1_000;
        assert_eq!((check(status, 0), check(status, 0)), (Some((0, none, 1_000)), None));
        (status.steps, status.last_step) = (1, 5_000_000_000);
        assert_eq!((check(status, 0), check(status, 0)), (Some((0, 5_000_000_000, 1_000)), None));
        status.offset = -99_001;
        assert_eq!((check(status, 0), check(status, 0)), (Some((-99_001, none, 1_000)), None));
        assert_eq!(check(status, -7_000), Some((-99_001, -7_000, 1_000)));
        status.offset = 0;
        assert_eq!((check(status, 0), check(status, 0)), (Some((0, none, 1_000)), None));
    }

    #[test]
    fn the_clock_shows_the_systems_utc() {
        let mut clock = UtcClock::new();
        std::thread::sleep(Duration::from_millis(120));
        clock.now();
        let (ours, utc) =
            (clock.now().0, SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
        assert!(ours.abs_diff(utc) < 50_000_000, "{ours} against {utc}");
    }
}
