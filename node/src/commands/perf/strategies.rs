//! `stele perf strategies`: books, windows and backtests.

use super::bench::recorded;
use crate::cli::PerfArgs;
use crate::commands::{perf, print_json, print_page};
use crate::failure::Failure;
use crate::measuring::open_feed;
use std::io;
use stele_connect::spec::FeedSpec;
use stele_feed::Feed;
use stele_perf::Mix;
use stele_perf::strategies::{Extent, Source, run};

/// Events of each market that the books take in, over and over.
const MIX_EVENTS: usize = 200_000;

/// Measures and prints.
pub(super) fn strategies(args: &PerfArgs) -> Result<(), Failure> {
    let mut specs = vec![("generator", FeedSpec::Generator { seed: 1 })];
    if !args.quick {
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
    let extent = if args.quick { Extent::quick() } else { Extent::full(args.repeats) };
    let report = run(&extent, &sources, |stage| eprintln!("{stage}")).map_err(Failure::environment)?;
    if args.json { print_json(&report) } else { print_page(&perf::page(&report)) }
}
