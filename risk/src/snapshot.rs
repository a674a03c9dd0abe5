//! Snapshots: the whole state as little-endian numbers, written and read in the same order. Two states that
//! make the same decisions have the same bytes.

use crate::bounds::{
    KILL_SWITCHES_MAX, RISK_ALLOTMENTS_MAX, RISK_FILLS_MAX, RISK_OPEN_ORDERS_MAX, RISK_PENDING_MAX,
    RISK_RECENT_ORDERS_MAX,
};
use crate::credit::Allotment;
use crate::duplicates::Likeness;
use crate::ledger::Fill;
use crate::limits;
use crate::limits::{Pair, Pending, Set, Target};
use crate::market::Instrument;
use crate::orders::{Entry, OrderKey};
use crate::rate::{Bucket, Rate};
use crate::risk::{Risk, RiskLimits, Source};
use crate::state::{RestoreError, StateNumber, StateReader, no_room};
use crate::table::Table;
use crate::terms::OrderOwner;
use stele_wire::messages::{CancelScope, Check, Side};

impl Risk {
    /// The version of the layout that [`Risk::snapshot`] writes.
    pub const STATE_VERSION: u32 = 2;

    /// Appends the whole state to `out`. It does not include `has_sealer` and `four_eyes` of [`RiskLimits`].
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        self.shard.put(out);
        self.put_limits(out);
        self.put_tables(out);
        self.put_orders(out);
        (self.recent.iter().len() as u64).put(out);
        for (likeness, time) in self.recent.iter() {
            let Likeness { account, instrument, side, price, quantity } = *likeness;
            [account, instrument].put(out);
            side.put(out);
            price.put(out);
            [quantity, *time].put(out);
        }
        (self.fills.len() as u64).put(out);
        for fill in &self.fills {
            [fill.sequence, fill.execution_id].put(out);
            [fill.account, fill.instrument].put(out);
            fill.quantity.put(out);
            [fill.price, fill.value].put(out);
        }
        self.ledger.untracked.put(out);
    }

    fn put_limits(&self, out: &mut Vec<u8>) {
        self.limits.all.put(out);
        (self.limits.pending.len() as u64).put(out);
        for pending in &self.limits.pending {
            pending.effective.put(out);
            let (kind, id, instrument) = match pending.target {
                Target::All => (0_u8, 0, 0),
                Target::Account(id) => (1, id, 0),
                Target::Instrument(id) => (2, id, 0),
                Target::Strategy(id) => (3, id.into(), 0),
                Target::AccountInstrument(id, instrument) => (4, id, instrument),
                Target::StrategyInstrument(id, instrument) => (5, id.into(), instrument),
            };
            [kind, pending.check.0].put(out);
            [id, instrument].put(out);
            pending.limit.put(out);
        }
        for pairs in [&self.limits.of_accounts, &self.limits.of_strategies] {
            (pairs.iter().len() as u64).put(out);
            for (key, pair) in pairs.iter() {
                key.put(out);
                [pair.position, pair.restricted].put(out);
            }
        }
        let (engaged, overflowed) = self.switches.parts();
        (engaged.len() as u64).put(out);
        for (scope, id) in engaged {
            scope.0.put(out);
            id.put(out);
        }
        overflowed.put(out);
        (self.allotments.iter().len() as u64).put(out);
        for row in self.allotments.iter() {
            [row.account, row.shard].put(out);
            row.amount.put(out);
        }
    }

    fn put_set(&self, number: u16, out: &mut Vec<u8>) {
        (number != 0).put(out);
        if number != 0 {
            self.limits.set(number).put(out);
        }
    }

    fn put_tables(&self, out: &mut Vec<u8>) {
        (self.market.instruments.iter().len() as u64).put(out);
        for (id, known) in self.market.instruments.iter() {
            id.put(out);
            [known.last, known.bid, known.ask, known.opening].put(out);
            [known.last_trade, known.numerator, known.denominator].put(out);
            known.source.put(out);
            known.currency.put(out);
            self.put_set(known.limits, out);
        }
        (self.ledger.accounts.iter().len() as u64).put(out);
        for (id, account) in self.ledger.accounts.iter() {
            id.put(out);
            account.currency.put(out);
            account.owner.put(out);
            account.bucket.full_at().put(out);
            account.rate.limit().put(out);
            self.put_set(account.limits, out);
        }
        (self.ledger.strategies.iter().len() as u64).put(out);
        for (id, strategy) in self.ledger.strategies.iter() {
            [*id, strategy.algorithm].put(out);
            strategy.bucket.full_at().put(out);
            strategy.rate.limit().put(out);
            self.put_set(strategy.limits, out);
        }
        (self.publishers.iter().len() as u64).put(out);
        for (id, source) in self.publishers.iter() {
            id.put(out);
            [source.newest, source.bucket.full_at()].put(out);
        }
        (self.ledger.holdings.iter().len() as u64).put(out);
        for (key, holding) in self.ledger.holdings.iter() {
            key.put(out);
            [holding.position, holding.cost].put(out);
        }
    }

    /// Sorted by key, so that the bytes do not depend on the slots.
    fn put_orders(&self, out: &mut Vec<u8>) {
        let mut orders: Vec<&Entry> = self.ledger.orders.iter().collect();
        orders.sort_unstable_by_key(|entry| (entry.sequence, entry.key));
        (orders.len() as u64).put(out);
        for entry in orders {
            [entry.key.client_order_id, entry.sequence, entry.replaces, entry.leaves, entry.counted].put(out);
            let owner = &entry.owner;
            [entry.key.account, owner.account, owner.instrument, owner.desk, owner.trader, owner.client]
                .put(out);
            owner.algorithms.put(out);
            [entry.key.strategy, owner.strategy].put(out);
            [entry.key.leg, entry.side.0].put(out);
            [owner.is_by_person, entry.is_resting, entry.is_cancelling].put(out);
            [entry.price, entry.valued_at, entry.counted_value].put(out);
        }
    }

    /// Restores the state that [`Risk::snapshot`] wrote. Only `has_sealer` and `four_eyes` of `limits` are
    /// used.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not such a state.
    pub fn restore(limits: RiskLimits, bytes: &[u8]) -> Result<Self, RestoreError> {
        let (mut risk, mut reader) = (Self::new(limits), StateReader::new(bytes));
        risk.shard = reader.get()?;
        risk.get_limits(&mut reader)?;
        risk.get_tables(&mut reader)?;
        risk.get_orders(&mut reader)?;
        for _ in 0..reader.count("recent orders", RISK_RECENT_ORDERS_MAX)? {
            let ([account, instrument], side) = (reader.get()?, reader.get()?);
            let (price, [quantity, time]) = (reader.get()?, reader.get()?);
            risk.recent.enter(Likeness { account, instrument, side, price, quantity }, time, u64::MAX);
        }
        for _ in 0..reader.count("executions", RISK_FILLS_MAX)? {
            let ([sequence, execution_id], [account, instrument]) = (reader.get()?, reader.get()?);
            let (quantity, [price, value]) = (reader.get()?, reader.get()?);
            risk.fills.push_back(Fill {
                sequence,
                execution_id,
                account,
                instrument,
                quantity,
                price,
                value,
            });
        }
        risk.ledger.untracked = reader.get()?;
        risk.rate = Rate::per_second(risk.limits.all[limits::place(Check::MESSAGE_RATE)]);
        risk.allot();
        risk.limits.derive(risk.allotments.iter().len() > 0);
        reader.finish().map(|()| risk)
    }

    fn get_limits(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        self.limits.all = reader.get()?;
        for _ in 0..reader.count("pending changes", RISK_PENDING_MAX)? {
            let (effective, [kind, check]) = (reader.get()?, reader.get::<[u8; 2]>()?);
            let ([id, instrument], limit) = (reader.get::<[u32; 2]>()?, reader.get()?);
            let target = match kind {
                0 => Target::All,
                1 => Target::Account(id),
                2 => Target::Instrument(id),
                3 => Target::Strategy(id as u16),
                4 => Target::AccountInstrument(id, instrument),
                5 => Target::StrategyInstrument(id as u16, instrument),
                other => return Err(RestoreError::Value { what: "a scope", found: other.into() }),
            };
            let check = Check(check);
            if !target.takes(check) {
                return Err(RestoreError::Value { what: "a check with a limit", found: check.0.into() });
            }
            self.limits.put_off(Pending { effective, target, check, limit });
        }
        get_pairs(&mut self.limits.of_accounts, reader)?;
        get_pairs(&mut self.limits.of_strategies, reader)?;
        let mut engaged = Vec::new();
        for _ in 0..reader.count("kill switches", KILL_SWITCHES_MAX)? {
            engaged.push((CancelScope(reader.get()?), reader.get()?));
        }
        self.switches.restore(engaged.into_iter(), reader.get()?);
        for _ in 0..reader.count("allotments", RISK_ALLOTMENTS_MAX)? {
            let ([account, shard], amount) = (reader.get()?, reader.get()?);
            self.allotments.set(Allotment { account, shard, amount });
        }
        Ok(())
    }

    fn get_set(&mut self, reader: &mut StateReader<'_>) -> Result<u16, RestoreError> {
        if !reader.get::<bool>()? {
            return Ok(0);
        }
        let number = self.limits.take_set().ok_or(no_room("a set of limits"))?;
        *self.limits.set_mut(number) = reader.get::<Set>()?;
        Ok(number)
    }

    fn get_tables(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        for _ in 0..reader.count("instruments", self.market.instruments.capacity())? {
            let id = reader.get::<u32>()?;
            let [last, bid, ask, opening] = reader.get()?;
            let [last_trade, numerator, denominator] = reader.get()?;
            let (source, currency) = (reader.get()?, reader.get()?);
            if denominator == 0 {
                return Err(no_room("an instrument's scale"));
            }
            let limits = self.get_set(reader)?;
            *self.market.instruments.entry(id).ok_or(no_room("an instrument"))? = Instrument {
                last,
                last_trade,
                bid,
                ask,
                opening,
                numerator,
                denominator,
                source,
                limits,
                currency,
            };
        }
        for _ in 0..reader.count("accounts", self.ledger.accounts.capacity())? {
            let (id, currency, owner) = (reader.get::<u32>()?, reader.get()?, reader.get()?);
            let full_at = reader.get()?;
            let (rate, limits) = (Rate::per_second(reader.get()?), self.get_set(reader)?);
            let account = self.ledger.accounts.entry(id).ok_or(no_room("an account"))?;
            (account.currency, account.bucket) = (currency, Bucket::restored(full_at));
            (account.rate, account.limits) = (rate, limits);
            self.ledger.set_owner(id, owner);
        }
        for _ in 0..reader.count("strategies", self.ledger.strategies.capacity())? {
            let ([id, algorithm], full_at) = (reader.get::<[u32; 2]>()?, reader.get()?);
            let (rate, limits) = (Rate::per_second(reader.get()?), self.get_set(reader)?);
            let strategy = self.ledger.strategies.entry(id).ok_or(no_room("a strategy"))?;
            (strategy.algorithm, strategy.bucket) = (algorithm, Bucket::restored(full_at));
            (strategy.rate, strategy.limits) = (rate, limits);
        }
        for _ in 0..reader.count("publishers", self.publishers.capacity())? {
            let (id, [newest, full_at]) = (reader.get::<u32>()?, reader.get()?);
            let source = self.publishers.entry(id).ok_or(no_room("a publisher"))?;
            *source = Source { newest, bucket: Bucket::restored(full_at) };
        }
        for _ in 0..reader.count("holdings", self.ledger.holdings.capacity())? {
            let (key, [position, cost]) = (reader.get::<u64>()?, reader.get()?);
            let is_taken = self.ledger.hold(key, position, cost);
            is_taken.ok_or(no_room("a holding"))?;
        }
        Ok(())
    }

    fn get_orders(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        for _ in 0..reader.count("open orders", RISK_OPEN_ORDERS_MAX)? {
            let [client_order_id, sequence, replaces, leaves, counted] = reader.get()?;
            let [key_account, account, instrument, desk, trader, client] = reader.get()?;
            let (algorithms, [key_strategy, strategy]) = (reader.get()?, reader.get()?);
            let ([leg, side], [is_by_person, is_resting, is_cancelling]) =
                (reader.get::<[u8; 2]>()?, reader.get()?);
            let [price, valued_at, counted_value] = reader.get()?;
            let key = OrderKey { client_order_id, account: key_account, strategy: key_strategy, leg };
            let owner =
                OrderOwner { account, instrument, strategy, is_by_person, algorithms, desk, trader, client };
            self.ledger.open(Entry {
                replaces,
                price,
                valued_at,
                leaves,
                counted,
                counted_value,
                side: Side(side),
                is_resting,
                is_cancelling,
                ..Entry::new(key, owner, sequence)
            });
        }
        Ok(())
    }
}

fn get_pairs(pairs: &mut Table<u64, Pair>, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
    for _ in 0..reader.count("pairs with limits", pairs.capacity())? {
        let (key, [position, restricted]) = (reader.get::<u64>()?, reader.get()?);
        *pairs.entry(key).ok_or(no_room("a pair with limits"))? = Pair { position, restricted };
    }
    Ok(())
}
