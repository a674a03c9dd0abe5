//! The acts of an operator: a strategy is paused, resumed and changed, one order is cancelled, a limit is
//! proposed and approved; on a running bus, after a kill, and on a trail that no process writes.

use crate::running::{Running, wait_until};
use crate::{count, found, stele_fails, stele_json, stele_ok, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use stele_replay::Controls;
use stele_strategies::Registry;
use stele_wire::messages::{
    CancelOrder, Check, KillSwitch, LimitProposed, NewOrder, OperatorCancel, RiskLimit, StrategyAct,
    StrategyCommand, StrategyDefinition,
};

/// A market maker that quotes far from the market and leaves its quotes there.
const FAR_MAKER: &str = "[[strategy]]\nname = 'market-maker'\n[strategy.parameters]\narrival-decay = 0.001\n\
                         tolerance = 1000\nsample = '1ms'\n";

/// A run whose bus is called `name`, with ma-cross as strategy 1, dip-buyer as 2 and a market maker as 3.
struct Bus {
    running: Running,
    name: String,
    trail: PathBuf,
    said: PathBuf,
}

impl Bus {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, "", "")
    }

    /// As `start`, with more lines for the bus and in the configuration.
    fn start_with(folder: &Path, of_bus: &str, more: &str) -> Self {
        let name =
            format!("operator-{}-{}", std::process::id(), folder.file_name().unwrap().to_string_lossy());
        let configuration = format!(
            "[bus]\nname = '{name}'\nring_mib = 1\n{of_bus}[journal]\nsegment_mib = 1\n[feed]\npace = 'real-time'\n\
             spec = 'generator:7'\n[[strategy]]\nname = 'ma-cross'\n[[strategy]]\nname = 'dip-buyer'\n{FAR_MAKER}{more}"
        );
        std::fs::write(folder.join("run.toml"), configuration).unwrap();
        Self::again(folder, name)
    }

    /// Starts a run on the same trail with the same configuration.
    fn again(folder: &Path, name: String) -> Self {
        let (file, trail, said) = (folder.join("run.toml"), folder.join("trail"), folder.join("said"));
        let orders = count::<NewOrder>(&trail);
        let child = Command::new(env!("CARGO_BIN_EXE_stele"))
            .args(["run", "-c", text(&file), "--dir", text(&trail), "--seconds", "300"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let bus = Self { running: Running(child), name, trail, said };
        wait_until("an order is on the trail", || count::<NewOrder>(&bus.trail) > orders);
        bus
    }

    /// Runs a command on the bus.
    fn act(&self, words: &[&str]) -> Value {
        stele_json(&[words, &["--bus", &self.name]].concat())
    }

    fn fails(&self, words: &[&str], code: i32) -> String {
        stele_fails(&[words, &["--bus", &self.name]].concat(), code)
    }

    /// Ends the run cleanly.
    fn end(mut self) {
        let asked = Command::new("kill").args(["-INT", &self.running.0.id().to_string()]).status().unwrap();
        assert!(asked.success() && self.running.0.wait().unwrap().success());
    }

    /// Kills the process.
    fn kill(mut self) {
        self.running.0.kill().unwrap();
        self.running.0.wait().unwrap();
    }
}

/// The orders that the strategy decided on from event `from` to event `to`.
fn decided(trail: &Path, strategy: u16, from: u64, to: u64) -> usize {
    let orders = found::<NewOrder>(trail);
    let is_of =
        |order: &NewOrder| order.strategy.get() == strategy && (from..=to).contains(&order.cause.get());
    orders.iter().filter(|(_, order)| is_of(order)).count()
}

fn sequence(entered: &Value) -> u64 {
    entered["entered"][0]["sequence"].as_u64().expect("it is on the log")
}

const WHO: [&str; 4] = ["--by", "12", "--reason", "news"];

fn words<'a>(act: &[&'a str]) -> Vec<&'a str> {
    [act, &WHO[..]].concat()
}

#[test]
fn a_strategy_is_paused_and_changed_while_it_runs_and_stays_so_over_a_kill_until_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start(folder.path());
    let trail = bus.trail.clone();
    let paused = sequence(&bus.act(&words(&["strategy", "pause", "ma-cross"])));
    let strategy = || bus.act_top();
    wait_until("the counters show it", || strategy()["is_paused"] == true);
    wait_until("an order is not sent", || strategy()["suppressed"].as_u64() > Some(0));
    let said = bus.fails(&words(&["strategy", "pause", "1"]), 1);
    assert!(said.contains(&format!("it is paused already, since event {paused}")), "{said}");
    let changed = bus.act(&words(&["strategy", "set", "1", "fast=3", "slow=9"]));
    assert_eq!(changed["parameters"][0]["name"], "fast");
    assert_eq!(
        (&changed["parameters"][0]["before"], &changed["parameters"][1]["now"]),
        (&"8".into(), &"9".into())
    );
    let commands = found::<StrategyCommand>(&trail);
    let [(at, pause), (_, set)] = &commands[..] else { panic!("{} commands", commands.len()) };
    assert_eq!(
        (*at, pause.act, pause.party.get(), pause.strategy.get()),
        (paused, StrategyAct::PAUSE, 12, 1)
    );
    let definitions = found::<StrategyDefinition>(&trail);
    let (first, _) = definitions.iter().find(|(_, definition)| definition.strategy.get() == 1).unwrap();
    assert_eq!(set.previous.get(), *first);
    sleep(Duration::from_millis(300));
    let name = bus.name.clone();
    bus.kill();
    assert_eq!(decided(&trail, 1, paused + 1, u64::MAX), 0, "it is paused");
    assert!(decided(&trail, 1, 0, paused) > 0 && decided(&trail, 2, paused + 1, u64::MAX) > 0);
    stele_ok(&["check-strategy", text(&trail)]);

    let bus = Bus::again(folder.path(), name);
    wait_until("an order is not sent", || bus.act_top()["suppressed"].as_u64() > Some(0));
    let said = std::fs::read_to_string(&bus.said).unwrap();
    assert!(
        said.contains(&format!("strategy 1 ma-cross is paused by an operator (event {paused})")),
        "{said}"
    );
    assert!(said.contains("continues with the parameters that an operator set"), "{said}");
    assert_eq!(decided(&trail, 1, paused + 1, u64::MAX), 0, "it is paused after the restart");
    let resumed = sequence(&bus.act(&words(&["strategy", "resume", "ma-cross"])));
    wait_until("it trades again", || decided(&trail, 1, resumed, u64::MAX) > 0);
    bus.end();
    stele_ok(&["check-strategy", text(&trail)]);
    stele_ok(&["verify", text(&trail)]);

    let summary = stele_json(&["summary", text(&trail), "--unlogged"]);
    let acts: Vec<&str> =
        summary["acts"].as_array().unwrap().iter().map(|act| act["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["pause strategy 1", "set the parameters of strategy 1", "resume strategy 1"]);
    assert_eq!((&summary["acts"][0]["by"], &summary["acts"][0]["reason"]), (&12.into(), &"news".into()));
    let page = stele_ok(&["summary", text(&trail), "--unlogged"]);
    let user = rustix::process::geteuid().as_raw();
    assert!(page.contains(&format!("by party 12, user {user}: news")), "the kernel named the user: {page}");
}

impl Bus {
    /// Strategy 1 as `stele top` shows it.
    fn act_top(&self) -> Value {
        stele_json(&["top", &self.name])["shards"][0]["strategies"][0].clone()
    }
}

#[test]
fn on_a_stopped_trail_a_command_holds_from_the_next_run_on() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start(folder.path());
    let (trail, name) = (bus.trail.clone(), bus.name.clone());
    bus.end();
    let on_trail = |act: &[&str]| stele_json(&[&words(act)[..], &["--trail", text(&trail)]].concat());
    let before = found::<NewOrder>(&trail).len();
    let paused = sequence(&on_trail(&["strategy", "pause", "1"]));
    on_trail(&["strategy", "set", "dip-buyer", "quantity=3"]);
    let bus = Bus::again(folder.path(), name);
    wait_until("an order is not sent", || bus.act_top()["suppressed"].as_u64() > Some(0));
    wait_until("the other one trades", || decided(&trail, 2, paused, u64::MAX) > 0);
    bus.end();
    assert_eq!(decided(&trail, 1, paused, u64::MAX), 0);
    let orders = found::<NewOrder>(&trail);
    let of_buyer = orders[before..].iter().filter(|(_, order)| order.strategy.get() == 2);
    assert!(of_buyer.clone().any(|(_, order)| order.quantity.get() == 3));
    stele_ok(&["check-strategy", text(&trail)]);
    let said =
        stele_fails(&[&words(&["strategy", "pause", "1"])[..], &["--trail", text(&trail)]].concat(), 1);
    assert!(said.contains("paused already"), "{said}");
    on_trail(&["strategy", "resume", "1"]);
    stele_ok(&["verify", text(&trail)]);
}

#[test]
fn an_act_that_cannot_apply_is_refused_before_it_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start(folder.path());
    let said = bus.fails(&words(&["strategy", "pause", "ma-cros"]), 2);
    assert!(said.contains("did you mean `ma-cross`?") && said.contains("1 ma-cross, 2 dip-buyer"), "{said}");
    assert!(bus.fails(&words(&["strategy", "pause", "9"]), 2).contains("no strategy `9`"));
    assert!(bus.fails(&words(&["strategy", "resume", "1"]), 1).contains("it is not paused"));
    let said = bus.fails(&words(&["strategy", "set", "1", "fast=0"]), 2);
    assert!(said.contains("`fast` is 0, but must be a whole number from 1"), "{said}");
    assert!(bus.fails(&words(&["strategy", "set", "1", "fasst=2"]), 2).contains("did you mean `fast`?"));
    assert!(bus.fails(&words(&["strategy", "set", "1", "fast=99"]), 2).contains("must be below `slow`"));
    let said = bus.fails(&words(&["strategy", "set", "1", "symbol=X"]), 2);
    assert!(said.contains("cannot change while the strategy runs"), "{said}");
    assert!(bus.fails(&words(&["strategy", "set", "1", "fast=8"]), 1).contains("already"));
    let said = bus.fails(&["strategy", "pause", "1", "--by", "12"], 2);
    assert!(said.contains("needs a reason"), "{said}");
    bus.fails(&["strategy", "pause", "1", "--by", "12", "--approved-by", "12", "--reason", "x"], 2);
    assert!(bus.fails(&words(&["order", "cancel", "1"]), 2).contains("is not an order but a "));
    assert!(bus.fails(&words(&["order", "cancel", "99999999999"]), 2).contains("no event 99999999999"));
    let (done, _) = found::<NewOrder>(&bus.trail).into_iter().find(|(_, it)| it.strategy.get() == 1).unwrap();
    wait_until("its order is done", || working(&bus.trail).iter().all(|(sequence, _)| *sequence != done));
    assert!(bus.fails(&words(&["order", "cancel", &done.to_string()]), 1).contains("does not work any more"));
    let trail = bus.trail.clone();
    bus.end();
    assert_eq!((count::<StrategyCommand>(&trail), count::<OperatorCancel>(&trail)), (0, 0));
    let strategies = stele_json(&["summary", text(&trail), "--unlogged"]);
    assert_eq!(strategies["acts"].as_array().unwrap().len(), 0);
    let empty = tempfile::tempdir().unwrap();
    stele_fails(&[&words(&["strategy", "pause", "1"])[..], &["--trail", text(empty.path())]].concat(), 3);
    stele_fails(&[&words(&["strategy", "pause", "1"])[..], &["--bus", "there-is-no-such-bus"]].concat(), 3);
}

/// The sequence and strategy of every open order.
fn working(trail: &Path) -> Vec<(u64, u16)> {
    let controls = Controls::read(trail, &Registry::built_in()).unwrap();
    controls.into_open_orders().iter().map(|order| (order.sequence, order.strategy)).collect()
}

#[test]
fn one_working_order_is_cancelled_and_the_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start(folder.path());
    let trail = bus.trail.clone();
    let quotes = || working(&trail).into_iter().filter(|(_, strategy)| *strategy == 3).map(|(at, _)| at);
    wait_until("two quotes rest", || quotes().count() >= 2);
    bus.act(&words(&["strategy", "pause", "market-maker"]));
    sleep(Duration::from_millis(200));
    let all: Vec<u64> = quotes().collect();
    let said = bus.act(&words(&["order", "cancel", &all[0].to_string()]));
    let requests = found::<OperatorCancel>(&trail);
    let [(requested, request)] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.order_sequence.get(), request.party.get()), (all[0], 12));
    let cancels = found::<CancelOrder>(&trail);
    let own: Vec<_> = cancels.iter().filter(|(_, it)| it.cause.get() == *requested).collect();
    assert_eq!((own.len(), own[0].1.publisher.get(), &said["cancel"]), (1, 0, &own[0].0.into()));
    wait_until("it is done", || quotes().all(|at| at != all[0]));
    assert_eq!(quotes().collect::<Vec<_>>(), &all[1..], "the others work");
    bus.end();
    stele_ok(&["check-strategy", text(&trail)]);
}

#[test]
fn a_proposed_limit_is_not_in_force_and_its_user_cannot_approve_it_under_another_number() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start(folder.path());
    let trail = bus.trail.clone();
    let propose = ["limit", "propose", "open-orders", "50", "--strategy", "2"];
    let proposed = sequence(&bus.act(&words(&propose))).to_string();
    let said = bus.fails(&["limit", "approve", &proposed, "--by", "12"], 2);
    assert!(said.contains("cannot approve its own"), "{said}");
    let said = bus.fails(&["limit", "approve", &proposed, "--by", "7"], 1);
    assert!(said.contains("was made by the same user"), "{said}");
    assert!(bus.fails(&["limit", "approve", "1", "--by", "7"], 2).contains("is not a proposal but a "));
    assert!(bus.fails(&["limit", "approve", "99999999999", "--by", "7"], 2).contains("no event 99999999999"));
    let limits =
        || found::<RiskLimit>(&trail).iter().filter(|(_, it)| it.check == Check::OPEN_ORDERS).count();
    assert_eq!(limits(), 0, "it is proposed only");

    bus.act(&["limit", "set", "open-orders", "50", "--strategy", "2", "--by", "12", "--approved-by", "7"]);
    assert!(bus.fails(&words(&propose), 1).contains("in force already"));
    let short = ["limit", "propose", "open-orders", "70", "--strategy", "2", "--expires", "+1s"];
    let short = sequence(&bus.act(&words(&short))).to_string();
    sleep(Duration::from_millis(1_100));
    assert!(bus.fails(&["limit", "approve", &short, "--by", "7"], 1).contains("expired at"));
    bus.fails(&words(&["limit", "propose", "open-orders", "1", "--expires", "2020-01-01"]), 2);
    bus.end();
    assert_eq!((count::<LimitProposed>(&trail), count::<KillSwitch>(&trail), limits()), (2, 0, 1));
    stele_ok(&["verify", text(&trail)]);
    let acts = stele_json(&["summary", text(&trail), "--unlogged"])["acts"].clone();
    assert_eq!(acts[0]["act"], "propose to set the limit OpenOrders to 50 for strategy 2");
    assert_eq!(acts[1]["act"], "set the limit OpenOrders to 50 for strategy 2");
}

#[test]
fn a_limit_that_a_stopped_trail_refuses_is_not_reported_as_set() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start(folder.path());
    let trail = bus.trail.clone();
    bus.end();
    let set = ["limit", "set", "notional", "5", "--by", "12", "--trail", text(&trail)];
    let said = stele_fails(&[&set[..], &["--algorithm", "3"]].concat(), 1);
    assert!(said.contains("the change was refused, by event"), "{said}");
    stele_ok(&[&set[..], &["--account", "1"]].concat());
}

#[test]
fn with_people_a_limit_that_is_set_is_proposed_and_its_proposer_cannot_approve_it() {
    let folder = tempfile::tempdir().unwrap();
    let user = rustix::process::geteuid().as_raw();
    let person = |number: u32, user: u32| {
        format!(
            "[[person]]\nnumber = {number}\ncode = 'p{number}'\nuser = {user}\nroles = ['risk', 'trader']\n"
        )
    };
    let socket = folder.path().join("bus.sock");
    let people = person(12, user) + &person(7, user + 1);
    let mut bus = Bus::start_with(folder.path(), &format!("socket = '{}'\n", text(&socket)), &people);
    bus.name = text(&socket).to_owned();
    let trail = bus.trail.clone();
    let set = ["limit", "set", "open-orders", "50", "--strategy", "2"];
    let said = bus.fails(&[&words(&set)[..], &["--approved-by", "7"]].concat(), 2);
    assert!(said.contains("leave out --approved-by"), "{said}");
    let proposed = sequence(&bus.act(&words(&set)));
    let proposals = found::<LimitProposed>(&trail);
    let [(at, proposal)] = &proposals[..] else { panic!("one proposal") };
    assert_eq!((*at, proposal.proposed_by.get(), proposal.caller_user.get()), (proposed, 12, user));
    let said = bus.fails(&["limit", "approve", &proposed.to_string(), "--by", "7"], 1);
    assert!(said.contains(&format!("was made by the same user, {user}")), "{said}");
    let paused = bus.act(&words(&["strategy", "pause", "1"]));
    assert_eq!(paused["verified"], true);
    let commands = found::<StrategyCommand>(&trail);
    assert_eq!(commands[0].1.caller_user.get(), user);
    bus.end();
    let limits = found::<RiskLimit>(&trail);
    assert!(limits.iter().all(|(_, limit)| limit.check != Check::OPEN_ORDERS), "none is in force");
    let page = stele_ok(&["summary", text(&trail), "--unlogged"]);
    assert!(page.contains(&format!("by party 12, user {user}: news")), "{page}");
}

#[test]
fn on_several_shards_an_act_on_one_log_names_the_shard() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("operator-shards-{}", std::process::id());
    let configuration = format!(
        "[bus]\nname = '{name}'\nring_mib = 1\n[journal]\nsegment_mib = 1\n[feed]\npace = 'real-time'\n\
         spec = 'generator:7'\n[[shard]]\nid = 1\ninstruments = ['GEN001', 'GEN002']\n[[shard]]\nid = 2\n\
         instruments = 'rest'\n[[strategy]]\nname = 'ma-cross'\nshard = 1\n[[strategy]]\nname = 'ma-cross'\n\
         shard = 2\n"
    );
    std::fs::write(folder.path().join("run.toml"), configuration).unwrap();
    let (file, trails) = (folder.path().join("run.toml"), folder.path().join("trail"));
    let child = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["run", "-c", text(&file), "--dir", text(&trails), "--seconds", "300"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let second = trails.join("shard-2");
    let bus = Bus { running: Running(child), name, trail: second.clone(), said: PathBuf::new() };
    wait_until("both shards trade", || {
        [1, 2].iter().all(|shard| count::<NewOrder>(&trails.join(format!("shard-{shard}"))) > 0)
    });
    let said = bus.fails(&words(&["strategy", "pause", "ma-cross"]), 2);
    assert!(said.contains("several strategies") && said.contains("2 on shard 2"), "{said}");
    let paused = bus.act(&words(&["strategy", "pause", "2"]));
    assert_eq!((&paused["entered"][0]["shard"], paused["entered"].as_array().unwrap().len()), (&2.into(), 1));
    assert!(bus.fails(&words(&["order", "cancel", "5"]), 2).contains("choose one with --shard"));
    let propose = words(&["limit", "propose", "open-orders", "50", "--account", "1"]);
    let proposed = bus.act(&propose);
    assert_eq!(proposed["entered"].as_array().unwrap().len(), 2, "each shard has its own");
    let of_second = proposed["entered"][1]["sequence"].to_string();
    assert!(bus.fails(&["limit", "approve", &of_second, "--by", "7"], 2).contains("choose one with --shard"));
    bus.fails(&["limit", "approve", &of_second, "--by", "7", "--shard", "2"], 1);
    bus.end();
    assert_eq!(
        (count::<StrategyCommand>(&second), count::<StrategyCommand>(&trails.join("shard-1"))),
        (1, 0)
    );
    stele_ok(&["check-strategy", text(&trails)]);
}
