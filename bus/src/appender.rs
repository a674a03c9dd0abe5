//! The layout of the log as it grows: where the next frame begins, which padding comes before it, and when a
//! batch closes. It computes with positions and times only, without memory, clock or thread.
//!
//! No frame crosses the end of the ring or of a segment. Therefore the room that is left before either end is
//! always 0 or enough for a padding. A batch ends on a device block. Where the room in the block is too short
//! for a padding, the padding continues over the next block, which fits because both ends are block-aligned.

use crate::bounds::{
    BATCH_AGE_MAX, BATCH_LENGTH_MAX, BLOCK_LENGTH_MAX, BLOCK_LENGTH_MIN, IDLE_WATERMARK_DELAY,
    IN_FLIGHT_LENGTH_MAX, SEGMENT_LENGTH_MIN,
};
use stele_wire::bounds::{FRAME_ALIGNMENT, FRAME_LENGTH_MAX, PADDING_LENGTH_MIN};
use stele_wire::{Nanos, Position};

/// The lengths that decide where frames and batches may end, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// The epoch's first position, a multiple of `block_length`; segments are counted from it.
    pub base: Position,
    /// The ring's length, a power of two.
    pub ring_length: usize,
    /// The length of a segment's data, a multiple of `block_length`.
    pub segment_length: u64,
    /// The length of the device block, a power of two.
    pub block_length: usize,
}

/// What is wrong with a [`Geometry`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GeometryError {
    /// The block's length is out of bounds or not a power of two.
    #[error("block of {0} bytes: choose a power of two from {BLOCK_LENGTH_MIN} to {BLOCK_LENGTH_MAX}")]
    Block(usize),
    /// The epoch begins inside a block.
    #[error("the epoch begins at position {base}, which is inside a block of {block_length} bytes")]
    Base {
        /// The epoch's first position.
        base: Position,
        /// The length of the device block.
        block_length: usize,
    },
    /// The segment is too short or not a multiple of the block.
    #[error("segment of {0} bytes: choose a multiple of the block's length, at least {SEGMENT_LENGTH_MIN}")]
    Segment(u64),
}

impl Geometry {
    /// Checks the relations that [`Appender`] depends on.
    ///
    /// # Errors
    /// The first relation that does not hold.
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

/// Whether `length` bytes may come before an end that is `room` bytes away.
#[inline]
const fn fits(length: usize, room: usize) -> bool {
    length == room || length + PADDING_LENGTH_MIN <= room
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
    /// When `durable` was first seen past events whose durability no padding records.
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

    /// The position of the next frame, whether event or padding.
    #[inline]
    pub fn head(&self) -> Position {
        self.head
    }

    /// The bytes of padding that are needed before an event frame of `length` bytes, 0 in most cases. Call it
    /// again after the padding: the end of the ring and of a segment may be closer together than the frame is
    /// long.
    #[inline]
    pub fn padding_before(&self, length: usize) -> usize {
        debug_assert!(length.is_multiple_of(FRAME_ALIGNMENT));
        let room = (self.next_end.0 - self.head.0) as usize;
        if fits(length, room) { 0 } else { room }
    }

    /// The bytes of padding that close the open batch. It is never 0, because each batch's padding records
    /// the durable watermark, and never more than a block and the shortest padding.
    #[inline]
    pub fn padding_to_close(&self) -> usize {
        let block = self.geometry.block_length;
        let room = block - (self.head.0 as usize & (block - 1));
        if room >= PADDING_LENGTH_MIN { room } else { room + block }
    }

    /// The length of the next padding frame when `padding` bytes are to be filled: all of them, unless that
    /// is longer than a frame may be.
    pub fn padding_piece(padding: usize) -> usize {
        if padding <= FRAME_LENGTH_MAX { padding } else { FRAME_LENGTH_MAX.min(padding - PADDING_LENGTH_MIN) }
    }

    /// An upper bound of the log's end after event frames of `length` bytes in total and the close of their
    /// batch. The ring must be free up to there before they are written.
    #[inline]
    pub fn end_closed_after(&self, length: usize) -> Position {
        let closing = self.geometry.block_length + PADDING_LENGTH_MIN;
        let at = if self.padding_before(length) == 0 { self.head } else { self.first_fit(length) };
        at.plus((length + closing) as u64)
    }

    /// The first end after which there is room for `length` bytes.
    #[cold]
    fn first_fit(&self, length: usize) -> Position {
        let mut at = self.next_end;
        loop {
            let end = self.geometry.next_end(at);
            if fits(length, (end.0 - at.0) as usize) {
                return at;
            }
            at = end;
        }
    }

    /// Records that an event frame of `length` bytes was written at the head. `waits` is true when it waits
    /// for a release watermark.
    #[inline]
    pub fn on_event(&mut self, length: usize, age: Nanos, waits: bool) {
        debug_assert_eq!(self.padding_before(length), 0, "frame across an end");
        let start = self.head;
        self.advance(length);
        self.last_event_end = self.head;
        match &mut self.batch {
            Some(batch) => batch.waits |= waits,
            None => self.batch = Some(OpenBatch { start, opened: age, waits }),
        }
    }

    /// Records that a padding frame of `length` bytes, which records `durable`, was written at the head.
    pub fn on_padding(&mut self, length: usize, age: Nanos, durable: Position) {
        assert!((PADDING_LENGTH_MIN..=FRAME_LENGTH_MAX).contains(&length) && self.recorded <= durable);
        let start = self.head;
        self.advance(length);
        self.recorded = durable;
        self.unrecorded_since = None;
        self.batch.get_or_insert(OpenBatch { start, opened: age, waits: false });
    }

    #[inline]
    fn advance(&mut self, length: usize) {
        self.head = self.head.plus(length as u64);
        if self.head >= self.next_end {
            assert_eq!(self.head, self.next_end, "frame across an end");
            self.next_end = self.geometry.next_end(self.head);
        }
    }

    /// The bytes in the open batch.
    #[inline]
    pub fn batch_length(&self) -> usize {
        self.batch.map_or(0, |batch| (self.head.0 - batch.start.0) as usize)
    }

    /// Whether the open batch has reached the length at which it always closes.
    #[inline]
    pub fn is_batch_full(&self) -> bool {
        self.batch_length() >= BATCH_LENGTH_MAX
    }

    /// Whether the open batch closes at the end of a duty cycle at `now`, while the journal has not yet
    /// written `unwritten` bytes of closed batches.
    #[inline]
    pub fn closes(&self, now: Nanos, unwritten: u64) -> bool {
        let Some(batch) = self.batch else { return false };
        (batch.waits && unwritten < IN_FLIGHT_LENGTH_MAX as u64)
            || self.is_batch_full()
            || now.0.saturating_sub(batch.opened.0) >= BATCH_AGE_MAX.0
    }

    /// Records that the open batch ends at the head.
    ///
    /// # Panics
    /// When the head is not at the end of a block.
    pub fn on_close(&mut self) {
        assert!(self.head.0.is_multiple_of(self.geometry.block_length as u64), "a batch ends on a block");
        self.batch = None;
    }

    /// Whether `durable` has passed events that the newest padding does not record.
    #[inline]
    pub fn is_unrecorded(&self, durable: Position) -> bool {
        durable.min(self.last_event_end) > self.recorded
    }

    /// Whether a block of padding is due that only records the watermark: no batch is open, and for
    /// [`IDLE_WATERMARK_DELAY`] `durable` has been past events whose durability no padding records.
    #[inline]
    pub fn needs_watermark(&mut self, now: Nanos, durable: Position) -> bool {
        if self.batch.is_some() || !self.is_unrecorded(durable) {
            self.unrecorded_since = None;
            return false;
        }
        let since = *self.unrecorded_since.get_or_insert(now);
        now.0.saturating_sub(since.0) >= IDLE_WATERMARK_DELAY.0
    }

    /// The bytes of a block of padding that only records the watermark.
    pub fn watermark_length(&self) -> usize {
        self.geometry.block_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RING: usize = 1 << 20;

    fn geometry(block_length: usize, segment_blocks: u64, base_blocks: u64) -> Geometry {
        let block = block_length as u64;
        let segment_length = (SEGMENT_LENGTH_MIN as u64).next_multiple_of(block) + segment_blocks * block;
        Geometry { base: Position(base_blocks * block), ring_length: RING, segment_length, block_length }
    }

    /// Places frames of these lengths as the sequencer does and closes batches where `frames` says so.
    /// Returns every frame as (position, length, is padding), and the ends of the batches.
    fn lay(geometry: Geometry, frames: &[(usize, bool)]) -> (Vec<(u64, usize, bool)>, Vec<u64>) {
        let mut appender = Appender::new(geometry).unwrap();
        let (mut laid, mut ends) = (Vec::new(), Vec::new());
        let pad = |appender: &mut Appender, laid: &mut Vec<_>, mut left: usize| {
            while left > 0 {
                let piece = Appender::padding_piece(left);
                laid.push((appender.head().0, piece, true));
                appender.on_padding(piece, Nanos(0), geometry.base);
                left -= piece;
            }
        };
        for &(length, closes) in frames {
            let bound = appender.end_closed_after(length);
            while appender.padding_before(length) > 0 {
                let padding = appender.padding_before(length);
                pad(&mut appender, &mut laid, padding);
            }
            laid.push((appender.head().0, length, false));
            appender.on_event(length, Nanos(0), false);
            let closed = appender.head().plus(appender.padding_to_close() as u64);
            assert!(closed <= bound, "the bound {bound} holds {closed}");
            if closes {
                let padding = appender.padding_to_close();
                pad(&mut appender, &mut laid, padding);
                appender.on_close();
                ends.push(appender.head().0);
            }
        }
        (laid, ends)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_byte_is_in_one_frame_and_no_frame_crosses_an_end(
            block_shift in 9_usize..=15,
            segment_blocks in 0_u64..5,
            base_blocks in 0_u64..5_000,
            frames in prop::collection::vec(
                (prop_oneof![4 => 5_usize..40, 1 => 5_usize..=8191].prop_map(|words| words * 8), prop::bool::weighted(0.2)),
                1..400,
            ),
        ) {
            let geometry = geometry(1 << block_shift, segment_blocks, base_blocks);
            let (laid, ends) = lay(geometry, &frames);
            let mut head = geometry.base.0;
            for &(position, length, is_padding) in &laid {
                prop_assert_eq!(position, head, "no byte is left out");
                head += length as u64;
                prop_assert_eq!(position / RING as u64, (head - 1) / RING as u64, "ring end");
                let segment = |position: u64| (position - geometry.base.0) / geometry.segment_length;
                prop_assert_eq!(segment(position), segment(head - 1), "segment end");
                prop_assert!(length <= FRAME_LENGTH_MAX && length % FRAME_ALIGNMENT == 0);
                prop_assert!(!is_padding || length >= PADDING_LENGTH_MIN);
            }
            for end in ends {
                prop_assert_eq!(end % geometry.block_length as u64, 0, "batch end");
            }
            let events: Vec<usize> = laid.iter().filter(|frame| !frame.2).map(|frame| frame.1).collect();
            prop_assert_eq!(events, frames.iter().map(|frame| frame.0).collect::<Vec<_>>());
        }
    }

    fn small() -> Appender {
        Appender::new(geometry(512, 0, 0)).unwrap()
    }

    #[test]
    fn a_batch_closes_for_an_order_only_while_the_journal_can_take_it() {
        let mut appender = small();
        appender.on_event(80, Nanos(1_000), false);
        assert!(!appender.closes(Nanos(1_000), 0), "market data waits for no release");
        appender.on_event(304, Nanos(1_000), true);
        assert!(appender.closes(Nanos(1_000), 0));
        assert!(!appender.closes(Nanos(1_000), IN_FLIGHT_LENGTH_MAX as u64), "the batch grows instead");
    }

    #[test]
    fn a_batch_closes_by_age_and_by_length_whatever_the_journal_does() {
        let mut appender = small();
        let opened = Nanos(1_000);
        appender.on_event(80, opened, false);
        let unwritten = u64::MAX;
        assert!(!appender.closes(Nanos(opened.0 + BATCH_AGE_MAX.0 - 1), unwritten));
        assert!(appender.closes(Nanos(opened.0 + BATCH_AGE_MAX.0), unwritten));
        appender.on_event(BATCH_LENGTH_MAX - 80, opened, false);
        assert!(appender.closes(opened, unwritten));
    }

    #[test]
    fn padding_too_short_for_its_block_continues_over_the_next() {
        let mut appender = small();
        appender.on_event(512 - 48, Nanos(0), false);
        assert_eq!(appender.padding_to_close(), 48 + 512);
        let mut appender = small();
        appender.on_event(512, Nanos(0), false);
        assert_eq!(appender.padding_to_close(), 512, "each batch's padding carries the watermark");
    }

    #[test]
    fn a_watermark_only_block_is_due_once_after_the_delay() {
        let mut appender = small();
        appender.on_event(80, Nanos(0), true);
        let padding = appender.padding_to_close();
        appender.on_padding(padding, Nanos(0), Position(0));
        appender.on_close();
        let durable = appender.head();
        assert!(!appender.needs_watermark(Nanos(10), Position(0)), "nothing is acknowledged");
        assert!(!appender.needs_watermark(Nanos(100), durable));
        assert!(!appender.needs_watermark(Nanos(99 + IDLE_WATERMARK_DELAY.0), durable));
        assert!(appender.needs_watermark(Nanos(100 + IDLE_WATERMARK_DELAY.0), durable));
        appender.on_padding(appender.watermark_length(), Nanos(0), durable);
        appender.on_close();
        assert!(!appender.needs_watermark(Nanos(u64::MAX), appender.head()), "it needs no other");
    }

    #[test]
    fn lengths_that_contradict_each_other_are_refused() {
        let good = geometry(4096, 0, 0);
        assert_eq!(Geometry { block_length: 1000, ..good }.check(), Err(GeometryError::Block(1000)));
        assert_eq!(Geometry { segment_length: 4096, ..good }.check(), Err(GeometryError::Segment(4096)));
        let base = Geometry { base: Position(512), ..good }.check();
        assert_eq!(base, Err(GeometryError::Base { base: Position(512), block_length: 4096 }));
    }
}
