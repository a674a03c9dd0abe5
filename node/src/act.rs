//! Writing a few events on a trail that nobody else writes: a whole epoch on one thread, by hand.
//!
//! ```text
//!  lock, recovery, new epoch ─> SessionStart ─> the events that somebody asked for ─> SessionEnd ─> closed
//! ```
//!
//! The same sequencer and journal as in a run, with nothing hot about them. An event that [`Act::enter`] gave a
//! sequence is durable when it returns.

use crate::failure::Failure;
use crate::numbering::publishers;
use crate::prelude::{self, Epoch};
use crate::wall::WallClock;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::bounds::PUBLISHER_WORDS_DEFAULT;
use stele_bus::session::{Schema, SessionBeginning};
use stele_bus::{Agent as _, ClockStatus, ControlPublisher, LogRing, RingOptions, Sequencer, SequencerStart};
use stele_journal::recovery::RecoveryRow;
use stele_journal::{
    Directory, EngineChoice, Journal, JournalOptions, OpenError, RecoveryReport, Segment, read_segments,
    schema_hash,
};
use stele_risk::{Risk, RiskLimits};
use stele_wire::codec::{Message, WriteError, Writer};
use stele_wire::messages::EndReason;
use stele_wire::{Position, Sequence, ShardId};

/// Data bytes of a segment that holds acts, and of the ring: a few events, and nothing to prepare for long.
const SEGMENT_LENGTH: u64 = 1 << 20;
/// How long the thread sleeps while a batch has to become old enough.
const NAP: Duration = Duration::from_micros(100);
/// How long it sleeps while another writer holds the trail.
const LOCK_NAP: Duration = Duration::from_millis(2);

/// An epoch that is open for acts.
pub(crate) struct Act {
    /// What opening the trail found and did.
    pub(crate) recovery: RecoveryReport,
    ring: LogRing,
    sequencer: Sequencer<WallClock>,
    journal: Journal,
    control: ControlPublisher,
    start: SequencerStart,
}

/// What an epoch of acts is opened for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Purpose<'a> {
    /// The command, as it stands in `SessionStart` in place of a configuration.
    pub(crate) command: &'a str,
    /// Why, likewise; empty when nobody said.
    pub(crate) reason: &'a str,
    /// The epoch gets a number beyond this.
    pub(crate) later_than: u32,
    /// The events that told the schema's text are about to go: tell it once more.
    pub(crate) retell_schema: bool,
    /// The last event that is known from a seal to have been there; 0 is no such knowledge.
    pub(crate) known_durable: Sequence,
}

impl Act {
    /// Opens the trail in `path` as its writer: it is recovered, and a new epoch begins. There must be one.
    ///
    /// # Errors
    /// [`Failure`]: the trail is missing, is being written, or needs repair.
    pub(crate) fn begin(path: &Path, purpose: &Purpose<'_>) -> Result<Self, Failure> {
        segments_of(path)?;
        Self::open(path, purpose, Duration::ZERO)
    }

    /// As [`Self::begin`]; makes the trail where there is none, and waits up to `patience` for another writer's end.
    ///
    /// # Errors
    /// [`Failure`]: the trail cannot be made, is being written, or needs repair.
    pub(crate) fn open(path: &Path, purpose: &Purpose<'_>, patience: Duration) -> Result<Self, Failure> {
        let segments = read_segments(&Directory::new(path)).unwrap_or_default();
        let shard = segments.last().map_or(ShardId(0), |last| last.header.identity.shard);
        let schema = schema_hash();
        let with_schema =
            purpose.retell_schema || segments.iter().all(|segment| segment.header.schema != schema);
        let options = JournalOptions {
            shard,
            segment_length: SEGMENT_LENGTH,
            spare_segments: 1,
            engine: EngineChoice::Plain,
            later_than: stele_wire::Epoch(purpose.later_than),
            known_durable: purpose.known_durable,
            ..JournalOptions::default()
        };
        let since = Instant::now();
        let opened = loop {
            match Journal::open(path, &options, WallClock::read()) {
                Err(OpenError::Locked { .. }) if since.elapsed() < patience => std::thread::sleep(LOCK_NAP),
                opened => break opened.map_err(Failure::environment)?,
            }
        };
        let now = WallClock::read();
        let (recovery, start) = (opened.recovery.clone(), opened.start);
        let ring = RingOptions { capacity: SEGMENT_LENGTH as usize, ..RingOptions::default() };
        let ring = LogRing::create(&ring, start.position).map_err(Failure::environment)?;
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer = Sequencer::new(&start, ring.writer, WallClock, risk)
            .map_err(|error| Failure::environment(format!("{}: {error}", path.display())))?;
        let publisher = sequencer.publisher(publishers::SESSION, "clerk", PUBLISHER_WORDS_DEFAULT);
        let (journal, _) = opened.attach(ring.journal).map_err(Failure::environment)?;
        let control = ControlPublisher::new(publisher);
        let mut act = Self { recovery, ring: ring.ring, sequencer, journal, control, start };
        let said = [("command", purpose.command), ("reason", purpose.reason)];
        let said = said.into_iter().filter(|(_, text)| !text.is_empty());
        let configuration: toml::Table =
            said.map(|(key, text)| (key.to_owned(), toml::Value::from(text))).collect();
        let mut told = act.recovery.clone();
        if purpose.later_than > 0 {
            // What a repair cut away was no clean stop, however whole it left the rest.
            told.row = RecoveryRow::E;
        }
        let configuration = configuration.to_string();
        let epoch = Epoch { start: &start, recovery: &told, clock: ClockStatus::default(), now };
        let schemas = with_schema.then(Schema::stele).into_iter().collect();
        act.control.begin(&SessionBeginning { schemas, ..epoch.beginning(&configuration) })?;
        act.settle()?;
        Ok(act)
    }

    /// Puts an event on the trail and waits until it is durable. Gives its sequence.
    ///
    /// # Errors
    /// [`Failure`]: the event does not fit, or the journal failed.
    pub(crate) fn enter<M: Message>(
        &mut self,
        block: &M,
        tail: impl FnOnce(&mut Writer<'_>) -> Result<(), WriteError>,
    ) -> Result<Sequence, Failure> {
        self.control.publish(block, tail)?;
        self.settle()?;
        Ok(Sequence(self.sequencer.next_sequence().0 - 1))
    }

    /// The sequence that the next event gets.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.sequencer.next_sequence()
    }

    /// The epoch's number.
    pub(crate) fn epoch(&self) -> u32 {
        self.start.identity.epoch.0
    }

    /// Ends the epoch in order; the trail is closed and unlocked then.
    ///
    /// # Errors
    /// [`Failure`]: the journal failed.
    pub(crate) fn end(mut self, reason: EndReason, text: &str) -> Result<(), Failure> {
        prelude::end(&mut self.control, &self.start, reason, WallClock::read(), text)?;
        self.ring.request_stop();
        while !self.ring.is_stopped() {
            self.work()?;
        }
        self.journal.stop().map_err(Failure::environment)
    }

    /// Sequences what was submitted and waits until it is durable.
    fn settle(&mut self) -> Result<(), Failure> {
        while self.sequencer.do_work().map_err(Failure::environment)? > 0 {}
        let target = self.ring.watermarks().published();
        while self.ring.watermarks().durable() < target {
            self.work()?;
        }
        assert!(self.ring.watermarks().durable() > Position(0), "an epoch begins with an event");
        Ok(())
    }

    fn work(&mut self) -> Result<(), Failure> {
        let sequenced = self.sequencer.do_work().map_err(Failure::environment)?;
        let written = self.journal.do_work().map_err(Failure::environment)?;
        if sequenced + written == 0 {
            std::thread::sleep(NAP);
        }
        Ok(())
    }
}

/// The segments of the trail in `path`, oldest first, at least one.
///
/// # Errors
/// [`Failure`]: no trail there, or one that is none.
pub(crate) fn segments_of(path: &Path) -> Result<Vec<Segment>, Failure> {
    let directory = Directory::new(path);
    let segments = read_segments(&directory)
        .map_err(|error| Failure::environment(error).help("`stele repair` says what can be done"))?;
    if segments.is_empty() {
        let what = format!("{} holds no trail", path.display());
        return Err(Failure::environment(what)
            .help("a trail is the directory that `stele run --dir` or `stele demo` wrote"));
    }
    Ok(segments)
}
