//! The bytes of a snapshot: little-endian numbers one after the other, written and read in the same order.

/// Why a snapshot could not be loaded. The state it was to be loaded into may be half changed then and must be
/// dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes end too early.
    #[error("the snapshot ends at byte {at}, where {needed} more are needed")]
    Truncated {
        /// Where reading stopped.
        at: usize,
        /// Bytes that were asked for.
        needed: usize,
    },
    /// Bytes are left over.
    #[error("the snapshot goes on behind its end at byte {at}")]
    Trailing {
        /// Where reading ended.
        at: usize,
    },
    /// A number is none that was ever written.
    #[error("the snapshot holds {found} as {what}, which cannot be")]
    Value {
        /// What the number stands for.
        what: &'static str,
        /// The number.
        found: u64,
    },
}

/// Writes the parts of a snapshot.
pub trait SnapshotWrite {
    /// An unsigned number.
    fn put_u64(&mut self, value: u64);
    /// A signed number.
    fn put_i64(&mut self, value: i64);
    /// A wide signed number.
    fn put_i128(&mut self, value: i128);
    /// A length, then so many bytes.
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
    /// Reads from the first byte.
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

    /// An unsigned number.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, RestoreError> {
        self.take(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes were taken")))
    }

    /// A signed number.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn i64(&mut self) -> Result<i64, RestoreError> {
        self.u64().map(|value| value as i64)
    }

    /// A wide signed number.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn i128(&mut self) -> Result<i128, RestoreError> {
        self.take(16).map(|bytes| i128::from_le_bytes(bytes.try_into().expect("16 bytes were taken")))
    }

    /// A number that is at most `limit`.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`] and [`RestoreError::Value`].
    pub fn at_most(&mut self, what: &'static str, limit: u64) -> Result<u64, RestoreError> {
        match self.u64()? {
            value if value <= limit => Ok(value),
            found => Err(RestoreError::Value { what, found }),
        }
    }

    /// An id of at most 32 bits that is not 0.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`] and [`RestoreError::Value`].
    pub fn id(&mut self, what: &'static str) -> Result<u32, RestoreError> {
        match self.at_most(what, u32::MAX.into())? {
            0 => Err(RestoreError::Value { what, found: 0 }),
            id => Ok(id as u32),
        }
    }

    /// How many things follow, each of at least 8 bytes: a number that the rest could hold.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`] and [`RestoreError::Value`].
    pub fn count(&mut self, what: &'static str) -> Result<usize, RestoreError> {
        let limit = (self.bytes.len() - self.at) as u64 / 8;
        self.at_most(what, limit).map(|count| count as usize)
    }

    /// A length, then so many bytes.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn bytes(&mut self) -> Result<&'a [u8], RestoreError> {
        let length = self.u64()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Says that nothing may follow.
    ///
    /// # Errors
    /// [`RestoreError::Trailing`].
    pub fn finish(self) -> Result<(), RestoreError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(RestoreError::Trailing { at: self.at }) }
    }
}
