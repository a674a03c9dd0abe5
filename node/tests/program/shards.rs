//! Several shards in one run: each trail is complete in itself, together they have the whole market, and each
//! event is forwarded once.

use crate::{stele_fails, stele_json, stele_ok, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use stele_bus::{MessageClass, template};
use stele_journal::TrailReader;
use stele_testkit::shared;
use stele_wire::codec::text as symbol_of;
use stele_wire::messages::{
    BookAdd, Check, CreditAllotment, FeedStatus, Forwarded, InstrumentDefinition, OrderRejected,
};
use stele_wire::{Frame, Nanos};

/// Two shards of the generator's market. The strategy of the second follows an instrument of the first.
const TWO: &str = "[journal]\nsegment_mib = 1\nspare_segments = 1\n[bus]\nring_mib = 1\n\
                   [[shard]]\nid = 1\ninstruments = ['GEN001', 'GEN002']\n\
                   [[shard]]\nid = 2\ninstruments = 'rest'\nforward = [{ from = 1, instruments = ['GEN001'] }]\n\
                   [[strategy]]\nname = 'dip-buyer'\nshard = 1\n\
                   [[strategy]]\nname = 'lead-lag'\nshard = 2\n[strategy.parameters]\n\
                   leader = 'GEN001'\nfollower = 'GEN003'\nmove-percent = 0.001\nmax-position = 1000\n";

/// A folder with a configuration and a place for the trails.
struct Scene {
    scratch: tempfile::TempDir,
}

impl Scene {
    fn new(configuration: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("run.toml"), configuration).unwrap();
        Self { scratch }
    }

    fn configuration(&self) -> PathBuf {
        self.scratch.path().join("run.toml")
    }

    fn trails(&self) -> PathBuf {
        self.scratch.path().join("trails")
    }

    fn shard(&self, id: u32) -> PathBuf {
        self.trails().join(format!("shard-{id}"))
    }

    fn run(&self, flags: &[&str]) -> Value {
        let (configuration, trails) = (self.configuration(), self.trails());
        let whole = ["run", "-c", text(&configuration), "--dir", text(&trails)];
        stele_json(&[&whole, flags].concat())
    }
}

fn events(trail: &Path, mut on_event: impl FnMut(&Frame<'_>)) {
    let mut reader = TrailReader::open(trail).unwrap();
    while let Some(entry) = reader.read_next().unwrap() {
        on_event(&entry.frame);
    }
}

/// The instrument of an event of market data; 0 is the whole market.
fn instrument_of(frame: &Frame<'_>) -> Option<u32> {
    let known = template(frame.template_id())?;
    let is_market = known.stamped && known.class == MessageClass::MarketData;
    let at = std::mem::offset_of!(BookAdd, instrument);
    is_market.then(|| u32::from_le_bytes(*frame.body()[at..].first_chunk().unwrap()))
}

/// Counts the events about instruments, by type and symbol, and those about the whole market, by type.
fn market(trail: &Path) -> (BTreeMap<(u16, String), u64>, BTreeMap<u16, u64>) {
    let (mut symbols, mut of_instruments, mut of_all) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    events(trail, |frame| {
        let template_id = frame.template_id();
        if let Some(definition) = frame.message::<InstrumentDefinition>() {
            let symbol = symbol_of(&definition.venue_symbol).to_owned();
            symbols.insert(definition.instrument.get(), symbol.clone());
            *of_instruments.entry((template_id, symbol)).or_default() += 1;
        }
        match instrument_of(frame) {
            None => {}
            Some(0) => *of_all.entry(template_id).or_default() += 1,
            Some(instrument) => {
                let symbol =
                    symbols.get(&instrument).expect("an instrument is defined before its events").clone();
                *of_instruments.entry((template_id, symbol)).or_default() += 1;
            }
        }
    });
    (of_instruments, of_all)
}

/// Plays a market into one trail and into two, and compares them.
fn two_are_the_whole(feed: &[&str], instruments: &str) {
    let shards =
        format!("[[shard]]\nid = 1\ninstruments = {instruments}\n[[shard]]\nid = 2\ninstruments = 'rest'\n");
    let (one, two) = (Scene::new(""), Scene::new(&shards));
    one.run(feed);
    let report = two.run(feed);
    let (whole, of_all) = market(&one.trails());
    let [(first, first_of_all), (second, second_of_all)] = [1, 2].map(|id| market(&two.shard(id)));
    assert!(!first.is_empty() && !second.is_empty(), "each has its part");
    assert!(first.keys().all(|key| !second.contains_key(key)), "an instrument is in one shard");
    assert_eq!(first.into_iter().chain(second).collect::<BTreeMap<_, _>>(), whole);
    assert_eq!((&first_of_all, &second_of_all), (&of_all, &of_all), "what concerns all goes to all");
    let verified = stele_json(&["verify", text(&two.trails())]);
    for (at, id) in [(0, 1), (1, 2)] {
        let alone = stele_json(&["verify", text(&two.shard(id))]);
        assert_eq!(verified["shards"][at]["shard"], id);
        assert_eq!(verified["shards"][at]["events"], alone["events"]);
        assert_eq!(report["shards"][at]["events"], alone["events"]);
    }
    let total: u64 = [0, 1].map(|at| report["shards"][at]["events"].as_u64().unwrap()).iter().sum();
    assert_eq!(report["events"], total);
    assert_eq!(stele_json(&["summary", text(&two.trails())])["events"], total);
}

#[test]
fn two_shards_are_the_whole_generated_market() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("flow.itch50");
    stele_ok(&["generate", "--format", "itch", text(&file), "--events", "20000"]);
    let spec = format!("itch:{}", text(&file));
    two_are_the_whole(&["--feed", &spec, "--date", "2026-01-05"], "['GEN001', 'GEN004']");
}

#[test]
fn two_shards_are_the_whole_recorded_market() {
    let Some(file) = shared::data("itch/nasdaq-day-start-1000.itch50") else { return };
    let itch = format!("itch:{}", text(&file));
    two_are_the_whole(&["--feed", &itch, "--date", "2020-01-30"], "['A', 'AA', 'AAPL', 'AAAU']");
}

/// Returns the events of shard 1 that were forwarded to shard 2, and those that should have been, beginning
/// with the first that was; both by their sequences on shard 1.
fn forwarded_and_wanted(scene: &Scene) -> (Vec<u64>, Vec<u64>) {
    let mut forwarded = Vec::new();
    events(&scene.shard(2), |frame| {
        if let Some(message) = frame.message::<Forwarded>() {
            assert_eq!(message.origin_shard.get(), 1);
            assert!(Nanos(message.origin_timestamp.get()) <= frame.timestamp(), "not before it happened");
            forwarded.push(message.origin_sequence.get());
        }
    });
    let (mut wanted, mut leader) = (Vec::new(), None);
    let first = forwarded.first().copied().unwrap_or(0);
    events(&scene.shard(1), |frame| {
        let mut is_wanted = frame.template_id() == FeedStatus::TEMPLATE_ID;
        if let Some(definition) = frame.message::<InstrumentDefinition>()
            && symbol_of(&definition.venue_symbol) == "GEN001"
        {
            leader = Some(definition.instrument.get());
            is_wanted = true;
        }
        is_wanted |=
            instrument_of(frame).is_some_and(|instrument| instrument == 0 || Some(instrument) == leader);
        if is_wanted && frame.sequence().0 >= first {
            wanted.push(frame.sequence().0);
        }
    });
    (forwarded, wanted)
}

fn assert_same(forwarded: &[u64], wanted: &[u64]) {
    let differs = forwarded.iter().zip(wanted).position(|(forwarded, wanted)| forwarded != wanted);
    let at = differs.map(|at| (forwarded[at], wanted[at]));
    assert_eq!(
        (at, forwarded.len()),
        (None, wanted.len()),
        "the first difference between the forwarded and the wanted events, and their number"
    );
}

#[test]
fn a_strategy_trades_on_events_of_another_shard_and_its_trail_alone_proves_it() {
    let scene = Scene::new(TWO);
    let report = scene.run(&["--feed", "generator:3", "--seconds", "0.5"]);
    let strategies = &report["shards"][1]["strategies"];
    assert_eq!(strategies[0]["name"], "lead-lag");
    assert!(strategies[0]["orders"]["sent"].as_u64().unwrap() > 0, "{strategies}");
    let (forwarded, wanted) = forwarded_and_wanted(&scene);
    assert!(forwarded.len() > 1_000);
    assert_same(&forwarded, &wanted);
    let alone = scene.scratch.path().join("alone");
    fs::rename(scene.shard(2), &alone).unwrap();
    fs::remove_dir_all(scene.trails()).unwrap();
    stele_ok(&["verify", text(&alone)]);
    let checked = stele_json(&["check-strategy", text(&alone)]);
    assert_eq!((&checked["equal"], &checked["strategies"][0]["name"]), (&true.into(), &"lead-lag".into()));
    assert!(checked["strategies"][0]["orders"].as_u64().unwrap() > 0);
}

/// Starts the run in the background and kills it within `life`.
fn kill_after(scene: &Scene, flags: &[&str], life: Duration) {
    let mut child = start(scene, flags);
    thread::sleep(life);
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn start(scene: &Scene, flags: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.args(["run", "-c", text(&scene.configuration()), "--dir", text(&scene.trails())]).args(flags);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program was built")
}

#[test]
fn after_kills_no_event_is_forwarded_twice_or_lost() {
    let scene = Scene::new(TWO);
    let feed = ["--feed", "generator:5", "--pace", "real-time"];
    for kill in 0..6 {
        kill_after(&scene, &feed, Duration::from_millis(500 + 130 * kill));
    }
    scene.run(&[&feed[..], &["--seconds", "0.3"]].concat());
    let (forwarded, wanted) = forwarded_and_wanted(&scene);
    assert!(forwarded.len() > 1_000);
    assert_same(&forwarded, &wanted);
    stele_ok(&["verify", text(&scene.trails())]);
    stele_ok(&["check-strategy", text(&scene.trails())]);
}

#[test]
fn a_feed_with_an_instrument_of_no_shard_ends_and_the_instrument_is_named() {
    let scene = Scene::new(
        "[[shard]]\nid = 1\ninstruments = ['GEN001']\n[[shard]]\nid = 2\ninstruments = ['GEN002']\n",
    );
    let (configuration, trails) = (scene.configuration(), scene.trails());
    let run = ["run", "-c", text(&configuration), "--dir", text(&trails), "--feed", "generator:1"];
    let said = stele_fails(&run, 3);
    assert!(said.contains("(GEN003) is in no shard"), "{said}");
    stele_ok(&["verify", text(&trails)]);
}

#[test]
fn the_directory_of_several_shards_is_distinguished_from_a_trail() {
    let scene = Scene::new(TWO);
    scene.run(&["--feed", "generator:1", "--seconds", "0.2"]);
    let said = stele_fails(&["dump", text(&scene.trails())], 2);
    assert!(said.contains("contains the trails of several shards") && said.contains("shard-1"), "{said}");
    let page = stele_ok(&["summary", text(&scene.trails())]);
    assert!(
        page.contains("shard 1:") && page.contains("shard 2:") && page.contains("events in 2 shards"),
        "{page}"
    );
    assert!(stele_ok(&["dump", text(&scene.shard(2)), "--type", "Forwarded"]).lines().count() > 10);
}

#[test]
fn any_agent_can_run_on_any_core() {
    let cores = "[[core]]\nidle = 'back-off'\nagents = ['feed', '2.sequencer', '1.journal', '2.gateway', '2.forwarder']\n\
                 [[core]]\nidle = 'yield'\nagents = ['1.sequencer', '1.strategies', '2.journal']\n\
                 [[core]]\nidle = 'park'\nagents = ['2.strategies', '1.gateway']\n";
    let scene = Scene::new(&format!("{TWO}{cores}"));
    scene.run(&["--feed", "generator:1", "--seconds", "0.3"]);
    stele_ok(&["verify", text(&scene.trails())]);
    stele_ok(&["check-strategy", text(&scene.trails())]);
}

#[test]
fn two_processes_with_a_shard_each_are_one_run() {
    let scene = Scene::new(TWO);
    let feed = |seconds| ["--feed", "generator:5", "--pace", "real-time", "--seconds", seconds];
    let shard = |seconds, id| [&feed(seconds)[..], &["--shard", id]].concat();
    let mut first = start(&scene, &shard("1.5", "1"));
    thread::sleep(Duration::from_millis(200));
    kill_after(&scene, &shard("5", "2"), Duration::from_millis(700));
    assert!(first.wait().unwrap().success());
    let (before, _) = forwarded_and_wanted(&scene);
    // The next start of the first shard makes the end of its epoch before durable. It is forwarded to the
    // second shard although the first has ended.
    let (_, of_first_epoch) = forwarded_and_wanted(&scene);
    scene.run(&shard("0.2", "1"));
    let report = scene.run(&shard("1", "2"));
    assert_eq!(report["shard"], 2);
    let (forwarded, wanted) = forwarded_and_wanted(&scene);
    assert!(forwarded.len() > before.len() && forwarded.len() > 1_000);
    assert!(forwarded.last() > of_first_epoch.last(), "the first epoch is forwarded to its end");
    assert_same(&forwarded, &wanted[..forwarded.len()]);
    stele_ok(&["verify", text(&scene.trails())]);
    stele_ok(&["check-strategy", text(&scene.trails())]);
}

#[test]
fn the_firms_credit_is_allotted_on_every_log_and_limits_each_shard() {
    let credit = |first: u64, second: u64| {
        let shards = TWO.replacen("id = 1\n", &format!("id = 1\ncredit = {first}\n"), 1);
        let shards = shards.replacen("id = 2\n", &format!("id = 2\ncredit = {second}\n"), 1);
        format!("{shards}[risk]\nfirm_credit = 1000000\n")
    };
    let allotments = |scene: &Scene, shard| {
        let mut allotments = Vec::new();
        events(&scene.shard(shard), |frame| {
            let allotment = frame.message::<CreditAllotment>();
            allotments.extend(allotment.map(|it| (it.shard.get(), it.amount.get() / 1_000_000_000)));
        });
        allotments
    };
    let refused = |scene: &Scene, shard| {
        let mut refused = 0;
        events(&scene.shard(shard), |frame| {
            let rejected = frame.message::<OrderRejected>();
            refused += u64::from(rejected.is_some_and(|rejected| rejected.check == Check::CREDIT));
        });
        refused
    };
    let scene = Scene::new(&credit(0, 1_000_000));
    let flags = ["--feed", "generator:3", "--seconds", "0.5"];
    scene.run(&flags);
    assert_eq!(allotments(&scene, 1), [(1, 0), (2, 1_000_000)]);
    assert_eq!(allotments(&scene, 2), allotments(&scene, 1), "each log has the allotments of all shards");
    let stopped = refused(&scene, 1);
    assert!(stopped > 0, "a shard without credit buys nothing");
    fs::write(scene.configuration(), credit(900_000, 100_000)).unwrap();
    scene.run(&flags);
    assert_eq!(allotments(&scene, 1)[2..], [(2, 100_000), (1, 900_000)], "reductions come first");
    assert_eq!(refused(&scene, 1), stopped, "it has credit now");
    stele_ok(&["verify", text(&scene.trails())]);
    fs::write(scene.configuration(), credit(900_000, 100_001)).unwrap();
    let (configuration, trails) = (scene.configuration(), scene.trails());
    let errors = stele_fails(&["run", "-c", text(&configuration), "--dir", text(&trails)], 2);
    assert!(errors.contains("1000001 together, but firm_credit is 1000000"), "{errors}");
}
