//! `stele summary`: what happened, from the trail alone.

use crate::cli::TrailArgs;
use crate::failure::Failure;
use crate::report::summary_page;
use stele_replay::summary::summarise;

/// Counts what is on the trail.
pub(crate) fn summary(args: &TrailArgs) -> Result<(), Failure> {
    super::open_trail(&args.trail)?;
    let summary = summarise(&args.trail, None)
        .map_err(|error| Failure::not_so(error).help("`stele verify` says what is intact"))?;
    if args.json {
        return super::print_json(&summary);
    }
    super::print_page(&summary_page(&args.trail, &summary))
}
