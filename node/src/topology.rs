//! The whole running system on one page: every ring, publisher, consumer, agent and thread.
//!
//! ```text
//!  feed ────────> publisher 2 ──┐                       ┌──> strategies ──> publisher 3 ──┐
//!  clerk (main) > publisher 1 ──┤                       │                                 │
//!                               ├──> SEQUENCER ──> ring ┼──> order gateway ─> publisher 4 ┤
//!                               │                       │      └ paper exchange ─> pub. 5 ┤
//!                               └───────────────────────┼─────────────────────────────────┘
//!                                                       └──> journal ──> written, durable
//!
//!  trail, up to durable ──> snapshots (in the background) ──> snapshot files, their hashes to the clerk
//! ```

use crate::failure::Failure;
use crate::layout::{Job, Layout};
use crate::prelude::Clerk;
use crate::snapshots::{Plan, SnapshotAgent, Snapshots};
use std::sync::Arc;
use stele_bus::bounds::PUBLISHER_WORDS_DEFAULT;
use stele_bus::counters::table;
use stele_bus::feed::{Feed, Pace};
use stele_bus::gateway::OrderGateway;
use stele_bus::player::{Player, PlayerStatus};
use stele_bus::{
    Agent, ConsumerProgress, Core, CoreOptions, Counter, Counters, Idle, LogRing, Place, RingOptions, Risk,
    Sequencer, SequencerStart, UtcClock, Watermark,
};
use stele_journal::{Journal, Notice, Opened, SpaceWatch};
use stele_replay::{PaperExchange, PaperVenue};
use stele_strategies::agent::{AgentOptions, OutcomeSlot};
use stele_strategies::{Host, StrategyAgent};

/// Publishers, by the number that stands in their events; 0 is the sequencer itself.
pub(crate) mod publishers {
    pub(crate) const CLERK: u16 = 1;
    pub(crate) const FEED: u16 = 2;
    pub(crate) const STRATEGIES: u16 = 3;
    pub(crate) const GATEWAY: u16 = 4;
    pub(crate) const VENUE: u16 = 5;
}

/// Sources, by the number that stands in their events. A feed may use the numbers after its own.
pub(crate) mod sources {
    pub(crate) const FEED: u16 = 1;
    pub(crate) const VENUE: u16 = 60_000;
}

/// What the system is made of.
pub(crate) struct Parts {
    pub(crate) opened: Opened,
    pub(crate) ring: RingOptions,
    pub(crate) risk: Risk,
    pub(crate) feed: Box<dyn Feed>,
    pub(crate) pace: Pace,
    pub(crate) host: Host,
    pub(crate) exchange: PaperExchange,
    pub(crate) release: Watermark,
    /// Whether and how snapshots are taken.
    pub(crate) snapshots: Option<Plan>,
    /// Of how many market events the latency to the strategies is measured.
    pub(crate) sample_every: u32,
}

/// Everything made and connected, no thread started: the prelude goes in here.
pub(crate) struct Topology {
    pub(crate) ring: LogRing,
    pub(crate) clerk: Clerk,
    pub(crate) start: SequencerStart,
    pub(crate) notices: Vec<Notice>,
    counters: Counters,
    space_warnings: Counter,
    consumers: Vec<ConsumerProgress>,
    player_status: Arc<PlayerStatus>,
    outcome: OutcomeSlot,
    sequencer: Sequencer<UtcClock>,
    journal: Journal,
    strategies: StrategyAgent<UtcClock>,
    gateway: OrderGateway<PaperVenue, UtcClock>,
    player: Player<UtcClock>,
    snapshots: Option<SnapshotAgent>,
}

/// The hot threads, and what the main thread sees of them.
pub(crate) struct Running {
    pub(crate) ring: LogRing,
    pub(crate) clerk: Clerk,
    pub(crate) start: SequencerStart,
    pub(crate) cores: Vec<Core>,
    pub(crate) counters: Counters,
    /// How much room there is for more segments, where that is known.
    pub(crate) space: Option<Arc<SpaceWatch>>,
    space_warnings: Counter,
    pub(crate) player: Arc<PlayerStatus>,
    /// The gating consumers, the journal not counted.
    pub(crate) consumers: Vec<ConsumerProgress>,
    pub(crate) outcome: OutcomeSlot,
    /// The background thread that takes snapshots.
    pub(crate) snapshots: Option<Snapshots>,
}

impl Topology {
    pub(crate) fn compose(parts: Parts) -> Result<Self, Failure> {
        let start = parts.opened.start;
        let ring = LogRing::create(&parts.ring, start.position).map_err(Failure::environment)?;
        let mut sequencer = Sequencer::new(&start, ring.writer, UtcClock::new(), parts.risk)
            .map_err(|error| Failure::usage(error).help("see [journal] in `stele config`"))?;
        let counters = Counters::create()
            .map_err(|error| Failure::environment(format!("cannot map the counters: {error}")))?;
        let space_warnings =
            counters.register(table::FREE_SPACE_WARNINGS, Place::shard(0)).map_err(Failure::environment)?;
        let (journal, notices) = parts.opened.attach(ring.journal).map_err(Failure::environment)?;

        let mut publisher = |id, name| sequencer.publisher(id, name, PUBLISHER_WORDS_DEFAULT);
        let clerk = Clerk::new(publisher(publishers::CLERK, "clerk"));
        let feed = publisher(publishers::FEED, "feed");
        let orders = publisher(publishers::STRATEGIES, "strategies");
        let releases = publisher(publishers::GATEWAY, "order gateway");
        let reports = publisher(publishers::VENUE, "paper exchange");
        sequencer.count_in(&counters, 0).map_err(Failure::environment)?;
        let [decided, released, traded] = [(); 3].map(|()| sequencer.gating_consumer());
        let consumers = [&decided, &released, &traded].map(|consumer| consumer.progress()).into();

        let options = AgentOptions { sample_every: parts.sample_every, ..AgentOptions::default() };
        let strategies = StrategyAgent::new(options, parts.host, decided, orders, UtcClock::new());
        let outcome = strategies.outcome();
        let mut venue = PaperVenue::new(parts.exchange, traded, reports);
        venue.count_in(&counters, 0).map_err(Failure::environment)?;
        let gateway =
            OrderGateway::new("order gateway", released, releases, parts.release, venue, UtcClock::new());
        let player = Player::new(parts.feed, feed, UtcClock::new(), parts.pace);
        let player_status = player.status();
        let snapshots =
            parts.snapshots.map(|plan| SnapshotAgent::new(plan, ring.ring.clone(), &counters)).transpose()?;
        Ok(Self {
            ring: ring.ring,
            clerk,
            start,
            notices,
            counters,
            space_warnings,
            consumers,
            player_status,
            outcome,
            sequencer,
            journal,
            strategies,
            gateway,
            player,
            snapshots,
        })
    }

    /// Puts what the clerk submitted on the log, before any thread runs.
    pub(crate) fn sequence_prelude(&mut self) -> Result<(), Failure> {
        while self.sequencer.do_work().map_err(Failure::environment)? > 0 {}
        Ok(())
    }

    /// Starts the threads that `layout` has, and the one for snapshots on those of `cpus` that are left; nothing else
    /// in the program starts a hot one.
    pub(crate) fn spawn(self, layout: &Layout, idle: Idle) -> Result<Running, Failure> {
        let space = self.journal.space();
        let mut agents: Vec<(Job, Box<dyn Agent>)> = vec![
            (Job::Sequencer, Box::new(self.sequencer)),
            (Job::Strategies, Box::new(self.strategies)),
            (Job::Journal, Box::new(self.journal)),
            (Job::Gateway, Box::new(self.gateway)),
            (Job::Feed, Box::new(self.player)),
        ];
        let mut cores = Vec::with_capacity(layout.cores.len());
        for core in &layout.cores {
            let mine = core.jobs.iter().map(|job| {
                let index = agents.iter().position(|(own, _)| own == job).expect("a job is on one core");
                agents.swap_remove(index).1
            });
            let options = CoreOptions { name: core.name.into(), cpu: core.cpu, idle };
            cores.push(Core::spawn(options, mine.collect()).map_err(Failure::environment)?);
        }
        assert!(agents.is_empty(), "every job is on a core");
        let snapshots = self.snapshots.map(|agent| agent.spawn(layout.background.clone())).transpose()?;
        Ok(Running {
            ring: self.ring,
            clerk: self.clerk,
            start: self.start,
            cores,
            counters: self.counters,
            space,
            space_warnings: self.space_warnings,
            consumers: self.consumers,
            player: self.player_status,
            outcome: self.outcome,
            snapshots,
        })
    }
}

impl Running {
    /// Shows in its counter how often free space became scarce.
    pub(crate) fn count_space_warnings(&mut self) {
        let warnings = self.space.as_ref().map_or(0, |space| space.warnings());
        self.space_warnings.set(warnings);
    }
}
