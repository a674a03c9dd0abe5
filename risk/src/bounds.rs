//! Every bound of risk in one place, with the relations between them checked at compile time.

/// Kill switches that are kept apart; one more stops everything.
pub const KILL_SWITCHES_MAX: usize = 64;
/// Instruments that risk knows a reference price, a scale or limits of.
pub const RISK_INSTRUMENTS_MAX: usize = 16 << 10;
/// Accounts that risk follows.
pub const RISK_ACCOUNTS_MAX: usize = 1 << 10;
/// Strategies that risk follows.
pub const RISK_STRATEGIES_MAX: usize = 256;
/// Publishers of orders that risk follows: those of one sequencer, over some restarts with other ids.
pub const RISK_PUBLISHERS_MAX: usize = 128;
/// Pairs of account and instrument that risk follows.
pub const RISK_HOLDINGS_MAX: usize = 8 << 10;
/// Orders, and legs of quotes, that are open at once.
pub const RISK_OPEN_ORDERS_MAX: usize = 16 << 10;
/// New orders within the window of the duplicate check.
pub const RISK_RECENT_ORDERS_MAX: usize = 16 << 10;
/// Executions that can still be broken or corrected.
pub const RISK_FILLS_MAX: usize = 4 << 10;
/// Accounts, strategies and instruments with limits of their own.
pub const RISK_LIMIT_SETS_MAX: usize = 1 << 10;
/// Pairs of an account or a strategy with an instrument that have limits of their own.
pub const RISK_LIMIT_PAIRS_MAX: usize = 1 << 10;
/// Changes of limits that are not in force yet.
pub const RISK_PENDING_MAX: usize = 64;
/// Allotments of credit, over all accounts and shards.
pub const RISK_ALLOTMENTS_MAX: usize = 1 << 10;

const _: () = assert!(RISK_RECENT_ORDERS_MAX.is_power_of_two(), "a place in the queue is a mask");
const _: () = assert!(RISK_LIMIT_SETS_MAX <= u16::MAX as usize, "a set is named by 16 bits");
const _: () = assert!(RISK_HOLDINGS_MAX >= RISK_ACCOUNTS_MAX);
