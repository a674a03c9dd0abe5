//! `book_update_…`: the time of [`Market::apply`] for one market event: find the instrument, read the
//! message, and update the book. It is compared with `btree_book_…`: the same messages in a straightforward
//! book, with a `BTreeMap` of levels per side and a `HashMap` of orders, without instruments, counts or
//! queues.
#![expect(
    clippy::disallowed_types,
    reason = "the map is part of the comparison, and its order does not reach any output"
)]

use super::timed;
use crate::sheet::Sheet;
use crate::{MessageMix, Percentiles};
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use stele_bus::template;
use stele_strategies::Market;
use stele_wire::Frame;
use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH};
use stele_wire::frame::{FrameHeader, frame_length};
use stele_wire::messages::{
    BookAdd, BookCancel, BookClear, BookExecute, BookModify, BookReplace, SCHEMA_ID, SCHEMA_VERSION, Side,
};
use zerocopy::IntoBytes;

/// Applies the events of the mix to a new market, repeatedly until there are enough.
pub(super) fn measure(sheet: &mut Sheet, mix: &MessageMix, events: usize) {
    let frames = frames(mix);
    let frames: Vec<Frame<'_>> =
        frames.iter().map(|words| Frame::read(words.as_bytes()).expect("made here")).collect();
    let frames = &frames[..frames.len().min(events)];
    let (mut own, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..(events / frames.len()).max(1) {
        let mut market = Market::default();
        own.push(timed(frames, |frame| {
            black_box(market.apply(frame));
        }));
        let mut book = TreeBook::default();
        plain.push(timed(frames, |frame| {
            black_box(book.apply(frame));
        }));
    }
    let [ours, other] = ["book_update", "btree_book"].map(|name| format!("{name}_{}", mix.name));
    sheet.latency(&ours, middle(own), None);
    sheet.latency(&other, middle(plain), None);
    sheet.beside(&ours, &other);
}

/// Returns the pass with the median p50.
fn middle(mut passes: Vec<Percentiles>) -> Percentiles {
    passes.sort_by_key(|pass| pass.p50);
    passes[passes.len() / 2]
}

/// Returns the messages of the mix as frames of a log.
fn frames(mix: &MessageMix) -> Vec<Vec<u64>> {
    let frame = |(number, message): (usize, &crate::mix::Message)| {
        let length = frame_length(message.body.len());
        let header = FrameHeader {
            crc: 0.into(),
            length: (length as u16).into(),
            flags: 0,
            version: FRAME_VERSION,
            sequence: (number as u64 + 1).into(),
            timestamp: (1_700_000_000_000_000_000 + number as u64).into(),
            block_length: template(message.template_id).expect("of the schema").block_length.into(),
            template_id: message.template_id.into(),
            schema_id: SCHEMA_ID.into(),
            schema_version: SCHEMA_VERSION.into(),
        };
        let mut words = vec![0_u64; length / 8];
        let bytes = words.as_mut_bytes();
        bytes[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
        bytes[HEADER_LENGTH..HEADER_LENGTH + message.body.len()].copy_from_slice(&message.body);
        words
    };
    mix.messages.iter().enumerate().map(frame).collect()
}

/// A straightforward order book.
#[derive(Default)]
struct TreeBook {
    sides: [BTreeMap<i64, (u64, u32)>; 2],
    orders: HashMap<u64, (usize, i64, u64)>,
}

impl TreeBook {
    /// Applies a message and returns the best bid and offer.
    fn apply(&mut self, frame: &Frame<'_>) -> (Option<i64>, Option<i64>) {
        match frame.template_id() {
            BookAdd::TEMPLATE_ID => {
                let add = frame.message::<BookAdd>().expect("whole");
                self.add(add.order_id.get(), side(add.side), add.price.get(), add.quantity.get());
            }
            BookCancel::TEMPLATE_ID => {
                let cancel = frame.message::<BookCancel>().expect("whole");
                self.reduce(cancel.order_id.get(), cancel.quantity.get());
            }
            BookExecute::TEMPLATE_ID => {
                let execute = frame.message::<BookExecute>().expect("whole");
                self.reduce(execute.order_id.get(), execute.quantity.get());
            }
            BookModify::TEMPLATE_ID => {
                let modify = frame.message::<BookModify>().expect("whole");
                let (id, price) = (modify.order_id.get(), modify.price.get());
                if let Some(side) = self.reduce(id, u64::MAX) {
                    self.add(id, side, price, modify.quantity.get());
                }
            }
            BookReplace::TEMPLATE_ID => {
                let replace = frame.message::<BookReplace>().expect("whole");
                if let Some(side) = self.reduce(replace.prior_order_id.get(), u64::MAX) {
                    let (price, quantity) = (replace.price.get(), replace.quantity.get());
                    self.add(replace.order_id.get(), side, price, quantity);
                }
            }
            BookClear::TEMPLATE_ID => *self = Self::default(),
            _ => {}
        }
        (
            self.sides[0].last_key_value().map(|level| *level.0),
            self.sides[1].first_key_value().map(|level| *level.0),
        )
    }

    fn add(&mut self, id: u64, side: usize, price: i64, quantity: u64) {
        self.orders.insert(id, (side, price, quantity));
        let level = self.sides[side].entry(price).or_default();
        *level = (level.0 + quantity, level.1 + 1);
    }

    /// Reduces an order by a quantity, at most to zero, and returns its side.
    fn reduce(&mut self, id: u64, quantity: u64) -> Option<usize> {
        let order = self.orders.get_mut(&id)?;
        let (side, price, taken) = (order.0, order.1, quantity.min(order.2));
        order.2 -= taken;
        let is_gone = order.2 == 0;
        if is_gone {
            self.orders.remove(&id);
        }
        let level = self.sides[side].get_mut(&price)?;
        *level = (level.0 - taken, level.1 - u32::from(is_gone));
        if level.1 == 0 {
            self.sides[side].remove(&price);
        }
        Some(side)
    }
}

fn side(side: Side) -> usize {
    usize::from(side == Side::SELL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_strategies::BookSide;

    #[test]
    fn both_books_see_the_same_touch() {
        let add = |order_id: u64, side, price: i64| BookAdd {
            instrument: 1.into(),
            source: 1.into(),
            order_id: order_id.into(),
            side,
            price: price.into(),
            quantity: 10.into(),
            ..BookAdd::NULL
        };
        let message = |body: &[u8], template_id| crate::mix::Message { template_id, body: body.into() };
        let mut messages = Vec::new();
        for number in 1..200_u64 {
            let (side, price) = match number % 2 {
                0 => (Side::BUY, 100 - (number as i64 * 7) % 13),
                _ => (Side::SELL, 101 + (number as i64 * 5) % 11),
            };
            messages.push(message(add(number, side, price).as_bytes(), BookAdd::TEMPLATE_ID));
            if number > 20 {
                let cancel = BookCancel {
                    instrument: 1.into(),
                    source: 1.into(),
                    order_id: (number - 20).into(),
                    quantity: (number % 11).into(),
                    ..BookCancel::NULL
                };
                messages.push(message(cancel.as_bytes(), BookCancel::TEMPLATE_ID));
            }
        }
        let frames = frames(&MessageMix { name: "test", messages });
        let (mut market, mut tree) = (Market::default(), TreeBook::default());
        for words in &frames {
            let frame = Frame::read(words.as_bytes()).unwrap();
            market.apply(&frame);
            let touch = |side| market.book(1).and_then(|book| book.best(side)).map(|level| level.price.0);
            assert_eq!(tree.apply(&frame), (touch(BookSide::Bid), touch(BookSide::Ask)));
        }
    }
}
