//! The checks that need no limit: whether an order names what is defined, whether its ids identify it, and
//! whether the tables have room for it. They hold for every order, also where no limit is in force.

use crate::bounds::{RISK_PUBLISHERS_MAX, RISK_RECENT_ORDERS_MAX};
use crate::checks::{Found, Verdict, refuse, saturated};
use crate::ledger::holding_key;
use crate::orders::{OrderKey, side_index};
use crate::risk::Risk;
use crate::terms::{OrderKind, OrderTerms};
use stele_wire::messages::{Check, ReleaseWatermark};

/// Refuses an order when `count` entries are more than the room for them.
#[inline]
fn room(most: usize, count: usize) -> Verdict {
    if count <= most { Ok(()) } else { refuse(Check::CAPACITY, most as i64, count as i64) }
}

impl Risk {
    /// Kill functionality. RTS 6 Art. 12(1); SEC 15c3-5(d), direct and exclusive control.
    #[inline]
    pub(crate) fn check_kill_switch(&self, order: &OrderTerms) -> Verdict {
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

    /// A strategy that an operator has paused sends no new order. What it has open stays, and its cancels
    /// pass.
    #[inline]
    pub(crate) fn check_pause(&self, order: &OrderTerms) -> Verdict {
        let strategy = order.owner.strategy;
        if self.paused.contains(strategy) { refuse(Check::PAUSED, 0, strategy.into()) } else { Ok(()) }
    }

    /// Release watermark: an order is never released before the watermark that it asks for, and there is no
    /// replication and perhaps no sealing. SEC 15c3-5(c)(1): what cannot be controlled is prevented from
    /// entry.
    #[inline]
    pub(crate) fn check_release(&self, order: &OrderTerms) -> Verdict {
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
    #[inline]
    pub(crate) fn check_resubmission(&self, order: &OrderTerms, found: &Found<'_>) -> Verdict {
        let newest = found.source.newest;
        match order.number() {
            Some(number) if number <= newest => {
                refuse(Check::DUPLICATE, saturated(newest.into()), saturated(number.into()))
            }
            _ => Ok(()),
        }
    }

    /// An order names a defined account and a defined instrument. Without room for a definition, what it
    /// defined is unknown.
    #[inline]
    pub(crate) fn check_definitions(&self, order: &OrderTerms, found: &Found<'_>) -> Verdict {
        let (account, instrument) = (order.owner.account, order.owner.instrument);
        if account == 0 || !found.account.is_defined {
            let accounts = &self.ledger.accounts;
            if account != 0 && accounts.is_full() && accounts.slot(account).is_none() {
                return room(accounts.capacity(), accounts.len() + 1);
            }
            return refuse(Check::UNKNOWN_ACCOUNT, 0, account.into());
        }
        if instrument == 0 || !found.instrument.is_defined {
            let instruments = &self.market.instruments;
            if instrument != 0 && instruments.is_full() && instruments.slot(instrument).is_none() {
                return room(instruments.capacity(), instruments.len() + 1);
            }
            return refuse(Check::UNKNOWN_INSTRUMENT, 0, instrument.into());
        }
        Ok(())
    }

    /// Reports identify an order by its account and its client order id, so no two open orders of an account
    /// have the same: SEC 15c3-5(c)(1)(ii). 0 is not an id.
    #[inline]
    pub(crate) fn check_id(&self, order: &OrderTerms) -> Verdict {
        let key = OrderKey { client_order_id: order.client_order_id, account: order.owner.account };
        if key.client_order_id == 0 || self.ledger.orders.find(key).is_some() {
            return refuse(Check::DUPLICATE, 0, saturated(key.client_order_id.into()));
        }
        Ok(())
    }

    /// A replacement names an open order of the same account, instrument and side, and the replacement of a
    /// quote an open quote; otherwise what it counts for would be subtracted from something else.
    #[inline]
    pub(crate) fn check_replaced(&self, order: &OrderTerms, found: &Found<'_>) -> Verdict {
        let is_replacement = match order.kind {
            OrderKind::New => false,
            OrderKind::Replacement => true,
            OrderKind::Quote => order.replaced_order_id != 0,
        };
        if !is_replacement {
            return Ok(());
        }
        let is_meant = found.replaced.is_some_and(|slot| {
            let replaced = self.ledger.orders.at(slot);
            let is_quote = order.kind == OrderKind::Quote;
            replaced.owner.instrument == order.owner.instrument
                && replaced.is_quote == is_quote
                && (is_quote || replaced.side == order.side())
        });
        let id = saturated(order.replaced_order_id.into());
        if is_meant { Ok(()) } else { refuse(Check::UNKNOWN_ORDER, 0, id) }
    }

    /// Room in every table that the order needs, and in the parts of its strategy and its account.
    #[inline]
    pub(crate) fn check_room(&self, order: &OrderTerms, found: &Found<'_>, now: u64) -> Verdict {
        let (ledger, capacity) = (&self.ledger, &self.capacity);
        let legs = order.legs().len();
        room(ledger.orders.room(), ledger.orders.len() + legs)?;
        room(capacity.strategy_open_orders, found.strategy.open as usize + legs)?;
        room(capacity.account_open_orders, found.account.open as usize + legs)?;
        if !found.has_holding {
            room(ledger.holdings.room(), ledger.holdings.len() + 1)?;
            room(capacity.strategy_holdings, found.strategy.holdings as usize + 1)?;
        }
        if !found.has_strategy {
            room(ledger.strategies.room(), ledger.strategies.len() + 1)?;
        }
        if !found.has_source {
            room(RISK_PUBLISHERS_MAX, self.publishers.len() + 1)?;
        }
        let horizon = self.limits.horizon;
        if horizon > 0 && order.kind == OrderKind::New && self.recent.is_full(now, horizon) {
            return room(RISK_RECENT_ORDERS_MAX, RISK_RECENT_ORDERS_MAX + 1);
        }
        Ok(())
    }

    /// An order buys or sells; a quote without a quantity does neither.
    #[inline]
    pub(crate) fn check_sides(&self, order: &OrderTerms) -> Verdict {
        match order.legs().iter().find(|leg| side_index(leg.side).is_none()) {
            None => Ok(()),
            Some(leg) => refuse(Check::MALFORMED, 1, leg.side.0.into()),
        }
    }

    /// The slot of the order that this one replaces, if that is open.
    #[inline]
    pub(crate) fn replaced(&self, order: &OrderTerms) -> Option<u32> {
        if order.kind == OrderKind::New || order.replaced_order_id == 0 {
            return None;
        }
        let key = OrderKey { client_order_id: order.replaced_order_id, account: order.owner.account };
        self.ledger.orders.find(key)
    }

    /// The key of the holding that the order changes.
    #[inline]
    pub(crate) fn holding_of(order: &OrderTerms) -> u64 {
        holding_key(order.owner.account, order.owner.instrument)
    }
}
