//! A catch-up consumer sees every event once and in order, however the threads are scheduled: on the ring,
//! from the disk, and across epochs.

use crate::rig::{Rig, options};
use proptest::prelude::*;
use stele_bus::RingView;
use stele_journal::CatchUp;
use stele_journal::catch_up::EventSource;
use stele_wire::messages::Trade;
use stele_wire::units::Sequence;

/// What a consumer has received: sequences without a gap, and the trades in them.
struct Seen {
    next: Sequence,
    trades: Vec<u64>,
}

impl Seen {
    fn from(sequence: u64) -> Self {
        Self { next: Sequence(sequence), trades: Vec::new() }
    }

    fn poll(&mut self, consumer: &mut CatchUp, limit: usize) -> usize {
        let count = consumer.poll(limit, |event| {
            assert_eq!(event.sequence(), self.next, "a gap or a repetition");
            self.next = self.next.next();
            self.trades.extend(event.frame().message::<Trade>().map(|trade| trade.trade_id.get()));
        });
        count.unwrap()
    }

    fn drain(&mut self, consumer: &mut CatchUp, rig: &Rig) {
        let mut idle = 0;
        // A turn that only changes between ring and journal delivers nothing.
        while idle < 4 {
            idle = if self.poll(consumer, 1_000) == 0 { idle + 1 } else { 0 };
        }
        assert_eq!(self.next, rig.sequencer.next_sequence(), "everything published is seen");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u64),
    Turn,
    Early(usize),
    Late(usize),
    Begin,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..4_000).prop_map(Step::Publish),
        // Longer than the ring of 1 MiB.
        1 => (10_000_u64..16_000).prop_map(Step::Publish),
        4 => Just(Step::Turn),
        3 => (1_usize..3_000).prop_map(Step::Early),
        3 => (1_usize..9_000).prop_map(Step::Late),
        1 => Just(Step::Begin),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn there_is_no_gap_and_no_repetition_however_often_it_is_overrun(
        steps in prop::collection::vec(step(), 10..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = Rig::open(folder.path(), &options()).unwrap();
        let view: RingView = (*rig.ring).clone();
        let (mut early, mut seen_early) = (CatchUp::from(&view, folder.path(), Sequence(1)), Seen::from(1));
        let (mut late, mut seen_late) = (CatchUp::from(&view, folder.path(), Sequence(1)), Seen::from(1));
        for step in steps {
            match step {
                Step::Publish(count) => rig.publish(count),
                Step::Turn => rig.turn(),
                Step::Early(limit) => drop(seen_early.poll(&mut early, limit)),
                Step::Late(limit) => drop(seen_late.poll(&mut late, limit)),
                Step::Begin => {
                    // One that joins in the middle: after the events that it wants, or before them.
                    let from = (rig.sequencer.next_sequence().0 / 2).max(1);
                    (late, seen_late) = (CatchUp::from(&view, folder.path(), Sequence(from)), Seen::from(from));
                }
            }
        }
        rig.settle();
        seen_early.drain(&mut early, &rig);
        seen_late.drain(&mut late, &rig);
        prop_assert_eq!(seen_early.trades, (1..=rig.published).collect::<Vec<_>>());
        prop_assert_eq!((early.source(), late.source()), (EventSource::Ring, EventSource::Ring));
    }
}

#[test]
fn a_consumer_that_joins_now_misses_no_later_event_although_it_is_overrun() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), &options()).unwrap();
    rig.publish(500);
    rig.settle();
    let mut consumer = CatchUp::join(&rig.ring, folder.path());
    let mut seen = Seen::from(consumer.next_sequence().0);
    assert_eq!(seen.next, rig.sequencer.next_sequence(), "at the newest closed batch");
    rig.publish(30_000);
    rig.settle();
    seen.drain(&mut consumer, &rig);
    assert_eq!(consumer.overruns(), 1, "the ring went round it");
    assert_eq!(seen.trades, (501..=30_500).collect::<Vec<_>>());
}

#[test]
fn it_continues_over_the_end_of_an_epoch_and_reads_what_was_there_before_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), &options()).unwrap();
    rig.publish(2_000);
    rig.settle();
    let (mut consumer, mut seen) = (CatchUp::from(&rig.ring, folder.path(), Sequence(1)), Seen::from(1));
    seen.drain(&mut consumer, &rig);
    let published = rig.published;
    drop(rig);
    let mut rig = Rig::open(folder.path(), &options()).unwrap();
    rig.published = published;
    rig.publish(100);
    rig.settle();
    assert_eq!(consumer.continue_on(&rig.ring), None, "everything seen was durable");
    seen.drain(&mut consumer, &rig);
    let (mut other, mut whole) = (CatchUp::from(&rig.ring, folder.path(), Sequence(1)), Seen::from(1));
    whole.drain(&mut other, &rig);
    assert_eq!((seen.trades.len(), &seen.trades), (2_100, &whole.trades));
}

#[test]
fn events_that_it_saw_and_the_next_epoch_does_not_have_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), &options()).unwrap();
    rig.publish(100);
    rig.settle();
    let durable = rig.sequencer.next_sequence();
    // Published and not written: the process dies.
    rig.publish(10);
    stele_bus::Agent::do_work(&mut rig.sequencer).unwrap();
    let (mut consumer, mut seen) = (CatchUp::from(&rig.ring, folder.path(), Sequence(1)), Seen::from(1));
    while seen.poll(&mut consumer, 1_000) > 0 {}
    assert_eq!(seen.next.0, durable.0 + 10);
    drop(rig);
    let rig = Rig::open(folder.path(), &options()).unwrap();
    let rolled_back = consumer.continue_on(&rig.ring).unwrap();
    assert_eq!((rolled_back.first, rolled_back.last), (durable, Sequence(durable.0 + 9)));
    assert_eq!(rolled_back.epoch, rig.start.identity.epoch);
    assert_eq!(consumer.next_sequence(), rig.start.next_sequence);
}
