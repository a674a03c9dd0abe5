//! Reads a trail into the state that a new session continues from: the newest snapshot, then the events
//! after it.
//!
//! Runs on the caller's thread, before any hot thread exists. A snapshot is skipped when it is damaged,
//! belongs to another trail, cannot be loaded by this program, or contradicts the events after it. Then the
//! next older one is tried, and finally the whole trail is read.

use crate::resume::{ResumeError, ResumedSession, TrailState};
use std::path::Path;
use std::sync::Arc;
use stele_journal::snapshot::{self, Snapshot, SnapshotDigest, SnapshotOrigin};
use stele_journal::{Directory, Segment, Storage, TrailReader};
use stele_strategies::registry::Registry;
use stele_wire::Frame;
use stele_wire::messages::SnapshotTaken;
use stele_wire::units::Sequence;

/// The number of events between two reports of progress.
pub const PROGRESS_INTERVAL: u64 = 1 << 16;

/// The state of a trail, and how it was read.
pub struct RecalledState {
    /// The state after the trail's last event.
    pub resume: TrailState,
    /// The snapshot that was used; none when the whole trail was read.
    pub snapshot: Option<UsedSnapshot>,
    /// The number of events read: those after the snapshot, or all.
    pub replayed: u64,
    /// Newer snapshots that were not used, and why.
    pub refused: Vec<String>,
}

/// A snapshot that a state was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsedSnapshot {
    /// The place in the trail that it follows from.
    pub standing: SnapshotOrigin,
    /// Its length and hash.
    pub written: SnapshotDigest,
    /// Whether the log has its hash.
    pub is_logged: bool,
}

/// Which snapshot is tried first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotPreference {
    /// The newest: the fewest events follow it.
    Newest,
    /// The oldest: the most events follow it.
    Oldest,
}

/// A state that was loaded from a snapshot.
pub(crate) struct Loaded {
    pub(crate) resume: TrailState,
    pub(crate) standing: SnapshotOrigin,
    pub(crate) written: SnapshotDigest,
}

/// Reads the trail in `directory` to its end, from its newest snapshot on. Calls `progress` with the
/// current sequence every [`PROGRESS_INTERVAL`] events.
///
/// # Errors
/// [`ResumeError`].
pub fn recall(
    directory: &Path,
    registry: Registry,
    mut progress: impl FnMut(u64),
) -> Result<RecalledState, ResumeError> {
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
                return Ok(RecalledState { resume, snapshot: Some(used), replayed, refused });
            }
            Err(Tail::Refused(why)) => {
                refused.push(format!("{}: {why}", file(storage.as_ref(), standing.segment)));
            }
            Err(Tail::Failed(error)) => return Err(error),
        }
    }
    begin(&segments, &refused)?;
    let mut resume = TrailState::new(registry);
    let mut reader = TrailReader::over(storage)?;
    while let Some(entry) = reader.read_next()? {
        resume.on_event(&entry.frame)?;
        if resume.events().is_multiple_of(PROGRESS_INTERVAL) {
            progress(entry.frame.sequence().0);
        }
    }
    let replayed = resume.events();
    Ok(RecalledState { resume, snapshot: None, replayed, refused })
}

/// Like [`recall`], but returns only what a new session needs.
///
/// # Errors
/// [`ResumeError`].
pub fn resume(
    directory: &Path,
    registry: Registry,
    progress: impl FnMut(u64),
) -> Result<ResumedSession, ResumeError> {
    Ok(recall(directory, registry, progress)?.resume.finish())
}

/// Returns the first snapshot by `preference` that this program can load, and why those before it cannot be
/// loaded. Returns none when the trail is complete and no snapshot can be used.
///
/// # Errors
/// [`ResumeError::NoBeginning`] when no snapshot can be used and the trail's beginning has expired.
pub(crate) fn load_any(
    storage: &dyn Storage,
    segments: &[Segment],
    registry: &Registry,
    preference: SnapshotPreference,
) -> Result<(Option<Loaded>, Vec<String>), ResumeError> {
    let mut shelf = snapshot::list(storage)?;
    if preference == SnapshotPreference::Newest {
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

/// Checks that the trail can be read from its first event.
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
    let resume = TrailState::restore(registry.clone(), |name| snapshot.section(name))
        .map_err(|error| format!("{} (written by {}): {error}", file(storage, index), snapshot.program))?;
    let (standing, written) = (snapshot.origin, snapshot.digest);
    if (resume.last_sequence(), resume.last_timestamp())
        != (standing.last_sequence.0, standing.last_timestamp.0)
    {
        return Err(format!(
            "{}: its states end at sequence {}, its header has {}",
            file(storage, index),
            resume.last_sequence(),
            standing.last_sequence
        ));
    }
    Ok(Loaded { resume, standing, written })
}

/// Why the trail was not read from a snapshot to its end.
enum Tail {
    /// The snapshot cannot be used; an older one may do.
    Refused(String),
    /// The trail itself cannot be read.
    Failed(ResumeError),
}

fn read_tail(
    storage: &Arc<dyn Storage>,
    segments: &[Segment],
    loaded: Loaded,
    progress: &mut dyn FnMut(u64),
) -> Result<(UsedSnapshot, TrailState, u64), Tail> {
    let Loaded { mut resume, standing, written } = loaded;
    let mut record = Record::new(&standing, &written);
    let before = resume.events();
    // When no segment follows the snapshot's own, nothing is left to read: loading it already read that
    // segment to check the place.
    if segments.last().is_some_and(|last| last.header.index > standing.segment) {
        let failed = |error| Tail::Failed(ResumeError::Trail(error));
        let mut reader = TrailReader::over(storage.clone()).map_err(failed)?;
        reader.seek(standing.last_sequence.next()).map_err(failed)?;
        while let Some(entry) = reader.read_next().map_err(failed)? {
            record.on_event(&entry.frame);
            resume.on_event(&entry.frame).map_err(|error| match error {
                ResumeError::Difference(difference) => Tail::Refused(format!(
                    "the strategies do not send what the events after it have: {difference}"
                )),
                error => Tail::Failed(error),
            })?;
            if resume.events().is_multiple_of(PROGRESS_INTERVAL) {
                progress(entry.frame.sequence().0);
            }
        }
    }
    let is_logged = record.finish().map_err(Tail::Refused)?;
    let replayed = resume.events() - before;
    Ok((UsedSnapshot { standing, written, is_logged }, resume, replayed))
}

/// What the log has about a snapshot.
struct Record {
    sequence: Sequence,
    hash: [u8; 32],
    is_named: bool,
    is_logged: bool,
}

impl Record {
    fn new(standing: &SnapshotOrigin, written: &SnapshotDigest) -> Self {
        Self { sequence: standing.last_sequence, hash: written.hash, is_named: false, is_logged: false }
    }

    fn on_event(&mut self, event: &Frame<'_>) {
        let Some(taken) = event.message::<SnapshotTaken>() else { return };
        if taken.snapshot_sequence.get() == self.sequence.0 {
            self.is_named = true;
            self.is_logged |= taken.hash == self.hash;
        }
    }

    /// Returns whether the log has the snapshot's hash.
    fn finish(self) -> Result<bool, String> {
        if self.is_named && !self.is_logged {
            return Err(format!("the log has another hash for the snapshot at sequence {}", self.sequence));
        }
        Ok(self.is_logged)
    }
}

fn file(storage: &dyn Storage, index: u64) -> String {
    storage.describe(&snapshot::snapshot_name(index))
}
