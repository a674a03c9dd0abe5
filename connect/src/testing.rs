//! Reads a feed to its end, for the tests of several connectors.

use stele_feed::{Batch, Feed, FeedError, FeedStep};
use stele_wire::codec::{Message, View};
use stele_wire::messages::SCHEMA_VERSION;

/// One event, copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Played {
    pub(crate) template_id: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) due: u64,
}

impl Played {
    /// The event as an `M`, where it is one.
    pub(crate) fn message<M: Message>(&self) -> Option<View<'_, M>> {
        (self.template_id == M::TEMPLATE_ID)
            .then(|| View::read(M::BLOCK_LENGTH, SCHEMA_VERSION, &self.body).expect("a whole message"))
    }
}

/// Returns all events of a feed, and the error with which it ends, if any.
pub(crate) fn play(feed: &mut dyn Feed) -> (Vec<Played>, Option<FeedError>) {
    let (mut played, mut batch) = (Vec::new(), Batch::new());
    loop {
        let step = feed.fill(&mut batch);
        played.extend(batch.iter().map(|pending| Played {
            template_id: pending.template_id,
            body: pending.body.to_vec(),
            due: pending.due.0,
        }));
        batch.clear();
        match step {
            Ok(FeedStep::More) => {}
            Ok(FeedStep::End) => return (played, None),
            Err(error) => return (played, Some(error)),
        }
    }
}
