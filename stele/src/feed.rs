//! Feeds: the trait of a source of market data, and the player that publishes its records on a bus.
//!
//! A [`Feed`] fills a [`Batch`] with events. A [`Player`] is the agent that plays a feed at a [`Pace`], into
//! one publisher or through a [router] to several shards.

pub use stele_feed::{
    BATCH_EVENTS_MAX, BATCH_LENGTH, Batch, Description, Feed, FeedError, FeedReport, NotCarried, Pace,
    Pending, Player, PlayerStatus, RECORD_EVENTS_MAX, RECORD_LENGTH_MAX, Step,
};
pub use stele_feed::{forward, router};
