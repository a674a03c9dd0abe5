//! Reads whole files through io_uring: direct reads in order, several in flight at once.
//!
//! ```text
//!  slots │ 512 KiB, being read │ 512 KiB, being read │ 512 KiB, being checked │ 512 KiB, being read │
//! ```
#![allow(unsafe_code)]

use crate::bounds::PAGE_LENGTH;
use crate::bulk::{BulkReader, ReadMethod};
use crate::directory::open_direct;
use crate::pages::Pages;
use io_uring::{IoUring, opcode, types};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Length of one read in bytes, and how many are in flight at once.
const SLOT_LENGTH: usize = 512 << 10;
const DEPTH: usize = 4;

/// Direct reads through io_uring, `DEPTH` at once: the journal's own method to read whole segments.
#[derive(Clone, Copy, Default, Debug)]
pub struct UringRead;

impl ReadMethod for UringRead {
    fn name(&self) -> &'static str {
        "io_uring"
    }

    fn reader(&self) -> io::Result<Box<dyn BulkReader>> {
        Ok(Box::new(UringReader::new()?))
    }
}

struct UringReader {
    uring: IoUring,
    memory: Pages,
    is_registered: bool,
    slots: [Slot; DEPTH],
    outstanding: usize,
}

/// One piece of the file.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// Its offset in the file.
    offset: u64,
    /// The number of its bytes that are in memory.
    filled: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Idle,
    /// A request for the rest of it is in flight.
    Sent,
    /// The kernel refused, with this error number.
    Failed(i32),
}

impl UringReader {
    fn new() -> io::Result<Self> {
        let uring = IoUring::builder().setup_clamp().build(DEPTH as u32)?;
        let memory = Pages::zeroed(DEPTH * SLOT_LENGTH);
        let piece = libc::iovec { iov_base: memory.as_ptr().cast_mut().cast(), iov_len: memory.len() };
        // SAFETY: the memory is `self.memory`'s, which is freed after `self.uring` is closed (fields drop in
        // order), and never while a request may still use it (`drop` below).
        let is_registered = unsafe { uring.submitter().register_buffers(&[piece]) }.is_ok();
        Ok(Self { uring, memory, is_registered, slots: [Slot::default(); DEPTH], outstanding: 0 })
    }

    fn stream(&mut self, file: &File, on_bytes: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut next = 0;
        for at in 0..DEPTH {
            self.begin(file, at, next)?;
            next += SLOT_LENGTH as u64;
        }
        self.uring.submit()?;
        for at in (0..DEPTH).cycle() {
            let filled = self.finish(file, at)?;
            on_bytes(&self.memory[at * SLOT_LENGTH..][..filled]);
            if filled < SLOT_LENGTH {
                break;
            }
            self.begin(file, at, next)?;
            self.uring.submit()?;
            next += SLOT_LENGTH as u64;
        }
        Ok(())
    }

    /// Queues the read of the piece at `offset` into slot `at`.
    fn begin(&mut self, file: &File, at: usize, offset: u64) -> io::Result<()> {
        self.slots[at] = Slot { offset, filled: 0, state: State::Idle };
        self.send(file, at)
    }

    /// Queues a read of the missing part of slot `at`.
    fn send(&mut self, file: &File, at: usize) -> io::Result<()> {
        let Slot { offset, filled, .. } = self.slots[at];
        let fd = types::Fd(file.as_raw_fd());
        let start = self.memory[at * SLOT_LENGTH + filled..].as_mut_ptr();
        let (length, offset) = ((SLOT_LENGTH - filled) as u32, offset + filled as u64);
        let entry = if self.is_registered {
            opcode::ReadFixed::new(fd, start, length, 0).offset(offset).build()
        } else {
            opcode::Read::new(fd, start, length).offset(offset).build()
        };
        // SAFETY: the request writes to slot `at` of `self.memory` alone, which has no other request and
        // which nothing here looks at before `finish` has seen its completion; `read` waits for every
        // request before the file is closed, `drop` before the memory is freed.
        unsafe { self.uring.submission().push(&entry.user_data(at as u64)) }
            .map_err(|_| io::Error::other("the submission queue is full"))?;
        self.slots[at].state = State::Sent;
        self.outstanding += 1;
        Ok(())
    }

    /// Waits until slot `at` is full or the file ends in it; returns how many bytes it holds.
    fn finish(&mut self, file: &File, at: usize) -> io::Result<usize> {
        loop {
            while let Some((done, result)) = self.take_completion() {
                self.note(file, done, result)?;
            }
            match self.slots[at].state {
                State::Idle => return Ok(self.slots[at].filled),
                State::Failed(error) => return Err(io::Error::from_raw_os_error(error)),
                State::Sent => self.wait()?,
            }
        }
    }

    fn note(&mut self, file: &File, at: usize, result: i32) -> io::Result<()> {
        let slot = &mut self.slots[at];
        let again = [Errno::INTR, Errno::AGAIN].map(Errno::raw_os_error);
        let is_partial = match result {
            error if again.contains(&-error) => true,
            error if error < 0 => {
                slot.state = State::Failed(-error);
                return Ok(());
            }
            count => {
                slot.filled += count as usize;
                // A direct read ends off a page boundary only at the file's end.
                let may_go_on = count > 0 && (count as usize).is_multiple_of(PAGE_LENGTH);
                may_go_on && slot.filled < SLOT_LENGTH
            }
        };
        slot.state = State::Idle;
        if is_partial { self.send(file, at) } else { Ok(()) }
    }

    fn take_completion(&mut self) -> Option<(usize, i32)> {
        let entry = self.uring.completion().next()?;
        self.outstanding -= 1;
        Some((entry.user_data() as usize, entry.result()))
    }

    /// Submits what is queued and waits for a completion.
    fn wait(&self) -> io::Result<()> {
        match self.uring.submit_and_wait(1) {
            Err(error) if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Waits for every request.
    fn drain(&mut self) -> io::Result<()> {
        while self.outstanding > 0 {
            if self.take_completion().is_none() {
                self.wait()?;
            }
        }
        Ok(())
    }
}

impl BulkReader for UringReader {
    fn read(&mut self, path: &Path, on_bytes: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let file = open_direct(path)?;
        let streamed = self.stream(&file, on_bytes);
        let drained = self.drain();
        streamed.and(drained)
    }
}

impl Drop for UringReader {
    /// Waits for the requests in flight, after a panic too: the kernel writes to the memory until then.
    fn drop(&mut self) {
        if self.drain().is_err() {
            // The memory must not be freed while the kernel may write to it: leak it instead.
            std::mem::forget(std::mem::replace(&mut self.memory, Pages::zeroed(0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read_by(reader: &mut dyn BulkReader, path: &Path) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        reader.read(path, &mut |bytes| all.extend_from_slice(bytes))?;
        Ok(all)
    }

    #[test]
    fn a_file_of_any_length_comes_whole_and_in_order_also_after_one_that_cannot_be_read() {
        let Ok(mut reader) = UringReader::new() else {
            return stele_testkit::skip::skip("io_uring");
        };
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 1, 4096, SLOT_LENGTH - 1, SLOT_LENGTH, DEPTH * SLOT_LENGTH, 3_000_007] {
            let path = folder.path().join(length.to_string());
            let content: Vec<u8> =
                (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            fs::write(&path, &content).unwrap();
            assert!(read_by(&mut reader, &path).unwrap() == content, "{length}");
            let error = read_by(&mut reader, folder.path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::IsADirectory, "{error}");
        }
        let error = read_by(&mut reader, &folder.path().join("missing")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
