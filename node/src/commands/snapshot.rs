//! `stele snapshot`: saves the state after the last closed segment of a stopped trail. The next run starts
//! from it, and the segments before it may expire.

use crate::cli::ActArgs;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::readable::grouped;
use serde::Serialize;
use stele_bus::{Clock as _, UtcClock};
use stele_journal::snapshot::snapshot_name;
use stele_journal::{LockError, WriterLock};
use stele_replay::follower::{FollowError, NewestSnapshot, take_newest};
use stele_strategies::Registry;

/// The number of snapshots to keep, the default of a run.
const KEEP: usize = 2;

#[derive(Serialize)]
struct Outcome {
    file: String,
    was_there: bool,
    segment: u64,
    sequence: u64,
    bytes: u64,
    sha256: String,
    replayed: u64,
    passed_over: Vec<String>,
}

/// Takes the snapshot, unless it exists already, and prints what it holds.
///
/// # Errors
/// [`Failure`]: environment if a process is writing to the trail or no segment is closed; not so if the
/// strategies do not reproduce the trail.
pub(crate) fn snapshot(args: &ActArgs, strategies: &Registry) -> Result<(), Failure> {
    super::open_trail(&args.trail)?;
    let dir = &args.trail;
    let _lock = WriterLock::take(dir, UtcClock::new().now()).map_err(|error| match error {
        LockError::Held(owner) => {
            Failure::environment(format!("{} is being written by another process ({owner})", dir.display()))
                .help("a run takes snapshots itself; see [snapshots] in the output of `stele config`")
        }
        LockError::Io(error) => Failure::environment(format!("cannot lock {}: {error}", dir.display())),
    })?;
    let progress = Progress::new("replaying", "events", None);
    let newest = take_newest(dir, strategies, KEEP, |sequence| progress.set(sequence));
    drop(progress);
    let newest = newest.map_err(|error| match error {
        FollowError::Resume(error) => {
            Failure::not_so(error).help("`stele verify` and `stele check-strategy` show details")
        }
        FollowError::Snapshot(error) => Failure::environment(error),
    })?;
    let newest = newest.ok_or_else(|| {
        Failure::environment(format!("{} has no closed segment yet", dir.display()))
            .help("its only segment was cut short; `stele run` on this trail recovers and closes it")
    })?;
    let outcome = Outcome::new(args, newest);
    if args.output.json { super::print_json(&outcome) } else { super::print_page(&outcome.page()) }
}

impl Outcome {
    fn new(args: &ActArgs, newest: NewestSnapshot) -> Self {
        let NewestSnapshot { taken, was_there, replayed, refused } = newest;
        Self {
            file: args.trail.join(snapshot_name(taken.standing.segment)).display().to_string(),
            was_there,
            segment: taken.standing.segment,
            sequence: taken.standing.last_sequence.0,
            bytes: taken.written.length,
            sha256: taken.written.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            replayed,
            passed_over: refused,
        }
    }

    fn page(&self) -> String {
        let mut page = String::new();
        self.passed_over.iter().for_each(|why| page += &format!("skipped: {why}\n"));
        let how = if self.was_there {
            "already exists, intact".into()
        } else {
            format!("saved after replaying {} events", grouped(self.replayed))
        };
        page += &format!("{}: {how}\n", self.file);
        page += &format!(
            "  state after sequence {}, {} bytes, SHA-256 {}\n",
            grouped(self.sequence),
            grouped(self.bytes),
            self.sha256
        );
        page += &format!("  the next run starts from it; segments up to {} may expire\n", self.segment);
        page
    }
}
