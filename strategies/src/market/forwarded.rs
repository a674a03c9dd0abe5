//! What another shard's events say of the market: instruments of its own numbers, told apart from ours.
//!
//! Two shards number instruments and sources each for itself. Behind a `Forwarded` event its own body is read as if it
//! were ours, but for its instrument and its source: these get numbers from ranges that no feed gives out, in the order
//! in which the log first mentions them.

use super::{Change, Market};
use crate::book::IdIndex;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::mem::offset_of;
use stele_bus::{Class, template};
use stele_wire::bounds::{BODY_LENGTH_MAX, FRAME_LENGTH_MAX, FRAME_VERSION, HEADER_LENGTH};
use stele_wire::codec::View;
use stele_wire::frame::{FrameHeader, frame_length};
use stele_wire::messages::{BookAdd, FeedStatus, Forwarded, InstrumentDefinition};
use stele_wire::{Frame, ShardId};
use zerocopy::IntoBytes;

/// Instruments of other shards have numbers from here on.
pub const FORWARDED_INSTRUMENT_MIN: u32 = 1 << 31;
/// Sources of other shards have numbers from here on.
pub const FORWARDED_SOURCE_MIN: u16 = 62_000;

/// An instrument as the shard has it that it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The shard.
    pub shard: ShardId,
    /// The instrument's number there.
    pub instrument: u32,
}

/// The numbers that other shards' instruments and sources have here.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    instruments: Vec<Origin>,
    index: IdIndex,
    sources: Vec<(ShardId, u16)>,
    /// One event, unwrapped.
    frame: Box<[u64]>,
}

impl Default for Foreign {
    fn default() -> Self {
        Self {
            instruments: Vec::new(),
            index: IdIndex::with_capacity(1),
            sources: Vec::new(),
            frame: vec![0; FRAME_LENGTH_MAX / 8].into(),
        }
    }
}

fn key(origin: Origin) -> u64 {
    u64::from(origin.shard.0) << 32 | u64::from(origin.instrument)
}

impl Foreign {
    /// The instrument's number here, given at its first mention; 0 stays the whole market.
    fn instrument(&mut self, origin: Origin) -> u32 {
        if origin.instrument == 0 {
            return 0;
        }
        let slot = self.index.get(key(origin)).unwrap_or_else(|| {
            let slot = self.instruments.len() as u32;
            self.index.insert(key(origin), slot);
            self.instruments.push(origin);
            slot
        });
        FORWARDED_INSTRUMENT_MIN + slot
    }

    fn source(&mut self, shard: ShardId, source: u16) -> u16 {
        let known = self.sources.iter().position(|known| *known == (shard, source));
        let slot = known.unwrap_or_else(|| {
            self.sources.push((shard, source));
            self.sources.len() - 1
        });
        FORWARDED_SOURCE_MIN.saturating_add(slot as u16)
    }

    fn origin(&self, instrument: u32) -> Option<Origin> {
        let slot = instrument.checked_sub(FORWARDED_INSTRUMENT_MIN)?;
        self.instruments.get(slot as usize).copied()
    }

    /// Whether a source and an instrument are of one shard.
    pub(super) fn are_of_one_shard(&self, source: u16, instrument: u32) -> bool {
        let slot = source.checked_sub(FORWARDED_SOURCE_MIN).map(usize::from);
        let of_source = slot.and_then(|slot| self.sources.get(slot)).map(|(shard, _)| *shard);
        of_source == self.origin(instrument).map(|origin| origin.shard)
    }

    /// Lays the event that `forwarded` carries out as a frame, with our numbers; none for what says nothing of a market.
    fn unwrap(&mut self, forwarded: &View<'_, Forwarded>) -> Option<usize> {
        let template_id = forwarded.template_id.get();
        let known = template(template_id)?;
        let body = forwarded.body();
        let is_market = known.stamped && known.class == Class::MarketData;
        let (instrument_at, source_at) = match template_id {
            InstrumentDefinition::TEMPLATE_ID => {
                (Some(offset_of!(InstrumentDefinition, instrument)), offset_of!(InstrumentDefinition, source))
            }
            FeedStatus::TEMPLATE_ID => (None, offset_of!(FeedStatus, source)),
            _ if is_market => (Some(offset_of!(BookAdd, instrument)), offset_of!(BookAdd, source)),
            _ => return None,
        };
        let shard = ShardId(forwarded.origin_shard.get());
        let length = frame_length(body.len());
        if body.len() > BODY_LENGTH_MAX || length > FRAME_LENGTH_MAX {
            return None;
        }
        let source = u16::from_le_bytes(*body.get(source_at..)?.first_chunk()?);
        let source = self.source(shard, source);
        let instrument = match instrument_at {
            None => None,
            Some(at) => {
                let instrument = u32::from_le_bytes(*body.get(at..)?.first_chunk()?);
                Some((at, self.instrument(Origin { shard, instrument })))
            }
        };
        let header = FrameHeader {
            crc: 0.into(),
            length: (length as u16).into(),
            flags: 0,
            version: FRAME_VERSION,
            sequence: forwarded.origin_sequence,
            timestamp: forwarded.origin_timestamp,
            block_length: forwarded.block_length,
            template_id: forwarded.template_id,
            schema_id: forwarded.schema_id,
            schema_version: forwarded.schema_version,
        };
        let frame = &mut self.frame.as_mut_bytes()[..length];
        frame[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
        frame[HEADER_LENGTH..][..body.len()].copy_from_slice(body);
        frame[HEADER_LENGTH + body.len()..].fill(0);
        let place = &mut frame[HEADER_LENGTH..];
        place[source_at..source_at + 2].copy_from_slice(&source.to_le_bytes());
        if let Some((at, instrument)) = instrument {
            place[at..at + 4].copy_from_slice(&instrument.to_le_bytes());
        }
        Some(length)
    }
}

impl Market {
    /// The number that an instrument of another shard has here, once one of its events was forwarded.
    pub fn forwarded(&self, shard: ShardId, instrument: u32) -> Option<u32> {
        let slot = self.foreign.index.get(key(Origin { shard, instrument }))?;
        Some(FORWARDED_INSTRUMENT_MIN + slot)
    }

    /// Where an instrument of another shard comes from; none for one of ours.
    pub fn origin(&self, instrument: u32) -> Option<Origin> {
        self.foreign.origin(instrument)
    }

    /// Takes in what another shard said.
    #[inline(never)]
    pub(super) fn on_forwarded(&mut self, frame: &Frame<'_>) -> Option<Change> {
        let forwarded = frame.message::<Forwarded>()?;
        let length = self.foreign.unwrap(&forwarded)?;
        let words = std::mem::take(&mut self.foreign.frame);
        let unwrapped = Frame::read(&words.as_bytes()[..length]);
        let change = unwrapped.ok().and_then(|frame| self.take_in(&frame));
        self.foreign.frame = words;
        change
    }

    /// Forgets everything that this shard's own events said. What others' said stays: they go on without a gap whoever
    /// of us starts again, and say so themselves when they start again.
    pub fn clear_own(&mut self) {
        self.instruments.retain(|instrument| instrument >= FORWARDED_INSTRUMENT_MIN);
        self.sources.retain(|(source, _)| *source >= FORWARDED_SOURCE_MIN);
    }
}

impl Foreign {
    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.instruments.len() as u64);
        self.instruments.iter().for_each(|origin| out.put_u64(key(*origin)));
        out.put_u64(self.sources.len() as u64);
        for (shard, source) in &self.sources {
            out.put_u64(u64::from(shard.0) << 16 | u64::from(*source));
        }
    }

    pub(super) fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut foreign = Self::default();
        for _ in 0..reader.count("instruments of other shards")? {
            let key = reader.u64()?;
            foreign.instrument(Origin { shard: ShardId((key >> 32) as u32), instrument: key as u32 });
        }
        for _ in 0..reader.count("sources of other shards")? {
            let key = reader.at_most("source of another shard", (1 << 48) - 1)?;
            foreign.source(ShardId((key >> 16) as u32), key as u16);
        }
        Ok(foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::StrategyTester;
    use stele_wire::codec::{Message, text_field};
    use stele_wire::messages::{
        BookClear, BookScope, FeedState, SCHEMA_ID, SCHEMA_VERSION, SessionStart, TopOfBook, Trade,
    };
    use stele_wire::{Epoch, Price, Quantity};

    const SHARD: ShardId = ShardId(9);

    trait Told {
        fn told<M: Message>(&mut self, shard: ShardId, message: &M, tail: &[u8]) -> &mut Self;
    }

    impl Told for StrategyTester {
        /// Another shard's event, with the groups or data behind its block.
        fn told<M: Message>(&mut self, shard: ShardId, message: &M, tail: &[u8]) -> &mut Self {
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

    /// Our instrument 1, and another shard's of the same number, from a source of the same number.
    fn two_of_one_number() -> StrategyTester {
        let mut tester = StrategyTester::start("lead-lag", "").unwrap();
        tester.define(1, "OURS").quote(1, (10, 1), (12, 1));
        tester.told(SHARD, &define("THEIRS"), &[0; 4]).told(SHARD, &quote(100, 104), &[]);
        tester
    }

    fn mid(tester: &StrategyTester, symbol: &str) -> Option<Price> {
        tester.host().market().find(symbol).and_then(|(_, known)| known.book().mid())
    }

    #[test]
    fn an_instrument_of_another_shard_has_a_book_beside_ours_of_the_same_number() {
        let tester = two_of_one_number();
        let market = tester.host().market();
        let (theirs, known) = market.find("THEIRS").unwrap();
        assert_eq!(theirs, FORWARDED_INSTRUMENT_MIN);
        assert_eq!(market.forwarded(SHARD, 1), Some(theirs));
        assert_eq!(market.origin(theirs), Some(Origin { shard: SHARD, instrument: 1 }));
        assert_eq!((market.origin(1), market.forwarded(ShardId(8), 1)), (None, None));
        assert_eq!(known.book().bid().map(|bid| (bid.price, bid.quantity)), Some((Price(100), Quantity(5))));
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (Some(Price(11)), Some(Price(102))));
    }

    #[test]
    fn their_feed_that_starts_again_empties_their_books_and_ours_ours() {
        let mut tester = two_of_one_number();
        tester.told(SHARD, &started(), &[0; 2]);
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (Some(Price(11)), None));
        let mut tester = two_of_one_number();
        tester.event(&started());
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (None, Some(Price(102))));
        let all = BookClear { source: 1.into(), scope: BookScope::ALL, ..BookClear::NULL };
        let mut tester = two_of_one_number();
        tester.event(&all);
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (None, Some(Price(102))));
        let mut tester = two_of_one_number();
        tester.told(SHARD, &all, &[]);
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (Some(Price(11)), None));
    }

    #[test]
    fn our_new_session_forgets_ours_and_keeps_theirs() {
        let mut tester = two_of_one_number();
        tester.begin_session(Epoch(2));
        assert_eq!((mid(&tester, "OURS"), mid(&tester, "THEIRS")), (None, Some(Price(102))));
        tester.told(SHARD, &quote(200, 204), &[]);
        assert_eq!(mid(&tester, "THEIRS"), Some(Price(202)));
    }

    #[test]
    fn a_trade_of_another_shard_is_seen_with_its_number_here() {
        let mut tester =
            StrategyTester::start("lead-lag", "leader = \"THEIRS\"\nfollower = \"OURS\"\nmove-percent = 1")
                .unwrap();
        tester.define(1, "OURS").quote(1, (10, 9), (12, 9)).told(SHARD, &define("THEIRS"), &[0; 4]);
        for price in [1_000, 1_020] {
            let trade = Trade {
                instrument: 1.into(),
                source: 1.into(),
                price: price.into(),
                quantity: 1.into(),
                ..Trade::NULL
            };
            tester.told(SHARD, &trade, &[]);
        }
        let orders = tester.take_orders();
        assert_eq!((orders.len(), orders[0].instrument.get(), orders[0].limit_price.get()), (1, 1, 12));
    }

    #[test]
    fn a_snapshot_keeps_the_numbers() {
        let mut tester = two_of_one_number();
        tester.told(ShardId(3), &define("THIRD"), &[0; 4]);
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
    fn what_is_no_market_data_or_cut_short_or_wrapped_twice_changes_nothing() {
        let mut tester = two_of_one_number();
        let before = {
            let mut state = Vec::new();
            tester.host().market().snapshot(&mut state);
            state
        };
        tester.told(SHARD, &SessionStart::NULL, &[0; 2]).told(SHARD, &Forwarded::NULL, &[0; 2]);
        let short = Forwarded { template_id: TopOfBook::TEMPLATE_ID.into(), ..Forwarded::NULL };
        let mut buffer = [0; 128];
        let body = short.encode(&mut buffer, &[0; 9]).unwrap().to_vec();
        tester.body(Forwarded::TEMPLATE_ID, Forwarded::BLOCK_LENGTH, &body);
        let mut after = Vec::new();
        tester.host().market().snapshot(&mut after);
        assert_eq!(before, after);
    }
}
