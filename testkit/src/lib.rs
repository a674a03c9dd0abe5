//! The parts that tests of several crates share: allocators that count or limit, the folder of recorded
//! market data and files of other software, and skips that are counted and printed at the end of `cargo
//! test`. It is only a dev-dependency.
#![deny(unsafe_code)]

mod allocator;
mod at_exit;
pub mod shared;
pub mod skip;

pub use allocator::{BoundedAllocator, CountingAllocator, allocations, allocator_calls};
