//! The examples of attaching from another process do what they say.
#![cfg(not(loom))]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use stele_bus::bounds::RING_LENGTH_MIN;
use stele_bus::{
    Agent as _, BusDirectory, JournalReader, LogRing, RingOptions, RingParts, Sequencer, SequencerStart,
    UtcClock,
};
use stele_risk::{Risk, RiskLimits};
use stele_wire::{Identity, Nanos, Position, Sequence};

fn example(name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    let exists = path.exists();
    assert!(exists || std::env::var_os("CI").is_none(), "{} is not built", path.display());
    exists.then_some(path)
}

/// One turn of a journal that writes nothing anywhere.
fn flush(journal: &mut JournalReader) {
    let batched = journal.ring().watermarks().batched();
    journal.advance_written(batched);
    journal.advance_durable(batched);
}

#[test]
fn one_process_publishes_until_it_is_durable_and_another_reads_it() {
    let (Some(publish), Some(subscribe)) = (example("publish"), example("subscribe")) else {
        println!("skipped: needs the examples, `cargo build -p stele-bus --examples`");
        return;
    };
    let name = format!("examples-{}", std::process::id());
    let directory = BusDirectory::create(&name).unwrap();
    let shard = directory.shard(0).unwrap();
    let options = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };
    let parts = LogRing::create_at(&shard.ring(), &options, Position(0)).unwrap();
    let RingParts { ring, writer, mut journal, .. } = parts;
    let start = SequencerStart {
        identity: Identity::default(),
        next_sequence: Sequence(1),
        position: Position(0),
        last_timestamp: Nanos(0),
        segment_length: 1 << 20,
        block_length: 4096,
    };
    let risk = Risk::new(RiskLimits::default());
    let mut sequencer = Sequencer::new(&start, writer, UtcClock::new(), risk).unwrap();
    sequencer.remote_publisher(&shard.publisher(7), 7, "example", 1 << 14).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                sequencer.do_work().unwrap();
                flush(&mut journal);
                std::thread::yield_now();
            }
            ring.request_stop();
            while !ring.is_stopped() {
                sequencer.do_work().unwrap();
                flush(&mut journal);
            }
        });
        let reader = Command::new(subscribe).arg(&name).stdout(Stdio::piped()).spawn().unwrap();
        let published = Command::new(publish).args([name.as_str(), "7", "100"]).output().unwrap();
        done.store(true, Ordering::Relaxed);
        let read = String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap();
        assert!(published.status.success(), "{published:?}");
        assert_eq!(String::from_utf8(published.stdout).unwrap(), "100 submissions up to 100 are durable\n");
        assert!(read.ends_with("the writer has ended: Stopped\n"), "{read}");
        let last = read.lines().rev().nth(1).unwrap();
        assert!(last.starts_with(|first: char| first.is_ascii_digit()), "{read}");
    });
}
