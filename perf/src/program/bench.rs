//! The setup that the scenarios share: the same CPUs, flush method and segments as a run.

use super::cli::Arguments;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stele_connect::spec::FeedSpec;
use stele_node::measuring::{Failure, JournalPlan, open_feed};
use stele_perf::MessageMix;
use stele_perf::journal::JournalSetup;

/// The number of events of a recorded market, which are published repeatedly.
const MIX_EVENTS: usize = 200_000;
/// The recorded markets: suffix in the names of figures, format, file.
const RECORDED: [(&str, &str, &str); 2] = [
    ("itch", "itch", "itch/aapl-20200130-10000.itch50"),
    ("dbn", "dbn", "dbn/orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst"),
];
/// Data bytes of a segment with `--quick`.
const QUICK_SEGMENT: u64 = 4 << 20;

/// The setup for these arguments on this machine.
pub(super) struct Bench {
    pub(super) plan: JournalPlan,
    pub(super) setup: JournalSetup,
    /// The length of each latency run.
    pub(super) latency: Duration,
    /// The recorded markets; none with `--quick`.
    pub(super) mixes: Vec<MessageMix>,
}

impl Bench {
    /// Runs `measure` with a new directory, which is removed afterwards.
    pub(super) fn measure<T>(
        arguments: &Arguments,
        measure: impl FnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let base = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
        let directory = base.join(format!("stele-perf-{}", std::process::id()));
        fs::create_dir_all(&directory).map_err(|error| {
            Failure::environment(format!("cannot create {}: {error}", directory.display()))
        })?;
        let measured = Self::new(arguments, &directory).and_then(|bench| measure(&bench));
        let removed = fs::remove_dir_all(&directory);
        let measured = measured?;
        removed.map_err(|error| Failure::environment(format!("{}: {error}", directory.display())))?;
        Ok(measured)
    }

    fn new(arguments: &Arguments, directory: &Path) -> Result<Self, Failure> {
        let plan = JournalPlan::make(directory, &arguments.flush)?;
        plan.reasons.iter().for_each(|reason| eprintln!("{reason}"));
        let setup = JournalSetup {
            directory: directory.into(),
            journal_cpu: plan.journal_cpu,
            sequencer_cpu: plan.sequencer_cpu,
            flush: plan.method,
            yields: plan.yields,
            segment_length: if arguments.quick { QUICK_SEGMENT } else { plan.segment_length },
        };
        let latency = Duration::try_from_secs_f64(arguments.seconds).map_err(|error| {
            Failure::usage(format!("invalid duration of {} seconds: {error}", arguments.seconds))
        })?;
        let mixes = if arguments.quick { Vec::new() } else { recorded_mixes()? };
        Ok(Self { plan, setup, latency, mixes })
    }
}

/// Returns the recorded markets below `STELE_SHARED`, with their suffixes in the names of figures.
pub(super) fn recorded() -> Result<Vec<(&'static str, FeedSpec)>, Failure> {
    let Some(shared) = std::env::var_os("STELE_SHARED").map(PathBuf::from) else {
        eprintln!("skipping recorded markets: STELE_SHARED is not set to their directory");
        return Ok(Vec::new());
    };
    let spec = |(name, kind, file): (&'static str, &str, &str)| {
        let spec = FeedSpec::parse(&format!("{kind}:{}", shared.join("data").join(file).display()));
        Ok((name, spec.map_err(Failure::usage)?))
    };
    RECORDED.into_iter().map(spec).collect()
}

fn recorded_mixes() -> Result<Vec<MessageMix>, Failure> {
    let read = |(name, spec): (&'static str, FeedSpec)| {
        let mut feed = open_feed(&spec)?;
        MessageMix::read(name, feed.as_mut(), MIX_EVENTS).map_err(Failure::environment)
    };
    recorded()?.into_iter().map(read).collect()
}
