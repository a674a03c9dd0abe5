//! Market data from outside: feeds of files and recorded streams, and a generated order flow.
//!
//! A [`FeedSpec`] names a feed on the command line, such as `itch:FILE`. Each module is a format.

pub use stele_connect::{FeedSpec, InstrumentIds};
pub use stele_connect::{binance, dbn, generate, generator, itch, lobster, spec};
