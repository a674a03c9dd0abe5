//! Checks that the sequencer cancels the orders that a kill switch covers, oldest first, each once, and no
//! others. It keeps a naive model of the orders on the log and of the engaged switches.

use crate::violation::{Checked, violated};
use std::collections::BTreeMap;
use stele_bus::Event;
use stele_risk::bounds::KILL_SWITCHES_MAX;
use stele_risk::{OrderKind, OrderTerms};
use stele_wire::Sequence;
use stele_wire::messages::{
    CancelOrder, CancelScope, KillSwitch, QuoteCancel, ReleaseWatermark, SessionStart, Side, SwitchState,
};

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
    /// A cancel of its whole quantity is on the log, in this session.
    is_cancelling: bool,
    /// From this event on no cancel of it is under way.
    free_since: Sequence,
}

/// A kill switch that was engaged.
#[derive(Clone, Copy, Debug)]
struct EngagedSwitch {
    sequence: Sequence,
    scope: CancelScope,
    id: u32,
    /// Whether so many switches were engaged at once that it may cover everything.
    may_be_all: bool,
}

impl EngagedSwitch {
    fn covers(&self, order: &OpenOrder) -> bool {
        let (_, account, _) = order.name;
        self.scope == CancelScope::ALL || (self.scope == CancelScope::ACCOUNT && self.id == account)
    }

    /// Returns whether it must cancel the order.
    fn requires(&self, order: &OpenOrder) -> bool {
        order.is_open && !order.is_cancelling && order.free_since < self.sequence && self.covers(order)
    }
}

/// A cancel that the sequencer wrote.
#[derive(Clone, Copy, Debug)]
struct Cancel {
    sequence: Sequence,
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
    /// The index of the current switch, and of the order it has reached.
    at: (usize, usize),
}

impl CancelChecker {
    /// Records an event that a publisher submitted and that is now on the log.
    pub fn on_submitted(&mut self, event: &Event<'_>) {
        let (frame, sequence) = (event.frame(), event.sequence());
        if let Some(order) = OrderTerms::read(event.template_id(), event.body()) {
            self.on_order(&order, sequence);
        } else if let Some(cancel) = frame.message::<CancelOrder>() {
            if cancel.quantity.get() == u64::MAX {
                self.on_cancelling((
                    cancel.cancelled_order_id.get(),
                    cancel.account.get(),
                    cancel.strategy.get(),
                ));
            }
        } else if let Some(cancel) = frame.message::<QuoteCancel>() {
            self.on_cancelling((cancel.original_order_id.get(), cancel.account.get(), cancel.strategy.get()));
        } else if let Some(switch) = frame.message::<KillSwitch>() {
            // A switch that is released again still cancels the orders that were open when it was engaged.
            if switch.state != SwitchState::RELEASED {
                self.on_engaged(switch.scope, switch.scope_id.get(), sequence);
            }
        } else if frame.message::<SessionStart>().is_some() {
            self.on_session(sequence);
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
                is_cancelling: false,
                free_since: sequence,
            });
            self.orders.len() - 1
        });
    }

    fn on_cancelling(&mut self, name: Name) {
        if let Some(&place) = self.places.get(&name) {
            self.orders[place].is_cancelling = true;
        }
    }

    /// Records that the gateway ended an order that had not left.
    pub fn on_ended(&mut self, id: u64, account: u32, strategy: u16) {
        if let Some(place) = self.places.remove(&(id, account, strategy)) {
            self.orders[place].is_open = false;
        }
    }

    fn on_engaged(&mut self, scope: CancelScope, id: u32, sequence: Sequence) {
        self.switches.push(EngagedSwitch { sequence, scope, id, may_be_all: false });
    }

    /// A session that begins knows no earlier cancels.
    fn on_session(&mut self, sequence: Sequence) {
        for order in self.orders.iter_mut().filter(|order| order.is_cancelling) {
            (order.is_cancelling, order.free_since) = (false, sequence);
        }
    }

    /// Checks a cancel on the log that no publisher submitted.
    ///
    /// # Errors
    /// When it is not the next expected cancel.
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
        let (at, from) = self.at;
        let is_crowded = cause.saturating_sub(at) >= KILL_SWITCHES_MAX;
        let switch = &mut self.switches[cause];
        switch.may_be_all |= is_crowded;
        let switch = *switch;
        debug_assert!(switch.sequence < cancel.sequence);
        let from = if cause == at { from } else { 0 };
        let fault = [
            (stated != recorded, "the order differs from the one in the cancel"),
            (order.is_cancelling, "the order is cancelled already"),
            (order.sequence > switch.sequence, "the order came after the switch"),
            (!switch.may_be_all && !switch.covers(&order), "the switch does not cover the order"),
            (cause < at, "a later switch was at work before"),
            (place < from, "a later order was cancelled before"),
        ];
        if let Some((_, what)) = fault.into_iter().find(|(is_so, _)| *is_so) {
            return Err(what);
        }
        let is_left_out = self.orders[from..place].iter().any(|order| switch.requires(order));
        if is_left_out || (!is_crowded && self.has_unfinished_before(cause)) {
            return Err("an order that comes before it was left out");
        }
        self.at = (cause, place);
        self.orders[place].is_cancelling = true;
        Ok(())
    }

    /// Returns whether an earlier switch, from the current one up to `cause`, has orders left to cancel.
    fn has_unfinished_before(&self, cause: usize) -> bool {
        let (at, from) = self.at;
        (at..cause).any(|index| {
            let from = if index == at { from } else { 0 };
            self.orders[from..].iter().any(|order| self.switches[index].requires(order))
        })
    }
}

const RULE: &str = "the sequencer cancels what a kill switch covers, once and in order";

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
        checker.take(&Cancel {
            sequence: Sequence(100),
            cause: Sequence(cause),
            name: (id, account, NewOrder::NULL.strategy.get()),
            instrument: NewOrder::NULL.instrument.get(),
            is_quote: false,
            side: Side::BUY,
        })
    }

    #[test]
    fn orders_open_when_the_switch_was_engaged_are_cancelled_oldest_first_and_once() {
        let mut checker = stopped();
        assert_eq!(cancel(&mut checker, 1, 1, 4), Ok(()));
        assert_eq!(cancel(&mut checker, 1, 1, 4), Err("the order is cancelled already"));
        assert_eq!(cancel(&mut checker, 3, 1, 4), Ok(()));
        assert_eq!(cancel(&mut checker, 5, 1, 4), Err("the order came after the switch"));
    }

    #[test]
    fn a_cancel_without_switch_or_order_or_of_another_account_or_that_skips_an_order_is_noticed() {
        let check = |id, account, cause| cancel(&mut stopped(), id, account, cause);
        assert_eq!(check(1, 1, 3), Err("no kill switch was engaged by its cause"));
        assert_eq!(check(9, 1, 4), Err("no such order is on the log"));
        assert_eq!(check(2, 2, 4), Err("the switch does not cover the order"));
        assert_eq!(check(3, 1, 4), Err("an order that comes before it was left out"));
    }

    #[test]
    fn an_unfinished_switch_delays_the_next_one_unless_a_publisher_cancelled_the_rest() {
        let mut checker = stopped();
        checker.on_engaged(CancelScope::ACCOUNT, 2, Sequence(6));
        assert_eq!(cancel(&mut checker, 2, 2, 6), Err("an order that comes before it was left out"));
        checker.on_cancelling(checker.orders[0].name);
        checker.on_cancelling(checker.orders[2].name);
        assert_eq!(cancel(&mut checker, 2, 2, 6), Ok(()));
        assert_eq!(cancel(&mut checker, 3, 1, 4), Err("the order is cancelled already"));
    }

    #[test]
    fn after_a_session_begins_the_next_switch_may_cancel_orders_again() {
        let mut checker = stopped();
        [1, 3].into_iter().for_each(|id| cancel(&mut checker, id, 1, 4).unwrap());
        checker.on_session(Sequence(6));
        checker.on_engaged(CancelScope::ACCOUNT, 1, Sequence(7));
        assert_eq!(cancel(&mut checker, 3, 1, 7), Err("an order that comes before it was left out"));
        assert_eq!(cancel(&mut checker, 1, 1, 7), Ok(()));
    }
}
