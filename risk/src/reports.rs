//! The venues' reports that open orders and positions depend on.

use crate::orders::OrderKey;
use crate::risk::Risk;
use crate::sequenced::SequencedEvent;
use stele_wire::messages::{
    CancelRejected, Check, OrderAccepted, OrderCancelled, OrderExpired, OrderFilled, OrderRejected,
    OrderReplaced, OrderRestated, OrderStatus, OrderSuspended, OrderTriggered, ReplaceRejected, Side,
    TradeBusted, TradeCorrected,
};
use stele_wire::{Price, Quantity};

/// The order that a report names: by the sequence of its event or, where that is 0, by account and client
/// order id. A sequence is never used again, so a late report about an order that is done cannot change
/// another one with the same id.
#[derive(Clone, Copy)]
struct Named {
    sequence: u64,
    key: OrderKey,
    side: Side,
}

macro_rules! named {
    ($report:ident) => {
        Named {
            sequence: $report.order_sequence.get(),
            key: OrderKey { client_order_id: $report.client_order_id.get(), account: $report.account.get() },
            side: $report.side,
        }
    };
}

macro_rules! settled {
    ($self:ident, $event:ident, $message:ident) => {
        if let Some(report) = $event.message::<$message>() {
            $self.settle(named!(report), report.leaves_quantity.get(), report.status);
        }
    };
}

impl Risk {
    pub(crate) fn on_report(&mut self, event: &SequencedEvent<'_>) {
        match event.template_id {
            OrderAccepted::TEMPLATE_ID => settled!(self, event, OrderAccepted),
            OrderSuspended::TEMPLATE_ID => settled!(self, event, OrderSuspended),
            OrderCancelled::TEMPLATE_ID => settled!(self, event, OrderCancelled),
            OrderFilled::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderFilled>()
                    && self.on_fill(&report, event.sequence)
                {
                    let (named, last) = (named!(report), report.last_quantity.get());
                    let stated = report.leaves_quantity.get();
                    let left =
                        if stated == u64::MAX { self.leaves(named).saturating_sub(last) } else { stated };
                    self.settle(named, left, report.status);
                }
            }
            OrderReplaced::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderReplaced>() {
                    self.on_replaced(&report);
                }
            }
            OrderRejected::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderRejected>() {
                    // The sequencer's own refusal is for an order that is not on the log, and another order
                    // with the same id may be open.
                    let is_own = report.order_sequence.get() == 0
                        && !matches!(report.check, Check::NONE | Check::VENUE | Check::NULL);
                    if !is_own {
                        self.settle(named!(report), 0, OrderStatus::DONE);
                    }
                }
            }
            OrderExpired::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderExpired>() {
                    self.settle(named!(report), 0, OrderStatus::DONE);
                }
            }
            CancelRejected::TEMPLATE_ID => {
                if let Some(report) = event.message::<CancelRejected>() {
                    for slot in self.slots(named!(report)).into_iter().flatten() {
                        self.ledger.orders.at_mut(slot).is_cancelling = false;
                    }
                }
            }
            ReplaceRejected::TEMPLATE_ID => {
                if let Some(report) = event.message::<ReplaceRejected>() {
                    let (named, request) = (named!(report), report.request_order_id.get());
                    if request != 0 && request != named.key.client_order_id {
                        let key = OrderKey { client_order_id: request, ..named.key };
                        let sequence = report.request_sequence.get();
                        self.settle(Named { sequence, key, ..named }, 0, OrderStatus::DONE);
                    }
                }
            }
            _ => self.on_rare_report(event),
        }
    }

    fn on_rare_report(&mut self, event: &SequencedEvent<'_>) {
        match event.template_id {
            OrderTriggered::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderTriggered>() {
                    self.slots(named!(report)).into_iter().flatten().for_each(|slot| self.ledger.rest(slot));
                    self.settle(named!(report), report.leaves_quantity.get(), report.status);
                }
            }
            OrderRestated::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderRestated>() {
                    self.reprice(named!(report), report.price.get());
                    self.settle(named!(report), report.leaves_quantity.get(), report.status);
                }
            }
            TradeBusted::TEMPLATE_ID => {
                if let Some(report) = event.message::<TradeBusted>() {
                    self.on_bust(&report);
                }
            }
            TradeCorrected::TEMPLATE_ID => {
                if let Some(report) = event.message::<TradeCorrected>() {
                    self.on_correction(&report);
                }
            }
            _ => {}
        }
    }

    /// The slots of an order: of the order itself, or of the leg of a quote on the report's side, or of both
    /// legs if the report has no side.
    fn slots(&self, named: Named) -> [Option<u32>; 2] {
        let orders = &self.ledger.orders;
        let found = match named.sequence {
            0 => orders.find(named.key),
            sequence => orders.find_sequence(sequence),
        };
        let Some(slot) = found else { return [None; 2] };
        if !orders.at(slot).is_quote || !matches!(named.side, Side::BUY | Side::SELL) {
            return orders.legs(slot);
        }
        orders.legs(slot).map(|leg| leg.filter(|leg| orders.at(*leg).side == named.side))
    }

    /// Handles a cancel of all of an order, or of both legs of a quote.
    pub(crate) fn on_cancel(&mut self, key: OrderKey, now: u64) {
        let orders = &mut self.ledger.orders;
        let Some(slot) = orders.find(key) else { return };
        for leg in orders.legs(slot).into_iter().flatten() {
            let entry = orders.at_mut(leg);
            (entry.is_cancelling, entry.cancelled_at, entry.asked_by) = (true, now, 0);
            entry.cancels = entry.cancels.saturating_add(1);
        }
    }

    /// Handles an operator's request to cancel an order.
    #[cold]
    pub(crate) fn on_operator_cancel(&mut self, order: u64, request: u64) {
        let orders = &mut self.ledger.orders;
        let Some(slot) = orders.find_sequence(order) else { return };
        for leg in orders.legs(slot).into_iter().flatten() {
            orders.at_mut(leg).asked_by = request;
        }
    }

    fn leaves(&self, named: Named) -> u64 {
        self.slots(named)
            .into_iter()
            .flatten()
            .map(|slot| self.ledger.orders.at(slot).leaves)
            .next()
            .unwrap_or(0)
    }

    /// Sets the quantity that is left of an order; `u64::MAX` if the report does not state it. The venue has
    /// accepted the order, so all of it counts.
    fn settle(&mut self, named: Named, leaves: u64, status: OrderStatus) {
        for slot in self.slots(named).into_iter().flatten() {
            let entry = *self.ledger.orders.at(slot);
            let leaves = match (status, leaves) {
                (OrderStatus::DONE, _) => 0,
                (_, u64::MAX) => entry.leaves,
                (_, stated) => stated,
            };
            self.ledger.orders.at_mut(slot).replaces = 0;
            // What is left is valued at the price at which the order was valued before.
            let known = self.instrument(entry.owner.instrument);
            let is_priced = entry.valued_at != Price::UNDEFINED.0;
            let value = if is_priced { known.value(entry.valued_at, Quantity(leaves)) } else { 0 };
            self.ledger.settle(slot, leaves, value, known.has_scale());
        }
    }

    fn reprice(&mut self, named: Named, price: i64) {
        for slot in self.slots(named).into_iter().flatten() {
            if price != Price::UNDEFINED.0 && price != self.ledger.orders.at(slot).price {
                self.ledger.reprice(slot, price);
            }
        }
    }

    /// Handles a replacement: the replaced order is closed, and the replacement is open. If no replacement
    /// was requested, the replaced order continues under the new id.
    fn on_replaced(&mut self, report: &OrderReplaced) {
        let (mut new, old) = (named!(report), report.replaced_order_id.get());
        let old_key = OrderKey { client_order_id: old, ..new.key };
        let replaced = (old != 0 && old_key != new.key).then(|| self.ledger.orders.find(old_key)).flatten();
        if let Some(slot) = replaced {
            let entry = *self.ledger.orders.at(slot);
            let is_requested =
                self.slots(new).into_iter().flatten().any(|new| self.ledger.orders.at(new).key != old_key);
            if is_requested {
                let closed = Named { sequence: entry.sequence, key: old_key, ..new };
                self.slots(closed).into_iter().flatten().for_each(|slot| self.ledger.close(slot));
            } else if self.ledger.orders.find(new.key).is_none() {
                let sequence = if new.sequence == 0 { entry.sequence } else { new.sequence };
                self.ledger.orders.rename(slot, new.key, sequence);
                self.ledger.orders.at_mut(slot).replaces = 0;
                new.sequence = sequence;
            }
        }
        self.reprice(new, report.price.get());
        let stated = [report.leaves_quantity.get(), report.quantity.get()];
        let leaves = stated.into_iter().find(|quantity| *quantity != u64::MAX).unwrap_or(u64::MAX);
        self.settle(new, leaves, report.status);
    }
}
