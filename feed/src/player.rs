//! The agent that plays a feed: it submits the feed's events to a sequencer at the chosen pace, and drops
//! none. Reading, decompression and mapping happen in the player's duty cycles, on the core it runs on.

use crate::feed::{Batch, Feed, FeedReport, FeedStep, Pace, SourceDescription};
use crate::router::{Outlet, OutletError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use stele_bus::{Agent, AgentError, Clock, Publisher};
use stele_wire::Nanos;
use stele_wire::messages::{FeedState, FeedStatus, SourceDefinition};

/// The greatest length in bytes of the text of a `FeedStatus` or `SourceDefinition`.
const TEXT_LENGTH_MAX: usize = 4_096;

/// The due time of a message to which the source gives no time: it is due together with those before it.
const UNDATED: Nanos = Nanos(u64::MAX);

/// The agent that plays one feed into a publisher or a [router](crate::router).
pub struct Player<C, O = Publisher> {
    name: String,
    feed: Box<dyn Feed>,
    outlet: O,
    clock: C,
    pace: Pace,
    batch: Batch,
    phase: Phase,
    /// The time at which the first event was played, and its due time.
    origin: Option<(Nanos, Nanos)>,
    status: Arc<PlayerStatus>,
}

/// The phase of a player. The messages in the batch are submitted before the next phase begins.
#[derive(Debug)]
enum Phase {
    /// The definition of the source is in the batch.
    Opening,
    /// The feed is being read.
    Playing,
    /// The feed has ended; the status that says so comes next.
    Closing(Ending),
    /// The final status is in the batch.
    Closed(Ending),
    /// Everything is submitted, or nothing more can be.
    Done,
}

#[derive(Debug)]
enum Ending {
    End,
    Stopped { unplayed: usize },
    Failed(String),
}

/// The progress of a player, readable from any thread. Counters only grow.
#[derive(Debug, Default)]
pub struct PlayerStatus {
    records: AtomicU64,
    events: AtomicU64,
    waits: AtomicU64,
    is_stop_requested: AtomicBool,
    is_done: AtomicBool,
    failure: OnceLock<String>,
    report: OnceLock<FeedReport>,
}

impl PlayerStatus {
    /// The number of records read.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// The number of events submitted to the sequencer.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// The number of duty cycles that ended because the publisher's ring was full.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Whether the player has submitted its last event. All its other effects are then visible.
    pub fn is_done(&self) -> bool {
        // Partner of the Release store in `Player::finish`.
        self.is_done.load(Ordering::Acquire)
    }

    /// Why the feed failed, if it did: what is wrong, where, and what to do.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// The report of the feed, once the player is done.
    pub fn report(&self) -> Option<&FeedReport> {
        self.report.get()
    }

    /// Asks the player to stop reading; it then logs that it was stopped.
    pub fn request_stop(&self) {
        self.is_stop_requested.store(true, Ordering::Relaxed);
    }
}

impl<C: Clock, O: Outlet> Player<C, O> {
    /// Creates a player of `feed` into `outlet`, named after the feed.
    ///
    /// # Panics
    /// If the pace is [`Pace::Times`] with a factor that is not finite and above 0.
    pub fn new(feed: Box<dyn Feed>, outlet: O, clock: C, pace: Pace) -> Self {
        if let Pace::Times(factor) = pace {
            assert!(factor.is_finite() && factor > 0.0, "a pace of {factor} times");
        }
        let name = format!("player {}", feed.describe().name);
        let (batch, status) = (Batch::new(), Arc::default());
        Self { name, feed, outlet, clock, pace, batch, phase: Phase::Opening, origin: None, status }
    }

    /// The progress of the player, shared with it.
    pub fn status(&self) -> Arc<PlayerStatus> {
        self.status.clone()
    }

    /// The outlet.
    pub fn outlet(&self) -> &O {
        &self.outlet
    }

    /// Returns the outlet, with everything that it got.
    pub fn into_outlet(self) -> O {
        self.outlet
    }

    /// Puts the feed's next events into the empty batch, or its final status.
    fn refill(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Opening => self.phase = Phase::Playing,
            Phase::Playing => {
                self.phase = match self.feed.fill(&mut self.batch) {
                    Ok(FeedStep::More) => Phase::Playing,
                    Ok(FeedStep::End) => Phase::Closing(Ending::End),
                    Err(error) => Phase::Closing(Ending::Failed(error.to_string())),
                };
                self.status.records.store(self.feed.records(), Ordering::Relaxed);
            }
            Phase::Closing(ending) => {
                self.put_end(&ending);
                self.phase = Phase::Closed(ending);
            }
            Phase::Closed(ending) => self.finish(ending),
            Phase::Done => {}
        }
    }

    fn put_start(&mut self) {
        let about = self.feed.describe();
        let definition = SourceDefinition {
            source: about.source.into(),
            publisher: self.outlet.id().into(),
            vendor_publisher: about.vendor_publisher.into(),
            channel: about.channel.into(),
            kind: about.kind,
            mic: about.mic,
            dataset: cut(&about.dataset),
            name: cut(&about.name),
            ..SourceDefinition::NULL
        };
        let text = shortened(&about.description);
        self.batch
            .push_with::<SourceDefinition>(Nanos(0), |buffer| definition.encode(buffer, text))
            .expect("a definition fits an empty batch");
        let status =
            FeedStatus { records: 0.into(), not_carried: 0.into(), ..status(&about, FeedState::STARTED) };
        self.batch
            .push_with::<FeedStatus>(Nanos(0), |buffer| status.encode(buffer, b""))
            .expect("a status fits beside the definition");
    }

    fn put_end(&mut self, ending: &Ending) {
        let report = self.feed.report();
        let (state, text) = match ending {
            Ending::End => (FeedState::ENDED, String::new()),
            Ending::Stopped { unplayed } => (
                FeedState::ENDED,
                format!("stopped before the end; the last {unplayed} events read were not played"),
            ),
            Ending::Failed(failure) => (FeedState::FAILED, failure.clone()),
        };
        let status = FeedStatus {
            records: report.record_count().into(),
            not_carried: report.not_carried_count().into(),
            content_hash: self.feed.content_hash().unwrap_or_default(),
            ..status(&self.feed.describe(), state)
        };
        self.batch
            .push_with::<FeedStatus>(Nanos(0), |buffer| status.encode(buffer, shortened(&text)))
            .expect("a status fits an empty batch");
        self.status.report.set(report).expect("the end comes once");
    }

    fn finish(&mut self, ending: Ending) {
        self.outlet.finish();
        if let Ending::Failed(failure) = ending {
            // Set once: a player finishes once.
            let _ = self.status.failure.set(failure);
        }
        if self.status.report.get().is_none() {
            let _ = self.status.report.set(self.feed.report());
        }
        self.phase = Phase::Done;
        // Release, partner of the Acquire load in `PlayerStatus::is_done`.
        self.status.is_done.store(true, Ordering::Release);
    }

    /// Submits the messages that are due. Returns their number, and the reason if the outlet refused one.
    fn submit(&mut self) -> (usize, Option<OutletError>) {
        let mut now = self.clock.now();
        let is_paced = self.pace != Pace::Fast && matches!(self.phase, Phase::Playing | Phase::Closing(_));
        let (mut count, mut refused) = (0, None);
        while let Some(message) = self.batch.front() {
            if is_paced && message.due != UNDATED {
                now = self.clock.now();
                let (started, first) = *self.origin.get_or_insert((now, message.due));
                let elapsed = message.due.0.saturating_sub(first.0);
                if started.0.saturating_add(self.pace.delay(elapsed)) > now.0 {
                    break;
                }
            }
            match self.outlet.stage(message, now) {
                Ok(()) => {
                    self.batch.take_front();
                    count += 1;
                }
                Err(unsent) => {
                    refused = Some(unsent);
                    break;
                }
            }
        }
        self.outlet.commit();
        let events = self.status.events.load(Ordering::Relaxed) + count as u64;
        self.status.events.store(events, Ordering::Relaxed);
        (count, refused)
    }

    /// Stops reading and drops the messages that are not due yet.
    fn stop_reading(&mut self) {
        let unplayed = self.batch.len();
        match self.phase {
            Phase::Playing => self.phase = Phase::Closing(Ending::Stopped { unplayed }),
            Phase::Closing(Ending::End) if unplayed > 0 => {
                self.phase = Phase::Closing(Ending::Stopped { unplayed });
            }
            Phase::Closing(_) => {}
            Phase::Opening | Phase::Closed(_) | Phase::Done => return,
        }
        self.batch.clear();
    }
}

impl<C: Clock, O: Outlet> Agent for Player<C, O> {
    fn name(&self) -> &str {
        &self.name
    }

    fn on_start(&mut self) -> Result<(), AgentError> {
        self.put_start();
        Ok(())
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        if matches!(self.phase, Phase::Done) {
            return Ok(0);
        }
        if self.status.is_stop_requested.load(Ordering::Relaxed) {
            self.stop_reading();
        }
        if self.batch.is_empty() {
            self.refill();
        }
        let (count, refused) = self.submit();
        match refused {
            None => {}
            Some(unsent) if unsent.is_transient() => {
                self.status.waits.fetch_add(1, Ordering::Relaxed);
            }
            Some(unsent) => self.finish(Ending::Failed(format!(
                "{}: {unsent}; {} events were submitted",
                self.feed.describe().name,
                self.status.events()
            ))),
        }
        Ok(count)
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.outlet.finish();
        Ok(())
    }
}

fn status(about: &SourceDescription, state: FeedState) -> FeedStatus {
    FeedStatus { source: about.source.into(), state, ..FeedStatus::NULL }
}

/// A text as a field of `N` bytes, cut at the end of a character.
fn cut<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let length = text.floor_char_boundary(N);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
    field
}

fn shortened(text: &str) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(TEXT_LENGTH_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::FeedError;
    use stele_bus::bounds::RING_LENGTH_MIN;
    use stele_bus::{
        GatingConsumer, Grants, Invoker, JournalReader, LogRing, ManualClock, RingOptions, RingParts,
        Sequencer, SequencerStart,
    };
    use stele_risk::{Risk, RiskLimits};
    use stele_wire::messages::{BookAdd, SourceKind};
    use stele_wire::{Epoch, Identity, Position, Sequence, ShardId, TrailId};

    /// Adds orders at the given times, then ends or fails.
    struct Script {
        dues: Vec<u64>,
        at: usize,
        fails: bool,
    }

    impl Feed for Script {
        fn describe(&self) -> SourceDescription {
            SourceDescription {
                source: 9,
                kind: SourceKind::FILE,
                vendor_publisher: 0,
                channel: u16::MAX,
                mic: [0; 4],
                dataset: "a data set of a long name".into(),
                name: "script".into(),
                description: "made up".into(),
            }
        }

        fn fill(&mut self, batch: &mut Batch) -> Result<FeedStep, FeedError> {
            while batch.has_room() {
                let Some(due) = self.dues.get(self.at) else {
                    return match self.fails {
                        false => Ok(FeedStep::End),
                        true => Err(FeedError {
                            source: "script".into(),
                            good_records: self.at as u64,
                            offset: 77,
                            fault: "torn".into(),
                            advice: "mend it",
                        }),
                    };
                };
                self.at += 1;
                batch.push(Nanos(*due), &BookAdd { order_id: (self.at as u64).into(), ..BookAdd::NULL });
            }
            Ok(FeedStep::More)
        }

        fn records(&self) -> u64 {
            self.at as u64
        }

        fn report(&self) -> FeedReport {
            FeedReport { records: vec![("add".into(), self.records())], ..FeedReport::default() }
        }
    }

    struct Rig {
        player: Invoker<Player<ManualClock>>,
        status: Arc<PlayerStatus>,
        sequencer: Sequencer<ManualClock>,
        consumer: GatingConsumer,
        clock: ManualClock,
        seen: Vec<(u16, Vec<u8>)>,
        _journal: JournalReader,
    }

    fn rig(dues: impl IntoIterator<Item = u64>, fails: bool, pace: Pace, words: usize) -> Rig {
        let start = SequencerStart {
            identity: Identity { trail: TrailId([7; 16]), shard: ShardId(0), epoch: Epoch(1) },
            next_sequence: Sequence(1),
            position: Position(0),
            last_timestamp: Nanos(0),
            segment_length: 1 << 30,
            block_length: 4096,
        };
        let options = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };
        let RingParts { writer, journal, .. } = LogRing::create(&options, start.position).unwrap();
        let clock = ManualClock::at(Nanos(1_000_000));
        let mut sequencer =
            Sequencer::new(&start, writer, clock.clone(), Risk::new(RiskLimits::default())).unwrap();
        let (publisher, consumer) =
            (sequencer.publisher(3, "feed", words, Grants::all()), sequencer.gating_consumer("reader"));
        let feed = Box::new(Script { dues: dues.into_iter().collect(), at: 0, fails });
        let player = Player::new(feed, publisher, clock.clone(), pace);
        let status = player.status();
        let player = Invoker::start(player).unwrap();
        Rig { player, status, sequencer, consumer, clock, seen: Vec::new(), _journal: journal }
    }

    impl Rig {
        /// Runs the player, the sequencer and the consumer once each.
        fn turn(&mut self) {
            self.player.invoke().unwrap();
            self.sequencer.do_work().unwrap();
            self.consumer
                .poll(usize::MAX, |event| self.seen.push((event.template_id(), event.body().to_vec())));
        }

        fn turns(&mut self, count: usize) {
            (0..count).for_each(|_| self.turn());
        }

        fn orders(&self) -> Vec<u64> {
            let adds = self.seen.iter().filter(|(template_id, _)| *template_id == BookAdd::TEMPLATE_ID);
            adds.map(|(_, body)| u64::from_le_bytes(body[24..32].try_into().unwrap())).collect()
        }

        fn states(&self) -> Vec<FeedState> {
            let statuses =
                self.seen.iter().filter(|(template_id, _)| *template_id == FeedStatus::TEMPLATE_ID);
            statuses.map(|(_, body)| FeedState(body[10])).collect()
        }

        fn last_text(&self) -> String {
            let (_, body) = self.seen.iter().rfind(|(id, _)| *id == FeedStatus::TEMPLATE_ID).unwrap();
            let length = usize::from(u16::from_le_bytes([body[64], body[65]]));
            String::from_utf8(body[66..66 + length].to_vec()).unwrap()
        }
    }

    #[test]
    fn the_source_is_defined_then_all_events_follow_in_order_then_the_end() {
        let mut rig = rig(0..2_000, false, Pace::Fast, 1 << 16);
        rig.turns(50);
        assert!(rig.status.is_done());
        assert_eq!(rig.seen.iter().find(|(id, _)| *id < 500).unwrap().0, SourceDefinition::TEMPLATE_ID);
        assert_eq!(rig.states(), [FeedState::STARTED, FeedState::ENDED]);
        assert_eq!(rig.orders(), (1..=2_000).collect::<Vec<_>>());
        assert_eq!((rig.status.records(), rig.status.events(), rig.status.failure()), (2_000, 2_003, None));
        assert_eq!(rig.status.report().unwrap().record_count(), 2_000);
    }

    #[test]
    fn a_full_ring_delays_events_and_loses_none() {
        let mut rig = rig(0..2_000, false, Pace::Fast, 64);
        rig.turns(1_000);
        assert!(rig.status.is_done() && rig.status.waits() > 100);
        assert_eq!(rig.orders(), (1..=2_000).collect::<Vec<_>>());
    }

    #[test]
    fn in_real_time_every_event_comes_when_it_is_due() {
        let mut rig = rig([500, 600, 600, 900], false, Pace::RealTime, 1 << 12);
        rig.turns(5);
        assert_eq!(rig.orders(), [1]);
        rig.clock.advance(Nanos(99));
        rig.turn();
        assert_eq!(rig.orders(), [1]);
        rig.clock.advance(Nanos(1));
        rig.turn();
        assert_eq!(rig.orders(), [1, 2, 3]);
        rig.clock.advance(Nanos(300));
        rig.turns(5);
        assert_eq!(rig.orders(), [1, 2, 3, 4]);
        assert!(rig.status.is_done());
    }

    #[test]
    fn at_ten_times_the_pace_it_takes_a_tenth_of_the_time() {
        let mut rig = rig([0, 1_000], false, Pace::Times(10.0), 1 << 12);
        rig.turns(3);
        rig.clock.advance(Nanos(99));
        rig.turn();
        assert_eq!(rig.orders(), [1]);
        rig.clock.advance(Nanos(1));
        rig.turn();
        assert_eq!(rig.orders(), [1, 2]);
    }

    #[test]
    fn an_event_without_a_time_or_of_an_earlier_one_does_not_wait() {
        let mut rig = rig([500, u64::MAX, 3], false, Pace::RealTime, 1 << 12);
        rig.turns(5);
        assert_eq!(rig.orders(), [1, 2, 3]);
    }

    #[test]
    fn a_feed_that_fails_is_logged_with_its_good_records_and_stops_nothing_else() {
        let mut rig = rig(0..700, true, Pace::Fast, 1 << 16);
        rig.turns(20);
        assert_eq!(rig.orders(), (1..=700).collect::<Vec<_>>());
        assert_eq!(rig.states(), [FeedState::STARTED, FeedState::FAILED]);
        assert_eq!(rig.last_text(), "script: torn at byte 77, after 700 good records; mend it");
        assert_eq!(rig.status.failure(), Some(rig.last_text().as_str()));
        assert!(rig.status.is_done());
    }

    #[test]
    fn a_player_that_is_stopped_says_so_on_the_log() {
        let mut rig = rig([0, 1_000_000_000], false, Pace::RealTime, 1 << 12);
        rig.turns(5);
        rig.status.request_stop();
        rig.turns(5);
        assert_eq!(rig.orders(), [1]);
        assert!(rig.status.is_done() && rig.status.failure().is_none());
    }
}
