//! Opens one shard: reads its trail, opens its journal, composes its topology, and begins its epoch.

use super::earlier::EarlierSessions;
use crate::config::{Config, Credit, PublisherConfig, ShardPlan, Shards, StrategyConfig};
use crate::emergency::{EmergencyNote, LoggedNote};
use crate::failure::Failure;
use crate::flush::FlushPlan;
use crate::forwarding::{self, LinkPlan};
use crate::layout::Layout;
use crate::numbering::{publishers, sources};
use crate::prelude::{EpochStart, beginning_of_run, sha256, strategy, submit_snapshot};
use crate::sealer::SealPlan;
use crate::snapshots::SnapshotPlan;
use crate::topology::{ShardParts, Topology};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use stele_bus::{Clock as _, ControlPublisher, Counters, Grants, RingOptions, Timers, UtcClock, Watermark};
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
use stele_wire::messages::{CancelScope, Check};
use stele_wire::{Nanos, SCHEMA_TEXT, Sequence, ShardId};

/// A shard whose configuration is checked and whose trail is read. Nothing is written yet.
pub(super) struct Prepared<'a> {
    plan: &'a ShardPlan,
    /// The strategies that are registered with the program.
    registry: &'a Registry,
    strategies: Vec<PlannedStrategy<'a>>,
    release: Watermark,
    credit: Option<Credit>,
    paper: PaperOptions,
    earlier: EarlierSessions,
    follow: Option<TrailState>,
    seal: Option<SealPlan>,
    /// The last event that a checkpoint covers.
    sealed: Sequence,
    links: Vec<LinkPlan>,
}

/// A shard that is composed, and the first events of its epoch.
pub(super) struct Composed<'a> {
    plan: &'a ShardPlan,
    /// The links from other shards.
    pub(super) links: Vec<LinkPlan>,
    strategies: Vec<PlannedStrategy<'a>>,
    /// Strategies that continue with the state they had.
    resumable: BTreeSet<u16>,
    /// What strategies had sent before the process died and what is not on the log.
    unsent: Vec<StrategySubmission>,
    schemas: BTreeSet<[u8; 32]>,
    /// Limits of the configuration that are to be recorded on the log.
    limits: Vec<(Check, i64)>,
    /// Credit allotments that are to be recorded on the log.
    credit: Option<Credit>,
    recovery: RecoveryReport,
    /// The snapshot that the state was loaded from.
    snapshot: Option<UsedSnapshot>,
    notices: Vec<String>,
    now: Nanos,
}

/// A strategy that is to run, and its parameters, defaults included, as they are recorded on the log.
struct PlannedStrategy<'a> {
    id: u16,
    config: &'a StrategyConfig,
    parameters: String,
}

impl<'a> Prepared<'a> {
    /// Checks the configuration of the shard and reads its trail.
    ///
    /// # Errors
    /// [`Failure`]: the configuration is wrong, or the trail cannot be read or resumed.
    pub(super) fn read(
        config: &Config,
        plan: &'a ShardPlan,
        shards: &Shards,
        registry: &'a Registry,
        seal: Option<SealPlan>,
    ) -> Result<Self, Failure> {
        let strategies = plan.strategies.iter().map(|(id, strategy)| {
            let parameters = parameters_in_full(registry, strategy)?;
            Ok(PlannedStrategy { id: *id, config: strategy, parameters })
        });
        let strategies = strategies.collect::<Result<_, Failure>>()?;
        let release = config.venue.release()?;
        let paper = config.venue.paper(sources::VENUE)?;
        let credit = config.credit()?;
        let snapshots_wanted = snapshots_wanted(config)?;
        let mut earlier = EarlierSessions::read(&plan.directory, registry)?;
        let follow = snapshots_wanted.then(|| earlier.follow(registry)).transpose()?;
        let sealed = seal.as_ref().map(|seal| sealed(&plan.directory, seal)).transpose()?.unwrap_or_default();
        let links = forwarding::links(plan, shards, earlier.known())?;
        Ok(Self { plan, registry, strategies, release, credit, paper, earlier, follow, seal, sealed, links })
    }

    /// Returns what the trail defines: instruments, schemas, numbers. None where there is no trail.
    pub(super) fn known(&self) -> Option<&Definitions> {
        self.earlier.known()
    }

    /// Opens the journal and composes the shard. Its epoch [begins](Composed::begin) after the other shards
    /// are connected to it.
    ///
    /// # Errors
    /// [`Failure`]: the journal cannot be opened, or a part cannot be created.
    pub(super) fn compose(
        self,
        config: &Config,
        flush: &FlushPlan,
        layout: &Layout,
        counters: &Counters,
        sample_every: u32,
    ) -> Result<(Topology, Composed<'a>), Failure> {
        let Self { plan, registry, strategies, release, credit, paper, earlier, follow, seal, sealed, links } =
            self;
        let risk_limits = config.risk.limits()?;
        let options =
            JournalOptions { known_durable: sealed, ..journal_options(config, plan.id, flush, layout)? };
        let now = UtcClock::new().now();
        let opened = Journal::open(&plan.directory, &options, now).map_err(|error| match error {
            OpenError::Cut { .. } => Failure::not_so(error),
            error => Failure::environment(error),
        })?;
        let recovery = opened.recovery.clone();
        let snapshots = follow.map(|resume| SnapshotPlan {
            directory: plan.directory.clone(),
            resume,
            keep: config.snapshots.keep,
        });
        let mut exchange = match &earlier.resumed {
            Some(resumed) => PaperExchange::resume(paper, &resumed.open_orders, resumed.numbers),
            None => PaperExchange::new(paper),
        };
        let known = earlier.known().cloned().unwrap_or_default();
        let limits = limits_to_record(config, &known);
        let known_credit = earlier.resumed.iter().flat_map(|resumed| resumed.risk.allotments());
        let credit = credit.map(|credit| credit.changes(known_credit));
        let (mut host, unsent, risk, timers, doubts) = match earlier.resumed {
            Some(ResumedSession { host, unsent, risk, timers, open_orders, .. }) => {
                let doubts = open_orders.iter().map(OpenOrder::in_doubt).collect();
                let risk = risk.in_session(risk_limits).map_err(Failure::usage)?;
                (host, unsent, risk, timers, doubts)
            }
            None => {
                let risk = Risk::new(risk_limits);
                (Host::new(registry.clone()), Vec::new(), risk, Timers::new(), Vec::new())
            }
        };
        // Later the hot threads would allocate it, event by event.
        host.prepare(config.risk.instruments);
        exchange.prepare(config.risk.instruments);
        let resumable = resumable(&host, &strategies);
        let mut acts = notices_of_acts(&host, &strategies, &resumable);
        acts.extend(risk.engaged().map(notice_of_switch));
        let parts = ShardParts {
            id: plan.id,
            opened,
            ring: RingOptions { capacity: config.bus.ring_mib << 20, huge_pages: true },
            risk,
            timers,
            numbers: known.numbers.last,
            doubts,
            trail: plan.directory.clone(),
            outside: outside(config, plan.id)?,
            host,
            strategies: strategies.iter().map(|planned| (planned.id, planned.config.name.clone())).collect(),
            exchange,
            release,
            snapshots,
            seal: seal.map(|seal| (plan.directory.clone(), seal)),
            sample_every,
        };
        let topology = Topology::compose(parts, counters)?;
        let (mut notices, snapshot) = (earlier.notices, earlier.snapshot);
        notices.extend(acts);
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
    /// Puts the first events of the epoch on the log. Returns the notices to print, and the note of an
    /// emergency mass cancel that is now on the log.
    ///
    /// # Errors
    /// [`Failure`]: an event does not fit.
    pub(super) fn begin(
        self,
        config: &Config,
        topology: &mut Topology,
    ) -> Result<(Vec<String>, Option<LoggedNote>), Failure> {
        let Self { plan, strategies, resumable, unsent, recovery, snapshot, now, mut notices, .. } = self;
        let clock = UtcClock::new().status();
        let (configuration, start) = (config.render(), topology.start);
        let epoch = EpochStart { start: &start, recovery: &recovery, clock, now };
        let credit = self.credit.as_ref();
        let control = &mut topology.control;
        control.begin(&beginning_of_run(&epoch, &configuration, &self.schemas, self.limits, credit))?;
        if let Some(UsedSnapshot { standing, written, is_logged: false }) = &snapshot {
            submit_snapshot(control, standing, written);
        }
        let logged_note = record_emergency(plan, control, &recovery, &mut notices)?;
        for PlannedStrategy { id, config, parameters } in strategies {
            let is_resumed = resumable.contains(&id);
            control.start_strategy(&strategy(id, (&config.name, config.seed), &parameters, is_resumed))?;
        }
        topology.resubmit(unsent.iter().filter(|lost| resumable.contains(&lost.strategy)))?;
        topology.sequence_prelude()?;
        notices.extend(topology.notices.iter().map(EngineNotice::to_string));
        notices.extend(topology.not_shared.take());
        if !plan.is_only() {
            notices.iter_mut().for_each(|notice| *notice = format!("shard {}: {notice}", plan.id));
        }
        Ok((notices, logged_note))
    }
}

/// Records the emergency mass cancel of an earlier session, if there was one that is not on the log. Returns
/// its note, to be removed once the event is durable.
fn record_emergency(
    plan: &ShardPlan,
    control: &mut ControlPublisher,
    recovery: &RecoveryReport,
    notices: &mut Vec<String>,
) -> Result<Option<LoggedNote>, Failure> {
    let note = EmergencyNote::read(&plan.directory).unwrap_or_else(|what| {
        notices.push(what);
        None
    });
    let Some(note) = note else { return Ok(None) };
    control.publish_text(&note.event(recovery.last_sequence), note.sentence().as_bytes())?;
    notices.push(format!("when the trail was last written, {}", note.sentence()));
    Ok(Some(LoggedNote::of(&plan.directory)))
}

/// Returns the publishers in other processes that may submit to the shard: number, name and grants.
fn outside(config: &Config, shard: ShardId) -> Result<Vec<(u16, String, Grants)>, Failure> {
    let mut places: Vec<(u16, String, Grants)> = Vec::new();
    for publisher in &config.publisher {
        let PublisherConfig { id, name, shard: only, .. } = publisher;
        let grants = publisher.grants()?;
        let help = "choose another number from 100 to 999";
        if !(publishers::OUTSIDE..publishers::FORWARDER).contains(id) {
            return Err(Failure::usage(format!("[[publisher]] `{name}` has the id {id}")).help(help));
        }
        if places.iter().any(|(taken, ..)| taken == id) {
            return Err(Failure::usage(format!("two [[publisher]]s have the id {id}")).help(help));
        }
        if only.is_none_or(|only| only == shard.0) {
            places.push((*id, name.clone(), grants));
        }
    }
    Ok(places)
}

fn snapshots_wanted(config: &Config) -> Result<bool, Failure> {
    let snapshots = &config.snapshots;
    if snapshots.keep == 0 {
        return Err(Failure::usage("[snapshots] keep is 0")
            .help("give 1 or more; every = \"never\" takes no snapshots"));
    }
    match snapshots.every.as_str() {
        "roll" => Ok(true),
        "never" => Ok(false),
        other => Err(Failure::usage(format!("[snapshots] every is `{other}`")).help("one of roll, never")),
    }
}

/// Returns the last event that the trail's newest checkpoint covers. A log that ends before it is not
/// continued.
fn sealed(trail: &Path, seal: &SealPlan) -> Result<Sequence, Failure> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
    match sealed_events(&storage, seal.signer.public()) {
        Ok(events) => Ok(Sequence(events)),
        Err(error @ SealError::Rotated { .. }) => {
            Err(Failure::not_so(error).help("set [seal] key to the file of the key that replaced it"))
        }
        Err(error @ SealError::Checkpoint { .. }) => Err(Failure::not_so(error).help(
            "the trail was sealed with another key, or its checkpoint was altered: check it with `stele verify --key`",
        )),
        Err(error) => Err(Failure::environment(error)),
    }
}

/// Returns a strategy's parameters, defaults included, as they are recorded on the log.
fn parameters_in_full(registry: &Registry, strategy: &StrategyConfig) -> Result<String, Failure> {
    let kind = registry.find(&strategy.name).map_err(Failure::usage)?;
    let (parameters, _) = kind
        .start(&strategy.parameters.to_string())
        .map_err(|error| Failure::usage(format!("{}: {error}", strategy.name)).help(kind.describe()))?;
    Ok(parameters.to_toml())
}

/// Returns the strategies that continue with the state they had: those with the same name and the same
/// parameters that have not failed.
fn resumable(host: &Host, wanted: &[PlannedStrategy]) -> BTreeSet<u16> {
    let is_same = |wanted: &&PlannedStrategy| {
        host.strategies().any(|hosted| {
            hosted.id == wanted.id
                && hosted.state != StrategyState::Failed
                && hosted.standing.is_resumed_by(&wanted.config.name, &wanted.parameters)
        })
    };
    wanted.iter().filter(is_same).map(|wanted| wanted.id).collect()
}

/// Returns notices about what operators did to the strategies in earlier sessions and what still holds.
fn notices_of_acts(host: &Host, wanted: &[PlannedStrategy], resumable: &BTreeSet<u16>) -> Vec<String> {
    let mut notices = Vec::new();
    for PlannedStrategy { id, config, parameters } in wanted {
        let Some(hosted) = host.strategies().find(|hosted| hosted.id == *id) else { continue };
        let (name, standing) = (&config.name, hosted.standing);
        if resumable.contains(id) && standing.parameters != *parameters {
            notices.push(format!(
                "strategy {id} {name} continues with the parameters that an operator set (event {}); they hold until \
                 its configuration changes",
                standing.parameters_at
            ));
        }
        if let Some(since) = standing.paused_at {
            notices.push(format!(
                "strategy {id} {name} is paused by an operator (event {since}); `stele strategy resume` ends the pause"
            ));
        }
    }
    notices
}

/// The notice about a kill switch that is engaged since an earlier session.
fn notice_of_switch((scope, id): (CancelScope, u32)) -> String {
    let covered = if scope == CancelScope::ALL { "all orders".into() } else { format!("{scope} {id}") };
    format!(
        "a kill switch is engaged for {covered}: its orders are refused until `stele kill-switch --release`"
    )
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

/// Returns the limits of the configuration that differ from those that an earlier configuration recorded on
/// the log. So a limit that an event changed since stays in force until the configuration changes.
fn limits_to_record(config: &Config, known: &Definitions) -> Vec<(Check, i64)> {
    let risk = &config.risk;
    let limits =
        [(Check::ORDER_QUANTITY, risk.order_quantity_max as i64), (Check::NOTIONAL, risk.notional_limit())];
    limits.into_iter().filter(|(check, limit)| known.configured.get(&check.0) != Some(limit)).collect()
}
