//! `stele backtest`: runs a strategy over recorded data, once or for each combination of a parameter sweep.
//!
//! Runs are spread over as many threads as there are CPUs; the main thread shows the progress.

mod page;
mod plots;
mod report;
mod sweep;
mod table;

use crate::cli::BacktestArgs;
use crate::config::{Config, StrategyConfig};
use crate::failure::Failure;
use crate::feeds;
use crate::numbering::sources;
use crate::progress::Progress;
use report::{BacktestReport, BacktestRun};
use std::iter;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use stele_bus::allowed_cpus;
use stele_connect::spec::FeedSpec;
use stele_replay::{Backtest, BacktestError, BacktestOptions};
use stele_strategies::Registry;
use stele_wire::Nanos;

/// How often the progress display is updated.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(10);

/// The settings that all runs share.
struct Plan<'a> {
    config: Config,
    spec: FeedSpec,
    strategies: &'a Registry,
    /// The market time after which a run ends.
    limit: Option<Nanos>,
}

/// The progress of all runs, shared by their threads.
#[derive(Default)]
struct RunProgress {
    next: AtomicUsize,
    records: AtomicU64,
    runs: AtomicU64,
    has_failed: AtomicBool,
}

/// Runs the backtest or sweep that `args` describes and prints the results.
pub(crate) fn backtest(args: &BacktestArgs, strategies: &Registry) -> Result<(), Failure> {
    let plan = Plan::new(args, strategies)?;
    let grid = sweep::grid(&args.sweep)?;
    // Invalid parameters of any run are reported before the first run starts.
    let options = grid.iter().map(|swept| plan.options(swept)).collect::<Result<Vec<_>, _>>()?;
    let mut runs = run_all(&plan, &grid, &options)?;
    runs.sort_by_key(|run| std::cmp::Reverse(run.outcome.figures.net));
    let report = BacktestReport { feed: plan.spec.to_string(), runs };
    if let Some(file) = &args.html {
        let written = std::fs::write(file, page::page(&report));
        written.map_err(|error| Failure::environment(format!("cannot write {}: {error}", file.display())))?;
    }
    if args.output.json {
        super::print_json(&report)?;
    } else {
        super::print_page(&table::table(&report, args.html.as_deref()))?;
    }
    let failed = report.runs.iter().find_map(|run| run.outcome.feed_failure.as_deref());
    failed.map_or(Ok(()), |failure| Err(Failure::environment(failure)))
}

impl<'a> Plan<'a> {
    fn new(args: &BacktestArgs, strategies: &'a Registry) -> Result<Self, Failure> {
        let mut config = match &args.config.config {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        if let Some(feed) = &args.market.feed {
            config.feed.spec.clone_from(feed);
        }
        config.feed.date = args.market.date.clone().or(config.feed.date);
        config.feed.seconds = args.market.seconds.or(config.feed.seconds);
        if let Some(name) = &args.strategy {
            let known = config.strategy.iter().find(|strategy| strategy.name == *name).cloned();
            let new = StrategyConfig { name: name.clone(), ..StrategyConfig::default() };
            config.strategy = vec![known.unwrap_or(new)];
        }
        if config.strategy.len() != 1 {
            let names = strategies.kinds().iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
            return Err(Failure::usage("a backtest runs exactly one strategy")
                .help(format!("choose one with --strategy NAME; available: {names}")));
        }
        config.apply_parameters(&args.market.param)?;
        let spec = feeds::spec(&config)?;
        if matches!(spec, FeedSpec::Generator { .. }) && config.feed.seconds.is_none() {
            return Err(Failure::usage("the generated market never ends")
                .help("limit it, for example with --seconds 60"));
        }
        let limit = match config.feed.seconds {
            Some(seconds) if !(seconds.is_finite() && seconds > 0.0) => {
                return Err(Failure::usage(format!("invalid duration: {seconds} seconds"))
                    .help("give a number above 0"));
            }
            seconds => seconds.map(|seconds| Nanos((seconds * 1e9) as u64)),
        };
        Ok(Self { config, spec, strategies, limit })
    }

    /// Returns the options of the run with these swept parameters.
    fn options(&self, swept: &[String]) -> Result<BacktestOptions, Failure> {
        let mut config = self.config.clone();
        config.apply_parameters(swept)?;
        let strategy = config.strategy.swap_remove(0);
        let kind = self.strategies.find(&strategy.name).map_err(Failure::usage)?;
        let (parameters, _) = kind
            .start(&strategy.parameters.to_string())
            .map_err(|error| Failure::usage(format!("{}: {error}", strategy.name)).help(kind.describe()))?;
        Ok(BacktestOptions {
            strategy: strategy.name,
            parameters: parameters.to_toml(),
            seed: strategy.seed,
            paper: config.venue.paper(sources::VENUE)?,
            risk: config.risk.limits()?,
        })
    }

    /// Runs the backtest once, from the feed's first record to its last or to the time limit.
    fn run(
        &self,
        swept: &[String],
        options: &BacktestOptions,
        progress: &RunProgress,
    ) -> Result<BacktestRun, Failure> {
        let feed = feeds::open(&self.spec, &self.config, iter::empty())?;
        let began = Instant::now();
        let mut backtest = Backtest::new(feed, self.strategies, options.clone()).map_err(failure_of)?;
        let mut reported = 0;
        while backtest.step() && !progress.has_failed.load(Ordering::Relaxed) {
            let records = backtest.records();
            progress.records.fetch_add(records - reported, Ordering::Relaxed);
            reported = records;
            if self.limit.is_some_and(|limit| backtest.elapsed() >= limit) {
                backtest.stop();
            }
        }
        let outcome = backtest.finish().map_err(failure_of)?;
        let seconds = began.elapsed().as_secs_f64();
        let events_per_second = outcome.market_events as f64 / seconds;
        progress.runs.fetch_add(1, Ordering::Relaxed);
        Ok(BacktestRun { swept: swept.to_vec(), outcome, seconds, events_per_second })
    }
}

fn failure_of(error: BacktestError) -> Failure {
    match error {
        BacktestError::Session(error) => Failure::environment(error),
        error @ BacktestError::Endless(_) => {
            Failure::not_so(error).help("set order_delay_us and report_delay_us under [venue]")
        }
        error @ BacktestError::Strategy(_) => Failure::usage(error),
    }
}

/// Runs all runs of the grid on as many threads as there are CPUs, and returns them in the grid's order.
fn run_all(
    plan: &Plan<'_>,
    grid: &[Vec<String>],
    options: &[BacktestOptions],
) -> Result<Vec<BacktestRun>, Failure> {
    let progress = RunProgress::default();
    let done = Mutex::new(Vec::new());
    let work = || loop {
        let at = progress.next.fetch_add(1, Ordering::Relaxed);
        let Some((swept, options)) = grid.get(at).zip(options.get(at)) else { break };
        let run = plan.run(swept, options, &progress);
        progress.has_failed.fetch_or(run.is_err(), Ordering::Relaxed);
        done.lock().expect("no run panics while it holds the list").push((at, run));
        if progress.has_failed.load(Ordering::Relaxed) {
            break;
        }
    };
    thread::scope(|scope| {
        let threads = allowed_cpus().len().clamp(1, grid.len());
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let shown = match grid.len() {
            1 => Progress::new("backtest", "records", None),
            runs => Progress::new("backtest", "runs", Some(runs as u64)),
        };
        while running.iter().any(|thread| !thread.is_finished()) {
            shown.set(match grid.len() {
                1 => progress.records.load(Ordering::Relaxed),
                _ => progress.runs.load(Ordering::Relaxed),
            });
            thread::sleep(PROGRESS_INTERVAL);
        }
    });
    let mut done = done.into_inner().expect("no run panicked while it held the list");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, run)| run).collect()
}
