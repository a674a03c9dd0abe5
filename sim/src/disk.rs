//! The simulated disk as the journal sees it: its storage, the site of a trail on it, and its pool of
//! segments, over one [`Medium`].

use crate::bounds::SEGMENT_LENGTH;
use crate::content::Content;
use crate::medium::{Inode, Medium, power_failed};
use crate::random::SeededRandom;
use crate::violation::Violation;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use stele_journal::bounds::{HEADER_BLOCK_LENGTH, PAGE_LENGTH};
use stele_journal::format::{HeaderBlock, segment_index, segment_name};
use stele_journal::pool::{self, SegmentPool, SpareSegment};
use stele_journal::{
    JournalOptions, LockError, PreparedSegments, Storage, StoredFile, TrailSite, WriterLock,
};
use stele_wire::{Nanos, TrailId};
use zerocopy::IntoBytes;

/// Length of a segment file in bytes.
pub const FILE_LENGTH: usize = HEADER_BLOCK_LENGTH + SEGMENT_LENGTH as usize;

/// A handle to the disk. Its copies are handles to the same disk.
#[derive(Clone, Debug)]
pub struct Disk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) medium: Medium,
    pub(crate) ledger: Ledger,
}

/// What the journal submitted, recorded apart from the disk and its faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// The content that each file would have if every write had happened.
    intended: BTreeMap<Inode, Arc<Content>>,
    /// A violation that the engine noticed.
    pub(crate) noticed: Option<Violation>,
}

/// A segment file open for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimFile(pub Inode);

impl Disk {
    /// Creates a handle to `medium`.
    pub fn new(medium: Medium) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { medium, ledger: Ledger::default() })) }
    }

    /// Creates another disk in the same state, which continues with the generator `random`.
    pub fn fork(&self, random: SeededRandom) -> Self {
        let mut shared = self.shared().clone();
        shared.medium.set_dice(random);
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Calls `with` with the medium.
    pub fn with<T>(&self, with: impl FnOnce(&mut Medium) -> T) -> T {
        with(&mut self.shared().medium)
    }

    /// Returns the offset at which the file named `name` differs from what was submitted for it, or the
    /// file's length when less was submitted. `None` when it does not differ, or nothing was submitted.
    pub fn find_difference(&self, name: &str) -> Option<usize> {
        let shared = self.shared();
        let inode = shared.medium.find(name)?;
        shared.medium.content(inode).find_difference(shared.ledger.intended.get(&inode)?)
    }

    /// Takes the violation that the engine noticed.
    pub fn take_noticed(&self) -> Option<Violation> {
        self.shared().ledger.noticed.take()
    }

    /// Prepares a segment file as the pool does: zeros, or a blank header and bytes of an earlier use.
    fn prepare(&self, index: u64, donor: Option<&Content>) -> io::Result<SimFile> {
        let content = donor.map_or_else(
            || Content::zeros(FILE_LENGTH),
            |donor| {
                let mut content = donor.clone();
                content.resize(FILE_LENGTH);
                content.write(0, &[0; HEADER_BLOCK_LENGTH]);
                content
            },
        );
        self.with(|medium| {
            if medium.operate()? {
                return Ok(SimFile(medium.create(&segment_name(index), content)));
            }
            if medium.happens_partly() {
                medium.create(&segment_name(index), content);
            }
            Err(power_failed())
        })
    }

    /// Returns the content of a segment of an earlier epoch, as reused blocks of the device may hold it.
    fn earlier_life(&self) -> Option<Content> {
        self.with(|medium| {
            let segments: Vec<Inode> = medium
                .names()
                .filter(|name| segment_index(name).is_some())
                .filter_map(|name| medium.find(name))
                .collect();
            let which = medium.draw(0, segments.len().saturating_sub(1) as u64) as usize;
            let content = medium.content(*segments.get(which)?).clone();
            (content.len() > HEADER_BLOCK_LENGTH).then_some(content)
        })
    }
}

impl Ledger {
    pub(crate) fn intend(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        let intended = Arc::make_mut(self.intended.entry(inode).or_default());
        if intended.len() < offset + bytes.len() {
            intended.resize(offset + bytes.len());
        }
        intended.write(offset, bytes);
    }
}

/// The place of a trail on a disk.
#[derive(Clone, Debug)]
pub struct SimSite {
    /// The disk.
    pub disk: Disk,
    /// The identity of a new trail.
    pub trail: TrailId,
    /// Length of the device's block in bytes.
    pub block_length: u32,
    /// The journal's options.
    pub options: JournalOptions,
}

impl TrailSite for SimSite {
    type File = SimFile;

    fn create(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: Nanos) -> Result<Option<WriterLock>, LockError> {
        Ok(None)
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.disk.clone())
    }

    fn draw_identity(&self) -> io::Result<TrailId> {
        Ok(self.trail)
    }

    fn probe(&self, _: bool) -> io::Result<pool::MediumProperties> {
        Ok(pool::MediumProperties { direct: true, block_length: self.block_length })
    }

    fn prepare(
        &self,
        _: pool::MediumProperties,
        options: &JournalOptions,
        next: u64,
    ) -> io::Result<PreparedSegments<SimFile>> {
        let stale = self.disk.with(|medium| medium.behaviour().stale);
        let donor = if stale { self.disk.earlier_life() } else { None };
        let mut spares =
            SimSpares { disk: self.disk.clone(), ready: VecDeque::new(), next, donor, stopped: false };
        (0..=options.spare_segments).try_for_each(|_| spares.prepare())?;
        let first = spares.ready.pop_front().expect("one at least was prepared");
        Ok((first, Box::new(spares)))
    }

    fn write_header(&self, file: &SimFile, block: &HeaderBlock) -> io::Result<()> {
        let mut shared = self.disk.shared();
        let whole = shared.medium.operate()?;
        shared.ledger.intend(file.0, 0, block.as_bytes());
        shared.medium.write_through_cache(file.0, 0, block.as_bytes());
        if !whole {
            return Err(power_failed());
        }
        shared.medium.sync(file.0);
        Ok(())
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
                medium.create(name, Content::of(&bytes));
                return Ok(());
            }
            if medium.happens_partly() {
                let length = medium.draw(0, bytes.len() as u64) as usize;
                medium.create(&format!("{name}.unfinished"), Content::of(&bytes[..length]));
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
        Ok(self.disk.with(|medium| medium.content(self.inode).len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        assert!(offset.is_multiple_of(PAGE_LENGTH as u64) && buffer.len().is_multiple_of(PAGE_LENGTH));
        assert!((buffer.as_ptr() as usize).is_multiple_of(PAGE_LENGTH));
        Ok(self.disk.with(|medium| medium.content(self.inode).read(offset as usize, buffer)))
    }
}

/// The pool over the disk. Preparing takes no time; whether a segment is ready is random. Its segments hold
/// the bytes of `donor`, a segment of an earlier epoch, after a blank header, if there is one.
struct SimSpares {
    disk: Disk,
    ready: VecDeque<SpareSegment<SimFile>>,
    next: u64,
    donor: Option<Content>,
    stopped: bool,
}

impl SimSpares {
    fn prepare(&mut self) -> io::Result<()> {
        let file = self.disk.prepare(self.next, self.donor.as_ref())?;
        self.ready.push_back(SpareSegment { index: self.next, file });
        self.next += 1;
        Ok(())
    }
}

impl SegmentPool<SimFile> for SimSpares {
    fn take(&mut self) -> Option<io::Result<SpareSegment<SimFile>>> {
        if self.disk.with(Medium::fails_spare) {
            return Some(Err(io::Error::from_raw_os_error(NO_SPACE)));
        }
        let spare = self.ready.pop_front();
        if spare.is_none() && self.disk.with(|medium| medium.chance(3)) {
            return self.prepare().err().map(Err);
        }
        spare.map(Ok)
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

/// ENOSPC.
pub(crate) const NO_SPACE: i32 = 28;
