//! A naive model of the checks: it keeps everything that happened in vectors and scans all of it for every
//! answer.

use super::rig::{Answer, refused};
use std::collections::BTreeMap;
use stele_risk::{OrderKind, OrderTerms};
use stele_wire::messages::{CancelScope, Check, Side};

const NONE: i64 = i64::MAX;

/// An order or a leg of a quote, as long as it is open.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) id: u64,
    /// The sequence of its event.
    pub(crate) sequence: u64,
    pub(crate) account: u32,
    pub(crate) strategy: u16,
    pub(crate) instrument: u32,
    pub(crate) is_quote: bool,
    pub(crate) side: Side,
    pub(crate) price: i64,
    pub(crate) valued_at: Option<i64>,
    pub(crate) leaves: u64,
    counted: (u64, i64),
}

/// A message to a venue, with the rate limits that were in force then.
#[derive(Clone, Debug)]
struct Sent {
    time: u64,
    buckets: [(Bucket, i64); 3],
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Bucket {
    Publisher(u16),
    Account(u32),
    Strategy(u16),
}

#[derive(Clone, Debug)]
struct Original {
    account: u32,
    instrument: u32,
    side: Side,
    price: i64,
    quantity: u64,
    time: u64,
}

#[derive(Clone, Debug)]
struct Market {
    instrument: u32,
    last: Option<i64>,
    bid: Option<i64>,
    ask: Option<i64>,
}

/// Everything that happened.
#[derive(Clone, Default, Debug)]
pub(crate) struct Model {
    limits: Vec<(CancelScope, u32, u32, Check, i64)>,
    switches: Vec<(CancelScope, u32)>,
    markets: Vec<Market>,
    pub(crate) open: Vec<Open>,
    sent: Vec<Sent>,
    originals: Vec<Original>,
    newest: BTreeMap<u16, u64>,
    /// Account, instrument, signed quantity, value.
    fills: Vec<(u32, u32, i128, i128)>,
    /// The value of a quantity of one at a price of one, by instrument.
    pub(crate) multipliers: BTreeMap<u32, i64>,
}

impl Model {
    pub(crate) fn set_limit(
        &mut self,
        scope: CancelScope,
        id: u32,
        instrument: u32,
        check: Check,
        limit: i64,
    ) {
        self.limits.push((scope, id, instrument, check, limit));
    }

    pub(crate) fn set_switch(&mut self, scope: CancelScope, id: u32, is_engaged: bool) {
        if !is_engaged {
            self.switches.retain(|switch| *switch != (scope, id));
        } else if !self.switches.contains(&(scope, id)) {
            self.switches.push((scope, id));
        }
    }

    pub(crate) fn trade(&mut self, instrument: u32, price: i64) {
        self.market(instrument).last = Some(price);
    }

    pub(crate) fn top(&mut self, instrument: u32, bid: i64, ask: i64) {
        let market = self.market(instrument);
        (market.bid, market.ask) =
            (Some(bid).filter(|bid| *bid != NONE), Some(ask).filter(|ask| *ask != NONE));
    }

    fn market(&mut self, instrument: u32) -> &mut Market {
        if !self.markets.iter().any(|market| market.instrument == instrument) {
            self.markets.push(Market { instrument, last: None, bid: None, ask: None });
        }
        self.markets.iter_mut().find(|market| market.instrument == instrument).unwrap()
    }

    fn reference(&self, instrument: u32) -> Option<i64> {
        let market = self.markets.iter().find(|market| market.instrument == instrument)?;
        match (market.last, market.bid, market.ask) {
            (Some(last), Some(bid), Some(ask)) if bid > ask => Some(last),
            (Some(last), bid, ask) => Some(last.max(bid.unwrap_or(i64::MIN)).min(ask.unwrap_or(i64::MAX))),
            (None, Some(bid), Some(ask)) if bid <= ask => Some((bid + ask) / 2),
            _ => None,
        }
    }

    fn own(&self, scope: CancelScope, id: u32, instrument: u32, check: Check) -> i64 {
        let of_scope = |limit: &&(CancelScope, u32, u32, Check, i64)| {
            (limit.0, limit.1, limit.2, limit.3) == (scope, id, instrument, check)
        };
        self.limits.iter().rfind(of_scope).map_or(NONE, |limit| limit.4)
    }

    /// The limits that apply to an order: the instrument's or otherwise the one over all, the account's, the
    /// strategy's.
    fn applying(&self, order: &OrderTerms, check: Check) -> [i64; 3] {
        let owner = &order.owner;
        let instrument = self.own(CancelScope::INSTRUMENT, owner.instrument, 0, check);
        [
            if instrument == NONE { self.own(CancelScope::ALL, 0, 0, check) } else { instrument },
            self.own(CancelScope::ACCOUNT, owner.account, 0, check),
            self.own(CancelScope::STRATEGY, owner.strategy.into(), 0, check),
        ]
    }

    fn strictest(&self, order: &OrderTerms, check: Check) -> i64 {
        self.applying(order, check).into_iter().min().unwrap()
    }

    fn value(&self, instrument: u32, price: i64, quantity: u64) -> i64 {
        let multiplier = self.multipliers.get(&instrument).copied().unwrap_or(1);
        price.abs() * quantity as i64 * multiplier
    }

    fn valued_at(&self, order: &OrderTerms, side: Side, price: i64) -> Option<i64> {
        let reference = self.reference(order.owner.instrument);
        match (price, side) {
            (NONE, _) => reference,
            (price, Side::SELL) => Some(price.max(reference.unwrap_or(price))),
            (price, _) => Some(price),
        }
    }

    /// Position and cost by going through every fill.
    fn holding(&self, account: u32, instrument: u32) -> (i128, i128) {
        let (mut position, mut cost) = (0_i128, 0_i128);
        for (_, _, quantity, value) in
            self.fills.iter().filter(|fill| (fill.0, fill.1) == (account, instrument))
        {
            let signed = value * quantity.signum();
            if position * quantity >= 0 {
                cost += signed;
            } else if quantity.abs() <= position.abs() {
                cost -= cost * quantity.abs() / position.abs();
            } else {
                cost = signed * (quantity.abs() - position.abs()) / quantity.abs();
            }
            position += quantity;
        }
        (position, cost)
    }

    fn counted(&self, account: u32, instrument: u32, side: Side) -> (i128, i128) {
        let open = self
            .open
            .iter()
            .filter(|open| (open.account, open.instrument, open.side) == (account, instrument, side));
        open.fold((0, 0), |sum, open| {
            (sum.0 + i128::from(open.counted.0), sum.1 + i128::from(open.counted.1))
        })
    }

    fn exposure(&self, account: u32, instrument: u32, more: [i128; 2]) -> i128 {
        let (_, cost) = self.holding(account, instrument);
        let long = cost + self.counted(account, instrument, Side::BUY).1 + more[0];
        let short = self.counted(account, instrument, Side::SELL).1 + more[1] - cost;
        long.max(short).max(0)
    }

    pub(crate) fn position(&self, account: u32, instrument: u32) -> i128 {
        self.holding(account, instrument).0
    }

    pub(crate) fn credit_used(&self, account: u32) -> i128 {
        let mut instruments: Vec<u32> = self.open.iter().map(|open| open.instrument).collect();
        instruments.extend(self.fills.iter().map(|fill| fill.1));
        instruments.sort_unstable();
        instruments.dedup();
        instruments.into_iter().map(|instrument| self.exposure(account, instrument, [0, 0])).sum()
    }

    fn credit_used_by_all(&self) -> i128 {
        let mut accounts: Vec<u32> = self.open.iter().map(|open| open.account).collect();
        accounts.extend(self.fills.iter().map(|fill| fill.0));
        accounts.sort_unstable();
        accounts.dedup();
        accounts.into_iter().map(|account| self.credit_used(account)).sum()
    }

    /// What a leg adds to what the replaced order counts for.
    fn added(&self, order: &OrderTerms, side: Side, quantity: u64, value: i64) -> (u64, i64) {
        let replaced = self.open.iter().find(|open| {
            order.kind != OrderKind::New
                && order.replaced_order_id != 0
                && (open.id, open.account) == (order.replaced_order_id, order.owner.account)
                && open.side == side
        });
        let counted = replaced.map_or((0, 0), |open| open.counted);
        (quantity.saturating_sub(counted.0), (value - counted.1).max(0))
    }

    fn buckets(&self, publisher: u16, account: u32, strategy: u16) -> [(Bucket, i64); 3] {
        [
            (Bucket::Publisher(publisher), self.own(CancelScope::ALL, 0, 0, Check::MESSAGE_RATE)),
            (Bucket::Account(account), self.own(CancelScope::ACCOUNT, account, 0, Check::MESSAGE_RATE)),
            (
                Bucket::Strategy(strategy),
                self.own(CancelScope::STRATEGY, strategy.into(), 0, Check::MESSAGE_RATE),
            ),
        ]
    }

    /// The messages in a bucket at `now` with one more, by pouring in every message since the beginning.
    fn in_bucket(&self, bucket: Bucket, limit: i64, now: u64) -> i64 {
        let cost =
            |limit: i64| if limit == NONE { 0 } else { 1_000_000_000_u64.div_ceil(limit.max(1) as u64) };
        let (mut level, mut at) = (0_u64, 0_u64);
        for sent in &self.sent {
            for (_, limit) in sent.buckets.iter().filter(|(other, _)| *other == bucket) {
                level = level.saturating_sub(sent.time - at) + cost(*limit);
                at = sent.time;
            }
        }
        level = level.saturating_sub(now - at) + cost(limit);
        level.div_ceil(cost(limit)) as i64
    }

    pub(crate) fn send(&mut self, publisher: u16, account: u32, strategy: u16, number: u64, now: u64) {
        self.sent.push(Sent { time: now, buckets: self.buckets(publisher, account, strategy) });
        let newest = self.newest.entry(publisher).or_default();
        *newest = number.max(*newest);
    }

    /// Whether any limit was ever set that needs more than an order's own terms.
    fn is_stateful(&self) -> bool {
        let scopes = self.limits.iter().map(|limit| (limit.0, limit.1, limit.2, limit.3));
        scopes
            .filter(|scope| !matches!(scope.3, Check::ORDER_QUANTITY | Check::NOTIONAL))
            .any(|scope| scope.2 != 0 || self.own(scope.0, scope.1, scope.2, scope.3) != NONE)
    }

    pub(crate) fn check(&self, order: &OrderTerms, now: u64) -> Answer {
        self.refusal(order, now).map_or(Answer::Passed, |(check, limit, value)| refused(check, limit, value))
    }

    fn refusal(&self, order: &OrderTerms, now: u64) -> Option<(Check, i64, i64)> {
        let owner = &order.owner;
        let covering = self.switches.iter().find(|(scope, id)| match *scope {
            CancelScope::ACCOUNT => owner.account == *id,
            CancelScope::INSTRUMENT => owner.instrument == *id,
            _ => owner.strategy == *id as u16,
        });
        if let Some((_, id)) = covering {
            return Some((Check::KILL_SWITCH, 0, i64::from(*id)));
        }
        let newest = self.newest.get(&order.publisher).copied().unwrap_or(0);
        if order.publisher_sequence <= newest {
            return Some((Check::DUPLICATE, newest as i64, order.publisher_sequence as i64));
        }
        if self.open.iter().any(|open| (open.id, open.account) == (order.client_order_id, owner.account)) {
            return Some((Check::DUPLICATE, 0, order.client_order_id as i64));
        }
        let replaces = order.kind == OrderKind::Replacement || order.replaced_order_id != 0;
        let is_replaced = |open: &Open| {
            (open.id, open.account, open.instrument)
                == (order.replaced_order_id, owner.account, owner.instrument)
                && open.is_quote == (order.kind == OrderKind::Quote)
                && (open.is_quote || open.side == order.side())
        };
        if replaces && !self.open.iter().any(is_replaced) {
            return Some((Check::UNKNOWN_ORDER, 0, order.replaced_order_id as i64));
        }
        for leg in order.legs() {
            let (quantity, limit) = (leg.quantity.0 as i64, self.strictest(order, Check::ORDER_QUANTITY));
            if quantity > limit {
                return Some((Check::ORDER_QUANTITY, limit, quantity));
            }
            let price = self.valued_at(order, leg.side, leg.price.0);
            let value = price.map_or(NONE, |price| self.value(owner.instrument, price, leg.quantity.0));
            let limit = self.strictest(order, Check::NOTIONAL);
            if limit != NONE && value > limit {
                return Some((Check::NOTIONAL, limit, value));
            }
        }
        if self.is_stateful() { self.refusal_by_state(order, now) } else { None }
    }

    fn refusal_by_state(&self, order: &OrderTerms, now: u64) -> Option<(Check, i64, i64)> {
        let (owner, instrument) = (&order.owner, order.owner.instrument);
        let restrictions = [
            (CancelScope::INSTRUMENT, instrument, 0),
            (CancelScope::ACCOUNT, owner.account, 0),
            (CancelScope::STRATEGY, owner.strategy.into(), 0),
            (CancelScope::ACCOUNT, owner.account, instrument),
            (CancelScope::STRATEGY, owner.strategy.into(), instrument),
        ];
        if restrictions.iter().any(|(scope, id, in_)| self.own(*scope, *id, *in_, Check::RESTRICTED) == 0) {
            return Some((Check::RESTRICTED, 0, instrument.into()));
        }
        for (bucket, limit) in self.buckets(order.publisher, owner.account, owner.strategy) {
            if limit != NONE && (limit == 0 || self.in_bucket(bucket, limit, now) > limit) {
                return Some((Check::MESSAGE_RATE, limit, self.in_bucket(bucket, limit, now)));
            }
        }
        let legs = order.legs().len();
        let of_account = self.open.iter().filter(|open| open.account == owner.account).count();
        let of_strategy = self.open.iter().filter(|open| open.strategy == owner.strategy).count();
        let counts = [
            (self.own(CancelScope::ALL, 0, 0, Check::OPEN_ORDERS), self.open.len()),
            (self.own(CancelScope::ACCOUNT, owner.account, 0, Check::OPEN_ORDERS), of_account),
            (self.own(CancelScope::STRATEGY, owner.strategy.into(), 0, Check::OPEN_ORDERS), of_strategy),
        ];
        if let Some((limit, open)) = counts.iter().find(|(limit, open)| (open + legs) as i64 > *limit) {
            return Some((Check::OPEN_ORDERS, *limit, (open + legs) as i64));
        }
        let mut added = [0_i128; 2];
        let mut is_valued = true;
        for leg in order.legs() {
            let (side, price, quantity) = (leg.side, leg.price.0, leg.quantity.0);
            if let Some(refusal) = self.refusal_of_leg(order, side, price, quantity, now) {
                return Some(refusal);
            }
            let at = self.valued_at(order, side, price);
            is_valued &= at.is_some();
            let value = at.map_or(0, |at| self.value(instrument, at, quantity));
            added[usize::from(side == Side::SELL)] = self.added(order, side, quantity, value).1.into();
        }
        self.refusal_of_credit(order, added, is_valued)
    }

    fn refusal_of_leg(
        &self,
        order: &OrderTerms,
        side: Side,
        price: i64,
        quantity: u64,
        now: u64,
    ) -> Option<(Check, i64, i64)> {
        let owner = &order.owner;
        let collar = self.strictest(order, Check::PRICE_COLLAR);
        if collar != NONE {
            let Some(reference) = self.reference(owner.instrument) else {
                return Some((Check::PRICE_COLLAR, collar, NONE));
            };
            let distance = i128::from((price - reference).abs()) * 1_000_000_000;
            if price != NONE && distance > i128::from(collar) * i128::from(reference) {
                let value = (distance + i128::from(reference) - 1) / i128::from(reference);
                return Some((Check::PRICE_COLLAR, collar, value as i64));
            }
        }
        let windows = self.applying(order, Check::DUPLICATE).into_iter().filter(|window| *window != NONE);
        let window = windows.max().unwrap_or(0);
        let alike = self.originals.iter().rfind(|original| {
            (original.account, original.instrument) == (owner.account, owner.instrument)
                && (original.side, original.price, original.quantity) == (side, price, quantity)
        });
        if let Some(original) = alike.filter(|_| order.kind == OrderKind::New)
            && now - original.time < window as u64
        {
            return Some((Check::DUPLICATE, window, (now - original.time) as i64));
        }
        let (more, _) = self.added(order, side, quantity, 0);
        let pair = self.own(CancelScope::ACCOUNT, owner.account, owner.instrument, Check::POSITION);
        let [general, of_account, _] = self.applying(order, Check::POSITION);
        let limit = if pair == NONE { general.min(of_account) } else { pair };
        let position = self.position(owner.account, owner.instrument);
        let position = if side == Side::BUY { position } else { -position };
        let worst = position + self.counted(owner.account, owner.instrument, side).0 + i128::from(more);
        if limit != NONE && more > 0 && worst > limit.into() {
            return Some((Check::POSITION, limit, worst as i64));
        }
        self.refusal_of_self_match(order, side, price)
    }

    fn refusal_of_self_match(&self, order: &OrderTerms, side: Side, price: i64) -> Option<(Check, i64, i64)> {
        if self.strictest(order, Check::SELF_MATCH) != 0 {
            return None;
        }
        if let [bid, ask] = order.legs()
            && bid.price.0 >= ask.price.0
        {
            return Some((Check::SELF_MATCH, ask.price.0, bid.price.0));
        }
        let owner = &order.owner;
        let others = self.open.iter().filter(|open| {
            (open.account, open.instrument) == (owner.account, owner.instrument)
                && open.side != side
                && !(order.replaced_order_id != 0 && open.id == order.replaced_order_id)
        });
        let crossing = others.map(|open| open.price).filter(|other| {
            price == NONE
                || *other == NONE
                || if side == Side::BUY { price >= *other } else { price <= *other }
        });
        let eagerness = |other: &i64| match (side, *other) {
            (_, NONE) => NONE,
            (Side::BUY, other) => -other,
            (_, other) => other,
        };
        crossing.max_by_key(eagerness).map(|other| (Check::SELF_MATCH, other, price))
    }

    fn refusal_of_credit(
        &self,
        order: &OrderTerms,
        added: [i128; 2],
        is_valued: bool,
    ) -> Option<(Check, i64, i64)> {
        let (account, instrument) = (order.owner.account, order.owner.instrument);
        let limits = [
            (self.own(CancelScope::ACCOUNT, account, 0, Check::CREDIT), self.credit_used(account)),
            (self.own(CancelScope::ALL, 0, 0, Check::CREDIT), self.credit_used_by_all()),
        ];
        if limits[0].0.min(limits[1].0) == NONE {
            return None;
        }
        if !is_valued {
            return Some((Check::CREDIT, limits[0].0.min(limits[1].0), NONE));
        }
        let more = self.exposure(account, instrument, added) - self.exposure(account, instrument, [0, 0]);
        let beyond = limits
            .into_iter()
            .find(|(limit, used)| more > 0 && *limit != NONE && used + more > i128::from(*limit));
        beyond.map(|(limit, used)| (Check::CREDIT, limit, (used + more) as i64))
    }

    /// An order that passed.
    pub(crate) fn enter(&mut self, order: &OrderTerms, now: u64, sequence: u64) {
        let owner = order.owner;
        self.send(order.publisher, owner.account, owner.strategy, order.publisher_sequence, now);
        for leg in order.legs() {
            let (side, price, quantity) = (leg.side, leg.price.0, leg.quantity.0);
            if order.kind == OrderKind::New {
                let (account, instrument) = (owner.account, owner.instrument);
                self.originals.push(Original { account, instrument, side, price, quantity, time: now });
            }
            let valued_at = self.valued_at(order, side, price);
            let value = valued_at.map_or(0, |at| self.value(owner.instrument, at, quantity));
            self.open.push(Open {
                id: order.client_order_id,
                sequence,
                account: owner.account,
                strategy: owner.strategy,
                instrument: owner.instrument,
                is_quote: order.kind == OrderKind::Quote,
                side,
                price,
                valued_at,
                leaves: quantity,
                counted: self.added(order, side, quantity, value),
            });
        }
    }

    pub(crate) fn fill(&mut self, account: u32, instrument: u32, quantity: i128, price: i64) {
        let value = self.value(instrument, price, quantity.unsigned_abs() as u64);
        self.fills.push((account, instrument, quantity, value.into()));
    }

    /// Sets what is left of the order at `at`, and its price if there is a new one.
    pub(crate) fn settle(&mut self, at: usize, leaves: u64, price: Option<i64>) {
        let open = self.open[at].clone();
        if leaves == 0 {
            self.open.remove(at);
            return;
        }
        let repriced = price.filter(|price| *price != open.price);
        let valued_at = repriced.or(open.valued_at);
        let value = valued_at.map_or(0, |at| self.value(open.instrument, at, leaves));
        let price = price.unwrap_or(open.price);
        self.open[at] = Open { leaves, price, valued_at, counted: (leaves, value), ..open };
    }
}
