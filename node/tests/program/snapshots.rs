//! A start on an existing trail resumes from its newest snapshot, with the same result as from the whole
//! trail.

use crate::{stele, stele_fails, stele_json, stele_ok, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn snapshots(trail: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(trail).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        names.filter(|path| path.extension().is_some_and(|extension| extension == "snapshot")).collect();
    found.sort();
    found
}

/// A configuration with segments of 1 MiB and snapshots as `every` says. At the market's own pace, and
/// without waiting for the disk, orders still reach the market that they were sent for.
fn configuration(folder: &Path, every: &str) -> PathBuf {
    let path = folder.join(format!("{every}.toml"));
    let toml = format!(
        "[feed]\npace = \"real-time\"\n[journal]\nsegment_mib = 1\n[snapshots]\nevery = \"{every}\"\n\
         [venue]\nrelease = \"published\"\n"
    );
    fs::write(&path, toml).unwrap();
    path
}

fn run(folder: &Path, every: &str, file: &Path, trail: &Path) -> (Value, String) {
    let config = configuration(folder, every);
    let spec = format!("itch:{}", text(file));
    let output = stele(&[
        "run",
        "-c",
        text(&config),
        "--feed",
        &spec,
        "--date",
        "2026-01-05",
        "--strategy",
        "ma-cross",
        "--dir",
        text(trail),
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (stele_json(&["summary", text(trail)]), said)
}

fn copy(from: &Path, to: &Path, with_snapshots: bool) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let is_snapshot = path.extension().is_some_and(|extension| extension == "snapshot");
        if path.is_file() && (with_snapshots || !is_snapshot) {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// The events of a session before its first market event: definitions, resumed strategies, cancels, unsent
/// orders.
fn beginning(trail: &Path, epoch_start: u64) -> Vec<Value> {
    let from = epoch_start.to_string();
    let lines = stele_ok(&["dump", text(trail), "--from", &from, "--json"]);
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let wanted = ["StrategyDefinition", "NewOrder", "OrderCancelled", "OrderRejected", "OrderFilled"];
    let of_type = |event: &Value| wanted.iter().any(|name| event["type"] == *name);
    let mut events: Vec<Value> = events.filter(of_type).collect();
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        event.retain(|key, _| !key.contains("time") && !key.contains("sequence") && key != "position");
    }
    events
}

#[test]
fn a_start_resumes_from_the_snapshot_with_the_same_result_as_from_the_whole_trail() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let file = folder.join("flow.itch50");
    stele_ok(&["generate", "--format", "itch", text(&file), "--events", "40000"]);
    let first = folder.join("first");
    let (summary, said) = run(folder, "roll", &file, &first);
    assert!(!said.contains("resumed from"), "{said}");
    let events = summary["events"].as_u64().unwrap();
    assert!(fs::read_dir(&first).unwrap().count() > 4, "several segments");
    let taken = snapshots(&first);
    assert!((1..=2).contains(&taken.len()), "{taken:?}");

    // The market has one event, so the state and the orders of the strategies come from the sessions before.
    let file = folder.join("one.itch50");
    stele_ok(&["generate", "--format", "itch", text(&file), "--events", "1"]);
    let [with, without] = ["with", "without"].map(|name| folder.join(name));
    copy(&first, &with, true);
    copy(&first, &without, false);
    let (of_snapshot, said) = run(folder, "roll", &file, &with);
    assert!(said.contains("resumed from the snapshot after segment"), "{said}");
    assert!(said.contains(": 0 later events replayed"), "{said}");
    let (of_trail, said) = run(folder, "never", &file, &without);
    assert!(said.contains("resumed from the whole trail"), "{said}");
    assert!(snapshots(&without).is_empty());

    assert_eq!(of_snapshot["strategies"][0]["positions"], of_trail["strategies"][0]["positions"]);
    let begun = beginning(&with, events + 1);
    assert!(!begun.is_empty());
    assert_eq!(begun, beginning(&without, events + 1));
    assert_ne!(of_snapshot["strategies"][0]["positions"], Value::Array(Vec::new()));
    let recorded = stele_ok(&["dump", text(&with), "--type", "SnapshotTaken"]);
    assert!(recorded.lines().count() >= 1, "{recorded}");
    for trail in [&with, &without] {
        stele_ok(&["check-strategy", text(trail)]);
        stele_ok(&["verify", text(trail)]);
    }

    let taken = stele_json(&["snapshot", text(&without)]);
    assert_eq!(
        (taken["was_there"].as_bool(), taken["sequence"].as_u64()),
        (Some(false), of_trail["events"].as_u64())
    );
    assert_eq!(stele_json(&["snapshot", text(&without)])["was_there"], true);

    // A damaged snapshot is named and not used; without any other, the whole trail is read.
    for path in snapshots(&with) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    let (_, said) = run(folder, "roll", &file, &with);
    assert!(
        said.contains("a snapshot was not used") && said.contains("resumed from the whole trail"),
        "{said}"
    );
}

#[test]
fn a_trail_without_its_beginning_and_without_a_snapshot_is_refused_with_a_remedy() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let file = folder.join("flow.itch50");
    stele_ok(&["generate", "--format", "itch", text(&file), "--events", "20000"]);
    let trail = folder.join("trail");
    run(folder, "never", &file, &trail);
    fs::remove_file(trail.join("0000000001.stele")).unwrap();
    let spec = format!("itch:{}", text(&file));
    let arguments =
        ["run", "--feed", &spec, "--date", "2026-01-05", "--strategy", "ma-cross", "--dir", text(&trail)];
    let said = stele_fails(&arguments, 1);
    assert!(said.contains("have expired") && said.contains("restore a snapshot"), "{said}");
    let said = stele_fails(&["check-strategy", text(&trail)], 1);
    assert!(said.contains("no snapshot can be used"), "{said}");
}
