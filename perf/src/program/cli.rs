//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// What can be measured.
#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum Scenario {
    /// Feed to trail, everything running: latency at the demo's pace, throughput without one
    Pipeline,
    /// The journal beside the raw device: latency, throughput, rolls, verified scan, recovery
    Journal,
    /// The bus beside rtrb and the disruptor: hops, fan-out, tick to order, order to release, risk checks
    Bus,
    /// Books beside a BTreeMap, windows beside a loop by hand, backtests beside their feeds
    Strategies,
    /// Sealing beside SHA-256 alone, verifying, proving, and what sealing costs a running bus
    Seal,
}

/// Measure this machine, and Stele on it
#[derive(Parser, Debug)]
#[command(name = "stele perf", bin_name = "stele perf", version, max_term_width = 110)]
#[command(arg_required_else_help = true)]
#[command(
    after_help = "A percentile that fewer than 10 samples are above is left out. What each figure means: docs/performance.md."
)]
pub(crate) struct Arguments {
    /// What to measure
    pub(crate) scenario: Scenario,
    /// Repetitions; the median and the spread are printed
    #[arg(long, default_value_t = 5)]
    pub(crate) repeats: u32,
    /// Seconds of each repetition; of the journal's, of each of its latency runs
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// A few seconds in all: whether it runs, not how fast
    #[arg(long)]
    pub(crate) quick: bool,
    /// Journal, bus, seal: where to write, on the file system to be measured; without it, where temporary
    /// things go
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Journal: size of the trail that is recovered
    #[arg(long, default_value_t = 1, value_name = "GIB")]
    pub(crate) recovery_gib: u64,
    /// Seal: events of the trail that is sealed, verified and proved from
    #[arg(long, default_value_t = 2_000_000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) trail_events: u64,
    /// Journal: how it flushes: measured, flushed-writes, linked-sync or sync-thread
    #[arg(long, default_value = "measured", value_name = "METHOD")]
    pub(crate) flush: String,
    /// Bus: pass events to so many consumers on one thread, print nothing; the program asks this of itself
    /// to count
    #[arg(long, hide = true, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) consumers: Option<u8>,
    /// One JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}
