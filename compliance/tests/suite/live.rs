//! A log is sealed while it is written.

use crate::rig::Rig;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stele_compliance::seal::live::LiveSealer;
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::sealing::{SealError, sealed_events};
use stele_compliance::seal::{SealPolicy, SealReport, Signer, check};
use stele_journal::scan::ScanOptions;
use stele_journal::{Directory, Journal, JournalOptions, OpenError, Storage, StoredFile, TrailReader};
use stele_wire::units::Nanos;
use stele_wire::{Position, Sequence};

const SECOND: u64 = 1_000_000_000;

fn signer() -> Signer {
    Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap()
}

fn storage(folder: &Path) -> Arc<dyn Storage> {
    Arc::new(Directory::new(folder))
}

fn sealer(folder: &Path, policy: SealPolicy) -> LiveSealer {
    LiveSealer::new(storage(folder), signer(), policy, Sequence(0))
}

fn checked(folder: &Path) -> SealReport {
    check(&storage(folder), signer().public(), None, &ScanOptions::default()).unwrap()
}

/// Runs turns until nothing more is read.
fn turn(sealer: &mut LiveSealer, durable: Position, is_ended: bool, now: u64) {
    while sealer.turn(durable, is_ended, 100, Nanos(now)).unwrap() > 0 {}
}

#[test]
fn a_log_is_sealed_by_time_and_then_to_its_last_event() {
    let folder = tempfile::tempdir().unwrap();
    let policy = SealPolicy { events: 1 << 20, interval: Nanos(10 * SECOND) };
    let mut rig = Rig::open(folder.path());
    let mut sealer = sealer(folder.path(), policy);
    turn(&mut sealer, rig.durable(), false, 100 * SECOND);
    let first = sealer.sealed();
    assert_eq!((first.checkpoints, first.end), (1, rig.durable()));
    assert_eq!(checked(folder.path()).unsealed, 0);
    rig.trade(300);
    turn(&mut sealer, rig.durable(), false, 110 * SECOND - 1);
    assert_eq!(sealer.sealed(), first);
    turn(&mut sealer, rig.durable(), false, 110 * SECOND);
    assert!(sealer.sealed().events > first.events + 300);
    let durable = rig.durable();
    rig.trade(300);
    // Nothing after the durable position may be signed.
    turn(&mut sealer, durable, false, 1000 * SECOND);
    assert_eq!(sealer.sealed().end, durable);
    assert!(checked(folder.path()).unsealed > 300);
    let last = rig.stop();
    let end = log_end(folder.path());
    assert!(!sealer.is_through(end));
    turn(&mut sealer, end, true, 1001 * SECOND);
    assert!(sealer.is_through(end));
    let report = checked(folder.path());
    assert_eq!((report.sealed, report.unsealed), (last, 0));
}

/// Position after the last frame.
fn log_end(folder: &Path) -> Position {
    let mut reader = TrailReader::open(folder).unwrap();
    while reader.read_next_frame().unwrap().is_some() {}
    reader.position()
}

#[test]
fn a_log_is_sealed_by_count_whatever_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let policy = SealPolicy { events: 50, interval: Nanos(u64::MAX) };
    let mut rig = Rig::open(folder.path());
    let mut sealer = sealer(folder.path(), policy);
    while rig.durable().0 < (4 << 20) {
        rig.trade(3000);
    }
    turn(&mut sealer, rig.durable(), false, SECOND);
    let sealed = sealer.sealed();
    assert_eq!(sealed.events, sealed.checkpoints * 50);
    let report = checked(folder.path());
    assert_eq!((report.sealed, report.checkpoints), (sealed.events, sealed.checkpoints));
}

/// A directory in which the operation that brings the count to 0 fails, and every later one.
struct Failing {
    directory: Directory,
    operations: AtomicU64,
}

impl Storage for Failing {
    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        self.directory.open(name)
    }

    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()> {
        let left = self.operations.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.operations.store(left - 1, Ordering::Relaxed);
        self.directory.keep(name, source)
    }

    fn close(&self, name: &str, length: u64) -> io::Result<()> {
        self.directory.close(name, length)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }
}

#[test]
fn a_storage_error_anywhere_in_a_checkpoint_delays_it_and_changes_nothing_signed() {
    let folder = tempfile::tempdir().unwrap();
    let failing =
        Arc::new(Failing { directory: Directory::new(folder.path()), operations: AtomicU64::new(0) });
    let policy = SealPolicy { events: 700, interval: Nanos(SECOND) };
    let mut rig = Rig::open(folder.path());
    let mut sealer = LiveSealer::new(failing.clone(), signer(), policy, Sequence(0));
    let mut failures = 0;
    for round in 1..40 {
        rig.trade(100);
        failing.operations.store(round % 7, Ordering::Relaxed);
        let before = sealer.sealed().events;
        loop {
            match sealer.turn(rig.durable(), false, 1000, Nanos(round * 10 * SECOND)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(SealError::Io { .. }) => {
                    failures += 1;
                    failing.operations.store(u64::MAX, Ordering::Relaxed);
                }
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        assert!(sealer.sealed().events > before + 100);
        let report = checked(folder.path());
        assert_eq!((report.sealed, report.unsealed), (sealer.sealed().events, 0));
    }
    assert!(failures > 10, "{failures}");
}

#[test]
fn a_log_that_ends_before_its_seal_is_not_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let mut sealer = sealer(folder.path(), SealPolicy::default());
    rig.trade(100);
    let last = rig.stop();
    turn(&mut sealer, log_end(folder.path()), true, SECOND);
    let sealed = sealed_events(&storage(folder.path()), signer().public()).unwrap();
    assert_eq!(sealed, last);
    let older = tempfile::tempdir().unwrap();
    Rig::open(older.path()).stop();
    let known_durable = Sequence(sealed);
    let options = JournalOptions { known_durable, ..JournalOptions::default() };
    let before = std::fs::read_dir(older.path()).unwrap().count();
    match Journal::open(older.path(), &options, Nanos(1)).map(|_| ()) {
        Err(OpenError::Cut { known, last, .. }) => assert!(known == known_durable && last < known),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read_dir(older.path()).unwrap().count(), before);
    Journal::open(folder.path(), &options, Nanos(1)).map(|_| ()).unwrap();
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        Journal::open(empty.path(), &options, Nanos(1)).map(|_| ()),
        Err(OpenError::Cut { .. })
    ));
}
