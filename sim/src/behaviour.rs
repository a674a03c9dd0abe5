//! The behaviour of a simulated disk: its faults, the promise that it breaks, and statistics.

/// The behaviour of the disk. A rate of N means one in N; 0 means never.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskBehaviour {
    /// The longest that a write or a sync takes, in ticks.
    pub delay_max: u64,
    /// The rate of writes that fail.
    pub write_failure: u64,
    /// The rate of syncs that fail.
    pub sync_failure: u64,
    /// The rate of submissions that are refused.
    pub submit_failure: u64,
    /// The rate of segments that cannot be prepared.
    pub spare_failure: u64,
    /// Whether prepared segments hold bytes of earlier uses instead of zeros after their blank header.
    pub stale: bool,
    /// The promise that the disk breaks; `None` for a disk that keeps its promises.
    pub broken_promise: Option<BrokenPromise>,
}

/// A promise that a disk breaks. The checkers must notice it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BrokenPromise {
    /// One in ten flushes is acknowledged and does nothing.
    LosesFlushes,
    /// A write is acknowledged as durable before it has happened.
    AcknowledgesEarly,
    /// A power failure changes a bit of durable data.
    RotsBits,
    /// A flushed write puts another sector of the file back to its earlier content.
    WritesElsewhere,
}

impl BrokenPromise {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::LosesFlushes, Self::AcknowledgesEarly, Self::RotsBits, Self::WritesElsewhere];
}

/// Statistics of the disk, from which tests see whether a simulation exercised anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct MediumStatistics {
    /// Writes that completed.
    pub writes: u64,
    /// Requests that completed before an earlier one.
    pub out_of_order: u64,
    /// Sectors that a power failure lost.
    pub sectors_lost: u64,
    /// Sectors that survived a power failure although they were not flushed.
    pub sectors_kept: u64,
    /// Requests that failed.
    pub failures: u64,
}

impl MediumStatistics {
    /// Adds the statistics of another disk.
    pub fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.out_of_order += other.out_of_order;
        self.sectors_lost += other.sectors_lost;
        self.sectors_kept += other.sectors_kept;
        self.failures += other.failures;
    }
}
