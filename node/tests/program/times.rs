//! Times that are counted back from the end of a trail.

use crate::{stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::path::Path;

const SECOND: u64 = 1_000_000_000;

/// Sequence and time of the events that a dump with these flags prints.
fn dumped(trail: &Path, flags: &[&str]) -> Vec<(u64, u64)> {
    let printed = stele_ok(&[&["dump", text(trail), "--json", "--unlogged"], flags].concat());
    let parse = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        Some((event["sequence"].as_u64()?, event["timestamp"].as_u64()?))
    };
    printed.lines().filter_map(parse).collect()
}

/// A trail of about a second.
fn trail(folder: &Path) -> std::path::PathBuf {
    let (file, trail) = (folder.join("run.toml"), folder.join("trail"));
    let configuration = "[journal]\nsegment_mib = 1\nengine = 'plain'\n[bus]\nring_mib = 4\n\
                         [feed]\npace = 'real-time'\nevents_per_second = 5000\n";
    fs::write(&file, configuration).unwrap();
    stele_ok(&["run", "-c", text(&file), "--dir", text(&trail), "--seconds", "1"]);
    trail
}

#[test]
fn a_span_is_counted_back_from_the_last_event_with_or_without_a_sign() {
    let folder = tempfile::tempdir().unwrap();
    let trail = trail(folder.path());
    let all = dumped(&trail, &[]);
    let end = all.last().unwrap().1;
    assert_eq!(dumped(&trail, &["--from", "1h"]), all);
    assert_eq!(dumped(&trail, &["--to", "-1h"]), []);
    for span in ["300ms", "-300ms", "0.3s ago"] {
        let late = dumped(&trail, &["--from", span]);
        assert!(late.iter().all(|(_, time)| *time >= end - SECOND * 3 / 10), "{span}");
        // The last frame may be later than the last event.
        let certain = all.iter().filter(|(_, time)| *time >= end - SECOND / 4).count();
        assert!((certain..all.len()).contains(&late.len()), "{span}: {} of {}", late.len(), all.len());
        let early = dumped(&trail, &["--to", span]);
        assert_eq!(early.len() + late.len(), all.len(), "{span}");
    }
    let refusal = stele_fails(&["dump", text(&trail), "--from", "-17"], 2);
    assert!(refusal.contains("`-17` is not a time; write 2026-11-21"), "{refusal}");
    let refusal = stele_fails(&["dump", text(&trail), "--from", "100y"], 2);
    assert!(refusal.contains("is outside the years 1970 to 2554"), "{refusal}");
}

#[test]
fn a_hold_and_an_expiry_accept_spans_and_report_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let trail = trail(folder.path());
    let end = dumped(&trail, &[]).last().unwrap().1;
    let flags = ["--case", "7", "--reason", "inquiry", "--by", "12", "--from", "-2d", "--to", "1d"];
    let held = stele_json(&[&["hold", "place", text(&trail)], &flags[..]].concat());
    let time = |key: &str| held["holds"][0][key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let day = 24 * 3_600 * i128::from(SECOND);
    assert_eq!(time("to").as_nanosecond() - time("from").as_nanosecond(), day);
    let before = i128::from(end) - time("from").as_nanosecond();
    assert!((2 * day - day / 100..=2 * day).contains(&before), "{held}");
    let soon = stele_json(&["expire", text(&trail), "--dry-run", "--now", "-1h"]);
    let late = stele_json(&["expire", text(&trail), "--dry-run", "--now", "+40y"]);
    assert_eq!(soon["expired"], serde_json::json!([]));
    let because = late["stays"][0]["because"].to_string();
    assert!(because.contains("hold"), "in forty years the hold alone keeps it: {late}");
}
