//! The topology of the running system: every ring, publisher, consumer, agent and thread.
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
//!  other processes ──> door (in the background) ──> publishers 6 and 7; ports of publishers 100 …
//!  trail, up to durable ──> snapshots (in the background) ──> snapshot files; hashes to the main thread
//!  trail, up to durable ──> sealer (in the background) ──> tiles, checkpoints; moves sealed
//!
//!  several shards
//!  feed ──> router ──┬──> shard 1 ──> ring, up to durable ──┐
//!                    └──> shard 2 <── publisher 1000 … <── forwarder to shard 2
//! ```

use crate::door;
use crate::failure::Failure;
use crate::forwarding::{LinkPlan, TrailOrigin, TrailPast};
use crate::gauges::{CoresGauges, ShardGauges};
use crate::layout::{Job, Layout};
use crate::numbering::publishers;
use crate::sealer::{SealPlan, SealerAgent, Seals};
use crate::snapshots::{SnapshotAgent, SnapshotPlan, Snapshots};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use stele_bus::bounds::{PUBLISHER_WORDS_DEFAULT, SUBMISSION_WORDS_MAX};
use stele_bus::timers::TimerStop;
use stele_bus::{
    Agent, ConsumerProgress, ControlPublisher, Core, CoreOptions, Counters, Grants, IdleStrategy, LogRing,
    Publisher, RingOptions, Sequencer, SequencerStart, Timers, UtcClock, Watermark,
};
use stele_door::ServedShard;
use stele_feed::forward::{ForwardLink, ForwardLinkStatus, Forwarder, GatedOrigin, Origin};
use stele_feed::router::{Router, ShardInstruments, ShardLocation};
use stele_feed::{Feed, Pace, Player, PlayerStatus};
use stele_journal::{EngineNotice, Journal, OpenedJournal, SpaceWatch};
use stele_replay::StrategySubmission;
use stele_risk::Risk;
use stele_strategies::agent::{AgentOptions, StrategyResultsSlot};
use stele_strategies::{Host, StrategyAgent};
use stele_venue::paper_exchange::PaperExchange;
use stele_venue::{EmergencyControl, OrderGateway, OrderInDoubt, PaperVenue};
use stele_wire::messages::GrantGroups;
use stele_wire::{Sequence, ShardId};

/// The length in words of the ring through which the door submits changes of controls, or records of access.
/// It holds several of the longest submissions.
const CONTROLS_WORDS: usize = (4 * SUBMISSION_WORDS_MAX).next_power_of_two();

/// The parts that a shard is composed of.
pub(crate) struct ShardParts {
    pub(crate) id: ShardId,
    pub(crate) opened: OpenedJournal,
    pub(crate) ring: RingOptions,
    /// The directory of its trail.
    pub(crate) trail: PathBuf,
    /// Publishers in other processes, with what each may submit.
    pub(crate) outside: Vec<(u16, String, Grants)>,
    pub(crate) risk: Risk,
    /// The pending timers of strategies from earlier sessions.
    pub(crate) timers: Timers,
    /// The last number of each publisher in earlier sessions.
    pub(crate) numbers: BTreeMap<u16, u64>,
    /// The open orders of earlier sessions. The venue is asked about each before any new order leaves.
    pub(crate) doubts: Vec<OrderInDoubt>,
    pub(crate) host: Host,
    /// The number and name of each strategy that is to run.
    pub(crate) strategies: Vec<(u16, String)>,
    pub(crate) exchange: PaperExchange,
    pub(crate) release: Watermark,
    /// How snapshots are taken; none: no snapshots.
    pub(crate) snapshots: Option<SnapshotPlan>,
    /// Its trail, and how that is sealed; none: it is not sealed.
    pub(crate) seal: Option<(PathBuf, SealPlan)>,
    /// The latency to the strategies is measured for one of so many market events.
    pub(crate) sample_every: u32,
}

/// A shard that is composed and connected, with no thread started. Its first events are put on its log in
/// this state.
pub(crate) struct Topology {
    pub(crate) id: ShardId,
    pub(crate) ring: LogRing,
    pub(crate) control: ControlPublisher,
    pub(crate) start: SequencerStart,
    pub(crate) notices: Vec<EngineNotice>,
    /// Why other processes cannot read its ring, where they cannot.
    pub(crate) not_shared: Option<String>,
    consumers: Vec<ConsumerProgress>,
    outcome: StrategyResultsSlot,
    sequencer: Sequencer<UtcClock>,
    journal: Journal,
    strategies: StrategyAgent<UtcClock>,
    gateway: OrderGateway<PaperVenue, UtcClock>,
    snapshots: Option<SnapshotAgent>,
    sealer: Option<SealerAgent>,
    feed: Publisher,
    /// What other processes get of it.
    served: ServedShard,
    /// The links from other shards.
    links: Vec<ForwardLink>,
}

/// The one feed, and the instruments of each shard.
pub(crate) struct FeedParts {
    pub(crate) feed: Box<dyn Feed>,
    pub(crate) pace: Pace,
    /// The instruments of the shards of this process, in the order of the shards.
    pub(crate) shares: Vec<ShardInstruments>,
    /// The instruments of the shards of other processes.
    pub(crate) elsewhere: Vec<ShardInstruments>,
}

/// The running threads, and their status for the main thread.
pub(crate) struct Running {
    pub(crate) shards: Vec<RunningShard>,
    pub(crate) cores: Vec<Core>,
    gauges: CoresGauges,
    pub(crate) counters: Counters,
    pub(crate) player: Arc<PlayerStatus>,
    /// The background thread that seals every shard.
    pub(crate) seals: Option<Seals>,
    /// What other processes get of each shard, until the door takes it.
    pub(crate) served: Vec<ServedShard>,
}

/// The status of one running shard for the main thread.
pub(crate) struct RunningShard {
    pub(crate) id: ShardId,
    pub(crate) ring: LogRing,
    pub(crate) control: ControlPublisher,
    pub(crate) start: SequencerStart,
    /// The watch of the free space for segments, where there is one.
    pub(crate) space: Option<Arc<SpaceWatch>>,
    gauges: ShardGauges,
    /// Ends the firing of timers.
    pub(crate) timers: TimerStop,
    /// The gating consumers, without the journal.
    pub(crate) consumers: Vec<ConsumerProgress>,
    pub(crate) outcome: StrategyResultsSlot,
    /// Demands an emergency mass cancel, and reports what became of one.
    pub(crate) emergency: EmergencyControl,
    /// The status of each link from another shard.
    pub(crate) forwarded: Vec<(ShardId, Arc<ForwardLinkStatus>)>,
    /// The background thread that takes snapshots.
    pub(crate) snapshots: Option<Snapshots>,
}

impl Topology {
    /// Creates the ring, the publishers, the consumers and the agents of a shard.
    ///
    /// # Errors
    /// [`Failure`]: a ring cannot be created, or counters cannot be registered.
    pub(crate) fn compose(parts: ShardParts, counters: &Counters) -> Result<Self, Failure> {
        let (start, shard) = (parts.opened.start, parts.id.0 as u16);
        let (ring, not_shared) = door::ring(&parts.ring, start.position)?;
        let mut sequencer = Sequencer::new(&start, ring.writer, UtcClock::new(), parts.risk)
            .map_err(|error| Failure::usage(error).help("see [journal] in `stele config`"))?
            .with_timers(parts.timers);
        sequencer.continue_numbering(parts.numbers);
        let (mut journal, notices) = parts.opened.attach(ring.journal).map_err(Failure::environment)?;
        journal.register_counters(counters, shard).map_err(Failure::environment)?;

        let mut publisher =
            |id, name, grants: Grants| sequencer.publisher(id, name, PUBLISHER_WORDS_DEFAULT, grants);
        let control = ControlPublisher::new(publisher(publishers::SESSION, "session", Grants::session()));
        let feed = publisher(publishers::FEED, "feed", Grants::market());
        let strategies = GrantGroups::ORDERS | GrantGroups::STRATEGY_OWN;
        let orders = publisher(publishers::STRATEGIES, "strategies", strategies.into());
        let gateway = GrantGroups::RELEASE | GrantGroups::REPORTS;
        let releases = publisher(publishers::GATEWAY, "order gateway", gateway.into());
        let reports = publisher(publishers::VENUE, "paper exchange", Grants::venue());
        let outside = parts.outside.into_iter();
        let ports = outside
            .map(|(id, name, grants)| sequencer.remote_publisher(id, &name, PUBLISHER_WORDS_DEFAULT, grants))
            .collect();
        let mut operator = |id, name| sequencer.publisher(id, name, CONTROLS_WORDS, GrantGroups::OPERATOR);
        let served = ServedShard {
            id: parts.id.0,
            ring: ring.ring.clone(),
            trail: parts.trail,
            controls: Some(operator(publishers::CONTROLS, "controls")),
            auditors: Some(operator(publishers::AUDITORS, "auditors")),
            ports,
        };
        let [decided, released, traded] =
            ["strategies", "order gateway", "paper exchange"].map(|name| sequencer.gating_consumer(name));
        let consumers = [&decided, &released, &traded].map(|consumer| consumer.progress()).into();

        let options = AgentOptions { sample_every: parts.sample_every, ..AgentOptions::default() };
        let mut strategies = StrategyAgent::new(options, parts.host, decided, orders, UtcClock::new());
        strategies.register_counters(counters, shard, &parts.strategies).map_err(Failure::environment)?;
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
            not_shared,
            consumers,
            outcome,
            sequencer,
            journal,
            strategies,
            gateway,
            snapshots: snapshots.transpose()?,
            sealer,
            feed,
            served,
            links: Vec::new(),
        })
    }

    /// Submits what resumed strategies had sent in the epoch before and what was lost with its process,
    /// before the strategies send anything new. It is submitted as theirs.
    pub(crate) fn resubmit<'a>(
        &mut self,
        mut unsent: impl Iterator<Item = &'a StrategySubmission>,
    ) -> Result<(), Failure> {
        self.sequence()?;
        unsent.try_for_each(|submission| {
            let offered = self.strategies.resubmit(submission.template_id, &submission.body);
            offered.map_err(|refusal| Failure::environment(format!("an unsent order: {refusal}")))?;
            self.sequence()
        })
    }

    fn sequence(&mut self) -> Result<(), Failure> {
        while self.sequencer.do_work().map_err(Failure::environment)? > 0 {}
        Ok(())
    }

    /// Puts what the main thread submitted on the log, before any thread runs. Orders that are open although
    /// a kill switch is engaged are cancelled after it.
    pub(crate) fn sequence_prelude(&mut self) -> Result<(), Failure> {
        self.sequence()?;
        self.sequencer.cancel_switched_orders();
        Ok(())
    }
}

/// Connects the shard at the index `to` to one that forwards events to it.
///
/// # Errors
/// [`Failure`]: the origin's trail ends before the last event that was forwarded.
pub(crate) fn connect(shards: &mut [Topology], to: usize, plan: LinkPlan) -> Result<(), Failure> {
    let id = publishers::FORWARDER + shards[to].links.len() as u16;
    let name = format!("shard {}", plan.from);
    let publisher = shards[to].sequencer.publisher(id, &name, PUBLISHER_WORDS_DEFAULT, GrantGroups::MARKET);
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
    shards[to].links.push(ForwardLink::new(plan.from, origin, plan.wanted, publisher));
    Ok(())
}

/// Starts the hot threads of `layout` and the background threads for snapshots and seals. No other function
/// starts a hot thread.
///
/// # Errors
/// [`Failure`]: a thread cannot be started, or counters cannot be registered.
pub(crate) fn spawn(
    shards: Vec<Topology>,
    feed: FeedParts,
    counters: Counters,
    layout: &Layout,
    idle: IdleStrategy,
) -> Result<Running, Failure> {
    let (mut agents, mut running, mut routes) = (Vec::<(Job, Box<dyn Agent>)>::new(), Vec::new(), Vec::new());
    let (mut sealers, mut served) = (Vec::new(), Vec::new());
    for (index, (mut shard, share)) in shards.into_iter().zip(feed.shares).enumerate() {
        // Every publisher is registered by now.
        shard.sequencer.register_counters(&counters, shard.id.0 as u16).map_err(Failure::environment)?;
        routes.push((share, ShardLocation::Local(shard.feed)));
        let (space, timers) = (shard.journal.space(), shard.sequencer.timer_stop());
        agents.push((Job::Sequencer(index), Box::new(shard.sequencer)));
        agents.push((Job::Strategies(index), Box::new(shard.strategies)));
        let emergency = shard.gateway.emergency();
        agents.push((Job::Gateway(index), Box::new(shard.gateway)));
        agents.push((Job::Journal(index), Box::new(shard.journal)));
        let forwarded = shard.links.iter().map(|link| (link.shard(), link.status())).collect();
        if !shard.links.is_empty() {
            let forwarder = Forwarder::new(format!("forwarder to shard {}", shard.id), shard.links);
            agents.push((Job::Forwarder(index), Box::new(forwarder)));
        }
        let snapshots = shard.snapshots.map(|agent| agent.spawn(layout.background.clone())).transpose()?;
        sealers.extend(shard.sealer);
        served.push(shard.served);
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
            emergency,
            forwarded,
            snapshots,
        });
    }
    routes.extend(feed.elsewhere.into_iter().map(|share| (share, ShardLocation::Remote)));
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
    Ok(Running { shards: running, cores, gauges, counters, player: player_status, seals, served })
}

impl Running {
    /// Updates the counters.
    pub(crate) fn show(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.gauges.show());
        self.gauges.show(&self.cores);
    }
}
