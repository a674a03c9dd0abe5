//! The sequencer's own events: timers that fire, steps of its clock, and the count of a session's events.

use crate::rig::{Rig, START, defined, notice, order, order_body, start};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stele_bus::bounds::{CLOCK_CHECK_INTERVAL, RING_LENGTH_MIN, STRETCH_EVENTS_MAX};
use stele_bus::{Agent, Clock, ClockQuality, Grants, LogRing, Publisher, RingOptions, Sequencer, Timers};
use stele_risk::RiskLimits;
use stele_wire::codec::Message;
use stele_wire::messages::{
    ClockStatus as ClockEvent, NewOrder, SessionEnd, SessionStart, StrategyDefinition, TimerFired, TimerSet,
    VenueNotice,
};
use stele_wire::{Frame, Nanos};

fn found<M: Message>(rig: &Rig) -> Vec<(M, Nanos)> {
    let read = |frame: &Frame<'_>| Some((*frame.message::<M>()?, frame.timestamp()));
    rig.verified_trail().iter().filter_map(|(_, frame)| read(frame)).collect()
}

fn on_disk(rig: &mut Rig) {
    rig.settle();
    rig.close_batch();
    rig.flush();
}

fn define(publisher: &mut Publisher, strategy: u16) {
    let definition = StrategyDefinition { strategy: strategy.into(), ..StrategyDefinition::NULL };
    let mut buffer = [0; 128];
    let body = definition.encode(&mut buffer, b"").unwrap();
    publisher.offer(StrategyDefinition::TEMPLATE_ID, body, START).unwrap();
}

fn set(publisher: &mut Publisher, timer_id: u64, due: Nanos) {
    let timer =
        TimerSet { strategy: 1.into(), timer_id: timer_id.into(), due: due.0.into(), ..TimerSet::NULL };
    publisher.offer_message(&timer, START).unwrap();
}

fn end(publisher: &mut Publisher) {
    let mut buffer = [0; 64];
    let body = SessionEnd::NULL.encode(&mut buffer, b"over").unwrap();
    publisher.offer(SessionEnd::TEMPLATE_ID, body, START).unwrap();
}

fn after(nanos: u64) -> Nanos {
    Nanos(START.0 + nanos)
}

#[test]
fn a_timer_fires_when_the_logs_time_has_reached_it_and_never_before() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "strategies", 4096, Grants::all());
    define(&mut desk, 1);
    set(&mut desk, 7, after(5_000_000));
    set(&mut desk, 8, after(3_000_000));
    set(&mut desk, 9, after(4_000_000));
    set(&mut desk, 9, Nanos(u64::MAX));
    rig.settle();
    rig.clock.set(after(2_999_999));
    rig.settle();
    assert_eq!(rig.sequencer.statistics().timers_fired, 0);
    rig.clock.set(after(3_000_000));
    rig.settle();
    assert_eq!(rig.sequencer.statistics().timers_fired, 1, "although nothing else happens");
    rig.clock.set(after(9_000_000));
    on_disk(&mut rig);
    let fired: Vec<_> = found::<TimerFired>(&rig)
        .iter()
        .map(|(fired, time)| (fired.timer_id.get(), fired.due.get() <= time.0, fired.set_sequence.get()))
        .collect();
    assert_eq!(fired, [(8, true, 1_005), (7, true, 1_004)]);
}

#[test]
fn a_pending_timer_fires_after_a_restart_once_its_strategy_is_resumed() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "strategies", 4096, Grants::all());
    define(&mut desk, 1);
    set(&mut desk, 7, after(5_000_000));
    end(&mut desk);
    on_disk(&mut rig);
    let mut timers = Timers::new();
    rig.verified_trail().iter().for_each(|(_, frame)| timers.on_event(frame));
    assert_eq!(timers.pending(), 1);

    let mut again = Rig::with_timers(timers);
    again.clock.set(after(60_000_000));
    let mut control = again.sequencer.publisher(1, "control", 4096, Grants::all());
    control.offer_message(&SessionStart::NULL, START).unwrap();
    again.settle();
    assert_eq!(again.sequencer.statistics().timers_fired, 0, "no strategy is defined yet");
    let resumed = stele_wire::messages::Boolean::TRUE;
    let definition =
        StrategyDefinition { strategy: 1.into(), is_resumed: resumed, ..StrategyDefinition::NULL };
    let mut buffer = [0; 128];
    let body = definition.encode(&mut buffer, b"").unwrap();
    control.offer(StrategyDefinition::TEMPLATE_ID, body, START).unwrap();
    again.settle();
    assert_eq!(again.sequencer.statistics().timers_fired, 1);
}

#[test]
fn stopped_timers_do_not_fire_and_a_timer_without_a_strategy_is_counted() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "strategies", 4096, Grants::all());
    set(&mut desk, 6, after(1));
    define(&mut desk, 1);
    set(&mut desk, 7, after(5));
    rig.sequencer.timer_stop().stop();
    rig.clock.set(after(1_000));
    (0..600).for_each(|_| {
        rig.cycle();
    });
    let statistics = rig.sequencer.statistics();
    assert_eq!((statistics.timers_fired, statistics.timers_dropped), (0, 1));
}

#[test]
fn a_sessions_events_are_counted_by_the_sequencer_and_nothing_follows_its_end() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "control", 4096, Grants::all());
    desk.offer_message(&SessionStart::NULL, START).unwrap();
    define(&mut desk, 1);
    set(&mut desk, 7, after(5));
    end(&mut desk);
    rig.clock.set(after(CLOCK_CHECK_INTERVAL.0));
    rig.clock.set_status(ClockQuality { steps: 1, last_step: 9, ..ClockQuality::default() });
    (0..600).for_each(|_| {
        rig.cycle();
    });
    on_disk(&mut rig);
    let last = rig.verified_trail().iter().rev().find(|(_, frame)| !frame.is_padding()).unwrap().1;
    let ended = last.message::<SessionEnd>().expect("nothing comes after it");
    assert_eq!(ended.text(), b"over");
    assert_eq!(ended.events.get(), last.sequence().0 - 1_000);
}

#[test]
fn steps_of_the_clock_and_a_changed_uncertainty_are_logged_in_a_running_session() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    let mut status = ClockQuality { uncertainty: 50, ..ClockQuality::default() };
    let mut wait = |rig: &mut Rig, status: ClockQuality| {
        rig.clock.set_status(status);
        for step in [0, CLOCK_CHECK_INTERVAL.0] {
            rig.clock.advance(Nanos(step));
            feed.offer(VenueNotice::TEMPLATE_ID, &notice(1, 40), START).unwrap();
            rig.settle();
        }
    };
    wait(&mut rig, status);
    (status.steps, status.last_step) = (1, 2_000_000_000);
    wait(&mut rig, status);
    status.uncertainty = 70_000;
    wait(&mut rig, status);
    let now = rig.clock.clone().now();
    rig.clock.set(Nanos(now.0 - 5_000_000));
    wait(&mut rig, status);
    wait(&mut rig, status);
    on_disk(&mut rig);
    let (none, recorded) = (i64::MAX, found::<ClockEvent>(&rig));
    let recorded: Vec<_> = recorded.iter().map(|(it, _)| (it.step.get(), it.uncertainty.get())).collect();
    assert_eq!(recorded, [(2_000_000_000, 50), (none, 70_000), (-5_000_000, 70_000)]);
}

/// A clock that advances with every reading and counts the readings.
#[derive(Clone)]
struct CountingClock(Arc<AtomicU64>);

impl Clock for CountingClock {
    fn now(&mut self) -> Nanos {
        after(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[test]
fn the_clock_is_read_for_every_order_and_some_times_in_a_batch_of_market_data() {
    let options = RingOptions { capacity: RING_LENGTH_MIN, ..RingOptions::default() };
    let start = start();
    let parts = LogRing::create(&options, start.position).unwrap();
    let clock = CountingClock(Arc::default());
    let risk = defined(RiskLimits::default());
    let mut sequencer = Sequencer::new(&start, parts.writer, clock.clone(), risk).unwrap();
    let mut feed = sequencer.publisher(1, "feed", 64 << 10, Grants::all());
    let mut observer = sequencer.gating_consumer("reader");
    for _ in 0..64 {
        feed.offer(VenueNotice::TEMPLATE_ID, &notice(1, 40), START).unwrap();
    }
    let before = clock.0.load(Ordering::Relaxed);
    sequencer.do_work().unwrap();
    let readings = clock.0.load(Ordering::Relaxed) - before;
    assert!(readings >= 64 / STRETCH_EVENTS_MAX as u64, "{readings}");
    for id in 1..=10 {
        feed.offer(NewOrder::TEMPLATE_ID, &order_body(&order(id, 1)), START).unwrap();
    }
    sequencer.do_work().unwrap();
    let mut times = Vec::new();
    observer.poll(1_000, |event| {
        if event.template_id() == NewOrder::TEMPLATE_ID {
            times.push(event.timestamp());
        }
    });
    assert_eq!(times.len(), 10);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "each has a time of its own: {times:?}");
}
