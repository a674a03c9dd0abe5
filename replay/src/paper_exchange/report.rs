//! The exchange's answers, as they go to the sequencer.

use super::order::{Order, Owner};
use super::request::{Refusal, Request};
use crate::open_orders::OpenOrder;
use std::collections::VecDeque;
use stele_strategies::book::BookSide;
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelOrder, CancelRejected, Initiator, Liquidity, MarketFlags, OrderAccepted, OrderCancelled,
    OrderEvent, OrderFilled, OrderFirmness, OrderRejected, OrderReplaced, OrderStatus, Originator, Quote,
    ReplaceRejected, Side,
};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// The longest body of a report, in bytes.
pub const REPORT_LENGTH_MAX: usize = 320;

/// A report that waits to be sequenced.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Report {
    /// The order is taken.
    Accepted(OrderAccepted),
    /// The order is refused, and why in words.
    Rejected(OrderRejected, &'static str),
    /// The order, or a part, no longer works.
    Cancelled(OrderCancelled),
    /// The order has new terms.
    Replaced(OrderReplaced),
    /// The order was executed, in part or whole.
    Filled(OrderFilled),
    /// A cancel is refused, and why in words.
    CancelRejected(CancelRejected, &'static str),
    /// A replacement is refused, and why in words.
    ReplaceRejected(ReplaceRejected, &'static str),
}

impl Report {
    /// The report's SBE template id.
    pub const fn template_id(&self) -> u16 {
        match self {
            Self::Accepted(_) => OrderAccepted::TEMPLATE_ID,
            Self::Rejected(..) => OrderRejected::TEMPLATE_ID,
            Self::Cancelled(_) => OrderCancelled::TEMPLATE_ID,
            Self::Replaced(_) => OrderReplaced::TEMPLATE_ID,
            Self::Filled(_) => OrderFilled::TEMPLATE_ID,
            Self::CancelRejected(..) => CancelRejected::TEMPLATE_ID,
            Self::ReplaceRejected(..) => ReplaceRejected::TEMPLATE_ID,
        }
    }

    /// Writes the body into `buffer` and returns the part that it fills.
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
        }
    }
}

fn whole<'a, M: Message>(message: &M, buffer: &'a mut [u8; REPORT_LENGTH_MAX]) -> &'a [u8] {
    let block = &mut buffer[..size_of::<M>()];
    block.copy_from_slice(message.as_bytes());
    block
}

/// The order that a report is about, as far as the exchange knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) owner: Owner,
    pub(super) instrument: u32,
    pub(super) side: Side,
    pub(super) client_order_id: u64,
    pub(super) venue_order_id: u64,
    pub(super) sequence: u64,
    pub(super) leaves: u64,
    pub(super) cumulative: u64,
}

impl Subject {
    /// An order that the exchange does not know, as a cancel names it.
    pub(super) fn of_cancel(request: &CancelOrder, owner: Owner) -> Self {
        Self {
            owner,
            instrument: request.instrument.get(),
            side: request.side,
            client_order_id: request.cancelled_order_id.get(),
            venue_order_id: 0,
            sequence: 0,
            leaves: 0,
            cumulative: 0,
        }
    }

    /// A quote.
    pub(super) fn of_quote(quote: &Quote, sequence: u64) -> Self {
        Self {
            owner: Owner { strategy: quote.strategy.get(), account: quote.account.get() },
            instrument: quote.instrument.get(),
            side: Side::NONE,
            client_order_id: quote.client_order_id.get(),
            venue_order_id: 0,
            sequence,
            leaves: 0,
            cumulative: 0,
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
        }
    }
}

impl From<&OpenOrder> for Subject {
    fn from(order: &OpenOrder) -> Self {
        Self {
            owner: Owner { strategy: order.strategy, account: order.account },
            instrument: order.instrument,
            side: order.side,
            client_order_id: order.client_order_id,
            venue_order_id: order.venue_order_id,
            sequence: order.sequence,
            leaves: order.leaves,
            cumulative: order.cumulative,
        }
    }
}

impl From<&Order> for Subject {
    fn from(order: &Order) -> Self {
        Self {
            owner: order.owner,
            instrument: order.instrument,
            side: if order.side == BookSide::Bid { Side::BUY } else { Side::SELL },
            client_order_id: order.client_order_id,
            venue_order_id: order.venue_order_id,
            sequence: order.sequence,
            leaves: order.leaves(),
            cumulative: order.cumulative,
        }
    }
}

/// Why an order stopped working.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CancelCause {
    /// The request of this sequence asked for it.
    Requested { sequence: u64, initiator: Initiator },
    /// The order does not rest, or the exchange let it go.
    Market,
}

/// One execution of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) price: i64,
    pub(super) quantity: u64,
    pub(super) liquidity: Liquidity,
    pub(super) fee: Option<i64>,
    pub(super) currency: [u8; 3],
}

/// The last numbers that an exchange gave out. They go on where an earlier one stopped, so that none comes twice
/// on a trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Numbers {
    /// Last venue order id.
    pub order: u64,
    /// Last execution id; the match id is the same.
    pub execution: u64,
}

/// Writes reports and keeps them until they are sequenced.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    source: u16,
    number: u32,
    pub(super) numbers: Numbers,
    /// When the venue's clock stands at: the time of the last market event of the instrument in hand.
    pub(super) venue_time: u64,
    pub(super) reports: VecDeque<Report>,
}

/// A report with what all of them say alike.
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
            status: if is_done { OrderStatus::DONE } else { OrderStatus::ACTIVE },
            firmness: OrderFirmness::FIRM,
            $($field: $value,)*
            ..$message::NULL
        }
    }};
}

impl Reporter {
    pub(super) fn new(source: u16, numbers: Numbers) -> Self {
        Self { source, number: 0, numbers, venue_time: u64::MAX, reports: VecDeque::with_capacity(256) }
    }

    fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    pub(super) fn next_order_id(&mut self) -> u64 {
        self.numbers.order += 1;
        self.numbers.order
    }

    pub(super) fn accepted(&mut self, order: &Order) {
        let message = report!(OrderAccepted of order.into(), by self, NEW from MEMBER, {
            priority_time: U64::new(order.priority_time),
            priority_size: U64::new(order.leaves()),
            price: I64::new(order.limit.unwrap_or(i64::MAX)),
            quantity: U64::new(order.quantity),
            displayed_quantity: U64::new(order.leaves()),
            working_price: I64::new(order.limit.unwrap_or(i64::MAX)),
        });
        self.reports.push_back(Report::Accepted(message));
    }

    pub(super) fn rejected(&mut self, subject: Subject, refusal: Refusal) {
        let (check, bound) = refusal.check();
        let (limit, value) = bound.unwrap_or((i64::MAX, i64::MAX));
        let message = report!(OrderRejected of subject, by self, REJECTED from MARKET, {
            check: check,
            limit: I64::new(limit),
            value: I64::new(value),
        });
        self.reports.push_back(Report::Rejected(message, refusal.text()));
    }

    /// `quantity` of the order was taken off; `subject` is what is left of it.
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
            CancelCause::Market => {
                report!(OrderCancelled of subject, by self, CANCELLED_BY_MARKET from MARKET, {
                    cancelled_quantity: cancelled,
                    initiator: Initiator::EXCHANGE,
                })
            }
        };
        self.reports.push_back(Report::Cancelled(message));
    }

    /// `order` has the terms of the request of its sequence, and took the place of the order `replaced`.
    pub(super) fn replaced(&mut self, order: &Order, replaced: u64) {
        let message = report!(OrderReplaced of order.into(), by self, REPLACED_BY_MEMBER from MEMBER, {
            replaced_order_id: U64::new(replaced),
            request_sequence: U64::new(order.sequence),
            priority_time: U64::new(order.priority_time),
            priority_size: U64::new(order.leaves()),
            price: I64::new(order.limit.unwrap_or(i64::MAX)),
            quantity: U64::new(order.quantity),
            displayed_quantity: U64::new(order.leaves()),
            working_price: I64::new(order.limit.unwrap_or(i64::MAX)),
        });
        self.reports.push_back(Report::Replaced(message));
    }

    /// `order` has had `fill`.
    pub(super) fn filled(&mut self, order: &Order, fill: Fill) {
        self.numbers.execution += 1;
        let id = U64::new(self.numbers.execution);
        let mut message = report!(OrderFilled of order.into(), by self, PARTIALLY_FILLED from MARKET, {
            execution_id: id,
            match_id: id,
            last_price: I64::new(fill.price),
            last_quantity: U64::new(fill.quantity),
            fee: I64::new(fill.fee.unwrap_or(i64::MAX)),
            fee_currency: fill.currency,
            liquidity: fill.liquidity,
        });
        if order.leaves() == 0 {
            message.event = OrderEvent::FILLED;
        }
        self.reports.push_back(Report::Filled(message));
    }

    /// The request of this sequence and id did not cancel `subject`.
    pub(super) fn cancel_rejected(&mut self, subject: Subject, sequence: u64, id: u64, refusal: Refusal) {
        let message = report!(CancelRejected of subject, by self, REJECTED from MARKET, {
            request_order_id: U64::new(id),
            request_sequence: U64::new(sequence),
            check: refusal.check().0,
        });
        self.reports.push_back(Report::CancelRejected(message, refusal.text()));
    }

    /// The request of this sequence and id did not replace `subject`.
    pub(super) fn replace_rejected(&mut self, subject: Subject, sequence: u64, id: u64, refusal: Refusal) {
        let (check, bound) = refusal.check();
        let (limit, value) = bound.unwrap_or((i64::MAX, i64::MAX));
        let message = report!(ReplaceRejected of subject, by self, REJECTED from MARKET, {
            request_order_id: U64::new(id),
            request_sequence: U64::new(sequence),
            check: check,
            limit: I64::new(limit),
            value: I64::new(value),
        });
        self.reports.push_back(Report::ReplaceRejected(message, refusal.text()));
    }
}
