//! Prints a report as text or as one JSON document.

use serde::Serialize;
use std::io::{self, Write as _, stdout};
use stele_node::measuring::{Failure, grouped};
use stele_perf::{Figure, Machine, Percentiles, PerfReport, Ratios};

/// Prints the report as JSON or text.
pub(crate) fn print_report(report: &PerfReport, json: bool) -> Result<(), Failure> {
    if json { print_json(report) } else { print_page(&page(report)) }
}

/// Prints one JSON document to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::environment(format!("cannot write to standard output: {error}")))?;
    print_page(&(text + "\n"))
}

/// Prints to standard output. A pipe closed by its reader is not an error.
pub(crate) fn print_page(page: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match out.write_all(page.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Returns the report as text, with one line per figure.
pub(crate) fn page(report: &PerfReport) -> String {
    let Machine { cpus, model, kernel, .. } = &report.machine;
    let noise = &report.noise;
    let mut page = format!(
        "{} on {cpus} CPUs ({model}, {kernel}), built from {}\n\
         stalls of the machine itself: {} per second above 10 µs, the longest {} ns\n",
        report.scenario,
        report.revision,
        noise.gaps_per_second,
        grouped(noise.hiccup_max_ns)
    );
    for figure in &report.figures {
        let Figure { name, unit, percentiles, value, repeats, spread, .. } = figure;
        let beside = beside(figure);
        if let Some(percentiles) = percentiles {
            let Percentiles { p50, p99, p999, p9999, max, count, .. } = *percentiles;
            let [p50, p99, p999, p9999] = [p50, p99, p999, p9999].map(given);
            let [max, count] = [max, count].map(grouped);
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

/// Formats a percentile, or a dash if it is missing.
fn given(percentile: Option<u64>) -> String {
    percentile.map_or_else(|| "-".into(), grouped)
}

/// Returns the line that compares a figure with its baseline.
fn beside(figure: &Figure) -> String {
    let Some(baseline) = &figure.baseline else { return String::new() };
    let Ratios { ratio, ratio_p50, ratio_p99, ratio_p9999 } = figure.ratios;
    let named = [("", ratio), ("p50 ", ratio_p50), ("p99 ", ratio_p99), ("p99.99 ", ratio_p9999)];
    let ratios: Vec<String> =
        named.iter().filter_map(|(name, ratio)| ratio.map(|ratio| format!("{name}{ratio:.2}"))).collect();
    format!("\n      ratio to {baseline}: {}", ratios.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_perf::Noise;

    #[test]
    fn a_missing_percentile_is_a_dash() {
        let seen = Percentiles::new(150, [1_000, 2_000, 3_000, 4_000, 5_000], 6_000);
        let figure = Figure::latency("hop", &[seen]).unwrap();
        let page = page(&PerfReport::new("bus", Noise::default(), vec![figure]));
        let line = page.lines().nth(2).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line.contains("p50 1,000 ns p99 - p99.9 - p99.99 - max 6,000 (150 samples"), "{line}");
    }
}
