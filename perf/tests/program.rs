//! Runs the program with `--quick` and checks what it prints.

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stele-perf")).args(arguments).output().expect("the program was built")
}

/// Runs the program with `--json` and returns its output. Panics if it fails.
fn run_json(arguments: &[&str]) -> serde_json::Value {
    let output = run(&[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stele-perf {} failed:\n{errors}", arguments.join(" "));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths here are UTF-8")
}

#[test]
fn a_report_contains_the_commit_and_no_percentile_with_too_few_samples() {
    let report = run_json(&["pipeline", "--quick"]);
    let revision = report["revision"].as_str().unwrap();
    let git =
        Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    match git.ok().filter(|output| output.status.success()) {
        Some(head) => {
            let head = String::from_utf8(head.stdout).unwrap();
            assert!(revision.starts_with(head.trim()), "{revision} {head}");
        }
        None => assert_eq!(revision, env!("CARGO_PKG_VERSION")),
    }
    for figure in report["figures"].as_array().unwrap() {
        let Some(count) = figure["count"].as_u64() else { continue };
        for (percentile, least) in
            [("p50", 20), ("p90", 100), ("p99", 1_000), ("p999", 10_000), ("p9999", 100_000)]
        {
            assert_eq!(figure[percentile].is_u64(), count >= least, "{percentile} of {figure}");
        }
    }
}

#[test]
fn failures_have_the_exit_codes_of_stele() {
    for (arguments, code) in [(&["everything"][..], 2), (&["pipeline", "--repeats", "0"], 2)] {
        assert_eq!(run(arguments).status.code(), Some(code), "{arguments:?}");
    }
    assert_eq!(run(&["journal", "--quick", "--dir", "/proc/nowhere"]).status.code(), Some(3));
    assert!(run(&["bus", "--consumers", "2"]).status.success(), "the internal call for counting");
}

#[test]
fn perf_strategies_prints_every_figure_with_its_baseline() {
    let report = run_json(&["strategies", "--quick"]);
    assert_eq!(report["scenario"], "strategies");
    let figures = report["figures"].as_array().unwrap();
    for name in [
        "book_update_generator",
        "window_tumbling_sum",
        "window_sliding_mean",
        "window_sliding_max",
        "backtest_generator",
    ] {
        let figure = figures.iter().find(|figure| figure["name"] == name);
        let figure = figure.unwrap_or_else(|| panic!("{name} is missing of {figures:#?}"));
        let baseline = figures.iter().find(|other| other["name"] == figure["baseline"]);
        assert!(baseline.is_some(), "{figure}");
        assert!(figure["ratio"].is_number() || figure["ratio_p50"].is_number(), "{figure}");
    }
}

#[test]
fn perf_journal_prints_every_figure_with_its_baseline_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let report = run_json(&["journal", "--quick", "--dir", text(folder.path())]);
    assert_eq!(report["scenario"], "journal");
    assert!(report["machine"]["cpus"].as_u64() > Some(0) && report["noise"]["hiccup_max_ns"].is_u64());
    assert!(report["flush_methods"]["method"].is_string() && report["flush_methods"]["trials"].is_array());
    let figures = report["figures"].as_array().unwrap();
    for name in [
        "publish_to_written",
        "publish_to_durable",
        "journal_throughput",
        "durable_throughput",
        "verified_scan",
        "recovery",
        "roll",
    ] {
        let figure = figures.iter().find(|figure| figure["name"] == name);
        let figure = figure.unwrap_or_else(|| panic!("{name} is missing of {figures:#?}"));
        assert!(figure["unit"].is_string() && figure["repeats"] == 1 && figure["spread"].is_number());
        assert!(name == "recovery" || figure["baseline"].is_string(), "{figure}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "everything written was removed");
}

#[test]
fn perf_seal_compares_sealing_with_sha256_and_prints_its_cost_to_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let report = run_json(&["seal", "--quick", "--dir", text(folder.path())]);
    assert_eq!(report["scenario"], "seal");
    let figures = report["figures"].as_array().unwrap();
    let named = |name: &str| figures.iter().find(|figure| figure["name"] == name);
    for name in ["seal", "seal_trail", "seal_all_cores", "verify", "verify_all_cores", "sha256_same_bytes"] {
        let figure = named(name).unwrap_or_else(|| panic!("{name} is missing of {figures:#?}"));
        assert!(figure["unit"] == "events/s" && figure["value"].as_f64() > Some(0.0), "{figure}");
    }
    assert_eq!(named("seal").unwrap()["baseline"], "sha256_same_bytes");
    let events = named("trail_events").unwrap()["value"].as_f64().unwrap();
    assert!(events >= 40_000.0, "{events}");
    assert_eq!(named("prove").unwrap()["count"], 20);
    let cost = report["cost_to_the_bus"].as_array().unwrap();
    assert!(cost.iter().any(|ratio| ratio["name"] == "tick_to_strategy_p50"), "{cost:?}");
    for ratio in cost {
        let [low, middle, high] = ["low", "ratio", "high"].map(|name| ratio[name].as_f64().unwrap());
        assert!(ratio["pairs"] == 2 && 0.0 < low && low <= middle && middle <= high, "{ratio}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "everything written was removed");
}
