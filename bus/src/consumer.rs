//! Consumers of the ring. A gating consumer reads in place and holds the writer back; a lossy consumer reads
//! copies and may be overrun.
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

/// A consumer that reads the ring in place. The sequencer never overwrites what the consumer has not
/// released, so a consumer that stops reading stops the bus: publishers are refused. Dropping the consumer
/// removes its gate.
///
/// ```
/// # use stele_bus::{Grants, Agent, LogRing, ManualClock, NOT_RECEIVED, RingOptions, Sequencer, SequencerStart};
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
/// let mut publisher = sequencer.publisher(1, "notices", 4096, Grants::market());
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
    /// The gate's position: everything before it may be overwritten.
    released: Position,
    /// Everything before it has been passed to the caller.
    scanned: Position,
    last: Option<Sequence>,
}

impl GatingConsumer {
    /// A consumer of everything from `from` on, or of everything that `writer` publishes from now on.
    pub(crate) fn new(writer: &mut RingWriter, name: &str, from: Option<Position>) -> Self {
        let gate = writer.add_gate(from);
        let start = Position(gate.0.load(Ordering::Relaxed));
        let (name, ring) = (name.into(), writer.ring().clone());
        Self { name, ring, gate, released: start, scanned: start, last: None }
    }

    /// The consumer's name, used when it is reported as stalled.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ring, with its watermarks.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// The position before which every event has been passed to the caller.
    pub fn scanned(&self) -> Position {
        self.scanned
    }

    /// The position before which everything may be overwritten.
    pub fn released(&self) -> Position {
        self.released
    }

    /// Whether the bus has stopped and every event on the log has been passed to the caller.
    pub fn is_at_end(&self) -> bool {
        // `published` is final once the bus has stopped.
        self.ring.is_stopped() && self.scanned == self.ring.watermarks().published()
    }

    /// A handle with which another thread can watch the consumer's progress.
    pub fn progress(&self) -> ConsumerProgress {
        ConsumerProgress { name: self.name.clone(), gate: self.gate.clone() }
    }

    /// Passes up to `limit` events to `on_event`, without padding, then releases them. Returns how many
    /// events.
    #[inline]
    pub fn poll(&mut self, limit: usize, on_event: impl FnMut(Event<'_>)) -> usize {
        let count = self.scan(limit, on_event);
        self.release(self.scanned);
        count
    }

    /// As [`GatingConsumer::poll`], but stops at an error. The event on which `on_event` fails is not
    /// consumed and comes again.
    ///
    /// # Errors
    /// The error of `on_event`.
    pub fn try_poll<E>(
        &mut self,
        limit: usize,
        on_event: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let result = self.try_scan(limit, on_event);
        self.release(self.scanned);
        result
    }

    /// Passes up to `limit` events to `on_event` and does not release them: they stay readable with
    /// [`GatingConsumer::event_at`] until [`GatingConsumer::release`] passes them. Returns how many events.
    #[inline]
    pub fn scan(&mut self, limit: usize, mut on_event: impl FnMut(Event<'_>)) -> usize {
        let shown = self.try_scan(limit, |event| {
            on_event(event);
            Ok::<(), Infallible>(())
        });
        let Ok(count) = shown;
        count
    }

    /// As [`GatingConsumer::scan`], but stops at an error. The event on which `on_event` fails comes again.
    ///
    /// # Errors
    /// The error of `on_event`.
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
                assert_eq!(sequence, expected, "the log has a gap at {}", self.scanned);
                on_event(event)?;
                self.last = Some(sequence);
                count += 1;
            }
            self.scanned = end;
        }
        Ok(count)
    }

    /// Returns the event at `position`, which was scanned and is not released.
    ///
    /// # Panics
    /// When `position` is outside `[released .. scanned)`.
    #[inline]
    pub fn event_at(&self, position: Position) -> Event<'_> {
        assert!(self.released <= position && position < self.scanned);
        self.read(position, self.scanned)
    }

    /// The frame at `position`, which ends at `end` or before; `end` is at most `published`.
    #[inline]
    fn read(&self, position: Position, end: Position) -> Event<'_> {
        let shared = &*self.ring.shared;
        let length = (end.min(shared.ring_end(position)).0 - position.0) as usize;
        debug_assert!(self.released <= position);
        // SAFETY: `end` is a value of `published` that was loaded with Acquire (in `try_scan`, of which
        // `scanned` is a result), so the stores before it happened before. The gate is at `released <=
        // position` until `release(&mut self)`, which cannot run while the slice borrows `self`, and the
        // writer stores nothing at or after `gate + capacity` (`RingWriter::word_run` asserts it).
        let bytes = unsafe { shared.mapping.bytes(shared.offset(position), length) };
        let frame = Frame::read(bytes).expect("the sequencer publishes whole frames");
        Event::new(frame, position)
    }

    /// Allows everything before `to` to be overwritten.
    ///
    /// # Panics
    /// When `to` goes back or passes what was scanned.
    #[inline]
    pub fn release(&mut self, to: Position) {
        assert!(self.released <= to && to <= self.scanned);
        if to != self.released {
            self.released = to;
            // Release, partner of the Acquire load in `RingWriter::read_gates`: the reads happened before.
            self.gate.0.store(to.0, Ordering::Release);
        }
    }
}

/// The progress of a gating consumer, for other threads.
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

    /// The position before which the consumer has released everything; `u64::MAX` once the consumer is gone.
    pub fn released(&self) -> Position {
        Position(self.gate.0.load(Ordering::Acquire))
    }
}

impl Drop for GatingConsumer {
    fn drop(&mut self) {
        self.gate.0.store(u64::MAX, Ordering::Release);
    }
}
