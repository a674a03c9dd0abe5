//! Reading the log: in place for who gates it, by copy for who may be overrun.
#![allow(unsafe_code)]

mod event;
mod lossy;

use crate::ring::{Gate, LogRing, RingWriter};
use crate::sync::Ordering;
use std::convert::Infallible;
use std::sync::Arc;
use stele_wire::{Frame, Position, Sequence};

pub use event::Event;
pub use lossy::{LossyConsumer, Observed, Overrun};

/// Reads in place. The sequencer never overwrites what it has not released, so a consumer that stops reading
/// stops the bus: publishers are refused. Dropping it opens its gate.
///
/// ```
/// # use stele_bus::{Agent, LogRing, ManualClock, NOT_RECEIVED, RingOptions, Sequencer, SequencerStart};
/// # use stele_risk::{Risk, RiskLimits};
/// # use stele_wire::{Identity, Nanos, Position, Sequence, messages::Trade};
/// # let start = SequencerStart {
/// #     identity: Identity::default(),
/// #     next_sequence: Sequence(1),
/// #     position: Position(0),
/// #     last_timestamp: Nanos(0),
/// #     segment_length: 1 << 20,
/// #     block_length: 4096,
/// # };
/// # let parts = LogRing::create(&RingOptions { capacity: 1 << 20, huge_pages: false }, start.position)?;
/// # let (clock, risk) = (ManualClock::at(Nanos(1)), Risk::new(RiskLimits::default()));
/// # let mut sequencer = Sequencer::new(&start, parts.writer, clock, risk)?;
/// let mut publisher = sequencer.publisher(1, "notices", 4096);
/// let mut consumer = sequencer.gating_consumer("reader");
/// publisher.offer_message(&Trade::NULL, NOT_RECEIVED)?;
/// sequencer.do_work()?;
/// let mut notices = 0;
/// consumer.poll(64, |event| notices += usize::from(event.message::<Trade>().is_some()));
/// assert_eq!(notices, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GatingConsumer {
    name: Arc<str>,
    ring: LogRing,
    gate: Gate,
    /// What the gate says: everything before it may be overwritten.
    released: Position,
    /// Everything before it has been shown.
    scanned: Position,
    last: Option<Sequence>,
}

impl GatingConsumer {
    /// A consumer of everything after `from`, or of everything that `writer` publishes from here on.
    pub(crate) fn new(writer: &mut RingWriter, name: &str, from: Option<Position>) -> Self {
        let gate = writer.add_gate(from);
        let start = Position(gate.0.load(Ordering::Relaxed));
        let (name, ring) = (name.into(), writer.ring().clone());
        Self { name, ring, gate, released: start, scanned: start, last: None }
    }

    /// Its name: who is told to be stuck when it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ring, its watermarks included.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// Everything before it has been shown.
    pub fn scanned(&self) -> Position {
        self.scanned
    }

    /// Everything before it may be overwritten.
    pub fn released(&self) -> Position {
        self.released
    }

    /// Whether the bus has stopped and everything on the log has been shown.
    pub fn is_at_end(&self) -> bool {
        // `published` is final once the bus has stopped.
        self.ring.is_stopped() && self.scanned == self.ring.watermarks().published()
    }

    /// The consumer's progress, for another thread to watch.
    pub fn progress(&self) -> ConsumerProgress {
        ConsumerProgress { name: self.name.clone(), gate: self.gate.clone() }
    }

    /// Shows up to `limit` events, padding left out, then releases them. Returns how many.
    #[inline]
    pub fn poll(&mut self, limit: usize, on_event: impl FnMut(Event<'_>)) -> usize {
        let count = self.scan(limit, on_event);
        self.release(self.scanned);
        count
    }

    /// As [`GatingConsumer::poll`]; an event that `on_event` fails on is not consumed and comes again.
    ///
    /// # Errors
    /// What `on_event` said.
    pub fn try_poll<E>(
        &mut self,
        limit: usize,
        on_event: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let result = self.try_scan(limit, on_event);
        self.release(self.scanned);
        result
    }

    /// Shows up to `limit` events and keeps them: they stay readable by [`GatingConsumer::event_at`] until
    /// [`GatingConsumer::release`] passes them.
    #[inline]
    pub fn scan(&mut self, limit: usize, mut on_event: impl FnMut(Event<'_>)) -> usize {
        let shown = self.try_scan(limit, |event| {
            on_event(event);
            Ok::<(), Infallible>(())
        });
        let Ok(count) = shown;
        count
    }

    /// As [`GatingConsumer::scan`]; an event that `on_event` fails on comes again.
    ///
    /// # Errors
    /// What `on_event` said.
    #[inline]
    pub fn try_scan<E>(
        &mut self,
        limit: usize,
        mut on_event: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let published = self.ring.watermarks().published();
        let mut count = 0;
        while self.scanned < published && count < limit {
            let event = self.read(self.scanned, published);
            let (end, sequence) = (event.end(), event.sequence());
            if !event.frame().is_padding() {
                let expected = self.last.map_or(sequence, Sequence::next);
                assert_eq!(sequence, expected, "the log skips at {}", self.scanned);
                on_event(event)?;
                self.last = Some(sequence);
                count += 1;
            }
            self.scanned = end;
        }
        Ok(count)
    }

    /// The event at `position`, which was shown there and not released.
    ///
    /// # Panics
    /// When `position` is outside `[released .. scanned)`.
    #[inline]
    pub fn event_at(&self, position: Position) -> Event<'_> {
        assert!(self.released <= position && position < self.scanned);
        self.read(position, self.scanned)
    }

    /// The frame at `position`, before `end`, which is `published` or behind it.
    #[inline]
    fn read(&self, position: Position, end: Position) -> Event<'_> {
        let shared = &*self.ring.shared;
        let length = (end.min(shared.ring_end(position)).0 - position.0) as usize;
        debug_assert!(self.released <= position);
        // SAFETY: `end` is a value of `published` that was loaded with Acquire (in `try_scan`, of which `scanned`
        // is a result), so the stores before it happened before. The gate stands at `released <= position`
        // until `release(&mut self)`, which cannot run while the slice borrows `self`, and the writer stores
        // nothing at or after `gate + capacity` (`RingWriter::word_run` asserts it).
        let bytes = unsafe { shared.mapping.bytes(shared.offset(position), length) };
        let frame = Frame::read(bytes).expect("the sequencer publishes whole frames");
        Event::new(frame, position)
    }

    /// Everything before `to` may be overwritten.
    ///
    /// # Panics
    /// When `to` goes back or passes what was shown.
    #[inline]
    pub fn release(&mut self, to: Position) {
        assert!(self.released <= to && to <= self.scanned);
        if to != self.released {
            self.released = to;
            // Release, partner of the Acquire load in `RingWriter::look_at_gates`: the reads happened before.
            self.gate.0.store(to.0, Ordering::Release);
        }
    }
}

/// How far a gating consumer has come, as others see it.
#[derive(Clone, Debug)]
pub struct ConsumerProgress {
    name: Arc<str>,
    gate: Gate,
}

impl ConsumerProgress {
    /// The consumer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything before it has been read and released; the end of time once the consumer is gone.
    pub fn released(&self) -> Position {
        Position(self.gate.0.load(Ordering::Acquire))
    }
}

impl Drop for GatingConsumer {
    fn drop(&mut self) {
        self.gate.0.store(u64::MAX, Ordering::Release);
    }
}
