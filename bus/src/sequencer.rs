//! The sequencer: takes the publishers' submissions in turns and writes them to the log. It runs on one
//! thread without locks and without waiting.
//!
//! A submission is identified by its publisher and the publisher's own number, which only grows. Duplicates
//! are dropped, counted and reported on the log, also after a restart ([`Sequencer::continue_numbering`]). The
//! sequencer writes both into messages that carry them, and refuses what the publisher was not granted
//! ([`Grants`]).

mod desk;
mod numbering;
mod own;
#[cfg(test)]
mod schedules;
pub(crate) mod statistics;

use crate::agent::{Agent, AgentError};
use crate::appender::GeometryError;
use crate::bounds::{
    CHUNK_EVENTS_MAX, CHUNK_WORDS_MAX, CLOCK_CHECK_INTERVAL, HEADROOM_MARKET_DIVISOR,
    HEADROOM_REPORT_DIVISOR, PUBLISHERS_MAX, REFUSALS_CHECK_CYCLES, STOP_GRACE,
};
use crate::clock::{Clock, ClockWatch};
use crate::consumer::GatingConsumer;
use crate::counters::sequencer::{IntakeCounters, SequencerCounters};
use crate::counters::{CounterError, Counters};
use crate::grants::Grants;
use crate::head::{LogHead, SequencerStart};
use crate::intake::{Intake, remote_intake};
use crate::publisher::{Publisher, publisher};
use crate::ring::{LogRing, RingWriter};
use crate::session::SessionCloser;
use crate::shared::port::RemotePort;
use crate::submission::Submission;
use crate::timers::{TimerStop, Timers};
use desk::{Desk, Origin, Verdict};
use numbering::notes_length;
use statistics::SequencerStatistics;
use std::collections::BTreeMap;
use stele_risk::{PendingCancels, Risk};
use stele_wire::bounds::FRAME_LENGTH_MAX;
use stele_wire::{Nanos, Position, Sequence};

/// The only writer of the log.
///
/// ```
/// use stele_bus::{Agent, Grants, LogRing, ManualClock, NOT_RECEIVED, RingOptions};
/// use stele_bus::{Sequencer, SequencerStart};
/// use stele_risk::{Risk, RiskLimits};
/// use stele_wire::messages::Trade;
/// use stele_wire::{Identity, Nanos, Position, Sequence};
///
/// // For a log on disk, opening the journal returns the start.
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
/// let mut publisher = sequencer.publisher(1, "notices", 4096, Grants::market());
/// publisher.offer_message(&Trade::NULL, NOT_RECEIVED)?;
/// sequencer.do_work()?;
/// // The publisher's grants and its numbering are recorded before its first event.
/// assert_eq!(sequencer.next_sequence(), Sequence(4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sequencer<C> {
    desk: Desk<C>,
    intakes: Vec<Intake>,
    turn: usize,
    /// The last number of each publisher in earlier sessions.
    known: BTreeMap<u16, u64>,
    /// Counts duty cycles: every so many, the publishers' refusals are read.
    cycles: u32,
    /// Since when there has been nothing to do after a stop was requested.
    quiet_since: Option<Nanos>,
}

impl<C: Clock> Sequencer<C> {
    /// A sequencer that continues the log at `start`, where the ring of `writer` begins.
    ///
    /// # Errors
    /// When the lengths in `start` contradict each other or the ring's.
    ///
    /// # Panics
    /// When the ring begins elsewhere than at `start`, or has had a sequencer already.
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
            cancels: PendingCancels::default(),
            reset: None,
            closer: SessionCloser::new(start.identity.epoch),
            clock_watch,
            clock_checked_at: CLOCK_CHECK_INTERVAL,
            first_sequence: start.next_sequence,
            is_over: false,
            has_unreported: false,
        };
        let intakes = Vec::with_capacity(PUBLISHERS_MAX);
        let known = BTreeMap::new();
        Ok(Self { desk, intakes, turn: 0, known, cycles: 0, quiet_since: None })
    }

    /// Continues with the timers that are pending on the log.
    #[must_use]
    pub fn with_timers(mut self, timers: Timers) -> Self {
        self.desk.timers = timers;
        self
    }

    /// Sets the last numbers that publishers reached in earlier sessions, by id. Publishers that are
    /// registered later continue from there, and what they send again is recognised as a duplicate.
    pub fn continue_numbering(&mut self, numbers: impl IntoIterator<Item = (u16, u64)>) {
        self.known.extend(numbers);
    }

    /// Cancels every working order in the scope of an engaged kill switch: for a restart, once the venue can
    /// be asked about orders in doubt.
    pub fn cancel_switched_orders(&mut self) {
        let Desk { cancels, risk, .. } = &mut self.desk;
        cancels.resume(risk);
    }

    /// Returns a handle that stops the timers, from any thread, before a session ends.
    pub fn timer_stop(&self) -> TimerStop {
        self.desk.timer_stop.clone()
    }

    /// Returns a handle that makes `SessionEnd` the log's last event. Whichever thread stops the bus first
    /// sets the reason with it. Submissions that arrive after that event are not put on the log.
    pub fn session_closer(&self) -> SessionCloser {
        self.desk.closer.clone()
    }

    /// Registers a publisher with a ring of `capacity` words, see [`crate::bounds::PUBLISHER_WORDS_DEFAULT`].
    /// `id` identifies it in messages (0 is the sequencer itself); `name` is cut to 32 bytes; `grants` is what
    /// it may submit.
    ///
    /// # Panics
    /// When the id is 0 or in use, or when there are [`PUBLISHERS_MAX`] publishers already.
    pub fn publisher(
        &mut self,
        id: u16,
        name: &str,
        capacity: usize,
        grants: impl Into<Grants>,
    ) -> Publisher {
        self.assert_free(id);
        let (mut publisher, mut intake) = publisher(self.desk.head.ring(), id, name, capacity, grants.into());
        intake.last = self.known.get(&id).copied().unwrap_or(0);
        publisher.continue_after(intake.last);
        intake.acknowledgement.set(intake.last, self.desk.head.ring().base());
        self.intakes.push(intake);
        publisher
    }

    /// Registers a publisher in another process, with a ring of `capacity` words, a power of two. Other
    /// processes connect as this publisher through the port that is returned, one at a time.
    ///
    /// # Panics
    /// As [`Sequencer::publisher`].
    pub fn remote_publisher(
        &mut self,
        id: u16,
        name: &str,
        capacity: usize,
        grants: impl Into<Grants>,
    ) -> RemotePort {
        self.assert_free(id);
        let last = self.known.get(&id).copied().unwrap_or(0);
        let (intake, port) = remote_intake(id, name, capacity, grants.into(), last);
        self.intakes.push(intake);
        port
    }

    fn assert_free(&self, id: u16) {
        assert!(id != 0 && self.intakes.iter().all(|intake| intake.id != id), "publisher id {id} is taken");
        assert!(self.intakes.len() < PUBLISHERS_MAX, "more than {PUBLISHERS_MAX} publishers");
    }

    /// Registers a gating consumer of everything that is published from now on. `name` is reported when it
    /// stalls.
    ///
    /// # Panics
    /// When there are [`crate::bounds::GATING_CONSUMERS_MAX`] gating consumers already.
    pub fn gating_consumer(&mut self, name: &str) -> GatingConsumer {
        GatingConsumer::new(self.desk.head.writer(), name, None)
    }

    /// Registers a gating consumer of everything from the position `from` on, such as a session's start. It
    /// also gets what was published before the call.
    ///
    /// # Panics
    /// As [`Sequencer::gating_consumer`], and when the ring has overwritten what follows `from`. The ring
    /// still holds a whole session until the journal first writes, and what an existing gating consumer has
    /// not released.
    pub fn gating_consumer_from(&mut self, name: &str, from: Position) -> GatingConsumer {
        GatingConsumer::new(self.desk.head.writer(), name, Some(from))
    }

    /// The ring that the log is on.
    pub fn ring(&self) -> &LogRing {
        self.desk.head.ring()
    }

    /// Registers, for `shard`, counters of what the sequencer does and of what waits in the rings of the
    /// publishers that are registered by now.
    ///
    /// # Errors
    /// When they are registered already or there is no slot.
    pub fn register_counters(&mut self, counters: &Counters, shard: u16) -> Result<(), CounterError> {
        self.desk.counters = Some(SequencerCounters::register(counters, shard, &self.desk.risk)?);
        for intake in &mut self.intakes {
            let name = String::from_utf8_lossy(&intake.name);
            let (name, capacity) = (name.trim_end_matches('\0'), intake.words.buffer().capacity());
            let counters = IntakeCounters::register(counters, shard, (intake.id, name), capacity)?;
            intake.counters = Some(counters);
        }
        Ok(())
    }

    /// What the sequencer has done since it was created.
    pub fn statistics(&self) -> SequencerStatistics {
        self.desk.statistics
    }

    /// The sequence of the next event.
    pub fn next_sequence(&self) -> Sequence {
        self.desk.head.next_sequence()
    }

    /// The time at which the next timer fires, `u64::MAX` if none is pending.
    #[inline]
    pub fn next_timer(&self) -> Nanos {
        self.desk.timers.next_due()
    }

    /// Takes one chunk of one intake. Returns how many submissions it took.
    #[inline]
    fn drain(&mut self, index: usize) -> usize {
        let intake = &mut self.intakes[index];
        if intake.remote.is_some() {
            intake.pump();
        }
        let available = intake.words.slots();
        if available == 0 {
            return 0;
        }
        let mut origin = Origin {
            id: intake.id,
            granted: intake.grants.mask(),
            number_step_max: intake.grants.number_step_max(),
            notes_length: notes_length(&intake.grants, intake.is_granted, intake.is_outside),
            name: &intake.name,
            grants: &intake.grants,
            is_granted: &mut intake.is_granted,
            is_outside: intake.is_outside,
            expected: &mut intake.expected,
            last: &mut intake.last,
            unreported: &mut intake.unreported,
        };
        let mut chunk = intake.words.read_chunk(available).expect("the words were there");
        let words = chunk.as_mut_slices();
        let (mut at, mut taken, mut first) = (0, 0, None);
        while at < available.min(CHUNK_WORDS_MAX) && taken < CHUNK_EVENTS_MAX {
            let submission = Submission::read((&mut *words.0, &mut *words.1), at, origin.id);
            let verdict = self.desk.admit(&submission, &mut origin);
            if verdict == Verdict::NoRoom {
                self.desk.statistics.waits += 1;
                break;
            }
            first = first.or_else(|| Some((submission.received, self.desk.head.timestamp())));
            at += submission.words();
            taken += 1;
            if verdict == Verdict::Reset {
                break;
            }
        }
        if origin.is_outside && origin.unreported.has_used_up() {
            self.desk.report_used_up(&mut origin);
        }
        self.desk.head.end_stretch();
        chunk.commit(at);
        if let Some(reset) = self.desk.reset.take() {
            self.reset_numbering(reset);
        }
        let intake = &mut self.intakes[index];
        // Counting comes after the events are published, so that it delays none.
        if let (Some((received, sequenced)), Some(counters)) = (first, &mut self.desk.counters) {
            counters.on_sequenced(received, sequenced);
        }
        let position = self.desk.head.writer().head();
        intake.acknowledge(position);
        if let Some(counters) = &mut intake.counters {
            counters.on_chunk(taken, available - at);
        }
        taken
    }

    /// Reads what publishers were refused and reports on the log what has to be there. Returns how many
    /// events.
    #[cold]
    fn report_refusals(&mut self, is_last: bool) -> usize {
        let Self { desk, intakes, .. } = self;
        desk.head.read_clock();
        let reported = intakes.iter_mut().map(|intake| desk.report_refusals(intake, is_last)).sum();
        desk.has_unreported = intakes.iter().any(|intake| !intake.unreported.is_empty());
        desk.statistics.timers_dropped = desk.timers.dropped();
        reported
    }

    /// Stops once nothing more can come: every publisher has finished and its ring is empty, or all rings
    /// have been empty for [`STOP_GRACE`].
    fn try_stop(&mut self) {
        let is_empty = self.intakes.iter().all(Intake::is_empty);
        if !is_empty {
            self.quiet_since = None;
            return;
        }
        let now = self.desk.head.read_clock();
        let since = *self.quiet_since.get_or_insert(now);
        // `is_finished` is called before `is_empty`, so that what was committed before the finish is seen.
        let finished = self.intakes.iter().all(|intake| intake.is_finished() && intake.is_empty());
        if finished || now.0 - since.0 >= STOP_GRACE.0 {
            self.report_refusals(true);
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

    /// Takes a chunk of every intake, then closes the batch if it is due. Does nothing once stopped or
    /// poisoned.
    fn do_work(&mut self) -> Result<usize, AgentError> {
        let health = &self.desk.head.ring().shared.health;
        let (is_stopping, is_stopped) = (health.is_stopping(), health.is_stopped());
        self.cycles = self.cycles.wrapping_add(1);
        let looks = self.cycles.is_multiple_of(REFUSALS_CHECK_CYCLES);
        if is_stopped || health.is_poisoned() {
            if looks {
                let Self { desk, intakes, .. } = self;
                intakes.iter_mut().for_each(|intake| desk.read_refusals(intake));
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
        if looks || self.desk.has_unreported {
            work += self.report_refusals(false);
        }
        let closed = self.desk.head.end_cycle();
        self.desk.statistics.batches = self.desk.head.batches();
        if work + closed > 0
            && let Some(counters) = &mut self.desk.counters
        {
            counters.show(&self.desk.statistics);
        }
        if looks && let Desk { counters: Some(counters), risk, .. } = &mut self.desk {
            counters.show_risk(risk);
        }
        if is_stopping && work == 0 {
            self.try_stop();
        }
        Ok(work + closed)
    }
}
