//! The shared header of a ring: the log's identity, its watermarks and its health.
//!
//! ```text
//!  byte 0               8                     16               24                32           48
//! ┌────────────────────┬─────────────────────┬────────────────┬─────────────────┬────────────┬─────────────┐
//! │ magic "STELERNG"   │ version u32 · board │ capacity u64,  │ base u64, first │ trail id,  │ shard u32 · │
//! │                    │ length u32          │ bytes          │ position        │ 16 bytes   │ epoch u32   │
//! ├────────────────────┼─────────────────────┼────────────────┼─────────────────┴────────────┴─────────────┤
//! │ 56: first sequence │ 64: writer's pid    │ 72: its start  │ zero                                       │
//! │ u64, 0: not yet    │ u64                 │ time u64       │                                            │
//! └────────────────────┴─────────────────────┴────────────────┴────────────────────────────────────────────┘
//!  128 published · 256 batched · 384 written · 512 durable · 640 sealed     128 bytes each: position u64
//!  768 claimed · 896 resume                                                 positions: see `claims`
//!  1024 phase u64: 0 accepting, 1 stopping, 2 stopped, 3 abandoned
//!  1152 backpressure u64: 0 none, 1 the journal is too slow, 2 a gating consumer is
//!  1280 poisoned u64: 0 or 1 · reason's length u64 · reason, 496 bytes of UTF-8
//!  1792 zero
//!  4096 the ring: byte p of the log lies at 4096 + (p & (capacity − 1))
//! ```
//! Everything is a little-endian word that is stored and loaded atomically. Only the writer's process stores;
//! others map the memory read-only. The words from magic to base are stored before it is handed over. The
//! words from trail id to first sequence are stored once there is a sequencer, the first sequence last and
//! with Release. A reader of another layout version stops at the version.
#![allow(unsafe_code)]

use super::process::Process;
use crate::claims::Claims;
use crate::health::Health;
use crate::mapping::Board;
use crate::sync::{AtomicU64, Ordering};
use crate::watermarks::Watermarks;
use stele_wire::{Epoch, Identity, Position, Sequence, ShardId, TrailId};

const MAGIC: u64 = u64::from_le_bytes(*b"STELERNG");
/// The version of the layout above.
pub(crate) const RING_LAYOUT_VERSION: u32 = 1;

/// The words of the header.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Header {
    magic: AtomicU64,
    version: AtomicU64,
    capacity: AtomicU64,
    base: AtomicU64,
    trail: [AtomicU64; 2],
    shard: AtomicU64,
    first_sequence: AtomicU64,
    writer: [AtomicU64; 2],
}

/// The whole board.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct RingBoard {
    header: Header,
    pub(crate) watermarks: Watermarks,
    pub(crate) claims: Claims,
    pub(crate) health: Health,
}

// SAFETY: `repr(C)`, of atomic words and padding, a page long and aligned.
unsafe impl Board for RingBoard {}

const _: () = assert!(std::mem::offset_of!(RingBoard, watermarks) == 128);
const _: () = assert!(std::mem::offset_of!(RingBoard, claims) == 768);
const _: () = assert!(std::mem::offset_of!(RingBoard, health) == 1024);
const _: () = assert!(size_of::<Health>() == 768 && size_of::<RingBoard>() == 4096);

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

const VERSION_WORD: u64 = RING_LAYOUT_VERSION as u64 | (size_of::<RingBoard>() as u64) << 32;

impl RingBoard {
    /// Initialises a ring of `capacity` bytes at `base` that this process writes, before the memory is
    /// shared.
    pub(crate) fn begin(&self, capacity: usize, base: Position) {
        let header = &self.header;
        let writer = Process::current();
        header.magic.store(MAGIC, Ordering::Relaxed);
        header.version.store(VERSION_WORD, Ordering::Relaxed);
        header.capacity.store(capacity as u64, Ordering::Relaxed);
        header.base.store(base.0, Ordering::Relaxed);
        header.writer[0].store(writer.id.into(), Ordering::Relaxed);
        header.writer[1].store(writer.start_time, Ordering::Relaxed);
        self.watermarks.begin(base);
        self.claims.begin(base);
    }

    /// Records the log's identity and its sequencer's first event.
    pub(crate) fn set_start(&self, identity: &Identity, first: Sequence) {
        let header = &self.header;
        assert_eq!(header.first_sequence.load(Ordering::Relaxed), 0, "a ring has one sequencer");
        let (low, high) = identity.trail.0.split_at(8);
        for (word, bytes) in header.trail.iter().zip([low, high]) {
            word.store(u64::from_le_bytes(bytes.try_into().expect("eight bytes")), Ordering::Relaxed);
        }
        header.shard.store(pair(identity.shard.0, identity.epoch.0), Ordering::Relaxed);
        // Release, partner of the Acquire load in `start`: the identity is complete.
        header.first_sequence.store(first.0, Ordering::Release);
    }

    /// The log's identity and the sequence of its epoch's first event; none before there is a sequencer.
    pub(crate) fn start(&self) -> Option<(Identity, Sequence)> {
        let header = &self.header;
        let first = header.first_sequence.load(Ordering::Acquire);
        let [low, high] = &header.trail;
        let mut trail = [0; 16];
        trail[..8].copy_from_slice(&low.load(Ordering::Relaxed).to_le_bytes());
        trail[8..].copy_from_slice(&high.load(Ordering::Relaxed).to_le_bytes());
        let shard = header.shard.load(Ordering::Relaxed);
        let identity = Identity {
            trail: TrailId(trail),
            shard: ShardId(shard as u32),
            epoch: Epoch((shard >> 32) as u32),
        };
        (first != 0).then_some((identity, Sequence(first)))
    }

    /// The process that writes the ring.
    pub(crate) fn writer(&self) -> Process {
        let [id, start_time] = &self.header.writer;
        Process { id: id.load(Ordering::Relaxed) as u32, start_time: start_time.load(Ordering::Relaxed) }
    }

    /// The epoch's first position.
    pub(crate) fn base(&self) -> Position {
        Position(self.header.base.load(Ordering::Relaxed))
    }

    /// Checks a board of another process, which is followed by `capacity` bytes. The error states what is
    /// wrong.
    pub(crate) fn check(&self, capacity: usize) -> Result<(), String> {
        let header = &self.header;
        let version = header.version.load(Ordering::Relaxed);
        let stated = header.capacity.load(Ordering::Relaxed);
        if header.magic.load(Ordering::Relaxed) != MAGIC {
            return Err("it is not a ring".into());
        }
        if version != VERSION_WORD {
            let (found, ours) = (version as u32, RING_LAYOUT_VERSION);
            return Err(format!("its layout has version {found}, this program reads {ours}"));
        }
        if stated != capacity as u64 || !capacity.is_power_of_two() {
            return Err(format!("its header states {stated} bytes and it has {capacity}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Mapped, Mapping};

    /// Other processes read the layout, also of other builds of the program: a change needs a new version.
    #[test]
    fn the_board_has_the_documented_layout() {
        let length = Mapped::<RingBoard>::BOARD_LENGTH + (512 << 10);
        let mapped = Mapped::<RingBoard>::new(Mapping::anonymous(length, false).unwrap()).unwrap();
        let board = mapped.board();
        board.begin(512 << 10, Position(0x1000));
        assert_eq!(board.start(), None);
        let identity = Identity { trail: TrailId(*b"0123456789abcdef"), shard: ShardId(7), epoch: Epoch(9) };
        board.set_start(&identity, Sequence(0x0102));
        assert_eq!(board.start(), Some((identity, Sequence(0x0102))));
        board.health.poison("disk full");
        board.health.set_stopped();
        // SAFETY: no other thread has the mapping.
        let bytes = unsafe { std::slice::from_raw_parts(mapped.start().sub(4096), 4096) };
        let mut expected = vec![0_u8; 4096];
        let mut put = |at: usize, bytes: &[u8]| expected[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"STELERNG\x01\0\0\0\0\x10\0\0\0\0\x08\0\0\0\0\0\0\x10\0\0\0\0\0\0");
        put(32, b"0123456789abcdef\x07\0\0\0\x09\0\0\0\x02\x01\0\0\0\0\0\0");
        put(64, &u64::from(Process::current().id).to_le_bytes());
        put(72, &Process::current().start_time.to_le_bytes());
        for line in 1..=7 {
            put(128 * line, &[0, 0x10]);
        }
        put(1024, &[2]);
        put(1280, b"\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0disk full");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_file_of_another_kind_version_or_length_is_refused() {
        let length = Mapped::<RingBoard>::BOARD_LENGTH + (512 << 10);
        let mapped = Mapped::<RingBoard>::new(Mapping::anonymous(length, false).unwrap()).unwrap();
        let board = mapped.board();
        assert_eq!(board.check(512 << 10).unwrap_err(), "it is not a ring");
        board.begin(512 << 10, Position(0));
        assert_eq!(board.check(512 << 10), Ok(()));
        assert_eq!(board.check(256 << 10).unwrap_err(), "its header states 524288 bytes and it has 262144");
        board.header.version.store(VERSION_WORD + 1, Ordering::Relaxed);
        let version = board.check(512 << 10).unwrap_err();
        assert_eq!(version, "its layout has version 2, this program reads 1");
    }
}
