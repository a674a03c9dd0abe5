//! SIGKILL at random moments: what was acknowledged is there, and the log goes on without a gap.

use crate::{stele_json, stele_ok, text};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use stele_journal::TrailReader;

const KILLS: u32 = 20;

/// A run whose status lines can be read as they come.
fn start(trail: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.args(["run", "--feed", "generator:7", "--pace", "real-time", "--dir", text(trail)]);
    command.args(["--strategy", "ma-cross", "--strategy", "dip-buyer"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program was built")
}

/// The durable position of a status line: `… published 1,000  written −20  durable −30`.
fn durable(line: &str) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let word = line.split(name).nth(1)?.split_whitespace().next()?;
        word.replace([',', '−'], "").parse().ok()
    };
    Some(number("published ")? - number("durable ")?)
}

/// Lets it run for `delay` after its first status line, kills it, and gives the last position that it had called
/// durable.
fn kill_after(mut child: Child, delay: Duration) -> u64 {
    let pipe = BufReader::new(child.stderr.take().expect("it is piped"));
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut said = String::new();
        for line in pipe.lines().map_while(Result::ok) {
            if durable(&line).is_some() {
                let _ = sender.send(());
            }
            said.push_str(&line);
            said.push('\n');
        }
        said
    });
    let began = receiver.recv_timeout(Duration::from_secs(30));
    thread::sleep(delay);
    // It may have failed by itself, which what it said shows.
    let _ = child.kill();
    child.wait().expect("it was started");
    let said = reader.join().expect("the reader only reads");
    assert!(began.is_ok(), "it did not begin:\n{said}");
    said.lines().filter_map(durable).next_back().expect("it began")
}

/// The position behind the last whole frame of the trail.
fn log_end(trail: &Path) -> u64 {
    let mut reader = TrailReader::open(trail).unwrap();
    while reader.read_next_frame().unwrap().is_some() {}
    reader.position().0
}

#[test]
fn a_run_killed_twenty_times_loses_nothing_acknowledged_and_leaves_no_gap() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    let mut seed = u64::from(std::process::id());
    for kill in 1..=KILLS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_micros(seed >> 33 & 0xf_ffff);
        let acknowledged = kill_after(start(&trail), delay);
        let verified = stele_json(&["verify", text(&trail)]);
        let end = log_end(&trail);
        assert!(
            end >= acknowledged,
            "kill {kill} after {delay:?}: durable up to {acknowledged}, there is {end}"
        );
        assert_eq!(verified["events"], verified["last_sequence"], "kill {kill}: the sequence has a gap");
    }
    stele_ok(&[
        "run",
        "--feed",
        "generator:7",
        "--seconds",
        "0.2",
        "--strategy",
        "ma-cross",
        "--strategy",
        "dip-buyer",
        "--pace",
        "real-time",
        "--dir",
        text(&trail),
    ]);
    let verified = stele_json(&["verify", text(&trail)]);
    assert_eq!(verified["epochs"].as_array().unwrap().len(), KILLS as usize + 1);
    stele_ok(&["check-strategy", text(&trail)]);
}
