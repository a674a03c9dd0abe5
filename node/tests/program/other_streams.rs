//! The program on trails of other streams, which have a schema of their own; the examples write them.

use crate::{stele_fails, stele_json, stele_ok, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use stele_testkit::skip::skip_outside_ci;

/// An example of the replay crate; none where it is not built.
fn example(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_stele")).parent()?.join("examples").join(name);
    if !path.exists() {
        skip_outside_ci("the examples, `cargo build -p stele-replay --examples`");
        return None;
    }
    Some(path)
}

fn run(example: &Path, trail: &Path) -> String {
    let output = Command::new(example).arg(trail).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn dumped(trail: &Path, arguments: &[&str]) -> Vec<Value> {
    let all = [&["dump", text(trail), "--json"], arguments].concat();
    stele_ok(&all).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_trail_of_payments_verifies_and_shows_payments_by_name_and_alerts_with_their_evidence() {
    let Some(card_fraud) = example("card_fraud") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let said = run(&card_fraud, &trail);
    assert!(said.contains("15 alerts over 1") && said.contains("raise the same alerts"), "{said}");
    let verified = stele_json(&["verify", text(&trail)]);
    let [unknown] = &verified["unknown"].as_array().unwrap()[..] else { panic!("{verified}") };
    assert_eq!((unknown["schema"].as_u64(), unknown["template"].as_u64()), (Some(901), Some(1)));
    let payments = unknown["count"].as_u64().unwrap();
    let events = dumped(&trail, &[]);
    let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
    let shown = of("CardPayment");
    assert_eq!(shown.len() as u64, payments);
    let first = shown[0];
    assert_eq!((first["schemaId"].as_u64(), first["message"]["currency"].as_str()), (Some(901), Some("EUR")));
    let alerts = of("Alert");
    assert_eq!(alerts.len(), 15);
    for alert in &alerts {
        let last = alert["message"]["lastSequence"].as_u64().unwrap();
        let cause = events.iter().find(|event| event["sequence"].as_u64() == Some(last)).unwrap();
        assert_eq!(cause["type"], "CardPayment");
    }
    assert_eq!(dumped(&trail, &["--type", "Alert"]).len(), 15);
    let csv = stele_ok(&["dump", text(&trail), "--csv"]);
    assert!(csv.contains("sequence,timestamp,type,time,payment,card,amount,"), "payments have a header");
    let summary = stele_json(&["summary", text(&trail)]);
    let types = summary["types"].as_array().unwrap();
    let foreign = types.iter().find(|kind| kind["name"] == "template 1 of schema 901").unwrap();
    assert_eq!(foreign["count"].as_u64(), Some(payments));
    let said = stele_fails(&["check-strategy", text(&trail)], 2);
    assert!(said.contains("unknown strategy `card-fraud`"), "{said}");
}

#[test]
fn a_trail_of_readings_verifies_and_its_faults_are_on_it() {
    let Some(sensors) = example("sensors") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let said = run(&sensors, &trail);
    assert!(
        said.contains("9 alerts over 72000 readings") && said.contains("raise the same alerts"),
        "{said}"
    );
    stele_ok(&["verify", text(&trail)]);
    let codes = dumped(&trail, &["--type", "CodeDefinition"]);
    assert_eq!(codes.len(), 3);
    assert_eq!(dumped(&trail, &["--type", "Alert"]).len(), 9);
}
