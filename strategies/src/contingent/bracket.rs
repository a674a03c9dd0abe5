//! An entry order whose executions are protected immediately.

use super::{Contingency, OrderPair};
use crate::order::Order;
use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::Context;
use stele_wire::messages::Side;
use stele_wire::{Price, Quantity};

/// The number of pairs of a bracket that work at the same time. Executions beyond them are protected as
/// earlier pairs end.
pub const BRACKET_PAIRS_MAX: usize = 8;

/// The prices at which a position is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BracketExits {
    /// Limit price of the order that takes the profit.
    pub profit: Price,
    /// Stop price of the order that limits the loss; a market order once it is reached.
    pub loss: Price,
}

/// An entry order and, for each of its executions, an [`OrderPair`] of a limit order that takes the profit
/// and a stop order that limits the loss, where each updates the other. The pairs carry the entry's client
/// order id as their link (RTS 24, field 46) and as their parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bracket {
    entry: u64,
    instrument: u32,
    /// Side of the exit orders.
    side: Side,
    exits: BracketExits,
    is_entered: bool,
    /// Quantity of the entry that is executed and not yet protected.
    unprotected: u64,
    pairs: [Option<OrderPair>; BRACKET_PAIRS_MAX],
}

impl Bracket {
    /// Sends the entry order. Returns `None`, and sends nothing, when the exits are on the wrong sides (the
    /// profit price of a purchase must be above its loss price, that of a sale below) or the order cannot be
    /// sent.
    pub fn send(entry: Order, exits: BracketExits, context: &mut Context<'_>) -> Option<Self> {
        let side = match entry.side() {
            Side::BUY if exits.loss < exits.profit => Side::SELL,
            Side::SELL if exits.profit < exits.loss => Side::BUY,
            _ => return None,
        };
        let instrument = entry.instrument();
        let entry = context.send(entry)?;
        let pairs = [None; BRACKET_PAIRS_MAX];
        Some(Self { entry, instrument, side, exits, is_entered: false, unprotected: 0, pairs })
    }

    /// The client order id of the entry order.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The working pairs.
    pub fn pairs(&self) -> impl Iterator<Item = &OrderPair> {
        self.pairs.iter().flatten()
    }

    /// The executed quantity of the entry whose exit orders are not sent yet.
    pub fn unprotected(&self) -> Quantity {
        Quantity(self.unprotected)
    }

    /// Whether entry and exits are done and nothing is left to protect.
    pub fn is_done(&self) -> bool {
        self.is_entered && self.unprotected == 0 && self.pairs().next().is_none()
    }

    /// Updates the bracket by a report, and sends the orders that follow from it. Returns whether the report
    /// is about an order of the bracket.
    pub fn on_report(&mut self, report: &OrderReport, context: &mut Context<'_>) -> bool {
        let mut is_ours = report.client_order_id == self.entry;
        if is_ours {
            if report.kind == ReportKind::Filled {
                self.unprotected += report.quantity.map_or(0, |quantity| quantity.0);
            }
            self.is_entered |= report.is_done();
        }
        for slot in &mut self.pairs {
            if let Some(pair) = slot {
                is_ours |= pair.on_report(report, context);
                if pair.is_done() {
                    *slot = None;
                }
            }
        }
        if is_ours {
            self.protect(context);
        }
        is_ours
    }

    /// Sends the exit orders of unprotected executions.
    fn protect(&mut self, context: &mut Context<'_>) {
        if self.unprotected == 0 {
            return;
        }
        let Some(free) = self.pairs.iter_mut().find(|slot| slot.is_none()) else { return };
        let quantity = Quantity(self.unprotected);
        let part = |order: Order| order.child_of(self.entry).linked(self.entry);
        let profit = part(Order::limit(self.instrument, self.side, quantity, self.exits.profit));
        let loss = part(Order::market(self.instrument, self.side, quantity).stop(self.exits.loss));
        *free = OrderPair::send(Contingency::OneUpdatesOther, profit, loss, context);
        if free.is_some() {
            self.unprotected = 0;
        }
    }

    /// Cancels the entry and every exit order. The position stays open, without protection.
    pub fn cancel(&mut self, context: &mut Context<'_>) {
        self.unprotected = 0;
        if !self.is_entered {
            context.cancel(self.entry);
        }
        self.pairs.iter_mut().flatten().for_each(|pair| pair.cancel(context));
    }

    /// Appends the state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        [self.entry, self.instrument.into(), self.side.0.into()]
            .into_iter()
            .for_each(|value| out.put_u64(value));
        out.put_i64(self.exits.profit.0);
        out.put_i64(self.exits.loss.0);
        out.put_u64(self.is_entered.into());
        out.put_u64(self.unprotected);
        out.put_u64(self.pairs().count() as u64);
        self.pairs().for_each(|pair| pair.snapshot(out));
    }

    /// Reads the bracket that [`Bracket::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes were not written by [`Bracket::snapshot`].
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut bracket = Self {
            entry: reader.u64()?,
            instrument: reader.at_most("instrument", u32::MAX.into())? as u32,
            side: Side(reader.at_most("side", u8::MAX.into())? as u8),
            exits: BracketExits { profit: Price(reader.i64()?), loss: Price(reader.i64()?) },
            is_entered: reader.at_most("flag of a finished entry", 1)? == 1,
            unprotected: reader.u64()?,
            pairs: [None; BRACKET_PAIRS_MAX],
        };
        let count = reader.at_most("pairs of a bracket", BRACKET_PAIRS_MAX as u64)? as usize;
        for slot in &mut bracket.pairs[..count] {
            *slot = Some(OrderPair::restore(reader)?);
        }
        Ok(bracket)
    }
}
