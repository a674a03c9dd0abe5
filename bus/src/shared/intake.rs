//! The sequencer's side of a [`super::lane`]: copies what another process committed into its own memory, and
//! passes on only whole submissions.
#![allow(unsafe_code)]

use super::lane::{Lane, Sequenced, get};
use super::process::Process;
use crate::bounds::{SUBMISSION_HEADER_WORDS, SUBMISSION_WORDS_MAX};
use crate::mapping::{Board, Mapped, Mapping};
use crate::submission::NOT_RECEIVED;
use crate::sync::{AtomicU64, Ordering};
use rtrb::Producer;
use std::io;
use std::path::Path;
use stele_wire::Position;
use stele_wire::bounds::BODY_LENGTH_MAX;

const MAGIC: u64 = u64::from_le_bytes(*b"STELEPUB");
/// The version of the layout in `lane`.
pub(crate) const LANE_LAYOUT_VERSION: u32 = 1;
const VERSION_WORD: u64 = LANE_LAYOUT_VERSION as u64 | (size_of::<LaneBoard>() as u64) << 32;

/// The shared header of a publisher's ring.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct LaneBoard {
    header: Header,
    pub(crate) lane: Lane,
}

#[repr(C, align(128))]
#[derive(Debug)]
struct Header {
    magic: AtomicU64,
    version: AtomicU64,
    capacity: AtomicU64,
    id: AtomicU64,
    name: [AtomicU64; 4],
    sequencer: [AtomicU64; 2],
}

// SAFETY: `repr(C)`, of atomic words and padding, a page long and aligned.
unsafe impl Board for LaneBoard {}

const _: () = assert!(std::mem::offset_of!(LaneBoard, lane) == 128);
const _: () = assert!(size_of::<Lane>() == 640 && size_of::<LaneBoard>() == 4096);

impl LaneBoard {
    fn begin(&self, capacity: usize, id: u16, name: &[u8; 32]) {
        let header = &self.header;
        let sequencer = Process::current();
        header.magic.store(MAGIC, Ordering::Relaxed);
        header.version.store(VERSION_WORD, Ordering::Relaxed);
        header.capacity.store(capacity as u64, Ordering::Relaxed);
        header.id.store(id.into(), Ordering::Relaxed);
        for (word, bytes) in header.name.iter().zip(name.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        header.sequencer[0].store(sequencer.id.into(), Ordering::Relaxed);
        header.sequencer[1].store(sequencer.start_time, Ordering::Relaxed);
    }

    /// Checks a board of another process, which is followed by `words` words. The error states what is wrong.
    pub(crate) fn check(&self, words: usize) -> Result<(), String> {
        let header = &self.header;
        let version = header.version.load(Ordering::Relaxed);
        let stated = header.capacity.load(Ordering::Relaxed);
        if header.magic.load(Ordering::Relaxed) != MAGIC {
            return Err("it is not a publisher's ring".into());
        }
        if version != VERSION_WORD {
            let (found, ours) = (version as u32, LANE_LAYOUT_VERSION);
            return Err(format!("its layout has version {found}, this program writes {ours}"));
        }
        if stated != words as u64 || !words.is_power_of_two() {
            return Err(format!("its header states {stated} words and it has {words}"));
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> u16 {
        self.header.id.load(Ordering::Relaxed) as u16
    }

    pub(crate) fn name(&self) -> String {
        let bytes: Vec<u8> =
            self.header.name.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
    }

    /// The process that takes the submissions.
    pub(crate) fn sequencer(&self) -> Process {
        let [id, start_time] = &self.header.sequencer;
        Process { id: id.load(Ordering::Relaxed) as u32, start_time: start_time.load(Ordering::Relaxed) }
    }
}

/// Takes what a publisher of another process commits.
#[derive(Debug)]
pub(crate) struct RemoteIntake {
    memory: Mapped<LaneBoard>,
    /// The words taken. The sequencer relies on this count and not on the shared one.
    taken: u64,
    /// The number after which the next process that attaches continues: the highest that was taken, as far
    /// as the sequencer accepts it.
    last_sequence: u64,
    /// How far ahead of the last number a submission may be.
    number_step_max: u64,
    /// The owner when submissions were last taken.
    claimed_by: u64,
    /// Where whole submissions go.
    submissions: Producer<u64>,
    /// The submission that is being checked.
    copy: Box<[u64]>,
}

impl RemoteIntake {
    /// Creates the ring of publisher `id` in the file `path`, with `words` words, a power of two;
    /// `submissions` has as many. The publisher continues after submission `last`, by steps of at most
    /// `number_step_max`.
    pub(crate) fn create(
        path: &Path,
        (id, name): (u16, &[u8; 32]),
        words: usize,
        submissions: Producer<u64>,
        (last, number_step_max): (u64, u64),
    ) -> io::Result<Self> {
        assert!(words.is_power_of_two(), "a publisher's ring of {words} words: not a power of two");
        let unnamed = path.with_extension("new");
        let mapping = Mapping::create(&unnamed, Mapped::<LaneBoard>::BOARD_LENGTH + 8 * words, false)?;
        let memory = Mapped::<LaneBoard>::new(mapping).expect("longer than its board");
        memory.board().begin(words, id, name);
        memory.board().lane.take(0, last);
        memory.board().lane.set_sequenced(Sequenced { sequence: last, position: 0 });
        // The file gets its name once its header is complete.
        std::fs::rename(&unnamed, path)?;
        let copy = vec![0; SUBMISSION_WORDS_MAX].into();
        Ok(Self { memory, taken: 0, last_sequence: last, number_step_max, claimed_by: 0, submissions, copy })
    }

    fn lane(&self) -> &Lane {
        &self.memory.board().lane
    }

    /// Whether nothing more can come: the publisher has finished, or no process is attached.
    pub(crate) fn is_finished(&self) -> bool {
        self.lane().is_finished() || self.lane().owner() == 0
    }

    /// Whether everything that was committed is taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lane().committed() == self.taken
    }

    /// Takes what is committed, as far as there is room for it. Malformed words become one submission without
    /// a template, which is counted and refused on the log. What was committed after them is dropped too,
    /// because the start of the next submission is unknown.
    #[inline]
    pub(crate) fn pump(&mut self) {
        if !self.is_empty() {
            self.pump_some();
        }
    }

    #[inline(never)]
    fn pump_some(&mut self) {
        let committed = self.lane().committed();
        while self.taken != committed {
            let available = committed.wrapping_sub(self.taken);
            let Some(words) = self.copy_submission(available) else {
                return self.skip_malformed(committed);
            };
            if self.submissions.slots() < words {
                return;
            }
            self.submissions.push_entire_slice(&self.copy[..words]).expect("there is room");
            if self.copy[2] > self.last_sequence && self.copy[2] - self.last_sequence <= self.number_step_max
            {
                self.last_sequence = self.copy[2];
            }
            self.taken = self.taken.wrapping_add(words as u64);
            self.lane().take(self.taken, self.last_sequence);
        }
    }

    /// Copies the next submission into memory of this process and returns its length in words; none when it
    /// is malformed. `available` is the number of words that the publisher has committed.
    fn copy_submission(&mut self, available: u64) -> Option<usize> {
        let ring = self.memory.words();
        if available > ring.len() as u64 || available < SUBMISSION_HEADER_WORDS as u64 {
            return None;
        }
        let (header, body) = self.copy.split_at_mut(SUBMISSION_HEADER_WORDS);
        get(ring, self.taken, header);
        let (length, sequence) = ((header[0] & 0xFFFF) as usize, header[2]);
        let body_words = length.div_ceil(8);
        let words = SUBMISSION_HEADER_WORDS + body_words;
        if length > BODY_LENGTH_MAX
            || header[0] >> 32 != 0
            || [0, u64::MAX].contains(&sequence)
            || words as u64 > available
        {
            return None;
        }
        get(ring, self.taken.wrapping_add(SUBMISSION_HEADER_WORDS as u64), &mut body[..body_words]);
        if !length.is_multiple_of(8) {
            body[body_words - 1] &= (1 << (8 * (length % 8))) - 1;
        }
        Some(words)
    }

    #[cold]
    fn skip_malformed(&mut self, committed: u64) {
        if self.submissions.slots() < SUBMISSION_HEADER_WORDS {
            return;
        }
        // It uses up a number, as every refused submission does.
        self.last_sequence = (self.last_sequence + 1).min(u64::MAX - 1);
        let refused = [0, NOT_RECEIVED.0, self.last_sequence];
        self.submissions.push_entire_slice(&refused).expect("there is room");
        self.taken = committed;
        self.lane().take(self.taken, self.last_sequence);
    }

    /// Whether another process has claimed the ring since this was last asked.
    #[inline]
    pub(crate) fn is_claimed_anew(&mut self) -> bool {
        let owner = self.lane().owner();
        let is_new = owner != 0 && owner != self.claimed_by;
        if is_new {
            self.claimed_by = owner;
        }
        is_new
    }

    /// Acknowledges to the publisher that its submissions up to `sequence` are on the log, before `position`.
    /// `is_drained`: that is everything that was taken, so the next process continues after `sequence`.
    #[inline]
    pub(crate) fn acknowledge(&mut self, sequence: u64, position: Position, is_drained: bool) {
        self.lane().set_sequenced(Sequenced { sequence, position: position.0 });
        if is_drained && self.last_sequence != sequence {
            self.last_sequence = sequence;
            self.lane().take(self.taken, sequence);
        }
    }
}
