//! `stele demo`: a generated market, sequenced, traded and journaled without any configuration.

use crate::cli::DemoArgs;
use crate::config::{Config, StrategyConfig};
use crate::failure::Failure;
use std::path::PathBuf;
use stele_strategies::Registry;

/// Market events per second; two cores of an ordinary virtual machine sustain more.
pub(crate) const RATE: u64 = 200_000;

/// Runs the demo and prints the report of the run.
pub(crate) fn demo(args: &DemoArgs, strategies: &Registry) -> Result<(), Failure> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => new_directory()?,
    };
    let mut config = demo_config(args.seed, args.rate.unwrap_or(RATE), args.unpaced);
    config.trail.dir = dir;
    config.feed.seconds = Some(args.seconds);
    super::run::run_session(&config, strategies, args.output.json)
}

/// Returns the configuration of the demo: the generator and two strategies.
pub(crate) fn demo_config(seed: u64, rate: u64, unpaced: bool) -> Config {
    let strategy = |name: &str| StrategyConfig { name: name.into(), seed, ..StrategyConfig::default() };
    let mut config =
        Config { strategy: vec![strategy("ma-cross"), strategy("dip-buyer")], ..Config::default() };
    config.feed.spec = format!("generator:{seed}");
    config.feed.pace = if unpaced { "fast" } else { "real-time" }.into();
    config.feed.events_per_second = rate;
    config
}

/// Returns the path of a new directory in the directory for temporary files.
pub(crate) fn new_directory() -> Result<PathBuf, Failure> {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let base = std::env::temp_dir();
    (0..100)
        .map(|attempt| match attempt {
            0 => base.join(format!("stele-demo-{now}")),
            _ => base.join(format!("stele-demo-{now}-{attempt}")),
        })
        .find(|path| !path.exists())
        .ok_or_else(|| {
            Failure::environment(format!("cannot find an unused name for the trail in {}", base.display()))
                .help("choose a directory with --dir DIR")
        })
}
