//! The simulated disk as the journal sees it: its storage, its engine and its pool of segments, over one
//! [`Medium`].

use crate::bounds::SEGMENT_LENGTH;
use crate::medium::{Done, Inode, Medium, power_failed};
use crate::ring_memory;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use stele_bus::LogRing;
use stele_journal::bounds::{HEADER_BLOCK_LENGTH, PAGE_LENGTH};
use stele_journal::engine::{Completion, Stage};
use stele_journal::flight::{Progress, Ticket};
use stele_journal::format::{HeaderBlock, segment_name};
use stele_journal::pool::{Spare, Spares};
use stele_journal::{Engine, FlushMethod, Storage, StoredFile};
use stele_wire::frame::crc32c;
use zerocopy::IntoBytes;

/// Bytes of a segment file.
pub const FILE_LENGTH: usize = HEADER_BLOCK_LENGTH + SEGMENT_LENGTH as usize;

/// A handle to the disk; its copies are handles to the same one.
#[derive(Clone, Debug)]
pub struct Disk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    medium: Medium,
    ledger: Ledger,
}

/// What the journal handed over, kept apart from the disk and its faults.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What each file would hold if every write had happened.
    intended: BTreeMap<Inode, Vec<u8>>,
    /// Writes whose bytes changed on the ring before they completed.
    pub changed_in_flight: Vec<String>,
}

/// A segment file open for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimFile(pub Inode);

impl Disk {
    /// A handle to `medium`.
    pub fn new(medium: Medium) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { medium, ledger: Ledger::default() })) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Does something with the medium.
    pub fn with<T>(&self, with: impl FnOnce(&mut Medium) -> T) -> T {
        with(&mut self.shared().medium)
    }

    /// Where the file named `name` differs from what was handed over for it: the offset, or the file's length when
    /// less was handed over. None when it does not, or nothing was handed over.
    pub fn find_difference(&self, name: &str) -> Option<usize> {
        let shared = self.shared();
        let inode = shared.medium.find(name)?;
        let (intended, found) = (shared.ledger.intended.get(&inode)?, shared.medium.bytes(inode));
        match intended.get(..found.len()) {
            None => Some(found.len()),
            Some(intended) if intended == found => None,
            Some(intended) => intended.iter().zip(found).position(|(intended, found)| intended != found),
        }
    }

    /// Takes what was noticed of writes whose bytes changed on their way.
    pub fn take_changed_in_flight(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().ledger.changed_in_flight)
    }

    /// A segment file as the pool prepares it: zeros, or a blank header and bytes of an earlier life.
    pub(crate) fn prepare(&self, index: u64, donor: Option<&[u8]>) -> SimFile {
        let mut bytes = vec![0; FILE_LENGTH];
        if let Some(donor) = donor {
            let length = donor.len().min(FILE_LENGTH);
            bytes[HEADER_BLOCK_LENGTH..length].copy_from_slice(&donor[HEADER_BLOCK_LENGTH..length]);
        }
        SimFile(self.with(|medium| medium.create(&segment_name(index), bytes)))
    }

    /// Writes the header of the first segment of an epoch and flushes it, as opening a trail does.
    ///
    /// # Errors
    /// When the power fails meanwhile; the header may be torn then.
    pub(crate) fn write_first_header(&self, file: SimFile, block: &HeaderBlock) -> io::Result<()> {
        let mut shared = self.shared();
        let whole = shared.medium.operate()?;
        let allowed = shared.medium.behaviour().allowances.first_header_is_whole;
        if !whole && allowed && block.index.get() == 1 {
            return Err(power_failed());
        }
        shared.ledger.intend(file.0, 0, block.as_bytes());
        shared.medium.write_through_cache(file.0, 0, block.as_bytes());
        if !whole {
            return Err(power_failed());
        }
        shared.medium.sync(file.0);
        Ok(())
    }
}

impl Ledger {
    fn intend(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        let intended = self.intended.entry(inode).or_default();
        let end = offset + bytes.len();
        if intended.len() < end {
            intended.resize(end, 0);
        }
        intended[offset..end].copy_from_slice(bytes);
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.with(|medium| medium.names().filter(|name| !name.contains('/')).map(str::to_owned).collect()))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let inode = self.with(|medium| medium.find(name)).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(OpenFile { disk: self.clone(), inode }))
    }

    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        self.with(|medium| {
            if medium.operate()? {
                medium.create(name, bytes);
                return Ok(());
            }
            if medium.happens_partly() {
                let length = medium.draw(0, bytes.len() as u64) as usize;
                medium.create(&format!("{name}.unfinished"), bytes[..length].to_vec());
            }
            Err(power_failed())
        })
    }

    fn close(&self, name: &str, length: u64) -> io::Result<()> {
        self.with(|medium| {
            let inode = medium.find(name).ok_or(io::ErrorKind::NotFound)?;
            if medium.operate()? {
                medium.cut(inode, length as usize);
                return Ok(());
            }
            if medium.happens_partly() {
                medium.cut_unflushed(inode, length as usize);
            }
            Err(power_failed())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|medium| {
            let whole = medium.operate()?;
            if (whole || medium.happens_partly()) && !medium.remove(name) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if whole { Ok(()) } else { Err(power_failed()) }
        })
    }
}

struct OpenFile {
    disk: Disk,
    inode: Inode,
}

impl StoredFile for OpenFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.with(|medium| medium.bytes(self.inode).len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        assert!(offset.is_multiple_of(PAGE_LENGTH as u64) && buffer.len().is_multiple_of(PAGE_LENGTH));
        assert!((buffer.as_ptr() as usize).is_multiple_of(PAGE_LENGTH));
        self.disk.with(|medium| {
            let rest = medium.bytes(self.inode).get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }
}

/// The engine over the disk. What was submitted is the disk's; what was only taken in is lost with the process.
pub struct SimEngine {
    disk: Disk,
    ring: LogRing,
    method: FlushMethod,
    files: [Option<SimFile>; 2],
    taken_in: Vec<TakenIn>,
    on_the_way: BTreeMap<u64, OnTheWay>,
}

struct TakenIn {
    ticket: Ticket,
    file: SimFile,
    offset: usize,
    bytes: Vec<u8>,
    in_ring: Option<usize>,
}

/// A request that was submitted.
struct OnTheWay {
    ticket: Ticket,
    /// Where in the ring its bytes lie, how many, and their checksum when it was submitted.
    in_ring: Option<(usize, usize, u32)>,
}

impl SimEngine {
    /// An engine that writes from `ring` to `disk`.
    pub fn new(disk: Disk, ring: LogRing, method: FlushMethod) -> Self {
        Self { disk, ring, method, files: [None, None], taken_in: Vec::new(), on_the_way: BTreeMap::new() }
    }

    fn take_in(&mut self, ticket: Ticket, slot: usize, offset: usize, bytes: &[u8], in_ring: Option<usize>) {
        let file = self.files[slot].expect("a file was adopted into the slot");
        self.taken_in.push(TakenIn { ticket, file, offset, bytes: bytes.to_vec(), in_ring });
    }

    /// A device reads the memory until the request completes: it must not have changed until then.
    fn check_unchanged(&self, flying: &OnTheWay) {
        let Some((at, length, checksum)) = flying.in_ring else { return };
        if ring_memory::checksum(&self.ring, at, length) != checksum {
            let what = format!("{length} bytes at {at} of the ring changed under request {}", flying.ticket);
            self.disk.shared().ledger.changed_in_flight.push(what);
        }
    }
}

impl Engine<SimFile> for SimEngine {
    fn describe(&self) -> String {
        format!("a simulated disk, {:?}", self.method)
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
        if medium.throw_submit_failure() {
            return Err(io::Error::other("the kernel refuses"));
        }
        for TakenIn { ticket, file, offset, bytes, in_ring } in self.taken_in.drain(..) {
            ledger.intend(file.0, offset, &bytes);
            let in_ring = in_ring.map(|at| (at, bytes.len(), crc32c(&bytes)));
            let id = medium.submit(file.0, offset, bytes, self.method == FlushMethod::FlushedWrites);
            self.on_the_way.insert(id, OnTheWay { ticket, in_ring });
        }
        Ok(())
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        let done = self.disk.with(Medium::take_done);
        for (id, done) in done {
            let Some(flying) = self.on_the_way.get_mut(&id) else { continue };
            let ticket = flying.ticket;
            let outcome = match done {
                Done::Written => Ok(Progress::Written),
                Done::Durable => Ok(Progress::Durable),
                Done::WriteFailed => Err((Stage::Write, io::Error::other("the device failed a write"))),
                Done::SyncFailed => Err((Stage::Sync, io::Error::other("the device failed a flush"))),
            };
            let is_written = matches!(outcome, Ok(Progress::Written));
            self.check_unchanged(&self.on_the_way[&id]);
            if is_written {
                self.on_the_way.get_mut(&id).expect("found above").in_ring = None;
            } else {
                self.on_the_way.remove(&id);
            }
            completions.push(Completion { ticket, outcome });
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        self.disk.with(Medium::advance_to_next);
        Ok(())
    }
}

/// The pool over the disk. Preparing is instantaneous; a segment is not ready whenever the dice say so.
pub struct SimSpares {
    disk: Disk,
    ready: VecDeque<Spare<SimFile>>,
    next: u64,
    donor: Option<Vec<u8>>,
    stopped: bool,
}

impl SimSpares {
    /// A pool that prepares segments from index `next` on and keeps `count` of them ready. They hold the bytes
    /// of `donor`, a segment of an earlier epoch, behind a blank header if there is one.
    pub fn start(disk: Disk, next: u64, count: usize, donor: Option<Vec<u8>>) -> Self {
        let mut spares = Self { disk, ready: VecDeque::new(), next, donor, stopped: false };
        (0..count).for_each(|_| spares.prepare());
        spares
    }

    fn prepare(&mut self) {
        let file = self.disk.prepare(self.next, self.donor.as_deref());
        self.ready.push_back(Spare { index: self.next, file });
        self.next += 1;
    }

    /// The segment that the epoch begins in, always ready.
    ///
    /// # Panics
    /// When the pool was started with none.
    pub fn first(&mut self) -> Spare<SimFile> {
        self.ready.pop_front().expect("a pool of one at least")
    }
}

impl Spares<SimFile> for SimSpares {
    fn take(&mut self) -> Option<io::Result<Spare<SimFile>>> {
        if self.disk.with(Medium::throw_spare_failure) {
            return Some(Err(io::Error::other("no space is left")));
        }
        if self.disk.with(|medium| medium.delays_roll()) {
            return None;
        }
        match self.ready.pop_front() {
            Some(spare) => Some(Ok(spare)),
            None => {
                if self.disk.with(|medium| medium.throw(3)) {
                    self.prepare();
                }
                None
            }
        }
    }

    fn retire(&mut self, _: SimFile) {}

    fn stop(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.stopped, true) {
            while let Some(spare) = self.ready.pop_back() {
                self.disk.remove(&segment_name(spare.index))?;
            }
        }
        Ok(())
    }
}
