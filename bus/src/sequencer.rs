//! The sequencer: takes what publishers submit, in turns, and makes a log of it. One thread, no lock, no wait.
//!
//! A submission is known by its publisher and the publisher's own number, which only grows: one that was taken before
//! is recognised, left out, counted and told, also after a restart ([`Sequencer::continue_numbering`]).

mod desk;
mod own;
pub(crate) mod statistics;

use crate::agent::{Agent, AgentError};
use crate::appender::GeometryError;
use crate::bounds::{
    CHUNK_EVENTS_MAX, CHUNK_WORDS_MAX, CLOCK_CHECK_INTERVAL, HEADROOM_MARKET_DIVISOR,
    HEADROOM_REPORT_DIVISOR, PUBLISHERS_MAX, REFUSALS_LOOKED_AT_CYCLES, STOP_GRACE,
};
use crate::clock::{Clock, ClockWatch};
use crate::consumer::GatingConsumer;
use crate::counters::sequencer::{IntakeCounters, SequencerCounters};
use crate::counters::{CounterError, Counters};
use crate::head::{LogHead, SequencerStart};
use crate::intake::{Intake, remote_intake};
use crate::publisher::{Publisher, publisher};
use crate::ring::{LogRing, RingWriter};
use crate::session::SessionCloser;
use crate::submission::Submission;
use crate::timers::{TimerStop, Timers};
use desk::{Desk, Origin, Verdict};
use statistics::SequencerStatistics;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use stele_risk::{Cancels, Risk};
use stele_wire::bounds::FRAME_LENGTH_MAX;
use stele_wire::{Nanos, Position, Sequence};

/// The log's only writer.
///
/// ```
/// use stele_bus::{Agent, LogRing, ManualClock, NOT_RECEIVED, RingOptions, Sequencer, SequencerStart};
/// use stele_risk::{Risk, RiskLimits};
/// use stele_wire::messages::Trade;
/// use stele_wire::{Identity, Nanos, Position, Sequence};
///
/// // `Journal::open` gives the start of a log on disk.
/// let start = SequencerStart {
///     identity: Identity::default(),
///     next_sequence: Sequence(1),
///     position: Position(0),
///     last_timestamp: Nanos(0),
///     segment_length: 1 << 20,
///     block_length: 4096,
/// };
/// let options = RingOptions { capacity: 1 << 20, huge_pages: false };
/// let parts = LogRing::create(&options, start.position)?;
/// let (clock, risk) = (ManualClock::at(Nanos(1)), Risk::new(RiskLimits::default()));
/// let mut sequencer = Sequencer::new(&start, parts.writer, clock, risk)?;
/// let mut publisher = sequencer.publisher(1, "notices", 4096);
/// publisher.offer_message(&Trade::NULL, NOT_RECEIVED)?;
/// sequencer.do_work()?;
/// // The publisher's numbering is recorded before its first event.
/// assert_eq!(sequencer.next_sequence(), Sequence(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sequencer<C> {
    desk: Desk<C>,
    intakes: Vec<Intake>,
    turn: usize,
    /// The last number of each publisher in earlier sessions.
    known: BTreeMap<u16, u64>,
    /// Duty cycles, to look at what publishers were refused now and then.
    cycles: u32,
    /// Since when there was nothing to do although a stop was asked for.
    quiet_since: Option<Nanos>,
}

impl<C: Clock> Sequencer<C> {
    /// A sequencer that goes on at `start`, where the ring of `writer` begins.
    ///
    /// # Errors
    /// When `start`'s lengths do not go together.
    ///
    /// # Panics
    /// When the ring begins elsewhere than `start`, or had a sequencer already.
    pub fn new(
        start: &SequencerStart,
        writer: RingWriter,
        clock: C,
        risk: Risk,
    ) -> Result<Self, GeometryError> {
        let capacity = writer.ring().capacity();
        let (market, report) = (capacity / HEADROOM_MARKET_DIVISOR, capacity / HEADROOM_REPORT_DIVISOR);
        let clock_watch = ClockWatch::new(clock.status());
        let desk = Desk {
            head: LogHead::new(start, writer, clock)?,
            risk,
            statistics: SequencerStatistics::default(),
            headrooms: [market, market, report, report, 0],
            is_behind: false,
            counters: None,
            scratch: vec![0; FRAME_LENGTH_MAX / 8].into(),
            refused: vec![0; FRAME_LENGTH_MAX / 8].into(),
            timers: Timers::new(),
            timer_stop: TimerStop::default(),
            cancels: Cancels::default(),
            closer: SessionCloser::new(start.identity.epoch),
            clock_watch,
            clock_looked_at: CLOCK_CHECK_INTERVAL,
            first_sequence: start.next_sequence,
            is_over: false,
            has_untold: false,
        };
        let intakes = Vec::with_capacity(PUBLISHERS_MAX);
        let known = BTreeMap::new();
        Ok(Self { desk, intakes, turn: 0, known, cycles: 0, quiet_since: None })
    }

    /// Goes on with the timers that the log leaves pending.
    #[must_use]
    pub fn with_timers(mut self, timers: Timers) -> Self {
        self.desk.timers = timers;
        self
    }

    /// What publishers that come from now on have submitted in earlier sessions, by id: their numbers go on from
    /// there, and what they send once more is recognised.
    pub fn continue_numbering(&mut self, numbers: impl IntoIterator<Item = (u16, u64)>) {
        self.known.extend(numbers);
    }

    /// Cancels every order that works in the scope of a kill switch that is engaged: after a restart, once orders in
    /// doubt can be asked for.
    pub fn cancel_what_is_stopped(&mut self) {
        let Desk { cancels, risk, .. } = &mut self.desk;
        cancels.resume(risk);
    }

    /// Ends the firing of timers, from any thread: before a session is brought to its end.
    pub fn timer_stop(&self) -> TimerStop {
        self.desk.timer_stop.clone()
    }

    /// Makes `SessionEnd` the log's last event once the sequencer is asked to stop, from any thread: the one that stops the
    /// bus sets the reason first. Publishers that are still offering at that moment do not get past it.
    pub fn session_closer(&self) -> SessionCloser {
        self.desk.closer.clone()
    }

    /// A new publisher with a ring of `capacity` words, see [`crate::bounds::PUBLISHER_WORDS_DEFAULT`]. `id`
    /// stands in its messages (0 is the sequencer itself); `name` is cut to 32 bytes.
    ///
    /// # Panics
    /// When the id is 0 or taken, or there are [`PUBLISHERS_MAX`] already.
    pub fn publisher(&mut self, id: u16, name: &str, capacity: usize) -> Publisher {
        self.assert_free(id);
        let (mut publisher, mut intake) = publisher(self.desk.head.ring(), id, name, capacity);
        intake.last = self.known.get(&id).copied().unwrap_or(0);
        publisher.continue_after(intake.last);
        intake.acknowledgement.set(intake.last, self.desk.head.ring().base());
        self.intakes.push(intake);
        publisher
    }

    /// Makes a place for a publisher in another process: a ring of `capacity` words, a power of two, in the new file
    /// `path`, see [`crate::ShardDirectory::publisher`]. [`crate::RemotePublisher::attach`] takes it.
    ///
    /// # Errors
    /// The kernel's, when there is no memory for the file.
    ///
    /// # Panics
    /// As [`Sequencer::publisher`].
    pub fn remote_publisher(&mut self, path: &Path, id: u16, name: &str, capacity: usize) -> io::Result<()> {
        self.assert_free(id);
        let last = self.known.get(&id).copied().unwrap_or(0);
        self.intakes.push(remote_intake(path, id, name, capacity, last)?);
        Ok(())
    }

    fn assert_free(&self, id: u16) {
        assert!(id != 0 && self.intakes.iter().all(|intake| intake.id != id), "publisher id {id} is taken");
        assert!(self.intakes.len() < PUBLISHERS_MAX, "more than {PUBLISHERS_MAX} publishers");
    }

    /// A new gating consumer of everything published from now on; `name` says who it is when it is stuck.
    ///
    /// # Panics
    /// When there are [`crate::bounds::GATING_CONSUMERS_MAX`] already.
    pub fn gating_consumer(&mut self, name: &str) -> GatingConsumer {
        GatingConsumer::new(self.desk.head.writer(), name, None)
    }

    /// A new gating consumer of everything from the position `from` on, such as a session's start: it also sees
    /// what was published before it was made.
    ///
    /// # Panics
    /// As [`Sequencer::gating_consumer`], and when the ring no longer holds what follows `from`. It holds all of a
    /// session until the journal has first written, and all that an existing gating consumer has not released.
    pub fn gating_consumer_from(&mut self, name: &str, from: Position) -> GatingConsumer {
        GatingConsumer::new(self.desk.head.writer(), name, Some(from))
    }

    /// The ring that the log is on.
    pub fn ring(&self) -> &LogRing {
        self.desk.head.ring()
    }

    /// Shows in `counters` from now on, as those of `shard`, what it does and what waits in the rings of the
    /// publishers that it has by now.
    ///
    /// # Errors
    /// When they are registered already or there is no slot.
    pub fn register_counters(&mut self, counters: &Counters, shard: u16) -> Result<(), CounterError> {
        self.desk.counters = Some(SequencerCounters::register(counters, shard)?);
        for intake in &mut self.intakes {
            let name = String::from_utf8_lossy(&intake.name);
            let (name, capacity) = (name.trim_end_matches('\0'), intake.words.buffer().capacity());
            let counters = IntakeCounters::register(counters, shard, (intake.id, name), capacity)?;
            intake.counters = Some(counters);
        }
        Ok(())
    }

    /// What it has done since it began.
    pub fn statistics(&self) -> SequencerStatistics {
        self.desk.statistics
    }

    /// The number of the next event.
    pub fn next_sequence(&self) -> Sequence {
        self.desk.head.next_sequence()
    }

    /// When the next timer fires; never is `u64::MAX`.
    #[inline]
    pub fn next_timer(&self) -> Nanos {
        self.desk.timers.next_due()
    }

    /// One chunk of one intake. Returns how many submissions were taken.
    #[inline]
    fn drain(&mut self, index: usize) -> usize {
        let intake = &mut self.intakes[index];
        if let Some(remote) = &mut intake.remote {
            remote.pump();
        }
        let available = intake.words.slots();
        if available == 0 {
            return 0;
        }
        let mut origin = Origin {
            id: intake.id,
            name: &intake.name,
            is_outside: intake.is_outside,
            expected: &mut intake.expected,
            last: &mut intake.last,
            untold: &mut intake.untold,
        };
        let chunk = intake.words.read_chunk(available).expect("the words were there");
        let words = chunk.as_slices();
        let (mut at, mut taken, mut first) = (0, 0, None);
        while at < available.min(CHUNK_WORDS_MAX) && taken < CHUNK_EVENTS_MAX {
            let submission = Submission::read(words, at);
            if self.desk.admit(&submission, &mut origin) == Verdict::NoRoom {
                self.desk.statistics.waits += 1;
                break;
            }
            first = first.or_else(|| Some((submission.received, self.desk.head.timestamp())));
            at += submission.words();
            taken += 1;
        }
        self.desk.head.end_stretch();
        chunk.commit(at);
        // Nobody waits for what is counted.
        if let (Some((received, sequenced)), Some(counters)) = (first, &mut self.desk.counters) {
            counters.on_sequenced(received, sequenced);
        }
        let position = self.desk.head.writer().head();
        match &intake.remote {
            Some(remote) => remote.tell(intake.last, position),
            None => intake.acknowledgement.set(intake.last, position),
        }
        if let Some(counters) = &mut intake.counters {
            counters.on_chunk(taken, available - at);
        }
        taken
    }

    /// Looks at what publishers were refused, and tells the log what it must know of it.
    #[cold]
    fn tell_refusals(&mut self, is_last: bool) -> usize {
        let Self { desk, intakes, .. } = self;
        desk.head.read_clock();
        let told = intakes.iter_mut().map(|intake| desk.tell_refusals(intake, is_last)).sum();
        desk.has_untold = intakes.iter().any(|intake| !intake.untold.is_empty());
        desk.statistics.timers_dropped = desk.timers.dropped();
        told
    }

    /// Stops once nothing more can come: every publisher has finished and its ring is empty, or all rings stayed
    /// empty for [`STOP_GRACE`].
    fn try_stop(&mut self) {
        let is_empty = self.intakes.iter().all(Intake::is_empty);
        if !is_empty {
            self.quiet_since = None;
            return;
        }
        let now = self.desk.head.read_clock();
        let since = *self.quiet_since.get_or_insert(now);
        // `is_finished` is asked before the rings are looked at again: what was committed before it is seen.
        let finished = self.intakes.iter().all(|intake| intake.is_finished() && intake.is_empty());
        if finished || now.0 - since.0 >= STOP_GRACE.0 {
            self.tell_refusals(true);
            if !self.desk.close_session() {
                return;
            }
            self.desk.head.close_batch();
            self.desk.head.writer().set_stopped();
        }
    }
}

impl<C: Clock> Agent for Sequencer<C> {
    fn name(&self) -> &str {
        "sequencer"
    }

    /// A turn of every intake, then the batch. Does nothing once stopped or poisoned.
    fn do_work(&mut self) -> Result<usize, AgentError> {
        let health = &self.desk.head.ring().shared.health;
        let (is_stopping, is_stopped) = (health.is_stopping(), health.is_stopped());
        self.cycles = self.cycles.wrapping_add(1);
        let looks = self.cycles.is_multiple_of(REFUSALS_LOOKED_AT_CYCLES);
        if is_stopped || health.is_poisoned() {
            if looks {
                let Self { desk, intakes, .. } = self;
                intakes.iter_mut().for_each(|intake| desk.look_at_refusals(intake));
            }
            if is_stopping && !is_stopped {
                self.desk.head.writer().set_stopped();
            }
            return Ok(0);
        }
        let count = self.intakes.len();
        let mut work = 0;
        for offset in 0..count {
            let index = self.turn + offset;
            work += self.drain(if index < count { index } else { index - count });
        }
        self.turn = if self.turn + 1 < count { self.turn + 1 } else { 0 };
        work += self.desk.do_own_work(work == 0);
        if looks || self.desk.has_untold {
            work += self.tell_refusals(false);
        }
        let closed = self.desk.head.end_cycle();
        self.desk.statistics.batches = self.desk.head.batches();
        if work + closed > 0
            && let Some(counters) = &mut self.desk.counters
        {
            counters.show(&self.desk.statistics);
        }
        if is_stopping && work == 0 {
            self.try_stop();
        }
        Ok(work + closed)
    }
}
