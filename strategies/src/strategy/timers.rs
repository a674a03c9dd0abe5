//! The pending timers of a strategy.

use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_bus::bounds::TIMERS_PER_STRATEGY_MAX;

/// The timers that have not fired, at most as many as the sequencer keeps for a strategy.
#[derive(Clone, Debug)]
pub(crate) struct Timers(Vec<u64>);

impl Default for Timers {
    fn default() -> Self {
        Self(Vec::with_capacity(TIMERS_PER_STRATEGY_MAX))
    }
}

impl Timers {
    pub(super) fn is_full(&self) -> bool {
        self.0.len() == TIMERS_PER_STRATEGY_MAX
    }

    pub(super) fn add(&mut self, timer_id: u64) {
        debug_assert!(!self.is_full());
        self.0.push(timer_id);
    }

    pub(super) fn contains(&self, timer_id: u64) -> bool {
        self.0.contains(&timer_id)
    }

    /// Returns whether the timer was pending.
    pub(crate) fn remove(&mut self, timer_id: u64) -> bool {
        let place = self.0.iter().position(|id| *id == timer_id);
        place.map(|at| self.0.swap_remove(at)).is_some()
    }

    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.0.len() as u64);
        self.0.iter().for_each(|id| out.put_u64(*id));
    }

    pub(crate) fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut timers = Self::default();
        for _ in 0..reader.at_most("timers", TIMERS_PER_STRATEGY_MAX as u64)? {
            timers.0.push(reader.u64()?);
        }
        Ok(timers)
    }
}
