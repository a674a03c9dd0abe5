//! Sealing in memory, and SHA-256 alone.

use super::signer;
use crate::MessageMix;
use crate::cpu::on_cpu;
use sha2::{Digest as _, Sha256};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;
use stele_compliance::seal::{SealPolicy, Sealer};
use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH};
use stele_wire::frame::frame_length;
use stele_wire::messages::{SCHEMA_ID, SCHEMA_VERSION};
use stele_wire::{Frame, Nanos};

/// Bytes of the frames, which are sealed repeatedly. They fit a cache, like events that were just written.
const BYTES: usize = 256 << 10;
/// Bytes of a SHA-256 block, and of the prefix, closing bit and length that are hashed with a message.
const BLOCK: usize = 64;
const OVERHEAD: usize = 1 + 1 + 8;
/// Blocks of a node: prefix, two hashes, closing bit and length.
const NODE_BLOCKS: u64 = (1 + 64 + 9usize).div_ceil(BLOCK) as u64;

/// Frames one after another.
#[derive(Clone)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// The offset and the length of each frame.
    places: Vec<(usize, usize)>,
}

impl Frames {
    /// Creates frames from the first messages of a mix.
    pub(super) fn of(mix: &MessageMix) -> Self {
        let (mut bytes, mut places) = (Vec::with_capacity(2 * BYTES), Vec::new());
        for message in mix.messages.iter().cycle() {
            let (begin, length) = (bytes.len(), frame_length(message.body.len()));
            if begin + length > BYTES {
                break;
            }
            bytes.resize(begin + length, 0);
            let frame = &mut bytes[begin..];
            frame[4..6].copy_from_slice(&(length as u16).to_le_bytes());
            frame[7] = FRAME_VERSION;
            let header = [message.body.len() as u16, message.template_id, SCHEMA_ID, SCHEMA_VERSION];
            for (at, value) in header.into_iter().enumerate() {
                frame[24 + 2 * at..26 + 2 * at].copy_from_slice(&value.to_le_bytes());
            }
            frame[HEADER_LENGTH..HEADER_LENGTH + message.body.len()].copy_from_slice(&message.body);
            places.push((begin, length));
        }
        Self { bytes, places }
    }

    /// Seals `events` frames, with a checkpoint whenever one is due by count, and one at the end. Returns
    /// events per second.
    pub(super) fn seal(&self, events: u64) -> f64 {
        let mut frames = self.clone();
        let mut sealer = Sealer::new("stele.internal/perf".into(), signer(), SealPolicy::default());
        let start = Instant::now();
        let mut places = self.places.iter().cycle();
        for sequence in 1..=events {
            let (begin, length) = *places.next().expect("the iterator cycles");
            let frame = &mut frames.bytes[begin..begin + length];
            frame[8..16].copy_from_slice(&sequence.to_le_bytes());
            sealer.on_event(&Frame::read(frame).expect("the bytes are a frame"));
            if sealer.is_full() || sequence == events {
                black_box(sealer.seal(Nanos(sequence)).expect("the tree only grows"));
            }
        }
        events as f64 / start.elapsed().as_secs_f64()
    }

    /// Hashes the bytes of `events` frames as one message. Returns events per second.
    pub(super) fn hash_bytes(&self, events: u64) -> f64 {
        let rounds = events.div_ceil(self.places.len() as u64);
        let start = Instant::now();
        let mut hasher = Sha256::new();
        (0..rounds).for_each(|_| hasher.update(black_box(&self.bytes)));
        black_box(hasher.finalize());
        (rounds * self.places.len() as u64) as f64 / start.elapsed().as_secs_f64()
    }

    /// Hashes as many blocks as the tree of `events` frames takes, as one message. Returns events per second.
    pub(super) fn hash_blocks(&self, events: u64) -> f64 {
        let leaves: u64 =
            self.places.iter().map(|(_, length)| (length + OVERHEAD).div_ceil(BLOCK) as u64).sum();
        let rounds = events.div_ceil(self.places.len() as u64);
        let events = rounds * self.places.len() as u64;
        let blocks = rounds * leaves + events * NODE_BLOCKS;
        let whole = &self.bytes[..self.bytes.len() / BLOCK * BLOCK];
        let start = Instant::now();
        let (mut hasher, mut left) = (Sha256::new(), blocks as usize * BLOCK);
        while left > 0 {
            let count = left.min(whole.len());
            hasher.update(black_box(&whole[..count]));
            left -= count;
        }
        black_box(hasher.finalize());
        events as f64 / start.elapsed().as_secs_f64()
    }
}

/// Runs a separate sealer on each CPU at the same time. Returns the total of events per second.
pub(super) fn seal_on_each(frames: &Frames, cpus: &[usize], events: u64) -> f64 {
    let begin = Barrier::new(cpus.len());
    let seconds = std::thread::scope(|scope| {
        let sealing = |cpu: usize| {
            let begin = &begin;
            scope.spawn(move || {
                on_cpu(Some(cpu), || {
                    begin.wait();
                    events as f64 / frames.seal(events)
                })
            })
        };
        let threads: Vec<_> = cpus.iter().map(|cpu| sealing(*cpu)).collect();
        let seconds = threads.into_iter().map(|thread| thread.join().expect("sealing does not panic"));
        seconds.fold(0.0, f64::max)
    });
    cpus.len() as f64 * events as f64 / seconds
}
