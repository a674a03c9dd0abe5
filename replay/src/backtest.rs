//! Runs a strategy over a recorded or generated market, in the market's own time.
//!
//! The sequencer, the risk checks, the strategy host and the paper exchange are those of a live run,
//! stepped by one thread: an event is sequenced, the exchange and the strategy process it, and everything
//! that follows from it at the same time is done before the next event. Time is that of the feed. Orders
//! reach the exchange, and reports the strategy, after the delays of [`PaperOptions`]; nothing else takes
//! time. So the outcome is a function of the feed, the strategy, its parameters and the options: it is the
//! same each time, on any machine.
//!
//! A backtest writes nothing to disk and shares nothing with other backtests, so run as many at once as
//! there are CPUs.

mod figures;
mod session;
mod tape;
mod thinned;

pub use figures::{BacktestFigures, TRADING_DAYS};
pub use session::SessionError;
pub use tape::{
    BacktestSeries, EquitySample, ExecutionSample, InstrumentSeries, QuoteSample, SAMPLE_INTERVAL,
};
pub use thinned::Thinned;

use serde::Serialize;
use session::Session;
use std::sync::Arc;
use stele_bus::{Agent, ManualClock};
use stele_feed::{Feed, Pace, Player, PlayerStatus};
use stele_risk::RiskLimits;
use stele_strategies::Registry;
use stele_venue::paper_exchange::PaperOptions;
use stele_wire::Nanos;

/// The options of a backtest.
#[derive(Clone, Debug)]
pub struct BacktestOptions {
    /// The strategy's name in the registry.
    pub strategy: String,
    /// Its parameters as TOML; parameters that are not named have their defaults.
    pub parameters: String,
    /// Its seed.
    pub seed: u64,
    /// The options of the paper exchange.
    pub paper: PaperOptions,
    /// The risk limits that orders are checked against.
    pub risk: RiskLimits,
}

/// The outcome of one run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BacktestOutcome {
    /// The strategy's name.
    pub strategy: String,
    /// Its parameters as TOML, including every default.
    pub parameters: String,
    /// Records read from the feed.
    pub records: u64,
    /// Market events played.
    pub market_events: u64,
    /// Events on the log, orders and reports included.
    pub events: u64,
    /// The time of the first market event, in nanoseconds since the epoch.
    pub first_time: u64,
    /// The time of the last event, in nanoseconds since the epoch.
    pub last_time: u64,
    /// Why the feed failed before its end, if it did; what was played until then counts.
    pub feed_failure: Option<String>,
    /// Why the strategy failed, if it did; it was not called after that.
    pub strategy_failure: Option<String>,
    /// The figures of the run.
    pub figures: BacktestFigures,
    /// Series for plots.
    #[serde(skip)]
    pub series: BacktestSeries,
}

/// Why a backtest has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The strategy cannot be started: its name is unknown or its parameters are invalid.
    #[error("{0}")]
    Strategy(String),
    /// The session cannot be created.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The strategy answers reports with orders without end while no time passes.
    #[error("{0} answers each report with another order while no time passes: set delays of the exchange")]
    Endless(String),
}

/// One backtest, which the caller runs to its end or step by step.
///
/// ```
/// use stele_replay::{Backtest, BacktestOptions, TrailFeed};
/// use stele_risk::RiskLimits;
/// use stele_strategies::Registry;
/// use stele_venue::paper_exchange::PaperOptions;
/// # use stele_wire::messages::Trade;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let trail = folder.path().join("trail");
/// # let mut bus = stele_embed::Bus::open(&trail, Default::default())?;
/// # let mut feed = bus.publisher("feed", stele_bus::Grants::market())?;
/// # let bus = bus.start()?;
/// # bus.publish(&mut feed, &Trade::NULL)?;
/// # bus.stop()?;
/// let options = BacktestOptions {
///     strategy: "ma-cross".into(),
///     parameters: "fast = 2\nslow = 5".into(),
///     seed: 1,
///     paper: PaperOptions::default(),
///     risk: RiskLimits::default(),
/// };
/// // `trail` is the folder of a recorded trail, here with one trade.
/// let feed = Box::new(TrailFeed::open(&trail, 1)?);
/// let outcome = Backtest::new(feed, &Registry::built_in(), options)?.run()?;
/// assert_eq!(outcome.figures.orders, 0);
/// # Ok(()) }
/// ```
pub struct Backtest {
    options: BacktestOptions,
    player: Player<ManualClock, Session>,
    status: Arc<PlayerStatus>,
}

impl Backtest {
    /// Creates a backtest of `feed`, of which nothing must have been read.
    ///
    /// # Errors
    /// [`BacktestError`], before anything is played.
    pub fn new(
        feed: Box<dyn Feed>,
        registry: &Registry,
        mut options: BacktestOptions,
    ) -> Result<Self, BacktestError> {
        let kind = registry.find(&options.strategy);
        let kind = kind.map_err(|unknown| BacktestError::Strategy(unknown.to_string()))?;
        let started = kind.start(&options.parameters);
        let (parameters, _) =
            started.map_err(|error| BacktestError::Strategy(format!("{}: {error}", options.strategy)))?;
        options.parameters = parameters.to_toml();
        let session = Session::new(&options, registry)?;
        // The session has its own clock and ignores the times at which it receives messages.
        let mut player = Player::new(feed, session, ManualClock::at(Nanos(0)), Pace::Fast);
        player.on_start().expect("a player cannot fail");
        let status = player.status();
        Ok(Self { options, player, status })
    }

    /// Plays the next batch of the feed. Returns whether there may be more.
    pub fn step(&mut self) -> bool {
        self.player.do_work().expect("a player cannot fail");
        !self.status.is_done()
    }

    /// Stops reading the feed; what was read is still played.
    pub fn stop(&self) {
        self.status.request_stop();
    }

    /// Returns how much of the market's time was played so far.
    pub fn elapsed(&self) -> Nanos {
        self.player.outlet().elapsed()
    }

    /// The number of records read from the feed so far.
    pub fn records(&self) -> u64 {
        self.status.records()
    }

    /// Returns the outcome of what was played.
    ///
    /// # Errors
    /// [`BacktestError::Endless`].
    pub fn finish(self) -> Result<BacktestOutcome, BacktestError> {
        let Self { options, player, status } = self;
        let session = player.into_outlet();
        if session.is_endless() {
            return Err(BacktestError::Endless(options.strategy));
        }
        let market_events = session.played();
        let (tape, host) = session.end();
        let (events, first_time, last_time) = tape.extent();
        let strategy_failure = host.failures().first().map(|failure| failure.reason.clone());
        let (figures, series) = tape.finish(&host);
        Ok(BacktestOutcome {
            strategy: options.strategy,
            parameters: options.parameters,
            records: status.records(),
            market_events,
            events,
            first_time,
            last_time,
            feed_failure: status.failure().map(str::to_owned),
            strategy_failure,
            figures,
            series,
        })
    }

    /// Plays the whole feed and returns the outcome.
    ///
    /// # Errors
    /// [`BacktestError::Endless`].
    pub fn run(mut self) -> Result<BacktestOutcome, BacktestError> {
        while self.step() {}
        self.finish()
    }
}

#[cfg(test)]
mod tests;
