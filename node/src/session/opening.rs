//! Opening one shard: its trail is read, its journal opened, everything of it composed, its epoch begun.

use super::past::Past;
use crate::config::{Config, Credit, PublisherConfig, ShardPlan, Shards, StrategyConfig};
use crate::failure::Failure;
use crate::flush::FlushPlan;
use crate::forwarding::{self, LinkPlan};
use crate::layout::Layout;
use crate::numbering::{publishers, sources};
use crate::prelude::{Epoch, beginning_of_run, resubmit, sha256, strategy, submit_snapshot};
use crate::sealer::SealPlan;
use crate::snapshots::Plan;
use crate::topology::{Parts, Topology};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use stele_bus::{BusDirectory, Clock as _, Counters, RingOptions, Timers, UtcClock, Watermark};
use stele_compliance::seal::SealError;
use stele_compliance::seal::sealing::sealed_events;
use stele_journal::{
    Directory, EngineChoice, EngineNotice, Journal, JournalOptions, OpenError, RecoveryReport, Storage,
};
use stele_replay::recall::UsedSnapshot;
use stele_replay::{Definitions, ResumedSession, StrategySubmission, TrailState};
use stele_risk::Risk;
use stele_strategies::host::StrategyState;
use stele_strategies::{Host, Registry};
use stele_venue::OpenOrder;
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_wire::messages::Check;
use stele_wire::{Nanos, SCHEMA_TEXT, Sequence, ShardId};

/// A shard that is known to be good, of which nothing is written yet.
pub(super) struct Prepared<'a> {
    plan: &'a ShardPlan,
    /// The strategies that the program knows.
    registry: &'a Registry,
    strategies: Vec<Wanted<'a>>,
    release: Watermark,
    credit: Option<Credit>,
    paper: PaperOptions,
    past: Past,
    follow: Option<TrailState>,
    seal: Option<SealPlan>,
    /// The last event under a checkpoint.
    sealed: Sequence,
    links: Vec<LinkPlan>,
}

/// A shard that is composed, and what its epoch is to begin with.
pub(super) struct Composed<'a> {
    plan: &'a ShardPlan,
    /// What it is told of others.
    pub(super) links: Vec<LinkPlan>,
    strategies: Vec<Wanted<'a>>,
    /// Strategies that go on with the state they had.
    resumable: BTreeSet<u16>,
    /// What was lost of them with the process.
    unsent: Vec<StrategySubmission>,
    schemas: BTreeSet<[u8; 32]>,
    /// Limits of the configuration that the log is to be told.
    limits: Vec<(Check, i64)>,
    /// Parts of credit that the log is to be told.
    credit: Option<Credit>,
    recovery: RecoveryReport,
    /// The snapshot that the state began with.
    snapshot: Option<UsedSnapshot>,
    notices: Vec<String>,
    now: Nanos,
}

/// A strategy that is to run, its parameters with every default as they go on the log.
struct Wanted<'a> {
    id: u16,
    config: &'a StrategyConfig,
    parameters: String,
}

impl<'a> Prepared<'a> {
    /// Checks what the configuration says of the shard and reads its trail.
    pub(super) fn read(
        config: &Config,
        plan: &'a ShardPlan,
        shards: &Shards,
        registry: &'a Registry,
        seal: Option<SealPlan>,
    ) -> Result<Self, Failure> {
        let strategies = plan.strategies.iter().map(|(id, strategy)| {
            let parameters = parameters_in_full(registry, strategy)?;
            Ok(Wanted { id: *id, config: strategy, parameters })
        });
        let strategies = strategies.collect::<Result<_, Failure>>()?;
        let release = config.venue.release()?;
        let paper = config.venue.paper(sources::VENUE)?;
        let credit = config.credit()?;
        let snapshots_wanted = snapshots_wanted(config)?;
        let mut past = Past::read(&plan.directory, registry)?;
        let follow = snapshots_wanted.then(|| past.follow(registry)).transpose()?;
        let sealed = seal.as_ref().map(|seal| sealed(&plan.directory, seal)).transpose()?.unwrap_or_default();
        let links = forwarding::links(plan, shards, past.known())?;
        Ok(Self { plan, registry, strategies, release, credit, paper, past, follow, seal, sealed, links })
    }

    /// What the trail has defined.
    pub(super) fn known(&self) -> Option<&Definitions> {
        self.past.known()
    }

    /// Opens the journal and composes the shard. Its epoch is to [begin](Composed::begin) once others are connected to it.
    pub(super) fn compose(
        self,
        config: &Config,
        flush: &FlushPlan,
        layout: &Layout,
        shown: (&Counters, Option<&BusDirectory>),
        sample_every: u32,
    ) -> Result<(Topology, Composed<'a>), Failure> {
        let (counters, directory) = shown;
        let Self { plan, registry, strategies, release, credit, paper, past, follow, seal, sealed, links } =
            self;
        let options =
            JournalOptions { known_durable: sealed, ..journal_options(config, plan.id, flush, layout)? };
        let now = UtcClock::new().now();
        let opened = Journal::open(&plan.directory, &options, now).map_err(|error| match error {
            OpenError::Cut { .. } => Failure::not_so(error),
            error => Failure::environment(error),
        })?;
        let recovery = opened.recovery.clone();
        let snapshots = follow.map(|resume| Plan {
            directory: plan.directory.clone(),
            resume,
            keep: config.snapshots.keep,
        });
        let exchange = match &past.resumed {
            Some(resumed) => PaperExchange::resume(paper, &resumed.open_orders, resumed.numbers),
            None => PaperExchange::new(paper),
        };
        let known = past.known().cloned().unwrap_or_default();
        let limits = limits_to_tell(config, &known);
        let known_credit = past.resumed.iter().flat_map(|resumed| resumed.risk.allotments());
        let credit = credit.map(|credit| credit.changes(known_credit));
        let (host, unsent, risk, timers, doubts) = match past.resumed {
            Some(ResumedSession { host, unsent, risk, timers, open_orders, .. }) => {
                let doubts = open_orders.iter().map(OpenOrder::in_doubt).collect();
                (host, unsent, risk.in_session(config.risk.limits()), timers, doubts)
            }
            None => {
                let risk = Risk::new(config.risk.limits());
                (Host::new(registry.clone()), Vec::new(), risk, Timers::new(), Vec::new())
            }
        };
        let resumable = resumable(&host, &strategies);
        let parts = Parts {
            id: plan.id,
            opened,
            ring: RingOptions { capacity: config.bus.ring_mib << 20, huge_pages: true },
            risk,
            timers,
            numbers: known.numbers.last,
            doubts,
            shown: directory.map(|directory| crate::shown::shard(directory, plan)).transpose()?,
            outside: outside(config, plan.id)?,
            host,
            exchange,
            release,
            snapshots,
            seal: seal.map(|seal| (plan.directory.clone(), seal)),
            sample_every,
        };
        let topology = Topology::compose(parts, counters)?;
        let (notices, snapshot) = (past.notices, past.snapshot);
        let composed = Composed {
            plan,
            links,
            strategies,
            resumable,
            unsent,
            schemas: known.schemas.hashes,
            limits,
            credit,
            recovery,
            snapshot,
            notices,
            now,
        };
        Ok((topology, composed))
    }
}

impl Composed<'_> {
    /// Puts on the log what the epoch begins with. Gives what a person should be told.
    pub(super) fn begin(self, config: &Config, topology: &mut Topology) -> Result<Vec<String>, Failure> {
        let Self { plan, strategies, resumable, unsent, recovery, snapshot, now, .. } = self;
        let clock = UtcClock::new().status();
        let (configuration, start) = (config.render(), topology.start);
        let epoch = Epoch { start: &start, recovery: &recovery, clock, now };
        let credit = self.credit.as_ref();
        let control = &mut topology.control;
        control.begin(&beginning_of_run(&epoch, &configuration, &self.schemas, self.limits, credit))?;
        if let Some(UsedSnapshot { standing, written, is_logged: false }) = &snapshot {
            submit_snapshot(control, standing, written);
        }
        for Wanted { id, config, parameters } in strategies {
            let is_resumed = resumable.contains(&id);
            control.start_strategy(&strategy(id, (&config.name, config.seed), &parameters, is_resumed))?;
        }
        resubmit(control, unsent.iter().filter(|lost| resumable.contains(&lost.strategy)))?;
        topology.sequence_prelude()?;
        let mut notices = self.notices;
        notices.extend(topology.notices.iter().map(EngineNotice::to_string));
        notices.extend(topology.unshown.take());
        if !plan.is_only() {
            notices.iter_mut().for_each(|notice| *notice = format!("shard {}: {notice}", plan.id));
        }
        Ok(notices)
    }
}

/// Publishers in other processes that the shard has a place for.
fn outside(config: &Config, shard: ShardId) -> Result<Vec<(u16, String)>, Failure> {
    let mut places: Vec<(u16, String)> = Vec::new();
    for PublisherConfig { id, name, shard: only } in &config.publisher {
        let help = "choose another number from 100 to 999";
        if !(publishers::OUTSIDE..publishers::FORWARDER).contains(id) {
            return Err(Failure::usage(format!("[[publisher]] {name} has the id {id}")).help(help));
        }
        if places.iter().any(|(taken, _)| taken == id) {
            return Err(Failure::usage(format!("two [[publisher]]s have the id {id}")).help(help));
        }
        if only.is_none_or(|only| only == shard.0) {
            places.push((*id, name.clone()));
        }
    }
    Ok(places)
}

fn snapshots_wanted(config: &Config) -> Result<bool, Failure> {
    let snapshots = &config.snapshots;
    if snapshots.keep == 0 {
        return Err(Failure::usage("[snapshots] keep is 0").help("1 or more; every = \"never\" takes none"));
    }
    match snapshots.every.as_str() {
        "roll" => Ok(true),
        "never" => Ok(false),
        other => Err(Failure::usage(format!("[snapshots] every is `{other}`")).help("one of roll, never")),
    }
}

/// The last event under the trail's newest checkpoint: a log that ends in front of it is not written on.
fn sealed(trail: &Path, seal: &SealPlan) -> Result<Sequence, Failure> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
    match sealed_events(&storage, seal.signer.public()) {
        Ok(events) => Ok(Sequence(events)),
        Err(error @ SealError::Rotated { .. }) => {
            Err(Failure::not_so(error).help("name the file of the key that took over in [seal] key"))
        }
        Err(error @ SealError::Checkpoint { .. }) => Err(Failure::not_so(error).help(
            "the trail was sealed with another key, or its checkpoint was altered: `stele verify --key`",
        )),
        Err(error) => Err(Failure::environment(error)),
    }
}

/// A strategy's parameters with every default, as they go on the log.
fn parameters_in_full(registry: &Registry, strategy: &StrategyConfig) -> Result<String, Failure> {
    let kind = registry.find(&strategy.name).map_err(Failure::usage)?;
    let (parameters, _) = kind
        .start(&strategy.parameters.to_string())
        .map_err(|error| Failure::usage(format!("{}: {error}", strategy.name)).help(kind.describe()))?;
    Ok(parameters.to_toml())
}

/// Strategies that go on with the state they had: the same name and the same parameters, not failed.
fn resumable(host: &Host, wanted: &[Wanted]) -> BTreeSet<u16> {
    let is_same = |wanted: &&Wanted| {
        host.strategies().any(|hosted| {
            hosted.id == wanted.id
                && hosted.state != StrategyState::Failed
                && (hosted.name, hosted.definition) == (&*wanted.config.name, &*wanted.parameters)
        })
    };
    wanted.iter().filter(is_same).map(|wanted| wanted.id).collect()
}

fn journal_options(
    config: &Config,
    shard: ShardId,
    flush: &FlushPlan,
    layout: &Layout,
) -> Result<JournalOptions, Failure> {
    let engine = match config.journal.engine.as_str() {
        "auto" => EngineChoice::Auto,
        "io-uring" => EngineChoice::Uring,
        "plain" => EngineChoice::Plain,
        other => {
            return Err(
                Failure::usage(format!("[journal] engine is `{other}`")).help("one of auto, io-uring, plain")
            );
        }
    };
    Ok(JournalOptions {
        shard,
        engine,
        method: flush.method,
        yield_while_flushing: flush.yields,
        background_cpus: layout.background.cpus.clone(),
        free_space_warning: config.journal.free_space_warning_mib.map(|mib| mib << 20),
        segment_length: config.journal.segment_mib << 20,
        spare_segments: config.journal.spare_segments,
        schema: sha256(SCHEMA_TEXT.as_bytes()),
        ..JournalOptions::default()
    })
}

/// A limit of the configuration is told when the log has not been told the same before: one that was changed by an
/// event since stays as it was changed, until somebody changes the configuration.
fn limits_to_tell(config: &Config, known: &Definitions) -> Vec<(Check, i64)> {
    let risk = &config.risk;
    let limits =
        [(Check::ORDER_QUANTITY, risk.order_quantity_max as i64), (Check::NOTIONAL, risk.notional_limit())];
    limits.into_iter().filter(|(check, limit)| known.configured.get(&check.0) != Some(limit)).collect()
}
