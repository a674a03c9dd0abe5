//! The messages of an ITCH file, each preceded by its length.

use super::ItchFault;
use crate::file::{RecordReader, Unpacked};
use crate::source::read_full;
use std::io;

/// Bytes read from the file at once.
const BUFFER_LENGTH: usize = 256 * 1024;

const _: () = assert!(BUFFER_LENGTH > u16::MAX as usize + LENGTH_FIELD);

/// Bytes of the length that precedes a message.
const LENGTH_FIELD: usize = 2;

/// Reads a file message by message; a message of length 0 ends it.
pub struct Frames {
    input: Unpacked,
    buffer: Box<[u8]>,
    /// The current message and what was read after it, in the buffer.
    start: usize,
    end: usize,
    /// Bytes of the current message with its length field; 0 before the first one.
    length: usize,
    /// The number of the current message, from 1.
    number: u64,
    /// The offset in the file of the byte at `start`.
    offset: u64,
    is_exhausted: bool,
}

impl Frames {
    /// The current message, without its length field.
    #[inline]
    pub fn current(&self) -> &[u8] {
        &self.buffer[self.start + LENGTH_FIELD..self.start + self.length]
    }

    /// Moves what is left to the front of the buffer and reads on.
    fn refill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = read_full(&mut self.input, &mut self.buffer[self.end..])?;
        self.is_exhausted = self.end + read < self.buffer.len();
        self.end += read;
        Ok(())
    }
}

impl RecordReader for Frames {
    type Fault = ItchFault;

    fn new(input: Unpacked) -> Result<Self, ItchFault> {
        if let Some(compression) = input.compression() {
            return Err(ItchFault::Compressed(compression));
        }
        let mut frames = Self {
            input,
            buffer: vec![0; BUFFER_LENGTH].into_boxed_slice(),
            start: 0,
            end: 0,
            length: 0,
            number: 0,
            offset: 0,
            is_exhausted: false,
        };
        frames.refill()?;
        Ok(frames)
    }

    #[inline]
    fn advance(&mut self) -> Result<bool, ItchFault> {
        self.start += self.length;
        self.offset += self.length as u64;
        self.length = 0;
        loop {
            let held = self.end - self.start;
            let needed = match &self.buffer[self.start..self.end] {
                [high, low, ..] => LENGTH_FIELD + usize::from(u16::from_be_bytes([*high, *low])),
                _ => LENGTH_FIELD,
            };
            let is_end_marker = needed == LENGTH_FIELD;
            if needed <= held && !is_end_marker {
                self.length = needed;
                self.number += 1;
                return Ok(true);
            }
            if !self.is_exhausted {
                self.refill()?;
                continue;
            }
            let number = self.number;
            return match held {
                0 => Ok(false),
                LENGTH_FIELD if is_end_marker => Ok(false),
                _ if is_end_marker && held > LENGTH_FIELD => Err(ItchFault::AfterEnd { number }),
                found => Err(ItchFault::Truncated { number: number + 1, needed, found }),
            };
        }
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn input(&self) -> &Unpacked {
        &self.input
    }
}
