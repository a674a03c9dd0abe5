//! Orders that depend on each other: [`OrderPair`] (an execution of one cancels or reduces the other) and
//! [`Bracket`] (an entry order whose executions are protected by such pairs).
//!
//! They are implemented in the strategy, not at the venue: everything they send is an ordinary order or
//! cancel on the log, with its cause. Keep one in the strategy's state, pass every report to it, and write it
//! into the snapshot. They are pure, of fixed size, and do not allocate.
//!
//! Between an execution at the venue and the resulting cancel, the other order may be executed as well. No
//! client can prevent that; [`OrderPair::excess`] reports it.

mod bracket;
#[cfg(test)]
mod tests;

pub use bracket::{BRACKET_PAIRS_MAX, Bracket, BracketExits};

use crate::order::{Order, OrderState};
use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::Context;
use stele_wire::Quantity;

/// The effect of an execution of one order on the other (FIX tag 1385, ContingencyType).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contingency {
    /// One cancels the other: any execution cancels the other order (FIX 1).
    OneCancelsOther,
    /// One updates the other: the executed quantity is removed from the other order (FIX 3), so that both
    /// together execute the quantity of one.
    OneUpdatesOther,
}

/// Two orders of the same quantity that depend on each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderPair {
    contingency: Contingency,
    quantity: u64,
    legs: [Leg; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Leg {
    id: u64,
    executed: u64,
    /// Quantity removed by cancels.
    cancelled: u64,
    is_done: bool,
    /// A cancel is pending.
    is_asked: bool,
}

impl Leg {
    fn new(id: u64) -> Self {
        Self { id, executed: 0, cancelled: 0, is_done: false, is_asked: false }
    }

    fn left(&self, quantity: u64) -> u64 {
        if self.is_done { 0 } else { quantity.saturating_sub(self.executed).saturating_sub(self.cancelled) }
    }
}

impl OrderPair {
    /// Sends both orders. Returns `None`, with no order working, when their quantities differ or either could
    /// not be sent; if only the first was sent, it is cancelled.
    pub fn send(
        contingency: Contingency,
        first: Order,
        second: Order,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let quantity = first.quantity().0;
        if second.quantity().0 != quantity {
            return None;
        }
        let first = context.send(first)?;
        let Some(second) = context.send(second) else {
            context.cancel(first);
            return None;
        };
        Some(Self { contingency, quantity, legs: [Leg::new(first), Leg::new(second)] })
    }

    /// The client order ids of both orders.
    pub fn ids(&self) -> [u64; 2] {
        self.legs.map(|leg| leg.id)
    }

    /// The quantity of an order of the pair that remains open; 0 for any other order.
    pub fn left(&self, client_order_id: u64) -> Quantity {
        let leg = self.legs.iter().find(|leg| leg.id == client_order_id);
        Quantity(leg.map_or(0, |leg| leg.left(self.quantity)))
    }

    /// Whether both orders are done.
    pub fn is_done(&self) -> bool {
        self.legs.iter().all(|leg| leg.left(self.quantity) == 0)
    }

    /// The quantity executed of both orders together.
    pub fn executed(&self) -> Quantity {
        Quantity(self.legs.iter().map(|leg| leg.executed).sum())
    }

    /// The quantity executed beyond the quantity of one order, because both were executed before a cancel
    /// reached the venue.
    pub fn excess(&self) -> Quantity {
        Quantity(self.executed().0.saturating_sub(self.quantity))
    }

    /// Updates the pair by a report, and sends the cancel that follows from it. Returns whether the report is
    /// about an order of the pair. A cancel that could not be sent because a limit was reached is sent with
    /// the next report about either order.
    ///
    /// When an order of the pair ends without an execution (rejected, expired, or cancelled by someone else),
    /// the other stays as it is.
    pub fn on_report(&mut self, report: &OrderReport, context: &mut Context<'_>) -> bool {
        let Some(at) = self.legs.iter().position(|leg| leg.id == report.client_order_id) else {
            return false;
        };
        let leg = &mut self.legs[at];
        match report.kind {
            ReportKind::Filled => leg.executed += report.quantity.map_or(0, |quantity| quantity.0),
            ReportKind::Cancelled => {
                leg.cancelled += report.quantity.map_or(0, |quantity| quantity.0);
                leg.is_asked = false;
            }
            ReportKind::CancelRejected => leg.is_asked = false,
            _ => {}
        }
        leg.is_done |= report.is_done();
        [0, 1].into_iter().for_each(|at| self.settle(at, context));
        true
    }

    /// Cancels the part of an order that the executions of the other make redundant.
    fn settle(&mut self, at: usize, context: &mut Context<'_>) {
        let other = self.legs[1 - at].executed;
        let quantity = self.quantity;
        let leg = &mut self.legs[at];
        let left = leg.left(quantity);
        let surplus = match self.contingency {
            Contingency::OneCancelsOther if other > 0 => left,
            Contingency::OneCancelsOther => 0,
            Contingency::OneUpdatesOther => {
                left.saturating_sub(quantity.saturating_sub(other).saturating_sub(leg.executed))
            }
        };
        if surplus > 0 && !leg.is_asked {
            leg.is_asked = if surplus == left {
                context.cancel(leg.id)
            } else {
                context.reduce(leg.id, Quantity(surplus))
            };
        }
    }

    /// Cancels both orders.
    pub fn cancel(&mut self, context: &mut Context<'_>) {
        for leg in &mut self.legs {
            let is_open = context
                .orders()
                .get(leg.id)
                .is_some_and(|order| matches!(order.state, OrderState::Sent | OrderState::Working));
            if is_open && context.cancel(leg.id) {
                leg.is_asked = true;
            }
        }
    }

    /// Appends the state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(u64::from(self.contingency == Contingency::OneUpdatesOther));
        out.put_u64(self.quantity);
        for leg in &self.legs {
            [leg.id, leg.executed, leg.cancelled, leg.is_done.into(), leg.is_asked.into()]
                .into_iter()
                .for_each(|value| out.put_u64(value));
        }
    }

    /// Reads the pair that [`OrderPair::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes were not written by [`OrderPair::snapshot`].
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let contingency = match reader.at_most("contingency", 1)? {
            0 => Contingency::OneCancelsOther,
            _ => Contingency::OneUpdatesOther,
        };
        let quantity = reader.u64()?;
        let mut leg = || -> Result<Leg, RestoreError> {
            Ok(Leg {
                id: reader.u64()?,
                executed: reader.u64()?,
                cancelled: reader.u64()?,
                is_done: reader.at_most("flag of a finished order", 1)? == 1,
                is_asked: reader.at_most("flag of a pending cancel", 1)? == 1,
            })
        };
        Ok(Self { contingency, quantity, legs: [leg()?, leg()?] })
    }
}
