//! Seals a log while it is written: follows the durable watermark, and signs by time, by number of events,
//! and when the log ends.
//!
//! It has no clock and no thread: the caller passes the durable position, the time, and the amount of work
//! for one turn. Everything it needs to continue is in the storage; after an error, its next turn starts from
//! there, like a new process.

use super::note::Signer;
use super::sealer::SealPolicy;
use super::sealing::{Kept, SealError, resume};
use std::sync::Arc;
use stele_journal::bounds::READ_LENGTH;
use stele_journal::{Storage, TrailReader};
use stele_wire::{Nanos, Position, Sequence};

/// The number of bytes of the log that accumulate before they are read, unless a checkpoint is due: the size
/// of one read.
const STEP: u64 = READ_LENGTH as u64;

/// Seals a log while it is written: see the [module documentation](self).
pub struct LiveSealer {
    storage: Arc<dyn Storage>,
    signer: Signer,
    policy: SealPolicy,
    /// The last event known to be durable: no earlier signature covers a later one.
    last: Sequence,
    work: Option<Work>,
    sealed: SealProgress,
}

/// How far a log is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SealProgress {
    /// Number of events under the newest checkpoint.
    pub events: u64,
    /// Number of checkpoints signed by this sealer.
    pub checkpoints: u64,
    /// Position after the last event under a checkpoint of this sealer; 0 before the first checkpoint.
    pub end: Position,
}

/// Work in progress. It is dropped after an error: the storage has what was kept.
struct Work {
    reader: TrailReader,
    kept: Kept,
}

impl LiveSealer {
    /// Makes a sealer for the trail in `storage`; `last` is the last durable event so far.
    pub fn new(storage: Arc<dyn Storage>, signer: Signer, policy: SealPolicy, last: Sequence) -> Self {
        Self { storage, signer, policy, last, work: None, sealed: SealProgress::default() }
    }

    /// How far the log is sealed; 0 before the first turn.
    pub fn sealed(&self) -> SealProgress {
        self.sealed
    }

    /// Reads up to `frames` frames before `durable`, and signs and stores a checkpoint when one is due: after
    /// a number of events, after an interval, or after the last event when the log `is_ended`. Returns the
    /// number of frames read.
    ///
    /// The first turn determines where sealing stopped; it may read the whole trail if tiles are missing.
    ///
    /// # Errors
    /// [`SealError`]; see [`SealError::is_final`].
    pub fn turn(
        &mut self,
        durable: Position,
        is_ended: bool,
        frames: usize,
        now: Nanos,
    ) -> Result<usize, SealError> {
        let mut work = match self.work.take() {
            Some(work) => work,
            None => self.begin()?,
        };
        let taken = self.go_on(&mut work, durable, is_ended, frames, now)?;
        self.work = Some(work);
        Ok(taken)
    }

    /// Whether everything before `durable` is under a checkpoint.
    pub fn is_through(&self, durable: Position) -> bool {
        self.work.as_ref().is_some_and(|work| {
            work.reader.position() >= durable && work.kept.sealer.size() == work.kept.sealer.signed_size()
        })
    }

    fn begin(&mut self) -> Result<Work, SealError> {
        let mut reader = TrailReader::over(self.storage.clone())?;
        let kept = resume(self.storage.as_ref(), &mut reader, &self.signer, self.policy, self.last.0)?;
        self.sealed.events = kept.sealer.size();
        reader.seek(Sequence(kept.sealer.size() + 1))?;
        Ok(Work { reader, kept })
    }

    fn go_on(
        &mut self,
        Work { reader, kept }: &mut Work,
        durable: Position,
        is_ended: bool,
        frames: usize,
        now: Nanos,
    ) -> Result<usize, SealError> {
        let is_much = durable.0.saturating_sub(reader.position().0) >= STEP;
        let is_time = kept.sealer.is_time(now);
        if !is_ended && !is_much && !is_time {
            return Ok(0);
        }
        let (mut taken, mut misses) = (0, 0);
        while taken < frames && reader.position() < durable && !kept.sealer.is_full() {
            match reader.read_next_frame()? {
                Some(entry) => {
                    if !entry.frame.is_padding() {
                        kept.on_event(&entry.frame);
                    }
                    (taken, misses) = (taken + 1, 0);
                }
                // The data that was read ahead is older than the write: read again.
                None if misses == 0 => misses = 1,
                None => break,
            }
        }
        self.last = self.last.max(reader.last_sequence());
        let is_through = reader.position() >= durable;
        if kept.sealer.is_full() || (is_through && is_ended) || (is_time && (is_through || is_much)) {
            self.sealed.checkpoints += u64::from(kept.seal(self.storage.as_ref(), now)?);
            self.sealed.events = kept.sealer.signed_size();
            self.sealed.end = reader.position();
        }
        Ok(taken)
    }
}
