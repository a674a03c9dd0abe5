//! The limits in force and their changes.
//!
//! Only a `RiskLimit` event sets a limit, for a scope:
//!
//! | check | unit | all | account | instrument | strategy |
//! |---|---|---|---|---|---|
//! | order quantity | mantissa | each order | each order | each order | each order |
//! | notional | 1e-9 of the currency | each order | each order | each order | each order |
//! | price collar | 1e-9 of the reference | each order | each order | each order | each order |
//! | duplicate | window in ns | each order | each order | each order | each order |
//! | message rate | messages a second | each publisher | the account | – | the strategy |
//! | open orders | count | the shard | the account | – | the strategy |
//! | position | mantissa | each holding | each holding | each holding | – |
//! | credit | 1e-9 of the currency | all accounts | the account | – | – |
//! | restricted | 0 forbids | – | the account | the instrument | the strategy |
//! | self-match | 0 forbids | each order | each order | each order | each order |
//! | doubtful market | age in ns | each order | – | each order | – |
//!
//! Where a limit applies to each order or holding, the instrument's limit replaces the one over all (RTS 6
//! Art. 15(1)(a): "differentiating between different financial instruments"). The limits of the account and
//! the strategy apply as well, and the strictest decides. A position limit of an account in an instrument
//! replaces all others. An account or a strategy can be restricted in an instrument. A null limit removes the
//! limit of the scope.

use crate::bounds::{RISK_LIMIT_PAIRS_MAX, RISK_LIMIT_SETS_MAX, RISK_PENDING_MAX};
use crate::table::{Size, Table};
use stele_wire::messages::{CancelScope, Check, RiskLimit};

/// No limit: the null value of the schema.
pub(crate) const NONE: i64 = i64::MAX;

/// The number of checks that have limits.
const CHECKS: usize = 11;
const FIRST: u8 = Check::ORDER_QUANTITY.0;
const _: () = assert!(Check::SELF_MATCH.0 == FIRST + CHECKS as u8 - 2);

/// A scope's limit for each check.
pub(crate) type Set = [i64; CHECKS];

/// The index of a check's limit in a set: those that follow each other in the schema, then the doubtful
/// market.
pub(crate) const fn place(check: Check) -> usize {
    if check.0 == Check::DOUBTFUL_MARKET.0 { CHECKS - 1 } else { (check.0 - FIRST) as usize }
}

/// What a limit applies to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    All,
    Account(u32),
    Instrument(u32),
    Strategy(u16),
    AccountInstrument(u32, u32),
    StrategyInstrument(u16, u32),
}

impl Target {
    /// The target that the event names; none when limits have no such scope.
    pub(crate) fn of(limit: &RiskLimit) -> Option<Self> {
        let (id, instrument) = (limit.scope_id.get(), limit.instrument.get());
        match (limit.scope, instrument) {
            (CancelScope::ALL, 0) => Some(Self::All),
            (CancelScope::ALL, _) => Some(Self::Instrument(instrument)),
            (CancelScope::INSTRUMENT, _) if id != 0 && (instrument == 0 || instrument == id) => {
                Some(Self::Instrument(id))
            }
            (CancelScope::ACCOUNT, 0) => Some(Self::Account(id)),
            (CancelScope::ACCOUNT, _) => Some(Self::AccountInstrument(id, instrument)),
            (CancelScope::STRATEGY, 0) => Some(Self::Strategy(u16::try_from(id).ok()?)),
            (CancelScope::STRATEGY, _) => Some(Self::StrategyInstrument(u16::try_from(id).ok()?, instrument)),
            _ => None,
        }
    }

    /// Whether the check can have a limit for this target.
    pub(crate) fn takes(self, check: Check) -> bool {
        if check == Check::DOUBTFUL_MARKET {
            return matches!(self, Self::All | Self::Instrument(_));
        }
        if !(FIRST..=Check::SELF_MATCH.0).contains(&check.0) {
            return false;
        }
        match self {
            Self::All => check != Check::RESTRICTED,
            Self::Account(_) => true,
            Self::Instrument(_) => !matches!(check, Check::MESSAGE_RATE | Check::OPEN_ORDERS | Check::CREDIT),
            Self::Strategy(_) => !matches!(check, Check::POSITION | Check::CREDIT),
            Self::AccountInstrument(..) => matches!(check, Check::POSITION | Check::RESTRICTED),
            Self::StrategyInstrument(..) => check == Check::RESTRICTED,
        }
    }
}

/// The limits of an account or a strategy in one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pair {
    pub(crate) position: i64,
    pub(crate) restricted: i64,
}

impl Default for Pair {
    fn default() -> Self {
        Self { position: NONE, restricted: NONE }
    }
}

impl Pair {
    pub(crate) fn get(&self, check: Check) -> i64 {
        if check == Check::POSITION { self.position } else { self.restricted }
    }

    pub(crate) fn set(&mut self, check: Check, limit: i64) {
        let place = if check == Check::POSITION { &mut self.position } else { &mut self.restricted };
        *place = limit;
    }
}

/// A change that is not in force yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pending {
    pub(crate) effective: u64,
    pub(crate) target: Target,
    pub(crate) check: Check,
    pub(crate) limit: i64,
}

/// The limits in force. Each account, instrument and strategy has the number of its set.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) all: Set,
    /// The first set has no limits and is shared by everything without a set of its own.
    sets: Vec<Set>,
    pub(crate) of_accounts: Table<u64, Pair>,
    pub(crate) of_strategies: Table<u64, Pair>,
    /// Ordered by the time at which they take effect.
    pub(crate) pending: Vec<Pending>,
    /// When the first of them takes effect; `u64::MAX` when there is none.
    pub(crate) next_effective: u64,
    /// Whether a limit needs the state of accounts, orders and the market.
    pub(crate) needs_state: bool,
    /// The longest window of the duplicate check, ns; 0 without one.
    pub(crate) horizon: u64,
    /// Whether a limit bounds the age of quotes.
    pub(crate) watches_quotes: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let mut sets = Vec::with_capacity(RISK_LIMIT_SETS_MAX);
        sets.push([NONE; CHECKS]);
        Self {
            all: [NONE; CHECKS],
            sets,
            of_accounts: Table::new(Size::Fixed(RISK_LIMIT_PAIRS_MAX)),
            of_strategies: Table::new(Size::Fixed(RISK_LIMIT_PAIRS_MAX)),
            pending: Vec::with_capacity(RISK_PENDING_MAX),
            next_effective: u64::MAX,
            needs_state: false,
            horizon: 0,
            watches_quotes: false,
        }
    }
}

impl Limits {
    #[inline]
    pub(crate) fn set(&self, number: u16) -> &Set {
        &self.sets[usize::from(number)]
    }

    pub(crate) fn set_mut(&mut self, number: u16) -> &mut Set {
        assert!(number != 0, "the first set has no limits");
        &mut self.sets[usize::from(number)]
    }

    /// Allocates a set and returns its number; none when all are in use.
    pub(crate) fn take_set(&mut self) -> Option<u16> {
        if !self.has_set() {
            return None;
        }
        self.sets.push([NONE; CHECKS]);
        Some((self.sets.len() - 1) as u16)
    }

    pub(crate) fn has_set(&self) -> bool {
        self.sets.len() < RISK_LIMIT_SETS_MAX
    }

    pub(crate) fn is_pending_full(&self) -> bool {
        self.pending.len() == RISK_PENDING_MAX
    }

    /// Keeps a change until it takes effect. Changes for the same time stay in order.
    pub(crate) fn put_off(&mut self, change: Pending) {
        let place = self.pending.partition_point(|other| other.effective <= change.effective);
        self.pending.insert(place, change);
        self.next_effective = self.pending[0].effective;
    }

    /// Removes and returns the next change that takes effect by `now`.
    pub(crate) fn due(&mut self, now: u64) -> Option<Pending> {
        if self.next_effective > now {
            return None;
        }
        let change = self.pending.remove(0);
        self.next_effective = self.pending.first().map_or(u64::MAX, |next| next.effective);
        Some(change)
    }

    /// Updates what is derived from all limits together.
    pub(crate) fn derive(&mut self, is_credit_allotted: bool) {
        let alone = [place(Check::ORDER_QUANTITY), place(Check::NOTIONAL)];
        let asks = |set: &Set| (0..CHECKS).any(|place| set[place] != NONE && !alone.contains(&place));
        let sets = || self.sets.iter().chain([&self.all]);
        let has_pairs = !self.of_accounts.is_empty() || !self.of_strategies.is_empty();
        let window = |set: &Set| Some(set[place(Check::DUPLICATE)]).filter(|window| *window != NONE);
        let horizon = sets().filter_map(window).max().unwrap_or(0);
        self.needs_state = is_credit_allotted || has_pairs || sets().any(asks);
        self.horizon = horizon.unsigned_abs();
        self.watches_quotes = sets().any(|set| set[place(Check::DOUBTFUL_MARKET)] != NONE);
    }
}
