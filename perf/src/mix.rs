//! Messages to publish: all of one length, or those of a recorded market.

use std::io;
use stele_feed::{Batch, Feed, FeedStep};
use stele_wire::frame::frame_length;
use stele_wire::messages::BookClear;
use zerocopy::IntoBytes;

/// A part of a market in memory, so that reading it costs nothing while it is published.
#[derive(Clone, Debug)]
pub struct Mix {
    /// What it is in the names of figures: `itch`, `dbn`.
    pub name: &'static str,
    pub(crate) messages: Vec<Message>,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) template_id: u16,
    pub(crate) body: Box<[u8]>,
}

const _: () = assert!(frame_length(size_of::<BookClear>()) == 64);

impl Mix {
    /// The first `count` events of `feed`.
    ///
    /// # Errors
    /// When the feed cannot be read, or has none.
    pub fn read(name: &'static str, feed: &mut dyn Feed, count: usize) -> io::Result<Self> {
        let mut messages = Vec::with_capacity(count);
        let mut batch = Batch::new();
        let mut step = FeedStep::More;
        while messages.len() < count && step == FeedStep::More {
            step = feed.fill(&mut batch).map_err(io::Error::other)?;
            messages.extend(
                batch
                    .iter()
                    .map(|message| Message { template_id: message.template_id, body: message.body.into() }),
            );
            batch.clear();
        }
        messages.truncate(count);
        if messages.is_empty() {
            return Err(io::Error::other(format!("the feed of the mix {name} has no event")));
        }
        Ok(Self { name, messages })
    }

    /// One event of 64 bytes, the shortest of market data.
    pub(crate) fn of_64_bytes() -> Self {
        let body = BookClear::NULL.as_bytes().into();
        Self { name: "64", messages: vec![Message { template_id: BookClear::TEMPLATE_ID, body }] }
    }
}
