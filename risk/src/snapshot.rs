//! Snapshots: the whole state as little-endian numbers, written and read in the same order. Two states that
//! make the same decisions have the same bytes.

use crate::bounds::{
    KILL_SWITCHES_MAX, RISK_ALLOTMENTS_MAX, RISK_EXECUTIONS_MAX, RISK_PENDING_MAX, RISK_PROPOSALS_MAX,
    RISK_RECENT_ORDERS_MAX,
};
use crate::credit::Allotment;
use crate::duplicates::Likeness;
use crate::executions::Fill;
use crate::ids::IdSet;
use crate::levels::NIL;
use crate::limits;
use crate::limits::{Pair, Pending, Set, Target};
use crate::market::Instrument;
use crate::orders::{Entry, OrderKey};
use crate::proposals::Proposal;
use crate::rate::{Bucket, Rate};
use crate::risk::{Risk, RiskLimits, Source};
use crate::state::{RestoreError, StateNumber, StateReader, no_room};
use crate::table::Table;
use crate::terms::OrderOwner;
use stele_wire::messages::{CancelScope, Check, Side};

impl Risk {
    /// The version of the layout that [`Risk::snapshot`] writes.
    pub const STATE_VERSION: u32 = 3;

    /// Appends the whole state to `out`. It does not include `has_sealer`, `four_eyes` and `capacity` of
    /// [`RiskLimits`].
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
        (self.executions.len() as u64).put(out);
        for fill in self.executions.iter() {
            [fill.sequence, fill.execution_id].put(out);
            [fill.account, fill.instrument].put(out);
            fill.quantity.put(out);
            [fill.price, fill.value].put(out);
            [fill.is_sale, fill.is_busted].put(out);
        }
        [self.ledger.untracked, self.repeated].put(out);
        self.put_proposals(out);
        for ids in [&self.paused, &self.market.broken_sources, &self.market.halted_sources] {
            ids.snapshot(out);
        }
    }

    fn put_proposals(&self, out: &mut Vec<u8>) {
        (self.proposals.iter().len() as u64).put(out);
        for proposal in self.proposals.iter() {
            [proposal.number, proposal.effective, proposal.expires].put(out);
            put_target(proposal.target, proposal.check, out);
            [proposal.limit, proposal.previous].put(out);
            [proposal.proposed_by, proposal.caller_user].put(out);
        }
    }

    fn put_limits(&self, out: &mut Vec<u8>) {
        self.limits.all.put(out);
        (self.limits.pending.len() as u64).put(out);
        for pending in &self.limits.pending {
            pending.effective.put(out);
            put_target(pending.target, pending.check, out);
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
            [known.last, known.bid, known.ask, known.opening, known.multiplier].put(out);
            [known.last_trade, known.quoted_at].put(out);
            known.source.put(out);
            known.currency.put(out);
            // Every number that a snapshot contains is unsigned or has 64 bits.
            (known.exponent as u8).put(out);
            [known.is_defined, known.has_gap, known.is_halted].put(out);
            self.put_set(known.limits, out);
        }
        (self.ledger.accounts.iter().len() as u64).put(out);
        for (id, account) in self.ledger.accounts.iter() {
            id.put(out);
            account.currency.put(out);
            account.owner.put(out);
            account.is_defined.put(out);
            account.bucket.full_at().put(out);
            account.rate.limit().put(out);
            self.put_set(account.limits, out);
        }
        (self.ledger.strategies.iter().len() as u64).put(out);
        for (id, strategy) in self.ledger.strategies.iter() {
            [*id, strategy.algorithm, strategy.holdings].put(out);
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
            holding.is_unvalued.put(out);
        }
    }

    /// Sorted by key, so that the bytes do not depend on the slots.
    fn put_orders(&self, out: &mut Vec<u8>) {
        let mut orders: Vec<&Entry> = self.ledger.orders.iter().map(|(_, entry)| entry).collect();
        orders.sort_unstable_by_key(|entry| (entry.sequence, entry.side.0));
        (orders.len() as u64).put(out);
        for entry in orders {
            [entry.key.client_order_id, entry.sequence, entry.replaces, entry.leaves, entry.counted].put(out);
            [entry.cancelled_at, entry.asked_by].put(out);
            let owner = &entry.owner;
            [owner.account, owner.instrument, owner.desk, owner.trader, owner.client].put(out);
            owner.algorithms.put(out);
            owner.strategy.put(out);
            [entry.side.0, entry.cancels].put(out);
            [owner.is_by_person, entry.level != NIL, entry.is_cancelling, entry.is_quote].put(out);
            [entry.price, entry.valued_at, entry.counted_value].put(out);
        }
    }

    /// Restores the state that [`Risk::snapshot`] wrote. Only `has_sealer`, `four_eyes` and `capacity` of
    /// `limits` are used. The capacity may be another one than that of the state, as long as the state fits.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not such a state, or it has more than the capacity.
    ///
    /// # Panics
    /// As [`Risk::new`].
    pub fn restore(limits: RiskLimits, bytes: &[u8]) -> Result<Self, RestoreError> {
        Self::new(limits).restored(bytes)
    }

    /// As [`Risk::restore`], for a reader that only follows a log: see [`Risk::follower`].
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not such a state.
    pub fn restore_follower(bytes: &[u8]) -> Result<Self, RestoreError> {
        Self::follower().restored(bytes)
    }

    fn restored(self, bytes: &[u8]) -> Result<Self, RestoreError> {
        let (mut risk, mut reader) = (self, StateReader::new(bytes));
        risk.shard = reader.get()?;
        risk.get_limits(&mut reader)?;
        let unvalued = risk.get_tables(&mut reader)?;
        risk.get_orders(&mut reader)?;
        unvalued.into_iter().for_each(|key| risk.ledger.restore_unvalued(key));
        for _ in 0..reader.count("recent orders", RISK_RECENT_ORDERS_MAX)? {
            let ([account, instrument], side) = (reader.get()?, reader.get()?);
            let (price, [quantity, time]) = (reader.get()?, reader.get()?);
            risk.recent.enter(Likeness { account, instrument, side, price, quantity }, time, u64::MAX);
        }
        for _ in 0..reader.count("executions", RISK_EXECUTIONS_MAX)? {
            let ([sequence, execution_id], [account, instrument]) = (reader.get()?, reader.get()?);
            let (quantity, [price, value]) = (reader.get()?, reader.get()?);
            let [is_sale, is_busted] = reader.get()?;
            risk.executions.enter(Fill {
                sequence,
                execution_id,
                account,
                instrument,
                is_sale,
                quantity,
                price,
                value,
                is_busted,
            });
        }
        [risk.ledger.untracked, risk.repeated] = reader.get()?;
        risk.get_proposals(&mut reader)?;
        risk.paused = IdSet::restore(&mut reader)?;
        risk.market.broken_sources = IdSet::restore(&mut reader)?;
        risk.market.halted_sources = IdSet::restore(&mut reader)?;
        risk.rate = Rate::per_second(risk.limits.all[limits::place(Check::MESSAGE_RATE)]);
        risk.allot();
        risk.limits.derive(risk.allotments.iter().len() > 0);
        reader.finish().map(|()| risk)
    }

    fn get_limits(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        self.limits.all = reader.get()?;
        for _ in 0..reader.count("pending changes", RISK_PENDING_MAX)? {
            let effective = reader.get()?;
            let (target, check) = get_target(reader)?;
            let limit = reader.get()?;
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

    fn get_proposals(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        for _ in 0..reader.count("proposals", RISK_PROPOSALS_MAX)? {
            let [number, effective, expires] = reader.get()?;
            let (target, check) = get_target(reader)?;
            let ([limit, previous], [proposed_by, caller_user]) = (reader.get()?, reader.get()?);
            let proposal = Proposal {
                number,
                target,
                check,
                limit,
                previous,
                effective,
                expires,
                proposed_by,
                caller_user,
            };
            // Those that have expired are removed with the next one, so none is removed here.
            self.proposals.add(proposal, 0);
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

    /// Returns the keys of the holdings whose value is unknown.
    fn get_tables(&mut self, reader: &mut StateReader<'_>) -> Result<Vec<u64>, RestoreError> {
        for _ in 0..reader.rows("instruments", self.market.instruments.room())? {
            let id = reader.get::<u32>()?;
            let [last, bid, ask, opening, multiplier] = reader.get()?;
            let ([last_trade, quoted_at], source) = (reader.get()?, reader.get()?);
            let (currency, exponent) = (reader.get()?, reader.get::<u8>()? as i8);
            let [is_defined, has_gap, is_halted] = reader.get()?;
            let limits = self.get_set(reader)?;
            let known = self.market.instruments.entry(id).ok_or(no_room("an instrument"))?;
            *known = Instrument {
                last,
                last_trade,
                bid,
                ask,
                opening,
                quoted_at,
                source,
                limits,
                currency,
                is_defined,
                has_gap,
                is_halted,
                ..Instrument::UNKNOWN
            };
            known.restore_scale(multiplier, exponent);
        }
        for _ in 0..reader.rows("accounts", self.ledger.accounts.room())? {
            let (id, currency, owner) = (reader.get::<u32>()?, reader.get()?, reader.get()?);
            let (is_defined, full_at) = (reader.get()?, reader.get()?);
            let (rate, limits) = (Rate::per_second(reader.get()?), self.get_set(reader)?);
            let account = self.ledger.accounts.entry(id).ok_or(no_room("an account"))?;
            (account.currency, account.bucket) = (currency, Bucket::restored(full_at));
            (account.rate, account.limits, account.is_defined) = (rate, limits, is_defined);
            self.ledger.set_owner(id, owner);
        }
        for _ in 0..reader.rows("strategies", self.ledger.strategies.room())? {
            let ([id, algorithm, holdings], full_at) = (reader.get::<[u32; 3]>()?, reader.get()?);
            let (rate, limits) = (Rate::per_second(reader.get()?), self.get_set(reader)?);
            let strategy = self.ledger.strategies.entry(id).ok_or(no_room("a strategy"))?;
            (strategy.algorithm, strategy.bucket) = (algorithm, Bucket::restored(full_at));
            (strategy.rate, strategy.limits, strategy.holdings) = (rate, limits, holdings);
        }
        for _ in 0..reader.count("publishers", self.publishers.capacity())? {
            let (id, [newest, full_at]) = (reader.get::<u32>()?, reader.get()?);
            let source = self.publishers.entry(id).ok_or(no_room("a publisher"))?;
            *source = Source { newest, bucket: Bucket::restored(full_at) };
        }
        let mut unvalued = Vec::new();
        for _ in 0..reader.rows("holdings", self.ledger.holdings.room())? {
            let (key, [position, cost]) = (reader.get::<u64>()?, reader.get()?);
            let is_taken = self.ledger.hold(key, position, cost);
            is_taken.ok_or(no_room("a holding"))?;
            if reader.get()? {
                unvalued.push(key);
            }
        }
        Ok(unvalued)
    }

    fn get_orders(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        for _ in 0..reader.rows("open_orders", self.ledger.orders.room())? {
            let [client_order_id, sequence, replaces, leaves, counted] = reader.get()?;
            let ([cancelled_at, asked_by], [account, instrument, desk, trader, client]) =
                (reader.get()?, reader.get()?);
            let (algorithms, strategy) = (reader.get()?, reader.get()?);
            let ([side, cancels], [is_by_person, is_resting, is_cancelling, is_quote]) =
                (reader.get::<[u8; 2]>()?, reader.get()?);
            let [price, valued_at, counted_value] = reader.get()?;
            if sequence == 0 {
                return Err(RestoreError::Value { what: "the sequence of an order", found: 0 });
            }
            let owner =
                OrderOwner { account, instrument, strategy, is_by_person, algorithms, desk, trader, client };
            let entry = Entry {
                replaces,
                price,
                valued_at,
                leaves,
                counted,
                counted_value,
                cancelled_at,
                asked_by,
                side: Side(side),
                is_cancelling,
                is_quote,
                cancels,
                ..Entry::new(OrderKey { client_order_id, account }, owner, sequence)
            };
            self.ledger.open(entry, true, is_resting);
        }
        Ok(())
    }
}

fn put_target(target: Target, check: Check, out: &mut Vec<u8>) {
    let (kind, id, instrument) = match target {
        Target::All => (0_u8, 0, 0),
        Target::Account(id) => (1, id, 0),
        Target::Instrument(id) => (2, id, 0),
        Target::Strategy(id) => (3, id.into(), 0),
        Target::AccountInstrument(id, instrument) => (4, id, instrument),
        Target::StrategyInstrument(id, instrument) => (5, id.into(), instrument),
    };
    [kind, check.0].put(out);
    [id, instrument].put(out);
}

fn get_target(reader: &mut StateReader<'_>) -> Result<(Target, Check), RestoreError> {
    let ([kind, check], [id, instrument]) = (reader.get::<[u8; 2]>()?, reader.get::<[u32; 2]>()?);
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
    Ok((target, check))
}

fn get_pairs(pairs: &mut Table<u64, Pair>, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
    for _ in 0..reader.count("pairs with limits", pairs.capacity())? {
        let (key, [position, restricted]) = (reader.get::<u64>()?, reader.get()?);
        *pairs.entry(key).ok_or(no_room("a pair with limits"))? = Pair { position, restricted };
    }
    Ok(())
}
