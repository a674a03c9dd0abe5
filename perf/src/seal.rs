//! Scenario `seal`: what sealing, verifying and proving cost, with a leaf an event.
//!
//! ```text
//!  seal            frames in memory ─> leaves ─> tree, tiles, checkpoints    beside SHA-256 of them
//!  seal_all_cores  the same, a log of its own on each core
//!  seal_trail      trail on disk ─> CRCs ─> leaves ─> tree ─> tiles and checkpoints on disk
//!  verify          sealed trail ─> CRCs, links, leaves, tree, signatures; one core, and all
//!  prove           sealed trail ─> the proof of an event by chance, checked
//! ```
//!
//! SHA-256 works on blocks of 64 bytes. A leaf of a frame of 64 bytes takes two (a prefix and a length are
//! hashed beside it), and a tree has one node a leaf, of two blocks: four blocks an event where its bytes
//! alone are one. `sha256_same_blocks` is what hashing so many costs and nothing else; `sha256_same_bytes`
//! what the frames would cost if no event had to be proved by itself.

mod hashing;
mod trail;

use crate::cpu::on_cpu;
use crate::journal::{Place, ScenarioError, in_folder};
use crate::sheet::Sheet;
use crate::{HiccupMeter, Mix, Report, Route};
use hashing::Frames;
use std::time::Duration;
use stele_compliance::seal::Signer;
use stele_compliance::seal::note::KeyKind;

/// How long the machine's own stalls are watched before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Repetitions.
    pub repeats: u32,
    /// Events of each run in memory.
    pub events: u64,
    /// Events of the trail on disk.
    pub trail_events: u64,
    /// Proofs of each repetition.
    pub proofs: u32,
}

impl Extent {
    /// What the figures are published from: `repeats` repetitions, over a trail of `trail_events`.
    pub fn full(repeats: u32, trail_events: u64) -> Self {
        Self { repeats, events: 5_000_000, trail_events, proofs: 1_000 }
    }

    /// A few seconds in all: whether everything runs, not how fast.
    pub fn quick() -> Self {
        Self { repeats: 1, events: 50_000, trail_events: 50_000, proofs: 20 }
    }
}

/// A key that signs what is thrown away.
fn signer() -> Signer {
    Signer::new("stele.internal/perf", KeyKind::Log, &[7; 32]).expect("the name is one of a key")
}

/// Measures everything on `cpus`, below the directory of `place`. `mixes` are recorded markets whose frames
/// are sealed in memory beside those of 64 bytes. `on_stage` receives what is measured next.
///
/// # Errors
/// [`ScenarioError`]; what was written may then stay in the directory.
pub fn run(
    place: &Place,
    cpus: &[usize],
    extent: &Extent,
    mixes: &[Mix],
    mut on_stage: impl FnMut(&str),
) -> Result<Report, ScenarioError> {
    let (mut meter, mut sheet) = (HiccupMeter::new(), Sheet::default());
    let short = Mix::of_64_bytes();
    for repeat in 1..=extent.repeats {
        let mut tell = |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", extent.repeats));
        tell("the machine's own stalls");
        meter.watch(WATCH);
        tell("sealing in memory");
        for mix in std::iter::once(&short).chain(mixes) {
            in_memory(&mut sheet, cpus, extent.events, mix);
        }
    }
    in_folder(place, |folder| {
        on_stage(&format!("a trail of {} events", extent.trail_events));
        trail::write(folder, place, extent.trail_events)?;
        for repeat in 1..=extent.repeats {
            let mut tell =
                |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", extent.repeats));
            tell("sealing a trail");
            let (events, rate) = on_cpu(cpus.first().copied(), || trail::seal(folder))?;
            sheet.single("trail_events", "events", events as f64, None);
            sheet.single("seal_trail", "events/s", rate, None);
            tell("verifying");
            sheet.single("verify", "events/s", trail::verify(folder, 1)?, None);
            sheet.single("verify_all_cores", "events/s", trail::verify(folder, cpus.len().max(1))?, None);
            tell("proving");
            let seen = trail::prove(folder, events, extent.proofs, u64::from(repeat))?;
            sheet.latency("prove", seen, &proving());
        }
        Ok(())
    })?;
    Ok(Report::new("seal", meter.noise(), sheet.figures()))
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

/// Ours and both limits, one after the other on the first CPU; then ours on all of them at once.
fn in_memory(sheet: &mut Sheet, cpus: &[usize], events: u64, mix: &Mix) {
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
