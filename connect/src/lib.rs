//! Connectors: where market data comes from, one module for each.
//!
//! - [`dbn`]: Databento's files, versions 1 to 3, every kind of record; and its CSV of single orders.
//! - [`itch`]: NASDAQ's TotalView-ITCH 5.0, every type of message.
//! - [`lobster`]: LOBSTER's message files, every type.
//! - [`binance`]: recordings of Binance's websocket: depth, snapshots, best bid and offer, trades.
//! - [`file`](mod@file): what the readers of files share, and the traits to implement for a format of your
//!   own.
//! - [`generator`]: a seeded order flow, for users without data; [`generate`] writes it to a file, as ITCH or
//!   DBN.
//! - [`spec`]: the text by which a user names a feed, such as `itch:FILE`.
//!
//! Threads: opening a feed reads the first block of its file on the calling thread, so that a missing or
//! foreign file is refused before anything starts. All further reading, decompression and mapping happens in
//! [`fill`](stele_feed::Feed::fill), on the core of the feed's [`Player`](stele_feed::Player). This crate
//! starts no thread.
#![forbid(unsafe_code)]

pub mod binance;
mod counts;
mod csv;
pub mod dbn;
mod decimal;
pub mod file;
pub mod generate;
pub mod generator;
pub mod instruments;
pub mod itch;
mod lines;
pub mod lobster;
mod source;
pub mod spec;
#[cfg(test)]
mod testing;

pub use csv::RowFault;
pub use decimal::NotDecimal;
pub use instruments::InstrumentIds;
pub use lines::{LineFault, Lines};
pub use spec::FeedSpec;
