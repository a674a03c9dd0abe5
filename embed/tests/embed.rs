//! Tests of the promises of an embedded bus.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stele_bus::session::cut_text;
use stele_bus::{Agent, AgentError, GatingConsumer, Grants, NOT_RECEIVED, Observed, Publisher, Refusal};
use stele_compliance::rules::EpochEnding;
use stele_compliance::{VerifiedTrail, VerifyOptions, verify};
use stele_embed::{Bus, BusError, BusOptions, RemoteAccess};
use stele_journal::{JournalOptions, OpenError, TrailReader};
use stele_wire::messages::{
    BookClear, EndReason, SchemaText, SessionEnd, SessionStart, SourceDefinition, Trade,
};
use stele_wire::{Position, Sequence};

fn options() -> BusOptions {
    BusOptions {
        journal: JournalOptions { segment_length: 1 << 20, spare_segments: 1, ..JournalOptions::default() },
        timeout: Duration::from_secs(60),
        ..BusOptions::default()
    }
}

fn checked(trail: &Path) -> VerifiedTrail {
    verify(trail, &VerifyOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn count<M: stele_wire::codec::Message>(trail: &Path) -> usize {
    let mut reader = TrailReader::open(trail).unwrap();
    reader.events().filter(|event| event.as_ref().unwrap().message::<M>().is_some()).count()
}

/// Reads until the bus has stopped, and returns the number of notices.
fn read_to_end(mut reader: GatingConsumer) -> usize {
    let mut notices = 0;
    while !reader.is_at_end() {
        if reader.poll(64, |event| notices += usize::from(event.message::<Trade>().is_some())) == 0 {
            std::thread::yield_now();
        }
    }
    notices
}

#[test]
fn sessions_on_threads_and_by_hand_write_one_trail_that_passes_verify() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail");
    let mut bus = Bus::open(&trail, options()).unwrap();
    let (mut notices, reader) =
        (bus.publisher("notices", Grants::all()).unwrap(), bus.gating_consumer("reader").unwrap());
    let bus = bus.start().unwrap();
    let reading = std::thread::spawn(move || read_to_end(reader));
    for number in 1..=5_000 {
        assert_eq!(bus.publish(&mut notices, &Trade::NULL).unwrap(), number);
    }
    bus.wait_durable(&notices).unwrap();
    assert!(notices.is_durable());
    bus.stop().unwrap();
    assert_eq!(reading.join().unwrap(), 5_000);
    assert_eq!(notices.offer_message(&Trade::NULL, NOT_RECEIVED), Err(Refusal::Stopped));

    let mut bus = Bus::open(&trail, options()).unwrap();
    assert_eq!(bus.recovery().ended_cleanly(), Some(true));
    let mut notices = bus.publisher("notices", Grants::all()).unwrap();
    for _ in 0..100 {
        bus.publish(&mut notices, &Trade::NULL).unwrap();
    }
    bus.wait_durable(&notices).unwrap();
    bus.stop_because(EndReason::REQUESTED, "enough").unwrap();

    let verified = checked(&trail);
    let endings: Vec<_> = verified.epochs.iter().map(|epoch| epoch.ending.clone()).collect();
    assert_eq!(endings, [EpochEnding::InOrder("Finished".into()), EpochEnding::InOrder("Requested".into())]);
    assert_eq!((count::<Trade>(&trail), count::<SessionStart>(&trail)), (5_100, 2));
    let parts = stele_wire::SCHEMA_TEXT.len().div_ceil(48 << 10);
    assert_eq!(count::<SchemaText>(&trail), parts, "the text of the schema is there once");
}

#[test]
fn a_publisher_that_continues_while_the_bus_stops_publishes_nothing_after_the_last_event() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let trail = folder.path().join(round.to_string());
        let mut bus = Bus::open(&trail, options()).unwrap();
        let mut notices = bus.publisher("notices", Grants::all()).unwrap();
        let bus = bus.start().unwrap();
        let publishing = std::thread::spawn(move || {
            loop {
                match notices.offer_message(&Trade::NULL, NOT_RECEIVED) {
                    Err(refusal) if !refusal.is_transient() => return refusal,
                    _ => {}
                }
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        bus.stop().unwrap();
        assert_eq!(publishing.join().unwrap(), Refusal::Stopped);
        assert_eq!(checked(&trail).epochs[0].ending, EpochEnding::InOrder("Finished".into()));
        let mut reader = TrailReader::open(&trail).unwrap();
        let last = reader.events().last().unwrap().unwrap();
        assert!(last.message::<SessionEnd>().is_some(), "{:?}", last.name());
    }
}

#[test]
fn a_second_writer_is_refused_and_a_dropped_bus_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::open(folder.path(), options()).unwrap();
    let refused = Bus::open(folder.path(), options()).err().unwrap();
    assert!(matches!(refused, BusError::Open(OpenError::Locked { .. })), "{refused}");
    drop(bus.start().unwrap());
    drop(Bus::open(folder.path(), options()).unwrap());
    let verified = checked(folder.path());
    assert_eq!(verified.epochs.len(), 2);
    for epoch in verified.epochs {
        assert_eq!(epoch.ending, EpochEnding::InOrder("Requested".into()));
    }
}

/// Reports the events that it has seen.
struct Echo {
    reader: GatingConsumer,
    publisher: Publisher,
    fails_at: usize,
    seen: usize,
}

impl Agent for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let Self { reader, publisher, seen, .. } = self;
        let work = reader.try_poll(16, |event| {
            if event.message::<Trade>().is_some() {
                publisher.offer_message(&BookClear::NULL, NOT_RECEIVED)?;
                *seen += 1;
            }
            Ok::<_, Refusal>(())
        });
        if self.seen >= self.fails_at {
            return Err(AgentError::new("enough"));
        }
        Ok(work.unwrap_or(0))
    }
}

fn with_echo(trail: &Path, fails_at: usize) -> (Bus, Publisher) {
    let mut bus = Bus::open(trail, options()).unwrap();
    let (notices, publisher) =
        (bus.publisher("notices", Grants::all()).unwrap(), bus.publisher("echo", Grants::all()).unwrap());
    let reader = bus.gating_consumer("echo").unwrap();
    bus.add_agent(Echo { reader, publisher, fails_at, seen: 0 });
    (bus, notices)
}

#[test]
fn an_agent_has_seen_everything_before_the_session_ends() {
    let folder = tempfile::tempdir().unwrap();
    for (name, has_threads) in [("threads", true), ("by hand", false)] {
        let trail = folder.path().join(name);
        let (mut bus, mut notices) = with_echo(&trail, usize::MAX);
        if has_threads {
            let bus = bus.start().unwrap();
            (0..500).for_each(|_| assert!(bus.publish(&mut notices, &Trade::NULL).is_ok()));
            bus.stop().unwrap();
        } else {
            (0..500).for_each(|_| assert!(bus.publish(&mut notices, &Trade::NULL).is_ok()));
            bus.stop().unwrap();
        }
        checked(&trail);
        assert_eq!((count::<Trade>(&trail), count::<BookClear>(&trail)), (500, 500), "{name}");
    }
}

#[test]
fn an_agent_that_fails_is_named_and_what_was_durable_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let (bus, mut notices) = with_echo(folder.path(), 1);
    let bus = bus.start().unwrap();
    bus.publish(&mut notices, &Trade::NULL).unwrap();
    let ended = loop {
        match bus.publish(&mut notices, &Trade::NULL) {
            Ok(_) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, BusError::ThreadEnded | BusError::Refused(Refusal::SequencerGone)), "{ended}");
    let error = bus.stop().unwrap_err().to_string();
    assert!(error.contains("echo") && error.contains("enough"), "{error}");
    Bus::open(folder.path(), options()).unwrap().stop().unwrap();
    checked(folder.path());
}

/// Panics as soon as its fuse is blown.
struct Mine(Arc<AtomicBool>);

impl Agent for Mine {
    fn name(&self) -> &str {
        "mine"
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        assert!(!self.0.load(Ordering::Relaxed), "out of {}", "ideas");
        Ok(0)
    }
}

#[test]
fn a_bus_whose_agent_panicked_refuses_the_next_publication_and_names_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let mut bus = Bus::open(folder.path(), options()).unwrap();
    let mut notices = bus.publisher("notices", Grants::all()).unwrap();
    let panics = Arc::new(AtomicBool::new(false));
    bus.add_agent(Mine(panics.clone()));
    let bus = bus.start().unwrap();
    bus.publish(&mut notices, &Trade::NULL).unwrap();
    bus.wait_durable(&notices).unwrap();
    panics.store(true, Ordering::Relaxed);
    let ended = bus.wait_durable_to(Position(u64::MAX)).unwrap_err();
    assert!(matches!(ended, BusError::ThreadEnded), "{ended}");
    let refused = bus.publish(&mut notices, &Trade::NULL).unwrap_err();
    assert!(matches!(refused, BusError::ThreadEnded), "{refused}");
    let mut offers = 0;
    let refused = bus.retry(|| {
        offers += 1;
        Ok(())
    });
    assert!(matches!(refused, Err(BusError::ThreadEnded)), "{refused:?}");
    assert_eq!(offers, 0, "nothing was offered to a bus that cannot take it");
    let error = bus.stop().unwrap_err().to_string();
    assert_eq!(error, "core sequencer: agent mine panicked: out of ideas");
}

#[test]
fn threads_publish_wait_and_read_through_one_shared_bus() {
    let folder = tempfile::tempdir().unwrap();
    let mut bus = Bus::open(folder.path(), options()).unwrap();
    let publishers = ["one", "two"].map(|name| bus.publisher(name, Grants::all()).unwrap());
    let bus = bus.start().unwrap();
    std::thread::scope(|scope| {
        for mut publisher in publishers {
            let bus = &bus;
            scope.spawn(move || {
                for number in 1..=200 {
                    assert_eq!(bus.publish(&mut publisher, &Trade::NULL).unwrap(), number);
                }
                bus.wait_durable(&publisher).unwrap();
                assert!(bus.ring().watermarks().durable() > Position(0));
            });
        }
    });
    bus.stop().unwrap();
    assert_eq!(count::<Trade>(folder.path()), 400);
}

#[test]
fn one_publisher_too_many_is_refused_with_the_number_that_a_bus_has_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut bus = Bus::open(folder.path(), options()).unwrap();
    let publishers: Vec<_> =
        (0..63).map(|number| bus.publisher(&format!("p{number}"), Grants::all()).unwrap()).collect();
    let refused = bus.publisher("one more", Grants::all()).unwrap_err().to_string();
    assert_eq!(refused, format!("more than {} publishers besides the session's own", publishers.len()));
    bus.stop().unwrap();
}

#[test]
fn definitions_are_on_the_log_before_the_events_that_need_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut bus = Bus::open(folder.path(), options()).unwrap();
    let mut notices = bus.publisher("notices", Grants::all()).unwrap();
    let source = SourceDefinition { source: 7.into(), name: cut_text("x"), ..SourceDefinition::NULL };
    let before = bus.ring().watermarks().published();
    bus.control().publish_text(&source, b"of notices").unwrap();
    assert!(bus.ring().watermarks().published() > before, "it is on the log");
    bus.publish(&mut notices, &Trade { source: 7.into(), ..Trade::NULL }).unwrap();
    let mut bus = bus.start().unwrap();
    let source = SourceDefinition { source: 8.into(), ..source };
    bus.control().publish_text(&source, b"another").unwrap();
    bus.stop().unwrap();
    checked(folder.path());
    assert_eq!(count::<SourceDefinition>(folder.path()), 2);
}

#[test]
fn a_publisher_in_another_process_continues_its_numbers_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("embed-{}", std::process::id());
    for (first, last) in [(1, 10), (11, 20)] {
        let publishers = vec![(100, "elsewhere".to_owned(), Grants::market())];
        let remote = Some(RemoteAccess { name: name.clone(), publishers });
        let bus = Bus::open(folder.path(), BusOptions { remote, ..options() }).unwrap();
        let mut reader = bus.catch_up_consumer(Sequence(1));
        let bus = bus.start().unwrap();
        let door = stele_door::DoorClient::find(Some(&name)).unwrap();
        let mut publisher = door.publisher(door.shards()[0].shard, 100).unwrap();
        assert_eq!(publisher.next_sequence(), first);
        for _ in first..=last {
            publisher.offer_message(&Trade::NULL, NOT_RECEIVED).unwrap();
        }
        while publisher.acknowledged().sequence < last {
            std::thread::yield_now();
        }
        bus.wait_durable_to(publisher.acknowledged().position).unwrap();
        publisher.finish();
        let mut seen = 0;
        while reader.poll(64, |event| seen += u64::from(event.message::<Trade>().is_some())).unwrap() > 0
            || seen < last
        {}
        assert_eq!(seen, last, "those of the session before as well");
        bus.stop().unwrap();
    }
    checked(folder.path());
}

#[test]
fn a_lossy_consumer_sees_what_comes_after_it_joined() {
    let folder = tempfile::tempdir().unwrap();
    let mut bus = Bus::open(folder.path(), options()).unwrap();
    let mut notices = bus.publisher("notices", Grants::all()).unwrap();
    bus.settle().unwrap();
    let mut reader = bus.lossy_consumer();
    bus.publish(&mut notices, &Trade::NULL).unwrap();
    bus.settle().unwrap();
    let mut seen = 0;
    reader.poll(64, |observed| match observed {
        Observed::Event(event) => seen += u64::from(event.message::<Trade>().is_some()),
        Observed::Lost { .. } => panic!("nothing is lost"),
    });
    assert_eq!(seen, 1);
    let taken = bus.publisher_with_id(2, "twice", Grants::market()).unwrap_err().to_string();
    assert!(taken.contains("publisher number 2 is taken"), "{taken}");
}
