//! The checks of an order, one function each.

use crate::duplicates::Likeness;
use crate::ledger::{Account, Holding, Strategy, holding_key};
use crate::levels::NIL;
use crate::limits::{NONE, Set, place};
use crate::market::Instrument;
use crate::orders::{price_of, side_index};
use crate::risk::{Breach, Risk, Source};
use crate::terms::{Leg, OrderKind, OrderTerms};
use stele_wire::messages::Check;
use stele_wire::{Nanos, Price};

/// The state of everything that an order names, looked up once for all checks.
pub(crate) struct Found<'a> {
    pub(crate) instrument: &'a Instrument,
    pub(crate) account: &'a Account,
    pub(crate) strategy: &'a Strategy,
    pub(crate) source: &'a Source,
    holding: &'a Holding,
    pub(crate) has_strategy: bool,
    pub(crate) has_source: bool,
    pub(crate) has_holding: bool,
    /// The slot of the order that this one replaces.
    pub(crate) replaced: Option<u32>,
    /// The limits of the instrument, of the account and of the strategy.
    limits: [&'a Set; 3],
}

pub(crate) type Verdict = Result<(), Breach>;

#[inline]
pub(crate) fn refuse(check: Check, limit: i64, value: i64) -> Verdict {
    Err(Breach { check, limit, value })
}

pub(crate) fn saturated(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
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
    /// | `PAUSED` | 0 | the strategy |
    /// | `RELEASE_HELD` | the last available watermark | the one requested |
    /// | `DUPLICATE` (resubmitted) | the publisher's newest number | the submission's number |
    /// | `UNKNOWN_ACCOUNT`, `UNKNOWN_INSTRUMENT` | 0 | the account, the instrument |
    /// | `DUPLICATE` (id in use, or 0) | 0 | the client order id |
    /// | `UNKNOWN_ORDER` | 0 | the id of the order to replace |
    /// | `CAPACITY` | the size of the table, or the part of the strategy or the account | entries with this order |
    /// | `MALFORMED` | 1 | the quantity, or a side that is neither buy nor sell |
    /// | `ORDER_QUANTITY` | mantissa | mantissa |
    /// | `UNKNOWN_SCALE` | the limit on a value | null |
    /// | `NOTIONAL` | 1e-9 of the currency | 1e-9 of the currency, at most `i64::MAX`; null without a price |
    /// | `DOUBTFUL_MARKET` | ns | the age of the newest quote; null when there is none, or for another reason |
    /// | `PRICE_COLLAR` | 1e-9 of the reference | distance from it; null when there is no reference |
    /// | `DUPLICATE` | the window, ns | the age of the order that it repeats, ns |
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
        self.check_pause(order)?;
        self.check_release(order)?;
        let (found, mut values) = (self.find(order), [None; 2]);
        self.check_resubmission(order, &found)?;
        self.check_definitions(order, &found)?;
        self.check_id(order)?;
        self.check_replaced(order, &found)?;
        self.check_room(order, &found, now.0)?;
        for (at, leg) in order.legs().iter().enumerate() {
            self.check_quantity(leg, &found)?;
            let price = priced(order, leg, found.instrument);
            values[at] = price.map(|price| found.instrument.value(price, leg.quantity));
            self.check_notional(values[at], &found)?;
        }
        self.check_sides(order)?;
        if self.limits.needs_state { self.check_state(order, values, &found, now.0) } else { Ok(()) }
    }

    /// The checks with a limit that needs the state of accounts, orders and the market.
    #[inline]
    fn check_state(
        &self,
        order: &OrderTerms,
        values: [Option<i64>; 2],
        found: &Found<'_>,
        now: u64,
    ) -> Verdict {
        self.check_restricted(order, found)?;
        self.check_doubt(found, now)?;
        self.check_rate(found, now)?;
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
            let (more, more_value) = self.added(found.replaced, leg, value.unwrap_or(0));
            self.check_position(order, side, more.into(), found)?;
            self.check_self_match(order, leg, side, found)?;
            is_valued &= value.is_some();
            added[side] = more_value.into();
        }
        self.check_credit(added, is_valued, found)
    }

    #[inline]
    fn find(&self, order: &OrderTerms) -> Found<'_> {
        let owner = &order.owner;
        let instrument = self.market.instruments.get(owner.instrument);
        let account = self.ledger.accounts.get(owner.account);
        let strategy = self.ledger.strategies.get(owner.strategy.into());
        let source = self.publishers.get(order.publisher.into());
        let holding = self.ledger.holdings.get(Self::holding_of(order));
        let limits = [
            instrument.map_or(0, |instrument| instrument.limits),
            account.map_or(0, |account| account.limits),
            strategy.map_or(0, |strategy| strategy.limits),
        ];
        Found {
            instrument: instrument.unwrap_or(const { &Instrument::UNKNOWN }),
            account: account.unwrap_or(const { &Account::NEW }),
            strategy: strategy.unwrap_or(const { &Strategy::NEW }),
            source: source.unwrap_or(const { &Source::NEW }),
            holding: holding.unwrap_or(const { &Holding::NEW }),
            has_strategy: strategy.is_some(),
            has_source: source.is_some(),
            has_holding: holding.is_some(),
            replaced: self.replaced(order),
            limits: limits.map(|number| self.limits.set(number)),
        }
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

    /// RTS 6 Art. 15(1)(b), maximum order value. What has no value, because there is no price or the scale is
    /// unknown, is refused.
    fn check_notional(&self, value: Option<i64>, found: &Found<'_>) -> Verdict {
        let limit = self.limit(Check::NOTIONAL, found);
        if limit == NONE {
            return Ok(());
        }
        if !found.instrument.has_scale() {
            return refuse(Check::UNKNOWN_SCALE, limit, NONE);
        }
        match value {
            Some(value) if value <= limit => Ok(()),
            _ => refuse(Check::NOTIONAL, limit, value.unwrap_or(NONE)),
        }
    }

    /// A stale or doubtful market: the newest quote is older than the limit, or there is none; a gap is not
    /// healed, trading is halted, or the book is crossed. RTS 6 Art. 15(1)(a) and (3): prices are compared
    /// with a market that is known.
    fn check_doubt(&self, found: &Found<'_>, now: u64) -> Verdict {
        let (limit, known) = (self.general(Check::DOUBTFUL_MARKET, found), found.instrument);
        if limit == NONE {
            return Ok(());
        }
        if known.quoted_at == 0 || self.market.is_doubtful(known) {
            return refuse(Check::DOUBTFUL_MARKET, limit, NONE);
        }
        let age = saturated(now.saturating_sub(known.quoted_at).into());
        if age > limit { refuse(Check::DOUBTFUL_MARKET, limit, age) } else { Ok(()) }
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
    /// considers the price that would be matched first, of this account or another one of the same
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
        let trees = self.ledger.resting_of(found.holding, found.account, order.owner.instrument);
        let (levels, other) = (&self.ledger.levels, 1 - side);
        let mut best = trees.map_or(NIL, |trees| trees[other].best());
        if best != NIL && levels.at(best).orders == 1 && self.is_replaced_level(found.replaced, best) {
            best = levels.next(best);
        }
        let met = (best != NIL).then(|| price_of(other, levels.at(best).rank));
        match met.filter(|price| crosses(*price)) {
            Some(price) => refuse(Check::SELF_MATCH, price, leg.price.0),
            None => Ok(()),
        }
    }

    /// Whether a leg of the replaced order rests at this level.
    fn is_replaced_level(&self, replaced: Option<u32>, level: u32) -> bool {
        let orders = &self.ledger.orders;
        replaced.is_some_and(|slot| {
            orders.legs(slot).into_iter().flatten().any(|leg| orders.at(leg).level == level)
        })
    }

    /// SEC 15c3-5(c)(1)(i), credit and capital thresholds in the aggregate for each customer and the broker;
    /// RTS 6 Art. 15(4). It considers the credit used, including this order, by the account and by all
    /// accounts of the shard. An order that adds nothing passes. There are no exchange rates: an account has
    /// credit only in its own currency. Nothing passes while the value of a holding is unknown.
    fn check_credit(&self, added: [i128; 2], is_valued: bool, found: &Found<'_>) -> Verdict {
        let (account, holding, at) = (found.account, found.holding, place(Check::CREDIT));
        let of_account = found.limits[1][at].min(account.allotted);
        let of_all = self.limits.all[at].min(self.allotted.unwrap_or(NONE));
        if of_account == NONE && of_all == NONE {
            return Ok(());
        }
        let unvalued = if of_all == NONE { account.unvalued } else { self.ledger.unvalued };
        if !found.instrument.has_scale() || unvalued > 0 {
            return refuse(Check::UNKNOWN_SCALE, of_account.min(of_all), NONE);
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

    /// What a leg of this value would add to open quantity and value. What the replaced order, at the slot
    /// `replaced`, has there already is subtracted, because only one of the two can be executed.
    #[inline]
    pub(crate) fn added(&self, replaced: Option<u32>, leg: &Leg, value: i64) -> (u64, i64) {
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
pub(crate) fn likeness(order: &OrderTerms, leg: &Leg) -> Likeness {
    Likeness {
        account: order.owner.account,
        instrument: order.owner.instrument,
        side: leg.side.0,
        price: leg.price.0,
        quantity: leg.quantity.0,
    }
}
