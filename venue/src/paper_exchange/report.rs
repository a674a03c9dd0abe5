//! The reports of the exchange, in the form that goes to the sequencer.

use super::delay::Line;
use super::request::{PaperRefusal, Request};
use crate::matching::{CancelReason, MatchingOrder, OrderOwner, Phase};
use crate::open_orders::{LastIds, OpenOrder};
use stele_strategies::book::BookSide;
use stele_wire::codec::Message;
use stele_wire::messages::{
    Boolean, CancelOrder, CancelRejected, Initiator, Liquidity, MarketFlags, OrderAccepted, OrderCancelled,
    OrderEvent, OrderExpired, OrderFilled, OrderFirmness, OrderRejected, OrderReplaced, OrderRestated,
    OrderStatus, OrderTriggered, Originator, Quote, ReplaceRejected, Side, Trade, TradeAttributes,
    TradingPhase, TradingState, TradingStatus,
};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// The longest body of a report, in bytes.
pub const REPORT_LENGTH_MAX: usize = 320;

/// A report that waits to be published.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PaperReport {
    /// The order is accepted.
    Accepted(OrderAccepted),
    /// The order is refused, with the reason as text.
    Rejected(OrderRejected, &'static str),
    /// The order, or a part of it, is cancelled.
    Cancelled(OrderCancelled),
    /// The order has new terms.
    Replaced(OrderReplaced),
    /// The order was executed, in part or completely.
    Filled(OrderFilled),
    /// A cancel is refused, with the reason as text.
    CancelRejected(CancelRejected, &'static str),
    /// A replacement is refused, with the reason as text.
    ReplaceRejected(ReplaceRejected, &'static str),
    /// A stop price was reached.
    Triggered(OrderTriggered),
    /// The next tranche of an iceberg order is displayed.
    Restated(OrderRestated),
    /// The order expired at the end of the trading day.
    Expired(OrderExpired),
    /// Two orders traded in the exchange's own book.
    Traded(Trade),
    /// An instrument has a new trading phase.
    Status(TradingStatus),
}

impl PaperReport {
    /// Returns the report's SBE template id.
    pub const fn template_id(&self) -> u16 {
        match self {
            Self::Accepted(_) => OrderAccepted::TEMPLATE_ID,
            Self::Rejected(..) => OrderRejected::TEMPLATE_ID,
            Self::Cancelled(_) => OrderCancelled::TEMPLATE_ID,
            Self::Replaced(_) => OrderReplaced::TEMPLATE_ID,
            Self::Filled(_) => OrderFilled::TEMPLATE_ID,
            Self::CancelRejected(..) => CancelRejected::TEMPLATE_ID,
            Self::ReplaceRejected(..) => ReplaceRejected::TEMPLATE_ID,
            Self::Triggered(_) => OrderTriggered::TEMPLATE_ID,
            Self::Restated(_) => OrderRestated::TEMPLATE_ID,
            Self::Expired(_) => OrderExpired::TEMPLATE_ID,
            Self::Traded(_) => Trade::TEMPLATE_ID,
            Self::Status(_) => TradingStatus::TEMPLATE_ID,
        }
    }

    /// Writes the body into `buffer` and returns the part that it occupies.
    pub fn encode<'a>(&self, buffer: &'a mut [u8; REPORT_LENGTH_MAX]) -> &'a [u8] {
        const FITS: &str = "REPORT_LENGTH_MAX bytes hold every block and every text";
        match self {
            Self::Accepted(message) => whole(message, buffer),
            Self::Rejected(message, text) => message.encode(buffer, text.as_bytes()).expect(FITS),
            Self::Cancelled(message) => whole(message, buffer),
            Self::Replaced(message) => whole(message, buffer),
            Self::Filled(message) => whole(message, buffer),
            Self::CancelRejected(message, text) => message.encode(buffer, text.as_bytes()).expect(FITS),
            Self::ReplaceRejected(message, text) => message.encode(buffer, text.as_bytes()).expect(FITS),
            Self::Triggered(message) => whole(message, buffer),
            Self::Restated(message) => whole(message, buffer),
            Self::Expired(message) => whole(message, buffer),
            Self::Traded(message) => whole(message, buffer),
            Self::Status(message) => whole(message, buffer),
        }
    }
}

fn whole<'a, M: Message>(message: &M, buffer: &'a mut [u8; REPORT_LENGTH_MAX]) -> &'a [u8] {
    let block = &mut buffer[..size_of::<M>()];
    block.copy_from_slice(message.as_bytes());
    block
}

/// The order that a report is about, with what the exchange knows about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) owner: OrderOwner,
    pub(super) instrument: u32,
    pub(super) side: Side,
    pub(super) client_order_id: u64,
    pub(super) venue_order_id: u64,
    pub(super) sequence: u64,
    pub(super) leaves: u64,
    pub(super) cumulative: u64,
    /// Whether it waits for a stop price.
    pub(super) waits: bool,
}

impl Subject {
    /// An order that the exchange does not know, as a cancel identifies it.
    pub(super) fn of_cancel(request: &CancelOrder, owner: OrderOwner) -> Self {
        Self {
            owner,
            instrument: request.instrument.get(),
            side: request.side,
            client_order_id: request.cancelled_order_id.get(),
            venue_order_id: 0,
            sequence: 0,
            leaves: 0,
            cumulative: 0,
            waits: false,
        }
    }

    /// A quote, as the exchange refuses it.
    pub(super) fn of_quote(quote: &Quote, sequence: u64) -> Self {
        Self {
            owner: OrderOwner { strategy: quote.strategy.get(), account: quote.account.get() },
            instrument: quote.instrument.get(),
            side: Side::NONE,
            client_order_id: quote.client_order_id.get(),
            venue_order_id: 0,
            sequence,
            leaves: 0,
            cumulative: 0,
            waits: false,
        }
    }
}

impl From<&Request> for Subject {
    fn from(request: &Request) -> Self {
        Self {
            owner: request.owner,
            instrument: request.instrument,
            side: request.side,
            client_order_id: request.client_order_id,
            venue_order_id: 0,
            sequence: request.sequence,
            leaves: 0,
            cumulative: 0,
            waits: false,
        }
    }
}

impl From<&OpenOrder> for Subject {
    fn from(order: &OpenOrder) -> Self {
        Self {
            owner: OrderOwner { strategy: order.strategy, account: order.account },
            instrument: order.instrument,
            side: order.side,
            client_order_id: order.client_order_id,
            venue_order_id: order.venue_order_id,
            sequence: order.sequence,
            leaves: order.leaves,
            cumulative: order.cumulative,
            waits: false,
        }
    }
}

impl From<&MatchingOrder> for Subject {
    fn from(order: &MatchingOrder) -> Self {
        Self {
            owner: order.owner,
            instrument: order.instrument,
            side: wire_side(order.side),
            client_order_id: order.client_order_id,
            venue_order_id: order.venue_order_id,
            sequence: order.sequence,
            leaves: order.leaves(),
            cumulative: order.cumulative,
            waits: !order.is_working(),
        }
    }
}

/// The venue's reason code for a cancel by self-trade prevention.
const SELF_TRADE: [u8; 4] = *b"STP\0";

/// Returns the price at which an order is in the book; none while it waits for a stop price.
fn working_price(order: &MatchingOrder) -> I64 {
    I64::new(order.limit.filter(|_| order.is_working()).unwrap_or(i64::MAX))
}

/// Why an order was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CancelCause {
    /// The request with this sequence asked for it.
    Requested { sequence: u64, initiator: Initiator },
    /// The order cannot rest, or the exchange cancelled it.
    Market,
    /// It met an order of its own account.
    SelfTrade,
}

impl From<CancelReason> for CancelCause {
    fn from(why: CancelReason) -> Self {
        match why {
            CancelReason::Unfilled => Self::Market,
            CancelReason::SelfTrade => Self::SelfTrade,
        }
    }
}

/// Returns the side as it is on the wire.
pub(super) fn wire_side(side: BookSide) -> Side {
    match side {
        BookSide::Bid => Side::BUY,
        BookSide::Ask => Side::SELL,
    }
}

/// One execution of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) price: i64,
    pub(super) quantity: u64,
    pub(super) liquidity: Liquidity,
    pub(super) fee: Option<i64>,
    pub(super) currency: [u8; 3],
    /// The id that both sides of a trade have in common; none when the other side is the replayed market.
    pub(super) match_id: Option<u64>,
}

/// Builds reports and keeps them until they are published.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    source: u16,
    number: u32,
    pub(super) numbers: LastIds,
    /// The time of the venue's clock: the last market event of the current instrument.
    pub(super) venue_time: u64,
    /// Reports in flight to the sequencer.
    pub(super) line: Line<PaperReport>,
}

/// Builds a report from the fields that all reports share.
macro_rules! report {
    ($message:ident of $subject:expr, by $reporter:expr, $event:ident from $originator:ident, { $($field:ident: $value:expr),* $(,)? }) => {{
        let subject: Subject = $subject;
        let is_done = subject.leaves == 0;
        $message {
            venue_time: U64::new($reporter.venue_time),
            instrument: U32::new(subject.instrument),
            venue_sequence: U32::new($reporter.next_number()),
            source: U16::new($reporter.source),
            flags: MarketFlags::LAST,
            side: subject.side,
            client_order_id: U64::new(subject.client_order_id),
            venue_order_id: U64::new(subject.venue_order_id),
            order_sequence: U64::new(subject.sequence),
            account: U32::new(subject.owner.account),
            strategy: U16::new(subject.owner.strategy),
            event: OrderEvent::$event,
            originator: Originator::$originator,
            leaves_quantity: U64::new(subject.leaves),
            cumulative_quantity: U64::new(subject.cumulative),
            status: if is_done {
                OrderStatus::DONE
            } else if subject.waits {
                OrderStatus::INACTIVE
            } else {
                OrderStatus::ACTIVE
            },
            firmness: OrderFirmness::FIRM,
            $($field: $value,)*
            ..$message::NULL
        }
    }};
}

/// Builds a report that states the present terms of the order.
macro_rules! terms {
    ($message:ident of $order:expr, by $reporter:expr, $event:ident from $originator:ident, { $($field:ident: $value:expr),* $(,)? }) => {
        report!($message of $order.into(), by $reporter, $event from $originator, {
            priority_time: U64::new($order.priority_time),
            priority_size: U64::new($order.shown),
            price: I64::new($order.limit.unwrap_or(i64::MAX)),
            quantity: U64::new($order.quantity),
            displayed_quantity: U64::new($order.shown),
            working_price: working_price($order),
            $($field: $value,)*
        })
    };
}

impl Reporter {
    pub(super) fn new(source: u16, numbers: LastIds) -> Self {
        let line = Line::at_once();
        Self { source, number: 0, numbers, venue_time: u64::MAX, line }
    }

    fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    pub(super) fn next_order_id(&mut self) -> u64 {
        self.numbers.order += 1;
        self.numbers.order
    }

    pub(super) fn accepted(&mut self, order: &MatchingOrder) {
        let message = terms!(OrderAccepted of order, by self, NEW from MEMBER, {});
        self.line.push(PaperReport::Accepted(message));
    }

    pub(super) fn rejected(&mut self, subject: Subject, refusal: PaperRefusal) {
        let (check, bound) = refusal.check();
        let (limit, value) = bound.unwrap_or((i64::MAX, i64::MAX));
        let message = report!(OrderRejected of subject, by self, REJECTED from MARKET, {
            check: check,
            limit: I64::new(limit),
            value: I64::new(value),
        });
        self.line.push(PaperReport::Rejected(message, refusal.text()));
    }

    /// Reports that `quantity` of the order was cancelled; `subject` is what is left of it.
    pub(super) fn cancelled(&mut self, subject: Subject, quantity: u64, cause: CancelCause) {
        let cancelled = U64::new(quantity);
        let message = match cause {
            CancelCause::Requested { sequence, initiator } => {
                report!(OrderCancelled of subject, by self, CANCELLED_BY_MEMBER from MEMBER, {
                    request_sequence: U64::new(sequence),
                    cancelled_quantity: cancelled,
                    initiator: initiator,
                })
            }
            CancelCause::Market | CancelCause::SelfTrade => {
                report!(OrderCancelled of subject, by self, CANCELLED_BY_MARKET from MARKET, {
                    cancelled_quantity: cancelled,
                    initiator: Initiator::EXCHANGE,
                    venue_reason: if cause == CancelCause::SelfTrade { SELF_TRADE } else { [0; 4] },
                })
            }
        };
        self.line.push(PaperReport::Cancelled(message));
    }

    /// Reports that `order` has the terms of the request of its sequence, and replaces the order
    /// `replaced`.
    pub(super) fn replaced(&mut self, order: &MatchingOrder, replaced: u64) {
        let message = terms!(OrderReplaced of order, by self, REPLACED_BY_MEMBER from MEMBER, {
            replaced_order_id: U64::new(replaced),
            request_sequence: U64::new(order.sequence),
        });
        self.line.push(PaperReport::Replaced(message));
    }

    /// Reports that `order` was executed.
    pub(super) fn filled(&mut self, order: &MatchingOrder, fill: Fill) {
        self.numbers.execution += 1;
        let id = U64::new(self.numbers.execution);
        let mut message = report!(OrderFilled of order.into(), by self, PARTIALLY_FILLED from MARKET, {
            execution_id: id,
            match_id: fill.match_id.map_or(id, U64::new),
            last_price: I64::new(fill.price),
            last_quantity: U64::new(fill.quantity),
            fee: I64::new(fill.fee.unwrap_or(i64::MAX)),
            fee_currency: fill.currency,
            liquidity: fill.liquidity,
        });
        if order.leaves() == 0 {
            message.event = OrderEvent::FILLED;
        }
        self.line.push(PaperReport::Filled(message));
    }

    /// Returns the match id that both sides of the next trade have in common: the execution id of its first
    /// side.
    pub(super) fn next_match_id(&self) -> u64 {
        self.numbers.execution + 1
    }

    /// Reports that the stop price of `order` was reached.
    pub(super) fn triggered(&mut self, order: &MatchingOrder) {
        let message = terms!(OrderTriggered of order, by self, TRIGGERED from MARKET, {});
        self.line.push(PaperReport::Triggered(message));
    }

    /// Reports that `order` displays its next tranche.
    pub(super) fn refreshed(&mut self, order: &MatchingOrder) {
        let message = terms!(OrderRestated of order, by self, REPLACED_BY_MARKET_AUTOMATIC from MARKET, {});
        self.line.push(PaperReport::Restated(message));
    }

    /// Reports that the remaining `quantity` of `order` expired.
    pub(super) fn expired(&mut self, order: &MatchingOrder, quantity: u64) {
        let subject = Subject { leaves: 0, ..order.into() };
        let message = report!(OrderExpired of subject, by self, EXPIRED from MARKET, {
            quantity: U64::new(quantity),
        });
        self.line.push(PaperReport::Expired(message));
    }

    /// Reports a trade of two orders. `aggressor` is the incoming order's side; none in an auction.
    pub(super) fn traded(&mut self, instrument: u32, aggressor: Side, price: i64, quantity: u64, id: u64) {
        let is_auction = aggressor == Side::NONE;
        let message = Trade {
            venue_time: U64::new(self.venue_time),
            instrument: U32::new(instrument),
            venue_sequence: U32::new(self.next_number()),
            source: U16::new(self.source),
            flags: MarketFlags::LAST,
            side: aggressor,
            trade_id: U64::new(id),
            price: I64::new(price),
            quantity: U64::new(quantity),
            attributes: if is_auction { TradeAttributes::CROSS } else { TradeAttributes::EMPTY },
            ..Trade::NULL
        };
        self.line.push(PaperReport::Traded(message));
    }

    /// Reports that `phase` is in force in an instrument from now on.
    pub(super) fn status(&mut self, instrument: u32, phase: Phase) {
        let (state, trading_phase) = match phase {
            Phase::Continuous => (TradingState::TRADING, TradingPhase::CONTINUOUS),
            Phase::Auction => (TradingState::TRADING, TradingPhase::UNSCHEDULED_AUCTION),
            Phase::Halted => (TradingState::HALTED, TradingPhase::UNKNOWN),
            Phase::Closed => (TradingState::CLOSED, TradingPhase::UNKNOWN),
        };
        let message = TradingStatus {
            venue_time: U64::new(self.venue_time),
            instrument: U32::new(instrument),
            venue_sequence: U32::new(self.next_number()),
            source: U16::new(self.source),
            flags: MarketFlags::LAST,
            state,
            phase: trading_phase,
            is_trading: Boolean(u8::from(phase == Phase::Continuous)),
            ..TradingStatus::NULL
        };
        self.line.push(PaperReport::Status(message));
    }

    /// Reports that the request with this sequence and id did not cancel `subject`.
    pub(super) fn cancel_rejected(
        &mut self,
        subject: Subject,
        sequence: u64,
        id: u64,
        refusal: PaperRefusal,
    ) {
        let message = report!(CancelRejected of subject, by self, REJECTED from MARKET, {
            request_order_id: U64::new(id),
            request_sequence: U64::new(sequence),
            check: refusal.check().0,
        });
        self.line.push(PaperReport::CancelRejected(message, refusal.text()));
    }

    /// Reports that the request with this sequence and id did not replace `subject`.
    pub(super) fn replace_rejected(
        &mut self,
        subject: Subject,
        sequence: u64,
        id: u64,
        refusal: PaperRefusal,
    ) {
        let (check, bound) = refusal.check();
        let (limit, value) = bound.unwrap_or((i64::MAX, i64::MAX));
        let message = report!(ReplaceRejected of subject, by self, REJECTED from MARKET, {
            request_order_id: U64::new(id),
            request_sequence: U64::new(sequence),
            check: check,
            limit: I64::new(limit),
            value: I64::new(value),
        });
        self.line.push(PaperReport::ReplaceRejected(message, refusal.text()));
    }
}
