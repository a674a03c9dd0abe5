//! Every bound of the wire in one place, with the relations between them checked at compile time.

/// Frames begin and end on multiples of this many bytes.
pub const FRAME_ALIGNMENT: usize = 8;

/// Bytes of the frame header, see [`crate::frame::FrameHeader`].
pub const HEADER_LENGTH: usize = 32;

/// The longest frame, header included, in bytes: the largest multiple of [`FRAME_ALIGNMENT`] below 2^16,
/// so that an event also fits one C2SP tlog-tiles entry (at most 65,535 bytes).
pub const FRAME_LENGTH_MAX: usize = 65_528;

/// The longest SBE message body, in bytes.
pub const BODY_LENGTH_MAX: usize = FRAME_LENGTH_MAX - HEADER_LENGTH;

/// The shortest padding frame: a header and the [`crate::frame::PaddingBody`], in bytes.
pub const PADDING_LENGTH_MIN: usize = HEADER_LENGTH + 24;

/// Version of the frame layout that this code writes.
pub const FRAME_VERSION: u8 = 1;

const _: () = assert!(FRAME_LENGTH_MAX.is_multiple_of(FRAME_ALIGNMENT));
const _: () = assert!(FRAME_LENGTH_MAX <= u16::MAX as usize);
const _: () = assert!(PADDING_LENGTH_MIN.is_multiple_of(FRAME_ALIGNMENT));
