//! Whole sessions on one thread, driven by hand: a market, a strategy, the paper exchange as the gateway's
//! venue, sequencer and journal. Then the checks, summaries and feeds of the trails that they leave.

use crate::rig::{Rig, STRATEGY, frames, mend};
use std::mem::offset_of;
use std::ops::ControlFlow;
use std::path::Path;
use stele_feed::{Batch, Feed, FeedStep, Pace};
use stele_replay::divergence::{CheckError, check};
use stele_replay::pacer::{is_market, play, received};
use stele_replay::recall::resume;
use stele_replay::summary::summarise;
use stele_replay::{DifferenceKind, DivergenceCheck, DivergenceReport, TrailFeed};
use stele_strategies::registry::Registry;
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_wire::bounds::HEADER_LENGTH;
use stele_wire::messages::{
    BookLevel, CancelOrder, NewOrder, OrderAccepted, OrderCancelled, OrderFilled, OrderRejected,
    OrderReleased, PublisherGrant, PublisherProgress, SessionStart, Side, StrategyDefinition,
};
use stele_wire::{Frame, FrameHeader};
use zerocopy::FromBytes;

pub(crate) const PARAMETERS: &str = "fast = 2\nslow = 6\norders-per-second = 100000\n";

fn checked(path: &Path) -> DivergenceReport {
    check(path, Registry::built_in(), |_| ()).unwrap()
}

/// Writes a trail of one session that ended in order.
fn ended(path: &Path) {
    let mut rig = Rig::open(path, 1, None);
    rig.begin("ma-cross", PARAMETERS, false);
    rig.market(1, 240);
    rig.end();
}

fn count(path: &Path, template_id: u16) -> usize {
    frames(path).iter().filter(|bytes| Frame::read(bytes).unwrap().template_id() == template_id).count()
}

#[test]
fn orders_meet_the_market_and_their_reports_come_back() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let (orders, accepted) =
        (count(folder.path(), NewOrder::TEMPLATE_ID), count(folder.path(), OrderAccepted::TEMPLATE_ID));
    assert!(orders > 10, "{orders} orders");
    assert_eq!(orders, accepted);
    assert!(count(folder.path(), OrderFilled::TEMPLATE_ID) > 10);
    assert!(count(folder.path(), OrderReleased::TEMPLATE_ID) > 10);
    let mut known = 0;
    for bytes in frames(folder.path()) {
        let frame = Frame::read(&bytes).unwrap();
        if let Some(fill) = frame.message::<OrderFilled>() {
            assert!(fill.order_sequence.get() < frame.sequence().0 && fill.order_sequence.get() > 0);
            known += 1;
        }
    }
    assert!(known > 0);
}

#[test]
fn a_trail_that_ended_in_order_equals_what_its_strategy_sends() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let checked = checked(folder.path());
    assert_eq!(checked.difference, None);
    assert!(checked.has_ended && checked.is_equal());
    let [(strategy, name, tally)] = &checked.strategies[..] else { panic!("{:?}", checked.strategies) };
    assert_eq!((*strategy, name.as_str()), (STRATEGY, "ma-cross"));
    let recorded =
        count(folder.path(), NewOrder::TEMPLATE_ID) + count(folder.path(), CancelOrder::TEMPLATE_ID);
    assert_eq!((tally.orders, tally.in_flight), (recorded as u64, 0));
    assert_eq!(checked.events, frames(folder.path()).len() as u64);
}

#[test]
fn an_altered_order_with_its_crc_mended_is_named_with_the_field() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let third = frames(folder.path())
        .iter()
        .map(|bytes| Frame::read(bytes).unwrap())
        .filter(|frame| frame.template_id() == NewOrder::TEMPLATE_ID)
        .nth(2)
        .map(|frame| frame.sequence())
        .unwrap();
    let offset = std::mem::offset_of!(NewOrder, quantity);
    mend(folder.path(), third, |body| body[offset] += 4);
    let difference = checked(folder.path()).difference.expect("an order was altered");
    assert_eq!((difference.sequence, difference.strategy), (third.0, STRATEGY));
    let DifferenceKind::Fields { template_id, fields } = &difference.kind else { panic!("{difference}") };
    assert_eq!(*template_id, NewOrder::TEMPLATE_ID);
    let [field] = &fields[..] else { panic!("{difference}") };
    assert_eq!(field.name, "quantity");
    let text = difference.to_string();
    let named =
        format!("event {third}, NewOrder of strategy {STRATEGY} (ma-cross): quantity is {}", field.found);
    assert!(text.starts_with(&named), "{text}");
    let error = resume(folder.path(), Registry::built_in(), |_| ()).err().expect("a made-up state");
    assert!(error.to_string().contains("quantity is"), "{error}");
}

#[test]
fn an_order_that_the_strategy_does_not_send_is_named() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let all = frames(folder.path());
    let mut check = DivergenceCheck::new(Registry::built_in());
    let mut events = all.iter().map(|bytes| Frame::read(bytes).unwrap());
    let order = events.find(|frame| {
        check.on_event(frame).unwrap();
        frame.template_id() == NewOrder::TEMPLATE_ID
    });
    let order = order.unwrap();
    assert!(check.on_event(&order).unwrap(), "the order once more");
    let difference = check.finish().difference.unwrap();
    assert_eq!(difference.kind, DifferenceKind::NotSent { template_id: NewOrder::TEMPLATE_ID });
}

#[test]
fn an_order_that_is_missing_from_the_trail_is_named() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let mut check = DivergenceCheck::new(Registry::built_in());
    let all = frames(folder.path());
    let last =
        all.iter().rposition(|bytes| Frame::read(bytes).unwrap().template_id() == NewOrder::TEMPLATE_ID);
    for (_, bytes) in all.iter().enumerate().filter(|(index, _)| Some(*index) != last) {
        check.on_event(&Frame::read(bytes).unwrap()).unwrap();
    }
    let difference = check.finish().difference.unwrap();
    assert!(matches!(difference.kind, DifferenceKind::NotRecorded { .. }), "{difference}");
}

#[test]
fn submissions_in_flight_when_an_epoch_was_cut_short_are_not_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let all = frames(folder.path());
    let order =
        all.iter().rposition(|bytes| Frame::read(bytes).unwrap().template_id() == NewOrder::TEMPLATE_ID);
    let mut check = DivergenceCheck::new(Registry::built_in());
    for bytes in &all[..order.unwrap()] {
        check.on_event(&Frame::read(bytes).unwrap()).unwrap();
    }
    // The next epoch begins a minute later, with events about its publisher before its `SessionStart`.
    let mut later = |template_id: u16| {
        let found = all.iter().find(|bytes| Frame::read(bytes).unwrap().template_id() == template_id);
        let mut bytes = found.unwrap().clone();
        let (header, _) = FrameHeader::mut_from_prefix(&mut bytes).unwrap();
        header.timestamp.set(Frame::read(&all[order.unwrap()]).unwrap().timestamp().0 + 60_000_000_000);
        if template_id == SessionStart::TEMPLATE_ID {
            let epoch = HEADER_LENGTH + offset_of!(SessionStart, epoch);
            bytes[epoch] = 2;
        }
        check.on_event(&Frame::read(&bytes).unwrap()).unwrap();
    };
    later(PublisherGrant::TEMPLATE_ID);
    later(PublisherProgress::TEMPLATE_ID);
    later(SessionStart::TEMPLATE_ID);
    let checked = check.finish();
    assert_eq!(checked.difference, None);
    assert_eq!((checked.has_ended, checked.strategies[0].2.in_flight), (false, 1));
}

#[test]
fn a_strategy_that_this_program_does_not_have_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let definition = frames(folder.path())
        .iter()
        .map(|bytes| Frame::read(bytes).unwrap())
        .find(|frame| frame.template_id() == StrategyDefinition::TEMPLATE_ID)
        .map(|frame| frame.sequence())
        .unwrap();
    let name = std::mem::offset_of!(StrategyDefinition, name);
    mend(folder.path(), definition, |body| body[name + 3] = b'C');
    let error = check(folder.path(), Registry::built_in(), |_| ()).unwrap_err();
    assert!(matches!(error, CheckError::Strategies(_)), "{error}");
    assert!(error.to_string().contains("ma-Cross") && error.to_string().contains("ma-cross"), "{error}");
    mend(folder.path(), definition, |body| {
        body[name + 3] = b'c';
        let parameters = size_of::<StrategyDefinition>() + 2;
        body[parameters] = b'm';
    });
    let error = check(folder.path(), Registry::built_in(), |_| ()).unwrap_err();
    assert!(error.to_string().contains("parameters that this program does not accept"), "{error}");
}

#[test]
fn a_session_that_was_killed_continues_and_its_trail_stays_equal() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), 1, None);
    rig.begin("ma-cross", PARAMETERS, false);
    rig.market(1, 121);
    rig.rest_an_order(77);
    rig.kill();

    let resumed = resume(folder.path(), Registry::built_in(), |_| ()).unwrap();
    assert!(!resumed.has_ended && resumed.epoch == 1);
    assert_eq!(resumed.open_orders.len(), 1, "{:?}", resumed.open_orders);
    assert_eq!(resumed.known.instruments[&1].symbol, "ONE");
    let exchange = PaperExchange::resume(PaperOptions::default(), &resumed.open_orders, resumed.numbers);
    let cancelled = count(folder.path(), OrderCancelled::TEMPLATE_ID);
    let mut rig = Rig::open(folder.path(), 2, Some((resumed.host, exchange)));
    rig.begin("ma-cross", PARAMETERS, true);
    rig.submit(&resumed.unsent);
    rig.market(2, 120);
    rig.end();

    assert!(count(folder.path(), OrderCancelled::TEMPLATE_ID) > cancelled);
    let checked = checked(folder.path());
    assert_eq!(checked.difference, None);
    let resumed = resume(folder.path(), Registry::built_in(), |_| ()).unwrap();
    assert_eq!((resumed.epoch, resumed.has_ended, resumed.unsent.len()), (2, true, 0));
    let summary = summarise(folder.path(), None).unwrap();
    assert_eq!((summary.sessions, summary.has_ended), (2, true));
    let fills = |epoch| {
        summarise(folder.path(), epoch)
            .unwrap()
            .types
            .iter()
            .find(|of| of.name == "OrderFilled")
            .map_or(0, |of| of.count)
    };
    assert_eq!(fills(None), fills(Some(1)) + fills(Some(2)));
}

#[test]
fn a_summary_counts_the_events_of_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let summary = summarise(folder.path(), None).unwrap();
    let all = frames(folder.path());
    assert_eq!(summary.events, all.len() as u64);
    assert_eq!(summary.bytes, all.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
    assert_eq!((summary.first_sequence, summary.last_sequence), (1, all.len() as u64));
    let levels = summary.types.iter().find(|of| of.template_id == BookLevel::TEMPLATE_ID).unwrap();
    assert_eq!(
        (levels.name.as_str(), levels.count as usize),
        ("BookLevel", count(folder.path(), BookLevel::TEMPLATE_ID))
    );
    let strategy = summary.strategies.iter().find(|of| of.strategy == STRATEGY).unwrap();
    assert_eq!(strategy.orders.sent as usize, count(folder.path(), NewOrder::TEMPLATE_ID));
    assert_eq!(strategy.orders.fills as usize, count(folder.path(), OrderFilled::TEMPLATE_ID));
    assert_eq!(strategy.orders.rejected as usize, count(folder.path(), OrderRejected::TEMPLATE_ID));
    let (mut position, mut volume) = (0i64, 0);
    for bytes in &all {
        if let Some(fill) = Frame::read(bytes).unwrap().message::<OrderFilled>() {
            let quantity = fill.last_quantity.get();
            volume += quantity;
            position += if fill.side == Side::BUY { quantity as i64 } else { -(quantity as i64) };
        }
    }
    assert_eq!((strategy.positions[0].quantity, strategy.orders.volume), (position, volume));
    assert_eq!((strategy.positions[0].symbol.as_str(), strategy.name.as_str()), ("ONE", "ma-cross"));
    assert_eq!(strategy.net, strategy.realised + strategy.unrealised - strategy.fees);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["strategies"][0]["orders"]["fills"], strategy.orders.fills);
}

#[test]
fn latencies_are_those_between_receipt_sequence_and_release() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let summary = summarise(folder.path(), None).unwrap();
    let (sequenced, released) = (summary.tick_to_sequenced_order, summary.tick_to_released_order);
    assert_eq!(
        sequenced.count + summary.untimed,
        summary.strategies[0].orders.sent + summary.strategies[0].orders.cancels
    );
    assert_eq!(sequenced.count, released.count, "every order left");
    assert!(sequenced.p50 > 0 && sequenced.p50 <= sequenced.p99 && sequenced.p99 <= sequenced.max);
    assert!(released.p50 >= sequenced.p50, "an order leaves after it is sequenced");
    // The expected value for the first order: from the receipt of its cause to the first release that
    // covers it.
    let all = frames(folder.path());
    let mut events = all.iter().map(|bytes| Frame::read(bytes).unwrap());
    let order = events.find(|frame| frame.template_id() == NewOrder::TEMPLATE_ID).unwrap();
    let cause = order.message::<NewOrder>().unwrap().cause.get();
    let cause = Frame::read(&all[cause as usize - 1]).unwrap();
    let left = events
        .filter_map(|frame| {
            frame
                .message::<OrderReleased>()
                .map(|left| (left.through_sequence.get(), left.released_time.get()))
        })
        .find(|(through, _)| *through >= order.sequence().0)
        .unwrap();
    let (least, most) = (order.timestamp().0 - received(&cause), left.1 - received(&cause));
    assert!(sequenced.max >= least && released.max >= most, "{least} {most} {sequenced:?} {released:?}");
}

#[test]
fn a_trail_is_a_feed_of_its_own_market() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let mut feed = TrailFeed::open(folder.path(), 9).unwrap();
    let (mut batch, mut carried, mut last_due) = (Batch::new(), Vec::new(), 0);
    loop {
        let step = feed.fill(&mut batch).unwrap();
        while let Some(pending) = batch.front() {
            assert!(pending.due.0 >= last_due);
            last_due = pending.due.0;
            carried.push((pending.template_id, pending.body.to_vec()));
            batch.take_front();
        }
        if step == FeedStep::End {
            break;
        }
    }
    let all = frames(folder.path());
    let recorded: Vec<Frame<'_>> = all
        .iter()
        .map(|bytes| Frame::read(bytes).unwrap())
        .filter(|frame| is_market(frame.template_id()))
        .collect();
    assert_eq!(carried.len(), recorded.len());
    for ((id, body), frame) in carried.iter().zip(&recorded) {
        assert_eq!(*id, frame.template_id());
        if let Some(level) = frame.message::<BookLevel>() {
            let (again, _) = BookLevel::ref_from_prefix(body).unwrap();
            assert_eq!((again.price, again.quantity, again.side), (level.price, level.quantity, level.side));
            assert_eq!((again.source.get(), again.received_delta.get()), (9, u32::MAX));
        }
    }
    let report = feed.report();
    assert_eq!(report.record_count(), all.len() as u64);
    assert_eq!(report.event_count() + report.not_carried_count(), all.len() as u64);
}

#[test]
fn the_market_is_played_until_the_callback_breaks() {
    let folder = tempfile::tempdir().unwrap();
    ended(folder.path());
    let mut seen = Vec::new();
    let shown = play(
        folder.path(),
        Pace::Fast,
        || false,
        |event| {
            seen.push(event.template_id());
            if seen.len() == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    assert_eq!((shown.unwrap(), seen.len()), (10, 10));
    assert!(seen.iter().all(|id| is_market(*id)));
}
