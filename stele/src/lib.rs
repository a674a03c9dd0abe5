//! Stele as a library: one dependency that gives every part of it, by area.
#![forbid(unsafe_code)]

pub use stele_bus as bus;
pub use stele_compliance as compliance;
pub use stele_connect as connect;
pub use stele_embed as embed;
pub use stele_journal as journal;
pub use stele_replay as replay;
pub use stele_strategies as strategies;
pub use stele_wire as wire;

pub use stele_embed::{Bus, BusError, BusOptions, RunningBus};
