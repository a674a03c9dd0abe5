//! Events per second from a publisher through the sequencer to a gating consumer, with a journal that writes
//! nothing.
//!
//! ```text
//! one thread:   publisher ─> sequencer ─> consumer                  (instructions: run under callgrind)
//! two threads:  publisher ─┊─> sequencer ─> consumer
//! ```
//!
//! Run it with `cargo bench -p stele-perf --bench throughput -- [one|two] [events]`.

use std::time::Instant;
use stele_bus::{
    Agent, GatingConsumer, Grants, JournalReader, LogRing, Publisher, RingOptions, RingParts, Sequencer,
    SequencerStart, UtcClock, allowed_cpus, set_affinity,
};
use stele_risk::{Risk, RiskLimits};
use stele_wire::messages::BookAdd;
use stele_wire::{Identity, Nanos, Position, Sequence};
use zerocopy::IntoBytes;

const COMMIT: usize = 64;

fn main() {
    // `cargo bench` adds the argument `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mode = arguments.next().unwrap_or_else(|| "two".into());
    let events = arguments.next().map_or(20_000_000, |count| count.parse().expect("events is a number"));
    let repeats = if mode == "one" { 1 } else { 5 };
    for _ in 0..repeats {
        let begin = Instant::now();
        if mode == "one" {
            one_thread(events)
        } else {
            two_threads(events)
        }
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{mode}: {:.2} M events/s, {:.1} ns",
            events as f64 / seconds / 1e6,
            seconds * 1e9 / events as f64
        );
    }
}

struct Bus {
    ring: LogRing,
    publisher: Publisher,
    sequencer: Sequencer<UtcClock>,
    consumer: GatingConsumer,
    journal: JournalReader,
}

fn bus() -> Bus {
    let RingParts { ring, writer, journal, .. } =
        LogRing::create(&RingOptions::default(), Position(0)).unwrap();
    let start = SequencerStart {
        identity: Identity::default(),
        next_sequence: Sequence(1),
        position: Position(0),
        last_timestamp: Nanos(0),
        segment_length: 256 << 20,
        block_length: 4096,
    };
    let risk = Risk::new(RiskLimits::default());
    let mut sequencer = Sequencer::new(&start, writer, UtcClock::new(), risk).unwrap();
    let publisher = sequencer.publisher(1, "load", 64 << 10, Grants::all());
    let consumer = sequencer.gating_consumer("reader");
    Bus { ring, publisher, sequencer, consumer, journal }
}

fn publish(publisher: &mut Publisher, event: &mut BookAdd, count: usize) -> usize {
    let mut staged = 0;
    while staged < count.min(COMMIT) {
        event.order_id.set(event.order_id.get() + 1);
        if publisher.stage(BookAdd::TEMPLATE_ID, event.as_bytes(), Nanos(1)).is_err() {
            event.order_id.set(event.order_id.get() - 1);
            break;
        }
        staged += 1;
    }
    publisher.commit() as usize
}

/// Sequences and reads once; returns how many market events were read.
fn follow(
    sequencer: &mut Sequencer<UtcClock>,
    consumer: &mut GatingConsumer,
    journal: &mut JournalReader,
    sum: &mut u64,
) -> usize {
    sequencer.do_work().unwrap();
    let mut seen = 0;
    consumer.poll(256, |event| {
        if let Some(add) = event.frame().message::<BookAdd>() {
            *sum = sum.wrapping_add(add.order_id.get());
            seen += 1;
        }
    });
    let batched = journal.ring().watermarks().batched();
    if batched > journal.ring().watermarks().written() {
        journal.advance_written(batched);
        journal.advance_durable(batched);
    }
    seen
}

fn one_thread(events: usize) {
    let Bus { mut publisher, mut sequencer, mut consumer, mut journal, .. } = bus();
    let (mut event, mut sent, mut seen, mut sum) = (BookAdd::NULL, 0, 0, 0);
    while seen < events {
        sent += publish(&mut publisher, &mut event, events - sent);
        seen += follow(&mut sequencer, &mut consumer, &mut journal, &mut sum);
    }
    assert_eq!(sum, (events as u64).wrapping_mul(events as u64 + 1) / 2);
}

fn two_threads(events: usize) {
    let Bus { ring, mut publisher, mut sequencer, mut consumer, mut journal } = bus();
    let cpus = allowed_cpus();
    let pin = move |index: usize| {
        set_affinity(&[cpus[index % cpus.len()]]).expect("the CPU is one of those that are allowed");
    };
    let other = pin.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            other(0);
            let (mut event, mut sent) = (BookAdd::NULL, 0);
            while sent < events {
                match publish(&mut publisher, &mut event, events - sent) {
                    0 => std::thread::yield_now(),
                    count => sent += count,
                }
            }
        });
        pin(1);
        let (mut seen, mut sum) = (0, 0);
        while seen < events {
            match follow(&mut sequencer, &mut consumer, &mut journal, &mut sum) {
                0 => std::thread::yield_now(),
                count => seen += count,
            }
        }
        assert_eq!(sum, (events as u64).wrapping_mul(events as u64 + 1) / 2);
    });
    assert!(ring.watermarks().published() >= ring.watermarks().batched());
}
