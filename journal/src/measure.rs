//! Measures which flush method is the fastest: each is tried briefly on the trail's own file system, on the
//! journal's CPU, while another thread spins where the sequencer will.
//!
//! ```text
//!  journal's CPU:    one block, wait until durable, pause; then 4 × 64 KiB at once, no pause
//!  sequencer's CPU:  spins
//! ```
#![allow(unsafe_code)]

use crate::bounds::READ_LENGTH;
use crate::directory::Directory;
use crate::engine::{Completion, Engine, FlushMethod};
use crate::flight::RequestProgress;
use crate::format::UNFINISHED_EXTENSION;
use crate::pages::Pages;
use crate::pool::{MediumProperties, create};
use crate::uring::UringEngine;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stele_bus::bounds::RING_LENGTH_MIN;
use stele_bus::{LogRing, RingOptions};
use stele_wire::units::Position;

/// How long the latency of one method is measured, and how long its throughput.
const LATENCY_TIME: Duration = Duration::from_millis(60);
const THROUGHPUT_TIME: Duration = Duration::from_millis(20);
/// Time between two single writes: the low rate.
const INTERVAL: Duration = Duration::from_micros(150);
/// A method's trial ends after this many writes if its median is above [`HOPELESS`] times the best one.
const SAMPLES_MIN: usize = 32;
const HOPELESS: u64 = 4;
/// Length of the probe file in bytes.
const PROBE_LENGTH: u64 = 4 << 20;
/// Length of a write in the throughput trial, and how many are in flight.
const REQUEST: usize = 64 << 10;
const DEPTH: usize = 4;

/// The CPUs on which the journal will run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JournalCpus {
    /// The CPU of the journal's thread.
    pub journal: Option<usize>,
    /// The CPU of the thread that spins; `None` when the journal shares its thread with everything else.
    pub spinning: Option<usize>,
    /// Whether the kernel keeps other work off the journal's CPU (`isolcpus`), so that not yielding may pay.
    pub is_isolated: bool,
}

/// The result of one trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlushTrial {
    /// The flush method.
    pub method: FlushMethod,
    /// Whether the thread yielded its CPU while a flush was outstanding.
    pub yields: bool,
    /// The number of single writes measured.
    pub samples: usize,
    /// Median time until one block was durable, in ns.
    pub p50_ns: u64,
    /// 90th percentile of that time, in ns.
    pub p90_ns: u64,
    /// Durable bytes per second with four writes of 64 KiB in flight; 0 for a method whose trial ended early.
    pub bytes_per_second: u64,
}

/// All trials, and the one whose method the journal uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlushTrials {
    /// The trials, in the order in which they ran.
    pub trials: Vec<FlushTrial>,
    /// Index of the chosen trial.
    pub chosen: usize,
}

impl FlushTrials {
    /// Tries every method in `directory`, which is created if it does not exist. `None` when the journal has
    /// no choice: without io_uring or direct I/O the plain engine writes. Takes about 0.25 s.
    ///
    /// # Errors
    /// The error of the medium.
    pub fn make(directory: &Path, cpus: JournalCpus) -> io::Result<Option<Self>> {
        let directory = Directory::new(directory);
        directory.create()?;
        let medium = MediumProperties::probe(&directory, true)?;
        if !medium.direct {
            return Ok(None);
        }
        let path = directory.root().join(format!("flush.{UNFINISHED_EXTENSION}"));
        let result = Probe::create(&path, medium).and_then(|probe| probe.try_all(cpus));
        let removed = std::fs::remove_file(&path);
        let trials = result?;
        removed?;
        Ok(trials)
    }

    /// Returns the chosen trial.
    pub fn chosen(&self) -> &FlushTrial {
        &self.trials[self.chosen]
    }
}

impl fmt::Display for FlushTrials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = self.chosen();
        write!(f, "{chosen}, the best of")?;
        for (index, trial) in self.trials.iter().enumerate().filter(|(index, _)| *index != self.chosen) {
            let is_first = index == usize::from(self.chosen == 0);
            write!(f, "{} {trial}", if is_first { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for FlushTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.method.name();
        let without = if self.yields { "" } else { " without yielding" };
        let micros = |nanos: u64| nanos / 1_000;
        write!(f, "{name}{without} (p50 {} µs, p90 {} µs", micros(self.p50_ns), micros(self.p90_ns))?;
        match self.bytes_per_second {
            0 => write!(f, ")"),
            rate => write!(f, ", {} MB/s)", rate / 1_000_000),
        }
    }
}

/// The rule by which a method is chosen. A trial costs its median plus a quarter of its 90th percentile: the
/// usual write counts most, but a method whose flushes often wait for a tick of the scheduler (4,000 µs
/// instead of 60 µs) loses. Higher percentiles of some hundred writes show stalls of the machine and not the
/// method.
///
/// Trials with less than half of the best throughput are excluded: batches grow with the load, and their
/// writes must not become the bottleneck. A later trial must cost at most half of an earlier one to be
/// preferred: so short a trial distinguishes a starved method from a working one, and nothing finer. The
/// order is from the simplest method: a flushed write is durable by itself and needs no thread that the
/// scheduler could delay later, and yielding is the safer choice.
fn choose(trials: &[FlushTrial]) -> usize {
    let cost = |trial: &FlushTrial| trial.p50_ns + trial.p90_ns / 4;
    let best = trials.iter().map(|trial| trial.bytes_per_second).max().unwrap_or(0);
    let mut chosen: Option<usize> = None;
    for (index, trial) in trials.iter().enumerate() {
        if trial.bytes_per_second == 0 || trial.bytes_per_second < best / 2 {
            continue;
        }
        if chosen.is_none_or(|chosen| cost(trial) * 2 <= cost(&trials[chosen])) {
            chosen = Some(index);
        }
    }
    chosen.unwrap_or(0)
}

/// A file of zeros, and memory to write it from.
struct Probe {
    file: File,
    block: usize,
    ring: LogRing,
}

impl Probe {
    fn create(path: &Path, medium: MediumProperties) -> io::Result<Self> {
        let file = create(path, medium.direct)?;
        let zeros = Pages::zeroed(READ_LENGTH);
        for offset in (0..PROBE_LENGTH).step_by(READ_LENGTH) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        let options = RingOptions { capacity: RING_LENGTH_MIN, ..RingOptions::default() };
        // The ends of the ring are dropped here: nothing writes to it.
        let ring = LogRing::create(&options, Position(0)).map_err(io::Error::other)?.ring;
        Ok(Self { file, block: medium.block_length as usize, ring })
    }

    fn try_all(&self, cpus: JournalCpus) -> io::Result<Option<FlushTrials>> {
        // Created on this thread: the sync thread must not inherit the journal's CPU.
        let Some(engines) = self.engines(cpus.is_isolated)? else { return Ok(None) };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            if cpus.spinning.is_some() {
                scope.spawn(|| {
                    pin(cpus.spinning);
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let pinned = scope.spawn(|| {
                pin(cpus.journal);
                self.try_in_turn(engines).map(Some)
            });
            let result = pinned.join();
            done.store(true, Ordering::Relaxed);
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Returns an engine for each trial; `None` without io_uring.
    fn engines(&self, is_isolated: bool) -> io::Result<Option<Vec<(FlushMethod, bool, UringEngine)>>> {
        let arrangements: &[bool] = if is_isolated { &[true, false] } else { &[true] };
        let mut engines = Vec::with_capacity(FlushMethod::ALL.len() * arrangements.len());
        for method in FlushMethod::ALL {
            for &yields in arrangements {
                let Ok((mut engine, _)) = UringEngine::new(self.ring.clone(), method, yields) else {
                    return Ok(None);
                };
                engine.adopt(0, self.file.try_clone()?);
                engines.push((method, yields, engine));
            }
        }
        Ok(Some(engines))
    }

    fn try_in_turn(&self, engines: Vec<(FlushMethod, bool, UringEngine)>) -> io::Result<FlushTrials> {
        let mut trials: Vec<FlushTrial> = Vec::with_capacity(engines.len());
        for (method, yields, engine) in engines {
            let best = trials.iter().map(|trial| trial.p50_ns).min();
            trials.push(Run::new(engine, self).trial(method, yields, best)?);
        }
        let chosen = choose(&trials);
        Ok(FlushTrials { trials, chosen })
    }
}

/// The trial of one method.
struct Run<'a> {
    engine: UringEngine,
    memory: &'a [u8],
    block: usize,
    ticket: u64,
    offset: u64,
    completions: Vec<Completion>,
}

impl<'a> Run<'a> {
    fn new(engine: UringEngine, probe: &'a Probe) -> Self {
        let (start, length) = probe.ring.memory();
        // SAFETY: the memory is mapped as long as `probe.ring` lives, and nothing stores to it: the ring's
        // writer was dropped in `Probe::create`.
        let memory = unsafe { std::slice::from_raw_parts(start, length) };
        Self { engine, memory, block: probe.block, ticket: 0, offset: 0, completions: Vec::with_capacity(16) }
    }

    fn trial(mut self, method: FlushMethod, yields: bool, best: Option<u64>) -> io::Result<FlushTrial> {
        let mut seen = self.latencies(best)?;
        seen.sort_unstable();
        let at = |share: usize| seen[(seen.len() - 1) * share / 100];
        let (p50_ns, p90_ns) = (at(50), at(90));
        let bytes_per_second = if is_hopeless(p50_ns, best) { 0 } else { self.throughput()? };
        Ok(FlushTrial { method, yields, samples: seen.len(), p50_ns, p90_ns, bytes_per_second })
    }

    /// Writes one block after another at a low rate; returns the times from when each was due.
    fn latencies(&mut self, best: Option<u64>) -> io::Result<Vec<u64>> {
        let mut seen = Vec::with_capacity((LATENCY_TIME.as_nanos() / INTERVAL.as_nanos()) as usize + 1);
        let start = Instant::now();
        let mut due = Duration::ZERO;
        while due < LATENCY_TIME {
            while start.elapsed() < due {
                std::hint::spin_loop();
            }
            self.send(self.block)?;
            while self.durable()? == 0 {}
            let now = start.elapsed();
            seen.push((now - due).as_nanos() as u64);
            if seen.len().is_multiple_of(SAMPLES_MIN) {
                let mut sorted = seen.clone();
                sorted.sort_unstable();
                if is_hopeless(sorted[sorted.len() / 2], best) {
                    break;
                }
            }
            // A write that took longer than the interval is counted once, and does not delay those after it.
            due = (due + INTERVAL).max(now);
        }
        Ok(seen)
    }

    fn throughput(&mut self) -> io::Result<u64> {
        let (mut flying, mut requests) = (0, 0u64);
        let start = Instant::now();
        while start.elapsed() < THROUGHPUT_TIME || flying > 0 {
            while flying < DEPTH && start.elapsed() < THROUGHPUT_TIME {
                self.send(REQUEST)?;
                flying += 1;
            }
            let durable = self.durable()?;
            flying -= durable;
            requests += durable as u64;
        }
        Ok((requests as f64 * REQUEST as f64 / start.elapsed().as_secs_f64()) as u64)
    }

    fn send(&mut self, length: usize) -> io::Result<()> {
        if self.offset + length as u64 > PROBE_LENGTH {
            self.offset = 0;
        }
        self.engine.write(self.ticket, 0, self.offset, &self.memory[..length])?;
        self.ticket += 1;
        self.offset += length as u64;
        self.engine.submit()
    }

    /// Returns how many writes became durable since the last call.
    fn durable(&mut self) -> io::Result<usize> {
        self.engine.reap(&mut self.completions);
        let mut durable = 0;
        for completion in self.completions.drain(..) {
            let progress = completion.outcome.map_err(|(_, error)| error)?;
            durable += usize::from(progress == RequestProgress::Durable);
        }
        Ok(durable)
    }
}

fn is_hopeless(p50_ns: u64, best: Option<u64>) -> bool {
    best.is_some_and(|best| p50_ns > HOPELESS * best)
}

/// Pins the calling thread if possible. If not, the journal's own core reports that its CPU is unavailable.
fn pin(cpu: Option<usize>) {
    let _ = stele_bus::keep_to(cpu.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_testkit::skip::skip;

    fn trial(method: FlushMethod, p50: u64, p90: u64, megabytes: u64) -> FlushTrial {
        let (p50_ns, p90_ns, bytes_per_second) = (p50 * 1_000, p90 * 1_000, megabytes * 1_000_000);
        FlushTrial { method, yields: true, samples: 400, p50_ns, p90_ns, bytes_per_second }
    }

    fn chosen(trials: [(u64, u64, u64); 3]) -> FlushMethod {
        let trials: Vec<FlushTrial> = FlushMethod::ALL
            .into_iter()
            .zip(trials)
            .map(|(method, (p50, p90, megabytes))| trial(method, p50, p90, megabytes))
            .collect();
        trials[choose(&trials)].method
    }

    #[test]
    fn the_method_with_the_least_median_and_tail_is_chosen() {
        use FlushMethod::{FlushedWrites, LinkedSync, SyncThread};
        assert_eq!(chosen([(40, 70, 1400), (50, 2_100, 1200), (45, 90, 1300)]), FlushedWrites);
        assert_eq!(chosen([(40, 4_000, 1400), (50, 90, 1200), (49, 88, 1300)]), LinkedSync);
        assert_eq!(chosen([(4_000, 4_100, 0), (60, 2_500, 1200), (70, 120, 1300)]), SyncThread);
    }

    #[test]
    fn a_little_faster_does_not_replace_the_simpler_method() {
        assert_eq!(chosen([(40, 80, 1400), (38, 76, 1400), (38, 76, 1400)]), FlushMethod::FlushedWrites);
        assert_eq!(chosen([(81, 101, 1385), (64, 73, 1306), (75, 106, 1464)]), FlushMethod::FlushedWrites);
    }

    #[test]
    fn a_method_with_less_than_half_of_the_best_throughput_is_left_out() {
        assert_eq!(chosen([(40, 70, 500), (50, 90, 1400), (60, 120, 1400)]), FlushMethod::LinkedSync);
    }

    #[test]
    fn every_method_is_tried_on_a_real_file_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let Some(trials) = FlushTrials::make(&folder.path().join("trail"), JournalCpus::default()).unwrap()
        else {
            return skip("io_uring and direct I/O");
        };
        let methods: Vec<FlushMethod> = trials.trials.iter().map(|trial| trial.method).collect();
        assert_eq!(methods, FlushMethod::ALL);
        assert!(trials.trials.iter().all(|trial| trial.samples > 0 && trial.p50_ns <= trial.p90_ns));
        assert!(trials.chosen().bytes_per_second > 0);
        assert!(trials.to_string().starts_with(trials.chosen().method.name()), "{trials}");
        assert_eq!(std::fs::read_dir(folder.path().join("trail")).unwrap().count(), 0);
    }

    #[test]
    fn where_there_is_no_direct_io_nothing_is_tried() {
        let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
            return skip("/dev/shm");
        };
        let medium = MediumProperties::probe(&Directory::new(folder.path()), true).unwrap();
        let trials = FlushTrials::make(folder.path(), JournalCpus::default()).unwrap();
        assert_eq!(trials.is_some(), medium.direct);
    }
}
