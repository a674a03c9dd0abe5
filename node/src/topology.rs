//! The whole running system on one page: every ring, publisher, consumer, agent and thread.
//!
//! ```text
//!  one shard
//!  feed ────────> publisher 2 ──┐                       ┌──> strategies ──> publisher 3 ──┐
//!  main thread ─> publisher 1 ──┤                       │                                 │
//!                               ├──> SEQUENCER ──> ring ┼──> order gateway ─> publisher 4 ┤
//!                               │                       │      └ paper exchange ─> pub. 5 ┤
//!                               └───────────────────────┼─────────────────────────────────┘
//!                                                       └──> journal ──> written, durable
//!
//!  trail, up to durable ──> snapshots (in the background) ──> snapshot files, their hashes to the main thread
//!  trail, up to durable ──> sealer (in the background) ──> tiles, checkpoints; moves sealed
//!
//!  several
//!  feed ──> router ──┬──> shard 1 ──> ring, up to durable ──┐
//!                    └──> shard 2 <── publisher 1000 … <── forwarder to shard 2
//! ```

use crate::failure::Failure;
use crate::forwarding::{LinkPlan, TrailOrigin, TrailPast};
use crate::gauges::{CoresGauges, ShardGauges};
use crate::layout::{Job, Layout};
use crate::numbering::publishers;
use crate::sealer::{SealPlan, SealerAgent, Seals};
use crate::shown;
use crate::snapshots::{Plan, SnapshotAgent, Snapshots};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use stele_bus::bounds::{PUBLISHER_WORDS_DEFAULT, SUBMISSION_WORDS_MAX};
use stele_bus::timers::TimerStop;
use stele_bus::{
    Agent, ConsumerProgress, ControlPublisher, Core, CoreOptions, Counters, Idle, LogRing, Publisher,
    RingOptions, Sequencer, SequencerStart, ShardDirectory, Timers, UtcClock, Watermark,
};
use stele_feed::forward::{Forwarder, GatedOrigin, Link, LinkStatus, Origin};
use stele_feed::router::{Destination, Router, Share};
use stele_feed::{Feed, Pace, Player, PlayerStatus};
use stele_journal::{EngineNotice, Journal, OpenedJournal, SpaceWatch};
use stele_risk::Risk;
use stele_strategies::agent::{AgentOptions, StrategyResultsSlot};
use stele_strategies::{Host, StrategyAgent};
use stele_venue::paper_exchange::PaperExchange;
use stele_venue::{OrderGateway, OrderInDoubt, PaperVenue};
use stele_wire::{Sequence, ShardId};

/// Words of the ring through which another process changes controls or records an access: some of the longest at once.
const CONTROLS_WORDS: usize = (4 * SUBMISSION_WORDS_MAX).next_power_of_two();

/// What a shard is made of.
pub(crate) struct Parts {
    pub(crate) id: ShardId,
    pub(crate) opened: OpenedJournal,
    pub(crate) ring: RingOptions,
    /// Where other processes find it.
    pub(crate) shown: Option<ShardDirectory>,
    /// Publishers in other processes.
    pub(crate) outside: Vec<(u16, String)>,
    pub(crate) risk: Risk,
    /// Timers of strategies that earlier sessions left pending.
    pub(crate) timers: Timers,
    /// The last number of each publisher in earlier sessions.
    pub(crate) numbers: BTreeMap<u16, u64>,
    /// Orders that earlier sessions left open: the venue is asked for each before anything new leaves.
    pub(crate) doubts: Vec<OrderInDoubt>,
    pub(crate) host: Host,
    pub(crate) exchange: PaperExchange,
    pub(crate) release: Watermark,
    /// Whether and how snapshots are taken.
    pub(crate) snapshots: Option<Plan>,
    /// Its trail, and what that is sealed with.
    pub(crate) seal: Option<(PathBuf, SealPlan)>,
    /// Of how many market events the latency to the strategies is measured.
    pub(crate) sample_every: u32,
}

/// A shard, made and connected, no thread started: the prelude goes in here.
pub(crate) struct Topology {
    pub(crate) id: ShardId,
    pub(crate) ring: LogRing,
    pub(crate) control: ControlPublisher,
    pub(crate) start: SequencerStart,
    pub(crate) notices: Vec<EngineNotice>,
    /// Why other processes cannot follow it.
    pub(crate) unshown: Option<String>,
    consumers: Vec<ConsumerProgress>,
    outcome: StrategyResultsSlot,
    sequencer: Sequencer<UtcClock>,
    journal: Journal,
    strategies: StrategyAgent<UtcClock>,
    gateway: OrderGateway<PaperVenue, UtcClock>,
    snapshots: Option<SnapshotAgent>,
    sealer: Option<SealerAgent>,
    feed: Publisher,
    /// What it is told of others.
    links: Vec<Link>,
}

/// The one feed, and the instruments of each shard.
pub(crate) struct FeedParts {
    pub(crate) feed: Box<dyn Feed>,
    pub(crate) pace: Pace,
    /// Of the shards of this process, in their order.
    pub(crate) shares: Vec<Share>,
    /// Of the shards of others.
    pub(crate) elsewhere: Vec<Share>,
}

/// The hot threads, and what the main thread sees of them.
pub(crate) struct Running {
    pub(crate) shards: Vec<RunningShard>,
    pub(crate) cores: Vec<Core>,
    gauges: CoresGauges,
    pub(crate) counters: Counters,
    pub(crate) player: Arc<PlayerStatus>,
    /// The background thread that seals every shard.
    pub(crate) seals: Option<Seals>,
}

/// What the main thread sees of one shard.
pub(crate) struct RunningShard {
    pub(crate) id: ShardId,
    pub(crate) ring: LogRing,
    pub(crate) control: ControlPublisher,
    pub(crate) start: SequencerStart,
    /// How much room there is for more segments, where that is known.
    pub(crate) space: Option<Arc<SpaceWatch>>,
    gauges: ShardGauges,
    /// Ends the firing of timers.
    pub(crate) timers: TimerStop,
    /// The gating consumers, the journal not counted.
    pub(crate) consumers: Vec<ConsumerProgress>,
    pub(crate) outcome: StrategyResultsSlot,
    /// What it is told of others, by their numbers.
    pub(crate) told: Vec<(ShardId, Arc<LinkStatus>)>,
    /// The background thread that takes snapshots.
    pub(crate) snapshots: Option<Snapshots>,
}

impl Topology {
    pub(crate) fn compose(parts: Parts, counters: &Counters) -> Result<Self, Failure> {
        let (start, shard) = (parts.opened.start, parts.id.0 as u16);
        let (ring, unshown) = shown::ring(parts.shown.as_ref(), &parts.ring, start.position)?;
        let mut sequencer = Sequencer::new(&start, ring.writer, UtcClock::new(), parts.risk)
            .map_err(|error| Failure::usage(error).help("see [journal] in `stele config`"))?
            .with_timers(parts.timers);
        sequencer.continue_numbering(parts.numbers);
        let (mut journal, notices) = parts.opened.attach(ring.journal).map_err(Failure::environment)?;
        journal.register_counters(counters, shard).map_err(Failure::environment)?;

        let mut publisher = |id, name| sequencer.publisher(id, name, PUBLISHER_WORDS_DEFAULT);
        let control = ControlPublisher::new(publisher(publishers::SESSION, "clerk"));
        let feed = publisher(publishers::FEED, "feed");
        let orders = publisher(publishers::STRATEGIES, "strategies");
        let releases = publisher(publishers::GATEWAY, "order gateway");
        let reports = publisher(publishers::VENUE, "paper exchange");
        if let Some(shown) = parts.shown.as_ref().filter(|_| unshown.is_none()) {
            let own = [(publishers::CONTROLS, "controls"), (publishers::AUDITORS, "auditors")];
            let own = own.map(|(id, name)| (id, name.to_owned(), CONTROLS_WORDS));
            let outside = parts.outside.into_iter().map(|(id, name)| (id, name, PUBLISHER_WORDS_DEFAULT));
            for (id, name, words) in outside.chain(own) {
                let path = shown.publisher(id);
                let made = sequencer.remote_publisher(&path, id, &name, words);
                made.map_err(|error| {
                    Failure::environment(format!("cannot make {}: {error}", path.display()))
                })?;
            }
        }
        let [decided, released, traded] =
            ["strategies", "order gateway", "paper exchange"].map(|name| sequencer.gating_consumer(name));
        let consumers = [&decided, &released, &traded].map(|consumer| consumer.progress()).into();

        let options = AgentOptions { sample_every: parts.sample_every, ..AgentOptions::default() };
        let mut strategies = StrategyAgent::new(options, parts.host, decided, orders, UtcClock::new());
        strategies.register_counters(counters, shard).map_err(Failure::environment)?;
        let outcome = strategies.results();
        let mut venue = PaperVenue::new(parts.exchange, traded, reports);
        venue.register_counters(counters, shard).map_err(Failure::environment)?;
        let mut gateway =
            OrderGateway::new("order gateway", released, releases, parts.release, venue, UtcClock::new())
                .with_orders_in_doubt(parts.doubts);
        gateway.register_counters(counters, shard).map_err(Failure::environment)?;
        let snapshots =
            parts.snapshots.map(|plan| SnapshotAgent::new(plan, ring.ring.clone(), counters, shard));
        let last = Sequence(start.next_sequence.0 - 1);
        let sealer = parts
            .seal
            .map(|(trail, plan)| SealerAgent::new(plan, trail, last, ring.seal, counters, shard))
            .transpose()?;
        Ok(Self {
            id: parts.id,
            ring: ring.ring,
            control,
            start,
            notices,
            unshown,
            consumers,
            outcome,
            sequencer,
            journal,
            strategies,
            gateway,
            snapshots: snapshots.transpose()?,
            sealer,
            feed,
            links: Vec::new(),
        })
    }

    /// Puts what the main thread submitted on the log, before any thread runs. What works although a kill switch is engaged
    /// is cancelled behind it.
    pub(crate) fn sequence_prelude(&mut self) -> Result<(), Failure> {
        while self.sequencer.do_work().map_err(Failure::environment)? > 0 {}
        self.sequencer.cancel_what_is_stopped();
        Ok(())
    }
}

/// Connects the shard at `to` with one that it is told of.
pub(crate) fn connect(shards: &mut [Topology], to: usize, plan: LinkPlan) -> Result<(), Failure> {
    let id = publishers::FORWARDER + shards[to].links.len() as u16;
    let publisher =
        shards[to].sequencer.publisher(id, &format!("shard {}", plan.from), PUBLISHER_WORDS_DEFAULT);
    let origin: Box<dyn Origin> = match plan.place {
        None => Box::new(TrailOrigin::new(plan.from, plan.trail, plan.taken)),
        Some(place) => {
            let origin = &mut shards[place];
            let (start, taken) = (origin.start, plan.taken(&origin.start)?);
            let consumer = origin.sequencer.gating_consumer("forwarder");
            origin.consumers.push(consumer.progress());
            let past = TrailPast::new(plan.from, plan.trail);
            Box::new(GatedOrigin::new(consumer, start.identity.epoch, start.next_sequence, taken, past))
        }
    };
    shards[to].links.push(Link::new(plan.from, origin, plan.wanted, publisher));
    Ok(())
}

/// Starts the threads that `layout` has, and those for snapshots on the CPUs that are left; nothing else in the program
/// starts a hot one.
pub(crate) fn spawn(
    shards: Vec<Topology>,
    feed: FeedParts,
    counters: Counters,
    layout: &Layout,
    idle: Idle,
) -> Result<Running, Failure> {
    let (mut agents, mut running, mut routes) = (Vec::<(Job, Box<dyn Agent>)>::new(), Vec::new(), Vec::new());
    let mut sealers = Vec::new();
    for (index, (mut shard, share)) in shards.into_iter().zip(feed.shares).enumerate() {
        // Now that every publisher is there.
        shard.sequencer.register_counters(&counters, shard.id.0 as u16).map_err(Failure::environment)?;
        routes.push((share, Destination::Here(shard.feed)));
        let (space, timers) = (shard.journal.space(), shard.sequencer.timer_stop());
        agents.push((Job::Sequencer(index), Box::new(shard.sequencer)));
        agents.push((Job::Strategies(index), Box::new(shard.strategies)));
        agents.push((Job::Gateway(index), Box::new(shard.gateway)));
        agents.push((Job::Journal(index), Box::new(shard.journal)));
        let told = shard.links.iter().map(|link| (link.shard(), link.status())).collect();
        if !shard.links.is_empty() {
            let forwarder = Forwarder::new(format!("forwarder to shard {}", shard.id), shard.links);
            agents.push((Job::Forwarder(index), Box::new(forwarder)));
        }
        let snapshots = shard.snapshots.map(|agent| agent.spawn(layout.background.clone())).transpose()?;
        sealers.extend(shard.sealer);
        let id = shard.id.0 as u16;
        let gauges = ShardGauges::register(&counters, id, &shard.ring, &shard.consumers, space.clone())?;
        running.push(RunningShard {
            id: shard.id,
            ring: shard.ring,
            control: shard.control,
            start: shard.start,
            space,
            gauges,
            timers,
            consumers: shard.consumers,
            outcome: shard.outcome,
            told,
            snapshots,
        });
    }
    routes.extend(feed.elsewhere.into_iter().map(|share| (share, Destination::Elsewhere)));
    let player = Player::new(feed.feed, Router::new(routes), UtcClock::new(), feed.pace);
    let player_status = player.status();
    agents.push((Job::Feed, Box::new(player)));

    let mut cores = Vec::with_capacity(layout.cores.len());
    for core in &layout.cores {
        let mine = core.jobs.iter().map(|job| {
            let index = agents.iter().position(|(own, _)| own == job).expect("a job is on one core");
            agents.swap_remove(index).1
        });
        let options = CoreOptions { name: core.name.clone(), cpu: core.cpu, idle: core.idle.unwrap_or(idle) };
        cores.push(Core::spawn(options, mine.collect()).map_err(Failure::environment)?);
    }
    assert!(agents.is_empty(), "every job is on a core");
    let cpus: Vec<Option<usize>> = layout.cores.iter().map(|core| core.cpu).collect();
    let gauges = CoresGauges::register(&counters, &cores, &cpus)?;
    let has_sealers = !sealers.is_empty();
    let seals = has_sealers.then(|| Seals::spawn(sealers, &layout.background)).transpose()?;
    Ok(Running { shards: running, cores, gauges, counters, player: player_status, seals })
}

impl Running {
    /// Shows in the counters how things stand.
    pub(crate) fn show(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.gauges.show());
        self.gauges.show(&self.cores);
    }
}
