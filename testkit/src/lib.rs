//! What the tests of several crates share: allocators that count or limit, the folder of recorded market
//! data and other people's files, and skips that are counted where a reader of `cargo test` sees them. A
//! dev-dependency only.
#![deny(unsafe_code)]

mod allocator;
mod at_exit;
pub mod shared;
pub mod skip;

pub use allocator::{Bounded, Counting, allocations, allocator_calls};
