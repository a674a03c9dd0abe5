//! Where the next frame goes, which padding goes before it, and when a batch closes. Positions and times alone:
//! no memory, no clock, no thread.
//!
//! A frame crosses neither the ring's end nor a segment's. To keep that possible, the room left before either is
//! 0 or takes a padding. A batch ends on a device block; where the room in the block is too short for a padding,
//! the padding goes on over the next block, which lies before the next end because ends are block-aligned.

use crate::bounds::{
    BATCH_AGE_MAX, BATCH_LENGTH_MAX, BLOCK_LENGTH_MAX, BLOCK_LENGTH_MIN, IDLE_WATERMARK_DELAY,
    IN_FLIGHT_LENGTH_MAX, SEGMENT_LENGTH_MIN,
};
use stele_wire::bounds::{FRAME_ALIGNMENT, FRAME_LENGTH_MAX, PADDING_LENGTH_MIN};
use stele_wire::{Nanos, Position};

/// The ends that frames and batches keep to. Lengths in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// The epoch's first position, a multiple of `block_length`; segments are counted from it.
    pub base: Position,
    /// Of the ring, a power of two.
    pub ring_length: usize,
    /// Of a segment's data, a multiple of `block_length`.
    pub segment_length: u64,
    /// Of the device block, a power of two.
    pub block_length: usize,
}

/// What is wrong with a [`Geometry`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GeometryError {
    /// The block is no power of two or out of bounds.
    #[error("block of {0} bytes: a power of two from {BLOCK_LENGTH_MIN} to {BLOCK_LENGTH_MAX} is needed")]
    Block(usize),
    /// The epoch begins inside a block.
    #[error("the epoch begins at position {base}, which is inside a block of {block_length} bytes")]
    Base {
        /// The epoch's first position.
        base: Position,
        /// Of the device block.
        block_length: usize,
    },
    /// The segment is too short, or no multiple of the block.
    #[error("segment of {0} bytes: a multiple of the block, at least {SEGMENT_LENGTH_MIN}, is needed")]
    Segment(u64),
}

impl Geometry {
    /// Checks the relations that [`Appender`] builds on.
    ///
    /// # Errors
    /// [`GeometryError`], the first one found.
    pub fn check(&self) -> Result<(), GeometryError> {
        let block = self.block_length;
        if !block.is_power_of_two() || !(BLOCK_LENGTH_MIN..=BLOCK_LENGTH_MAX).contains(&block) {
            return Err(GeometryError::Block(block));
        }
        if !self.base.0.is_multiple_of(block as u64) {
            return Err(GeometryError::Base { base: self.base, block_length: block });
        }
        let segment = self.segment_length;
        if segment < SEGMENT_LENGTH_MIN as u64 || !segment.is_multiple_of(block as u64) {
            return Err(GeometryError::Segment(segment));
        }
        Ok(())
    }

    /// The first ring or segment end after `position`.
    fn next_end(&self, position: Position) -> Position {
        let ring_end = (position.0 | (self.ring_length as u64 - 1)) + 1;
        let segments = (position.0 - self.base.0) / self.segment_length + 1;
        Position(ring_end.min(self.base.0 + segments * self.segment_length))
    }
}

/// A batch that has begun and not closed.
#[derive(Clone, Copy, Debug)]
struct OpenBatch {
    start: Position,
    opened: Nanos,
    waits: bool,
}

/// The log's layout as it grows.
#[derive(Clone, Debug)]
pub struct Appender {
    geometry: Geometry,
    head: Position,
    next_end: Position,
    batch: Option<OpenBatch>,
    last_event_end: Position,
    /// The durable watermark in the newest padding.
    recorded: Position,
    /// When an acknowledgement over events was first seen that no padding records.
    unrecorded_since: Option<Nanos>,
}

impl Appender {
    /// An empty log at the geometry's base.
    ///
    /// # Errors
    /// What [`Geometry::check`] finds.
    pub fn new(geometry: Geometry) -> Result<Self, GeometryError> {
        geometry.check()?;
        Ok(Self {
            geometry,
            head: geometry.base,
            next_end: geometry.next_end(geometry.base),
            batch: None,
            last_event_end: geometry.base,
            recorded: geometry.base,
            unrecorded_since: None,
        })
    }

    /// Where the next frame, padding included, goes.
    #[inline]
    pub fn head(&self) -> Position {
        self.head
    }

    /// Bytes of padding that go before an event frame of `length` bytes; 0 in most cases.
    #[inline]
    pub fn padding_before(&self, length: usize) -> usize {
        debug_assert!(length.is_multiple_of(FRAME_ALIGNMENT));
        let room = (self.next_end.0 - self.head.0) as usize;
        if length == room || length + PADDING_LENGTH_MIN <= room { 0 } else { room }
    }

    /// Bytes of padding that close the open batch: never 0, because each batch's padding carries the durable
    /// watermark, and never more than a block and the shortest padding.
    #[inline]
    pub fn padding_to_close(&self) -> usize {
        let block = self.geometry.block_length;
        let room = block - (self.head.0 as usize & (block - 1));
        if room >= PADDING_LENGTH_MIN { room } else { room + block }
    }

    /// How much of `padding` bytes goes into the next padding frame: all, unless that is longer than a frame.
    pub fn padding_piece(padding: usize) -> usize {
        if padding <= FRAME_LENGTH_MAX { padding } else { FRAME_LENGTH_MAX.min(padding - PADDING_LENGTH_MIN) }
    }

    /// An upper bound of where the log ends once event frames of `length` bytes together stand on it and their
    /// batch is closed: what must be free before they are written.
    #[inline]
    pub fn end_closed_after(&self, length: usize) -> Position {
        let closing = self.geometry.block_length + PADDING_LENGTH_MIN;
        self.head.plus((self.padding_before(length) + length + closing) as u64)
    }

    /// An event frame of `length` bytes stands at the head. `waits` says that its release is waited for.
    #[inline]
    pub fn on_event(&mut self, length: usize, timestamp: Nanos, waits: bool) {
        debug_assert_eq!(self.padding_before(length), 0, "frame across an end");
        let start = self.head;
        self.advance(length);
        self.last_event_end = self.head;
        match &mut self.batch {
            Some(batch) => batch.waits |= waits,
            None => self.batch = Some(OpenBatch { start, opened: timestamp, waits }),
        }
    }

    /// A padding frame of `length` bytes that records `durable` stands at the head.
    pub fn on_padding(&mut self, length: usize, timestamp: Nanos, durable: Position) {
        assert!((PADDING_LENGTH_MIN..=FRAME_LENGTH_MAX).contains(&length) && self.recorded <= durable);
        let start = self.head;
        self.advance(length);
        self.recorded = durable;
        self.unrecorded_since = None;
        self.batch.get_or_insert(OpenBatch { start, opened: timestamp, waits: false });
    }

    #[inline]
    fn advance(&mut self, length: usize) {
        self.head = self.head.plus(length as u64);
        if self.head >= self.next_end {
            assert_eq!(self.head, self.next_end, "frame across an end");
            self.next_end = self.geometry.next_end(self.head);
        }
    }

    /// Bytes of the open batch.
    #[inline]
    pub fn batch_length(&self) -> usize {
        self.batch.map_or(0, |batch| (self.head.0 - batch.start.0) as usize)
    }

    /// Whether the open batch has reached the length at which it closes whatever else goes on.
    #[inline]
    pub fn is_batch_full(&self) -> bool {
        self.batch_length() >= BATCH_LENGTH_MAX
    }

    /// Whether the open batch closes at the end of a duty cycle at `now`, `unwritten` bytes of closed batches
    /// being still with the journal.
    #[inline]
    pub fn closes(&self, now: Nanos, unwritten: u64) -> bool {
        let Some(batch) = self.batch else { return false };
        (batch.waits && unwritten < IN_FLIGHT_LENGTH_MAX as u64)
            || self.is_batch_full()
            || now.0.saturating_sub(batch.opened.0) >= BATCH_AGE_MAX.0
    }

    /// The open batch ends at the head.
    ///
    /// # Panics
    /// When the head is not on a block end.
    pub fn on_close(&mut self) {
        assert!(self.head.0.is_multiple_of(self.geometry.block_length as u64), "a batch ends on a block");
        self.batch = None;
    }

    /// Whether `durable` has passed events that the newest padding does not record.
    #[inline]
    pub fn is_unrecorded(&self, durable: Position) -> bool {
        durable.min(self.last_event_end) > self.recorded
    }

    /// Whether a watermark-only block is due: no batch is open, and `durable` has passed events that the newest
    /// padding does not record, for [`IDLE_WATERMARK_DELAY`].
    #[inline]
    pub fn needs_watermark(&mut self, now: Nanos, durable: Position) -> bool {
        if self.batch.is_some() || !self.is_unrecorded(durable) {
            self.unrecorded_since = None;
            return false;
        }
        let since = *self.unrecorded_since.get_or_insert(now);
        now.0.saturating_sub(since.0) >= IDLE_WATERMARK_DELAY.0
    }

    /// Bytes of a watermark-only block.
    pub fn watermark_length(&self) -> usize {
        self.geometry.block_length
    }
}
