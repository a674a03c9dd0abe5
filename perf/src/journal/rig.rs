//! The real sequencer and the real journal with a temporary trail.

use super::{JournalSetup, ScenarioError};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use stele_bus::agent::AgentError;
use stele_bus::bounds::RING_LENGTH_DEFAULT;
use stele_bus::{
    Agent, Clock, Core, CoreOptions, Grants, IdleStrategy, LogRing, Publisher, Refusal, RingOptions,
    Sequencer, UtcClock,
};
use stele_journal::format::{HeaderBlock, segment_name};
use stele_journal::pool::{MediumProperties, SegmentPool, SpareSegment};
use stele_journal::{
    Directory, Journal, JournalOptions, JournalStatistics, LockError, PreparedSegments, Storage, TrailSite,
    WriterLock, open,
};
use stele_risk::{Risk, RiskCapacity, RiskLimits, SequencedEvent};
use stele_wire::messages::{AccountDefinition, InstrumentDefinition};
use stele_wire::units::{Nanos, Sequence, TrailId};

/// The length of the publisher's ring in words; the load is published in large batches.
const PUBLISHER_WORDS: usize = 256 << 10;

/// A sequencer, one publisher and a journal that no thread drives yet.
pub(crate) struct Rig {
    pub(crate) sequencer: Sequencer<UtcClock>,
    pub(crate) publisher: Publisher,
    pub(crate) ring: LogRing,
    pub(crate) journal: Journal,
    pub(crate) block_length: usize,
}

/// How the journal's segments are prepared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pool {
    /// This many are prepared in advance, and none during the run.
    Before(usize),
    /// The pool prepares them during the run, as in production.
    Meanwhile,
}

impl Rig {
    /// Opens a new trail in `trail`, which must not exist.
    pub(crate) fn open(
        trail: &Path,
        setup: &JournalSetup,
        segment_length: u64,
        pool: Pool,
    ) -> Result<Self, ScenarioError> {
        let options = JournalOptions {
            segment_length,
            method: setup.flush,
            yield_while_flushing: setup.yields,
            background_cpus: setup.journal_cpu.into_iter().collect(),
            ..JournalOptions::default()
        };
        let now = UtcClock::new().now();
        let site = Bench { directory: Directory::new(trail), pool };
        let opened = open(&site, &options, now)?;
        let start = opened.start;
        let parts = LogRing::create(
            &RingOptions { capacity: RING_LENGTH_DEFAULT, ..RingOptions::default() },
            start.position,
        )
        .map_err(io::Error::other)?;
        let risk = risk();
        let mut sequencer =
            Sequencer::new(&start, parts.writer, UtcClock::new(), risk).map_err(io::Error::other)?;
        let publisher = sequencer.publisher(1, "load", PUBLISHER_WORDS, Grants::all());
        let (journal, _) = opened.attach(parts.journal)?;
        Ok(Self { sequencer, publisher, ring: parts.ring, journal, block_length: start.block_length })
    }

    /// Starts the journal on its core. The caller moves the rest to the sequencer's CPU afterwards, because a
    /// pinned thread could not start the journal on another CPU.
    pub(crate) fn start(self, setup: &JournalSetup) -> Result<Running, ScenarioError> {
        let Self { sequencer, publisher, ring, journal, block_length } = self;
        let statistics = Arc::new(OnceLock::new());
        let agent = Watched { journal, statistics: statistics.clone() };
        let idle = IdleStrategy::SpinYield { spins: 100 };
        let options = CoreOptions { name: "journal".into(), cpu: setup.journal_cpu, idle };
        let core = Core::spawn(options, vec![Box::new(agent)]).map_err(io::Error::other)?;
        Ok(Running { sequencer, publisher, ring, core, statistics, block_length })
    }
}

/// The orders of a measurement, which no venue answers, so that all of them stay open.
const ORDERS_MAX: usize = 256 << 10;

/// Risk checks that know the account 1 and the instrument 1.
fn risk() -> Risk {
    let capacity = RiskCapacity {
        open_orders: ORDERS_MAX,
        strategy_open_orders: ORDERS_MAX,
        account_open_orders: ORDERS_MAX,
        ..RiskCapacity::default()
    };
    let mut risk = Risk::new(RiskLimits { capacity, ..RiskLimits::default() });
    let account = AccountDefinition { account: 1.into(), ..AccountDefinition::NULL };
    let instrument = InstrumentDefinition { instrument: 1.into(), ..InstrumentDefinition::NULL };
    risk.on_sequenced(&SequencedEvent::of(&account, Sequence(1), Nanos(1)));
    risk.on_sequenced(&SequencedEvent::of(&instrument, Sequence(1), Nanos(1)));
    risk
}

/// A rig whose journal is running.
pub(crate) struct Running {
    pub(crate) sequencer: Sequencer<UtcClock>,
    pub(crate) publisher: Publisher,
    pub(crate) ring: LogRing,
    core: Core,
    statistics: Arc<OnceLock<JournalStatistics>>,
    pub(crate) block_length: usize,
}

impl Running {
    /// Runs one duty cycle of the sequencer.
    #[inline]
    pub(crate) fn turn(&mut self) -> Result<usize, ScenarioError> {
        self.sequencer.do_work().map_err(|error| ScenarioError::from(io::Error::other(error)))
    }

    /// Returns an error if the journal has stopped. Loops that wait for it call this regularly.
    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        match self.ring.poisoned() {
            Some(reason) => Err(io::Error::other(reason).into()),
            None if self.core.is_finished() => Err(io::Error::other("the journal's core ended").into()),
            None => Ok(()),
        }
    }

    /// Stops everything and closes the trail.
    pub(crate) fn stop(mut self) -> Result<JournalStatistics, ScenarioError> {
        self.publisher.finish();
        self.ring.request_stop();
        while !self.ring.is_stopped() {
            self.turn()?;
            self.check()?;
        }
        self.core.stop();
        self.core.join().map_err(io::Error::other)?;
        Ok(*self.statistics.get().expect("the agent left them when it stopped"))
    }
}

/// Returns `Ok` if the submission can be retried, else the refusal as an error.
pub(crate) fn wait_or_fail(refusal: Refusal) -> Result<(), ScenarioError> {
    if refusal.is_transient() { Ok(()) } else { Err(io::Error::other(refusal).into()) }
}

/// The journal as an agent that passes its statistics to the caller.
struct Watched {
    journal: Journal,
    statistics: Arc<OnceLock<JournalStatistics>>,
}

impl Agent for Watched {
    fn name(&self) -> &str {
        "journal"
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        Agent::do_work(&mut self.journal)
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        let stopped = self.journal.on_stop();
        self.statistics.get_or_init(|| self.journal.statistics());
        stopped
    }
}

/// A directory whose pool may be filled in advance.
struct Bench {
    directory: Directory,
    pool: Pool,
}

impl TrailSite for Bench {
    type File = File;

    fn create(&self) -> io::Result<()> {
        TrailSite::create(&self.directory)
    }

    fn lock(&self, now: Nanos) -> Result<Option<WriterLock>, LockError> {
        self.directory.lock(now)
    }

    fn storage(&self) -> Arc<dyn Storage> {
        self.directory.storage()
    }

    fn draw_identity(&self) -> io::Result<TrailId> {
        self.directory.draw_identity()
    }

    fn probe(&self, allow_direct: bool) -> io::Result<MediumProperties> {
        self.directory.probe(allow_direct)
    }

    fn prepare(
        &self,
        medium: MediumProperties,
        options: &JournalOptions,
        next: u64,
    ) -> io::Result<PreparedSegments<File>> {
        let Pool::Before(count) = self.pool else {
            return self.directory.prepare(medium, options, next);
        };
        let one = JournalOptions { spare_segments: 1, ..options.clone() };
        let (first, mut pool) = self.directory.prepare(medium, &one, next)?;
        let mut ready = VecDeque::with_capacity(count);
        while ready.len() < count {
            match pool.take() {
                Some(spare) => ready.push_back(spare?),
                None => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
        pool.stop()?;
        Ok((first, Box::new(Stock { ready, root: self.directory.root().to_path_buf() })))
    }

    fn write_header(&self, file: &File, block: &HeaderBlock) -> io::Result<()> {
        self.directory.write_header(file, block)
    }
}

/// Segments prepared in advance; no more are prepared.
struct Stock {
    ready: VecDeque<SpareSegment<File>>,
    root: PathBuf,
}

impl SegmentPool<File> for Stock {
    fn take(&mut self) -> Option<io::Result<SpareSegment<File>>> {
        Some(
            self.ready
                .pop_front()
                .ok_or_else(|| io::Error::other("the run needs more segments than were prepared")),
        )
    }

    fn retire(&mut self, file: File) {
        drop(file);
    }

    fn stop(&mut self) -> io::Result<()> {
        for spare in self.ready.drain(..) {
            std::fs::remove_file(self.root.join(segment_name(spare.index)))?;
        }
        Ok(())
    }
}
