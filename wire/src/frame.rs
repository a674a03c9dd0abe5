//! The frame: what every event looks like in memory, in a segment and under the Merkle tree.
//!
//! ```text
//!  0        4        6     7     8                16               24
//! ┌────────┬────────┬─────┬─────┬────────────────┬────────────────┬──────┬──────┬──────┬──────┐
//! │ crc32c │ length │flags│ver. │    sequence    │   timestamp    │block │templ.│schema│schema│ SBE message …
//! │  u32   │  u16   │ u8  │ u8  │      u64       │      u64       │length│  id  │  id  │ vers.│ zero to 8 bytes
//! └────────┴────────┴─────┴─────┴────────────────┴────────────────┴──────┴──────┴──────┴──────┘
//! ```
//!
//! Little-endian. `length` counts the whole frame, header and closing zeros included, and is a multiple of 8.
//! `crc32c` is the CRC-32C (Castagnoli) of everything after itself, exclusive-or the [`Seed`] of trail, shard
//! and epoch, so that bytes left over from an earlier life of the same disk block never look valid.

use crate::bounds::{FRAME_ALIGNMENT, FRAME_LENGTH_MAX, FRAME_VERSION, HEADER_LENGTH, PADDING_LENGTH_MIN};
pub use crate::crc::crc32c;
use crate::messages::SCHEMA_ID;
use crate::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Frame flags. Bits not named here are zero.
pub mod flags {
    /// The frame is padding: it has a position but no sequence, and no consumer sees it.
    pub const PADDING: u8 = 0b0000_0001;
    /// Reserved: the body is compressed.
    pub const COMPRESSED: u8 = 0b0000_0010;
    /// Reserved: the body is encrypted.
    pub const ENCRYPTED: u8 = 0b0000_0100;
    /// Reserved: the event was replayed from another trail.
    pub const REPLAYED: u8 = 0b0000_1000;
}

/// The 32 bytes in front of every SBE message. Its last 8 bytes are the SBE message header.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// CRC-32C of the bytes after this field, exclusive-or the [`Seed`].
    pub crc: U32,
    /// Bytes of the whole frame, a multiple of 8.
    pub length: U16,
    /// See [`flags`].
    pub flags: u8,
    /// Version of the frame layout: [`FRAME_VERSION`].
    pub version: u8,
    /// The event's [`Sequence`]; 0 in padding.
    pub sequence: U64,
    /// When the event was sequenced, nanoseconds since the Unix epoch, UTC; never smaller than the one before.
    pub timestamp: U64,
    /// SBE: bytes of the message's root block.
    pub block_length: U16,
    /// SBE: which message this is; 0 in padding.
    pub template_id: U16,
    /// SBE: which schema the message is of.
    pub schema_id: U16,
    /// SBE: version of that schema.
    pub schema_version: U16,
}

/// What padding carries: how far the log was durable when the padding was written.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaddingBody {
    /// The durable watermark, a [`Position`], that the journal had acknowledged.
    pub durable: U64,
    /// The sequence of the last event before the padding.
    pub last_sequence: U64,
    /// Zero.
    pub reserved: U64,
}

const _: () = assert!(size_of::<FrameHeader>() == HEADER_LENGTH);
const _: () = assert!(HEADER_LENGTH + size_of::<PaddingBody>() == PADDING_LENGTH_MIN);

/// Which writer an event belongs to; what the CRC is seeded with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The trail.
    pub trail: TrailId,
    /// The shard within the trail.
    pub shard: ShardId,
    /// The start of the shard's writer.
    pub epoch: Epoch,
}

/// CRC-32C of an [`Identity`]'s 24 bytes: trail, shard (u32), epoch (u32), little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed(pub u32);

impl Identity {
    /// The seed of every CRC that this writer computes.
    pub fn seed(&self) -> Seed {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.trail.0);
        bytes[16..20].copy_from_slice(&self.shard.0.to_le_bytes());
        bytes[20..].copy_from_slice(&self.epoch.0.to_le_bytes());
        Seed(crc32c(&bytes))
    }
}

/// Bytes of the frame that a message body of `body_length` bytes needs.
pub const fn frame_length(body_length: usize) -> usize {
    (HEADER_LENGTH + body_length).next_multiple_of(FRAME_ALIGNMENT)
}

/// A frame whose header has been checked against the bytes it lies in. The CRC is checked by [`Frame::verify`].
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// Fewer bytes than a header, or than the header's length says.
    Truncated {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        found: usize,
    },
    /// The length is below a header's, above [`FRAME_LENGTH_MAX`] or no multiple of 8.
    Length {
        /// What the header says.
        found: u16,
    },
    /// The layout is of a version that this code does not know.
    Version {
        /// What the header says.
        found: u8,
    },
    /// The CRC is not that of the bytes.
    Crc {
        /// What the bytes give.
        expected: u32,
        /// What the header says.
        found: u32,
    },
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated { needed, found } => write!(f, "frame needs {needed} bytes, {found} are there"),
            Self::Length { found } => write!(f, "frame length {found} is impossible"),
            Self::Version { found } => {
                write!(f, "frame version {found} is newer than {FRAME_VERSION}: read it with a newer stele")
            }
            Self::Crc { expected, found } => write!(f, "CRC is {found:08x}, the bytes give {expected:08x}"),
        }
    }
}

impl std::error::Error for FrameError {}

impl<'a> Frame<'a> {
    /// The frame at the start of `bytes`, its length and version checked, its CRC not.
    ///
    /// # Errors
    /// [`FrameError`], and never [`FrameError::Crc`].
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

    /// Checks the CRC against the bytes.
    ///
    /// # Errors
    /// [`FrameError::Crc`].
    #[inline]
    pub fn verify(&self, seed: Seed) -> Result<(), FrameError> {
        let (expected, found) = (crc32c(&self.bytes[4..]) ^ seed.0, self.header().crc.get());
        if expected == found { Ok(()) } else { Err(FrameError::Crc { expected, found }) }
    }

    /// The header.
    #[inline]
    pub fn header(&self) -> &'a FrameHeader {
        FrameHeader::ref_from_prefix(self.bytes).expect("`read` checked the length").0
    }

    /// The SBE message with the zeros that close the frame.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_LENGTH..]
    }

    /// The whole frame as it stands on the log.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of the whole frame.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether this is padding.
    #[inline]
    pub fn is_padding(&self) -> bool {
        self.header().flags & flags::PADDING != 0
    }

    /// The event's sequence, 0 in padding.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.header().sequence.get())
    }

    /// When the event was sequenced.
    #[inline]
    pub fn timestamp(&self) -> Nanos {
        Nanos(self.header().timestamp.get())
    }

    /// The SBE template id.
    #[inline]
    pub fn template_id(&self) -> u16 {
        self.header().template_id.get()
    }

    /// Whether the message is of Stele's own schema. One of another schema is its publisher's: template ids of the two
    /// have nothing to do with each other.
    #[inline]
    pub fn is_stele(&self) -> bool {
        self.header().schema_id.get() == SCHEMA_ID
    }

    /// The durable watermark that padding carries; none in an event.
    pub fn padding(&self) -> Option<&'a PaddingBody> {
        if !self.is_padding() {
            return None;
        }
        PaddingBody::ref_from_prefix(self.body()).ok().map(|(body, _)| body)
    }
}

/// Fills in `frame`'s CRC. Everything else is in place before.
///
/// # Panics
/// When `frame` is shorter than a header.
#[inline]
pub fn seal(frame: &mut [u8], seed: Seed) {
    let crc = crc32c(&frame[4..]) ^ seed.0;
    frame[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Writes padding over all of `frame`: header, the durable watermark, zeros, CRC.
///
/// # Panics
/// When `frame` is shorter than [`PADDING_LENGTH_MIN`], longer than [`FRAME_LENGTH_MAX`] or no multiple of 8.
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
