//! Which flush method is the fastest here: each is tried for a moment on the trail's own file system, on the
//! journal's CPU, while another thread spins where the sequencer will.
//!
//! ```text
//!  journal's CPU:    one block written, waited for until durable, a pause; then 64 KiB × 4 at once, without pause
//!  sequencer's CPU:  spins
//! ```
#![allow(unsafe_code)]

use crate::bounds::READ_LENGTH;
use crate::directory::Directory;
use crate::engine::{Completion, Engine, FlushMethod};
use crate::flight::Progress;
use crate::format::UNFINISHED_EXTENSION;
use crate::pages::Pages;
use crate::pool::{Medium, create};
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

/// How long one method's latency is looked at, and its throughput.
const LATENCY_TIME: Duration = Duration::from_millis(60);
const THROUGHPUT_TIME: Duration = Duration::from_millis(20);
/// Between two single writes: the low rate.
const INTERVAL: Duration = Duration::from_micros(150);
/// After so many writes a median above [`HOPELESS`] times the best one ends a method's trial.
const SAMPLES_MIN: usize = 32;
const HOPELESS: u64 = 4;
/// Bytes of the probe file.
const PROBE_LENGTH: u64 = 4 << 20;
/// A write of the throughput trial, and how many at once.
const REQUEST: usize = 64 << 10;
const DEPTH: usize = 4;

/// Where the journal will run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cpus {
    /// The journal's.
    pub journal: Option<usize>,
    /// The one of the thread that spins; none where the journal shares its thread with everything.
    pub spinning: Option<usize>,
    /// Whether the kernel keeps other work away from the journal's (`isolcpus`), so that not yielding may pay.
    pub is_isolated: bool,
}

/// What one trial saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trial {
    /// How writes became durable.
    pub method: FlushMethod,
    /// Whether the thread yielded its CPU while a flush was outstanding.
    pub yields: bool,
    /// Single writes that were waited for.
    pub samples: usize,
    /// Median time of one block until durable, in ns.
    pub p50_ns: u64,
    /// 90th percentile of that, in ns.
    pub p90_ns: u64,
    /// Durable bytes a second, four writes of 64 KiB at once; 0 for a method that was given up before.
    pub bytes_per_second: u64,
}

/// Every trial, and which one the journal goes by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlushTrials {
    /// In the order in which they were made.
    pub trials: Vec<Trial>,
    /// Index of the one chosen.
    pub chosen: usize,
}

impl FlushTrials {
    /// Tries every method in `directory`, which is created if it is not there. None where the journal has no choice:
    /// without io_uring or direct I/O the plain engine writes. Takes some 0.25 s.
    ///
    /// # Errors
    /// What the medium says.
    pub fn make(directory: &Path, cpus: Cpus) -> io::Result<Option<Self>> {
        let directory = Directory::new(directory);
        directory.create()?;
        let medium = Medium::probe(&directory, true)?;
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

    /// The trial that the journal goes by.
    pub fn chosen(&self) -> &Trial {
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

impl fmt::Display for Trial {
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

/// The rule by which a method is chosen. A trial costs its median plus a quarter of its 90th percentile: the usual
/// write counts most, but a method whose flushes wait for a scheduler's tick again and again (4,000 µs against 60 µs)
/// loses. No higher percentile: of some hundred writes that is the machine's own stalls and says nothing of a method.
/// Trials with less than half of the best throughput are left out: batches grow with the load, so that a queue of them
/// must not become the limit. An earlier trial stands unless a later one costs at most half: so short a trial tells a
/// starved method from one that is not, and nothing finer; a flushed write vouches for itself and needs no thread that
/// the scheduler could keep waiting once the trial is over; and to yield is the safe side.
fn choose(trials: &[Trial]) -> usize {
    let cost = |trial: &Trial| trial.p50_ns + trial.p90_ns / 4;
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

/// A zero-filled file and memory to write it from.
struct Probe {
    file: File,
    block: usize,
    ring: LogRing,
}

impl Probe {
    fn create(path: &Path, medium: Medium) -> io::Result<Self> {
        let file = create(path, medium.direct)?;
        let zeros = Pages::zeroed(READ_LENGTH);
        for offset in (0..PROBE_LENGTH).step_by(READ_LENGTH) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        let options = RingOptions { capacity: RING_LENGTH_MIN, ..RingOptions::default() };
        // The keys to the ring are dropped here: nothing writes on it.
        let ring = LogRing::create(&options, Position(0)).map_err(io::Error::other)?.ring;
        Ok(Self { file, block: medium.block_length as usize, ring })
    }

    fn try_all(&self, cpus: Cpus) -> io::Result<Option<FlushTrials>> {
        // Made on this thread: the sync thread must not inherit the journal's CPU.
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

    /// An engine for each trial; none where there is no io_uring.
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
        let mut trials: Vec<Trial> = Vec::with_capacity(engines.len());
        for (method, yields, engine) in engines {
            let best = trials.iter().map(|trial| trial.p50_ns).min();
            trials.push(Run::new(engine, self).trial(method, yields, best)?);
        }
        let chosen = choose(&trials);
        Ok(FlushTrials { trials, chosen })
    }
}

/// One method being tried.
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
        // SAFETY: the memory is mapped as long as `probe.ring` lives, and nothing stores to it: the ring's writer was
        // dropped in `Probe::create`.
        let memory = unsafe { std::slice::from_raw_parts(start, length) };
        Self { engine, memory, block: probe.block, ticket: 0, offset: 0, completions: Vec::with_capacity(16) }
    }

    fn trial(mut self, method: FlushMethod, yields: bool, best: Option<u64>) -> io::Result<Trial> {
        let mut seen = self.latencies(best)?;
        seen.sort_unstable();
        let at = |share: usize| seen[(seen.len() - 1) * share / 100];
        let (p50_ns, p90_ns) = (at(50), at(90));
        let bytes_per_second = if is_hopeless(p50_ns, best) { 0 } else { self.throughput()? };
        Ok(Trial { method, yields, samples: seen.len(), p50_ns, p90_ns, bytes_per_second })
    }

    /// One block after the other at a low rate; the time from when each was due.
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
            // A write that took longer than the interval is charged once, not to those behind it too.
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

    /// How many writes became durable since the last call.
    fn durable(&mut self) -> io::Result<usize> {
        self.engine.reap(&mut self.completions);
        let mut durable = 0;
        for completion in self.completions.drain(..) {
            let progress = completion.outcome.map_err(|(_, error)| error)?;
            durable += usize::from(progress == Progress::Durable);
        }
        Ok(durable)
    }
}

fn is_hopeless(p50_ns: u64, best: Option<u64>) -> bool {
    best.is_some_and(|best| p50_ns > HOPELESS * best)
}

/// Pins the calling thread where that can be done: the journal's core says so when its CPU is not to be had.
fn pin(cpu: Option<usize>) {
    let _ = stele_bus::set_affinity(cpu.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_testkit::skip::skip;

    fn trial(method: FlushMethod, p50: u64, p90: u64, megabytes: u64) -> Trial {
        let (p50_ns, p90_ns, bytes_per_second) = (p50 * 1_000, p90 * 1_000, megabytes * 1_000_000);
        Trial { method, yields: true, samples: 400, p50_ns, p90_ns, bytes_per_second }
    }

    fn chosen(trials: [(u64, u64, u64); 3]) -> FlushMethod {
        let trials: Vec<Trial> = FlushMethod::ALL
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
    fn a_little_faster_is_no_reason_to_leave_the_plainer_method() {
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
        let Some(trials) = FlushTrials::make(&folder.path().join("trail"), Cpus::default()).unwrap() else {
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
        let medium = Medium::probe(&Directory::new(folder.path()), true).unwrap();
        let trials = FlushTrials::make(folder.path(), Cpus::default()).unwrap();
        assert_eq!(trials.is_some(), medium.direct);
    }
}
