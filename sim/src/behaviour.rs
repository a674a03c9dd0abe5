//! How a disk behaves: what it may do, what a world is spared, which promises it breaks, and what it did.

/// How the disk behaves. Throws are per request; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
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
    /// What the write path is spared.
    pub allowances: Allowances,
    /// A way in which the disk breaks its promises; none in a disk that may be trusted.
    pub lie: Option<Lie>,
}

/// Failures that a disk may have and that a world is spared, because the write path is known not to live through
/// them. Each that goes is one less to be afraid of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allowances {
    /// A sync covers every file, not only its own. Without it, a segment that a killed writer wrote and did not
    /// flush is lost at the next failure of the power, although recovery built on it.
    pub sync_covers_all_files: bool,
    /// The next segment is not ready before the header of the current one is durable. Without it, two headers are
    /// on their way at once, and the later one alone may survive.
    pub one_header_at_a_time: bool,
    /// The header of a trail's very first segment is written whole or not at all. Without it, a trail whose first
    /// start was cut short cannot be opened.
    pub first_header_is_whole: bool,
    /// No live reader looks while a roll is on its way. Without it, a reader calls the trail damaged when the next
    /// segment's header overtook the last bytes in front of it.
    pub no_reader_during_rolls: bool,
}

impl Allowances {
    /// Everything that the write path has to be spared today.
    pub const TODAY: Self = Self {
        sync_covers_all_files: false,
        one_header_at_a_time: true,
        first_header_is_whole: true,
        no_reader_during_rolls: true,
    };
    /// Nothing.
    pub const NONE: Self = Self {
        sync_covers_all_files: false,
        one_header_at_a_time: false,
        first_header_is_whole: false,
        no_reader_during_rolls: false,
    };
}

/// A promise that a disk breaks: what the checkers must notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// One in ten flushes is acknowledged and does nothing.
    LosesFlushes,
    /// A write is acknowledged as durable before it has happened.
    AcknowledgesEarly,
    /// A power failure changes a bit of something that was durable.
    RotsBits,
    /// A flushed write puts some other sector of the file back to what it was before.
    WritesElsewhere,
}

impl Lie {
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
