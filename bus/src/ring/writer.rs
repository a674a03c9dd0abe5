//! The sequencer's end of a ring: the only way to write to it, within the limits of the gates.
#![allow(unsafe_code)]

use super::LogRing;
use crate::bounds::{CLAIM_LENGTH, GATING_CONSUMERS_MAX};
use crate::health::Backpressure;
use crate::sync::{AtomicU64, Line, Ordering};
use crate::watermarks::Watermark;
use std::sync::Arc;
use stele_wire::Position;

/// A gating consumer's cursor, shared with the writer. `u64::MAX` when the consumer is gone.
pub(crate) type Gate = Arc<Line<AtomicU64>>;

/// The sequencer's end of a ring: the only way to write to it. Each ring has one.
#[derive(Debug)]
pub struct RingWriter {
    ring: LogRing,
    /// The end of what is written to the ring, published or not.
    head: Position,
    /// How far readers without a gate have been warned.
    claimed: Position,
    gates: Vec<Gate>,
    /// Nothing at or after this is written: what the gates allowed when they were last read.
    limit: Position,
}

impl RingWriter {
    /// The writer of a new ring that begins at `base`.
    pub(super) fn new(ring: LogRing, base: Position) -> Self {
        let limit = base.plus(ring.capacity() as u64);
        let gates = Vec::with_capacity(GATING_CONSUMERS_MAX);
        Self { ring, head: base, claimed: base, gates, limit }
    }

    /// The ring, with its watermarks.
    #[inline]
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// The end of what is written to the ring, published or not.
    #[inline]
    pub fn head(&self) -> Position {
        self.head
    }

    /// Adds a gate at `from`, or at `published`. `&mut self` keeps it from racing with `read_gates`.
    ///
    /// # Panics
    /// When there are [`GATING_CONSUMERS_MAX`] already, or when the ring has overwritten what follows `from`.
    pub(crate) fn add_gate(&mut self, from: Option<Position>) -> Gate {
        assert!(self.gates.len() < GATING_CONSUMERS_MAX, "more than {GATING_CONSUMERS_MAX} gating consumers");
        let published = self.ring.watermarks().published();
        let from = from.unwrap_or(published);
        let end = from.plus(self.ring.capacity() as u64);
        assert!(from <= published && self.head <= end, "the ring no longer holds what follows {from}");
        self.limit = self.limit.min(end);
        let gate = Arc::new(Line(AtomicU64::new(from.0)));
        self.gates.push(gate.clone());
        gate
    }

    /// Whether the ring may be written up to `to`. Reads the gates only when the last reading does not
    /// suffice.
    #[inline]
    pub(crate) fn has_room(&mut self, to: Position) -> bool {
        to <= self.limit || to <= self.read_gates()
    }

    #[cold]
    #[inline(never)]
    fn read_gates(&mut self) -> Position {
        // Acquire, partner of the Release store in `GatingConsumer::advance`: its reads happened before.
        let slowest = self.gates.iter().map(|gate| gate.0.load(Ordering::Acquire)).min().unwrap_or(u64::MAX);
        let gate = self.ring.watermarks().written().0.min(slowest);
        self.limit = Position(gate).plus(self.ring.capacity() as u64);
        self.limit
    }

    /// Nothing at or after this may be written, by the last reading of the gates.
    pub(crate) fn limit(&self) -> Position {
        self.limit
    }

    /// What keeps the ring from being written further.
    pub(crate) fn backpressure(&self) -> Backpressure {
        let slowest = self.gates.iter().map(|gate| gate.0.load(Ordering::Relaxed)).min().unwrap_or(u64::MAX);
        if slowest < self.ring.watermarks().written().0 {
            Backpressure::Consumer
        } else {
            Backpressure::Journal
        }
    }

    /// Claims the words of the `length` bytes from `head` on and moves `head` past them. The caller stores
    /// every one of them; they are not read before `publish`.
    ///
    /// # Panics
    /// When the gates do not allow it ([`RingWriter::has_room`] was false or not called), or when the ring
    /// wraps in the run.
    #[inline]
    pub(crate) fn word_run(&mut self, length: usize) -> (Position, &[AtomicU64]) {
        let (from, to) = (self.head, self.head.plus(length as u64));
        assert!(to <= self.limit, "the gates allow {}, not {to}", self.limit);
        let shared = &*self.ring.shared;
        if to > self.claimed {
            self.claimed = Position(to.0.next_multiple_of(CLAIM_LENGTH));
            shared.claims.claim(self.claimed);
        }
        self.head = to;
        let start = shared.offset(from) / 8;
        (from, &shared.mapping.words()[start..start + length / 8])
    }

    /// Stores the first word of the unpublished run at `at` once more: it holds the checksum of the others.
    #[inline]
    pub(crate) fn store_first(&mut self, at: Position, word: u64) {
        let shared = &*self.ring.shared;
        debug_assert!(shared.watermarks.published() <= at && at < self.head);
        shared.mapping.words()[shared.offset(at) / 8].store(word, Ordering::Relaxed);
    }

    /// The unpublished bytes `[from .. to)` as the caller stored them.
    #[inline]
    pub(crate) fn unpublished(&self, from: Position, to: Position) -> &[u8] {
        let shared = &*self.ring.shared;
        debug_assert!(shared.watermarks.published() <= from && from <= to && to <= self.head);
        // SAFETY: stores need `store_first(&mut self)` or the slice that `word_run(&mut self)` returned, so
        // none happens while this borrow of `self` lives, and the earlier ones were made by this thread.
        unsafe { shared.mapping.bytes(shared.offset(from), (to.0 - from.0) as usize) }
    }

    /// Publishes everything that is written.
    #[inline]
    pub(crate) fn publish(&mut self) {
        self.ring.watermarks().advance(Watermark::Published, self.head);
    }

    /// Records that a batch ends at `head`, which is published. Its padding begins at `padding`.
    pub(crate) fn close_batch(&mut self, padding: Position) {
        self.ring.watermarks().advance(Watermark::Batched, self.head);
        self.ring.shared.claims.set_resume(padding);
    }

    pub(crate) fn set_stopped(&self) {
        self.ring.shared.health.set_stopped();
    }
}
