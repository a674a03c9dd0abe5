//! The venues' reports that open orders and positions depend on.

use crate::orders::{Entry, OrderKey};
use crate::risk::Risk;
use crate::sequenced::SequencedEvent;
use stele_wire::messages::{
    CancelRejected, Check, OrderAccepted, OrderCancelled, OrderExpired, OrderFilled, OrderRejected,
    OrderReplaced, OrderRestated, OrderStatus, OrderSuspended, OrderTriggered, ReplaceRejected, Side,
    TradeBusted, TradeCorrected,
};
use stele_wire::{Price, Quantity};

/// The order that a report names.
#[derive(Clone, Copy)]
struct Named {
    key: OrderKey,
    side: Side,
}

impl Named {
    /// Another order of the same owner.
    fn other(self, client_order_id: u64) -> Self {
        Self { key: OrderKey { client_order_id, ..self.key }, ..self }
    }
}

macro_rules! named {
    ($report:ident) => {
        Named {
            key: OrderKey {
                client_order_id: $report.client_order_id.get(),
                account: $report.account.get(),
                strategy: $report.strategy.get(),
                leg: 0,
            },
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
                if let Some(report) = event.message::<OrderFilled>() {
                    self.on_fill(&report, event.sequence);
                    let (named, last) = (named!(report), report.last_quantity.get());
                    let stated = report.leaves_quantity.get();
                    let left =
                        if stated == u64::MAX { self.leaves(named).saturating_sub(last) } else { stated };
                    self.settle(named, left, report.status);
                }
            }
            OrderReplaced::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderReplaced>() {
                    self.on_replaced(&report, event.sequence.0);
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
                    self.set_cancelling(named!(report).key, false);
                }
            }
            ReplaceRejected::TEMPLATE_ID => {
                if let Some(report) = event.message::<ReplaceRejected>() {
                    let request = report.request_order_id.get();
                    if request != 0 && request != report.client_order_id.get() {
                        self.settle(named!(report).other(request), 0, OrderStatus::DONE);
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
        if let Some(slot) = orders.find(named.key) {
            return [Some(slot), None];
        }
        [Side::BUY, Side::SELL].map(|side| {
            let is_meant = named.side == side || !matches!(named.side, Side::BUY | Side::SELL);
            if is_meant { orders.find(OrderKey { leg: side.0, ..named.key }) } else { None }
        })
    }

    /// Sets whether an order, or both legs of a quote, are being cancelled.
    pub(crate) fn set_cancelling(&mut self, key: OrderKey, is_cancelling: bool) {
        for slot in self.slots(Named { key, side: Side::NONE }).into_iter().flatten() {
            self.ledger.orders.at_mut(slot).is_cancelling = is_cancelling;
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
            self.ledger.settle(slot, leaves, self.value_left(&entry, leaves));
        }
    }

    /// The value of what is left of an order, at the price at which it was valued before.
    fn value_left(&self, entry: &Entry, leaves: u64) -> i64 {
        if entry.valued_at == Price::UNDEFINED.0 {
            return 0;
        }
        self.instrument(entry.owner.instrument).value(entry.valued_at, Quantity(leaves))
    }

    fn reprice(&mut self, named: Named, price: i64) {
        for slot in self.slots(named).into_iter().flatten() {
            if price != Price::UNDEFINED.0 && price != self.ledger.orders.at(slot).price {
                self.ledger.reprice(slot, price);
            }
        }
    }

    /// Handles a replacement: the replaced order is closed, and the replacement is open. If no replacement
    /// was requested, it takes over the state of the replaced order.
    fn on_replaced(&mut self, report: &OrderReplaced, sequence: u64) {
        let (new, old) = (named!(report), report.replaced_order_id.get());
        let is_known = self.slots(new) != [None, None];
        if old != 0 && old != new.key.client_order_id {
            for slot in self.slots(new.other(old)).into_iter().flatten() {
                let heir = *self.ledger.orders.at(slot);
                self.ledger.close(slot);
                if !is_known {
                    let key = OrderKey { leg: heir.key.leg, ..new.key };
                    self.ledger.open(Entry { key, sequence, replaces: 0, ..heir });
                }
            }
        }
        self.reprice(new, report.price.get());
        let stated = [report.leaves_quantity.get(), report.quantity.get()];
        let leaves = stated.into_iter().find(|quantity| *quantity != u64::MAX).unwrap_or(u64::MAX);
        self.settle(new, leaves, report.status);
    }
}
