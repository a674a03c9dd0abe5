//! Compares books with the vendors' own, end to end: a feed reads a file, and its events build the books that
//! strategies see.

mod binance;
mod databento;
mod itch;
mod lobster;
mod small;

use std::path::Path;
use stele_feed::{Batch, Feed, FeedStep};
use stele_strategies::book::{Book, BookSide};
use stele_strategies::market::{Market, MarketChange};
use stele_wire::codec::{Message, View};
use stele_wire::frame::frame_length;
use stele_wire::messages::{SCHEMA_ID, SCHEMA_VERSION, block_length};
use stele_wire::{Frame, FrameHeader, Price};
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromZeros, IntoBytes};

/// One event of a feed, copied.
struct Played {
    template_id: u16,
    body: Vec<u8>,
}

impl Played {
    /// The event as an `M`, where it is one.
    fn message<M: Message>(&self) -> Option<View<'_, M>> {
        (self.template_id == M::TEMPLATE_ID)
            .then(|| View::read(M::BLOCK_LENGTH, SCHEMA_VERSION, &self.body).expect("a whole message"))
    }
}

/// Reads a feed to its end and returns all of its events.
fn play(mut feed: impl Feed) -> Vec<Played> {
    let (mut played, mut batch) = (Vec::new(), Batch::new());
    loop {
        let step = feed.fill(&mut batch).expect("the file is whole");
        played.extend(
            batch
                .iter()
                .map(|pending| Played { template_id: pending.template_id, body: pending.body.to_vec() }),
        );
        batch.clear();
        if step == FeedStep::End {
            return played;
        }
    }
}

/// A market that events are applied to, as in a host.
#[derive(Default)]
struct Books {
    market: Market,
    frame: Vec<u8>,
    sequence: u64,
}

impl Books {
    fn apply(&mut self, event: &Played) -> MarketChange {
        self.feed(event.template_id, &event.body)
    }

    /// Applies an event that is not from a feed.
    fn insert<M: Message>(&mut self, message: &M) {
        self.feed(M::TEMPLATE_ID, message.as_bytes());
    }

    fn feed(&mut self, template_id: u16, body: &[u8]) -> MarketChange {
        self.sequence += 1;
        let length = frame_length(body.len());
        let header = FrameHeader {
            length: U16::new(length as u16),
            version: 1,
            sequence: U64::new(self.sequence),
            block_length: U16::new(block_length(template_id).expect("a message of the schema")),
            template_id: U16::new(template_id),
            schema_id: U16::new(SCHEMA_ID),
            schema_version: U16::new(SCHEMA_VERSION),
            ..FrameHeader::new_zeroed()
        };
        self.frame.clear();
        self.frame.resize(length, 0);
        self.frame[..32].copy_from_slice(header.as_bytes());
        self.frame[32..32 + body.len()].copy_from_slice(body);
        self.market.apply(&Frame::read(&self.frame).expect("the header was just written"))
    }

    /// The book of the file's only instrument.
    fn book(&self) -> &Book {
        self.market.book(1).expect("the file's instrument is defined first")
    }

    /// The levels of a side, best first: price, quantity, orders.
    fn levels(&self, side: BookSide) -> Vec<(i64, u64, u32)> {
        self.book().levels(side).map(|level| (level.price.0, level.quantity.0, level.orders)).collect()
    }

    fn best(&self, side: BookSide) -> Option<(i64, u64)> {
        self.book().best(side).map(|level| (level.price.0, level.quantity.0))
    }

    /// Asserts that no rule for inconsistent records was applied.
    fn assert_nothing_odd(&self) {
        let counts = self.book().counts();
        let odd = counts.repeated + counts.unknown + counts.excess + counts.malformed + counts.foreign;
        assert_eq!(odd, 0, "{counts:?}");
    }
}

/// Parses a decimal price into units of 1e-9.
fn price(text: &str) -> Price {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    Price(format!("{whole}{fraction:0<9}").parse().expect("a decimal of nine places at most"))
}

fn expected(path: &Path) -> serde_json::Value {
    let text = std::fs::read(path).expect("the results to check by lie beside the data");
    serde_json::from_slice(&text).expect("they are JSON")
}
