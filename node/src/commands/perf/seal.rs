//! `stele perf seal`: what sealing, verifying and proving cost, and what sealing costs a running bus.

use super::bench::Bench;
use super::{PACED_RATE, measure};
use crate::cli::PerfArgs;
use crate::commands::{perf, print_json, print_page};
use crate::failure::Failure;
use crate::layout::allowed_cpus;
use crate::measuring::RunReport;
use serde::Serialize;
use std::path::Path;
use stele_compliance::seal::key::{generate, write};
use stele_compliance::seal::note::KeyKind;
use stele_perf::seal::{Extent, run};
use stele_perf::{PairedRatio, Report};

/// Seconds between two checkpoints of the runs that seal: often enough that some come in each.
const CHECKPOINT_SECONDS: f64 = 0.5;

/// A report, and what sealing costs a bus.
#[derive(Serialize)]
struct SealReport {
    #[serde(flatten)]
    report: Report,
    /// Latencies of runs that seal over those of runs that do not, in pairs. `cpus` says whether the sealer could have one
    /// of its own.
    cost_to_the_bus: Vec<PairedRatio>,
}

/// Measures and prints.
pub(super) fn seal(args: &PerfArgs) -> Result<(), Failure> {
    let report = Bench::measure(args, |bench| {
        let extent = if args.quick { Extent::quick() } else { Extent::full(args.repeats, args.trail_events) };
        let cpus: Vec<usize> = allowed_cpus().into_iter().collect();
        let report = run(&bench.place, &cpus, &extent, &bench.mixes, |stage| eprintln!("{stage}"));
        let report = report.map_err(Failure::environment)?;
        Ok(SealReport { report, cost_to_the_bus: cost_to_the_bus(args, &bench.place.directory)? })
    })?;
    if args.json {
        return print_json(&report);
    }
    let SealReport { report, cost_to_the_bus } = &report;
    let mut page = perf::page(report);
    page += "  with sealing over without, in pairs, and the interval of 95 %:\n";
    for PairedRatio { name, ratio, low, high, pairs } in cost_to_the_bus {
        page += &format!("  {name:<30} {ratio:>6.3}  ({low:.3} to {high:.3}, {pairs} pairs)\n");
    }
    print_page(&page)
}

/// Runs at the demo's pace, with sealing and without, each in turn first.
fn cost_to_the_bus(args: &PerfArgs, folder: &Path) -> Result<Vec<PairedRatio>, Failure> {
    let key = folder.join("key");
    let signer = generate("stele.internal/perf", KeyKind::Log).map_err(Failure::environment)?;
    write(&key, &signer, None).map_err(Failure::environment)?;
    let measure = |is_sealed: bool| {
        measure(args, Some(PACED_RATE), is_sealed.then(|| (key.clone(), CHECKPOINT_SECONDS)))
    };
    let pairs = if args.quick { 2 } else { args.repeats.max(2) };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for pair in 1..=pairs {
        eprintln!("the bus with sealing and without, pair {pair} of {pairs}");
        for is_sealed in [pair % 2 == 1, pair % 2 == 0] {
            let seen = measure(is_sealed)?;
            if is_sealed { &mut with } else { &mut without }.push(seen);
        }
    }
    Ok(ratios(&with, &without))
}

fn ratios(with: &[RunReport], without: &[RunReport]) -> Vec<PairedRatio> {
    let Some(first) = with.first() else { return Vec::new() };
    let mut ratios = Vec::new();
    for (at, (name, _)) in first.latencies().into_iter().enumerate() {
        for (percentile, is_median) in [("p50", true), ("p99", false)] {
            let of = |report: &RunReport| {
                let seen = report.latencies()[at].1;
                if is_median { seen.p50 as f64 } else { seen.p99 as f64 }
            };
            let pairs: Vec<(f64, f64)> =
                with.iter().zip(without).map(|(with, without)| (of(with), of(without))).collect();
            let is_measured = pairs.iter().all(|(with, without)| *with > 0.0 && *without > 0.0);
            let ratio = PairedRatio::of(&format!("{name}_{percentile}"), &pairs);
            ratios.extend(ratio.filter(|_| is_measured));
        }
    }
    ratios
}
