//! The bounds of the risk checks, with the relations between them checked at compile time.

/// The most kill switches engaged at once. One more stops everything.
pub const KILL_SWITCHES_MAX: usize = 64;
/// The most instruments with a reference price, a scale or limits.
pub const RISK_INSTRUMENTS_MAX: usize = 16 << 10;
/// The most accounts.
pub const RISK_ACCOUNTS_MAX: usize = 1 << 10;
/// The most strategies.
pub const RISK_STRATEGIES_MAX: usize = 256;
/// The most publishers of orders: those of one sequencer, and of some restarts with other ids.
pub const RISK_PUBLISHERS_MAX: usize = 128;
/// The most holdings: pairs of an account and an instrument.
pub const RISK_HOLDINGS_MAX: usize = 8 << 10;
/// The most orders and legs of quotes that are open at once.
pub const RISK_OPEN_ORDERS_MAX: usize = 16 << 10;
/// The most new orders within the window of the duplicate check.
pub const RISK_RECENT_ORDERS_MAX: usize = 16 << 10;
/// The number of newest executions that can still be reversed or corrected.
pub const RISK_FILLS_MAX: usize = 4 << 10;
/// The most accounts, strategies and instruments with their own limits.
pub const RISK_LIMIT_SETS_MAX: usize = 1 << 10;
/// The most pairs of an account, or of a strategy, and an instrument with their own limits.
pub const RISK_LIMIT_PAIRS_MAX: usize = 1 << 10;
/// The most pending changes of limits.
pub const RISK_PENDING_MAX: usize = 64;
/// The most credit allotments, over all accounts and shards.
pub const RISK_ALLOTMENTS_MAX: usize = 1 << 10;

const _: () = assert!(RISK_RECENT_ORDERS_MAX.is_power_of_two(), "an index in the queue is a mask");
const _: () = assert!(RISK_LIMIT_SETS_MAX <= u16::MAX as usize, "the number of a set has 16 bits");
const _: () = assert!(RISK_HOLDINGS_MAX >= RISK_ACCOUNTS_MAX);
