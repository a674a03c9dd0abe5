//! Whatever the parties do, in any order, the log contains what was accepted and each reader gets its events.

use crate::rig::{Expected, Rig, START, accepted, cancel, notice, order, order_body};
use proptest::prelude::*;
use std::collections::VecDeque;
use stele_bus::{
    Conflation, Event, Fold, GatingConsumer, Grants, LossyConsumer, Observed, PortError, Publisher,
    RemotePort, RemotePublisher,
};
use stele_wire::messages::{CancelOrder, NewOrder, OrderAccepted, OrderRejected, VenueNotice};
use stele_wire::{Nanos, Sequence};
use zerocopy::IntoBytes;

#[derive(Clone, Debug)]
enum Step {
    Market(usize, usize),
    Order(usize),
    Cancel(usize),
    Report(usize),
    /// Steps of the publisher in another process: stage, commit, be killed and start again.
    Stage(usize),
    Commit,
    Die,
    Cycle,
    Write(u64),
    Flush,
    Gating(usize, usize),
    Lossy(usize),
    Conflated(usize),
    Time(u64),
}

/// The id of the publisher in another process, and its index among all.
const OUTSIDE: (u16, usize) = (3, 2);
/// The instruments of the conflation: the sequence of an event determines its instrument.
const CONFLATED: u64 = 8;

struct BySequence;

impl Fold for BySequence {
    type State = u64;

    fn instrument(&self, event: &Event<'_>) -> Option<u32> {
        Some((event.sequence().0 % CONFLATED) as u32)
    }

    fn fold(&mut self, state: &mut u64, event: &Event<'_>) {
        *state = event.sequence().0;
    }
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![3 => 32_usize..200, 2 => 200_usize..9_000, 1 => 9_000_usize..=65_496];
    prop_oneof![
        8 => (0_usize..2, length).prop_map(|(publisher, length)| Step::Market(publisher, length)),
        2 => (0_usize..2).prop_map(Step::Order),
        1 => (0_usize..2).prop_map(Step::Cancel),
        1 => (0_usize..2).prop_map(Step::Report),
        4 => (32_usize..9_000).prop_map(Step::Stage),
        3 => Just(Step::Commit),
        1 => Just(Step::Die),
        6 => Just(Step::Cycle),
        3 => (1_u64..200_000).prop_map(Step::Write),
        1 => Just(Step::Flush),
        5 => (0_usize..2, 1_usize..50).prop_map(|(consumer, limit)| Step::Gating(consumer, limit)),
        1 => (1_usize..200).prop_map(Step::Lossy),
        1 => (1_usize..6).prop_map(Step::Conflated),
        2 => (0_u64..300_000).prop_map(Step::Time),
    ]
}

struct Model {
    rig: Rig,
    publishers: Vec<Publisher>,
    /// The publisher in another process, its staged submissions, and how many it has committed.
    outside: Option<RemotePublisher>,
    staged: Expected,
    committed: u64,
    accepted: Vec<Expected>,
    gating: Vec<GatingConsumer>,
    gating_seen: Vec<Vec<(u16, Vec<u8>)>>,
    lossy: LossyConsumer,
    lossy_next: Sequence,
    lossy_seen: Vec<(u64, u16, Vec<u8>)>,
    conflation: Conflation<BySequence>,
    /// The instruments that changed, with the number of updates and the newest one.
    changed: VecDeque<(u32, u64, u64)>,
    tag: u32,
    port: RemotePort,
}

impl Model {
    fn new() -> Self {
        let mut rig = Rig::shared();
        let mut port = rig.sequencer.remote_publisher(OUTSIDE.0, "outside", 16 << 10, Grants::all());
        let publishers = [(1, "a"), (2, "b")]
            .map(|(id, name)| rig.sequencer.publisher(id, name, 20_000, Grants::all()))
            .into();
        let gating = (0..2).map(|_| rig.sequencer.gating_consumer("reader")).collect();
        // Through another mapping, as in another process.
        let lossy = LossyConsumer::join(&rig.view());
        Self {
            publishers,
            outside: Some(rig.connect(&mut port)),
            staged: VecDeque::new(),
            committed: 0,
            accepted: vec![VecDeque::new(); 3],
            gating,
            gating_seen: vec![Vec::new(), Vec::new()],
            lossy,
            lossy_next: rig.start.next_sequence,
            lossy_seen: Vec::new(),
            conflation: Conflation::new(BySequence, CONFLATED as usize),
            changed: VecDeque::new(),
            tag: 0,
            port,
            rig,
        }
    }

    fn offer(&mut self, publisher: usize, template_id: u16, body: Vec<u8>) {
        if self.publishers[publisher].offer(template_id, &body, START).is_ok() {
            self.accepted[publisher].push_back((template_id, body));
        }
    }

    fn take(&mut self, step: Step) {
        self.tag += 1;
        // The lowest bits of the instrument contain the publisher's index, which identifies the event's
        // publisher.
        let tag = |publisher: usize, tag: u32| tag << 2 | publisher as u32;
        match step {
            Step::Market(publisher, length) => {
                self.offer(publisher, VenueNotice::TEMPLATE_ID, notice(tag(publisher, self.tag), length));
            }
            Step::Order(publisher) => {
                let order =
                    NewOrder { instrument: tag(publisher, self.tag).into(), ..order(self.tag.into(), 1) };
                self.offer(publisher, NewOrder::TEMPLATE_ID, order_body(&order));
            }
            Step::Cancel(publisher) => {
                let cancel = CancelOrder { instrument: tag(publisher, self.tag).into(), ..cancel(1) };
                self.offer(publisher, CancelOrder::TEMPLATE_ID, cancel.as_bytes().to_vec());
            }
            Step::Report(publisher) => {
                let report = OrderAccepted { instrument: tag(publisher, self.tag).into(), ..accepted(1) };
                self.offer(publisher, OrderAccepted::TEMPLATE_ID, report.as_bytes().to_vec());
            }
            Step::Stage(length) => self.stage(notice(tag(OUTSIDE.1, self.tag), length)),
            Step::Commit => self.commit(),
            Step::Die => self.die(),
            Step::Conflated(limit) => self.take_conflated(limit),
            Step::Cycle => drop(self.rig.cycle()),
            Step::Write(bytes) => self.rig.write(bytes / 4096 * 4096),
            Step::Flush => self.rig.flush(),
            Step::Gating(consumer, limit) => {
                let seen = &mut self.gating_seen[consumer];
                let (conflation, changed) = (&mut self.conflation, &mut self.changed);
                self.gating[consumer].poll(limit, |event| {
                    seen.push((event.template_id(), event.body().to_vec()));
                    if consumer == 0 {
                        conflation.on_event(&event).unwrap();
                        fold_naively(changed, event.sequence().0);
                    }
                });
            }
            Step::Lossy(limit) => self.poll_lossy(limit),
            Step::Time(by) => self.rig.clock.advance(Nanos(by)),
        }
        let marks = self.rig.ring.watermarks();
        let positions = stele_bus::Watermark::ALL.map(|mark| marks.get(mark));
        assert!(positions.is_sorted_by(|a, b| a >= b), "{positions:?}");
        assert_eq!(marks.batched().0 % 4096, 0);
    }

    fn stage(&mut self, body: Vec<u8>) {
        let Some(outside) = self.connected() else { return };
        if outside.stage(VenueNotice::TEMPLATE_ID, &body, START).is_ok() {
            self.staged.push_back((VenueNotice::TEMPLATE_ID, body));
        }
    }

    fn commit(&mut self) {
        let Some(outside) = self.connected() else { return };
        self.committed += outside.commit();
        self.accepted[OUTSIDE.1].append(&mut self.staged);
    }

    /// What was only staged is lost; the next process continues after what was committed.
    fn die(&mut self) {
        if self.outside.take().is_some() {
            self.port.close();
            self.staged.clear();
        }
    }

    /// The publisher; none while what the one before it committed is not taken.
    fn connected(&mut self) -> Option<&mut RemotePublisher> {
        if self.outside.is_none() {
            let lane = match self.port.open() {
                Err(PortError::Busy) => return None,
                opened => opened.unwrap(),
            };
            let next = RemotePublisher::attach(self.rig.view(), lane).unwrap();
            assert_eq!(next.next_sequence(), self.committed + 1);
            self.outside = Some(next);
        }
        self.outside.as_mut()
    }

    fn take_conflated(&mut self, limit: usize) {
        let changed = &mut self.changed;
        self.conflation.take(limit, |conflated| {
            let expected = changed.pop_front().unwrap();
            assert_eq!((conflated.instrument, conflated.folded, *conflated.state), expected);
        });
    }

    fn poll_lossy(&mut self, limit: usize) {
        let (next, seen) = (&mut self.lossy_next, &mut self.lossy_seen);
        self.lossy.poll(limit, |observed| match observed {
            Observed::Event(event) => {
                assert_eq!(event.sequence(), *next);
                *next = next.next();
                seen.push((event.sequence().0, event.template_id(), event.body().to_vec()));
            }
            Observed::Lost { first, last } => {
                assert_eq!(first, *next);
                *next = last.next();
            }
        });
    }

    /// Lets everyone catch up, then compares.
    fn finish(mut self) {
        for publisher in &mut self.publishers {
            publisher.finish();
        }
        self.commit();
        if let Some(outside) = self.outside.take() {
            outside.finish();
        }
        self.rig.ring.request_stop();
        while !self.rig.ring.is_stopped() {
            self.rig.cycle();
            self.rig.flush();
            for consumer in 0..2 {
                self.take(Step::Gating(consumer, usize::MAX));
            }
        }
        self.rig.flush();
        self.poll_lossy(usize::MAX);
        for consumer in 0..2 {
            self.take(Step::Gating(consumer, usize::MAX));
        }
        self.take_conflated(usize::MAX);
        assert!(self.changed.is_empty());
        let log: Vec<(u16, Vec<u8>)> = self
            .rig
            .verified_trail()
            .into_iter()
            .filter(|(_, frame)| !frame.is_padding())
            .map(|(_, frame)| (frame.template_id(), frame.body().to_vec()))
            .collect();
        assert_eq!(self.gating_seen[0], log);
        assert_eq!(self.gating_seen[1], log);
        let first = self.rig.start.next_sequence.0;
        assert_eq!(self.lossy_next.0, first + log.len() as u64);
        for (sequence, template_id, body) in &self.lossy_seen {
            assert_eq!(
                (*template_id, body),
                (log[(sequence - first) as usize].0, &log[(sequence - first) as usize].1)
            );
        }
        self.compare_with_accepted(&log);
    }

    /// Checks that each publisher's submissions are on the log in order, an order possibly as its refusal.
    fn compare_with_accepted(&mut self, log: &[(u16, Vec<u8>)]) {
        for (template_id, body) in log.iter().filter(|event| ![418, 510, 520, 527].contains(&event.0)) {
            let instrument_at = if [301, 303].contains(template_id) { 12 } else { 8 };
            let instrument = u32::from_le_bytes(body[instrument_at..instrument_at + 4].try_into().unwrap());
            let (expected_id, expected) = self.accepted[(instrument & 3) as usize].pop_front().unwrap();
            if *template_id == OrderRejected::TEMPLATE_ID {
                assert_eq!(expected_id, NewOrder::TEMPLATE_ID);
                assert_eq!(body[8..12], expected[12..16], "the refusal names the order's instrument");
                continue;
            }
            assert_eq!(*template_id, expected_id);
            let stamp = if [301, 303].contains(template_id) { 0..10 } else { 16..20 };
            for (index, (found, expected)) in body.iter().zip(&expected).enumerate() {
                assert!(found == expected || stamp.contains(&index), "byte {index}");
            }
        }
        assert!(self.accepted.iter().all(VecDeque::is_empty), "nothing accepted is missing");
    }
}

/// The model of conflation: a list.
fn fold_naively(changed: &mut VecDeque<(u32, u64, u64)>, sequence: u64) {
    let instrument = (sequence % CONFLATED) as u32;
    match changed.iter_mut().find(|entry| entry.0 == instrument) {
        Some(entry) => (entry.1, entry.2) = (entry.1 + 1, sequence),
        None => changed.push_back((instrument, 1, sequence)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_log_contains_what_was_accepted_under_every_schedule(steps in prop::collection::vec(step(), 1..1_500)) {
        let mut model = Model::new();
        for step in steps {
            model.take(step);
        }
        model.finish();
    }
}
