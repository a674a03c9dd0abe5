//! Every bound of the journal in one place, with the relations between them checked at compile time.

use stele_wire::bounds::FRAME_LENGTH_MAX;

/// Length of the header block, which precedes the data in a segment file, in bytes.
pub const HEADER_BLOCK_LENGTH: usize = 4096;

/// Memory and length alignment that satisfies direct I/O on every device in use, in bytes.
pub const PAGE_LENGTH: usize = 4096;

/// The smallest block that a device writes atomically, in bytes.
pub const BLOCK_LENGTH_MIN: u32 = stele_bus::bounds::BLOCK_LENGTH_MIN as u32;

/// The largest block length of a trail, in bytes.
pub const BLOCK_LENGTH_MAX: u32 = 4096;

/// The default number of data bytes in a segment.
pub const SEGMENT_LENGTH_DEFAULT: u64 = 64 << 20;

/// The smallest number of data bytes in a segment.
pub const SEGMENT_LENGTH_MIN: u64 = stele_bus::bounds::SEGMENT_LENGTH_MIN as u64;

/// The largest number of data bytes in a segment. Offsets within one fit the `u32` arithmetic of io_uring
/// requests.
pub const SEGMENT_LENGTH_MAX: u64 = 1 << 32;

/// The most bytes in one write.
pub const WRITE_LENGTH_MAX: u64 = 256 << 10;

/// The most requests in flight at once.
pub const IN_FLIGHT_MAX: usize = 8;

/// The default number of segments that the pool keeps ready.
pub const SPARE_SEGMENTS_DEFAULT: usize = 2;

/// Bytes of zeros that the pool writes at once. A write of the journal waits tens of microseconds for one
/// such write.
pub const ZEROING_LENGTH: usize = 256 << 10;

/// The default warning limit: free space for fewer further segments than this.
pub const FREE_SPACE_WARNING_SEGMENTS: u64 = 16;

/// The default warning limit: fewer free bytes than this.
pub const FREE_SPACE_WARNING_MIN: u64 = 1 << 30;

/// The most segments that the pool keeps ready.
pub const SPARE_SEGMENTS_MAX: usize = 64;

/// Bytes in one read of a file.
pub const READ_LENGTH: usize = 1 << 20;

/// Space before a read for the frame that the previous read cut, in bytes.
pub const CARRY_LENGTH_MAX: usize = 1 << 16;

/// Raw bytes in one frame of an archive: the length of one read.
pub const ARCHIVE_FRAME_LENGTH: usize = READ_LENGTH;

/// The most compressed bytes in such a frame: zstd's own bound is the raw length plus 1/128.
pub const ARCHIVE_PACKED_LENGTH_MAX: usize = ARCHIVE_FRAME_LENGTH + (ARCHIVE_FRAME_LENGTH >> 7);

/// The most frames in an archive: those of the longest segment, and one for its header.
pub const ARCHIVE_FRAMES_MAX: usize = (SEGMENT_LENGTH_MAX / ARCHIVE_FRAME_LENGTH as u64) as usize + 1;

/// Bytes of log between two entries of a segment's index.
pub const INDEX_INTERVAL: u64 = 256 << 10;

/// The most entries of an index.
pub const INDEX_ENTRIES_MAX: usize = (SEGMENT_LENGTH_MAX / INDEX_INTERVAL) as usize + 1;

/// The most kinds of events that an index counts; a segment with more has none.
pub const INDEX_TEMPLATES_MAX: usize = 4096;

/// Closed segments that a clean stop indexes before it ends; if there are more, the next start indexes them.
pub const INDEX_AT_STOP_MAX: usize = 4;

/// Bytes after which a block of verified frames is sent to the consumer.
pub const RELAY_BLOCK_LENGTH: usize = 256 << 10;

/// The most blocks queued of the segment that the consumer reads.
pub const RELAY_LANE_BLOCKS: usize = 16;

/// The most blocks queued of all later segments together.
pub const RELAY_AHEAD_BLOCKS: usize = 64;

/// The most bytes of a snapshot file.
pub const SNAPSHOT_LENGTH_MAX: u64 = 1 << 30;

/// The most sections in a snapshot.
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

/// The number of newest segments of the running epoch whose files are checked while it runs.
pub const SEGMENTS_WATCHED_MAX: u64 = 64;
