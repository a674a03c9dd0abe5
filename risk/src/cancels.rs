//! The cancels that follow from kill switches, for every order that works in a switch's scope, and from
//! operators' requests to cancel one order.
//!
//! RTS 6 Art. 12(1): "cancel immediately, as an emergency measure, any or all of its unexecuted orders
//! submitted to any or all trading venues". The sequencer puts the cancels on the log as its own events, in
//! the class that is refused last. They do not depend on the strategies, so the orders of a strategy that
//! hangs are cancelled as well.
//!
//! A *search* visits every slot of the open orders, some in each duty cycle, and cancels what works in the
//! scope of an engaged switch. It is repeated until a whole search finds no order in the scope:
//!
//! ```text
//! switch engaged ─> search ─> nothing works in its scope ──────────────────────────> done
//!                     ^  └──> something works: again after CANCEL_SEARCH_INTERVAL ─┐
//!                     └───────────────────────────────────────────────────────────┘
//! ```
//! An order is cancelled in the first search, and again when the venue refused the cancel or did not answer,
//! with a delay that doubles. When the switch is released, the search that is under way is finished, for the
//! orders from before the release, and is the last one.

use crate::bounds::{
    CANCEL_COMPARISONS_PER_CYCLE, CANCEL_DOUBLINGS_MAX, CANCEL_RETRY_DELAY, CANCEL_SEARCH_INTERVAL,
    CANCEL_SILENCE, KILL_SWITCHES_MAX, OPERATOR_CANCELS_MAX,
};
use crate::orders::Entry;
use crate::risk::Risk;
use stele_wire::messages::{
    CancelOrder, CancelScope, Initiator, KillSwitch, QuoteCancel, ReleaseWatermark, Side, SwitchState,
};
use stele_wire::{Nanos, Sequence};

/// A kill switch whose orders are being cancelled.
#[derive(Clone, Copy, Debug)]
struct Engaged {
    scope: CancelScope,
    id: u32,
    /// The sequence of its event; 0 if it was engaged in an earlier session.
    cause: u64,
    /// Orders from this sequence on are not covered: they passed because it was released.
    before: u64,
    /// The slots that a search has not visited since it was engaged.
    unsearched: usize,
    /// Whether an order in its scope was found since the search began.
    is_working: bool,
}

impl Engaged {
    fn covers(&self, entry: &Entry) -> bool {
        entry.sequence < self.before && entry.owner.is_in(self.scope, self.id)
    }

    fn is_released(&self) -> bool {
        self.before != u64::MAX
    }
}

/// The orders that are still to be cancelled. Bounded; allocates only when it is created.
#[derive(Debug)]
pub struct PendingCancels {
    switches: Vec<Engaged>,
    /// The sequences of the orders that operators asked to cancel.
    asked: Vec<u64>,
    /// The next slot of the search, and the slots that are left of it.
    at: usize,
    left: usize,
    /// When the next search begins; `u64::MAX` for never.
    search_at: u64,
    /// The comparisons that are left in this duty cycle.
    budget: usize,
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
            asked: Vec::with_capacity(OPERATOR_CANCELS_MAX),
            at: 0,
            left: 0,
            search_at: u64::MAX,
            budget: 0,
        }
    }
}

impl PendingCancels {
    /// Handles a switch on the log. The orders that work when it is engaged are cancelled, even if it is
    /// released soon after.
    pub fn on_switch(&mut self, switch: &KillSwitch, sequence: Sequence, risk: &Risk) {
        let (scope, id) = (switch.scope, switch.scope_id.get());
        if switch.state == SwitchState::RELEASED {
            let released = self.switches.iter_mut().filter(|it| !it.is_released());
            released.filter(|it| (it.scope, it.id) == (scope, id)).for_each(|it| it.before = sequence.0);
        } else {
            self.engage(scope, id, sequence.0, risk);
        }
    }

    /// Handles an operator's request on the log to cancel the order with this sequence.
    pub fn on_operator_cancel(&mut self, order: Sequence, risk: &Risk) {
        if self.asked.len() < OPERATOR_CANCELS_MAX {
            self.asked.push(order.0);
        } else {
            // There is no room for more: a search finds it.
            self.search(risk);
        }
    }

    /// Adds what `risk` has left to cancel, for a restart: every switch that is engaged, and the requests of
    /// operators.
    pub fn resume(&mut self, risk: &Risk) {
        for (scope, id) in risk.engaged() {
            self.engage(scope, id, 0, risk);
        }
        self.search(risk);
    }

    fn engage(&mut self, scope: CancelScope, id: u32, cause: u64, risk: &Risk) {
        let unsearched = risk.ledger.orders.capacity();
        let new = Engaged { scope, id, cause, before: u64::MAX, unsearched, is_working: false };
        self.switches.retain(|known| (known.scope, known.id) != (scope, id));
        if self.switches.len() == KILL_SWITCHES_MAX {
            // More switches at once than there is room for: cancel everything.
            self.switches.clear();
            self.switches.push(Engaged { scope: CancelScope::ALL, id: 0, ..new });
        } else {
            self.switches.push(new);
        }
        self.search(risk);
    }

    /// Begins a search. One that is under way visits every slot again.
    fn search(&mut self, risk: &Risk) {
        (self.left, self.search_at) = (risk.ledger.orders.capacity(), 0);
    }

    /// Whether nothing is left to cancel, now or later.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.search_at == u64::MAX && self.asked.is_empty()
    }

    /// Whether there is something to do at `now`.
    #[inline]
    pub fn is_due(&self, now: Nanos) -> bool {
        self.search_at <= now.0 || !self.asked.is_empty()
    }

    /// Begins a duty cycle, which makes a bounded number of comparisons.
    #[inline]
    pub fn begin_cycle(&mut self) {
        self.budget = CANCEL_COMPARISONS_PER_CYCLE;
    }

    /// Returns the next cancel, which becomes the event `sequence` at `now`. None when there is nothing to do
    /// at `now`, or the duty cycle has made its comparisons: see [`PendingCancels::is_due`].
    pub fn next(&mut self, risk: &Risk, sequence: Sequence, now: Nanos) -> Option<Cancel> {
        let orders = &risk.ledger.orders;
        while let Some(asked) = self.asked.pop() {
            let slot = orders.find_sequence(asked);
            if let Some(entry) = slot.map(|slot| orders.at(slot)).filter(|entry| entry.asked_by != 0) {
                return Some(cancel(entry, entry.asked_by, sequence, now));
            }
        }
        if self.search_at > now.0 {
            return None;
        }
        if self.left == 0 {
            self.search(risk);
        }
        let cost = self.switches.len().max(1);
        while self.left > 0 {
            self.budget = self.budget.checked_sub(cost)?;
            let slot = if self.at < orders.capacity() { self.at } else { 0 };
            (self.at, self.left) = (slot + 1, self.left - 1);
            if let Some(cause) = self.visit(orders.at(slot as u32), now) {
                // A quote's other leg is cancelled with it.
                return Some(cancel(orders.at(slot as u32), cause, sequence, now));
            }
        }
        self.end_search(now);
        None
    }

    /// Returns the cause of a cancel of the order in a slot, if it is to be cancelled now.
    fn visit(&mut self, entry: &Entry, now: Nanos) -> Option<u64> {
        let is_open = entry.sequence != 0;
        let mut cause = (is_open && entry.asked_by != 0).then_some(entry.asked_by);
        for switch in &mut self.switches {
            let is_first = switch.unsearched > 0;
            switch.unsearched = switch.unsearched.saturating_sub(1);
            if !is_open || !switch.covers(entry) {
                continue;
            }
            switch.is_working = true;
            let is_new = is_first && !entry.is_cancelling;
            if cause.is_none() && (is_new || !switch.is_released() && now.0 >= retry_at(entry)) {
                cause = Some(switch.cause);
            }
        }
        cause
    }

    /// Keeps the switches in whose scope something works, and sets when the next search begins.
    fn end_search(&mut self, now: Nanos) {
        self.switches.retain(|switch| switch.is_working && !switch.is_released());
        self.switches.iter_mut().for_each(|switch| switch.is_working = false);
        self.search_at =
            if self.switches.is_empty() { u64::MAX } else { now.0.saturating_add(CANCEL_SEARCH_INTERVAL.0) };
    }
}

/// When an order may be cancelled again.
fn retry_at(entry: &Entry) -> u64 {
    let Some(doublings) = entry.cancels.checked_sub(1) else { return 0 };
    let delay = CANCEL_RETRY_DELAY.0 << doublings.min(CANCEL_DOUBLINGS_MAX);
    let delay = if entry.is_cancelling { delay.max(CANCEL_SILENCE.0) } else { delay };
    entry.cancelled_at.saturating_add(delay)
}

/// The cancel of an order or of both sides of a quote.
fn cancel(entry: &Entry, cause: u64, sequence: Sequence, now: Nanos) -> Cancel {
    let owner = &entry.owner;
    // The event's sequence identifies the request: no strategy uses ids that small.
    let (client_order_id, cause) = (sequence.0.into(), cause.into());
    if entry.is_quote {
        return Cancel::Quote(QuoteCancel {
            publisher_sequence: 0.into(),
            publisher: 0.into(),
            strategy: owner.strategy.into(),
            instrument: owner.instrument.into(),
            cause,
            client_order_id,
            original_order_id: entry.key.client_order_id.into(),
            decision_time: now.0.into(),
            account: owner.account.into(),
            trader: owner.trader.into(),
            release_watermark: ReleaseWatermark::DURABLE,
            ..QuoteCancel::NULL
        });
    }
    debug_assert!(entry.side != Side::NONE, "an order has a side");
    Cancel::Order(CancelOrder {
        publisher_sequence: 0.into(),
        publisher: 0.into(),
        strategy: owner.strategy.into(),
        instrument: owner.instrument.into(),
        cause,
        client_order_id,
        cancelled_order_id: entry.key.client_order_id.into(),
        decision_time: now.0.into(),
        account: owner.account.into(),
        client: owner.client.into(),
        trader: owner.trader.into(),
        desk: owner.desk.into(),
        side: entry.side,
        initiator: Initiator::FIRM,
        release_watermark: ReleaseWatermark::DURABLE,
        ..CancelOrder::NULL
    })
}
