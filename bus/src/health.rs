//! What the parts of a bus tell each other besides events: that it is poisoned, stopping, or behind and why.

use crate::bounds::POISON_REASON_MAX;
use crate::sync::{AtomicU64, Line, Ordering};

/// Why there is no room on the ring for events of some class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backpressure {
    /// The journal has not written enough of the log.
    Journal,
    /// A gating consumer has not read enough of the log.
    Consumer,
}

/// How far the life of a ring has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Accepting,
    Stopping,
    /// Everything accepted is on the log; its watermarks `published` and `batched` are final.
    Stopped,
    /// The ring was given up before it was stopped.
    Abandoned,
}

/// Shared by everyone on one ring, other processes included; written rarely, so that reading it costs a cached load.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Health {
    /// See [`Phase`]: 0 accepting, 1 stopping, 2 stopped, 3 abandoned.
    phase: Line<AtomicU64>,
    /// 0 in time, 1 journal behind, 2 consumer behind.
    backpressure: Line<AtomicU64>,
    poison: Poison,
}

#[repr(C, align(128))]
#[derive(Debug)]
struct Poison {
    /// 0 none, 1 poisoned: the reason stands.
    state: AtomicU64,
    /// Bytes of the reason.
    length: AtomicU64,
    /// UTF-8.
    text: [AtomicU64; POISON_REASON_MAX / 8],
}

const ACCEPTING: u64 = 0;
const STOPPING: u64 = 1;
const STOPPED: u64 = 2;
const ABANDONED: u64 = 3;

impl Health {
    /// Writes the reason down, for other processes. One thread does it, once.
    pub(crate) fn poison(&self, reason: &str) {
        let bytes = &reason.as_bytes()[..reason.floor_char_boundary(POISON_REASON_MAX)];
        for (word, bytes) in self.poison.text.iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        self.poison.length.store(bytes.len() as u64, Ordering::Relaxed);
        // Release, partner of the Acquire load in `is_poisoned`: the reason stands.
        self.poison.state.store(1, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.state.load(Ordering::Acquire) != 0
    }

    /// The reason that was written down before [`Health::is_poisoned`] became true.
    pub(crate) fn reason(&self) -> String {
        let length = self.poison.length.load(Ordering::Relaxed) as usize;
        let words = self.poison.text.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        let bytes: Vec<u8> = words.take(length).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[inline]
    pub(crate) fn backpressure(&self) -> Option<Backpressure> {
        match self.backpressure.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Backpressure::Journal),
            _ => Some(Backpressure::Consumer),
        }
    }

    pub(crate) fn set_backpressure(&self, backpressure: Option<Backpressure>) {
        let value = match backpressure {
            None => 0,
            Some(Backpressure::Journal) => 1,
            Some(Backpressure::Consumer) => 2,
        };
        self.backpressure.0.store(value, Ordering::Relaxed);
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

    /// Nobody of its process has the ring any more. One that was stopped stays so.
    pub(crate) fn set_abandoned(&self) {
        for from in [ACCEPTING, STOPPING] {
            let _ = self.phase.0.compare_exchange(from, ABANDONED, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// Acquire: with [`Phase::Stopped`] come the final watermarks.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.0.load(Ordering::Acquire) {
            ACCEPTING => Phase::Accepting,
            STOPPING => Phase::Stopping,
            STOPPED => Phase::Stopped,
            _ => Phase::Abandoned,
        }
    }
}
