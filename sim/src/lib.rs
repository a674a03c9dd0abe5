//! The whole write path in one thread, on a manual clock and a faulty disk in memory, from one seed.
//!
//! [`world::run`] lives through several lives of one trail: publishers, sequencer, journal and order gateway
//! driven by hand in an order that the seed chooses, ended by a stop, a kill or a failure of the power, and
//! recovered from. At many moments of each life a copy of the disk crashes, and is recovered and opened as well: what
//! would be left if it had happened now. Every one of these is a round. [`medium`] and [`behaviour`] say how the disk
//! fails; [`restart`] and [`checkers`] say what must hold all the same, and know nothing of the faults. A failure names
//! the seed, and the seed gives exactly that failure again.
#![deny(unsafe_code)]

pub mod behaviour;
pub mod bounds;
pub mod cancels;
pub mod checkers;
pub mod content;
pub mod disk;
pub mod engine;
pub mod life;
pub mod medium;
pub mod random;
pub mod restart;
mod ring_memory;
pub mod traffic;
pub mod violation;
pub mod world;

pub use behaviour::BrokenPromise;
pub use violation::Violation;
pub use world::{Sabotage, WorldFailure, WorldOutcome, run};
