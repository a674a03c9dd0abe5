//! The state of a state machine as bytes: little-endian numbers, written and read in the same order.

/// Why a state cannot be restored from bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes end too early.
    #[error("the state ends too early, at byte {at}")]
    Truncated {
        /// The offset where reading stopped.
        at: usize,
    },
    /// Bytes are left over.
    #[error("the state ends at byte {at} and more bytes follow")]
    Trailing {
        /// The offset where reading ended.
        at: usize,
    },
    /// A number has a value that is never written.
    #[error("the state contains {found} as {what}, which is impossible")]
    Value {
        /// The meaning of the number.
        what: &'static str,
        /// The number.
        found: i128,
    },
    /// A table has more entries than there is room for.
    #[error("the state has {found} {table}, but [risk] {table} is {capacity}: configure at least {found}")]
    Capacity {
        /// The name of the table's capacity.
        table: &'static str,
        /// The entries in the state.
        found: u64,
        /// The capacity.
        capacity: usize,
    },
}

/// A number in a snapshot.
pub trait StateNumber: Copy {
    /// Appends the number to `out`.
    fn put(self, out: &mut Vec<u8>);
    /// Reads a number.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes end too early or are not such a number.
    fn get(reader: &mut StateReader<'_>) -> Result<Self, RestoreError>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl StateNumber for $number {
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
                reader.take().map(<$number>::from_le_bytes)
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i64, i128);

impl StateNumber for bool {
    fn put(self, out: &mut Vec<u8>) {
        u8::from(self).put(out);
    }
    fn get(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        match reader.get::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(RestoreError::Value { what: "a truth value", found: other.into() }),
        }
    }
}

impl<N: StateNumber + Default, const COUNT: usize> StateNumber for [N; COUNT] {
    fn put(self, out: &mut Vec<u8>) {
        self.into_iter().for_each(|number| number.put(out));
    }
    fn get(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let mut numbers = [N::default(); COUNT];
        for number in &mut numbers {
            *number = reader.get()?;
        }
        Ok(numbers)
    }
}

/// Reads the numbers of a snapshot.
#[derive(Debug)]
pub struct StateReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> StateReader<'a> {
    /// A reader at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], RestoreError> {
        let Some(found) = self.bytes[self.at..].first_chunk::<LENGTH>() else {
            return Err(RestoreError::Truncated { at: self.at });
        };
        self.at += LENGTH;
        Ok(*found)
    }

    /// Reads the next number.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes end too early or are not such a number.
    pub fn get<N: StateNumber>(&mut self) -> Result<N, RestoreError> {
        N::get(self)
    }

    /// Reads a count of at most `most`; `what` names the counted things in the error.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes end too early or there are more.
    pub fn count(&mut self, what: &'static str, most: usize) -> Result<usize, RestoreError> {
        let count = self.get::<u64>()?;
        if count > most as u64 {
            return Err(RestoreError::Value { what, found: count.into() });
        }
        Ok(count as usize)
    }

    /// Reads the number of rows of a table that has room for `capacity`.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes end too early or there is not enough room.
    pub(crate) fn rows(&mut self, table: &'static str, capacity: usize) -> Result<usize, RestoreError> {
        let found = self.get::<u64>()?;
        if found > capacity as u64 {
            Err(RestoreError::Capacity { table, found, capacity })
        } else {
            Ok(found as usize)
        }
    }

    /// Ends the reading and checks that all bytes were read.
    ///
    /// # Errors
    /// [`RestoreError::Trailing`] when bytes are left over.
    pub fn finish(self) -> Result<(), RestoreError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(RestoreError::Trailing { at: self.at }) }
    }
}

/// The error for something that there is no room for.
pub(crate) fn no_room(what: &'static str) -> RestoreError {
    RestoreError::Value { what, found: 0 }
}
