//! The data of one segment file as a window that moves forward.

use crate::bounds::{CARRY_LENGTH_MAX, PAGE_LENGTH, READ_LENGTH};
use crate::pages::Pages;
use crate::storage::StoredFile;
use std::io;

/// Reads one file forward in pieces of up to 1 MiB.
///
/// ```text
///  memory │ carry: up to 64 KiB │ read: up to 1 MiB                     │
///                 ├── one frame ───┤ is always contiguous
///                 begin            └ page aligned            end
/// ```
pub(crate) struct ByteStream {
    file: Box<dyn StoredFile>,
    memory: Pages,
    begin: usize,
    end: usize,
    next_read: u64,
    read_length: usize,
}

impl ByteStream {
    /// Creates an empty window over `file` that begins at `offset`.
    pub(crate) fn new(file: Box<dyn StoredFile>, offset: u64) -> Self {
        let memory = Pages::zeroed(2 * CARRY_LENGTH_MAX);
        let mut stream = Self { file, memory, begin: 0, end: 0, next_read: 0, read_length: 0 };
        stream.restart(offset);
        stream
    }

    /// Discards the window and starts again at `offset`, with small reads first: the bytes may have changed
    /// since they were read.
    pub(crate) fn restart(&mut self, offset: u64) {
        self.next_read = offset;
        self.read_length = CARRY_LENGTH_MAX;
        (self.begin, self.end) = (CARRY_LENGTH_MAX, CARRY_LENGTH_MAX);
    }

    /// Continues with another file, from `offset` on, and reuses the memory.
    pub(crate) fn replace(&mut self, file: Box<dyn StoredFile>, offset: u64) {
        self.file = file;
        self.restart(offset);
    }

    /// Returns the bytes of the window.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..self.end]
    }

    /// Returns the window's offset in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.next_read - (self.end - self.begin) as u64
    }

    /// Moves the start of the window forward by `count` bytes.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.begin);
        self.begin += count;
    }

    /// Returns the last `count` bytes before the start of the window, until the next [`Self::refill`].
    #[inline]
    pub(crate) fn before(&self, count: usize) -> &[u8] {
        &self.memory[self.begin - count..self.begin]
    }

    /// Reads on after the window, which must hold less than a whole frame. Returns whether any bytes were
    /// read.
    pub(crate) fn refill(&mut self) -> io::Result<bool> {
        let rest = self.end - self.begin;
        assert!(rest <= CARRY_LENGTH_MAX, "{rest} bytes hold a frame already");
        let skip = (self.next_read % PAGE_LENGTH as u64) as usize;
        if rest > 0 && skip > 0 {
            // The previous read ended off a page boundary: the file ended there, and segment files do not
            // grow.
            return Ok(false);
        }
        let front = CARRY_LENGTH_MAX - rest;
        self.memory.copy_within(self.begin..self.end, front);
        (self.begin, self.end) = (front, CARRY_LENGTH_MAX);
        let from = self.next_read - skip as u64;
        self.make_room(front, from)?;
        let room = self.read_length.min(self.memory.len() - CARRY_LENGTH_MAX);
        let space = &mut self.memory[CARRY_LENGTH_MAX..][..room];
        let count = self.file.read_at(space, from)?;
        self.read_length = (self.read_length * 2).min(READ_LENGTH);
        if count <= skip {
            return Ok(false);
        }
        self.begin += skip;
        self.end += count;
        self.next_read = from + count as u64;
        Ok(true)
    }

    /// Makes room to read the rest of the file from `from` on, but only as much as the file has: many files
    /// and many reads are small. The bytes in the carry from `front` on stay.
    fn make_room(&mut self, front: usize, from: u64) -> io::Result<()> {
        if self.memory.len() >= CARRY_LENGTH_MAX + self.read_length {
            return Ok(());
        }
        let left = self.file.length()?.saturating_sub(from).next_multiple_of(PAGE_LENGTH as u64);
        let room = left.min(READ_LENGTH as u64) as usize;
        if self.memory.len() < CARRY_LENGTH_MAX + room {
            let mut larger = Pages::zeroed(CARRY_LENGTH_MAX + room);
            larger[front..CARRY_LENGTH_MAX].copy_from_slice(&self.memory[front..CARRY_LENGTH_MAX]);
            self.memory = larger;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl StoredFile for Bytes {
        fn length(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            assert!(offset.is_multiple_of(PAGE_LENGTH as u64) && buffer.len().is_multiple_of(PAGE_LENGTH));
            assert!((buffer.as_ptr() as usize).is_multiple_of(PAGE_LENGTH));
            let rest = self.0.get(offset as usize..).unwrap_or(&[]);
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    #[test]
    fn every_byte_comes_once_and_in_order_from_any_beginning() {
        let content: Vec<u8> =
            (0..3_000_001u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for begin in [0, 1, 4095, 4096, 70_001, 2_999_999, 3_000_001] {
            let mut stream = ByteStream::new(Box::new(Bytes(content.clone())), begin as u64);
            let mut at = begin;
            while stream.refill().unwrap() {
                while stream.bytes().len() > 40_000 {
                    assert_eq!(stream.bytes()[..39_997], content[at..at + 39_997]);
                    assert_eq!(stream.offset(), at as u64);
                    stream.consume(39_997);
                    at += 39_997;
                }
            }
            assert_eq!(stream.bytes(), &content[at..]);
        }
    }

    #[test]
    fn a_restart_reads_again() {
        let mut stream = ByteStream::new(Box::new(Bytes(vec![7; 5000])), 100);
        assert!(stream.refill().unwrap());
        stream.consume(4900);
        assert!(!stream.refill().unwrap());
        stream.restart(4200);
        assert!(stream.refill().unwrap());
        assert_eq!((stream.bytes().len(), stream.offset()), (800, 4200));
    }
}
