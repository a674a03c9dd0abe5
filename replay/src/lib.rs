//! What a trail says happened, again: the backtest, the check of a trail, the restart over one, a trail as a
//! feed, and the summary of a session.
//!
//! | module | what is in it | which thread runs it |
//! |---|---|---|
//! | [`backtest`] | strategies over a feed, with sequencer, risk and paper exchange, on a manual clock | the caller's: all take turns |
//! | [`divergence`], [`regeneration`], [`difference`], `submission` | the strategies run again over a trail, and how what they send differs from what is recorded | the caller's |
//! | [`recall`], [`resume`], [`known`] | the state at the end of a trail, from a snapshot where there is one | the caller's |
//! | [`follower`] | the same state kept up while the log grows, and its snapshots | a background thread, in turns |
//! | [`trail_feed`], [`pacer`] | a trail as a feed, and the pace of one that is only read | the one that plays the feed; the caller's |
//! | [`summary`] | orders, executions, latencies and results of a trail | the caller's |
//!
//! Everything that decides is pure, is given one event after the other, and knows neither clock nor thread
//! nor file; thin functions beside it read a trail. The paper exchange is in the crate `stele-venue`.
#![forbid(unsafe_code)]

pub mod backtest;
pub mod difference;
pub mod divergence;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../venue/src/fixture.rs"]
mod fixture;
pub mod follower;
pub mod known;
pub mod pacer;
pub mod recall;
pub mod regeneration;
pub mod resume;
mod submission;
pub mod summary;
pub mod trail_feed;

pub use backtest::{Backtest, BacktestError, BacktestOptions, BacktestOutcome};
pub use difference::{Difference, DifferenceKind, FieldDifference};
pub use divergence::{Check, CheckError, Checked};
pub use follower::{FollowError, Follower, Taken};
pub use known::{Known, KnownInstrument, KnownOrigin, KnownSource};
pub use pacer::Pacer;
pub use recall::{Recalled, UsedSnapshot, recall};
pub use regeneration::{RegenerationError, Tally};
pub use resume::{LoadError, Resume, ResumeError, Resumed};
pub use submission::Submission;
pub use summary::{Percentiles, Summary};
pub use trail_feed::TrailFeed;
