//! The sync thread: it calls `fdatasync` in a loop. Each sync covers exactly the writes that had completed
//! before it was submitted.
//!
//! ```text
//!  journal's thread                                      sync thread
//!  a write in slot s completed:
//!    completed[s] = n  ── Release ───────> Acquire ──>   n = completed[s]
//!                                                        fdatasync(file in slot s)
//!    the first n are durable  <── Acquire ─── Release ── synced[s] = n
//! ```
//!
//! Each direction has its own word on its own cache lines, for each of the two segment files, so that writes
//! on both sides of a roll are covered by syncs of their own file. The journal's thread never waits and takes
//! no lock; it wakes the sync thread by a futex when that thread sleeps because there is nothing to sync.
#![allow(unsafe_code)]

use crate::bounds::IN_FLIGHT_MAX;
use crate::engine::{Completion, JournalStage};
use crate::flight::{RequestProgress, Ticket};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Two cache lines: the hardware prefetches them in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Line<T>(T);

/// The words that the journal's thread stores.
struct Asked {
    /// The number of the slot's writes that have completed.
    completed: AtomicU64,
    /// The file in the slot.
    file: AtomicI32,
}

/// The words that the sync thread stores.
#[derive(Default)]
struct Answered {
    /// How many of the completed writes are covered by a sync.
    synced: AtomicU64,
    /// The system's error number after which nothing more is synced; 0 before.
    error: AtomicI32,
}

struct Shared {
    asked: [Line<Asked>; 2],
    answered: [Line<Answered>; 2],
    stopping: AtomicBool,
}

/// The journal's side: the writes that have completed and wait for a sync, and the thread.
pub(crate) struct SyncThread {
    shared: Arc<Shared>,
    waiting: [VecDeque<Ticket>; 2],
    completed: [u64; 2],
    thread: Option<JoinHandle<()>>,
}

impl SyncThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_with(|file| {
            // SAFETY: the engine has the file in its slot until nothing waits for a sync of it (`adopt`), and
            // the thread syncs a slot only while something does; dropping `SyncThread` joins the thread
            // first.
            let file = unsafe { BorrowedFd::borrow_raw(file) };
            rustix::fs::fdatasync(file).map_err(io::Error::from)
        })
    }

    /// As [`Self::start`], with another function instead of `fdatasync`.
    fn start_with(sync: impl FnMut(RawFd) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let asked = || Line(Asked { completed: AtomicU64::new(0), file: AtomicI32::new(-1) });
        let shared = Arc::new(Shared {
            asked: [asked(), asked()],
            answered: Default::default(),
            stopping: AtomicBool::new(false),
        });
        let theirs = shared.clone();
        let thread =
            std::thread::Builder::new().name("journal-sync".into()).spawn(move || run(&theirs, sync))?;
        let waiting = || VecDeque::with_capacity(IN_FLIGHT_MAX);
        Ok(Self { shared, waiting: [waiting(), waiting()], completed: [0; 2], thread: Some(thread) })
    }

    /// Puts `file` into `slot`, until another file replaces it.
    ///
    /// # Panics
    /// When writes of the slot wait for a sync.
    pub(crate) fn adopt(&self, slot: usize, file: RawFd) {
        assert!(self.waiting[slot].is_empty(), "no write waits for a sync of the file before");
        // The Release store of `completed` that follows the next write makes it visible.
        self.shared.asked[slot].0.file.store(file, Ordering::Relaxed);
    }

    /// Records that the write of `ticket` in `slot` has completed. [`Self::hand_over`] passes it to the
    /// thread.
    pub(crate) fn on_written(&mut self, slot: usize, ticket: Ticket) {
        self.waiting[slot].push_back(ticket);
        self.completed[slot] += 1;
    }

    /// Lets the thread sync the recorded writes.
    pub(crate) fn hand_over(&self) {
        for (asked, completed) in self.shared.asked.iter().zip(self.completed) {
            // Release, partner of the Acquire load in `run`: the writes had completed, and the file is in its
            // slot.
            asked.0.completed.store(completed, Ordering::Release);
        }
        self.thread.as_ref().expect("it is taken when dropped").thread().unpark();
    }

    /// Adds writes that became durable, or failed, to `completions`, in the order in which they completed.
    pub(crate) fn reap(&mut self, completions: &mut Vec<Completion>) {
        for slot in 0..2 {
            if self.waiting[slot].is_empty() {
                continue;
            }
            let answered = &self.shared.answered[slot].0;
            // Acquire, partner of the Release stores in `run`: the sync had returned.
            let error = answered.error.load(Ordering::Acquire);
            let synced = answered.synced.load(Ordering::Acquire);
            let unsynced = (self.completed[slot] - synced) as usize;
            while self.waiting[slot].len() > unsynced {
                let ticket = self.waiting[slot].pop_front().expect("it is longer than another number");
                completions.push(Completion { ticket, outcome: Ok(RequestProgress::Durable) });
            }
            if error != 0 {
                completions.extend(self.waiting[slot].drain(..).map(|ticket| Completion {
                    ticket,
                    outcome: Err((JournalStage::Sync, io::Error::from_raw_os_error(error))),
                }));
            }
        }
    }

    /// Returns whether any write waits for a sync.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_empty())
    }
}

impl Drop for SyncThread {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Syncs files with unsynced writes until it is stopped or a sync fails: after a failed sync, no later one
/// covers the writes that were lost.
fn run(shared: &Shared, mut sync: impl FnMut(RawFd) -> io::Result<()>) {
    let mut done = [0; 2];
    loop {
        let mut has_synced = false;
        for (slot, done) in done.iter_mut().enumerate() {
            let (asked, answered) = (&shared.asked[slot].0, &shared.answered[slot].0);
            // Acquire, partner of the Release store in `hand_over`. Loaded before the sync is submitted:
            // writes that complete later belong to the next sync.
            let completed = asked.completed.load(Ordering::Acquire);
            if completed == *done {
                continue;
            }
            if let Err(error) = sync(asked.file.load(Ordering::Relaxed)) {
                let number = error.raw_os_error().unwrap_or(libc::EIO);
                answered.error.store(number, Ordering::Release);
                return;
            }
            // Release, partner of the Acquire load in `reap`.
            answered.synced.store(completed, Ordering::Release);
            *done = completed;
            has_synced = true;
        }
        if !has_synced {
            if shared.stopping.load(Ordering::Acquire) {
                return;
            }
            std::thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// A sync that reports its file and returns what the test sends.
    fn held() -> (SyncThread, Receiver<RawFd>, Sender<io::Result<()>>) {
        let (begun, begins) = channel();
        let (results, result) = channel::<io::Result<()>>();
        let sync = move |file| {
            begun.send(file).unwrap();
            result.recv().unwrap_or(Ok(()))
        };
        (SyncThread::start_with(sync).unwrap(), begins, results)
    }

    fn reap_until(
        thread: &mut SyncThread,
        count: usize,
    ) -> Vec<(Ticket, Result<RequestProgress, Option<i32>>)> {
        let mut completions = Vec::new();
        for _ in 0..20_000 {
            thread.reap(&mut completions);
            if completions.len() >= count {
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        let outcome = |completion: Completion| match completion.outcome {
            Ok(progress) => (completion.ticket, Ok(progress)),
            Err((stage, error)) => {
                assert_eq!(stage, JournalStage::Sync);
                (completion.ticket, Err(error.raw_os_error()))
            }
        };
        completions.into_iter().map(outcome).collect()
    }

    #[test]
    fn a_sync_covers_what_completed_before_it_was_submitted_and_no_more() {
        let (mut thread, begins, results) = held();
        thread.adopt(0, 70);
        thread.on_written(0, 5);
        thread.on_written(0, 3);
        thread.hand_over();
        assert_eq!(begins.recv().unwrap(), 70);
        thread.on_written(0, 4);
        thread.hand_over();
        results.send(Ok(())).unwrap();
        assert_eq!(
            reap_until(&mut thread, 2),
            [(5, Ok(RequestProgress::Durable)), (3, Ok(RequestProgress::Durable))]
        );
        assert!(thread.is_waited_for(), "the third completed while the sync was under way");
        assert_eq!(begins.recv().unwrap(), 70);
        results.send(Ok(())).unwrap();
        assert_eq!(reap_until(&mut thread, 1), [(4, Ok(RequestProgress::Durable))]);
        assert!(!thread.is_waited_for());
    }

    #[test]
    fn over_a_roll_each_file_is_synced_for_its_own_writes() {
        let (mut thread, begins, results) = held();
        thread.adopt(0, 70);
        thread.adopt(1, 71);
        thread.on_written(1, 8);
        thread.hand_over();
        assert_eq!(begins.recv().unwrap(), 71, "the file without writes is left alone");
        thread.on_written(0, 7);
        thread.hand_over();
        results.send(Ok(())).unwrap();
        assert_eq!(reap_until(&mut thread, 1), [(8, Ok(RequestProgress::Durable))]);
        assert_eq!(begins.recv().unwrap(), 70);
        results.send(Ok(())).unwrap();
        assert_eq!(reap_until(&mut thread, 1), [(7, Ok(RequestProgress::Durable))]);
        thread.adopt(1, 90);
        thread.on_written(1, 9);
        thread.hand_over();
        assert_eq!(begins.recv().unwrap(), 90);
    }

    #[test]
    fn after_a_failed_sync_no_write_is_acknowledged() {
        let (mut thread, begins, results) = held();
        thread.adopt(0, 70);
        thread.on_written(0, 0);
        thread.hand_over();
        begins.recv().unwrap();
        thread.on_written(0, 1);
        thread.hand_over();
        results.send(Err(io::Error::from_raw_os_error(libc::ENOSPC))).unwrap();
        let lost = |ticket| (ticket, Err(Some(libc::ENOSPC)));
        assert_eq!(reap_until(&mut thread, 2), [lost(0), lost(1)]);
        thread.on_written(0, 2);
        thread.hand_over();
        assert_eq!(reap_until(&mut thread, 1), [lost(2)]);
        assert!(begins.try_recv().is_err(), "no second sync was tried");
    }
}
