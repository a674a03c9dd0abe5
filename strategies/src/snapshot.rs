//! The bytes of a snapshot: little-endian integers, written and read in the same order.

/// Why a snapshot cannot be loaded. The state that was being restored may be partly changed and must be
/// dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes end too early.
    #[error("the snapshot ends at byte {at}, but {needed} more bytes are needed")]
    Truncated {
        /// The byte at which reading stopped.
        at: usize,
        /// The number of bytes that were needed.
        needed: usize,
    },
    /// There are bytes after the end.
    #[error("the snapshot has more bytes after its end at byte {at}")]
    Trailing {
        /// The byte at which the snapshot should end.
        at: usize,
    },
    /// A number has a value that is never written.
    #[error("the snapshot has the invalid value {found} as {what}")]
    Value {
        /// The meaning of the number.
        what: &'static str,
        /// The value that was found.
        found: u64,
    },
}

/// Writes the parts of a snapshot; implemented for `Vec<u8>`.
///
/// # Examples
///
/// ```
/// use stele_strategies::{SnapshotReader, SnapshotWrite};
///
/// let mut state = Vec::new();
/// state.put_u64(7);
/// state.put_bytes(b"bid");
///
/// let mut reader = SnapshotReader::new(&state);
/// assert_eq!(reader.u64(), Ok(7));
/// assert_eq!(reader.bytes(), Ok(&b"bid"[..]));
/// assert_eq!(reader.finish(), Ok(()));
/// ```
pub trait SnapshotWrite {
    /// Appends an unsigned integer of 8 bytes.
    fn put_u64(&mut self, value: u64);
    /// Appends a signed integer of 8 bytes.
    fn put_i64(&mut self, value: i64);
    /// Appends a signed integer of 16 bytes.
    fn put_i128(&mut self, value: i128);
    /// Appends a length of 8 bytes, then the bytes.
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl SnapshotWrite for Vec<u8> {
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_i128(&mut self, value: i128) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_u64(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Reads the parts of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> SnapshotReader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RestoreError> {
        let Some(found) = self.bytes.get(self.at..).and_then(|rest| rest.get(..length)) else {
            return Err(RestoreError::Truncated { at: self.bytes.len(), needed: length });
        };
        self.at += length;
        Ok(found)
    }

    /// Reads an unsigned integer of 8 bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, RestoreError> {
        self.take(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes were taken")))
    }

    /// Reads a signed integer of 8 bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn i64(&mut self) -> Result<i64, RestoreError> {
        self.u64().map(|value| value as i64)
    }

    /// Reads a signed integer of 16 bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn i128(&mut self) -> Result<i128, RestoreError> {
        self.take(16).map(|bytes| i128::from_le_bytes(bytes.try_into().expect("16 bytes were taken")))
    }

    /// Reads an unsigned integer that is at most `limit`; `what` names it in the error.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`], and [`RestoreError::Value`] when it is above `limit`.
    pub fn at_most(&mut self, what: &'static str, limit: u64) -> Result<u64, RestoreError> {
        match self.u64()? {
            value if value <= limit => Ok(value),
            found => Err(RestoreError::Value { what, found }),
        }
    }

    /// Reads an id of 32 bits that is not 0; `what` names it in the error.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`], and [`RestoreError::Value`] when it is 0 or larger than 32 bits.
    pub fn id(&mut self, what: &'static str) -> Result<u32, RestoreError> {
        match self.at_most(what, u32::MAX.into())? {
            0 => Err(RestoreError::Value { what, found: 0 }),
            id => Ok(id as u32),
        }
    }

    /// Reads the number of items that follow, each of at least 8 bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`], and [`RestoreError::Value`] when the remaining bytes cannot hold that
    /// many.
    pub fn count(&mut self, what: &'static str) -> Result<usize, RestoreError> {
        let limit = (self.bytes.len() - self.at) as u64 / 8;
        self.at_most(what, limit).map(|count| count as usize)
    }

    /// Reads a length of 8 bytes, then the bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn bytes(&mut self) -> Result<&'a [u8], RestoreError> {
        let length = self.u64()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Checks that there are no further bytes.
    ///
    /// # Errors
    /// [`RestoreError::Trailing`].
    pub fn finish(self) -> Result<(), RestoreError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(RestoreError::Trailing { at: self.at }) }
    }
}
