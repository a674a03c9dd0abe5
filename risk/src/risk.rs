//! Checks before an order gets a sequence. Pure: a function of the log and of nothing else, so that a replay of the
//! log decides as the live run did.
//!
//! SEC Rule 15c3-5 (17 CFR 240.15c3-5) and Commission Delegated Regulation (EU) 2017/589 ("RTS 6"), Articles 12
//! and 15. An order that fails is not on the log as an order, so nothing can release it; an `OrderRejected` with
//! check, limit and value stands in its place.
//!
//! ```text
//! order ──> Risk::check ──────────── passes ──> log ──> Risk::on_event ──> what is kept of
//! limit, allotment, switch ─> Risk::check_control ──┘        ^             accounts, orders, the market
//!                                          every other event ┘
//! ```
//! `check` reads, `on_event` changes. A refused order leaves no trace: it counts towards no rate and is no
//! original that a duplicate could be of. The time of a check is the time that the order's event carries.
//!
//! Nothing here allocates after [`Risk::new`]: every table has its size from [`crate::bounds`]. Where one is full,
//! what does not fit is refused as soon as any limit asks for it (limit: the table's size, value: one more):
//! instruments as `UNKNOWN_INSTRUMENT`, accounts and holdings as `POSITION`, open orders and strategies as
//! `OPEN_ORDERS`, publishers as `MESSAGE_RATE`, recent orders as `DUPLICATE`.

use crate::bounds::{RISK_FILLS_MAX, RISK_PUBLISHERS_MAX};
use crate::credit::{Allotment, Allotments};
use crate::duplicates::Recent;
use crate::ledger::{Fill, Ledger, holding_key};
use crate::limits::{Limits, NONE, Target, place};
use crate::market::Market;
use crate::orders::{Entry, OrderKey};
use crate::rate::{Bucket, Rate};
use crate::switches::Switches;
use crate::table::Table;
use crate::terms::OrderOwner;
use std::collections::VecDeque;
use stele_wire::messages::{CancelScope, Check, Side};
use stele_wire::{Price, Quantity, Sequence};

/// What the checks begin with, before any event. None checks nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RiskLimits {
    /// The largest quantity of one order, as a mantissa: SEC 15c3-5(c)(1)(ii), erroneous orders by size; RTS 6
    /// Art. 15(1)(c), maximum order volume.
    pub order_quantity_max: Option<Quantity>,
    /// The largest value of one order, in units of 1e-9 of the currency (price × quantity × the instrument's
    /// multiplier; 1 where no definition says otherwise): RTS 6 Art. 15(1)(b), maximum order value; SEC
    /// 15c3-5(c)(1)(i) bounds their sum.
    pub order_notional_max: Option<i64>,
    /// Whether a sealer follows this log. Without one, an order that waits to be sealed would wait for ever and
    /// hold the ring for ever, so that it is refused.
    pub has_sealer: bool,
    /// Whether a change of a limit or of credit, and the release of a kill switch, takes two different people:
    /// RTS 6 Art. 15(6) for the override of a control; SEC 15c3-5(d), controls under the broker's own hand.
    pub four_eyes: bool,
}

/// A check that an order did not pass. Limit and value are in the check's unit, see [`Risk::check`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// Which check.
    pub check: Check,
    /// What is allowed.
    pub limit: i64,
    /// What was asked.
    pub value: i64,
}

/// An order that may still be executed, as it is named to whoever cancels it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkingOrder {
    /// The event on the log.
    pub sequence: Sequence,
    /// Who stands behind it.
    pub owner: OrderOwner,
    /// As its sender calls it.
    pub client_order_id: u64,
    /// Whether it is a quote, which a `QuoteCancel` withdraws.
    pub is_quote: bool,
    /// NONE of a quote.
    pub side: Side,
    /// What is left; of a quote, of its larger side.
    pub leaves: Quantity,
}

/// A publisher of orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Source {
    /// Its own number of its newest submission.
    pub(crate) newest: u64,
    pub(crate) bucket: Bucket,
}

impl Source {
    pub(crate) const NEW: Self = Self { newest: 0, bucket: Bucket::NEW };
}

/// The state of the checks.
#[derive(Clone, Debug)]
pub struct Risk {
    pub(crate) limits: Limits,
    pub(crate) has_sealer: bool,
    pub(crate) four_eyes: bool,
    pub(crate) shard: u32,
    /// Of every publisher.
    pub(crate) rate: Rate,
    /// The shard's part of the firm's credit; none when nothing was allotted.
    pub(crate) allotted: Option<i64>,
    pub(crate) allotments: Allotments,
    pub(crate) switches: Switches,
    pub(crate) market: Market,
    pub(crate) ledger: Ledger,
    pub(crate) publishers: Table<u32, Source>,
    pub(crate) recent: Recent,
    pub(crate) fills: VecDeque<Fill>,
}

impl Risk {
    /// With `limits` and no kill switch engaged. Takes some 8 MiB and touches every page of them.
    pub fn new(limits: RiskLimits) -> Self {
        let mut in_force = Limits::default();
        let quantity = limits.order_quantity_max.map(|max| i64::try_from(max.0).unwrap_or(NONE));
        in_force.all[place(Check::ORDER_QUANTITY)] = quantity.unwrap_or(NONE);
        in_force.all[place(Check::NOTIONAL)] = limits.order_notional_max.unwrap_or(NONE);
        Self {
            limits: in_force,
            has_sealer: limits.has_sealer,
            four_eyes: limits.four_eyes,
            shard: 0,
            rate: Rate::NONE,
            allotted: None,
            allotments: Allotments::default(),
            switches: Switches::default(),
            market: Market::default(),
            ledger: Ledger::default(),
            publishers: Table::new(RISK_PUBLISHERS_MAX),
            recent: Recent::default(),
            fills: VecDeque::with_capacity(RISK_FILLS_MAX),
        }
    }

    /// Fills `orders` with every open order that a switch of this scope covers and of which no cancel is under way,
    /// oldest first: what is to be cancelled when it is engaged (RTS 6 Art. 12(1): cancel "any or all of its
    /// unexecuted orders"; 12(3): know which algorithm, trader, desk or client each belongs to). An order that does
    /// not tell what the scope asks for is covered.
    pub fn to_cancel(&self, scope: CancelScope, id: u32, orders: &mut Vec<WorkingOrder>) {
        let is_covered = |entry: &&Entry| !entry.is_cancelling && entry.owner.is_in(scope, id);
        let covered = self.ledger.orders.iter().filter(is_covered);
        orders.clear();
        orders.extend(covered.map(|entry| {
            let is_quote = entry.key.leg != 0;
            WorkingOrder {
                sequence: Sequence(entry.sequence),
                owner: entry.owner,
                client_order_id: entry.key.client_order_id,
                is_quote,
                side: if is_quote { Side::NONE } else { entry.side },
                leaves: Quantity(entry.leaves),
            }
        }));
        orders.sort_unstable_by_key(|order| (order.sequence, order.client_order_id, !order.leaves.0));
        orders.dedup_by_key(|order| (order.sequence, order.client_order_id, order.owner.account));
    }

    /// Whether an order may still be executed and no cancel of it is under way.
    pub(crate) fn is_working(&self, order: &WorkingOrder) -> bool {
        let OrderOwner { account, strategy, .. } = order.owner;
        let legs = if order.is_quote { [Side::BUY.0, Side::SELL.0] } else { [0, 0] };
        legs.into_iter().any(|leg| {
            let key = OrderKey { client_order_id: order.client_order_id, account, strategy, leg };
            self.ledger.orders.find(key).is_some_and(|slot| !self.ledger.orders.at(slot).is_cancelling)
        })
    }

    /// The scopes that a kill switch is engaged for, with their ids.
    pub fn engaged(&self) -> impl Iterator<Item = (CancelScope, u32)> {
        let (engaged, has_overflowed) = self.switches.parts();
        engaged.iter().copied().chain(has_overflowed.then_some((CancelScope::ALL, 0)))
    }

    /// What a limit over all is at the moment; none where there is none.
    pub fn limit_over_all(&self, check: Check) -> Option<i64> {
        Some(self.limit_of(Target::All, check)).filter(|limit| *limit != NONE)
    }

    /// Goes on in a session whose log has a sealer or not, and asks for four eyes or not: neither follows from the
    /// log.
    #[must_use]
    pub fn in_session(mut self, limits: RiskLimits) -> Self {
        (self.has_sealer, self.four_eyes) = (limits.has_sealer, limits.four_eyes);
        self
    }

    /// Orders and legs of quotes that may still be executed.
    pub fn open_orders(&self) -> usize {
        self.ledger.orders.len()
    }

    /// What an account holds of an instrument: positive is long.
    pub fn position(&self, account: u32, instrument: u32) -> i128 {
        let holding = self.ledger.holdings.get(holding_key(account, instrument));
        holding.map_or(0, |holding| holding.position)
    }

    /// Every part of credit that stands on the log as allotted, other shards' too.
    pub fn allotments(&self) -> impl ExactSizeIterator<Item = &Allotment> {
        self.allotments.iter()
    }

    /// The credit that an account uses, in 1e-9 of its currency: what its positions cost and its open orders could.
    pub fn credit_used(&self, account: u32) -> i128 {
        self.ledger.accounts.get(account).map_or(0, |account| account.used)
    }

    /// The price that orders in an instrument are held against now: the last trade, but not outside the best bid
    /// and ask; before the first trade the middle of both; before that the definition's reference price.
    pub fn reference(&self, instrument: u32) -> Option<Price> {
        self.market.instruments.get(instrument)?.reference().map(Price)
    }

    /// Orders and executions that found no room in a table: they are not counted. Always 0 while a limit is in
    /// force that asks for them, because orders are refused then.
    pub fn untracked(&self) -> u64 {
        self.ledger.untracked
    }
}
