//! Messages to publish: 64 bytes each, or those of a recorded market.

use std::io;
use stele_feed::{Batch, Feed, FeedStep};
use stele_wire::frame::frame_length;
use stele_wire::messages::BookClear;
use zerocopy::IntoBytes;

/// Messages in memory, so that publishing them does not include the cost of reading them.
#[derive(Clone, Debug)]
pub struct MessageMix {
    /// The suffix in the names of figures: `itch`, `dbn`.
    pub name: &'static str,
    pub(crate) messages: Vec<Message>,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) template_id: u16,
    pub(crate) body: Box<[u8]>,
}

const _: () = assert!(frame_length(size_of::<BookClear>()) == 64);

impl MessageMix {
    /// Reads the first `count` events of `feed`.
    ///
    /// # Errors
    /// If the feed cannot be read, or has no events.
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
            return Err(io::Error::other(format!("the feed {name} has no events")));
        }
        Ok(Self { name, messages })
    }

    /// One event of 64 bytes, the shortest market-data event.
    pub(crate) fn of_64_bytes() -> Self {
        let body = BookClear::NULL.as_bytes().into();
        Self { name: "64", messages: vec![Message { template_id: BookClear::TEMPLATE_ID, body }] }
    }
}
