//! Scenario `journal`: the cost of the journal compared with the raw device, measured in the same run.
//!
//! ```text
//!  load ─> publisher ─> sequencer ─> ring ─> journal ─> device    one core each, as in a run
//!                                    raw WriteFixed ──> device    on the journal's CPU; the other CPU spins
//! ```
//!
//! The two sides alternate, with the same block length, flags, depth and arrival times. The module that
//! measures a figure explains it.

mod latency;
mod raw;
mod recovery;
pub(crate) mod rig;
mod roll;
mod scan;
mod throughput;

use crate::arrivals::Arrivals;
use crate::cpu::on_cpu;
use crate::{Figure, HiccupMeter, MessageMix, Percentiles, PerfReport};
use raw::{RawDevice, Style};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stele_journal::{FlushMethod, OpenError, TrailError};
pub(crate) use throughput::write_trail;

/// Orders per second for an idle journal: most arrive while no write is in progress.
const LOW_RATE: f64 = 1_000.0;
/// Orders per second under load: more than flushed writes one after the other could handle.
const LOAD_RATE: f64 = 30_000.0;
/// How long the stalls of the machine are measured before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// The setup of the journal to measure.
#[derive(Clone, Debug)]
pub struct JournalSetup {
    /// An existing directory on the file system to measure. The files written there are removed.
    pub directory: PathBuf,
    /// The CPU of the journal and of the raw writer.
    pub journal_cpu: Option<usize>,
    /// The CPU of the sequencer.
    pub sequencer_cpu: Option<usize>,
    /// How a write becomes durable.
    pub flush: FlushMethod,
    /// Whether the journal's thread yields while a flush is outstanding.
    pub yields: bool,
    /// Data bytes of a segment.
    pub segment_length: u64,
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct JournalWorkload {
    /// The number of repetitions.
    pub repeats: u32,
    /// The length of each latency run.
    pub latency: Duration,
    /// Bytes of log of each throughput run.
    pub throughput_bytes: u64,
    /// Bytes of the trail to recover.
    pub recovery_bytes: u64,
    /// The number of segment rolls in each run of the roll comparison.
    pub rolls: u32,
}

impl JournalWorkload {
    /// The workload of published figures, which recovers a trail of `recovery_gib` GiB.
    pub fn full(repeats: u32, recovery_gib: u64) -> Self {
        Self {
            repeats,
            latency: Duration::from_secs(2),
            throughput_bytes: 1 << 30,
            recovery_bytes: recovery_gib << 30,
            rolls: 24,
        }
    }

    /// A workload of a few seconds, which only checks that everything runs.
    pub fn quick() -> Self {
        Self {
            repeats: 1,
            latency: Duration::from_millis(100),
            throughput_bytes: 32 << 20,
            recovery_bytes: 32 << 20,
            rolls: 4,
        }
    }
}

/// The error of a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// An I/O error.
    #[error("the benchmark failed: {0}")]
    Io(#[from] io::Error),
    /// A trail could not be opened for writing.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A trail could not be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// Runs the scenario, with messages of 64 bytes and with the recorded markets `mixes`. `on_stage` receives
/// the name of each stage before it starts.
///
/// # Errors
/// [`ScenarioError`]. Files may then remain in the directory.
pub fn run(
    setup: &JournalSetup,
    workload: &JournalWorkload,
    mixes: &[MessageMix],
    mut on_stage: impl FnMut(&str),
) -> Result<PerfReport, ScenarioError> {
    let mut meter = HiccupMeter::new();
    let mut latencies = Latencies::default();
    let mut streams = throughput::Streams::default();
    let mut scans = scan::Scans::default();
    let mut rolls = roll::Rolls::default();
    let mut recoveries = Vec::new();
    for repeat in 1..=workload.repeats {
        let mut stage =
            |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", workload.repeats));
        stage("stalls of the machine");
        meter.watch(WATCH);
        stage("latency");
        latencies.measure(setup, workload, u64::from(repeat))?;
        stage("throughput");
        streams.measure(setup, workload, mixes)?;
        stage("verified scan");
        scans.measure(setup, workload)?;
        stage("rolls");
        rolls.measure(setup, workload)?;
        stage("recovery");
        recoveries.push(recovery::measure(setup, workload)?);
    }
    let mut figures = latencies.figures(setup.flush == FlushMethod::FlushedWrites);
    figures.extend(streams.figures());
    figures.extend(scans.figures());
    figures.extend(recovery::figures(workload, &recoveries));
    figures.extend(rolls.figures());
    Ok(PerfReport::new("journal", meter.noise(), figures))
}

/// Both sides of the latency comparison, with one entry per repetition.
#[derive(Default)]
struct Latencies {
    idle: Sides,
    loaded: Sides,
}

#[derive(Default)]
struct Sides {
    written: Vec<Percentiles>,
    durable: Vec<Percentiles>,
    raw_write: Vec<Percentiles>,
    raw_flushed_write: Vec<Percentiles>,
}

impl Latencies {
    fn measure(
        &mut self,
        setup: &JournalSetup,
        workload: &JournalWorkload,
        seed: u64,
    ) -> Result<(), ScenarioError> {
        self.idle.measure(setup, workload, Arrivals::new(seed, LOW_RATE))?;
        self.loaded.measure(setup, workload, Arrivals::new(seed, LOAD_RATE))
    }

    fn figures(&self, is_flushed: bool) -> Vec<Figure> {
        let names = |written, durable, raw, flushed| [written, durable, raw, flushed];
        let idle = names("publish_to_written", "publish_to_durable", "raw_write", "raw_flushed_write");
        let loaded = names(
            "publish_to_written_under_load",
            "publish_to_durable_under_load",
            "raw_write_under_load",
            "raw_flushed_write_under_load",
        );
        [self.idle.figures(is_flushed, idle), self.loaded.figures(is_flushed, loaded)].concat()
    }
}

impl Sides {
    fn measure(
        &mut self,
        setup: &JournalSetup,
        workload: &JournalWorkload,
        arrivals: Arrivals,
    ) -> Result<(), ScenarioError> {
        let seen = in_folder(setup, |folder| {
            latency::publish_latency(folder, setup, arrivals.clone(), workload.latency)
        })?;
        self.written.push(seen.written);
        self.durable.push(seen.durable);
        for (flushed, side) in [(false, &mut self.raw_write), (true, &mut self.raw_flushed_write)] {
            let style = Style { flushed, yields: setup.yields };
            side.push(raw_beside_spinning(setup, setup.segment_length, |device| {
                device.latency(arrivals.clone(), seen.block, style, workload.latency)
            })?);
        }
        Ok(())
    }

    /// Compares `written` with a raw write that does the same: it flushes if the journal's method flushes
    /// every write.
    fn figures(&self, is_flushed: bool, [written, durable, raw, flushed]: [&'static str; 4]) -> Vec<Figure> {
        let (name, side) =
            if is_flushed { (flushed, &self.raw_flushed_write) } else { (raw, &self.raw_write) };
        let figure = |name, own: &[Percentiles]| Figure::latency(name, own);
        [
            figure(written, &self.written).map(|figure| figure.beside(name, &self.written, side)),
            figure(durable, &self.durable)
                .map(|figure| figure.beside(flushed, &self.durable, &self.raw_flushed_write)),
            figure(raw, &self.raw_write),
            figure(flushed, &self.raw_flushed_write),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Runs `work` on a raw device of `length` bytes, on the journal's CPU, while a thread spins on the CPU of
/// the sequencer.
fn raw_beside_spinning<T: Send>(
    setup: &JournalSetup,
    length: u64,
    work: impl FnOnce(&mut RawDevice) -> io::Result<T> + Send,
) -> Result<T, ScenarioError> {
    let path = setup.directory.join("raw");
    let mut device = RawDevice::create(&path, length)?;
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| on_cpu(setup.sequencer_cpu, || spin_until(&done)));
        let _spinning = Spinning(&done);
        on_cpu(setup.journal_cpu, || work(&mut device))
    });
    std::fs::remove_file(&path)?;
    Ok(result?)
}

/// Stops the spinning thread when dropped, even by a panic.
struct Spinning<'a>(&'a AtomicBool);

impl Drop for Spinning<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn spin_until(done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

/// Runs `work` with a new folder, which is removed afterwards.
pub(crate) fn in_folder<T>(
    setup: &JournalSetup,
    work: impl FnOnce(&std::path::Path) -> Result<T, ScenarioError>,
) -> Result<T, ScenarioError> {
    let folder = setup.directory.join("trail");
    let result = work(&folder)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(result)
}
