//! Pre-trade risk: the checks before an order gets a sequence, and the cancels that follow from a kill
//! switch.
//!
//! [`Risk`] is a pure state machine: a function of the log's events, without clock, thread or file, and
//! without allocation after its construction. So a replay of the log makes the same decisions as the live
//! run.
//!
//! ```
//! use stele_risk::{OrderTerms, Risk, RiskLimits};
//! use stele_wire::messages::{Check, NewOrder, Side};
//! use stele_wire::{Nanos, Quantity};
//!
//! let limits = RiskLimits { order_quantity_max: Some(Quantity(100)), ..RiskLimits::default() };
//! let mut risk = Risk::new(limits);
//! let order = NewOrder { account: 7.into(), quantity: 200.into(), side: Side::BUY, ..NewOrder::NULL };
//! let breach = risk.check(&OrderTerms::of_order(&order), Nanos(0)).unwrap_err();
//! // No event defines the account.
//! assert_eq!((breach.check, breach.limit, breach.value), (Check::UNKNOWN_ACCOUNT, 0, 7));
//! ```
//!
//! | module | content |
//! |---|---|
//! | `risk` | [`Risk`], its initial limits ([`RiskLimits`]) and its refusals ([`Breach`]) |
//! | `checks` | the checks of an order, in sequence, with limit and value of each |
//! | `admission` | the checks that need no limit: definitions, ids, replaced orders, room in the tables |
//! | `control` | the checks of a change of limits, credit or kill switches, such as four eyes |
//! | `events`, `reports` | what each event of the log changes |
//! | `terms` | the terms of orders, replacements and quotes that the checks use |
//! | `limits`, `credit`, `switches`, `rate`, `duplicates` | the limits in force, and the state that counts towards them |
//! | `proposals` | limits that wait for a second person's approval |
//! | `market`, `ledger` | reference prices, scales, doubtful markets; accounts, strategies and positions |
//! | `orders`, `levels`, `executions` | open orders; the prices at which they rest; executions |
//! | `cancels` | [`PendingCancels`]: the cancels that follow from a kill switch or an operator's request |
//! | `capacity`, [`bounds`] | [`RiskCapacity`]: the sizes of the tables that are configuration; the others |
//! | [`table`], `ids` | tables and sets of a fixed size |
//! | `snapshot`, [`state`] | the state as bytes |
//!
//! The sequencer (crate `stele-bus`) owns a `Risk` and calls it on its own thread: `check` before an event
//! gets its sequence, and `on_sequenced` after. A restart, the check of a trail and the thread for snapshots
//! each feed the log's events to a `Risk` of their own.
#![forbid(unsafe_code)]

mod admission;
pub mod bounds;
mod cancels;
mod capacity;
mod checks;
mod control;
mod credit;
mod duplicates;
mod events;
mod executions;
mod ids;
mod ledger;
mod levels;
mod limits;
mod market;
mod orders;
mod proposals;
mod rate;
mod reports;
mod risk;
mod sequenced;
mod snapshot;
pub mod state;
mod switches;
pub mod table;
mod terms;

pub use cancels::{Cancel, PendingCancels};
pub use capacity::{CapacityError, RiskCapacity, TableUse};
pub use control::is_checked_change;
pub use credit::Allotment;
pub use events::affects_risk;
pub use risk::{Breach, Risk, RiskLimits};
pub use sequenced::SequencedEvent;
pub use state::RestoreError;
pub use terms::{Leg, OrderKind, OrderOwner, OrderTerms};
