//! Seals a log beside its writer: follows `durable`, signs by time and by count and when the log ends.
//!
//! No clock, no thread: whoever drives it says how far the log is durable, what the time is and how much may be done at
//! a time. What it needs to go on is on the medium; when anything fails, its next turn begins there again, as a new
//! process would.

use super::note::Signer;
use super::sealer::SealPolicy;
use super::sealing::{Kept, SealError, resume};
use std::sync::Arc;
use stele_journal::bounds::READ_LENGTH;
use stele_journal::{Storage, TrailReader};
use stele_wire::{Nanos, Position, Sequence};

/// Bytes of log that gather before they are read, unless a checkpoint is due: as many as a reader asks the medium for
/// at once.
const STEP: u64 = READ_LENGTH as u64;

/// See the module.
pub struct LiveSealer {
    storage: Arc<dyn Storage>,
    signer: Signer,
    policy: SealPolicy,
    /// Known to be durable: nothing signed earlier reaches beyond.
    last: Sequence,
    work: Option<Work>,
    sealed: SealProgress,
}

/// How far a log is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SealProgress {
    /// Events under the newest checkpoint.
    pub events: u64,
    /// Checkpoints signed by this sealer.
    pub checkpoints: u64,
    /// Behind the last event under a checkpoint of this sealer's; 0 before the first one.
    pub end: Position,
}

/// What is under way. It is dropped at any failure: the medium says what was kept.
struct Work {
    reader: TrailReader,
    kept: Kept,
}

impl LiveSealer {
    /// A sealer of the trail in `storage`, which `last` is the last event of so far, durable.
    pub fn new(storage: Arc<dyn Storage>, signer: Signer, policy: SealPolicy, last: Sequence) -> Self {
        Self { storage, signer, policy, last, work: None, sealed: SealProgress::default() }
    }

    /// How far the log is sealed; nothing is before the first turn.
    pub fn sealed(&self) -> SealProgress {
        self.sealed
    }

    /// Takes in up to `frames` frames of what is in front of `durable`, and signs and keeps a checkpoint when one is
    /// due: so many events after the last one, so long after it, or, when the log `is_ended`, behind its last event.
    /// Gives the frames taken in; the first turn, which finds where the sealing stopped, may take a read of the whole
    /// trail where tiles are missing.
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

    /// Whether everything in front of `durable` is under a checkpoint.
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
                // What was read ahead is older than the write that it was to see: it is read again.
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
