//! Follows a trail beside its writer and takes a snapshot at each roll.
//!
//! A second execution of the same state machines, from the log alone: the hot threads know nothing of it
//! ([why](../../docs/decisions/0006-snapshots-off-the-hot-path.md)). It reads up to the durable watermark, so that no
//! recovery cuts below a snapshot. No clock, no thread: whoever drives it decides how much it does at a time.

use crate::recall::{Loaded, Preference, load_any};
use crate::resume::{Resume, ResumeError};
use std::path::Path;
use std::sync::Arc;
use stele_journal::format::{RunningCrc, link_after};
use stele_journal::snapshot::{self, SnapshotDigest, SnapshotError, SnapshotOrigin};
use stele_journal::{Directory, Segment, Storage, TrailError, TrailReader};
use stele_strategies::registry::Registry;
use stele_wire::Frame;
use stele_wire::units::{Nanos, Position, Sequence};

/// Version of the program, as it stands in the snapshots that it writes.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A snapshot that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// What it follows from.
    pub standing: SnapshotOrigin,
    /// Its length and hash.
    pub written: SnapshotDigest,
}

/// Why a trail can be followed no further.
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

/// What a turn came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// So many frames were taken, fewer than asked for where there are no more.
    Followed(usize),
    /// A snapshot was written.
    Taken(Taken),
}

/// The follower.
pub struct Follower {
    storage: Arc<dyn Storage>,
    reader: TrailReader,
    resume: Resume,
    /// The segment that the state is in, or at the end of.
    segment: u64,
    /// CRC of its data so far.
    data_crc: RunningCrc,
    /// Snapshots are taken from this segment on.
    from: u64,
    keep: usize,
    /// The first event of the next segment, kept while a snapshot is taken in front of it.
    held: Vec<u8>,
}

impl Follower {
    /// One over the trail in `directory`, whose state at a segment's end `resume` is. The newest `keep` snapshots
    /// stay.
    ///
    /// # Errors
    /// [`FollowError`].
    ///
    /// # Panics
    /// When `keep` is 0.
    pub fn new(directory: &Path, resume: Resume, keep: usize) -> Result<Self, FollowError> {
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

    /// Takes frames in, up to `durable`, at most `frames` of them; stops at a snapshot.
    ///
    /// # Errors
    /// [`FollowError`]; it is of no further use then.
    pub fn follow(&mut self, durable: Position, frames: usize) -> Result<Turn, FollowError> {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.take_in(&held)?;
        }
        for taken in 0..frames {
            if self.reader.position() >= durable {
                return Ok(Turn::Followed(taken));
            }
            let Some(entry) = self.reader.read_next_frame()? else { return Ok(Turn::Followed(taken)) };
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
                return Ok(Turn::Taken(taken));
            }
            let held = std::mem::take(&mut self.held);
            self.take_in(&held)?;
        }
        Ok(Turn::Followed(frames))
    }

    /// The trail is closed: takes the snapshot after its last segment, if the state is at its end.
    ///
    /// # Errors
    /// [`FollowError`].
    pub fn finish(&mut self) -> Result<Option<Taken>, FollowError> {
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

    /// Bytes of log that it has still to read.
    pub fn behind(&self, durable: Position) -> u64 {
        durable.0.saturating_sub(self.reader.position().0)
    }

    /// Data bytes of a segment.
    pub fn segment_length(&self) -> u64 {
        self.reader.segments().last().expect("a reader has a segment").header.segment_length
    }

    /// The state so far.
    pub fn resume(&self) -> &Resume {
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

    /// The state is at the end of the segment in front of `index`, whose header says what stands there.
    fn roll(&mut self, index: u64) -> Result<Option<Taken>, FollowError> {
        let of = |index: u64| {
            let found = self.reader.segments().iter().find(|segment| segment.header.index == index);
            *found.expect("the cursor is behind it")
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

    fn take(&mut self, standing: SnapshotOrigin) -> Result<Taken, FollowError> {
        let storage = self.storage.as_ref();
        let written = snapshot::write(storage, &standing, PROGRAM, &self.resume.snapshot())?;
        snapshot::prune(storage, self.reader.segments(), self.keep)?;
        Ok(Taken { standing, written })
    }
}

/// What [`take_newest`] came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Newest {
    /// The snapshot after the newest closed segment.
    pub taken: Taken,
    /// Whether it was there already, whole.
    pub was_there: bool,
    /// Events fed for it.
    pub replayed: u64,
    /// Snapshots that were passed over, and why.
    pub refused: Vec<String>,
}

/// Takes the snapshot after the newest closed segment of the trail in `directory`, which nobody writes. None where
/// no segment is closed yet. The newest `keep` snapshots stay. `progress` is told the sequence reached.
///
/// # Errors
/// [`FollowError`].
pub fn take_newest(
    directory: &Path,
    registry: &Registry,
    keep: usize,
    mut progress: impl FnMut(u64),
) -> Result<Option<Newest>, FollowError> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
    let segments = TrailReader::over(storage.clone())?.segments().to_vec();
    let last = segments.last().expect("a reader has a segment");
    let is_closed = snapshot::read_end(storage.as_ref(), last).is_ok();
    let target = if is_closed { last.header.index } else { last.header.index - 1 };
    if target < segments[0].header.index {
        return Ok(None);
    }
    let (loaded, refused) = load_any(storage.as_ref(), &segments, registry, Preference::Newest)?;
    let resume = match loaded {
        Some(Loaded { standing, written, .. }) if standing.segment == target => {
            let taken = Taken { standing, written };
            return Ok(Some(Newest { taken, was_there: true, replayed: 0, refused }));
        }
        Some(loaded) => loaded.resume,
        None => Resume::new(registry.clone()),
    };
    let before = resume.events();
    let mut follower = Follower::new(directory, resume, keep)?;
    follower.from = target;
    loop {
        let taken = match follower.follow(Position(u64::MAX), FRAMES_PER_STEP)? {
            Turn::Taken(taken) => Some(taken),
            Turn::Followed(FRAMES_PER_STEP) => None,
            Turn::Followed(_) => match follower.finish()? {
                Some(taken) => Some(taken),
                None => return Ok(None),
            },
        };
        progress(follower.resume.last_sequence());
        if let Some(taken) = taken {
            let replayed = follower.resume.events() - before;
            return Ok(Some(Newest { taken, was_there: false, replayed, refused }));
        }
    }
}

/// Frames between two words of progress.
const FRAMES_PER_STEP: usize = 1 << 16;
