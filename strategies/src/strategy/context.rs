//! What a strategy sees, and what it can send, while it handles one event.

use super::record::{Numbers, Profit, StrategyRecord};
use crate::account::Account;
use crate::book::Book;
use crate::market::{Instrument, Market};
use crate::order::{OpenOrder, Order, OrderState, OrderTable};
use crate::parameters::Parameters;
use crate::random::Random;
use stele_wire::messages::{
    Alert, AlertEvidence, CancelOrder, Capacity, DeciderKind, NewOrder, OrderAttributes, ReleaseWatermark,
    ReplaceOrder, Side, TimerSet,
};
use stele_wire::{Nanos, Price, Quantity, Sequence};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Receives what strategies send. `body` is an SBE message of template `template_id` without its header, at
/// most [`SUBMISSION_LENGTH_MAX`] bytes long. Every closure `FnMut(u16, &[u8])` is an order sink.
pub trait OrderSink {
    /// Receives one submission. The caller of [`crate::Host::handle`] has reserved room for everything that
    /// one event can lead to, see [`crate::Host::submissions_max`].
    fn submit(&mut self, template_id: u16, body: &[u8]);
}

impl<F: FnMut(u16, &[u8])> OrderSink for F {
    fn submit(&mut self, template_id: u16, body: &[u8]) {
        self(template_id, body);
    }
}

/// The number of orders, cancels, replacements, timers and alerts that a strategy can send while it handles
/// one event. Further ones are not sent.
pub const SUBMISSIONS_PER_EVENT_MAX: usize = 16;

/// The longest body of a submission, in bytes.
pub const SUBMISSION_LENGTH_MAX: usize = 576;

/// The number of events that an alert can name as evidence.
pub const EVIDENCE_MAX: usize = 16;

/// The longest explanation of an alert, in bytes.
pub const EXPLANATION_LENGTH_MAX: usize = 256;

/// Bytes of the longest alert: block, group of evidence after its dimensions, explanation, and an empty text
/// of parameters, both after their lengths.
const ALERT_LENGTH_MAX: usize =
    size_of::<Alert>() + 4 + EVIDENCE_MAX * size_of::<AlertEvidence>() + 2 + EXPLANATION_LENGTH_MAX + 2;

/// Bytes after the block of an order: an empty group and two empty texts.
const ORDER_TAIL: usize = 8;

/// What a strategy sees and how it acts while it handles one event. Nothing here depends on when, where or
/// how fast the event is handled.
///
/// A method that sends returns `None` or `false` when it sent nothing, and counts the request as withheld
/// ([`StrategyRecord::withheld`]). While an operator has paused the strategy, orders and replacements are not
/// sent and are counted as suppressed ([`StrategyRecord::suppressed`]); cancels, timers and alerts are sent.
pub struct Context<'a> {
    pub(crate) now: Nanos,
    pub(crate) cause: Sequence,
    pub(crate) market: &'a Market,
    pub(crate) record: &'a mut StrategyRecord,
    pub(crate) is_paused: bool,
    pub(crate) numbers: &'a mut Numbers,
    pub(crate) out: &'a mut dyn OrderSink,
}

impl Context<'_> {
    /// The time at which the event was sequenced: the only clock that a strategy has.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The sequence of the event that is being handled. Everything that is sent names it as its `cause`.
    pub fn sequence(&self) -> Sequence {
        self.cause
    }

    /// All instruments and their books.
    pub fn market(&self) -> &Market {
        self.market
    }

    /// The instrument with this id, if an event has named it.
    pub fn instrument(&self, instrument: u32) -> Option<&Instrument> {
        self.market.instrument(instrument)
    }

    /// The order book of an instrument.
    #[inline]
    pub fn book(&self, instrument: u32) -> Option<&Book> {
        self.market.book(instrument)
    }

    /// The strategy's position in an instrument, as a signed mantissa: positive is long, 0 if it never
    /// traded.
    #[inline]
    pub fn position(&self, instrument: u32) -> i64 {
        self.record.account.position(instrument)
    }

    /// Positions and their costs.
    pub fn account(&self) -> &Account {
        &self.record.account
    }

    /// Profit so far, as in [`StrategyRecord::profit`].
    pub fn profit(&self) -> Profit {
        self.record.profit(self.market)
    }

    /// The open orders.
    pub fn orders(&self) -> &OrderTable {
        &self.record.orders
    }

    /// The quantity that may still be bought (or sold, for a sell `side`) before the position reaches
    /// `limit`, long (or short), assuming that every open order of that side is executed.
    pub fn room(&self, instrument: u32, side: Side, limit: Quantity) -> Quantity {
        let position = i128::from(self.position(instrument));
        let signed = if side == Side::SELL { -position } else { position };
        let working = i128::from(self.record.orders.working(instrument, side).0);
        Quantity((i128::from(limit.0) - signed - working).clamp(0, u64::MAX.into()) as u64)
    }

    /// The parameters that the strategy runs with.
    pub fn parameters(&self) -> &Parameters {
        &self.record.parameters
    }

    /// Whether an operator has paused the strategy: orders and replacements are not sent.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The random number generator, seeded by the strategy's definition.
    pub fn random(&mut self) -> &mut Random {
        &mut self.record.random
    }

    /// Sends an order and returns its client order id. Returns `None`, and sends nothing, when the order has
    /// no instrument, side or quantity, when a limit is reached ([`SUBMISSIONS_PER_EVENT_MAX`] or
    /// [`crate::OPEN_ORDERS_MAX`]), or while the strategy is paused.
    pub fn send(&mut self, order: Order) -> Option<u64> {
        if self.is_paused {
            self.record.suppressed += 1;
            return None;
        }
        let mut block = order.block;
        let is_complete = block.instrument.get() != 0
            && [Side::BUY, Side::SELL].contains(&block.side)
            && !matches!(block.quantity.get(), 0 | u64::MAX);
        if !is_complete || self.record.orders.is_full() || !self.spend() {
            self.record.withheld += 1;
            return None;
        }
        let id = self.record.ids.next();
        self.sign(&mut block);
        block.client_order_id = U64::new(id);
        block.original_order_id = U64::new(id);
        self.open(&block);
        self.submit_order(NewOrder::TEMPLATE_ID, &block);
        Some(id)
    }

    /// Sends an immediate-or-cancel limit order at the best price of the other side, and returns its client
    /// order id. Returns `None` when the other side is empty, and in the cases of [`Context::send`].
    pub fn take(&mut self, instrument: u32, side: Side, quantity: Quantity) -> Option<u64> {
        let price = self.touch(instrument, side)?;
        self.send(Order::limit(instrument, side, quantity, price).immediate_or_cancel())
    }

    /// The price at which an order of this side would be executed at once: the best offer for a purchase, the
    /// best bid for a sale.
    pub fn touch(&self, instrument: u32, side: Side) -> Option<Price> {
        let book = self.book(instrument)?;
        let level = if side == Side::BUY { book.ask() } else { book.bid() };
        level.map(|level| level.price)
    }

    /// Whether the strategy has an open order in this instrument.
    pub fn is_working(&self, instrument: u32) -> bool {
        self.record.orders.iter().any(|order| order.instrument == instrument)
    }

    /// A new id that no order and no timer of the strategy has. Use it as the parent of child orders when the
    /// parent order itself is never sent ([`Order::child_of`]), or as the link between orders
    /// ([`Order::linked`]).
    pub fn new_id(&mut self) -> u64 {
        self.record.ids.next()
    }

    /// Sends a request to replace an open order by one with another price and quantity (the quantity that
    /// remains open), and returns the new client order id. Everything else stays: the displayed quantity, the
    /// stop price until it is reached, the time in force. `price` is the limit price; for a stop without a
    /// limit it is the stop price.
    ///
    /// Returns `None`, and sends nothing, when the order is not open, when a cancel or replacement of it is
    /// pending, when a limit is reached, or while the strategy is paused.
    pub fn replace(&mut self, client_order_id: u64, price: Price, quantity: Quantity) -> Option<u64> {
        if self.is_paused {
            self.record.suppressed += 1;
            return None;
        }
        let Some(&old) = self.requestable(client_order_id) else {
            self.record.withheld += 1;
            return None;
        };
        if matches!(quantity.0, 0 | u64::MAX) || self.record.orders.is_full() || !self.spend() {
            self.record.withheld += 1;
            return None;
        }
        let mut block = self.record.orders.replacement(client_order_id, price, quantity)?;
        let id = self.record.ids.next();
        self.sign(&mut block);
        block.client_order_id = U64::new(id);
        block.original_order_id = U64::new(old.original_order_id);
        block.replaced_order_id = U64::new(client_order_id);
        self.record.orders.set_state(client_order_id, OrderState::Replacing);
        self.open(&block);
        self.submit_order(ReplaceOrder::TEMPLATE_ID, &block);
        Some(id)
    }

    /// Sends a request to cancel an open order, and returns whether it was sent. It is not sent when the
    /// order is not open, when a cancel or replacement of it is pending, or when a limit is reached.
    pub fn cancel(&mut self, client_order_id: u64) -> bool {
        let Some(&order) = self.requestable(client_order_id) else {
            self.record.withheld += 1;
            return false;
        };
        if !self.spend() {
            self.record.withheld += 1;
            return false;
        }
        self.request_cancel(&order, CancelOrder::NULL.quantity.get());
        true
    }

    /// Sends a request to cancel `quantity` of an open order, or all of it when less remains. Returns whether
    /// the request was sent: it is not when the quantity is 0, and in the cases of [`Context::cancel`].
    pub fn reduce(&mut self, client_order_id: u64, quantity: Quantity) -> bool {
        let order = self.requestable(client_order_id).filter(|_| quantity.0 > 0).copied();
        let Some(order) = order.filter(|_| self.spend()) else {
            self.record.withheld += 1;
            return false;
        };
        self.request_cancel(&order, quantity.0);
        true
    }

    /// Sets a timer that fires with the first event at or after `due`, and returns the id that
    /// [`Strategy::on_timer`] will receive. A time in the past fires at once. Returns `None`, and sets no
    /// timer, when a limit is reached: [`SUBMISSIONS_PER_EVENT_MAX`], or [`TIMERS_PER_STRATEGY_MAX`] timers
    /// that have not fired.
    ///
    /// [`Strategy::on_timer`]: crate::Strategy::on_timer
    /// [`TIMERS_PER_STRATEGY_MAX`]: crate::strategy::TIMERS_PER_STRATEGY_MAX
    pub fn set_timer(&mut self, due: Nanos) -> Option<u64> {
        if self.record.timers.is_full() || !self.spend() {
            self.record.withheld += 1;
            return None;
        }
        let timer_id = self.record.ids.next();
        self.record.timers.add(timer_id);
        self.submit_timer(timer_id, due.0.min(u64::MAX - 1));
        Some(timer_id)
    }

    /// Cancels a timer that has not fired. Returns whether the request was sent: it is not when the timer has
    /// fired or does not exist, or when [`SUBMISSIONS_PER_EVENT_MAX`] is reached.
    pub fn cancel_timer(&mut self, timer_id: u64) -> bool {
        if !self.record.timers.contains(timer_id) || !self.spend() {
            self.record.withheld += 1;
            return false;
        }
        self.record.timers.remove(timer_id);
        self.submit_timer(timer_id, TimerSet::NULL.due.get());
        true
    }

    /// Sends an alert: an event on the log that asks a person to look at something. Returns the alert's id.
    ///
    /// The caller sets the pattern, severity and score in `alert`, and the account and instrument where there
    /// are any. The context sets the id, the time of detection and the events: `evidence`, oldest first, and
    /// the event that is being handled as `lastSequence`. `explanation` is free text for people.
    ///
    /// Returns `None`, and sends nothing, with more than [`EVIDENCE_MAX`] events of evidence, an explanation
    /// longer than [`EXPLANATION_LENGTH_MAX`] bytes, or when [`SUBMISSIONS_PER_EVENT_MAX`] is reached.
    pub fn raise(&mut self, alert: Alert, evidence: &[Sequence], explanation: &str) -> Option<u64> {
        let is_short = evidence.len() <= EVIDENCE_MAX && explanation.len() <= EXPLANATION_LENGTH_MAX;
        if !is_short || !self.spend() {
            self.record.withheld += 1;
            return None;
        }
        let id = self.record.ids.next();
        self.numbers.next(self.record.publisher);
        let alert = Alert {
            alert_id: U64::new(id),
            detected_time: U64::new(self.now.0),
            first_sequence: U64::new(evidence.first().unwrap_or(&self.cause).0),
            last_sequence: U64::new(self.cause.0),
            ..alert
        };
        let mut body = [0; ALERT_LENGTH_MAX];
        let evidence = evidence.iter().map(|event| AlertEvidence { sequence: U64::new(event.0) });
        let encoded = alert.encode(&mut body, evidence, explanation.as_bytes(), &[]);
        self.out.submit(Alert::TEMPLATE_ID, encoded.expect("the bounds fit the buffer"));
        Some(id)
    }

    /// A null time cancels the timer.
    fn submit_timer(&mut self, timer_id: u64, due: u64) {
        let timer = TimerSet {
            timer_id: U64::new(timer_id),
            due: U64::new(due),
            cause: U64::new(self.cause.0),
            publisher: U16::new(self.record.publisher),
            publisher_sequence: U64::new(self.numbers.next(self.record.publisher)),
            strategy: U16::new(self.record.ids.strategy),
            ..TimerSet::NULL
        };
        self.out.submit(TimerSet::TEMPLATE_ID, timer.as_bytes());
    }

    /// Cancels every open order, even beyond [`SUBMISSIONS_PER_EVENT_MAX`].
    pub(crate) fn cancel_all(&mut self) {
        let count = self.record.orders.iter().len();
        for at in 0..count {
            let order = self.record.orders.at(at);
            if order.state != OrderState::Cancelling {
                self.request_cancel(&order, CancelOrder::NULL.quantity.get());
            }
        }
    }

    fn requestable(&self, client_order_id: u64) -> Option<&OpenOrder> {
        let order = self.record.orders.get(client_order_id)?;
        matches!(order.state, OrderState::Sent | OrderState::Working).then_some(order)
    }

    fn spend(&mut self) -> bool {
        let has_room = self.record.budget > 0;
        self.record.budget -= usize::from(has_room);
        has_room
    }

    /// Fills in who sends the order, for which account and why.
    fn sign(&mut self, block: &mut NewOrder) {
        block.publisher_sequence = U64::new(self.numbers.next(self.record.publisher));
        block.publisher = U16::new(self.record.publisher);
        block.strategy = U16::new(self.record.ids.strategy);
        block.cause = U64::new(self.cause.0);
        block.decision_time = U64::new(self.now.0);
        block.account = U32::new(self.record.account_id);
        block.investment_decision = U32::new(self.record.algorithm);
        block.investment_decision_kind = DeciderKind::ALGORITHM;
        block.executor = U32::new(self.record.algorithm);
        block.executor_kind = DeciderKind::ALGORITHM;
    }

    fn open(&mut self, block: &NewOrder) {
        let order = OpenOrder {
            client_order_id: block.client_order_id.get(),
            original_order_id: block.original_order_id.get(),
            replaces: block.replaced_order_id.get(),
            instrument: block.instrument.get(),
            side: block.side,
            price: Some(Price(block.limit_price.get())).filter(|price| price.is_defined()),
            leaves: Quantity(block.quantity.get()),
            cumulative: Quantity(0),
            state: OrderState::Sent,
        };
        self.record.orders.push(order, block);
    }

    /// New orders and replacements have the same block layout, which an assertion at the end of this file
    /// checks.
    fn submit_order(&mut self, template_id: u16, block: &NewOrder) {
        let mut body = [0; size_of::<NewOrder>() + ORDER_TAIL];
        let length = if template_id == ReplaceOrder::TEMPLATE_ID {
            let replace =
                ReplaceOrder::read_from_bytes(block.as_bytes()).expect("the blocks are equally long");
            replace.encode(&mut body, [], &[], &[]).map(<[u8]>::len)
        } else {
            block.encode(&mut body, [], &[], &[]).map(<[u8]>::len)
        };
        self.out.submit(template_id, &body[..length.expect("the buffer has room for an order")]);
    }

    /// A null quantity cancels all that remains.
    fn request_cancel(&mut self, order: &OpenOrder, quantity: u64) {
        let cancel = CancelOrder {
            publisher_sequence: U64::new(self.numbers.next(self.record.publisher)),
            publisher: U16::new(self.record.publisher),
            strategy: U16::new(self.record.ids.strategy),
            instrument: U32::new(order.instrument),
            cause: U64::new(self.cause.0),
            client_order_id: U64::new(self.record.ids.next()),
            original_order_id: U64::new(order.original_order_id),
            cancelled_order_id: U64::new(order.client_order_id),
            decision_time: U64::new(self.now.0),
            quantity: U64::new(quantity),
            account: U32::new(self.record.account_id),
            investment_decision: U32::new(self.record.algorithm),
            investment_decision_kind: DeciderKind::ALGORITHM,
            executor: U32::new(self.record.algorithm),
            executor_kind: DeciderKind::ALGORITHM,
            capacity: Capacity::DEALING,
            attributes: OrderAttributes::ALGORITHMIC,
            side: order.side,
            release_watermark: ReleaseWatermark::DURABLE,
            ..CancelOrder::NULL
        };
        self.record.orders.set_state(order.client_order_id, OrderState::Cancelling);
        self.out.submit(CancelOrder::TEMPLATE_ID, cancel.as_bytes());
    }
}

const _: () = assert!(size_of::<NewOrder>() + ORDER_TAIL <= SUBMISSION_LENGTH_MAX);
const _: () = assert!(ALERT_LENGTH_MAX <= SUBMISSION_LENGTH_MAX);
const _: () = assert!(size_of::<NewOrder>() == size_of::<ReplaceOrder>());
