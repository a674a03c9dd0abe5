//! What a market of many instruments costs: definitions a second, events a second, and memory.
//!
//! ```text
//! publisher ─> sequencer with risk ─> strategy host without strategies
//!                                  ─> paper exchange                      (one thread, nothing on disk)
//! ```
//!
//! Every instrument is defined, then quotes and trades of instruments drawn at random follow.
//!
//! Run it with `cargo bench -p stele-perf --bench instruments -- [instruments ...]`.

use std::fs;
use std::process::Command;
use std::time::Instant;
use stele_bus::{
    Agent, GatingConsumer, Grants, JournalReader, LogRing, NOT_RECEIVED, Publisher, RingOptions, RingParts,
    Sequencer, SequencerStart, UtcClock,
};
use stele_risk::{Risk, RiskLimits};
use stele_strategies::{Host, Registry};
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_wire::codec::text_field;
use stele_wire::messages::{InstrumentDefinition, MarketFlags, TopOfBook, Trade, UpdateAction};
use stele_wire::{Identity, Nanos, Position, Sequence};

/// The quotes and trades of one measurement.
const EVENTS: u64 = 2_000_000;

fn main() {
    let counts: Vec<u32> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    if let [count] = counts[..] {
        return print(count);
    }
    let counts = if counts.is_empty() { vec![8, 10_000, 30_000] } else { counts };
    // A process of its own for each, so that none finds memory that another one returned.
    let program = std::env::current_exe().expect("this program has a path");
    for count in counts {
        let status = Command::new(&program).arg(count.to_string()).status().expect("it starts again");
        assert!(status.success(), "{count} instruments: {status}");
    }
}

fn print(count: u32) {
    let measured = measure(count);
    println!(
        "{count} instruments: {:.0} definitions/s with {} page faults, {:.2} M events/s with {}, {} MiB beyond \
         the ring",
        measured.definitions_per_second,
        measured.faults[0],
        measured.events_per_second / 1e6,
        measured.faults[1],
        measured.memory >> 20,
    );
}

struct Measured {
    definitions_per_second: f64,
    events_per_second: f64,
    /// Resident bytes that the bus took, without its ring.
    memory: u64,
    faults: [u64; 2],
}

struct Bus {
    publisher: Publisher,
    sequencer: Sequencer<UtcClock>,
    consumer: GatingConsumer,
    journal: JournalReader,
    host: Host,
    exchange: PaperExchange,
}

impl Bus {
    fn new(instruments: u32) -> Self {
        let RingParts { writer, journal, .. } =
            LogRing::create(&RingOptions::default(), Position(0)).expect("a ring");
        let start = SequencerStart {
            identity: Identity::default(),
            next_sequence: Sequence(1),
            position: Position(0),
            last_timestamp: Nanos(0),
            segment_length: 256 << 20,
            block_length: 4096,
        };
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer = Sequencer::new(&start, writer, UtcClock::new(), risk).expect("the lengths agree");
        let publisher = sequencer.publisher(1, "load", 64 << 10, Grants::all());
        let consumer = sequencer.gating_consumer("host");
        let mut host = Host::new(Registry::default());
        let mut exchange = PaperExchange::new(PaperOptions::default());
        host.prepare(instruments as usize);
        exchange.prepare(instruments as usize);
        stele_bus::memory::lock_all();
        Self { publisher, sequencer, consumer, journal, host, exchange }
    }

    /// Sequences what was submitted, and lets host and exchange read it.
    fn turn(&mut self) {
        self.sequencer.do_work().expect("the sequencer works");
        let Self { host, exchange, consumer, journal, .. } = self;
        consumer.poll(256, |event| {
            host.handle(&event.frame(), &mut |_, _: &[u8]| {});
            exchange.on_market(&event.frame());
        });
        let batched = journal.ring().watermarks().batched();
        if batched > journal.ring().watermarks().written() {
            journal.advance_written(batched);
            journal.advance_durable(batched);
        }
    }

    fn drain(&mut self) {
        while self.publisher.acknowledged().sequence + 1 < self.publisher.next_sequence() {
            self.turn();
        }
        (0..4).for_each(|_| self.turn());
    }
}

fn measure(instruments: u32) -> Measured {
    let before = resident();
    let mut bus = Bus::new(instruments);
    let ring = RingOptions::default().capacity as u64;
    let (begin, faults) = (Instant::now(), page_faults());
    for id in 1..=instruments {
        let definition = definition(id);
        let mut body = [0; size_of::<InstrumentDefinition>() + 4];
        let body = definition.encode(&mut body, []).expect("a definition without legs fits");
        while bus.publisher.offer(InstrumentDefinition::TEMPLATE_ID, body, NOT_RECEIVED).is_err() {
            bus.turn();
        }
    }
    bus.drain();
    let definitions_per_second = f64::from(instruments) / begin.elapsed().as_secs_f64();
    let (begin, defined) = (Instant::now(), page_faults());
    let mut random = 1_u64;
    for number in 0..EVENTS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = (random >> 33) as u32 % instruments + 1;
        while !offer(&mut bus.publisher, id, number) {
            bus.turn();
        }
    }
    bus.drain();
    Measured {
        definitions_per_second,
        events_per_second: EVENTS as f64 / begin.elapsed().as_secs_f64(),
        memory: resident().saturating_sub(before + ring),
        faults: [defined - faults, page_faults() - defined],
    }
}

fn definition(id: u32) -> InstrumentDefinition {
    InstrumentDefinition {
        instrument: id.into(),
        source: 1.into(),
        action: UpdateAction::ADD,
        multiplier: 1_000_000_000.into(),
        quantity_exponent: 0,
        currency: *b"USD",
        tick: 10_000_000.into(),
        venue_symbol: text_field(&format!("I{id}")).expect("a short symbol"),
        ..InstrumentDefinition::NULL
    }
}

/// Submits a quote, or each eighth time a trade.
fn offer(publisher: &mut Publisher, id: u32, number: u64) -> bool {
    let price = 100_000_000_000 + (number % 64) as i64 * 10_000_000;
    if number.is_multiple_of(8) {
        let trade = Trade {
            instrument: id.into(),
            source: 1.into(),
            flags: MarketFlags::LAST,
            price: price.into(),
            quantity: 1.into(),
            trade_id: (number + 1).into(),
            ..Trade::NULL
        };
        return publisher.offer_message(&trade, NOT_RECEIVED).is_ok();
    }
    let top = TopOfBook {
        instrument: id.into(),
        source: 1.into(),
        flags: MarketFlags::LAST,
        bid_price: price.into(),
        bid_quantity: 10.into(),
        ask_price: (price + 10_000_000).into(),
        ask_quantity: 10.into(),
        ..TopOfBook::NULL
    };
    publisher.offer_message(&top, NOT_RECEIVED).is_ok()
}

/// The resident memory of this process in bytes, proc_pid_statm(5).
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a count of pages");
    pages * 4096
}

/// The page faults of this process so far, proc_pid_stat(5), field 10.
fn page_faults() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let after_name = stat.rsplit(") ").next().expect("a name");
    after_name.split(' ').nth(7).and_then(|count| count.parse().ok()).expect("a count")
}
