//! Watching a run from other processes: `stele top`, the metrics, and `stele doctor`.

use crate::running::{Running, eventually};
use crate::{stele_fails, stele_json, stele_ok, text};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts a run in the background, with the bus `name`.
fn start(folder: &Path, name: &str, more: &str, arguments: &[&str]) -> Running {
    let config = folder.join("stele.toml");
    let toml = format!("[bus]\nname = \"{name}\"\nring_mib = 4\n[journal]\nsegment_mib = 4\n{more}");
    std::fs::write(&config, toml).unwrap();
    let trail = folder.join("trail");
    let run = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["run", "-c", text(&config), "--dir", text(&trail), "--pace", "real-time"])
        .args(["--strategy", "dip-buyer"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(run.unwrap())
}

fn look(name: &str) -> Option<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["top", name, "--json"])
        .output()
        .expect("it was built");
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

#[test]
fn another_process_sees_the_progress_and_the_end_of_a_run() {
    let scratch = tempfile::tempdir().unwrap();
    let name = format!("watch-{}", std::process::id());
    let mut run = start(scratch.path(), &name, "", &[]);
    let events = |view: &Value| view["shards"][0]["events"].as_u64().unwrap_or(0);
    let durable = |view: &Value| view["shards"][0]["watermarks"][3]["position"].as_u64().unwrap_or(0);
    let is_under_way =
        |view: &Value| events(view) > 1_000 && durable(view) > 0 && view["shards"][0]["released"] != 0;
    let first = eventually("the run is under way", || look(&name).filter(is_under_way));
    let later = eventually("more happens", || look(&name).filter(|view| events(view) > events(&first)));
    let shard = &later["shards"][0];
    assert_eq!(later["state"], "running");
    assert!(shard["events_per_second"].as_f64().unwrap() > 1_000.0, "{shard}");
    assert_eq!(names(&shard["watermarks"], "name"), ["published", "batched", "written", "durable", "sealed"]);
    let positions: Vec<u64> = shard["watermarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mark| mark["position"].as_u64().unwrap())
        .collect();
    assert!(positions.is_sorted_by(|before, after| before >= after) && positions[3] > 0, "{positions:?}");
    assert_eq!(names(&shard["consumers"], "name"), ["strategies", "order gateway", "paper exchange"]);
    assert!(names(&shard["consumers"], "contract").iter().all(|contract| *contract == "gating"));
    assert_eq!(
        names(&shard["publishers"], "name"),
        ["session", "feed", "strategies", "order gateway", "paper exchange", "controls", "auditors"]
    );
    for latency in ["tick_to_sequenced", "tick_to_strategy", "publish_to_durable", "sequenced_to_released"] {
        assert!(names(&shard["latencies"], "name").contains(&latency), "{shard}");
    }
    assert!(later["cores"][0]["turns_per_second"].as_f64().unwrap() > 0.0, "{later}");

    let page = stele_ok(&["top", &name, "--once"]);
    assert!(page.starts_with(&format!("bus {name}   process {}", run.0.id())), "{page}");
    assert!(page.contains("publish_to_durable") && page.contains("gating"), "{page}");
    let counts = |view: &Value| view["shards"][0]["latencies"][2]["count"].as_u64().unwrap();
    eventually("a batch becomes durable between two looks", || look(&name).filter(|view| counts(view) > 0));

    // A process is identified by its number and its start time, so a process that has ended is detected.
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    let errors = stele_fails(&["top", &name, "--once"], 3);
    assert!(errors.contains(&format!("no bus named `{name}` runs")), "{errors}");
}

fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn metric(page: &str, name: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn the_metrics_of_a_run_are_served_and_grow() {
    let scratch = tempfile::tempdir().unwrap();
    let name = format!("metrics-{}", std::process::id());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let more = format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n");
    let _run = start(scratch.path(), &name, &more, &[]);
    let events = |page: &str| metric(page, "stele_events_total{shard=\"0\"}").unwrap_or(0.0);
    let first = eventually("it serves", || get(port).filter(|page| events(page) > 1_000.0));
    let turns = |page: &str| metric(page, "stele_turns_working_total").unwrap_or(0.0);
    let later = eventually("more happens", || {
        get(port).filter(|page| events(page) > events(&first) && turns(page) > 0.0)
    });
    assert!(later.starts_with("HTTP/1.1 200"));
    for name in ["stele_durable_bytes", "stele_publish_to_durable_seconds_count", "stele_turns_working_total"]
    {
        assert!(metric(&later, name).is_some_and(|value| value > 0.0), "{name} in:\n{later}");
    }
    // Every line is a comment or a metric with a value.
    let body = later.split_once("\r\n\r\n").unwrap().1;
    let is_well_formed = |line: &&str| {
        line.starts_with("# ") || line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok())
    };
    let lines = body.lines().filter(|line| line.contains("stele_"));
    assert!(lines.clone().count() > 50 && lines.clone().all(|line| is_well_formed(&line)), "{body}");
}

#[test]
fn the_doctor_examines_this_machine_and_prints_the_layout_of_a_run() {
    let page = stele_ok(&["doctor"]);
    assert!(
        page.starts_with("layout: ") && page.contains("sequencer") && page.contains("huge pages"),
        "{page}"
    );
    let report = stele_json(&["doctor"]);
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.len() >= 15, "{report}");
    for finding in findings {
        assert_eq!(finding["state"] == "warning", finding["remedy"].is_string(), "{finding}");
    }
}
