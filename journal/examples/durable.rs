//! Measures the journal beside the raw device, on the same file system, in the same run.
//!
//! ```text
//!  one thread: write the ring ─> sequencer's appender closes the batch ─> journal ─> written, durable
//! ```
//!
//! `cargo run --release -p stele-journal --example durable -- [DIRECTORY] [flushed|linked|plain] [CPU]`
//!
//! Prints publish-to-durable at a low rate (one order, then wait until it is durable, a pause between), a raw
//! flushed write of the same length beside it, the sustained rate of 64 KiB batches with the pool full before and
//! with it zeroing meanwhile, and a verified scan of what was written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stele_bus::{LogRing, RingOptions, Sequencer, UtcClock};
use stele_journal::scan::ScanOptions;
use stele_journal::verify::verify;
use stele_journal::{Directory, EngineChoice, FlushMethod, Journal, Options};
use stele_risk::{Risk, RiskLimits};
use stele_wire::messages::{NewOrder, Trade};
use stele_wire::units::Nanos;
use zerocopy::IntoBytes;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "target/durable".into()));
    let how = arguments.next().unwrap_or_else(|| "flushed".into());
    let cpu = arguments.next().map(|cpu| cpu.parse().expect("a CPU's number"));
    if let Some(cpu) = cpu {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        rustix::thread::sched_setaffinity(None, &set).expect("the CPU is there");
    }
    let options = Options {
        engine: if how == "plain" { EngineChoice::Plain } else { EngineChoice::Auto },
        method: if how == "linked" { FlushMethod::LinkedSync } else { FlushMethod::FlushedWrites },
        ..Options::default()
    };
    println!("method {how}, cpu {cpu:?}, {}", folder.display());
    let _ = std::fs::remove_dir_all(&folder);
    low_rate(&folder.join("low"), &options);
    for (name, spares) in [("pool zeroed before", 16), ("pool zeroed meanwhile", 2)] {
        let trail = folder.join(format!("sustained-{spares}"));
        sustained(&trail, &Options { spare_segments: spares, ..options.clone() }, name);
        let started = Instant::now();
        let report = verify(&Directory::new(&trail), &ScanOptions::default()).expect("the trail is whole");
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "verified scan: {:.2} GB/s, {:.1} M events/s on {} threads{}",
            report.scan.bytes as f64 / seconds / 1e9,
            report.events as f64 / seconds / 1e6,
            report.scan.threads,
            report.scan.without_glommio.map_or(String::new(), |why| format!(", without glommio: {why}")),
        );
    }
    let _ = std::fs::remove_dir_all(&folder);
}

struct System {
    sequencer: Sequencer<UtcClock>,
    publisher: stele_bus::Publisher,
    journal: Journal,
    ring: LogRing,
}

impl System {
    fn start(trail: &Path, options: &Options) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64;
        let opened = Journal::open(trail, options, Nanos(now)).unwrap_or_else(|error| panic!("{error}"));
        let parts =
            LogRing::create(&RingOptions::default(), opened.start.position).expect("memory for a ring");
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer =
            Sequencer::new(&opened.start, parts.writer, UtcClock::new(), risk).expect("lengths fit");
        let publisher = sequencer.publisher(1, "durable", 1 << 20);
        let (journal, notices) = opened.attach(parts.journal).unwrap_or_else(|error| panic!("{error}"));
        notices.iter().for_each(|notice| println!("{notice}"));
        println!("{}", journal.describe());
        Self { sequencer, publisher, journal, ring: parts.ring }
    }

    fn turn(&mut self) {
        stele_bus::Agent::do_work(&mut self.sequencer).expect("the sequencer works");
        self.journal.do_work().expect("the journal works");
    }

    fn stop(mut self) {
        self.ring.request_stop();
        while !self.ring.is_stopped() {
            self.turn();
        }
        self.journal.stop().expect("the journal closes");
    }
}

fn low_rate(trail: &Path, options: &Options) {
    const ROUNDS: usize = 3_000;
    let mut system = System::start(trail, options);
    let mut durable = Vec::with_capacity(ROUNDS);
    let mut order = NewOrder::NULL;
    order.quantity.set(1);
    order.limit_price.set(1_000_000_000);
    for round in 0..ROUNDS {
        order.client_order_id.set(round as u64 + 1);
        let published = system.ring.watermarks().published();
        let started = Instant::now();
        let offered = system.publisher.offer_message(&order, Nanos(0));
        offered.expect("room for one order");
        while system.ring.watermarks().durable() <= published {
            system.turn();
        }
        durable.push(started.elapsed());
        pause(&mut system);
    }
    print_percentiles("publish to durable", &mut durable);
    assert_eq!(
        system.sequencer.statistics().orders_refused,
        0,
        "a refused order does not close its batch at once"
    );
    system.stop();
    let mut raw = raw_flushed_writes(trail, ROUNDS);
    print_percentiles("raw 512 B pwrite with O_DSYNC", &mut raw);
}

/// A millisecond in which the watermark-only block that follows an acknowledgement is written too.
fn pause(system: &mut System) {
    let until = Instant::now() + Duration::from_micros(1_000);
    while Instant::now() < until {
        system.turn();
    }
}

fn raw_flushed_writes(trail: &Path, rounds: usize) -> Vec<Duration> {
    use rustix::fs::{Mode, OFlags};
    let path = trail.join("raw");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::DIRECT | OFlags::DSYNC;
    let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).expect("a file for raw writes");
    let zeros = stele_journal::Pages::zeroed(4 << 20);
    rustix::io::pwrite(&file, &zeros, 0).expect("zeros");
    let block = &zeros[..512];
    (0..rounds)
        .map(|round| {
            let started = Instant::now();
            rustix::io::pwrite(&file, block, (round as u64 * 512) % (4 << 20)).expect("a raw write");
            let took = started.elapsed();
            std::thread::sleep(Duration::from_micros(300));
            took
        })
        .collect()
}

fn sustained(trail: &Path, options: &Options, name: &str) {
    const BYTES: u64 = 768 << 20;
    let mut system = System::start(trail, options);
    if options.spare_segments > 2 {
        // Let the pool fill.
        std::thread::sleep(Duration::from_millis(1_500));
    }
    let base = system.ring.base();
    let trade = Trade::NULL;
    let started = Instant::now();
    while system.ring.watermarks().durable().0 - base.0 < BYTES {
        if system.ring.watermarks().published().0 - base.0 < BYTES {
            while system.publisher.stage(Trade::TEMPLATE_ID, trade.as_bytes(), Nanos(0)).is_ok() {}
            system.publisher.commit();
        }
        system.turn();
    }
    let seconds = started.elapsed().as_secs_f64();
    let statistics = system.journal.statistics();
    println!(
        "sustained, {name}: {:.0} MB/s durable, {:.2} M events/s, {} writes of {:.0} KiB on average, {} rolls, {} waits \
         for a segment",
        BYTES as f64 / seconds / 1e6,
        (system.sequencer.next_sequence().0 - 1) as f64 / seconds / 1e6,
        statistics.writes,
        statistics.bytes as f64 / statistics.writes as f64 / 1024.0,
        statistics.rolls,
        statistics.waits_for_segment,
    );
    system.stop();
}

fn print_percentiles(name: &str, durations: &mut [Duration]) {
    durations.sort_unstable();
    let at = |share: f64| durations[((durations.len() - 1) as f64 * share) as usize].as_nanos() as f64 / 1e3;
    println!(
        "{name}: p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs, max {:.0} µs",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}
