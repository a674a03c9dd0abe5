//! One run, from its configuration to its last durable event: opened, resumed, begun, watched, ended.

mod opening;
mod past;

use crate::config::{Config, Instruments, ShardPlan};
use crate::failure::Failure;
use crate::feeds;
use crate::flush::FlushPlan;
use crate::keeper::{KeepOutcome, Keeper};
use crate::layout::{Layout, allowed_cpus, disk_cpus, idle};
use crate::metrics::MetricsServer;
use crate::prelude::{self, submit_snapshot};
use crate::sealer::{SealOutcome, Seals};
use crate::shown::Shown;
use crate::signals::StopRequest;
use crate::snapshots::{SnapshotOutcome, Snapshots};
use crate::topology::{FeedParts, Running, RunningShard, connect, spawn};
use crate::witnesses::{CosignOutcome, Witnesses};
use opening::Prepared;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::counters::table::{self, Definition};
use stele_bus::{
    BusDirectory, Clock as _, ConsumerProgress, Core, GateWatch, Stuck, Turns, UtcClock, memory,
};
use stele_feed::FeedReport;
use stele_feed::router::Share;
use stele_journal::SpaceWatch;
use stele_replay::follower::TakenSnapshot;
use stele_strategies::Registry;
use stele_strategies::agent::StrategyResults;
use stele_wire::ShardId;
use stele_wire::messages::EndReason;

/// When a run ends by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// The market closes after this long.
    pub(crate) elapsed: Option<Duration>,
}

/// What the main thread sees of a run, some times a second; several shards added up.
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
    /// Where others find the counters, as long as the session lasts.
    _directory: Option<BusDirectory>,
    _metrics: Option<MetricsServer>,
    pub(crate) layout: Layout,
    pub(crate) flush: FlushPlan,
    pub(crate) notices: Vec<String>,
    opened: Instant,
    /// The trail of each shard.
    directories: Vec<PathBuf>,
    /// Snapshots of each shard that are not on its log yet.
    untold: Vec<Vec<TakenSnapshot>>,
    /// Of each shard, over those who hold its ring up.
    watches: Vec<GateWatch>,
    witnesses: Witnesses,
    keeper: Option<Keeper>,
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
    /// At least one.
    pub(crate) shards: Vec<EndedShard>,
}

/// What a session has left of one shard.
pub(crate) struct EndedShard {
    pub(crate) id: ShardId,
    pub(crate) directory: PathBuf,
    pub(crate) epoch: u32,
    pub(crate) strategies: StrategyResults,
    /// Bytes of log of this epoch.
    pub(crate) log_bytes: u64,
    /// What it was told of others.
    pub(crate) told: Vec<Told>,
    /// Snapshots that the trail does not name, and what went wrong with them.
    pub(crate) snapshots: SnapshotOutcome,
    /// What came of sealing it, where it is sealed.
    pub(crate) seal: Option<SealOutcome>,
    /// What came of asking each witness.
    pub(crate) cosigned: Vec<CosignOutcome>,
    /// What became of its closed segments, where something is done with them.
    pub(crate) kept: Option<KeepOutcome>,
}

/// What a shard was told of another.
pub(crate) struct Told {
    pub(crate) shard: ShardId,
    pub(crate) events: u64,
    /// Events that were too long to go in another.
    pub(crate) too_long: u64,
}

/// A poll of the running system.
const GLANCE_INTERVAL: Duration = Duration::from_millis(100);
/// What does not come to an end by then is stuck.
const STUCK: Duration = Duration::from_secs(30);
/// For this long the log is given to become durable when somebody is stuck.
const STUCK_GRACE: Duration = Duration::from_secs(2);
/// For this long the end of a run waits for the snapshot after its last event.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(2);

impl Session {
    /// Opens everything and starts the hot threads. Nothing is written before the configuration, the strategies
    /// and the feed are known to be good.
    pub(crate) fn open(config: &Config, strategies: &Registry, sample_every: u32) -> Result<Self, Failure> {
        let shards = config.shards()?;
        let spec = feeds::spec(config)?;
        let pace = feeds::pace(&config.feed.pace)?;
        let idle = idle(&config.bus.idle)?;
        let (cpus, disk_cpus) = (allowed_cpus(), disk_cpus(&config.trail.dir));
        let layout = Layout::of(config, &shards.own, &cpus, &disk_cpus)?;
        let seal = config.seal.plan()?;
        let witnesses = seal.as_ref().map_or_else(Vec::new, |seal| seal.witnesses.clone());
        let read = |plan| Prepared::read(config, plan, &shards, strategies, seal.clone());
        let prepared = shards.own.iter().map(read);
        let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
        let feed = feeds::open(&spec, config, prepared.iter().filter_map(Prepared::known))?;
        let Shown { directory, counters, notice } = Shown::make(config)?;
        let flush = FlushPlan::make(&config.journal, &config.trail.dir, &layout)?;
        let metrics = config
            .metrics
            .listen
            .as_deref()
            .map(|address| MetricsServer::start(address, counters.reader(), &layout.background.cpus));
        let metrics = metrics.transpose()?;

        let composed = prepared
            .into_iter()
            .map(|prepared| {
                prepared.compose(config, &flush, &layout, (&counters, directory.as_ref()), sample_every)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (mut topologies, mut composed): (Vec<_>, Vec<_>) = composed.into_iter().unzip();
        for (to, composed) in composed.iter_mut().enumerate() {
            composed.links.drain(..).try_for_each(|link| connect(&mut topologies, to, link))?;
        }
        let mut notices = vec![notice];
        let served = metrics.as_ref().and_then(MetricsServer::address);
        notices.extend(served.map(|address| format!("metrics at http://{address}/metrics")));
        for (composed, topology) in composed.into_iter().zip(&mut topologies) {
            notices.extend(composed.begin(config, topology)?);
        }
        notices.extend(layout.warnings.iter().cloned());
        let shares = |plans: &[ShardPlan]| plans.iter().map(share).collect();
        let feed =
            FeedParts { feed, pace, shares: shares(&shards.own), elsewhere: shares(&shards.elsewhere) };
        notices.push(memory::hold().to_string());
        for shard in &topologies {
            let (start, length) = shard.ring.memory();
            notices.push(format!("ring of shard {}: {}", shard.id, memory::pages(start, length)));
        }
        let running = spawn(topologies, feed, counters, &layout, idle)?;
        let directories: Vec<PathBuf> = shards.own.into_iter().map(|plan| plan.directory).collect();
        let witnesses = Witnesses::spawn(&witnesses, &directories, &layout.background)?;
        let keeper = Keeper::spawn(config.at_rest.plan(), &directories, &layout.background)?;
        let untold = directories.iter().map(|_| Vec::new()).collect();
        let patience = Duration::try_from_secs_f64(config.bus.stuck_seconds).unwrap_or(Duration::MAX);
        let watch = |shard: &RunningShard| GateWatch::new(&shard.ring, shard.consumers.clone(), patience);
        let watches = running.shards.iter().map(watch).collect();
        Ok(Self {
            running,
            _directory: directory,
            _metrics: metrics,
            layout,
            flush,
            notices,
            opened: Instant::now(),
            directories,
            untold,
            watches,
            witnesses,
            keeper,
        })
    }

    /// The trail of each shard, and how much room there is for more segments, where that is known.
    pub(crate) fn spaces(&self) -> Vec<(PathBuf, Option<Arc<SpaceWatch>>)> {
        let shards = self.directories.iter().zip(&self.running.shards);
        shards.map(|(directory, shard)| (directory.clone(), shard.space.clone())).collect()
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
            self.running.show();
            on_glance(&self.glance());
            self.tell_snapshots();
            if self.running.cores.iter().any(|core| core.is_finished()) {
                return Err(self.failure());
            }
            let now = Instant::now();
            if let Some(stuck) = self.watches.iter_mut().find_map(|watch| watch.look(now)) {
                return Err(self.stuck(&stuck));
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
        for (shard, untold) in self.running.shards.iter_mut().zip(&mut self.untold) {
            untold.extend(shard.snapshots.iter().flat_map(Snapshots::taken));
            untold.retain(|taken| !submit_snapshot(&mut shard.control, &taken.standing, &taken.written));
        }
    }

    fn end(mut self, reason: EndReason) -> Result<Ended, Failure> {
        let elapsed = self.opened.elapsed();
        self.running.player.request_stop();
        self.await_that("the feed stops", |session| session.running.player.is_done())?;
        self.running.shards.iter().for_each(|shard| shard.timers.stop());
        self.await_quiet()?;
        let feed_failure = self.running.player.failure().map(str::to_owned);
        let text = feed_failure.as_deref().unwrap_or_default();
        for shard in &mut self.running.shards {
            prelude::end(&mut shard.control, &shard.start, reason, UtcClock::new().now(), text)?;
            shard.ring.request_stop();
        }
        self.await_that("the sequencer stops", |session| {
            session.running.shards.iter().all(|shard| shard.ring.is_stopped())
        })?;
        self.await_that("everything is durable", |session| {
            session.running.shards.iter().all(|shard| {
                let marks = shard.ring.watermarks();
                marks.durable() == marks.published()
            })
        })?;
        self.running.cores.iter().for_each(|core| core.stop());
        for core in self.running.cores.drain(..) {
            core.join().map_err(Failure::environment)?;
        }
        let mut seals = self.running.seals.take().map(Seals::close).unwrap_or_default().into_iter();
        let mut cosigned = self.witnesses.close().into_iter();
        let mut kept = self.keeper.take().map(Keeper::close).unwrap_or_default().into_iter();
        self.running.show();
        self.running.counters.end();
        let shards = self.running.shards.drain(..).zip(self.directories).map(|(shard, directory)| {
            let snapshots = shard.snapshots.map(|thread| thread.close(SNAPSHOT_PATIENCE));
            let told = shard.told.iter().map(|(shard, link)| Told {
                shard: *shard,
                events: link.forwarded(),
                too_long: link.too_long(),
            });
            EndedShard {
                id: shard.id,
                directory,
                epoch: shard.start.identity.epoch.0,
                strategies: shard.outcome.get().cloned().expect("an agent that stopped left its outcome"),
                told: told.collect(),
                log_bytes: shard.ring.watermarks().durable().0 - shard.start.position.0,
                snapshots: snapshots.unwrap_or_default(),
                seal: seals.next(),
                cosigned: cosigned.next().unwrap_or_default(),
                kept: kept.next(),
            }
        });
        Ok(Ended {
            reason,
            elapsed,
            feed: self.running.player.report().cloned().expect("a player that is done has reported"),
            feed_failure,
            shards: shards.collect(),
        })
    }

    fn glance(&self) -> Glance {
        let mut glance = Glance { elapsed: self.opened.elapsed(), ..Glance::default() };
        for (index, shard) in self.running.shards.iter().enumerate() {
            let marks = shard.ring.watermarks();
            glance.events += self.counted(index, table::EVENTS);
            glance.orders += self.counted(index, table::VENUE_ORDERS);
            glance.fills += self.counted(index, table::VENUE_FILLS);
            glance.published += marks.published().0;
            glance.written += marks.written().0;
            glance.durable += marks.durable().0;
        }
        glance
    }

    fn counted(&self, shard: usize, definition: &'static Definition) -> u64 {
        self.running.counters.reader().value(definition, self.running.shards[shard].id.0 as u16, 0)
    }

    /// Waits until every consumer has read everything and nothing new comes of it: each core has taken a whole turn in
    /// which it found nothing to do, and none has found anything since the first of them began.
    fn await_quiet(&mut self) -> Result<(), Failure> {
        let turns = |session: &Self| session.running.cores.iter().map(Core::turns).collect::<Vec<Turns>>();
        let is_behind = |shard: &RunningShard| {
            let marks = shard.ring.watermarks();
            let published = marks.published();
            let is_behind = |consumer: &ConsumerProgress| consumer.released() < published;
            // A sequencer that waits for the journal to make room finds nothing to do either.
            marks.written() < published || shard.consumers.iter().any(is_behind)
        };
        let mut seen = turns(self);
        self.await_that("the log becomes quiet", |session| {
            let now = turns(session);
            let is_still = now.iter().zip(&seen).all(|(now, seen)| now.working == seen.working);
            if !is_still || session.running.shards.iter().any(is_behind) {
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
            let is_poisoned = self.running.shards.iter().any(|shard| shard.ring.poisoned().is_some());
            if is_poisoned || self.running.cores.iter().any(|core| core.is_finished()) {
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

    /// Somebody holds the ring up. What is on the log becomes durable if the journal moves; the thread that is stuck is
    /// not waited for.
    fn stuck(&mut self, stuck: &Stuck) -> Failure {
        self.running.player.request_stop();
        self.running.shards.iter().for_each(|shard| shard.ring.request_stop());
        let is_durable = |shard: &RunningShard| {
            let marks = shard.ring.watermarks();
            marks.durable() == marks.published()
        };
        let since = Instant::now();
        while since.elapsed() < STUCK_GRACE && !self.running.shards.iter().all(is_durable) {
            sleep(Duration::from_millis(1));
        }
        self.running.cores.drain(..).for_each(drop);
        Failure::environment(format!("{stuck}; the run was stopped"))
            .help("everything acknowledged as durable is intact: `stele verify` shows it; start again over the trail")
    }

    /// Why a core ended although nobody asked: stops the others, keeps what is durable.
    fn failure(&mut self) -> Failure {
        self.running.shards.iter().for_each(|shard| shard.ring.request_stop());
        self.running.cores.iter().for_each(|core| core.stop());
        self.running.show();
        self.running.counters.end();
        let results: Vec<_> = self.running.cores.drain(..).map(stele_bus::Core::join).collect();
        let poisoned = self.running.shards.iter().find_map(|shard| shard.ring.poisoned());
        let poisoned = poisoned.map(Failure::environment);
        let failed = results.into_iter().find_map(Result::err).map(Failure::environment);
        poisoned
            .or(failed)
            .unwrap_or_else(|| Failure::environment("a core stopped although nobody asked it to"))
            .help("everything acknowledged as durable is intact: `stele verify` shows it; start again over the trail")
    }
}

/// What the router goes by.
fn share(plan: &ShardPlan) -> Share {
    match &plan.instruments {
        Instruments::Named(symbols) => Share::Symbols(symbols.clone()),
        Instruments::Others(_) => Share::Rest,
    }
}
