//! What the measuring program `stele-perf` needs of this crate: the whole pipeline as a run composes it, and
//! how a run would place its journal on this machine. It is public for that program alone.

pub use crate::failure::Failure;
pub use crate::flush::FlushReport;
pub use crate::readable::grouped;
pub use crate::report::RunReport;

use crate::commands::demo::{RATE, demo_config, new_directory};
use crate::commands::run::session_report;
use crate::config::{Config, JournalConfig};
use crate::feeds;
use crate::flush::FlushPlan;
use crate::layout::{Job, Layout, ShardAgents, allowed_cpus, disk_cpus};
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use stele_connect::spec::FeedSpec;
use stele_feed::Feed;
use stele_journal::FlushMethod;
use stele_strategies::Registry;

/// Market events per second of the demo, a rate that two cores of an ordinary virtual machine sustain.
pub const DEMO_RATE: u64 = RATE;

/// A whole run with the market and the strategies of the demo, on a trail that is removed when the run has
/// ended.
#[derive(Clone, Debug)]
pub struct PipelineRun {
    /// Market events per second; none: as many as the machine can process.
    pub events_per_second: Option<u64>,
    /// How long the market is open, in seconds.
    pub seconds: f64,
    /// The latency to the strategies is measured for one of so many market events.
    pub sample_every: u32,
    /// The file of the key that seals the trail, and the seconds between two checkpoints; none: the trail is
    /// not sealed.
    pub seal: Option<(PathBuf, f64)>,
}

impl PipelineRun {
    /// Runs it to its end and returns its report.
    ///
    /// # Errors
    /// [`Failure`]: the run failed, or the trail cannot be removed.
    pub fn run(&self) -> Result<RunReport, Failure> {
        let paced = self.events_per_second;
        let mut config = demo_config(1, paced.unwrap_or(DEMO_RATE), paced.is_none());
        if let Some((key, interval_seconds)) = &self.seal {
            config.seal.key = Some(key.clone());
            config.seal.interval_seconds = *interval_seconds;
        }
        config.trail.dir = new_directory()?;
        config.feed.seconds = Some(self.seconds);
        let report = session_report(&config, &Registry::built_in(), self.sample_every, false);
        let removed = fs::remove_dir_all(&config.trail.dir);
        let report = report?;
        removed.map_err(|error| Failure::environment(format!("{}: {error}", config.trail.dir.display())))?;
        Ok(report)
    }
}

/// How a run would place its journal on this machine, and how it would flush it.
#[derive(Clone, Debug)]
pub struct JournalPlan {
    /// The CPU of the journal's thread; none where it is not pinned.
    pub journal_cpu: Option<usize>,
    /// The CPU of the sequencer's thread; none where it is not pinned.
    pub sequencer_cpu: Option<usize>,
    /// How a write is made durable.
    pub method: FlushMethod,
    /// Whether the journal's thread yields its CPU while a flush is outstanding.
    pub yields: bool,
    /// Data bytes of a segment.
    pub segment_length: u64,
    /// Why the threads are on these CPUs, and how the flush method was chosen: a line of text each.
    pub reasons: [String; 2],
    /// The flush methods that were measured.
    pub flush: FlushReport,
}

impl JournalPlan {
    /// Returns the plan for a journal in `directory`; `flush` is `measured` or the name of a method, as in
    /// `[journal] flush`.
    ///
    /// # Errors
    /// [`Failure`]: `flush` names an unknown method.
    pub fn make(directory: &Path, flush: &str) -> Result<Self, Failure> {
        let layout = Layout::choose(&allowed_cpus(), &disk_cpus(directory), &[ShardAgents::default()]);
        let config = JournalConfig { flush: flush.into(), ..JournalConfig::default() };
        let plan = FlushPlan::make(&config, directory, &layout)?;
        Ok(Self {
            journal_cpu: layout.cpu_of(Job::Journal(0)),
            sequencer_cpu: layout.cpu_of(Job::Sequencer(0)),
            method: plan.method,
            yields: plan.yields,
            segment_length: config.segment_mib << 20,
            reasons: [layout.reason.clone(), plan.describe()],
            flush: plan.report(),
        })
    }
}

/// Opens a feed as a run without a configuration file does.
///
/// # Errors
/// [`Failure`]: the feed's file cannot be read, or does not have the feed's format.
pub fn open_feed(spec: &FeedSpec) -> Result<Box<dyn Feed>, Failure> {
    feeds::open(spec, &Config::default(), iter::empty())
}
