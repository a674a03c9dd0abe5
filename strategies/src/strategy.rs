//! The trait that a strategy implements, and the context that it acts through.

mod timers;

pub use stele_bus::bounds::TIMERS_PER_STRATEGY_MAX;
pub(crate) use timers::Timers;

use crate::account::{Account, Holding, Money};
use crate::book::Book;
use crate::market::{Instrument, Market, TradePrint};
use crate::order::{OpenOrder, Order, OrderState, OrderTable};
use crate::parameters::Parameters;
use crate::random::Random;
use crate::report::OrderReport;
use crate::snapshot::RestoreError;
use stele_wire::messages::{
    Alert, AlertEvidence, CancelOrder, Capacity, DeciderKind, NewOrder, OrderAttributes, ReleaseWatermark,
    ReplaceOrder, Side, TimerSet, TradingStatus,
};
use stele_wire::{Frame, Nanos, Price, Quantity, Sequence};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// What decides. A strategy sees every event of the log, in its order, and acts through the [`Context`]. All it
/// does must follow from the events, its parameters and its seed: it reads no clock, no file and no other source
/// of chance, and iterates over no hash map, so that the recorded events give the same orders again.
///
/// For one event the calls come in the order of this list, each only where it applies. Before the first of them
/// books, positions and open orders have taken the event in.
pub trait Strategy: Send {
    /// Trading may begin: once at the start, and when a kill switch that stopped the strategy is released.
    fn on_start(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Any event, of Stele's schema or another: [`Frame::message`] reads either.
    fn on_event(&mut self, event: &Frame<'_>, context: &mut Context<'_>) {
        let _ = (event, context);
    }

    /// An instrument was defined, or defined anew. Those of before the start are in [`Context::market`].
    fn on_definition(&mut self, instrument: u32, context: &mut Context<'_>) {
        let _ = (instrument, context);
    }

    /// Trading in an instrument, or in the whole market (instrument 0), begins, halts or changes its phase.
    fn on_status(&mut self, status: &TradingStatus, context: &mut Context<'_>) {
        let _ = (status, context);
    }

    /// A trade at the venue: see [`crate::market`] for which.
    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        let _ = (trade, context);
    }

    /// What became of an order of this strategy.
    fn on_report(&mut self, report: &OrderReport, context: &mut Context<'_>) {
        let _ = (report, context);
    }

    /// The time that [`Context::set_timer`] asked for has come: the event is at or after it.
    fn on_timer(&mut self, timer_id: u64, context: &mut Context<'_>) {
        let _ = (timer_id, context);
    }

    /// A venue's event is over and touched this book: see [`crate::market`] for the rule.
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        let _ = (instrument, context);
    }

    /// Trading ends: a kill switch, or the end of the session. In the first case the sequencer cancels every order
    /// that is open; in the second nothing can be sent any longer.
    fn on_stop(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Appends the strategy's own state; what the context holds is kept by the host.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Takes the state that [`Strategy::snapshot`] told, into an instance made with the same parameters.
    ///
    /// # Errors
    /// When `state` is not of such a snapshot.
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError>;
}

/// Takes what strategies send: `body` is an SBE message of template `template_id` without its header. Bodies
/// are at most [`SUBMISSION_LENGTH_MAX`] bytes.
pub trait OrderSink {
    /// Takes one submission. The caller of [`crate::Host::handle`] has made room for all that one event may
    /// give.
    fn submit(&mut self, template_id: u16, body: &[u8]);
}

impl<F: FnMut(u16, &[u8])> OrderSink for F {
    fn submit(&mut self, template_id: u16, body: &[u8]) {
        self(template_id, body);
    }
}

/// Orders, cancels, replacements, timers and alerts that a strategy may send while it handles one event; what is above
/// is not sent.
pub const SUBMISSIONS_PER_EVENT_MAX: usize = 16;

/// The longest body that is ever submitted, in bytes.
pub const SUBMISSION_LENGTH_MAX: usize = 576;

/// Events that an alert can name as evidence.
pub const EVIDENCE_MAX: usize = 16;

/// Bytes of an alert's explanation at most.
pub const EXPLANATION_LENGTH_MAX: usize = 256;

/// Bytes of an alert: block, evidence behind its dimensions, explanation and no parameters behind their lengths.
const ALERT_LENGTH_MAX: usize =
    size_of::<Alert>() + 4 + EVIDENCE_MAX * size_of::<AlertEvidence>() + 2 + EXPLANATION_LENGTH_MAX + 2;

/// Bytes behind the block of an order: an empty group and two empty texts.
const ORDER_TAIL: usize = 8;

/// The first word of client order ids: see [`OrderIds`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderIds {
    /// The strategy.
    pub strategy: u16,
    /// Epoch of the log, its low 16 bits.
    pub epoch: u16,
    /// Ids given in this epoch.
    pub given: u32,
}

impl OrderIds {
    /// The next id: `strategy << 48 | epoch << 32 | counter`, the counter from 1 in each epoch. No two requests
    /// of a trail have the same one (before the 65,536th epoch).
    fn next(&mut self) -> u64 {
        self.given += 1;
        u64::from(self.strategy) << 48 | u64::from(self.epoch) << 32 | u64::from(self.given)
    }
}

/// What a host keeps for a strategy, beside the strategy's own state.
#[derive(Clone, Debug)]
pub struct TradingState {
    pub(crate) ids: OrderIds,
    pub(crate) publisher: u16,
    pub(crate) account_id: u32,
    pub(crate) algorithm: u32,
    pub(crate) parameters: Parameters,
    pub(crate) random: Random,
    pub(crate) account: Account,
    pub(crate) orders: OrderTable,
    /// What may still be sent while this event is handled.
    pub(crate) budget: usize,
    /// Requests that could not be sent.
    pub(crate) withheld: u64,
    pub(crate) timers: Timers,
}

impl TradingState {
    /// Positions and profit.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Open orders.
    pub fn orders(&self) -> &OrderTable {
        &self.orders
    }

    /// The parameters that the strategy runs with.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Requests that were not sent: malformed, more than [`SUBMISSIONS_PER_EVENT_MAX`] for an event, or more
    /// than [`crate::OPEN_ORDERS_MAX`] open orders.
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// Profit so far at the market's marks: realised, unrealised (none where there is no mark), fees.
    pub fn profit(&self, market: &Market) -> Profit {
        let each = self.account.holdings().map(|(id, holding)| Profit::of(holding, market.instrument(id)));
        each.fold(Profit::default(), |sum, one| Profit {
            realised: sum.realised + one.realised,
            unrealised: sum.unrealised + one.unrealised,
            fees: sum.fees + one.fees,
        })
    }
}

/// What a strategy has earned. Amounts of several currencies are added as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Profit {
    /// By positions that were closed.
    pub realised: Money,
    /// By positions that are open, at the mid of their book or else the last trade.
    pub unrealised: Money,
    /// Paid for executions.
    pub fees: Money,
}

impl Profit {
    /// What one holding has earned; without a mark nothing is unrealised.
    pub(crate) fn of(holding: &Holding, instrument: Option<&Instrument>) -> Self {
        let scale = instrument.map(Instrument::scale).unwrap_or_default();
        let mark = instrument.and_then(Instrument::mark);
        Self {
            realised: scale.money(holding.realised()),
            unrealised: mark.map_or(Money(0), |mark| scale.money(holding.unrealised(mark))),
            fees: holding.fees(),
        }
    }

    /// Realised and unrealised, less fees.
    pub fn net(&self) -> Money {
        self.realised + self.unrealised - self.fees
    }
}

/// What each publisher has been given so far, in all sessions: strategies number their submissions themselves, so that
/// the numbers follow from the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) given: Vec<(u16, u64)>,
}

impl Numbers {
    /// The number of the publisher's next submission, from 1 on.
    pub(crate) fn next(&mut self, publisher: u16) -> u64 {
        match self.given.iter_mut().find(|(id, _)| *id == publisher) {
            Some((_, given)) => {
                *given += 1;
                *given
            }
            None => {
                self.given.push((publisher, 1));
                1
            }
        }
    }
}

/// How a strategy sees the world and acts while it handles one event. Nothing here depends on when, where or how
/// fast the event is handled.
pub struct Context<'a> {
    pub(crate) now: Nanos,
    pub(crate) cause: Sequence,
    pub(crate) market: &'a Market,
    pub(crate) trading: &'a mut TradingState,
    pub(crate) numbers: &'a mut Numbers,
    pub(crate) out: &'a mut dyn OrderSink,
}

impl Context<'_> {
    /// When the event was sequenced: the only clock there is.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The event that is being handled: the `cause` of whatever is sent.
    pub fn sequence(&self) -> Sequence {
        self.cause
    }

    /// Everything known of the market.
    pub fn market(&self) -> &Market {
        self.market
    }

    /// What is known of an instrument.
    pub fn instrument(&self, instrument: u32) -> Option<&Instrument> {
        self.market.instrument(instrument)
    }

    /// The book of an instrument.
    #[inline]
    pub fn book(&self, instrument: u32) -> Option<&Book> {
        self.market.book(instrument)
    }

    /// What the strategy holds of an instrument: positive is long.
    #[inline]
    pub fn position(&self, instrument: u32) -> i64 {
        self.trading.account.position(instrument)
    }

    /// Positions with their cost.
    pub fn account(&self) -> &Account {
        &self.trading.account
    }

    /// Profit so far.
    pub fn profit(&self) -> Profit {
        self.trading.profit(self.market)
    }

    /// Open orders.
    pub fn orders(&self) -> &OrderTable {
        &self.trading.orders
    }

    /// What may still be bought, or sold, of an instrument until the position is at `limit`, long or short, even
    /// if every open order of that side is executed.
    pub fn room(&self, instrument: u32, side: Side, limit: Quantity) -> Quantity {
        let position = i128::from(self.position(instrument));
        let signed = if side == Side::SELL { -position } else { position };
        let working = i128::from(self.trading.orders.working(instrument, side).0);
        Quantity((i128::from(limit.0) - signed - working).clamp(0, u64::MAX.into()) as u64)
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.trading.parameters
    }

    /// The seeded source of chance.
    pub fn random(&mut self) -> &mut Random {
        &mut self.trading.random
    }

    /// Sends an order and gives its client order id. None, and nothing is sent, when it names no instrument,
    /// side or quantity, or a bound is reached: [`SUBMISSIONS_PER_EVENT_MAX`], [`crate::OPEN_ORDERS_MAX`].
    pub fn send(&mut self, order: Order) -> Option<u64> {
        let mut block = order.block;
        let is_complete = block.instrument.get() != 0
            && [Side::BUY, Side::SELL].contains(&block.side)
            && !matches!(block.quantity.get(), 0 | u64::MAX);
        if !is_complete || self.trading.orders.is_full() || !self.spend() {
            self.trading.withheld += 1;
            return None;
        }
        let id = self.trading.ids.next();
        self.sign(&mut block);
        block.client_order_id = U64::new(id);
        block.original_order_id = U64::new(id);
        self.open(&block);
        self.submit_order(NewOrder::TEMPLATE_ID, &block);
        Some(id)
    }

    /// Sends an order that takes what the other side's touch has, at its price; what is not there is cancelled. Gives
    /// its client order id; none when there is no touch, and as [`Context::send`].
    pub fn take(&mut self, instrument: u32, side: Side, quantity: Quantity) -> Option<u64> {
        let price = self.touch(instrument, side)?;
        self.send(Order::limit(instrument, side, quantity, price).immediate_or_cancel())
    }

    /// The price at which an order of this side would be executed at once: the best offer for a purchase, the best
    /// bid for a sale.
    pub fn touch(&self, instrument: u32, side: Side) -> Option<Price> {
        let book = self.book(instrument)?;
        let level = if side == Side::BUY { book.ask() } else { book.bid() };
        level.map(|level| level.price)
    }

    /// Whether an order of the strategy in this instrument is open.
    pub fn is_working(&self, instrument: u32) -> bool {
        self.trading.orders.iter().any(|order| order.instrument == instrument)
    }

    /// An id of the strategy's own that no order and no timer has: the parent of orders that are parts of one which
    /// never leaves itself ([`Order::child_of`]; its terms are the strategy's parameters), or a link between orders
    /// ([`Order::linked`]).
    pub fn new_id(&mut self) -> u64 {
        self.trading.ids.next()
    }

    /// Asks for an open order to be replaced by one with another price and quantity (what is to be left of it),
    /// and gives the new client order id. All its other terms stay: what it shows, its stop price until that is reached,
    /// its time in force. The price is the limit; of a stop without one, the stop price. None, and nothing is sent, when
    /// the order is not open or is being cancelled or replaced already, or when a bound is reached.
    pub fn replace(&mut self, client_order_id: u64, price: Price, quantity: Quantity) -> Option<u64> {
        let Some(&old) = self.requestable(client_order_id) else {
            self.trading.withheld += 1;
            return None;
        };
        if matches!(quantity.0, 0 | u64::MAX) || self.trading.orders.is_full() || !self.spend() {
            self.trading.withheld += 1;
            return None;
        }
        let mut block = self.trading.orders.replacement(client_order_id, price, quantity)?;
        let id = self.trading.ids.next();
        self.sign(&mut block);
        block.client_order_id = U64::new(id);
        block.original_order_id = U64::new(old.original_order_id);
        block.replaced_order_id = U64::new(client_order_id);
        self.trading.orders.set_state(client_order_id, OrderState::Replacing);
        self.open(&block);
        self.submit_order(ReplaceOrder::TEMPLATE_ID, &block);
        Some(id)
    }

    /// Asks for an open order to be cancelled. Says whether the request was sent: not when the order is not open
    /// or is being cancelled or replaced already, or when a bound is reached.
    pub fn cancel(&mut self, client_order_id: u64) -> bool {
        let Some(&order) = self.requestable(client_order_id) else {
            self.trading.withheld += 1;
            return false;
        };
        if !self.spend() {
            self.trading.withheld += 1;
            return false;
        }
        self.request_cancel(&order, CancelOrder::NULL.quantity.get());
        true
    }

    /// Asks for `quantity` of an open order to be cancelled; all of it if no more is left. Says whether the request was
    /// sent: not when the quantity is 0 or [`Context::cancel`] would send none.
    pub fn reduce(&mut self, client_order_id: u64, quantity: Quantity) -> bool {
        let order = self.requestable(client_order_id).filter(|_| quantity.0 > 0).copied();
        let Some(order) = order.filter(|_| self.spend()) else {
            self.trading.withheld += 1;
            return false;
        };
        self.request_cancel(&order, quantity.0);
        true
    }

    /// Asks to be woken by an event at `due` or as soon after it as can be, and gives the id that
    /// [`Strategy::on_timer`] will name. A time that has passed fires at once. None, and nothing is sent, when a bound
    /// is reached: what one event may send, or [`TIMERS_PER_STRATEGY_MAX`] timers that have not fired.
    pub fn set_timer(&mut self, due: Nanos) -> Option<u64> {
        if self.trading.timers.is_full() || !self.spend() {
            self.trading.withheld += 1;
            return None;
        }
        let timer_id = self.trading.ids.next();
        self.trading.timers.add(timer_id);
        self.submit_timer(timer_id, due.0.min(u64::MAX - 1));
        Some(timer_id)
    }

    /// Takes a timer back that has not fired: it does not. Says whether the request was sent: not for a timer that has
    /// fired or never was, or when the bound on what one event may send is reached.
    pub fn cancel_timer(&mut self, timer_id: u64) -> bool {
        if !self.trading.timers.contains(timer_id) || !self.spend() {
            self.trading.withheld += 1;
            return false;
        }
        self.trading.timers.remove(timer_id);
        self.submit_timer(timer_id, TimerSet::NULL.due.get());
        true
    }

    /// Puts on the log that the strategy saw something that a person should look at, and gives the alert's id. `alert`
    /// says what (its pattern, severity, score and, where it has them, account and instrument); the context fills in the
    /// id, when it was detected, and the events: `evidence`, oldest first, and the one that is being handled, which is
    /// `lastSequence`. `explanation` is for people.
    ///
    /// None, and nothing is sent, with more than [`EVIDENCE_MAX`] events of evidence or an explanation of more than
    /// [`EXPLANATION_LENGTH_MAX`] bytes, or when what one event may send is reached.
    pub fn raise(&mut self, alert: Alert, evidence: &[Sequence], explanation: &str) -> Option<u64> {
        let is_short = evidence.len() <= EVIDENCE_MAX && explanation.len() <= EXPLANATION_LENGTH_MAX;
        if !is_short || !self.spend() {
            self.trading.withheld += 1;
            return None;
        }
        let id = self.trading.ids.next();
        self.numbers.next(self.trading.publisher);
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

    /// A null time takes the timer back.
    fn submit_timer(&mut self, timer_id: u64, due: u64) {
        let timer = TimerSet {
            timer_id: U64::new(timer_id),
            due: U64::new(due),
            cause: U64::new(self.cause.0),
            publisher: U16::new(self.trading.publisher),
            publisher_sequence: U64::new(self.numbers.next(self.trading.publisher)),
            strategy: U16::new(self.trading.ids.strategy),
            ..TimerSet::NULL
        };
        self.out.submit(TimerSet::TEMPLATE_ID, timer.as_bytes());
    }

    /// Cancels every open order, whatever was sent for this event.
    pub(crate) fn cancel_all(&mut self) {
        let count = self.trading.orders.iter().len();
        for at in 0..count {
            let order = self.trading.orders.at(at);
            if order.state != OrderState::Cancelling {
                self.request_cancel(&order, CancelOrder::NULL.quantity.get());
            }
        }
    }

    fn requestable(&self, client_order_id: u64) -> Option<&OpenOrder> {
        let order = self.trading.orders.get(client_order_id)?;
        matches!(order.state, OrderState::Sent | OrderState::Working).then_some(order)
    }

    fn spend(&mut self) -> bool {
        let has_room = self.trading.budget > 0;
        self.trading.budget -= usize::from(has_room);
        has_room
    }

    /// Fills in who sends the order, for whom and why.
    fn sign(&mut self, block: &mut NewOrder) {
        block.publisher_sequence = U64::new(self.numbers.next(self.trading.publisher));
        block.publisher = U16::new(self.trading.publisher);
        block.strategy = U16::new(self.trading.ids.strategy);
        block.cause = U64::new(self.cause.0);
        block.decision_time = U64::new(self.now.0);
        block.account = U32::new(self.trading.account_id);
        block.investment_decision = U32::new(self.trading.algorithm);
        block.investment_decision_kind = DeciderKind::ALGORITHM;
        block.executor = U32::new(self.trading.algorithm);
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
        self.trading.orders.push(order, block);
    }

    /// Both orders and replacements have the block of a `NewOrder`, which a test holds to be true.
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

    /// A null quantity is all that is left.
    fn request_cancel(&mut self, order: &OpenOrder, quantity: u64) {
        let cancel = CancelOrder {
            publisher_sequence: U64::new(self.numbers.next(self.trading.publisher)),
            publisher: U16::new(self.trading.publisher),
            strategy: U16::new(self.trading.ids.strategy),
            instrument: U32::new(order.instrument),
            cause: U64::new(self.cause.0),
            client_order_id: U64::new(self.trading.ids.next()),
            original_order_id: U64::new(order.original_order_id),
            cancelled_order_id: U64::new(order.client_order_id),
            decision_time: U64::new(self.now.0),
            quantity: U64::new(quantity),
            account: U32::new(self.trading.account_id),
            investment_decision: U32::new(self.trading.algorithm),
            investment_decision_kind: DeciderKind::ALGORITHM,
            executor: U32::new(self.trading.algorithm),
            executor_kind: DeciderKind::ALGORITHM,
            capacity: Capacity::DEALING,
            attributes: OrderAttributes::ALGORITHMIC,
            side: order.side,
            release_watermark: ReleaseWatermark::DURABLE,
            ..CancelOrder::NULL
        };
        self.trading.orders.set_state(order.client_order_id, OrderState::Cancelling);
        self.out.submit(CancelOrder::TEMPLATE_ID, cancel.as_bytes());
    }
}

const _: () = assert!(size_of::<NewOrder>() + ORDER_TAIL <= SUBMISSION_LENGTH_MAX);
const _: () = assert!(ALERT_LENGTH_MAX <= SUBMISSION_LENGTH_MAX);
const _: () = assert!(size_of::<NewOrder>() == size_of::<ReplaceOrder>());
