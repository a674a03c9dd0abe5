//! What became of the orders in the scope of a kill switch.
//!
//! RTS 6 Art. 12: a firm is able to cancel all of its orders at once, and knows which ones those were. A fold
//! over the log answers both for one switch: whether anything still works in its scope, and how each order
//! that was open when it was engaged ended.

use crate::releases::{Departure, Releases};
use std::collections::BTreeMap;
use stele_risk::{OrderKind, OrderOwner, OrderTerms};
use stele_wire::messages::{
    CancelScope, Check, NewOrder, OrderAccepted, OrderCancelled, OrderExpired, OrderFilled, OrderRejected,
    OrderReplaced, OrderStatus, OrderSuspended, Quote, ReplaceOrder, ReplaceRejected, Side,
    StrategyDefinition,
};
use stele_wire::{Frame, Sequence};

/// How an order ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderEnd {
    /// It was dropped before it left the host.
    Dropped,
    /// It was cancelled, with this quantity executed before.
    Cancelled,
    /// It was executed completely.
    Filled,
    /// It was refused, by the venue or before it.
    Rejected,
    /// It expired.
    Expired,
    /// It was replaced by the order with this sequence.
    Replaced(Sequence),
}

/// An order that was open in the scope of a kill switch when it was engaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KilledOrder {
    /// The sequence of the event that gave it its present terms.
    pub sequence: Sequence,
    /// The strategy; 0 when it comes from none.
    pub strategy: u16,
    /// The account.
    pub account: u32,
    /// The instrument.
    pub instrument: u32,
    /// Its owner's identification of the order.
    pub client_order_id: u64,
    /// Buy or sell; NONE for a quote.
    pub side: Side,
    /// The quantity executed, a mantissa; of both sides of a quote together.
    pub cumulative: u64,
    /// The quantity executed after the switch was engaged.
    pub filled_since: u64,
    /// How it ended, and the event that says so; none while it may still be executed.
    pub end: Option<(OrderEnd, Sequence)>,
    /// Whether it left the host, as far as the log says.
    pub has_left: Option<bool>,
}

/// Strategy, account, client order id.
type Name = (u16, u32, u64);

#[derive(Clone, Copy, Debug)]
struct Followed {
    order: KilledOrder,
    kind: OrderKind,
    /// The sides of a quote that may still be executed; of an order, one.
    legs: u8,
}

/// The fold. Pure: feed it every event of the log in order, from the beginning of the trail.
///
/// Bounded by the orders in the scope that are open at once, and those that were open when the switch was
/// engaged.
#[derive(Clone, Debug)]
pub struct KilledOrders {
    scope: CancelScope,
    id: u32,
    switch: Sequence,
    algorithms: BTreeMap<u16, u32>,
    open: BTreeMap<Sequence, Followed>,
    names: BTreeMap<Name, Sequence>,
    ended: BTreeMap<Sequence, KilledOrder>,
    releases: Releases,
    is_engaged: bool,
}

impl KilledOrders {
    /// Follows the switch with this scope and id whose event has the sequence `switch`.
    pub fn new(scope: CancelScope, id: u32, switch: Sequence) -> Self {
        Self {
            scope,
            id,
            switch,
            algorithms: BTreeMap::new(),
            open: BTreeMap::new(),
            names: BTreeMap::new(),
            ended: BTreeMap::new(),
            releases: Releases::default(),
            is_engaged: false,
        }
    }

    /// Whether the switch was engaged and no order in its scope works any more, or is on its way.
    pub fn is_done(&self) -> bool {
        self.is_engaged && self.open.is_empty()
    }

    /// The number of orders in the scope that may still be executed.
    pub fn working(&self) -> usize {
        self.open.len()
    }

    /// Takes the next event of the log.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        self.is_engaged |= event.sequence() >= self.switch;
        if !event.is_stele() {
            return;
        }
        self.releases.on_event(event);
        match event.template_id() {
            NewOrder::TEMPLATE_ID | ReplaceOrder::TEMPLATE_ID | Quote::TEMPLATE_ID => self.on_order(event),
            StrategyDefinition::TEMPLATE_ID => {
                if let Some(definition) = event.message::<StrategyDefinition>() {
                    self.algorithms.insert(definition.strategy.get(), definition.algorithm.get());
                }
            }
            _ => self.on_report(event),
        }
    }

    fn on_order(&mut self, event: &Frame<'_>) {
        let sequence = event.sequence();
        let Some(mut terms) = OrderTerms::read(event.template_id(), event.body()) else { return };
        terms.owner.algorithms[2] = self.algorithms.get(&terms.owner.strategy).copied().unwrap_or(0);
        // An order after the switch passed because the switch was released.
        if sequence > self.switch || !terms.owner.is_in(self.scope, self.id) {
            return;
        }
        let OrderOwner { strategy, account, instrument, .. } = terms.owner;
        let order = KilledOrder {
            sequence,
            strategy,
            account,
            instrument,
            client_order_id: terms.client_order_id,
            side: terms.side(),
            cumulative: 0,
            filled_since: 0,
            end: None,
            has_left: None,
        };
        let legs = terms.legs().len() as u8;
        self.names.insert((strategy, account, terms.client_order_id), sequence);
        self.open.insert(sequence, Followed { order, kind: terms.kind, legs });
    }

    fn on_report(&mut self, event: &Frame<'_>) {
        macro_rules! named {
            ($report:ident, $id:ident) => {
                self.find(
                    Sequence($report.order_sequence.get()),
                    ($report.strategy.get(), $report.account.get(), $report.$id.get()),
                )
            };
        }
        macro_rules! settled {
            ($message:ident, $end:ident) => {
                if let Some(report) = event.message::<$message>() {
                    let is_done = report.leaves_quantity.get() == 0 || report.status == OrderStatus::DONE;
                    if let Some(order) = named!(report, client_order_id).filter(|_| is_done) {
                        self.end(order, OrderEnd::$end, report.side, event.sequence());
                    }
                }
            };
        }
        match event.template_id() {
            OrderAccepted::TEMPLATE_ID => settled!(OrderAccepted, Cancelled),
            OrderSuspended::TEMPLATE_ID => settled!(OrderSuspended, Cancelled),
            OrderCancelled::TEMPLATE_ID => settled!(OrderCancelled, Cancelled),
            OrderFilled::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderFilled>()
                    && let Some(order) = named!(report, client_order_id)
                {
                    self.fill(order, report.last_quantity.get(), event.sequence());
                    if report.leaves_quantity.get() == 0 {
                        self.end(order, OrderEnd::Filled, report.side, event.sequence());
                    }
                }
            }
            OrderExpired::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderExpired>()
                    && let Some(order) = named!(report, client_order_id)
                {
                    self.end(order, OrderEnd::Expired, report.side, event.sequence());
                }
            }
            OrderRejected::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderRejected>() {
                    // The sequencer's own refusal is of an order that is not on the log.
                    let is_own = report.order_sequence.get() == 0
                        && !matches!(report.check, Check::NONE | Check::VENUE | Check::NULL);
                    if let Some(order) = named!(report, client_order_id).filter(|_| !is_own) {
                        self.end(order, OrderEnd::Rejected, Side::NONE, event.sequence());
                    }
                }
            }
            ReplaceRejected::TEMPLATE_ID => {
                if let Some(report) = event.message::<ReplaceRejected>() {
                    let owner = (report.strategy.get(), report.account.get(), report.request_order_id.get());
                    if let Some(order) = self.find(Sequence(report.request_sequence.get()), owner) {
                        self.end(order, OrderEnd::Rejected, Side::NONE, event.sequence());
                    }
                }
            }
            OrderReplaced::TEMPLATE_ID => {
                if let Some(report) = event.message::<OrderReplaced>() {
                    let new = named!(report, client_order_id);
                    let (strategy, account) = (report.strategy.get(), report.account.get());
                    let old = (strategy, account, report.replaced_order_id.get());
                    let old = self.names.get(&old).copied().filter(|old| Some(*old) != new);
                    let by = OrderEnd::Replaced(new.unwrap_or(Sequence(report.order_sequence.get())));
                    if let Some(old) = old {
                        self.end(old, by, Side::NONE, event.sequence());
                    }
                }
            }
            _ => {}
        }
    }

    /// The order that a report is about: by its sequence, or by the owner's identification where the report
    /// names none.
    fn find(&self, sequence: Sequence, name: Name) -> Option<Sequence> {
        if sequence != Sequence(0) {
            return self.open.contains_key(&sequence).then_some(sequence);
        }
        self.names.get(&name).copied()
    }

    fn fill(&mut self, order: Sequence, quantity: u64, event: Sequence) {
        let Some(Followed { order, .. }) = self.open.get_mut(&order) else { return };
        order.cumulative = order.cumulative.saturating_add(quantity);
        if event > self.switch {
            order.filled_since = order.filled_since.saturating_add(quantity);
        }
    }

    fn end(&mut self, sequence: Sequence, end: OrderEnd, side: Side, event: Sequence) {
        let Some(followed) = self.open.get_mut(&sequence) else { return };
        let is_side = matches!(side, Side::BUY | Side::SELL);
        if followed.kind == OrderKind::Quote && is_side && followed.legs > 1 {
            followed.legs -= 1;
            return;
        }
        let Followed { mut order, .. } = *followed;
        self.open.remove(&sequence);
        let name = (order.strategy, order.account, order.client_order_id);
        if self.names.get(&name) == Some(&sequence) {
            self.names.remove(&name);
        }
        if event > self.switch {
            let departure = self.releases.departure(sequence);
            let is_dropped = matches!(departure, Some(Departure::Dropped { .. }));
            order.end = Some((if is_dropped { OrderEnd::Dropped } else { end }, event));
            order.has_left = departure.map(|departure| departure == Departure::Left);
            self.ended.insert(sequence, order);
        }
        self.releases.forget(sequence);
    }

    /// Returns the orders that were open when the switch was engaged, in the order of the log.
    pub fn orders(&self) -> Vec<KilledOrder> {
        let working = self.open.values().map(|followed| KilledOrder {
            has_left: self.releases.has_left(followed.order.sequence),
            ..followed.order
        });
        let mut orders: Vec<KilledOrder> = self.ended.values().copied().chain(working).collect();
        orders.sort_unstable_by_key(|order| order.sequence);
        orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Log, limit_order, order_body};
    use stele_wire::messages::{
        CancelReleased, DropReason, KillSwitch, OrderDropped, OrderReleased, SwitchState,
    };

    struct Story {
        log: Log,
        switch: u64,
    }

    impl Story {
        fn order(&mut self, id: u64) -> u64 {
            let body = order_body(&limit_order(1, id, Side::BUY, 1_000, 10));
            self.log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &body)
        }

        fn replacement(&mut self, replaced: u64, id: u64) -> u64 {
            let replacement = ReplaceOrder {
                strategy: 1.into(),
                account: 7.into(),
                instrument: 1.into(),
                side: Side::BUY,
                quantity: 10.into(),
                client_order_id: id.into(),
                replaced_order_id: replaced.into(),
                ..ReplaceOrder::NULL
            };
            let mut buffer = [0; 512];
            let body = replacement.encode(&mut buffer, [], b"", b"").unwrap();
            self.log.push_body(ReplaceOrder::TEMPLATE_ID, ReplaceOrder::BLOCK_LENGTH, body)
        }

        fn engage(&mut self) {
            let switch = KillSwitch {
                scope: CancelScope::ACCOUNT,
                scope_id: 7.into(),
                state: SwitchState::ENGAGED,
                ..KillSwitch::NULL
            };
            let mut buffer = [0; 64];
            let body = switch.encode(&mut buffer, b"").unwrap();
            self.switch = self.log.push_body(KillSwitch::TEMPLATE_ID, KillSwitch::BLOCK_LENGTH, body);
        }

        fn cancelled(&mut self, sequence: u64, id: u64) -> u64 {
            self.log.push(&OrderCancelled {
                order_sequence: sequence.into(),
                client_order_id: id.into(),
                strategy: 1.into(),
                account: 7.into(),
                leaves_quantity: 0.into(),
                status: OrderStatus::DONE,
                ..OrderCancelled::NULL
            })
        }

        fn filled(&mut self, sequence: u64, id: u64, last: u64, leaves: u64) -> u64 {
            self.log.push(&OrderFilled {
                order_sequence: sequence.into(),
                client_order_id: id.into(),
                strategy: 1.into(),
                account: 7.into(),
                last_quantity: last.into(),
                leaves_quantity: leaves.into(),
                ..OrderFilled::NULL
            })
        }

        fn folded(&self) -> KilledOrders {
            let mut killed = KilledOrders::new(CancelScope::ACCOUNT, 7, Sequence(self.switch));
            self.log.frames().for_each(|frame| killed.on_event(&frame));
            killed
        }

        fn ends(&self) -> Vec<(u64, Option<OrderEnd>)> {
            let orders = self.folded().orders().into_iter();
            orders.map(|order| (order.client_order_id, order.end.map(|(end, _)| end))).collect()
        }
    }

    fn story() -> Story {
        Story { log: Log::default(), switch: u64::MAX }
    }

    #[test]
    fn each_order_that_was_open_has_its_own_end_and_nothing_works_after_the_last() {
        let mut story = story();
        let before = story.order(9);
        story.cancelled(before, 9);
        let [left, dropped, partly, full] = [1, 2, 3, 4].map(|id| story.order(id));
        story.filled(partly, 3, 2, 8);
        story.log.push(&OrderReleased { through_sequence: left.into(), ..OrderReleased::NULL });
        story.engage();
        assert!(!story.folded().is_done());
        story.filled(partly, 3, 3, 5);
        story.filled(full, 4, 10, 0);
        story.log.push(&OrderDropped {
            order_sequence: dropped.into(),
            cause: story.switch.into(),
            reason: DropReason::KILL_SWITCH,
            ..OrderDropped::NULL
        });
        story.cancelled(dropped, 2);
        story.cancelled(left, 1);
        assert_eq!(story.folded().working(), 1);
        let last = story.cancelled(partly, 3);
        let killed = story.folded();
        assert!(killed.is_done());
        assert_eq!(
            story.ends(),
            [
                (1, Some(OrderEnd::Cancelled)),
                (2, Some(OrderEnd::Dropped)),
                (3, Some(OrderEnd::Cancelled)),
                (4, Some(OrderEnd::Filled)),
            ]
        );
        let [first, second, third, _] = killed.orders()[..] else { panic!() };
        assert_eq!((third.cumulative, third.filled_since), (5, 3));
        assert_eq!(third.end.unwrap().1, Sequence(last));
        assert_eq!((first.has_left, second.has_left), (Some(true), Some(false)));
    }

    #[test]
    fn an_order_of_another_scope_or_after_the_switch_is_not_waited_for() {
        let mut story = story();
        let other = NewOrder { account: 8.into(), ..limit_order(1, 1, Side::BUY, 1_000, 10) };
        story.log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &order_body(&other));
        story.engage();
        story.order(2);
        assert!(story.folded().is_done());
        assert_eq!(story.ends(), []);
    }

    #[test]
    fn a_replacement_on_its_way_is_waited_for_until_it_is_refused_or_done() {
        let mut story = story();
        let order = story.order(1);
        let replacement = story.replacement(1, 2);
        story.engage();
        story.cancelled(order, 1);
        assert_eq!(story.ends(), [(1, Some(OrderEnd::Cancelled)), (2, None)]);
        let refused = ReplaceRejected {
            strategy: 1.into(),
            account: 7.into(),
            client_order_id: 1.into(),
            request_order_id: 2.into(),
            request_sequence: replacement.into(),
            ..ReplaceRejected::NULL
        };
        let mut buffer = [0; 256];
        let body = refused.encode(&mut buffer, b"").unwrap();
        story.log.push_body(ReplaceRejected::TEMPLATE_ID, ReplaceRejected::BLOCK_LENGTH, body);
        assert!(story.folded().is_done());
    }

    #[test]
    fn a_replaced_order_ends_and_its_replacement_goes_on() {
        let mut story = story();
        story.order(1);
        let replacement = story.replacement(1, 2);
        story.engage();
        story.log.push(&OrderReplaced {
            order_sequence: replacement.into(),
            client_order_id: 2.into(),
            replaced_order_id: 1.into(),
            strategy: 1.into(),
            account: 7.into(),
            ..OrderReplaced::NULL
        });
        assert_eq!(story.ends(), [(1, Some(OrderEnd::Replaced(Sequence(replacement)))), (2, None)]);
        story.cancelled(replacement, 2);
        assert!(story.folded().is_done());
    }

    #[test]
    fn a_cancel_that_the_venue_refuses_leaves_the_order_working() {
        let mut story = story();
        let order = story.order(1);
        story.engage();
        story.log.push(&CancelReleased { cancel_sequence: 99.into(), ..CancelReleased::NULL });
        let refused = stele_wire::messages::CancelRejected {
            order_sequence: order.into(),
            client_order_id: 1.into(),
            strategy: 1.into(),
            account: 7.into(),
            ..stele_wire::messages::CancelRejected::NULL
        };
        let mut buffer = [0; 256];
        let body = refused.encode(&mut buffer, b"").unwrap();
        let id = stele_wire::messages::CancelRejected::TEMPLATE_ID;
        story.log.push_body(id, stele_wire::messages::CancelRejected::BLOCK_LENGTH, body);
        assert_eq!((story.folded().working(), story.ends()), (1, vec![(1, None)]));
    }
}
