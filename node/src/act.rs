//! Writes a few events to a trail that no other process is writing: a whole epoch on the calling thread.
//!
//! ```text
//!  lock, recovery, new epoch ─> SessionStart ─> the events of the command ─> SessionEnd ─> closed
//! ```
//!
//! The sequencer and the journal are those of a run, driven by hand. An event is durable when [`Act::enter`]
//! returns its sequence.

use crate::emergency::{EmergencyNote, LoggedNote};
use crate::failure::Failure;
use crate::numbering::publishers;
use crate::prelude::{self, EpochStart};
use crate::wall::WallClock;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::bounds::PUBLISHER_WORDS_DEFAULT;
use stele_bus::session::{SchemaDocument, SessionBeginning};
use stele_bus::{
    Agent as _, ClockQuality, ControlPublisher, Grants, LogRing, RingOptions, Sequencer, SequencerStart,
};
use stele_journal::recovery::RecoveryRow;
use stele_journal::{
    Directory, EngineChoice, Journal, JournalOptions, OpenError, RecoveryReport, Segment, read_segments,
    schema_hash,
};
use stele_risk::{Risk, RiskLimits};
use stele_wire::codec::{Message, WriteError, Writer};
use stele_wire::messages::EndReason;
use stele_wire::{Position, Sequence, ShardId};
use zerocopy::little_endian::U16;

/// Data bytes of a segment and of the ring: room for a few events, and quick to prepare.
const SEGMENT_LENGTH: u64 = 1 << 20;
/// How long the thread sleeps while the journal waits for its batch to become old enough.
const NAP: Duration = Duration::from_micros(100);
/// How long the thread sleeps while another writer holds the trail.
const LOCK_NAP: Duration = Duration::from_millis(2);

/// An open epoch that takes the events of one command.
pub(crate) struct Act {
    /// What recovery found and did when the trail was opened.
    pub(crate) recovery: RecoveryReport,
    ring: LogRing,
    sequencer: Sequencer<WallClock>,
    journal: Journal,
    control: ControlPublisher,
    start: SequencerStart,
}

/// What the epoch of a command is opened for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Purpose<'a> {
    /// The command, which `SessionStart` has in place of a configuration.
    pub(crate) command: &'a str,
    /// Why the command was given, also in `SessionStart`; empty where no reason was given.
    pub(crate) reason: &'a str,
    /// The epoch's number is greater than this.
    pub(crate) later_than: u32,
    /// The schema's text is recorded again, because the events that have it are about to be removed.
    pub(crate) repeat_schema: bool,
    /// The last event that a seal proves to have been on the trail; 0 where none does.
    pub(crate) known_durable: Sequence,
}

impl Act {
    /// Opens the existing trail in `path` as its writer: recovers it and begins a new epoch.
    ///
    /// # Errors
    /// [`Failure`]: the trail is missing, is being written, or needs repair.
    pub(crate) fn begin(path: &Path, purpose: &Purpose<'_>) -> Result<Self, Failure> {
        segments_of(path)?;
        Self::open(path, purpose, Duration::ZERO)
    }

    /// As [`Self::begin`], but creates the trail where there is none, and waits up to `patience` until
    /// another writer has ended.
    ///
    /// # Errors
    /// [`Failure`]: the trail cannot be created, is being written, or needs repair.
    pub(crate) fn open(path: &Path, purpose: &Purpose<'_>, patience: Duration) -> Result<Self, Failure> {
        let segments = read_segments(&Directory::new(path)).unwrap_or_default();
        let shard = segments.last().map_or(ShardId(0), |last| last.header.identity.shard);
        let schema = schema_hash();
        let with_schema =
            purpose.repeat_schema || segments.iter().all(|segment| segment.header.schema != schema);
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
        let publisher =
            sequencer.publisher(publishers::SESSION, "session", PUBLISHER_WORDS_DEFAULT, Grants::session());
        let (journal, _) = opened.attach(ring.journal).map_err(Failure::environment)?;
        let control = ControlPublisher::new(publisher);
        let mut act = Self { recovery, ring: ring.ring, sequencer, journal, control, start };
        let said = [("command", purpose.command), ("reason", purpose.reason)];
        let said = said.into_iter().filter(|(_, text)| !text.is_empty());
        let configuration: toml::Table =
            said.map(|(key, text)| (key.to_owned(), toml::Value::from(text))).collect();
        let mut recovery = act.recovery.clone();
        if purpose.later_than > 0 {
            // A repair may leave an end that looks clean, but the epoch before it did not stop cleanly.
            recovery.row = RecoveryRow::E;
        }
        let configuration = configuration.to_string();
        let epoch = EpochStart { start: &start, recovery: &recovery, clock: ClockQuality::default(), now };
        let schemas = with_schema.then(SchemaDocument::stele).into_iter().collect();
        act.control.begin(&SessionBeginning { schemas, ..epoch.beginning(&configuration) })?;
        act.settle()?;
        act.record_emergency(path)?;
        Ok(act)
    }

    /// Records the emergency mass cancel of an earlier session, if there was one that is not on the log.
    fn record_emergency(&mut self, path: &Path) -> Result<(), Failure> {
        // A run reports a file that is not a note.
        let Ok(Some(note)) = EmergencyNote::read(path) else { return Ok(()) };
        let event = note.event(self.recovery.last_sequence);
        self.enter(&event, |writer| writer.data::<U16>(note.sentence().as_bytes()))?;
        LoggedNote::of(path).remove();
        Ok(())
    }

    /// Appends an event to the trail, waits until it is durable, and returns its sequence.
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

    /// Sets the last numbers of publishers of earlier epochs, which a reset refers to.
    pub(crate) fn continue_numbering(&mut self, numbers: BTreeMap<u16, u64>) {
        self.sequencer.continue_numbering(numbers);
    }

    /// The sequence of the next event.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.sequencer.next_sequence()
    }

    /// The epoch's number.
    pub(crate) fn epoch(&self) -> u32 {
        self.start.identity.epoch.0
    }

    /// Ends the epoch cleanly, closes the trail and unlocks it.
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

/// Returns the segments of the trail in `path`, at least one, the oldest first.
///
/// # Errors
/// [`Failure`]: `path` holds no trail, or its segments cannot be read.
pub(crate) fn segments_of(path: &Path) -> Result<Vec<Segment>, Failure> {
    let directory = Directory::new(path);
    let segments = read_segments(&directory)
        .map_err(|error| Failure::environment(error).help("`stele repair` shows what can be done"))?;
    if segments.is_empty() {
        let what = format!("{} holds no trail", path.display());
        return Err(Failure::environment(what)
            .help("give the directory that `stele run --dir` or `stele demo` wrote"));
    }
    Ok(segments)
}
