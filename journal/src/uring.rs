//! The io_uring engine: writes go from the ring's memory to the device without a copy and without waiting.
#![allow(unsafe_code)]

use crate::bounds::{HEADER_BLOCK_LENGTH, IN_FLIGHT_MAX};
use crate::engine::{Completion, Engine, FlushMethod, JournalStage};
use crate::flight::{RequestProgress, Ticket};
use crate::format::HeaderBlock;
use crate::pages::Pages;
use crate::sync_thread::SyncThread;
use io_uring::{IoUring, opcode, squeue, types};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;
use stele_bus::LogRing;
use zerocopy::IntoBytes;

const RWF_DSYNC: u32 = 2;
/// The most bytes that the kernel registers in one piece.
const REGISTERED_LENGTH_MAX: usize = 1 << 30;
const ENTRIES: u32 = 4 * IN_FLIGHT_MAX as u32;

/// Writes through io_uring. It uses a plain ring without DEFER_TASKRUN: with the yield in [`Engine::reap`],
/// this is the arrangement in which a spinning thread does not starve a flush; if a flush starves
/// nevertheless, the thread sleeps.
pub struct UringEngine {
    uring: IoUring,
    /// Before `files`: its thread is joined before they are closed.
    sync_thread: Option<SyncThread>,
    ring: LogRing,
    files: [Option<File>; 2],
    headers: [Pages; 2],
    sent: [Sent; 2 * IN_FLIGHT_MAX],
    method: FlushMethod,
    registered: bool,
    outstanding: usize,
    yields: bool,
    /// How often in a row no completion was found although requests are in flight.
    fruitless: u32,
}

/// What a completion is checked against.
#[derive(Clone, Copy, Default)]
struct Sent {
    length: u32,
    slot: usize,
}

/// How often [`Engine::wait`] checks whether the sync thread is done.
const SYNC_LOOK_INTERVAL: Duration = Duration::from_micros(20);
/// After this many checks without a completion the thread sleeps in the kernel until something completes:
/// some milliseconds.
const LOOKS_IN_VAIN_MAX: u32 = 4096;
/// The longest sleep.
const SLEEP_MAX: types::Timespec = types::Timespec::new().nsec(1_000_000);

/// Returns why the kernel provides no io_uring; `None` when it does.
pub fn refusal() -> Option<io::Error> {
    IoUring::new(1).err()
}

impl UringEngine {
    /// Creates an engine over the ring's memory. Also returns why that memory could not be registered, if it
    /// could not: the kernel then looks the pages up at each write, which costs about 0.3 µs.
    ///
    /// # Errors
    /// When the kernel provides no io_uring, as in many containers, or no thread can be started.
    pub fn new(ring: LogRing, method: FlushMethod, yields: bool) -> io::Result<(Self, Option<io::Error>)> {
        let uring = IoUring::builder().setup_clamp().build(ENTRIES)?;
        let (start, length) = ring.memory();
        let pieces: Vec<libc::iovec> = (0..length)
            .step_by(REGISTERED_LENGTH_MAX)
            .map(|from| libc::iovec {
                iov_base: start.wrapping_add(from).cast_mut().cast(),
                iov_len: (length - from).min(REGISTERED_LENGTH_MAX),
            })
            .collect();
        // SAFETY: the pieces lie in the ring's mapping, which `self.ring` keeps until after `self.uring` is
        // dropped: `drop` below waits for every request, and fields drop in order.
        let refused = unsafe { uring.submitter().register_buffers(&pieces) }.err();
        let sync_thread = match method {
            FlushMethod::SyncThread => Some(SyncThread::start()?),
            FlushMethod::FlushedWrites | FlushMethod::LinkedSync => None,
        };
        let engine = Self {
            uring,
            sync_thread,
            ring,
            files: [None, None],
            headers: [Pages::zeroed(HEADER_BLOCK_LENGTH), Pages::zeroed(HEADER_BLOCK_LENGTH)],
            sent: [Sent::default(); 2 * IN_FLIGHT_MAX],
            method,
            registered: refused.is_none(),
            outstanding: 0,
            yields,
            fruitless: 0,
        };
        Ok((engine, refused))
    }

    /// Queues the write of `length` bytes at `start`, and the flush that the method needs.
    fn push(
        &mut self,
        ticket: Ticket,
        slot: usize,
        offset: u64,
        start: *const u8,
        length: u32,
    ) -> io::Result<()> {
        let file = self.files[slot].as_ref().expect("a file was adopted into the slot");
        let fd = types::Fd(file.as_raw_fd());
        let flags = if self.method == FlushMethod::FlushedWrites { RWF_DSYNC } else { 0 };
        let (memory, _) = self.ring.memory();
        let at = (start as usize).wrapping_sub(memory as usize);
        let piece = at / REGISTERED_LENGTH_MAX;
        let in_ring = at < self.ring.capacity();
        let in_one = (at + length as usize - 1) / REGISTERED_LENGTH_MAX == piece;
        let write = if self.registered && in_ring && in_one {
            let write = opcode::WriteFixed::new(fd, start, length, piece as u16);
            write.offset(offset).rw_flags(flags as i32).build()
        } else {
            opcode::Write::new(fd, start, length).offset(offset).rw_flags(flags as i32).build()
        };
        let write = write.user_data(ticket << 1);
        self.sent[ticket as usize % self.sent.len()] = Sent { length, slot };
        match self.method {
            FlushMethod::FlushedWrites | FlushMethod::SyncThread => self.enqueue(&[write]),
            FlushMethod::LinkedSync => {
                let sync = opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build();
                self.enqueue(&[write.flags(squeue::Flags::IO_LINK), sync.user_data(ticket << 1 | 1)])
            }
        }
    }

    /// Returns whether a write or its flush is in flight.
    fn is_waited_for(&self) -> bool {
        self.outstanding > 0 || self.sync_thread.as_ref().is_some_and(SyncThread::is_waited_for)
    }

    /// Leaves the CPU to the kernel until something completes, for 1 ms at most. A yield lets a kernel worker
    /// run only if the scheduler chooses it; on a crowded CPU requests were seen to hang for seconds beside a
    /// thread that yields.
    #[cold]
    fn sleep(&mut self) {
        let args = types::SubmitArgs::new().timespec(&SLEEP_MAX);
        // Nothing completed in time, a signal came, or the kernel does not know the argument: the next
        // reading decides.
        let _ = self.uring.submitter().submit_with_args(1, &args);
    }

    fn enqueue(&mut self, entries: &[squeue::Entry]) -> io::Result<()> {
        // SAFETY: each entry's memory is a part of the ring's mapping (asserted in `write`) or of `headers`,
        // and its file is in `files`; all three outlive the request because `drop` waits for it and because
        // `adopt` and `write_header` are called for slots that no request uses. The kernel only reads the
        // memory.
        unsafe { self.uring.submission().push_multiple(entries) }
            .map_err(|_| io::Error::other("the submission queue is full"))?;
        self.outstanding += entries.len();
        Ok(())
    }

    fn outcome(&self, user_data: u64, result: i32) -> Completion {
        let (ticket, sync) = (user_data >> 1, user_data & 1 == 1);
        let expected = self.sent[ticket as usize % self.sent.len()].length;
        let stage = if sync { JournalStage::Sync } else { JournalStage::Write };
        let outcome = match result {
            error if error < 0 => Err((stage, io::Error::from_raw_os_error(-error))),
            _ if sync => Ok(RequestProgress::Durable),
            written if written as u32 != expected => {
                let text = format!("the device took {written} of {expected} bytes");
                Err((stage, io::Error::new(io::ErrorKind::WriteZero, text)))
            }
            _ if self.method == FlushMethod::FlushedWrites => Ok(RequestProgress::Durable),
            _ => Ok(RequestProgress::Written),
        };
        Completion { ticket, outcome }
    }
}

impl Engine<File> for UringEngine {
    fn describe(&self) -> String {
        let how = match self.method {
            FlushMethod::FlushedWrites => "flushed writes",
            FlushMethod::LinkedSync => "writes with linked fdatasync",
            FlushMethod::SyncThread => "writes, fdatasync on a thread of its own",
        };
        let memory = if self.registered { "from registered memory" } else { "from unregistered memory" };
        format!("io_uring, direct I/O, {how} {memory}, up to {IN_FLIGHT_MAX} in flight")
    }

    fn adopt(&mut self, slot: usize, file: File) -> Option<File> {
        if let Some(sync_thread) = &self.sync_thread {
            sync_thread.adopt(slot, file.as_raw_fd());
        }
        self.files[slot].replace(file)
    }

    fn write(&mut self, ticket: Ticket, slot: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (memory, length) = self.ring.memory();
        let range = bytes.as_ptr_range();
        assert!(
            range.start >= memory && range.end <= memory.wrapping_add(length) && !bytes.is_empty(),
            "a write is from the ring"
        );
        self.push(ticket, slot, offset, bytes.as_ptr(), bytes.len() as u32)
    }

    fn write_header(&mut self, ticket: Ticket, slot: usize, block: &HeaderBlock) -> io::Result<()> {
        self.headers[slot].copy_from_slice(block.as_bytes());
        let start = self.headers[slot].as_ptr();
        self.push(ticket, slot, 0, start, HEADER_BLOCK_LENGTH as u32)
    }

    fn submit(&mut self) -> io::Result<()> {
        self.uring.submit().map(|_| ())
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        let before = completions.len();
        while let Some(entry) = { self.uring.completion().next() } {
            self.outstanding -= 1;
            completions.push(self.outcome(entry.user_data(), entry.result()));
        }
        if let Some(sync_thread) = &mut self.sync_thread {
            let written = completions[before..].iter().filter(|done| done.outcome.is_ok());
            for done in written {
                let slot = self.sent[done.ticket as usize % self.sent.len()].slot;
                sync_thread.on_written(slot, done.ticket);
            }
            if completions.len() > before {
                sync_thread.hand_over();
            }
            sync_thread.reap(completions);
        }
        if completions.len() > before || !self.is_waited_for() {
            self.fruitless = 0;
            return;
        }
        self.fruitless += 1;
        if self.fruitless >= LOOKS_IN_VAIN_MAX {
            self.fruitless = 0;
            self.sleep();
        } else if self.yields {
            rustix::thread::sched_yield();
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        if self.outstanding == 0 && self.is_waited_for() {
            std::thread::sleep(SYNC_LOOK_INTERVAL);
            return Ok(());
        }
        if self.outstanding == 0 || !self.uring.completion().is_empty() {
            return Ok(());
        }
        match self.uring.submit_and_wait(1) {
            Err(error) if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

impl Drop for UringEngine {
    /// Waits for the requests in flight: the kernel reads the ring's memory until then.
    fn drop(&mut self) {
        let mut completions = Vec::with_capacity(2 * IN_FLIGHT_MAX);
        while self.outstanding > 0 {
            if self.wait().is_err() {
                // The memory must not be released while the kernel may read it: leak it instead.
                std::mem::forget(self.ring.clone());
                self.headers
                    .iter_mut()
                    .for_each(|pages| std::mem::forget(std::mem::replace(pages, Pages::zeroed(0))));
                return;
            }
            self.reap(&mut completions);
            completions.clear();
        }
    }
}
