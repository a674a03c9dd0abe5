//! Sealing, verifying and proving with a trail on disk.

use super::signer;
use crate::MessageMix;
use crate::figure::{Percentiles, latency_histogram};
use crate::journal::{JournalSetup, ScenarioError, write_trail};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use stele_bus::{Clock as _, UtcClock};
use stele_compliance::seal::tiles::SEALS_FOLDER;
use stele_compliance::seal::{SealPolicy, check, prove as prove_event, seal_trail};
use stele_journal::index::Indexer;
use stele_journal::scan::ScanOptions;
use stele_journal::{Directory, Storage, TrailReader};
use stele_wire::Sequence;

fn storage(folder: &Path) -> Arc<dyn Storage> {
    Arc::new(Directory::new(folder))
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ScenarioError {
    io::Error::other(error).into()
}

/// Writes a trail of about `events` events of 64 bytes. A few of them are the padding that closes batches.
pub(super) fn write(folder: &Path, setup: &JournalSetup, events: u64) -> Result<(), ScenarioError> {
    write_trail(folder, setup, &MessageMix::of_64_bytes(), events * 64)?;
    // Also create the indexes of its closed segments, as a run does in the background.
    let directory = Directory::new(folder);
    let last = TrailReader::open(folder)?.segments().last().map_or(0, |segment| segment.header.index);
    let mut indexer = Indexer::for_trail(&directory, 1..last + 1);
    while indexer.do_work(&directory) {}
    Ok(())
}

/// Seals the trail from its first event on. Returns the number of events, and events per second.
pub(super) fn seal(folder: &Path) -> Result<(u64, f64), ScenarioError> {
    let seals = folder.join(SEALS_FOLDER);
    if seals.exists() {
        std::fs::remove_dir_all(&seals)?;
    }
    let start = Instant::now();
    let now = || UtcClock::new().now();
    let sealing =
        seal_trail(&storage(folder), &signer(), SealPolicy::default(), now, &|_, _| {}).map_err(failed)?;
    Ok((sealing.sealed, sealing.sealed as f64 / start.elapsed().as_secs_f64()))
}

/// Verifies the trail and its seals. Returns events per second.
pub(super) fn verify(folder: &Path, threads: usize) -> Result<f64, ScenarioError> {
    let start = Instant::now();
    let options = ScanOptions { threads, ..ScanOptions::default() };
    let report = check(&storage(folder), signer().public(), None, &options).map_err(failed)?;
    Ok(report.events as f64 / start.elapsed().as_secs_f64())
}

/// Proves random events of the first `events`, and opens the trail for each. Returns the time of each proof.
pub(super) fn prove(
    folder: &Path,
    events: u64,
    proofs: u32,
    seed: u64,
) -> Result<Percentiles, ScenarioError> {
    let (mut seen, mut state) = (latency_histogram(), seed);
    for _ in 0..proofs {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let sequence = Sequence(1 + (state >> 33) % events);
        let start = Instant::now();
        prove_event(&storage(folder), sequence, signer().public()).map_err(failed)?;
        seen.saturating_record(start.elapsed().as_nanos() as u64);
    }
    Ok((&seen).into())
}
