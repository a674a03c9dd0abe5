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

use crate::capacity::Sizes;
use crate::executions::Fill;
use crate::levels::{Levels, Tree};
use crate::orders::{Entry, NIL, Orders, side_index};
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
    /// Whether an event defines it; otherwise it only has limits, executions or an allotment.
    pub(crate) is_defined: bool,
    /// The number of its holdings with an unknown value.
    pub(crate) unvalued: u32,
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
        is_defined: false,
        unvalued: 0,
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
    /// The holdings that its orders created.
    pub(crate) holdings: u32,
    pub(crate) limits: u16,
    pub(crate) bucket: Bucket,
    pub(crate) rate: Rate,
}

impl Strategy {
    pub(crate) const NEW: Self =
        Self { algorithm: 0, open: 0, holdings: 0, limits: 0, bucket: Bucket::NEW, rate: Rate::NONE };
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
    /// Whether something was booked while the instrument's scale was unknown, so that cost and open value
    /// are unknown, until nothing is held and no order is open.
    pub(crate) is_unvalued: bool,
}

impl Default for Holding {
    fn default() -> Self {
        Self::NEW
    }
}

impl Holding {
    pub(crate) const NEW: Self = Self {
        account: 0,
        position: 0,
        cost: 0,
        open: [0; 2],
        open_value: [0; 2],
        resting: NIL,
        is_unvalued: false,
    };

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

/// Accounts, strategies, holdings and open orders, which change together.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) accounts: Table<u32, Account>,
    pub(crate) strategies: Table<u32, Strategy>,
    pub(crate) holdings: Table<u64, Holding>,
    /// Resting buys and sells by beneficial owner, identified by its first account, and by instrument. There
    /// are never more of them than holdings.
    resting: Table<u64, [Tree; 2]>,
    pub(crate) levels: Levels,
    pub(crate) orders: Orders,
    /// The credit used by all accounts.
    pub(crate) used: i128,
    /// The number of holdings of all accounts with an unknown value.
    pub(crate) unvalued: u32,
    /// Orders and executions that had no room and are not tracked.
    pub(crate) untracked: u64,
}

#[inline]
pub(crate) fn holding_key(account: u32, instrument: u32) -> u64 {
    u64::from(account) << 32 | u64::from(instrument)
}

impl Ledger {
    pub(crate) fn new(sizes: &Sizes) -> Self {
        Self {
            accounts: Table::new(sizes.accounts),
            strategies: Table::new(sizes.strategies),
            holdings: Table::new(sizes.holdings),
            resting: Table::new(sizes.holdings),
            levels: Levels::new(sizes.open_orders.first()),
            orders: Orders::new(sizes.open_orders),
            used: 0,
            unvalued: 0,
            untracked: 0,
        }
    }

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
    ) -> Option<&[Tree; 2]> {
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
        let holdings = self.holdings.len();
        for slot in 0..holdings {
            let key = self.holdings.key(slot as u32);
            self.find_resting(slot as u32, key);
        }
        self.levels.clear();
        for slot in 0..self.orders.capacity() as u32 {
            let entry = self.orders.at_mut(slot);
            if entry.sequence != 0 && entry.level != NIL {
                entry.level = NIL;
                self.rest(slot);
            }
        }
    }

    /// Restores a holding from a snapshot; none when there is no room.
    pub(crate) fn hold(&mut self, key: u64, position: i128, cost: i128) -> Option<()> {
        let slot = self.holding((key >> 32) as u32, key as u32)?;
        self.change(slot, true, |holding| (holding.position, holding.cost) = (position, cost));
        Some(())
    }

    /// Notes that the value of a holding is unknown, once its position and orders are restored.
    pub(crate) fn restore_unvalued(&mut self, key: u64) {
        self.holdings.slot(key).into_iter().for_each(|slot| self.change(slot, false, |_| ()));
    }

    /// Changes a holding and the credit used. `has_value` is false when a value in the change is unknown.
    #[inline]
    fn change(&mut self, slot: u32, has_value: bool, change: impl FnOnce(&mut Holding)) {
        let holding = self.holdings.at_mut(slot);
        let before = holding.exposure();
        change(holding);
        let (more, account) = (holding.exposure() - before, holding.account);
        self.accounts.at_mut(account).used += more;
        self.used += more;
        if !has_value || self.holdings.at(slot).is_unvalued {
            self.note_value(slot);
        }
    }

    /// Notes whether the value of a holding is unknown, after a change with an unknown value.
    #[cold]
    fn note_value(&mut self, slot: u32) {
        let holding = self.holdings.at_mut(slot);
        let is_unvalued = holding.position != 0 || holding.open != [0; 2];
        let was_unvalued = std::mem::replace(&mut holding.is_unvalued, is_unvalued);
        let account = holding.account;
        let more = u32::from(is_unvalued).wrapping_sub(u32::from(was_unvalued));
        for count in [&mut self.accounts.at_mut(account).unvalued, &mut self.unvalued] {
            *count = count.wrapping_add(more);
        }
    }

    /// The quantity and value that a leg of the open order at `slot` with this side adds to its holding; 0
    /// when there is none.
    #[inline]
    pub(crate) fn counted(&self, slot: Option<u32>, side: Side) -> (u64, i64) {
        let legs = slot.map_or([None, None], |slot| self.orders.legs(slot));
        let mut entries = legs.into_iter().flatten().map(|slot| self.orders.at(slot));
        entries.find(|entry| entry.side == side).map_or((0, 0), |entry| (entry.counted, entry.counted_value))
    }

    /// Adds an open order, or a leg of a quote. If another order with the same key is open, which is only so
    /// on logs of versions that allowed it, this one is added to it: rather too much is counted than too
    /// little.
    #[inline]
    pub(crate) fn open(&mut self, mut entry: Entry, has_value: bool, is_resting: bool) {
        let known = self.orders.find(entry.key);
        if let Some(slot) = known
            && !self.is_other_leg(slot, &entry)
        {
            return self.add_to(slot, &entry, has_value);
        }
        let (account, instrument) = (entry.owner.account, entry.owner.instrument);
        let held = self.holdings.len();
        let strategy = self.strategies.enter(entry.owner.strategy.into());
        let has_room = self.orders.make_room() > 0;
        let Some((holding, strategy)) = self.holding(account, instrument).zip(strategy).filter(|_| has_room)
        else {
            self.untracked += 1;
            return;
        };
        if self.levels.capacity() < self.orders.capacity() {
            self.levels.grow(self.orders.capacity());
        }
        let counted = (entry.counted, entry.counted_value);
        (entry.counted, entry.counted_value) = (0, 0);
        (entry.holding, entry.strategy) = (holding, strategy);
        let slot = self.orders.insert(entry, known).expect("there is room");
        let account = self.holdings.at(holding).account;
        self.accounts.at_mut(account).open += 1;
        let strategy = self.strategies.at_mut(strategy);
        strategy.open += 1;
        strategy.holdings += (self.holdings.len() - held) as u32;
        self.count(slot, counted, has_value);
        if is_resting {
            self.rest(slot);
        }
    }

    fn is_other_leg(&self, slot: u32, entry: &Entry) -> bool {
        let known = self.orders.at(slot);
        known.is_quote && known.sibling == NIL && known.sequence == entry.sequence && known.side != entry.side
    }

    #[cold]
    fn add_to(&mut self, slot: u32, entry: &Entry, has_value: bool) {
        let known = self.orders.at(slot);
        let leaves = known.leaves.saturating_add(entry.leaves);
        let value = known.counted_value.saturating_add(entry.counted_value);
        let counted = (known.counted.saturating_add(entry.counted), value);
        self.orders.at_mut(slot).leaves = leaves;
        self.count(slot, counted, has_value);
        self.orders.rename(slot, entry.key, entry.sequence);
    }

    /// Sets the quantity and value that the order adds to its holding.
    #[inline]
    fn count(&mut self, slot: u32, counted: (u64, i64), has_value: bool) {
        let entry = self.orders.at_mut(slot);
        let Some(side) = side_index(entry.side) else { return };
        let quantity = i128::from(counted.0) - i128::from(entry.counted);
        let value = i128::from(counted.1) - i128::from(entry.counted_value);
        (entry.counted, entry.counted_value) = counted;
        let holding = entry.holding;
        self.change(holding, has_value, |holding| {
            holding.open[side] += quantity;
            holding.open_value[side] += value;
        });
    }

    /// Marks the order as resting: it can be matched from now on.
    pub(crate) fn rest(&mut self, slot: u32) {
        let entry = self.orders.at(slot);
        if let Some(side) = side_index(entry.side).filter(|_| entry.level == NIL) {
            let (rank, holding) = (entry.rank(), entry.holding);
            let trees = self.resting.at_mut(self.holdings.at(holding).resting);
            self.orders.at_mut(slot).level = self.levels.join(&mut trees[side], rank);
        }
    }

    fn unrest(&mut self, slot: u32) {
        let entry = self.orders.at(slot);
        if let Some(side) = side_index(entry.side).filter(|_| entry.level != NIL) {
            let (level, holding) = (entry.level, entry.holding);
            let trees = self.resting.at_mut(self.holdings.at(holding).resting);
            self.levels.leave(&mut trees[side], level);
            self.orders.at_mut(slot).level = NIL;
        }
    }

    /// Sets the quantity that is left of the order, and its value.
    #[inline]
    pub(crate) fn settle(&mut self, slot: u32, leaves: u64, value: i64, has_value: bool) {
        if leaves == 0 {
            return self.close(slot);
        }
        self.orders.at_mut(slot).leaves = leaves;
        self.count(slot, (leaves, value), has_value);
    }

    /// Changes the price of the order.
    pub(crate) fn reprice(&mut self, slot: u32, price: i64) {
        let is_resting = self.orders.at(slot).level != NIL;
        self.unrest(slot);
        let entry = self.orders.at_mut(slot);
        (entry.price, entry.valued_at) = (price, price);
        if is_resting {
            self.rest(slot);
        }
    }

    /// Closes the order.
    pub(crate) fn close(&mut self, slot: u32) {
        self.count(slot, (0, 0), true);
        self.unrest(slot);
        let (holding, strategy) = (self.orders.at(slot).holding, self.orders.at(slot).strategy);
        self.orders.remove(slot);
        let account = self.holdings.at(holding).account;
        self.accounts.at_mut(account).open -= 1;
        self.strategies.at_mut(strategy).open -= 1;
    }

    /// Books an execution, or its reversal if `is_undone`.
    pub(crate) fn trade(&mut self, fill: &Fill, has_value: bool, is_undone: bool) {
        let Some(holding) = self.holding(fill.account, fill.instrument) else {
            self.untracked += 1;
            return;
        };
        let traded = if is_undone { -fill.quantity } else { fill.quantity };
        self.change(holding, has_value, |holding| holding.trade(traded, fill.value));
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
