//! `backtest_…`: market events per second of a backtest of `ma-cross` on one core, from opening the feed to
//! the figures, compared with `feed_…`: only reading the same feed.

use super::MarketSource;
use crate::sheet::Sheet;
use std::hint::black_box;
use std::io;
use std::time::Instant;
use stele_feed::{Batch, FeedStep};
use stele_replay::{Backtest, BacktestOptions};
use stele_risk::RiskLimits;
use stele_strategies::Registry;
use stele_venue::paper_exchange::PaperOptions;

/// Plays the source until the workload's number of events is reached, then reads as many without processing.
pub(super) fn measure(sheet: &mut Sheet, source: &MarketSource<'_>, events: u64) -> io::Result<()> {
    let begin = Instant::now();
    let (mut played, mut rounds) = (0, 0);
    while played < events {
        played += play(source, events - played)?;
        rounds += 1;
    }
    let own = played as f64 / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let mut read = 0;
    for _ in 0..rounds {
        read += drain(source, events - read)?;
    }
    let bare = read as f64 / begin.elapsed().as_secs_f64();
    let [ours, other] = ["backtest", "feed"].map(|name| format!("{name}_{}", source.mix.name));
    sheet.single(&ours, "events/s", own, None);
    sheet.single(&other, "events/s", bare, None);
    sheet.beside(&ours, &other);
    Ok(())
}

/// Runs one backtest, of at least one batch, until `most` records are read. Returns the number of events.
fn play(source: &MarketSource<'_>, most: u64) -> io::Result<u64> {
    let options = BacktestOptions {
        strategy: "ma-cross".into(),
        parameters: String::new(),
        seed: 1,
        paper: PaperOptions { source: u16::MAX, ..PaperOptions::default() },
        risk: RiskLimits::default(),
    };
    let mut backtest =
        Backtest::new((source.open)()?, &Registry::built_in(), options).map_err(io::Error::other)?;
    while backtest.step() {
        if backtest.records() >= most {
            backtest.stop();
        }
    }
    let outcome = backtest.finish().map_err(io::Error::other)?;
    Ok(black_box(outcome).market_events)
}

/// Reads the source to its end, or until `most` events are read. Returns how many.
fn drain(source: &MarketSource<'_>, most: u64) -> io::Result<u64> {
    let (mut feed, mut batch) = ((source.open)()?, Batch::new());
    let (mut read, mut step) = (0, FeedStep::More);
    while step == FeedStep::More && read < most {
        step = feed.fill(&mut batch).map_err(io::Error::other)?;
        read += batch.iter().map(|message| black_box(message.body.len()).min(1) as u64).sum::<u64>();
        batch.clear();
    }
    Ok(read)
}
