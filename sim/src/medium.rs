//! A disk in memory: files of sectors with a volatile cache, requests in flight, and what a power failure
//! leaves. Pure: no trait of the journal, no thread.
//!
//! ```text
//!  request ── later, in any order ──> cache (a read sees it) ── flush ──> medium (a power failure leaves it)
//! ```
//! At a power failure each sector that is in a request or in the cache reaches the medium or not, at random,
//! so that a write of several sectors can be torn anywhere; a single sector is either written or unchanged.
//! When only the process is killed, the cache stays as it is, unflushed.

mod power;

use crate::behaviour::{BrokenPromise, DiskBehaviour, MediumStatistics};
use crate::bounds::SECTOR_LENGTH;
use crate::content::Content;
use crate::random::SeededRandom;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use stele_journal::FlushMethod;

/// A file's number. It is never used again.
pub type Inode = u64;

#[derive(Clone, Debug, Default)]
struct File {
    /// The content including everything that was written.
    cached: Content,
    /// The content including everything that was flushed. It has the length of `cached`.
    durable: Content,
    /// The sectors in which the two may differ, with the number of the last write to each.
    dirty: BTreeMap<usize, u64>,
}

/// A request in flight.
#[derive(Clone, Debug)]
struct Request {
    id: u64,
    inode: Inode,
    offset: usize,
    bytes: Arc<[u8]>,
    flush: FlushMethod,
    due: u64,
    fate: Fate,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Succeeds,
    WriteFails,
    SyncFails,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Writing,
    /// The sync covers these sectors as of these writes.
    Syncing(Vec<(usize, u64)>),
}

/// The result of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// It is in the cache; a linked sync is in flight.
    Written,
    /// It is on the medium, if the disk keeps its promises.
    Durable,
    /// The write failed; a part of it may have happened.
    WriteFailed,
    /// The sync failed; a part of it may have happened.
    SyncFailed,
}

/// The disk. A clone is a separate disk in the same state.
#[derive(Clone, Debug)]
pub struct Medium {
    names: BTreeMap<Arc<str>, Inode>,
    files: BTreeMap<Inode, Arc<File>>,
    requests: Vec<Request>,
    done: Vec<(u64, RequestOutcome)>,
    next_inode: Inode,
    next_write: u64,
    next_request: u64,
    now: u64,
    random: SeededRandom,
    behaviour: DiskBehaviour,
    /// Operations on names that still succeed before the power fails; `None` for no limit.
    fuse: Option<u64>,
    statistics: MediumStatistics,
}

impl Medium {
    /// Creates an empty disk.
    pub fn new(random: SeededRandom) -> Self {
        Self {
            names: BTreeMap::new(),
            files: BTreeMap::new(),
            requests: Vec::new(),
            done: Vec::new(),
            next_inode: 1,
            next_write: 1,
            next_request: 0,
            now: 0,
            random,
            behaviour: DiskBehaviour::default(),
            fuse: None,
            statistics: MediumStatistics::default(),
        }
    }

    /// Replaces its random generator.
    pub fn set_dice(&mut self, random: SeededRandom) {
        self.random = random;
    }

    /// Sets its behaviour.
    pub fn set_behaviour(&mut self, behaviour: DiskBehaviour) {
        self.behaviour = behaviour;
    }

    /// Returns its behaviour.
    pub fn behaviour(&self) -> DiskBehaviour {
        self.behaviour
    }

    /// Returns its statistics.
    pub fn statistics(&self) -> MediumStatistics {
        self.statistics
    }

    /// Returns the names in the directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Returns the file with this name.
    pub fn find(&self, name: &str) -> Option<Inode> {
        self.names.get(name).copied()
    }

    /// Returns what a read of the whole file sees.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn content(&self, inode: Inode) -> &Content {
        &self.files[&inode].cached
    }

    /// Creates a file, flushed with its name. An existing file loses the name.
    pub fn create(&mut self, name: &str, content: Content) -> Inode {
        let inode = self.next_inode;
        self.next_inode += 1;
        let file = File { durable: content.clone(), cached: content, dirty: BTreeMap::new() };
        self.files.insert(inode, Arc::new(file));
        self.names.insert(name.into(), inode);
        inode
    }

    /// Removes the name. An open file stays usable.
    pub fn remove(&mut self, name: &str) -> bool {
        self.names.remove(name).is_some()
    }

    /// Cuts a file and flushes it.
    pub fn cut(&mut self, inode: Inode, length: usize) {
        let file = self.file_mut(inode);
        file.cached.resize(length);
        file.harden_all();
    }

    /// Flushes everything written to a file.
    pub fn sync(&mut self, inode: Inode) {
        let length = self.content(inode).len();
        self.cut(inode, length);
    }

    /// Cuts a file without flushing anything: what a cut that the power failed in may leave.
    pub fn cut_unflushed(&mut self, inode: Inode, length: usize) {
        let file = self.file_mut(inode);
        file.cached.resize(length);
        file.durable.resize(length);
        file.dirty.retain(|sector, _| sector * SECTOR_LENGTH < length);
    }

    /// Writes at once, into the cache.
    pub fn write_through_cache(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        self.apply(inode, offset, bytes, |_| true);
    }

    fn file_mut(&mut self, inode: Inode) -> &mut File {
        Arc::make_mut(self.files.get_mut(&inode).expect("an open file"))
    }

    /// Submits a write with its flush method. Returns the request's number.
    ///
    /// # Panics
    /// When it does not consist of whole sectors within the file.
    pub fn submit(&mut self, inode: Inode, offset: usize, bytes: Arc<[u8]>, flush: FlushMethod) -> u64 {
        assert!(offset.is_multiple_of(SECTOR_LENGTH) && bytes.len().is_multiple_of(SECTOR_LENGTH));
        assert!(offset + bytes.len() <= self.files[&inode].cached.len(), "a write beyond the file's end");
        self.take_in(inode, offset, bytes, flush, Step::Writing)
    }

    /// Submits a sync, which covers every completed write to the file. Returns the request's number.
    pub fn submit_sync(&mut self, inode: Inode) -> u64 {
        let covered = self.dirty(inode);
        self.take_in(inode, 0, Arc::new([]), FlushMethod::SyncThread, Step::Syncing(covered))
    }

    fn take_in(
        &mut self,
        inode: Inode,
        offset: usize,
        bytes: Arc<[u8]>,
        flush: FlushMethod,
        step: Step,
    ) -> u64 {
        let id = self.next_request;
        self.next_request += 1;
        let behaviour = self.behaviour;
        let is_write = step == Step::Writing;
        let is_flushed = !(is_write && flush == FlushMethod::SyncThread);
        let fate = if is_write && self.random.one_in(behaviour.write_failure) {
            Fate::WriteFails
        } else if is_flushed && self.random.one_in(behaviour.sync_failure) {
            Fate::SyncFails
        } else {
            Fate::Succeeds
        };
        let due = self.now + self.delay();
        self.requests.push(Request { id, inode, offset, bytes, flush, due, fate, step });
        if behaviour.broken_promise == Some(BrokenPromise::AcknowledgesEarly) {
            self.done.push((id, if is_flushed { RequestOutcome::Durable } else { RequestOutcome::Written }));
        }
        id
    }

    fn delay(&mut self) -> u64 {
        // Mostly short, occasionally very long, which reorders requests.
        let max = self.behaviour.delay_max;
        if self.random.one_in(4) { self.random.between(0, max) } else { self.random.between(0, max / 8) }
    }

    /// Advances the time by `ticks`; requests that are due complete.
    pub fn advance(&mut self, ticks: u64) {
        self.now += ticks;
        while let Some(at) = self.next_due() {
            self.complete(at);
        }
    }

    /// Advances the time until a request completes, if any is in flight.
    pub fn advance_to_next(&mut self) {
        if let Some(due) = self.requests.iter().map(|request| request.due).min() {
            let ticks = due.saturating_sub(self.now);
            self.advance(ticks);
        }
    }

    /// Takes the completed requests: their numbers and results.
    pub fn take_done(&mut self) -> Vec<(u64, RequestOutcome)> {
        std::mem::take(&mut self.done)
    }

    /// Returns one of the due requests, at random.
    fn next_due(&mut self) -> Option<usize> {
        let due: Vec<usize> =
            (0..self.requests.len()).filter(|&at| self.requests[at].due <= self.now).collect();
        (!due.is_empty()).then(|| due[self.random.below(due.len())])
    }

    fn complete(&mut self, at: usize) {
        match std::mem::replace(&mut self.requests[at].step, Step::Writing) {
            Step::Writing => self.complete_write(at),
            Step::Syncing(covered) => {
                let request = self.requests.remove(at);
                if request.fate == Fate::SyncFails {
                    self.statistics.failures += 1;
                    self.finish(request.id, RequestOutcome::SyncFailed);
                    return;
                }
                self.finish_flush(&request, &covered);
            }
        }
    }

    fn complete_write(&mut self, at: usize) {
        let request = self.requests[at].clone();
        self.statistics.out_of_order +=
            u64::from(self.requests[..at].iter().any(|other| other.id < request.id));
        if request.fate == Fate::WriteFails {
            self.statistics.failures += 1;
            self.requests.remove(at);
            self.apply_by_chance(&request);
            self.finish(request.id, RequestOutcome::WriteFailed);
            return;
        }
        self.statistics.writes += 1;
        let covered = self.apply(request.inode, request.offset, &request.bytes, |_| true);
        match request.flush {
            FlushMethod::SyncThread => {
                self.requests.remove(at);
                self.finish(request.id, RequestOutcome::Written);
            }
            FlushMethod::LinkedSync => {
                // The sync is submitted now: it covers every completed write to the file.
                let covered = self.dirty(request.inode);
                let due = self.now + self.delay();
                let waiting = &mut self.requests[at];
                (waiting.step, waiting.due) = (Step::Syncing(covered), due);
                self.finish(request.id, RequestOutcome::Written);
            }
            FlushMethod::FlushedWrites => {
                self.requests.remove(at);
                if request.fate == Fate::SyncFails {
                    self.statistics.failures += 1;
                    self.finish(request.id, RequestOutcome::SyncFailed);
                } else {
                    self.finish_flush(&request, &covered);
                }
            }
        }
    }

    fn finish_flush(&mut self, request: &Request, covered: &[(usize, u64)]) {
        if !self.loses_flush() {
            self.flush(request.inode, covered);
        }
        self.write_elsewhere(request);
        self.finish(request.id, RequestOutcome::Durable);
    }

    /// Returns the sectors whose cached content the medium may not have.
    fn dirty(&self, inode: Inode) -> Vec<(usize, u64)> {
        let file = self.files.get(&inode);
        file.map_or(Vec::new(), |file| file.dirty.iter().map(|(sector, write)| (*sector, *write)).collect())
    }

    fn finish(&mut self, id: u64, done: RequestOutcome) {
        if self.behaviour.broken_promise != Some(BrokenPromise::AcknowledgesEarly) {
            self.done.push((id, done));
        }
    }

    /// Puts the sectors for which `happens` is true into the cache; returns them with the number of this
    /// write.
    fn apply(
        &mut self,
        inode: Inode,
        offset: usize,
        bytes: &[u8],
        mut happens: impl FnMut(&mut SeededRandom) -> bool,
    ) -> Vec<(usize, u64)> {
        let write = self.next_write;
        self.next_write += 1;
        let mut applied = Vec::with_capacity(bytes.len() / SECTOR_LENGTH);
        let Some(file) = self.files.get_mut(&inode) else { return applied };
        let file = Arc::make_mut(file);
        for (index, sector) in bytes.chunks(SECTOR_LENGTH).enumerate() {
            let start = offset + index * SECTOR_LENGTH;
            if start + sector.len() > file.cached.len() {
                break;
            }
            if happens(&mut self.random) {
                file.cached.write(start, sector);
                file.dirty.insert(start / SECTOR_LENGTH, write);
                applied.push((start / SECTOR_LENGTH, write));
            }
        }
        applied
    }

    /// Applies an interrupted write: all of it, nothing, or any of its sectors.
    fn apply_by_chance(&mut self, request: &Request) {
        let kind = self.random.below(3);
        self.apply(request.inode, request.offset, &request.bytes, |random| match kind {
            0 => true,
            1 => false,
            _ => random.one_in(2),
        });
    }

    fn flush(&mut self, inode: Inode, sectors: &[(usize, u64)]) {
        let Some(file) = self.files.get_mut(&inode) else { return };
        let file = Arc::make_mut(file);
        for (sector, write) in sectors {
            if file.dirty.get(sector) == Some(write) {
                file.harden(*sector);
            }
        }
    }

    fn loses_flush(&mut self) -> bool {
        self.behaviour.broken_promise == Some(BrokenPromise::LosesFlushes) && self.random.one_in(10)
    }

    fn write_elsewhere(&mut self, request: &Request) {
        if self.behaviour.broken_promise != Some(BrokenPromise::WritesElsewhere)
            || !self.random.one_in(10)
            || request.offset < 4096
        {
            return;
        }
        let sector = 8 + self.random.below(request.offset / SECTOR_LENGTH - 7);
        let Some(file) = self.files.get_mut(&request.inode) else { return };
        let file = Arc::make_mut(file);
        file.cached.write(sector * SECTOR_LENGTH, &[0; SECTOR_LENGTH]);
        file.durable.write(sector * SECTOR_LENGTH, &[0; SECTOR_LENGTH]);
    }

    /// Draws whether a submission is refused.
    pub fn fails_submission(&mut self) -> bool {
        self.random.one_in(self.behaviour.submit_failure)
    }

    /// Returns how many segment headers are in flight.
    pub fn headers_in_flight(&self) -> usize {
        let header = |request: &&Request| request.offset == 0 && !request.bytes.is_empty();
        self.requests.iter().filter(header).count()
    }

    /// Draws whether a segment cannot be prepared.
    pub fn fails_spare(&mut self) -> bool {
        self.random.one_in(self.behaviour.spare_failure)
    }

    /// Returns true with probability 1 in `one_in`.
    pub fn chance(&mut self, one_in: u64) -> bool {
        self.random.one_in(one_in)
    }

    /// Returns a random number from `low` to `high`.
    pub fn draw(&mut self, low: u64, high: u64) -> u64 {
        self.random.between(low, high)
    }
}

impl File {
    fn harden(&mut self, sector: usize) {
        self.durable.take_sector(&self.cached, sector);
        self.dirty.remove(&sector);
    }

    fn harden_all(&mut self) {
        self.durable.clone_from(&self.cached);
        self.dirty.clear();
    }
}

/// Returns the error of every operation while the power is off.
pub fn power_failed() -> io::Error {
    io::Error::other("the power failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: [u8; SECTOR_LENGTH] = [7; SECTOR_LENGTH];

    /// A disk without delays, with a file of 64 sectors of zeros.
    fn disk(seed: u64) -> (Medium, Inode) {
        let mut medium = Medium::new(SeededRandom::new(seed, 0));
        let inode = medium.create("a", Content::zeros(64 * SECTOR_LENGTH));
        (medium, inode)
    }

    fn is_written(medium: &Medium, inode: Inode, sector: usize) -> bool {
        let mut byte = [0];
        medium.content(inode).read(sector * SECTOR_LENGTH, &mut byte);
        byte == [7]
    }

    /// Returns how many of 100 disks have `sector` after `on` and a power failure.
    fn survivors(sector: usize, on: impl Fn(&mut Medium, Inode)) -> usize {
        let survives = |seed: &u64| {
            let (mut medium, inode) = disk(*seed);
            on(&mut medium, inode);
            medium.fail_power();
            is_written(&medium, inode, sector)
        };
        (0..100).filter(survives).count()
    }

    #[test]
    fn a_flushed_write_is_durable_and_makes_no_other_write_durable() {
        let both = |medium: &mut Medium, inode| {
            medium.write_through_cache(inode, 0, &SECTOR);
            medium.submit(inode, SECTOR_LENGTH, SECTOR.into(), FlushMethod::FlushedWrites);
            medium.advance(1);
            assert_eq!(medium.take_done(), [(0, RequestOutcome::Durable)]);
        };
        assert_eq!(survivors(1, both), 100);
        assert!((20..80).contains(&survivors(0, both)));
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_was_submitted() {
        let between = |medium: &mut Medium, inode| {
            medium.write_through_cache(inode, 0, &SECTOR);
            medium.submit(inode, SECTOR_LENGTH, SECTOR.into(), FlushMethod::LinkedSync);
            let at = medium.next_due().expect("a write without delay is due");
            medium.complete(at);
            // The sync is in flight now.
            medium.write_through_cache(inode, 2 * SECTOR_LENGTH, &SECTOR);
            medium.advance(1);
            assert_eq!(medium.take_done(), [(0, RequestOutcome::Written), (0, RequestOutcome::Durable)]);
        };
        assert_eq!((survivors(0, between), survivors(1, between)), (100, 100));
        assert!((20..80).contains(&survivors(2, between)));
    }

    #[test]
    fn a_separate_sync_covers_writes_that_completed_before_it_was_submitted() {
        let between = |medium: &mut Medium, inode| {
            let write = |medium: &mut Medium, sector| {
                medium.submit(inode, sector * SECTOR_LENGTH, SECTOR.into(), FlushMethod::SyncThread);
            };
            write(medium, 0);
            medium.advance(1);
            assert_eq!(medium.take_done(), [(0, RequestOutcome::Written)]);
            write(medium, 1);
            medium.submit_sync(inode);
            let sync = medium.requests.len() - 1;
            medium.complete(0);
            medium.complete(sync - 1);
            assert_eq!(medium.take_done(), [(1, RequestOutcome::Written), (2, RequestOutcome::Durable)]);
        };
        assert_eq!(survivors(0, between), 100);
        assert!((20..80).contains(&survivors(1, between)));
    }

    #[test]
    fn a_write_in_flight_is_torn_between_sectors_and_never_within_one() {
        let mut torn = 0;
        for seed in 0..100 {
            let (mut medium, inode) = disk(seed);
            medium.set_behaviour(DiskBehaviour { delay_max: 100, ..DiskBehaviour::default() });
            medium.submit(inode, 0, [SECTOR; 8].concat().into(), FlushMethod::FlushedWrites);
            medium.fail_power();
            let there = (0..8).filter(|&sector| is_written(&medium, inode, sector)).count();
            torn += usize::from((1..8).contains(&there));
            let mut bytes = [0; 8 * SECTOR_LENGTH];
            medium.content(inode).read(0, &mut bytes);
            for sector in bytes.chunks(SECTOR_LENGTH) {
                assert!(sector.iter().all(|&byte| byte == sector[0]));
            }
        }
        assert!(torn > 10, "{torn}");
    }

    #[test]
    fn writes_of_a_killed_process_last_until_the_power_fails() {
        let mut lost = 0;
        for seed in 0..100 {
            let (mut medium, inode) = disk(seed);
            medium.write_through_cache(inode, 0, &SECTOR);
            medium.kill_process();
            assert!(is_written(&medium, inode, 0));
            medium.fail_power();
            lost += usize::from(!is_written(&medium, inode, 0));
        }
        assert!((20..80).contains(&lost), "{lost}");
    }

    #[test]
    fn requests_complete_late_and_out_of_order() {
        let (mut medium, inode) = disk(3);
        medium.set_behaviour(DiskBehaviour { delay_max: 100, ..DiskBehaviour::default() });
        let ids: Vec<u64> = (0..20)
            .map(|sector| {
                medium.submit(inode, sector * SECTOR_LENGTH, SECTOR.into(), FlushMethod::FlushedWrites)
            })
            .collect();
        medium.advance(0);
        assert!(medium.take_done().len() < 20);
        medium.advance(100);
        let done: Vec<u64> = medium.take_done().iter().map(|(id, _)| *id).collect();
        assert!(done.len() > 10 && !done.is_sorted() && done.iter().all(|id| ids.contains(id)), "{done:?}");
    }
}
