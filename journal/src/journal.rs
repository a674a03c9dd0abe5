//! The journal agent: it writes closed batches to the device straight from the ring, and advances the
//! watermarks `written` and `durable`.

use crate::bounds::{IN_FLIGHT_MAX, WRITE_LENGTH_MAX};
use crate::counters::{JournalCounters, JournalStatistics};
use crate::engine::{Completion, Engine, JournalStage};
use crate::flight::{InFlight, Ticket};
use crate::format::{HeaderBlock, RunningCrc, SegmentHeader, link_after, segment_name};
use crate::lock::WriterLock;
use crate::pool::SegmentPool;
use crate::space::SpaceWatch;
use crate::storage::Storage;
use std::fs::File;
use std::io;
use std::sync::Arc;
use stele_bus::agent::{Agent, AgentError};
use stele_bus::{CounterError, Counters, JournalReader, LogRing};
use stele_wire::bounds::PADDING_LENGTH_MIN;
use stele_wire::frame::Frame;
use stele_wire::units::{Position, Sequence};

/// Why the journal has stopped.
#[derive(Debug, thiserror::Error)]
#[error(
    "the journal stopped: {stage} failed at offset {offset} of {file} (position {position}): {source}{advice}. \
     Everything up to position {durable} is durable",
    advice = crate::error::advice(source)
)]
pub struct JournalFailure {
    /// What the journal was doing.
    pub stage: JournalStage,
    /// The segment file.
    pub file: String,
    /// Offset in the file of the first byte that is not known to be written.
    pub offset: u64,
    /// Log position of that byte.
    pub position: Position,
    /// The position up to which the log was acknowledged as durable. It does not change any more.
    pub durable: Position,
    /// The error of the medium.
    pub source: io::Error,
}

/// The parts of a journal; [`crate::OpenedJournal::attach`] provides them for files.
pub struct JournalParts<F> {
    /// The journal's end of the ring, positioned at the segment's base.
    pub reader: JournalReader,
    /// Writes the bytes.
    pub engine: Box<dyn Engine<F>>,
    /// Provides the next segments.
    pub spares: Box<dyn SegmentPool<F>>,
    /// Closes full segments.
    pub storage: Arc<dyn Storage>,
    /// Header of the first segment; it is durable.
    pub header: SegmentHeader,
    /// The file of the first segment.
    pub file: F,
    /// The writer's lock, held as long as the journal lives.
    pub lock: Option<WriterLock>,
}

/// The journal of one shard. [`Journal::do_work`] drives it, as an agent or called by hand.
///
/// ```text
/// do_work: reap ─> written, durable ─> [ roll ] ─> submit [submitted .. batched) ─> CRC of what was sent
/// ```
///
/// ```
/// use stele_bus::{Agent, Grants, LogRing, NOT_RECEIVED, RingOptions, Sequencer, UtcClock};
/// use stele_journal::{Journal, JournalOptions};
/// use stele_risk::{Risk, RiskLimits};
/// use stele_wire::messages::Trade;
///
/// # let folder = tempfile::tempdir()?;
/// # let trail = folder.path();
/// let now = stele_bus::Clock::now(&mut UtcClock::new());
/// let opened = Journal::open(trail, &JournalOptions::default(), now)?;
/// let start = opened.start;
/// let parts = LogRing::create(&RingOptions::default(), start.position)?;
/// let risk = Risk::new(RiskLimits::default());
/// let mut sequencer = Sequencer::new(&start, parts.writer, UtcClock::new(), risk)?;
/// let mut publisher = sequencer.publisher(1, "notices", 4096, Grants::market());
/// let (mut journal, _notices) = opened.attach(parts.journal)?;
///
/// publisher.offer_message(&Trade::NULL, NOT_RECEIVED)?;
/// while !publisher.is_durable() {
///     sequencer.do_work()?;
///     journal.do_work().map_err(|failure| failure.to_string())?;
/// }
/// publisher.finish();
/// parts.ring.request_stop();
/// while !parts.ring.is_stopped() {
///     sequencer.do_work()?;
/// }
/// journal.stop().map_err(|failure| failure.to_string())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Journal<F = File> {
    reader: JournalReader,
    // Before `spares` and `lock`: dropping it waits for the requests in flight.
    engine: Box<dyn Engine<F>>,
    spares: Box<dyn SegmentPool<F>>,
    storage: Arc<dyn Storage>,
    flight: InFlight,
    header: SegmentHeader,
    /// The request that writes `header`; the header is durable once the request has left `flight`.
    header_ticket: Option<Ticket>,
    slot: usize,
    submitted: Position,
    summed: Position,
    data_crc: RunningCrc,
    completions: Vec<Completion>,
    statistics: JournalStatistics,
    counters: Option<JournalCounters>,
    failure: Option<JournalFailure>,
    closed: bool,
    _lock: Option<WriterLock>,
}

impl<F> Journal<F> {
    /// Creates a journal that begins at the base of its first segment.
    ///
    /// # Panics
    /// When ring and segment do not begin at the same position.
    pub fn new(parts: JournalParts<F>) -> Self {
        let JournalParts { reader, mut engine, spares, storage, header, file, lock } = parts;
        let base = header.base_position;
        assert_eq!(reader.ring().base(), base, "ring and segment begin at the same position");
        assert_eq!(reader.ring().watermarks().written(), base, "the ring is fresh");
        engine.adopt(0, file);
        Self {
            reader,
            engine,
            spares,
            storage,
            flight: InFlight::new(base),
            header,
            header_ticket: None,
            slot: 0,
            submitted: base,
            summed: base,
            data_crc: RunningCrc::default(),
            completions: Vec::with_capacity(2 * IN_FLIGHT_MAX),
            statistics: JournalStatistics::default(),
            counters: None,
            failure: None,
            closed: false,
            _lock: lock,
        }
    }

    /// Runs one duty cycle. Returns how many requests completed or were submitted. Never waits.
    ///
    /// # Errors
    /// [`JournalFailure`], now and at every later call: nothing more is acknowledged.
    pub fn do_work(&mut self) -> Result<usize, &JournalFailure> {
        if self.failure.is_none() {
            match self.cycle() {
                Ok(work) => return Ok(work),
                Err((stage, source)) => self.poison(stage, source),
            }
        }
        Err(self.failure.as_ref().expect("poisoned above or before"))
    }

    /// Writes what is batched, waits until it is durable, and closes the trail: the last segment is cut to
    /// its end and made read-only, and unused segments are removed. May wait. A second call does nothing.
    ///
    /// # Errors
    /// [`JournalFailure`]. A poisoned journal leaves its last segment as it is, for recovery.
    pub fn stop(&mut self) -> Result<(), &JournalFailure> {
        if !self.closed && self.failure.is_none() {
            match self.drain().and_then(|()| self.close()) {
                Ok(()) => self.closed = true,
                Err((stage, source)) => self.poison(stage, source),
            }
        }
        // If this fails, the unused segments stay and do no harm: the next start removes them.
        let _ = self.spares.stop();
        self.failure.as_ref().map_or(Ok(()), Err)
    }

    /// Registers counters of `shard` that show what the journal does and how long events take to become
    /// durable.
    ///
    /// # Errors
    /// When they are registered already, or no slot is free.
    pub fn register_counters(&mut self, counters: &Counters, shard: u16) -> Result<(), CounterError> {
        self.counters = Some(JournalCounters::register(counters, shard, self.submitted)?);
        Ok(())
    }

    /// Returns the ring that it reads.
    pub fn ring(&self) -> &LogRing {
        self.reader.ring()
    }

    /// Returns what it has done so far.
    pub fn statistics(&self) -> JournalStatistics {
        self.statistics
    }

    /// Returns the header of the segment that it writes to.
    pub fn segment(&self) -> &SegmentHeader {
        &self.header
    }

    /// Returns the watch over the free space; `None` where that is not known.
    pub fn space(&self) -> Option<Arc<SpaceWatch>> {
        self.spares.space()
    }

    /// Describes how it writes, for a person.
    pub fn describe(&self) -> String {
        self.engine.describe()
    }

    /// Returns why it has stopped; `None` while it works.
    pub fn failure(&self) -> Option<&JournalFailure> {
        self.failure.as_ref()
    }

    fn cycle(&mut self) -> Result<usize, (JournalStage, io::Error)> {
        if let Some(lost) = self.spares.lost() {
            return Err((JournalStage::Watch, lost));
        }
        Ok(self.reap()? + self.send()?)
    }

    fn reap(&mut self) -> Result<usize, (JournalStage, io::Error)> {
        self.engine.reap(&mut self.completions);
        let work = self.completions.len();
        if work == 0 {
            return Ok(0);
        }
        for completion in self.completions.drain(..) {
            self.flight.advance(completion.ticket, completion.outcome?);
        }
        let watermarks = self.reader.ring().watermarks();
        let (written, durable) = (self.flight.written(), self.flight.durable());
        let (was_written, was_durable) = (watermarks.written(), watermarks.durable());
        if written > was_written {
            self.reader.advance_written(written);
        }
        if durable > was_durable {
            self.reader.advance_durable(durable);
            if let Some(counters) = &mut self.counters {
                counters.on_durable(durable);
            }
        }
        Ok(work)
    }

    fn send(&mut self) -> Result<usize, (JournalStage, io::Error)> {
        let batched = self.reader.ring().watermarks().batched();
        let mut sent = 0;
        while self.submitted < batched && self.flight.has_room() {
            if self.submitted == self.header.end_position() {
                if !self.roll(batched)? {
                    break;
                }
            } else {
                self.send_write(batched)?;
            }
            sent += 1;
        }
        if sent > 0 {
            self.engine.submit().map_err(|source| (JournalStage::Submit, source))?;
            self.sum();
            if let Some(counters) = &mut self.counters {
                counters.show(&self.statistics, self.submitted, batched);
            }
        }
        Ok(sent)
    }

    fn send_write(&mut self, batched: Position) -> Result<(), (JournalStage, io::Error)> {
        let from = self.submitted;
        let to = batched.min(self.header.end_position()).min(from.plus(WRITE_LENGTH_MAX));
        let to = self.reader.contiguous_end(from, to);
        let bytes = self.reader.bytes(from, to);
        if let Some(counters) = self.counters.as_mut().filter(|counters| counters.wants(from)) {
            counters.on_sent(from, bytes);
        }
        let block = u64::from(self.header.block_length);
        assert!(from.0.is_multiple_of(block) && to.0.is_multiple_of(block), "batches end on a block");
        let ticket = self.flight.push(to);
        let offset = self.header.file_offset(from);
        self.engine
            .write(ticket, self.slot, offset, bytes)
            .map_err(|source| (JournalStage::Submit, source))?;
        self.submitted = to;
        self.statistics.bytes += to.0 - from.0;
        self.statistics.writes += 1;
        Ok(())
    }

    /// Begins the next segment, whose header is submitted before its data. Returns whether it could: the next
    /// segment must be prepared, and the current segment's header, and with it everything before, must be
    /// durable. So two headers are never in flight at once: after a damaged header nothing was acknowledged,
    /// and only its own segment was begun.
    fn roll(&mut self, batched: Position) -> Result<bool, (JournalStage, io::Error)> {
        if self.header_ticket.is_some_and(|ticket| self.flight.holds(ticket)) {
            return Ok(false);
        }
        let Some(spare) = self.spares.take() else {
            self.statistics.waits_for_segment += 1;
            return Ok(false);
        };
        let spare = spare.map_err(|source| (JournalStage::Roll, source))?;
        assert_eq!(spare.index, self.header.index + 1, "the pool hands out segments in order");
        self.sum();
        let header = self.next_header(batched);
        let block: HeaderBlock = header.to_block();
        let slot = 1 - self.slot;
        if let Some(file) = self.engine.adopt(slot, spare.file) {
            self.spares.retire(file);
        }
        let ticket = self.flight.push(self.submitted);
        self.engine.write_header(ticket, slot, &block).map_err(|source| (JournalStage::Submit, source))?;
        (self.header, self.header_ticket, self.slot) = (header, Some(ticket), slot);
        self.data_crc = RunningCrc::default();
        self.statistics.rolls += 1;
        Ok(true)
    }

    /// Returns the header of the segment that begins at `submitted`. Sequence and time come from the first
    /// frame there.
    fn next_header(&self, batched: Position) -> SegmentHeader {
        let base = self.submitted;
        let bytes = self.reader.bytes(base, self.reader.contiguous_end(base, batched));
        let first = Frame::read(bytes).expect("a batch begins with a frame");
        assert!(!first.is_padding() || first.len() >= PADDING_LENGTH_MIN, "padding says what came before it");
        let last = match first.padding() {
            Some(padding) => Sequence(padding.last_sequence.get()),
            None => Sequence(first.sequence().0 - 1),
        };
        SegmentHeader {
            index: self.header.index + 1,
            base_position: base,
            base_sequence: last.next(),
            created: first.timestamp(),
            link: link_after(&self.header.to_block(), base, last, self.data_crc.value()),
            ..self.header
        }
    }

    /// Adds what was submitted since the last call to the segment's CRC, while the device is writing.
    fn sum(&mut self) {
        while self.summed < self.submitted {
            let to = self.reader.contiguous_end(self.summed, self.submitted);
            self.data_crc.update(self.reader.bytes(self.summed, to));
            self.summed = to;
        }
    }

    fn drain(&mut self) -> Result<(), (JournalStage, io::Error)> {
        loop {
            self.cycle()?;
            let batched = self.reader.ring().watermarks().batched();
            if self.submitted == batched && self.flight.is_empty() {
                return Ok(());
            }
            if self.flight.is_empty() {
                std::thread::sleep(std::time::Duration::from_micros(200));
            } else {
                self.engine.wait().map_err(|source| (JournalStage::Submit, source))?;
            }
        }
    }

    fn close(&mut self) -> Result<(), (JournalStage, io::Error)> {
        let full = self.header.file_offset(self.header.end_position());
        if self.statistics.rolls > 0 {
            self.close_segment(self.header.index - 1, full)?;
        }
        self.close_segment(self.header.index, self.header.file_offset(self.submitted))
    }

    fn close_segment(&self, index: u64, length: u64) -> Result<(), (JournalStage, io::Error)> {
        let name = segment_name(index);
        let closed = self.storage.close(&name, length);
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", self.storage.describe(&name)))
        };
        closed.map_err(|error| (JournalStage::Close, named(error)))
    }

    fn poison(&mut self, stage: JournalStage, source: io::Error) {
        let position = self.flight.written();
        let base = self.header.base_position;
        let (index, offset) = if position >= base {
            (self.header.index, self.header.file_offset(position))
        } else {
            let full = self.header.file_offset(self.header.end_position());
            (self.header.index - 1, full - (base.0 - position.0))
        };
        let file = self.storage.describe(&segment_name(index));
        let durable = self.reader.ring().watermarks().durable();
        let failure = JournalFailure { stage, file, offset, position, durable, source };
        self.reader.poison(failure.to_string());
        self.failure = Some(failure);
    }
}

impl<F: Send> Agent for Journal<F> {
    fn name(&self) -> &str {
        "journal"
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        Self::do_work(self).map_err(|failure| AgentError::new(failure.to_string()))
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.stop().map_err(|failure| AgentError::new(failure.to_string()))
    }
}
