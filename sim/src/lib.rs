//! Simulates the whole write path in one thread, on a manual clock and a faulty disk in memory, from one
//! seed.
//!
//! [`world::run`] simulates a world: one trail through several lives of its writer. In each life publishers,
//! sequencer, journal and order gateway are driven by hand in an order that the seed determines. The life
//! ends by a stop, a kill or a power failure, and the trail is recovered. At many moments of each life a copy
//! of the disk crashes and is recovered and opened as well, which shows what would remain if the crash had
//! happened then. Each such recovery is a round.
//!
//! [`medium`] and [`behaviour`] define how the disk fails. [`restart`] and [`checkers`] define what must hold
//! nevertheless, and know nothing of the faults. A failure names its seed, and the seed reproduces exactly
//! that failure.
#![deny(unsafe_code)]

pub mod behaviour;
pub mod bounds;
pub mod cancels;
pub mod checkers;
pub mod content;
pub mod departures;
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
