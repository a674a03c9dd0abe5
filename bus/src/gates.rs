//! Detects a stalled gating consumer or journal: one that has something to read and does not advance.
//!
//! A gating consumer is never evicted, because it reads in place, so a stalled one would stop the whole bus
//! silently. The program that runs the bus therefore checks the gates, off the hot threads, stops in order
//! and reports the name.

use crate::bounds::GATE_CHECK_GAP_MAX;
use crate::consumer::ConsumerProgress;
use crate::ring::RingView;
use std::fmt;
use std::time::{Duration, Instant};
use stele_wire::Position;

/// Watches the gates of a ring for stalled consumers.
#[derive(Debug)]
pub struct GateWatch {
    ring: RingView,
    patience: Duration,
    consumers: Vec<(ConsumerProgress, Still)>,
    journal: Still,
    checked: Option<Instant>,
}

/// The position of a consumer or the journal at the last check, and for how long it has not moved.
#[derive(Clone, Copy, Debug, Default)]
struct Still {
    at: Position,
    /// Whether there was something to read.
    is_behind: bool,
    time: Duration,
}

/// A consumer, or the journal, that does not advance although there is something to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StalledConsumer {
    /// The name of the consumer, or `journal`.
    pub name: String,
    /// Its position.
    pub position: Position,
    /// The bytes that it has still to read.
    pub behind: u64,
    /// For how long it has not moved.
    pub time: Duration,
}

impl fmt::Display for StalledConsumer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, position, behind: bytes, time } = self;
        let seconds = time.as_secs_f64();
        write!(out, "{name} has not moved for {seconds:.1} s: it is at {position}, {bytes} bytes behind")
    }
}

impl GateWatch {
    /// A watch that reports a consumer, or the journal, which has something to read and has not moved for
    /// `patience`.
    pub fn new(ring: &RingView, consumers: Vec<ConsumerProgress>, patience: Duration) -> Self {
        let consumers = consumers.into_iter().map(|consumer| (consumer, Still::default())).collect();
        Self { ring: ring.clone(), patience, consumers, journal: Still::default(), checked: None }
    }

    /// Checks all gates and returns the slowest stalled consumer, if any. Call it a few times a second, off
    /// the hot threads. The time between two calls counts at most as [`GATE_CHECK_GAP_MAX`], because after a
    /// longer gap the process itself did not run.
    pub fn check(&mut self, now: Instant) -> Option<StalledConsumer> {
        let passed = self.checked.map_or(Duration::ZERO, |checked| now - checked).min(GATE_CHECK_GAP_MAX);
        self.checked = Some(now);
        let marks = self.ring.watermarks();
        let (published, batched, written) = (marks.published(), marks.batched(), marks.written());
        self.journal.check(written, batched, passed);
        for (consumer, still) in &mut self.consumers {
            still.check(consumer.released(), published, passed);
        }
        let consumers = self.consumers.iter().map(|(consumer, still)| (consumer.name(), still, published));
        let all = consumers.chain([("journal", &self.journal, batched)]);
        let stalled = all.filter(|(_, still, _)| still.time >= self.patience);
        stalled.min_by_key(|(_, still, _)| still.at).map(|(name, still, end)| StalledConsumer {
            name: name.to_owned(),
            position: still.at,
            behind: end.0 - still.at.0,
            time: still.time,
        })
    }
}

impl Still {
    fn check(&mut self, at: Position, end: Position, passed: Duration) {
        // A consumer that is gone is at `u64::MAX`.
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
    fn a_consumer_that_does_not_move_with_something_to_read_is_reported_after_the_patience() {
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
        let mut publisher = sequencer.publisher(1, "feed", 1024, crate::Grants::market());
        let (mut quick, slow) = (sequencer.gating_consumer("quick"), sequencer.gating_consumer("slow"));
        let mut watch = GateWatch::new(&ring, vec![quick.progress(), slow.progress()], PATIENCE);
        let begin = Instant::now();
        let mut seconds = 0;
        let mut check = |watch: &mut GateWatch| {
            seconds += 1;
            watch.check(begin + Duration::from_secs(seconds)).map(|stalled| (stalled.name, stalled.behind))
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
    fn time_in_which_the_process_did_not_run_does_not_count_as_waiting() {
        let mut still = Still::default();
        still.check(Position(8), Position(16), GATE_CHECK_GAP_MAX);
        assert_eq!(still.time, Duration::ZERO, "at the previous check there was nothing to read");
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
