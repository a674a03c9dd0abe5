//! What a sequencer counts.

use crate::refusals::Refusals;

/// What the sequencer has done since it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SequencerStatistics {
    /// Events put on the log, its own included.
    pub events: u64,
    /// Orders answered with a refusal.
    pub orders_refused: u64,
    /// Submissions that are not a message of the schema.
    pub malformed: u64,
    /// Submissions that were taken before, and left out.
    pub duplicates: u64,
    /// Whatever was not taken, by reason, also at the publishers' rings.
    pub refused: Refusals,
    /// Cancels that followed from kill switches.
    pub cancels: u64,
    /// Timers of strategies that fired.
    pub timers_fired: u64,
    /// Timers that no running strategy wants any longer, or beyond the bound.
    pub timers_dropped: u64,
    /// Duty cycles in which an intake had to wait for room on the ring.
    pub waits: u64,
    /// Batches closed.
    pub batches: u64,
}
