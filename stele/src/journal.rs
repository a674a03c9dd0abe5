//! The journal: segments on disk, recovery, readers, archives, retention and repair.
//!
//! [`Journal::open`] recovers a trail and begins an epoch; [`Opened::attach`] creates the [`Journal`] of the
//! ring. A [`TrailReader`] reads a trail, also while it is being written; a [`CatchUp`] continues from there
//! in the ring.

pub use stele_journal::{
    CatchUp, EngineChoice, Entry, Events, FlushMethod, FoundSegment, Journal, JournalFailure,
    JournalStatistics, LockError, Notice, OpenError, Opened, Options, Projected, Projection, ProjectionError,
    RecordedEvent, RecoveryError, RecoveryReport, Segment, TrailError, TrailReader, WriterLock,
    find_segments, read_segments, schema_hash,
};
pub use stele_journal::{archive, repair, retention, snapshot, verify};
