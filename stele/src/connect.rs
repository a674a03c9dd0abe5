//! The world outside: feeds of market data from files and recorded streams, and a generated order flow.
//!
//! [`FeedSpec`] is what a person writes to ask for one, such as `itch:FILE`; each module is a format.

pub use stele_connect::{FeedSpec, InstrumentIds, Lines};
pub use stele_connect::{binance, dbn, file, generate, generator, itch, lobster, spec};
