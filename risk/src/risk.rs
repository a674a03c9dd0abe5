//! The state of the pre-trade checks: a function of the log and of nothing else, so that a replay of the log
//! makes the same decisions as the live run.
//!
//! The rules are SEC Rule 15c3-5 (17 CFR 240.15c3-5) and Commission Delegated Regulation (EU) 2017/589 ("RTS
//! 6"), Articles 12 and 15. An order that fails a check is not on the log as an order, so nothing can release
//! it. An `OrderRejected` with check, limit and value is logged instead.
//!
//! ```text
//! order ──> Risk::check ──────────── passes ──> log ──> Risk::on_event ──> state of
//! limit, allotment, switch ─> Risk::check_control ──┘        ^             accounts, orders, market
//!                                          every other event ┘
//! ```
//! `check` only reads, and `on_event` changes the state. A refused order leaves no trace: it counts towards
//! no rate, and a later order is not a duplicate of it. A check uses the time that the order's event will
//! have.
//!
//! Nothing allocates after [`Risk::new`]: every table has its size from [`crate::bounds`]. When a table is
//! full, orders that need an entry in it are refused as soon as a limit needs that table (limit: the table's
//! size, value: one more): instruments as `UNKNOWN_INSTRUMENT`, accounts and holdings as `POSITION`, open
//! orders and strategies as `OPEN_ORDERS`, publishers as `MESSAGE_RATE`, recent orders as `DUPLICATE`.

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

/// The limits before any event. A limit that is `None` is not checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RiskLimits {
    /// The largest quantity of one order, as a mantissa: SEC 15c3-5(c)(1)(ii), erroneous orders by size; RTS
    /// 6 Art. 15(1)(c), maximum order volume.
    pub order_quantity_max: Option<Quantity>,
    /// The largest value of one order, in units of 1e-9 of the currency (price × quantity × the instrument's
    /// multiplier, which is 1 unless its definition states another): RTS 6 Art. 15(1)(b), maximum order
    /// value; SEC 15c3-5(c)(1)(i) bounds their sum.
    pub order_notional_max: Option<i64>,
    /// Whether a sealer follows this log. Without one, an order that waits to be sealed would wait for ever
    /// and block the ring, so it is refused.
    pub has_sealer: bool,
    /// Whether a change of a limit or of credit, and the release of a kill switch, needs two different people
    /// (four eyes): RTS 6 Art. 15(6) for the override of a control; SEC 15c3-5(d), controls under the
    /// broker's direct control.
    pub four_eyes: bool,
}

/// The check that an order failed. Limit and value are in the check's unit, see [`Risk::check`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// The check.
    pub check: Check,
    /// The limit.
    pub limit: i64,
    /// The order's value.
    pub value: i64,
}

/// An order that may still be executed, with what a cancel of it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkingOrder {
    /// The sequence of its event.
    pub sequence: Sequence,
    /// Who is responsible for it.
    pub owner: OrderOwner,
    /// The id that its sender gave it.
    pub client_order_id: u64,
    /// Whether it is a quote, which a `QuoteCancel` withdraws.
    pub is_quote: bool,
    /// The side; NONE for a quote.
    pub side: Side,
    /// The quantity that is left; for a quote, of its larger side.
    pub leaves: Quantity,
}

/// A publisher of orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Source {
    /// The publisher's number of its newest submission.
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
    /// The limit of every publisher.
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
    /// The state before any event, with `limits` and no kill switch engaged. Allocates about 8 MiB and
    /// touches every page.
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

    /// Fills `orders` with every open order that a switch of this scope covers and that is not being
    /// cancelled, oldest first: the orders to cancel when it is engaged (RTS 6 Art. 12(1): cancel "any or all
    /// of its unexecuted orders"; 12(3): know which algorithm, trader, desk or client each belongs to). An
    /// order whose value for the scope is unknown is covered.
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

    /// Whether an order may still be executed and is not being cancelled.
    pub(crate) fn is_working(&self, order: &WorkingOrder) -> bool {
        let OrderOwner { account, strategy, .. } = order.owner;
        let legs = if order.is_quote { [Side::BUY.0, Side::SELL.0] } else { [0, 0] };
        legs.into_iter().any(|leg| {
            let key = OrderKey { client_order_id: order.client_order_id, account, strategy, leg };
            self.ledger.orders.find(key).is_some_and(|slot| !self.ledger.orders.at(slot).is_cancelling)
        })
    }

    /// Iterates over the engaged kill switches: scope and id.
    pub fn engaged(&self) -> impl Iterator<Item = (CancelScope, u32)> {
        let (engaged, has_overflowed) = self.switches.parts();
        engaged.iter().copied().chain(has_overflowed.then_some((CancelScope::ALL, 0)))
    }

    /// The limit over all that is in force for a check; none without a limit.
    pub fn limit_over_all(&self, check: Check) -> Option<i64> {
        Some(self.limit_of(Target::All, check)).filter(|limit| *limit != NONE)
    }

    /// Continues in a new session: takes from `limits` whether there is a sealer and whether four eyes are
    /// needed, because neither follows from the log.
    #[must_use]
    pub fn in_session(mut self, limits: RiskLimits) -> Self {
        (self.has_sealer, self.four_eyes) = (limits.has_sealer, limits.four_eyes);
        self
    }

    /// The number of orders and legs of quotes that may still be executed.
    pub fn open_orders(&self) -> usize {
        self.ledger.orders.len()
    }

    /// The position of an account in an instrument: positive is long.
    pub fn position(&self, account: u32, instrument: u32) -> i128 {
        let holding = self.ledger.holdings.get(holding_key(account, instrument));
        holding.map_or(0, |holding| holding.position)
    }

    /// Iterates over all credit allotments in force, including those of other shards.
    pub fn allotments(&self) -> impl ExactSizeIterator<Item = &Allotment> {
        self.allotments.iter()
    }

    /// The credit that an account uses, in units of 1e-9 of its currency: what its positions cost, and what
    /// its open orders could cost.
    pub fn credit_used(&self, account: u32) -> i128 {
        self.ledger.accounts.get(account).map_or(0, |account| account.used)
    }

    /// The reference price of an instrument: the last trade, but not outside the best bid and ask; before the
    /// first trade, their middle; before that, the reference price of the definition.
    pub fn reference(&self, instrument: u32) -> Option<Price> {
        self.market.instruments.get(instrument)?.reference().map(Price)
    }

    /// The number of orders and executions that had no room in a table and are therefore not tracked. It is 0
    /// while a limit is in force that needs them, because orders without room are refused then.
    pub fn untracked(&self) -> u64 {
        self.ledger.untracked
    }
}
