//! How a disk behaves: what it may do, which promises it breaks, and what it did.

/// How the disk behaves. Throws are per request; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskBehaviour {
    /// The longest that a write or a sync takes, in ticks.
    pub delay_max: u64,
    /// One in so many writes fails.
    pub write_failure: u64,
    /// One in so many syncs fails.
    pub sync_failure: u64,
    /// One in so many submissions is refused.
    pub submit_failure: u64,
    /// One in so many prepared segments fails.
    pub spare_failure: u64,
    /// Prepared segments hold bytes of earlier lives instead of zeros behind their blank header.
    pub stale: bool,
    /// A way in which the disk breaks its promises; none in a disk that may be trusted.
    pub broken_promise: Option<BrokenPromise>,
}

/// A promise that a disk breaks: what the checkers must notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BrokenPromise {
    /// One in ten flushes is acknowledged and does nothing.
    LosesFlushes,
    /// A write is acknowledged as durable before it has happened.
    AcknowledgesEarly,
    /// A power failure changes a bit of something that was durable.
    RotsBits,
    /// A flushed write puts some other sector of the file back to what it was before.
    WritesElsewhere,
}

impl BrokenPromise {
    /// Every one of them.
    pub const ALL: [Self; 4] =
        [Self::LosesFlushes, Self::AcknowledgesEarly, Self::RotsBits, Self::WritesElsewhere];
}

/// What the disk has done, for telling whether a simulation exercised anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct MediumStatistics {
    /// Writes that completed.
    pub writes: u64,
    /// Requests that completed before one that was submitted earlier.
    pub out_of_order: u64,
    /// Sectors that a power failure took away.
    pub sectors_lost: u64,
    /// Sectors that a power failure left although nobody had been promised them.
    pub sectors_kept: u64,
    /// Requests that failed.
    pub failures: u64,
}

impl MediumStatistics {
    /// Adds another disk's.
    pub fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.out_of_order += other.out_of_order;
        self.sectors_lost += other.sectors_lost;
        self.sectors_kept += other.sectors_kept;
        self.failures += other.failures;
    }
}
