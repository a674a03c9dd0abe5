//! `tick_to_sequenced` and `tick_to_released`: how long from a tick to the order that a strategy sends for
//! it, on the log, and out of the host.
//!
//! ```text
//!  ticks ──> sequencer ──> ring ──> strategy ──> sequencer: risk check ──> ring ──> gateway ──> venue
//!  500,000 a second         └────────────── journal ──> written, durable ────────────┘ when released
//!
//!  one CPU: sequencer, witness, strategy host         another: journal, gateway with the venue, ticks
//! ```
//!
//! From when a tick was due (an open loop, arrivals at random) to when the sequencer's thread has published
//! the order (the witness reads the clock in the same turn), and to when the gateway hands the order to the
//! venue. Every hundredth tick makes the strategy send an order, which passes every risk check; the venue
//! answers that it is done. `tick_to_sequenced` has a journal that writes nothing; everything else has the
//! real one underneath, with the disk on the CPU of the ticks where there are only two, and the ticks that
//! are due while that thread is in the kernel wait and are counted.

mod roles;

use super::load::Stopwatch;
use super::rig::Rig;
use super::{Place, checks};
use crate::Percentiles;
use crate::arrivals::Arrivals;
use crate::journal::rig::{Pool, Rig as JournalRig};
use crate::journal::{ScenarioError, in_folder};
use roles::{EVERY, Exchange, KIND, Tally, Ticks, Witness};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use stele_bus::bounds::{PUBLISHER_WORDS_DEFAULT, RING_LENGTH_DEFAULT};
use stele_bus::{
    Agent, Core, CoreOptions, IdleStrategy, LogRing, NOT_RECEIVED, Publisher, Sequencer, UtcClock, Watermark,
};
use stele_strategies::agent::{AgentOptions, StrategyAgent};
use stele_strategies::{Host, Registry};
use stele_venue::OrderGateway;
use stele_wire::codec::text_field;
use stele_wire::messages::{Boolean, StrategyDefinition, TopOfBook};

/// Ticks a second.
pub(crate) const RATE: f64 = 500_000.0;
/// How long the stop may take.
const STOP_MAX: Duration = Duration::from_secs(20);

/// What one run saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) sequenced: Percentiles,
    pub(crate) released: Percentiles,
}

/// A sequencer, its load's publisher and whatever moves `written` and `durable`.
struct Bus {
    ring: LogRing,
    sequencer: Sequencer<UtcClock>,
    ticks: Publisher,
    journal: Box<dyn Agent>,
}

/// Without a disk; orders leave when published.
pub(crate) fn without_disk(
    place: &Place,
    arrivals: Arrivals,
    length: Duration,
) -> Result<Seen, ScenarioError> {
    let Rig { ring, publisher, sequencer, journal, .. } = Rig::new(RING_LENGTH_DEFAULT, 0)?;
    let bus = Bus { ring, sequencer, ticks: publisher, journal: Box::new(journal) };
    run(bus, place, Watermark::Published, arrivals, length)
}

/// Over a new trail; orders leave at `release`.
pub(crate) fn on_disk(
    place: &Place,
    release: Watermark,
    arrivals: Arrivals,
    length: Duration,
) -> Result<Seen, ScenarioError> {
    in_folder(&place.journal, |folder| {
        let bus = over_trail(folder, place, length)?;
        run(bus, place, release, arrivals, length)
    })
}

fn over_trail(folder: &Path, place: &Place, length: Duration) -> Result<Bus, ScenarioError> {
    // Some 200 bytes of log for each tick, all blocks that orders close included.
    let bytes = (length.as_secs_f64() * RATE) as u64 * 200;
    let segments = bytes / place.journal.segment_length + 2;
    let pool = Pool::Before(segments as usize);
    let JournalRig { sequencer, publisher, ring, journal, .. } =
        JournalRig::open(folder, &place.journal, place.journal.segment_length, pool)?;
    Ok(Bus { ring, sequencer, ticks: publisher, journal: Box::new(journal) })
}

fn run(
    mut bus: Bus,
    place: &Place,
    release: Watermark,
    arrivals: Arrivals,
    length: Duration,
) -> Result<Seen, ScenarioError> {
    let mut publisher = |id, name| bus.sequencer.publisher(id, name, PUBLISHER_WORDS_DEFAULT);
    let (mut control, orders) = (publisher(5, "control"), publisher(ORDERS, "strategy"));
    let (releases, reports) = (publisher(3, "gateway"), publisher(4, "venue"));
    let [witnessed, decided, released] =
        ["witness", "strategies", "order gateway"].map(|name| bus.sequencer.gating_consumer(name));
    prelude(&mut control, release)?;
    control.finish();

    let mut registry = Registry::built_in();
    registry.register(KIND);
    let (watch, tally) = (Stopwatch::start(), Arc::new(Tally::default()));
    let witness = Witness::new(witnessed, watch.clone(), tally.clone());
    let options = AgentOptions { sample_every: 0, ..AgentOptions::default() };
    let strategies = StrategyAgent::new(options, Host::new(registry), decided, orders, UtcClock::new());
    let venue = Exchange::new(reports, watch.clone(), tally.clone());
    let gateway = OrderGateway::new("gateway", released, releases, release, venue, UtcClock::new());
    let ticks = Ticks::new(bus.ticks, arrivals, length, watch, tally.clone());

    let first: Vec<Box<dyn Agent>> = vec![Box::new(bus.sequencer), Box::new(witness), Box::new(strategies)];
    let (gateway, ticks): (Box<dyn Agent>, Box<dyn Agent>) = (Box::new(gateway), Box::new(ticks));
    let mut cores = vec![spawn(place, 0, "sequencer", first)?];
    if place.cpus.len() >= 3 {
        cores.push(spawn(place, 1, "journal", vec![bus.journal])?);
        cores.push(spawn(place, 2, "ticks", vec![gateway, ticks])?);
    } else {
        cores.push(spawn(place, 1, "journal", vec![bus.journal, gateway, ticks])?);
    }
    finish(&bus.ring, cores, &tally, length)?;
    tally.seen()
}

/// The publisher of the orders.
const ORDERS: u16 = 2;

/// The roles of a run on so many CPUs, in words.
pub(crate) fn describe(place: &Place) -> String {
    let cpu = |index: usize| place.cpus.get(index).map_or("any CPU".into(), |cpu| format!("CPU {cpu}"));
    let [first, second, third] = [0, 1, 2].map(cpu);
    if place.cpus.len() >= 3 {
        format!("sequencer and strategy on {first}, journal on {second}, gateway and ticks on {third}")
    } else {
        format!("sequencer and strategy on {first}, journal, gateway and ticks on {second}")
    }
}

fn spawn(place: &Place, index: usize, name: &str, agents: Vec<Box<dyn Agent>>) -> io::Result<Core> {
    let idle = if place.cpus.len() >= 2 { IdleStrategy::Spin } else { IdleStrategy::SpinYield { spins: 0 } };
    let cpu = place.cpus.get(index).copied();
    Core::spawn(CoreOptions { name: name.into(), cpu, idle }, agents).map_err(io::Error::other)
}

/// Limits, a price and the strategy, before anything runs.
fn prelude(control: &mut Publisher, release: Watermark) -> io::Result<()> {
    let refused = |refusal| io::Error::other(format!("the bus refused what a run begins with: {refusal}"));
    for limit in checks::limits() {
        control.offer_message(&limit, NOT_RECEIVED).map_err(refused)?;
    }
    let (bid_price, ask_price) = ((checks::REFERENCE - 5).into(), (checks::REFERENCE + 5).into());
    let top = TopOfBook { instrument: 1.into(), bid_price, ask_price, ..TopOfBook::NULL };
    control.offer_message(&top, NOT_RECEIVED).map_err(refused)?;
    let definition = StrategyDefinition {
        strategy: 1.into(),
        order_publisher: ORDERS.into(),
        account: 1.into(),
        algorithm: 1.into(),
        is_resumed: Boolean::FALSE,
        name: text_field(KIND.name).expect("the name is short"),
        ..StrategyDefinition::NULL
    };
    let release = match release {
        Watermark::Published => "published",
        Watermark::Written => "written",
        _ => "durable",
    };
    let (mut body, parameters) = ([0; 128], format!("release = \"{release}\""));
    let body = definition.encode(&mut body, parameters.as_bytes()).expect("the definition is short");
    control.offer(StrategyDefinition::TEMPLATE_ID, body, NOT_RECEIVED).map_err(refused)
}

/// Waits until every tick is through, and stops everything in order.
fn finish(ring: &LogRing, cores: Vec<Core>, tally: &Tally, length: Duration) -> Result<(), ScenarioError> {
    let deadline = Instant::now() + length + STOP_MAX;
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        while !is_so() {
            if let Some(reason) = ring.poisoned() {
                return Err(io::Error::other(reason.to_owned()));
            }
            if cores.iter().any(Core::is_finished) || Instant::now() > deadline {
                return Err(io::Error::other(format!("a core ended, or took too long: {what}")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    let expected = || tally.ticks.load(Ordering::Relaxed) / EVERY;
    let waited = wait("ticks", &|| tally.is_over.load(Ordering::Relaxed))
        .and_then(|()| wait("orders", &|| tally.released.load(Ordering::Relaxed) == expected()));
    ring.request_stop();
    let stopped = waited.and_then(|()| {
        let marks = ring.watermarks();
        wait("stop", &|| ring.is_stopped() && marks.durable() == marks.published())
    });
    cores.iter().for_each(Core::stop);
    for core in cores {
        core.join().map_err(io::Error::other)?;
    }
    Ok(stopped?)
}
