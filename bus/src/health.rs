//! What the parts of a bus tell each other besides events: that it is poisoned, stopping, or behind and why.

use crate::sync::{AtomicU64, Line, Ordering};
use std::sync::OnceLock;

/// Why there is no room on the ring for events of some class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behind {
    /// The journal has not written enough of the log.
    Journal,
    /// A gating consumer has not read enough of the log.
    Consumer,
}

/// Shared by everyone on one ring; written rarely, so that reading it costs a cached load.
#[derive(Debug, Default)]
pub(crate) struct Health {
    poison: OnceLock<String>,
    /// 0 in time, 1 journal behind, 2 consumer behind.
    behind: Line<AtomicU64>,
    /// 0 accepting, 1 asked to stop, 2 stopped.
    phase: Line<AtomicU64>,
}

const ACCEPTING: u64 = 0;
const STOPPING: u64 = 1;
const STOPPED: u64 = 2;

impl Health {
    pub(crate) fn poison(&self, reason: String) {
        // The first reason is the cause; later ones follow from it.
        let _ = self.poison.set(reason);
    }

    #[inline]
    pub(crate) fn poisoned(&self) -> Option<&str> {
        self.poison.get().map(String::as_str)
    }

    #[inline]
    pub(crate) fn behind(&self) -> Option<Behind> {
        match self.behind.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Behind::Journal),
            _ => Some(Behind::Consumer),
        }
    }

    pub(crate) fn set_behind(&self, behind: Option<Behind>) {
        let value = match behind {
            None => 0,
            Some(Behind::Journal) => 1,
            Some(Behind::Consumer) => 2,
        };
        self.behind.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn request_stop(&self) {
        // Release, partner of the Acquire load in `is_stopping`.
        let _ = self.phase.0.compare_exchange(ACCEPTING, STOPPING, Ordering::Release, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.0.load(Ordering::Acquire) != ACCEPTING
    }

    /// Everything accepted is on the log. Release, partner of the Acquire load in `is_stopped`.
    pub(crate) fn set_stopped(&self) {
        self.phase.0.store(STOPPED, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.phase.0.load(Ordering::Acquire) == STOPPED
    }
}
