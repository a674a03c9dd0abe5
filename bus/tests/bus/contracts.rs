//! What the bus guarantees to each party, one guarantee in each test.

use crate::rig::{Rig, START, accepted, cancel, fill, notice, order, order_body};
use stele_bus::bounds::{BATCH_AGE_MAX, PUBLISHER_WORDS_DEFAULT, RING_LENGTH_MIN, STOP_GRACE};
use stele_bus::counters::table;
use stele_bus::{Backpressure, Counters, Grants, LossyConsumer, NOT_RECEIVED, Observed, Refusal};
use stele_risk::RiskLimits;
use stele_wire::messages::{
    CancelScope, Check, KillSwitch, NewOrder, OrderRejected, PublisherGrant, PublisherProgress, SwitchState,
    VenueNotice,
};
use stele_wire::{Nanos, Quantity, Sequence};

const NOTICE: u16 = VenueNotice::TEMPLATE_ID;

#[test]
fn an_event_is_published_as_submitted_with_its_sequence_times_and_checksum() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(5, "feed", 1024, Grants::all());
    let mut consumer = rig.sequencer.gating_consumer("reader");
    let body = notice(9, 45);
    publisher.offer(NOTICE, &body, Nanos(START.0 - 300)).unwrap();
    rig.clock.set(Nanos(START.0 + 700));
    rig.cycle();
    let mut seen = Vec::new();
    consumer.poll(10, |event| {
        event.frame().verify(rig.start.identity.seed()).unwrap();
        seen.push((event.sequence(), event.timestamp(), event.template_id(), event.body().to_vec()));
    });
    let [grant, progress, notice] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((grant.0, grant.2), (Sequence(1_001), PublisherGrant::TEMPLATE_ID));
    assert_eq!((progress.0, progress.2), (Sequence(1_002), PublisherProgress::TEMPLATE_ID));
    assert_eq!((notice.0, notice.1, notice.2), (Sequence(1_003), Nanos(START.0 + 700), NOTICE));
    assert_eq!(notice.3[16..20], 1_000_u32.to_le_bytes(), "received 1,000 ns before it was sequenced");
    assert_eq!((&notice.3[..16], &notice.3[20..45]), (&body[..16], &body[20..]));
    assert_eq!(notice.3[45..], [0; 3], "zeros close the frame");
}

#[test]
fn time_never_goes_back_even_across_a_restart() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    for now in [START.0 - 1_000_000, START.0, START.0 - 10, START.0 + 1] {
        rig.clock.set(Nanos(now));
        publisher.offer(NOTICE, &notice(1, 32), NOT_RECEIVED).unwrap();
        rig.cycle();
    }
    rig.close_batch();
    rig.flush();
    let trail = rig.verified_trail();
    let events = trail.iter().filter(|(_, frame)| !frame.is_padding());
    let times: Vec<u64> = events.map(|(_, frame)| frame.timestamp().0).collect();
    assert_eq!(times, [START.0 - 5, START.0 - 5, START.0 - 5, START.0, START.0, START.0 + 1]);
}

#[test]
fn a_receipt_that_is_unknown_in_the_future_or_long_ago_is_distinguished() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    let mut consumer = rig.sequencer.gating_consumer("reader");
    for received in [NOT_RECEIVED, Nanos(START.0 + 1), Nanos(0)] {
        publisher.offer(NOTICE, &notice(1, 32), received).unwrap();
    }
    rig.cycle();
    let mut deltas = Vec::new();
    consumer.poll(10, |event| {
        deltas.extend(event.frame().message::<VenueNotice>().map(|message| message.received_delta.get()));
    });
    assert_eq!(deltas, [u32::MAX, 0, u32::MAX - 1]);
}

#[test]
fn a_publisher_gets_the_error_of_an_invalid_message_at_once() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 100, Grants::all());
    assert_eq!(publisher.offer(999, &[0; 64], START), Err(Refusal::UnknownTemplate(999)));
    assert_eq!(publisher.offer(NOTICE, &[0; 31], START), Err(Refusal::TooShort { needed: 32, found: 31 }));
    let longest = (100 - 3) * 8;
    let refusal = publisher.offer(NOTICE, &vec![0; longest + 1], START).unwrap_err();
    assert_eq!(refusal, Refusal::TooLong { longest, found: longest + 1 });
    assert_eq!((publisher.refused(), publisher.next_sequence()), (3, 1));
    publisher.offer(NOTICE, &vec![0; longest], START).unwrap();
    assert_eq!(publisher.offer(NOTICE, &[0; 32], START), Err(Refusal::RingFull));
}

#[test]
fn staged_submissions_are_invisible_until_they_are_committed_together() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    for tag in 0..3 {
        publisher.stage(NOTICE, &notice(tag, 32), START).unwrap();
    }
    assert_eq!(rig.cycle(), 0);
    assert_eq!(publisher.commit(), 3);
    assert_eq!((rig.cycle(), publisher.next_sequence()), (3, 4));
}

#[test]
fn intakes_take_turns_so_that_a_flood_does_not_starve_the_others() {
    let mut rig = Rig::new();
    let mut flood = rig.sequencer.publisher(1, "flood", PUBLISHER_WORDS_DEFAULT, Grants::all());
    let mut quiet = rig.sequencer.publisher(2, "quiet", 1024, Grants::all());
    fill(&mut flood, NOTICE, &notice(1, 32));
    quiet.offer(NOTICE, &notice(2, 32), START).unwrap();
    assert_eq!(rig.cycle(), 64 + 1, "a chunk of the flood, and the other's event in the same cycle");
}

#[test]
fn a_skip_in_a_publishers_numbering_is_logged_before_the_event() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(4, "strategies", 1024, Grants::all());
    let mut consumer = rig.sequencer.gating_consumer("reader");
    publisher.offer(NOTICE, &notice(1, 32), START).unwrap();
    publisher.offer(NOTICE, &notice(2, 32), START).unwrap();
    publisher.continue_after(50);
    publisher.offer(NOTICE, &notice(3, 32), START).unwrap();
    rig.cycle();
    let mut seen = Vec::new();
    consumer.poll(10, |event| {
        let progress = event.frame().message::<PublisherProgress>();
        seen.push(progress.map(|note| (note.publisher.get(), note.publisher_sequence.get())));
    });
    assert_eq!(seen, [None, Some((4, 0)), None, None, Some((4, 50)), None], "grants, then the numbering");
}

#[test]
fn with_a_stalled_consumer_market_data_and_new_orders_are_refused_first_and_it_is_never_overrun() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    let mut strategy = rig.sequencer.publisher(2, "strategy", 1024, Grants::all());
    let mut venue = rig.sequencer.publisher(3, "venue", 1024, Grants::all());
    let mut stuck = rig.sequencer.gating_consumer("reader");
    let market = notice(1, 100);
    let refusal = loop {
        let (_, refusal) = fill(&mut feed, NOTICE, &market);
        rig.settle();
        rig.flush();
        if refusal != Refusal::RingFull {
            break refusal;
        }
    };
    assert_eq!((refusal, rig.ring.backpressure()), (Refusal::ConsumerBehind, Some(Backpressure::Consumer)));

    strategy.offer(NewOrder::TEMPLATE_ID, &order_body(&order(77, 1)), START).unwrap();
    strategy.offer_message(&cancel(70), START).unwrap();
    venue.offer_message(&accepted(70), START).unwrap();
    rig.settle();
    rig.flush();
    let events = rig.trail_events();
    let taken: Vec<u16> = events.iter().map(|event| event.0).filter(|id| *id != NOTICE).collect();
    assert_eq!(taken, [OrderRejected::TEMPLATE_ID, 303, 401], "the order is answered, the others are taken");

    let mut rejected = None;
    let mut seen = 0;
    while stuck.poll(100, |event| {
        event.frame().verify(rig.start.identity.seed()).unwrap();
        seen += u64::from(event.template_id() == NOTICE);
        rejected = rejected.or(event.frame().message::<OrderRejected>().map(|message| *message));
    }) > 0
    {}
    let rejected = rejected.unwrap();
    assert_eq!((rejected.check, rejected.client_order_id.get()), (Check::BUS_BEHIND, 77));
    assert!(rejected.value.get() < rejected.limit.get(), "{rejected:?}");
    assert!(seen * 136 > RING_LENGTH_MIN as u64 / 2, "{seen} events of the full ring");

    rig.settle();
    assert_eq!(rig.ring.backpressure(), None, "with room again, the feed continues");
    feed.offer(NOTICE, &market, START).unwrap();
}

#[test]
fn a_journal_that_writes_nothing_causes_backpressure_and_is_reported() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    for _ in 0..10_000 {
        let _ = feed.offer(NOTICE, &notice(1, 2_000), START);
        rig.cycle();
    }
    assert_eq!(feed.offer(NOTICE, &notice(1, 2_000), START), Err(Refusal::JournalBehind));
    let marks = rig.ring.watermarks();
    assert!(marks.published().0 - marks.written().0 <= RING_LENGTH_MIN as u64);
}

#[test]
fn an_order_closes_its_batch_at_once_and_market_data_waits_for_the_batch_to_age() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "all", 1024, Grants::all());
    publisher.offer(NOTICE, &notice(1, 32), START).unwrap();
    rig.cycle();
    assert_eq!(rig.ring.watermarks().batched(), rig.start.position);
    publisher.offer(NewOrder::TEMPLATE_ID, &order_body(&order(1, 1)), START).unwrap();
    rig.cycle();
    let marks = rig.ring.watermarks();
    assert_eq!((marks.batched(), marks.published()), (rig.start.position.plus(4096), marks.batched()));
    publisher.offer(NOTICE, &notice(1, 32), START).unwrap();
    rig.cycle();
    rig.clock.advance(Nanos(199_999));
    rig.cycle();
    assert_eq!(rig.ring.watermarks().batched(), rig.start.position.plus(4096));
    rig.clock.advance(Nanos(1));
    rig.cycle();
    assert_eq!(rig.ring.watermarks().batched(), rig.start.position.plus(2 * 4096));
}

#[test]
fn when_idle_one_watermark_block_records_the_last_acknowledgement() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    publisher.offer(NOTICE, &notice(1, 32), START).unwrap();
    rig.cycle();
    rig.close_batch();
    rig.flush();
    let acknowledged = rig.ring.watermarks().durable();
    for _ in 0..100 {
        rig.clock.advance(Nanos(100_000));
        rig.cycle();
        rig.flush();
    }
    let padding: Vec<u64> = rig
        .verified_trail()
        .iter()
        .filter_map(|(_, frame)| frame.padding())
        .map(|pad| pad.durable.get())
        .collect();
    assert_eq!(
        padding,
        [rig.start.position.0, acknowledged.0],
        "the padding of the batch, then one block and no more"
    );
}

#[test]
fn a_lossy_consumer_learns_exactly_which_events_it_lost() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    let mut lossy = LossyConsumer::join(&rig.ring);
    let counters = Counters::create().unwrap();
    lossy.register_counters(&counters, 0, 1, "console").unwrap();
    let mut expected = rig.start.next_sequence;
    let mut lost = 0;
    for round in 0..6 {
        // Every second round is longer than the ring.
        let bytes = if round % 2 == 0 { 100_000 } else { 2 * RING_LENGTH_MIN };
        for tag in 0..bytes / 1_000 {
            publisher.offer(NOTICE, &notice(tag as u32, 968), START).unwrap();
            rig.settle();
            rig.flush();
        }
        lossy.poll(usize::MAX, |observed| match observed {
            Observed::Event(event) => {
                event.frame().verify(rig.start.identity.seed()).unwrap();
                assert_eq!(event.sequence(), expected);
                expected = expected.next();
            }
            Observed::Lost { first, last } => {
                assert_eq!(first, expected);
                lost += last.0 - first.0 + 1;
                expected = last.next();
            }
        });
        assert_eq!(expected, rig.sequencer.next_sequence(), "round {round}");
    }
    assert!(lost > 1_000, "three rounds of the ring were lost, {lost} events");
    let shown = |definition| counters.reader().value(definition, 0, 1);
    assert_eq!(shown(table::CONSUMER_LOST), lost, "another process sees how many");
    assert_eq!(shown(table::CONSUMER_POSITION), rig.ring.watermarks().published().0);
}

#[test]
fn a_lossy_consumer_that_joins_late_begins_at_the_newest_batch() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    for tag in 0..10 {
        publisher.offer(NOTICE, &notice(tag, 32), START).unwrap();
        rig.close_batch();
    }
    let mut lossy = LossyConsumer::join(&rig.ring);
    publisher.offer(NOTICE, &notice(10, 32), START).unwrap();
    rig.cycle();
    let mut seen = Vec::new();
    lossy.poll(100, |observed| {
        let Observed::Event(event) = observed else { panic!("{observed:?}") };
        seen.push(event.sequence().0);
    });
    assert_eq!(seen, [rig.sequencer.next_sequence().0 - 1]);
}

#[test]
fn an_event_on_which_a_consumer_fails_is_passed_again() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    let mut consumer = rig.sequencer.gating_consumer("reader");
    for tag in 0..3 {
        publisher.offer(NOTICE, &notice(tag, 32), START).unwrap();
    }
    rig.cycle();
    let mut seen = Vec::new();
    let result = consumer.try_poll(10, |event| {
        seen.push(event.sequence().0);
        if seen.len() == 2 { Err("busy") } else { Ok(()) }
    });
    assert_eq!(result, Err("busy"));
    assert_eq!(consumer.poll(10, |event| seen.push(event.sequence().0)), 4);
    assert_eq!(seen, [1_001, 1_002, 1_002, 1_003, 1_004, 1_005]);
}

#[test]
fn a_dropped_consumer_does_not_hold_the_writer_back() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    let consumer = rig.sequencer.gating_consumer("reader");
    drop(consumer);
    for tag in 0..2 * RING_LENGTH_MIN / 1_000 {
        publisher.offer(NOTICE, &notice(tag as u32, 968), START).unwrap();
        rig.settle();
        rig.flush();
    }
}

#[test]
fn an_order_above_a_limit_is_logged_as_refused() {
    let limits = RiskLimits { order_quantity_max: Some(Quantity(10)), ..RiskLimits::default() };
    let mut rig = Rig::with_limits(limits);
    let mut publisher = rig.sequencer.publisher(1, "strategy", 1024, Grants::all());
    let mut consumer = rig.sequencer.gating_consumer("reader");
    publisher.offer(NewOrder::TEMPLATE_ID, &order_body(&order(5, 11)), START).unwrap();
    publisher.offer(NewOrder::TEMPLATE_ID, &order_body(&order(6, 10)), START).unwrap();
    rig.cycle();
    let mut seen = Vec::new();
    consumer.poll(10, |event| {
        if let Some(rejected) = event.frame().message::<OrderRejected>() {
            assert!(rejected.is_whole());
            seen.push((rejected.client_order_id.get(), rejected.limit.get(), rejected.value.get()));
        } else if let Some(order) = event.frame().message::<NewOrder>() {
            seen.push((order.client_order_id.get(), 0, 0));
        }
    });
    assert_eq!(seen, [(5, 10, 11), (6, 0, 0)]);
    assert_eq!(rig.sequencer.statistics().orders_refused, 1);
}

#[test]
fn a_kill_switch_on_the_log_refuses_the_orders_after_it() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "strategy", 1024, Grants::all());
    let mut engage = |state| {
        let switch = KillSwitch { scope: CancelScope::ALL, state, ..KillSwitch::NULL };
        let mut buffer = [0; 64];
        let body = switch.encode(&mut buffer, b"test").unwrap().to_vec();
        publisher.offer(KillSwitch::TEMPLATE_ID, &body, START).unwrap();
        publisher.offer(NewOrder::TEMPLATE_ID, &order_body(&order(1, 1)), START).unwrap();
    };
    engage(SwitchState::ENGAGED);
    engage(SwitchState::RELEASED);
    rig.cycle();
    rig.flush();
    let taken: Vec<u16> = rig.trail_events().iter().map(|event| event.0).collect();
    assert_eq!(taken, [506, 402, 506, 301]);
}

#[test]
fn a_poisoned_journal_refuses_publishers_and_stops_the_sequencer_with_its_reason() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    publisher.offer(NOTICE, &notice(1, 32), START).unwrap();
    rig.journal.poison("segment 3: write at 4096 failed: no space left on device");
    rig.journal.poison("a later failure");
    assert_eq!(publisher.offer(NOTICE, &notice(1, 32), START), Err(Refusal::JournalPoisoned));
    assert_eq!(rig.cycle(), 0);
    assert_eq!(rig.ring.watermarks().published(), rig.start.position);
    assert_eq!(rig.ring.poisoned(), Some("segment 3: write at 4096 failed: no space left on device"));
    rig.ring.request_stop();
    rig.cycle();
    assert!(rig.ring.is_stopped());
}

#[test]
fn a_stop_puts_everything_accepted_on_the_log_and_closes_the_last_batch() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", PUBLISHER_WORDS_DEFAULT, Grants::all());
    let other = rig.sequencer.publisher(2, "other", 1024, Grants::all());
    for tag in 0..200 {
        publisher.offer(NOTICE, &notice(tag, 32), START).unwrap();
    }
    publisher.finish();
    drop(other);
    rig.ring.request_stop();
    assert_eq!(publisher.offer(NOTICE, &notice(1, 32), START), Err(Refusal::Stopped));
    while !rig.ring.is_stopped() {
        rig.cycle();
    }
    assert_eq!(rig.ring.watermarks().batched(), rig.ring.watermarks().published());
    rig.flush();
    assert_eq!(rig.trail_events().len(), 200);
}

#[test]
fn a_publisher_that_never_finishes_delays_the_stop_by_the_grace_only() {
    let mut rig = Rig::new();
    let _publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    rig.ring.request_stop();
    rig.cycle();
    rig.clock.advance(Nanos(STOP_GRACE.0 - 1));
    rig.cycle();
    assert!(!rig.ring.is_stopped());
    rig.clock.advance(Nanos(1));
    rig.cycle();
    assert!(rig.ring.is_stopped());
}

#[test]
fn the_journal_cannot_read_what_it_has_released() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    publisher.offer(NOTICE, &notice(1, 32), START).unwrap();
    rig.cycle();
    rig.close_batch();
    rig.flush();
    let (from, to) = (rig.start.position, rig.ring.watermarks().published());
    let lent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.journal.bytes(from, to).len()));
    assert!(lent.is_err());
}

#[test]
fn a_batch_closes_in_time_even_if_the_clock_stepped_back() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    publisher.offer(VenueNotice::TEMPLATE_ID, &notice(1, 100), START).unwrap();
    rig.settle();
    rig.clock.set(Nanos(START.0 - 3_600_000_000_000));
    publisher.offer(VenueNotice::TEMPLATE_ID, &notice(2, 100), START).unwrap();
    rig.settle();
    let published = rig.ring.watermarks().published();
    assert!(rig.ring.watermarks().batched() < published, "market data waits for no release");
    rig.clock.advance(BATCH_AGE_MAX);
    rig.settle();
    assert!(rig.ring.watermarks().batched() >= published);
}
