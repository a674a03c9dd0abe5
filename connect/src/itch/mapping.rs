//! The events of each message of ITCH 5.0.

use super::ItchFault;
use super::layout::*;
use crate::counts::Counts;
use crate::instruments::{IdAssignment, InstrumentIds, fixed};
use stele_feed::Batch;
use stele_wire::messages::{
    BookAdd, BookCancel, BookExecute, BookReplace, Boolean, ExecuteAttributes, ExerciseStyle,
    InstrumentClass, InstrumentDefinition, MarketFlags, OptionKind, PriceNotation, QuantityNotation, Side,
    Trade, TradeAttributes, TradeBreak, UpdateAction, VenueNotice,
};
use stele_wire::units::Nanos;
use zerocopy::little_endian::I64;

/// Units of 1e-9 in one of four decimals.
const FOUR_DECIMALS: i64 = 100_000;

/// Databento's number of the statistic "market-wide circuit breaker, level 1"; 2 and 3 follow.
const DECLINE_LEVEL_1: u16 = 21;

const LAST: MarketFlags = MarketFlags::LAST;

/// Maps messages to events. It holds the day, the instruments and the counts, and knows nothing of files.
pub(super) struct Mapping {
    source: u16,
    midnight: u64,
    ids: InstrumentIds,
    /// The instrument of each locate code of the day; 0 before it is named.
    locates: Box<[u32]>,
    counts: Counts,
}

/// Puts an event with the fields with which all market data begins.
macro_rules! event {
    ($self:ident, $batch:ident, $head:expr, $instrument:expr, $flags:expr, $name:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let time = $self.midnight + $head.time.get();
        $self.counts.push($batch, Nanos(time), &$name {
            venue_time: time.into(),
            instrument: $instrument.into(),
            venue_sequence: ($self.counts.total() as u32).into(),
            source: $self.source.into(),
            flags: $flags,
            $($field: $value,)*
            ..$name { side: Side::NONE, ..$name::NULL }
        });
    }};
}

mod market;

impl Mapping {
    pub(super) fn new(source: u16, midnight: Nanos, ids: InstrumentIds) -> Self {
        let locates = vec![0; 1 << 16].into_boxed_slice();
        Self { source, midnight: midnight.0, ids, locates, counts: Counts::default() }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn ids(&self) -> &InstrumentIds {
        &self.ids
    }

    /// Puts the events of one message into `batch`.
    pub(super) fn put(&mut self, message: &[u8], batch: &mut Batch) -> Result<(), ItchFault> {
        let number = self.counts.total() + 1;
        let letter = message[0];
        let expected = length_of(letter).ok_or(ItchFault::UnknownType { number, letter })?;
        if message.len() != expected {
            return Err(ItchFault::Length { number, letter, expected, found: message.len() });
        }
        if let Some(value) = level_that_does_not_fit(message) {
            return Err(ItchFault::Value { number, value });
        }
        self.counts.record(letter);
        match letter {
            AddOrder::LETTER | AddAttributed::LETTER => self.add(read(message), batch),
            Executed::LETTER => self.executed(&read(message), batch),
            ExecutedAtPrice::LETTER => self.executed_at_price(&read(message), batch),
            OrderCancel::LETTER => self.cancel(&read(message), batch),
            OrderDelete::LETTER => self.delete(&read(message), batch),
            OrderReplace::LETTER => self.replace(&read(message), batch),
            HiddenTrade::LETTER => self.hidden_trade(&read(message), batch),
            CrossTrade::LETTER => self.cross_trade(&read(message), batch),
            BrokenTrade::LETTER => self.broken_trade(&read(message), batch),
            Imbalance::LETTER => self.imbalance(&read(message), batch),
            StockDirectory::LETTER => self.directory(&read(message), batch),
            SystemEvent::LETTER => self.system_event(&read(message), batch),
            TradingAction::LETTER => self.trading_action(&read(message), batch),
            OperationalHalt::LETTER => self.operational_halt(&read(message), batch),
            RegSho::LETTER => self.reg_sho(&read(message), batch),
            IpoQuotingPeriod::LETTER => self.ipo(&read(message), message, batch),
            AuctionCollar::LETTER => self.collar(&read(message), batch),
            DeclineLevels::LETTER => self.decline_levels(&read(message), batch),
            DeclineStatus::LETTER => self.decline_status(&read(message), batch),
            DirectListing::LETTER => self.direct_listing(&read(message), message, batch),
            ParticipantPosition::LETTER => {
                let ParticipantPosition { head, stock, .. } = read(message);
                self.notice(&head, &stock, message, batch);
            }
            _ => {
                let RetailInterest { head, stock, .. } = read(message);
                self.notice(&head, &stock, message, batch);
            }
        }
        Ok(())
    }

    /// The instrument of a message; if the directory did not name it, it is defined with what the message
    /// has.
    #[inline]
    fn instrument(&mut self, head: &Head, stock: &[u8], batch: &mut Batch) -> u32 {
        let locate = head.locate.get();
        match self.locates[usize::from(locate)] {
            0 if locate > 0 => self.name(head, stock, batch),
            known => known,
        }
    }

    #[cold]
    fn name(&mut self, head: &Head, stock: &[u8], batch: &mut Batch) -> u32 {
        let definition = self.definition(head, stock);
        self.define(head, definition, batch)
    }

    /// The fields that every definition of this venue has.
    fn definition(&mut self, head: &Head, stock: &[u8]) -> InstrumentDefinition {
        let symbol = str::from_utf8(stock.trim_ascii_end()).unwrap_or_default();
        let named = self.ids.name(head.locate.get().into(), symbol);
        self.locates[usize::from(head.locate.get())] = named.id();
        let action =
            if matches!(named, IdAssignment::New(_)) { UpdateAction::ADD } else { UpdateAction::MODIFY };
        InstrumentDefinition {
            venue_time: (self.midnight + head.time.get()).into(),
            instrument: named.id().into(),
            source: self.source.into(),
            action,
            instrument_class: InstrumentClass::EQUITY,
            venue_instrument_id: u64::from(head.locate.get()).into(),
            price_notation: PriceNotation::MONETARY,
            quantity_notation: QuantityNotation::UNITS,
            price_exponent: -4,
            quantity_exponent: 0,
            option_kind: OptionKind::NONE,
            exercise_style: ExerciseStyle::NONE,
            currency: *b"USD",
            venue_symbol: fixed(stock),
            ..InstrumentDefinition::NULL
        }
    }

    fn define(&mut self, head: &Head, definition: InstrumentDefinition, batch: &mut Batch) -> u32 {
        let due = Nanos(self.midnight + head.time.get());
        self.counts
            .push_with::<InstrumentDefinition>(batch, due, |buffer| definition.encode(buffer, []))
            .expect("a definition without legs fits");
        definition.instrument.get()
    }

    fn directory(&mut self, message: &StockDirectory, batch: &mut Batch) {
        let StockDirectory { head, stock, market_category, classification, sub_type, .. } = *message;
        let definition = InstrumentDefinition {
            lot_size: u64::from(message.round_lot.get()).into(),
            segment_mic: segment(market_category),
            exchange: fixed(&[market_category]),
            security_type: fixed(&[classification, sub_type[0], sub_type[1]]),
            ..self.definition(&head, &stock)
        };
        self.define(&head, definition, batch);
    }

    fn add(&mut self, message: AddOrder, batch: &mut Batch) {
        let AddOrder { head, order, shares, price, .. } = message;
        let instrument = self.instrument(&head, &message.stock, batch);
        event!(
            self,
            batch,
            head,
            instrument,
            LAST,
            BookAdd {
                side: side(message.side),
                order_id: order.get().into(),
                price: four_decimals(price.get()),
                quantity: u64::from(shares.get()).into(),
            }
        );
    }

    fn executed(&mut self, message: &Executed, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, b"", batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            BookExecute {
                order_id: message.order.get().into(),
                quantity: u64::from(message.shares.get()).into(),
                trade_id: message.match_number.get().into(),
                book_effect: Boolean::TRUE,
            }
        );
    }

    fn executed_at_price(&mut self, message: &ExecutedAtPrice, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, b"", batch);
        let hidden_from_tape = if message.printable == b'N' {
            ExecuteAttributes::NON_PRINTABLE
        } else {
            ExecuteAttributes::EMPTY
        };
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            BookExecute {
                order_id: message.order.get().into(),
                price: four_decimals(message.price.get()),
                quantity: u64::from(message.shares.get()).into(),
                trade_id: message.match_number.get().into(),
                attributes: hidden_from_tape | ExecuteAttributes::AT_PRICE,
                book_effect: Boolean::TRUE,
            }
        );
    }

    fn cancel(&mut self, message: &OrderCancel, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, b"", batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            BookCancel {
                order_id: message.order.get().into(),
                quantity: u64::from(message.shares.get()).into(),
            }
        );
    }

    fn delete(&mut self, message: &OrderDelete, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, b"", batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            BookCancel { order_id: message.order.get().into() }
        );
    }

    fn replace(&mut self, message: &OrderReplace, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, b"", batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            BookReplace {
                order_id: message.new_order.get().into(),
                prior_order_id: message.order.get().into(),
                price: four_decimals(message.price.get()),
                quantity: u64::from(message.shares.get()).into(),
            }
        );
    }

    fn hidden_trade(&mut self, message: &HiddenTrade, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            Trade {
                price: four_decimals(message.price.get()),
                quantity: u64::from(message.shares.get()).into(),
                trade_id: message.match_number.get().into(),
                order_id: message.order.get().into(),
                attributes: TradeAttributes::HIDDEN,
                depth: 0,
            }
        );
    }

    fn cross_trade(&mut self, message: &CrossTrade, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            Trade {
                price: four_decimals(message.price.get()),
                quantity: message.shares.get().into(),
                trade_id: message.match_number.get().into(),
                attributes: TradeAttributes::CROSS,
                cross_type: message.cross_type,
                depth: 0,
            }
        );
    }

    fn broken_trade(&mut self, message: &BrokenTrade, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, b"", batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            TradeBreak { trade_id: message.match_number.get().into() }
        );
    }

    /// Puts the message itself, as a notice.
    fn notice(&mut self, head: &Head, stock: &[u8], bytes: &[u8], batch: &mut Batch) {
        let instrument = self.instrument(head, stock, batch);
        let time = self.midnight + head.time.get();
        let notice = VenueNotice {
            venue_time: time.into(),
            instrument: instrument.into(),
            venue_sequence: (self.counts.total() as u32).into(),
            source: self.source.into(),
            flags: LAST,
            side: Side::NONE,
            kind: [head.letter, 0, 0, 0],
            ..VenueNotice::NULL
        };
        self.counts
            .push_with::<VenueNotice>(batch, Nanos(time), |buffer| notice.encode(buffer, bytes))
            .expect("50 bytes fit");
    }
}

/// Reads a message as its type; `put` has checked the length.
#[inline]
fn read<T: Layout>(message: &[u8]) -> T {
    T::read_from_prefix(message).expect("a message as long as its type").0
}

/// The first level of a message of type V that does not fit units of 1e-9.
fn level_that_does_not_fit(message: &[u8]) -> Option<u64> {
    if message[0] != DeclineLevels::LETTER {
        return None;
    }
    let fits = |level: u64| i64::try_from(level).is_ok_and(|level| level.checked_mul(10).is_some());
    read::<DeclineLevels>(message).levels.iter().map(|level| level.get()).find(|level| !fits(*level))
}

#[inline]
fn four_decimals(price: u32) -> I64 {
    (i64::from(price) * FOUR_DECIMALS).into()
}

fn price_or_none(price: u32) -> I64 {
    if price == 0 { i64::MAX.into() } else { four_decimals(price) }
}

#[inline]
fn side(letter: u8) -> Side {
    match letter {
        b'B' => Side::BUY,
        b'S' => Side::SELL,
        _ => Side::NONE,
    }
}

/// The segment's market identifier code, ISO 10383, of a market category (section 1.2.1).
fn segment(category: u8) -> [u8; 4] {
    *match category {
        b'Q' => b"XNGS",
        b'G' => b"XNMS",
        b'S' => b"XNCM",
        b'N' => b"XNYS",
        b'A' => b"XASE",
        b'P' => b"ARCX",
        b'Z' => b"BATS",
        b'V' => b"IEXG",
        _ => &[0; 4],
    }
}
