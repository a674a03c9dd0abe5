//! The sizes of the tables of [`crate::Risk`], and how much of each is in use.
//!
//! On the hot path nothing grows: an order that needs an entry in a full table is refused with the check
//! `CAPACITY`. The capacity is not part of the state. A reader that only follows a log, such as a restart or
//! the thread for snapshots, has tables that [grow](crate::Risk::follower), and a session begins when the
//! state of the log [fits](crate::Risk::in_session) its capacity.

use crate::bounds::{RISK_CAPACITY_MAX, RISK_STRATEGIES_MAX};
use crate::table::Size;

/// The sizes of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RiskCapacity {
    /// Instruments that are defined or have limits.
    pub instruments: usize,
    /// Accounts that are defined, have limits or have executions.
    pub accounts: usize,
    /// Strategies.
    pub strategies: usize,
    /// Holdings: pairs of an account and an instrument that had an order or an execution.
    pub holdings: usize,
    /// Orders and legs of quotes that are open at once.
    pub open_orders: usize,
    /// The part of `open_orders` that one strategy may use. Orders without a strategy share one part.
    pub strategy_open_orders: usize,
    /// The part of `open_orders` that one account may use.
    pub account_open_orders: usize,
    /// The part of `holdings` that the orders of one strategy may create.
    pub strategy_holdings: usize,
}

impl Default for RiskCapacity {
    fn default() -> Self {
        Self {
            instruments: 32 << 10,
            accounts: 1 << 10,
            strategies: RISK_STRATEGIES_MAX,
            holdings: 16 << 10,
            open_orders: 16 << 10,
            strategy_open_orders: 8 << 10,
            account_open_orders: 16 << 10,
            strategy_holdings: 12 << 10,
        }
    }
}

/// The sizes of the tables of one state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) instruments: Size,
    pub(crate) accounts: Size,
    pub(crate) strategies: Size,
    pub(crate) holdings: Size,
    pub(crate) open_orders: Size,
}

impl Sizes {
    pub(crate) const GROWING: Self = Self {
        instruments: Size::Growing,
        accounts: Size::Growing,
        strategies: Size::Growing,
        holdings: Size::Growing,
        open_orders: Size::Growing,
    };

    pub(crate) fn fixed(capacity: &RiskCapacity) -> Self {
        Self {
            instruments: Size::Fixed(capacity.instruments),
            accounts: Size::Fixed(capacity.accounts),
            strategies: Size::Fixed(capacity.strategies),
            holdings: Size::Fixed(capacity.holdings),
            open_orders: Size::Fixed(capacity.open_orders),
        }
    }
}

/// A capacity that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CapacityError {
    /// A table has no entry, or more than the most.
    #[error("{name} is {found}, but it must be between 1 and {RISK_CAPACITY_MAX}")]
    Size {
        /// The name of the capacity.
        name: &'static str,
        /// Its value.
        found: usize,
    },
    /// A part is larger than its table.
    #[error("{name} is {found}, but the whole table, {whole}, has {most}")]
    Part {
        /// The name of the part.
        name: &'static str,
        /// Its value.
        found: usize,
        /// The name of the table.
        whole: &'static str,
        /// The size of the table.
        most: usize,
    },
}

impl RiskCapacity {
    /// The names of the capacities, with their values, in the order of the configuration.
    pub const fn values(&self) -> [(&'static str, usize); 8] {
        [
            ("instruments", self.instruments),
            ("accounts", self.accounts),
            ("strategies", self.strategies),
            ("holdings", self.holdings),
            ("open_orders", self.open_orders),
            ("strategy_open_orders", self.strategy_open_orders),
            ("account_open_orders", self.account_open_orders),
            ("strategy_holdings", self.strategy_holdings),
        ]
    }

    /// Checks that every table has a size that it can have, and that no part is larger than its table.
    ///
    /// # Errors
    /// [`CapacityError`].
    pub fn validate(&self) -> Result<(), CapacityError> {
        for (name, found) in self.values() {
            if !(1..=RISK_CAPACITY_MAX).contains(&found) {
                return Err(CapacityError::Size { name, found });
            }
        }
        let orders = ("open_orders", self.open_orders);
        let parts = [
            ("strategy_open_orders", self.strategy_open_orders, orders),
            ("account_open_orders", self.account_open_orders, orders),
            ("strategy_holdings", self.strategy_holdings, ("holdings", self.holdings)),
        ];
        match parts.into_iter().find(|(_, found, (_, most))| found > most) {
            Some((name, found, (whole, most))) => Err(CapacityError::Part { name, found, whole, most }),
            None => Ok(()),
        }
    }
}

/// How much of a table is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableUse {
    /// The name of its capacity.
    pub name: &'static str,
    /// The entries in use.
    pub used: usize,
    /// The size of the table.
    pub capacity: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_a_wrong_size_is_named() {
        let capacity = RiskCapacity::default();
        assert_eq!(capacity.validate(), Ok(()));
        assert!(capacity.strategy_open_orders < capacity.open_orders, "one strategy cannot fill the table");
        let empty = RiskCapacity { holdings: 0, ..capacity };
        assert_eq!(empty.validate(), Err(CapacityError::Size { name: "holdings", found: 0 }));
        let part = RiskCapacity { strategy_open_orders: 20_000, ..capacity };
        assert_eq!(
            part.validate().unwrap_err().to_string(),
            "strategy_open_orders is 20000, but the whole table, open_orders, has 16384"
        );
    }
}
