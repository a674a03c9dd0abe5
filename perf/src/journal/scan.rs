//! The speed of verifying a cold trail: CRC, sequence and chain of every event, past the page cache, with
//! each method to read a file, on one core and on two.
//!
//! ```text
//!  device ─> read-ahead by direct I/O ─> one thread, or two: CRC and sequence of every frame
//!  device ─> the same files in requests of 1 MiB, four at once, without looking at the bytes
//! ```

use super::raw::RawDevice;
use super::{JournalSetup, JournalWorkload, ScenarioError, in_folder, throughput};
use crate::sheet::Sheet;
use crate::{Figure, MessageMix};
use std::path::Path;
use std::time::Instant;
use stele_glommio::Glommio;
use stele_journal::scan::ScanOptions;
use stele_journal::verify::verify;
use stele_journal::{Directory, ReadMethod, UringRead};

/// The number of simultaneous requests of the raw side.
const DEPTH: usize = 4;
const RAW_READ: &str = "raw_sequential_read";
/// The method of `stele verify` on one core: glommio if the machine allows it.
const SCAN: &str = "verified_scan";

/// A method to read, and the suffix of its figures after [`SCAN`].
struct Way {
    method: Option<&'static dyn ReadMethod>,
    name: &'static str,
}

const WAYS: [Way; 3] = [
    Way { method: Some(&Glommio), name: "" },
    Way { method: Some(&UringRead), name: "_io_uring" },
    Way { method: None, name: "_plain" },
];

/// The results of all methods, with one entry per repetition.
#[derive(Default)]
pub(crate) struct Scans {
    sheet: Sheet,
    ratios: Vec<f64>,
}

impl Scans {
    pub(crate) fn measure(
        &mut self,
        setup: &JournalSetup,
        workload: &JournalWorkload,
    ) -> Result<(), ScenarioError> {
        in_folder(setup, |folder| {
            throughput::write_trail(folder, setup, &MessageMix::of_64_bytes(), workload.throughput_bytes)?;
            let raw = raw_rate(folder)?;
            let repetition = self.ratios.len();
            for threads in [1, 2] {
                // Each method comes first in every third repetition.
                for at in 0..WAYS.len() {
                    self.scan(folder, &WAYS[(at + repetition) % WAYS.len()], threads, raw)?;
                }
            }
            self.sheet.single(RAW_READ, "bytes/s", raw, None);
            Ok(())
        })
    }

    fn scan(&mut self, folder: &Path, way: &Way, threads: usize, raw: f64) -> Result<(), ScenarioError> {
        let plain = way.method.is_none();
        let options = ScanOptions { threads, method: way.method, plain, progress: None };
        let start = Instant::now();
        let report = verify(&Directory::new(folder), &options)?;
        let seconds = start.elapsed().as_secs_f64();
        let is_the_programs = way.name.is_empty();
        // A method that the machine refuses has fallen back to another one and is skipped; the default method
        // is whichever the machine allows.
        if !is_the_programs && !report.scan.refusals.is_empty() {
            return Ok(());
        }
        let named =
            |way: &str| if threads == 1 { format!("{SCAN}{way}") } else { format!("{SCAN}{way}_{threads}") };
        let name = named(way.name);
        self.sheet.single(&name, "events/s", report.events as f64 / seconds, None);
        match (is_the_programs, threads) {
            (true, 1) => self.ratios.push(report.scan.bytes as f64 / seconds / raw),
            (true, _) => self.sheet.beside(&name, SCAN),
            (false, _) => self.sheet.beside(&name, &named("")),
        }
        Ok(())
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let figures = self.sheet.figures().into_iter();
        let over_raw = |figure: Figure| {
            if figure.name == SCAN { figure.over(RAW_READ, &self.ratios) } else { figure }
        };
        figures.map(over_raw).collect()
    }
}

/// Reads all segments, one file after the other, and returns bytes per second.
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
