//! `stele perf strategies`: measures order books, windows and backtests.

use super::bench::recorded;
use super::cli::Arguments;
use super::page::print_report;
use std::io;
use stele_connect::spec::FeedSpec;
use stele_feed::Feed;
use stele_node::measuring::{Failure, open_feed};
use stele_perf::MessageMix;
use stele_perf::strategies::{MarketSource, StrategyWorkload, run};

/// The number of events of each market, which the books process repeatedly.
const MIX_EVENTS: usize = 200_000;

/// Runs the scenario and prints its report.
pub(crate) fn strategies(arguments: &Arguments) -> Result<(), Failure> {
    let mut specs = vec![("generator", FeedSpec::Generator { seed: 1 })];
    if !arguments.quick {
        specs.extend(recorded()?);
    }
    let open = |spec: &FeedSpec| -> io::Result<Box<dyn Feed>> {
        open_feed(spec).map_err(|failure| io::Error::other(failure.to_string()))
    };
    let sources = specs.iter().map(|(name, spec)| {
        let mut feed = open(spec)?;
        let mix = MessageMix::read(name, feed.as_mut(), MIX_EVENTS)?;
        Ok(MarketSource { mix, open: Box::new(|| open(spec)) })
    });
    let sources = sources.collect::<io::Result<Vec<_>>>().map_err(Failure::environment)?;
    let workload =
        if arguments.quick { StrategyWorkload::quick() } else { StrategyWorkload::full(arguments.repeats) };
    let report = run(&workload, &sources, |stage| eprintln!("{stage}")).map_err(Failure::environment)?;
    print_report(&report, arguments.json)
}
