//! A session: one run of the system, from its configuration to its last durable event.

mod earlier;
mod opening;

use crate::config::{Config, Instruments, ShardPlan};
use crate::door::RunDoor;
use crate::emergency::{EmergencyNote, LoggedNote};
use crate::failure::Failure;
use crate::feeds;
use crate::flush::FlushPlan;
use crate::keeper::{KeepOutcome, Keeper};
use crate::layout::{Layout, allowed_cpus, disk_cpus, idle};
use crate::metrics::MetricsServer;
use crate::prelude::{self, submit_snapshot};
use crate::sealer::{SealOutcome, Seals};
use crate::signals::StopRequest;
use crate::snapshots::{SnapshotOutcome, Snapshots};
use crate::topology::{FeedParts, Running, RunningShard, connect, spawn};
use crate::witnesses::{CosignOutcome, Witnesses};
use opening::Prepared;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::counters::table::{self, CounterDefinition};
use stele_bus::{
    Clock as _, ConsumerProgress, Core, DutyCycles, GateWatch, StalledConsumer, UtcClock, memory,
};
use stele_door::DoorServer;
use stele_feed::FeedReport;
use stele_feed::router::ShardInstruments;
use stele_journal::SpaceWatch;
use stele_replay::follower::TakenSnapshot;
use stele_strategies::Registry;
use stele_strategies::agent::StrategyResults;
use stele_wire::ShardId;
use stele_wire::messages::EndReason;

/// When a run ends without a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// The market closes after this time; none: when the feed ends.
    pub(crate) elapsed: Option<Duration>,
}

/// The state of a run at one moment, summed over its shards.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct RunStatus {
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
    /// What other processes connect to, as long as the session exists. It comes after `running`, so that they
    /// see the end of the ring before the end of their connections.
    _door: DoorServer,
    _metrics: Option<MetricsServer>,
    pub(crate) layout: Layout,
    pub(crate) flush: FlushPlan,
    pub(crate) notices: Vec<String>,
    opened: Instant,
    /// The trail of each shard.
    directories: Vec<PathBuf>,
    /// Snapshots of each shard that are not recorded on its log yet.
    unrecorded: Vec<Vec<TakenSnapshot>>,
    /// The notes of emergency mass cancels whose events are not durable yet, by shard.
    logged_notes: Vec<Option<LoggedNote>>,
    /// The watch of each shard for a consumer or a journal that stops the ring.
    watches: Vec<GateWatch>,
    witnesses: Witnesses,
    keeper: Option<Keeper>,
}

/// The result of a session that ended cleanly: all of its events are durable.
pub(crate) struct EndedSession {
    pub(crate) reason: EndReason,
    /// How long the market was open.
    pub(crate) elapsed: Duration,
    /// The records that the feed read, by kind.
    pub(crate) feed: FeedReport,
    /// Why the feed failed before its end, where it did.
    pub(crate) feed_failure: Option<String>,
    /// At least one.
    pub(crate) shards: Vec<EndedShard>,
}

/// The result of one shard.
pub(crate) struct EndedShard {
    pub(crate) id: ShardId,
    pub(crate) directory: PathBuf,
    pub(crate) epoch: u32,
    pub(crate) strategies: StrategyResults,
    /// Bytes of log of this epoch.
    pub(crate) log_bytes: u64,
    /// The events that other shards forwarded to it.
    pub(crate) forwarded: Vec<ForwardedTotals>,
    /// Snapshots that the trail does not record, and why snapshots failed, where they did.
    pub(crate) snapshots: SnapshotOutcome,
    /// How far it is sealed, where it is.
    pub(crate) seal: Option<SealOutcome>,
    /// How far each witness has cosigned it.
    pub(crate) cosigned: Vec<CosignOutcome>,
    /// How many of its closed segments are protected, where `[at_rest]` asks for it.
    pub(crate) kept: Option<KeepOutcome>,
}

/// The events that one shard forwarded to another.
pub(crate) struct ForwardedTotals {
    pub(crate) shard: ShardId,
    pub(crate) events: u64,
    /// Events that were too long to be forwarded inside another event.
    pub(crate) too_long: u64,
}

/// The time between two polls of the running system.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// What the user can do after a run that failed.
const INTACT: &str =
    "every event acknowledged as durable is intact (`stele verify` checks it); start again on the same trail";
/// How long each step of the end of a run may take.
const STUCK: Duration = Duration::from_secs(30);
/// How long the log may take to become durable when a consumer or the journal is stalled.
const STUCK_GRACE: Duration = Duration::from_secs(2);
/// How long the end of a run waits for the snapshot after its last event.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(2);

impl Session {
    /// Opens the trails and the feed and starts the threads. Nothing is written before the configuration, the
    /// strategies and the feed have been checked.
    ///
    /// # Errors
    /// [`Failure`]: the configuration is wrong, or something that it names cannot be opened.
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
        let door = RunDoor::open(config)?;
        let (counters, notice) = (door.counters.clone(), door.notice.clone());
        let flush = FlushPlan::make(&config.journal, &config.trail.dir, &layout)?;
        let metrics = config
            .metrics
            .listen
            .as_deref()
            .map(|address| MetricsServer::start(address, counters.reader(), &layout.background.cpus));
        let metrics = metrics.transpose()?;

        let composed = prepared
            .into_iter()
            .map(|prepared| prepared.compose(config, &flush, &layout, &counters, sample_every))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut topologies, mut composed): (Vec<_>, Vec<_>) = composed.into_iter().unzip();
        for (to, composed) in composed.iter_mut().enumerate() {
            composed.links.drain(..).try_for_each(|link| connect(&mut topologies, to, link))?;
        }
        let mut notices = vec![notice];
        let served = metrics.as_ref().and_then(MetricsServer::address);
        notices.extend(served.map(|address| format!("metrics at http://{address}/metrics")));
        let mut logged_notes = Vec::new();
        for (composed, topology) in composed.into_iter().zip(&mut topologies) {
            let (said, note) = composed.begin(config, topology)?;
            notices.extend(said);
            logged_notes.push(note);
        }
        notices.extend(layout.warnings.iter().cloned());
        let shares = |plans: &[ShardPlan]| plans.iter().map(share).collect();
        let feed =
            FeedParts { feed, pace, shares: shares(&shards.own), elsewhere: shares(&shards.elsewhere) };
        notices.push(memory::lock_all().to_string());
        for shard in &topologies {
            let (start, length) = shard.ring.memory();
            notices.push(format!("ring of shard {}: {}", shard.id, memory::usage(start, length)));
        }
        let mut running = spawn(topologies, feed, counters, &layout, idle)?;
        let door = door.serve(std::mem::take(&mut running.served), &layout.background.cpus)?;
        let directories: Vec<PathBuf> = shards.own.into_iter().map(|plan| plan.directory).collect();
        let witnesses = Witnesses::spawn(&witnesses, &directories, &layout.background)?;
        let keeper = Keeper::spawn(config.at_rest.plan(), &directories, &layout.background)?;
        let unrecorded = directories.iter().map(|_| Vec::new()).collect();
        let patience = Duration::try_from_secs_f64(config.bus.stuck_seconds).unwrap_or(Duration::MAX);
        let watch = |shard: &RunningShard| GateWatch::new(&shard.ring, shard.consumers.clone(), patience);
        let watches = running.shards.iter().map(watch).collect();
        Ok(Self {
            running,
            _door: door,
            _metrics: metrics,
            layout,
            flush,
            notices,
            opened: Instant::now(),
            directories,
            unrecorded,
            logged_notes,
            watches,
            witnesses,
            keeper,
        })
    }

    /// Returns the trail of each shard, and the watch of its free space, where there is one.
    pub(crate) fn spaces(&self) -> Vec<(PathBuf, Option<Arc<SpaceWatch>>)> {
        let shards = self.directories.iter().zip(&self.running.shards);
        shards.map(|(directory, shard)| (directory.clone(), shard.space.clone())).collect()
    }

    /// Runs until the market closes, a stop is requested, or something fails, then ends the session:
    /// everything that was submitted is sequenced, everything that was sequenced becomes durable, and
    /// `SessionEnd` is the last event.
    ///
    /// # Errors
    /// [`Failure`]: a thread failed, or a consumer or the journal stalled. What is durable is intact.
    pub(crate) fn run(
        mut self,
        until: Until,
        stop: &StopRequest,
        mut on_status: impl FnMut(&RunStatus),
    ) -> Result<EndedSession, Failure> {
        let reason = loop {
            sleep(STATUS_INTERVAL);
            self.running.show();
            on_status(&self.status());
            self.record_snapshots();
            self.remove_logged_notes();
            if self.running.cores.iter().any(|core| core.is_finished()) {
                return Err(self.failure());
            }
            let now = Instant::now();
            if let Some(stuck) = self.watches.iter_mut().find_map(|watch| watch.check(now)) {
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

    /// Records on the log the snapshots that were taken. The next session records those that are left when
    /// this one ends.
    fn record_snapshots(&mut self) {
        for (shard, unrecorded) in self.running.shards.iter_mut().zip(&mut self.unrecorded) {
            unrecorded.extend(shard.snapshots.iter().flat_map(Snapshots::taken));
            unrecorded.retain(|taken| !submit_snapshot(&mut shard.control, &taken.standing, &taken.written));
        }
    }

    /// Removes the notes of emergency mass cancels whose events are durable.
    fn remove_logged_notes(&mut self) {
        for (shard, note) in self.running.shards.iter_mut().zip(&mut self.logged_notes) {
            if note.is_some() && shard.control.sink().is_durable() {
                note.take().into_iter().for_each(LoggedNote::remove);
            }
        }
    }

    fn end(mut self, reason: EndReason) -> Result<EndedSession, Failure> {
        let elapsed = self.opened.elapsed();
        self.running.player.request_stop();
        self.await_that("the feed is still running", |session| session.running.player.is_done())?;
        self.running.shards.iter().for_each(|shard| shard.timers.stop());
        self.await_quiet()?;
        let feed_failure = self.running.player.failure().map(str::to_owned);
        let text = feed_failure.as_deref().unwrap_or_default();
        for shard in &mut self.running.shards {
            prelude::end(&mut shard.control, &shard.start, reason, UtcClock::new().now(), text)?;
            shard.ring.request_stop();
        }
        self.await_that("a sequencer is still running", |session| {
            session.running.shards.iter().all(|shard| shard.ring.is_stopped())
        })?;
        self.await_that("some events are not durable", |session| {
            session.running.shards.iter().all(|shard| {
                let marks = shard.ring.watermarks();
                marks.durable() == marks.published()
            })
        })?;
        self.remove_logged_notes();
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
            let forwarded = shard.forwarded.iter().map(|(shard, link)| ForwardedTotals {
                shard: *shard,
                events: link.forwarded(),
                too_long: link.too_long(),
            });
            EndedShard {
                id: shard.id,
                directory,
                epoch: shard.start.identity.epoch.0,
                strategies: shard.outcome.get().cloned().expect("an agent that stopped left its outcome"),
                forwarded: forwarded.collect(),
                log_bytes: shard.ring.watermarks().durable().0 - shard.start.position.0,
                snapshots: snapshots.unwrap_or_default(),
                seal: seals.next(),
                cosigned: cosigned.next().unwrap_or_default(),
                kept: kept.next(),
            }
        });
        Ok(EndedSession {
            reason,
            elapsed,
            feed: self.running.player.report().cloned().expect("a player that is done has reported"),
            feed_failure,
            shards: shards.collect(),
        })
    }

    fn status(&self) -> RunStatus {
        let mut status = RunStatus { elapsed: self.opened.elapsed(), ..RunStatus::default() };
        for (index, shard) in self.running.shards.iter().enumerate() {
            let marks = shard.ring.watermarks();
            status.events += self.counted(index, table::EVENTS);
            status.orders += self.counted(index, table::VENUE_ORDERS);
            status.fills += self.counted(index, table::VENUE_FILLS);
            status.published += marks.published().0;
            status.written += marks.written().0;
            status.durable += marks.durable().0;
        }
        status
    }

    fn counted(&self, shard: usize, definition: &'static CounterDefinition) -> u64 {
        self.running.counters.reader().value(definition, self.running.shards[shard].id.0 as u16, 0)
    }

    /// Waits until every consumer has read everything and no new events follow: each core has completed a
    /// duty cycle without work, and none has done any work since the first of those cycles began.
    fn await_quiet(&mut self) -> Result<(), Failure> {
        let turns =
            |session: &Self| session.running.cores.iter().map(Core::duty_cycles).collect::<Vec<DutyCycles>>();
        let is_behind = |shard: &RunningShard| {
            let marks = shard.ring.watermarks();
            let published = marks.published();
            let is_behind = |consumer: &ConsumerProgress| consumer.released() < published;
            // A sequencer that waits for room in the ring does no work either.
            marks.written() < published || shard.consumers.iter().any(is_behind)
        };
        let waits = |session: &Self| {
            (0..session.running.shards.len()).any(|shard| session.counted(shard, table::RELEASE_WAITING) > 0)
        };
        let mut seen = turns(self);
        let otherwise =
            "new events still appear on the log, a consumer is behind, or an order waits to leave";
        self.await_that(otherwise, |session| {
            let now = turns(session);
            let is_still = now.iter().zip(&seen).all(|(now, seen)| now.working == seen.working);
            if !is_still || session.running.shards.iter().any(is_behind) || waits(session) {
                seen = now;
                return false;
            }
            // The first of the two cycles may have begun before the count was read.
            now.iter().zip(&seen).all(|(now, seen)| now.idle >= seen.idle + 2)
        })
    }

    /// Waits until `is_done`. `otherwise` is the message if that takes too long.
    fn await_that(&mut self, otherwise: &str, mut is_done: impl FnMut(&Self) -> bool) -> Result<(), Failure> {
        let since = Instant::now();
        while !is_done(self) {
            let is_poisoned = self.running.shards.iter().any(|shard| shard.ring.poisoned().is_some());
            if is_poisoned || self.running.cores.iter().any(|core| core.is_finished()) {
                return Err(self.failure());
            }
            if since.elapsed() > STUCK {
                let what = format!("the run did not end: after {} s {otherwise}", STUCK.as_secs());
                self.demand_emergency(EndReason::CONSUMER_STUCK);
                self.await_emergency();
                return Err(Failure::environment(what).help(self.intact()));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Ends the run after a consumer or the journal has stalled. What is on the log becomes durable if the
    /// journal still works; the stalled thread is not waited for.
    fn stuck(&mut self, stuck: &StalledConsumer) -> Failure {
        self.demand_emergency(EndReason::CONSUMER_STUCK);
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
        self.await_emergency();
        self.running.cores.drain(..).for_each(drop);
        Failure::environment(format!("{stuck}; the run was stopped")).help(self.intact())
    }

    /// Stops all threads after one has failed, and returns the reason.
    fn failure(&mut self) -> Failure {
        self.demand_emergency(EndReason::AGENT_FAILED);
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
            .unwrap_or_else(|| Failure::environment("a thread stopped without a request"))
            .help(self.intact())
    }

    /// Makes every gateway ask its venue to cancel everything, because the run does not end in order.
    fn demand_emergency(&self, reason: EndReason) {
        self.running.shards.iter().for_each(|shard| shard.emergency.demand(reason));
    }

    /// Waits until every gateway has an answer of its venue, while its thread still runs.
    fn await_emergency(&self) {
        let is_settled = |shard: &RunningShard| shard.emergency.outcome().is_some_and(|it| it.is_settled);
        let since = Instant::now();
        while since.elapsed() < STUCK_GRACE && !self.running.shards.iter().all(is_settled) {
            sleep(Duration::from_millis(1));
        }
    }

    /// Writes the notes of emergency mass cancels, and returns what the user can do after a run that failed.
    fn intact(&self) -> String {
        let mut said = INTACT.to_owned();
        for (shard, directory) in self.running.shards.iter().zip(&self.directories) {
            let Some(outcome) = shard.emergency.outcome() else { continue };
            let note = EmergencyNote::new(&outcome, shard.start.identity.epoch);
            said = format!("{said}; {}", note.sentence());
            if let Err(error) = note.write(directory) {
                said = format!("{said}, which could not be noted in {}: {error}", directory.display());
            }
        }
        said
    }
}

/// Returns the instruments of the shard, as the router takes them.
fn share(plan: &ShardPlan) -> ShardInstruments {
    match &plan.instruments {
        Instruments::Named(symbols) => ShardInstruments::Symbols(symbols.clone()),
        Instruments::Others(_) => ShardInstruments::Rest,
    }
}
