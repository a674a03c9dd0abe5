//! The background thread that takes snapshots, and what the main thread sees of it.
//!
//! It follows the trail on disk like any other reader and never speaks to the hot threads: what it took is handed to
//! the main thread, which puts it on the log.

use crate::failure::Failure;
use crate::layout::Background;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::counters::table;
use stele_bus::{
    Agent, AgentError, Clock as _, Core, CoreOptions, Counter, Counters, Idle, LogRing, Place, UtcClock,
};
use stele_journal::WriterLock;
use stele_replay::TrailState;
use stele_replay::follower::{FollowError, FollowProgress, Follower, TakenSnapshot};

/// What the snapshots of a run are made with.
pub(crate) struct Plan {
    pub(crate) directory: PathBuf,
    /// The state at the end of what the trail has.
    pub(crate) resume: TrailState,
    /// Snapshots that stay.
    pub(crate) keep: usize,
}

/// The agent: made where everything is composed, run on a thread of its own.
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
    /// The trail is closed: what is left of it is to be followed to its end.
    is_closed: AtomicBool,
    is_done: AtomicBool,
}

/// The running thread.
pub(crate) struct Snapshots {
    core: Core,
    status: Arc<Status>,
    directory: PathBuf,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct SnapshotOutcome {
    /// Snapshots that are not on the log yet, oldest first.
    pub(crate) taken: Vec<TakenSnapshot>,
    /// Why it ended before the trail did.
    pub(crate) failure: Option<String>,
}

/// Bytes of log that it lets gather before it reads: as many as a reader asks the disk for at once.
const STEP: u64 = stele_journal::bounds::READ_LENGTH as u64;
/// Frames of a turn on a CPU of its own.
const FRAMES: usize = 4096;
/// Frames of a turn on a CPU that a hot thread has: some 20 µs, then it sleeps.
const FRAMES_SHARED: usize = 64;
/// What it sleeps between turns.
const REST: Duration = Duration::from_millis(1);
/// The least of the kernel's weights for an ordinary thread.
const NICE: i32 = 19;

impl SnapshotAgent {
    pub(crate) fn new(plan: Plan, ring: LogRing, counters: &Counters, shard: u16) -> Result<Self, Failure> {
        let follower = Follower::new(&plan.directory, plan.resume, plan.keep);
        let follower = follower.map_err(Failure::environment)?;
        let register =
            |definition| counters.register(definition, Place::shard(shard)).map_err(Failure::environment);
        let (behind, taken) = (register(table::SEGMENTS_BEHIND)?, register(table::SNAPSHOTS)?);
        let (status, directory, place) = (Arc::default(), plan.directory, Background::default());
        Ok(Self { follower: Some(follower), ring, behind, taken, status, directory, place })
    }

    /// Starts the thread in this place.
    pub(crate) fn spawn(mut self, place: Background) -> Result<Snapshots, Failure> {
        self.place = place;
        let (status, directory) = (self.status.clone(), self.directory.clone());
        let options = CoreOptions { name: "snapshots".into(), cpu: None, idle: Idle::Park(REST) };
        let core = Core::spawn(options, vec![Box::new(self)]).map_err(Failure::environment)?;
        Ok(Snapshots { core, status, directory })
    }

    fn turn(&mut self, follower: &mut Follower) -> Result<usize, FollowError> {
        let is_closed = self.status.is_closed.load(Ordering::Acquire);
        let durable = self.ring.watermarks().durable();
        let behind = follower.lag(durable);
        self.behind.set(behind / follower.segment_length());
        if is_closed && behind == 0 {
            self.tell(follower.finish()?);
            self.status.is_done.store(true, Ordering::Release);
            return Ok(0);
        }
        if !is_closed && behind < STEP {
            return Ok(0);
        }
        let is_shared = self.place.is_shared && !is_closed;
        match follower.follow(durable, if is_shared { FRAMES_SHARED } else { FRAMES })? {
            FollowProgress::Snapshot(taken) => self.tell(Some(taken)),
            FollowProgress::Followed(count) if !is_shared => return Ok(count),
            FollowProgress::Followed(_) => {}
        }
        // No work as far as the core knows: it sleeps, and the hot thread has its CPU back.
        Ok(0)
    }

    fn tell(&mut self, taken: Option<TakenSnapshot>) {
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
            // The run goes on without it.
            Err(error) => {
                let _ = self.status.failure.set(error.to_string());
                self.status.is_done.store(true, Ordering::Release);
                Ok(0)
            }
        }
    }
}

impl Snapshots {
    /// Snapshots taken since this was last asked, oldest first.
    pub(crate) fn taken(&self) -> Vec<TakenSnapshot> {
        std::mem::take(&mut self.status.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The trail is closed: lets the thread come to its end, for at most `limit`, and ends it. Nobody else may begin
    /// to write the trail meanwhile; where somebody has, nothing more is taken.
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
