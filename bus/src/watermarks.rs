//! The watermarks of a log: positions that only grow, each at most the one before it.

use crate::sync::{AtomicU64, Line, Ordering};
use stele_wire::Position;

/// The name of a watermark. No watermark's position is greater than that of the one listed before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Watermark {
    /// The end of what consumers may read. Advanced by the sequencer.
    Published,
    /// The end of the last closed batch, a multiple of the device block. Advanced by the sequencer.
    Batched,
    /// The end of what the device has. Advanced by the journal.
    Written,
    /// The end of the contiguous prefix that is flushed. Advanced by the journal.
    Durable,
    /// The end of what a signed checkpoint covers. Advanced by the sealer.
    Sealed,
}

impl Watermark {
    /// All watermarks, from the greatest position to the smallest.
    pub const ALL: [Self; 5] = [Self::Published, Self::Batched, Self::Written, Self::Durable, Self::Sealed];
}

/// The watermarks of one log, each on its own cache line: `published >= batched >= written >= durable >=
/// sealed`.
///
/// Every thread may read them. Each is set by one owner only ([`crate::RingWriter`],
/// [`crate::JournalReader`], [`crate::SealMark`]), because what may be overwritten depends on `written`.
#[repr(C)]
#[derive(Debug)]
pub struct Watermarks {
    marks: [Line<AtomicU64>; 5],
}

impl Watermarks {
    /// All of them at `base`.
    #[cfg(test)]
    pub(crate) fn at(base: Position) -> Self {
        Self { marks: std::array::from_fn(|_| Line(AtomicU64::new(base.0))) }
    }

    /// Sets all of them to `base`, before the memory is shared.
    pub(crate) fn begin(&self, base: Position) {
        self.marks.iter().for_each(|mark| mark.0.store(base.0, Ordering::Relaxed));
    }

    /// Returns the position of `mark`. Acquire: what its owner did before it advanced the mark is visible;
    /// partner of the Release store in `advance`.
    #[inline]
    pub fn get(&self, mark: Watermark) -> Position {
        Position(self.marks[mark as usize].0.load(Ordering::Acquire))
    }

    /// The end of what consumers may read.
    #[inline]
    pub fn published(&self) -> Position {
        self.get(Watermark::Published)
    }

    /// The end of the last closed batch.
    #[inline]
    pub fn batched(&self) -> Position {
        self.get(Watermark::Batched)
    }

    /// The end of what the device has.
    #[inline]
    pub fn written(&self) -> Position {
        self.get(Watermark::Written)
    }

    /// The end of what is flushed.
    #[inline]
    pub fn durable(&self) -> Position {
        self.get(Watermark::Durable)
    }

    /// The end of what a signed checkpoint covers.
    #[inline]
    pub fn sealed(&self) -> Position {
        self.get(Watermark::Sealed)
    }

    /// Moves `mark` to `to`. It is the only setter, and only one thread calls it for a given mark. Release,
    /// partner of the Acquire load in `get`.
    ///
    /// # Panics
    /// When `mark` would go back or pass the watermark before it.
    #[inline]
    pub(crate) fn advance(&self, mark: Watermark, to: Position) {
        let slot = &self.marks[mark as usize].0;
        let from = slot.load(Ordering::Relaxed);
        assert!(to.0 >= from, "{mark:?} would go back from {from} to {to}");
        if mark != Watermark::Published {
            let before = self.marks[mark as usize - 1].0.load(Ordering::Acquire);
            assert!(to.0 <= before, "{mark:?} would pass the watermark before it: {to} > {before}");
        }
        slot.store(to.0, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_watermark_follows_the_one_before_it() {
        let marks = Watermarks::at(Position(4096));
        for (index, mark) in Watermark::ALL.into_iter().enumerate() {
            assert_eq!(marks.get(mark), Position(4096));
            marks.advance(mark, Position(8192 - index as u64 * 512));
        }
        assert_eq!(marks.published(), Position(8192));
        assert_eq!(marks.sealed(), Position(8192 - 4 * 512));
    }

    #[test]
    #[should_panic(expected = "Durable would pass the watermark before it")]
    fn nothing_is_durable_before_it_is_written() {
        let marks = Watermarks::at(Position(0));
        marks.advance(Watermark::Published, Position(512));
        marks.advance(Watermark::Durable, Position(512));
    }

    #[test]
    #[should_panic(expected = "Published would go back")]
    fn no_watermark_goes_back() {
        let marks = Watermarks::at(Position(64));
        marks.advance(Watermark::Published, Position(0));
    }

    #[test]
    fn no_two_watermarks_share_a_cache_line() {
        let marks = Watermarks::at(Position(0));
        let lines: Vec<usize> =
            marks.marks.iter().map(|mark| std::ptr::from_ref(mark) as usize / 128).collect();
        assert!(lines.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
