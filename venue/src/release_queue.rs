//! The orders and cancels that have not left yet, and the decisions about them.
//!
//! ```text
//! log ─> order, replacement, quote ─> ORDERS   each waits for its watermark, in the log's order ──┐
//!     ─> cancel                    ─> CANCELS  each waits for `durable` only ─────────────────────┴─> venue
//!            └ names an order that waits: both are dropped ─┐
//!     ─> kill switch ─ drops what waits in its scope ───────┴─> DROPS ─> log
//! ```
//! What may leave leaves in the order of the log. A cancel overtakes an order only if that order may not
//! leave, or if the venue is busy. No order overtakes a cancel.
//!
//! | a cancel names | what happens |
//! |---|---|
//! | an order that left, which nothing that waits replaces | the cancel goes to the venue |
//! | an order that waits | both are dropped, and so is every waiting replacement of the order |
//! | an order that left, and a replacement of it waits | the replacement is dropped, and the cancel goes to the venue |
//! | a replacement that waits, of an order that left | the replacement is dropped, and the cancel goes to the venue in the name of the order that works there |
//! | a replacement that waits, of an order that waits | all three are dropped |
//! | part of an order, which waits or which a waiting replacement replaces | the cancel waits with the orders, in the order of the log |
//!
//! The last order or cancel that fits is the last one that waits: beyond the bounds they are refused, typed
//! and logged, so that a venue that takes nothing never holds the ring. A refusal at the sequencer would need
//! state that is not on the log; here the reason follows from the events.

use crate::bounds::{
    CANCEL_QUEUE_BYTES, CANCEL_QUEUE_MAX, DROPS_MAX, RELEASE_QUEUE_BYTES, RELEASE_QUEUE_MAX,
};
use crate::drops::{DropCause, Dropped, Drops};
use crate::lane::{Lane, LaneFull, OrderName, Waiting, WaitingKind};
use std::mem::offset_of;
use stele_bus::{Event, Watermark, Watermarks};
use stele_risk::bounds::RISK_STRATEGIES_MAX;
use stele_risk::{OrderKind, OrderTerms};
use stele_wire::Sequence;
use stele_wire::bounds::HEADER_LENGTH;
use stele_wire::messages::{
    CancelOrder, CancelScope, DropReason, KillSwitch, MassCancel, QuoteCancel, ReleaseWatermark, Side,
    StrategyDefinition, SwitchState,
};

/// The orders and cancels that have not left yet. Pure and bounded; allocates only when it is created.
#[derive(Clone, Debug)]
pub struct ReleaseQueue {
    orders: Lane,
    cancels: Lane,
    pub(crate) drops: Drops,
    /// The earliest watermark that an order waits for.
    least: Watermark,
    /// The algorithm of each strategy that was defined: the strategy and the algorithm.
    algorithms: Vec<(u16, u32)>,
}

/// The error of a queue that cannot take the event now: what it dropped has to be logged first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFull;

/// One of the two lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReleaseLane {
    /// Orders, replacements, quotes, and cancels of a part.
    Orders,
    /// Every other cancel.
    Cancels,
}

/// An order or a cancel that has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeftOrder {
    /// Its sequence.
    pub sequence: Sequence,
    /// Whether an order before it on the log still waits.
    pub has_overtaken: bool,
}

impl ReleaseQueue {
    /// Creates an empty queue. Each order waits for `least` or a later watermark.
    pub fn new(least: Watermark) -> Self {
        Self {
            orders: Lane::new(RELEASE_QUEUE_MAX, RELEASE_QUEUE_BYTES),
            cancels: Lane::new(CANCEL_QUEUE_MAX, CANCEL_QUEUE_BYTES),
            drops: Drops::new(),
            least,
            algorithms: Vec::with_capacity(RISK_STRATEGIES_MAX),
        }
    }

    /// The number of orders and cancels that wait to leave.
    pub fn len(&self) -> usize {
        self.orders.len() + self.cancels.len()
    }

    /// Whether nothing waits to leave.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.cancels.is_empty()
    }

    /// The number of dropped orders and cancels that the gateway still has to log.
    pub fn unlogged(&self) -> usize {
        self.drops.unlogged()
    }

    /// The earliest watermark that an order waits for.
    pub(crate) fn least(&self) -> Watermark {
        self.least
    }

    /// Takes the next event of the log. Ignores everything but orders and cancels, kill switches and
    /// definitions of strategies.
    ///
    /// # Errors
    /// [`QueueFull`]: pass the same event again once drops are logged.
    pub fn on_event(&mut self, event: &Event<'_>) -> Result<(), QueueFull> {
        if self.drops.unlogged() + RELEASE_QUEUE_MAX + 2 > DROPS_MAX {
            return Err(QueueFull);
        }
        let frame = event.frame();
        if let Some(terms) = OrderTerms::read(event.template_id(), event.body()) {
            self.on_order(event, &terms);
        } else if let Some(cancel) = frame.message::<CancelOrder>() {
            let name = OrderName {
                strategy: cancel.strategy.get(),
                account: cancel.account.get(),
                id: cancel.cancelled_order_id.get(),
                is_quote: false,
            };
            let release = self.release_of_cancel(cancel.release_watermark);
            let waiting = Waiting::new(event, WaitingKind::Cancel, name, 0, release);
            self.on_cancel(event, waiting, cancel.quantity.get() != u64::MAX);
        } else if let Some(cancel) = frame.message::<QuoteCancel>() {
            let name = OrderName {
                strategy: cancel.strategy.get(),
                account: cancel.account.get(),
                id: cancel.original_order_id.get(),
                is_quote: true,
            };
            let release = self.release_of_cancel(cancel.release_watermark);
            let waiting = Waiting::new(event, WaitingKind::QuoteCancel, name, 0, release);
            self.on_cancel(event, waiting, false);
        } else if let Some(cancel) = frame.message::<MassCancel>() {
            self.on_mass_cancel(event, &cancel);
        } else if let Some(switch) = frame.message::<KillSwitch>() {
            if switch.state != SwitchState::RELEASED {
                self.on_engaged(event.sequence(), switch.scope, switch.scope_id.get());
            }
        } else if let Some(definition) = frame.message::<StrategyDefinition>() {
            self.on_strategy(definition.strategy.get(), definition.algorithm.get());
        }
        Ok(())
    }

    fn on_order(&mut self, event: &Event<'_>, terms: &OrderTerms) {
        let (kind, replaced) = match terms.kind {
            OrderKind::New => (WaitingKind::Order, 0),
            OrderKind::Replacement => (WaitingKind::Replacement, terms.replaced_order_id),
            OrderKind::Quote => (WaitingKind::Quote, terms.replaced_order_id),
        };
        let name = OrderName {
            strategy: terms.owner.strategy,
            account: terms.owner.account,
            id: terms.client_order_id,
            is_quote: terms.kind == OrderKind::Quote,
        };
        let release = asked(terms.release).map_or(self.least, |asked| asked.max(self.least));
        let waiting = Waiting::new(event, kind, name, replaced, release);
        if self.orders.push(event, waiting).is_err() {
            self.refuse(event, &waiting);
        }
    }

    /// A cancel reduces risk, so it waits for nothing later than `durable`.
    fn release_of_cancel(&self, wanted: ReleaseWatermark) -> Watermark {
        let least = self.least.min(Watermark::Durable);
        asked(wanted).map_or(Watermark::Durable, |asked| asked.min(Watermark::Durable)).max(least)
    }

    fn on_cancel(&mut self, event: &Event<'_>, waiting: Waiting, is_partial: bool) {
        let name = waiting.name;
        let concerns =
            |entry: &Waiting| entry.is_order() && (entry.name == name || entry.replaced() == Some(name));
        let is_concerned = self.orders.iter().any(concerns);
        if is_partial && is_concerned {
            return self.wait(event, waiting, ReleaseLane::Orders);
        }
        if !is_concerned && self.drops.find(name).is_none() {
            return self.wait(event, waiting, ReleaseLane::Cancels);
        }
        let cause =
            DropCause { event: waiting.sequence, reason: DropReason::CANCELLED, request: waiting.sequence };
        let before = self.drops.unlogged();
        let root = self.drop_down_to_root(name, cause);
        self.drop_dependents(root, before, cause);
        match root {
            Some(root) => {
                self.wait(event, waiting, ReleaseLane::Cancels);
                if root != name {
                    self.rename_cancel(waiting.sequence, root.id);
                }
            }
            None => {
                let event_of_drop = self.drops.find(name).map_or(waiting.sequence, |it| it.cause.event);
                let cause = DropCause {
                    event: event_of_drop,
                    reason: DropReason::NOTHING_TO_CANCEL,
                    request: Sequence(0),
                };
                self.drops.push(Dropped::new(&waiting, event, cause));
            }
        }
        self.end_group(before);
    }

    /// Drops the waiting order `name`, the waiting order that it replaces, and so on. Returns the order at
    /// the end of this chain that has left; none when no order of the chain has.
    fn drop_down_to_root(&mut self, name: OrderName, cause: DropCause) -> Option<OrderName> {
        let mut root = name;
        for _ in 0..=RELEASE_QUEUE_MAX {
            let drops = &mut self.drops;
            let removed = self.orders.remove_first(
                |entry| entry.is_order() && entry.name == root,
                |entry, event| drops.push(Dropped::new(entry, event, cause)),
            );
            let replaced = match removed {
                Some(removed) => removed.replaced()?,
                None => match self.drops.replaced_by(root) {
                    Some(replaced) if replaced != Some(root) => replaced?,
                    // It has left, and a replacement that keeps its id has not.
                    _ => return Some(root),
                },
            };
            root = replaced;
        }
        // Only ids that were used twice lead here.
        Some(root)
    }

    /// Drops what waits and depends on `root` or on what was dropped since `before`: replacements of it, and
    /// cancels of a part of it.
    fn drop_dependents(&mut self, root: Option<OrderName>, before: usize, cause: DropCause) {
        loop {
            let dropped = self.drops.unlogged() - before;
            let Self { orders, drops, .. } = self;
            let is_gone =
                |name: OrderName, drops: &Drops| drops.newest(dropped).any(|dropped| dropped.is(name));
            let depends = |entry: &Waiting| {
                let replaces = entry.replaced();
                let names_gone = !entry.is_order() && is_gone(entry.name, drops);
                names_gone
                    || replaces.is_some_and(|replaced| Some(replaced) == root || is_gone(replaced, drops))
            };
            let Some(sequence) = orders.iter().find(|entry| depends(entry)).map(|entry| entry.sequence)
            else {
                return;
            };
            orders.remove_first(
                |entry| entry.sequence == sequence,
                |entry, event| {
                    let reason = if entry.is_order() { cause.reason } else { DropReason::NOTHING_TO_CANCEL };
                    drops.push(Dropped::new(entry, event, DropCause { reason, ..cause }));
                },
            );
        }
    }

    /// What was dropped since `before` is logged together.
    fn end_group(&mut self, before: usize) {
        let count = self.drops.unlogged() - before;
        self.drops.settle_replacements(count);
        self.drops.group(count);
    }

    /// A strategy's mass cancel covers its own orders only; one of strategy 0 (no strategy) covers all
    /// orders. Others may work at the venue, so it always goes there.
    fn on_mass_cancel(&mut self, event: &Event<'_>, cancel: &MassCancel) {
        let (strategy, sequence) = (cancel.strategy.get(), event.sequence());
        let id = match cancel.scope {
            CancelScope::INSTRUMENT => cancel.instrument.get(),
            _ => cancel.scope_id.get(),
        };
        let cause = DropCause { event: sequence, reason: DropReason::CANCELLED, request: sequence };
        self.drop_where(cause, |terms| {
            (strategy == 0 || terms.owner.strategy == strategy)
                && (cancel.side == Side::NONE || terms.side() == Side::NONE || terms.side() == cancel.side)
                && terms.owner.is_in(cancel.scope, id)
        });
        let name = OrderName { strategy, account: cancel.account.get(), id: 0, is_quote: false };
        let release = self.release_of_cancel(cancel.release_watermark);
        let waiting = Waiting::new(event, WaitingKind::MassCancel, name, 0, release);
        self.wait(event, waiting, ReleaseLane::Cancels);
    }

    fn on_engaged(&mut self, switch: Sequence, scope: CancelScope, id: u32) {
        let cause = DropCause { event: switch, reason: DropReason::KILL_SWITCH, request: Sequence(0) };
        self.drop_where(cause, |terms| terms.owner.is_in(scope, id));
    }

    /// Drops every order that waits and `is_covered`, and what depends on one of them.
    fn drop_where(&mut self, cause: DropCause, is_covered: impl Fn(&OrderTerms) -> bool) {
        let before = self.drops.unlogged();
        let Self { orders, drops, algorithms, .. } = self;
        orders.remove_where(|entry, event| {
            let Some(mut terms) = OrderTerms::read(event.template_id(), event.body()) else { return false };
            let strategy = algorithms.iter().find(|(strategy, _)| *strategy == terms.owner.strategy);
            terms.owner.algorithms[2] = strategy.map_or(0, |(_, algorithm)| *algorithm);
            let is_dropped = is_covered(&terms);
            if is_dropped {
                drops.push(Dropped::new(entry, event, cause));
            }
            is_dropped
        });
        if self.drops.unlogged() > before {
            self.drop_dependents(None, before, cause);
            self.drops.settle_replacements(self.drops.unlogged() - before);
        }
    }

    fn on_strategy(&mut self, strategy: u16, algorithm: u32) {
        if let Some((_, known)) = self.algorithms.iter_mut().find(|(known, _)| *known == strategy) {
            *known = algorithm;
        } else if self.algorithms.len() < RISK_STRATEGIES_MAX {
            self.algorithms.push((strategy, algorithm));
        }
        // Beyond that a switch covers the orders of the strategy, because their algorithm is unknown.
    }

    fn wait(&mut self, event: &Event<'_>, waiting: Waiting, lane: ReleaseLane) {
        if self.lane_mut(lane).push(event, waiting) == Err(LaneFull) {
            self.refuse(event, &waiting);
        }
    }

    #[cold]
    fn refuse(&mut self, event: &Event<'_>, waiting: &Waiting) {
        let nothing = Sequence(0);
        let cause = DropCause { event: nothing, reason: DropReason::NO_ROOM, request: nothing };
        self.drops.push(Dropped::new(waiting, event, cause));
    }

    /// Makes the newest cancel, which has this sequence unless it was refused, name another order of the same
    /// owner.
    fn rename_cancel(&mut self, sequence: Sequence, id: u64) {
        let Some(newest) = self.cancels.newest().filter(|newest| newest.sequence == sequence) else { return };
        let offset = match newest.kind {
            WaitingKind::QuoteCancel => offset_of!(QuoteCancel, original_order_id),
            _ => offset_of!(CancelOrder, cancelled_order_id),
        };
        let at = HEADER_LENGTH + offset;
        self.cancels.newest_mut()[at..at + size_of::<u64>()].copy_from_slice(&id.to_le_bytes());
    }

    /// Returns the lane whose first event may leave next. With `is_busy`, the venue takes no order now.
    pub fn next(&self, marks: &Watermarks, is_busy: bool) -> Option<ReleaseLane> {
        let may_leave = |entry: &&Waiting| entry.end <= marks.get(entry.release);
        let (order, cancel) = (self.orders.front(), self.cancels.front());
        let is_first = |order: &&Waiting| cancel.is_none_or(|cancel| order.sequence < cancel.sequence);
        if order.filter(may_leave).filter(is_first).is_some() && !is_busy {
            return Some(ReleaseLane::Orders);
        }
        cancel.filter(may_leave).map(|_| ReleaseLane::Cancels)
    }

    /// Returns the first event of a lane: as it is on the log, except that a cancel of a replacement that
    /// never left names the order that works.
    ///
    /// # Panics
    /// When the lane is empty.
    pub fn first(&self, lane: ReleaseLane) -> Event<'_> {
        let lane = self.lane(lane);
        lane.event(lane.front().expect("the lane has an event"))
    }

    /// Removes the first event of a lane, which has left.
    ///
    /// # Panics
    /// When the lane is empty.
    pub fn on_left(&mut self, lane: ReleaseLane) -> LeftOrder {
        let sequence = self.lane_mut(lane).pop_front().expect("an order waits").sequence;
        let first = self.orders.front();
        LeftOrder { sequence, has_overtaken: first.is_some_and(|first| first.sequence < sequence) }
    }

    fn lane(&self, lane: ReleaseLane) -> &Lane {
        match lane {
            ReleaseLane::Orders => &self.orders,
            ReleaseLane::Cancels => &self.cancels,
        }
    }

    fn lane_mut(&mut self, lane: ReleaseLane) -> &mut Lane {
        match lane {
            ReleaseLane::Orders => &mut self.orders,
            ReleaseLane::Cancels => &mut self.cancels,
        }
    }
}

/// The watermark that an order or a cancel asks for; none leaves it to the gateway. The sequencer refuses
/// orders that ask for one that this system does not have.
fn asked(wanted: ReleaseWatermark) -> Option<Watermark> {
    match wanted {
        ReleaseWatermark::PUBLISHED => Some(Watermark::Published),
        ReleaseWatermark::WRITTEN => Some(Watermark::Written),
        ReleaseWatermark::DURABLE | ReleaseWatermark::REPLICATED => Some(Watermark::Durable),
        ReleaseWatermark::SEALED => Some(Watermark::Sealed),
        _ => None,
    }
}
