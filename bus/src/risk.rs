//! Checks before an order gets a sequence. Pure: terms in, verdict out.
//!
//! SEC Rule 15c3-5 (17 CFR 240.15c3-5) and Commission Delegated Regulation (EU) 2017/589 ("RTS 6"), Articles 12
//! and 15. An order that fails is not on the log as an order, so nothing can release it; an `OrderRejected` with
//! check, limit and value stands in its place.

use crate::bounds::KILL_SWITCHES_MAX;
use stele_wire::messages::{
    CancelScope, Check, KillSwitch, NewOrder, Quote, ReleaseWatermark, ReplaceOrder, Side, SwitchState,
};
use stele_wire::{Price, Quantity};
use zerocopy::FromBytes;

/// The limits that every order is held against. None checks nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RiskLimits {
    /// The largest quantity of one order, as a mantissa: SEC 15c3-5(c)(1)(ii), erroneous orders by size; RTS 6
    /// Art. 15(1)(c), maximum order volume.
    pub order_quantity_max: Option<Quantity>,
    /// The largest price × quantity of one order, in units of 1e-9 of the price times the quantity's mantissa:
    /// RTS 6 Art. 15(1)(b), maximum order value; SEC 15c3-5(c)(1)(i) bounds their sum.
    pub order_notional_max: Option<i64>,
    /// Whether a sealer follows this log. Without one, an order that waits to be sealed would wait for ever and
    /// hold the ring for ever, so that it is refused.
    pub has_sealer: bool,
}

/// What a check needs of an order, whichever message it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderTerms {
    /// Given by the strategy.
    pub client_order_id: u64,
    /// Whose order.
    pub account: u32,
    /// Of what.
    pub instrument: u32,
    /// Who decided.
    pub strategy: u16,
    /// NONE in a quote.
    pub side: Side,
    /// The larger side's in a quote.
    pub quantity: Quantity,
    /// The larger in magnitude in a quote; undefined without a limit.
    pub limit_price: Price,
    /// What must have passed before the order leaves the host.
    pub release: ReleaseWatermark,
}

impl OrderTerms {
    /// The terms in `body`, the root block of a new order, a replacement or a quote at least; none of others.
    pub fn read(template_id: u16, body: &[u8]) -> Option<Self> {
        match template_id {
            NewOrder::TEMPLATE_ID => {
                let (order, _) = NewOrder::ref_from_prefix(body).ok()?;
                Some(Self {
                    client_order_id: order.client_order_id.get(),
                    account: order.account.get(),
                    instrument: order.instrument.get(),
                    strategy: order.strategy.get(),
                    side: order.side,
                    quantity: Quantity(order.quantity.get()),
                    limit_price: Price(order.limit_price.get()),
                    release: order.release_watermark,
                })
            }
            ReplaceOrder::TEMPLATE_ID => {
                let (order, _) = ReplaceOrder::ref_from_prefix(body).ok()?;
                Some(Self {
                    client_order_id: order.client_order_id.get(),
                    account: order.account.get(),
                    instrument: order.instrument.get(),
                    strategy: order.strategy.get(),
                    side: order.side,
                    quantity: Quantity(order.quantity.get()),
                    limit_price: Price(order.limit_price.get()),
                    release: order.release_watermark,
                })
            }
            Quote::TEMPLATE_ID => {
                let (quote, _) = Quote::ref_from_prefix(body).ok()?;
                let prices = [quote.bid_price, quote.ask_price].map(|price| Price(price.get()));
                let defined = prices.into_iter().filter(|price| price.is_defined());
                Some(Self {
                    client_order_id: quote.client_order_id.get(),
                    account: quote.account.get(),
                    instrument: quote.instrument.get(),
                    strategy: quote.strategy.get(),
                    side: Side::NONE,
                    quantity: Quantity(quote.bid_quantity.get().max(quote.ask_quantity.get())),
                    limit_price: defined
                        .max_by_key(|price| price.0.unsigned_abs())
                        .unwrap_or(Price::UNDEFINED),
                    release: quote.release_watermark,
                })
            }
            _ => None,
        }
    }

    /// Price × quantity, saturating; 0 when there is no limit price.
    fn notional(&self) -> i64 {
        if !self.limit_price.is_defined() {
            return 0;
        }
        let notional = u128::from(self.limit_price.0.unsigned_abs()) * u128::from(self.quantity.0);
        i64::try_from(notional).unwrap_or(i64::MAX)
    }

    fn is_in(&self, scope: CancelScope, id: u32) -> bool {
        match scope {
            CancelScope::ALL => true,
            CancelScope::ACCOUNT => id == self.account,
            CancelScope::INSTRUMENT => id == self.instrument,
            CancelScope::STRATEGY => id == u32::from(self.strategy),
            // A scope that the terms do not show is taken to cover every order: a kill switch fails closed.
            _ => true,
        }
    }
}

/// A check that an order did not pass. Limit and value are in the check's unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// Which check.
    pub check: Check,
    /// What is allowed.
    pub limit: i64,
    /// What was asked.
    pub value: i64,
}

/// The state of the checks.
#[derive(Clone, Debug)]
pub struct Risk {
    limits: RiskLimits,
    switches: Vec<(CancelScope, u32)>,
    /// More switches were engaged than are kept apart: nothing trades until the one over everything is released.
    overflowed: bool,
}

impl Risk {
    /// With `limits` and no kill switch engaged.
    pub fn new(limits: RiskLimits) -> Self {
        Self { limits, switches: Vec::with_capacity(KILL_SWITCHES_MAX), overflowed: false }
    }

    /// Holds an order against every check; the first that fails is the answer.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn check(&self, order: &OrderTerms) -> Result<(), Breach> {
        self.check_kill_switch(order)?;
        self.check_release(order)?;
        self.check_quantity(order)?;
        self.check_notional(order)
    }

    /// RTS 6 Art. 12, kill functionality; SEC 15c3-5(d), direct and exclusive control. The value is the id in
    /// the switch's scope.
    fn check_kill_switch(&self, order: &OrderTerms) -> Result<(), Breach> {
        let breach = |id: u32| Breach { check: Check::KILL_SWITCH, limit: 0, value: i64::from(id) };
        if self.overflowed {
            return Err(breach(0));
        }
        match self.switches.iter().find(|(scope, id)| order.is_in(*scope, *id)) {
            Some((_, id)) => Err(breach(*id)),
            None => Ok(()),
        }
    }

    /// SEC 15c3-5(c)(1)(ii); RTS 6 Art. 15(1)(c). An order without a quantity is malformed.
    fn check_quantity(&self, order: &OrderTerms) -> Result<(), Breach> {
        let value = i64::try_from(order.quantity.0).unwrap_or(i64::MAX);
        if order.quantity.0 == 0 || order.quantity.0 == u64::MAX {
            return Err(Breach { check: Check::MALFORMED, limit: 1, value });
        }
        match self.limits.order_quantity_max {
            Some(max) if order.quantity > max => {
                let limit = i64::try_from(max.0).unwrap_or(i64::MAX);
                Err(Breach { check: Check::ORDER_QUANTITY, limit, value })
            }
            _ => Ok(()),
        }
    }

    /// RTS 6 Art. 15(1)(b). An order without a limit price has no value to check and is bounded by its quantity.
    fn check_notional(&self, order: &OrderTerms) -> Result<(), Breach> {
        let value = order.notional();
        match self.limits.order_notional_max {
            Some(limit) if value > limit => Err(Breach { check: Check::NOTIONAL, limit, value }),
            _ => Ok(()),
        }
    }

    /// There is no replication to wait for, and perhaps no sealing, and an order is not let go earlier than it
    /// asked.
    fn check_release(&self, order: &OrderTerms) -> Result<(), Breach> {
        let is_held = match order.release {
            ReleaseWatermark::REPLICATED => true,
            ReleaseWatermark::SEALED => !self.limits.has_sealer,
            _ => false,
        };
        if is_held {
            let (limit, value) = (ReleaseWatermark::DURABLE, order.release);
            let (limit, value) = (i64::from(limit.0), i64::from(value.0));
            return Err(Breach { check: Check::RELEASE_HELD, limit, value });
        }
        Ok(())
    }

    /// Takes over a kill switch as it goes on the log.
    pub fn on_kill_switch(&mut self, switch: &KillSwitch) {
        let key = (switch.scope, switch.scope_id.get());
        if switch.state == SwitchState::RELEASED {
            self.switches.retain(|engaged| *engaged != key);
            self.overflowed &= switch.scope != CancelScope::ALL;
        } else if !self.switches.contains(&key) {
            if self.switches.len() < KILL_SWITCHES_MAX {
                self.switches.push(key);
            } else {
                self.overflowed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn terms(quantity: u64, limit_price: i64) -> OrderTerms {
        let (quantity, limit_price) = (Quantity(quantity), Price(limit_price));
        let side = Side::BUY;
        let release = ReleaseWatermark(255);
        OrderTerms {
            client_order_id: 1,
            account: 7,
            instrument: 3,
            strategy: 2,
            side,
            quantity,
            limit_price,
            release,
        }
    }

    fn switch(scope: CancelScope, id: u32, state: SwitchState) -> KillSwitch {
        KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL }
    }

    #[test]
    fn an_order_at_a_limit_passes_and_one_above_is_refused_with_limit_and_value() {
        let limits = RiskLimits {
            order_quantity_max: Some(Quantity(100)),
            order_notional_max: Some(5_000),
            ..RiskLimits::default()
        };
        let risk = Risk::new(limits);
        assert_eq!(risk.check(&terms(100, 50)), Ok(()));
        let breach = |check, limit, value| Err(Breach { check, limit, value });
        assert_eq!(risk.check(&terms(101, 1)), breach(Check::ORDER_QUANTITY, 100, 101));
        assert_eq!(risk.check(&terms(100, -51)), breach(Check::NOTIONAL, 5_000, 5_100));
        assert_eq!(risk.check(&terms(100, i64::MAX)), Ok(()), "no limit price, no value");
    }

    #[test]
    fn a_value_beyond_the_numbers_is_above_every_limit() {
        let risk = Risk::new(RiskLimits { order_notional_max: Some(i64::MAX - 1), ..RiskLimits::default() });
        assert_eq!(risk.check(&terms(u64::MAX - 1, i64::MAX - 1)).unwrap_err().value, i64::MAX);
    }

    #[test]
    fn an_order_without_a_quantity_is_malformed() {
        let risk = Risk::new(RiskLimits::default());
        assert_eq!(risk.check(&terms(0, 1)).unwrap_err().check, Check::MALFORMED);
        assert_eq!(risk.check(&terms(u64::MAX, 1)).unwrap_err().check, Check::MALFORMED);
    }

    #[test]
    fn an_order_that_waits_for_a_replica_is_refused_because_there_is_none() {
        let order = OrderTerms { release: ReleaseWatermark::REPLICATED, ..terms(1, 1) };
        let breach = Risk::new(RiskLimits::default()).check(&order).unwrap_err();
        assert_eq!((breach.check, breach.limit, breach.value), (Check::RELEASE_HELD, 2, 3));
    }

    #[test]
    fn a_kill_switch_stops_its_scope_until_it_is_released() {
        let mut risk = Risk::new(RiskLimits::default());
        risk.on_kill_switch(&switch(CancelScope::ACCOUNT, 8, SwitchState::ENGAGED));
        assert_eq!(risk.check(&terms(1, 1)), Ok(()), "another account");
        risk.on_kill_switch(&switch(CancelScope::ACCOUNT, 7, SwitchState::ENGAGED));
        assert_eq!(risk.check(&terms(1, 1)).unwrap_err().check, Check::KILL_SWITCH);
        risk.on_kill_switch(&switch(CancelScope::ACCOUNT, 7, SwitchState::RELEASED));
        assert_eq!(risk.check(&terms(1, 1)), Ok(()));
        risk.on_kill_switch(&switch(CancelScope::VENUE, 1, SwitchState::ENGAGED));
        assert_eq!(risk.check(&terms(1, 1)).unwrap_err().check, Check::KILL_SWITCH, "fails closed");
    }

    #[test]
    fn more_switches_than_can_be_kept_apart_stop_everything() {
        let mut risk = Risk::new(RiskLimits::default());
        for account in 100..=100 + KILL_SWITCHES_MAX as u32 {
            risk.on_kill_switch(&switch(CancelScope::ACCOUNT, account, SwitchState::ENGAGED));
        }
        assert_eq!(risk.check(&terms(1, 1)).unwrap_err().check, Check::KILL_SWITCH);
        risk.on_kill_switch(&switch(CancelScope::ALL, 0, SwitchState::RELEASED));
        assert_eq!(risk.check(&terms(1, 1)), Ok(()));
    }

    #[test]
    fn a_quote_is_held_to_its_larger_side() {
        let quote = Quote {
            bid_price: 10.into(),
            ask_price: 12.into(),
            bid_quantity: 5.into(),
            ask_quantity: 3.into(),
            ..Quote::NULL
        };
        let terms = OrderTerms::read(Quote::TEMPLATE_ID, quote.as_bytes()).unwrap();
        assert_eq!((terms.quantity, terms.limit_price), (Quantity(5), Price(12)));
    }
}
