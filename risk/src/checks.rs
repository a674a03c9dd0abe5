//! The checks of an order, one function each.

use crate::duplicates::Likeness;
use crate::ledger::{Account, Holding, Strategy, holding_key};
use crate::limits::{NONE, Set, place};
use crate::market::Instrument;
use crate::orders::{OrderKey, side_index};
use crate::risk::{Breach, Risk, Source};
use crate::terms::{Leg, OrderKind, OrderTerms};
use stele_wire::messages::{Check, ReleaseWatermark};
use stele_wire::{Nanos, Price};

/// The state of everything that an order names, looked up once for all checks.
struct Found<'a> {
    instrument: &'a Instrument,
    account: &'a Account,
    strategy: &'a Strategy,
    source: &'a Source,
    holding: &'a Holding,
    /// The limits of the instrument, of the account and of the strategy.
    limits: [&'a Set; 3],
}

impl<'a> Found<'a> {
    #[inline]
    fn unknown(limits: &'a Set) -> Self {
        Self {
            limits: [limits; 3],
            instrument: const { &Instrument::UNKNOWN },
            account: const { &Account::NEW },
            strategy: const { &Strategy::NEW },
            source: const { &Source::NEW },
            holding: const { &Holding::NEW },
        }
    }
}

type Verdict = Result<(), Breach>;

#[inline]
fn refuse(check: Check, limit: i64, value: i64) -> Verdict {
    Err(Breach { check, limit, value })
}

fn saturated(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn full(check: Check, capacity: usize) -> Verdict {
    refuse(check, capacity as i64, capacity as i64 + 1)
}

impl Risk {
    /// Checks an order and reports the first check that fails. `now` is the time that the order's event will
    /// have. Limits that are effective by then are in force.
    ///
    /// # Errors
    /// [`Breach`], with limit and value in the unit of the check:
    ///
    /// | check | limit | value |
    /// |---|---|---|
    /// | `KILL_SWITCH` | 0 | the id in the switch's scope |
    /// | `RELEASE_HELD` | the last available watermark | the one requested |
    /// | `MALFORMED` | 1 | the quantity, or a side that is neither buy nor sell |
    /// | `ORDER_QUANTITY` | mantissa | mantissa |
    /// | `NOTIONAL` | 1e-9 of the currency | 1e-9 of the currency, at most `i64::MAX` |
    /// | `PRICE_COLLAR` | 1e-9 of the reference | distance from it; null when there is no reference |
    /// | `DUPLICATE` | the window, ns | the age of the order that it repeats, ns |
    /// | `DUPLICATE` (resubmitted) | the publisher's newest number | the submission's number |
    /// | `DUPLICATE` (id in use) | 0 | the client order id |
    /// | `MESSAGE_RATE` | messages a second | messages in the last second, including this one |
    /// | `OPEN_ORDERS` | count | count, including this one |
    /// | `POSITION` | mantissa | mantissa, with every open order on its side executed |
    /// | `CREDIT` | 1e-9 of the currency | credit used with this order; null when it cannot be valued |
    /// | `RESTRICTED` | 0 | the instrument |
    /// | `SELF_MATCH` | price of the own resting order | price of this order |
    #[inline]
    pub fn check(&mut self, order: &OrderTerms, now: Nanos) -> Result<(), Breach> {
        self.take_effect(now.0);
        self.check_kill_switch(order)?;
        self.check_release(order)?;
        self.check_resubmission(order)?;
        let (found, mut values) = (self.find(order), [None; 2]);
        for (at, leg) in order.legs().iter().enumerate() {
            self.check_quantity(leg, &found)?;
            let price = priced(order, leg, found.instrument);
            values[at] = price.map(|price| found.instrument.value(price, leg.quantity));
            self.check_notional(values[at], &found)?;
        }
        if self.limits.needs_state { self.check_state(order, values, &found, now.0) } else { Ok(()) }
    }

    /// The checks that need the state of accounts, orders and the market.
    #[inline]
    fn check_state(
        &self,
        order: &OrderTerms,
        values: [Option<i64>; 2],
        found: &Found<'_>,
        now: u64,
    ) -> Verdict {
        self.check_room(order, now)?;
        self.check_restricted(order, found)?;
        self.check_rate(found, now)?;
        self.check_id(order)?;
        self.check_open_orders(order, found)?;
        let mut added = [0; 2];
        let mut is_valued = true;
        for (at, leg) in order.legs().iter().enumerate() {
            let value = values[at];
            let Some(side) = side_index(leg.side) else {
                return refuse(Check::MALFORMED, 1, i64::from(leg.side.0));
            };
            self.check_collar(leg, found)?;
            self.check_duplicate(order, leg, found, now)?;
            let (more, more_value) = self.added(order, leg, value.unwrap_or(0));
            self.check_position(order, side, more.into(), found)?;
            self.check_self_match(order, leg, side, found)?;
            is_valued &= value.is_some();
            added[side] = more_value.into();
        }
        self.check_credit(added, is_valued, found)
    }

    #[inline]
    fn find(&self, order: &OrderTerms) -> Found<'_> {
        let (owner, mut found) = (&order.owner, Found::unknown(self.limits.set(0)));
        if let Some(instrument) = self.market.instruments.get(owner.instrument) {
            found.instrument = instrument;
            found.limits[0] = self.limits.set(instrument.limits);
        }
        if let Some(account) = self.ledger.accounts.get(owner.account) {
            found.account = account;
            found.limits[1] = self.limits.set(account.limits);
        }
        if let Some(strategy) = self.ledger.strategies.get(owner.strategy.into()) {
            found.strategy = strategy;
            found.limits[2] = self.limits.set(strategy.limits);
        }
        if !self.limits.needs_state {
            return found;
        }
        if let Some(source) = self.publishers.get(order.publisher.into()) {
            found.source = source;
        }
        if let Some(holding) = self.ledger.holdings.get(holding_key(owner.account, owner.instrument)) {
            found.holding = holding;
        }
        found
    }

    /// The instrument's limit, or otherwise the one over all.
    #[inline]
    fn general(&self, check: Check, found: &Found<'_>) -> i64 {
        let own = found.limits[0][place(check)];
        if own != NONE { own } else { self.limits.all[place(check)] }
    }

    /// The strictest limit that applies to the order.
    #[inline]
    fn limit(&self, check: Check, found: &Found<'_>) -> i64 {
        let [_, account, strategy] = found.limits;
        self.general(check, found).min(account[place(check)]).min(strategy[place(check)])
    }

    /// Kill functionality. RTS 6 Art. 12(1); SEC 15c3-5(d), direct and exclusive control.
    fn check_kill_switch(&self, order: &OrderTerms) -> Verdict {
        if self.switches.is_none_engaged() {
            return Ok(());
        }
        let mut owner = order.owner;
        owner.algorithms[2] = self.algorithm(owner.strategy);
        match self.switches.covers(&owner) {
            Some(id) => refuse(Check::KILL_SWITCH, 0, i64::from(id)),
            None => Ok(()),
        }
    }

    /// Release watermark: an order is never released before the watermark that it asks for, and there is no
    /// replication and perhaps no sealing. SEC 15c3-5(c)(1): what cannot be controlled is prevented from
    /// entry.
    fn check_release(&self, order: &OrderTerms) -> Verdict {
        let is_held = match order.release {
            ReleaseWatermark::REPLICATED => true,
            ReleaseWatermark::SEALED => !self.has_sealer,
            _ => false,
        };
        if is_held {
            let (limit, value) = (ReleaseWatermark::DURABLE, order.release);
            return refuse(Check::RELEASE_HELD, limit.0.into(), value.0.into());
        }
        Ok(())
    }

    /// A submission that is on the log already, identified by the publisher and its own number, which only
    /// grows: SEC 15c3-5(c)(1)(ii), duplicative orders.
    fn check_resubmission(&self, order: &OrderTerms) -> Verdict {
        let Some(number) = order.number() else { return Ok(()) };
        match self.publishers.get(order.publisher.into()) {
            Some(source) if number <= source.newest => {
                refuse(Check::DUPLICATE, saturated(source.newest.into()), saturated(number.into()))
            }
            _ => Ok(()),
        }
    }

    /// SEC 15c3-5(c)(1)(ii), erroneous orders by size; RTS 6 Art. 15(1)(c), maximum order volume. An order
    /// without a quantity is malformed.
    fn check_quantity(&self, leg: &Leg, found: &Found<'_>) -> Verdict {
        let value = i64::try_from(leg.quantity.0).unwrap_or(i64::MAX);
        if matches!(leg.quantity.0, 0 | u64::MAX) {
            return refuse(Check::MALFORMED, 1, value);
        }
        let limit = self.limit(Check::ORDER_QUANTITY, found);
        if limit != NONE && value > limit { refuse(Check::ORDER_QUANTITY, limit, value) } else { Ok(()) }
    }

    /// RTS 6 Art. 15(1)(b), maximum order value. An order without any price is bounded only by its quantity.
    fn check_notional(&self, value: Option<i64>, found: &Found<'_>) -> Verdict {
        let (limit, value) = (self.limit(Check::NOTIONAL, found), value.unwrap_or(0));
        if limit != NONE && value > limit { refuse(Check::NOTIONAL, limit, value) } else { Ok(()) }
    }

    /// Room in every table that the order needs; see the description of the module `risk`.
    fn check_room(&self, order: &OrderTerms, now: u64) -> Verdict {
        let (owner, ledger) = (&order.owner, &self.ledger);
        let instruments = &self.market.instruments;
        if instruments.is_full() && instruments.slot(owner.instrument).is_none() {
            return full(Check::UNKNOWN_INSTRUMENT, instruments.capacity());
        }
        if ledger.accounts.is_full() && ledger.accounts.slot(owner.account).is_none() {
            return full(Check::POSITION, ledger.accounts.capacity());
        }
        let key = holding_key(owner.account, owner.instrument);
        if ledger.holdings.is_full() && ledger.holdings.slot(key).is_none() {
            return full(Check::POSITION, ledger.holdings.capacity());
        }
        if ledger.strategies.is_full() && ledger.strategies.slot(owner.strategy.into()).is_none() {
            return full(Check::OPEN_ORDERS, ledger.strategies.capacity());
        }
        if !ledger.orders.has_room(order.legs().len()) {
            return full(Check::OPEN_ORDERS, ledger.orders.capacity());
        }
        if self.publishers.is_full() && self.publishers.slot(order.publisher.into()).is_none() {
            return full(Check::MESSAGE_RATE, self.publishers.capacity());
        }
        let horizon = self.limits.horizon;
        if horizon > 0 && order.kind == OrderKind::New && self.recent.is_full(now, horizon) {
            return full(Check::DUPLICATE, crate::bounds::RISK_RECENT_ORDERS_MAX);
        }
        Ok(())
    }

    /// SEC 15c3-5(c)(2)(ii), securities that the account or the firm is restricted from trading; RTS 6 Art.
    /// 15(5), orders of traders without permission to trade the instrument.
    fn check_restricted(&self, order: &OrderTerms, found: &Found<'_>) -> Verdict {
        let (owner, at) = (&order.owner, place(Check::RESTRICTED));
        let mut is_restricted = found.limits.iter().any(|set| set[at] == 0);
        if !self.limits.of_accounts.is_empty() {
            let pair = self.limits.of_accounts.get(holding_key(owner.account, owner.instrument));
            is_restricted |= pair.is_some_and(|pair| pair.restricted == 0);
        }
        if !self.limits.of_strategies.is_empty() {
            let pair = self.limits.of_strategies.get(holding_key(owner.strategy.into(), owner.instrument));
            is_restricted |= pair.is_some_and(|pair| pair.restricted == 0);
        }
        if is_restricted { refuse(Check::RESTRICTED, 0, owner.instrument.into()) } else { Ok(()) }
    }

    /// RTS 6 Art. 15(1)(d), maximum messages limit. Each publisher, account and strategy has a bucket of one
    /// second's messages. Cancels count and are never refused.
    fn check_rate(&self, found: &Found<'_>, now: u64) -> Verdict {
        let (account, strategy) = (found.account, found.strategy);
        let buckets = [
            (found.source.bucket, self.rate),
            (account.bucket, account.rate),
            (strategy.bucket, strategy.rate),
        ];
        for (bucket, rate) in buckets {
            if rate.limit() != NONE
                && let Some(value) = bucket.overflow(rate, now)
            {
                return refuse(Check::MESSAGE_RATE, rate.limit(), value);
            }
        }
        Ok(())
    }

    /// An order id that is in use would identify two orders: SEC 15c3-5(c)(1)(ii). Checked only where
    /// duplicates are.
    fn check_id(&self, order: &OrderTerms) -> Verdict {
        if self.limits.horizon == 0 {
            return Ok(());
        }
        let is_open = order.legs().iter().any(|leg| self.ledger.orders.find(key(order, leg)).is_some());
        if is_open { refuse(Check::DUPLICATE, 0, saturated(order.client_order_id.into())) } else { Ok(()) }
    }

    /// RTS 6 Art. 15(4) and (5), market risk limits by client, strategy and firm: the open orders of the
    /// shard, an account and a strategy.
    fn check_open_orders(&self, order: &OrderTerms, found: &Found<'_>) -> Verdict {
        let at = place(Check::OPEN_ORDERS);
        let [_, account, strategy] = found.limits;
        let more = order.legs().len() as i64;
        let counts = [
            (self.limits.all[at], self.ledger.orders.len() as i64),
            (account[at], found.account.open.into()),
            (strategy[at], found.strategy.open.into()),
        ];
        match counts.into_iter().find(|(limit, open)| open + more > *limit) {
            Some((limit, open)) => refuse(Check::OPEN_ORDERS, limit, open + more),
            None => Ok(()),
        }
    }

    /// RTS 6 Art. 15(1)(a), price collars; SEC 15c3-5(c)(1)(ii), erroneous orders by price. The price is
    /// compared with [`Risk::reference`]. Without a reference, no order with a collar passes. An order
    /// without a limit passes if there is a reference.
    fn check_collar(&self, leg: &Leg, found: &Found<'_>) -> Verdict {
        let limit = self.limit(Check::PRICE_COLLAR, found);
        if limit == NONE {
            return Ok(());
        }
        let Some(reference) = found.instrument.reference() else {
            return refuse(Check::PRICE_COLLAR, limit, NONE);
        };
        if !leg.price.is_defined() {
            return Ok(());
        }
        let scaled = u128::from(leg.price.0.abs_diff(reference)) * Price::SCALE.unsigned_abs() as u128;
        let base = u128::from(reference.unsigned_abs());
        if scaled <= limit.unsigned_abs() as u128 * base {
            return Ok(());
        }
        let value = if base == 0 { NONE } else { i64::try_from(scaled.div_ceil(base)).unwrap_or(NONE) };
        refuse(Check::PRICE_COLLAR, limit, value)
    }

    /// SEC 15c3-5(c)(1)(ii), orders that appear duplicative: a new order with the same account, instrument,
    /// side, price and quantity within the window. The longest window that applies to the order decides.
    fn check_duplicate(&self, order: &OrderTerms, leg: &Leg, found: &Found<'_>, now: u64) -> Verdict {
        if self.limits.horizon == 0 || order.kind != OrderKind::New {
            return Ok(());
        }
        let [_, account, strategy] = found.limits.map(|set| set[place(Check::DUPLICATE)]);
        let windows = [self.general(Check::DUPLICATE, found), account, strategy];
        let window = windows.into_iter().filter(|window| *window != NONE).max().unwrap_or(0);
        match self.recent.newest(likeness(order, leg)) {
            Some(time) if now.saturating_sub(time) < window.unsigned_abs() => {
                refuse(Check::DUPLICATE, window, now.saturating_sub(time) as i64)
            }
            _ => Ok(()),
        }
    }

    /// RTS 6 Art. 15(4), market risk limits, with every order sent counted (Art. 15(2)); SEC 15c3-5(c)(1)(i):
    /// the position of the account if this order and every open order on its side were executed. An order
    /// that adds nothing passes, so that a position can be closed.
    fn check_position(&self, order: &OrderTerms, side: usize, more: i128, found: &Found<'_>) -> Verdict {
        let [_, account, _] = found.limits;
        let mut limit = self.general(Check::POSITION, found).min(account[place(Check::POSITION)]);
        if !self.limits.of_accounts.is_empty() {
            let key = holding_key(order.owner.account, order.owner.instrument);
            let pair = self.limits.of_accounts.get(key).map_or(NONE, |pair| pair.position);
            limit = if pair != NONE { pair } else { limit };
        }
        let value = found.holding.worst(side, more);
        if limit == NONE || more == 0 || value <= limit.into() {
            return Ok(());
        }
        refuse(Check::POSITION, limit, saturated(value))
    }

    /// Regulation (EU) 596/2014 Art. 12(1)(a) and RTS 6 Art. 13, FINRA 5210.02: no trade with oneself. It
    /// considers the resting order that would be matched first, of this account or another one of the same
    /// beneficial owner. An order that this one replaces does not count, nor does one that waits for its
    /// stop.
    fn check_self_match(&self, order: &OrderTerms, leg: &Leg, side: usize, found: &Found<'_>) -> Verdict {
        if self.limit(Check::SELF_MATCH, found) != 0 || order.stop_price.is_defined() {
            return Ok(());
        }
        let crosses = |resting: i64| {
            let is_priced = leg.price.is_defined() && resting != Price::UNDEFINED.0;
            !is_priced || if side == 0 { leg.price.0 >= resting } else { leg.price.0 <= resting }
        };
        if let [bid, ask] = order.legs()
            && bid.price.0 >= ask.price.0
        {
            return refuse(Check::SELF_MATCH, ask.price.0, bid.price.0);
        }
        let ends = self.ledger.resting_of(found.holding, found.account, order.owner.instrument);
        let mut resting = ends.into_iter().flat_map(|ends| self.ledger.orders.resting(&ends[1 - side]));
        let met = resting.find(|entry| {
            let is_replaced = order.replaced_order_id != 0
                && entry.key.account == order.owner.account
                && entry.key.client_order_id == order.replaced_order_id
                && entry.key.strategy == order.owner.strategy;
            !is_replaced || !crosses(entry.price)
        });
        match met {
            Some(entry) if crosses(entry.price) => refuse(Check::SELF_MATCH, entry.price, leg.price.0),
            _ => Ok(()),
        }
    }

    /// SEC 15c3-5(c)(1)(i), credit and capital thresholds in the aggregate for each customer and the broker;
    /// RTS 6 Art. 15(4). It considers the credit used, including this order, by the account and by all
    /// accounts of the shard. An order that adds nothing passes. There are no exchange rates: an account has
    /// credit only in its own currency.
    fn check_credit(&self, added: [i128; 2], is_valued: bool, found: &Found<'_>) -> Verdict {
        let (account, holding, at) = (found.account, found.holding, place(Check::CREDIT));
        let of_account = found.limits[1][at].min(account.allotted);
        let of_all = self.limits.all[at].min(self.allotted.unwrap_or(NONE));
        if of_account == NONE && of_all == NONE {
            return Ok(());
        }
        if !is_valued {
            return refuse(Check::CREDIT, of_account.min(of_all), NONE);
        }
        let more = holding.exposure_with(added) - holding.exposure();
        if more <= 0 {
            return Ok(());
        }
        let currencies = [account.currency, found.instrument.currency];
        if currencies[0] != currencies[1] && !currencies.contains(&[0; 3]) {
            return refuse(Check::CREDIT, 0, saturated(more));
        }
        for (limit, used) in [(of_account, account.used), (of_all, self.ledger.used)] {
            if limit != NONE && used + more > limit.into() {
                return refuse(Check::CREDIT, limit, saturated(used + more));
            }
        }
        Ok(())
    }

    /// What a leg of this value would add to open quantity and value. What the replaced order has there
    /// already is subtracted, because only one of the two can be executed.
    #[inline]
    pub(crate) fn added(&self, order: &OrderTerms, leg: &Leg, value: i64) -> (u64, i64) {
        if order.replaced_order_id == 0 || order.kind == OrderKind::New {
            return (leg.quantity.0, value);
        }
        let replaced = OrderKey { client_order_id: order.replaced_order_id, ..key(order, leg) };
        let (quantity_before, value_before) = self.ledger.counted(replaced, leg.side);
        (leg.quantity.0.saturating_sub(quantity_before), (value - value_before).max(0))
    }

    /// The algorithm that a strategy was defined with.
    pub(crate) fn algorithm(&self, strategy: u16) -> u32 {
        self.ledger.strategies.get(strategy.into()).map_or(0, |strategy| strategy.algorithm)
    }
}

/// The price at which an order is valued: its limit, otherwise its stop, otherwise the reference. A sale is
/// valued at the reference if that is more than its limit, because the market may pay it.
#[inline]
pub(crate) fn priced(order: &OrderTerms, leg: &Leg, instrument: &Instrument) -> Option<i64> {
    let own = [leg.price, order.stop_price].into_iter().find(|price| price.is_defined());
    match (own, side_index(leg.side)) {
        (Some(price), Some(1)) => {
            let market = instrument.reference().unwrap_or(price.0);
            Some(if market.unsigned_abs() > price.0.unsigned_abs() { market } else { price.0 })
        }
        (Some(price), _) => Some(price.0),
        (None, _) => instrument.reference(),
    }
}

#[inline]
pub(crate) fn key(order: &OrderTerms, leg: &Leg) -> OrderKey {
    OrderKey {
        client_order_id: order.client_order_id,
        account: order.owner.account,
        strategy: order.owner.strategy,
        leg: if order.kind == OrderKind::Quote { leg.side.0 } else { 0 },
    }
}

#[inline]
pub(crate) fn likeness(order: &OrderTerms, leg: &Leg) -> Likeness {
    Likeness {
        account: order.owner.account,
        instrument: order.owner.instrument,
        side: leg.side.0,
        price: leg.price.0,
        quantity: leg.quantity.0,
    }
}
