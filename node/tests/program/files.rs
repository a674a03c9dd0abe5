//! Real market data through the whole program: no record is lost, and the strategies replay to the same
//! orders.

use crate::{stele_json, stele_ok, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use stele_testkit::shared;

/// `[["A", 12], …]` as a map.
fn counts(pairs: &Value) -> BTreeMap<String, u64> {
    let pairs = pairs.as_array().expect("a list of pairs");
    pairs.iter().map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_u64().unwrap())).collect()
}

fn expected(folder: &Path) -> Value {
    let text =
        std::fs::read_to_string(folder.join("EXPECTED.json")).expect("the folder has results to check by");
    serde_json::from_str(&text).expect("they are JSON")
}

/// Runs a strategy on the file, verifies and checks its trail, and returns the run's report.
fn run_and_check(spec: &str, strategy: &str, trail: &Path) -> Value {
    let report = stele_json(&["run", "--feed", spec, "--strategy", strategy, "--dir", text(trail)]);
    stele_ok(&["verify", text(trail)]);
    stele_ok(&["check-strategy", text(trail)]);
    report
}

#[test]
fn every_itch_message_is_counted_by_its_type_as_another_decoder_counts_it() {
    let Some(folder) = shared::data("itch") else { return };
    let scratch = tempfile::tempdir().unwrap();
    for (index, file) in expected(&folder).as_array().unwrap().iter().enumerate() {
        let name = file["file"].as_str().unwrap();
        let spec = format!("itch:{}", text(&folder.join(name)));
        let report = run_and_check(&spec, "dip-buyer", &scratch.path().join(index.to_string()));
        let by_type: BTreeMap<String, u64> = serde_json::from_value(file["by_type"].clone()).unwrap();
        assert_eq!(counts(&report["feed"]["records"]), by_type, "{name}");
    }
}

#[test]
fn every_dbn_record_is_counted_and_becomes_an_event() {
    let Some(folder) = shared::data("dbn") else { return };
    let scratch = tempfile::tempdir().unwrap();
    for (index, file) in expected(&folder)["files"].as_array().unwrap().iter().enumerate() {
        let name = file["file"].as_str().unwrap();
        let spec = format!("dbn:{}", text(&folder.join(name)));
        let report = run_and_check(&spec, "ma-cross", &scratch.path().join(index.to_string()));
        let total: u64 = counts(&report["feed"]["records"]).values().sum();
        assert_eq!(total, file["records"].as_u64().unwrap(), "{name}");
        assert_eq!(report["feed"]["not_carried"].as_array().map(Vec::len), Some(0), "{name}");
    }
}

#[test]
fn text_files_of_every_kind_are_counted_and_pass_every_check() {
    let Some(data) = shared::path("data") else { return };
    let scratch = tempfile::tempdir().unwrap();
    for (spec, strategy, records) in [
        ("databento-csv:mbo-mbp/mbo.csv", "ma-cross", 5_886),
        ("lobster:lobster/AMZN_2012-06-21_34200000_57600000_message_1.csv", "ma-cross", 57_515),
        ("binance:crypto/binance-spot-btcusdt-20240808.gz", "dip-buyer", 41_249),
    ] {
        let (kind, file) = spec.split_once(':').unwrap();
        let spec = format!("{kind}:{}", text(&data.join(file)));
        let report = run_and_check(&spec, strategy, &scratch.path().join(kind));
        assert_eq!(counts(&report["feed"]["records"]).values().sum::<u64>(), records, "{kind}");
    }
}

#[test]
fn a_recorded_market_played_into_another_run_is_the_same_market() {
    let scratch = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| scratch.path().join(name));
    let file = scratch.path().join("flow.itch50");
    stele_ok(&["generate", "--format", "itch", text(&file), "--events", "20000"]);
    let spec = format!("itch:{}", text(&file));
    stele_ok(&[
        "run",
        "--feed",
        &spec,
        "--date",
        "2026-01-05",
        "--strategy",
        "ma-cross",
        "--dir",
        text(&first),
    ]);
    stele_ok(&["replay", text(&first), "--speed", "0", "--into", text(&second), "--strategy", "ma-cross"]);
    let market = |trail: &Path| -> Vec<Value> {
        let summary = stele_json(&["summary", text(trail)]);
        let types = summary["types"].as_array().unwrap();
        let market = |kind: &&Value| kind["template_id"].as_u64().unwrap() < 200;
        types.iter().filter(market).cloned().collect()
    };
    assert_eq!(market(&first), market(&second));
    assert!(market(&first).iter().map(|kind| kind["count"].as_u64().unwrap()).sum::<u64>() > 15_000);
    stele_ok(&["check-strategy", text(&second)]);
}

#[test]
fn what_dump_prints_is_json_csv_or_a_line_for_every_event() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    stele_ok(&["demo", "--seconds", "0.3", "--rate", "20000", "--dir", text(&trail)]);
    let events = stele_json(&["summary", text(&trail)])["events"].as_u64().unwrap();
    let json = stele_ok(&["dump", text(&trail), "--json"]);
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, events);
    assert!(lines.iter().zip(1..).all(|(line, sequence)| line["sequence"] == sequence));
    let page = stele_ok(&["dump", text(&trail)]);
    assert_eq!(page.lines().count() as u64, events);
    let times: Vec<&str> = page.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    let between = times.iter().filter(|time| (times[700]..=times[900]).contains(*time)).count();
    let selected = stele_ok(&["dump", text(&trail), "--from", times[700], "--to", times[900]]);
    assert_eq!(selected.lines().count(), between);
    let adds =
        stele_ok(&["dump", text(&trail), "--type", "BookAdd", "--from", "100", "--to", "2000", "--csv"]);
    let mut rows = adds.lines().map(|row| row.split(',').count());
    let columns = rows.next().unwrap();
    assert!(columns > 10 && rows.clone().count() > 100 && rows.all(|row| row == columns));
}
