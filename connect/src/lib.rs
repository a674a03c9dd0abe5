//! The world outside: where market data comes from, one module a connector.
#![forbid(unsafe_code)]

mod counts;
pub mod dbn;
pub mod generator;
pub mod instruments;
pub mod itch;
mod source;
#[cfg(test)]
mod testing;
