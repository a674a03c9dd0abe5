//! The events of each record of DBN. The reader has already converted records of earlier versions to version
//! 3.

use super::DbnFault;
use super::definition::{self, LEGS_MAX, quantity, side, text};
use super::letters::{boolean, digits, interval, kind_name, state};
use super::records::OHLCV_OLD;
use super::sources::{NO_CHANNEL, Sources};
use super::symbols::Symbols;
use crate::counts::Counts;
use crate::instruments::{IdAssignment, InstrumentIds};
use dbn::{
    ErrorMsg, ImbalanceMsg, InstrumentDefMsg, MboMsg, OhlcvMsg, RecordHeader, RecordRef, Schema, StatMsg,
    StatusMsg, SymbolMappingMsg, SystemMsg, TradeMsg, rtype,
};
use std::collections::BTreeMap;
use stele_feed::{Batch, FeedReport};
use stele_wire::messages::{
    AuctionImbalance, Bar, BookAdd, BookCancel, BookClear, BookExecute, BookModify, BookScope, Boolean,
    ExecuteAttributes, InstrumentDefinition, InstrumentDefinitionLegs, MarketFlags, Side, Statistic, Trade,
    TradeAttributes, TradingStatus, UpdateAction, VenueNotice,
};
use stele_wire::units::Nanos;

const NOT_CARRIED: &str = "a kind of record that DBN versions 1 to 3 do not name";

/// Maps records to events. It holds the instruments, the sources and the counts, and knows nothing of files.
pub(super) struct Mapping {
    ids: InstrumentIds,
    symbols: Symbols,
    sources: Sources,
    counts: Counts,
    /// The instrument of a vendor's number, and until when it is that one.
    current: BTreeMap<u32, (u32, u64)>,
    /// The last one looked up: number, instrument, until when.
    last: (u32, u32, u64),
    /// The spread whose legs are being read, and the legs read so far.
    spread: (u32, Vec<InstrumentDefinitionLegs>),
    schema: Option<Schema>,
}

/// The fields with which all events of one record begin.
#[derive(Clone, Copy)]
struct Prefix {
    venue_time: u64,
    due: Nanos,
    instrument: u32,
    sequence: u32,
    source: u16,
    flags: MarketFlags,
    side: Side,
}

/// Puts an event with the fields with which all market data begins.
macro_rules! event {
    ($self:ident, $batch:ident, $prefix:expr, $name:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let prefix = $prefix;
        $self.counts.push($batch, prefix.due, &start!(prefix, $name { $($field: $value),* }));
    }};
}

macro_rules! start {
    ($prefix:expr, $name:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $name {
            venue_time: $prefix.venue_time.into(),
            instrument: $prefix.instrument.into(),
            venue_sequence: $prefix.sequence.into(),
            source: $prefix.source.into(),
            flags: $prefix.flags,
            side: $prefix.side,
            $($field: $value,)*
            ..$name::NULL
        }
    };
}

mod quotes;

impl Mapping {
    pub(super) fn new(source: u16, ids: InstrumentIds, symbols: Symbols, schema: Option<Schema>) -> Self {
        Self {
            ids,
            symbols,
            sources: Sources::new(source),
            counts: Counts::default(),
            current: BTreeMap::new(),
            last: (0, 0, 0),
            spread: (0, Vec::with_capacity(LEGS_MAX)),
            schema,
        }
    }

    /// From now on `number` has this symbol, for a source that gives the symbol with each record.
    pub(super) fn name(&mut self, number: u32, symbol: &str) {
        if self.symbols.set(number, symbol) {
            self.current.remove(&number);
            self.last = (0, 0, 0);
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn ids(&self) -> &InstrumentIds {
        &self.ids
    }

    pub(super) fn report(&self) -> FeedReport {
        let mut report = self.counts.report(|kind| kind_name(kind, self.schema), |_| NOT_CARRIED);
        if self.sources.is_full() {
            report
                .notices
                .push(format!("publishers and channels beyond the first {}", super::sources::SOURCES_MAX));
        }
        report
    }

    /// Puts the events of one record into `batch`.
    pub(super) fn put(&mut self, record: RecordRef<'_>, batch: &mut Batch) -> Result<(), DbnFault> {
        let kind = record.header().rtype;
        match kind {
            rtype::MBO => self.mbo(record.try_get()?, batch),
            rtype::MBP_0 => self.trade(record.try_get()?, batch),
            rtype::MBP_1 => self.top_of_book(record.try_get()?, batch),
            rtype::MBP_10 => self.depth(record.try_get()?, batch),
            rtype::BBO_1S | rtype::BBO_1M => self.bbo(record.try_get()?, batch),
            rtype::CMBP_1 | rtype::TCBBO => self.consolidated(record.try_get()?, batch),
            rtype::CBBO_1S | rtype::CBBO_1M => self.consolidated_bbo(record.try_get()?, batch),
            rtype::OHLCV_1S
            | rtype::OHLCV_1M
            | rtype::OHLCV_1H
            | rtype::OHLCV_1D
            | rtype::OHLCV_EOD
            | OHLCV_OLD => {
                self.bar(record.try_get()?, batch);
            }
            rtype::STATUS => self.status(record.try_get()?, batch),
            rtype::INSTRUMENT_DEF => self.definition(record.try_get()?, batch),
            rtype::IMBALANCE => self.imbalance(record.try_get()?, batch),
            rtype::STATISTICS => self.statistic(record.try_get()?, batch),
            rtype::SYMBOL_MAPPING => self.symbol_mapping(record.try_get()?, batch),
            rtype::ERROR => {
                let ErrorMsg { hd, err, .. } = record.try_get()?;
                self.text(hd, *b"ERR\0", &definition::bytes(err), batch);
            }
            rtype::SYSTEM => {
                let SystemMsg { hd, msg, .. } = record.try_get()?;
                self.text(hd, *b"SYS\0", &definition::bytes(msg), batch);
            }
            _ => self.counts.not_carried(kind),
        }
        self.counts.record(kind);
        Ok(())
    }

    /// The instrument of a record, which is defined if the log does not have it under its present symbol yet.
    #[inline]
    fn instrument(&mut self, header: &RecordHeader, due: Nanos, source: u16, batch: &mut Batch) -> u32 {
        let (number, time) = (header.instrument_id, if due.0 == u64::MAX { header.ts_event } else { due.0 });
        let (last, instrument, until) = self.last;
        if number == last && time < until {
            return instrument;
        }
        let (instrument, until) = match self.current.get(&number) {
            Some(known) if time < known.1 => *known,
            _ => self.look_up(header, time, due, source, batch),
        };
        self.last = (number, instrument, until);
        instrument
    }

    #[cold]
    fn look_up(
        &mut self,
        header: &RecordHeader,
        time: u64,
        due: Nanos,
        source: u16,
        batch: &mut Batch,
    ) -> (u32, u64) {
        let number = header.instrument_id;
        if number == 0 || number == u32::MAX {
            return (0, u64::MAX);
        }
        let (symbol, until) = self.symbols.at(number, time);
        let symbol = symbol.to_owned();
        let named = self.ids.name(number.into(), &symbol);
        if self.current.insert(number, (named.id(), until)).is_none_or(|before| before.0 != named.id()) {
            self.define(named, definition::named(&symbol), header, due, source, batch);
        }
        (named.id(), until)
    }

    /// Completes a definition and puts it into `batch`.
    fn define(
        &mut self,
        named: IdAssignment,
        definition: InstrumentDefinition,
        header: &RecordHeader,
        due: Nanos,
        source: u16,
        batch: &mut Batch,
    ) {
        let action = match (definition.action, named) {
            (UpdateAction::DELETE, _) => UpdateAction::DELETE,
            (_, IdAssignment::New(_)) => UpdateAction::ADD,
            _ => UpdateAction::MODIFY,
        };
        let definition = InstrumentDefinition {
            venue_time: header.ts_event.into(),
            instrument: named.id().into(),
            source: source.into(),
            action,
            venue_instrument_id: u64::from(header.instrument_id).into(),
            ..definition
        };
        let legs = if self.spread.0 == header.instrument_id { self.spread.1.as_slice() } else { &[] };
        self.counts
            .push_with::<InstrumentDefinition>(batch, due, |buffer| {
                definition.encode(buffer, legs.iter().copied())
            })
            .expect("a definition with its legs fits");
    }

    fn prefix(&mut self, header: &RecordHeader, received: u64, channel: u16, batch: &mut Batch) -> Prefix {
        let due = Nanos(if received == u64::MAX { header.ts_event } else { received });
        let source = self.sources.get(header.publisher_id, channel, due, &mut self.counts, batch);
        Prefix {
            venue_time: header.ts_event,
            due,
            instrument: self.instrument(header, due, source, batch),
            sequence: 0,
            source,
            flags: MarketFlags::EMPTY,
            side: Side::NONE,
        }
    }

    fn mbo(&mut self, record: &MboMsg, batch: &mut Batch) {
        let prefix = Prefix {
            sequence: record.sequence,
            flags: MarketFlags::from_bits(record.flags.raw()),
            side: side(record.side),
            ..self.prefix(&record.hd, record.ts_recv, record.channel_id.into(), batch)
        };
        let (order_id, price, quantity) =
            (record.order_id.into(), record.price.into(), quantity(record.size).into());
        match record.action as u8 {
            b'A' => {
                event!(self, batch, prefix, BookAdd { order_id: order_id, price: price, quantity: quantity })
            }
            b'M' => event!(
                self,
                batch,
                prefix,
                BookModify { order_id: order_id, price: price, quantity: quantity }
            ),
            b'C' => event!(
                self,
                batch,
                prefix,
                BookCancel { order_id: order_id, price: price, quantity: quantity }
            ),
            b'R' => event!(self, batch, prefix, BookClear { scope: BookScope::INSTRUMENT }),
            b'T' => event!(
                self,
                batch,
                prefix,
                Trade {
                    price: price,
                    quantity: quantity,
                    order_id: order_id,
                    attributes: TradeAttributes::EMPTY,
                    depth: 0,
                }
            ),
            b'F' => event!(
                self,
                batch,
                prefix,
                BookExecute {
                    order_id: order_id,
                    price: price,
                    quantity: quantity,
                    attributes: ExecuteAttributes::NON_PRINTABLE,
                    book_effect: Boolean::FALSE,
                }
            ),
            _ => self.notice(prefix, [record.action as u8, 0, 0, 0], record.as_ref(), batch),
        }
    }

    fn trade(&mut self, record: &TradeMsg, batch: &mut Batch) {
        let prefix = Prefix {
            sequence: record.sequence,
            flags: MarketFlags::from_bits(record.flags.raw()),
            side: side(record.side),
            ..self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch)
        };
        self.put_trade(prefix, record.price, record.size, record.depth, batch);
    }

    fn put_trade(&mut self, prefix: Prefix, price: i64, size: u32, depth: u8, batch: &mut Batch) {
        event!(
            self,
            batch,
            prefix,
            Trade {
                price: price.into(),
                quantity: quantity(size).into(),
                attributes: TradeAttributes::EMPTY,
                depth: depth,
            }
        );
    }

    fn bar(&mut self, record: &OhlcvMsg, batch: &mut Batch) {
        let interval = interval(record.hd.rtype, self.schema);
        let over = record.hd.ts_event.saturating_add(interval.unwrap_or(0));
        let prefix = self.prefix(&record.hd, over, NO_CHANNEL, batch);
        event!(
            self,
            batch,
            prefix,
            Bar {
                open: record.open.into(),
                high: record.high.into(),
                low: record.low.into(),
                close: record.close.into(),
                volume: record.volume.into(),
                interval: interval.unwrap_or(u64::MAX).into(),
            }
        );
    }

    fn statistic(&mut self, record: &StatMsg, batch: &mut Batch) {
        let prefix = Prefix {
            sequence: record.sequence,
            ..self.prefix(&record.hd, record.ts_recv, record.channel_id, batch)
        };
        event!(
            self,
            batch,
            prefix,
            Statistic {
                reference_time: record.ts_ref.into(),
                price: record.price.into(),
                quantity: record.quantity.into(),
                statistic_type: record.stat_type.into(),
                action: match record.update_action {
                    1 => UpdateAction::ADD,
                    2 => UpdateAction::DELETE,
                    _ => UpdateAction::NONE,
                },
                statistic_flags: record.stat_flags,
            }
        );
    }

    fn status(&mut self, record: &StatusMsg, batch: &mut Batch) {
        let prefix = self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch);
        let (state, phase) = state(record.action);
        event!(
            self,
            batch,
            prefix,
            TradingStatus {
                state: state,
                phase: phase,
                venue_reason: digits(record.reason),
                venue_action: record.action.into(),
                venue_event: record.trading_event.into(),
                is_trading: boolean(record.is_trading),
                is_quoting: boolean(record.is_quoting),
                is_short_sale_restricted: boolean(record.is_short_sell_restricted),
            }
        );
    }

    fn imbalance(&mut self, record: &ImbalanceMsg, batch: &mut Batch) {
        let prefix =
            Prefix { side: side(record.side), ..self.prefix(&record.hd, record.ts_recv, NO_CHANNEL, batch) };
        event!(
            self,
            batch,
            prefix,
            AuctionImbalance {
                reference_price: record.ref_price.into(),
                indicative_price: record.ind_match_price.into(),
                continuous_clearing_price: record.cont_book_clr_price.into(),
                auction_clearing_price: record.auct_interest_clr_price.into(),
                short_sale_filling_price: record.ssr_filling_price.into(),
                upper_collar: record.upper_collar.into(),
                lower_collar: record.lower_collar.into(),
                auction_time: record.auction_time.into(),
                paired_quantity: quantity(record.paired_qty).into(),
                imbalance_quantity: quantity(record.total_imbalance_qty).into(),
                market_imbalance_quantity: quantity(record.market_imbalance_qty).into(),
                unpaired_quantity: quantity(record.unpaired_qty).into(),
                auction_type: record.auction_type as u8,
                auction_status: record.auction_status,
                freeze_status: record.freeze_status,
                extensions: record.num_extensions,
                unpaired_side: side(record.unpaired_side),
                significance: record.significant_imbalance as u8,
            }
        );
    }

    fn definition(&mut self, record: &InstrumentDefMsg, batch: &mut Batch) {
        let due = Nanos(if record.ts_recv == u64::MAX { record.hd.ts_event } else { record.ts_recv });
        let source = self.sources.get(record.hd.publisher_id, NO_CHANNEL, due, &mut self.counts, batch);
        let number = record.hd.instrument_id;
        let symbol: [u8; 72] = text(&record.raw_symbol);
        let named = self.ids.name(number.into(), stele_wire::codec::text(&symbol));
        self.current.insert(number, (named.id(), u64::MAX));
        self.last = (number, named.id(), u64::MAX);
        if self.spread.0 != number || record.leg_index == 0 {
            self.spread = (number, std::mem::take(&mut self.spread.1));
            self.spread.1.clear();
        }
        if record.leg_count > 0 && self.spread.1.len() < LEGS_MAX {
            let leg = self.ids.get(record.leg_instrument_id.into()).unwrap_or(0);
            self.spread.1.push(definition::leg(record, leg));
        }
        let underlying = self.ids.get(record.underlying_id.into()).unwrap_or(0);
        let definition =
            InstrumentDefinition { underlying_instrument: underlying.into(), ..definition::defined(record) };
        self.define(named, definition, &record.hd, due, source, batch);
    }

    fn symbol_mapping(&mut self, record: &SymbolMappingMsg, batch: &mut Batch) {
        let due = Nanos(record.hd.ts_event);
        let source = self.sources.get(record.hd.publisher_id, NO_CHANNEL, due, &mut self.counts, batch);
        let number = record.hd.instrument_id;
        let symbol: [u8; 72] = text(&record.stype_out_symbol);
        let symbol = stele_wire::codec::text(&symbol);
        let named = self.ids.name(number.into(), symbol);
        self.current.insert(number, (named.id(), u64::MAX));
        self.last = (number, named.id(), u64::MAX);
        self.define(named, definition::named(symbol), &record.hd, due, source, batch);
    }

    fn text(&mut self, header: &RecordHeader, kind: [u8; 4], letters: &[u8], batch: &mut Batch) {
        let end = letters.iter().position(|letter| *letter == 0).unwrap_or(letters.len());
        let prefix = self.prefix(header, u64::MAX, NO_CHANNEL, batch);
        self.notice(prefix, kind, &letters[..end], batch);
    }

    fn notice(&mut self, prefix: Prefix, kind: [u8; 4], payload: &[u8], batch: &mut Batch) {
        let notice = start!(prefix, VenueNotice { kind: kind });
        self.counts
            .push_with::<VenueNotice>(batch, prefix.due, |buffer| notice.encode(buffer, payload))
            .expect("a record fits");
    }
}
