//! Scenario `journal`: what the journal costs over the raw device, measured beside it in the same run.
//!
//! ```text
//!  load ─> publisher ─> sequencer ─> ring ─> journal ─> device    one core each, as in a running system
//!                                    raw WriteFixed ──> device    on the journal's CPU, the other spins
//! ```
//!
//! Ours and the raw side alternate, with the same block, flags, depth and arrival times. What each figure
//! means is explained in the module that measures it.

mod latency;
mod raw;
mod recovery;
pub(crate) mod rig;
mod roll;
mod scan;
mod throughput;

use crate::arrivals::Arrivals;
use crate::cpu::on_cpu;
use crate::{Figure, HiccupMeter, Mix, Percentiles, Report};
use raw::{RawDevice, Style};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stele_journal::{FlushMethod, OpenError, TrailError};
pub(crate) use throughput::write_trail;

/// Orders a second of an idle journal: most find nothing on its way.
const LOW_RATE: f64 = 1_000.0;
/// Orders a second under load: more than one flushed write after the other could carry.
const LOAD_RATE: f64 = 30_000.0;
/// How long the machine's own stalls are watched before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// Where and how the journal is measured: as it would run.
#[derive(Clone, Debug)]
pub struct Place {
    /// A directory that everything is written below, on the file system in question. It is there; what is
    /// written is removed.
    pub directory: PathBuf,
    /// The journal's CPU, and the raw writer's.
    pub journal_cpu: Option<usize>,
    /// The sequencer's CPU.
    pub sequencer_cpu: Option<usize>,
    /// How a write becomes durable.
    pub flush: FlushMethod,
    /// Whether the journal's thread yields while a flush is outstanding.
    pub yields: bool,
    /// Data bytes of a segment.
    pub segment_length: u64,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Repetitions.
    pub repeats: u32,
    /// How long orders come in each latency run.
    pub latency: Duration,
    /// Bytes of log of each throughput run.
    pub throughput_bytes: u64,
    /// Bytes of the trail that is recovered.
    pub recovery_bytes: u64,
    /// Rolls in each run of the roll comparison.
    pub rolls: u32,
}

impl Extent {
    /// What the figures are published from: `repeats` repetitions, recovery of a trail of `recovery_gib`.
    pub fn full(repeats: u32, recovery_gib: u64) -> Self {
        Self {
            repeats,
            latency: Duration::from_secs(2),
            throughput_bytes: 1 << 30,
            recovery_bytes: recovery_gib << 30,
            rolls: 24,
        }
    }

    /// A few seconds in all: whether everything runs, not how fast.
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

/// Why the scenario cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The medium or the kernel refused.
    #[error("cannot measure the journal: {0}")]
    Io(#[from] io::Error),
    /// A trail could not be opened for writing.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A trail could not be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// Measures everything. `mixes` are recorded markets whose frames are journaled beside the 64-byte ones.
/// `on_stage` receives what is measured next.
///
/// # Errors
/// [`ScenarioError`]; what was written may then stay in the directory.
pub fn run(
    place: &Place,
    extent: &Extent,
    mixes: &[Mix],
    mut on_stage: impl FnMut(&str),
) -> Result<Report, ScenarioError> {
    let mut meter = HiccupMeter::new();
    let mut latencies = Latencies::default();
    let mut streams = throughput::Streams::default();
    let mut scans = scan::Scans::default();
    let mut rolls = roll::Rolls::default();
    let mut recoveries = Vec::new();
    for repeat in 1..=extent.repeats {
        let mut tell = |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", extent.repeats));
        tell("the machine's own stalls");
        meter.watch(WATCH);
        tell("latency");
        latencies.measure(place, extent, u64::from(repeat))?;
        tell("throughput");
        streams.measure(place, extent, mixes)?;
        tell("verified scan");
        scans.measure(place, extent)?;
        tell("rolls");
        rolls.measure(place, extent)?;
        tell("recovery");
        recoveries.push(recovery::measure(place, extent)?);
    }
    let mut figures = latencies.figures(place.flush == FlushMethod::FlushedWrites);
    figures.extend(streams.figures());
    figures.extend(scans.figures());
    figures.extend(recovery::figures(extent, &recoveries));
    figures.extend(rolls.figures());
    Ok(Report::new("journal", meter.noise(), figures))
}

/// Both sides of the latency comparison, one entry a repetition.
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
    fn measure(&mut self, place: &Place, extent: &Extent, seed: u64) -> Result<(), ScenarioError> {
        self.idle.measure(place, extent, Arrivals::new(seed, LOW_RATE))?;
        self.loaded.measure(place, extent, Arrivals::new(seed, LOAD_RATE))
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
    fn measure(&mut self, place: &Place, extent: &Extent, arrivals: Arrivals) -> Result<(), ScenarioError> {
        let seen = in_folder(place, |folder| {
            latency::publish_latency(folder, place, arrivals.clone(), extent.latency)
        })?;
        self.written.push(seen.written);
        self.durable.push(seen.durable);
        for (flushed, side) in [(false, &mut self.raw_write), (true, &mut self.raw_flushed_write)] {
            let style = Style { flushed, yields: place.yields };
            side.push(raw_beside_spinning(place, place.segment_length, |device| {
                device.latency(arrivals.clone(), seen.block, style, extent.latency)
            })?);
        }
        Ok(())
    }

    /// `written` is compared with a raw write that does what the journal's write does: flushes, where each
    /// write of the journal's method is flushed.
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

/// Runs `work` on a raw device of `length` bytes, on the journal's CPU, while a thread spins on the
/// sequencer's.
fn raw_beside_spinning<T: Send>(
    place: &Place,
    length: u64,
    work: impl FnOnce(&mut RawDevice) -> io::Result<T> + Send,
) -> Result<T, ScenarioError> {
    let path = place.directory.join("raw");
    let mut device = RawDevice::create(&path, length)?;
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| on_cpu(place.sequencer_cpu, || spin_until(&done)));
        let _spinning = Spinning(&done);
        on_cpu(place.journal_cpu, || work(&mut device))
    });
    std::fs::remove_file(&path)?;
    Ok(result?)
}

/// The other thread spins until this is dropped, by a panic too.
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

/// Runs `work` in a new folder, which is gone afterwards.
pub(crate) fn in_folder<T>(
    place: &Place,
    work: impl FnOnce(&std::path::Path) -> Result<T, ScenarioError>,
) -> Result<T, ScenarioError> {
    let folder = place.directory.join("trail");
    let result = work(&folder)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(result)
}
