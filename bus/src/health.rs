//! The health of a bus, which its parts share: whether it is poisoned or stopping, and what causes
//! backpressure.

use crate::bounds::POISON_REASON_MAX;
use crate::sync::{AtomicU64, Line, Ordering};

/// What keeps the ring full, so that input waits or is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backpressure {
    /// The journal has not written enough of the log yet.
    Journal,
    /// A gating consumer has not read enough of the log yet.
    Consumer,
}

/// The phases in the life of a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Accepting,
    Stopping,
    /// Everything accepted is on the log; its watermarks `published` and `batched` are final.
    Stopped,
    /// The ring was dropped before it was stopped.
    Abandoned,
}

/// The health of a ring, shared with other processes. It is written rarely, so reading it costs a cached
/// load.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Health {
    /// See [`Phase`]: 0 accepting, 1 stopping, 2 stopped, 3 abandoned.
    phase: Line<AtomicU64>,
    /// 0 none, 1 the journal is behind, 2 a consumer is behind.
    backpressure: Line<AtomicU64>,
    poison: Poison,
}

#[repr(C, align(128))]
#[derive(Debug)]
struct Poison {
    /// 0 not poisoned, 1 poisoned: the reason is complete.
    state: AtomicU64,
    /// The bytes of the reason.
    length: AtomicU64,
    /// UTF-8.
    text: [AtomicU64; POISON_REASON_MAX / 8],
}

const ACCEPTING: u64 = 0;
const STOPPING: u64 = 1;
const STOPPED: u64 = 2;
const ABANDONED: u64 = 3;

impl Health {
    /// Stores the reason for other processes. One thread calls it, once.
    pub(crate) fn poison(&self, reason: &str) {
        let bytes = &reason.as_bytes()[..reason.floor_char_boundary(POISON_REASON_MAX)];
        for (word, bytes) in self.poison.text.iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        self.poison.length.store(bytes.len() as u64, Ordering::Relaxed);
        // Release, partner of the Acquire load in `is_poisoned`: the reason is complete.
        self.poison.state.store(1, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.state.load(Ordering::Acquire) != 0
    }

    /// The reason; it is complete once [`Health::is_poisoned`] is true.
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

    /// Records that everything accepted is on the log. Release, partner of the Acquire load in `is_stopped`.
    pub(crate) fn set_stopped(&self) {
        self.phase.0.store(STOPPED, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.phase.0.load(Ordering::Acquire) == STOPPED
    }

    /// Records that its process has dropped the ring. A ring that was stopped stays stopped.
    pub(crate) fn set_abandoned(&self) {
        for from in [ACCEPTING, STOPPING] {
            let _ = self.phase.0.compare_exchange(from, ABANDONED, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// The phase. Acquire: [`Phase::Stopped`] makes the final watermarks visible.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.0.load(Ordering::Acquire) {
            ACCEPTING => Phase::Accepting,
            STOPPING => Phase::Stopping,
            STOPPED => Phase::Stopped,
            _ => Phase::Abandoned,
        }
    }
}
