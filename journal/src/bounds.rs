//! Every bound of the journal in one place, with the relations between them checked at compile time.

use stele_wire::bounds::FRAME_LENGTH_MAX;

/// Bytes of a segment file in front of its data: the header block.
pub const HEADER_BLOCK_LENGTH: usize = 4096;

/// Memory and length alignment that satisfies direct I/O on every device in use, in bytes.
pub const PAGE_LENGTH: usize = 4096;

/// The smallest block that a device writes as a whole, in bytes.
pub const BLOCK_LENGTH_MIN: u32 = stele_bus::bounds::BLOCK_LENGTH_MIN as u32;

/// The largest block that a trail may be written in, in bytes.
pub const BLOCK_LENGTH_MAX: u32 = 4096;

/// Data bytes of a segment unless configured otherwise.
pub const SEGMENT_LENGTH_DEFAULT: u64 = 64 << 20;

/// The least data bytes of a segment.
pub const SEGMENT_LENGTH_MIN: u64 = stele_bus::bounds::SEGMENT_LENGTH_MIN as u64;

/// The most data bytes of a segment; offsets within one fit `u32` arithmetic of io_uring requests.
pub const SEGMENT_LENGTH_MAX: u64 = 1 << 32;

/// The most bytes that one write carries.
pub const WRITE_LENGTH_MAX: u64 = 256 << 10;

/// The most requests that are on their way to the device at once.
pub const IN_FLIGHT_MAX: usize = 8;

/// Segments that the pool keeps ready unless configured otherwise.
pub const SPARE_SEGMENTS_DEFAULT: usize = 2;

/// Bytes of zeros that the pool writes at once: a write of the journal waits behind one for tens of microseconds.
pub const ZEROING_LENGTH: usize = 256 << 10;

/// Room for fewer further segments than this is warned of, unless configured otherwise.
pub const FREE_SPACE_WARNING_SEGMENTS: u64 = 16;

/// Less free space than this is warned of, unless configured otherwise, in bytes.
pub const FREE_SPACE_WARNING_MIN: u64 = 1 << 30;

/// The most segments that the pool keeps ready.
pub const SPARE_SEGMENTS_MAX: usize = 64;

/// Bytes that a reader asks a file for at once.
pub const READ_LENGTH: usize = 1 << 20;

/// Room in front of a read for the frame that the previous read cut, in bytes.
pub const CARRY_LENGTH_MAX: usize = 1 << 16;

/// Raw bytes in one frame of an archive: what a reader asks for at once.
pub const ARCHIVE_FRAME_LENGTH: usize = READ_LENGTH;

/// The most bytes that such a frame takes packed: zstd's own bound is the raw length and 1/128 more.
pub const ARCHIVE_PACKED_LENGTH_MAX: usize = ARCHIVE_FRAME_LENGTH + (ARCHIVE_FRAME_LENGTH >> 7);

/// The most frames of an archive: the longest segment's, and one for its header.
pub const ARCHIVE_FRAMES_MAX: usize = (SEGMENT_LENGTH_MAX / ARCHIVE_FRAME_LENGTH as u64) as usize + 1;

/// Bytes of log between two entries of a segment's index.
pub const INDEX_INTERVAL: u64 = 256 << 10;

/// The most entries of an index.
pub const INDEX_ENTRIES_MAX: usize = (SEGMENT_LENGTH_MAX / INDEX_INTERVAL) as usize + 1;

/// The most kinds of events that an index counts; a segment with more has none.
pub const INDEX_TEMPLATES_MAX: usize = 4096;

/// Closed segments that a clean stop indexes before it ends; where there are more, the next start does it.
pub const INDEX_AT_STOP_MAX: usize = 4;

/// Bytes after which a block of verified frames is handed on.
pub const RELAY_BLOCK_LENGTH: usize = 256 << 10;

/// Blocks of the segment whose frames are being looked at that wait for that.
pub const RELAY_LANE_BLOCKS: usize = 16;

/// Blocks of all segments behind it that wait for their turn.
pub const RELAY_AHEAD_BLOCKS: usize = 64;

/// The most bytes of a snapshot file.
pub const SNAPSHOT_LENGTH_MAX: u64 = 1 << 30;

/// The most machines in a snapshot.
pub const SNAPSHOT_SECTIONS_MAX: usize = 64;

const _: () = assert!(HEADER_BLOCK_LENGTH.is_multiple_of(BLOCK_LENGTH_MAX as usize));
const _: () = assert!(PAGE_LENGTH.is_multiple_of(BLOCK_LENGTH_MAX as usize));
const _: () = assert!(SEGMENT_LENGTH_MIN.is_multiple_of(BLOCK_LENGTH_MAX as u64));
const _: () = assert!(SEGMENT_LENGTH_MIN > FRAME_LENGTH_MAX as u64);
const _: () = assert!(SEGMENT_LENGTH_DEFAULT.is_multiple_of(BLOCK_LENGTH_MAX as u64));
const _: () = assert!(WRITE_LENGTH_MAX.is_multiple_of(BLOCK_LENGTH_MAX as u64));
const _: () = assert!(READ_LENGTH.is_multiple_of(PAGE_LENGTH) && READ_LENGTH > FRAME_LENGTH_MAX);
const _: () = assert!(ZEROING_LENGTH.is_multiple_of(PAGE_LENGTH));
const _: () = assert!(CARRY_LENGTH_MAX >= FRAME_LENGTH_MAX && CARRY_LENGTH_MAX.is_multiple_of(PAGE_LENGTH));
const _: () = assert!(ARCHIVE_FRAME_LENGTH > HEADER_BLOCK_LENGTH);

/// Segments of the running epoch, the newest, whose files are looked after while it runs.
pub const SEGMENTS_WATCHED_MAX: u64 = 64;
