//! What survives: segments on disk, recovery, readers, archives, retention and repair.
//!
//! [`Journal::open`] recovers a trail and begins an epoch; [`OpenedJournal::attach`] makes the [`Journal`] over the
//! ring. [`TrailReader`] reads a trail, also one that is being written; [`CatchUp`] goes on from there in the
//! ring.

pub use stele_journal::{
    CatchUp, EngineChoice, EngineNotice, Events, FlushMethod, FoundSegment, Journal, JournalFailure,
    JournalOptions, JournalStatistics, LockError, OpenError, OpenedJournal, Projection, ProjectionError,
    RecordedEvent, RecoveryError, RecoveryReport, Segment, TrailEntry, TrailError, TrailProjection,
    TrailReader, WriterLock, find_segments, read_segments, schema_hash,
};
pub use stele_journal::{archive, repair, retention, snapshot, verify};
