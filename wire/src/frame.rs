//! The frame: the bytes of an event, the same in memory, in a segment and under the Merkle tree.
//!
//! ```text
//!  0        4        6     7     8                16               24
//! ┌────────┬────────┬─────┬─────┬────────────────┬────────────────┬──────┬──────┬──────┬──────┐
//! │ crc32c │ length │flags│ver. │    sequence    │   timestamp    │block │templ.│schema│schema│ SBE message
//! │  u32   │  u16   │ u8  │ u8  │      u64       │      u64       │length│  id  │  id  │ vers.│ then zeros
//! └────────┴────────┴─────┴─────┴────────────────┴────────────────┴──────┴──────┴──────┴──────┘
//! ```
//!
//! Numbers are little-endian. `length` is that of the whole frame, with the header and the zeros at the end;
//! it is a multiple of 8. `crc32c` is the CRC-32C (Castagnoli) of the bytes after it, exclusive-or the
//! [`Seed`] of trail, shard and epoch. So bytes that another trail or an earlier epoch left in a disk block
//! are not valid.
//!
//! # Examples
//!
//! [`Frame::read`] checks a frame's header, [`Frame::verify`] its CRC, and [`Frame::message`] returns the
//! message:
//!
//! ```
//! use stele_wire::bounds::FRAME_VERSION;
//! use stele_wire::frame::{self, Frame, FrameHeader, Identity};
//! use stele_wire::messages::Trade;
//! use zerocopy::IntoBytes;
//!
//! let trade = Trade { quantity: 3.into(), ..Trade::NULL };
//! let header = FrameHeader {
//!     crc: 0.into(),
//!     length: (frame::frame_length(trade.as_bytes().len()) as u16).into(),
//!     flags: 0,
//!     version: FRAME_VERSION,
//!     sequence: 1.into(),
//!     timestamp: 1_800_000_000_000_000_000.into(),
//!     block_length: Trade::BLOCK_LENGTH.into(),
//!     template_id: Trade::TEMPLATE_ID.into(),
//!     schema_id: stele_wire::messages::SCHEMA_ID.into(),
//!     schema_version: stele_wire::messages::SCHEMA_VERSION.into(),
//! };
//! let mut bytes = [header.as_bytes(), trade.as_bytes()].concat();
//! let seed = Identity::default().seed();
//! frame::seal(&mut bytes, seed);
//!
//! let frame = Frame::read(&bytes)?;
//! frame.verify(seed)?;
//! assert_eq!(frame.sequence().0, 1);
//! assert_eq!(frame.message::<Trade>().unwrap().quantity.get(), 3);
//! # Ok::<(), stele_wire::FrameError>(())
//! ```

use crate::bounds::{FRAME_ALIGNMENT, FRAME_LENGTH_MAX, FRAME_VERSION, HEADER_LENGTH, PADDING_LENGTH_MIN};
pub use crate::crc::crc32c;
use crate::messages::SCHEMA_ID;
use crate::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The flags of a frame. The other bits are zero.
pub mod flags {
    /// The frame is padding: it has a position but no sequence, and consumers do not see it.
    pub const PADDING: u8 = 0b0000_0001;
    /// Reserved: the body is compressed.
    pub const COMPRESSED: u8 = 0b0000_0010;
    /// Reserved: the body is encrypted.
    pub const ENCRYPTED: u8 = 0b0000_0100;
    /// Reserved: the event was replayed from another trail.
    pub const REPLAYED: u8 = 0b0000_1000;
}

/// The header of a frame: the 32 bytes before the SBE message. Its last 8 bytes are SBE's message header.
///
/// The [module](self) draws the layout and has an example.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// The CRC-32C of the bytes after this field, exclusive-or the [`Seed`].
    pub crc: U32,
    /// The length of the whole frame in bytes, a multiple of 8.
    pub length: U16,
    /// The [`flags`].
    pub flags: u8,
    /// The version of the frame layout, [`FRAME_VERSION`].
    pub version: u8,
    /// The event's [`Sequence`]; 0 in padding.
    pub sequence: U64,
    /// The time when the event was sequenced, in nanoseconds since the Unix epoch, UTC. It never decreases.
    pub timestamp: U64,
    /// SBE: the length of the message's root block in bytes; in padding that of [`PaddingBody`].
    pub block_length: U16,
    /// SBE: the template id of the message; 0 in padding.
    pub template_id: U16,
    /// SBE: the id of the message's schema; 0 in padding.
    pub schema_id: U16,
    /// SBE: the version of that schema; 0 in padding.
    pub schema_version: U16,
}

/// The body of a padding frame: how far the log was durable when the padding was written.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaddingBody {
    /// The durable watermark that the journal had acknowledged, a [`Position`].
    pub durable: U64,
    /// The sequence of the last event before the padding.
    pub last_sequence: U64,
    /// Zero.
    pub reserved: U64,
}

const _: () = assert!(size_of::<FrameHeader>() == HEADER_LENGTH);
const _: () = assert!(HEADER_LENGTH + size_of::<PaddingBody>() == PADDING_LENGTH_MIN);

/// The identity of an event's writer, from which the [`Seed`] of the CRC follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The trail.
    pub trail: TrailId,
    /// The shard of the trail.
    pub shard: ShardId,
    /// The epoch of the shard's writer.
    pub epoch: Epoch,
}

/// The CRC-32C of an [`Identity`]'s 24 bytes: trail, shard (u32), epoch (u32), little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed(pub u32);

impl Identity {
    /// Returns the seed of the CRCs of this writer's frames.
    pub fn seed(&self) -> Seed {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.trail.0);
        bytes[16..20].copy_from_slice(&self.shard.0.to_le_bytes());
        bytes[20..].copy_from_slice(&self.epoch.0.to_le_bytes());
        Seed(crc32c(&bytes))
    }
}

/// Returns the length in bytes of the frame for a message of `body_length` bytes.
pub const fn frame_length(body_length: usize) -> usize {
    (HEADER_LENGTH + body_length).next_multiple_of(FRAME_ALIGNMENT)
}

/// A frame whose header has been checked against the bytes that contain it. [`Frame::verify`] checks the CRC.
///
/// The [module](self) has an example.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// There are fewer bytes than a header has, or than the header's length requires.
    Truncated {
        /// The number of bytes needed.
        needed: usize,
        /// The number of bytes found.
        found: usize,
    },
    /// The length is shorter than a header, longer than [`FRAME_LENGTH_MAX`] or not a multiple of 8.
    Length {
        /// The length in the header.
        found: u16,
    },
    /// This code does not know the version of the frame layout.
    Version {
        /// The version in the header.
        found: u8,
    },
    /// The CRC does not match the bytes.
    Crc {
        /// The CRC of the bytes.
        expected: u32,
        /// The CRC in the header.
        found: u32,
    },
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated { needed, found } => {
                write!(f, "the frame needs {needed} bytes, but there are {found}")
            }
            Self::Length { found } => write!(f, "frame length {found} is invalid"),
            Self::Version { found } => {
                write!(f, "frame version {found} is newer than {FRAME_VERSION}: read it with a newer stele")
            }
            Self::Crc { expected, found } => {
                write!(f, "the CRC is {found:08x}, but that of the bytes is {expected:08x}")
            }
        }
    }
}

impl std::error::Error for FrameError {}

impl<'a> Frame<'a> {
    /// Returns the frame at the start of `bytes`, after checking its length and version, but not its CRC.
    ///
    /// # Errors
    /// Every [`FrameError`] except [`FrameError::Crc`].
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let Ok((header, _)) = FrameHeader::ref_from_prefix(bytes) else {
            return Err(FrameError::Truncated { needed: HEADER_LENGTH, found: bytes.len() });
        };
        let length = header.length.get() as usize;
        if !(HEADER_LENGTH..=FRAME_LENGTH_MAX).contains(&length) || !length.is_multiple_of(FRAME_ALIGNMENT) {
            return Err(FrameError::Length { found: header.length.get() });
        }
        if header.version != FRAME_VERSION {
            return Err(FrameError::Version { found: header.version });
        }
        match bytes.get(..length) {
            Some(bytes) => Ok(Self { bytes }),
            None => Err(FrameError::Truncated { needed: length, found: bytes.len() }),
        }
    }

    /// Checks the CRC, which is seeded with `seed`.
    ///
    /// # Errors
    /// [`FrameError::Crc`].
    #[inline]
    pub fn verify(&self, seed: Seed) -> Result<(), FrameError> {
        let (expected, found) = (crc32c(&self.bytes[4..]) ^ seed.0, self.header().crc.get());
        if expected == found { Ok(()) } else { Err(FrameError::Crc { expected, found }) }
    }

    /// Returns the header.
    #[inline]
    pub fn header(&self) -> &'a FrameHeader {
        FrameHeader::ref_from_prefix(self.bytes).expect("`read` checked the length").0
    }

    /// Returns the SBE message with the zeros at the end of the frame.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_LENGTH..]
    }

    /// Returns the bytes of the whole frame, as they are on the log.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the length of the whole frame in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the frame is padding.
    #[inline]
    pub fn is_padding(&self) -> bool {
        self.header().flags & flags::PADDING != 0
    }

    /// Returns the event's sequence, 0 in padding.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.header().sequence.get())
    }

    /// Returns the time when the event was sequenced.
    #[inline]
    pub fn timestamp(&self) -> Nanos {
        Nanos(self.header().timestamp.get())
    }

    /// Returns the template id of the message, 0 in padding.
    #[inline]
    pub fn template_id(&self) -> u16 {
        self.header().template_id.get()
    }

    /// Whether the message is of Stele's own schema. A message of another schema belongs to its publisher,
    /// and may have the template id of an unrelated message of Stele.
    #[inline]
    pub fn is_stele(&self) -> bool {
        self.header().schema_id.get() == SCHEMA_ID
    }

    /// Returns the body of padding; `None` in an event.
    pub fn padding(&self) -> Option<&'a PaddingBody> {
        if !self.is_padding() {
            return None;
        }
        PaddingBody::ref_from_prefix(self.body()).ok().map(|(body, _)| body)
    }
}

/// Computes the CRC of `frame` and writes it into the header. The other bytes must be complete.
///
/// # Panics
/// Panics when `frame` is shorter than 4 bytes.
#[inline]
pub fn seal(frame: &mut [u8], seed: Seed) {
    let crc = crc32c(&frame[4..]) ^ seed.0;
    frame[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Writes a padding frame over all of `frame`: the header, the body, zeros, the CRC. `durable` is the durable
/// watermark and `last` the sequence of the last event before the padding.
///
/// # Panics
/// Panics when `frame` is shorter than [`PADDING_LENGTH_MIN`], longer than [`FRAME_LENGTH_MAX`] or not a
/// multiple of 8.
pub fn write_padding(frame: &mut [u8], timestamp: Nanos, durable: Position, last: Sequence, seed: Seed) {
    let length = frame.len();
    assert!((PADDING_LENGTH_MIN..=FRAME_LENGTH_MAX).contains(&length), "padding of {length} bytes");
    assert!(length.is_multiple_of(FRAME_ALIGNMENT), "padding of {length} bytes");
    let header = FrameHeader {
        crc: U32::ZERO,
        length: U16::new(length as u16),
        flags: flags::PADDING,
        version: FRAME_VERSION,
        sequence: U64::ZERO,
        timestamp: U64::new(timestamp.0),
        block_length: U16::new(size_of::<PaddingBody>() as u16),
        template_id: U16::ZERO,
        schema_id: U16::ZERO,
        schema_version: U16::ZERO,
    };
    let body =
        PaddingBody { durable: U64::new(durable.0), last_sequence: U64::new(last.0), reserved: U64::ZERO };
    frame[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
    frame[HEADER_LENGTH..PADDING_LENGTH_MIN].copy_from_slice(body.as_bytes());
    frame[PADDING_LENGTH_MIN..].fill(0);
    seal(frame, seed);
}
