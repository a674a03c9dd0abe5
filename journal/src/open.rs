//! Opens a trail for writing: lock, recovery, medium, first segment of the new epoch.

use crate::choice::{EngineNotice, choose_engine};
use crate::directory::Directory;
use crate::engine::Engine;
use crate::error::{TrailError, advice};
use crate::format::SegmentHeader;
use crate::journal::{Journal, JournalParts};
use crate::lock::{LockError, WriterLock};
use crate::options::JournalOptions;
use crate::pool::{MediumProperties, SegmentPool, SpareSegment, remove_unfinished};
use crate::recovery::{Continuation, RecoveryError, RecoveryReport, recover};
use crate::site::TrailSite;
use crate::storage::Storage;
use crate::survey::survey;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use stele_bus::{JournalReader, SequencerStart};
use stele_wire::frame::Identity;
use stele_wire::units::{Epoch, Nanos, Sequence, ShardId, TrailId};

/// Why a trail cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes it.
    #[error(
        "{directory} is being written by another process ({owner}): stop that one, or choose another directory"
    )]
    Locked {
        /// The trail.
        directory: String,
        /// What that process wrote about itself.
        owner: String,
    },
    /// The trail belongs to another shard.
    #[error("{directory} holds the trail of shard {found}, not of shard {wanted}: choose another directory")]
    Shard {
        /// The trail.
        directory: String,
        /// The shard found.
        found: ShardId,
        /// The expected shard.
        wanted: ShardId,
    },
    /// An option is out of its range.
    #[error("{0}")]
    Options(String),
    /// The medium failed.
    #[error("cannot {action} {path}: {source}{}", advice(source))]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The path concerned.
        path: String,
        /// The error of the medium.
        source: io::Error,
    },
    /// io_uring is required and unavailable.
    #[error("io_uring is unavailable: {0}; allow it, or choose the plain engine")]
    Uring(io::Error),
    /// Events that were durable are missing.
    #[error(
        "{directory}: the log ends with event {last}, but was durable up to event {known}: it was cut, or is an older \
         copy; nothing was changed: restore the missing part, or choose another directory"
    )]
    Cut {
        /// The trail.
        directory: String,
        /// The last event there.
        last: Sequence,
        /// [`JournalOptions::known_durable`].
        known: Sequence,
    },
    /// The trail that is there cannot be continued.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl From<TrailError> for OpenError {
    fn from(error: TrailError) -> Self {
        Self::Recovery(error.into())
    }
}

/// A trail open for writing, with its new epoch begun on the medium. Create the ring and the sequencer from
/// [`Self::start`], then pass the ring to [`Self::attach`].
pub struct OpenedJournal<F = File> {
    /// Where the log continues.
    pub start: SequencerStart,
    /// What recovery found and did.
    pub recovery: RecoveryReport,
    /// The first segment of the epoch; its header is durable.
    pub header: SegmentHeader,
    file: F,
    spares: Box<dyn SegmentPool<F>>,
    storage: Arc<dyn Storage>,
    medium: MediumProperties,
    options: JournalOptions,
    lock: Option<WriterLock>,
}

impl Journal<File> {
    /// Opens the trail in `path`, which is created if it does not exist. An existing trail is recovered and
    /// continued in a new epoch; it is never overwritten. `now` is the time, UTC.
    ///
    /// # Errors
    /// [`OpenError`]; its message says what to do.
    pub fn open(path: &Path, options: &JournalOptions, now: Nanos) -> Result<OpenedJournal, OpenError> {
        open(&Directory::new(path), options, now)
    }
}

/// As [`Journal::open`], for the trail on `site`.
///
/// # Errors
/// [`OpenError`]; its message says what to do.
pub fn open<S: TrailSite>(
    site: &S,
    options: &JournalOptions,
    now: Nanos,
) -> Result<OpenedJournal<S::File>, OpenError> {
    options.check().map_err(OpenError::Options)?;
    let storage = site.storage();
    let path = || storage.describe("");
    let io = |action| move |source| OpenError::Io { action, path: path(), source };
    site.create().map_err(io("create the directory"))?;
    let lock = site.lock(now).map_err(|error| match error {
        LockError::Held(owner) => OpenError::Locked { directory: path(), owner },
        LockError::Io(source) => io("lock")(source),
    })?;
    remove_unfinished(storage.as_ref()).map_err(io("clear up"))?;
    let found = survey(storage.as_ref())?;
    let trail = match found.segments.last() {
        Some(last) if last.header.identity.shard != options.shard && found.problem.is_none() => {
            let (found, wanted) = (last.header.identity.shard, options.shard);
            return Err(OpenError::Shard { directory: path(), found, wanted });
        }
        Some(last) => last.header.identity.trail,
        None => site.draw_identity().map_err(io("draw an identity for"))?,
    };
    let last = found.tail.as_ref().map_or(Sequence(0), |tail| tail.last_sequence);
    // Damage is reported by recovery, which knows more about it.
    if last < options.known_durable && found.problem.is_none() {
        return Err(OpenError::Cut { directory: path(), last, known: options.known_durable });
    }
    let (recovery, next) = recover(storage.as_ref(), found)?;
    let medium = site.probe(options.direct).map_err(io("write in"))?;
    let prepared = site.prepare(medium, options, next.index);
    let (SpareSegment { file, .. }, spares) = prepared.map_err(io("prepare segments in"))?;
    let header = first_header(options, trail, &next, medium, now);
    site.write_header(&file, &header.to_block()).map_err(io("write a segment's header in"))?;
    let start = SequencerStart {
        identity: header.identity,
        next_sequence: header.base_sequence,
        position: header.base_position,
        last_timestamp: header.created,
        segment_length: header.segment_length,
        block_length: header.block_length as usize,
    };
    let options = options.clone();
    Ok(OpenedJournal { start, recovery, header, file, spares, storage, medium, options, lock })
}

impl OpenedJournal {
    /// Creates the journal over the ring, which begins at [`Self::start`]'s position. Also returns notices
    /// for the operator.
    ///
    /// # Errors
    /// [`OpenError::Uring`] when io_uring is required and unavailable.
    ///
    /// # Panics
    /// When the ring begins at another position.
    pub fn attach(self, reader: JournalReader) -> Result<(Journal<File>, Vec<EngineNotice>), OpenError> {
        let chosen = choose_engine(&self.options, self.medium, &reader);
        let (engine, notices) = chosen.map_err(OpenError::Uring)?;
        Ok((self.attach_engine(reader, engine), notices))
    }
}

impl<F> OpenedJournal<F> {
    /// Creates the journal over the ring and this engine.
    ///
    /// # Panics
    /// When the ring begins at another position than [`Self::start`]'s.
    pub fn attach_engine(self, reader: JournalReader, engine: Box<dyn Engine<F>>) -> Journal<F> {
        let Self { header, file, spares, storage, lock, .. } = self;
        Journal::new(JournalParts { reader, engine, spares, storage, header, file, lock })
    }
}

fn first_header(
    options: &JournalOptions,
    trail: TrailId,
    next: &Continuation,
    medium: MediumProperties,
    now: Nanos,
) -> SegmentHeader {
    SegmentHeader {
        identity: Identity {
            trail,
            shard: options.shard,
            epoch: next.epoch.max(Epoch(options.later_than.0 + 1)),
        },
        index: next.index,
        block_length: medium.block_length,
        segment_length: options.segment_length,
        base_position: next.base(medium.block_length),
        base_sequence: next.last_sequence.next(),
        // The clock may have been set back since; the log's time never goes back.
        created: now.max(next.last_timestamp),
        link: next.link,
        schema: options.schema,
    }
}
