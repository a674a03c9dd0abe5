//! Pre-trade risk: what is checked before an order gets a sequence number, and which cancels follow from a
//! kill switch.
//!
//! [`Risk`] is a pure state machine. It is a function of the log's events, without a clock, a thread, a file
//! or an allocation after its construction, so that a replay of the log decides as the live run did.
//!
//! ```
//! use stele_risk::{OrderTerms, Risk, RiskLimits};
//! use stele_wire::messages::{Check, NewOrder, Side};
//! use stele_wire::{Nanos, Quantity};
//!
//! let limits = RiskLimits { order_quantity_max: Some(Quantity(100)), ..RiskLimits::default() };
//! let mut risk = Risk::new(limits);
//! let order = NewOrder { quantity: 200.into(), side: Side::BUY, ..NewOrder::NULL };
//! let breach = risk.check(&OrderTerms::of_order(&order), Nanos(0)).unwrap_err();
//! assert_eq!((breach.check, breach.limit, breach.value), (Check::ORDER_QUANTITY, 100, 200));
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `risk` | [`Risk`], what it starts with ([`RiskLimits`]) and what it answers ([`Breach`]) |
//! | `checks` | the checks of an order, in their order, with limit and value of each |
//! | `control` | the checks of a change: limits, credit, kill switches, two different people |
//! | `events`, `reports` | what each event of the log changes |
//! | `terms` | orders, replacements and quotes as the checks see them |
//! | `limits`, `credit`, `switches`, `rate`, `duplicates` | what is in force, and what counts towards it |
//! | `market`, `ledger`, `orders` | reference prices; accounts, strategies and positions; open orders |
//! | `cancels` | [`PendingCancels`]: the cancels that follow from a kill switch |
//! | [`table`], [`bounds`] | tables of a fixed size, and the sizes |
//! | `snapshot`, [`state`] | the state as bytes |
//!
//! The sequencer (crate `stele-bus`) owns a `Risk` and calls it on its own thread: `check` before an event
//! gets its sequence number, `on_sequenced` after. A restart, the check of a trail and the snapshots feed
//! another one on theirs.
#![forbid(unsafe_code)]

pub mod bounds;
mod cancels;
mod checks;
mod control;
mod credit;
mod duplicates;
mod events;
mod ledger;
mod limits;
mod market;
mod orders;
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
pub use control::is_checked_change;
pub use credit::Allotment;
pub use events::affects_risk;
pub use risk::{Breach, Risk, RiskLimits, WorkingOrder};
pub use sequenced::SequencedEvent;
pub use state::RestoreError;
pub use terms::{Leg, OrderKind, OrderOwner, OrderTerms};
