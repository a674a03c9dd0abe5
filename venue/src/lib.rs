//! The way of an order to a venue, and a paper exchange that answers orders without a real venue.
//!
//! ```text
//! log ──> OrderGateway ── when the order is durable ──> Venue
//!                                                        └─ PaperVenue ─> PaperExchange ─> Matching
//! log <── publisher <── reports ───────────────────────────┘
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `gateway` | [`OrderGateway`], the agent that submits orders when their release watermark has passed; [`Venue`], the trait that takes them |
//! | `release_queue` | [`ReleaseQueue`], what waits to leave, in two lanes, and what a cancel or a kill switch drops |
//! | `lane` | a bounded queue of events that were copied off the ring |
//! | `drops` | what never leaves, until that is logged |
//! | `emergency` | the mass cancel that needs no log |
//! | `doubt` | [`OrderInDoubt`], an order that an earlier session left open, and the venue's answer about it |
//! | `open_orders` | [`OpenOrders`], the orders that a log leaves open |
//! | `killed` | [`KilledOrders`], what became of the orders in the scope of a kill switch |
//! | `releases` | [`Releases`], what has left the host and what never will |
//! | [`paper_exchange`] | an exchange on paper: orders trade against the replayed market or with one another |
//! | [`matching`] | the matching engine of one instrument |
//! | `paper_venue` | [`PaperVenue`], the paper exchange as a [`Venue`] |
//! | `counters` | the counters of a gateway |
//! | [`bounds`] | the bounds of this crate |
//!
//! Everything that decides is pure: [`ReleaseQueue`], [`OpenOrders`], [`paper_exchange::PaperExchange`] and
//! [`matching::Matching`] use no clock and no thread. [`OrderGateway`] is an agent; the thread that runs it
//! (crate `stele-bus`, `Core`) also runs its venue, in the same duty cycle.
#![forbid(unsafe_code)]

pub mod bounds;
mod counters;
mod doubt;
mod drops;
mod emergency;
#[cfg(test)]
mod fixture;
mod gateway;
mod killed;
mod lane;
pub mod matching;
mod open_orders;
pub mod paper_exchange;
mod paper_venue;
mod release_queue;
mod releases;

pub use doubt::{OrderInDoubt, Reconciliation};
pub use emergency::{EmergencyAnswer, EmergencyControl, EmergencyOutcome};
pub use gateway::{OrderGateway, Venue, VenueBusy};
pub use killed::{KilledOrder, KilledOrders, OrderEnd};
pub use open_orders::{LastIds, OpenOrder, OpenOrders, OpenState};
pub use paper_venue::PaperVenue;
pub use release_queue::{LeftOrder, QueueFull, ReleaseLane, ReleaseQueue};
pub use releases::{Departure, Releases};
