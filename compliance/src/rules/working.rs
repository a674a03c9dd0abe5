//! The orders that work: on the log, and by its reports neither refused nor done.

use super::Setting;
use super::orders::Orders;
use std::collections::BTreeMap;
use stele_risk::{OrderKind, OrderTerms};
use stele_wire::messages::{NewOrder, OrderType, ReplaceOrder, Side};
use stele_wire::{Frame, Price, Sequence};

/// An order, or a leg of a quote, that works.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) account: u32,
    pub(super) client_order_id: u64,
    pub(super) instrument: u32,
    pub(super) side: Side,
    /// The quantity over its life; a cancel of a part reduces it.
    pub(super) quantity: u64,
    /// The sum of its executions; none when a correction left it open.
    pub(super) cumulative: Option<u64>,
    /// The worst price that it accepts; undefined without a limit.
    pub(super) limit: Price,
    pub(super) is_quote: bool,
}

impl Order {
    /// What is left of it.
    pub(super) fn left(&self) -> Option<u64> {
        Some(self.quantity.saturating_sub(self.cumulative?))
    }
}

/// The key of a working order: the sequence of its event and, for a quote, the side of the leg.
pub(super) type OrderId = (u64, u8);

/// What a report names its order by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) sequence: u64,
    pub(super) account: u32,
    pub(super) client_order_id: u64,
    pub(super) side: Side,
}

/// What the log has under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// An order that works.
    Works(OrderId),
    /// An order that has ended, or another event.
    Ended,
    /// Nothing.
    Nothing,
    /// It cannot be known: the order is before the trail, or several orders have this name.
    Unknown,
}

/// The orders of an account with one client order id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    One(OrderId),
    /// In trails of version 1, an id could be used again while its order was open.
    Several,
}

#[derive(Debug, Default)]
pub(super) struct Working {
    orders: BTreeMap<OrderId, Order>,
    by_id: BTreeMap<(u32, u64), Holder>,
}

impl Working {
    /// Adds an order, replacement or quote; other requests change nothing.
    pub(super) fn on_request(&mut self, frame: &Frame<'_>) {
        let Some(terms) = OrderTerms::read(frame.template_id(), frame.body()) else { return };
        let sequence = frame.sequence().0;
        let is_quote = terms.kind == OrderKind::Quote;
        let has_limit = is_quote || has_limit(frame);
        for leg in terms.legs() {
            let id = (sequence, if is_quote { leg.side.0 } else { 0 });
            let order = Order {
                account: terms.owner.account,
                client_order_id: terms.client_order_id,
                instrument: terms.owner.instrument,
                side: leg.side,
                quantity: leg.quantity.0,
                cumulative: Some(0),
                limit: if has_limit { leg.price } else { Price::UNDEFINED },
                is_quote,
            };
            self.insert(id, order);
        }
    }

    pub(super) fn insert(&mut self, id: OrderId, order: Order) {
        let name = (order.account, order.client_order_id);
        let holder = match self.by_id.get(&name) {
            Some(Holder::One((sequence, _))) if *sequence == id.0 => Holder::One((id.0, 0)),
            Some(_) => Holder::Several,
            None => Holder::One(id),
        };
        self.by_id.insert(name, holder);
        self.orders.insert(id, order);
    }

    pub(super) fn find(&self, named: &Named, setting: &Setting, orders: &Orders) -> Found {
        let Named { sequence, account, client_order_id, side } = *named;
        if sequence != 0 {
            let id = [(sequence, 0), (sequence, side.0)].into_iter().find(|id| self.orders.contains_key(id));
            return match id {
                Some(id) => Found::Works(id),
                None if sequence < setting.first.0 => Found::Unknown,
                // A quote is ended leg by leg; without a side the leg is unknown.
                None if self.has_leg(sequence) => Found::Unknown,
                None if orders.contains(Sequence(sequence)) => Found::Ended,
                None => Found::Nothing,
            };
        }
        match self.by_id.get(&(account, client_order_id)) {
            Some(Holder::One((sequence, _))) => {
                self.find(&Named { sequence: *sequence, ..*named }, setting, orders)
            }
            Some(Holder::Several) => Found::Unknown,
            None if setting.has_beginning() => Found::Nothing,
            None => Found::Unknown,
        }
    }

    /// Whether a leg of the quote with this sequence works.
    fn has_leg(&self, sequence: u64) -> bool {
        [Side::BUY.0, Side::SELL.0].iter().any(|leg| self.orders.contains_key(&(sequence, *leg)))
    }

    pub(super) fn get(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: OrderId) -> Option<&mut Order> {
        self.orders.get_mut(&id)
    }

    /// Removes an order that has ended.
    pub(super) fn end(&mut self, id: OrderId) -> Option<Order> {
        let order = self.orders.remove(&id)?;
        let name = (order.account, order.client_order_id);
        if !self.has_leg(id.0)
            && let Some(Holder::One((sequence, _))) = self.by_id.get(&name)
            && *sequence == id.0
        {
            self.by_id.remove(&name);
        }
        Some(order)
    }
}

/// Whether the limit price of the order binds its executions.
fn has_limit(frame: &Frame<'_>) -> bool {
    let order_type = match frame.template_id() {
        NewOrder::TEMPLATE_ID => frame.message::<NewOrder>().map(|order| order.order_type),
        ReplaceOrder::TEMPLATE_ID => frame.message::<ReplaceOrder>().map(|order| order.order_type),
        _ => None,
    };
    order_type.is_some_and(|order_type| {
        [OrderType::LIMIT, OrderType::STOP_LIMIT, OrderType::LIMIT_ON_CLOSE].contains(&order_type)
    })
}
