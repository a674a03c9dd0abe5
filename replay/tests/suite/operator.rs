//! Pauses and other parameters in the middle of a session: the live run, the check of its trail, a restart
//! from any snapshot and a restart after a kill agree.

use crate::rig::{Rig, STRATEGY, frames};
use crate::session::PARAMETERS;
use std::path::Path;
use stele_journal::snapshot;
use stele_journal::{Directory, TrailReader};
use stele_replay::divergence::check;
use stele_replay::follower::{FollowProgress, Follower};
use stele_replay::recall::resume;
use stele_replay::summary::summarise;
use stele_replay::{Controls, ResumedSession, TrailState};
use stele_strategies::Host;
use stele_strategies::registry::Registry;
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_wire::messages::{Check, NewOrder, OrderRejected, StrategyAct, StrategyCommand};
use stele_wire::units::{Position, Sequence};
use stele_wire::{Frame, codec::View};
use zerocopy::little_endian::{U16, U32, U64};

const SEGMENT: u64 = 256 << 10;
const OTHERS: &str = "fast = 3\nslow = 5\nquantity = 2\norders-per-second = 100000\n";
const MORE: &str = "fast = 2\nslow = 9\nquantity = 3\norders-per-second = 100000\n";

fn registry() -> Registry {
    Registry::built_in()
}

fn checked(path: &Path) {
    let report = check(path, registry(), |_| ()).unwrap();
    assert_eq!(report.difference, None);
}

/// Opens the next session over the trail, with the state that the one before it left.
fn next_session(path: &Path, epoch: u32) -> Rig {
    let resumed = resume(path, registry(), |_| ()).unwrap();
    let ResumedSession { host, unsent, open_orders, numbers, .. } = resumed;
    let exchange = PaperExchange::resume(PaperOptions::default(), &open_orders, numbers);
    let mut rig = Rig::open_with(path, epoch, Some((host, exchange)), SEGMENT);
    rig.begin("ma-cross", PARAMETERS, true);
    rig.submit(&unsent);
    rig
}

/// Trades, pauses while orders are on their way, trades, resumes, and changes the parameters twice.
fn first_session(path: &Path) -> Rig {
    let mut rig = Rig::open_with(path, 1, None, SEGMENT);
    rig.begin("ma-cross", PARAMETERS, false);
    rig.market(1, 120);
    rig.fill();
    rig.submit_command(StrategyAct::PAUSE, "");
    rig.market(2, 60);
    assert!(rig.suppressed_and_ignored().0 > 0, "it wanted to trade");
    rig.fill();
    rig.command(StrategyAct::SET_PARAMETERS, OTHERS);
    rig.command(StrategyAct::RESUME, "");
    rig.market(3, 120);
    rig.fill();
    rig.command(StrategyAct::SET_PARAMETERS, MORE);
    rig.command(StrategyAct::SET_PARAMETERS, "fast = 7\nslow = 2\n");
    rig.market(4, 120);
    assert_eq!(rig.suppressed_and_ignored().1, 1, "contradicting parameters were logged");
    assert_eq!(rig.standing().parameters, MORE);
    rig
}

/// The sequences of the orders and commands on the trail.
fn orders_and_commands(path: &Path) -> (Vec<(u64, u64)>, Vec<u64>) {
    let (mut orders, mut commands) = (Vec::new(), Vec::new());
    for bytes in frames(path) {
        let frame = Frame::read(&bytes).unwrap();
        if let Some(order) = frame.message::<NewOrder>().filter(|order| order.strategy.get() == STRATEGY) {
            orders.push((frame.sequence().0, order.quantity.get()));
        }
        if frame.template_id() == StrategyCommand::TEMPLATE_ID {
            commands.push(frame.sequence().0);
        }
    }
    (orders, commands)
}

#[test]
fn a_run_with_commands_equals_its_replay_and_no_order_is_decided_while_it_is_paused() {
    let folder = tempfile::tempdir().unwrap();
    first_session(folder.path()).end();
    checked(folder.path());
    let (orders, commands) = orders_and_commands(folder.path());
    let [paused, _, resumed, changed, _] = commands[..] else { panic!("{commands:?}") };
    let within = |from: u64, to: u64| orders.iter().filter(move |(at, _)| (from..to).contains(at));
    let counts = [within(0, paused).count(), within(resumed, changed).count()];
    assert!(counts.iter().all(|count| *count > 3), "{counts:?} orders");
    assert_eq!(within(paused, resumed).count(), 0, "{orders:?}, paused at {paused}");
    assert!(within(resumed, changed).any(|(_, quantity)| *quantity % 2 == 0), "two of each at first");
    assert!(within(changed, u64::MAX).any(|(_, quantity)| *quantity >= 3), "then three");
    let summary = summarise(folder.path(), None).unwrap();
    let acts: Vec<_> = summary.acts.iter().map(|act| (act.sequence, act.act.as_str())).collect();
    let set = "set the parameters of strategy 1";
    assert_eq!(acts[0], (paused, "pause strategy 1"));
    assert_eq!((acts[1].1, acts[2], acts[3]), (set, (resumed, "resume strategy 1"), (changed, set)));
    let first = &summary.acts[0];
    assert_eq!((first.by, first.approved_by, first.caller_user), (12, Some(7), None));
    assert_eq!((first.reason.as_str(), first.reason_code), ("a test", None));
    assert!(!summary.strategies[0].is_paused);
}

/// The sequencer takes the command before the order that was decided on before it, and refuses the order.
#[test]
fn an_order_on_its_way_when_its_strategy_is_paused_is_refused_and_compared_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), 1, None);
    rig.begin("ma-cross", PARAMETERS, false);
    rig.market_with(1, 200, |rig, step| {
        rig.turn();
        if step % 3 == 0 {
            rig.submit_command(StrategyAct::PAUSE, "");
            rig.settle();
            rig.command(StrategyAct::RESUME, "");
        }
        rig.settle();
    });
    assert_eq!(rig.suppressed_and_ignored().1, 0);
    rig.end();
    checked(folder.path());
    let (mut is_paused, mut sequenced, mut refused) = (false, 0, 0);
    for bytes in frames(folder.path()) {
        let frame = Frame::read(&bytes).unwrap();
        if let Some(command) = frame.message::<StrategyCommand>() {
            is_paused = command.act == StrategyAct::PAUSE;
        }
        if !is_paused {
            continue;
        }
        sequenced += u64::from(frame.template_id() == NewOrder::TEMPLATE_ID);
        refused += u64::from(frame.message::<OrderRejected>().is_some_and(|it| it.check == Check::PAUSED));
    }
    assert!(refused > 0, "an order was on its way");
    assert_eq!(sequenced, 0, "{refused} were refused");
}

/// The state of the whole host.
fn state(host: &Host) -> Vec<u8> {
    let mut state = Vec::new();
    host.snapshot(&mut state);
    state
}

#[test]
fn a_session_that_was_killed_while_paused_is_paused_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut rig = first_session(path);
    rig.command(StrategyAct::PAUSE, "");
    rig.market(5, 30);
    rig.kill();

    let mut rig = next_session(path, 2);
    let standing = rig.standing();
    assert!(standing.paused_at.is_some());
    assert_eq!((standing.parameters.as_str(), standing.definition.as_str()), (MORE, PARAMETERS));
    let orders = |path: &Path| orders_and_commands(path).0.len();
    let before = orders(path);
    rig.market(6, 60);
    assert_eq!(orders(path), before, "it is paused");
    rig.command(StrategyAct::RESUME, "");
    rig.market(7, 60);
    rig.kill();
    assert!(orders(path) > before, "it was resumed");

    let mut rig = next_session(path, 3);
    assert_eq!((rig.standing().paused_at, rig.standing().parameters.as_str()), (None, MORE));
    rig.market(8, 30);
    rig.end();
    checked(path);
}

#[test]
fn a_restart_from_any_snapshot_equals_the_replay_of_the_whole_trail_over_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    first_session(path).kill();
    let mut rig = next_session(path, 2);
    rig.command(StrategyAct::PAUSE, "");
    rig.fill();
    rig.market(9, 30);
    rig.end();
    checked(path);
    let whole = state(&resume(path, registry(), |_| ()).unwrap().host);
    let mut follower = Follower::new(path, TrailState::new(registry()), 1000).unwrap();
    while let FollowProgress::Followed(1000) | FollowProgress::Snapshot(_) =
        follower.follow(Position(u64::MAX), 1000).unwrap()
    {}
    follower.finish().unwrap().expect("the trail ended in order");
    let directory = Directory::new(path);
    let segments = stele_journal::read_segments(&directory).unwrap();
    let taken = snapshot::list(&directory).unwrap();
    assert!(taken.len() > 3, "{taken:?}");
    for segment in taken {
        let read = snapshot::read(&directory, &segments, segment).unwrap();
        let mut again = TrailState::restore(registry(), |name| read.section(name)).unwrap();
        let mut reader = TrailReader::open(path).unwrap();
        reader.seek(Sequence(again.last_sequence() + 1)).unwrap();
        while let Some(entry) = reader.read_next().unwrap() {
            again.on_event(&entry.frame).unwrap();
        }
        assert!(state(&again.finish().host) == whole, "after segment {segment}");
    }
    // What an operator's command is checked against is the same with a snapshot and without one.
    let controls = Controls::read(path, &registry()).unwrap();
    let mut all = Controls::new(registry());
    frames(path).iter().for_each(|bytes| all.on_event(&Frame::read(bytes).unwrap()));
    let strategies =
        |controls: &Controls| controls.strategies().map(|(id, it)| (id, it.clone())).collect::<Vec<_>>();
    assert_eq!(strategies(&controls)[0].1.standing, strategies(&all)[0].1.standing);
    assert_eq!(controls.last_sequence(), all.last_sequence());
}

#[test]
fn a_command_is_refused_before_it_is_logged_for_the_reason_that_the_host_would_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut rig = first_session(path);
    let standing = rig.standing();
    let controls = Controls::read(path, &registry()).unwrap();
    let (id, strategy) = controls.strategies().next().unwrap();
    assert_eq!((id, &strategy.standing), (STRATEGY, &standing));
    assert!(strategy.is_defined && !strategy.has_failed);
    let refused = |act, previous, parameters: &str| {
        let command = StrategyCommand {
            strategy: U16::new(STRATEGY),
            party: U32::new(1),
            act,
            previous: U64::new(previous),
            ..StrategyCommand::NULL
        };
        let mut body = [0; 256];
        let body = command.encode(&mut body, parameters.as_bytes(), &[]).unwrap();
        let view = View::<StrategyCommand>::read(StrategyCommand::BLOCK_LENGTH, 2, body).unwrap();
        controls.check(&view).map_err(|why| why.to_string())
    };
    let at = standing.parameters_at.0;
    assert_eq!(refused(StrategyAct::PAUSE, 0, ""), Ok(()));
    assert_eq!(refused(StrategyAct::RESUME, 0, ""), Err("it is not paused".into()));
    assert_eq!(refused(StrategyAct::SET_PARAMETERS, at, OTHERS), Ok(()));
    let range = refused(StrategyAct::SET_PARAMETERS, at, "fast = 0").unwrap_err();
    assert!(range.starts_with("parameter `fast` is 0, but must be"), "{range}");
    let superseded = refused(StrategyAct::SET_PARAMETERS, at - 1, OTHERS).unwrap_err();
    assert!(superseded.contains(&format!("those of event {at}")), "{superseded}");
    rig.command(StrategyAct::PAUSE, "");
    let paused = rig.standing().paused_at.unwrap();
    let controls = Controls::read(path, &registry()).unwrap();
    assert_eq!(controls.strategies().next().unwrap().1.standing.paused_at, Some(paused));
    rig.end();
}
