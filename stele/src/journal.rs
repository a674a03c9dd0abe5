//! The journal: segments on disk, recovery, readers, archives, retention and repair.
//!
//! [`Journal::open`] recovers a trail and begins an epoch; [`OpenedJournal::attach`] creates the [`Journal`]
//! of the ring. A [`TrailReader`] reads a trail, also while it is being written; a [`CatchUp`] continues from
//! there in the ring.

pub use stele_journal::{
    CatchUp, EngineChoice, EngineNotice, Events, FlushMethod, FoundSegment, Journal, JournalFailure,
    JournalOptions, JournalStatistics, LockError, OpenError, OpenedJournal, Projection, ProjectionError,
    RecordedEvent, RecoveryError, RecoveryReport, Segment, TrailEntry, TrailError, TrailProjection,
    TrailReader, WriterLock, find_segments, read_segments, schema_hash,
};
pub use stele_journal::{archive, repair, retention, snapshot, verify};
