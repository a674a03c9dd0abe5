//! The state that an existing trail leaves to the session that continues it.

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

/// The state at the end of an existing trail; empty where there is no trail.
#[derive(Default)]
pub(super) struct EarlierSessions {
    pub(super) resumed: Option<ResumedSession>,
    /// A copy of the state, for the thread that takes snapshots.
    resume: Option<TrailState>,
    /// The snapshot that the state was loaded from.
    pub(super) snapshot: Option<UsedSnapshot>,
    pub(super) notices: Vec<String>,
}

impl EarlierSessions {
    /// Reads the trail in `dir`, if there is one.
    ///
    /// # Errors
    /// [`Failure`]: another process is writing the trail, or the state cannot be resumed.
    pub(super) fn read(dir: &Path, registry: &Registry) -> Result<Self, Failure> {
        // Whatever is wrong with a trail, the journal reports it when it opens it.
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
                "`stele verify` and `stele check-strategy` show more; run the program that wrote the trail, or \
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

    /// Returns the state that the thread for snapshots begins with.
    ///
    /// # Errors
    /// [`Failure`]: a strategy does not accept its own state.
    pub(super) fn follow(&mut self, registry: &Registry) -> Result<TrailState, Failure> {
        match (self.resume.take(), &self.resumed) {
            (Some(resume), _) => Ok(resume),
            (None, None) => Ok(TrailState::new(registry.clone())),
            (None, Some(_)) => {
                Err(Failure::environment("a strategy does not accept the state that it saved itself")
                    .help("set [snapshots] every = \"never\", and report this defect of the strategy"))
            }
        }
    }
}

/// Returns notices about how the trail was read.
fn notices_of(recalled: &RecalledState, elapsed: Duration) -> Vec<String> {
    let refused = recalled.refused.iter().map(|why| format!("a snapshot was not used: {why}"));
    let (replayed, seconds) = (grouped(recalled.replayed), elapsed.as_secs_f64());
    let how = match &recalled.snapshot {
        Some(UsedSnapshot { standing, .. }) => format!(
            "resumed from the snapshot after segment {} (sequence {}): {replayed} later events replayed, {seconds:.2} s",
            standing.segment, standing.last_sequence
        ),
        None => format!("resumed from the whole trail: {replayed} events replayed, {seconds:.2} s"),
    };
    refused.chain([how]).collect()
}
