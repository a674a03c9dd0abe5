//! The events of each message of Binance's streams.

use super::BinanceFault;
use super::depth::{Depth, SnapshotVerdict, Verdict};
use super::message::{self, Level, Message, QUANTITY_DECIMALS, Ticker};
use crate::counts::Counts;
use crate::instruments::{IdAssignment, InstrumentIds, fixed};
use crate::lines::excerpt;
use std::collections::BTreeMap;
use stele_feed::{Batch, FeedReport};
use stele_wire::messages::{
    BookAction, BookClear, BookLevel, BookScope, ExerciseStyle, InstrumentClass, InstrumentDefinition,
    MarketFlags, OptionKind, PriceNotation, QuantityNotation, Side, TopOfBook, Trade, TradeAttributes,
    UpdateAction,
};
use stele_wire::units::Nanos;

/// Bytes of a symbol at most.
const SYMBOL_LENGTH_MAX: usize = 20;

/// Times from here on are microseconds, those before are milliseconds: the year 5138, and 1973.
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;

// Kinds of records, then the reasons why one was not carried.
const DEPTH: u8 = b'd';
const SNAPSHOT: u8 = b's';
const TICKER: u8 = b'b';
const TRADE: u8 = b't';
const RESPONSE: u8 = b'r';
const OTHER: u8 = b'?';
const DEPTH_OLD: u8 = b'O';
const DEPTH_EMPTY: u8 = b'E';
const DEPTH_WAITED: u8 = b'W';
const SNAPSHOT_OLD: u8 = b'S';

/// Maps messages to events. It holds the instruments, their updates and the counts, and knows nothing of
/// files.
pub(super) struct Mapping {
    source: u16,
    ids: InstrumentIds,
    /// The symbol of the snapshots, if it was given.
    symbol: Option<String>,
    by_symbol: BTreeMap<String, usize>,
    instruments: Vec<Instrument>,
    counts: Counts,
    /// The due time of the last record.
    due: Nanos,
    /// The levels of the current record, as read and as messages.
    read: Vec<Level>,
    levels: Vec<BookLevel>,
    /// Levels to be put into batches, and how many were put: a record may have more than fit a batch.
    queue: Vec<BookLevel>,
    sent: usize,
}

struct Instrument {
    symbol: String,
    id: u32,
    depth: Depth,
}

impl Mapping {
    pub(super) fn new(source: u16, symbol: Option<String>, ids: InstrumentIds) -> Self {
        Self {
            source,
            ids,
            symbol,
            by_symbol: BTreeMap::new(),
            instruments: Vec::new(),
            counts: Counts::default(),
            due: Nanos(0),
            read: Vec::with_capacity(4_096),
            levels: Vec::with_capacity(4_096),
            queue: Vec::with_capacity(4_096),
            sent: 0,
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn report(&self) -> FeedReport {
        let mut report = self.counts.report(|kind| kind_name(kind).into(), reason);
        for Instrument { symbol, depth, .. } in self.instruments.iter().filter(|one| one.depth.gaps > 0) {
            report.notices.push(format!(
                "{symbol}: {} gaps in the depth updates; from each on the book is empty until the next snapshot",
                depth.gaps
            ));
        }
        report
    }

    /// Puts queued levels into `batch`. Returns true when none are left.
    pub(super) fn drain(&mut self, batch: &mut Batch) -> bool {
        while self.sent < self.queue.len() {
            if !batch.has_room() {
                return false;
            }
            self.counts.push(batch, self.due, &self.queue[self.sent]);
            self.sent += 1;
        }
        self.queue.clear();
        self.sent = 0;
        true
    }

    /// Counts the updates that waited for a snapshot that did not come.
    pub(super) fn finish(&mut self) {
        for instrument in &mut self.instruments {
            not_carried(&mut self.counts, DEPTH_WAITED, instrument.depth.drop_held());
        }
    }

    /// Puts the events of one line into `batch`, or queues them for [`Mapping::drain`]. The queue must be
    /// empty.
    pub(super) fn put(&mut self, line: &[u8], number: u64, batch: &mut Batch) -> Result<(), BinanceFault> {
        debug_assert!(self.queue.is_empty());
        let (received, json) = split_time(line, number)?;
        let message = message::read(json, &mut self.read).map_err(|error| malformed(number, json, &error))?;
        match message {
            Message::Depth(depth) => self.depth(&depth, received, number, batch)?,
            Message::Snapshot(last, symbol) => self.snapshot(last, symbol, received, number, batch)?,
            Message::Ticker(ticker) => self.ticker(&ticker, received, number, batch)?,
            Message::Trade(trade) => self.trade(&trade, received, number, batch)?,
            Message::Other => self.pass_over(OTHER),
            Message::Response => self.pass_over(RESPONSE),
        }
        Ok(())
    }

    fn pass_over(&mut self, kind: u8) {
        self.counts.record(kind);
        self.counts.not_carried(kind);
    }

    fn came(&mut self, received: Option<u64>, venue_time: Option<u64>) {
        self.due = received.or(venue_time).map_or(self.due, Nanos);
    }

    fn depth(
        &mut self,
        depth: &message::Depth<'_>,
        received: Option<u64>,
        number: u64,
        batch: &mut Batch,
    ) -> Result<(), BinanceFault> {
        if depth.is_future {
            return Err(BinanceFault::Futures { line: number });
        }
        if depth.first > depth.last {
            let (first, last) = (depth.first, depth.last);
            return Err(BinanceFault::Updates { line: number, first, last });
        }
        let time = nanos(depth.time, number)?;
        self.came(received, Some(time));
        let at = self.instrument(depth.symbol, number, batch)?;
        self.fill_levels(at, time, depth.last, MarketFlags::EMPTY);
        self.counts.record(DEPTH);
        match self.instruments[at].depth.on_update(depth.first, depth.last, &self.levels) {
            Verdict::Old => self.counts.not_carried(DEPTH_OLD),
            Verdict::Take if self.levels.is_empty() => self.counts.not_carried(DEPTH_EMPTY),
            Verdict::Take => self.queue.extend_from_slice(&self.levels),
            Verdict::Wait { clears, dropped } => {
                not_carried(&mut self.counts, DEPTH_WAITED, dropped);
                if clears {
                    let flags = MarketFlags::LAST | MarketFlags::MAYBE_BAD_BOOK;
                    self.clear(at, time, depth.first, flags, batch);
                }
            }
        }
        Ok(())
    }

    fn snapshot(
        &mut self,
        update: u64,
        symbol: Option<&str>,
        received: Option<u64>,
        number: u64,
        batch: &mut Batch,
    ) -> Result<(), BinanceFault> {
        self.came(received, None);
        let at = self.instrument_of_snapshot(symbol, number, batch)?;
        // Binance gives a snapshot no time of its own.
        self.fill_levels(at, u64::MAX, update, MarketFlags::SNAPSHOT);
        self.counts.record(SNAPSHOT);
        if self.instruments[at].depth.on_snapshot(update) == SnapshotVerdict::Old {
            self.counts.not_carried(SNAPSHOT_OLD);
            return Ok(());
        }
        let last = if self.levels.is_empty() { MarketFlags::LAST } else { MarketFlags::EMPTY };
        self.clear(at, u64::MAX, update, MarketFlags::SNAPSHOT | last, batch);
        self.queue.extend_from_slice(&self.levels);
        let (old, empty) = self.instruments[at].depth.release(&mut self.queue);
        not_carried(&mut self.counts, DEPTH_OLD, old);
        not_carried(&mut self.counts, DEPTH_EMPTY, empty);
        Ok(())
    }

    /// Makes messages of the levels that were read, the last of them with the flag `last`.
    fn fill_levels(&mut self, at: usize, venue_time: u64, update: u64, flags: MarketFlags) {
        let is_snapshot = flags == MarketFlags::SNAPSHOT;
        let blank = BookLevel {
            venue_time: venue_time.into(),
            instrument: self.instruments[at].id.into(),
            venue_sequence: (update as u32).into(),
            source: self.source.into(),
            flags,
            order_count: 0.into(),
            level: u16::MAX.into(),
            update_id: update.into(),
            ..BookLevel::NULL
        };
        self.levels.clear();
        self.levels.extend(self.read.iter().map(|(side, price, quantity)| BookLevel {
            side: *side,
            price: (*price).into(),
            quantity: (*quantity).into(),
            action: match quantity {
                0 => BookAction::DELETE,
                _ if is_snapshot => BookAction::ADD,
                _ => BookAction::MODIFY,
            },
            ..blank
        }));
        if let Some(last) = self.levels.last_mut() {
            last.flags = flags | MarketFlags::LAST;
        }
    }

    fn clear(&mut self, at: usize, venue_time: u64, update: u64, flags: MarketFlags, batch: &mut Batch) {
        let clear = BookClear {
            venue_time: venue_time.into(),
            instrument: self.instruments[at].id.into(),
            venue_sequence: (update as u32).into(),
            source: self.source.into(),
            flags,
            side: Side::NONE,
            scope: BookScope::INSTRUMENT,
            ..BookClear::NULL
        };
        self.counts.push(batch, self.due, &clear);
    }

    fn ticker(
        &mut self,
        ticker: &Ticker<'_>,
        received: Option<u64>,
        number: u64,
        batch: &mut Batch,
    ) -> Result<(), BinanceFault> {
        let time = ticker.time.map(|time| nanos(time, number)).transpose()?;
        self.came(received, time);
        let at = self.instrument(ticker.symbol, number, batch)?;
        self.counts.record(TICKER);
        // A side without orders has price and quantity 0.
        let price = |price: i64| if price == 0 { i64::MAX } else { price };
        let top = TopOfBook {
            venue_time: time.unwrap_or(u64::MAX).into(),
            instrument: self.instruments[at].id.into(),
            venue_sequence: (ticker.update as u32).into(),
            source: self.source.into(),
            flags: MarketFlags::LAST,
            side: Side::NONE,
            update_id: ticker.update.into(),
            action: BookAction::NONE,
            depth: 0,
            bid_price: price(ticker.bid.0).into(),
            ask_price: price(ticker.ask.0).into(),
            bid_quantity: ticker.bid.1.into(),
            ask_quantity: ticker.ask.1.into(),
            bid_order_count: 0.into(),
            ask_order_count: 0.into(),
            ..TopOfBook::NULL
        };
        self.counts.push(batch, self.due, &top);
        Ok(())
    }

    fn trade(
        &mut self,
        trade: &message::Trade<'_>,
        received: Option<u64>,
        number: u64,
        batch: &mut Batch,
    ) -> Result<(), BinanceFault> {
        let time = nanos(trade.time, number)?;
        self.came(received, Some(time));
        let at = self.instrument(trade.symbol, number, batch)?;
        self.counts.record(TRADE);
        let trade = Trade {
            venue_time: time.into(),
            instrument: self.instruments[at].id.into(),
            venue_sequence: 0.into(),
            source: self.source.into(),
            flags: MarketFlags::LAST,
            side: if trade.is_buyer_maker { Side::SELL } else { Side::BUY },
            price: trade.price.into(),
            quantity: trade.quantity.into(),
            trade_id: trade.id.into(),
            attributes: TradeAttributes::EMPTY,
            depth: 0,
            ..Trade::NULL
        };
        self.counts.push(batch, self.due, &trade);
        Ok(())
    }

    /// The instrument of a snapshot, which names no symbol: the symbol is the stream's, the one given, or the
    /// only one in the file.
    fn instrument_of_snapshot(
        &mut self,
        symbol: Option<&str>,
        line: u64,
        batch: &mut Batch,
    ) -> Result<usize, BinanceFault> {
        match (symbol, self.symbol.clone()) {
            (Some(of_stream), _) => {
                if let Some(at) = self.by_symbol.get(of_stream) {
                    return Ok(*at);
                }
                // The names of streams are in small letters: the symbol is found by both from here on.
                let at = self.instrument(&of_stream.to_ascii_uppercase(), line, batch)?;
                self.by_symbol.insert(of_stream.into(), at);
                return Ok(at);
            }
            (None, Some(given)) => return self.instrument(&given, line, batch),
            (None, None) => {}
        }
        match self.instruments.len() {
            1 => Ok(0),
            0 => Err(BinanceFault::NoSymbol { line }),
            _ => Err(BinanceFault::SeveralSymbols { line }),
        }
    }

    /// The index of a symbol's instrument, which is defined at the first record that names it.
    #[inline]
    fn instrument(&mut self, symbol: &str, line: u64, batch: &mut Batch) -> Result<usize, BinanceFault> {
        match self.by_symbol.get(symbol) {
            Some(at) => Ok(*at),
            None => self.define(symbol, line, batch),
        }
    }

    #[cold]
    fn define(&mut self, symbol: &str, line: u64, batch: &mut Batch) -> Result<usize, BinanceFault> {
        if symbol.is_empty() || symbol.len() > SYMBOL_LENGTH_MAX {
            return Err(BinanceFault::Symbol { line, found: excerpt(symbol.as_bytes()) });
        }
        let named = self.ids.name_by_symbol(symbol);
        let at = self.instruments.len();
        self.instruments.push(Instrument { symbol: symbol.into(), id: named.id(), depth: Depth::default() });
        self.by_symbol.insert(symbol.into(), at);
        let definition = InstrumentDefinition {
            instrument: named.id().into(),
            source: self.source.into(),
            action: if matches!(named, IdAssignment::New(_)) {
                UpdateAction::ADD
            } else {
                UpdateAction::MODIFY
            },
            instrument_class: InstrumentClass::CRYPTO_SPOT,
            price_notation: PriceNotation::MONETARY,
            quantity_notation: QuantityNotation::UNITS,
            price_exponent: -8,
            quantity_exponent: -(QUANTITY_DECIMALS as i8),
            option_kind: OptionKind::NONE,
            exercise_style: ExerciseStyle::NONE,
            exchange: *b"BINANCE\0",
            venue_symbol: fixed(symbol.as_bytes()),
            ..InstrumentDefinition::NULL
        };
        self.counts
            .push_with::<InstrumentDefinition>(batch, self.due, |buffer| definition.encode(buffer, []))
            .expect("a definition without legs fits");
        Ok(at)
    }
}

fn not_carried(counts: &mut Counts, kind: u8, how_many: u64) {
    (0..how_many).for_each(|_| counts.not_carried(kind));
}

/// Splits off the time of receipt before a message, in nanoseconds since 1970, if there is one.
fn split_time(line: &[u8], number: u64) -> Result<(Option<u64>, &[u8]), BinanceFault> {
    let digits = line.iter().take_while(|letter| letter.is_ascii_digit()).count();
    if digits == 0 {
        return Ok((None, line));
    }
    let (time, rest) = line.split_at(digits);
    // 2001 to 2286 in nanoseconds have 19 digits.
    let time = if digits == 19 { crate::decimal::unsigned(time, 0).ok() } else { None };
    let time =
        time.ok_or_else(|| BinanceFault::ReceiveTime { line: number, found: excerpt(&line[..digits]) })?;
    Ok((Some(time), rest.trim_ascii_start()))
}

/// Converts a time of Binance, in milliseconds or microseconds since 1970, to nanoseconds.
fn nanos(time: u64, line: u64) -> Result<u64, BinanceFault> {
    let unit = if time < MICROSECONDS_FROM { 1_000_000 } else { 1_000 };
    time.checked_mul(unit).filter(|time| *time != u64::MAX).ok_or(BinanceFault::Time { line, found: time })
}

fn malformed(line: u64, json: &[u8], error: &serde_json::Error) -> BinanceFault {
    let what = error.to_string();
    // The decoder sees one line, or a part of it: its own "at line 1 column …" would mislead.
    let what = what.split(" at line ").next().unwrap_or_default().to_owned();
    BinanceFault::Message { line, what, shown: excerpt(json) }
}

fn kind_name(kind: u8) -> &'static str {
    match kind {
        DEPTH | DEPTH_OLD | DEPTH_EMPTY | DEPTH_WAITED => "depthUpdate",
        SNAPSHOT | SNAPSHOT_OLD => "snapshot",
        TICKER => "bookTicker",
        TRADE => "trade",
        RESPONSE => "response",
        _ => "other stream",
    }
}

fn reason(kind: u8) -> &'static str {
    match kind {
        DEPTH_OLD => "the snapshot has it already",
        DEPTH_EMPTY => "no level changed",
        DEPTH_WAITED => "no snapshot that it continues",
        SNAPSHOT_OLD => "older than the depth updates around it",
        RESPONSE => "a response to a request, not market data",
        _ => "a stream other than depth, bookTicker and trade",
    }
}
