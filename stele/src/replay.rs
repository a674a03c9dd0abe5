//! What happened, again: backtests, the check of a trail, the state at its end, a trail as a feed, summaries,
//! and the exchange on paper.

pub use stele_replay::divergence::check;
pub use stele_replay::summary::summarise;
pub use stele_replay::{
    Backtest, BacktestError, BacktestOptions, BacktestOutcome, CheckError, Checked, Counterparty, Difference,
    DifferenceKind, FieldDifference, OpenOrders, Pacer, PaperExchange, PaperOptions, PaperVenue, Percentiles,
    Recalled, Resume, ResumeError, Resumed, Summary, TrailFeed, recall,
};
