//! Backtests of a strategy over a recorded market.

use super::{stele, stele_fails, stele_json, stele_ok, text};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

struct Scratch {
    _folder: tempfile::TempDir,
    folder: PathBuf,
    feed: String,
}

/// A folder with a file of `events` market events in it.
fn scratch(events: u64) -> Scratch {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().to_owned();
    let file = folder.join("flow.itch50");
    stele_ok(&["generate", "--format", "itch", text(&file), "--events", &events.to_string()]);
    let feed = format!("itch:{},date=2026-01-05", file.display());
    Scratch { _folder: scratch, folder, feed }
}

/// The report without the values that depend on the machine's speed.
fn timeless(mut report: Value) -> Value {
    for run in report["runs"].as_array_mut().unwrap() {
        let run = run.as_object_mut().unwrap();
        run.remove("seconds").unwrap();
        run.remove("events_per_second").unwrap();
    }
    report
}

#[test]
fn a_backtest_gives_the_same_result_each_time_and_its_table_agrees_with_its_json() {
    let Scratch { feed, .. } = &scratch(40_000);
    let arguments = ["backtest", "--feed", feed, "--strategy", "dip-buyer", "--param", "fall-percent=0.0001"];
    let report = timeless(stele_json(&arguments));
    assert_eq!(report, timeless(stele_json(&arguments)));
    let figures = &report["runs"][0]["figures"];
    assert!(figures["fills"].as_u64() > Some(0), "{figures}");
    let net: f64 = figures["net"].as_str().unwrap().parse().unwrap();
    let table = stele_ok(&arguments);
    let line = |name: &str| {
        let line = table.lines().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{table}")).trim_start()[name.len()..].trim().to_owned()
    };
    assert_eq!(line("net profit"), format!("{net:.2}"));
    assert!(line("executions").starts_with(&figures["fills"].to_string()));
}

#[test]
fn a_backtest_over_a_trail_gives_the_result_of_the_file_that_the_trail_was_fed_from() {
    let Scratch { folder, feed, .. } = &scratch(20_000);
    let trail = folder.join("trail");
    stele_ok(&["run", "--feed", feed, "--strategy", "ma-cross", "--dir", text(&trail)]);
    // Only the strategy's rate of orders depends on time, and a trail's events are due when they were
    // received.
    let paced = ["--strategy", "ma-cross", "--param", "orders-per-second=100000"];
    let over = |feed: &str| timeless(stele_json(&[&["backtest", "--feed", feed], &paced[..]].concat()));
    let of_trail = over(&format!("trail:{}", trail.display()));
    let of_file = over(feed);
    for figure in ["orders", "fills", "net", "fees", "turnover", "slippage_bp"] {
        let [trail, file] = [&of_trail, &of_file].map(|report| &report["runs"][0]["figures"][figure]);
        assert!(!file.is_null(), "{figure}");
        assert_eq!(trail, file, "{figure}");
    }
}

#[test]
fn a_sweep_runs_every_combination_and_puts_the_most_profitable_first() {
    let Scratch { folder, feed, .. } = &scratch(20_000);
    let page = folder.join("page.html");
    let report = stele_json(&[
        "backtest",
        "--feed",
        feed,
        "--strategy",
        "ma-cross",
        "--sweep",
        "fast=4..12:4",
        "--sweep",
        "slow=64,128",
        "--html",
        text(&page),
    ]);
    let runs = report["runs"].as_array().unwrap();
    let swept =
        |run: &Value| run["swept"].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>();
    let mut all = runs.iter().map(swept).collect::<Vec<_>>();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6, "{all:?}");
    let nets = runs.iter().map(|run| run["figures"]["net"].as_str().unwrap().parse().unwrap());
    let nets = nets.collect::<Vec<f64>>();
    assert!(nets.is_sorted_by(|first, second| first >= second), "{nets:?}");
    // One run of the sweep has the same parameters.
    let alone = stele_json(&[
        "backtest",
        "--feed",
        feed,
        "--strategy",
        "ma-cross",
        "--param",
        "fast=8",
        "--param",
        "slow=128",
    ]);
    let same = runs.iter().find(|run| run["parameters"] == alone["runs"][0]["parameters"]).unwrap();
    assert_eq!(same["figures"], alone["runs"][0]["figures"]);

    let page = fs::read_to_string(page).unwrap();
    assert!(page.matches("<svg").count() >= 5, "equity, drawdown, price, position, latency");
    assert!(page.contains("6 runs, the most profitable first") && page.trim_end().ends_with("</html>"));
    for outside in ["src=", "href=", "@import", "<script"] {
        assert!(!page.contains(outside), "the page needs something beside itself: {outside}");
    }
}

#[test]
fn a_backtest_uses_the_configured_exchange() {
    let Scratch { folder, feed, .. } = &scratch(20_000);
    let config = folder.join("slow.toml");
    fs::write(&config, "[venue]\norder_delay_us = 250\nreport_delay_us = 50\ntaker_fee_bp = 0\n").unwrap();
    let report = stele_json(&["backtest", "-c", text(&config), "--feed", feed, "--strategy", "ma-cross"]);
    let figures = &report["runs"][0]["figures"];
    assert_eq!(figures["fees"], "0.000000000");
    let shortest = figures["order_to_report"]["p50"].as_u64().unwrap();
    assert!((297_000..=303_000).contains(&shortest), "{shortest}");
}

#[test]
fn an_impossible_backtest_is_refused_with_a_remedy() {
    let Scratch { folder, feed, .. } = &scratch(1_000);
    let refused = |more: &[&str], code: i32, what: &str| {
        let said = stele_fails(&[&["backtest"], more].concat(), code);
        assert!(said.contains(what), "{said}");
    };
    refused(&["--feed", feed], 2, "choose one with --strategy NAME");
    refused(&["--strategy", "ma-cross", "--feed", "generator:1"], 2, "--seconds");
    refused(&["--feed", feed, "--strategy", "ma-corss"], 2, "did you mean `ma-cross`?");
    refused(&["--feed", feed, "--strategy", "ma-cross", "--param", "fast=0"], 2, "`fast` is 0, but must be");
    refused(&["--feed", feed, "--strategy", "ma-cross", "--sweep", "fast=9..4"], 2, "must ascend");
    refused(
        &["--feed", feed, "--strategy", "ma-cross", "--sweep", "fast=0..4"],
        2,
        "`fast` is 0, but must be",
    );
    refused(&["--feed", "itch:nowhere", "--strategy", "ma-cross", "--date", "2026-01-05"], 3, "nowhere");
    let page = folder.join("no such folder/page.html");
    refused(&["--feed", feed, "--strategy", "ma-cross", "--html", text(&page)], 3, "cannot write");

    let torn = folder.join("torn.itch50");
    let whole = fs::read(folder.join("flow.itch50")).unwrap();
    fs::write(&torn, &whole[..whole.len() - 3]).unwrap();
    let feed = format!("itch:{},date=2026-01-05", torn.display());
    let output = stele(&["backtest", "--feed", &feed, "--strategy", "ma-cross"]);
    assert_eq!(output.status.code(), Some(3), "a torn file is reported");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("net profit"),
        "the events before the tear count"
    );
}
