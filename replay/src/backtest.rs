//! A strategy over a market that was, in the market's own time.
//!
//! The very sequencer, checks, strategy host and paper exchange that run live, stepped by one thread: an event is
//! sequenced, the exchange and the strategy see it, and everything that follows from it at that time is done before
//! the next one comes. Time is that of the feed. An order reaches the exchange, and a report the strategy, after the
//! delays of [`PaperOptions`]; beside these nothing takes time. So the outcome is a function of the feed, the
//! strategy, its parameters and the options: the same each time, on any machine.
//!
//! Nothing is written to a disk, and nothing is shared between two backtests: run as many as there are CPUs.

mod figures;
mod session;
mod tape;
mod thinned;

pub use figures::{Figures, TRADING_DAYS};
pub use session::SessionError;
pub use tape::{Execution, Quoted, SAMPLE_INTERVAL, Sample, Series, Traded};
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

/// What is run.
#[derive(Clone, Debug)]
pub struct BacktestOptions {
    /// The strategy's name in the registry.
    pub strategy: String,
    /// Its parameters as TOML; those that are not named have their defaults.
    pub parameters: String,
    /// Its seed.
    pub seed: u64,
    /// The exchange.
    pub paper: PaperOptions,
    /// The limits that orders are held against.
    pub risk: RiskLimits,
}

/// What one run came to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BacktestOutcome {
    /// The strategy's name.
    pub strategy: String,
    /// Its parameters as TOML, every default included.
    pub parameters: String,
    /// Records of the source.
    pub records: u64,
    /// Events about the market.
    pub market_events: u64,
    /// Events on the log, orders and reports included.
    pub events: u64,
    /// When the first event about the market was, nanoseconds since the epoch.
    pub first_time: u64,
    /// When the last event was.
    pub last_time: u64,
    /// Why the feed ended before its end, if it did; what was played until then counts.
    pub feed_failure: Option<String>,
    /// What went wrong with the strategy, if anything did: it was called no more.
    pub strategy_failure: Option<String>,
    /// What it came to.
    pub figures: Figures,
    /// Series for plots.
    #[serde(skip)]
    pub series: Series,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The strategy cannot be started.
    #[error("{0}")]
    Strategy(String),
    /// There is no session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The strategy answers reports with orders without end, and no time passes.
    #[error(
        "{0} answers each report with another order, and no time passes between them: give the exchange delays"
    )]
    Endless(String),
}

/// One run, one step at a time.
pub struct Backtest {
    options: BacktestOptions,
    player: Player<ManualClock, Session>,
    status: Arc<PlayerStatus>,
}

impl Backtest {
    /// A run of `feed`, of which nothing was read yet.
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
        // The session has a clock of its own and takes no notice of when it was handed something.
        let mut player = Player::new(feed, session, ManualClock::at(Nanos(0)), Pace::Fast);
        player.on_start().expect("a player has no way to fail");
        let status = player.status();
        Ok(Self { options, player, status })
    }

    /// Plays the next batch of the feed. Says whether there may be more.
    pub fn step(&mut self) -> bool {
        self.player.do_work().expect("a player has no way to fail");
        !self.status.is_done()
    }

    /// Reads no further than what was read by now.
    pub fn stop(&self) {
        self.status.request_stop();
    }

    /// How much of the market's time was played so far.
    pub fn elapsed(&self) -> Nanos {
        self.player.outlet().elapsed()
    }

    /// Records of the source read so far.
    pub fn records(&self) -> u64 {
        self.status.records()
    }

    /// What was played came to this.
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

    /// Plays the whole feed.
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
