//! Passes verified bytes from the threads that read segments to one consumer, in the order of the log.
//!
//! ```text
//!  thread, segment 7 ──> lane 7: block block block ──┐
//!  thread, segment 8 ──> lane 8: block block        ─┼─> consumer: reads lane 7 to its end, then lane 8
//!  thread, segment 9 ──> lane 9: block              ─┘
//! ```
//!
//! Memory is bounded, whatever the number and length of the segments: a lane holds [`RELAY_LANE_BLOCKS`]
//! blocks, and all lanes that are not being read hold [`RELAY_AHEAD_BLOCKS`] together. The lane that is being
//! read can always be filled, so there is no deadlock.

use crate::bounds::{RELAY_AHEAD_BLOCKS, RELAY_BLOCK_LENGTH, RELAY_LANE_BLOCKS};
use crate::scan::SegmentVisitor;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use stele_wire::bounds::FRAME_LENGTH_MAX;
use stele_wire::frame::Frame;
use stele_wire::units::Position;

/// Whole frames, one after another.
pub(crate) struct Block {
    /// Position of the first frame.
    pub(crate) position: Position,
    /// The frames.
    pub(crate) bytes: Vec<u8>,
}

/// The queue between the threads that read and the consumer.
#[derive(Default)]
pub(crate) struct Relay {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<usize, Lane>,
    /// The lane that the consumer reads.
    reading: usize,
    /// Blocks in all lanes.
    queued: usize,
    /// No more blocks will come.
    ended: bool,
    /// The consumer has left.
    left: bool,
    spare: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Lane {
    blocks: VecDeque<Block>,
    done: bool,
}

impl State {
    fn has_room(&self, lane: usize) -> bool {
        let own = self.lanes.get(&lane).map_or(0, |lane| lane.blocks.len());
        let read = self.lanes.get(&self.reading).map_or(0, |lane| lane.blocks.len());
        own < RELAY_LANE_BLOCKS && (lane == self.reading || self.queued - read < RELAY_AHEAD_BLOCKS)
    }
}

impl Relay {
    /// Returns the end that fills lane `lane`.
    pub(crate) fn filler(&self, lane: usize) -> Filler<'_> {
        Filler { relay: self, lane, block: Block { position: Position(0), bytes: Vec::new() } }
    }

    /// Returns a guard that, when dropped, ends the stream: no more blocks will come.
    pub(crate) fn end_guard(&self) -> impl Drop + '_ {
        OnDrop(|| self.lock().ended = true, &self.moved)
    }

    /// Returns a guard that, when dropped, marks the consumer as gone: further blocks are discarded.
    pub(crate) fn leave_guard(&self) -> impl Drop + '_ {
        let leave = || {
            let mut state = self.lock();
            state.left = true;
            state.lanes.clear();
            state.queued = 0;
        };
        OnDrop(leave, &self.moved)
    }

    /// Returns the next block of the current lane; `None` at the lane's end. Waits.
    pub(crate) fn next(&self) -> Option<Block> {
        let mut state = self.lock();
        loop {
            let State { lanes, reading, queued, ended, .. } = &mut *state;
            let lane = lanes.entry(*reading).or_default();
            if let Some(block) = lane.blocks.pop_front() {
                *queued -= 1;
                self.moved.notify_all();
                return Some(block);
            }
            if lane.done || *ended {
                return None;
            }
            state = self.moved.wait(state).expect("no thread panicked");
        }
    }

    /// Takes a block that was read back, to reuse its memory.
    pub(crate) fn recycle(&self, block: Block) {
        let mut state = self.lock();
        if state.spare.len() < RELAY_LANE_BLOCKS {
            state.spare.push(block.bytes);
        }
    }

    /// Moves on to the next lane; the current one is at its end.
    pub(crate) fn next_lane(&self) {
        let mut state = self.lock();
        let reading = state.reading;
        state.lanes.remove(&reading);
        state.reading += 1;
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked")
    }
}

struct OnDrop<'a, F: Fn()>(F, &'a Condvar);

impl<F: Fn()> Drop for OnDrop<'_, F> {
    fn drop(&mut self) {
        (self.0)();
        self.1.notify_all();
    }
}

/// Fills one lane, on the thread that reads the segment.
pub(crate) struct Filler<'a> {
    relay: &'a Relay,
    lane: usize,
    block: Block,
}

impl Filler<'_> {
    fn send(&mut self) {
        let mut state = self.relay.lock();
        while !state.left && !state.has_room(self.lane) {
            state = self.relay.moved.wait(state).expect("no thread panicked");
        }
        if state.left {
            self.block.bytes.clear();
            return;
        }
        let mut bytes = state.spare.pop().unwrap_or_default();
        bytes.clear();
        let block = std::mem::replace(&mut self.block, Block { position: Position(0), bytes });
        state.lanes.entry(self.lane).or_default().blocks.push_back(block);
        state.queued += 1;
        self.relay.moved.notify_all();
    }
}

impl SegmentVisitor for Filler<'_> {
    type Output = ();

    fn on_frame(&mut self, _: Position, _: &Frame<'_>) {}

    fn on_run(&mut self, position: Position, frames: &[u8]) {
        let (mut position, mut rest) = (position, frames);
        while !rest.is_empty() {
            if self.block.bytes.is_empty() {
                self.block.position = position;
                self.block.bytes.reserve_exact(RELAY_BLOCK_LENGTH + FRAME_LENGTH_MAX);
            }
            let room = RELAY_BLOCK_LENGTH - self.block.bytes.len();
            let (taken, remaining) = rest.split_at(whole_frames(rest, room));
            self.block.bytes.extend_from_slice(taken);
            (position, rest) = (position.plus(taken.len() as u64), remaining);
            if self.block.bytes.len() >= RELAY_BLOCK_LENGTH {
                self.send();
            }
        }
    }

    fn finish(mut self) {
        if !self.block.bytes.is_empty() {
            self.send();
        }
        let mut state = self.relay.lock();
        if !state.left {
            state.lanes.entry(self.lane).or_default().done = true;
            self.relay.moved.notify_all();
        }
    }
}

/// Returns the length of the frames at the start of `frames` that begin within the first `room` bytes.
fn whole_frames(frames: &[u8], room: usize) -> usize {
    if frames.len() <= room {
        return frames.len();
    }
    let mut length = 0;
    while length < room {
        length += Frame::read(&frames[length..]).expect("verified by the thread that read it").len();
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use stele_wire::frame::Seed;
    use stele_wire::units::{Nanos, Sequence};

    fn fill(relay: &Relay, lane: usize, first: u64, count: u64) {
        let mut filler = relay.filler(lane);
        let mut position = Position(lane as u64 * 1_000_000_000);
        for number in first..first + count {
            let frame = fixture::event(Sequence(number), Nanos(1), 30_000, Seed(1));
            filler.on_run(position, &frame);
            position = position.plus(frame.len() as u64);
        }
        filler.finish();
    }

    fn read_lane(relay: &Relay) -> Vec<u64> {
        let mut sequences = Vec::new();
        while let Some(block) = relay.next() {
            let mut rest = &block.bytes[..];
            while !rest.is_empty() {
                let frame = Frame::read(rest).unwrap();
                sequences.push(frame.sequence().0);
                rest = &rest[frame.len()..];
            }
            relay.recycle(block);
        }
        relay.next_lane();
        sequences
    }

    /// Far more blocks than all lanes may hold, so that fillers wait for the consumer.
    #[test]
    fn lanes_are_read_in_order_and_within_bounds_whichever_is_filled_first() {
        let relay = Relay::default();
        let each = 3 * (RELAY_AHEAD_BLOCKS * RELAY_BLOCK_LENGTH / 30_000) as u64;
        std::thread::scope(|scope| {
            for lane in [2, 1, 0] {
                let relay = &relay;
                scope.spawn(move || fill(relay, lane, lane as u64 * each + 1, each));
            }
            for lane in 0..3 {
                let expected: Vec<u64> = (lane * each + 1..=(lane + 1) * each).collect();
                assert_eq!(read_lane(&relay), expected);
                assert!(relay.lock().queued <= RELAY_AHEAD_BLOCKS + RELAY_LANE_BLOCKS);
            }
        });
    }

    #[test]
    fn a_consumer_that_leaves_and_fillers_that_end_block_no_thread() {
        let relay = Relay::default();
        std::thread::scope(|scope| {
            scope.spawn(|| fill(&relay, 0, 1, 10_000));
            let _left = relay.leave_guard();
            assert!(relay.next().is_some());
        });
        let relay = Relay::default();
        std::thread::scope(|scope| {
            scope.spawn(|| drop(relay.end_guard()));
            assert!(relay.next().is_none());
        });
    }
}
