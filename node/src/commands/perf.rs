//! `stele perf`: this machine, and this program on it.

mod bench;
mod bus;
mod journal;
mod seal;
mod strategies;

use crate::cli::{PerfArgs, Scenario};
use crate::failure::Failure;
use crate::measuring::{DEMO_RATE, PipelineRun, RunReport, grouped};
use std::path::PathBuf;
use std::time::Duration;
use stele_perf::{Figure, HiccupMeter, Machine, Percentiles, Ratios, Report};

/// Market events a second of the paced half: the demo's.
const PACED_RATE: u64 = DEMO_RATE;
/// How long the machine's own stalls are watched before each repetition.
const WATCH: Duration = Duration::from_millis(300);

/// Seconds of a repetition where it is to be quick.
const QUICK_SECONDS: f64 = 0.5;

/// Measures and prints.
pub(crate) fn perf(args: &PerfArgs) -> Result<(), Failure> {
    if args.repeats == 0 {
        return Err(Failure::usage("no repetitions").help("give --repeats 1 or more"));
    }
    let report = match args.scenario {
        Scenario::Pipeline => pipeline(args)?,
        Scenario::Journal => return journal::journal(args),
        Scenario::Bus => return bus::bus(args),
        Scenario::Strategies => return strategies::strategies(args),
        Scenario::Seal => return seal::seal(args),
    };
    if args.json { super::print_json(&report) } else { super::print_page(&page(&report)) }
}

/// Feed to trail, everything running: once at the demo's pace for the latencies, once as fast as it goes.
///
/// ```text
///  generator ─> sequencer ─> ring ─┬─> strategies ─> orders ─> sequencer
///                                  ├─> order gateway ─> paper exchange ─> reports ─> sequencer
///                                  └─> journal ─> disk
/// ```
fn pipeline(args: &PerfArgs) -> Result<Report, Failure> {
    let mut meter = HiccupMeter::new();
    let mut latencies: [Vec<Percentiles>; 3] = Default::default();
    let mut names = [""; 3];
    let (mut rates, mut paced_rates) = (Vec::new(), Vec::new());
    let repeats = if args.quick { 1 } else { args.repeats };
    for repeat in 0..repeats {
        eprintln!("repetition {} of {repeats}", repeat + 1);
        meter.watch(WATCH);
        let paced = measure(args, Some(PACED_RATE), None)?;
        for (index, (name, percentiles)) in paced.latencies().into_iter().enumerate() {
            names[index] = name;
            latencies[index].push(convert(percentiles));
        }
        paced_rates.push(paced.events_per_second());
        rates.push(measure(args, None, None)?.events_per_second());
    }
    let timed = names.iter().zip(&latencies).filter_map(|(name, seen)| Figure::latency(name, seen));
    let rated = [("paced_rate", &paced_rates), ("pipeline_throughput", &rates)];
    let figures =
        timed.chain(rated.into_iter().filter_map(|(name, seen)| Figure::rate(name, seen))).collect();
    Ok(Report {
        scenario: "pipeline",
        revision: env!("CARGO_PKG_VERSION").into(),
        machine: Machine::read(),
        noise: meter.noise(),
        figures,
    })
}

/// One run over a trail that is thrown away, sealed where `seal` says with which key and how often.
fn measure(args: &PerfArgs, rate: Option<u64>, seal: Option<(PathBuf, f64)>) -> Result<RunReport, Failure> {
    let run = PipelineRun {
        events_per_second: rate,
        seconds: if args.quick { QUICK_SECONDS } else { args.seconds },
        sample_every: if rate.is_some() { 1 } else { 64 },
        seal,
    };
    run.run()
}

fn convert(percentiles: stele_replay::Percentiles) -> Percentiles {
    let stele_replay::Percentiles { count, p50, p90, p99, p999, p9999, max } = percentiles;
    Percentiles { count, p50, p90, p99, p999, p9999, max }
}

fn page(report: &Report) -> String {
    let Machine { cpus, model, kernel, .. } = &report.machine;
    let noise = &report.noise;
    let mut page = format!(
        "{} on {cpus} CPUs ({model}, {kernel})\n\
         the machine's own stalls: {} a second above 10 µs, the longest {} ns\n",
        report.scenario,
        noise.gaps_per_second,
        grouped(noise.hiccup_max_ns)
    );
    for figure in &report.figures {
        let Figure { name, unit, percentiles, value, repeats, spread, .. } = figure;
        let beside = beside(figure);
        if let Some(percentiles) = percentiles {
            let Percentiles { p50, p99, p999, p9999, max, count, .. } = *percentiles;
            let [p50, p99, p999, p9999, max, count] = [p50, p99, p999, p9999, max, count].map(grouped);
            page += &format!(
                "  {name:<26} p50 {p50:>9} {unit}  p99 {p99:>11}  p99.9 {p999:>11}  p99.99 {p9999:>11}  \
                 max {max:>12}  \
                 ({count} samples, {repeats} runs, spread {spread:.2}){beside}\n"
            );
        }
        if let Some(value) = value {
            let value = grouped(*value as u64);
            page +=
                &format!("  {name:<26} {value:>13} {unit}  ({repeats} runs, spread {spread:.2}){beside}\n");
        }
    }
    page
}

/// How a figure compares with its baseline.
fn beside(figure: &Figure) -> String {
    let Some(baseline) = &figure.baseline else { return String::new() };
    let Ratios { ratio, ratio_p50, ratio_p99, ratio_p9999 } = figure.ratios;
    let named = [("", ratio), ("p50 ", ratio_p50), ("p99 ", ratio_p99), ("p99.99 ", ratio_p9999)];
    let ratios: Vec<String> =
        named.iter().filter_map(|(name, ratio)| ratio.map(|ratio| format!("{name}{ratio:.2}"))).collect();
    format!("\n      over {baseline}: {}", ratios.join(", "))
}
