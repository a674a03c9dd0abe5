//! `stele perf seal`: measures sealing, verifying and proving, and the cost of sealing to a running bus.

use super::bench::Bench;
use super::cli::Arguments;
use super::page::{page, print_json, print_page};
use super::pipeline::{percentiles_of, run as run_pipeline};
use serde::Serialize;
use std::path::Path;
use stele_bus::allowed_cpus;
use stele_compliance::seal::key::{generate, write};
use stele_compliance::seal::note::KeyKind;
use stele_node::measuring::{DEMO_RATE, Failure, RunReport};
use stele_perf::seal::{SealWorkload, run};
use stele_perf::{PairedRatio, PerfReport};

/// Seconds between two checkpoints in the sealed runs, so that each run has several.
const CHECKPOINT_SECONDS: f64 = 0.5;

/// The report, and the cost of sealing to a running bus.
#[derive(Serialize)]
struct SealReport {
    #[serde(flatten)]
    report: PerfReport,
    /// The latencies of sealed runs divided by those of unsealed runs, in pairs. The number of CPUs shows
    /// whether the sealer could have its own.
    cost_to_the_bus: Vec<PairedRatio>,
}

/// Runs the scenario and prints its report.
pub(crate) fn seal(arguments: &Arguments) -> Result<(), Failure> {
    let report = Bench::measure(arguments, |bench| {
        let workload = if arguments.quick {
            SealWorkload::quick()
        } else {
            SealWorkload::full(arguments.repeats, arguments.trail_events)
        };
        let cpus = allowed_cpus();
        let report = run(&bench.setup, &cpus, &workload, &bench.mixes, |stage| eprintln!("{stage}"));
        let report = report.map_err(Failure::environment)?;
        Ok(SealReport { report, cost_to_the_bus: cost_to_the_bus(arguments, &bench.setup.directory)? })
    })?;
    if arguments.json {
        return print_json(&report);
    }
    let SealReport { report, cost_to_the_bus } = &report;
    let mut page = page(report);
    page += "  latency of the bus with sealing divided by that without, and the 95 % confidence interval:\n";
    for PairedRatio { name, ratio, low, high, pairs } in cost_to_the_bus {
        page += &format!("  {name:<30} {ratio:>6.3}  ({low:.3} to {high:.3}, {pairs} pairs)\n");
    }
    print_page(&page)
}

/// Runs pairs with and without sealing at the demo's pace, alternating which comes first.
fn cost_to_the_bus(arguments: &Arguments, folder: &Path) -> Result<Vec<PairedRatio>, Failure> {
    let key = folder.join("key");
    let signer = generate("stele.internal/perf", KeyKind::Log).map_err(Failure::environment)?;
    write(&key, &signer, None).map_err(Failure::environment)?;
    let measure = |is_sealed: bool| {
        run_pipeline(arguments, Some(DEMO_RATE), is_sealed.then(|| (key.clone(), CHECKPOINT_SECONDS)))
    };
    let pairs = if arguments.quick { 2 } else { arguments.repeats.max(2) };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for pair in 1..=pairs {
        eprintln!("bus with and without sealing, pair {pair} of {pairs}");
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
                let seen = percentiles_of(&report.latencies()[at].1);
                if is_median { seen.p50 } else { seen.p99 }
            };
            let pairs = with.iter().zip(without).map(|(with, without)| of(with).zip(of(without)));
            let pairs: Option<Vec<(f64, f64)>> =
                pairs.map(|pair| pair.map(|(with, without)| (with as f64, without as f64))).collect();
            let measured = pairs.filter(|pairs| pairs.iter().all(|pair| pair.0 > 0.0 && pair.1 > 0.0));
            ratios
                .extend(measured.and_then(|pairs| PairedRatio::of(&format!("{name}_{percentile}"), &pairs)));
        }
    }
    ratios
}
