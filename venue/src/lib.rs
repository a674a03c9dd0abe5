//! Venues: how an order leaves the host, and the exchange on paper that answers it.
//!
//! ```text
//!  log ──> OrderGateway ── when `durable` has passed the order ──> Venue
//!                                                                    └─ PaperVenue ─> PaperExchange ─> Matching
//!  log <── publisher <── reports ──────────────────────────────────────┘
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `gateway` | [`OrderGateway`], the agent that hands orders over when their release watermark has passed; [`Venue`], the trait of what takes them |
//! | `doubt` | [`InDoubt`]: what the venue is asked about an order that an earlier session left open |
//! | `open_orders` | [`OpenOrders`]: which orders a log leaves open |
//! | [`paper_exchange`] | an exchange on paper, against the replayed market or among our own orders |
//! | [`matching`] | the matching engine of one instrument |
//! | `paper_venue` | [`PaperVenue`], the paper exchange as a [`Venue`] |
//! | `counters` | what a gateway counts |
//! | [`bounds`] | the bounds of this crate |
//!
//! Everything that decides is pure: [`ReleaseQueue`], [`OpenOrders`], [`paper_exchange::PaperExchange`] and
//! [`matching::Matching`] know neither clock nor thread. [`OrderGateway`] is an agent; the thread that runs
//! it (crate `stele-bus`, `Core`) also runs its venue, in the same duty cycle.
#![forbid(unsafe_code)]

pub mod bounds;
mod counters;
mod doubt;
#[cfg(test)]
mod fixture;
mod gateway;
pub mod matching;
mod open_orders;
pub mod paper_exchange;
mod paper_venue;

pub use doubt::{Answer, InDoubt};
pub use gateway::{OrderGateway, ReleaseQueue, Venue, VenueBusy};
pub use open_orders::{Numbers, OpenOrder, OpenOrders, OpenState};
pub use paper_venue::PaperVenue;
