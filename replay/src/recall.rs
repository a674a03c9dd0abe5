//! A trail read into the state that a new session goes on from: the newest snapshot, then the events behind it.
//!
//! Runs on the caller's thread, before any hot thread is there. A snapshot that is damaged, of another trail, not
//! this program's to load, or at odds with the events behind it is passed over: the next older one serves, and in
//! the end the whole trail.

use crate::resume::{Resume, ResumeError, Resumed};
use std::path::Path;
use std::sync::Arc;
use stele_journal::snapshot::{self, Snapshot, SnapshotDigest, SnapshotOrigin};
use stele_journal::{Directory, Segment, Storage, TrailReader};
use stele_strategies::registry::Registry;
use stele_wire::Frame;
use stele_wire::messages::SnapshotTaken;
use stele_wire::units::Sequence;

/// How often progress is reported, in events.
pub const PROGRESS_INTERVAL: u64 = 1 << 16;

/// A trail's state, and how it came about.
pub struct Recalled {
    /// The state after the trail's last event.
    pub resume: Resume,
    /// The snapshot that it began with; none where the whole trail was read.
    pub snapshot: Option<UsedSnapshot>,
    /// Events fed: those behind the snapshot, or all.
    pub replayed: u64,
    /// Newer snapshots that were not used, and why.
    pub refused: Vec<String>,
}

/// A snapshot that a state began with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsedSnapshot {
    /// What it follows from.
    pub standing: SnapshotOrigin,
    /// Its length and hash.
    pub written: SnapshotDigest,
    /// Whether its hash is on the log.
    pub is_told: bool,
}

/// Which of several snapshots is tried first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preference {
    /// The one with the fewest events behind it.
    Newest,
    /// The one with the most.
    Oldest,
}

/// A state to begin with, loaded from a snapshot.
pub(crate) struct Loaded {
    pub(crate) resume: Resume,
    pub(crate) standing: SnapshotOrigin,
    pub(crate) written: SnapshotDigest,
}

/// Reads the trail in `directory` to its end, from its newest snapshot on. `progress` is told the sequence reached
/// every [`PROGRESS_INTERVAL`] events.
///
/// # Errors
/// [`ResumeError`].
pub fn recall(
    directory: &Path,
    registry: Registry,
    mut progress: impl FnMut(u64),
) -> Result<Recalled, ResumeError> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
    let segments = TrailReader::over(storage.clone())?.segments().to_vec();
    let mut refused = Vec::new();
    let mut shelf = snapshot::list(storage.as_ref())?;
    while let Some(index) = shelf.pop() {
        let loaded = match load(storage.as_ref(), &segments, index, &registry) {
            Ok(loaded) => loaded,
            Err(why) => {
                refused.push(why);
                continue;
            }
        };
        let standing = loaded.standing;
        match read_tail(&storage, &segments, loaded, &mut progress) {
            Ok((used, resume, replayed)) => {
                return Ok(Recalled { resume, snapshot: Some(used), replayed, refused });
            }
            Err(Tail::Refused(why)) => {
                refused.push(format!("{}: {why}", file(storage.as_ref(), standing.segment)));
            }
            Err(Tail::Failed(error)) => return Err(error),
        }
    }
    begin(&segments, &refused)?;
    let mut resume = Resume::new(registry);
    let mut reader = TrailReader::over(storage)?;
    while let Some(entry) = reader.read_next()? {
        resume.on_event(&entry.frame)?;
        if resume.events().is_multiple_of(PROGRESS_INTERVAL) {
            progress(entry.frame.sequence().0);
        }
    }
    let replayed = resume.events();
    Ok(Recalled { resume, snapshot: None, replayed, refused })
}

/// As [`recall`], for what a session needs and nothing else.
///
/// # Errors
/// [`ResumeError`].
pub fn resume(
    directory: &Path,
    registry: Registry,
    progress: impl FnMut(u64),
) -> Result<Resumed, ResumeError> {
    Ok(recall(directory, registry, progress)?.resume.finish())
}

/// The first snapshot by `preference` that this program can load, and why those before it cannot be; none where the
/// trail has none and is whole.
///
/// # Errors
/// [`ResumeError::NoBeginning`] where there is none and the trail's beginning has expired.
pub(crate) fn load_any(
    storage: &dyn Storage,
    segments: &[Segment],
    registry: &Registry,
    preference: Preference,
) -> Result<(Option<Loaded>, Vec<String>), ResumeError> {
    let mut shelf = snapshot::list(storage)?;
    if preference == Preference::Newest {
        shelf.reverse();
    }
    let mut refused = Vec::new();
    for index in shelf {
        match load(storage, segments, index, registry) {
            Ok(loaded) => return Ok((Some(loaded), refused)),
            Err(why) => refused.push(why),
        }
    }
    begin(segments, &refused)?;
    Ok((None, refused))
}

/// Whether the trail can be read from its first event.
fn begin(segments: &[Segment], refused: &[String]) -> Result<(), ResumeError> {
    match segments.first().map(|first| first.header) {
        Some(first) if first.index > 1 => Err(ResumeError::NoBeginning {
            segment: first.index,
            sequence: first.base_sequence.0,
            refused: refused.to_vec(),
        }),
        _ => Ok(()),
    }
}

fn load(
    storage: &dyn Storage,
    segments: &[Segment],
    index: u64,
    registry: &Registry,
) -> Result<Loaded, String> {
    let snapshot: Snapshot =
        snapshot::read(storage, segments, index).map_err(|refusal| refusal.to_string())?;
    let resume = Resume::restore(registry.clone(), |name| snapshot.section(name))
        .map_err(|error| format!("{} (written by {}): {error}", file(storage, index), snapshot.program))?;
    let (standing, written) = (snapshot.origin, snapshot.digest);
    if (resume.last_sequence(), resume.last_timestamp())
        != (standing.last_sequence.0, standing.last_timestamp.0)
    {
        return Err(format!(
            "{}: its states end at sequence {}, its head says {}",
            file(storage, index),
            resume.last_sequence(),
            standing.last_sequence
        ));
    }
    Ok(Loaded { resume, standing, written })
}

/// Why a snapshot was not gone on from.
enum Tail {
    /// It is of no use; an older one may be.
    Refused(String),
    /// No other would do better.
    Failed(ResumeError),
}

fn read_tail(
    storage: &Arc<dyn Storage>,
    segments: &[Segment],
    loaded: Loaded,
    progress: &mut dyn FnMut(u64),
) -> Result<(UsedSnapshot, Resume, u64), Tail> {
    let Loaded { mut resume, standing, written } = loaded;
    let mut record = Record::new(&standing, &written);
    let before = resume.events();
    // Where nothing stands behind it, its own segment was read already, to see that it is the one.
    if segments.last().is_some_and(|last| last.header.index > standing.segment) {
        let failed = |error| Tail::Failed(ResumeError::Trail(error));
        let mut reader = TrailReader::over(storage.clone()).map_err(failed)?;
        reader.seek(standing.last_sequence.next()).map_err(failed)?;
        while let Some(entry) = reader.read_next().map_err(failed)? {
            record.on_event(&entry.frame);
            resume.on_event(&entry.frame).map_err(|error| match error {
                ResumeError::Difference(difference) => Tail::Refused(format!(
                    "its strategies do not send what the events behind it have: {difference}"
                )),
                error => Tail::Failed(error),
            })?;
            if resume.events().is_multiple_of(PROGRESS_INTERVAL) {
                progress(entry.frame.sequence().0);
            }
        }
    }
    let is_told = record.finish().map_err(Tail::Refused)?;
    let replayed = resume.events() - before;
    Ok((UsedSnapshot { standing, written, is_told }, resume, replayed))
}

/// What the log says of a snapshot.
struct Record {
    sequence: Sequence,
    hash: [u8; 32],
    is_named: bool,
    is_told: bool,
}

impl Record {
    fn new(standing: &SnapshotOrigin, written: &SnapshotDigest) -> Self {
        Self { sequence: standing.last_sequence, hash: written.hash, is_named: false, is_told: false }
    }

    fn on_event(&mut self, event: &Frame<'_>) {
        let Some(taken) = event.message::<SnapshotTaken>() else { return };
        if taken.snapshot_sequence.get() == self.sequence.0 {
            self.is_named = true;
            self.is_told |= taken.hash == self.hash;
        }
    }

    /// Whether the log has the snapshot's hash.
    fn finish(self) -> Result<bool, String> {
        if self.is_named && !self.is_told {
            return Err(format!("the log has another hash for the snapshot at sequence {}", self.sequence));
        }
        Ok(self.is_told)
    }
}

fn file(storage: &dyn Storage, index: u64) -> String {
    storage.describe(&snapshot::snapshot_name(index))
}
