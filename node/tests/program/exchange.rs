//! The configuration of the paper exchange: delays, queue model, timetable, its own book.

use crate::{stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::path::Path;

/// A run of a second against the generator with this `[venue]`, verified and checked; gives its trail.
fn run(folder: &Path, venue: &str) -> String {
    let (config, trail) = (folder.join("run.toml"), folder.join("trail"));
    let content = format!(
        "[feed]\nspec = \"generator:3\"\npace = \"real-time\"\nevents_per_second = 20000\nseconds = 1.0\n\
         [trail]\ndir = \"{}\"\n[journal]\nsegment_mib = 1\nengine = \"plain\"\n\
         [[strategy]]\nname = \"ma-cross\"\n[[strategy]]\nname = \"dip-buyer\"\n[venue]\n{venue}",
        text(&trail)
    );
    fs::write(&config, content).unwrap();
    stele_ok(&["run", "-c", text(&config)]);
    let trail = text(&trail).to_owned();
    let verified = stele_json(&["verify", &trail]);
    assert_eq!(verified["violations"].as_array().map_or(0, Vec::len), 0, "{verified}");
    stele_ok(&["check-strategy", &trail]);
    trail
}

/// The events of a kind, as `dump --json` has them.
fn dumped(trail: &str, kind: &str) -> Vec<serde_json::Value> {
    let lines = stele_ok(&["dump", trail, "--type", kind, "--json"]);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_timetable_and_delays_are_on_the_log_and_replay_to_the_same_orders() {
    let folder = tempfile::tempdir().unwrap();
    let trail = run(
        folder.path(),
        "queue = \"by-order\"\nself_trade = \"cancel-oldest\"\norder_delay_us = 200\norder_jitter_us = 100\n\
         report_delay_us = 150\nreport_jitter_us = 50\nseed = 7\n\
         [[venue.phase]]\nafter_seconds = 0.3\nphase = \"halted\"\n\
         [[venue.phase]]\nafter_seconds = 0.4\nphase = \"continuous\"\n\
         [[venue.phase]]\nafter_seconds = 0.7\nphase = \"closed\"\n",
    );
    let statuses = dumped(&trail, "TradingStatus");
    assert_eq!(statuses.len(), 3, "{statuses:?}");
    assert!(!dumped(&trail, "OrderFilled").is_empty(), "orders before the halt");
    assert!(!dumped(&trail, "OrderRejected").is_empty(), "orders after the close");
}

#[test]
fn in_its_own_book_no_order_trades_with_the_replayed_market() {
    let folder = tempfile::tempdir().unwrap();
    let trail = run(folder.path(), "counterparty = \"own-book\"\n");
    assert!(!dumped(&trail, "OrderAccepted").is_empty());
    assert!(!dumped(&trail, "OrderCancelled").is_empty(), "the strategies' orders find no counterparty");
    assert!(dumped(&trail, "OrderFilled").is_empty());
}

#[test]
fn an_invalid_venue_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (config, trail) = (folder.path().join("run.toml"), folder.path().join("trail"));
    for (venue, what, help) in [
        ("order_delay_us = 10000001", "order_delay_us is 10000001", "from 0 to 10000000"),
        ("queue = \"optimistic\"", "queue is `optimistic`", "one of conservative, proportional, by-order"),
    ] {
        fs::write(&config, format!("[venue]\n{venue}\n[trail]\ndir = \"{}\"\n", text(&trail))).unwrap();
        let said = stele_fails(&["run", "-c", text(&config), "--strategy", "ma-cross"], 2);
        assert!(said.contains(what) && said.contains(help), "{said}");
        assert!(!trail.exists());
    }
}
