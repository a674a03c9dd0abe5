//! What a trail that is there already leaves to the session that goes on over it.

use crate::failure::Failure;
use crate::progress::Progress;
use crate::readable::grouped;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::{Clock as _, UtcClock};
use stele_journal::{LockError, TrailReader, WriterLock};
use stele_replay::Definitions;
use stele_replay::recall::{RecalledState, UsedSnapshot, recall};
use stele_replay::resume::{ResumedSession, TrailState};
use stele_strategies::Registry;

/// What an existing trail leaves to the new epoch.
#[derive(Default)]
pub(super) struct Past {
    pub(super) resumed: Option<ResumedSession>,
    /// The same state once more, for the thread that follows the trail.
    resume: Option<TrailState>,
    /// The snapshot that the state began with.
    pub(super) snapshot: Option<UsedSnapshot>,
    pub(super) notices: Vec<String>,
}

impl Past {
    /// Reads the trail in `dir`, if there is one and nobody writes it.
    pub(super) fn read(dir: &Path, registry: &Registry) -> Result<Self, Failure> {
        // What is wrong with a trail is the journal's to say when it opens it.
        if TrailReader::open(dir).is_err() {
            return Ok(Self::default());
        }
        let _lock = WriterLock::take(dir, UtcClock::new().now()).map_err(|error| match error {
            LockError::Held(owner) => Failure::environment(format!(
                "{} is being written by another process ({owner})",
                dir.display()
            ))
            .help("stop that process, or choose another directory"),
            LockError::Io(error) => Failure::environment(format!("cannot lock {}: {error}", dir.display())),
        })?;
        let progress = Progress::new("resuming", "events", None);
        let since = Instant::now();
        let recalled = recall(dir, registry.clone(), |sequence| progress.set(sequence)).map_err(|error| {
            Failure::not_so(error).help(
                "`stele verify` and `stele check-strategy` say more; run the program that wrote the trail, or \
                 choose another directory",
            )
        })?;
        let notices = notices_of(&recalled, since.elapsed());
        let RecalledState { resume, snapshot, .. } = recalled;
        let again = resume.fork(registry.clone()).ok();
        Ok(Self { resumed: Some(resume.finish()), resume: again, snapshot, notices })
    }

    pub(super) fn known(&self) -> Option<&Definitions> {
        self.resumed.as_ref().map(|resumed| &resumed.known)
    }

    /// The state that the thread for snapshots begins with.
    pub(super) fn follow(&mut self, registry: &Registry) -> Result<TrailState, Failure> {
        match (self.resume.take(), &self.resumed) {
            (Some(resume), _) => Ok(resume),
            (None, None) => Ok(TrailState::new(registry.clone())),
            (None, Some(_)) => {
                Err(Failure::environment("a strategy does not take the state that it told itself")
                    .help("set [snapshots] every = \"never\", and report it"))
            }
        }
    }
}

/// How the trail was read, for a person.
fn notices_of(recalled: &RecalledState, elapsed: Duration) -> Vec<String> {
    let refused = recalled.refused.iter().map(|why| format!("a snapshot is passed over: {why}"));
    let (replayed, seconds) = (grouped(recalled.replayed), elapsed.as_secs_f64());
    let how = match &recalled.snapshot {
        Some(UsedSnapshot { standing, .. }) => format!(
            "goes on from the snapshot after segment {} (sequence {}): {replayed} events behind it replayed, {seconds:.2} s",
            standing.segment, standing.last_sequence
        ),
        None => format!("goes on from the whole trail: {replayed} events replayed, {seconds:.2} s"),
    };
    refused.chain([how]).collect()
}
