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
//! The checks fail closed: an order is refused when its account or instrument is not defined by an event
//! (`UNKNOWN_ACCOUNT`, `UNKNOWN_INSTRUMENT`), when a limit needs a value and the instrument's multiplier or
//! exponent is unknown (`UNKNOWN_SCALE`), when it replaces an order that is not open (`UNKNOWN_ORDER`), and
//! when a table that it needs is full or its strategy or account has used its part (`CAPACITY`).
//!
//! Nothing allocates after [`Risk::new`]: every table has its size from [`RiskCapacity`] or
//! [`crate::bounds`].

use crate::bounds::{RISK_CAPACITY_MAX, RISK_EXECUTIONS_MAX, RISK_PUBLISHERS_MAX};
use crate::capacity::{RiskCapacity, Sizes, TableUse};
use crate::credit::{Allotment, Allotments};
use crate::duplicates::Recent;
use crate::executions::Executions;
use crate::ids::IdSet;
use crate::ledger::{Ledger, holding_key};
use crate::limits::{Limits, NONE, Target, place};
use crate::market::Market;
use crate::proposals::Proposals;
use crate::rate::{Bucket, Rate};
use crate::state::RestoreError;
use crate::switches::Switches;
use crate::table::{Size, Table};
use stele_wire::messages::{CancelScope, Check};
use stele_wire::{Price, Quantity};

/// The limits before any event, and the sizes of the tables. A limit that is `None` is not checked.
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
    /// The sizes of the tables.
    pub capacity: RiskCapacity,
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
    pub(crate) capacity: RiskCapacity,
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
    pub(crate) executions: Executions,
    /// Executions that were reported again, and not counted again.
    pub(crate) repeated: u64,
    pub(crate) proposals: Proposals,
    /// The strategies that an operator has paused.
    pub(crate) paused: IdSet,
}

impl Risk {
    /// The state before any event, with `limits` and no kill switch engaged. It allocates all its memory and
    /// touches every page: about 20 MiB with the default capacity.
    ///
    /// # Panics
    /// When the capacity is not [valid](RiskCapacity::validate).
    pub fn new(limits: RiskLimits) -> Self {
        limits.capacity.validate().expect("the capacity is valid");
        Self::sized(limits, &Sizes::fixed(&limits.capacity))
    }

    /// The state before any event, of a reader that only follows a log: its tables grow with what is on the
    /// log. A session that continues the log gets its state from [`Risk::in_session`].
    pub fn follower() -> Self {
        Self::sized(RiskLimits::default(), &Sizes::GROWING)
    }

    /// A [follower](Risk::follower) that decides as a session with `limits` does, to judge a log: it begins
    /// with the limits, and its sizes are not those of the session. What it refuses with the check `CAPACITY`
    /// is not refused by that session.
    pub fn judge(limits: RiskLimits) -> Self {
        let all = RISK_CAPACITY_MAX;
        let capacity = RiskCapacity {
            instruments: all,
            accounts: all,
            strategies: all,
            holdings: all,
            open_orders: all,
            strategy_open_orders: all,
            account_open_orders: all,
            strategy_holdings: all,
        };
        Self::sized(RiskLimits { capacity, ..limits }, &Sizes::GROWING)
    }

    /// Continues to judge in a later session: takes from `limits` whether there is a sealer and whether four
    /// eyes are needed. The limits of an earlier configuration stay until an event changes them.
    pub fn judge_session(&mut self, limits: &RiskLimits) {
        (self.has_sealer, self.four_eyes) = (limits.has_sealer, limits.four_eyes);
    }

    pub(crate) fn sized(limits: RiskLimits, sizes: &Sizes) -> Self {
        let mut in_force = Limits::default();
        let quantity = limits.order_quantity_max.map(|max| i64::try_from(max.0).unwrap_or(NONE));
        in_force.all[place(Check::ORDER_QUANTITY)] = quantity.unwrap_or(NONE);
        in_force.all[place(Check::NOTIONAL)] = limits.order_notional_max.unwrap_or(NONE);
        Self {
            limits: in_force,
            has_sealer: limits.has_sealer,
            four_eyes: limits.four_eyes,
            capacity: limits.capacity,
            shard: 0,
            rate: Rate::NONE,
            allotted: None,
            allotments: Allotments::default(),
            switches: Switches::default(),
            market: Market::new(sizes.instruments),
            ledger: Ledger::new(sizes),
            publishers: Table::new(Size::Fixed(RISK_PUBLISHERS_MAX)),
            recent: Recent::default(),
            executions: Executions::new(RISK_EXECUTIONS_MAX),
            repeated: 0,
            proposals: Proposals::default(),
            paused: IdSet::default(),
        }
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

    /// The same state in a new session: takes from `limits` whether there is a sealer, whether four eyes are
    /// needed, and the sizes of the tables, because none of them follows from the log.
    ///
    /// # Errors
    /// [`RestoreError::Capacity`] when the state does not fit.
    ///
    /// # Panics
    /// As [`Risk::new`].
    pub fn in_session(self, limits: RiskLimits) -> Result<Self, RestoreError> {
        let mut state = Vec::new();
        self.snapshot(&mut state);
        Self::restore(limits, &state)
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

    /// The number of executions that were reported again with an execution id that is remembered, and were
    /// not counted again.
    pub fn repeated_executions(&self) -> u64 {
        self.repeated
    }

    /// Whether an operator has paused the strategy.
    pub fn is_paused(&self, strategy: u16) -> bool {
        self.paused.contains(strategy)
    }

    /// How much of each table is in use.
    pub fn table_use(&self) -> [TableUse; 6] {
        let Ledger { accounts, strategies, holdings, orders, .. } = &self.ledger;
        let instruments = &self.market.instruments;
        [
            TableUse { name: "instruments", used: instruments.len(), capacity: instruments.capacity() },
            TableUse { name: "accounts", used: accounts.len(), capacity: accounts.capacity() },
            TableUse { name: "strategies", used: strategies.len(), capacity: strategies.capacity() },
            TableUse { name: "holdings", used: holdings.len(), capacity: holdings.capacity() },
            TableUse { name: "open_orders", used: orders.len(), capacity: orders.capacity() },
            TableUse {
                name: "executions",
                used: self.executions.len(),
                capacity: self.executions.capacity(),
            },
        ]
    }
}
