//! Records with the best prices after an update, and the trades among them.

use super::{Mapping, Prefix};
use crate::dbn::definition::{quantity, side};
use crate::dbn::letters::book_action;
use crate::dbn::sources::NO_CHANNEL;
use dbn::{BboMsg, BidAskPair, CbboMsg, Cmbp1Msg, Mbp1Msg, Mbp10Msg};
use std::ffi::c_char;
use stele_feed::Batch;
use stele_wire::messages::{BookAction, BookDepth, BookDepthLevels, MarketFlags, TopOfBook};

impl Mapping {
    /// Puts a trade before the quote that it comes with, as part of the same event of the venue.
    fn trade_before(
        &mut self,
        prefix: Prefix,
        action: c_char,
        price: i64,
        size: u32,
        depth: u8,
        batch: &mut Batch,
    ) {
        if action as u8 == b'T' {
            let flags = prefix.flags.without(MarketFlags::LAST);
            self.put_trade(Prefix { flags, ..prefix }, price, size, depth, batch);
        }
    }

    pub(super) fn top_of_book(&mut self, record: &Mbp1Msg, batch: &mut Batch) {
        let prefix = Prefix {
            sequence: record.sequence,
            flags: MarketFlags::from_bits(record.flags.raw()),
            side: side(record.side),
            ..self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch)
        };
        self.trade_before(prefix, record.action, record.price, record.size, record.depth, batch);
        let top = TopOfBook {
            price: record.price.into(),
            quantity: quantity(record.size).into(),
            action: book_action(record.action),
            depth: record.depth,
            ..touch(prefix, &record.levels[0])
        };
        self.counts.push(batch, prefix.due, &top);
    }

    pub(super) fn bbo(&mut self, record: &BboMsg, batch: &mut Batch) {
        let prefix = Prefix {
            sequence: record.sequence,
            flags: MarketFlags::from_bits(record.flags.raw()),
            side: side(record.side),
            ..self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch)
        };
        let top = TopOfBook {
            price: record.price.into(),
            quantity: quantity(record.size).into(),
            ..touch(prefix, &record.levels[0])
        };
        self.counts.push(batch, prefix.due, &top);
    }

    pub(super) fn consolidated(&mut self, record: &Cmbp1Msg, batch: &mut Batch) {
        let prefix = Prefix {
            flags: MarketFlags::from_bits(record.flags.raw()),
            side: side(record.side),
            ..self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch)
        };
        self.trade_before(prefix, record.action, record.price, record.size, 0, batch);
        let top = TopOfBook {
            price: record.price.into(),
            quantity: quantity(record.size).into(),
            action: book_action(record.action),
            ..touch(prefix, &without_counts(&record.levels[0]))
        };
        self.counts.push(batch, prefix.due, &top);
    }

    pub(super) fn consolidated_bbo(&mut self, record: &CbboMsg, batch: &mut Batch) {
        let prefix = Prefix {
            flags: MarketFlags::from_bits(record.flags.raw()),
            side: side(record.side),
            ..self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch)
        };
        let top = TopOfBook {
            price: record.price.into(),
            quantity: quantity(record.size).into(),
            ..touch(prefix, &without_counts(&record.levels[0]))
        };
        self.counts.push(batch, prefix.due, &top);
    }

    pub(super) fn depth(&mut self, record: &Mbp10Msg, batch: &mut Batch) {
        let prefix = Prefix {
            sequence: record.sequence,
            flags: MarketFlags::from_bits(record.flags.raw()),
            side: side(record.side),
            ..self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch)
        };
        self.trade_before(prefix, record.action, record.price, record.size, record.depth, batch);
        let depth = start!(
            prefix,
            BookDepth {
                price: record.price.into(),
                quantity: quantity(record.size).into(),
                action: book_action(record.action),
                depth: record.depth,
            }
        );
        let levels = record.levels.iter().map(|level| BookDepthLevels {
            bid_price: level.bid_px.into(),
            ask_price: level.ask_px.into(),
            bid_quantity: quantity(level.bid_sz).into(),
            ask_quantity: quantity(level.ask_sz).into(),
            bid_order_count: level.bid_ct.into(),
            ask_order_count: level.ask_ct.into(),
        });
        self.counts
            .push_with::<BookDepth>(batch, prefix.due, |buffer| depth.encode(buffer, levels))
            .expect("ten levels fit");
    }
}

fn touch(prefix: Prefix, level: &BidAskPair) -> TopOfBook {
    start!(
        prefix,
        TopOfBook {
            action: BookAction::NONE,
            depth: 0,
            bid_price: level.bid_px.into(),
            ask_price: level.ask_px.into(),
            bid_quantity: quantity(level.bid_sz).into(),
            ask_quantity: quantity(level.ask_sz).into(),
            bid_order_count: level.bid_ct.into(),
            ask_order_count: level.ask_ct.into(),
        }
    )
}

fn without_counts(level: &dbn::ConsolidatedBidAskPair) -> BidAskPair {
    let dbn::ConsolidatedBidAskPair { bid_px, ask_px, bid_sz, ask_sz, .. } = *level;
    BidAskPair { bid_px, ask_px, bid_sz, ask_sz, bid_ct: u32::MAX, ask_ct: u32::MAX }
}
