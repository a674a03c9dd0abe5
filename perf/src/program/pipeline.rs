//! `stele perf pipeline`: measures the whole program.

use super::cli::Arguments;
use super::page::print_report;
use std::path::PathBuf;
use std::time::Duration;
use stele_node::measuring::{DEMO_RATE, Failure, PipelineRun, RunReport};
use stele_perf::{Figure, HiccupMeter, Percentiles, PerfReport};

/// How long the stalls of the machine are measured before each repetition.
const WATCH: Duration = Duration::from_millis(300);
/// Seconds of a repetition with `--quick`.
const QUICK_SECONDS: f64 = 0.5;

/// Measures from feed to trail, at the demo's pace for the latencies and at full speed for the throughput,
/// and prints the report.
///
/// ```text
///  generator ─> sequencer ─> ring ─┬─> strategies ─> orders ─> sequencer
///                                  ├─> order gateway ─> paper exchange ─> reports ─> sequencer
///                                  └─> journal ─> disk
/// ```
pub(crate) fn pipeline(arguments: &Arguments) -> Result<(), Failure> {
    let mut meter = HiccupMeter::new();
    let mut latencies: [Vec<Percentiles>; 3] = Default::default();
    let mut names = [""; 3];
    let (mut rates, mut paced_rates) = (Vec::new(), Vec::new());
    let repeats = if arguments.quick { 1 } else { arguments.repeats };
    for repeat in 0..repeats {
        eprintln!("repetition {} of {repeats}", repeat + 1);
        meter.watch(WATCH);
        let paced = run(arguments, Some(DEMO_RATE), None)?;
        for (index, (name, percentiles)) in paced.latencies().into_iter().enumerate() {
            names[index] = name;
            latencies[index].push(percentiles_of(&percentiles));
        }
        paced_rates.push(paced.events_per_second());
        rates.push(run(arguments, None, None)?.events_per_second());
    }
    let timed = names.iter().zip(&latencies).filter_map(|(name, seen)| Figure::latency(name, seen));
    let rated = [("paced_rate", &paced_rates), ("pipeline_throughput", &rates)];
    let figures =
        timed.chain(rated.into_iter().filter_map(|(name, seen)| Figure::rate(name, seen))).collect();
    print_report(&PerfReport::new("pipeline", meter.noise(), figures), arguments.json)
}

/// Runs the pipeline with a temporary trail, at `rate` market events per second or at full speed. `seal` is
/// the key file and the seconds between two checkpoints, if the trail is to be sealed.
pub(crate) fn run(
    arguments: &Arguments,
    rate: Option<u64>,
    seal: Option<(PathBuf, f64)>,
) -> Result<RunReport, Failure> {
    let run = PipelineRun {
        events_per_second: rate,
        seconds: if arguments.quick { QUICK_SECONDS } else { arguments.seconds },
        sample_every: if rate.is_some() { 1 } else { 64 },
        seal,
    };
    run.run()
}

/// Returns the percentiles of a run, without those that have too few samples.
pub(crate) fn percentiles_of(seen: &stele_replay::LatencyPercentiles) -> Percentiles {
    let stele_replay::LatencyPercentiles { count, p50, p90, p99, p999, p9999, max } = *seen;
    Percentiles::new(count, [p50, p90, p99, p999, p9999], max)
}
