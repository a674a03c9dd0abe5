//! The write engine over the simulated disk.

use crate::disk::{Disk, NO_SPACE, Shared, SimFile};
use crate::medium::{Inode, Medium, RequestOutcome};
use crate::ring_memory;
use crate::violation::violated;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use stele_bus::LogRing;
use stele_journal::engine::{Completion, JournalStage};
use stele_journal::flight::{RequestProgress, Ticket};
use stele_journal::format::HeaderBlock;
use stele_journal::{Engine, FlushMethod};
use stele_wire::frame::crc32c;
use zerocopy::IntoBytes;

/// The engine over the disk. Submitted requests belong to the disk; accepted ones that were not submitted are
/// lost with the process.
pub struct SimEngine {
    disk: Disk,
    ring: LogRing,
    flush: FlushMethod,
    files: [Option<SimFile>; 2],
    taken_in: Vec<TakenIn>,
    in_flight: BTreeMap<u64, WriteInFlight>,
    /// Completed writes that no sync covers yet, when syncs run on a thread of their own.
    unsynced: Vec<(Inode, Ticket)>,
    /// The sync in flight, when syncs run on a thread of their own, and the writes that it covers.
    sync: Option<(u64, Vec<Ticket>)>,
}

struct TakenIn {
    ticket: Ticket,
    file: SimFile,
    offset: usize,
    bytes: Arc<[u8]>,
    in_ring: Option<usize>,
}

/// A submitted write.
struct WriteInFlight {
    ticket: Ticket,
    file: SimFile,
    /// Offset and length of its bytes in the ring, and their checksum at submission.
    in_ring: Option<(usize, usize, u32)>,
}

impl SimEngine {
    /// Creates an engine that writes from `ring` to `disk`.
    pub fn new(disk: Disk, ring: LogRing, flush: FlushMethod) -> Self {
        Self {
            disk,
            ring,
            flush,
            files: [None, None],
            taken_in: Vec::new(),
            in_flight: BTreeMap::new(),
            unsynced: Vec::new(),
            sync: None,
        }
    }

    fn take_in(&mut self, ticket: Ticket, slot: usize, offset: usize, bytes: &[u8], in_ring: Option<usize>) {
        let file = self.files[slot].expect("a file is in the slot");
        self.taken_in.push(TakenIn { ticket, file, offset, bytes: bytes.into(), in_ring });
    }

    /// A device reads the memory until the request completes: it must not change until then.
    fn check_unchanged(&self, id: u64, write: &WriteInFlight) {
        let Some((at, length, checksum)) = write.in_ring else { return };
        if ring_memory::checksum(&self.ring, at, length) != checksum {
            let what = format!("{length} bytes at {at} of the ring changed under request {id}");
            let rule = "bytes of a request in flight do not change";
            self.disk.shared().ledger.noticed = Some(violated(rule, what));
        }
    }

    fn finish_write(&mut self, id: u64, done: RequestOutcome, completions: &mut Vec<Completion>) {
        let Some(mut write) = self.in_flight.remove(&id) else { return };
        self.check_unchanged(id, &write);
        let ticket = write.ticket;
        if done == RequestOutcome::Written {
            if self.flush == FlushMethod::SyncThread {
                self.unsynced.push((write.file.0, ticket));
            } else {
                write.in_ring = None;
                self.in_flight.insert(id, write);
            }
        }
        completions.push(Completion { ticket, outcome: outcome(id, done) });
    }

    /// Simulates the sync thread: one sync at a time, of one file, for the writes that have completed.
    fn sync_apart(&mut self) {
        let Some(&(inode, _)) = self.unsynced.first() else { return };
        if self.sync.is_none() {
            let covered = self.unsynced.extract_if(.., |(of, _)| *of == inode).map(|(_, ticket)| ticket);
            let covered = covered.collect();
            self.sync = Some((self.disk.with(|medium| medium.submit_sync(inode)), covered));
        }
    }
}

fn outcome(id: u64, done: RequestOutcome) -> Result<RequestProgress, (JournalStage, io::Error)> {
    match done {
        RequestOutcome::Written => Ok(RequestProgress::Written),
        RequestOutcome::Durable => Ok(RequestProgress::Durable),
        RequestOutcome::SyncFailed => Err((JournalStage::Sync, io::Error::from_raw_os_error(FAULTY))),
        RequestOutcome::WriteFailed => Err((
            JournalStage::Write,
            match id % 3 {
                0 => io::Error::from_raw_os_error(FAULTY),
                1 => io::Error::from_raw_os_error(NO_SPACE),
                _ => io::Error::new(io::ErrorKind::WriteZero, "the device wrote less than it was given"),
            },
        )),
    }
}

/// EIO.
const FAULTY: i32 = 5;

impl Engine<SimFile> for SimEngine {
    fn describe(&self) -> String {
        format!("a simulated disk, {:?}", self.flush)
    }

    fn adopt(&mut self, slot: usize, file: SimFile) -> Option<SimFile> {
        self.files[slot].replace(file)
    }

    fn write(&mut self, ticket: Ticket, slot: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = ring_memory::offset_of(&self.ring, bytes);
        self.take_in(ticket, slot, offset as usize, bytes, Some(at));
        Ok(())
    }

    fn write_header(&mut self, ticket: Ticket, slot: usize, block: &HeaderBlock) -> io::Result<()> {
        self.take_in(ticket, slot, 0, block.as_bytes(), None);
        Ok(())
    }

    fn submit(&mut self) -> io::Result<()> {
        let mut shared = self.disk.shared();
        let Shared { medium, ledger } = &mut *shared;
        if medium.fails_submission() {
            return Err(io::Error::other("the kernel refuses"));
        }
        for TakenIn { ticket, file, offset, bytes, in_ring } in self.taken_in.drain(..) {
            ledger.intend(file.0, offset, &bytes);
            let in_ring = in_ring.map(|at| (at, bytes.len(), crc32c(&bytes)));
            let id = medium.submit(file.0, offset, bytes, self.flush);
            self.in_flight.insert(id, WriteInFlight { ticket, file, in_ring });
            let headers = medium.headers_in_flight();
            if headers > 1 {
                let rule = "one header at a time is in flight";
                ledger.noticed = Some(violated(rule, format!("{headers} are in flight")));
            }
        }
        Ok(())
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        for (id, done) in self.disk.with(Medium::take_done) {
            match &mut self.sync {
                Some((sync, covered)) if *sync == id => {
                    let covered = std::mem::take(covered).into_iter();
                    completions
                        .extend(covered.map(|ticket| Completion { ticket, outcome: outcome(id, done) }));
                    self.sync = None;
                }
                _ => self.finish_write(id, done, completions),
            }
        }
        self.sync_apart();
    }

    fn wait(&mut self) -> io::Result<()> {
        self.disk.with(Medium::advance_to_next);
        Ok(())
    }
}
