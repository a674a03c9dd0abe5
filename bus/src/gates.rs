//! Who holds the ring up: a gating consumer, or the journal, that has something to read and does not move.
//!
//! A gating consumer is never evicted, because it reads in place. One that is stuck would hold the whole bus up in
//! silence; whoever runs the bus therefore looks, off the hot threads, and stops the process in order, saying who.

use crate::bounds::GATE_CHECK_GAP_MAX;
use crate::consumer::ConsumerProgress;
use crate::ring::RingView;
use std::fmt;
use std::time::{Duration, Instant};
use stele_wire::Position;

/// Watches the gates of a ring.
#[derive(Debug)]
pub struct GateWatch {
    ring: RingView,
    patience: Duration,
    consumers: Vec<(ConsumerProgress, Still)>,
    journal: Still,
    looked: Option<Instant>,
}

/// Where something stood when it was looked at, and for how long it has.
#[derive(Clone, Copy, Debug, Default)]
struct Still {
    at: Position,
    /// There was something to read.
    is_behind: bool,
    time: Duration,
}

/// Somebody does not move although there is something to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StalledConsumer {
    /// The name of the consumer, or `journal`.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// Bytes of log behind that.
    pub behind: u64,
    /// For how long it has not moved.
    pub time: Duration,
}

impl fmt::Display for StalledConsumer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, position, behind, time } = self;
        let seconds = time.as_secs_f64();
        write!(out, "{name} has not moved for {seconds:.1} s: it stands at {position}, {behind} bytes behind")
    }
}

impl GateWatch {
    /// A watch that finds stuck whoever has something to read and has not moved for `patience`.
    pub fn new(ring: &RingView, consumers: Vec<ConsumerProgress>, patience: Duration) -> Self {
        let consumers = consumers.into_iter().map(|consumer| (consumer, Still::default())).collect();
        Self { ring: ring.clone(), patience, consumers, journal: Still::default(), looked: None }
    }

    /// Looks at everybody; some times a second, off the hot threads. Tells who is stuck, the slowest first. Time in
    /// which nobody looked, because the whole process stood still, counts at most as [`GATE_CHECK_GAP_MAX`].
    pub fn check(&mut self, now: Instant) -> Option<StalledConsumer> {
        let passed = self.looked.map_or(Duration::ZERO, |looked| now - looked).min(GATE_CHECK_GAP_MAX);
        self.looked = Some(now);
        let marks = self.ring.watermarks();
        let (published, batched, written) = (marks.published(), marks.batched(), marks.written());
        self.journal.check(written, batched, passed);
        for (consumer, still) in &mut self.consumers {
            still.check(consumer.released(), published, passed);
        }
        let consumers = self.consumers.iter().map(|(consumer, still)| (consumer.name(), still, published));
        let everybody = consumers.chain([("journal", &self.journal, batched)]);
        let stuck = everybody.filter(|(_, still, _)| still.time >= self.patience);
        stuck.min_by_key(|(_, still, _)| still.at).map(|(name, still, end)| StalledConsumer {
            name: name.to_owned(),
            position: still.at,
            behind: end.0 - still.at.0,
            time: still.time,
        })
    }
}

impl Still {
    fn check(&mut self, at: Position, end: Position, passed: Duration) {
        // One that is gone stands at the end of time.
        let is_behind = at < end;
        let is_still = at == self.at && self.is_behind && is_behind;
        *self = Self { at, is_behind, time: if is_still { self.time + passed } else { Duration::ZERO } };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Agent as _, LogRing, ManualClock, RingOptions, RingParts, Sequencer, SequencerStart};
    use stele_risk::{Risk, RiskLimits};
    use stele_wire::messages::VenueNotice;
    use stele_wire::{Identity, Nanos, Sequence};
    use zerocopy::IntoBytes as _;

    const PATIENCE: Duration = Duration::from_secs(3);

    #[test]
    fn whoever_has_something_to_read_and_does_not_move_is_named_after_the_patience() {
        let options = RingOptions { capacity: crate::bounds::RING_LENGTH_MIN, huge_pages: false };
        let RingParts { ring, writer, mut journal, .. } = LogRing::create(&options, Position(0)).unwrap();
        let start = SequencerStart {
            identity: Identity::default(),
            next_sequence: Sequence(1),
            position: Position(0),
            last_timestamp: Nanos(0),
            segment_length: 1 << 20,
            block_length: 4096,
        };
        let clock = ManualClock::at(Nanos(1));
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer = Sequencer::new(&start, writer, clock.clone(), risk).unwrap();
        let mut publisher = sequencer.publisher(1, "feed", 1024);
        let (mut quick, slow) = (sequencer.gating_consumer("quick"), sequencer.gating_consumer("slow"));
        let mut watch = GateWatch::new(&ring, vec![quick.progress(), slow.progress()], PATIENCE);
        let begin = Instant::now();
        let mut seconds = 0;
        let mut check = |watch: &mut GateWatch| {
            seconds += 1;
            watch.check(begin + Duration::from_secs(seconds)).map(|stuck| (stuck.name, stuck.behind))
        };
        for _ in 0..10 {
            assert_eq!(check(&mut watch), None, "nothing to read");
        }
        let mut publish = |sequencer: &mut Sequencer<ManualClock>| {
            publisher.offer(VenueNotice::TEMPLATE_ID, VenueNotice::NULL.as_bytes(), Nanos(1)).unwrap();
            sequencer.do_work().unwrap();
            clock.advance(Nanos(1_000_000));
            sequencer.do_work().unwrap();
        };
        publish(&mut sequencer);
        quick.poll(10, |_| ());
        journal.advance_written(ring.watermarks().batched());
        assert_eq!([(); 4].map(|()| check(&mut watch)), [None, None, None, Some(("slow".into(), 4096))]);
        drop(slow);
        publish(&mut sequencer);
        quick.poll(10, |_| ());
        let found = [(); 4].map(|()| check(&mut watch));
        assert_eq!(found, [None, None, None, Some(("journal".into(), 4096))]);
        journal.advance_written(ring.watermarks().batched());
        assert_eq!(check(&mut watch), None);
    }

    #[test]
    fn time_in_which_the_process_stood_still_is_not_the_consumers() {
        let mut still = Still::default();
        still.check(Position(8), Position(16), GATE_CHECK_GAP_MAX);
        assert_eq!(still.time, Duration::ZERO, "when it was looked at before, there was nothing to read");
        still.check(Position(8), Position(16), GATE_CHECK_GAP_MAX);
        assert_eq!(still.time, GATE_CHECK_GAP_MAX);
        let RingParts { ring, .. } = LogRing::create(&RingOptions::default(), Position(0)).unwrap();
        let mut watch = GateWatch::new(&ring, Vec::new(), PATIENCE);
        let begin = Instant::now();
        watch.check(begin);
        watch.journal = Still { at: Position(0), is_behind: true, time: Duration::from_secs(1) };
        assert_eq!(watch.check(begin + Duration::from_secs(3_600)), None);
    }
}
