//! The watermarks of a log: positions that only grow, each behind the one before it.

use crate::sync::{AtomicU64, Line, Ordering};
use stele_wire::Position;

/// A watermark's name, in the order that the positions keep: none passes the one above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Watermark {
    /// Frames up to here may be read. Moved by the sequencer.
    Published,
    /// The end of the last closed batch, a multiple of the device block. Moved by the sequencer.
    Batched,
    /// The device has it. Moved by the journal.
    Written,
    /// A contiguous prefix that is flushed. Moved by the journal.
    Durable,
    /// Under a signed checkpoint. Moved by the sealer.
    Sealed,
}

impl Watermark {
    /// All of them, from the foremost to the hindmost.
    pub const ALL: [Self; 5] = [Self::Published, Self::Batched, Self::Written, Self::Durable, Self::Sealed];
}

/// `published >= batched >= written >= durable >= sealed`, each on a cache line of its own.
///
/// Reading is open to every thread. Setting is not: each watermark has one owner ([`crate::RingWriter`],
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

    /// Puts all of them at `base`, before anybody else sees them.
    pub(crate) fn begin(&self, base: Position) {
        self.marks.iter().for_each(|mark| mark.0.store(base.0, Ordering::Relaxed));
    }

    /// Where `mark` is. Acquire: what its owner did before moving it there is visible; partner of the Release
    /// store in `advance`.
    #[inline]
    pub fn get(&self, mark: Watermark) -> Position {
        Position(self.marks[mark as usize].0.load(Ordering::Acquire))
    }

    /// Frames up to here may be read.
    #[inline]
    pub fn published(&self) -> Position {
        self.get(Watermark::Published)
    }

    /// The end of the last closed batch.
    #[inline]
    pub fn batched(&self) -> Position {
        self.get(Watermark::Batched)
    }

    /// What the device has.
    #[inline]
    pub fn written(&self) -> Position {
        self.get(Watermark::Written)
    }

    /// What is flushed.
    #[inline]
    pub fn durable(&self) -> Position {
        self.get(Watermark::Durable)
    }

    /// What is under a signed checkpoint.
    #[inline]
    pub fn sealed(&self) -> Position {
        self.get(Watermark::Sealed)
    }

    /// Moves `mark` to `to`: the one setter. Release, partner of the Acquire load in `get`. One thread calls it
    /// for a given mark.
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
