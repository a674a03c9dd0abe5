//! Indicators of the best bid and offer: order-flow imbalance and microprice.

use crate::book::{Book, Level, weighted_mid};
use crate::operators::{Number, Operator, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::{Nanos, Price};

/// The best bid and the best offer (the touch).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Touch {
    /// The best bid, if there is one.
    pub bid: Option<Level>,
    /// The best offer, if there is one.
    pub ask: Option<Level>,
}

impl Touch {
    /// The best bid and offer of a book.
    #[inline]
    pub fn of(book: &Book) -> Self {
        Self { bid: book.bid(), ask: book.ask() }
    }
}

impl StateValue for Touch {
    fn put(&self, out: &mut Vec<u8>) {
        (self.bid, self.ask).put(out);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let (bid, ask) = StateValue::take(reader)?;
        Ok(Self { bid, ask })
    }
}

/// Microprice: the [`weighted_mid`] of the best bid and offer, nearer to the side with less quantity. Emitted
/// when both sides have a level.
///
/// Stoikov's micro-price (The micro-price: a high-frequency estimator of future prices, Quantitative Finance
/// 18, 2018) is a different indicator: it adjusts the mid by imbalance and spread as estimated from the
/// venue's history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Microprice;

impl State for Microprice {
    fn reset(&mut self) {}

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl Operator<Touch> for Microprice {
    type Out = Price;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: Touch, emit: &mut impl FnMut(Nanos, Price)) {
        if let (Some(bid), Some(ask)) = (input.bid, input.ask)
            && let Some(price) = weighted_mid(bid, ask)
        {
            emit(at, price);
        }
    }
}

/// Order-flow imbalance of one change of the best bid and offer, in units of quantity: the quantity that
/// buyers added minus the quantity that sellers added, `e = [b′ ≥ b] q′ᵇ − [b′ ≤ b] qᵇ − [a′ ≤ a] q′ᵃ + [a′ ≥
/// a] qᵃ` for bid `b`, offer `a` and their quantities before the change, and with `′` after it (Cont, Kukanov
/// and Stoikov, The Price Impact of Order Book Events, Journal of Financial Econometrics 12, 2014, section
/// 2). Emitted from the second input on; the sum over a window is the imbalance of the window.
///
/// An empty side counts as one with quantity 0 at a price worse than any other.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrderFlowImbalance {
    last: Option<Touch>,
}

/// The gain of one side; `better` says whether the first price is better than the second.
#[inline]
fn gained(before: Option<Level>, after: Option<Level>, better: impl Fn(Price, Price) -> bool) -> i128 {
    let quantity = |level: Level| i128::from(level.quantity.0);
    match (before, after) {
        (None, None) => 0,
        (None, Some(after)) => quantity(after),
        (Some(before), None) => -quantity(before),
        (Some(before), Some(after)) if better(after.price, before.price) => quantity(after),
        (Some(before), Some(after)) if better(before.price, after.price) => -quantity(before),
        (Some(before), Some(after)) => quantity(after) - quantity(before),
    }
}

impl State for OrderFlowImbalance {
    fn reset(&mut self) {
        self.last = None;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.last.put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.last = StateValue::take(reader)?;
        Ok(())
    }
}

impl Operator<Touch> for OrderFlowImbalance {
    type Out = i64;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: Touch, emit: &mut impl FnMut(Nanos, i64)) {
        if let Some(last) = self.last.replace(input) {
            let bids = gained(last.bid, input.bid, |one, other| one > other);
            let asks = gained(last.ask, input.ask, |one, other| one < other);
            emit(at, i64::from_units(bids - asks));
        }
    }
}
