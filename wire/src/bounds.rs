//! Every bound of the wire format; the relations between them are checked at compile time.

/// The alignment of frames in bytes: each begins and ends on a multiple of it.
pub const FRAME_ALIGNMENT: usize = 8;

/// The length of the frame header in bytes, see [`crate::frame::FrameHeader`].
pub const HEADER_LENGTH: usize = 32;

/// The length of the longest frame in bytes, header included: the largest multiple of [`FRAME_ALIGNMENT`]
/// below 2^16. So an event also fits in one entry of C2SP tlog-tiles, which has at most 65,535 bytes.
pub const FRAME_LENGTH_MAX: usize = 65_528;

/// The length of the longest message in bytes, without the frame header.
pub const BODY_LENGTH_MAX: usize = FRAME_LENGTH_MAX - HEADER_LENGTH;

/// The length of the shortest padding frame in bytes: a header and the [`crate::frame::PaddingBody`].
pub const PADDING_LENGTH_MIN: usize = HEADER_LENGTH + 24;

/// The version of the frame layout that this code writes.
pub const FRAME_VERSION: u8 = 1;

const _: () = assert!(FRAME_LENGTH_MAX.is_multiple_of(FRAME_ALIGNMENT));
const _: () = assert!(FRAME_LENGTH_MAX <= u16::MAX as usize);
const _: () = assert!(PADDING_LENGTH_MIN.is_multiple_of(FRAME_ALIGNMENT));
