//! Whatever the two shards do, in any order, the receiving one has every selected event once and in order.

use crate::rig::{Rig, START, notice};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use stele_bus::bounds::RING_LENGTH_MIN;
use stele_bus::{Agent, AgentError, ConsumerProgress, Grants, Publisher, Refusal};
use stele_feed::bounds::FORWARD_LAG_DIVISOR;
use stele_feed::forward::{
    EventSink, ForwardFilter, ForwardLink, ForwardLinkStatus, Forwarder, GatedOrigin, OriginTrail,
};
use stele_wire::messages::{Forwarded, InstrumentDefinition, VenueNotice};
use stele_wire::{Epoch, Frame, Sequence, ShardId};
use zerocopy::IntoBytes;

/// The shard that is read, and its number.
const ORIGIN: ShardId = ShardId(1);
const WANTED: &str = "WANTED";

/// What is durable of the origin, frame by frame.
type Disk = Arc<Mutex<Vec<Vec<u8>>>>;

struct MemoryPast(Disk);

impl OriginTrail for MemoryPast {
    fn read(
        &mut self,
        after: Sequence,
        through: Sequence,
        take: &mut EventSink<'_>,
    ) -> Result<(usize, Sequence), AgentError> {
        let disk = self.0.lock().unwrap();
        let frames = disk.iter().map(|bytes| Frame::read(bytes).unwrap());
        let (mut count, mut last) = (0, after);
        for frame in frames.filter(|frame| after < frame.sequence() && frame.sequence() <= through).take(7) {
            if take(Epoch(3), &frame).is_break() {
                break;
            }
            (count, last) = (count + 1, frame.sequence());
        }
        Ok((count, last))
    }
}

/// Two shards, a forwarder between them, and a feed into the first.
struct Pair {
    origin: Rig,
    feed: Publisher,
    disk: Disk,
    target: Rig,
    forwarder: Forwarder,
    status: Arc<ForwardLinkStatus>,
    held: ConsumerProgress,
    /// What the lives of the target before this one have left, durable: origin sequence and body.
    before: Vec<(u64, Vec<u8>)>,
}

fn define(instrument: u32, symbol: &str) -> InstrumentDefinition {
    let mut venue_symbol = [0; 72];
    venue_symbol[..symbol.len()].copy_from_slice(symbol.as_bytes());
    InstrumentDefinition { instrument: instrument.into(), venue_symbol, ..InstrumentDefinition::NULL }
}

impl Pair {
    fn new() -> Self {
        let mut origin = Rig::new();
        let feed = origin.sequencer.publisher(2, "feed", 20_000, Grants::all());
        let (disk, target) = (Disk::default(), Rig::new());
        let placeholder = origin.sequencer.gating_consumer("forwarder").progress();
        let forwarder = Forwarder::new("none yet", Vec::new());
        let (status, before) = (Arc::default(), Vec::new());
        let mut pair = Self { origin, feed, disk, target, forwarder, status, held: placeholder, before };
        pair.link();
        for (instrument, symbol) in [(1, WANTED), (2, "OTHER")] {
            let mut buffer = [0; 512];
            let body = define(instrument, symbol);
            let body = body.encode(&mut buffer, []).unwrap();
            pair.feed.offer(InstrumentDefinition::TEMPLATE_ID, body, START).unwrap();
        }
        pair
    }

    /// The target begins a new life, with what of the one before is durable.
    fn restart_target(&mut self) {
        self.before = self.forwarded();
        self.target = Rig::new();
        self.link();
    }

    fn link(&mut self) {
        let publisher = self.target.sequencer.publisher(1_000, "shard 1", 20_000, Grants::all());
        let consumer = self.origin.sequencer.gating_consumer("forwarder");
        let first = self.origin.sequencer.next_sequence();
        let taken = self.before.last().map_or(Sequence(1_000), |(sequence, _)| Sequence(*sequence));
        let origin = GatedOrigin::new(consumer, Epoch(3), first, taken, MemoryPast(self.disk.clone()));
        self.held = origin.progress();
        let mut wanted = ForwardFilter::new(&[WANTED.into()], &[]);
        if !self.before.is_empty() {
            wanted.add_instrument(1, WANTED);
        }
        let link = ForwardLink::new(ORIGIN, Box::new(origin), wanted, publisher);
        self.status = link.status();
        self.forwarder = Forwarder::new("forwarder", vec![link]);
    }

    fn flush_origin(&mut self) {
        self.origin.flush();
        let frames = self.origin.verified_trail().into_iter().map(|(_, frame)| frame);
        let events = frames.filter(|frame| !frame.is_padding());
        *self.disk.lock().unwrap() = events.map(|frame| frame.bytes().to_vec()).collect();
    }

    /// What is durable of the origin and wanted.
    fn expected(&self) -> Vec<(u64, Vec<u8>)> {
        let disk = self.disk.lock().unwrap();
        let frames = disk.iter().map(|bytes| Frame::read(bytes).unwrap());
        let wanted = frames.filter(|frame| match frame.template_id() {
            VenueNotice::TEMPLATE_ID => frame.message::<VenueNotice>().unwrap().instrument.get() != 2,
            InstrumentDefinition::TEMPLATE_ID => {
                frame.message::<InstrumentDefinition>().unwrap().instrument.get() != 2
            }
            _ => false,
        });
        wanted.map(|frame| (frame.sequence().0, frame.body().to_vec())).collect()
    }

    /// What is durable of the target, over all its lives.
    fn forwarded(&self) -> Vec<(u64, Vec<u8>)> {
        let frames = self.target.verified_trail().into_iter().map(|(_, frame)| frame);
        let messages = frames.filter_map(|frame| {
            let message = frame.message::<Forwarded>()?;
            assert_eq!((message.origin_shard.get(), message.origin_epoch.get()), (ORIGIN.0, 3));
            Some((message.origin_sequence.get(), message.body().to_vec()))
        });
        self.before.iter().cloned().chain(messages).collect()
    }

    /// The target sequences what it has room for, and all of it is durable.
    fn close_target(&mut self) {
        while self.target.cycle() > 0 {
            self.target.flush();
        }
        self.target.close_batch();
        self.target.flush();
    }

    /// Everybody works until nothing is left to do.
    fn settle(&mut self) {
        self.origin.settle();
        self.origin.close_batch();
        self.flush_origin();
        self.close_target();
        while self.forwarder.do_work().unwrap() > 0 {
            self.close_target();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Market(u32, usize),
    CycleOrigin,
    CloseOrigin,
    FlushOrigin,
    Forward,
    CycleTarget,
    FlushTarget,
    RestartTarget,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![6 => 32_usize..200, 2 => 200_usize..9_000, 1 => 9_000_usize..60_000];
    prop_oneof![
        12 => (0_u32..3, length).prop_map(|(instrument, length)| Step::Market(instrument, length)),
        8 => Just(Step::CycleOrigin),
        2 => Just(Step::CloseOrigin),
        4 => Just(Step::FlushOrigin),
        6 => Just(Step::Forward),
        4 => Just(Step::CycleTarget),
        2 => Just(Step::FlushTarget),
        1 => Just(Step::RestartTarget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_other_shard_gets_every_selected_durable_event_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..250),
    ) {
        let mut pair = Pair::new();
        for step in steps {
            match step {
                Step::Market(instrument, length) => {
                    // A ring that is full refuses, and nothing of the event is anywhere.
                    let _ = pair.feed.offer(VenueNotice::TEMPLATE_ID, &notice(instrument, length), START);
                }
                Step::CycleOrigin => {
                    pair.origin.cycle();
                }
                Step::CloseOrigin => pair.origin.close_batch(),
                Step::FlushOrigin => pair.flush_origin(),
                Step::Forward => {
                    pair.forwarder.do_work().unwrap();
                }
                Step::CycleTarget => {
                    pair.target.cycle();
                }
                Step::FlushTarget => pair.target.flush(),
                Step::RestartTarget => pair.restart_target(),
            }
            let (forwarded, expected) = (pair.forwarded(), pair.expected());
            prop_assert!(expected.starts_with(&forwarded), "{} of {}", forwarded.len(), expected.len());
        }
        pair.settle();
        prop_assert_eq!(pair.forwarded(), pair.expected());
    }
}

#[test]
fn a_shard_that_takes_nothing_holds_the_other_up_no_longer_than_its_lag_and_misses_nothing() {
    let mut pair = Pair::new();
    let limit = (RING_LENGTH_MIN / FORWARD_LAG_DIVISOR) as u64;
    for round in 0..3_000_u32 {
        let offered =
            pair.feed.offer(VenueNotice::TEMPLATE_ID, &notice(1, 1_000 + round as usize % 64), START);
        assert_eq!(offered, Ok(()), "the origin goes on");
        pair.origin.close_batch();
        pair.origin.flush();
        pair.forwarder.do_work().unwrap();
        let held = pair.origin.ring.watermarks().published().0 - pair.held.released().0;
        assert!(held <= limit + 8_192, "{held} bytes are held in round {round}");
    }
    assert_eq!(pair.forwarded(), [], "the other shard has taken nothing");
    pair.settle();
    assert_eq!(pair.forwarded().len(), 3_001);
    assert_eq!(pair.forwarded(), pair.expected());
    assert_eq!(pair.status.forwarded(), 3_001);
}

#[test]
fn an_event_that_is_not_durable_is_not_forwarded() {
    let mut pair = Pair::new();
    pair.origin.settle();
    pair.forwarder.do_work().unwrap();
    pair.close_target();
    assert_eq!(pair.forwarded(), []);
    pair.settle();
    assert_eq!(pair.forwarded().len(), 1);
}

#[test]
fn an_event_too_long_for_another_is_counted_and_skipped() {
    let mut pair = Pair::new();
    pair.settle();
    pair.feed.offer(VenueNotice::TEMPLATE_ID, &notice(1, 65_480), START).unwrap();
    pair.feed.offer(VenueNotice::TEMPLATE_ID, &notice(1, 40), START).unwrap();
    pair.origin.settle();
    pair.settle();
    assert_eq!((pair.status.too_long(), pair.forwarded().len()), (1, 2));
}

#[test]
fn nothing_is_forwarded_to_a_shard_that_is_stopping() {
    let mut pair = Pair::new();
    pair.origin.close_batch();
    pair.flush_origin();
    pair.target.ring.request_stop();
    pair.forwarder.do_work().unwrap();
    assert_eq!(pair.status.forwarded(), 0);
    assert_eq!(
        pair.feed
            .offer(VenueNotice::TEMPLATE_ID, notice(1, 40).as_bytes(), START)
            .map_err(Refusal::is_transient),
        Ok(())
    );
}
