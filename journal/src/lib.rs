//! The storage of Stele: segments on disk, the journal that writes them straight from the ring, recovery, and
//! readers.
//!
//! [`Journal::open`] recovers a trail and begins an epoch; [`OpenedJournal::attach`] creates the [`Journal`]
//! agent over the ring. [`TrailReader`] reads a trail, also while it is being written. `journal/FORMAT.md`
//! describes the bytes.
#![deny(unsafe_code)]

pub mod archive;
mod archive_file;
pub mod bounds;
mod bulk;
pub mod catch_up;
mod choice;
mod continuity;
mod counters;
pub mod directory;
pub mod engine;
mod error;
mod events;
mod examine;
#[cfg(test)]
mod fixture;
pub mod flight;
pub mod format;
pub mod index;
pub mod journal;
mod lock;
mod measure;
mod open;
mod options;
mod pages;
mod plain;
pub mod pool;
pub mod projection;
mod reader;
pub mod recovery;
mod relay;
pub mod repair;
pub mod retention;
pub mod scan;
mod site;
pub mod snapshot;
mod space;
pub mod storage;
mod stream;
pub mod survey;
mod sync_thread;
mod trail;
mod uring;
mod uring_reader;
pub mod verify;

pub use bulk::{BulkReader, ReadMethod};
pub use catch_up::CatchUp;
pub use choice::EngineNotice;
pub use continuity::{Continuity, ContinuityFault};
pub use counters::JournalStatistics;
pub use directory::Directory;
pub use engine::{Engine, FlushMethod};
pub use error::TrailError;
pub use events::{Events, RecordedEvent};
pub use examine::ExaminedSegment;
pub use journal::{Journal, JournalFailure, JournalParts};
pub use lock::{LOCK_NAME, LockError, WriterLock};
pub use measure::{FlushTrial, FlushTrials, JournalCpus};
pub use open::{OpenError, OpenedJournal, open};
pub use options::{EngineChoice, JournalOptions, schema_hash};
pub use pages::Pages;
pub use plain::PlainEngine;
pub use projection::{Projection, ProjectionError, TrailProjection};
pub use reader::{TrailEntry, TrailReader};
pub use recovery::{RecoveryError, RecoveryReport};
pub use site::{PreparedSegments, TrailSite};
pub use space::{SpaceLevel, SpaceWatch, free_space_warning_default};
pub use storage::{CUT_FOLDER, Storage, StoredFile};
pub use trail::{FoundSegment, Segment, find_segments, read_segments};
pub use uring::{UringEngine, refusal as uring_refusal};
pub use uring_reader::UringRead;
