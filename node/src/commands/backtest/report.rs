//! The runs of a backtest and what they came to.

use serde::Serialize;
use stele_replay::BacktestOutcome;

/// One run and how long it took.
#[derive(Serialize)]
pub(super) struct Run {
    /// What the sweep set, as `key=value`.
    pub(super) swept: Vec<String>,
    #[serde(flatten)]
    pub(super) outcome: BacktestOutcome,
    pub(super) seconds: f64,
    pub(super) events_per_second: f64,
}

/// Every run over one feed, the most profitable first.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) feed: String,
    pub(super) runs: Vec<Run>,
}
