//! A lane: the ring that a publisher in another process fills. It holds words and has one producer and one
//! consumer. Each publisher that connects gets new memory.
//!
//! ```text
//!  byte 0              8                    16                24             32               64
//! ┌───────────────────┬────────────────────┬─────────────────┬──────────────┬────────────────┬─────────────┐
//! │ magic "STELEPUB"  │ version u32 ·      │ capacity u64,   │ publisher's  │ its name, 32   │ zero        │
//! │                   │ board length u32   │ words           │ id u64       │ bytes          │             │
//! └───────────────────┴────────────────────┴─────────────────┴──────────────┴────────────────┴─────────────┘
//!  128 committed u64: words that may be read                              128 bytes each; the publisher
//!  256 taken u64: words that may be overwritten · highest sequence there  the sequencer
//!  384 finished u64: 0 or 1, nothing more comes                           the publisher
//!  512 sequenced u64: last sequence on the log · position after it u64    the sequencer
//!  640 zero
//!  4096 the ring: word w is at 4096 + 8 (w mod capacity); submissions as drawn in `submission`
//! ```
//! Both sides map the memory to write; its length is sealed. The sequencer does not trust what the publisher
//! stores: it copies words into its own memory and checks the copy, and it keeps its own count of what it has
//! taken. When the publisher's process is dead, the sequencer loads `committed` once more, takes the words up
//! to there and gives the memory back: what comes later, or was never committed, is never read.

use crate::sync::{AtomicU64, Line, Ordering};

/// The words that both sides share.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Lane {
    committed: Line<AtomicU64>,
    taken: Line<[AtomicU64; 2]>,
    finished: Line<AtomicU64>,
    sequenced: Line<[AtomicU64; 2]>,
}

/// How far the sequencer has come with a publisher's submissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sequenced {
    /// The last submission that is on the log, or whose refusal is.
    pub(crate) sequence: u64,
    /// A position of the log at or after its end.
    pub(crate) position: u64,
}

impl Lane {
    /// The number of words that may be read. Acquire, partner of the Release store in `commit`.
    #[inline]
    pub(crate) fn committed(&self) -> u64 {
        self.committed.0.load(Ordering::Acquire)
    }

    /// Allows everything before word `to` to be read.
    #[inline]
    pub(crate) fn commit(&self, to: u64) {
        self.committed.0.store(to, Ordering::Release);
    }

    /// The number of words that may be overwritten, and the highest sequence of their submissions, or a later
    /// one. Acquire, partner of the Release store in `take`: the sequencer has read them.
    #[inline]
    pub(crate) fn taken(&self) -> (u64, u64) {
        let taken = self.taken.0[0].load(Ordering::Acquire);
        (taken, self.taken.0[1].load(Ordering::Relaxed))
    }

    /// Allows everything before word `to` to be overwritten; `sequence` is the highest of the submissions
    /// before it.
    #[inline]
    pub(crate) fn take(&self, to: u64, sequence: u64) {
        self.taken.0[1].store(sequence, Ordering::Relaxed);
        self.taken.0[0].store(to, Ordering::Release);
    }

    /// Whether nothing more comes. Acquire, partner of the Release store in `set_finished`: what was
    /// committed before is visible.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.0.load(Ordering::Acquire) != 0
    }

    pub(crate) fn set_finished(&self, finished: bool) {
        self.finished.0.store(finished.into(), Ordering::Release);
    }

    /// How far the sequencer has come. Acquire, partner of the Release store in `set_sequenced`: the position
    /// belongs to the sequence, or to a later one.
    pub(crate) fn sequenced(&self) -> Sequenced {
        let sequence = self.sequenced.0[0].load(Ordering::Acquire);
        Sequenced { sequence, position: self.sequenced.0[1].load(Ordering::Relaxed) }
    }

    pub(crate) fn set_sequenced(&self, sequenced: Sequenced) {
        self.sequenced.0[1].store(sequenced.position, Ordering::Relaxed);
        self.sequenced.0[0].store(sequenced.sequence, Ordering::Release);
    }
}

/// Stores `values` from word `at` on. Only the producer calls it, for words before `taken` + capacity.
#[inline]
pub(crate) fn put(ring: &[AtomicU64], at: u64, values: impl IntoIterator<Item = u64>) {
    for (index, value) in values.into_iter().enumerate() {
        ring[(at as usize).wrapping_add(index) & (ring.len() - 1)].store(value, Ordering::Relaxed);
    }
}

/// Copies `into.len()` words from word `at` on. The caller reads words that the other side does not
/// overwrite.
#[inline]
pub(crate) fn get(ring: &[AtomicU64], at: u64, into: &mut [u64]) {
    for (index, value) in into.iter_mut().enumerate() {
        *value = ring[(at as usize).wrapping_add(index) & (ring.len() - 1)].load(Ordering::Relaxed);
    }
}

/// The protocols in small, on the same code.
#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    const CAPACITY: u64 = 2;

    struct Model {
        lane: Lane,
        words: Vec<AtomicU64>,
        /// Whether the door has seen the end of the publisher's connection.
        closed: AtomicU64,
    }

    fn model() -> Arc<Model> {
        let line = || Line(AtomicU64::new(0));
        let pair = || Line([AtomicU64::new(0), AtomicU64::new(0)]);
        let lane = Lane { committed: line(), taken: pair(), finished: line(), sequenced: pair() };
        let words = (0..CAPACITY).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Model { lane, words, closed: AtomicU64::new(0) })
    }

    /// Submission `n` is the word `n`.
    fn submit(model: &Model, sequence: u64) -> bool {
        let committed = model.lane.committed();
        if committed - model.lane.taken().0 == CAPACITY {
            return false;
        }
        put(&model.words, committed, [sequence]);
        model.lane.commit(committed + 1);
        true
    }

    /// Takes what is there; every word must be the next submission.
    fn take(model: &Model, taken: &mut u64, last: &mut u64) {
        let committed = model.lane.committed();
        while *taken < committed {
            let mut word = [0];
            get(&model.words, *taken, &mut word);
            assert_eq!(word[0], *last + 1, "torn, lost or repeated");
            (*taken, *last) = (*taken + 1, word[0]);
            model.lane.take(*taken, *last);
        }
    }

    #[test]
    fn loom_what_is_taken_is_what_was_committed_in_its_order() {
        loom::model(|| {
            let model = model();
            let publisher = thread::spawn({
                let model = model.clone();
                move || {
                    let mut sequence = 1;
                    for _ in 0..4 {
                        sequence += u64::from(submit(&model, sequence));
                    }
                    sequence - 1
                }
            });
            let (mut taken, mut last) = (0, 0);
            take(&model, &mut taken, &mut last);
            take(&model, &mut taken, &mut last);
            let submitted = publisher.join().unwrap();
            take(&model, &mut taken, &mut last);
            assert_eq!(last, submitted);
        });
    }

    #[test]
    fn loom_what_a_dead_publisher_committed_is_taken_and_its_half_written_submission_vanishes() {
        loom::model(|| {
            let model = model();
            let publisher = thread::spawn({
                let model = model.clone();
                move || {
                    submit(&model, 1);
                    // Killed in the middle of its second submission; the kernel closes its connection.
                    put(&model.words, 1, [99]);
                    model.closed.store(1, Ordering::Release);
                }
            });
            let (mut taken, mut last) = (0, 0);
            take(&model, &mut taken, &mut last);
            if model.closed.load(Ordering::Acquire) == 1 {
                take(&model, &mut taken, &mut last);
                assert_eq!(last, 1, "what was committed before the end is seen after it");
            }
            publisher.join().unwrap();
            take(&model, &mut taken, &mut last);
            assert_eq!((taken, last), (1, 1));
        });
    }

    #[test]
    fn loom_an_acknowledged_position_is_never_before_its_submission() {
        loom::model(|| {
            let model = model();
            let sequencer = thread::spawn({
                let model = model.clone();
                move || {
                    for sequence in 1..3 {
                        model.lane.set_sequenced(Sequenced { sequence, position: sequence * 100 });
                    }
                }
            });
            let Sequenced { sequence, position } = model.lane.sequenced();
            assert!(position >= sequence * 100);
            sequencer.join().unwrap();
        });
    }
}
