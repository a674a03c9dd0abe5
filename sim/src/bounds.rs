//! Every bound of the simulation in one place. Lengths are in bytes, times in ticks of the disk.

use stele_bus::bounds::{RING_LENGTH_MIN, SEGMENT_LENGTH_MIN};
use stele_wire::ShardId;

/// Length of the log's ring: the smallest, so that it wraps often.
pub const RING_LENGTH: usize = RING_LENGTH_MIN;

/// Data bytes of a segment: the fewest, so that segments roll often.
pub const SEGMENT_LENGTH: u64 = SEGMENT_LENGTH_MIN as u64;

/// The shard of the trail.
pub const SHARD: ShardId = ShardId(3);

/// The smallest unit that the medium writes atomically.
pub const SECTOR_LENGTH: usize = 512;

/// The unit that two copies of a file share until one of them is written to.
pub const PAGE_LENGTH: usize = 4096;

/// Words of a small publisher's ring, which is full often.
pub const PUBLISHER_WORDS_SMALL: usize = 512;

/// Words of the ring of the publisher that submits the longest messages.
pub const PUBLISHER_WORDS_LARGE: usize = 12 << 10;

/// The fewest lives of one world.
pub const LIVES_MIN: u64 = 4;
/// The most lives of one world.
pub const LIVES_MAX: u64 = 10;

/// The fewest steps of one life.
pub const STEPS_MIN: u64 = 20;
/// The most steps of one life.
pub const STEPS_MAX: u64 = 500;

/// Steps that a clean stop may take before it counts as stuck.
pub const STOP_STEPS_MAX: usize = 20_000;

/// The most attempts at recovery; each but the last is cut short by another power failure.
pub const RECOVERIES_MAX: u64 = 3;

/// After one step in so many, a copy of the disk crashes and is recovered.
pub const STEPS_BETWEEN_CRASHES: u64 = 12;

/// One such crash in so many also changes a bit of the medium.
pub const CRASHES_BETWEEN_ROT: u64 = 8;

const _: () = assert!(PAGE_LENGTH.is_multiple_of(SECTOR_LENGTH));
const _: () = assert!(SEGMENT_LENGTH.is_multiple_of(SECTOR_LENGTH as u64));
const _: () = assert!(RING_LENGTH > SEGMENT_LENGTH as usize);
