//! `stele perf`, as short as it gets: whether it runs and prints what it should, not how fast.

use super::{stele_json, text};

#[test]
fn perf_strategies_prints_every_figure_beside_the_other_side() {
    let report = stele_json(&["perf", "strategies", "--quick"]);
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
    let report = stele_json(&["perf", "journal", "--quick", "--dir", text(folder.path())]);
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
fn perf_seal_prints_sealing_beside_sha256_and_what_it_costs_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let report = stele_json(&["perf", "seal", "--quick", "--dir", text(folder.path())]);
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
