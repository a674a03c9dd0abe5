//! Orders and cancels that never leave, until that is logged.
//!
//! | dropped | on the log |
//! |---|---|
//! | an order or a quote, by a cancel or a kill switch | `OrderDropped`, `OrderCancelled` by the member |
//! | an order or a quote, because the gateway has no room | `OrderDropped`, `OrderRejected` (`Capacity`) |
//! | a replacement | `OrderDropped`, `ReplaceRejected`: the order that it was to replace keeps its state |
//! | a cancel of an order that never left | `OrderDropped` |
//! | a cancel, because the gateway has no room | `OrderDropped`, `CancelRejected` (`Capacity`) |
//!
//! What one cancel causes is committed together. A drop is remembered until the gateway has read it on the
//! log: a cancel that was sequenced before that names an order which the venue never got.

use crate::bounds::DROPS_MAX;
use crate::doubt::{ANSWER_LENGTH_MAX, answer};
use crate::lane::{OrderName, Waiting, WaitingKind};
use std::cell::Cell;
use std::collections::VecDeque;
use stele_bus::Event;
use stele_risk::OrderTerms;
use stele_wire::messages::{
    CancelOrder, CancelRejected, Check, DropReason, MassCancel, OrderCancelled, OrderDropped, OrderEvent,
    OrderRejected, OrderStatus, Originator, QuoteCancel, ReplaceRejected, Side,
};
use stele_wire::{Nanos, Sequence};
use zerocopy::IntoBytes;

/// Why something is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DropCause {
    /// The cancel or the kill switch; 0 for none.
    pub(crate) event: Sequence,
    pub(crate) reason: DropReason,
    /// The cancel that the end of the order answers; 0 for none.
    pub(crate) request: Sequence,
}

/// An order or a cancel that never leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    pub(crate) sequence: Sequence,
    kind: WaitingKind,
    pub(crate) cause: DropCause,
    strategy: u16,
    account: u32,
    instrument: u32,
    side: Side,
    /// The order itself; of a cancel, the order that it names.
    client_order_id: u64,
    /// Of a replacement, the order to replace; of a cancel, its own id.
    other_id: u64,
    venue_order_id: u64,
    cumulative: u64,
    quantity: u64,
    /// Whether the order to replace never left either.
    is_replaced_gone: bool,
    /// Whether it is the last one that its cause dropped.
    ends_group: bool,
}

impl Dropped {
    pub(crate) fn new(waiting: &Waiting, event: &Event<'_>, cause: DropCause) -> Self {
        let OrderName { strategy, account, id, .. } = waiting.name;
        let frame = event.frame();
        let (instrument, side, quantity, other_id) =
            if let Some(terms) = OrderTerms::read(event.template_id(), event.body()) {
                let quantity = terms.legs().iter().map(|leg| leg.quantity.0).max().unwrap_or(0);
                (terms.owner.instrument, terms.side(), quantity, waiting.replaced)
            } else if let Some(cancel) = frame.message::<CancelOrder>() {
                (cancel.instrument.get(), cancel.side, 0, cancel.client_order_id.get())
            } else if let Some(cancel) = frame.message::<QuoteCancel>() {
                (cancel.instrument.get(), Side::NONE, 0, cancel.client_order_id.get())
            } else if let Some(cancel) = frame.message::<MassCancel>() {
                (cancel.instrument.get(), cancel.side, 0, cancel.client_order_id.get())
            } else {
                (0, Side::NONE, 0, 0)
            };
        Self {
            sequence: waiting.sequence,
            kind: waiting.kind,
            cause,
            strategy,
            account,
            instrument,
            side,
            client_order_id: id,
            other_id,
            venue_order_id: 0,
            cumulative: 0,
            quantity,
            is_replaced_gone: false,
            ends_group: true,
        }
    }

    fn is_order(&self) -> bool {
        matches!(self.kind, WaitingKind::Order | WaitingKind::Replacement | WaitingKind::Quote)
    }

    /// Whether it is the order with this name.
    pub(crate) fn is(&self, name: OrderName) -> bool {
        self.is_order() && self.name() == name
    }

    fn name(&self) -> OrderName {
        OrderName {
            strategy: self.strategy,
            account: self.account,
            id: self.client_order_id,
            is_quote: self.kind == WaitingKind::Quote,
        }
    }

    fn replaced(&self) -> Option<OrderName> {
        (self.is_order() && self.other_id != 0).then_some(OrderName { id: self.other_id, ..self.name() })
    }

    /// The check that a refusal because of this drop names.
    fn check(&self) -> Check {
        match self.cause.reason {
            DropReason::KILL_SWITCH => Check::KILL_SWITCH,
            DropReason::NO_ROOM => Check::CAPACITY,
            _ => Check::UNKNOWN_ORDER,
        }
    }

    fn dropped(&self, gateway: u16, now: Nanos) -> OrderDropped {
        OrderDropped {
            order_sequence: self.sequence.0.into(),
            cause: self.cause.event.0.into(),
            dropped_time: now.0.into(),
            strategy: self.strategy.into(),
            gateway: gateway.into(),
            account: self.account.into(),
            reason: self.cause.reason,
            ..OrderDropped::NULL
        }
    }

    /// Returns the report that ends it, if it needs one: its template and its body.
    fn end<'a>(&self, buffer: &'a mut [u8; ANSWER_LENGTH_MAX]) -> Option<(u16, &'a [u8])> {
        const ROOM: &str = "the buffer is as long as the longest answer";
        let is_full = self.cause.reason == DropReason::NO_ROOM;
        match self.kind {
            WaitingKind::Replacement => {
                let (leaves, status) = match self.is_replaced_gone {
                    true => (0, OrderStatus::DONE),
                    false => (u64::MAX, OrderStatus::ACTIVE),
                };
                let rejected = answer!(ReplaceRejected of self, {
                    client_order_id: self.other_id.into(),
                    request_order_id: self.client_order_id.into(),
                    request_sequence: self.sequence.0.into(),
                    leaves_quantity: leaves.into(),
                    status: status,
                    check: self.check(),
                });
                Some((ReplaceRejected::TEMPLATE_ID, rejected.encode(buffer, b"").expect(ROOM)))
            }
            WaitingKind::Order | WaitingKind::Quote if is_full => {
                let rejected = answer!(OrderRejected of self, { check: self.check() });
                Some((OrderRejected::TEMPLATE_ID, rejected.encode(buffer, b"").expect(ROOM)))
            }
            WaitingKind::Order | WaitingKind::Quote => {
                let cancelled = answer!(OrderCancelled of self, {
                    event: OrderEvent::CANCELLED_BY_MEMBER,
                    cancelled_quantity: self.quantity.into(),
                    request_sequence: self.cause.request.0.into(),
                });
                let block = &mut buffer[..size_of::<OrderCancelled>()];
                block.copy_from_slice(cancelled.as_bytes());
                Some((OrderCancelled::TEMPLATE_ID, block))
            }
            WaitingKind::Cancel | WaitingKind::QuoteCancel | WaitingKind::MassCancel if is_full => {
                let rejected = answer!(CancelRejected of self, {
                    order_sequence: 0.into(),
                    request_order_id: self.other_id.into(),
                    request_sequence: self.sequence.0.into(),
                    leaves_quantity: u64::MAX.into(),
                    status: OrderStatus::UNKNOWN,
                    check: self.check(),
                });
                Some((CancelRejected::TEMPLATE_ID, rejected.encode(buffer, b"").expect(ROOM)))
            }
            WaitingKind::Cancel | WaitingKind::QuoteCancel | WaitingKind::MassCancel => None,
        }
    }
}

/// The drops that are not on the log yet, in the order in which they were decided. Bounded; allocates only
/// when it is created.
#[derive(Clone, Debug)]
pub(crate) struct Drops {
    entries: VecDeque<Dropped>,
    /// So many of the first entries were passed to the sequencer and are not on the log yet.
    passed: usize,
    /// Whether the first message of the next entry is staged.
    is_begun: bool,
    /// The index that the last search found.
    found: Cell<usize>,
}

impl Drops {
    pub(crate) fn new() -> Self {
        Self { entries: VecDeque::with_capacity(DROPS_MAX), passed: 0, is_begun: false, found: Cell::new(0) }
    }

    /// How many were not passed to the sequencer.
    pub(crate) fn unlogged(&self) -> usize {
        self.entries.len() - self.passed
    }

    /// Adds a drop. The oldest one that the sequencer has is forgotten when there is no room.
    ///
    /// # Panics
    /// When more than [`DROPS_MAX`] are unlogged.
    pub(crate) fn push(&mut self, dropped: Dropped) {
        if self.entries.len() == DROPS_MAX {
            assert!(self.passed > 0, "the queue asks for room first");
            self.entries.pop_front();
            self.passed -= 1;
        }
        self.entries.push_back(dropped);
    }

    /// Makes one group of the newest `count` drops.
    pub(crate) fn group(&mut self, count: usize) {
        let first = self.entries.len() - count;
        self.entries.range_mut(first..).rev().skip(1).for_each(|dropped| dropped.ends_group = false);
    }

    /// The newest `count` drops.
    pub(crate) fn newest(&self, count: usize) -> impl Iterator<Item = &Dropped> {
        self.entries.range(self.entries.len() - count..)
    }

    /// Notes for each of the newest `count` replacements whether the order that it replaces was dropped, too.
    pub(crate) fn settle_replacements(&mut self, count: usize) {
        for index in self.entries.len() - count..self.entries.len() {
            let Dropped { sequence, .. } = self.entries[index];
            let replaced = self.entries[index].replaced().and_then(|name| self.find(name));
            self.entries[index].is_replaced_gone = replaced.is_some_and(|found| found.sequence != sequence);
        }
    }

    /// The order with this name, if it was dropped and that is not on the log yet.
    pub(crate) fn find(&self, name: OrderName) -> Option<&Dropped> {
        // The cancels of a kill switch come in the order of the orders: each search begins where the one
        // before it ended.
        let from = self.found.get().min(self.entries.len());
        let is_found = |index: &usize| self.entries[*index].is(name);
        let index = (from..self.entries.len()).chain(0..from).find(is_found)?;
        self.found.set(index);
        Some(&self.entries[index])
    }

    /// The order that a dropped replacement was to replace.
    pub(crate) fn replaced_by(&self, name: OrderName) -> Option<Option<OrderName>> {
        self.find(name).map(Dropped::replaced)
    }

    /// The gateway has read on the log that this order was dropped.
    pub(crate) fn on_logged(&mut self, order: Sequence) {
        let mut passed = self.entries.iter().take(self.passed);
        let Some(index) = passed.position(|dropped| dropped.sequence == order) else { return };
        self.entries.drain(..=index);
        self.passed -= index + 1;
    }

    /// Returns the next message for the log: its template and its body, which is written into `buffer`.
    pub(crate) fn message<'a>(
        &self,
        gateway: u16,
        now: Nanos,
        buffer: &'a mut [u8; ANSWER_LENGTH_MAX],
    ) -> Option<(u16, &'a [u8])> {
        let next = self.entries.get(self.passed)?;
        if self.is_begun {
            return Some(next.end(buffer).expect("only what has an end is begun"));
        }
        let block = &mut buffer[..size_of::<OrderDropped>()];
        block.copy_from_slice(next.dropped(gateway, now).as_bytes());
        Some((OrderDropped::TEMPLATE_ID, block))
    }

    /// The message that [`Drops::message`] returned is staged. Returns whether it is the last of its group.
    pub(crate) fn on_staged(&mut self) -> bool {
        let next = self.entries[self.passed];
        if !self.is_begun && next.end(&mut [0; ANSWER_LENGTH_MAX]).is_some() {
            self.is_begun = true;
            return false;
        }
        self.is_begun = false;
        self.passed += 1;
        next.ends_group
    }
}
