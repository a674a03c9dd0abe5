//! Orders: the builder of an order, and the table of open orders.

use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::messages::{
    Capacity, NewOrder, OrderAttributes, OrderType, ReleaseWatermark, SelfTradePrevention, Side, TimeInForce,
};
use stele_wire::{Nanos, Price, Quantity};
use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// An order to be sent with [`crate::Context::send`]. Fields that are not set stay null; the sender, account
/// and cause are filled in when it is sent.
///
/// # Examples
///
/// ```
/// use stele_strategies::Order;
/// use stele_wire::messages::Side;
/// use stele_wire::{Price, Quantity};
///
/// let order = Order::limit(1, Side::BUY, Quantity(10), Price(101_000_000_000)).post_only();
/// assert_eq!((order.instrument(), order.quantity()), (1, Quantity(10)));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "an order does nothing until the context sends it"]
pub struct Order {
    pub(crate) block: NewOrder,
}

impl Order {
    fn new(instrument: u32, side: Side, quantity: Quantity) -> Self {
        let block = NewOrder {
            instrument: U32::new(instrument),
            side,
            quantity: U64::new(quantity.0),
            capacity: Capacity::DEALING,
            attributes: OrderAttributes::ALGORITHMIC,
            release_watermark: ReleaseWatermark::DURABLE,
            ..NewOrder::NULL
        };
        Self { block }
    }

    /// A limit order, valid for the day.
    pub fn limit(instrument: u32, side: Side, quantity: Quantity, price: Price) -> Self {
        let mut order = Self::new(instrument, side, quantity);
        order.block.order_type = OrderType::LIMIT;
        order.block.limit_price = I64::new(price.0);
        order.block.time_in_force = TimeInForce::DAY;
        order
    }

    /// A market order, immediate or cancel.
    pub fn market(instrument: u32, side: Side, quantity: Quantity) -> Self {
        let mut order = Self::new(instrument, side, quantity);
        order.block.order_type = OrderType::MARKET;
        order.block.time_in_force = TimeInForce::IMMEDIATE_OR_CANCEL;
        order
    }

    /// Immediate or cancel: the quantity that cannot be executed at once is cancelled.
    pub fn immediate_or_cancel(self) -> Self {
        self.time_in_force(TimeInForce::IMMEDIATE_OR_CANCEL)
    }

    /// Fill or kill: the whole quantity is executed at once, or none of it.
    pub fn fill_or_kill(self) -> Self {
        self.time_in_force(TimeInForce::FILL_OR_KILL)
    }

    /// Good till cancelled.
    pub fn good_till_cancel(self) -> Self {
        self.time_in_force(TimeInForce::GOOD_TILL_CANCEL)
    }

    /// Good till a time.
    pub fn good_till(mut self, expiry: Nanos) -> Self {
        self.block.expiry = U64::new(expiry.0);
        self.time_in_force(TimeInForce::GOOD_TILL_TIME)
    }

    /// Sets any other time in force.
    pub fn time_in_force(mut self, time_in_force: TimeInForce) -> Self {
        self.block.time_in_force = time_in_force;
        self
    }

    /// Stop order: becomes active when the market reaches `price`.
    pub fn stop(mut self, price: Price) -> Self {
        let is_limit = self.block.order_type == OrderType::LIMIT;
        self.block.order_type = if is_limit { OrderType::STOP_LIMIT } else { OrderType::STOP };
        self.block.stop_price = I64::new(price.0);
        self.block.time_in_force = TimeInForce::DAY;
        self
    }

    /// Post only: the order is rejected if it would be executed at once.
    pub fn post_only(mut self) -> Self {
        self.block.attributes |= OrderAttributes::POST_ONLY;
        self.block.attributes |= OrderAttributes::PASSIVE_ONLY;
        self
    }

    /// Sets the displayed quantity.
    pub fn displayed(mut self, quantity: Quantity) -> Self {
        self.block.displayed_quantity = U64::new(quantity.0);
        self
    }

    /// Sets the minimum execution quantity.
    pub fn minimum(mut self, quantity: Quantity) -> Self {
        self.block.minimum_quantity = U64::new(quantity.0);
        self
    }

    /// Marks the order as a child of another order of the strategy.
    pub fn child_of(mut self, parent_order_id: u64) -> Self {
        self.block.parent_order_id = U64::new(parent_order_id);
        self
    }

    /// Links several orders of one strategy (RTS 24, field 46).
    pub fn linked(mut self, strategy_link_id: u64) -> Self {
        self.block.strategy_link_id = U64::new(strategy_link_id);
        self
    }

    /// Sets how the venue prevents an execution against an order of the same account; without it, the venue's
    /// own rule applies.
    pub fn self_trade(mut self, mode: SelfTradePrevention) -> Self {
        self.block.self_trade_prevention = mode;
        self
    }

    /// Id of the instrument.
    pub fn instrument(&self) -> u32 {
        self.block.instrument.get()
    }

    /// Side of the order.
    pub fn side(&self) -> Side {
        self.block.side
    }

    /// Quantity of the order.
    pub fn quantity(&self) -> Quantity {
        Quantity(self.block.quantity.get())
    }

    /// Sets any other field of the message.
    pub fn with(mut self, change: impl FnOnce(&mut NewOrder)) -> Self {
        change(&mut self.block);
        self
    }
}

/// State of an open order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderState {
    /// Sent; the venue has not answered yet.
    Sent,
    /// Accepted by the venue.
    Working,
    /// A cancel request was sent; the venue has not answered yet.
    Cancelling,
    /// A replacement request was sent; the venue has not answered yet.
    Replacing,
}

/// An open order: one that may still be executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOrder {
    /// The client order id that [`crate::Context::send`] returned.
    pub client_order_id: u64,
    /// The first order in the chain of replacements: the order's own id if it replaced none.
    pub original_order_id: u64,
    /// The order that this one is to replace; 0 if none, or once it has replaced it.
    pub replaces: u64,
    /// Id of the instrument.
    pub instrument: u32,
    /// Side of the order.
    pub side: Side,
    /// Limit price, if it has one.
    pub price: Option<Price>,
    /// Quantity that remains open.
    pub leaves: Quantity,
    /// Quantity executed so far.
    pub cumulative: Quantity,
    /// State of the order.
    pub state: OrderState,
}

/// The number of orders that a strategy can have open at once; [`crate::Context::send`] sends no more.
pub const OPEN_ORDERS_MAX: usize = 64;

/// The open orders of a strategy, oldest first.
#[derive(Clone, Debug)]
pub struct OrderTable {
    open: Vec<OpenOrder>,
    /// The message of each order as it was sent; a replacement takes its terms from it.
    sent: Vec<NewOrder>,
}

impl Default for OrderTable {
    fn default() -> Self {
        Self { open: Vec::with_capacity(OPEN_ORDERS_MAX), sent: Vec::with_capacity(OPEN_ORDERS_MAX) }
    }
}

impl OrderTable {
    /// All open orders, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &OpenOrder> {
        self.open.iter()
    }

    /// The open order with this id.
    pub fn get(&self, client_order_id: u64) -> Option<&OpenOrder> {
        self.open.iter().find(|order| order.client_order_id == client_order_id)
    }

    /// The quantity that open orders can still buy or sell of an instrument. An order and its replacement
    /// both count until the venue has answered, so the result is never too low.
    pub fn working(&self, instrument: u32, side: Side) -> Quantity {
        let of_side = self.open.iter().filter(|order| order.instrument == instrument && order.side == side);
        Quantity(of_side.fold(0, |sum, order| sum.saturating_add(order.leaves.0)))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open.len() == OPEN_ORDERS_MAX
    }

    pub(crate) fn at(&self, index: usize) -> OpenOrder {
        self.open[index]
    }

    pub(crate) fn push(&mut self, order: OpenOrder, sent: &NewOrder) {
        debug_assert!(!self.is_full());
        self.open.push(order);
        self.sent.push(*sent);
    }

    /// The message that replaces an open order: its terms with this price and quantity. The price is the
    /// limit price; for a stop without a limit, the stop price. The displayed quantity is capped at the
    /// quantity.
    pub(crate) fn replacement(
        &self,
        client_order_id: u64,
        price: Price,
        quantity: Quantity,
    ) -> Option<NewOrder> {
        let at = self.position(client_order_id)?;
        let mut block = self.sent[at];
        if block.order_type == OrderType::STOP {
            block.stop_price = I64::new(price.0);
        } else {
            block.limit_price = I64::new(price.0);
        }
        block.quantity = U64::new(quantity.0);
        if block.displayed_quantity.get() != u64::MAX {
            block.displayed_quantity = U64::new(block.displayed_quantity.get().min(quantity.0));
        }
        Some(block)
    }

    fn position(&self, client_order_id: u64) -> Option<usize> {
        self.open.iter().position(|order| order.client_order_id == client_order_id)
    }

    pub(crate) fn set_state(&mut self, client_order_id: u64, state: OrderState) {
        if let Some(order) = self.find(client_order_id) {
            order.state = state;
        }
    }

    fn find(&mut self, client_order_id: u64) -> Option<&mut OpenOrder> {
        self.open.iter_mut().find(|order| order.client_order_id == client_order_id)
    }

    fn remove(&mut self, client_order_id: u64) {
        if let Some(at) = self.position(client_order_id) {
            self.open.remove(at);
            self.sent.remove(at);
        }
    }

    /// A triggered stop is an ordinary order: its replacement does not wait for a stop price.
    fn trigger(&mut self, client_order_id: u64) {
        let Some(at) = self.position(client_order_id) else { return };
        let block = &mut self.sent[at];
        block.order_type = match block.order_type {
            OrderType::STOP => OrderType::MARKET,
            OrderType::STOP_LIMIT => OrderType::LIMIT,
            other => other,
        };
        block.stop_price = NewOrder::NULL.stop_price;
    }

    /// Updates the table by a report.
    pub(crate) fn on_report(&mut self, report: &OrderReport) {
        let id = report.client_order_id;
        match report.kind {
            ReportKind::ReplaceRejected => {
                let (request, old) = (report.request_order_id, id);
                self.drop_replacement(if request != 0 { request } else { old }, old);
            }
            ReportKind::Rejected => {
                let replaced = self.get(id).map_or(0, |order| order.replaces);
                self.drop_replacement(id, replaced);
            }
            ReportKind::CancelRejected => self.set_state(id, OrderState::Working),
            // A part was cancelled: the rest is working, and can be cancelled as well.
            ReportKind::Cancelled if !report.is_done() => self.set_state(id, OrderState::Working),
            ReportKind::Replaced => {
                self.remove(report.replaced_order_id);
                if let Some(order) = self.find(id) {
                    order.replaces = 0;
                }
            }
            ReportKind::Triggered => self.trigger(id),
            ReportKind::TradeBusted | ReportKind::TradeCorrected => return,
            _ => {}
        }
        if report.is_done() {
            self.remove(id);
        } else if let Some(order) = self.find(id) {
            if report.leaves.0 != u64::MAX {
                order.leaves = report.leaves;
            }
            if report.cumulative.0 != u64::MAX {
                order.cumulative = report.cumulative;
            }
            if order.state == OrderState::Sent && report.kind != ReportKind::Filled {
                order.state = OrderState::Working;
            }
            if report.kind != ReportKind::Filled && report.price.is_some() {
                order.price = report.price;
            }
        }
    }

    /// A replacement was rejected: it is removed, and the original order is working again.
    fn drop_replacement(&mut self, replacement: u64, replaced: u64) {
        if replacement != replaced {
            self.remove(replacement);
        }
        self.set_state(replaced, OrderState::Working);
    }

    /// Appends the whole state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.open.len() as u64);
        for (order, sent) in self.open.iter().zip(&self.sent) {
            [order.client_order_id, order.original_order_id, order.replaces, order.instrument.into()]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            out.put_i64(order.price.unwrap_or(Price::UNDEFINED).0);
            [order.side.0.into(), order.leaves.0, order.cumulative.0, order.state as u64]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            out.put_bytes(sent.as_bytes());
        }
    }

    /// Reads the table that [`OrderTable::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes were not written by [`OrderTable::snapshot`].
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        const STATES: [OrderState; 4] =
            [OrderState::Sent, OrderState::Working, OrderState::Cancelling, OrderState::Replacing];
        let mut table = Self::default();
        for _ in 0..reader.at_most("open orders", OPEN_ORDERS_MAX as u64)? {
            table.open.push(OpenOrder {
                client_order_id: reader.u64()?,
                original_order_id: reader.u64()?,
                replaces: reader.u64()?,
                instrument: reader.at_most("instrument", u32::MAX.into())? as u32,
                price: Some(Price(reader.i64()?)).filter(|price| price.is_defined()),
                side: Side(reader.at_most("side", u8::MAX.into())? as u8),
                leaves: Quantity(reader.u64()?),
                cumulative: Quantity(reader.u64()?),
                state: STATES[reader.at_most("state of an order", 3)? as usize],
            });
            let block = reader.bytes()?;
            let length = block.len() as u64;
            let sent = NewOrder::read_from_bytes(block);
            let what = "bytes of an order";
            table.sent.push(sent.map_err(|_| RestoreError::Value { what, found: length })?);
        }
        Ok(table)
    }
}
