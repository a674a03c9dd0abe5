//! Follows a trail while it is written, and takes a snapshot at each segment roll.
//!
//! It runs the same state machines a second time, from the log only, so the hot threads are not involved
//! ([why](../../docs/decisions/0006-snapshots-off-the-hot-path.md)). It reads up to the durable watermark,
//! so that recovery never truncates the log below a snapshot. It has no clock and no thread: the caller
//! decides how much it does at a time.

use crate::recall::{Loaded, SnapshotPreference, load_any};
use crate::resume::{ResumeError, TrailState};
use std::path::Path;
use std::sync::Arc;
use stele_journal::format::{RunningCrc, link_after};
use stele_journal::snapshot::{self, SnapshotDigest, SnapshotError, SnapshotOrigin};
use stele_journal::{Directory, Segment, Storage, TrailError, TrailReader};
use stele_strategies::registry::Registry;
use stele_wire::Frame;
use stele_wire::units::{Nanos, Position, Sequence};

/// The program version that is written into snapshots.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A snapshot that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TakenSnapshot {
    /// The place in the trail that it follows from.
    pub standing: SnapshotOrigin,
    /// Its length and hash.
    pub written: SnapshotDigest,
}

/// Why a trail cannot be followed any further.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The trail could not be read, or its strategies could not be run.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A snapshot could not be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl From<TrailError> for FollowError {
    fn from(error: TrailError) -> Self {
        Self::Resume(error.into())
    }
}

/// The result of one call of [`Follower::follow`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowProgress {
    /// This many frames were read; fewer than requested when there are no more.
    Followed(usize),
    /// A snapshot was written.
    Snapshot(TakenSnapshot),
}

/// Follows one trail and writes its snapshots.
pub struct Follower {
    storage: Arc<dyn Storage>,
    reader: TrailReader,
    resume: TrailState,
    /// The segment that the state is in or at the end of.
    segment: u64,
    /// The CRC of the segment's data so far.
    data_crc: RunningCrc,
    /// The first segment after which snapshots are taken.
    from: u64,
    keep: usize,
    /// The first event of the next segment, kept while the snapshot before it is taken.
    held: Vec<u8>,
}

impl Follower {
    /// Creates a follower of the trail in `directory`. `resume` is the trail's state at the end of a segment,
    /// or one that has seen no event; the trail is read from there. The newest `keep` snapshots stay.
    ///
    /// # Errors
    /// [`FollowError`].
    ///
    /// # Panics
    /// When `keep` is 0.
    pub fn new(directory: &Path, resume: TrailState, keep: usize) -> Result<Self, FollowError> {
        assert!(keep > 0, "the newest snapshot stays");
        let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
        let mut reader = TrailReader::over(storage.clone())?;
        reader.seek(Sequence(resume.last_sequence() + 1))?;
        let position = reader.position();
        let begins_at = |segment: &&Segment| segment.header.base_position <= position;
        let at = reader.segments().iter().rfind(begins_at).expect("a position lies in a segment").header;
        let is_first = at.index == reader.segments()[0].header.index;
        let segment = if at.base_position == position && !is_first { at.index - 1 } else { at.index };
        let (data_crc, held) = (RunningCrc::default(), Vec::new());
        Ok(Self { storage, reader, resume, segment, data_crc, from: segment, keep, held })
    }

    /// Reads at most `frames` frames up to `durable`; stops after writing a snapshot.
    ///
    /// # Errors
    /// [`FollowError`]; the follower cannot be used after it.
    pub fn follow(&mut self, durable: Position, frames: usize) -> Result<FollowProgress, FollowError> {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.take_in(&held)?;
        }
        for taken in 0..frames {
            if self.reader.position() >= durable {
                return Ok(FollowProgress::Followed(taken));
            }
            let Some(entry) = self.reader.read_next_frame()? else {
                return Ok(FollowProgress::Followed(taken));
            };
            if entry.segment == self.segment {
                self.data_crc.update(entry.frame.bytes());
                if !entry.frame.is_padding() {
                    self.resume.on_event(&entry.frame)?;
                }
                continue;
            }
            let index = entry.segment;
            self.held = entry.frame.bytes().to_vec();
            let taken = self.roll(index)?;
            if let Some(taken) = taken {
                return Ok(FollowProgress::Snapshot(taken));
            }
            let held = std::mem::take(&mut self.held);
            self.take_in(&held)?;
        }
        Ok(FollowProgress::Followed(frames))
    }

    /// Takes the snapshot after the last segment of a closed trail, if the state is at its end.
    ///
    /// # Errors
    /// [`FollowError`].
    pub fn finish(&mut self) -> Result<Option<TakenSnapshot>, FollowError> {
        let segments = self.reader.segments();
        let last = *segments.last().expect("a reader has a segment");
        if last.header.index != self.segment || !self.held.is_empty() || self.segment < self.from {
            return Ok(None);
        }
        let (end, sequence) = (self.reader.position(), self.reader.last_sequence());
        let standing = SnapshotOrigin {
            identity: last.header.identity,
            segment: self.segment,
            end,
            last_sequence: sequence,
            last_timestamp: Nanos(self.resume.last_timestamp()),
            link: link_after(&last.header_block(), end, sequence, self.data_crc.value()),
        };
        self.take(standing).map(Some)
    }

    /// Returns how many bytes of the log it has not read yet.
    pub fn lag(&self, durable: Position) -> u64 {
        durable.0.saturating_sub(self.reader.position().0)
    }

    /// The data bytes of a segment.
    pub fn segment_length(&self) -> u64 {
        self.reader.segments().last().expect("a reader has a segment").header.segment_length
    }

    /// Returns the state so far.
    pub fn resume(&self) -> &TrailState {
        &self.resume
    }

    fn take_in(&mut self, frame: &[u8]) -> Result<(), FollowError> {
        self.data_crc.update(frame);
        let frame = Frame::read(frame).expect("the reader read it");
        if !frame.is_padding() {
            self.resume.on_event(&frame)?;
        }
        Ok(())
    }

    /// Takes the snapshot at the end of the segment before `index`; the header of `index` describes that
    /// place. Returns none when the snapshot exists already or is not wanted.
    fn roll(&mut self, index: u64) -> Result<Option<TakenSnapshot>, FollowError> {
        let of = |index: u64| {
            let found = self.reader.segments().iter().find(|segment| segment.header.index == index);
            *found.expect("the cursor is past it")
        };
        let (ended, next) = (of(index - 1), of(index));
        assert_eq!(next.header.base_sequence.0, self.resume.last_sequence() + 1, "no event is missing");
        let standing = SnapshotOrigin {
            identity: ended.header.identity,
            segment: index - 1,
            end: ended.file_end(),
            last_sequence: Sequence(self.resume.last_sequence()),
            last_timestamp: Nanos(self.resume.last_timestamp()),
            link: next.header.link,
        };
        (self.segment, self.data_crc) = (index, RunningCrc::default());
        let is_there = || snapshot::read(self.storage.as_ref(), self.reader.segments(), index - 1).is_ok();
        if index - 1 < self.from || is_there() { Ok(None) } else { self.take(standing).map(Some) }
    }

    fn take(&mut self, standing: SnapshotOrigin) -> Result<TakenSnapshot, FollowError> {
        let storage = self.storage.as_ref();
        let written = snapshot::write(storage, &standing, PROGRAM, &self.resume.snapshot())?;
        snapshot::prune(storage, self.reader.segments(), self.keep)?;
        Ok(TakenSnapshot { standing, written })
    }
}

/// The result of [`take_newest`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewestSnapshot {
    /// The snapshot after the newest closed segment.
    pub taken: TakenSnapshot,
    /// Whether the snapshot existed already, undamaged.
    pub was_there: bool,
    /// The number of events that were read for it.
    pub replayed: u64,
    /// Snapshots that could not be used, and why.
    pub refused: Vec<String>,
}

/// Takes the snapshot after the newest closed segment of the trail in `directory`, which must not be
/// written at the same time. Returns none when no segment is closed yet. The newest `keep` snapshots stay.
/// Calls `progress` with the current sequence.
///
/// # Errors
/// [`FollowError`].
pub fn take_newest(
    directory: &Path,
    registry: &Registry,
    keep: usize,
    mut progress: impl FnMut(u64),
) -> Result<Option<NewestSnapshot>, FollowError> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
    let segments = TrailReader::over(storage.clone())?.segments().to_vec();
    let last = segments.last().expect("a reader has a segment");
    let is_closed = snapshot::read_end(storage.as_ref(), last).is_ok();
    let target = if is_closed { last.header.index } else { last.header.index - 1 };
    if target < segments[0].header.index {
        return Ok(None);
    }
    let (loaded, refused) = load_any(storage.as_ref(), &segments, registry, SnapshotPreference::Newest)?;
    let resume = match loaded {
        Some(Loaded { standing, written, .. }) if standing.segment == target => {
            let taken = TakenSnapshot { standing, written };
            return Ok(Some(NewestSnapshot { taken, was_there: true, replayed: 0, refused }));
        }
        Some(loaded) => loaded.resume,
        None => TrailState::new(registry.clone()),
    };
    let before = resume.events();
    let mut follower = Follower::new(directory, resume, keep)?;
    follower.from = target;
    loop {
        let taken = match follower.follow(Position(u64::MAX), FRAMES_PER_STEP)? {
            FollowProgress::Snapshot(taken) => Some(taken),
            FollowProgress::Followed(FRAMES_PER_STEP) => None,
            FollowProgress::Followed(_) => match follower.finish()? {
                Some(taken) => Some(taken),
                None => return Ok(None),
            },
        };
        progress(follower.resume.last_sequence());
        if let Some(taken) = taken {
            let replayed = follower.resume.events() - before;
            return Ok(Some(NewestSnapshot { taken, was_there: false, replayed, refused }));
        }
    }
}

/// The number of frames between two calls of `progress`.
const FRAMES_PER_STEP: usize = 1 << 16;
