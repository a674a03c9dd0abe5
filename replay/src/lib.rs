//! What happened, again: the exchange on paper, the check of a trail, the restart over one, a trail as a feed, and
//! what a person wants to know of it.
//!
//! Everything that decides is pure, fed event by event, and knows no clock, thread or file; thin functions beside
//! it read a trail.
//!
//! | what | on which thread |
//! |---|---|
//! | [`Backtest`] | the caller's, all of it: sequencer, exchange and strategy take turns |
//! | [`TrailFeed`] | the thread of whoever plays the feed |
//! | [`Follower`] | a background thread of its own, in turns |
//! | [`divergence::check`], [`recall::recall`], [`summary::summarise`], [`pacer::play`] | the caller's, to the end |
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
pub mod summary;
pub mod trail_feed;

pub use backtest::{Backtest, BacktestError, BacktestOptions, BacktestOutcome};
pub use difference::{Difference, DifferenceKind, FieldDifference};
pub use divergence::{Check, CheckError, Checked};
pub use follower::{FollowError, Follower, Taken};
pub use known::{Known, KnownInstrument, KnownOrigin, KnownSource};
pub use pacer::Pacer;
pub use recall::{Recalled, UsedSnapshot, recall};
pub use regeneration::{RegenerationError, Submission, Tally};
pub use resume::{LoadError, Resume, ResumeError, Resumed};
pub use summary::{Percentiles, Summary};
pub use trail_feed::TrailFeed;
