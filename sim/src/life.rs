//! One life of the shard's writer: sequencer, journal, gateway and publishers, each driven by hand, in whatever
//! order the dice say, until the power fails, the process is killed, or it stops.
//!
//! ```text
//!  publishers ──> sequencer ──> ring ──> journal ──> engine ──> disk
//!                                │ └──> gateway ──> venue
//!                                └────> recorder (the checkers' eyes)
//! ```

use crate::bounds::{PUBLISHER_WORDS_LARGE, PUBLISHER_WORDS_SMALL, RING_LENGTH, STOP_STEPS_MAX};
use crate::checkers::{Left, SubmissionChecker, Truth, WatermarkChecker};
use crate::dice::Dice;
use crate::disk::{Disk, SimFile};
use crate::engine::SimEngine;
use crate::medium::Medium;
use crate::traffic::{Mix, Traffic};
use crate::violation::{Checked, Violation, violated};
use std::sync::{Arc, Mutex, PoisonError};
use stele_bus::{
    Agent, Event, GatingConsumer, JournalReader, LogRing, ManualClock, NOT_RECEIVED, Publisher, Refusal,
    RingOptions, RingParts, SealMark, Sequencer, Watermark, Watermarks,
};
use stele_journal::{FlushMethod, Journal, Opened};
use stele_risk::{Risk, RiskLimits};
use stele_venue::{OrderGateway, Venue, VenueBusy};
use stele_wire::{Identity, Nanos, Position};

/// What a life is like.
#[derive(Clone, Copy, Debug)]
pub struct Temper {
    /// How likely each kind of step is: publish, sequencer, journal, gateway, recorder, disk, clock, sealer,
    /// live reader.
    pub steps: [u32; 9],
    /// What publishers submit.
    pub mix: Mix,
    /// Submissions of one step at most.
    pub burst_max: u64,
    /// Nanoseconds that the clock moves in one step at most.
    pub clock_max: u64,
    /// One in so many submissions to the venue finds it busy.
    pub venue_busy: u64,
    /// How the journal flushes.
    pub flush: FlushMethod,
    /// What orders wait for. Anything but [`Watermark::Durable`] is for proving that a checker notices.
    pub release: Watermark,
}

impl Temper {
    /// A temper by chance.
    pub fn draw(dice: &mut Dice) -> Self {
        let heavy = |dice: &mut Dice| dice.pick(&[1, 4, 4, 16]);
        let mut steps = [0; 9];
        steps.iter_mut().for_each(|weight| *weight = heavy(dice));
        steps[8] = 1;
        let long = dice.pick(&[0, 0, 1, 6]);
        let mix =
            Mix { weights: [dice.pick(&[1, 10, 30]), dice.pick(&[0, 4, 10]), dice.pick(&[0, 2]), 1, long] };
        Self {
            steps,
            mix,
            burst_max: dice.pick(&[1, 4, 40]),
            clock_max: dice.pick(&[1_000, 100_000, 2_000_000]),
            venue_busy: dice.pick(&[0, 3]),
            flush: dice.pick(&FlushMethod::ALL),
            release: Watermark::Durable,
        }
    }
}

/// Counts of what happened, for telling whether a simulation exercised anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct LifeStatistics {
    /// Submissions taken.
    pub submitted: u64,
    /// Submissions refused to their publisher.
    pub refused: u64,
    /// Orders answered by a refusal on the log.
    pub orders_refused: u64,
    /// Orders that left.
    pub orders_left: u64,
    /// Segments begun within an epoch.
    pub rolls: u64,
    /// Times that the journal failed.
    pub poisonings: u64,
    /// Looks of a live reader.
    pub live_reads: u64,
}

impl LifeStatistics {
    /// Adds another life's.
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

/// The place where orders arrive, and the account of it that outlives the gateway.
#[derive(Debug)]
struct Exchange {
    ring: LogRing,
    arrivals: Arc<Mutex<Vec<Left>>>,
    dice: Dice,
    busy: u64,
}

impl Venue for Exchange {
    fn submit(&mut self, order: Event<'_>, _: Nanos) -> Result<(), VenueBusy> {
        if self.dice.one_in(self.busy) {
            return Err(VenueBusy);
        }
        let durable = self.ring.watermarks().durable();
        let left = Left { sequence: order.sequence(), end: order.end(), durable };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(left);
        Ok(())
    }
}

/// Publishers beside the gateway's.
const PUBLISHERS: usize = 3;
/// The gateway's number as a publisher.
const GATEWAY: u16 = 100;

/// A writer that lives.
pub struct Life {
    temper: Temper,
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
    arrivals: Arc<Mutex<Vec<Left>>>,
    traffic: Traffic,
    dice: Dice,
    disk: Disk,
    marks: WatermarkChecker,
    submissions: SubmissionChecker,
    durable_at_failure: Option<Position>,
    statistics: LifeStatistics,
}

impl Life {
    /// A life on the trail that was opened.
    ///
    /// # Panics
    /// When there is no memory for a ring.
    pub fn begin(
        disk: &Disk,
        opened: Opened<SimFile>,
        temper: Temper,
        clock: ManualClock,
        seed: u64,
    ) -> Self {
        let start = opened.start;
        let epoch = u64::from(start.identity.epoch.0);
        let options = RingOptions { capacity: RING_LENGTH, huge_pages: false };
        let parts = LogRing::create(&options, start.position).expect("memory for a ring");
        let RingParts { ring, writer, journal, seal } = parts;
        let limits =
            RiskLimits { order_quantity_max: Some(stele_wire::Quantity(45)), ..RiskLimits::default() };
        let mut sequencer =
            Sequencer::new(&start, writer, clock.clone(), Risk::new(limits)).expect("lengths fit");
        let publishers = (0..PUBLISHERS)
            .map(|index| {
                let words = if index == 0 { PUBLISHER_WORDS_LARGE } else { PUBLISHER_WORDS_SMALL };
                sequencer.publisher(index as u16 + 1, "publisher", words)
            })
            .collect();
        let arrivals = Arc::default();
        let venue = Exchange {
            ring: ring.clone(),
            arrivals: Arc::clone(&arrivals),
            dice: Dice::new(seed, epoch << 8 | 1),
            busy: temper.venue_busy,
        };
        let told = sequencer.publisher(GATEWAY, "gateway", PUBLISHER_WORDS_SMALL);
        let consumer = sequencer.gating_consumer("order gateway");
        let gateway = OrderGateway::new("gateway", consumer, told, temper.release, venue, clock.clone());
        Self {
            temper,
            identity: start.identity,
            marks: WatermarkChecker::new(ring.watermarks()),
            recorder: sequencer.gating_consumer("recorder"),
            first_segment: opened.header.index,
            journal: journal_over(disk, journal, opened, temper.flush),
            ring,
            seal,
            clock,
            sequencer,
            gateway,
            publishers,
            arrivals,
            traffic: Traffic::new(Dice::new(seed, epoch << 8 | 2)),
            dice: Dice::new(seed, epoch << 8 | 3),
            disk: disk.clone(),
            submissions: SubmissionChecker::new(PUBLISHERS, GATEWAY),
            durable_at_failure: None,
            statistics: LifeStatistics::default(),
        }
    }

    /// What happened so far.
    pub fn statistics(&self) -> LifeStatistics {
        let mut statistics = self.statistics;
        statistics.rolls = self.journal.statistics().rolls;
        statistics.orders_refused = self.sequencer.statistics().orders_refused;
        statistics
    }

    /// How far the log is durable.
    pub fn durable(&self) -> Position {
        self.ring.watermarks().durable()
    }

    /// Where every watermark is.
    pub fn watermarks(&self) -> &Watermarks {
        self.ring.watermarks()
    }

    /// The segment that the epoch began with.
    pub fn first_segment(&self) -> u64 {
        self.first_segment
    }

    /// The segment that is written to.
    pub fn segment(&self) -> u64 {
        self.journal.segment().index
    }

    /// Whether the journal accepts nothing more.
    pub fn is_poisoned(&self) -> bool {
        self.ring.poisoned().is_some()
    }

    /// What the journal said when it stopped; none while it works.
    pub fn failure(&self) -> Option<String> {
        self.journal.failure().map(ToString::to_string)
    }

    /// One step of one part, and everything checked behind it.
    ///
    /// # Errors
    /// A promise broken.
    pub fn step(&mut self, truth: &mut Truth) -> Checked {
        match self.dice.weighted(&self.temper.steps) {
            0 => self.publish(),
            1 => self.sequence()?,
            2 => self.journal(),
            3 => self.gateway(truth)?,
            4 => {
                let limit = self.dice.pick(&[1, 20, 1_000]);
                self.record(limit, truth)?;
            }
            5 => {
                let ticks = self.dice.between(1, 20);
                self.disk.with(|medium| medium.advance(ticks));
            }
            6 => self.pass_time(),
            7 => self.seal(),
            _ => self.read_live(truth)?,
        }
        self.check()
    }

    fn publish(&mut self) {
        let now = self.now();
        for _ in 0..self.dice.between(1, self.temper.burst_max) {
            let submission = self.traffic.next(&self.temper.mix, now);
            // The long ones fit one ring only.
            let longest = PUBLISHER_WORDS_SMALL * 4;
            let index = if submission.body.len() > longest { 0 } else { self.dice.below(PUBLISHERS) };
            let received = if self.dice.one_in(10) { NOT_RECEIVED } else { submission.received };
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
        done.map(drop).map_err(|error| violated("the sequencer goes on", error.to_string()))
    }

    /// A failure of the journal is the disk's; what follows from it is checked.
    fn journal(&mut self) {
        if self.journal.do_work().is_err() && self.durable_at_failure.is_none() {
            self.statistics.poisonings += 1;
            self.durable_at_failure = Some(self.durable());
        }
    }

    fn gateway(&mut self, truth: &mut Truth) -> Checked {
        let done = self.gateway.do_work();
        done.map_err(|error| violated("the gateway goes on", error.to_string()))?;
        let arrivals = std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner));
        self.statistics.orders_left += arrivals.len() as u64;
        arrivals.iter().try_for_each(|left| truth.on_left(left))
    }

    /// The recorder reads up to `limit` events.
    fn record(&mut self, limit: usize, truth: &mut Truth) -> Checked {
        let (epoch, seed) = (self.identity.epoch, self.identity.seed());
        let submissions = &mut self.submissions;
        let read = self.recorder.try_poll(limit, |event| {
            submissions.on_event(&event)?;
            truth.on_event(&event, epoch, seed)
        });
        read.map(drop)
    }

    /// The recorder reads everything that was published.
    ///
    /// # Errors
    /// A promise broken.
    pub fn record_all(&mut self, truth: &mut Truth) -> Checked {
        self.record(usize::MAX, truth)
    }

    fn pass_time(&mut self) {
        if self.dice.one_in(20) {
            // A clock may step back.
            let back = self.dice.between(0, 10_000_000);
            self.clock.set(Nanos(self.now().0.saturating_sub(back)));
        } else {
            let by = self.dice.between(0, self.temper.clock_max);
            self.clock.advance(Nanos(by));
        }
    }

    fn seal(&mut self) {
        let durable = self.durable();
        self.seal.advance_sealed(durable);
    }

    fn read_live(&mut self, truth: &mut Truth) -> Checked {
        self.statistics.live_reads += 1;
        self.record_all(truth)?;
        let written = self.ring.watermarks().written();
        truth.read_live(&self.disk, truth.epoch_first(), written)
    }

    fn check(&mut self) -> Checked {
        self.marks.look(self.ring.watermarks())?;
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
    /// A promise broken, or a stop that does not come to its end.
    pub fn stop(&mut self, truth: &mut Truth) -> Checked {
        self.publishers.iter_mut().for_each(Publisher::finish);
        self.ring.request_stop();
        for turn in 0..STOP_STEPS_MAX {
            self.sequence()?;
            self.journal();
            self.seal();
            self.gateway(truth)?;
            self.record_all(truth)?;
            self.disk.with(|medium| medium.advance(1));
            self.clock.advance(Nanos(50_000));
            self.check_stopping()?;
            if turn == 0 {
                let done = self.gateway.on_stop();
                done.map_err(|error| violated("the gateway stops", error.to_string()))?;
            }
            if self.ring.is_stopped() || self.is_poisoned() {
                return self.close(truth);
            }
        }
        let what = format!(
            "not within {STOP_STEPS_MAX} turns: {:?}, {:?}, behind {:?}, {} submissions wait",
            self.ring.watermarks(),
            self.sequencer.statistics(),
            self.ring.backpressure(),
            self.submissions.missing()
        );
        Err(violated("a stop comes to its end", what))
    }

    fn check_stopping(&mut self) -> Checked {
        self.marks.look(self.ring.watermarks())
    }

    fn close(&mut self, truth: &mut Truth) -> Checked {
        self.record_all(truth)?;
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
            return Err(violated("a clean stop leaves nothing behind", what));
        }
        self.marks.look(marks)
    }

    /// The life is over: what was published is recorded to the end, how far it was durable is told.
    ///
    /// # Errors
    /// A promise broken among what was not looked at yet.
    pub fn end(mut self, truth: &mut Truth) -> Result<LifeStatistics, Violation> {
        self.record_all(truth)?;
        truth.on_acknowledged(self.durable());
        Ok(self.statistics())
    }

    fn now(&self) -> Nanos {
        stele_bus::Clock::now(&mut self.clock.clone())
    }
}

fn journal_over(
    disk: &Disk,
    reader: JournalReader,
    opened: Opened<SimFile>,
    flush: FlushMethod,
) -> Journal<SimFile> {
    let engine = SimEngine::new(disk.clone(), reader.ring().clone(), flush);
    disk.with(Medium::take_done);
    opened.attach_engine(reader, Box::new(engine))
}
