//! An order at its place in the replayed market.

use crate::matching::Order;
use std::ops::{Deref, DerefMut};

/// An order that rests, or waits behind a stop, and where the replayed market has it. Reads as its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resting {
    pub(super) order: Order,
    /// What the market displays in front of it at its price.
    pub(super) ahead: u64,
    /// What its level displayed when it was last looked at.
    pub(super) displayed: u64,
    /// What was executed at its price since.
    pub(super) executed: u64,
}

impl Resting {
    /// Behind everything that its level displays.
    pub(super) fn behind(order: Order, displayed: u64) -> Self {
        Self { order, ahead: displayed, displayed, executed: 0 }
    }
}

impl Deref for Resting {
    type Target = Order;

    fn deref(&self) -> &Order {
        &self.order
    }
}

impl DerefMut for Resting {
    fn deref_mut(&mut self) -> &mut Order {
        &mut self.order
    }
}
