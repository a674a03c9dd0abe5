//! The results of a backtest as text.

use super::report::{BacktestReport, BacktestRun};
use crate::readable::duration;
use crate::readable::grouped;
use std::fmt::Write as _;
use std::path::Path;
use stele_replay::BacktestOutcome;
use stele_replay::backtest::BacktestFigures;

/// Returns the results as text, with the path of the HTML page if one was written.
pub(super) fn table(report: &BacktestReport, page: Option<&Path>) -> String {
    let mut out = String::new();
    match report.runs.as_slice() {
        [run] => one(&report.feed, run, &mut out),
        runs => many(&report.feed, runs, &mut out),
    }
    for failure in failures(report) {
        let _ = writeln!(out, "\nnote     {failure}");
    }
    if let Some(page) = page {
        let _ = writeln!(out, "\npage     {}", page.display());
    }
    out
}

/// Returns a sentence for each run whose strategy failed.
pub(super) fn failures(report: &BacktestReport) -> impl Iterator<Item = String> {
    report.runs.iter().filter_map(|run| {
        let failure = run.outcome.strategy_failure.as_deref()?;
        Some(format!("{} {} was stopped: {failure}", run.outcome.strategy, run.swept.join(" ")))
    })
}

fn one(feed: &str, run: &BacktestRun, out: &mut String) {
    let BacktestOutcome { strategy, records, market_events, first_time, last_time, .. } = &run.outcome;
    let _ = writeln!(
        out,
        "{strategy} over {feed}\n{} records, {} market events, {} of market time in {:.2} s ({} events/s)\n",
        grouped(*records),
        grouped(*market_events),
        duration(last_time - first_time),
        run.seconds,
        grouped(run.events_per_second as u64),
    );
    for (name, value) in rows(&run.outcome.figures) {
        let _ = writeln!(out, "  {name:<24} {value}");
    }
}

/// Returns the name and the value of every figure.
pub(super) fn rows(figures: &BacktestFigures) -> Vec<(&'static str, String)> {
    let BacktestFigures { net, realised, unrealised, fees, drawdown_max, turnover, .. } = figures;
    let BacktestFigures { orders, replacements, cancels, rejected, fills, maker_fills, .. } = figures;
    let latency = figures.order_to_report;
    let counts = format!(
        "{} sent, {} rejected, {} replaced, {} cancelled",
        grouped(*orders),
        grouped(*rejected),
        grouped(*replacements),
        grouped(*cancels)
    );
    let answered = match latency.count {
        0 => "none".into(),
        _ => {
            let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(duration);
            format!("p50 {p50}, p99 {p99}, max {max}")
        }
    };
    vec![
        ("net profit", net.to_string()),
        ("realised", realised.to_string()),
        ("unrealised", unrealised.to_string()),
        ("fees", fees.to_string()),
        ("maximum drawdown", drawdown_max.to_string()),
        ("turnover", turnover.to_string()),
        ("Sharpe ratio, annual", ratio(figures.sharpe)),
        ("Sortino ratio, annual", ratio(figures.sortino)),
        ("orders", counts),
        ("executions", format!("{}, {} as maker", grouped(*fills), grouped(*maker_fills))),
        ("fill ratio", figures.fill_ratio.map_or("none".into(), |ratio| format!("{:.1} %", ratio * 100.0))),
        ("slippage against mid", basis_points(figures.slippage_bp)),
        ("adverse selection, 1 s", basis_points(figures.adverse_1s_bp)),
        ("adverse selection, 10 s", basis_points(figures.adverse_10s_bp)),
        ("order to first report", answered),
    ]
}

/// The column headings of a sweep's table.
pub(super) const COLUMNS: [&str; 8] =
    ["net profit", "drawdown", "Sharpe", "Sortino", "executions", "fill ratio", "slippage", "adverse 1 s"];

/// Returns the values of one run for [`COLUMNS`].
pub(super) fn columns(figures: &BacktestFigures) -> [String; 8] {
    [
        figures.net.to_string(),
        figures.drawdown_max.to_string(),
        ratio(figures.sharpe),
        ratio(figures.sortino),
        grouped(figures.fills),
        figures.fill_ratio.map_or("none".into(), |ratio| format!("{:.1} %", ratio * 100.0)),
        basis_points(figures.slippage_bp),
        basis_points(figures.adverse_1s_bp),
    ]
}

fn ratio(value: Option<f64>) -> String {
    value.map_or("none".into(), |value| format!("{value:.2}"))
}

fn basis_points(value: Option<f64>) -> String {
    value.map_or("none".into(), |value| format!("{value:.3} bp"))
}

fn many(feed: &str, runs: &[BacktestRun], out: &mut String) {
    let Some(first) = runs.first() else { return };
    let seconds: f64 = runs.iter().map(|run| run.seconds).sum();
    let _ = writeln!(
        out,
        "{} over {feed}: {} runs of {} market events, {seconds:.1} s of CPU time\n",
        first.outcome.strategy,
        grouped(runs.len() as u64),
        grouped(first.outcome.market_events),
    );
    let name = |run: &BacktestRun| run.swept.join(" ");
    let width = runs.iter().map(|run| name(run).len()).max().unwrap_or(0);
    let _ = write!(out, "  {:width$}", "");
    COLUMNS.iter().for_each(|column| {
        let _ = write!(out, " {column:>12}");
    });
    out.push('\n');
    for run in runs {
        let _ = write!(out, "  {:width$}", name(run));
        columns(&run.outcome.figures).iter().for_each(|value| {
            let _ = write!(out, " {value:>12}");
        });
        out.push('\n');
    }
}
