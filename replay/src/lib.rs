//! Running a trail again: backtests, the check of a trail, the restart from one, a trail as a feed, and the
//! summary of a session.
//!
//! | module | contents | thread |
//! |---|---|---|
//! | [`backtest`] | a strategy over a feed, with sequencer, risk checks and paper exchange, on a manual clock | the caller's, step by step |
//! | [`divergence`], [`regeneration`], [`difference`], `submission` | runs the strategies of a trail again and compares what they send with what is recorded | the caller's |
//! | [`mod@recall`], [`resume`], [`definitions`] | the state at the end of a trail, read from a snapshot where there is one | the caller's |
//! | [`follower`] | the same state, kept up to date while the log grows, and its snapshots | a background thread, in turns |
//! | [`trail_feed`], [`pacer`] | a trail as a feed; the pace of a trail that is only read | that of the feed's player; the caller's |
//! | [`summary`] | orders, executions, latencies and results of a trail | the caller's |
//!
//! Everything that decides is pure: it takes one event after the other and uses no clock, thread or file.
//! Thin functions next to it read the trail. The paper exchange is in the crate `stele-venue`.
#![forbid(unsafe_code)]

pub mod backtest;
pub mod controls;
pub mod definitions;
pub mod difference;
pub mod divergence;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../venue/src/fixture.rs"]
mod fixture;
pub mod follower;
pub mod pacer;
pub mod recall;
pub mod regeneration;
pub mod resume;
mod submission;
pub mod summary;
pub mod trail_feed;

pub use backtest::{Backtest, BacktestError, BacktestOptions, BacktestOutcome};
pub use controls::{Controls, TrailStrategy};
pub use definitions::{DefinedInstrument, DefinedSource, Definitions, OriginProgress};
pub use difference::{Difference, DifferenceKind, FieldDifference};
pub use divergence::{CheckError, DivergenceCheck, DivergenceReport};
pub use follower::{FollowError, Follower, TakenSnapshot};
pub use pacer::Pacer;
pub use recall::{RecalledState, UsedSnapshot, recall};
pub use regeneration::{RegenerationError, Tally};
pub use resume::{LoadError, ResumeError, ResumedSession, TrailState};
pub use submission::StrategySubmission;
pub use summary::{LatencyPercentiles, OperatorAct, Summary};
pub use trail_feed::TrailFeed;
