//! Where and with what a scenario of parts is measured: as a run would have it.

use super::cli::Arguments;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stele_connect::spec::FeedSpec;
use stele_node::measuring::{Failure, JournalPlan, open_feed};
use stele_perf::Mix;
use stele_perf::journal::Place;

/// Events of a recorded market that are published over and over.
const MIX_EVENTS: usize = 200_000;
/// Recorded markets: the name in figures, the format, the file.
const RECORDED: [(&str, &str, &str); 2] = [
    ("itch", "itch", "itch/aapl-20200130-10000.itch50"),
    ("dbn", "dbn", "dbn/orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst"),
];
/// Data bytes of a segment where it is to be quick.
const QUICK_SEGMENT: u64 = 4 << 20;

/// What the arguments and this machine give.
pub(super) struct Bench {
    pub(super) plan: JournalPlan,
    pub(super) place: Place,
    /// How long each latency run is.
    pub(super) latency: Duration,
    /// Recorded markets; none where it is to be quick.
    pub(super) mixes: Vec<Mix>,
}

impl Bench {
    /// Measures in a new directory, which is gone afterwards.
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
        let place = Place {
            directory: directory.into(),
            journal_cpu: plan.journal_cpu,
            sequencer_cpu: plan.sequencer_cpu,
            flush: plan.method,
            yields: plan.yields,
            segment_length: if arguments.quick { QUICK_SEGMENT } else { plan.segment_length },
        };
        let latency = Duration::try_from_secs_f64(arguments.seconds)
            .map_err(|error| Failure::usage(format!("{} seconds: {error}", arguments.seconds)))?;
        let mixes = if arguments.quick { Vec::new() } else { recorded_mixes()? };
        Ok(Self { plan, place, latency, mixes })
    }
}

/// The markets that were recorded, by the name in figures, where the shared data is.
pub(super) fn recorded() -> Result<Vec<(&'static str, FeedSpec)>, Failure> {
    let Some(shared) = std::env::var_os("STELE_SHARED").map(PathBuf::from) else {
        eprintln!("recorded markets are left out: STELE_SHARED does not say where they are");
        return Ok(Vec::new());
    };
    let spec = |(name, kind, file): (&'static str, &str, &str)| {
        let spec = FeedSpec::parse(&format!("{kind}:{}", shared.join("data").join(file).display()));
        Ok((name, spec.map_err(Failure::usage)?))
    };
    RECORDED.into_iter().map(spec).collect()
}

fn recorded_mixes() -> Result<Vec<Mix>, Failure> {
    let read = |(name, spec): (&'static str, FeedSpec)| {
        let mut feed = open_feed(&spec)?;
        Mix::read(name, feed.as_mut(), MIX_EVENTS).map_err(Failure::environment)
    };
    recorded()?.into_iter().map(read).collect()
}
