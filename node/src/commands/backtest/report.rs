//! The results of a backtest.

use serde::Serialize;
use stele_replay::BacktestOutcome;

/// The outcome of one run and how long it took.
#[derive(Serialize)]
pub(super) struct BacktestRun {
    /// The parameters that the sweep set, as `key=value`.
    pub(super) swept: Vec<String>,
    #[serde(flatten)]
    pub(super) outcome: BacktestOutcome,
    pub(super) seconds: f64,
    pub(super) events_per_second: f64,
}

/// All runs over one feed, the most profitable first.
#[derive(Serialize)]
pub(super) struct BacktestReport {
    pub(super) feed: String,
    pub(super) runs: Vec<BacktestRun>,
}
