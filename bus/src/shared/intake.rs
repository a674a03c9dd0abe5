//! The sequencer's side of a [`super::lane`]: copies what another process committed into its own memory, and
//! passes on only whole submissions. The [`super::port`] hands it the lanes.
#![allow(unsafe_code)]

use super::lane::{Lane, Sequenced, get};
use super::port::{PortState, RemotePort};
use crate::bounds::{SUBMISSION_HEADER_WORDS, SUBMISSION_WORDS_MAX};
use crate::mapping::{Board, Mapped};
use crate::submission::NOT_RECEIVED;
use crate::sync::{AtomicU64, Ordering};
use rtrb::{Consumer, Producer};
use std::sync::Arc;
use stele_wire::Position;
use stele_wire::bounds::BODY_LENGTH_MAX;

const MAGIC: u64 = u64::from_le_bytes(*b"STELEPUB");
/// The version of the layout in `lane`.
pub(crate) const LANE_LAYOUT_VERSION: u32 = 2;
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
}

// SAFETY: `repr(C)`, of atomic words and padding, a page long and aligned.
unsafe impl Board for LaneBoard {}

const _: () = assert!(std::mem::offset_of!(LaneBoard, lane) == 128);
const _: () = assert!(size_of::<Lane>() == 512 && size_of::<LaneBoard>() == 4096);

impl LaneBoard {
    /// Initialises the lane of publisher `id`, whose last submission was `last`, before it is shared.
    pub(super) fn begin(&self, capacity: usize, id: u16, name: &[u8; 32], last: u64) {
        let header = &self.header;
        header.magic.store(MAGIC, Ordering::Relaxed);
        header.version.store(VERSION_WORD, Ordering::Relaxed);
        header.capacity.store(capacity as u64, Ordering::Relaxed);
        header.id.store(id.into(), Ordering::Relaxed);
        for (word, bytes) in header.name.iter().zip(name.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        self.lane.take(0, last);
        self.lane.set_sequenced(Sequenced { sequence: last, position: 0 });
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
}

/// Takes what the publishers of other processes commit that connect as one publisher, one after the other.
#[derive(Debug)]
pub(crate) struct RemoteIntake {
    /// The memory of the publisher that is connected; none while there is none.
    memory: Option<Mapped<LaneBoard>>,
    /// The memory of publishers that connect, and where it goes when they are gone: to the port's thread, so
    /// that none is unmapped on a hot thread.
    connected: Consumer<Mapped<LaneBoard>>,
    gone: Producer<Mapped<LaneBoard>>,
    state: Arc<PortState>,
    /// The number of this publisher among those that connected, counted from 1.
    number: u64,
    /// The last look at `committed`, once the publisher is gone.
    end: Option<u64>,
    /// The words taken. The sequencer relies on this count and not on the shared one.
    taken: u64,
    /// The number after which the next process that attaches continues: the highest that was taken, as far
    /// as the sequencer accepts it.
    last_sequence: u64,
    /// How far ahead of the last number a submission may be.
    number_step_max: u64,
    /// The publisher, by `number`, whose submissions were last taken.
    seen: u64,
    /// Where whole submissions go.
    submissions: Producer<u64>,
    /// The submission that is being checked.
    copy: Box<[u64]>,
}

impl RemoteIntake {
    /// The intake of publisher `id` with lanes of `words` words, a power of two, and the port at which other
    /// processes connect; `submissions` has as many words. The publisher continues after submission `last`,
    /// by steps of at most `number_step_max`.
    pub(crate) fn create(
        id: u16,
        name: &[u8; 32],
        words: usize,
        submissions: Producer<u64>,
        (last, number_step_max): (u64, u64),
    ) -> (Self, RemotePort) {
        assert!(words.is_power_of_two(), "a publisher's ring of {words} words: not a power of two");
        let (port, (connected, gone, state)) = RemotePort::new(id, name, words, last);
        let intake = Self {
            memory: None,
            connected,
            gone,
            state,
            number: 0,
            end: None,
            taken: 0,
            last_sequence: last,
            number_step_max,
            seen: 0,
            submissions,
            copy: vec![0; SUBMISSION_WORDS_MAX].into(),
        };
        (intake, port)
    }

    fn lane(&self) -> Option<&Lane> {
        self.memory.as_ref().map(|memory| &memory.board().lane)
    }

    /// How far the publisher has committed; nothing more counts once it is gone.
    fn committed(&self) -> u64 {
        self.end.or_else(|| self.lane().map(Lane::committed)).unwrap_or(self.taken)
    }

    /// Whether nothing more can come: the publisher has finished, or none is connected.
    pub(crate) fn is_finished(&self) -> bool {
        self.state.closed() >= self.number || self.lane().is_none_or(Lane::is_finished)
    }

    /// Whether everything that was committed is taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.committed() == self.taken
    }

    /// Takes what is committed, as far as there is room for it. Malformed words become one submission without
    /// a template, which is counted and refused on the log. What was committed after them is dropped too,
    /// because the start of the next submission is unknown.
    #[inline]
    pub(crate) fn pump(&mut self) {
        if self.is_empty() && self.state.closed() >= self.number {
            self.change();
        }
        if !self.is_empty() {
            self.pump_some();
        }
    }

    /// Takes the last look at a publisher that is gone, gives its memory back when all of it is taken, and
    /// goes on to the next publisher, if there is one.
    #[cold]
    fn change(&mut self) {
        if self.memory.is_some() && self.end.is_none() {
            self.end = Some(self.committed());
        }
        if !self.is_empty() {
            return;
        }
        if let Some(memory) = self.memory.take() {
            self.state.set_last(self.last_sequence);
            let returned = self.gone.push(memory);
            assert!(returned.is_ok(), "the port has one lane at a time");
        }
        if let Ok(memory) = self.connected.pop() {
            (self.memory, self.end, self.taken) = (Some(memory), None, 0);
            self.number += 1;
        }
    }

    #[inline(never)]
    fn pump_some(&mut self) {
        let committed = self.committed();
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
            self.advance(self.taken.wrapping_add(words as u64));
        }
    }

    /// Allows the publisher to overwrite everything before word `to`.
    fn advance(&mut self, to: u64) {
        self.taken = to;
        if let Some(lane) = self.lane() {
            lane.take(to, self.last_sequence);
        }
    }

    /// Copies the next submission into memory of this process and returns its length in words; none when it
    /// is malformed. `available` is the number of words that the publisher has committed.
    fn copy_submission(&mut self, available: u64) -> Option<usize> {
        let ring = self.memory.as_ref()?.words();
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
        self.advance(committed);
    }

    /// Whether another process has connected since this was last asked.
    #[inline]
    pub(crate) fn is_claimed_anew(&mut self) -> bool {
        std::mem::replace(&mut self.seen, self.number) != self.number
    }

    /// Acknowledges to the publisher that its submissions up to `sequence` are on the log, before `position`.
    /// `is_drained`: that is everything that was taken, so the next process continues after `sequence`.
    #[inline]
    pub(crate) fn acknowledge(&mut self, sequence: u64, position: Position, is_drained: bool) {
        let is_corrected = is_drained && self.last_sequence != sequence;
        if is_corrected {
            self.last_sequence = sequence;
        }
        match self.lane() {
            Some(lane) => {
                lane.set_sequenced(Sequenced { sequence, position: position.0 });
                if is_corrected {
                    lane.take(self.taken, sequence);
                }
            }
            None => self.state.set_last(self.last_sequence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;

    /// Other processes read the layout, also of other builds of the program: a change needs a new version.
    #[test]
    fn a_lane_has_the_documented_layout() {
        let length = Mapped::<LaneBoard>::BOARD_LENGTH + 4096;
        let memory = Mapped::<LaneBoard>::new(Mapping::anonymous(length, false).unwrap()).unwrap();
        let board = memory.board();
        board.begin(512, 0x0102, b"0123456789abcdef0123456789abcdef", 9);
        board.lane.commit(3);
        board.lane.set_finished(true);
        board.lane.set_sequenced(Sequenced { sequence: 8, position: 7 });
        // SAFETY: no other thread has the mapping.
        let bytes = unsafe { std::slice::from_raw_parts(memory.start().sub(4096), 4096) };
        let mut expected = vec![0_u8; 4096];
        let mut put = |at: usize, bytes: &[u8]| expected[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"STELEPUB\x02\0\0\0\0\x10\0\0\0\x02\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0");
        put(32, b"0123456789abcdef0123456789abcdef");
        put(128, &[3]);
        put(256 + 8, &[9]);
        put(384, &[1]);
        put(512, &[8]);
        put(512 + 8, &[7]);
        assert_eq!(bytes, expected);
        assert_eq!(board.check(512), Ok(()));
        assert!(board.check(256).is_err());
    }
}
