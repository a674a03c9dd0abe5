//! The bytes of a segment file, as `journal/FORMAT.md` draws them.

use crate::bounds::{BLOCK_LENGTH_MAX, BLOCK_LENGTH_MIN, HEADER_BLOCK_LENGTH, SEGMENT_LENGTH_MAX};
use crc_fast::{CrcAlgorithm, Digest};
use sha2::{Digest as _, Sha256};
use stele_wire::frame::{Identity, crc32c};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The first 8 bytes of every segment file.
pub const MAGIC: [u8; 8] = *b"STELESEG";

/// Version of the segment layout that this code writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// File name extension of a segment.
pub const SEGMENT_EXTENSION: &str = "stele";

/// The extension that an archive's name adds to its segment's.
pub const ARCHIVE_EXTENSION: &str = "zst";

/// File name extension of a segment that is still being prepared.
pub const UNFINISHED_EXTENSION: &str = "new";

/// SHA-256 over the previous segment, see [`link_after`]. Zeros in the first segment of a trail.
pub type SegmentLink = [u8; 32];

/// The header block at the start of a segment file. The type is not page-aligned, so that it may be on a
/// stack; direct I/O uses a copy in [`crate::Pages`].
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Clone, Copy)]
pub struct HeaderBlock {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub version: U32,
    /// Length of the device's logical block in bytes; batches end on one.
    pub block_length: U32,
    /// The trail.
    pub trail: [u8; 16],
    /// The shard.
    pub shard: U32,
    /// The epoch that every frame in the segment belongs to.
    pub epoch: U32,
    /// Index of the segment within the trail, 1 for the first; the file's name states it too.
    pub index: U64,
    /// Position of the first data byte.
    pub base_position: U64,
    /// Sequence of the first event, or of the next event of the log if the segment holds none.
    pub base_sequence: U64,
    /// Data bytes of a full segment in this epoch; the last segment of an epoch is shorter.
    pub segment_length: U64,
    /// Nanoseconds since the Unix epoch, UTC: not after any frame in the segment and not before any earlier
    /// frame.
    pub created: U64,
    /// The [`SegmentLink`] to the previous segment.
    pub link: SegmentLink,
    /// SHA-256 of the schema of the messages.
    pub schema: [u8; 32],
    /// Zeros.
    pub reserved: [u8; RESERVED_LENGTH],
    /// CRC-32C of all bytes before it.
    pub crc: U32,
}

const RESERVED_LENGTH: usize = HEADER_BLOCK_LENGTH - 144 - 4;

const _: () = assert!(size_of::<HeaderBlock>() == HEADER_BLOCK_LENGTH);
const _: () = assert!(align_of::<HeaderBlock>() == 1);

/// The contents of a segment's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// Trail, shard and epoch of the segment's frames; its seed is that of every CRC in the segment.
    pub identity: Identity,
    /// Index of the segment within the trail, 1 for the first.
    pub index: u64,
    /// Length of the device's logical block in bytes.
    pub block_length: u32,
    /// Data bytes of a full segment in this epoch.
    pub segment_length: u64,
    /// Position of the first data byte.
    pub base_position: Position,
    /// Sequence of the first event.
    pub base_sequence: Sequence,
    /// Not after any frame in the segment and not before any earlier frame.
    pub created: Nanos,
    /// The link to the previous segment.
    pub link: SegmentLink,
    /// SHA-256 of the schema.
    pub schema: [u8; 32],
}

/// What the first 4096 bytes of a segment file are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderState {
    /// A valid header.
    Valid(SegmentHeader),
    /// Zeros: the segment is prepared but was never used.
    Blank,
    /// Written by a newer version of Stele, with this layout version.
    Newer(u32),
    /// Anything else.
    Damaged(HeaderFault),
}

/// What is wrong with a header block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderFault {
    /// The file is shorter than a header block.
    #[error("the file ends after {found} bytes, within its header")]
    Short {
        /// The length of the file in bytes.
        found: usize,
    },
    /// The magic is missing.
    #[error("the file does not begin with STELESEG")]
    Magic,
    /// The CRC does not match the bytes.
    #[error("the header's CRC is {found:08x}, its bytes give {expected:08x}")]
    Crc {
        /// The CRC of the bytes.
        expected: u32,
        /// The CRC in the header.
        found: u32,
    },
    /// The CRC matches, but this field has an impossible value.
    #[error("the header's {0} is impossible")]
    Field(&'static str),
}

impl SegmentHeader {
    /// Returns the block to write at the start of the segment file.
    pub fn to_block(&self) -> HeaderBlock {
        let mut block = HeaderBlock {
            magic: MAGIC,
            version: U32::new(FORMAT_VERSION),
            block_length: U32::new(self.block_length),
            trail: self.identity.trail.0,
            shard: U32::new(self.identity.shard.0),
            epoch: U32::new(self.identity.epoch.0),
            index: U64::new(self.index),
            base_position: U64::new(self.base_position.0),
            base_sequence: U64::new(self.base_sequence.0),
            segment_length: U64::new(self.segment_length),
            created: U64::new(self.created.0),
            link: self.link,
            schema: self.schema,
            reserved: [0; RESERVED_LENGTH],
            crc: U32::ZERO,
        };
        block.crc = U32::new(crc32c(&block.as_bytes()[..HEADER_BLOCK_LENGTH - 4]));
        block
    }

    /// Returns the position after the last data byte of the full segment.
    pub fn end_position(&self) -> Position {
        self.base_position.plus(self.segment_length)
    }

    /// Returns the offset of `position` in the segment file.
    ///
    /// # Panics
    /// When `position` is before the segment.
    pub fn file_offset(&self, position: Position) -> u64 {
        assert!(position >= self.base_position, "{position} is before segment {}", self.index);
        HEADER_BLOCK_LENGTH as u64 + (position.0 - self.base_position.0)
    }
}

impl HeaderState {
    /// Parses the first bytes of a segment file.
    pub fn read(bytes: &[u8]) -> Self {
        let Some(bytes) = bytes.get(..HEADER_BLOCK_LENGTH) else {
            return Self::Damaged(HeaderFault::Short { found: bytes.len() });
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Self::Blank;
        }
        if bytes[..8] != MAGIC {
            return Self::Damaged(HeaderFault::Magic);
        }
        let (expected, found) =
            (crc32c(&bytes[..HEADER_BLOCK_LENGTH - 4]), word(bytes, HEADER_BLOCK_LENGTH - 4));
        if expected != found {
            return Self::Damaged(HeaderFault::Crc { expected, found });
        }
        let version = word(bytes, 8);
        if version > FORMAT_VERSION {
            return Self::Newer(version);
        }
        let mut block = HeaderBlock::new_zeroed();
        block.as_mut_bytes().copy_from_slice(bytes);
        match block.explain() {
            Ok(header) => Self::Valid(header),
            Err(fault) => Self::Damaged(fault),
        }
    }

    /// Returns the header if it is valid.
    pub fn header(&self) -> Option<&SegmentHeader> {
        match self {
            Self::Valid(header) => Some(header),
            _ => None,
        }
    }
}

impl HeaderBlock {
    fn explain(&self) -> Result<SegmentHeader, HeaderFault> {
        let header = SegmentHeader {
            identity: Identity {
                trail: TrailId(self.trail),
                shard: ShardId(self.shard.get()),
                epoch: Epoch(self.epoch.get()),
            },
            index: self.index.get(),
            block_length: self.block_length.get(),
            segment_length: self.segment_length.get(),
            base_position: Position(self.base_position.get()),
            base_sequence: Sequence(self.base_sequence.get()),
            created: Nanos(self.created.get()),
            link: self.link,
            schema: self.schema,
        };
        let block = u64::from(header.block_length);
        let blocks = BLOCK_LENGTH_MIN..=BLOCK_LENGTH_MAX;
        if self.version.get() == 0 {
            return Err(HeaderFault::Field("format version"));
        }
        if !blocks.contains(&header.block_length) || !header.block_length.is_power_of_two() {
            return Err(HeaderFault::Field("block length"));
        }
        let length = header.segment_length;
        if length == 0 || length > SEGMENT_LENGTH_MAX || !length.is_multiple_of(block) {
            return Err(HeaderFault::Field("segment length"));
        }
        if !header.base_position.0.is_multiple_of(block) || header.base_position.0 > u64::MAX / 2 {
            return Err(HeaderFault::Field("base position"));
        }
        if header.base_sequence.0 == 0 || header.base_sequence.0 > u64::MAX / 2 {
            return Err(HeaderFault::Field("base sequence"));
        }
        if header.index == 0 || header.identity.epoch.0 == 0 {
            return Err(HeaderFault::Field("index or epoch"));
        }
        Ok(header)
    }
}

fn word(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

/// Returns the link that the segment after `previous` carries: SHA-256 of its header block, then `end` (the
/// position after its last frame) and `last` (the sequence of the last event before `end`) as `u64`, and the
/// CRC-32C of all its data bytes before `end` as `u32`, little-endian.
pub fn link_after(previous: &HeaderBlock, end: Position, last: Sequence, data_crc: u32) -> SegmentLink {
    let mut hash = Sha256::new();
    hash.update(previous.as_bytes());
    hash.update(end.0.to_le_bytes());
    hash.update(last.0.to_le_bytes());
    hash.update(data_crc.to_le_bytes());
    hash.finalize().into()
}

/// CRC-32C of data that arrives in parts.
#[derive(Clone, Debug)]
pub struct RunningCrc(Digest);

impl Default for RunningCrc {
    fn default() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }
}

impl RunningCrc {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the CRC of everything so far.
    pub fn value(&self) -> u32 {
        self.0.finalize() as u32
    }
}

/// Returns the file name of segment `index`.
pub fn segment_name(index: u64) -> String {
    format!("{index:010}.{SEGMENT_EXTENSION}")
}

/// Returns the index in a segment's file name; `None` for any other name.
pub fn segment_index(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(SEGMENT_EXTENSION)?.strip_suffix('.')?;
    let index = stem.parse().ok()?;
    (segment_name(index) == name).then_some(index)
}

/// Returns the file name of segment `index`'s archive.
pub fn archive_name(index: u64) -> String {
    format!("{}.{ARCHIVE_EXTENSION}", segment_name(index))
}

/// Returns the index in an archive's file name; `None` for any other name.
pub fn archive_index(name: &str) -> Option<u64> {
    segment_index(name.strip_suffix(ARCHIVE_EXTENSION)?.strip_suffix('.')?)
}

/// Returns `position` rounded up to the next multiple of `block_length`.
pub fn align_up(position: Position, block_length: u32) -> Position {
    Position(position.0.next_multiple_of(u64::from(block_length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            identity: Identity { trail: TrailId(*b"0123456789abcdef"), shard: ShardId(7), epoch: Epoch(3) },
            index: 42,
            block_length: 512,
            segment_length: 64 << 20,
            base_position: Position(0x0102_0304_0600),
            base_sequence: Sequence(1_000_001),
            created: Nanos(1_700_000_000_000_000_000),
            link: [0xaa; 32],
            schema: [0xbb; 32],
        }
    }

    /// The bytes of a header are frozen: trails of today will be read for years.
    #[test]
    fn the_header_block_is_these_bytes() {
        let block = header().to_block();
        let bytes = block.as_bytes();
        let mut golden = Vec::new();
        golden.extend_from_slice(b"STELESEG\x01\x00\x00\x00\x00\x02\x00\x000123456789abcdef");
        golden.extend_from_slice(b"\x07\x00\x00\x00\x03\x00\x00\x00");
        golden.extend_from_slice(b"\x2a\x00\x00\x00\x00\x00\x00\x00");
        golden.extend_from_slice(b"\x00\x06\x04\x03\x02\x01\x00\x00");
        golden.extend_from_slice(b"\x41\x42\x0f\x00\x00\x00\x00\x00");
        golden.extend_from_slice(b"\x00\x00\x00\x04\x00\x00\x00\x00");
        golden.extend_from_slice(b"\x00\x00\x2a\x36\xfe\x9c\x97\x17");
        golden.extend_from_slice(&[0xaa; 32]);
        golden.extend_from_slice(&[0xbb; 32]);
        golden.resize(HEADER_BLOCK_LENGTH - 4, 0);
        assert!(bytes[..HEADER_BLOCK_LENGTH - 4] == golden, "{:?}", &bytes[..160]);
        assert_eq!(bytes[HEADER_BLOCK_LENGTH - 4..], crc32c(&golden).to_le_bytes());
    }

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        assert_eq!(HeaderState::read(header().to_block().as_bytes()), HeaderState::Valid(header()));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_header_is_noticed() {
        let block = header().to_block();
        for bit in 0..HEADER_BLOCK_LENGTH * 8 {
            let mut bytes = block.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(HeaderState::read(&bytes), HeaderState::Damaged(_)), "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_a_segment_never_used_and_a_newer_version_is_named() {
        assert_eq!(HeaderState::read(&[0; 4096]), HeaderState::Blank);
        let mut block = header().to_block();
        block.version = U32::new(9);
        block.crc = U32::new(crc32c(&block.as_bytes()[..HEADER_BLOCK_LENGTH - 4]));
        assert_eq!(HeaderState::read(block.as_bytes()), HeaderState::Newer(9));
        assert_eq!(HeaderState::read(&[1; 7]), HeaderState::Damaged(HeaderFault::Short { found: 7 }));
    }

    #[test]
    fn an_impossible_field_is_named_even_under_a_right_crc() {
        for (field, change) in [
            ("block length", (|h| h.block_length = 300) as fn(&mut SegmentHeader)),
            ("segment length", |h| h.segment_length = 100),
            ("base position", |h| h.base_position = Position(17)),
            ("base sequence", |h| h.base_sequence = Sequence(0)),
            ("index or epoch", |h| h.index = 0),
        ] {
            let mut header = header();
            change(&mut header);
            let state = HeaderState::read(header.to_block().as_bytes());
            assert_eq!(state, HeaderState::Damaged(HeaderFault::Field(field)));
        }
    }

    #[test]
    fn only_the_canonical_file_name_is_a_segment() {
        assert_eq!(segment_index("0000000042.stele"), Some(42));
        for other in ["42.stele", "0000000042.new", "+000000042.stele", "0000000042.stele.bak", ".stele"] {
            assert_eq!(segment_index(other), None, "{other}");
        }
    }

    #[test]
    fn the_link_depends_on_everything_before_it() {
        let block = header().to_block();
        let link = link_after(&block, Position(10), Sequence(20), 30);
        assert_ne!(link, link_after(&block, Position(11), Sequence(20), 30));
        assert_ne!(link, link_after(&block, Position(10), Sequence(21), 30));
        assert_ne!(link, link_after(&block, Position(10), Sequence(20), 31));
        let mut other = header();
        other.index += 1;
        assert_ne!(link, link_after(&other.to_block(), Position(10), Sequence(20), 30));
    }
}
