//! What survives: segments on disk, recovery, readers, archives, retention and repair.
//!
//! [`Journal::open`] recovers a trail and begins an epoch; [`Opened::attach`] makes the [`Journal`] over the
//! ring. [`TrailReader`] reads a trail, also one that is being written; [`CatchUp`] goes on from there in the
//! ring.

pub use stele_journal::{
    CatchUp, EngineChoice, Entry, Events, FlushMethod, FoundSegment, Journal, JournalFailure,
    JournalStatistics, LockError, Notice, OpenError, Opened, Options, Projected, Projection, ProjectionError,
    RecordedEvent, RecoveryError, RecoveryReport, Segment, TrailError, TrailReader, WriterLock,
    find_segments, read_segments, schema_hash,
};
pub use stele_journal::{archive, repair, retention, snapshot, verify};
