//! Scenario `bus`: from publisher to consumer, from tick to order, from order to release, beside what
//! others do with the same messages on the same CPUs in the same run.
//!
//! ```text
//!  hop                  publisher ──> sequencer ──> consumer                        beside two rtrb rings
//!  hop_shared           publisher of another process ──> sequencer ──> reader of another
//!  fan_out_1 … 3        publisher ══> sequencer ══> 1 … 3 consumers                 beside two disruptors
//!  sequencer_throughput publisher ══> sequencer                                     beside one rtrb ring
//!  tick_to_sequenced    tick ──> sequencer ──> strategy ──> sequencer
//!  tick_to_released     … ──> journal: written, durable ──> gateway ──> venue
//!  risk_check           order ──> check
//!  first_consumer_…     what the second and third consumer cost the first
//! ```
//!
//! Each part opens with its own diagram. The two sides of a comparison alternate. Latencies are those of an
//! open loop: from when something was due, whatever kept its publisher from it.

mod checks;
mod consumers;
mod fan_out;
mod hop;
mod load;
mod rig;
mod seats;
mod stream;
mod tick;

pub use consumers::{Worker, take_turns};

use crate::arrivals::Arrivals;
use crate::cpu::on_cpu;
use crate::journal::{self, ScenarioError};
use crate::sheet::Sheet;
use crate::{HiccupMeter, Mix, Report, Route};
use fan_out::Work;
use hop::Traffic;
use load::parcels;
use seats::{Seats, Sharing};
use std::time::Duration;
use stele_bus::Watermark;
use stele_bus::bounds::{RING_LENGTH_DEFAULT, RING_LENGTH_MIN};

/// Events a second of a hop.
const HOP_RATE: f64 = 500_000.0;
/// How long the machine's own stalls are watched on each of the first two CPUs before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// Where the bus is measured.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where and how the journal underneath writes.
    pub journal: journal::Place,
    /// The CPUs that may be used: the sequencer's, then the journal's, then what else there is.
    pub cpus: Vec<usize>,
    /// How this program counts what further consumers cost; without it that is left out.
    pub worker: Option<Worker>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Repetitions.
    pub repeats: u32,
    /// How long events come in each latency run.
    pub latency: Duration,
    /// Events of each throughput run.
    pub stream: u64,
    /// Orders that are checked.
    pub checks: u64,
}

impl Extent {
    /// What the figures are published from.
    pub fn full(repeats: u32, latency: Duration) -> Self {
        Self { repeats, latency, stream: 10_000_000, checks: 2_000_000 }
    }

    /// A few seconds in all: whether everything runs, not how fast.
    pub fn quick() -> Self {
        Self { repeats: 1, latency: Duration::from_millis(50), stream: 100_000, checks: 10_000 }
    }
}

/// Measures everything. `mixes` are recorded markets, measured beside the messages of 64 bytes. `on_stage`
/// receives what is measured next.
///
/// # Errors
/// [`ScenarioError`]; what was written may then stay in the directory.
pub fn run(
    place: &Place,
    extent: &Extent,
    mixes: &[Mix],
    mut on_stage: impl FnMut(&str),
) -> Result<Report, ScenarioError> {
    let (mut meter, mut sheet) = (HiccupMeter::new(), Sheet::default());
    let short = Mix::of_64_bytes();
    for repeat in 1..=extent.repeats {
        let mut tell = |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", extent.repeats));
        let seed = u64::from(repeat);
        tell("the machine's own stalls");
        for cpu in place.cpus.iter().take(2) {
            on_cpu(Some(*cpu), || meter.watch(WATCH));
        }
        tell("hop");
        hops(&mut sheet, place, extent, &short, seed)?;
        for mix in mixes {
            hops(&mut sheet, place, extent, mix, seed)?;
        }
        tell("fan-out");
        for consumers in 1..=3 {
            fan_outs(&mut sheet, place, extent, &short, consumers)?;
        }
        for mix in mixes {
            fan_outs(&mut sheet, place, extent, mix, 1)?;
        }
        tell("sequencer");
        for mix in std::iter::once(&short).chain(mixes) {
            sequencer(&mut sheet, place, extent, mix)?;
        }
        tell("tick to order");
        ticks(&mut sheet, place, extent, seed)?;
        tell("risk checks");
        risk_checks(&mut sheet, place, extent);
    }
    if let Some(worker) = &place.worker {
        consumers::instructions(&mut sheet, worker, &mut on_stage)?;
        consumers::times(&mut sheet, place, extent.stream / 4, &mut on_stage)?;
    }
    Ok(Report::new("bus", meter.noise(), sheet.figures()))
}

/// `name`, followed by the mix unless the messages are those of 64 bytes.
fn named(name: &str, mix: &Mix) -> String {
    if mix.name == "64" { name.into() } else { format!("{name}_{}", mix.name) }
}

fn hops(
    sheet: &mut Sheet,
    place: &Place,
    extent: &Extent,
    mix: &Mix,
    seed: u64,
) -> Result<(), ScenarioError> {
    let parcels = parcels(mix);
    let apart = Sharing::none_if_possible(&place.cpus);
    let sides =
        [("hop", "rtrb_hop", apart), ("hop_as_run", "rtrb_hop_as_run", Sharing::SequencerAndConsumer)];
    for (ours, rival, sharing) in sides {
        let (ours, rival) = (named(ours, mix), named(rival, mix));
        let seats = Seats::of_one(&place.cpus, sharing);
        let route = Route {
            from: "the event is due at its publisher",
            to: "the consumer's callback reads the clock",
            hops: 2,
            cores: seats.describe(),
            publisher_and_consumer_share_a_core: seats.shares_a_core(),
        };
        let traffic = Traffic { arrivals: Arrivals::new(seed, HOP_RATE), length: extent.latency, seats };
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
    place: &Place,
    extent: &Extent,
    mix: &Mix,
    consumers: usize,
) -> Result<(), ScenarioError> {
    let (parcels, seats) = (parcels(mix), Seats::of_many(&place.cpus, consumers));
    let route = stream_route(&seats, 2, "the last consumer has seen the last event");
    for (ring, where_) in [(RING_LENGTH_DEFAULT, ""), (RING_LENGTH_MIN, "_in_cache")] {
        let name = |name: &str| named(&format!("{name}_{consumers}{where_}"), mix);
        let [ours, rival, sealed] = ["fan_out", "disruptor_fan_out", "disruptor_sealed_fan_out"].map(name);
        let rate = fan_out::ours(&parcels, extent.stream, &seats, ring, consumers)?.rate;
        sheet.single(&ours, "events/s", rate, Some(&route));
        for (rival, work) in [(&rival, Work::Copy), (&sealed, Work::Seal)] {
            let rate = fan_out::disruptor(&parcels, extent.stream, &seats, ring, consumers, work);
            sheet.single(rival, "events/s", rate, Some(&route));
        }
        sheet.beside(&ours, &rival);
        sheet.beside(&sealed, &ours);
    }
    Ok(())
}

fn sequencer(sheet: &mut Sheet, place: &Place, extent: &Extent, mix: &Mix) -> Result<(), ScenarioError> {
    let (parcels, seats) = (parcels(mix), Seats::of_many(&place.cpus, 0));
    let route = stream_route(&seats, 1, "the sequencer has published the last event");
    let (ours, rival) = (named("sequencer_throughput", mix), named("rtrb_throughput", mix));
    let rate = fan_out::ours(&parcels, extent.stream, &seats, RING_LENGTH_DEFAULT, 0)?.rate;
    sheet.single(&ours, "events/s", rate, Some(&route));
    sheet.single(&rival, "events/s", fan_out::rtrb(&parcels, extent.stream, &seats), Some(&route));
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

fn ticks(sheet: &mut Sheet, place: &Place, extent: &Extent, seed: u64) -> Result<(), ScenarioError> {
    let arrivals = || Arrivals::new(seed, tick::RATE);
    let route = |to, hops| Route {
        from: "the tick is due at its publisher",
        to,
        hops,
        cores: tick::describe(place),
        publisher_and_consumer_share_a_core: place.cpus.len() < 2,
    };
    let sequenced = route("the sequencer's thread has published the order", 3);
    let released = route("the gateway hands the order to the venue", 4);
    let seen = tick::without_disk(place, arrivals(), extent.latency)?;
    sheet.latency("tick_to_sequenced", seen.sequenced, &sequenced);
    let at = [
        (Watermark::Published, "tick_to_released_published"),
        (Watermark::Written, "tick_to_released_written"),
        (Watermark::Durable, "tick_to_released"),
    ];
    for (release, name) in at {
        let seen = tick::on_disk(place, release, arrivals(), extent.latency)?;
        sheet.latency(name, seen.released, &released);
        if release == Watermark::Durable {
            sheet.latency("tick_to_sequenced_beside_journal", seen.sequenced, &sequenced);
        }
    }
    Ok(())
}

fn risk_checks(sheet: &mut Sheet, place: &Place, extent: &Extent) {
    let cpu = place.cpus.first().copied();
    let route = Route {
        from: "a reading of the clock",
        to: "the next one, 64 checks later, over 64",
        hops: 0,
        cores: cpu.map_or("any CPU".into(), |cpu| format!("CPU {cpu}")),
        publisher_and_consumer_share_a_core: true,
    };
    sheet.latency("risk_check", on_cpu(cpu, || checks::measure(extent.checks)), &route);
}
