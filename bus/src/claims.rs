//! The claim protocol: how a reader without a gate finds out whether the words that it copied were
//! overwritten meanwhile.
//!
//! The writer stores how far it is about to overwrite (`claimed`), fences, writes words, and publishes them
//! later. A reader copies words, fences, and loads `claimed`. If `claimed` is more than a ring's length after
//! the start of the copied range, some word may be new, and the reader discards the copy. Every word is an
//! atomic, so a torn copy is a wrong value and never a data race.
//!
//! If a reader loaded a value that was stored after a claim, the writer's Release fence (in `claim`) and the
//! reader's Acquire fence (in `is_intact`) make that claim visible to the load after the Acquire fence.

use crate::sync::{AtomicU64, Line, Ordering, fence};
use stele_wire::Position;

/// The writer's claim, and the position where an overrun reader resumes.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Claims {
    claimed: Line<AtomicU64>,
    resume: Line<AtomicU64>,
}

impl Claims {
    #[cfg(all(test, loom))]
    fn at(base: Position) -> Self {
        Self { claimed: Line(AtomicU64::new(base.0)), resume: Line(AtomicU64::new(base.0)) }
    }

    /// Sets both to `base`, before the memory is shared.
    pub(crate) fn begin(&self, base: Position) {
        self.claimed.0.store(base.0, Ordering::Relaxed);
        self.resume.0.store(base.0, Ordering::Relaxed);
    }

    /// Announces that words up to `to` are about to be written. The writer calls it before it writes them.
    #[inline]
    pub(crate) fn claim(&self, to: Position) {
        self.claimed.0.store(to.0, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    /// Whether the words that were copied from `from` on, before this call, are still those of that position.
    #[inline]
    pub(crate) fn is_intact(&self, from: Position, capacity: usize) -> bool {
        fence(Ordering::Acquire);
        self.claimed.0.load(Ordering::Relaxed) <= from.0 + capacity as u64
    }

    /// Sets where an overrun reader resumes: at a padding that is already published. Release, partner of the
    /// Acquire load in `resume`.
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

/// The publish, claim and gate protocols in small, on the same code: a ring of two frames of two words.
#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use crate::watermarks::{Watermark, Watermarks};
    use loom::sync::Arc;
    use loom::thread;

    const FRAME: u64 = 16;
    const CAPACITY: usize = 2 * FRAME as usize;
    const FRAMES: u64 = 3;

    struct Ring {
        words: Vec<AtomicU64>,
        marks: Watermarks,
        claims: Claims,
        gate: AtomicU64,
    }

    fn ring() -> Arc<Ring> {
        Arc::new(Ring {
            words: (0..CAPACITY / 8).map(|_| AtomicU64::new(0)).collect(),
            marks: Watermarks::at(Position(0)),
            claims: Claims::at(Position(0)),
            gate: AtomicU64::new(0),
        })
    }

    /// Frame `n` is twice the word `n + 1`.
    fn write(ring: &Ring, frame: u64) {
        let from = frame * FRAME;
        ring.claims.claim(Position(from + FRAME));
        let start = from as usize / 8 % ring.words.len();
        for word in &ring.words[start..start + 2] {
            word.store(frame + 1, Ordering::Relaxed);
        }
        ring.marks.advance(Watermark::Published, Position(from + FRAME));
    }

    fn copy(ring: &Ring, frame: u64) -> Option<[u64; 2]> {
        let mut words = [0; 2];
        copy_words(&ring.words, Position(frame * FRAME), &mut words);
        ring.claims.is_intact(Position(frame * FRAME), CAPACITY).then_some(words)
    }

    // The writer runs on the model's first thread: loom keeps one last access per atomic, and the writer's
    // own load in `advance` would hide a reader's earlier one, and with it the interleavings to explore.

    #[test]
    fn loom_a_copy_that_is_accepted_is_the_frame_of_its_position() {
        loom::model(|| {
            let ring = ring();
            let reader = thread::spawn({
                let ring = ring.clone();
                move || {
                    for frame in 0..2 {
                        if ring.marks.published().0 < (frame + 1) * FRAME {
                            return;
                        }
                        if let Some(words) = copy(&ring, frame) {
                            assert_eq!(words, [frame + 1; 2], "a torn or newer frame was accepted");
                        }
                    }
                }
            });
            (0..FRAMES).for_each(|frame| write(&ring, frame));
            reader.join().unwrap();
        });
    }

    #[test]
    fn loom_what_a_gate_holds_is_not_written_over() {
        loom::model(|| {
            let ring = ring();
            let reader = thread::spawn({
                let ring = ring.clone();
                move || {
                    let published = ring.marks.published().0 / FRAME;
                    for frame in 0..published.min(2) {
                        let start = frame as usize * 2;
                        for word in &ring.words[start..start + 2] {
                            assert_eq!(word.load(Ordering::Relaxed), frame + 1, "a held frame changed");
                        }
                        ring.gate.store((frame + 1) * FRAME, Ordering::Release);
                    }
                }
            });
            for frame in 0..FRAMES {
                // As `RingWriter::read_gates` does; a refused frame is dropped here.
                let limit = ring.gate.load(Ordering::Acquire) + CAPACITY as u64;
                if (frame + 1) * FRAME <= limit {
                    write(&ring, frame);
                }
            }
            reader.join().unwrap();
        });
    }
}
