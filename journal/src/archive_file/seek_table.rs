//! The seek table of the zstd seekable format: which frame of an archive holds which bytes of the raw file.
//!
//! ```text
//! frame 0 │ frame 1 │ … │ 0x184D2A5E u32 · length u32 │ (packed u32 · raw u32) × n │ n u32 · 0 u8 · magic
//!                       └ decompressors skip this frame                             └ the last 9 bytes
//! ```
//!
//! The magic is the `u32` 0x8F92EAB1. The table is parsed here and not by a crate, so that a damaged count is
//! refused before memory is allocated for it. A test reads what this module writes with a crate that other
//! tools use.

use crate::bounds::{
    ARCHIVE_FRAME_LENGTH, ARCHIVE_FRAMES_MAX, ARCHIVE_PACKED_LENGTH_MAX, HEADER_BLOCK_LENGTH,
};

const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
const FRONT_LENGTH: usize = 8;
const ENTRY_LENGTH: usize = 8;
/// Bytes after the entries, at the end of the file.
pub(super) const FOOT_LENGTH: usize = 9;

/// One frame of an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// Offset of the frame in the archive.
    pub(super) packed_offset: u64,
    /// Length of the frame in the archive, in bytes.
    pub(super) packed_length: usize,
    /// Offset of its content in the raw file.
    pub(super) raw_offset: u64,
    /// Length of its content, in bytes.
    pub(super) raw_length: usize,
}

/// The frames of an archive, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SeekTable {
    spans: Vec<Span>,
}

impl SeekTable {
    /// Appends the next frame.
    pub(crate) fn push(&mut self, packed_length: usize, raw_length: usize) {
        let (packed_offset, raw_offset) = (self.packed_length(), self.raw_length());
        self.spans.push(Span { packed_offset, packed_length, raw_offset, raw_length });
    }

    /// Returns the frames.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Returns the index of the frame that holds byte `offset` of the raw file; `None` after the file's end.
    pub(crate) fn find(&self, offset: u64) -> Option<usize> {
        let after = self.spans.partition_point(|span| span.raw_offset <= offset);
        (offset < self.raw_length()).then(|| after - 1)
    }

    /// Returns the length of the raw file in bytes.
    pub(crate) fn raw_length(&self) -> u64 {
        self.spans.last().map_or(0, |last| last.raw_offset + last.raw_length as u64)
    }

    /// Returns the length of all frames in bytes, without the table.
    pub(crate) fn packed_length(&self) -> u64 {
        self.spans.last().map_or(0, |last| last.packed_offset + last.packed_length as u64)
    }

    /// Returns the length of a table of `count` frames in bytes.
    pub(crate) const fn encoded_length(count: usize) -> usize {
        FRONT_LENGTH + count * ENTRY_LENGTH + FOOT_LENGTH
    }

    /// Returns the bytes of the table, which follow the frames.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::encoded_length(self.spans.len()));
        let rest = Self::encoded_length(self.spans.len()) - FRONT_LENGTH;
        bytes.extend_from_slice(&SKIPPABLE_MAGIC.to_le_bytes());
        bytes.extend_from_slice(&(rest as u32).to_le_bytes());
        for span in &self.spans {
            bytes.extend_from_slice(&(span.packed_length as u32).to_le_bytes());
            bytes.extend_from_slice(&(span.raw_length as u32).to_le_bytes());
        }
        bytes.extend_from_slice(&(self.spans.len() as u32).to_le_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
        bytes
    }

    /// Returns the number of frames that the last bytes of an archive state.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub(crate) fn count(foot: &[u8; FOOT_LENGTH]) -> Result<usize, &'static str> {
        if word(foot, 5) != SEEKABLE_MAGIC {
            return Err("it does not end with a seek table");
        }
        if foot[4] != 0 {
            return Err("its seek table is of a kind that stele does not write");
        }
        let count = word(foot, 0) as usize;
        if count == 0 || count > ARCHIVE_FRAMES_MAX {
            return Err("its seek table states an impossible number of frames");
        }
        Ok(count)
    }

    /// Parses the bytes of a table that follows `packed_length` bytes of frames.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub(crate) fn decode(bytes: &[u8], packed_length: u64) -> Result<Self, &'static str> {
        let (front, entries) = bytes.split_at_checked(FRONT_LENGTH).ok_or("its seek table is cut")?;
        if word(front, 0) != SKIPPABLE_MAGIC || word(front, 4) as usize != entries.len() {
            return Err("its seek table does not begin where it ought to");
        }
        let entries = &entries[..entries.len().saturating_sub(FOOT_LENGTH)];
        let mut table = Self { spans: Vec::with_capacity(entries.len() / ENTRY_LENGTH) };
        for entry in entries.chunks_exact(ENTRY_LENGTH) {
            let (packed, raw) = (word(entry, 0) as usize, word(entry, 4) as usize);
            if packed == 0 || packed > ARCHIVE_PACKED_LENGTH_MAX || raw == 0 || raw > ARCHIVE_FRAME_LENGTH {
                return Err("its seek table has a frame of an impossible length");
            }
            table.push(packed, raw);
        }
        if table.packed_length() != packed_length {
            return Err("its seek table does not add up to the file");
        }
        if table.raw_length() < HEADER_BLOCK_LENGTH as u64 {
            return Err("it holds less than a segment's header");
        }
        Ok(table)
    }
}

fn word(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> SeekTable {
        let mut table = SeekTable::default();
        [(200, 4096), (70_000, 1 << 20), (9, 17)].iter().for_each(|&(packed, raw)| table.push(packed, raw));
        table
    }

    /// The format is not ours: other tools read exactly these bytes.
    #[test]
    fn the_table_is_these_bytes() {
        let mut table = SeekTable::default();
        table.push(0x0102, 0x1000);
        let golden = b"\x5e\x2a\x4d\x18\x11\x00\x00\x00\x02\x01\x00\x00\x00\x10\x00\x00\x01\x00\x00\x00\x00\xb1\xea\x92\x8f";
        assert_eq!(table.encode(), golden);
        assert_eq!(SeekTable::encoded_length(1), golden.len());
    }

    #[test]
    fn a_table_reads_back_and_finds_the_frame_of_every_byte() {
        let table = table();
        let bytes = table.encode();
        let foot = bytes[bytes.len() - FOOT_LENGTH..].try_into().unwrap();
        assert_eq!(SeekTable::count(&foot), Ok(3));
        assert_eq!(SeekTable::decode(&bytes, 70_209).unwrap(), table);
        let end = 4096 + (1 << 20) + 17;
        let found =
            [0, 4095, 4096, 4096 + (1 << 20), end - 1, end, u64::MAX].map(|offset| table.find(offset));
        assert_eq!(found, [Some(0), Some(0), Some(1), Some(2), Some(2), None, None]);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        let bytes = table().encode();
        assert!(SeekTable::decode(&bytes, 70_208).is_err());
        for at in (0..bytes.len() - FOOT_LENGTH).filter(|at| !(16..24).contains(at)) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x80;
            // A wrong but possible length of raw content is detected when the frame itself is read.
            let is_raw_length = at >= 12 && (at - 8) % 8 >= 4;
            assert!(is_raw_length || SeekTable::decode(&damaged, 70_209).is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(SeekTable::decode(&bytes[..length], 70_209).is_err());
        }
        let foot = |change: fn(&mut [u8; FOOT_LENGTH])| {
            let mut foot = bytes[bytes.len() - FOOT_LENGTH..].try_into().unwrap();
            change(&mut foot);
            SeekTable::count(&foot)
        };
        assert!(foot(|foot| foot[8] = 0).is_err());
        assert!(foot(|foot| foot[4] = 0x80).is_err());
        assert!(foot(|foot| foot[3] = 0xff).is_err());
        assert!(foot(|foot| foot[0] = 0).is_err());
    }
}
