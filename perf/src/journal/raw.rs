//! The raw device that the journal is compared with: io_uring requests from registered memory on a
//! zero-filled file, without a ring, CRC or journal.
//!
//! ```text
//!  one thread on the journal's CPU: due arrivals ─> one WriteFixed for all of them ─> completion queue
//! ```
#![allow(unsafe_code)]

use crate::Percentiles;
use crate::arrivals::Arrivals;
use crate::figure::latency_histogram;
use hdrhistogram::Histogram;
use io_uring::{IoUring, opcode, squeue, types};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_journal::Pages;
use stele_journal::bounds::{IN_FLIGHT_MAX, READ_LENGTH, WRITE_LENGTH_MAX};

const RWF_DSYNC: i32 = 2;
/// The length of the buffer of each request.
const PIECE: usize = READ_LENGTH;

/// A file and an io_uring to write and read it with.
pub(crate) struct RawDevice {
    // Before `memory` and `file`, which requests use: dropped first, and every method waits for its requests.
    uring: IoUring,
    memory: Pages,
    file: File,
    length: u64,
    is_registered: bool,
}

/// The options of requests, as the journal's engine makes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Style {
    /// Whether each write has the flag RWF_DSYNC.
    pub(crate) flushed: bool,
    /// Whether the thread yields its CPU while a request is outstanding.
    pub(crate) yields: bool,
}

impl RawDevice {
    /// Creates a file of `length` bytes, zero-filled and synced.
    pub(crate) fn create(path: &Path, length: u64) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::open(path, flags | OFlags::DIRECT, mode)
            .or_else(|_| rustix::fs::open(path, flags, mode))?;
        let file = File::from(file);
        let zeros = Pages::zeroed(PIECE);
        for offset in (0..length).step_by(PIECE) {
            let count = (length - offset).min(PIECE as u64) as usize;
            file.write_all_at(&zeros[..count], offset)?;
        }
        file.sync_all()?;
        Self::over(file, length)
    }

    /// Opens a file for reading, past the page cache if possible.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let direct = rustix::fs::open(path, flags | OFlags::DIRECT, Mode::empty());
        let file = File::from(direct.or_else(|_| rustix::fs::open(path, flags, Mode::empty()))?);
        let length = file.metadata()?.len();
        Self::over(file, length)
    }

    fn over(file: File, length: u64) -> io::Result<Self> {
        let uring = IoUring::builder().setup_clamp().build(4 * IN_FLIGHT_MAX as u32)?;
        let memory = Pages::zeroed(IN_FLIGHT_MAX * PIECE);
        let piece = libc::iovec { iov_base: memory.as_ptr().cast_mut().cast(), iov_len: memory.len() };
        // SAFETY: the memory is `self.memory`'s, which lives longer than `self.uring` (fields drop in order).
        let is_registered = unsafe { uring.submitter().register_buffers(&[piece]) }.is_ok();
        Ok(Self { uring, memory, file, length, is_registered })
    }

    /// Writes `block` bytes for each arrival, for `length`. All arrivals that are due are in one request,
    /// with at most as many requests at once as the journal has. Returns the times from when an arrival was
    /// due to its completion.
    pub(crate) fn latency(
        &mut self,
        mut arrivals: Arrivals,
        block: usize,
        style: Style,
        length: Duration,
    ) -> io::Result<Percentiles> {
        let mut seen = latency_histogram();
        let mut due: Vec<Duration> = Vec::with_capacity(1 << 16);
        let mut flying: [Vec<Duration>; IN_FLIGHT_MAX] = std::array::from_fn(|_| Vec::with_capacity(1 << 10));
        let (mut offset, mut count) = (0, 0);
        let start = Instant::now();
        loop {
            let now = start.elapsed();
            while arrivals.next_due() <= now && arrivals.next_due() < length {
                due.push(arrivals.take());
            }
            if due.is_empty() && count == 0 && arrivals.next_due() >= length {
                return Ok(Percentiles::from(&seen));
            }
            if let Some(piece) = flying.iter().position(Vec::is_empty).filter(|_| !due.is_empty()) {
                let most = (WRITE_LENGTH_MAX as usize / block).min(due.len());
                flying[piece].extend(due.drain(..most));
                let bytes = most * block;
                if offset + bytes as u64 > self.length {
                    offset = 0;
                }
                self.write(piece, offset, bytes, style.flushed)?;
                self.uring.submit()?;
                offset += bytes as u64;
                count += 1;
            }
            count -= self.reap(|piece| {
                let done = start.elapsed();
                flying[piece].drain(..).for_each(|due| record(&mut seen, done.saturating_sub(due)));
            })?;
            if count > 0 && style.yields {
                rustix::thread::sched_yield();
            }
        }
    }

    /// Writes `total` bytes from the start of the file, starting over at its end, in requests of `request`
    /// bytes, `depth` at once. Returns bytes per second.
    pub(crate) fn write_rate(
        &mut self,
        total: u64,
        request: usize,
        depth: usize,
        style: Style,
    ) -> io::Result<f64> {
        self.stream(total, request, depth, style.yields, |device, piece, offset| {
            device.write(piece, offset, request, style.flushed)
        })
    }

    /// Reads the file once, `depth` requests of [`READ_LENGTH`] at once. Returns bytes per second.
    pub(crate) fn read_rate(&mut self, depth: usize) -> io::Result<f64> {
        let whole = self.length / PIECE as u64 * PIECE as u64;
        self.stream(whole, PIECE, depth, false, |device, piece, offset| device.read(piece, offset))
    }

    fn stream(
        &mut self,
        total: u64,
        request: usize,
        depth: usize,
        yields: bool,
        mut send: impl FnMut(&mut Self, usize, u64) -> io::Result<()>,
    ) -> io::Result<f64> {
        assert!(depth <= IN_FLIGHT_MAX && request <= PIECE && self.length >= request as u64);
        let (mut sent, mut offset, mut count) = (0, 0, 0);
        let mut free: Vec<usize> = (0..depth).collect();
        let start = Instant::now();
        while sent < total || count > 0 {
            while sent < total
                && let Some(piece) = free.pop()
            {
                if offset + request as u64 > self.length {
                    offset = 0;
                }
                send(self, piece, offset)?;
                offset += request as u64;
                sent += request as u64;
                count += 1;
            }
            self.uring.submit()?;
            let done = self.reap(|piece| free.push(piece))?;
            count -= done;
            if done == 0 && count > 0 {
                if yields {
                    rustix::thread::sched_yield();
                } else {
                    self.uring.submit_and_wait(1)?;
                }
            }
        }
        Ok(sent as f64 / start.elapsed().as_secs_f64())
    }

    fn write(&mut self, piece: usize, offset: u64, bytes: usize, flushed: bool) -> io::Result<()> {
        let fd = types::Fd(self.file.as_raw_fd());
        let start = self.memory[piece * PIECE..].as_ptr();
        let flags = if flushed { RWF_DSYNC } else { 0 };
        let entry = if self.is_registered {
            opcode::WriteFixed::new(fd, start, bytes as u32, 0).offset(offset).rw_flags(flags).build()
        } else {
            opcode::Write::new(fd, start, bytes as u32).offset(offset).rw_flags(flags).build()
        };
        self.push(entry, piece, bytes)
    }

    fn read(&mut self, piece: usize, offset: u64) -> io::Result<()> {
        let fd = types::Fd(self.file.as_raw_fd());
        let start = self.memory[piece * PIECE..].as_mut_ptr();
        let entry = if self.is_registered {
            opcode::ReadFixed::new(fd, start, PIECE as u32, 0).offset(offset).build()
        } else {
            opcode::Read::new(fd, start, PIECE as u32).offset(offset).build()
        };
        self.push(entry, piece, PIECE)
    }

    fn push(&mut self, entry: squeue::Entry, piece: usize, bytes: usize) -> io::Result<()> {
        let entry = entry.user_data((piece as u64) << 32 | bytes as u64);
        // SAFETY: the request uses one piece of `self.memory`, which no other request has and which nothing
        // here looks at, and `self.file`; each caller waits for its requests before it returns, but for an
        // error, after which dropping `self.uring` first makes the kernel cancel or finish them.
        unsafe { self.uring.submission().push(&entry) }
            .map_err(|_| io::Error::other("the submission queue is full"))
    }

    /// Handles the completed requests and returns how many there were.
    fn reap(&mut self, mut on_piece: impl FnMut(usize)) -> io::Result<usize> {
        let mut count = 0;
        while let Some(entry) = { self.uring.completion().next() } {
            let (piece, bytes) = ((entry.user_data() >> 32) as usize, entry.user_data() as u32);
            match entry.result() {
                error if error < 0 => return Err(io::Error::from_raw_os_error(-error)),
                done if done as u32 != bytes => {
                    return Err(io::Error::other(format!(
                        "the device wrote or read {done} of {bytes} bytes"
                    )));
                }
                _ => on_piece(piece),
            }
            count += 1;
        }
        Ok(count)
    }
}

fn record(seen: &mut Histogram<u64>, latency: Duration) {
    seen.saturating_record(latency.as_nanos() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_testkit::skip::skip;

    #[test]
    fn every_arrival_completes_once_and_the_file_is_read_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raw");
        let Ok(mut device) = RawDevice::create(&path, 4 << 20) else {
            return skip("io_uring");
        };
        let style = Style { flushed: false, yields: true };
        let arrivals = || Arrivals::new(1, 20_000.0);
        let expected = {
            let (mut arrivals, mut count) = (arrivals(), 0);
            while arrivals.take() < Duration::from_millis(20) {
                count += 1;
            }
            count
        };
        let seen = device.latency(arrivals(), 512, style, Duration::from_millis(20)).unwrap();
        assert_eq!(seen.count, expected);
        assert!(device.write_rate(8 << 20, 64 << 10, 4, style).unwrap() > 0.0);
        assert!(RawDevice::open(&path).unwrap().read_rate(4).unwrap() > 0.0);
    }
}
