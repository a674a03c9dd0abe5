//! The statistics of a sequencer.

use crate::refusals::Refusals;

/// What a sequencer has done since it was created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SequencerStatistics {
    /// Events put on the log, including its own.
    pub events: u64,
    /// Orders answered with a refusal.
    pub orders_refused: u64,
    /// Submissions that are not a message of the schema.
    pub malformed: u64,
    /// Submissions dropped as duplicates.
    pub duplicates: u64,
    /// Submissions that were not taken, by reason, including those refused at the publishers' rings.
    pub refused: Refusals,
    /// Cancels that followed from kill switches.
    pub cancels: u64,
    /// Timers of strategies that fired.
    pub timers_fired: u64,
    /// Timers dropped because no running strategy owns them or because there are too many.
    pub timers_dropped: u64,
    /// Duty cycles in which an intake had to wait for room on the ring.
    pub waits: u64,
    /// Batches closed.
    pub batches: u64,
}
