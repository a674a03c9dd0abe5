//! The events of each message of a LOBSTER file.

use super::window::{Order, Window};
use crate::counts::Counts;
use crate::csv::{Row, RowFault};
use crate::decimal::{NotDecimal, signed, unsigned};
use crate::instruments::{IdAssignment, InstrumentIds, fixed};
use stele_feed::{Batch, FeedReport};
use stele_wire::messages::{
    BookAdd, BookCancel, BookExecute, Boolean, ExecuteAttributes, ExerciseStyle, InstrumentClass,
    InstrumentDefinition, MarketFlags, OptionKind, PriceNotation, QuantityNotation, Side, Trade,
    TradeAttributes, TradingPhase, TradingState, TradingStatus, UpdateAction,
};
use stele_wire::units::Nanos;

/// Units of 1e-9 in one of LOBSTER's price.
const FOUR_DECIMALS: i64 = 100_000;

/// Nanoseconds of the longest day, one with 25 hours.
const DAY_MAX: u64 = 25 * 3_600 * 1_000_000_000;

const FIELDS: usize = 6;

/// Maps messages to events. It holds the day, the instrument and the counts, and knows nothing of files.
pub(super) struct Mapping {
    source: u16,
    midnight: u64,
    symbol: [u8; 72],
    named: IdAssignment,
    counts: Counts,
    window: Window,
    /// Whether the market trades: in a halt, visible orders may cross.
    is_trading: bool,
    /// The line whose events are not all put yet, and its number.
    waits: Option<(Message, u64)>,
    /// Orders that were removed because a message showed that they are gone.
    stale: u64,
}

/// One line, read.
#[derive(Clone, Copy)]
struct Message {
    time: u64,
    kind: u8,
    order_id: u64,
    size: u64,
    price: i64,
    side: Side,
}

macro_rules! event {
    ($self:ident, $batch:ident, $message:ident, $line:ident, $name:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $self.counts.push($batch, Nanos($message.time), &$name {
            venue_time: $message.time.into(),
            instrument: $self.named.id().into(),
            venue_sequence: ($line as u32).into(),
            source: $self.source.into(),
            flags: MarketFlags::LAST,
            $($field: $value,)*
            ..$name::NULL
        })
    };
}

impl Mapping {
    pub(super) fn new(
        source: u16,
        midnight: Nanos,
        symbol: &str,
        levels: Option<u32>,
        mut ids: InstrumentIds,
    ) -> Self {
        Self {
            source,
            midnight: midnight.0,
            symbol: fixed(symbol.as_bytes()),
            named: ids.name_by_symbol(symbol),
            counts: Counts::default(),
            window: Window::new(levels),
            is_trading: true,
            waits: None,
            stale: 0,
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn report(&self) -> FeedReport {
        let mut report = self.counts.report(|kind| kind_name(kind).into(), |_| "");
        if self.stale > 0 {
            let stale = self.stale;
            report.notices.push(format!(
                "{stale} orders were removed because later messages show that they are gone: each has a BookCancel \
                 with the flag maybeBadBook"
            ));
        }
        report
    }

    /// Reads one line; [`Mapping::drain`] puts its events. All events of the line before must have been put.
    pub(super) fn put(&mut self, row: Row<'_>, line: u64) -> Result<(), RowFault> {
        debug_assert!(self.waits.is_none());
        self.waits = Some((self.read(row)?, line));
        Ok(())
    }

    /// Puts the events of the current line into `batch`. Returns true when none are left.
    pub(super) fn drain(&mut self, batch: &mut Batch) -> bool {
        let Some((message, line)) = self.waits else { return true };
        while batch.has_room() {
            let is_visible = self.is_trading && message.kind < b'5';
            match is_visible.then(|| self.window.take_stale(message.side, message.price)).flatten() {
                Some(order) => self.remove_stale(order, &message, line, batch),
                None => {
                    self.put_message(message, line, batch);
                    self.waits = None;
                    return true;
                }
            }
        }
        false
    }

    /// Removes an order whose end the file does not have.
    fn remove_stale(&mut self, order: Order, message: &Message, line: u64, batch: &mut Batch) {
        self.stale += 1;
        let cancel = BookCancel {
            venue_time: message.time.into(),
            instrument: self.named.id().into(),
            venue_sequence: (line as u32).into(),
            source: self.source.into(),
            flags: MarketFlags::MAYBE_BAD_BOOK,
            side: order.side,
            order_id: order.id.into(),
            price: order.price.into(),
            ..BookCancel::NULL
        };
        self.counts.push(batch, Nanos(message.time), &cancel);
    }

    fn put_message(&mut self, message: Message, line: u64, batch: &mut Batch) {
        if self.counts.total() == 0 {
            self.define(message.time, batch);
        }
        self.counts.record(message.kind);
        let Message { order_id: id, size, .. } = message;
        // A deletion's size is what was left, but for an order that lost some of it unseen.
        let is_whole = match message.kind {
            b'1' => {
                self.window.add(id, message.side, message.price, size);
                true
            }
            b'2'..=b'4' => self.window.reduce(id, message.side, message.price, size, message.kind == b'3'),
            _ => true,
        };
        let removed = if is_whole || message.kind != b'3' { size } else { u64::MAX };
        let (order_id, quantity) = (id.into(), size.into());
        let (price, side) = (message.price.into(), message.side);
        match message.kind {
            b'1' => event!(
                self,
                batch,
                message,
                line,
                BookAdd { side: side, order_id: order_id, price: price, quantity: quantity }
            ),
            b'2' | b'3' => event!(
                self,
                batch,
                message,
                line,
                BookCancel { side: side, order_id: order_id, price: price, quantity: removed.into() }
            ),
            b'4' => event!(
                self,
                batch,
                message,
                line,
                BookExecute {
                    side: side,
                    order_id: order_id,
                    price: price,
                    quantity: quantity,
                    attributes: ExecuteAttributes::EMPTY,
                    book_effect: Boolean::TRUE,
                }
            ),
            b'5' | b'6' => {
                let is_hidden = message.kind == b'5';
                event!(
                    self,
                    batch,
                    message,
                    line,
                    Trade {
                        side: if is_hidden { opposite(side) } else { Side::NONE },
                        order_id: order_id,
                        price: price,
                        quantity: quantity,
                        attributes: if is_hidden { TradeAttributes::HIDDEN } else { TradeAttributes::CROSS },
                        depth: 0,
                    }
                );
            }
            _ => {
                let (state, trades, quotes) = halt(message.price);
                self.is_trading = state == TradingState::TRADING;
                event!(
                    self,
                    batch,
                    message,
                    line,
                    TradingStatus {
                        side: Side::NONE,
                        state: state,
                        phase: TradingPhase::UNKNOWN,
                        is_trading: trades,
                        is_quoting: quotes,
                        event_code: b'7',
                    }
                );
            }
        }
    }

    fn read(&self, row: Row<'_>) -> Result<Message, RowFault> {
        let row = row.of(FIELDS)?;
        let time = row.number(0, "time", |text| {
            let nanos = unsigned(text, 9)?;
            if nanos < DAY_MAX { Ok(self.midnight + nanos) } else { Err(NotDecimal::TooLarge) }
        })?;
        let kind = match row.field(1) {
            [kind @ b'1'..=b'7'] => *kind,
            _ => return Err(row.wrong(1, "type", "one of 1 to 7")),
        };
        let side = match row.field(5) {
            b"1" => Side::BUY,
            b"-1" => Side::SELL,
            _ if kind >= b'6' => Side::NONE,
            _ => return Err(row.wrong(5, "direction", "1 or -1")),
        };
        if kind == b'7' {
            let price = row.number(4, "price", |text| signed(text, 0))?;
            if !(-1..=1).contains(&price) {
                return Err(row.wrong(4, "price of a halt", "-1, 0 or 1"));
            }
            return Ok(Message { time, kind, order_id: 0, size: 0, price, side });
        }
        // A hidden order has no id, a cross trade -1.
        let order_id = match row.field(2) {
            b"-1" if kind == b'6' => 0,
            _ => row.number(2, "order id", |text| unsigned(text, 0))?,
        };
        if order_id == 0 && kind < b'5' {
            return Err(row.wrong(2, "order id", "above 0"));
        }
        let size = row.number(3, "size", |text| unsigned(text, 0))?;
        if size == 0 {
            return Err(row.wrong(3, "size", "above 0"));
        }
        let price = row.number(4, "price", |text| {
            signed(text, 0)?.checked_mul(FOUR_DECIMALS).ok_or(NotDecimal::TooLarge)
        })?;
        Ok(Message { time, kind, order_id, size, price, side })
    }

    #[cold]
    fn define(&mut self, time: u64, batch: &mut Batch) {
        let is_new = matches!(self.named, IdAssignment::New(_));
        let definition = InstrumentDefinition {
            venue_time: time.into(),
            instrument: self.named.id().into(),
            source: self.source.into(),
            action: if is_new { UpdateAction::ADD } else { UpdateAction::MODIFY },
            instrument_class: InstrumentClass::EQUITY,
            price_notation: PriceNotation::MONETARY,
            quantity_notation: QuantityNotation::UNITS,
            price_exponent: -4,
            quantity_exponent: 0,
            option_kind: OptionKind::NONE,
            exercise_style: ExerciseStyle::NONE,
            currency: *b"USD",
            venue_symbol: self.symbol,
            ..InstrumentDefinition::NULL
        };
        self.counts
            .push_with::<InstrumentDefinition>(batch, Nanos(time), |buffer| definition.encode(buffer, []))
            .expect("a definition without legs fits");
    }
}

fn opposite(side: Side) -> Side {
    if side == Side::BUY { Side::SELL } else { Side::BUY }
}

fn halt(price: i64) -> (TradingState, Boolean, Boolean) {
    match price {
        -1 => (TradingState::HALTED, Boolean::FALSE, Boolean::FALSE),
        0 => (TradingState::QUOTATION_ONLY, Boolean::FALSE, Boolean::TRUE),
        _ => (TradingState::TRADING, Boolean::TRUE, Boolean::TRUE),
    }
}

fn kind_name(kind: u8) -> &'static str {
    match kind {
        b'1' => "1 submission",
        b'2' => "2 cancellation",
        b'3' => "3 deletion",
        b'4' => "4 execution",
        b'5' => "5 hidden execution",
        b'6' => "6 cross trade",
        _ => "7 halt",
    }
}
