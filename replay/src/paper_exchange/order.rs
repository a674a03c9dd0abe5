//! An order that works on the paper exchange.

use stele_strategies::book::BookSide;

/// Whether an order of `side` with `limit` may trade at `price`. Without a limit it may trade at any.
pub(super) fn reaches(side: BookSide, limit: Option<i64>, price: i64) -> bool {
    match (side, limit) {
        (_, None) => true,
        (BookSide::Bid, Some(limit)) => price <= limit,
        (BookSide::Ask, Some(limit)) => price >= limit,
    }
}

/// Whose an order is. Owners do not meet each other, and do not take each other's liquidity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner {
    /// The strategy, 0 where the order comes from no strategy.
    pub strategy: u16,
    /// The account.
    pub account: u32,
}

/// A resting order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    pub(super) owner: Owner,
    pub(super) instrument: u32,
    pub(super) side: BookSide,
    pub(super) client_order_id: u64,
    pub(super) venue_order_id: u64,
    /// The event on the log that gave the order its present terms.
    pub(super) sequence: u64,
    /// None until an order with a limit rests: a market order never does.
    pub(super) limit: Option<i64>,
    /// Over the order's life, cancelled parts taken off: `cumulative` + `leaves` at all times.
    pub(super) quantity: u64,
    pub(super) cumulative: u64,
    /// What the market displays in front of it at its price.
    pub(super) ahead: u64,
    /// When it got its place in the queue.
    pub(super) priority_time: u64,
}

impl Order {
    /// Quantity still working.
    pub(super) fn leaves(&self) -> u64 {
        self.quantity - self.cumulative
    }
}
