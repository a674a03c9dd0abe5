//! The journal's counters: set once for each duty cycle in which it had something to do.

use stele_bus::counters::table;
use stele_bus::{Clock as _, Counter, CounterError, Counters, Histogram, Place, UtcClock};
use stele_wire::frame::Frame;
use stele_wire::units::{Nanos, Position};

/// What the journal has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JournalStatistics {
    /// Bytes of the log submitted to the device.
    pub bytes: u64,
    /// Writes that carried them.
    pub writes: u64,
    /// Segments begun since the start.
    pub rolls: u64,
    /// Duty cycles in which the next segment was needed and not ready.
    pub waits_for_segment: u64,
}

/// The journal's counters. The time until an event is durable is measured for one batch at a time, by its
/// first event.
pub(crate) struct JournalCounters {
    writes: Counter,
    rolls: Counter,
    segment_waits: Counter,
    latency: Histogram,
    clock: UtcClock,
    /// The event that is measured: the position after its first byte, and when it was sequenced.
    sample: Option<(Position, Nanos)>,
    /// A position at which a frame begins.
    frame: Position,
}

impl JournalCounters {
    /// Registers the counters of a journal that begins at `base`.
    pub(crate) fn register(counters: &Counters, shard: u16, base: Position) -> Result<Self, CounterError> {
        let register = |definition| counters.register(definition, Place::shard(shard));
        Ok(Self {
            writes: register(table::JOURNAL_WRITES)?,
            rolls: register(table::JOURNAL_ROLLS)?,
            segment_waits: register(table::JOURNAL_SEGMENT_WAITS)?,
            latency: counters.histogram(table::PUBLISH_TO_DURABLE, Place::shard(shard))?,
            clock: UtcClock::new(),
            sample: None,
            frame: base,
        })
    }

    /// Returns whether the frame at `position` should be measured.
    pub(crate) fn wants(&self, position: Position) -> bool {
        self.sample.is_none() && position == self.frame
    }

    /// Records that the bytes from `position` on were submitted.
    pub(crate) fn on_sent(&mut self, position: Position, bytes: &[u8]) {
        let event = Frame::read(bytes).ok().filter(|frame| !frame.is_padding());
        self.sample = event.map(|event| (position.plus(1), event.timestamp()));
    }

    /// Sets the counters: everything before `submitted` was submitted; `batched` is the end of the last
    /// batch.
    pub(crate) fn show(&mut self, statistics: &JournalStatistics, submitted: Position, batched: Position) {
        if submitted == batched {
            self.frame = submitted;
        }
        self.writes.set(statistics.writes);
        self.rolls.set(statistics.rolls);
        self.segment_waits.set(statistics.waits_for_segment);
    }

    /// Records that everything before `durable` is durable.
    pub(crate) fn on_durable(&mut self, durable: Position) {
        if let Some((position, placed)) = self.sample
            && position <= durable
        {
            self.latency.record(self.clock.now().0.saturating_sub(placed.0));
            self.sample = None;
        }
    }
}
