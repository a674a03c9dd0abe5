//! An entry order whose executions are protected at once.

use super::{Contingency, OrderPair};
use crate::order::Order;
use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::Context;
use stele_wire::messages::Side;
use stele_wire::{Price, Quantity};

/// Pairs of a bracket that work at once; what is executed beyond them is protected as they end.
pub const BRACKET_PAIRS_MAX: usize = 8;

/// Where a position is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BracketExits {
    /// Limit of the order that takes the profit.
    pub profit: Price,
    /// Stop price of the order that ends the loss; it takes any price once it is reached.
    pub loss: Price,
}

/// An entry order, and for each of its executions a [`OrderPair`] of a limit order that takes the profit and a stop that
/// ends the loss, of which one updates the other. The pairs carry the entry's client order id as their link (RTS 24,
/// field 46) and parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bracket {
    entry: u64,
    instrument: u32,
    /// Of the exits.
    side: Side,
    exits: BracketExits,
    is_entered: bool,
    /// Executed of the entry and not yet protected.
    unprotected: u64,
    pairs: [Option<OrderPair>; BRACKET_PAIRS_MAX],
}

impl Bracket {
    /// Sends the entry. None, and nothing is sent, when profit and loss lie on the wrong sides of each other (a
    /// purchase takes its profit above its loss, a sale below) or the order cannot be sent.
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

    /// Client order id of the entry.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The pairs that work.
    pub fn pairs(&self) -> impl Iterator<Item = &OrderPair> {
        self.pairs.iter().flatten()
    }

    /// What was executed of the entry and waits for its exits to be sent.
    pub fn unprotected(&self) -> Quantity {
        Quantity(self.unprotected)
    }

    /// Whether neither the entry nor an exit works, and nothing waits for one.
    pub fn is_done(&self) -> bool {
        self.is_entered && self.unprotected == 0 && self.pairs().next().is_none()
    }

    /// Takes in what became of an order and sends what follows from it. Says whether it was one of the bracket.
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

    /// Sends the exits of what has none.
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

    /// Asks for the entry and every exit to be cancelled. The position stays as it is, and nothing protects it.
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

    /// The bracket that [`Bracket::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not of such a snapshot.
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut bracket = Self {
            entry: reader.u64()?,
            instrument: reader.at_most("instrument", u32::MAX.into())? as u32,
            side: Side(reader.at_most("side", u8::MAX.into())? as u8),
            exits: BracketExits { profit: Price(reader.i64()?), loss: Price(reader.i64()?) },
            is_entered: reader.at_most("whether an entry is done", 1)? == 1,
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
