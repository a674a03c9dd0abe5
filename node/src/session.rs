//! One run, from its configuration to its last durable event: opened, resumed, begun, watched, ended.

use crate::config::{Config, StrategyConfig};
use crate::failure::Failure;
use crate::feeds;
use crate::flush::FlushPlan;
use crate::layout::{Layout, allowed_cpus, disk_cpus};
use crate::live::grouped;
use crate::prelude::{Beginning, Hired, sha256};
use crate::progress::Progress;
use crate::signals::StopRequest;
use crate::snapshots::{Plan, SnapshotOutcome, Snapshots};
use crate::topology::{Parts, Running, Topology, publishers, sources};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::counters::table::{self, Definition};
use stele_bus::feed::FeedReport;
use stele_bus::{
    Clock as _, ConsumerProgress, Core, Idle, RingOptions, Risk, RiskLimits, Turns, UtcClock, Watermark,
};
use stele_journal::{EngineChoice, Journal, LockError, Notice, Options, SpaceWatch, TrailReader, WriterLock};
use stele_replay::follower::Taken;
use stele_replay::recall::{Recalled, UsedSnapshot, recall};
use stele_replay::resume::{Resume, Resumed};
use stele_replay::{FeeRate, FeeSchedule, Known, PaperExchange, PaperOptions};
use stele_strategies::agent::Outcome;
use stele_strategies::host::StrategyState;
use stele_strategies::{Host, Registry};
use stele_wire::messages::EndReason;
use stele_wire::{Quantity, SCHEMA_TEXT};

/// When a run ends by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// The market closes after this long.
    pub(crate) elapsed: Option<Duration>,
}

/// What the main thread sees of a run, some times a second.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Glance {
    pub(crate) elapsed: Duration,
    pub(crate) events: u64,
    pub(crate) orders: u64,
    pub(crate) fills: u64,
    pub(crate) published: u64,
    pub(crate) written: u64,
    pub(crate) durable: u64,
}

/// A session whose market is open.
pub(crate) struct Session {
    running: Running,
    pub(crate) layout: Layout,
    pub(crate) flush: FlushPlan,
    pub(crate) notices: Vec<String>,
    opened: Instant,
    /// Snapshots that are not on the log yet.
    untold: Vec<Taken>,
}

/// How a session ended; everything in it is durable.
pub(crate) struct Ended {
    pub(crate) reason: EndReason,
    /// How long the market was open.
    pub(crate) elapsed: Duration,
    /// What the feed read and what became of it.
    pub(crate) feed: FeedReport,
    /// Why the feed ended before its end, where it did.
    pub(crate) feed_failure: Option<String>,
    pub(crate) strategies: Outcome,
    /// Bytes of log of this epoch.
    pub(crate) log_bytes: u64,
    /// Snapshots that the trail does not name, and what went wrong with them.
    pub(crate) snapshots: SnapshotOutcome,
}

/// A poll of the running system.
const GLANCE_INTERVAL: Duration = Duration::from_millis(100);
/// What does not come to an end by then is stuck.
const STUCK: Duration = Duration::from_secs(30);
/// For this long the end of a run waits for the snapshot after its last event.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(2);

impl Session {
    /// Opens everything and starts the hot threads. Nothing is written before the configuration, the strategies
    /// and the feed are known to be good.
    pub(crate) fn open(config: &Config, sample_every: u32) -> Result<Self, Failure> {
        let registry = Registry::built_in();
        let strategies = config
            .strategy
            .iter()
            .map(|strategy| parameters_in_full(&registry, strategy))
            .collect::<Result<Vec<_>, _>>()?;
        let spec = feeds::spec(config)?;
        let pace = feeds::pace(&config.feed.pace)?;
        let idle = idle(&config.bus.idle)?;
        let release = release(&config.venue.release)?;
        let disk_cpus = disk_cpus(&config.trail.dir);
        let cpus = allowed_cpus();
        let layout = Layout::choose(&cpus, &disk_cpus, &config.cores);
        let ring = RingOptions { capacity: config.bus.ring_mib << 20, ..RingOptions::default() };

        let snapshots_wanted = snapshots_wanted(config)?;
        let mut past = Past::read(config, &registry)?;
        let follow = snapshots_wanted.then(|| past.follow(&registry)).transpose()?;
        let feed = feeds::open(&spec, config, past.known())?;
        let flush = FlushPlan::make(&config.journal, &config.trail.dir, &layout)?;
        let options = journal_options(config, &flush, &layout)?;
        let now = UtcClock::new().now();
        let opened = Journal::open(&config.trail.dir, &options, now).map_err(Failure::environment)?;
        let (recovery, start) = (opened.recovery.clone(), opened.start);
        let snapshots = follow.map(|resume| Plan {
            directory: config.trail.dir.clone(),
            resume,
            keep: config.snapshots.keep,
        });
        let paper = PaperOptions { source: sources::VENUE, fees: fees(config), ..PaperOptions::default() };
        let exchange = match &past.resumed {
            Some(resumed) => PaperExchange::resume(paper, &resumed.open_orders, resumed.numbers),
            None => PaperExchange::new(paper),
        };
        let (host, unsent, schemas) = match past.resumed {
            Some(resumed) => (resumed.host, resumed.unsent, resumed.known.schemas),
            None => (Host::new(registry), Vec::new(), BTreeSet::new()),
        };
        let resumable = resumable(&host, config, &strategies);
        let mut topology = Topology::compose(Parts {
            opened,
            ring,
            risk: risk(config),
            feed,
            pace,
            host,
            exchange,
            release,
            snapshots,
            sample_every,
        })?;
        let clock = UtcClock::new().status();
        let beginning =
            Beginning { config, start: &start, recovery: &recovery, schemas: &schemas, clock, now };
        topology.clerk.begin(&beginning)?;
        if let Some(UsedSnapshot { standing, written, is_told: false }) = &past.snapshot {
            topology.clerk.snapshot_taken(standing, written);
        }
        for (index, (strategy, parameters)) in config.strategy.iter().zip(strategies).enumerate() {
            let id = index as u16 + 1;
            topology.clerk.hire(&Hired {
                id,
                publisher: publishers::STRATEGIES,
                config: strategy,
                parameters,
                resumes: resumable.contains(&id),
            })?;
        }
        topology.clerk.resubmit(unsent.iter().filter(|lost| resumable.contains(&lost.strategy)))?;
        topology.sequence_prelude()?;
        let mut notices = past.notices;
        notices.extend(topology.notices.iter().map(Notice::to_string));
        notices.extend(layout.warnings.iter().cloned());
        let running = topology.spawn(&layout, idle)?;
        Ok(Self { running, layout, flush, notices, opened: Instant::now(), untold: Vec::new() })
    }

    /// How much room there is for more segments, where that is known.
    pub(crate) fn space(&self) -> Option<Arc<SpaceWatch>> {
        self.running.space.clone()
    }

    /// The epoch that the session writes.
    pub(crate) fn epoch(&self) -> u32 {
        self.running.start.identity.epoch.0
    }

    /// Watches until the market closes, somebody asks for the end, or something fails; then brings everything to
    /// an end: what was submitted is sequenced, what is sequenced is durable, and the last event says so.
    pub(crate) fn run(
        mut self,
        until: Until,
        stop: &StopRequest,
        mut on_glance: impl FnMut(&Glance),
    ) -> Result<Ended, Failure> {
        let reason = loop {
            sleep(GLANCE_INTERVAL);
            self.running.count_space_warnings();
            on_glance(&self.glance());
            self.tell_snapshots();
            if self.running.cores.iter().any(|core| core.is_finished()) {
                return Err(self.failure());
            }
            if self.running.player.is_done() {
                break EndReason::FINISHED;
            }
            let is_over = until.elapsed.is_some_and(|limit| self.opened.elapsed() >= limit);
            if stop.is_asked() || is_over {
                break EndReason::REQUESTED;
            }
        };
        self.end(reason)
    }

    /// Puts on the log what the snapshots' thread took. What is not told when the session ends, the next one tells.
    fn tell_snapshots(&mut self) {
        self.untold.extend(self.running.snapshots.iter().flat_map(Snapshots::taken));
        let clerk = &mut self.running.clerk;
        self.untold.retain(|taken| !clerk.snapshot_taken(&taken.standing, &taken.written));
    }

    fn end(mut self, reason: EndReason) -> Result<Ended, Failure> {
        let elapsed = self.opened.elapsed();
        self.running.player.request_stop();
        self.await_that("the feed stops", |session| session.running.player.is_done())?;
        self.await_quiet()?;
        let start = self.running.start;
        let feed_failure = self.running.player.failure().map(str::to_owned);
        let events = self.counted(table::EVENTS) + 1;
        let text = feed_failure.as_deref().unwrap_or_default();
        self.running.clerk.end(&start, reason, events, UtcClock::new().now(), text)?;
        self.running.ring.request_stop();
        self.await_that("the sequencer stops", |session| session.running.ring.is_stopped())?;
        self.await_that("everything is durable", |session| {
            let marks = session.running.ring.watermarks();
            marks.durable() == marks.published()
        })?;
        let log_bytes = self.running.ring.watermarks().durable().0 - start.position.0;
        self.running.cores.iter().for_each(|core| core.stop());
        for core in self.running.cores.drain(..) {
            core.join().map_err(Failure::environment)?;
        }
        let snapshots = self.running.snapshots.take();
        let snapshots = snapshots.map(|thread| thread.close(SNAPSHOT_PATIENCE)).unwrap_or_default();
        Ok(Ended {
            reason,
            elapsed,
            feed: self.running.player.report().cloned().expect("a player that is done has reported"),
            feed_failure,
            strategies: self.running.outcome.get().cloned().expect("an agent that stopped left its outcome"),
            log_bytes,
            snapshots,
        })
    }

    fn glance(&self) -> Glance {
        let marks = self.running.ring.watermarks();
        Glance {
            elapsed: self.opened.elapsed(),
            events: self.counted(table::EVENTS),
            orders: self.counted(table::VENUE_ORDERS),
            fills: self.counted(table::VENUE_FILLS),
            published: marks.published().0,
            written: marks.written().0,
            durable: marks.durable().0,
        }
    }

    fn counted(&self, definition: &'static Definition) -> u64 {
        self.running.counters.reader().value(definition, 0, 0)
    }

    /// Waits until every consumer has read everything and nothing new comes of it: each core has taken a whole turn in
    /// which it found nothing to do, and none has found anything since the first of them began.
    fn await_quiet(&mut self) -> Result<(), Failure> {
        let turns = |session: &Self| session.running.cores.iter().map(Core::turns).collect::<Vec<Turns>>();
        let mut seen = turns(self);
        self.await_that("the log becomes quiet", |session| {
            let published = session.running.ring.watermarks().published();
            let is_behind = |consumer: &ConsumerProgress| consumer.released() < published;
            let now = turns(session);
            let is_still = now.iter().zip(&seen).all(|(now, seen)| now.working == seen.working);
            if !is_still || session.running.consumers.iter().any(is_behind) {
                seen = now;
                return false;
            }
            // The first of two was perhaps under way when the count was taken.
            now.iter().zip(&seen).all(|(now, seen)| now.idle >= seen.idle + 2)
        })
    }

    fn await_that(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) -> Result<(), Failure> {
        let since = Instant::now();
        while !is_so(self) {
            if self.running.ring.poisoned().is_some()
                || self.running.cores.iter().any(|core| core.is_finished())
            {
                return Err(self.failure());
            }
            if since.elapsed() > STUCK {
                let what = format!("waited {} s until {what}", STUCK.as_secs());
                return Err(
                    Failure::environment(what).help("what is durable is intact; start again over the trail")
                );
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Why a core ended although nobody asked: stops the others, keeps what is durable.
    fn failure(&mut self) -> Failure {
        self.running.ring.request_stop();
        self.running.cores.iter().for_each(|core| core.stop());
        let results: Vec<_> = self.running.cores.drain(..).map(stele_bus::Core::join).collect();
        let poisoned = self.running.ring.poisoned().map(Failure::environment);
        let failed = results.into_iter().find_map(Result::err).map(Failure::environment);
        poisoned
            .or(failed)
            .unwrap_or_else(|| Failure::environment("a core stopped although nobody asked it to"))
            .help("everything acknowledged as durable is intact: `stele verify` shows it; start again over the trail")
    }
}

/// What an existing trail leaves to the new epoch.
#[derive(Default)]
struct Past {
    resumed: Option<Resumed>,
    /// The same state once more, for the thread that follows the trail.
    resume: Option<Resume>,
    /// The snapshot that the state began with.
    snapshot: Option<UsedSnapshot>,
    notices: Vec<String>,
}

impl Past {
    /// Reads the trail that the configuration names, if there is one and nobody writes it.
    fn read(config: &Config, registry: &Registry) -> Result<Self, Failure> {
        let dir = &config.trail.dir;
        // What is wrong with a trail is the journal's to say when it opens it.
        if TrailReader::open(dir).is_err() {
            return Ok(Self::default());
        }
        let _lock = WriterLock::take(dir, UtcClock::new().now()).map_err(|error| match error {
            LockError::Held(owner) => Failure::environment(format!(
                "{} is being written by another process ({owner})",
                dir.display()
            ))
            .help("stop that process, or choose another directory"),
            LockError::Io(error) => Failure::environment(format!("cannot lock {}: {error}", dir.display())),
        })?;
        let progress = Progress::new("resuming", "events", None);
        let since = Instant::now();
        let recalled = recall(dir, registry.clone(), |sequence| progress.set(sequence)).map_err(|error| {
            Failure::not_so(error).help(
                "`stele verify` and `stele check-strategy` say more; run the program that wrote the trail, or \
                 choose another directory",
            )
        })?;
        let notices = notices_of(&recalled, since.elapsed());
        let Recalled { resume, snapshot, .. } = recalled;
        let again = resume.fork(registry.clone()).ok();
        Ok(Self { resumed: Some(resume.finish()), resume: again, snapshot, notices })
    }

    fn known(&self) -> Option<&Known> {
        self.resumed.as_ref().map(|resumed| &resumed.known)
    }

    /// The state that the thread for snapshots begins with.
    fn follow(&mut self, registry: &Registry) -> Result<Resume, Failure> {
        match (self.resume.take(), &self.resumed) {
            (Some(resume), _) => Ok(resume),
            (None, None) => Ok(Resume::new(registry.clone())),
            (None, Some(_)) => {
                Err(Failure::environment("a strategy does not take the state that it told itself")
                    .help("set [snapshots] every = \"never\", and report it"))
            }
        }
    }
}

/// How the trail was read, for a person.
fn notices_of(recalled: &Recalled, elapsed: Duration) -> Vec<String> {
    let refused = recalled.refused.iter().map(|why| format!("a snapshot is passed over: {why}"));
    let (replayed, seconds) = (grouped(recalled.replayed), elapsed.as_secs_f64());
    let how = match &recalled.snapshot {
        Some(UsedSnapshot { standing, .. }) => format!(
            "goes on from the snapshot after segment {} (sequence {}): {replayed} events behind it replayed, {seconds:.2} s",
            standing.segment, standing.last_sequence
        ),
        None => format!("goes on from the whole trail: {replayed} events replayed, {seconds:.2} s"),
    };
    refused.chain([how]).collect()
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

/// A strategy's parameters with every default, as they go on the log.
fn parameters_in_full(registry: &Registry, strategy: &StrategyConfig) -> Result<String, Failure> {
    let kind = registry.find(&strategy.name).map_err(Failure::usage)?;
    let (parameters, _) = kind
        .start(&strategy.parameters.to_string())
        .map_err(|error| Failure::usage(format!("{}: {error}", strategy.name)).help(kind.describe()))?;
    Ok(parameters.to_toml())
}

/// Strategies that go on with the state they had: the same name and the same parameters, not failed.
fn resumable(host: &Host, config: &Config, parameters: &[String]) -> BTreeSet<u16> {
    let wanted = config.strategy.iter().zip(parameters).enumerate();
    let matching = wanted.filter(|(index, (strategy, parameters))| {
        host.strategies().any(|hosted| {
            usize::from(hosted.id) == index + 1
                && hosted.state != StrategyState::Failed
                && (hosted.name, hosted.definition) == (&strategy.name, parameters)
        })
    });
    matching.map(|(index, _)| index as u16 + 1).collect()
}

fn idle(name: &str) -> Result<Idle, Failure> {
    match name {
        "auto" | "yield" => Ok(Idle::SpinYield { spins: 100 }),
        "spin" => Ok(Idle::Spin),
        "back-off" => Ok(Idle::BACK_OFF),
        "park" => Ok(Idle::Park(Duration::from_micros(50))),
        other => Err(Failure::usage(format!("[bus] idle is `{other}`"))
            .help("one of auto, spin, yield, back-off, park")),
    }
}

fn release(name: &str) -> Result<Watermark, Failure> {
    match name {
        "published" => Ok(Watermark::Published),
        "written" => Ok(Watermark::Written),
        "durable" => Ok(Watermark::Durable),
        other => Err(Failure::usage(format!("[venue] release is `{other}`"))
            .help("one of published, written, durable")),
    }
}

fn journal_options(config: &Config, flush: &FlushPlan, layout: &Layout) -> Result<Options, Failure> {
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
    Ok(Options {
        engine,
        method: flush.method,
        yield_while_flushing: flush.yields,
        background_cpus: layout.background.cpus.clone(),
        free_space_warning: config.journal.free_space_warning_mib.map(|mib| mib << 20),
        segment_length: config.journal.segment_mib << 20,
        spare_segments: config.journal.spare_segments,
        schema: sha256(SCHEMA_TEXT.as_bytes()),
        ..Options::default()
    })
}

fn risk(config: &Config) -> Risk {
    Risk::new(RiskLimits {
        order_quantity_max: Some(Quantity(config.risk.order_quantity_max)),
        order_notional_max: Some(config.risk.notional_limit()),
        has_sealer: false,
        four_eyes: config.risk.four_eyes,
    })
}

fn fees(config: &Config) -> FeeSchedule {
    let rate = |basis_points: f64| match (basis_points * FeeRate::BASIS_POINT as f64).round() as i64 {
        0 => FeeRate::Free,
        rate => FeeRate::OfValue(rate),
    };
    FeeSchedule { maker: rate(config.venue.maker_fee_bp), taker: rate(config.venue.taker_fee_bp) }
}
