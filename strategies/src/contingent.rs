//! Orders that depend on one another: [`OrderPair`] (one cancels or updates the other) and [`Bracket`] (an entry whose
//! executions are protected by pairs).
//!
//! They live in the strategy, not at the venue: what they send are orders and cancels like any other, on the log with
//! their cause. Keep one in the strategy's state, hand it every report, and put it into the snapshot. Pure, of fixed
//! size, nothing is allocated.
//!
//! Between an execution at the venue and the cancel that answers it the other order may be executed too; no client can
//! rule that out, [`OrderPair::excess`] tells of it.

mod bracket;
#[cfg(test)]
mod tests;

pub use bracket::{BRACKET_PAIRS_MAX, Bracket, BracketExits};

use crate::order::{Order, OrderState};
use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::Context;
use stele_wire::Quantity;

/// What an execution of one order does to the other (FIX tag 1385, ContingencyType).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contingency {
    /// Any execution cancels the other (FIX 1).
    OneCancelsOther,
    /// The other loses the executed quantity (FIX 3), so that both together execute the quantity of one.
    OneUpdatesOther,
}

/// Two orders of one quantity.
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
    /// Taken off by cancels.
    cancelled: u64,
    is_done: bool,
    /// A cancel was sent and is not answered.
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
    /// Sends both orders. None, and nothing works, when they are not of one quantity or either could not be sent;
    /// the first is cancelled again if it was.
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

    /// The client order ids of both.
    pub fn ids(&self) -> [u64; 2] {
        self.legs.map(|leg| leg.id)
    }

    /// What is left of an order of the pair; 0 of any other.
    pub fn left(&self, client_order_id: u64) -> Quantity {
        let leg = self.legs.iter().find(|leg| leg.id == client_order_id);
        Quantity(leg.map_or(0, |leg| leg.left(self.quantity)))
    }

    /// Whether neither works any longer.
    pub fn is_done(&self) -> bool {
        self.legs.iter().all(|leg| leg.left(self.quantity) == 0)
    }

    /// What was executed of both.
    pub fn executed(&self) -> Quantity {
        Quantity(self.legs.iter().map(|leg| leg.executed).sum())
    }

    /// What was executed beyond the quantity of one: both were met before a cancel could reach the venue.
    pub fn excess(&self) -> Quantity {
        Quantity(self.executed().0.saturating_sub(self.quantity))
    }

    /// Takes in what became of an order and sends what follows from it. Says whether it was one of the pair. A cancel
    /// that could not be sent, for a bound was reached, is sent with the next report of either.
    ///
    /// An order of the pair that goes without having been executed (refused, expired, cancelled by somebody else)
    /// leaves the other as it is.
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

    /// Asks for what the other's executions leave nothing of.
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

    /// Asks for both to be cancelled.
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

    /// The pair that [`OrderPair::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not of such a snapshot.
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
                is_done: reader.at_most("whether an order is done", 1)? == 1,
                is_asked: reader.at_most("whether a cancel is asked for", 1)? == 1,
            })
        };
        Ok(Self { contingency, quantity, legs: [leg()?, leg()?] })
    }
}
