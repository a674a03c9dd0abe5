//! The bounds of the risk checks, with the relations between them checked at compile time. The sizes that are
//! configuration are in [`crate::RiskCapacity`].

use stele_wire::Nanos;

/// The most kill switches engaged at once. One more stops everything.
pub const KILL_SWITCHES_MAX: usize = 64;
/// The largest size of a table that is configuration.
pub const RISK_CAPACITY_MAX: usize = 1 << 24;
/// The most strategies, unless the configuration has another number.
pub const RISK_STRATEGIES_MAX: usize = 256;
/// The most publishers of orders: those of one sequencer, and of some restarts with other ids.
pub const RISK_PUBLISHERS_MAX: usize = 128;
/// The most new orders within the window of the duplicate check.
pub const RISK_RECENT_ORDERS_MAX: usize = 16 << 10;
/// The newest executions that are remembered: an execution id among them counts once, and they can be
/// reversed and corrected.
pub const RISK_EXECUTIONS_MAX: usize = 32 << 10;
/// The most accounts, strategies and instruments with their own limits.
pub const RISK_LIMIT_SETS_MAX: usize = 1 << 10;
/// The most pairs of an account, or of a strategy, and an instrument with their own limits.
pub const RISK_LIMIT_PAIRS_MAX: usize = 1 << 10;
/// The most pending changes of limits.
pub const RISK_PENDING_MAX: usize = 64;
/// The most proposals of limits that wait for an approval.
pub const RISK_PROPOSALS_MAX: usize = 64;
/// The most credit allotments, over all accounts and shards.
pub const RISK_ALLOTMENTS_MAX: usize = 1 << 10;

/// The comparisons of an open order with an engaged switch that one duty cycle makes: a few tens of
/// microseconds.
pub const CANCEL_COMPARISONS_PER_CYCLE: usize = 4 << 10;
/// The most requests of operators to cancel one order that wait at once; more are found by a search of all
/// open orders.
pub const OPERATOR_CANCELS_MAX: usize = 64;
/// The time after which the open orders in the scope of an engaged switch are searched again.
pub const CANCEL_SEARCH_INTERVAL: Nanos = Nanos(50_000_000);
/// The time from a cancel that the venue refused to the next one. It doubles with each cancel, up to
/// [`CANCEL_DOUBLINGS_MAX`] times.
pub const CANCEL_RETRY_DELAY: Nanos = Nanos(50_000_000);
/// See [`CANCEL_RETRY_DELAY`]: at most 3.2 s.
pub const CANCEL_DOUBLINGS_MAX: u8 = 6;
/// The time that a venue has at least to answer a cancel before it is repeated.
pub const CANCEL_SILENCE: Nanos = Nanos(1_000_000_000);

const _: () = assert!(RISK_RECENT_ORDERS_MAX.is_power_of_two(), "an index in the queue is a mask");
const _: () = assert!(RISK_LIMIT_SETS_MAX <= u16::MAX as usize, "the number of a set has 16 bits");
const _: () = assert!(RISK_CAPACITY_MAX < u32::MAX as usize, "a slot has 32 bits");
const _: () = assert!(CANCEL_COMPARISONS_PER_CYCLE >= KILL_SWITCHES_MAX, "each cycle reaches an order");
