//! Replay: backtests, the check of a trail, the state at the end of a trail, a trail as a feed, and
//! summaries.

pub use stele_replay::divergence::check;
pub use stele_replay::summary::summarise;
pub use stele_replay::{
    Backtest, BacktestError, BacktestOptions, BacktestOutcome, CheckError, Difference, DifferenceKind,
    DivergenceReport, FieldDifference, LatencyPercentiles, Pacer, RecalledState, ResumeError, ResumedSession,
    Summary, TrailFeed, TrailState, recall,
};
