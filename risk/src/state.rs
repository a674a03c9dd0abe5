//! A machine's state as bytes: little-endian numbers one after the other, written and read in the same order.

/// Why bytes are no state of a machine of the bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes end too early.
    #[error("the state ends at byte {at}, where more is needed")]
    Truncated {
        /// Where reading stopped.
        at: usize,
    },
    /// Bytes are left over.
    #[error("the state goes on behind its end at byte {at}")]
    Trailing {
        /// Where reading ended.
        at: usize,
    },
    /// A number is none that was ever written.
    #[error("the state holds {found} as {what}, which cannot be")]
    Value {
        /// What the number stands for.
        what: &'static str,
        /// The number.
        found: i128,
    },
}

/// A number that a snapshot is made of.
pub trait StateNumber: Copy {
    /// Appends it.
    fn put(self, out: &mut Vec<u8>);
    /// Takes it from the reader.
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

/// Reads the numbers back.
#[derive(Debug)]
pub struct StateReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> StateReader<'a> {
    /// Reads from the first byte.
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

    /// The next number.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes end too early or are not such a number.
    pub fn get<N: StateNumber>(&mut self) -> Result<N, RestoreError> {
        N::get(self)
    }

    /// How many things follow, at most `most`; `what` names them in the error.
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

    /// Ends the reading.
    ///
    /// # Errors
    /// [`RestoreError::Trailing`] when bytes are left over.
    pub fn finish(self) -> Result<(), RestoreError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(RestoreError::Trailing { at: self.at }) }
    }
}

/// The error for something that does not fit where it belongs.
pub(crate) fn no_room(what: &'static str) -> RestoreError {
    RestoreError::Value { what, found: 0 }
}
