//! Scenario `strategies`: what a strategy pays for its book, its windows and a backtest.
//!
//! ```text
//!  one thread:  events in memory ─> Market::apply            beside a book of two BTreeMaps and a HashMap
//!               trades in memory ─> one window               beside the same aggregate written out by hand
//!               feed ─> backtest of ma-cross                 beside reading the feed and nothing else
//! ```
//!
//! Ours and the other side alternate, over the same events. What each figure means is explained in the
//! module that measures it.

mod backtest;
mod books;
mod windows;

use crate::sheet::Sheet;
use crate::{HiccupMeter, Mix, Percentiles, Report};
use std::io;
use std::time::{Duration, Instant};
use stele_feed::Feed;

/// How long the machine's own stalls are watched before each repetition.
const WATCH: Duration = Duration::from_millis(200);

/// Events between two readings of the clock: reading it takes as long as an update of a book.
const BATCH: usize = 64;

/// A market that is read: in memory for the books, and from its source for the backtest.
pub struct Source<'a> {
    /// Its events.
    pub mix: Mix,
    /// Opens it at its beginning.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Feed>> + 'a>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Repetitions.
    pub repeats: u32,
    /// Events that each book takes in a repetition.
    pub book_events: usize,
    /// Trades that each window takes in a repetition.
    pub trades: usize,
    /// Market events that a backtest plays in a repetition, the source as often as that takes.
    pub backtest_events: u64,
}

impl Extent {
    /// What the figures are published from.
    pub fn full(repeats: u32) -> Self {
        Self { repeats, book_events: 1 << 20, trades: 1 << 20, backtest_events: 2_000_000 }
    }

    /// A few seconds in all: whether everything runs, not how fast.
    pub fn quick() -> Self {
        Self { repeats: 1, book_events: 1 << 14, trades: 1 << 14, backtest_events: 20_000 }
    }
}

/// Measures everything. `on_stage` receives what is measured next.
///
/// # Errors
/// When a source cannot be read.
pub fn run(extent: &Extent, sources: &[Source<'_>], mut on_stage: impl FnMut(&str)) -> io::Result<Report> {
    let (mut meter, mut sheet) = (HiccupMeter::new(), Sheet::default());
    let trades = windows::trades(extent.trades);
    for repeat in 1..=extent.repeats {
        let mut tell = |what: &str| on_stage(&format!("{what}, repetition {repeat} of {}", extent.repeats));
        tell("the machine's own stalls");
        meter.watch(WATCH);
        tell("books");
        sources.iter().for_each(|source| books::measure(&mut sheet, &source.mix, extent.book_events));
        tell("windows");
        windows::measure(&mut sheet, &trades);
        tell("backtests");
        for source in sources {
            backtest::measure(&mut sheet, source, extent.backtest_events)?;
        }
    }
    Ok(Report::new("strategies", meter.noise(), sheet.figures()))
}

/// Nanoseconds an item, of each [`BATCH`] of `items`, from the reading of the clock before it to the one
/// after it.
fn timed<T>(items: &[T], mut take: impl FnMut(&T)) -> Percentiles {
    let mut seen = crate::figure::latency_histogram();
    for batch in items.chunks_exact(BATCH) {
        let begin = Instant::now();
        batch.iter().for_each(&mut take);
        seen.saturating_record((begin.elapsed().as_nanos() as u64 / BATCH as u64).max(1));
    }
    Percentiles::from(&seen)
}
