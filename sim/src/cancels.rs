//! Checks that the sequencer cancels only orders that a kill switch covers, and an order again only when the
//! venue has not answered for long. It keeps a naive model of the orders on the log and of the engaged
//! switches.

use crate::violation::{Checked, violated};
use std::collections::BTreeMap;
use stele_bus::Event;
use stele_risk::bounds::CANCEL_SILENCE;
use stele_risk::{OrderKind, OrderTerms};
use stele_wire::messages::{
    CancelOrder, CancelScope, KillSwitch, QuoteCancel, ReleaseWatermark, SessionStart, Side, SwitchState,
};
use stele_wire::{Nanos, Sequence};

/// The order that a cancel names: its id, account and strategy.
type Name = (u64, u32, u16);

/// An order on the log. The simulated traffic has no reports about orders, so it stays open for the epoch,
/// unless the gateway drops it.
#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    sequence: Sequence,
    name: Name,
    instrument: u32,
    is_quote: bool,
    side: Side,
    is_open: bool,
    /// When the last cancel of its whole quantity in this session was logged.
    cancelled_at: Option<Nanos>,
}

/// A kill switch that was engaged.
#[derive(Clone, Copy, Debug)]
struct EngagedSwitch {
    sequence: Sequence,
    scope: CancelScope,
    id: u32,
}

impl EngagedSwitch {
    fn covers(&self, order: &OpenOrder) -> bool {
        let (_, account, _) = order.name;
        self.scope == CancelScope::ALL || (self.scope == CancelScope::ACCOUNT && self.id == account)
    }
}

/// A cancel that the sequencer wrote.
#[derive(Clone, Copy, Debug)]
struct Cancel {
    sequence: Sequence,
    time: Nanos,
    cause: Sequence,
    name: Name,
    instrument: u32,
    is_quote: bool,
    side: Side,
}

impl Cancel {
    /// Reads a cancel; `None` for any event that the sequencer does not write in this way.
    fn read(event: &Event<'_>) -> Option<Self> {
        let (frame, sequence) = (event.frame(), event.sequence());
        macro_rules! own {
            ($cancel:ident, $cancelled:ident, $is_quote:expr, $side:expr) => {{
                let is_own = $cancel.publisher.get() == 0
                    && $cancel.publisher_sequence.get() == 0
                    && $cancel.client_order_id.get() == sequence.0
                    && $cancel.decision_time.get() <= event.timestamp().0
                    && $cancel.release_watermark == ReleaseWatermark::DURABLE;
                is_own.then(|| Self {
                    sequence,
                    time: event.timestamp(),
                    cause: Sequence($cancel.cause.get()),
                    name: ($cancel.$cancelled.get(), $cancel.account.get(), $cancel.strategy.get()),
                    instrument: $cancel.instrument.get(),
                    is_quote: $is_quote,
                    side: $side,
                })
            }};
        }
        if let Some(cancel) = frame.message::<CancelOrder>() {
            let is_whole = cancel.quantity.get() == u64::MAX;
            return own!(cancel, cancelled_order_id, false, cancel.side).filter(|_| is_whole);
        }
        let cancel = frame.message::<QuoteCancel>()?;
        own!(cancel, original_order_id, true, Side::NONE)
    }
}

/// Checks the cancels of one epoch.
#[derive(Clone, Debug, Default)]
pub struct CancelChecker {
    /// Oldest first.
    orders: Vec<OpenOrder>,
    places: BTreeMap<Name, usize>,
    /// Oldest first.
    switches: Vec<EngagedSwitch>,
}

impl CancelChecker {
    /// Records an event that a publisher submitted and that is now on the log.
    pub fn on_submitted(&mut self, event: &Event<'_>) {
        let (frame, sequence) = (event.frame(), event.sequence());
        if let Some(order) = OrderTerms::read(event.template_id(), event.body()) {
            self.on_order(&order, sequence);
        } else if let Some(cancel) = frame.message::<CancelOrder>() {
            if cancel.quantity.get() == u64::MAX {
                let name = (cancel.cancelled_order_id.get(), cancel.account.get(), cancel.strategy.get());
                self.on_cancelling(name, event.timestamp());
            }
        } else if let Some(cancel) = frame.message::<QuoteCancel>() {
            let name = (cancel.original_order_id.get(), cancel.account.get(), cancel.strategy.get());
            self.on_cancelling(name, event.timestamp());
        } else if let Some(switch) = frame.message::<KillSwitch>() {
            // A switch that is released again still cancels the orders that were open when it was engaged.
            if switch.state != SwitchState::RELEASED {
                self.on_engaged(switch.scope, switch.scope_id.get(), sequence);
            }
        } else if frame.message::<SessionStart>().is_some() {
            self.on_session();
        }
    }

    fn on_order(&mut self, order: &OrderTerms, sequence: Sequence) {
        let name = (order.client_order_id, order.owner.account, order.owner.strategy);
        self.places.entry(name).or_insert_with(|| {
            self.orders.push(OpenOrder {
                sequence,
                name,
                instrument: order.owner.instrument,
                is_quote: order.kind == OrderKind::Quote,
                side: order.side(),
                is_open: true,
                cancelled_at: None,
            });
            self.orders.len() - 1
        });
    }

    fn on_cancelling(&mut self, name: Name, time: Nanos) {
        if let Some(&place) = self.places.get(&name) {
            self.orders[place].cancelled_at = Some(time);
        }
    }

    /// Records that the gateway ended an order that had not left.
    pub fn on_ended(&mut self, id: u64, account: u32, strategy: u16) {
        if let Some(place) = self.places.remove(&(id, account, strategy)) {
            self.orders[place].is_open = false;
        }
    }

    fn on_engaged(&mut self, scope: CancelScope, id: u32, sequence: Sequence) {
        self.switches.push(EngagedSwitch { sequence, scope, id });
    }

    /// A session that begins knows no earlier cancels.
    fn on_session(&mut self) {
        self.orders.iter_mut().for_each(|order| order.cancelled_at = None);
    }

    /// Checks a cancel on the log that no publisher submitted.
    ///
    /// # Errors
    /// When it is not a cancel that follows from an engaged switch.
    pub fn on_own(&mut self, event: &Event<'_>) -> Checked {
        let cancel = Cancel::read(event).ok_or("the sequencer does not write such a cancel");
        cancel
            .and_then(|cancel| self.take(&cancel))
            .map_err(|what| violated(RULE, format!("sequence {}: {what}", event.sequence())))
    }

    fn take(&mut self, cancel: &Cancel) -> Result<(), &'static str> {
        let cause = self.switches.binary_search_by_key(&cancel.cause, |switch| switch.sequence);
        let cause = cause.map_err(|_| "no kill switch was engaged by its cause")?;
        let place = *self.places.get(&cancel.name).ok_or("no such order is on the log")?;
        let order = self.orders[place];
        let (stated, recorded) = (
            (cancel.instrument, cancel.is_quote, cancel.side),
            (order.instrument, order.is_quote, order.side),
        );
        let switch = self.switches[cause];
        debug_assert!(switch.sequence < cancel.sequence);
        let is_under_way =
            order.cancelled_at.is_some_and(|time| cancel.time.0 < time.0.saturating_add(CANCEL_SILENCE.0));
        let fault = [
            (!order.is_open, "the order is done"),
            (stated != recorded, "the order differs from the one in the cancel"),
            (is_under_way, "the order is cancelled already"),
            (order.sequence > switch.sequence, "the order came after the switch"),
            (!switch.covers(&order), "the switch does not cover the order"),
        ];
        if let Some((_, what)) = fault.into_iter().find(|(is_so, _)| *is_so) {
            return Err(what);
        }
        self.orders[place].cancelled_at = Some(cancel.time);
        Ok(())
    }
}

const RULE: &str = "the sequencer cancels what a kill switch covers, and again only after a silence";

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::messages::NewOrder;

    /// Orders 1, 2 and 3 of accounts 1, 2 and 1 at sequences 1 to 3, account 1 stopped at 4, its order 5 at
    /// 5.
    fn stopped() -> CancelChecker {
        let mut checker = CancelChecker::default();
        for (id, account) in [(1, 1), (2, 2), (3, 1)] {
            order(&mut checker, id, account);
        }
        checker.on_engaged(CancelScope::ACCOUNT, 1, Sequence(4));
        order(&mut checker, 5, 1);
        checker
    }

    fn order(checker: &mut CancelChecker, id: u64, account: u32) {
        let order = NewOrder {
            client_order_id: id.into(),
            account: account.into(),
            side: Side::BUY,
            ..NewOrder::NULL
        };
        checker.on_order(&OrderTerms::of_order(&order), Sequence(id));
    }

    fn cancel(checker: &mut CancelChecker, id: u64, account: u32, cause: u64) -> Result<(), &'static str> {
        cancel_at(checker, (id, account), cause, Nanos(0))
    }

    fn cancel_at(
        checker: &mut CancelChecker,
        (id, account): (u64, u32),
        cause: u64,
        time: Nanos,
    ) -> Result<(), &'static str> {
        checker.take(&Cancel {
            sequence: Sequence(100),
            time,
            cause: Sequence(cause),
            name: (id, account, NewOrder::NULL.strategy.get()),
            instrument: NewOrder::NULL.instrument.get(),
            is_quote: false,
            side: Side::BUY,
        })
    }

    #[test]
    fn orders_open_when_the_switch_was_engaged_are_cancelled_in_any_order_and_again_after_a_silence() {
        let mut checker = stopped();
        assert_eq!(cancel(&mut checker, 3, 1, 4), Ok(()));
        assert_eq!(cancel(&mut checker, 1, 1, 4), Ok(()));
        let again = |checker: &mut CancelChecker, time| cancel_at(checker, (1, 1), 4, Nanos(time));
        assert_eq!(again(&mut checker, CANCEL_SILENCE.0 - 1), Err("the order is cancelled already"));
        assert_eq!(again(&mut checker, CANCEL_SILENCE.0), Ok(()));
        assert_eq!(cancel(&mut checker, 5, 1, 4), Err("the order came after the switch"));
    }

    #[test]
    fn a_cancel_without_switch_or_order_or_of_another_account_is_noticed() {
        let check = |id, account, cause| cancel(&mut stopped(), id, account, cause);
        assert_eq!(check(1, 1, 3), Err("no kill switch was engaged by its cause"));
        assert_eq!(check(9, 1, 4), Err("no such order is on the log"));
        assert_eq!(check(2, 2, 4), Err("the switch does not cover the order"));
    }

    #[test]
    fn a_cancel_of_a_publisher_counts_until_the_next_session() {
        let mut checker = stopped();
        checker.on_cancelling(checker.orders[0].name, Nanos(0));
        assert_eq!(cancel(&mut checker, 1, 1, 4), Err("the order is cancelled already"));
        checker.on_session();
        assert_eq!(cancel(&mut checker, 1, 1, 4), Ok(()));
    }
}
