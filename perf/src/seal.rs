//! Scenario `seal`: the cost of sealing, verifying and proving, with one leaf per event.
//!
//! ```text
//!  seal            frames in memory ─> leaves ─> tree, tiles, checkpoints    against SHA-256 of them
//!  seal_all_cores  the same, with a separate log on each core
//!  seal_trail      trail on disk ─> CRCs ─> leaves ─> tree ─> tiles and checkpoints on disk
//!  verify          sealed trail ─> CRCs, links, leaves, tree, signatures; one core, and all
//!  prove           sealed trail ─> the proof of a random event, checked
//! ```
//!
//! SHA-256 works on blocks of 64 bytes. A leaf of a frame of 64 bytes takes two blocks, because a prefix and
//! a length are hashed, too. The tree has one node per leaf, also of two blocks. An event therefore takes
//! four blocks, while its bytes alone take one. `sha256_same_blocks` is the cost of hashing that many blocks;
//! `sha256_same_bytes` is the cost of hashing only the frames, if single events needed no proof.

mod hashing;
mod trail;

use crate::cpu::on_cpu;
use crate::journal::{JournalSetup, ScenarioError, in_folder};
use crate::sheet::Sheet;
use crate::{HiccupMeter, MessageMix, PerfReport, Route};
use hashing::Frames;
use std::time::Duration;
use stele_compliance::seal::Signer;
use stele_compliance::seal::note::KeyKind;

/// How long the stalls of the machine are measured before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct SealWorkload {
    /// The number of repetitions.
    pub repeats: u32,
    /// The number of events of each run in memory.
    pub events: u64,
    /// The number of events of the trail on disk.
    pub trail_events: u64,
    /// The number of proofs of each repetition.
    pub proofs: u32,
}

impl SealWorkload {
    /// The workload of published figures, with a trail of `trail_events` events.
    pub fn full(repeats: u32, trail_events: u64) -> Self {
        Self { repeats, events: 5_000_000, trail_events, proofs: 1_000 }
    }

    /// A workload of a few seconds, which only checks that everything runs.
    pub fn quick() -> Self {
        Self { repeats: 1, events: 50_000, trail_events: 50_000, proofs: 20 }
    }
}

/// Returns the key for temporary trails.
fn signer() -> Signer {
    Signer::new("stele.internal/perf", KeyKind::Log, &[7; 32]).expect("the name is valid")
}

/// Runs the scenario on `cpus`, in the directory of `setup`. Sealing in memory is measured with frames of 64
/// bytes and with those of the recorded markets `mixes`. `on_stage` receives the name of each stage before it
/// starts.
///
/// # Errors
/// [`ScenarioError`]. Files may then remain in the directory.
pub fn run(
    setup: &JournalSetup,
    cpus: &[usize],
    workload: &SealWorkload,
    mixes: &[MessageMix],
    mut on_stage: impl FnMut(&str),
) -> Result<PerfReport, ScenarioError> {
    let (mut meter, mut sheet) = (HiccupMeter::new(), Sheet::default());
    let short = MessageMix::of_64_bytes();
    for repeat in 1..=workload.repeats {
        let mut stage =
            |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", workload.repeats));
        stage("stalls of the machine");
        meter.watch(WATCH);
        stage("sealing in memory");
        for mix in std::iter::once(&short).chain(mixes) {
            in_memory(&mut sheet, cpus, workload.events, mix);
        }
    }
    in_folder(setup, |folder| {
        on_stage(&format!("a trail of {} events", workload.trail_events));
        trail::write(folder, setup, workload.trail_events)?;
        for repeat in 1..=workload.repeats {
            let mut stage =
                |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", workload.repeats));
            stage("sealing a trail");
            let (events, rate) = on_cpu(cpus.first().copied(), || trail::seal(folder))?;
            sheet.single("trail_events", "events", events as f64, None);
            sheet.single("seal_trail", "events/s", rate, None);
            stage("verifying");
            sheet.single("verify", "events/s", trail::verify(folder, 1)?, None);
            sheet.single("verify_all_cores", "events/s", trail::verify(folder, cpus.len().max(1))?, None);
            stage("proving");
            let seen = trail::prove(folder, events, workload.proofs, u64::from(repeat))?;
            sheet.latency("prove", seen, &proving());
        }
        Ok(())
    })?;
    Ok(PerfReport::new("seal", meter.noise(), sheet.figures()))
}

fn proving() -> Route {
    Route {
        from: "the trail is opened",
        to: "the proof of one event holds under the key",
        hops: 0,
        cores: "any CPU".into(),
        publisher_and_consumer_share_a_core: true,
    }
}

/// Measures sealing and both limits, one after the other on the first CPU, then sealing on all CPUs at once.
fn in_memory(sheet: &mut Sheet, cpus: &[usize], events: u64, mix: &MessageMix) {
    let name = |name: &str| if mix.name == "64" { name.into() } else { format!("{name}_{}", mix.name) };
    let frames = Frames::of(mix);
    let names = ["seal", "sha256_same_blocks", "sha256_same_bytes", "seal_all_cores"].map(name);
    let [ours, blocks, bytes, all] = &names;
    let first = cpus.first().copied();
    let rates =
        on_cpu(first, || [frames.seal(events), frames.hash_blocks(events), frames.hash_bytes(events)]);
    for (name, rate) in [ours, blocks, bytes].into_iter().zip(rates) {
        sheet.single(name, "events/s", rate, None);
    }
    sheet.beside(ours, bytes);
    sheet.beside(blocks, bytes);
    sheet.single(all, "events/s", hashing::seal_on_each(&frames, cpus, events), None);
    sheet.beside(all, ours);
}
