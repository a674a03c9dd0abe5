//! The ledger of accounts: positions, open orders, and the credit that both use.
//!
//! Positions are kept at average cost. The *exposure* of a holding is the larger of its cost if every open
//! buy were executed and its cost if every open sell were executed:
//!
//! ```text
//! exposure = max(cost + open buys, −cost + open sells, 0)         cost > 0 long, < 0 short
//! ```
//! So an order that only closes a position adds nothing to the exposure, and an account that has used up its
//! credit can still close its positions. The credit used is the sum of the exposures.

use crate::bounds::{RISK_ACCOUNTS_MAX, RISK_HOLDINGS_MAX, RISK_STRATEGIES_MAX};
use crate::orders::{Ends, Entry, NIL, OrderKey, Orders, side_index};
use crate::rate::{Bucket, Rate};
use crate::table::Table;
use stele_wire::messages::Side;

/// An account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// The exposures of its holdings, 1e-9 of the currency.
    pub(crate) used: i128,
    /// The shard's part of its credit; `i64::MAX` when none was allotted.
    pub(crate) allotted: i64,
    pub(crate) open: u32,
    pub(crate) limits: u16,
    /// The beneficial owner; 0 when unknown.
    pub(crate) owner: u32,
    /// The first account of the same owner, which may be itself; 0 without an owner.
    pub(crate) lead: u32,
    /// Zeros when unknown.
    pub(crate) currency: [u8; 3],
    pub(crate) bucket: Bucket,
    pub(crate) rate: Rate,
}

impl Account {
    pub(crate) const NEW: Self = Self {
        used: 0,
        allotted: i64::MAX,
        open: 0,
        limits: 0,
        owner: 0,
        lead: 0,
        currency: [0; 3],
        bucket: Bucket::NEW,
        rate: Rate::NONE,
    };
}

impl Default for Account {
    fn default() -> Self {
        Self::NEW
    }
}

/// A strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Strategy {
    pub(crate) algorithm: u32,
    pub(crate) open: u32,
    pub(crate) limits: u16,
    pub(crate) bucket: Bucket,
    pub(crate) rate: Rate,
}

impl Strategy {
    pub(crate) const NEW: Self =
        Self { algorithm: 0, open: 0, limits: 0, bucket: Bucket::NEW, rate: Rate::NONE };
}

impl Default for Strategy {
    fn default() -> Self {
        Self::NEW
    }
}

/// The holding of an account in an instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) account: u32,
    /// Signed quantity: positive is long.
    pub(crate) position: i128,
    /// What the position cost, with its sign, 1e-9 of the currency.
    pub(crate) cost: i128,
    /// Quantity and value of the open buys, and of the open sells.
    pub(crate) open: [i128; 2],
    pub(crate) open_value: [i128; 2],
    /// The slot of its beneficial owner's resting orders in the instrument; [`NIL`] for none.
    resting: u32,
}

impl Default for Holding {
    fn default() -> Self {
        Self::NEW
    }
}

impl Holding {
    pub(crate) const NEW: Self =
        Self { account: 0, position: 0, cost: 0, open: [0; 2], open_value: [0; 2], resting: NIL };

    /// The position in the direction of `side` if every open order on it and `more` were executed.
    #[inline]
    pub(crate) fn worst(&self, side: usize, more: i128) -> i128 {
        let position = if side == 0 { self.position } else { -self.position };
        position + self.open[side] + more
    }

    /// The credit that it uses with `more` value of open orders on each side.
    #[inline]
    pub(crate) fn exposure_with(&self, more: [i128; 2]) -> i128 {
        let long = self.cost + self.open_value[0] + more[0];
        let short = self.open_value[1] + more[1] - self.cost;
        long.max(short).max(0)
    }

    #[inline]
    pub(crate) fn exposure(&self) -> i128 {
        self.exposure_with([0, 0])
    }

    /// Books a trade of `traded` (signed) that was worth `value`.
    fn trade(&mut self, traded: i128, value: i64) {
        let value = i128::from(value) * traded.signum();
        let (held, after) = (self.position, self.position + traded);
        if held.signum() * traded.signum() >= 0 {
            self.cost += value;
        } else if after.signum() * held.signum() >= 0 {
            self.cost -= share(self.cost, traded.abs(), held.abs());
        } else {
            self.cost = share(value, after.abs(), traded.abs());
        }
        self.position = after;
    }
}

/// `amount` × `part` / `whole`, rounded towards zero; less exact if the product overflows.
fn share(amount: i128, part: i128, whole: i128) -> i128 {
    match amount.checked_mul(part) {
        Some(product) => product / whole,
        None => (amount / whole).saturating_mul(part),
    }
}

/// One execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fill {
    pub(crate) sequence: u64,
    pub(crate) execution_id: u64,
    pub(crate) account: u32,
    pub(crate) instrument: u32,
    /// Negative when it was sold.
    pub(crate) quantity: i128,
    pub(crate) price: i64,
    /// What it was worth when it was booked.
    pub(crate) value: i64,
}

/// Accounts, strategies, holdings and open orders, which change together.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) accounts: Table<u32, Account>,
    pub(crate) strategies: Table<u32, Strategy>,
    pub(crate) holdings: Table<u64, Holding>,
    /// Resting buys and sells by beneficial owner, identified by its first account, and by instrument. There
    /// are never more of them than holdings.
    resting: Table<u64, [Ends; 2]>,
    pub(crate) orders: Orders,
    /// The credit used by all accounts.
    pub(crate) used: i128,
    /// Orders and executions that had no room and are not tracked.
    pub(crate) untracked: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            accounts: Table::new(RISK_ACCOUNTS_MAX),
            strategies: Table::new(RISK_STRATEGIES_MAX),
            holdings: Table::new(RISK_HOLDINGS_MAX),
            resting: Table::new(RISK_HOLDINGS_MAX),
            orders: Orders::default(),
            used: 0,
            untracked: 0,
        }
    }
}

#[inline]
pub(crate) fn holding_key(account: u32, instrument: u32) -> u64 {
    u64::from(account) << 32 | u64::from(instrument)
}

impl Ledger {
    /// The holding of an account in an instrument, which is created if there is room.
    #[inline]
    fn holding(&mut self, account: u32, instrument: u32) -> Option<u32> {
        let key = holding_key(account, instrument);
        if let Some(slot) = self.holdings.slot(key) {
            return Some(slot);
        }
        let owner = self.accounts.enter(account)?;
        let slot = self.holdings.enter(key)?;
        self.holdings.at_mut(slot).account = owner;
        self.find_resting(slot, key);
        Some(slot)
    }

    /// Links a holding to its beneficial owner's lists of resting orders.
    fn find_resting(&mut self, slot: u32, key: u64) {
        let lead = self.accounts.at(self.holdings.at(slot).account).lead;
        let (account, instrument) = ((key >> 32) as u32, key as u32);
        let of_owner = holding_key(if lead == 0 { account } else { lead }, instrument);
        let resting = self.resting.enter(of_owner).expect("there are no more lists than holdings");
        self.holdings.at_mut(slot).resting = resting;
    }

    /// The resting buys and sells of an account's beneficial owner.
    #[inline]
    pub(crate) fn resting_of(
        &self,
        holding: &Holding,
        account: &Account,
        instrument: u32,
    ) -> Option<&[Ends; 2]> {
        if holding.resting != NIL {
            return Some(self.resting.at(holding.resting));
        }
        // An account that holds nothing yet may share its owner with one that does.
        if account.lead == 0 { None } else { self.resting.get(holding_key(account.lead, instrument)) }
    }

    /// Sets the beneficial owner of an account; 0 is unknown.
    #[cold]
    pub(crate) fn set_owner(&mut self, id: u32, owner: u32) {
        let Some(account) = self.accounts.entry(id).filter(|account| account.owner != owner) else { return };
        let before = account.owner;
        account.owner = owner;
        for party in [before, owner].into_iter().filter(|party| *party != 0) {
            let lead = self.accounts.iter().find(|(_, account)| account.owner == party).map(|(id, _)| *id);
            let of_party = self.accounts.values_mut().filter(|account| account.owner == party);
            of_party.for_each(|account| account.lead = lead.unwrap_or(0));
        }
        if owner == 0 {
            self.accounts.entry(id).into_iter().for_each(|account| account.lead = 0);
        }
        self.resting.clear();
        let holdings = self.holdings.iter().len();
        for slot in 0..holdings {
            let key = self.holdings.key(slot as u32);
            self.find_resting(slot as u32, key);
        }
        let Self { orders, holdings, resting, .. } = self;
        orders.relink(|holding, side, link| link(&mut resting.at_mut(holdings.at(holding).resting)[side]));
    }

    /// Restores a holding from a snapshot; none when there is no room.
    pub(crate) fn hold(&mut self, key: u64, position: i128, cost: i128) -> Option<()> {
        let slot = self.holding((key >> 32) as u32, key as u32)?;
        self.change(slot, |holding| (holding.position, holding.cost) = (position, cost));
        Some(())
    }

    /// Changes a holding and the credit used.
    #[inline]
    fn change(&mut self, slot: u32, change: impl FnOnce(&mut Holding)) {
        let holding = self.holdings.at_mut(slot);
        let before = holding.exposure();
        change(holding);
        let (more, account) = (holding.exposure() - before, holding.account);
        self.accounts.at_mut(account).used += more;
        self.used += more;
    }

    /// The quantity and value that the open order with this key and side adds to its holding; 0 when there is
    /// none.
    #[inline]
    pub(crate) fn counted(&self, key: OrderKey, side: Side) -> (u64, i64) {
        let entry = self.orders.find(key).map(|slot| self.orders.at(slot));
        let entry = entry.filter(|entry| entry.side == side);
        entry.map_or((0, 0), |entry| (entry.counted, entry.counted_value))
    }

    /// Adds an open order. If an order with the same key is open already, this one is added to it: rather too
    /// much is counted than too little.
    #[inline]
    pub(crate) fn open(&mut self, mut entry: Entry) {
        if let Some(slot) = self.orders.find(entry.key) {
            let known = self.orders.at(slot);
            let (leaves, value) = (entry.leaves, entry.counted_value);
            let leaves = known.leaves.saturating_add(leaves);
            let counted =
                (known.counted.saturating_add(entry.counted), known.counted_value.saturating_add(value));
            self.orders.at_mut(slot).leaves = leaves;
            self.count(slot, counted);
            return;
        }
        let Some(holding) = self.holding(entry.owner.account, entry.owner.instrument) else {
            self.untracked += 1;
            return;
        };
        let (counted, is_resting) = ((entry.counted, entry.counted_value), entry.is_resting);
        let strategy = self.strategies.enter(entry.owner.strategy.into()).unwrap_or(NIL);
        (entry.counted, entry.counted_value, entry.is_resting) = (0, 0, false);
        (entry.holding, entry.strategy) = (holding, strategy);
        let Some(slot) = self.orders.insert(entry) else {
            self.untracked += 1;
            return;
        };
        let account = self.holdings.at(holding).account;
        self.accounts.at_mut(account).open += 1;
        if strategy != NIL {
            self.strategies.at_mut(strategy).open += 1;
        }
        self.count(slot, counted);
        if is_resting {
            self.rest(slot);
        }
    }

    /// Sets the quantity and value that the order adds to its holding.
    #[inline]
    fn count(&mut self, slot: u32, counted: (u64, i64)) {
        let entry = self.orders.at_mut(slot);
        let Some(side) = side_index(entry.side) else { return };
        let quantity = i128::from(counted.0) - i128::from(entry.counted);
        let value = i128::from(counted.1) - i128::from(entry.counted_value);
        (entry.counted, entry.counted_value) = counted;
        let holding = entry.holding;
        self.change(holding, |holding| {
            holding.open[side] += quantity;
            holding.open_value[side] += value;
        });
    }

    /// Marks the order as resting: it can be matched from now on.
    pub(crate) fn rest(&mut self, slot: u32) {
        let entry = *self.orders.at(slot);
        if let Some(side) = side_index(entry.side).filter(|_| !entry.is_resting) {
            let ends = self.resting.at_mut(self.holdings.at(entry.holding).resting);
            self.orders.link(&mut ends[side], slot);
        }
    }

    /// Sets the quantity that is left of the order, and its value.
    #[inline]
    pub(crate) fn settle(&mut self, slot: u32, leaves: u64, value: i64) {
        if leaves == 0 {
            return self.close(slot);
        }
        self.orders.at_mut(slot).leaves = leaves;
        self.count(slot, (leaves, value));
    }

    /// Changes the price of the order.
    pub(crate) fn reprice(&mut self, slot: u32, price: i64) {
        let entry = *self.orders.at(slot);
        if let Some(side) = side_index(entry.side).filter(|_| entry.is_resting) {
            let ends = &mut self.resting.at_mut(self.holdings.at(entry.holding).resting)[side];
            self.orders.unlink(ends, slot);
            self.orders.at_mut(slot).price = price;
            self.orders.link(ends, slot);
        } else {
            self.orders.at_mut(slot).price = price;
        }
        self.orders.at_mut(slot).valued_at = price;
    }

    /// Closes the order.
    pub(crate) fn close(&mut self, slot: u32) {
        self.count(slot, (0, 0));
        let entry = *self.orders.at(slot);
        if let Some(side) = side_index(entry.side) {
            let ends = self.resting.at_mut(self.holdings.at(entry.holding).resting);
            self.orders.unlink(&mut ends[side], slot);
        }
        self.orders.remove(slot);
        let account = self.holdings.at(entry.holding).account;
        self.accounts.at_mut(account).open -= 1;
        if entry.strategy != NIL {
            self.strategies.at_mut(entry.strategy).open -= 1;
        }
    }

    /// Books an execution, or its reversal if `is_undone`.
    pub(crate) fn trade(&mut self, fill: &Fill, is_undone: bool) {
        let Some(holding) = self.holding(fill.account, fill.instrument) else {
            self.untracked += 1;
            return;
        };
        let traded = if is_undone { -fill.quantity } else { fill.quantity };
        self.change(holding, |holding| holding.trade(traded, fill.value));
    }
}

/// A quantity with the sign of its side; 0 without one.
pub(crate) fn signed(side: Side, quantity: u64) -> i128 {
    match side {
        Side::BUY => quantity.into(),
        Side::SELL => -i128::from(quantity),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(holding: &mut Holding, quantity: i128, value: i64) -> (i128, i128) {
        holding.trade(quantity, value);
        (holding.position, holding.cost)
    }

    #[test]
    fn a_position_is_kept_by_average_cost_through_zero() {
        let mut holding = Holding::default();
        assert_eq!(trade(&mut holding, 100, 1_000), (100, 1_000));
        assert_eq!(trade(&mut holding, 100, 2_000), (200, 3_000));
        assert_eq!(trade(&mut holding, -50, 999), (150, 2_250));
        assert_eq!(trade(&mut holding, -250, 5_000), (-100, -2_000));
        assert_eq!(trade(&mut holding, 100, 7), (0, 0));
    }

    #[test]
    fn an_order_that_closes_a_position_uses_no_credit() {
        let mut holding = Holding::default();
        holding.trade(100, 1_000);
        assert_eq!(holding.exposure(), 1_000);
        assert_eq!(holding.exposure_with([0, 1_900]), 1_000);
        assert_eq!(holding.exposure_with([0, 2_100]), 1_100, "through zero to the other side");
        assert_eq!(holding.exposure_with([5, 0]), 1_005);
    }
}
