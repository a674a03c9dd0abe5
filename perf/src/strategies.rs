//! Scenario `strategies`: the cost of order books, windows and backtests.
//!
//! ```text
//!  one thread:  events in memory ─> Market::apply            against a book of two BTreeMaps and a HashMap
//!               trades in memory ─> one window               against the same aggregate in a plain loop
//!               feed ─> backtest of ma-cross                 against only reading the feed
//! ```
//!
//! The two sides alternate, with the same events. The module that measures a figure explains it.

mod backtest;
mod books;
mod windows;

use crate::sheet::Sheet;
use crate::{HiccupMeter, MessageMix, Percentiles, PerfReport};
use std::io;
use std::time::{Duration, Instant};
use stele_feed::Feed;

/// How long the stalls of the machine are measured before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// The number of events between two readings of the clock, because a reading takes as long as one book
/// update.
const BATCH: usize = 64;

/// A market: its events in memory for the books, and its feed for the backtest.
pub struct MarketSource<'a> {
    /// The events.
    pub mix: MessageMix,
    /// Opens the feed at its start.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Feed>> + 'a>,
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct StrategyWorkload {
    /// The number of repetitions.
    pub repeats: u32,
    /// The number of events that each book processes in a repetition.
    pub book_events: usize,
    /// The number of trades that each window processes in a repetition.
    pub trades: usize,
    /// The number of market events of a backtest in a repetition; a shorter source is played repeatedly.
    pub backtest_events: u64,
}

impl StrategyWorkload {
    /// The workload of published figures.
    pub fn full(repeats: u32) -> Self {
        Self { repeats, book_events: 1 << 20, trades: 1 << 20, backtest_events: 2_000_000 }
    }

    /// A workload of a few seconds, which only checks that everything runs.
    pub fn quick() -> Self {
        Self { repeats: 1, book_events: 1 << 14, trades: 1 << 14, backtest_events: 20_000 }
    }
}

/// Runs the scenario. `on_stage` receives the name of each stage before it starts.
///
/// # Errors
/// If a source cannot be read.
pub fn run(
    workload: &StrategyWorkload,
    sources: &[MarketSource<'_>],
    mut on_stage: impl FnMut(&str),
) -> io::Result<PerfReport> {
    let (mut meter, mut sheet) = (HiccupMeter::new(), Sheet::default());
    let trades = windows::trades(workload.trades);
    for repeat in 1..=workload.repeats {
        let mut stage =
            |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", workload.repeats));
        stage("stalls of the machine");
        meter.watch(WATCH);
        stage("books");
        sources.iter().for_each(|source| books::measure(&mut sheet, &source.mix, workload.book_events));
        stage("windows");
        windows::measure(&mut sheet, &trades);
        stage("backtests");
        for source in sources {
            backtest::measure(&mut sheet, source, workload.backtest_events)?;
        }
    }
    Ok(PerfReport::new("strategies", meter.noise(), sheet.figures()))
}

/// Returns the distribution of nanoseconds per item, measured over each [`BATCH`] of `items`.
fn timed<T>(items: &[T], mut take: impl FnMut(&T)) -> Percentiles {
    let mut seen = crate::figure::latency_histogram();
    for batch in items.chunks_exact(BATCH) {
        let begin = Instant::now();
        batch.iter().for_each(&mut take);
        seen.saturating_record((begin.elapsed().as_nanos() as u64 / BATCH as u64).max(1));
    }
    Percentiles::from(&seen)
}
