//! `stele run`: runs strategies on a feed and writes a trail.

use crate::cli::RunArgs;
use crate::config::Config;
use crate::failure::Failure;
use crate::live::{LiveLine, SpaceWarner};
use crate::notices::say;
use crate::own_name::in_own_name;
use crate::report::RunReport;
use crate::session::{Session, Until};
use crate::signals::StopRequest;
use stele_strategies::Registry;

/// One in this many market events is sampled for the latency to the strategies.
const SAMPLE_EVERY: u32 = 16;

/// Runs the configuration given by the flags and the file, or lists the strategies for `--strategy help`.
pub(crate) fn run(args: &RunArgs, strategies: &Registry) -> Result<(), Failure> {
    if args.strategy.iter().any(|name| name == "help") {
        return super::print_page(&describe(strategies));
    }
    run_session(&Config::effective(args)?, strategies, args.output.json)
}

/// Runs a session to its end and prints its report.
///
/// # Errors
/// [`Failure`]: among others, if the feed failed; everything before the failure is then durable.
pub(crate) fn run_session(config: &Config, strategies: &Registry, json: bool) -> Result<(), Failure> {
    let report = session_report(config, strategies, SAMPLE_EVERY, !json)?;
    if json {
        super::print_json(&report)?;
    } else {
        super::print_page(&format!("{}\n{}", report.page(), report.next_commands(&config.trail.dir)))?;
    }
    match report.feed_failure() {
        None => Ok(()),
        Some(failure) => {
            Err(Failure::environment(failure).help("everything before it is durable on the trail"))
        }
    }
}

/// Runs a session to its end and returns its report. With `is_verbose`, the layout, notices and a live status
/// line go to standard error.
pub(crate) fn session_report(
    config: &Config,
    strategies: &Registry,
    sample_every: u32,
    is_verbose: bool,
) -> Result<RunReport, Failure> {
    let stop = StopRequest::listen()?;
    let elapsed = config.feed.duration()?;
    let session = Session::open(config, strategies, sample_every)?;
    if is_verbose {
        say(&session.layout.reason);
        session.layout.describe().iter().for_each(|line| say(format_args!("  {line}")));
        say(format_args!("  {}", session.flush.describe()));
        session.notices.iter().for_each(|notice| say(format_args!("notice: {}", in_own_name(notice))));
    }
    let flush = session.flush.report();
    let mut warner = SpaceWarner::new(session.spaces());
    let mut line = is_verbose.then(LiveLine::new);
    let ended = session.run(Until { elapsed }, &stop, |status| {
        warner.warn(line.as_ref());
        if let Some(line) = &mut line {
            line.show(status);
        }
    });
    drop(line);
    RunReport::new(&ended?, flush)
}

fn describe(strategies: &Registry) -> String {
    strategies.kinds().iter().map(|kind| kind.describe() + "\n").collect()
}
