//! Every bound of the simulation in one place. Lengths are in bytes, times in ticks of the disk.

use stele_bus::bounds::{RING_LENGTH_MIN, SEGMENT_LENGTH_MIN};
use stele_wire::ShardId;

/// Of the log's ring: the smallest, so that it goes round often.
pub const RING_LENGTH: usize = RING_LENGTH_MIN;

/// Of a segment's data: the smallest, so that segments roll often.
pub const SEGMENT_LENGTH: u64 = SEGMENT_LENGTH_MIN as u64;

/// The shard whose trail it is.
pub const SHARD: ShardId = ShardId(3);

/// What the medium writes as a whole at least.
pub const SECTOR_LENGTH: usize = 512;

/// What two copies of a file share until one of them is written to.
pub const PAGE_LENGTH: usize = 4096;

/// Words of a small publisher's ring: it is full often.
pub const PUBLISHER_WORDS_SMALL: usize = 512;

/// Words of the ring of the publisher that submits the longest messages.
pub const PUBLISHER_WORDS_LARGE: usize = 12 << 10;

/// Lives of one world.
pub const LIVES_MIN: u64 = 4;
/// See [`LIVES_MIN`].
pub const LIVES_MAX: u64 = 10;

/// Steps of one life.
pub const STEPS_MIN: u64 = 20;
/// See [`STEPS_MIN`].
pub const STEPS_MAX: u64 = 500;

/// Steps that a clean stop may take before it counts as stuck.
pub const STOP_STEPS_MAX: usize = 20_000;

/// Attempts at recovery, each but the last cut short by another failure of the power.
pub const RECOVERIES_MAX: u64 = 3;

/// One step in so many is followed by the question what a crash at that moment would leave.
pub const STEPS_BETWEEN_CRASHES: u64 = 12;

/// One such crash in so many also rots a bit of the medium.
pub const CRASHES_BETWEEN_ROT: u64 = 8;

const _: () = assert!(PAGE_LENGTH.is_multiple_of(SECTOR_LENGTH));
const _: () = assert!(SEGMENT_LENGTH.is_multiple_of(SECTOR_LENGTH as u64));
const _: () = assert!(RING_LENGTH > SEGMENT_LENGTH as usize);
