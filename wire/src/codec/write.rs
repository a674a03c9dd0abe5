//! Writes a message into a buffer: its block, then its groups and data.

use super::{Block, Dimensions, GroupEntry, Length};
use std::fmt;
use zerocopy::IntoBytes;

/// Why a message could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// The buffer is shorter than the message.
    BufferTooSmall {
        /// The smallest number of bytes needed so far.
        needed: usize,
        /// The length of the buffer in bytes.
        found: usize,
    },
    /// A group has more entries than its count can express.
    TooManyEntries,
    /// Data is longer than its length can express.
    DataTooLong {
        /// The length of the data in bytes.
        found: usize,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall { needed, found } => {
                write!(f, "the message needs at least {needed} bytes, but the buffer has {found}")
            }
            Self::TooManyEntries => f.write_str("the group has more entries than its count can express"),
            Self::DataTooLong { found } => {
                write!(f, "the data has {found} bytes, more than its length can express")
            }
        }
    }
}

impl std::error::Error for WriteError {}

/// Writes a message into a buffer of the caller: its block, then its groups and data in the schema's order.
/// The `encode` methods of the messages obey that order; otherwise the caller must.
///
/// # Examples
///
/// ```
/// use stele_wire::codec::{View, Writer};
/// use stele_wire::messages::{BookSnapshot, BookSnapshotAsks, BookSnapshotBids};
///
/// let bid = BookSnapshotBids { price: 99_000_000_000.into(), ..BookSnapshotBids::NULL };
/// let mut buffer = [0; 256];
/// let mut writer = Writer::new(&mut buffer);
/// writer.block(&BookSnapshot::NULL)?;
/// writer.group([bid])?;
/// writer.group::<BookSnapshotAsks>([])?;
/// let bytes = writer.finish();
///
/// let snapshot = View::<BookSnapshot>::read(BookSnapshot::BLOCK_LENGTH, 1, bytes).unwrap();
/// assert_eq!(snapshot.bids().next().unwrap().price.get(), 99_000_000_000);
/// assert!(snapshot.asks().is_empty());
/// # Ok::<(), stele_wire::codec::WriteError>(())
/// ```
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl<'b> Writer<'b> {
    /// Creates a writer at the start of `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Writes a block.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`].
    pub fn block<T: Block>(&mut self, block: &T) -> Result<(), WriteError> {
        self.bytes(block.as_bytes())
    }

    /// Writes a group whose entries have no groups or data of their own.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`], [`WriteError::TooManyEntries`].
    pub fn group<E: GroupEntry>(&mut self, entries: impl IntoIterator<Item = E>) -> Result<(), WriteError> {
        let start = self.length;
        self.begin_group::<E>(0)?;
        let mut count = 0;
        for entry in entries {
            self.block(&entry)?;
            count += 1;
        }
        let dimensions = E::Dimensions::new(size_of::<E>(), count).ok_or(WriteError::TooManyEntries)?;
        self.buffer[start..start + size_of::<E::Dimensions>()].copy_from_slice(dimensions.as_bytes());
        Ok(())
    }

    /// Writes the dimensions of a group of `count` entries. The caller must then write the entries, each a
    /// block with its own groups and data.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`], [`WriteError::TooManyEntries`].
    pub fn begin_group<E: GroupEntry>(&mut self, count: usize) -> Result<(), WriteError> {
        let dimensions = E::Dimensions::new(size_of::<E>(), count).ok_or(WriteError::TooManyEntries)?;
        self.bytes(dimensions.as_bytes())
    }

    /// Writes a length of type `L` and then the data.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`], [`WriteError::DataTooLong`].
    pub fn data<L: Length>(&mut self, data: &[u8]) -> Result<(), WriteError> {
        let length = L::of(data.len()).ok_or(WriteError::DataTooLong { found: data.len() })?;
        self.bytes(length.as_bytes())?;
        self.bytes(data)
    }

    /// Returns the written bytes.
    pub fn finish(self) -> &'b [u8] {
        &self.buffer[..self.length]
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let (end, found) = (self.length + bytes.len(), self.buffer.len());
        let place =
            self.buffer.get_mut(self.length..end).ok_or(WriteError::BufferTooSmall { needed: end, found })?;
        place.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }
}
