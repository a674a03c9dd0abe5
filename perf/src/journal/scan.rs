//! How fast a cold trail is verified: CRC, sequence and chain of every event, past the page cache, one core.
//!
//! ```text
//!  device ─> read-ahead by direct I/O ─> one thread: CRC and sequence of every frame
//!  device ─> the same files in requests of 1 MiB, four at once, looked at by nobody
//! ```

use super::raw::RawDevice;
use super::{Extent, Place, ScenarioError, in_folder, throughput};
use crate::{Figure, Mix};
use std::path::Path;
use std::time::Instant;
use stele_journal::Directory;
use stele_journal::scan::ScanOptions;
use stele_journal::verify::verify;

/// Requests at once of the raw side.
const DEPTH: usize = 4;
const RAW_READ: &str = "raw_sequential_read";

/// Both sides, one entry a repetition.
#[derive(Default)]
pub(crate) struct Scans {
    events: Vec<f64>,
    ratios: Vec<f64>,
    raw: Vec<f64>,
}

impl Scans {
    pub(crate) fn measure(&mut self, place: &Place, extent: &Extent) -> Result<(), ScenarioError> {
        in_folder(place, |folder| {
            throughput::write_trail(folder, place, &Mix::of_64_bytes(), extent.throughput_bytes)?;
            let raw = raw_rate(folder)?;
            let start = Instant::now();
            let report =
                verify(&Directory::new(folder), &ScanOptions { threads: 1, ..ScanOptions::default() })?;
            let seconds = start.elapsed().as_secs_f64();
            self.events.push(report.events as f64 / seconds);
            self.ratios.push(report.scan.bytes as f64 / seconds / raw);
            self.raw.push(raw);
            Ok(())
        })
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let scan =
            Figure::rate("verified_scan", &self.events).map(|figure| figure.over(RAW_READ, &self.ratios));
        scan.into_iter().chain(Figure::single(RAW_READ, "bytes/s", &self.raw)).collect()
    }
}

/// Bytes a second over all segments, one file after the other.
fn raw_rate(folder: &Path) -> Result<f64, ScenarioError> {
    let (mut bytes, mut seconds) = (0.0, 0.0);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let length = path.metadata()?.len();
        if path.extension().is_some_and(|extension| extension == "stele") && length >= 1 << 20 {
            let rate = RawDevice::open(&path)?.read_rate(DEPTH)?;
            bytes += length as f64;
            seconds += length as f64 / rate;
        }
    }
    Ok(bytes / seconds)
}
