//! Feeds: how market data enters a bus, and how a shard receives events of another shard.
//!
//! ```text
//!  file, generator, trail ──> Feed ──fill──> Batch ──> Player ──> publisher ──> sequencer
//!                                                         └─────> Router ──> a publisher of each shard
//!
//!  log of another shard ──> Origin ──> Forwarder ──> publisher ──> sequencer
//! ```
//!
//! | module | content |
//! |---|---|
//! | `feed` | [`Feed`], the trait of a source of market data; the [`Batch`] that it fills; [`Pace`]; [`FeedReport`] |
//! | `player` | [`Player`], the agent that plays a feed into a publisher or a router at a pace |
//! | [`router`] | sends one feed to several shards, by instrument |
//! | [`forward`] | copies the events that a shard needs from another shard |
//! | `instruments` | finds the instrument of an event |
//! | [`bounds`] | the bounds of this crate |
//!
//! A [`Feed`] reads its source only when it is called, and uses neither a clock nor a thread.
//! [`Player`] and [`forward::Forwarder`] are agents, which a thread runs in turns (`Core` of the crate
//! `stele-bus`). The readers of vendors' files and the generator are in the crate `stele-connect`.
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
