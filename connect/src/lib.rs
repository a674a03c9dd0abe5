//! The world outside: where market data comes from, one module a connector.
//!
//! - [`dbn`]: Databento's files, versions 1 to 3, every kind of record; and their CSV, of single orders.
//! - [`itch`]: NASDAQ's TotalView-ITCH 5.0, every type of message.
//! - [`lobster`]: LOBSTER's message files, every type.
//! - [`binance`]: Binance's websocket as it was recorded: depth, snapshots, best bid and offer, trades.
//! - [`generator`]: a seeded order flow, for whoever has no data; [`generate`] writes it to files of both formats.
//! - [`spec`]: what a person writes to ask for one of them.
//!
//! Which thread runs what: a feed is opened, and a file's first block read, on the thread that asks for it, so that
//! a missing or foreign file is refused before anything starts. All further reading, decompression and mapping
//! happen in [`Feed::fill`](stele_feed::Feed::fill), on the core that the feed's
//! [`Player`](stele_feed::Player) runs on, and nothing else does. Nothing here starts a thread.
#![forbid(unsafe_code)]

pub mod binance;
mod counts;
mod csv;
pub mod dbn;
mod decimal;
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
pub use lines::LineFault;
pub use spec::FeedSpec;
