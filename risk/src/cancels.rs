//! The cancels that follow from kill switches, for every working order in a switch's scope.
//!
//! RTS 6 Art. 12(1): "cancel immediately, as an emergency measure, any or all of its unexecuted orders
//! submitted to any or all trading venues". The sequencer puts the cancels on the log as its own events, some
//! in each duty cycle, in the class that is refused last, until none is left. The gateway sends them like any
//! other cancel. They do not depend on the strategies, so the orders of a strategy that hangs are cancelled
//! as well.

use crate::bounds::{KILL_SWITCHES_MAX, RISK_OPEN_ORDERS_MAX};
use crate::risk::{Risk, WorkingOrder};
use stele_wire::messages::{
    CancelOrder, CancelScope, Initiator, KillSwitch, QuoteCancel, ReleaseWatermark, SwitchState,
};
use stele_wire::{Nanos, Sequence};

/// A kill switch that was engaged.
#[derive(Clone, Copy, Debug)]
struct Engaged {
    scope: CancelScope,
    id: u32,
    /// The sequence of its event; none if it was engaged in an earlier session.
    cause: Option<Sequence>,
}

/// The orders that are still to be cancelled. Bounded; allocates only when it is created.
#[derive(Debug)]
pub struct PendingCancels {
    switches: Vec<Engaged>,
    /// The working orders in the scope of the current switch, and the next one to cancel.
    orders: Vec<WorkingOrder>,
    at: usize,
    cause: Sequence,
}

/// A cancel to put on the log.
#[derive(Clone, Copy, Debug)]
pub enum Cancel {
    /// The cancel of an order.
    Order(CancelOrder),
    /// The cancel of both sides of a quote.
    Quote(QuoteCancel),
}

impl Default for PendingCancels {
    fn default() -> Self {
        Self {
            switches: Vec::with_capacity(KILL_SWITCHES_MAX),
            orders: Vec::with_capacity(2 * RISK_OPEN_ORDERS_MAX),
            at: 0,
            cause: Sequence(0),
        }
    }
}

impl PendingCancels {
    /// Handles a switch on the log. The orders that work when it is engaged are cancelled, even if it is
    /// released soon after.
    pub fn on_switch(&mut self, switch: &KillSwitch, sequence: Sequence) {
        if switch.state != SwitchState::RELEASED {
            self.engage(switch.scope, switch.scope_id.get(), Some(sequence));
        }
    }

    /// Adds every switch that is engaged in `risk`, for a restart.
    pub fn resume(&mut self, risk: &Risk) {
        for (scope, id) in risk.engaged() {
            self.engage(scope, id, None);
        }
    }

    fn engage(&mut self, scope: CancelScope, id: u32, cause: Option<Sequence>) {
        if self.switches.len() == KILL_SWITCHES_MAX {
            // More switches at once than there is room for: cancel everything.
            self.switches.clear();
            return self.switches.push(Engaged { scope: CancelScope::ALL, id: 0, cause });
        }
        self.switches.push(Engaged { scope, id, cause });
    }

    /// Whether nothing is left to cancel.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.switches.is_empty() && self.at == self.orders.len()
    }

    /// Returns the next cancel, which becomes the event `sequence` at `now`; none when nothing is left.
    pub fn next(&mut self, risk: &Risk, sequence: Sequence, now: Nanos) -> Option<Cancel> {
        loop {
            while let Some(order) = self.orders.get(self.at).copied() {
                if risk.is_working(&order) {
                    return Some(self.cancel(&order, sequence, now));
                }
                self.at += 1;
            }
            if self.switches.is_empty() {
                self.orders.clear();
                self.at = 0;
                return None;
            }
            let Engaged { scope, id, cause } = self.switches.remove(0);
            self.cause = cause.unwrap_or(Sequence(0));
            risk.to_cancel(scope, id, &mut self.orders);
            // An order after the switch passed because the switch was released: it is not cancelled.
            self.orders.retain(|order| cause.is_none_or(|cause| order.sequence < cause));
            self.at = 0;
        }
    }

    fn cancel(&self, order: &WorkingOrder, sequence: Sequence, now: Nanos) -> Cancel {
        let owner = &order.owner;
        // The event's sequence identifies the request: no strategy uses ids that small.
        let (client_order_id, cause) = (sequence.0.into(), self.cause.0.into());
        if order.is_quote {
            return Cancel::Quote(QuoteCancel {
                publisher_sequence: 0.into(),
                publisher: 0.into(),
                strategy: owner.strategy.into(),
                instrument: owner.instrument.into(),
                cause,
                client_order_id,
                original_order_id: order.client_order_id.into(),
                decision_time: now.0.into(),
                account: owner.account.into(),
                trader: owner.trader.into(),
                release_watermark: ReleaseWatermark::DURABLE,
                ..QuoteCancel::NULL
            });
        }
        Cancel::Order(CancelOrder {
            publisher_sequence: 0.into(),
            publisher: 0.into(),
            strategy: owner.strategy.into(),
            instrument: owner.instrument.into(),
            cause,
            client_order_id,
            cancelled_order_id: order.client_order_id.into(),
            decision_time: now.0.into(),
            account: owner.account.into(),
            client: owner.client.into(),
            trader: owner.trader.into(),
            desk: owner.desk.into(),
            side: order.side,
            initiator: Initiator::FIRM,
            release_watermark: ReleaseWatermark::DURABLE,
            ..CancelOrder::NULL
        })
    }
}
