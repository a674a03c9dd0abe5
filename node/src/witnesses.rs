//! The background threads that ask witnesses for their cosignatures: one thread for each witness, for all
//! shards of a run.
//!
//! They read the checkpoints that the sealer stored and nothing else, so that neither the bus nor the sealer
//! ever waits for a witness; a slow or unreachable witness delays no other. When it is reachable again, it is
//! asked for the newest checkpoint, with a consistency proof from the last one that it cosigned.

use crate::failure::Failure;
use crate::http::Client;
use crate::layout::Background;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, park_timeout, sleep};
use std::time::{Duration, Instant};
use stele_compliance::seal::VerifierKey;
use stele_compliance::witness::{ADD_CHECKPOINT, CollectOutcome, CosignatureCollector, WitnessReply};
use stele_journal::Directory;

/// A witness of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct WitnessPlan {
    /// The prefix of its submission URL.
    pub(crate) url: String,
    pub(crate) key: VerifierKey,
}

/// How far a witness has cosigned a shard.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct CosignOutcome {
    pub(crate) witness: String,
    /// Events that the newest checkpoint with its cosignature covers.
    pub(crate) cosigned: u64,
    /// Why it has not cosigned the newest checkpoint, where it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// The running threads.
pub(crate) struct Witnesses {
    threads: Vec<JoinHandle<()>>,
    is_ended: Arc<AtomicBool>,
    /// By shard, then by witness.
    status: Vec<Vec<Arc<Mutex<CosignOutcome>>>>,
}

/// The time between two checks for a new checkpoint.
const REST: Duration = Duration::from_secs(1);
/// The same when the run has ended and waits for the thread.
const REST_ENDED: Duration = Duration::from_millis(20);
/// The time until a retry after the first failure, which doubles with each further failure, and its maximum.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// How many requests are sent for one checkpoint while the witness answers with another tree size.
const ANSWERS_MAX: usize = 4;
/// How long the end of a run waits for the cosignatures of its last checkpoint.
const PATIENCE: Duration = Duration::from_secs(5);
const NICE: i32 = 10;

/// One shard in the thread of one witness.
struct CosigningShard {
    collector: CosignatureCollector,
    status: Arc<Mutex<CosignOutcome>>,
}

impl Witnesses {
    /// Starts the threads on the CPUs of `place`, for the trails of all shards.
    pub(crate) fn spawn(
        plans: &[WitnessPlan],
        trails: &[PathBuf],
        place: &Background,
    ) -> Result<Self, Failure> {
        let is_ended = Arc::new(AtomicBool::new(false));
        let writing: Vec<Arc<Mutex<()>>> = trails.iter().map(|_| Arc::default()).collect();
        let mut status: Vec<Vec<_>> = trails.iter().map(|_| Vec::new()).collect();
        let mut threads = Vec::new();
        for plan in plans {
            let mut all = Vec::new();
            for (at, trail) in trails.iter().enumerate() {
                let outcome = CosignOutcome { witness: plan.key.name().to_owned(), ..Default::default() };
                let outcome = Arc::new(Mutex::new(outcome));
                status[at].push(outcome.clone());
                let storage = Arc::new(Directory::new(trail));
                let collector = CosignatureCollector::new(plan.key.clone(), storage, writing[at].clone());
                all.push(CosigningShard { collector, status: outcome });
            }
            let (url, is_ended, place) = (plan.url.clone(), is_ended.clone(), place.clone());
            let work = move || {
                // Where it may not lower its priority it works all the same: it sleeps most of the time.
                let _ = place.enter(NICE);
                ask_all(&url, all, &is_ended);
            };
            threads.push(Builder::new().name("witness".into()).spawn(work).map_err(Failure::environment)?);
        }
        Ok(Self { threads, is_ended, status })
    }

    /// Waits a bounded time until the witnesses have cosigned the last checkpoints. Returns the outcomes of
    /// each shard, one for each witness.
    pub(crate) fn close(self) -> Vec<Vec<CosignOutcome>> {
        self.is_ended.store(true, Ordering::Release);
        self.threads.iter().for_each(|thread| thread.thread().unpark());
        let since = Instant::now();
        while !self.threads.iter().all(JoinHandle::is_finished) && since.elapsed() < PATIENCE {
            sleep(REST_ENDED);
        }
        // A thread that still waits for a response ends with the process.
        let read = |outcome: &Arc<Mutex<CosignOutcome>>| {
            outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        self.status.iter().map(|shard| shard.iter().map(read).collect()).collect()
    }
}

/// Asks until the run has ended and the witness has cosigned the last checkpoint of every shard.
fn ask_all(url: &str, mut all: Vec<CosigningShard>, is_ended: &AtomicBool) {
    let client = Client::new();
    let url = format!("{}{ADD_CHECKPOINT}", url.trim_end_matches('/'));
    let mut failures = 0;
    loop {
        // Read before the checkpoints, so that the last one is found.
        let ended = is_ended.load(Ordering::Acquire);
        let mut failure = None;
        for shard in &mut all {
            if let Err(what) = shard.turn(&client, &url) {
                failure = Some(what);
            }
        }
        if ended && failure.is_none() {
            return;
        }
        match (&failure, failures) {
            (Some(what), 0) => say(&format!("warning: witness: {what}; the run continues and asks again")),
            (None, 1..) => say(&format!("witness: {url} answers again")),
            _ => {}
        }
        failures = if failure.is_some() { failures + 1 } else { 0 };
        let [first, last] = RETRY;
        let rest = if failures > 0 { (first * (1 << (failures - 1).min(6))).min(last) } else { REST };
        park_timeout(if ended { REST_ENDED.max(first / 5) } else { rest });
    }
}

impl CosigningShard {
    /// Asks for a cosignature of the newest checkpoint, where it has none.
    fn turn(&mut self, client: &Client, url: &str) -> Result<(), String> {
        let asked = self.ask(client, url);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.failure = asked.as_ref().err().cloned();
        if let Ok(Some(size)) = asked {
            status.cosigned = size;
        }
        asked.map(|_| ())
    }

    /// Sends the requests and returns how many events the witness has cosigned; none where no checkpoint
    /// exists.
    fn ask(&mut self, client: &Client, url: &str) -> Result<Option<u64>, String> {
        for _ in 0..ANSWERS_MAX {
            let Some(request) = self.collector.request().map_err(|error| format!("{url}: {error}"))? else {
                return Ok((self.collector.known() > 0).then_some(self.collector.known()));
            };
            let (status, body) =
                client.post(url, "text/plain; charset=utf-8", request.to_string().as_bytes())?;
            let reply = WitnessReply { status, body: String::from_utf8_lossy(&body).into_owned() };
            match self.collector.on_reply(&reply).map_err(|error| format!("{url}: {error}"))? {
                CollectOutcome::Cosigned { size } => return Ok(Some(size)),
                CollectOutcome::Again => {}
            }
        }
        Err(format!("{url}: the witness answers with another tree size each time"))
    }
}

/// Prints a line on standard error, in place of the live line. A closed standard error does not stop the run.
fn say(what: &str) {
    let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    let _ = writeln!(stderr(), "{clear}{what}");
}
