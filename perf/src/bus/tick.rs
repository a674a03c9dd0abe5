//! `tick_to_sequenced` and `tick_to_released`: the time from a tick until the order that a strategy sends for
//! it is on the log, and until it leaves the host.
//!
//! ```text
//!  ticks ──> sequencer ──> ring ──> strategy ──> sequencer: risk check ──> ring ──> gateway ──> venue
//!  500,000 a second         └────────────── journal ──> written, durable ────────────┘ when released
//!
//!  one CPU: sequencer, witness, strategy host         another: journal, gateway with the venue, ticks
//! ```
//!
//! The time starts when a tick was due (an open loop with random arrivals). It ends when the sequencer's
//! thread has published the order (the witness reads the clock in the same turn), or when the gateway hands
//! the order to the venue. The strategy sends an order for every hundredth tick. The order passes every risk
//! check, and the venue reports it as done. `tick_to_sequenced` uses a journal that writes nothing,
//! everything else the real one. With only two CPUs, the journal shares one with the ticks: a tick that is
//! due while that thread is in the kernel waits, and the wait is counted.

mod roles;

use super::load::Stopwatch;
use super::rig::Rig;
use super::{BusSetup, checks};
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
    Agent, Core, CoreOptions, Grants, IdleStrategy, LogRing, NOT_RECEIVED, Publisher, Sequencer, UtcClock,
    Watermark,
};
use stele_strategies::agent::{AgentOptions, StrategyAgent};
use stele_strategies::{Host, Registry};
use stele_venue::OrderGateway;
use stele_wire::codec::text_field;
use stele_wire::messages::{AccountDefinition, Boolean, InstrumentDefinition, StrategyDefinition, TopOfBook};

/// Ticks per second.
pub(crate) const RATE: f64 = 500_000.0;
/// The maximum duration of the stop.
const STOP_MAX: Duration = Duration::from_secs(20);

/// The latencies of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) sequenced: Percentiles,
    pub(crate) released: Percentiles,
}

/// A sequencer, the publisher of the ticks, and the agent that moves `written` and `durable`.
struct Bus {
    ring: LogRing,
    sequencer: Sequencer<UtcClock>,
    ticks: Publisher,
    journal: Box<dyn Agent>,
}

/// Measures without a disk. Orders are released when published.
pub(crate) fn without_disk(
    setup: &BusSetup,
    arrivals: Arrivals,
    length: Duration,
) -> Result<Seen, ScenarioError> {
    let Rig { ring, publisher, sequencer, journal, .. } = Rig::new(RING_LENGTH_DEFAULT, 0)?;
    let bus = Bus { ring, sequencer, ticks: publisher, journal: Box::new(journal) };
    run(bus, setup, Watermark::Published, arrivals, length)
}

/// Measures with a new trail. Orders are released at the watermark `release`.
pub(crate) fn on_disk(
    setup: &BusSetup,
    release: Watermark,
    arrivals: Arrivals,
    length: Duration,
) -> Result<Seen, ScenarioError> {
    in_folder(&setup.journal, |folder| {
        let bus = over_trail(folder, setup, length)?;
        run(bus, setup, release, arrivals, length)
    })
}

fn over_trail(folder: &Path, setup: &BusSetup, length: Duration) -> Result<Bus, ScenarioError> {
    // About 200 bytes of log per tick, including the blocks that orders close.
    let bytes = (length.as_secs_f64() * RATE) as u64 * 200;
    let segments = bytes / setup.journal.segment_length + 2;
    let pool = Pool::Before(segments as usize);
    let JournalRig { sequencer, publisher, ring, journal, .. } =
        JournalRig::open(folder, &setup.journal, setup.journal.segment_length, pool)?;
    Ok(Bus { ring, sequencer, ticks: publisher, journal: Box::new(journal) })
}

fn run(
    mut bus: Bus,
    setup: &BusSetup,
    release: Watermark,
    arrivals: Arrivals,
    length: Duration,
) -> Result<Seen, ScenarioError> {
    let mut publisher = |id, name| bus.sequencer.publisher(id, name, PUBLISHER_WORDS_DEFAULT, Grants::all());
    let (mut control, orders) = (publisher(5, "control"), publisher(ORDERS, "strategy"));
    let (releases, reports) = (publisher(3, "gateway"), publisher(4, "venue"));
    let [witnessed, decided, released] =
        ["witness", "strategies", "order gateway"].map(|name| bus.sequencer.gating_consumer(name));
    prelude(&mut control, release)?;
    control.finish();

    let mut registry = Registry::built_in();
    registry.register(KIND).expect("the name is valid and free");
    let (watch, tally) = (Stopwatch::start(), Arc::new(Tally::default()));
    let witness = Witness::new(witnessed, watch.clone(), tally.clone());
    let options = AgentOptions { sample_every: 0, ..AgentOptions::default() };
    let strategies = StrategyAgent::new(options, Host::new(registry), decided, orders, UtcClock::new());
    let venue = Exchange::new(reports, watch.clone(), tally.clone());
    let gateway = OrderGateway::new("gateway", released, releases, release, venue, UtcClock::new());
    let ticks = Ticks::new(bus.ticks, arrivals, length, watch, tally.clone());

    let first: Vec<Box<dyn Agent>> = vec![Box::new(bus.sequencer), Box::new(witness), Box::new(strategies)];
    let (gateway, ticks): (Box<dyn Agent>, Box<dyn Agent>) = (Box::new(gateway), Box::new(ticks));
    let mut cores = vec![spawn(setup, 0, "sequencer", first)?];
    if setup.cpus.len() >= 3 {
        cores.push(spawn(setup, 1, "journal", vec![bus.journal])?);
        cores.push(spawn(setup, 2, "ticks", vec![gateway, ticks])?);
    } else {
        cores.push(spawn(setup, 1, "journal", vec![bus.journal, gateway, ticks])?);
    }
    finish(&bus.ring, cores, &tally, length)?;
    tally.seen()
}

/// The id of the orders' publisher.
const ORDERS: u16 = 2;

/// Describes which role runs on which CPU.
pub(crate) fn describe(setup: &BusSetup) -> String {
    let cpu = |index: usize| setup.cpus.get(index).map_or("any CPU".into(), |cpu| format!("CPU {cpu}"));
    let [first, second, third] = [0, 1, 2].map(cpu);
    if setup.cpus.len() >= 3 {
        format!("sequencer and strategy on {first}, journal on {second}, gateway and ticks on {third}")
    } else {
        format!("sequencer and strategy on {first}, journal, gateway and ticks on {second}")
    }
}

fn spawn(setup: &BusSetup, index: usize, name: &str, agents: Vec<Box<dyn Agent>>) -> io::Result<Core> {
    let idle = if setup.cpus.len() >= 2 { IdleStrategy::Spin } else { IdleStrategy::SpinYield { spins: 0 } };
    let cpu = setup.cpus.get(index).copied();
    Core::spawn(CoreOptions { name: name.into(), cpu, idle }, agents).map_err(io::Error::other)
}

/// Publishes limits, a price and the strategy before the threads start.
fn prelude(control: &mut Publisher, release: Watermark) -> io::Result<()> {
    let refused = |refusal| io::Error::other(format!("the bus refused an initial event: {refusal}"));
    for limit in checks::limits() {
        control.offer_message(&limit, NOT_RECEIVED).map_err(refused)?;
    }
    let account = AccountDefinition { account: 1.into(), ..AccountDefinition::NULL };
    control.offer_message(&account, NOT_RECEIVED).map_err(refused)?;
    let mut body = [0; 512];
    let body = checks::instrument_definition(1).encode(&mut body, []).expect("a definition without legs");
    control.offer(InstrumentDefinition::TEMPLATE_ID, body, NOT_RECEIVED).map_err(refused)?;
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

/// Waits until all ticks and orders have passed, and stops all threads in order.
fn finish(ring: &LogRing, cores: Vec<Core>, tally: &Tally, length: Duration) -> Result<(), ScenarioError> {
    let deadline = Instant::now() + length + STOP_MAX;
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        while !is_so() {
            if let Some(reason) = ring.poisoned() {
                return Err(io::Error::other(reason.to_owned()));
            }
            if cores.iter().any(Core::is_finished) || Instant::now() > deadline {
                return Err(io::Error::other(format!("a core ended or timed out while waiting for: {what}")));
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
