//! Feeds: how market data gets into a bus, and how one shard gets the events of another.
//!
//! ```text
//!  file, generator, trail ──> Feed ──fill──> Batch ──> Player ──> publisher ──> sequencer
//!                                                         └─────> Router ──> a publisher of each shard
//!
//!  log of another shard ──> Origin ──> Forwarder ──> publisher ──> sequencer
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `feed` | [`Feed`], the trait of a source of market data; the [`Batch`] that it fills; [`Pace`] and [`FeedReport`] |
//! | `player` | [`Player`], the agent that plays a feed into a publisher or a router at a pace |
//! | [`router`] | one feed to several shards, by instrument |
//! | [`forward`] | what a shard needs of another, as events of its own |
//! | `instruments` | which instrument an event is about |
//! | [`bounds`] | the bounds of this crate |
//!
//! A [`Feed`] is pure: it reads its source when it is asked to, and knows neither clock nor thread.
//! [`Player`] and [`forward::Forwarder`] are agents: the thread that runs them (crate `stele-bus`, `Core`)
//! calls them in turns. The readers of vendors' files and the generator are in the crate `stele-connect`.
#![forbid(unsafe_code)]

pub mod bounds;
mod feed;
pub mod forward;
mod instruments;
mod player;
pub mod router;

pub use feed::{
    BATCH_EVENTS_MAX, BATCH_LENGTH, Batch, Feed, FeedError, FeedReport, FeedStep, NotCarried, Pace,
    PendingMessage, RECORD_EVENTS_MAX, RECORD_LENGTH_MAX, SourceDescription,
};
pub use player::{Player, PlayerStatus};
