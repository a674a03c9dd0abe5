//! The emergency mass cancel: what a gateway asks of its venue when the log cannot be written any more.
//!
//! An order is cancelled by a cancel on the log. Once the journal is poisoned, or the process ends because a
//! part of it failed, no cancel can become durable, and orders would go on working with nothing to watch
//! them. So the gateway asks the venue, without the log, to cancel everything that it sent
//! ([`Venue::cancel_all`](crate::Venue::cancel_all)), and asks again until the venue answers. From then on it
//! sends nothing. The supervising thread reads the outcome here and keeps a note of it, which the next
//! session records as `EmergencyCancel`. Orders' states never follow from the note: the next session asks
//! the venue about each order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use stele_wire::Nanos;
use stele_wire::messages::EndReason;

/// The venue's answer to an emergency mass cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmergencyAnswer {
    /// No order of this gateway works any more.
    NothingWorks {
        /// How many did, where the venue says so.
        orders: Option<u32>,
    },
    /// The venue has no such request. Its cancel-on-disconnect, if it has one, is what is left.
    Unsupported,
}

/// What became of an emergency mass cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EmergencyOutcome {
    /// Why it was asked for.
    pub reason: EndReason,
    /// When the venue was first asked.
    pub requested: Nanos,
    /// When it confirmed that nothing works; none: it has not.
    pub answered: Option<Nanos>,
    /// How many orders worked, where the venue said so.
    pub orders: Option<u32>,
    /// Whether the gateway asks no more.
    pub is_settled: bool,
}

const NO_COUNT: u32 = u32::MAX;

/// Times are nanoseconds since the epoch; 0: not yet.
#[derive(Debug)]
struct Cell {
    demanded: AtomicU8,
    reason: AtomicU8,
    requested: AtomicU64,
    answered: AtomicU64,
    orders: AtomicU32,
    settled: AtomicU64,
}

/// The other end of a gateway's emergency: a supervising thread demands one, and reads what became of it.
#[derive(Clone, Debug)]
pub struct EmergencyControl(Arc<Cell>);

impl EmergencyControl {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Cell {
            demanded: AtomicU8::new(EndReason::UNKNOWN.0),
            reason: AtomicU8::new(EndReason::UNKNOWN.0),
            requested: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            orders: AtomicU32::new(NO_COUNT),
            settled: AtomicU64::new(0),
        }))
    }

    /// Demands that everything is cancelled, because the run ends for this `reason` and not in order. The
    /// gateway does it in its next duty cycle, or when it is stopped.
    pub fn demand(&self, reason: EndReason) {
        self.0.demanded.store(reason.0, Ordering::Release);
    }

    pub(crate) fn demanded(&self) -> Option<EndReason> {
        let demanded = EndReason(self.0.demanded.load(Ordering::Acquire));
        (demanded != EndReason::UNKNOWN).then_some(demanded)
    }

    /// What became of it; none when nothing was asked of the venue.
    pub fn outcome(&self) -> Option<EmergencyOutcome> {
        let is_settled = self.0.settled.load(Ordering::Acquire) != 0;
        let time = |cell: &AtomicU64| Some(cell.load(Ordering::Acquire)).filter(|at| *at != 0).map(Nanos);
        Some(EmergencyOutcome {
            requested: time(&self.0.requested)?,
            answered: time(&self.0.answered),
            reason: EndReason(self.0.reason.load(Ordering::Acquire)),
            orders: Some(self.0.orders.load(Ordering::Acquire)).filter(|count| *count != NO_COUNT),
            is_settled,
        })
    }

    pub(crate) fn on_requested(&self, reason: EndReason, now: Nanos) {
        if self.0.requested.load(Ordering::Relaxed) == 0 {
            self.0.reason.store(reason.0, Ordering::Release);
            self.0.requested.store(now.0.max(1), Ordering::Release);
        }
    }

    pub(crate) fn on_answer(&self, answer: EmergencyAnswer, now: Nanos) {
        if let EmergencyAnswer::NothingWorks { orders } = answer {
            self.0.orders.store(orders.unwrap_or(NO_COUNT), Ordering::Release);
            self.0.answered.store(now.0.max(1), Ordering::Release);
        }
        self.0.settled.store(1, Ordering::Release);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.0.settled.load(Ordering::Relaxed) != 0
    }
}
