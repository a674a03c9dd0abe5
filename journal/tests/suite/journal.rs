//! The journal from ring to disk and back, on real files.

use crate::rig::{Rig, options, read_all};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_journal::format::segment_name;
use stele_journal::recovery::RecoveryRow;
use stele_journal::{EngineChoice, EngineNotice, FlushMethod, JournalOptions, OpenError, TrailReader};
use stele_testkit::skip::skip;
use stele_wire::units::{Epoch, Nanos, Sequence};

fn engines() -> [(&'static str, JournalOptions); 5] {
    [
        ("flushed writes", JournalOptions { engine: EngineChoice::Auto, ..options() }),
        ("linked sync", JournalOptions { method: FlushMethod::LinkedSync, ..options() }),
        ("sync thread", JournalOptions { method: FlushMethod::SyncThread, ..options() }),
        ("plain", JournalOptions { engine: EngineChoice::Plain, ..options() }),
        ("plain, page cache", JournalOptions { engine: EngineChoice::Plain, direct: false, ..options() }),
    ]
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_published_is_read_back_across_rolls_restarts_and_engines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail");
    let mut events = 0;
    for (round, (name, options)) in engines().into_iter().enumerate() {
        let mut rig = Rig::open(&path, &options).unwrap();
        assert_eq!(rig.recovery.row, if round == 0 { RecoveryRow::A } else { RecoveryRow::C }, "{name}");
        assert_eq!(rig.start.identity.epoch, Epoch(round as u32 + 1));
        assert_eq!(rig.start.next_sequence, Sequence(events + 1));
        rig.published = events;
        rig.publish(12_000);
        rig.settle();
        assert!(rig.journal.statistics().rolls >= 3, "{name}: {:?}", rig.journal.statistics());
        let (_, last) = rig.stop();
        events = last.0;
        assert_eq!(read_all(&path), (1..=events).collect::<Vec<_>>(), "{name}");
    }
    let mut names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert_eq!(mode(&path), 0o700);
    for name in names {
        let lock = name.ends_with("writer.lock");
        assert_eq!(mode(&name), if lock { 0o600 } else { 0o400 }, "{}", name.display());
        let extension = name.extension().unwrap();
        let known = extension == "stele" || extension == "index" || extension == "lock";
        assert!(known, "{} is left over", name.display());
    }
}

#[test]
fn a_killed_writer_leaves_everything_durable_and_the_next_goes_on_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = 0;
    for round in 0..10 {
        let (name, options) = &engines()[round as usize % engines().len()];
        let mut rig = Rig::open(folder.path(), options).unwrap();
        assert!(
            matches!(rig.recovery.row, RecoveryRow::A | RecoveryRow::D | RecoveryRow::E),
            "{name}: {:?}",
            rig.recovery
        );
        assert_eq!(
            rig.recovery.last_sequence,
            rig.start.next_sequence.0.checked_sub(1).map(Sequence).unwrap()
        );
        assert!(rig.recovery.last_sequence.0 >= events, "round {round}: {:?}", rig.recovery);
        rig.published = rig.recovery.last_sequence.0;
        rig.publish(500 + 1_000 * round);
        rig.settle();
        events = rig.sequencer.next_sequence().0 - 1;
        rig.publish(300 * (round % 2));
        rig.kill();
    }
    let rig = Rig::open(folder.path(), &options()).unwrap();
    assert!(rig.recovery.last_sequence.0 >= events);
    rig.stop();
    let all = read_all(folder.path());
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(all.len() as u64 >= events);
}

#[test]
fn a_live_trail_is_read_while_it_is_written_by_any_engine() {
    for (name, options) in engines() {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = Rig::open(folder.path(), &options).unwrap();
        let mut reader = TrailReader::open(folder.path()).unwrap();
        let mut seen = 0;
        for _ in 0..20 {
            rig.publish(700);
            rig.settle();
            while let Some(entry) = reader.read_next().unwrap() {
                seen += 1;
                assert_eq!(entry.frame.sequence(), Sequence(seen), "{name}");
            }
            assert_eq!(Sequence(seen).next(), rig.sequencer.next_sequence(), "{name}");
            assert!(reader.position() <= rig.ring.watermarks().written(), "{name}");
        }
        assert!(rig.journal.statistics().rolls >= 3, "{name}");
        rig.stop();
    }
}

/// Two readers on their own threads, one from the start and one that begins late, while the writer rolls.
#[test]
fn readers_on_other_threads_follow_a_writer_under_load_across_rolls() {
    const EVENTS: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), &options()).unwrap();
    let follow = |delay: u64| {
        let path = folder.path().to_owned();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(delay));
            let mut reader = TrailReader::open(&path).unwrap();
            let (mut seen, mut quiet) = (0, 0);
            while seen < EVENTS {
                match reader.read_next().unwrap() {
                    Some(entry) => {
                        seen += 1;
                        quiet = 0;
                        assert_eq!(entry.frame.sequence(), Sequence(seen));
                    }
                    None => {
                        quiet += 1;
                        assert!(quiet < 60_000, "nothing came for a minute after event {seen}");
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                }
            }
        })
    };
    let readers = [follow(0), follow(50)];
    for _ in 0..EVENTS / 500 {
        rig.publish(500);
        rig.settle();
    }
    let rolls = rig.journal.statistics().rolls;
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert!(rolls >= 3, "{rolls} rolls");
    rig.stop();
}

#[test]
fn a_second_writer_is_refused_with_the_first_ones_process() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::open(folder.path(), &options()).unwrap();
    let error = Rig::open(folder.path(), &options()).err().unwrap();
    assert!(matches!(&error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    rig.stop();
    Rig::open(folder.path(), &options()).unwrap().stop();
}

#[test]
fn a_directory_that_cannot_be_a_trail_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let error = Rig::open(&file.join("trail"), &options()).err().unwrap().to_string();
    assert!(error.contains("create the directory") && error.contains("a trail is a directory"), "{error}");
    let error = Rig::open(Path::new("/proc/stele-trail"), &options()).err().unwrap().to_string();
    assert!(error.contains("/proc/stele-trail"), "{error}");
    let wrong = JournalOptions { segment_length: 1000, ..options() };
    let error = Rig::open(folder.path(), &wrong).err().unwrap().to_string();
    assert!(error.contains("choose a multiple of 4096"), "{error}");
    Rig::open(folder.path(), &options()).unwrap().stop();
    let other = JournalOptions { shard: stele_wire::ShardId(3), ..options() };
    let error = Rig::open(folder.path(), &other).err().unwrap().to_string();
    assert!(error.contains("shard 0, not of shard 3"), "{error}");
}

#[test]
fn without_direct_io_the_plain_engine_writes_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), &JournalOptions { direct: false, ..options() }).unwrap();
    assert_eq!(rig.notices, [EngineNotice::NoDirect]);
    assert!(rig.journal.describe().contains("page cache"));
    rig.publish(5_000);
    let (_, last) = rig.stop();
    assert!(last >= Sequence(5_000));
    assert_eq!(read_all(folder.path()), (1..=last.0).collect::<Vec<_>>());
}

#[test]
fn a_memory_file_system_holds_a_trail_too() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        return skip("/dev/shm");
    };
    let mut rig = Rig::open(folder.path(), &options()).unwrap();
    rig.publish(9_000);
    let (_, last) = rig.stop();
    assert!(last >= Sequence(9_000));
    assert_eq!(read_all(folder.path()), (1..=last.0).collect::<Vec<_>>());
}

#[test]
fn time_does_not_go_back_over_a_restart_even_when_the_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open_at(folder.path(), &options(), Nanos(5_000_000_000)).unwrap();
    rig.publish(10);
    rig.stop();
    let mut rig = Rig::open_at(folder.path(), &options(), Nanos(1_000)).unwrap();
    assert!(rig.start.last_timestamp >= Nanos(5_000_000_000));
    rig.published = 10;
    rig.publish(10);
    rig.stop();
    let mut reader = TrailReader::open(folder.path()).unwrap();
    let mut last = Nanos(0);
    while let Some(entry) = reader.read_next().unwrap() {
        assert!(entry.frame.timestamp() >= last);
        last = entry.frame.timestamp();
    }
    assert!(last >= Nanos(5_000_000_000));
}

#[test]
fn a_segment_that_is_removed_while_the_journal_runs_poisons_it_within_moments() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path(), &options()).unwrap();
    rig.publish(100);
    rig.settle();
    let segment = folder.path().join(segment_name(rig.journal.segment().index));
    std::fs::remove_file(&segment).unwrap();
    let since = Instant::now();
    while rig.journal.do_work().is_ok() {
        assert!(since.elapsed() < Duration::from_secs(30), "the removal was not noticed");
        std::thread::sleep(Duration::from_millis(1));
    }
    let said = rig.ring.poisoned().expect("publishers learn the reason").to_owned();
    assert!(said.contains("keeping the segments of this run failed"), "{said}");
    assert!(said.contains(&segment.display().to_string()), "{said}");
}
