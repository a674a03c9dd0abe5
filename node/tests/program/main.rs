//! Tests of the built program as a user runs it: real files, kills, bad input.

mod access;
mod at_rest;
mod attach;
mod backtest;
mod bad_input;
mod built_in;
mod command_lines;
mod controls;
mod door;
mod exchange;
mod files;
mod full_disk;
mod golden_trails;
mod help;
mod hot_threads;
mod keep;
mod kill;
mod live_seal;
mod new_strategy;
mod operator;
mod other_streams;
mod perf;
mod running;
mod seal;
mod shards;
mod snapshots;
mod tamper;
mod times;
mod timestamp;
mod watch;
mod witness;

use std::path::Path;
use std::process::{Command, Output};
use stele_journal::{TrailError, TrailReader};
use stele_wire::Position;
use stele_wire::codec::Message;

/// Runs `stele` to its end.
fn stele(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stele")).args(arguments).output().expect("the program was built")
}

/// Runs `stele`, which must succeed, and returns what it printed.
fn stele_ok(arguments: &[&str]) -> String {
    let output = stele(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stele {} failed:\n{errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("the program prints UTF-8")
}

/// Runs `stele` with `--json`, which must succeed, and returns what it printed.
fn stele_json(arguments: &[&str]) -> serde_json::Value {
    let printed = stele_ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error} in:\n{printed}"))
}

/// Runs `stele`, which must end with `code`, and returns what it printed on standard error.
fn stele_fails(arguments: &[&str], code: i32) -> String {
    let output = stele(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "stele {}:\n{errors}", arguments.join(" "));
    errors
}

/// Returns the position after the last complete frame of the trail.
fn log_end(trail: &Path) -> Result<Position, TrailError> {
    let mut reader = TrailReader::open(trail)?;
    while reader.read_next_frame()?.is_some() {}
    Ok(reader.position())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths here are UTF-8")
}

/// The messages of a kind on a trail, each with its sequence; none while there is no trail yet.
fn found<M: Message>(trail: &Path) -> Vec<(u64, M)> {
    let Ok(mut reader) = TrailReader::open(trail) else { return Vec::new() };
    let mut all = Vec::new();
    while let Ok(Some(entry)) = reader.read_next() {
        all.extend(entry.frame.message::<M>().map(|message| (entry.frame.sequence().0, *message)));
    }
    all
}

/// How many messages of a kind are on a trail.
fn count<M: Message>(trail: &Path) -> usize {
    found::<M>(trail).len()
}
