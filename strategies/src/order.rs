//! Orders: how a strategy writes one, and the table of those that are open.

use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::messages::{
    Capacity, NewOrder, OrderAttributes, OrderType, ReleaseWatermark, SelfTradePrevention, Side, TimeInForce,
};
use stele_wire::{Nanos, Price, Quantity};
use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// An order to be sent by [`crate::Context::send`]. What is not said stays null; who sends it, for which account
/// and why is filled in when it is sent.
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

    /// An order at `price` or better, good for the day.
    pub fn limit(instrument: u32, side: Side, quantity: Quantity, price: Price) -> Self {
        let mut order = Self::new(instrument, side, quantity);
        order.block.order_type = OrderType::LIMIT;
        order.block.limit_price = I64::new(price.0);
        order.block.time_in_force = TimeInForce::DAY;
        order
    }

    /// An order at whatever price there is; what cannot be had at once is cancelled.
    pub fn market(instrument: u32, side: Side, quantity: Quantity) -> Self {
        let mut order = Self::new(instrument, side, quantity);
        order.block.order_type = OrderType::MARKET;
        order.block.time_in_force = TimeInForce::IMMEDIATE_OR_CANCEL;
        order
    }

    /// What cannot be had at once is cancelled.
    pub fn immediate_or_cancel(self) -> Self {
        self.time_in_force(TimeInForce::IMMEDIATE_OR_CANCEL)
    }

    /// All of it at once, or nothing.
    pub fn fill_or_kill(self) -> Self {
        self.time_in_force(TimeInForce::FILL_OR_KILL)
    }

    /// Good until it is cancelled.
    pub fn good_till_cancel(self) -> Self {
        self.time_in_force(TimeInForce::GOOD_TILL_CANCEL)
    }

    /// Good until a time.
    pub fn good_till(mut self, expiry: Nanos) -> Self {
        self.block.expiry = U64::new(expiry.0);
        self.time_in_force(TimeInForce::GOOD_TILL_TIME)
    }

    /// Any other time in force.
    pub fn time_in_force(mut self, time_in_force: TimeInForce) -> Self {
        self.block.time_in_force = time_in_force;
        self
    }

    /// Becomes active when the market reaches `price`.
    pub fn stop(mut self, price: Price) -> Self {
        let is_limit = self.block.order_type == OrderType::LIMIT;
        self.block.order_type = if is_limit { OrderType::STOP_LIMIT } else { OrderType::STOP };
        self.block.stop_price = I64::new(price.0);
        self.block.time_in_force = TimeInForce::DAY;
        self
    }

    /// Only adds liquidity; an order that would meet another at once is refused.
    pub fn post_only(mut self) -> Self {
        self.block.attributes |= OrderAttributes::POST_ONLY;
        self.block.attributes |= OrderAttributes::PASSIVE_ONLY;
        self
    }

    /// Only so much of it is shown.
    pub fn displayed(mut self, quantity: Quantity) -> Self {
        self.block.displayed_quantity = U64::new(quantity.0);
        self
    }

    /// Nothing below so much is taken.
    pub fn minimum(mut self, quantity: Quantity) -> Self {
        self.block.minimum_quantity = U64::new(quantity.0);
        self
    }

    /// It is a part of another order of the strategy.
    pub fn child_of(mut self, parent_order_id: u64) -> Self {
        self.block.parent_order_id = U64::new(parent_order_id);
        self
    }

    /// It belongs to a strategy that links several orders (RTS 24, field 46).
    pub fn linked(mut self, strategy_link_id: u64) -> Self {
        self.block.strategy_link_id = U64::new(strategy_link_id);
        self
    }

    /// What happens where it would meet an order of the same account; without it, the venue's own rule.
    pub fn self_trade(mut self, mode: SelfTradePrevention) -> Self {
        self.block.self_trade_prevention = mode;
        self
    }

    /// What it is in.
    pub fn instrument(&self) -> u32 {
        self.block.instrument.get()
    }

    /// Its side.
    pub fn side(&self) -> Side {
        self.block.side
    }

    /// Its quantity.
    pub fn quantity(&self) -> Quantity {
        Quantity(self.block.quantity.get())
    }

    /// Anything else that the message can say.
    pub fn with(mut self, change: impl FnOnce(&mut NewOrder)) -> Self {
        change(&mut self.block);
        self
    }
}

/// How far an open order has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderState {
    /// Sent; the venue has not answered.
    Sent,
    /// The venue has taken it.
    Working,
    /// A cancel was sent; the venue has not answered.
    Cancelling,
    /// A replacement was sent; the venue has not answered.
    Replacing,
}

/// An order that may still be executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOrder {
    /// As the strategy calls it.
    pub client_order_id: u64,
    /// The first order of its chain of replacements: itself, if it replaced none.
    pub original_order_id: u64,
    /// The order that it is to replace; 0 if none, or once it has.
    pub replaces: u64,
    /// What it is in.
    pub instrument: u32,
    /// Buy or sell.
    pub side: Side,
    /// Limit price, if it has one.
    pub price: Option<Price>,
    /// What is left of it.
    pub leaves: Quantity,
    /// What was executed.
    pub cumulative: Quantity,
    /// How far it has come.
    pub state: OrderState,
}

/// Most orders of a strategy that can be open at once; [`crate::Context::send`] sends no more.
pub const OPEN_ORDERS_MAX: usize = 64;

/// The open orders of a strategy, oldest first.
#[derive(Clone, Debug)]
pub struct OrderTable {
    open: Vec<OpenOrder>,
    /// What each of them was sent as, for a replacement to have the same terms.
    sent: Vec<NewOrder>,
}

impl Default for OrderTable {
    fn default() -> Self {
        Self { open: Vec::with_capacity(OPEN_ORDERS_MAX), sent: Vec::with_capacity(OPEN_ORDERS_MAX) }
    }
}

impl OrderTable {
    /// Every open order, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &OpenOrder> {
        self.open.iter()
    }

    /// An open order.
    pub fn get(&self, client_order_id: u64) -> Option<&OpenOrder> {
        self.open.iter().find(|order| order.client_order_id == client_order_id)
    }

    /// What open orders could still buy or sell of an instrument. An order and its replacement both count until
    /// the venue has answered, so this is never too little.
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

    /// An order to replace an open one: its terms, with this price and quantity. The price is its limit; of a stop without
    /// a limit, its stop price. A displayed quantity is no more than the quantity.
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

    /// A stop that was reached is an order like others: what replaces it waits for nothing.
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

    /// Takes in what became of an order.
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
            // A part was cancelled: what is left works, and may be cancelled as well.
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

    /// A replacement was refused: it is gone, and the order it was for works on.
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

    /// The table that [`OrderTable::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not of such a snapshot.
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
