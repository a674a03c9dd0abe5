//! Scenario `bus`: from publisher to consumer, from tick to order and from order to release, compared with
//! other libraries that handle the same messages on the same CPUs in the same run.
//!
//! ```text
//!  hop                  publisher ──> sequencer ──> consumer                        against two rtrb rings
//!  hop_shared           publisher of another process ──> sequencer ──> reader of another
//!  fan_out_1 … 3        publisher ══> sequencer ══> 1 … 3 consumers                 against two disruptors
//!  sequencer_throughput publisher ══> sequencer                                     against one rtrb ring
//!  tick_to_sequenced    tick ──> sequencer ──> strategy ──> sequencer
//!  tick_to_released     … ──> journal: written, durable ──> gateway ──> venue
//!  risk_check           order ──> check
//!  first_consumer_…     the cost of a second and third consumer to the first
//! ```
//!
//! The documentation of each part starts with its diagram. The two sides of a comparison alternate. Latencies
//! are those of an open loop: they start when an event was due, even if its publisher was late.

mod checks;
mod consumers;
mod fan_out;
mod hop;
mod load;
mod rig;
mod seats;
mod stream;
mod tick;

pub use consumers::{CountingCommand, take_turns};

use crate::arrivals::Arrivals;
use crate::cpu::on_cpu;
use crate::journal::{self, ScenarioError};
use crate::sheet::Sheet;
use crate::{HiccupMeter, MessageMix, PerfReport, Route};
use fan_out::Work;
use hop::Traffic;
use load::parcels;
use seats::{Seats, Sharing};
use std::time::Duration;
use stele_bus::Watermark;
use stele_bus::bounds::{RING_LENGTH_DEFAULT, RING_LENGTH_MIN};

/// Events per second of a hop.
const HOP_RATE: f64 = 500_000.0;
/// How long the stalls of the machine are measured on each of the first two CPUs before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// The setup of the bus to measure.
#[derive(Clone, Debug)]
pub struct BusSetup {
    /// The setup of its journal.
    pub journal: journal::JournalSetup,
    /// The CPUs to use: that of the sequencer, that of the journal, then all others.
    pub cpus: Vec<usize>,
    /// How to count the cost of further consumers; without it, they are skipped.
    pub worker: Option<CountingCommand>,
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct BusWorkload {
    /// The number of repetitions.
    pub repeats: u32,
    /// The length of each latency run.
    pub latency: Duration,
    /// The number of events of each throughput run.
    pub stream: u64,
    /// The number of orders to check.
    pub checks: u64,
}

impl BusWorkload {
    /// The workload of published figures.
    pub fn full(repeats: u32, latency: Duration) -> Self {
        Self { repeats, latency, stream: 10_000_000, checks: 2_000_000 }
    }

    /// A workload of a few seconds, which only checks that everything runs.
    pub fn quick() -> Self {
        Self { repeats: 1, latency: Duration::from_millis(50), stream: 100_000, checks: 10_000 }
    }
}

/// Runs the scenario, with messages of 64 bytes and with the recorded markets `mixes`. `on_stage` receives
/// the name of each stage before it starts.
///
/// # Errors
/// [`ScenarioError`]. Files may then remain in the directory.
pub fn run(
    setup: &BusSetup,
    workload: &BusWorkload,
    mixes: &[MessageMix],
    mut on_stage: impl FnMut(&str),
) -> Result<PerfReport, ScenarioError> {
    let (mut meter, mut sheet) = (HiccupMeter::new(), Sheet::default());
    let short = MessageMix::of_64_bytes();
    for repeat in 1..=workload.repeats {
        let mut stage =
            |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", workload.repeats));
        let seed = u64::from(repeat);
        stage("stalls of the machine");
        for cpu in setup.cpus.iter().take(2) {
            on_cpu(Some(*cpu), || meter.watch(WATCH));
        }
        stage("hop");
        hops(&mut sheet, setup, workload, &short, seed)?;
        for mix in mixes {
            hops(&mut sheet, setup, workload, mix, seed)?;
        }
        stage("fan-out");
        for consumers in 1..=3 {
            fan_outs(&mut sheet, setup, workload, &short, consumers)?;
        }
        for mix in mixes {
            fan_outs(&mut sheet, setup, workload, mix, 1)?;
        }
        stage("sequencer");
        for mix in std::iter::once(&short).chain(mixes) {
            sequencer(&mut sheet, setup, workload, mix)?;
        }
        stage("tick to order");
        ticks(&mut sheet, setup, workload, seed)?;
        stage("risk checks");
        risk_checks(&mut sheet, setup, workload);
    }
    if let Some(worker) = &setup.worker {
        consumers::instructions(&mut sheet, worker, &mut on_stage)?;
        consumers::times(&mut sheet, setup, workload.stream / 4, &mut on_stage)?;
    }
    Ok(PerfReport::new("bus", meter.noise(), sheet.figures()))
}

/// Returns `name` with the suffix of the mix; messages of 64 bytes have no suffix.
fn named(name: &str, mix: &MessageMix) -> String {
    if mix.name == "64" { name.into() } else { format!("{name}_{}", mix.name) }
}

fn hops(
    sheet: &mut Sheet,
    setup: &BusSetup,
    workload: &BusWorkload,
    mix: &MessageMix,
    seed: u64,
) -> Result<(), ScenarioError> {
    let parcels = parcels(mix);
    let apart = Sharing::none_if_possible(&setup.cpus);
    let sides =
        [("hop", "rtrb_hop", apart), ("hop_as_run", "rtrb_hop_as_run", Sharing::SequencerAndConsumer)];
    for (ours, rival, sharing) in sides {
        let (ours, rival) = (named(ours, mix), named(rival, mix));
        let seats = Seats::of_one(&setup.cpus, sharing);
        let route = Route {
            from: "the event is due at its publisher",
            to: "the consumer's callback reads the clock",
            hops: 2,
            cores: seats.describe(),
            publisher_and_consumer_share_a_core: seats.shares_a_core(),
        };
        let traffic = Traffic { arrivals: Arrivals::new(seed, HOP_RATE), length: workload.latency, seats };
        sheet.latency(&ours, hop::ours(&parcels, &traffic)?, &route);
        sheet.latency(&rival, hop::rival(&parcels, &traffic), &route);
        sheet.beside(&ours, &rival);
        if sharing == apart {
            let shared = named("hop_shared", mix);
            sheet.latency(&shared, hop::shared(&parcels, &traffic)?, &route);
            sheet.beside(&shared, &rival);
        }
    }
    Ok(())
}

fn fan_outs(
    sheet: &mut Sheet,
    setup: &BusSetup,
    workload: &BusWorkload,
    mix: &MessageMix,
    consumers: usize,
) -> Result<(), ScenarioError> {
    let (parcels, seats) = (parcels(mix), Seats::of_many(&setup.cpus, consumers));
    let route = stream_route(&seats, 2, "the last consumer has seen the last event");
    for (ring, where_) in [(RING_LENGTH_DEFAULT, ""), (RING_LENGTH_MIN, "_in_cache")] {
        let name = |name: &str| named(&format!("{name}_{consumers}{where_}"), mix);
        let [ours, rival, sealed] = ["fan_out", "disruptor_fan_out", "disruptor_sealed_fan_out"].map(name);
        let rate = fan_out::ours(&parcels, workload.stream, &seats, ring, consumers)?.rate;
        sheet.single(&ours, "events/s", rate, Some(&route));
        for (rival, work) in [(&rival, Work::Copy), (&sealed, Work::Seal)] {
            let rate = fan_out::disruptor(&parcels, workload.stream, &seats, ring, consumers, work);
            sheet.single(rival, "events/s", rate, Some(&route));
        }
        sheet.beside(&ours, &rival);
        sheet.beside(&sealed, &ours);
    }
    Ok(())
}

fn sequencer(
    sheet: &mut Sheet,
    setup: &BusSetup,
    workload: &BusWorkload,
    mix: &MessageMix,
) -> Result<(), ScenarioError> {
    let (parcels, seats) = (parcels(mix), Seats::of_many(&setup.cpus, 0));
    let route = stream_route(&seats, 1, "the sequencer has published the last event");
    let (ours, rival) = (named("sequencer_throughput", mix), named("rtrb_throughput", mix));
    let rate = fan_out::ours(&parcels, workload.stream, &seats, RING_LENGTH_DEFAULT, 0)?.rate;
    sheet.single(&ours, "events/s", rate, Some(&route));
    sheet.single(&rival, "events/s", fan_out::rtrb(&parcels, workload.stream, &seats), Some(&route));
    sheet.beside(&ours, &rival);
    Ok(())
}

fn stream_route(seats: &Seats, hops: u32, to: &'static str) -> Route {
    Route {
        from: "the publisher hands over the first event",
        to,
        hops,
        cores: seats.describe(),
        publisher_and_consumer_share_a_core: seats.shares_a_core(),
    }
}

fn ticks(
    sheet: &mut Sheet,
    setup: &BusSetup,
    workload: &BusWorkload,
    seed: u64,
) -> Result<(), ScenarioError> {
    let arrivals = || Arrivals::new(seed, tick::RATE);
    let route = |to, hops| Route {
        from: "the tick is due at its publisher",
        to,
        hops,
        cores: tick::describe(setup),
        publisher_and_consumer_share_a_core: setup.cpus.len() < 2,
    };
    let sequenced = route("the sequencer's thread has published the order", 3);
    let released = route("the gateway hands the order to the venue", 4);
    let seen = tick::without_disk(setup, arrivals(), workload.latency)?;
    sheet.latency("tick_to_sequenced", seen.sequenced, &sequenced);
    let at = [
        (Watermark::Published, "tick_to_released_published"),
        (Watermark::Written, "tick_to_released_written"),
        (Watermark::Durable, "tick_to_released"),
    ];
    for (release, name) in at {
        let seen = tick::on_disk(setup, release, arrivals(), workload.latency)?;
        sheet.latency(name, seen.released, &released);
        if release == Watermark::Durable {
            sheet.latency("tick_to_sequenced_beside_journal", seen.sequenced, &sequenced);
        }
    }
    Ok(())
}

fn risk_checks(sheet: &mut Sheet, setup: &BusSetup, workload: &BusWorkload) {
    let cpu = setup.cpus.first().copied();
    let route = Route {
        from: "a reading of the clock",
        to: "the next reading, 64 checks later, divided by 64",
        hops: 0,
        cores: cpu.map_or("any CPU".into(), |cpu| format!("CPU {cpu}")),
        publisher_and_consumer_share_a_core: true,
    };
    sheet.latency("risk_check", on_cpu(cpu, || checks::measure(workload.checks)), &route);
}
