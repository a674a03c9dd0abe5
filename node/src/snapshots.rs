//! The background thread that takes snapshots, and its status for the main thread.
//!
//! It reads the trail from the disk, as any other reader does, and exchanges nothing with the hot threads.
//! The main thread records each snapshot on the log.

use crate::failure::Failure;
use crate::layout::Background;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::counters::table;
use stele_bus::{
    Agent, AgentError, Clock as _, Core, CoreOptions, Counter, CounterLabels, Counters, IdleStrategy,
    LogRing, UtcClock,
};
use stele_journal::WriterLock;
use stele_replay::TrailState;
use stele_replay::follower::{FollowError, FollowProgress, Follower, TakenSnapshot};

/// How the snapshots of a run are made.
pub(crate) struct SnapshotPlan {
    pub(crate) directory: PathBuf,
    /// The state at the end of the existing trail.
    pub(crate) resume: TrailState,
    /// How many of the newest snapshots are kept.
    pub(crate) keep: usize,
}

/// The agent that takes snapshots: created where the topology is composed, run on its own thread.
pub(crate) struct SnapshotAgent {
    follower: Option<Follower>,
    ring: LogRing,
    behind: Counter,
    taken: Counter,
    status: Arc<Status>,
    directory: PathBuf,
    place: Background,
}

#[derive(Default)]
struct Status {
    taken: Mutex<Vec<TakenSnapshot>>,
    failure: OnceLock<String>,
    /// The trail is closed: the rest of it is to be read to its end.
    is_closed: AtomicBool,
    is_done: AtomicBool,
}

/// The running thread.
pub(crate) struct Snapshots {
    core: Core,
    status: Arc<Status>,
    directory: PathBuf,
}

/// The result of the thread.
#[derive(Debug, Default)]
pub(crate) struct SnapshotOutcome {
    /// Snapshots that are not recorded on the log yet, the oldest first.
    pub(crate) taken: Vec<TakenSnapshot>,
    /// Why it ended before the trail did, where it did.
    pub(crate) failure: Option<String>,
}

/// Bytes of new log that it waits for before it reads: the length of one read from the disk.
const STEP: u64 = stele_journal::bounds::READ_LENGTH as u64;
/// Frames in a duty cycle on a CPU without hot threads.
const FRAMES: usize = 4096;
/// Frames in a duty cycle on the CPU of a hot thread: about 20 µs, then it sleeps.
const FRAMES_SHARED: usize = 64;
/// How long it sleeps between duty cycles.
const REST: Duration = Duration::from_millis(1);
/// The lowest priority of an ordinary thread.
const NICE: i32 = 19;

impl SnapshotAgent {
    pub(crate) fn new(
        plan: SnapshotPlan,
        ring: LogRing,
        counters: &Counters,
        shard: u16,
    ) -> Result<Self, Failure> {
        let follower = Follower::new(&plan.directory, plan.resume, plan.keep);
        let follower = follower.map_err(Failure::environment)?;
        let register = |definition| {
            counters.register(definition, CounterLabels::shard(shard)).map_err(Failure::environment)
        };
        let (behind, taken) = (register(table::SEGMENTS_BEHIND)?, register(table::SNAPSHOTS)?);
        let (status, directory, place) = (Arc::default(), plan.directory, Background::default());
        Ok(Self { follower: Some(follower), ring, behind, taken, status, directory, place })
    }

    /// Starts the thread on the CPUs of `place`.
    pub(crate) fn spawn(mut self, place: Background) -> Result<Snapshots, Failure> {
        self.place = place;
        let (status, directory) = (self.status.clone(), self.directory.clone());
        let options = CoreOptions { name: "snapshots".into(), cpu: None, idle: IdleStrategy::Park(REST) };
        let core = Core::spawn(options, vec![Box::new(self)]).map_err(Failure::environment)?;
        Ok(Snapshots { core, status, directory })
    }

    fn turn(&mut self, follower: &mut Follower) -> Result<usize, FollowError> {
        let is_closed = self.status.is_closed.load(Ordering::Acquire);
        let durable = self.ring.watermarks().durable();
        let behind = follower.lag(durable);
        self.behind.set(behind / follower.segment_length());
        if is_closed && behind == 0 {
            self.hand_over(follower.finish()?);
            self.status.is_done.store(true, Ordering::Release);
            return Ok(0);
        }
        if !is_closed && behind < STEP {
            return Ok(0);
        }
        let is_shared = self.place.is_shared && !is_closed;
        match follower.follow(durable, if is_shared { FRAMES_SHARED } else { FRAMES })? {
            FollowProgress::Snapshot(taken) => self.hand_over(Some(taken)),
            FollowProgress::Followed(count) if !is_shared => return Ok(count),
            FollowProgress::Followed(_) => {}
        }
        // It reports no work, so that the core sleeps and the hot thread gets its CPU back.
        Ok(0)
    }

    fn hand_over(&mut self, taken: Option<TakenSnapshot>) {
        self.taken.add(u64::from(taken.is_some()));
        self.status.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
    }
}

impl Agent for SnapshotAgent {
    fn name(&self) -> &str {
        "snapshots"
    }

    fn on_start(&mut self) -> Result<(), AgentError> {
        self.place.enter(NICE)
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let Some(mut follower) = self.follower.take() else { return Ok(0) };
        match self.turn(&mut follower) {
            Ok(work) => {
                self.follower = Some(follower).filter(|_| !self.status.is_done.load(Ordering::Relaxed));
                Ok(work)
            }
            // The run continues without snapshots.
            Err(error) => {
                let _ = self.status.failure.set(error.to_string());
                self.status.is_done.store(true, Ordering::Release);
                Ok(0)
            }
        }
    }
}

impl Snapshots {
    /// Returns the snapshots taken since the last call, the oldest first.
    pub(crate) fn taken(&self) -> Vec<TakenSnapshot> {
        std::mem::take(&mut self.status.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits up to `limit` until the thread has read the closed trail to its end, then ends the thread. No
    /// other process can write the trail meanwhile; if one writes it already, no further snapshot is taken.
    pub(crate) fn close(self, limit: Duration) -> SnapshotOutcome {
        let lock = WriterLock::take(&self.directory, UtcClock::new().now());
        if lock.is_ok() {
            self.status.is_closed.store(true, Ordering::Release);
            let since = Instant::now();
            while since.elapsed() < limit
                && !self.status.is_done.load(Ordering::Acquire)
                && !self.core.is_finished()
            {
                sleep(REST);
            }
        }
        let Self { core, status, .. } = self;
        core.stop();
        let ended = core.join().err().map(|error| error.to_string());
        let taken = std::mem::take(&mut *status.taken.lock().unwrap_or_else(PoisonError::into_inner));
        drop(lock);
        SnapshotOutcome { taken, failure: ended.or_else(|| status.failure.get().cloned()) }
    }
}
