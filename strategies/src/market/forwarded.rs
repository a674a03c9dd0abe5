//! Events of other shards: their instruments appear in the market under numbers of their own.
//!
//! Each shard numbers its instruments and sources independently. The body of a `Forwarded` event is read like
//! an event of this shard, except for instrument and source: these get numbers from ranges that no feed
//! assigns, in the order in which the log first mentions them.

use super::numbering::{FORWARDED_INSTRUMENT_MIN, FORWARDED_SOURCE_MIN, InstrumentOrigin, key};
use super::{Market, MarketChange};
use stele_wire::messages::Forwarded;
use stele_wire::{Frame, ShardId};
use zerocopy::IntoBytes;

impl Market {
    /// The number that an instrument of another shard has here, once one of its events was forwarded.
    pub fn forwarded(&self, shard: ShardId, instrument: u32) -> Option<u32> {
        let slot = self.foreign.index.get(key(InstrumentOrigin { shard, instrument }))?;
        Some(FORWARDED_INSTRUMENT_MIN + slot)
    }

    /// The origin of an instrument of another shard; `None` for an instrument of this shard.
    pub fn origin(&self, instrument: u32) -> Option<InstrumentOrigin> {
        self.foreign.origin(instrument)
    }

    /// Applies an event of another shard.
    #[inline(never)]
    pub(super) fn on_forwarded(&mut self, frame: &Frame<'_>) -> Option<MarketChange> {
        let forwarded = frame.message::<Forwarded>()?;
        let length = self.foreign.unwrap(&forwarded)?;
        let words = std::mem::take(&mut self.foreign.frame);
        let unwrapped = Frame::read(&words.as_bytes()[..length]);
        let change = unwrapped.ok().and_then(|frame| self.take_in(&frame));
        self.foreign.frame = words;
        change
    }

    /// Drops everything that this shard's own events defined. The state of other shards stays: their events
    /// continue without a gap when this shard restarts, and their own restarts are forwarded as well.
    pub fn clear_own(&mut self) {
        self.instruments.retain(|instrument| instrument >= FORWARDED_INSTRUMENT_MIN);
        self.sources.retain(|(source, _)| *source >= FORWARDED_SOURCE_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::SnapshotReader;
    use crate::tester::StrategyTester;
    use stele_wire::codec::{Message, text_field};
    use stele_wire::messages::{
        BookClear, BookScope, FeedState, SCHEMA_ID, SCHEMA_VERSION, SessionStart, TopOfBook, Trade,
    };
    use stele_wire::messages::{FeedStatus, InstrumentDefinition};
    use stele_wire::{Epoch, Price, Quantity};

    const SHARD: ShardId = ShardId(9);

    trait Forwarding {
        fn forward<M: Message>(&mut self, shard: ShardId, message: &M, tail: &[u8]) -> &mut Self;
    }

    impl Forwarding for StrategyTester {
        /// Feeds an event of another shard; `tail` is the groups and data after its block.
        fn forward<M: Message>(&mut self, shard: ShardId, message: &M, tail: &[u8]) -> &mut Self {
            let block = Forwarded {
                origin_shard: shard.0.into(),
                template_id: M::TEMPLATE_ID.into(),
                schema_id: SCHEMA_ID.into(),
                schema_version: SCHEMA_VERSION.into(),
                block_length: M::BLOCK_LENGTH.into(),
                ..Forwarded::NULL
            };
            let mut buffer = vec![0; 4_096];
            let inner = [message.as_bytes(), tail].concat();
            let body = block.encode(&mut buffer, &inner).unwrap();
            self.body(Forwarded::TEMPLATE_ID, Forwarded::BLOCK_LENGTH, body)
        }
    }

    fn define(symbol: &str) -> InstrumentDefinition {
        InstrumentDefinition {
            instrument: 1.into(),
            source: 1.into(),
            venue_symbol: text_field(symbol).unwrap(),
            ..InstrumentDefinition::NULL
        }
    }

    fn quote(bid: i64, ask: i64) -> TopOfBook {
        TopOfBook {
            instrument: 1.into(),
            source: 1.into(),
            bid_price: bid.into(),
            bid_quantity: 5.into(),
            ask_price: ask.into(),
            ask_quantity: 5.into(),
            ..TopOfBook::NULL
        }
    }

    fn started() -> FeedStatus {
        FeedStatus { source: 1.into(), state: FeedState::STARTED, ..FeedStatus::NULL }
    }

    /// Instrument 1 of this shard, and instrument 1 of another shard, from sources with the same number.
    fn two_with_the_same_number() -> StrategyTester {
        let mut tester = StrategyTester::start("lead-lag", "").unwrap();
        tester.define(1, "OURS").quote(1, (10, 1), (12, 1));
        tester.forward(SHARD, &define("THEIRS"), &[0; 4]).forward(SHARD, &quote(100, 104), &[]);
        tester
    }

    fn mid(tester: &StrategyTester, symbol: &str) -> Option<Price> {
        tester.host().market().find(symbol).and_then(|(_, known)| known.book().mid())
    }

    #[test]
    fn instruments_of_two_shards_with_the_same_number_have_separate_books() {
        let tester = two_with_the_same_number();
        let market = tester.host().market();
        let (theirs, known) = market.find("THEIRS").unwrap();
        assert_eq!(theirs, FORWARDED_INSTRUMENT_MIN);
        assert_eq!(market.forwarded(SHARD, 1), Some(theirs));
        assert_eq!(market.origin(theirs), Some(InstrumentOrigin { shard: SHARD, instrument: 1 }));
        assert_eq!((market.origin(1), market.forwarded(ShardId(8), 1)), (None, None));
        assert_eq!(known.book().bid().map(|bid| (bid.price, bid.quantity)), Some((Price(100), Quantity(5))));
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (Some(Price(11)), Some(Price(102))));
    }

    #[test]
    fn a_restarted_feed_empties_only_the_books_of_its_own_shard() {
        let mut tester = two_with_the_same_number();
        tester.forward(SHARD, &started(), &[0; 2]);
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (Some(Price(11)), None));
        let mut tester = two_with_the_same_number();
        tester.event(&started());
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (None, Some(Price(102))));
        let all = BookClear { source: 1.into(), scope: BookScope::ALL, ..BookClear::NULL };
        let mut tester = two_with_the_same_number();
        tester.event(&all);
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (None, Some(Price(102))));
        let mut tester = two_with_the_same_number();
        tester.forward(SHARD, &all, &[]);
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (Some(Price(11)), None));
    }

    #[test]
    fn a_new_session_drops_this_shards_instruments_and_keeps_those_of_others() {
        let mut tester = two_with_the_same_number();
        tester.begin_session(Epoch(2));
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (None, Some(Price(102))));
        tester.forward(SHARD, &quote(200, 204), &[]);
        assert_eq!(mid(&tester, "THEIRS"), Some(Price(202)));
    }

    #[test]
    fn a_trade_of_another_shard_has_the_instrument_number_of_this_shard() {
        let mut tester =
            StrategyTester::start("lead-lag", "leader = \"THEIRS\"\nfollower = \"OURS\"\nmove-percent = 1")
                .unwrap();
        tester.define(1, "OURS").quote(1, (10, 9), (12, 9)).forward(SHARD, &define("THEIRS"), &[0; 4]);
        for price in [1_000, 1_020] {
            let trade = Trade {
                instrument: 1.into(),
                source: 1.into(),
                price: price.into(),
                quantity: 1.into(),
                ..Trade::NULL
            };
            tester.forward(SHARD, &trade, &[]);
        }
        let orders = tester.take_orders();
        assert_eq!((orders.len(), orders[0].instrument.get(), orders[0].limit_price.get()), (1, 1, 12));
    }

    #[test]
    fn a_snapshot_keeps_the_numbers() {
        let mut tester = two_with_the_same_number();
        tester.forward(ShardId(3), &define("THIRD"), &[0; 4]);
        let mut state = Vec::new();
        tester.host().market().snapshot(&mut state);
        let mut reader = SnapshotReader::new(&state);
        let restored = Market::restore(&mut reader).unwrap();
        let mut again = Vec::new();
        restored.snapshot(&mut again);
        assert_eq!(state, again);
        assert_eq!(restored.forwarded(ShardId(3), 1), Some(FORWARDED_INSTRUMENT_MIN + 1));
        assert_eq!(restored.find("THIRD").map(|(id, _)| id), Some(FORWARDED_INSTRUMENT_MIN + 1));
    }

    #[test]
    fn a_forwarded_event_that_is_not_market_data_or_is_malformed_changes_nothing() {
        let mut tester = two_with_the_same_number();
        let before = {
            let mut state = Vec::new();
            tester.host().market().snapshot(&mut state);
            state
        };
        tester.forward(SHARD, &SessionStart::NULL, &[0; 2]).forward(SHARD, &Forwarded::NULL, &[0; 2]);
        let short = Forwarded { template_id: TopOfBook::TEMPLATE_ID.into(), ..Forwarded::NULL };
        let mut buffer = [0; 128];
        let body = short.encode(&mut buffer, &[0; 9]).unwrap().to_vec();
        tester.body(Forwarded::TEMPLATE_ID, Forwarded::BLOCK_LENGTH, &body);
        let mut after = Vec::new();
        tester.host().market().snapshot(&mut after);
        assert_eq!(before, after);
    }
}
