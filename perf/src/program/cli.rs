//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// The scenarios.
#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum Scenario {
    /// Whole program, from feed to trail: latency at the demo's pace, throughput at full speed
    Pipeline,
    /// Journal against the raw device: latency, throughput, segment rolls, verified scan, recovery
    Journal,
    /// Bus against rtrb and disruptor: hops, fan-out, tick to order, order to release, risk checks
    Bus,
    /// Order books against a BTreeMap, windows against a plain loop, backtests against reading the feed
    Strategies,
    /// Sealing against SHA-256 alone, verifying, proving, and the cost of sealing to a running bus
    Seal,
}

/// Benchmark Stele on this machine
#[derive(Parser, Debug)]
#[command(name = "stele perf", bin_name = "stele perf", version, max_term_width = 110)]
#[command(arg_required_else_help = true)]
#[command(
    after_help = "A percentile with fewer than 10 samples above it is left out. docs/performance.md explains each figure."
)]
pub(crate) struct Arguments {
    /// Benchmark to run
    pub(crate) scenario: Scenario,
    /// Number of repetitions; the report shows the median and the spread
    #[arg(long, default_value_t = 5)]
    pub(crate) repeats: u32,
    /// Length of each repetition; for journal and bus, of each latency run
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Only check within a few seconds that everything runs; the figures are meaningless
    #[arg(long)]
    pub(crate) quick: bool,
    /// Journal, bus, seal: directory to write to, on the file system to measure; without it, the directory
    /// for temporary files
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Journal: size of the trail to recover, in GiB
    #[arg(long, default_value_t = 1, value_name = "GIB")]
    pub(crate) recovery_gib: u64,
    /// Seal: number of events on the trail
    #[arg(long, default_value_t = 2_000_000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) trail_events: u64,
    /// Journal: flush method: measured, flushed-writes, linked-sync or sync-thread
    #[arg(long, default_value = "measured", value_name = "METHOD")]
    pub(crate) flush: String,
    /// Bus: pass events to this many consumers on one thread and print nothing; used internally to count
    /// instructions
    #[arg(long, hide = true, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) consumers: Option<u8>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
