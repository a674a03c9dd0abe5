//! How a reader that nobody waits for learns whether what it copied was overwritten meanwhile.
//!
//! The writer stores how far it is about to overwrite (`claimed`), fences, writes words, and publishes them
//! later. A reader copies words, fences, and loads `claimed`: if the copied range is more than a ring's length
//! behind it, some word may be new, and the copy is thrown away. Every word is an atomic, so that a torn copy is
//! a wrong value and never a data race.
//!
//! If a reader's load of a word took a value stored after a claim, the writer's Release fence (in `claim`) and
//! the reader's Acquire fence (in `is_intact`) make that claim visible to the load after the latter.

use crate::sync::{AtomicU64, Line, Ordering, fence};
use stele_wire::Position;

/// The writer's claim and the place where an overrun reader joins again.
#[derive(Debug)]
pub(crate) struct Claims {
    claimed: Line<AtomicU64>,
    resume: Line<AtomicU64>,
}

impl Claims {
    pub(crate) fn at(base: Position) -> Self {
        Self { claimed: Line(AtomicU64::new(base.0)), resume: Line(AtomicU64::new(base.0)) }
    }

    /// Says that words up to `to` are about to be written. The writer calls it before it writes them.
    #[inline]
    pub(crate) fn claim(&self, to: Position) {
        self.claimed.0.store(to.0, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    /// Whether words copied from `from` on, before this call, are still those of that position.
    #[inline]
    pub(crate) fn is_intact(&self, from: Position, capacity: usize) -> bool {
        fence(Ordering::Acquire);
        self.claimed.0.load(Ordering::Relaxed) <= from.0 + capacity as u64
    }

    /// Names the padding that an overrun reader resumes at; published before. Release, partner of the Acquire
    /// load in `resume`.
    #[inline]
    pub(crate) fn set_resume(&self, at: Position) {
        self.resume.0.store(at.0, Ordering::Release);
    }

    /// The start of the newest published padding that closes a batch, or of the epoch before there is one.
    #[inline]
    pub(crate) fn resume(&self) -> Position {
        Position(self.resume.0.load(Ordering::Acquire))
    }
}

/// Copies `into.len()` words from `position` on, which do not cross the ring's end.
#[inline]
pub(crate) fn copy_words(ring: &[AtomicU64], position: Position, into: &mut [u64]) {
    let start = (position.0 as usize / 8) & (ring.len() - 1);
    let words = &ring[start..start + into.len()];
    for (to, from) in into.iter_mut().zip(words) {
        *to = from.load(Ordering::Relaxed);
    }
}
