//! Orders with a queue position in the replayed market.

use crate::matching::MatchingOrder;
use std::ops::{Deref, DerefMut};

/// An order that rests or waits for a stop price, with its queue position in the replayed market.
/// Dereferences to the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resting {
    pub(super) order: MatchingOrder,
    /// The quantity that the market displays ahead of it at its price.
    pub(super) ahead: u64,
    /// The quantity that its level displayed at the last update.
    pub(super) displayed: u64,
    /// The quantity that was executed at its price since then.
    pub(super) executed: u64,
}

impl Resting {
    /// Creates a resting order at the back of the queue of a level that displays `displayed`.
    pub(super) fn at_back(order: MatchingOrder, displayed: u64) -> Self {
        Self { order, ahead: displayed, displayed, executed: 0 }
    }
}

impl Deref for Resting {
    type Target = MatchingOrder;

    fn deref(&self) -> &MatchingOrder {
        &self.order
    }
}

impl DerefMut for Resting {
    fn deref_mut(&mut self) -> &mut MatchingOrder {
        &mut self.order
    }
}
