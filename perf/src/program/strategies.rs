//! `stele perf strategies`: books, windows and backtests.

use super::bench::recorded;
use super::cli::Arguments;
use super::page::print_report;
use std::io;
use stele_connect::spec::FeedSpec;
use stele_feed::Feed;
use stele_node::measuring::{Failure, open_feed};
use stele_perf::Mix;
use stele_perf::strategies::{Extent, Source, run};

/// Events of each market that the books take in, over and over.
const MIX_EVENTS: usize = 200_000;

/// Measures and prints.
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
        let mix = Mix::read(name, feed.as_mut(), MIX_EVENTS)?;
        Ok(Source { mix, open: Box::new(|| open(spec)) })
    });
    let sources = sources.collect::<io::Result<Vec<_>>>().map_err(Failure::environment)?;
    let extent = if arguments.quick { Extent::quick() } else { Extent::full(arguments.repeats) };
    let report = run(&extent, &sources, |stage| eprintln!("{stage}")).map_err(Failure::environment)?;
    print_report(&report, arguments.json)
}
