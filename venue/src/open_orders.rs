//! The orders that a trail leaves open: sequenced, and by its end neither refused nor done.

mod state;

use crate::doubt::OrderInDoubt;
use crate::releases::{Departure, Releases};
use std::collections::BTreeMap;
use stele_wire::messages::{
    CancelOrder, CancelRejected, Check, DropReason, NewOrder, OrderAccepted, OrderCancelled, OrderDropped,
    OrderExpired, OrderFilled, OrderRejected, OrderReplaced, ReplaceOrder, ReplaceRejected, Side,
};
use stele_wire::{Frame, Sequence};

/// What the venue has answered about an open order, as far as the log has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenState {
    /// The order is sequenced; the venue has not answered.
    Pending,
    /// The venue has accepted the order.
    Working,
}

/// An order that is neither refused nor done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOrder {
    /// The sequence of the event that gave it its present terms.
    pub sequence: u64,
    /// The strategy; 0 when it comes from none.
    pub strategy: u16,
    /// The account.
    pub account: u32,
    /// The instrument.
    pub instrument: u32,
    /// Buy or sell.
    pub side: Side,
    /// Its owner's identification of the order.
    pub client_order_id: u64,
    /// The venue's identification of the order; 0 before the venue has answered.
    pub venue_order_id: u64,
    /// The client order id of the order that it replaced, or is to replace; 0 for none.
    pub replaced_order_id: u64,
    /// Limit in units of 1e-9; `i64::MAX` for none.
    pub limit: i64,
    /// The quantity over its life, a mantissa.
    pub quantity: u64,
    /// The quantity executed so far.
    pub cumulative: u64,
    /// The open quantity.
    pub leaves: u64,
    /// What the venue has answered.
    pub state: OpenState,
    /// What the log says about its way. An order may have left without a release on the log, because that
    /// event is published after the order was submitted.
    pub departure: Option<Departure>,
    /// A cancel that the venue has not answered: its sequence and its own client order id.
    pub cancel: Option<(u64, u64)>,
}

impl OpenOrder {
    /// Returns the order as the order gateway asks the venue about it.
    pub fn in_doubt(&self) -> OrderInDoubt {
        OrderInDoubt {
            sequence: Sequence(self.sequence),
            strategy: self.strategy,
            account: self.account,
            instrument: self.instrument,
            side: self.side,
            client_order_id: self.client_order_id,
            venue_order_id: self.venue_order_id,
            replaced_order_id: self.replaced_order_id,
            quantity: self.quantity,
            cumulative: self.cumulative,
            leaves: self.leaves,
            is_acknowledged: self.state == OpenState::Working,
            cancel: self.cancel.map(|(sequence, id)| (Sequence(sequence), id)),
            is_dropped: matches!(self.departure, Some(Departure::Dropped { .. })),
        }
    }
}

/// The last ids that an exchange used. The exchange of the next session continues from them, so that no id
/// occurs twice on a trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LastIds {
    /// The last venue order id.
    pub order: u64,
    /// The last execution id; match ids are execution ids too.
    pub execution: u64,
}

/// The open orders of a trail. Pure: feed it every event in order.
///
/// Bounded by the number of orders that are open at once.
#[derive(Clone, Debug, Default)]
pub struct OpenOrders {
    orders: BTreeMap<Key, OpenOrder>,
    numbers: LastIds,
    releases: Releases,
}

/// Strategy, account, client order id.
type Key = (u16, u32, u64);

macro_rules! key {
    ($message:expr, $id:ident) => {
        ($message.strategy.get(), $message.account.get(), $message.$id.get())
    };
}

macro_rules! opened {
    ($message:expr, $sequence:expr) => {
        OpenOrder {
            sequence: $sequence,
            strategy: $message.strategy.get(),
            account: $message.account.get(),
            instrument: $message.instrument.get(),
            side: $message.side,
            client_order_id: $message.client_order_id.get(),
            venue_order_id: 0,
            replaced_order_id: $message.replaced_order_id.get(),
            limit: $message.limit_price.get(),
            quantity: $message.quantity.get(),
            cumulative: 0,
            leaves: $message.quantity.get(),
            state: OpenState::Pending,
            departure: None,
            cancel: None,
        }
    };
}

impl OpenOrders {
    /// Takes the next event of the trail.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        let sequence = event.sequence().0;
        self.releases.on_event(event);
        match event.template_id() {
            NewOrder::TEMPLATE_ID => {
                if let Some(message) = event.message::<NewOrder>() {
                    self.orders.insert(key!(message, client_order_id), opened!(message, sequence));
                }
            }
            ReplaceOrder::TEMPLATE_ID => {
                if let Some(message) = event.message::<ReplaceOrder>() {
                    self.orders.insert(key!(message, client_order_id), opened!(message, sequence));
                }
            }
            CancelOrder::TEMPLATE_ID => {
                if let Some(message) = event.message::<CancelOrder>()
                    && let Some(order) = self.orders.get_mut(&key!(message, cancelled_order_id))
                {
                    order.cancel = Some((sequence, message.client_order_id.get()));
                }
            }
            _ => self.on_report(event),
        }
    }

    fn on_report(&mut self, event: &Frame<'_>) {
        match event.template_id() {
            OrderDropped::TEMPLATE_ID => {
                let Some(dropped) = event.message::<OrderDropped>() else { return };
                if dropped.reason == DropReason::NOTHING_TO_CANCEL {
                    // The order ends before its cancel is dropped.
                    self.releases.forget(Sequence(dropped.order_sequence.get()));
                }
            }
            OrderAccepted::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderAccepted>() else { return };
                self.numbers.order = self.numbers.order.max(report.venue_order_id.get());
                if let Some(order) = self.orders.get_mut(&key!(report, client_order_id)) {
                    order.state = OpenState::Working;
                    order.venue_order_id = report.venue_order_id.get();
                    order.leaves = report.leaves_quantity.get();
                }
            }
            OrderReplaced::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderReplaced>() else { return };
                let replaced = key!(report, replaced_order_id);
                if replaced != key!(report, client_order_id) {
                    self.orders.remove(&replaced);
                }
                if let Some(order) = self.orders.get_mut(&key!(report, client_order_id)) {
                    order.state = OpenState::Working;
                    order.venue_order_id = report.venue_order_id.get();
                    order.quantity = report.quantity.get();
                    order.cumulative = report.cumulative_quantity.get();
                    order.leaves = report.leaves_quantity.get();
                }
            }
            OrderFilled::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderFilled>() else { return };
                self.numbers.execution = self.numbers.execution.max(report.execution_id.get());
                let (cumulative, leaves) = (report.cumulative_quantity.get(), report.leaves_quantity.get());
                self.settle(key!(report, client_order_id), cumulative, leaves);
            }
            OrderCancelled::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderCancelled>() else { return };
                let (cumulative, leaves) = (report.cumulative_quantity.get(), report.leaves_quantity.get());
                self.releases.forget(Sequence(report.order_sequence.get()));
                self.settle(key!(report, client_order_id), cumulative, leaves);
                if let Some(order) = self.orders.get_mut(&key!(report, client_order_id)) {
                    order.cancel = None;
                }
            }
            OrderRejected::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderRejected>() else { return };
                let is_ours = !matches!(report.check, Check::NONE | Check::VENUE | Check::NULL);
                if is_ours && report.order_sequence.get() == 0 {
                    // The order was never accepted, and another one with the same identification may be
                    // open.
                    return;
                }
                self.releases.forget(Sequence(report.order_sequence.get()));
                self.orders.remove(&key!(report, client_order_id));
            }
            OrderExpired::TEMPLATE_ID => {
                let Some(report) = event.message::<OrderExpired>() else { return };
                self.orders.remove(&key!(report, client_order_id));
            }
            ReplaceRejected::TEMPLATE_ID => {
                let Some(report) = event.message::<ReplaceRejected>() else { return };
                self.releases.forget(Sequence(report.request_sequence.get()));
                self.orders.remove(&key!(report, request_order_id));
            }
            CancelRejected::TEMPLATE_ID => {
                let Some(report) = event.message::<CancelRejected>() else { return };
                if let Some(order) = self.orders.get_mut(&key!(report, client_order_id)) {
                    order.cancel = None;
                }
            }
            _ => {}
        }
    }

    fn settle(&mut self, key: Key, cumulative: u64, leaves: u64) {
        if leaves == 0 {
            self.orders.remove(&key);
        } else if let Some(order) = self.orders.get_mut(&key) {
            (order.cumulative, order.leaves) = (cumulative, leaves);
            order.quantity = cumulative.saturating_add(leaves);
        }
    }

    /// Returns the open orders, sorted by the sequence of their terms.
    pub fn finish(self) -> Vec<OpenOrder> {
        let Self { orders, releases, .. } = self;
        let mut orders: Vec<OpenOrder> = orders.into_values().collect();
        orders.iter_mut().for_each(|order| order.departure = releases.departure(Sequence(order.sequence)));
        orders.sort_unstable_by_key(|order| order.sequence);
        orders
    }

    /// Returns the last ids that the venue used on this trail.
    pub fn numbers(&self) -> LastIds {
        self.numbers
    }
}
