//! replay
#![forbid(unsafe_code)]
pub mod difference;
pub mod divergence;
#[cfg(test)]
mod fixture;
pub mod known;
pub mod open_orders;
pub mod paper_exchange;
pub mod regeneration;
pub mod resume;
