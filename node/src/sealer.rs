//! The background thread that seals the trails of a run, one thread for all shards, and its status for the
//! main thread.
//!
//! It reads each trail from the disk, as any other reader does, and exchanges nothing with the hot threads;
//! it advances the watermark `sealed`. If it cannot seal, the run continues: durable events can be sealed
//! later, and nothing waits for a seal. A failure that may be temporary is retried; a contradiction between
//! what was signed and what is on the trail ends the sealing of that shard.

use crate::failure::Failure;
use crate::layout::Background;
use crate::witnesses::WitnessPlan;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::counters::table;
use stele_bus::{
    Agent, AgentError, Clock as _, Core, CoreOptions, Counter, CounterError, CounterLabels, Counters,
    IdleStrategy, SealMark, UtcClock,
};
use stele_compliance::seal::live::LiveSealer;
use stele_compliance::seal::tiles::SEALS_FOLDER;
use stele_compliance::seal::{SealPolicy, Signer};
use stele_journal::{Directory, LockError, WriterLock};
use stele_wire::{Nanos, Sequence};

/// How the checkpoints of a run are made, and who cosigns them.
#[derive(Clone)]
pub(crate) struct SealPlan {
    pub(crate) signer: Signer,
    pub(crate) policy: SealPolicy,
    pub(crate) witnesses: Vec<WitnessPlan>,
}

/// The sealing agent of one shard: created where the topology is composed, run on the thread that all of them
/// share.
pub(crate) struct SealerAgent {
    live: LiveSealer,
    seals: PathBuf,
    /// The lock against other sealers, taken in the first duty cycle.
    lock: Option<WriterLock>,
    mark: SealMark,
    counters: SealCounters,
    clock: UtcClock,
    retry: Nanos,
    status: Arc<Status>,
    place: Background,
}

struct SealCounters {
    events: Counter,
    checkpoints: Counter,
    failures: Counter,
}

/// The status of one shard, shared by the sealer's thread and the main thread.
#[derive(Default)]
struct Status {
    events: AtomicU64,
    checkpoints: AtomicU64,
    /// Duty cycles that did any work.
    moves: AtomicU64,
    /// The last failure, until a duty cycle succeeds.
    failure: Mutex<Option<String>>,
    /// The log has ended: the rest of it is to be sealed.
    is_ended: AtomicBool,
    is_done: AtomicBool,
}

/// The running thread.
pub(crate) struct Seals {
    core: Core,
    shards: Vec<Arc<Status>>,
}

/// How far a shard was sealed.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SealOutcome {
    /// Events that the newest checkpoint covers.
    pub(crate) sealed: u64,
    /// Checkpoints that the run signed.
    pub(crate) checkpoints: u64,
    /// Why the log is not sealed to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// Frames in a duty cycle on a CPU without hot threads.
const FRAMES: usize = 4096;
/// Frames in a duty cycle on the CPU of a hot thread: about 50 µs, then it sleeps.
const FRAMES_SHARED: usize = 128;
/// How long it sleeps between duty cycles.
const REST: Duration = Duration::from_millis(1);
/// A lower priority than the hot threads', a higher one than the snapshot thread's: unsealed events are
/// unprotected.
const NICE: i32 = 10;
/// The time until a failure is retried.
const RETRY: Nanos = Nanos(1_000_000_000);
/// How long the end of a run waits for a sealer that makes no progress.
const STUCK: Duration = Duration::from_secs(30);

impl SealerAgent {
    /// Returns the agent for the trail in `directory`, whose last event is `last`.
    pub(crate) fn new(
        plan: SealPlan,
        directory: PathBuf,
        last: Sequence,
        mark: SealMark,
        counters: &Counters,
        shard: u16,
    ) -> Result<Self, Failure> {
        let storage = Arc::new(Directory::new(&directory));
        Ok(Self {
            live: LiveSealer::new(storage, plan.signer, plan.policy, last),
            seals: directory.join(SEALS_FOLDER),
            lock: None,
            mark,
            counters: SealCounters::register(counters, shard).map_err(Failure::environment)?,
            clock: UtcClock::new(),
            retry: Nanos(0),
            status: Arc::default(),
            place: Background::default(),
        })
    }

    fn turn(&mut self, now: Nanos) -> Result<usize, (String, bool)> {
        if self.lock.is_none() {
            self.lock = Some(lock(&self.seals, now).map_err(|what| (what, false))?);
        }
        // Read before the watermark, which then covers everything that was written before the end.
        let is_ended = self.status.is_ended.load(Ordering::Acquire);
        let durable = self.mark.ring().watermarks().durable();
        let is_shared = self.place.is_shared && !is_ended;
        let frames = if is_shared { FRAMES_SHARED } else { FRAMES };
        let taken = self.live.turn(durable, is_ended, frames, now);
        let taken = taken.map_err(|error| (error.to_string(), error.is_final()))?;
        if is_ended && self.live.is_through(durable) {
            self.status.is_done.store(true, Ordering::Release);
        }
        // It reports no work, so that the core sleeps and the hot thread gets its CPU back.
        Ok(if is_shared { 0 } else { taken })
    }

    fn show(&mut self, has_moved: bool) {
        let sealed = self.live.sealed();
        // The watermark does not move while sealing has not reached the epoch's first event.
        let end = sealed.end.max(self.mark.ring().watermarks().sealed());
        self.mark.advance_sealed(end);
        self.counters.events.set(sealed.events);
        self.counters.checkpoints.set(sealed.checkpoints);
        self.status.events.store(sealed.events, Ordering::Release);
        self.status.checkpoints.store(sealed.checkpoints, Ordering::Release);
        self.status.moves.fetch_add(u64::from(has_moved), Ordering::Release);
    }
}

impl SealCounters {
    fn register(counters: &Counters, shard: u16) -> Result<Self, CounterError> {
        let register = |definition| counters.register(definition, CounterLabels::shard(shard));
        Ok(Self {
            events: register(table::SEALED_EVENTS)?,
            checkpoints: register(table::CHECKPOINTS)?,
            failures: register(table::SEAL_FAILURES)?,
        })
    }
}

/// Takes the lock against other sealers.
fn lock(seals: &std::path::Path, now: Nanos) -> Result<WriterLock, String> {
    let locked = Directory::new(seals).create().map_err(LockError::Io);
    locked.and_then(|()| WriterLock::take(seals, now)).map_err(|error| match error {
        LockError::Held(owner) => {
            format!("another sealer ({owner}) is writing to {}", seals.display())
        }
        LockError::Io(error) => format!("cannot lock {}: {error}", seals.display()),
    })
}

impl Agent for SealerAgent {
    fn name(&self) -> &str {
        "sealer"
    }

    fn on_start(&mut self) -> Result<(), AgentError> {
        self.place.enter(NICE)
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let now = self.clock.now();
        if self.status.is_done.load(Ordering::Relaxed) || now < self.retry {
            return Ok(0);
        }
        let before = self.live.sealed();
        let turn = self.turn(now);
        let has_moved = matches!(turn, Ok(taken) if taken > 0) || self.live.sealed() != before;
        self.show(has_moved);
        let (work, failure) = match turn {
            Ok(work) => (work, None),
            Err((what, is_final)) => {
                self.counters.failures.add(1);
                self.retry = Nanos(now.0 + RETRY.0);
                self.status.is_done.store(is_final, Ordering::Release);
                (0, Some(what))
            }
        };
        *self.status.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        Ok(work)
    }
}

impl Seals {
    /// Starts the thread on the CPUs of `place`, with the sealers of all shards.
    pub(crate) fn spawn(sealers: Vec<SealerAgent>, place: &Background) -> Result<Self, Failure> {
        let shards = sealers.iter().map(|sealer| sealer.status.clone()).collect();
        let agents = sealers.into_iter().map(|mut sealer| {
            sealer.place = place.clone();
            Box::new(sealer) as Box<dyn Agent>
        });
        let options = CoreOptions { name: "sealer".into(), cpu: None, idle: IdleStrategy::Park(REST) };
        let core = Core::spawn(options, agents.collect()).map_err(Failure::environment)?;
        Ok(Self { core, shards })
    }

    /// Seals the logs to their ends after they have ended, as long as that makes progress, and returns the
    /// outcome of each shard.
    pub(crate) fn close(self) -> Vec<SealOutcome> {
        self.shards.iter().for_each(|shard| shard.is_ended.store(true, Ordering::Release));
        let moves = || self.shards.iter().map(|shard| shard.moves.load(Ordering::Acquire)).sum::<u64>();
        let is_done = |shard: &Arc<Status>| shard.is_done.load(Ordering::Acquire);
        let (mut seen, mut since) = (moves(), Instant::now());
        while !self.shards.iter().all(is_done) && !self.core.is_finished() && since.elapsed() < STUCK {
            sleep(REST);
            if moves() != seen {
                (seen, since) = (moves(), Instant::now());
            }
        }
        let is_through: Vec<bool> = self.shards.iter().map(is_done).collect();
        self.core.stop();
        let ended = self.core.join().err().map(|error| error.to_string());
        let outcome = |(shard, is_through): (Arc<Status>, bool)| {
            let failure = shard.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            let late = (!is_through).then(|| format!("no progress for {} s", STUCK.as_secs()));
            SealOutcome {
                sealed: shard.events.load(Ordering::Acquire),
                checkpoints: shard.checkpoints.load(Ordering::Acquire),
                failure: failure.or_else(|| ended.clone()).or(late),
            }
        };
        self.shards.into_iter().zip(is_through).map(outcome).collect()
    }
}
