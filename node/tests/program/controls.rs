//! Changes of kill switches and limits, on a running bus and on a trail that no process writes.

use crate::running::{Running, wait_until};
use crate::{count, found, stele_fails, stele_json, stele_ok, text};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use stele_journal::TrailReader;
use stele_wire::messages::{
    CancelOrder, Check, KillSwitch, NewOrder, OrderRejected, RefusedOrder, RiskLimit,
};

/// A run whose bus is called `name`.
struct Bus {
    running: Running,
    name: String,
}

impl Bus {
    fn start(folder: &Path, extra: &str) -> Self {
        let name =
            format!("controls-{}-{}", std::process::id(), folder.file_name().unwrap().to_string_lossy());
        let configuration = format!(
            "[bus]\nname = '{name}'\nring_mib = 1\n[journal]\nsegment_mib = 1\n[feed]\npace = 'real-time'\n\
             spec = 'generator:7'\n[[strategy]]\nname = 'ma-cross'\n[[strategy]]\nname = 'dip-buyer'\n{extra}"
        );
        let file = folder.join("run.toml");
        std::fs::write(&file, configuration).unwrap();
        let trail = folder.join("trail");
        let child = Command::new(env!("CARGO_BIN_EXE_stele"))
            .args(["run", "-c", text(&file), "--dir", text(&trail), "--seconds", "120"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bus = Self { running: Running(child), name };
        wait_until("an order is on the trail", || count::<NewOrder>(&trail) > 0);
        bus
    }

    /// Ends the run cleanly.
    fn end(mut self) {
        let asked = Command::new("kill").args(["-INT", &self.running.0.id().to_string()]).status().unwrap();
        assert!(asked.success() && self.running.0.wait().unwrap().success());
    }
}

#[test]
fn a_kill_switch_stops_a_running_bus_and_holds_over_a_restart_until_it_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail");
    let bus = Bus::start(folder.path(), "");
    let entered =
        stele_json(&["kill-switch", "--all", "--by", "12", "--reason", "a test", "--bus", &bus.name]);
    let sequence = entered["entered"][0]["sequence"].as_u64().expect("it is on the log");
    let limit = ["limit", "set", "notional", "5000000000000", "--by", "12", "--approved-by", "7"];
    stele_ok(&[&limit[..], &["--bus", &bus.name]].concat());
    sleep(Duration::from_millis(300));
    bus.end();

    let switches = found::<KillSwitch>(&trail);
    assert_eq!((switches.len(), switches[0].0, switches[0].1.party.get()), (1, sequence, 12));
    let orders = found::<NewOrder>(&trail);
    assert!(orders.iter().all(|(at, _)| *at < sequence), "no order is on the log after the switch");
    let cancels = found::<CancelOrder>(&trail);
    let own = cancels.iter().filter(|(_, cancel)| cancel.publisher.get() == 0);
    assert!(own.clone().all(|(at, cancel)| *at > sequence && cancel.cause.get() == sequence));
    stele_ok(&["verify", text(&trail)]);
    stele_ok(&["check-strategy", text(&trail)]);

    let before = orders.len();
    let configuration = folder.path().join("run.toml");
    stele_ok(&["run", "-c", text(&configuration), "--dir", text(&trail), "--seconds", "0.5"]);
    assert_eq!(count::<NewOrder>(&trail), before, "it holds over the restart");
    let limits = found::<RiskLimit>(&trail);
    let (_, last) = limits.iter().rfind(|(_, limit)| limit.check == Check::NOTIONAL).unwrap();
    assert_eq!(last.limit.get(), 5_000_000_000_000, "the configuration does not undo it");

    stele_fails(
        &["kill-switch", "--all", "--release", "--by", "12", "--approved-by", "12", "--trail", text(&trail)],
        2,
    );
    stele_ok(&[
        "kill-switch",
        "--all",
        "--release",
        "--by",
        "12",
        "--approved-by",
        "7",
        "--trail",
        text(&trail),
    ]);
    stele_ok(&["run", "-c", text(&configuration), "--dir", text(&trail), "--seconds", "1"]);
    assert!(count::<NewOrder>(&trail) > before, "it was released");
    stele_ok(&["verify", text(&trail)]);
    stele_ok(&["check-strategy", text(&trail)]);
}

#[test]
fn a_kill_switch_that_waits_returns_when_nothing_works_and_says_what_became_of_each_order() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail");
    let bus = Bus::start(folder.path(), "");
    let killed = stele_json(&[
        "kill-switch",
        "--all",
        "--by",
        "12",
        "--reason",
        "a test",
        "--bus",
        &bus.name,
        "--wait",
    ]);
    let sequence = killed["entered"][0]["sequence"].as_u64().expect("it is on the log");
    assert_eq!(killed["killed"][0]["working"], 0);
    bus.end();
    // From the trail alone: the orders that were open when the switch was engaged.
    let (mut open, mut ended) = (Vec::new(), stele_venue::OpenOrders::default());
    let mut reader = TrailReader::open(&trail).unwrap();
    while let Some(entry) = reader.read_next().unwrap() {
        if entry.frame.sequence().0 == sequence {
            open = ended.clone().finish().iter().map(|order| order.sequence).collect();
        }
        ended.on_event(&entry.frame);
    }
    let orders = killed["killed"][0]["orders"].as_array().unwrap();
    let reported: Vec<u64> = orders.iter().map(|order| order["sequence"].as_u64().unwrap()).collect();
    assert_eq!(reported, open);
    assert!(
        orders
            .iter()
            .all(|order| order["end"] != "working" && order["end_sequence"].as_u64() > Some(sequence))
    );
    assert!(ended.finish().is_empty(), "nothing works at the end of the trail");
    stele_fails(&["kill-switch", "--all", "--by", "1", "--wait", "--trail", text(&trail)], 2);
}

#[test]
fn with_four_eyes_a_change_without_a_second_person_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail");
    let bus = Bus::start(folder.path(), "[risk]\nfour_eyes = true\n");
    let limit = ["limit", "set", "order-quantity", "0", "--account", "1", "--by", "12", "--bus", &bus.name];
    let said = stele_fails(&limit, 1);
    assert!(said.contains("refused") && said.contains("--approved-by"), "{said}");
    stele_ok(&[&limit[..], &["--approved-by", "7"]].concat());
    wait_until("the limit refuses something", || count::<OrderRejected>(&trail) > 0);
    bus.end();
    assert_eq!(count::<RefusedOrder>(&trail), count::<OrderRejected>(&trail), "each is on the log in full");
    stele_ok(&["verify", text(&trail)]);
    stele_ok(&["check-strategy", text(&trail)]);
}

#[test]
fn invalid_controls_are_reported() {
    assert!(stele_fails(&["kill-switch", "--by", "1"], 2).contains("--all"));
    assert!(stele_fails(&["limit", "set", "speed", "1", "--by", "1"], 2).contains("message-rate"));
    assert!(stele_fails(&["limit", "set", "credit", "-1", "--by", "1"], 2).contains('1'));
    let folder = tempfile::tempdir().unwrap();
    stele_fails(&["kill-switch", "--all", "--by", "1", "--trail", text(folder.path())], 3);
    stele_fails(&["kill-switch", "--all", "--by", "1", "--bus", "there-is-no-such-bus"], 3);
}
