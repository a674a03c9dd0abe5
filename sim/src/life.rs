//! One life of the shard's writer: sequencer, journal, gateway and publishers are each driven by hand, in a
//! random order, until the power fails, the process is killed, or it stops.
//!
//! ```text
//!  publishers ──> sequencer ──> ring ──> journal ──> engine ──> disk
//!                                │ └──> gateway ──> venue
//!                                └────> recorder (feeds the checkers)
//! ```

use crate::bounds::{PUBLISHER_WORDS_LARGE, PUBLISHER_WORDS_SMALL, RING_LENGTH, STOP_STEPS_MAX};
use crate::checkers::{ReferenceLog, ReleasedOrder, SubmissionChecker, WatermarkChecker};
use crate::disk::{Disk, SimFile};
use crate::engine::SimEngine;
use crate::medium::Medium;
use crate::random::SeededRandom;
use crate::traffic::{ACCOUNTS, INSTRUMENT, Traffic, TrafficMix};
use crate::violation::{Checked, Violation, violated};
use std::sync::{Arc, Mutex, PoisonError};
use stele_bus::{
    Agent, Event, GatingConsumer, Grants, JournalReader, LogRing, ManualClock, MessageClass, NOT_RECEIVED,
    Publisher, Refusal, RingOptions, RingParts, SealMark, Sequencer, Watermark, Watermarks, template,
};
use stele_journal::{FlushMethod, Journal, OpenedJournal};
use stele_risk::{Risk, RiskCapacity, RiskLimits, SequencedEvent};
use stele_venue::{OrderGateway, Venue, VenueBusy};
use stele_wire::messages::{AccountDefinition, InstrumentDefinition};
use stele_wire::{Identity, Nanos, Position, Sequence};

/// The settings of a life.
#[derive(Clone, Copy, Debug)]
pub struct LifeSettings {
    /// The weight of each kind of step: publish, sequencer, journal, gateway, recorder, disk, clock, sealer,
    /// live reader.
    pub steps: [u32; 9],
    /// The mix of messages that publishers submit.
    pub mix: TrafficMix,
    /// The most submissions in one step.
    pub burst_max: u64,
    /// The most nanoseconds that the clock moves in one step.
    pub clock_max: u64,
    /// One in so many submissions finds the venue busy.
    pub venue_busy: u64,
    /// How the journal flushes.
    pub flush: FlushMethod,
    /// The watermark that orders wait for. Any but [`Watermark::Durable`] serves to prove that a checker
    /// notices it.
    pub release: Watermark,
}

impl LifeSettings {
    /// Draws random settings.
    pub fn draw(random: &mut SeededRandom) -> Self {
        let heavy = |random: &mut SeededRandom| random.pick(&[1, 4, 4, 16]);
        let mut steps = [0; 9];
        steps.iter_mut().for_each(|weight| *weight = heavy(random));
        steps[8] = 1;
        let long = random.pick(&[0, 0, 1, 6]);
        let mix = TrafficMix {
            weights: [random.pick(&[1, 10, 30]), random.pick(&[0, 4, 10]), random.pick(&[0, 2]), 1, long],
        };
        Self {
            steps,
            mix,
            burst_max: random.pick(&[1, 4, 40]),
            clock_max: random.pick(&[1_000, 100_000, 2_000_000]),
            venue_busy: random.pick(&[0, 3]),
            flush: random.pick(&FlushMethod::ALL),
            release: Watermark::Durable,
        }
    }
}

/// Statistics of a life, from which tests see whether a simulation exercised anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct LifeStatistics {
    /// Accepted submissions.
    pub submitted: u64,
    /// Submissions that were refused to their publisher.
    pub refused: u64,
    /// Orders that were refused by an event on the log.
    pub orders_refused: u64,
    /// Orders that were released to the venue.
    pub orders_left: u64,
    /// Segments begun within an epoch.
    pub rolls: u64,
    /// Failures of the journal.
    pub poisonings: u64,
    /// Reads by a live reader.
    pub live_reads: u64,
}

impl LifeStatistics {
    /// Adds the statistics of another life.
    pub fn add(&mut self, other: &Self) {
        self.submitted += other.submitted;
        self.refused += other.refused;
        self.orders_refused += other.orders_refused;
        self.orders_left += other.orders_left;
        self.rolls += other.rolls;
        self.poisonings += other.poisonings;
        self.live_reads += other.live_reads;
    }
}

/// The venue of the orders, and a record of them that outlives the gateway.
#[derive(Debug)]
struct Exchange {
    ring: LogRing,
    arrivals: Arc<Mutex<Vec<ReleasedOrder>>>,
    random: SeededRandom,
    busy: u64,
}

impl Venue for Exchange {
    fn submit(&mut self, order: Event<'_>, _: Nanos) -> Result<(), VenueBusy> {
        if self.random.one_in(self.busy) {
            return Err(VenueBusy);
        }
        let durable = self.ring.watermarks().durable();
        let class = template(order.template_id()).map(|known| known.class);
        let is_cancel = class == Some(MessageClass::OrderCancel);
        let left = ReleasedOrder { sequence: order.sequence(), end: order.end(), durable, is_cancel };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(left);
        Ok(())
    }
}

/// The number of publishers, without the gateway's.
const PUBLISHERS: usize = 3;
/// The gateway's number as a publisher.
const GATEWAY: u16 = 100;

/// A running writer.
pub struct Life {
    settings: LifeSettings,
    identity: Identity,
    ring: LogRing,
    clock: ManualClock,
    sequencer: Sequencer<ManualClock>,
    journal: Journal<SimFile>,
    first_segment: u64,
    gateway: OrderGateway<Exchange, ManualClock>,
    recorder: GatingConsumer,
    seal: SealMark,
    publishers: Vec<Publisher>,
    arrivals: Arc<Mutex<Vec<ReleasedOrder>>>,
    traffic: Traffic,
    random: SeededRandom,
    disk: Disk,
    marks: WatermarkChecker,
    submissions: SubmissionChecker,
    durable_at_failure: Option<Position>,
    statistics: LifeStatistics,
}

/// Risk checks that know the accounts and the instrument of the traffic, as from events of an earlier epoch.
fn risk() -> Risk {
    // Small tables, because a campaign has thousands of lives.
    let capacity = RiskCapacity {
        instruments: 256,
        accounts: 256,
        holdings: 256,
        strategy_holdings: 256,
        open_orders: 8 << 10,
        strategy_open_orders: 8 << 10,
        account_open_orders: 8 << 10,
        ..RiskCapacity::default()
    };
    let quantity = Some(stele_wire::Quantity(45));
    let mut risk = Risk::new(RiskLimits { order_quantity_max: quantity, capacity, ..RiskLimits::default() });
    for account in 1..=ACCOUNTS {
        let account = AccountDefinition { account: account.into(), ..AccountDefinition::NULL };
        risk.on_sequenced(&SequencedEvent::of(&account, Sequence(1), Nanos(1)));
    }
    let instrument = InstrumentDefinition { instrument: INSTRUMENT.into(), ..InstrumentDefinition::NULL };
    risk.on_sequenced(&SequencedEvent::of(&instrument, Sequence(1), Nanos(1)));
    risk
}

impl Life {
    /// Begins a life on the opened trail.
    ///
    /// # Panics
    /// When memory for a ring is unavailable.
    pub fn begin(
        disk: &Disk,
        opened: OpenedJournal<SimFile>,
        settings: LifeSettings,
        clock: ManualClock,
        seed: u64,
    ) -> Self {
        let start = opened.start;
        let epoch = u64::from(start.identity.epoch.0);
        let options = RingOptions { capacity: RING_LENGTH, huge_pages: false };
        let parts = LogRing::create(&options, start.position).expect("memory for a ring");
        let RingParts { ring, writer, journal, seal } = parts;
        let mut sequencer = Sequencer::new(&start, writer, clock.clone(), risk()).expect("lengths fit");
        let publishers = (0..PUBLISHERS)
            .map(|index| {
                let words = if index == 0 { PUBLISHER_WORDS_LARGE } else { PUBLISHER_WORDS_SMALL };
                sequencer.publisher(index as u16 + 1, "publisher", words, Grants::all())
            })
            .collect();
        let arrivals = Arc::default();
        let venue = Exchange {
            ring: ring.clone(),
            arrivals: Arc::clone(&arrivals),
            random: SeededRandom::new(seed, epoch << 8 | 1),
            busy: settings.venue_busy,
        };
        let publisher = sequencer.publisher(GATEWAY, "gateway", PUBLISHER_WORDS_SMALL, Grants::all());
        let consumer = sequencer.gating_consumer("order gateway");
        let gateway =
            OrderGateway::new("gateway", consumer, publisher, settings.release, venue, clock.clone());
        Self {
            settings,
            identity: start.identity,
            marks: WatermarkChecker::new(ring.watermarks()),
            recorder: sequencer.gating_consumer("recorder"),
            first_segment: opened.header.index,
            journal: journal_over(disk, journal, opened, settings.flush),
            ring,
            seal,
            clock,
            sequencer,
            gateway,
            publishers,
            arrivals,
            traffic: Traffic::new(SeededRandom::new(seed, epoch << 8 | 2)),
            random: SeededRandom::new(seed, epoch << 8 | 3),
            disk: disk.clone(),
            submissions: SubmissionChecker::new(PUBLISHERS, GATEWAY),
            durable_at_failure: None,
            statistics: LifeStatistics::default(),
        }
    }

    /// Returns the statistics so far.
    pub fn statistics(&self) -> LifeStatistics {
        let mut statistics = self.statistics;
        statistics.rolls = self.journal.statistics().rolls;
        statistics.orders_refused = self.sequencer.statistics().orders_refused;
        statistics
    }

    /// Returns how far the log is durable.
    pub fn durable(&self) -> Position {
        self.ring.watermarks().durable()
    }

    /// Returns the watermarks.
    pub fn watermarks(&self) -> &Watermarks {
        self.ring.watermarks()
    }

    /// Returns the segment that the epoch began with.
    pub fn first_segment(&self) -> u64 {
        self.first_segment
    }

    /// Returns the segment that is being written.
    pub fn segment(&self) -> u64 {
        self.journal.segment().index
    }

    /// Returns whether the journal has stopped after a failure.
    pub fn is_poisoned(&self) -> bool {
        self.ring.poisoned().is_some()
    }

    /// Returns the journal's failure message; `None` while it works.
    pub fn failure(&self) -> Option<String> {
        self.journal.failure().map(ToString::to_string)
    }

    /// Runs one step of one part, then all checks.
    ///
    /// # Errors
    /// The violated rule.
    pub fn step(&mut self, reference: &mut ReferenceLog) -> Checked {
        match self.random.weighted(&self.settings.steps) {
            0 => self.publish(),
            1 => self.sequence()?,
            2 => self.journal(),
            3 => self.gateway(reference)?,
            4 => {
                let limit = self.random.pick(&[1, 20, 1_000]);
                self.record(limit, reference)?;
            }
            5 => {
                let ticks = self.random.between(1, 20);
                self.disk.with(|medium| medium.advance(ticks));
            }
            6 => self.pass_time(),
            7 => self.seal(),
            _ => self.read_live(reference)?,
        }
        self.check()
    }

    fn publish(&mut self) {
        let now = self.now();
        for _ in 0..self.random.between(1, self.settings.burst_max) {
            let submission = self.traffic.next(&self.settings.mix, now);
            // Only one ring has room for the long messages.
            let longest = PUBLISHER_WORDS_SMALL * 4;
            let index = if submission.body.len() > longest { 0 } else { self.random.below(PUBLISHERS) };
            let received = if self.random.one_in(10) { NOT_RECEIVED } else { submission.received };
            match self.publishers[index].offer(submission.template_id, &submission.body, received) {
                Ok(()) => {
                    self.statistics.submitted += 1;
                    self.submissions.on_taken(index, submission);
                }
                Err(_) => self.statistics.refused += 1,
            }
        }
    }

    fn sequence(&mut self) -> Checked {
        let done = self.sequencer.do_work();
        done.map(drop).map_err(|error| violated("the sequencer continues", error.to_string()))
    }

    /// Runs the journal. Its failure is caused by the disk; what follows from it is checked.
    fn journal(&mut self) {
        if self.journal.do_work().is_err() && self.durable_at_failure.is_none() {
            self.statistics.poisonings += 1;
            self.durable_at_failure = Some(self.durable());
        }
    }

    fn gateway(&mut self, reference: &mut ReferenceLog) -> Checked {
        let done = self.gateway.do_work();
        done.map_err(|error| violated("the gateway continues", error.to_string()))?;
        let arrivals = std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner));
        self.statistics.orders_left += arrivals.len() as u64;
        arrivals.iter().try_for_each(|left| reference.on_released(left))
    }

    /// Lets the recorder read up to `limit` events.
    fn record(&mut self, limit: usize, reference: &mut ReferenceLog) -> Checked {
        let (epoch, seed) = (self.identity.epoch, self.identity.seed());
        let submissions = &mut self.submissions;
        let read = self.recorder.try_poll(limit, |event| {
            submissions.on_event(&event)?;
            reference.on_event(&event, epoch, seed)
        });
        read.map(drop)
    }

    /// Lets the recorder read everything that was published.
    ///
    /// # Errors
    /// The violated rule.
    pub fn record_all(&mut self, reference: &mut ReferenceLog) -> Checked {
        self.record(usize::MAX, reference)
    }

    fn pass_time(&mut self) {
        if self.random.one_in(20) {
            // A clock may step back.
            let back = self.random.between(0, 10_000_000);
            self.clock.set(Nanos(self.now().0.saturating_sub(back)));
        } else {
            let by = self.random.between(0, self.settings.clock_max);
            self.clock.advance(Nanos(by));
        }
    }

    fn seal(&mut self) {
        let durable = self.durable();
        self.seal.advance_sealed(durable);
    }

    fn read_live(&mut self, reference: &mut ReferenceLog) -> Checked {
        self.statistics.live_reads += 1;
        self.record_all(reference)?;
        let written = self.ring.watermarks().written();
        reference.read_live(&self.disk, reference.epoch_first(), written)
    }

    fn check(&mut self) -> Checked {
        self.marks.check(self.ring.watermarks())?;
        if let Some(violation) = self.disk.take_noticed() {
            return Err(violation);
        }
        let Some(durable) = self.durable_at_failure else { return Ok(()) };
        if self.durable() != durable {
            let what = format!("durable moved from {durable} to {}", self.durable());
            return Err(violated("a poisoned journal acknowledges nothing", what));
        }
        let refusal =
            self.publishers[0].offer(stele_wire::messages::BookAdd::TEMPLATE_ID, &[0; 256], NOT_RECEIVED);
        if refusal != Err(Refusal::JournalPoisoned) {
            return Err(violated("a poisoned bus refuses", format!("{refusal:?}")));
        }
        Ok(())
    }

    /// Stops in order: publishers finish, the sequencer empties their rings, the journal closes the trail.
    ///
    /// # Errors
    /// The violated rule, or a stop that does not end.
    pub fn stop(&mut self, reference: &mut ReferenceLog) -> Checked {
        self.publishers.iter_mut().for_each(Publisher::finish);
        self.ring.request_stop();
        for turn in 0..STOP_STEPS_MAX {
            self.sequence()?;
            self.journal();
            self.seal();
            self.gateway(reference)?;
            self.record_all(reference)?;
            self.disk.with(|medium| medium.advance(1));
            self.clock.advance(Nanos(50_000));
            self.check_stopping()?;
            if turn == 0 {
                let done = self.gateway.on_stop();
                done.map_err(|error| violated("the gateway stops", error.to_string()))?;
            }
            if self.ring.is_stopped() || self.is_poisoned() {
                return self.close(reference);
            }
        }
        let what = format!(
            "not within {STOP_STEPS_MAX} turns: {:?}, {:?}, lag {:?}, {} submissions wait",
            self.ring.watermarks(),
            self.sequencer.statistics(),
            self.ring.backpressure(),
            self.submissions.missing()
        );
        Err(violated("a stop ends", what))
    }

    fn check_stopping(&mut self) -> Checked {
        self.marks.check(self.ring.watermarks())
    }

    fn close(&mut self, reference: &mut ReferenceLog) -> Checked {
        self.record_all(reference)?;
        if self.journal.stop().is_err() {
            self.statistics.poisonings += 1;
            return Ok(());
        }
        let marks = self.ring.watermarks();
        if marks.durable() != marks.published() {
            let what = format!("published {}, durable {}", marks.published(), marks.durable());
            return Err(violated("a clean stop leaves everything durable", what));
        }
        if self.submissions.missing() > 0 {
            let what = format!("{} submissions are not on the log", self.submissions.missing());
            return Err(violated("a clean stop leaves no submission unlogged", what));
        }
        self.marks.check(marks)
    }

    /// Ends the life: records what was published to the end, and how far it was durable.
    ///
    /// # Errors
    /// A rule violated by events that were not checked before.
    pub fn end(mut self, reference: &mut ReferenceLog) -> Result<LifeStatistics, Violation> {
        self.record_all(reference)?;
        reference.on_acknowledged(self.durable());
        Ok(self.statistics())
    }

    fn now(&self) -> Nanos {
        stele_bus::Clock::now(&mut self.clock.clone())
    }
}

fn journal_over(
    disk: &Disk,
    reader: JournalReader,
    opened: OpenedJournal<SimFile>,
    flush: FlushMethod,
) -> Journal<SimFile> {
    let engine = SimEngine::new(disk.clone(), reader.ring().clone(), flush);
    disk.with(Medium::take_done);
    opened.attach_engine(reader, Box::new(engine))
}
