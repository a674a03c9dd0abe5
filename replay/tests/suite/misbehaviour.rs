//! Strategies that panic or flood, in whole sessions together with one that behaves. They are stopped or
//! throttled, the log has the reason, the other strategy continues, and the trail replays equally.

use crate::rig::{Rig, STRATEGY, frames};
use crate::session::PARAMETERS;
use std::path::Path;
use stele_replay::divergence::check;
use stele_replay::recall::resume;
use stele_replay::{DivergenceReport, ResumedSession};
use stele_strategies::registry::{Registry, StrategyKind};
use stele_strategies::{Context, Host, Order, RestoreError, SnapshotReader, SnapshotWrite, Strategy};
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_wire::Frame;
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelOrder, CancelScope, Check, KillSwitch, NewOrder, OrderCancelled, OrderRejected, RiskLimit, Side,
    SwitchState,
};
use stele_wire::{Price, Quantity};

/// The number of the strategy that misbehaves.
const OTHER: u16 = 2;
const FAR_BELOW: Price = Price(10_000_000);
const RESTING: usize = 3;

/// Sends its orders at the first book, and panics at the 40th.
struct Panicker {
    books: u64,
}

const PANICKER: StrategyKind = StrategyKind {
    name: "panicker",
    about: "panics at the 40th book",
    parameters: &[],
    make: |_| Ok(Box::new(Panicker { books: 0 })),
};

impl Strategy for Panicker {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        self.books += 1;
        if self.books == 1 {
            for _ in 0..RESTING {
                context.send(Order::limit(instrument, Side::BUY, Quantity(1), FAR_BELOW)).unwrap();
            }
        }
        assert!(self.books < 40, "book {} is one too many", self.books);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.books);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.books = reader.u64()?;
        reader.finish()
    }
}

/// Sends as many orders as it can at every book.
struct Flooder;

const FLOODER: StrategyKind = StrategyKind {
    name: "flooder",
    about: "sends orders without end",
    parameters: &[],
    make: |_| Ok(Box::new(Flooder)),
};

impl Strategy for Flooder {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        let order = Order::limit(instrument, Side::BUY, Quantity(1), FAR_BELOW).immediate_or_cancel();
        while context.send(order).is_some() {}
    }

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.register(PANICKER).unwrap();
    registry.register(FLOODER).unwrap();
    registry
}

/// Runs a session of both strategies, with limits of its own.
fn session(path: &Path, name: &str, limits: &[RiskLimit]) {
    let exchange = PaperExchange::new(PaperOptions { source: 2, ..PaperOptions::default() });
    let mut rig = Rig::open(path, 1, Some((Host::new(registry()), exchange)));
    limits.iter().for_each(|limit| rig.limit(limit));
    rig.begin("ma-cross", PARAMETERS, false);
    rig.define(OTHER, name, "", false);
    rig.market(1, 160);
    rig.end();
}

/// Returns every message of a type with its sequence.
fn found<M: Message>(frames: &[Vec<u8>]) -> Vec<(u64, M)> {
    let events = frames.iter().map(|bytes| Frame::read(bytes).unwrap());
    events.filter_map(|frame| Some((frame.sequence().0, *frame.message::<M>()?))).collect()
}

fn checked(path: &Path) -> DivergenceReport {
    let checked = check(path, registry(), |_| ()).unwrap();
    assert_eq!(checked.difference, None);
    checked
}

/// Returns the kill switches of the trail: sequence, scope, number, state, text.
fn switches(frames: &[Vec<u8>]) -> Vec<(u64, CancelScope, u32, SwitchState, String)> {
    let events = frames.iter().map(|bytes| Frame::read(bytes).unwrap());
    let reported = events.filter_map(|frame| {
        let switch = frame.message::<KillSwitch>()?;
        let text = String::from_utf8(switch.text().to_vec()).unwrap();
        Some((frame.sequence().0, switch.scope, switch.scope_id.get(), switch.state, text))
    });
    reported.collect()
}

#[test]
fn a_strategy_that_panics_is_stopped_its_orders_are_cancelled_the_log_has_the_reason_and_the_other_continues()
{
    let folder = tempfile::tempdir().unwrap();
    session(folder.path(), "panicker", &[]);
    let all = frames(folder.path());
    let [(stopped, scope, id, state, reason)] = &switches(&all)[..] else { panic!("{:?}", switches(&all)) };
    assert_eq!((*scope, *id, *state), (CancelScope::STRATEGY, OTHER.into(), SwitchState::ENGAGED));
    assert_eq!(reason, "panicker panicked: book 40 is one too many");

    let orders = found::<NewOrder>(&all);
    let of = |strategy: u16| orders.iter().filter(move |(_, order)| order.strategy.get() == strategy);
    let left: Vec<u64> = of(OTHER).map(|(_, order)| order.client_order_id.get()).collect();
    assert_eq!(left.len(), RESTING);
    assert!(of(OTHER).all(|(sequence, _)| sequence < stopped));
    assert!(of(STRATEGY).filter(|(sequence, _)| sequence > stopped).count() > 5, "the other goes on");
    let cancels: Vec<_> = found::<CancelOrder>(&all);
    let asked: Vec<u64> = cancels
        .iter()
        .filter(|(sequence, cancel)| sequence > stopped && cancel.publisher.get() == 0)
        .map(|(_, cancel)| cancel.cancelled_order_id.get())
        .collect();
    assert_eq!(asked, left, "by the sequencer, without the strategy");
    let done = found::<OrderCancelled>(&all);
    assert!(left.iter().all(|id| done.iter().any(|(_, report)| report.client_order_id.get() == *id)));
    assert!(checked(folder.path()).is_equal());
}

#[test]
fn a_strategy_that_panicked_is_not_resumed_and_the_next_session_reports_that() {
    let folder = tempfile::tempdir().unwrap();
    session(folder.path(), "panicker", &[]);
    let ResumedSession { host, unsent, open_orders, numbers, .. } =
        resume(folder.path(), registry(), |_| ()).unwrap();
    let exchange =
        PaperExchange::resume(PaperOptions { source: 2, ..PaperOptions::default() }, &open_orders, numbers);
    let before = found::<NewOrder>(&frames(folder.path())).len();
    let mut rig = Rig::open(folder.path(), 2, Some((host, exchange)));
    rig.begin("ma-cross", PARAMETERS, true);
    rig.define(OTHER, "panicker", "", true);
    rig.submit(&unsent);
    rig.market(2, 80);
    rig.end();
    let all = frames(folder.path());
    let reasons: Vec<String> = switches(&all).into_iter().map(|(.., reason)| reason).collect();
    assert_eq!(reasons[1..], ["panicker failed and cannot be resumed".to_owned()]);
    assert!(found::<NewOrder>(&all).len() > before + 3, "the other goes on");
    assert!(checked(folder.path()).is_equal());
}

#[test]
fn a_strategy_that_floods_is_throttled_by_its_message_rate_and_the_other_is_not() {
    const RATE: i64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let limit = RiskLimit {
        scope: CancelScope::STRATEGY,
        scope_id: u32::from(OTHER).into(),
        check: Check::MESSAGE_RATE,
        limit: RATE.into(),
        ..RiskLimit::NULL
    };
    session(folder.path(), "flooder", &[limit]);
    let all = frames(folder.path());
    // The log's clock also runs while the session waits for the disk, so the test cannot know how many
    // seconds there are.
    let times = |strategy: u16| -> Vec<u64> {
        let events = all.iter().map(|bytes| Frame::read(bytes).unwrap());
        let orders = events.filter(|frame| {
            frame.message::<NewOrder>().is_some_and(|order| order.strategy.get() == strategy)
        });
        orders.map(|frame| frame.timestamp().0).collect()
    };
    let sent = times(OTHER);
    assert!(sent.len() >= RATE as usize);
    // The rate limit is a bucket of one second's messages that refills at the rate.
    for (at, time) in sent.iter().enumerate() {
        let room = RATE as u64 + (time - sent[0]) * RATE as u64 / 1_000_000_000;
        assert!((at as u64) < room, "{} orders where there was room for {room}", at + 1);
    }
    let refused: Vec<_> = found::<OrderRejected>(&all).into_iter().map(|(_, report)| report).collect();
    let refusals = refused.len() as u64;
    assert!(refused.len() > sent.len(), "{} refused, {} sent", refused.len(), sent.len());
    for report in refused {
        assert_eq!(
            (report.strategy.get(), report.check, report.limit.get()),
            (OTHER, Check::MESSAGE_RATE, RATE)
        );
    }
    assert!(times(STRATEGY).len() > 5);
    let checked = checked(folder.path());
    let (_, _, tally) = checked.strategies.iter().find(|(strategy, ..)| *strategy == OTHER).unwrap();
    assert_eq!((tally.orders, tally.refused), (sent.len() as u64, refusals));
}
