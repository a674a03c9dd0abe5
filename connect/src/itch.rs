//! NASDAQ TotalView-ITCH 5.0 from a file: each message is preceded by its length as a big-endian `u16`.
//!
//! Every type of the specification becomes one event or more. The schema has no field for these values, which
//! are not carried: the tracking number of every message; the attribution of type F, counted in the report's
//! notices; the side of type P, which NASDAQ always gives as a buy; and of type R the financial status,
//! authenticity, IPO, LULD tier and ETP fields. The messages L, N, K and O are also carried whole, as a
//! `VenueNotice` with their bytes.
//!
//! | type | event |
//! |---|---|
//! | A, F | `BookAdd` |
//! | E | `BookExecute` at the order's own price; the quantity leaves the book |
//! | C | `BookExecute` with its price; `nonPrintable` where the venue says so |
//! | X, D | `BookCancel`, of a quantity or of all that is left |
//! | U | `BookReplace` |
//! | P, Q | `Trade`, hidden or cross |
//! | B | `TradeBreak` |
//! | I | `AuctionImbalance`; a price of 0 is none |
//! | J | `PriceBands` |
//! | V | three `Statistic`s, Databento's numbers 21 to 23 |
//! | S, W | `TradingStatus` of the market |
//! | H, h, Y, K | `TradingStatus` of the instrument |
//! | O | `PriceBands` |
//! | R | `InstrumentDefinition` |
//! | L, N | `VenueNotice` |
//!
//! Prices of four decimals become units of 1e-9 exactly. `venueSequence` is the number of the message in the
//! file, from 1. Each message is an event of its own and has the flag `last`.

pub mod day;
mod frames;
pub mod layout;
mod mapping;

use crate::file::{FileFeed, Format, FormatFault};
use crate::instruments::InstrumentIds;
use jiff::civil::Date;
use mapping::Mapping;
use std::io;
use std::path::Path;
use stele_feed::{Batch, FeedReport};

pub use frames::Frames;

/// How an ITCH file is read.
#[derive(Clone, Debug, Default)]
pub struct ItchOptions {
    /// The source's number on the log.
    pub source: u16,
    /// The trading day; by default, the one in the file's name.
    pub date: Option<Date>,
    /// The numbers of the instruments that the trail already has.
    pub ids: InstrumentIds,
}

/// What is wrong with an ITCH file.
#[derive(Debug, thiserror::Error)]
pub enum ItchFault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file ends inside a message.
    #[error("the file ends inside message {number}: {found} of {needed} bytes are there")]
    Truncated {
        /// Number of the message, from 1.
        number: u64,
        /// Bytes of the message, with its length field.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// A message of a type that ITCH 5.0 does not have.
    #[error("message {number} is of type {}, which ITCH 5.0 does not have", .letter.escape_ascii())]
    UnknownType {
        /// Number of the message, from 1.
        number: u64,
        /// The type.
        letter: u8,
    },
    /// A message whose length is not that of its type.
    #[error("message {number} of type {} has {found} bytes, not {expected}", *.letter as char)]
    Length {
        /// Number of the message, from 1.
        number: u64,
        /// The type.
        letter: u8,
        /// Bytes of a message of this type.
        expected: usize,
        /// Bytes according to its length field.
        found: usize,
    },
    /// Bytes after the marker that ends a session, which is a message of length 0.
    #[error("bytes follow the end of the session, after message {number}")]
    AfterEnd {
        /// Number of the last message.
        number: u64,
    },
    /// A price that does not fit the log's field.
    #[error("message {number}: {value} as a price with eight decimals does not fit")]
    Value {
        /// Number of the message, from 1.
        number: u64,
        /// The number in the message.
        value: u64,
    },
    /// The file is compressed.
    #[error("is compressed ({0})")]
    Compressed(&'static str),
    /// The trading day is before 1970.
    #[error("the trading day {0} is before 1970")]
    Day(Date),
}

impl FormatFault for ItchFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Io(_) => "check that the file exists, is a file, and may be read",
            Self::Truncated { .. } => {
                "what came before is on the log; get a complete copy of the file for the rest"
            }
            Self::Compressed(_) => "decompress it first",
            Self::Day(_) => "give the day as date=YYYYMMDD",
            _ => {
                "what came before is on the log; check that the file is ITCH 5.0 with u16 lengths and not damaged"
            }
        }
    }
}

/// An ITCH file as a feed.
pub type ItchFeed = FileFeed<ItchFormat>;

impl ItchFeed {
    /// The numbers of the instruments, for a feed that continues after this one.
    pub fn ids(&self) -> &InstrumentIds {
        self.format.mapping.ids()
    }
}

/// The format of ITCH files.
pub struct ItchFormat {
    source: u16,
    date: Option<Date>,
    mapping: Mapping,
    notices: Vec<String>,
}

impl Format for ItchFormat {
    type Records = Frames;
    type Options = ItchOptions;
    type Fault = ItchFault;

    fn with_name(options: ItchOptions, path: &Path) -> Result<ItchOptions, ItchFault> {
        Ok(ItchOptions { date: options.date.or_else(|| day::date_in_name(path)), ..options })
    }

    fn begin(_frames: &mut Frames, options: ItchOptions) -> Result<Self, ItchFault> {
        let ItchOptions { source, date, ids } = options;
        let mut notices = Vec::new();
        let midnight = day::midnight_or_epoch(date, &mut notices).map_err(ItchFault::Day)?;
        Ok(Self { source, date, mapping: Mapping::new(source, midnight, ids), notices })
    }

    #[inline]
    fn put(&mut self, frames: &Frames, batch: &mut Batch) -> Result<(), ItchFault> {
        self.mapping.put(frames.current(), batch)
    }

    fn source(&self) -> u16 {
        self.source
    }

    fn mic(&self) -> [u8; 4] {
        *b"XNAS"
    }

    fn dataset(&self) -> String {
        "ITCH 5.0".into()
    }

    fn content(&self) -> String {
        self.date.map_or("ITCH 5.0, day not known".into(), |date| format!("ITCH 5.0 of {date}"))
    }

    fn record_count(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        // Every type of message becomes an event, so there is no reason to give for one that does not.
        let mut report = self.mapping.counts().report(|letter| char::from(letter).to_string(), |_| "");
        report.notices.clone_from(&self.notices);
        let attributed = report.records.iter().find(|(kind, _)| kind == "F").map_or(0, |(_, count)| *count);
        if attributed > 0 {
            report.notices.push(format!("{attributed} orders of type F: their attribution is not carried"));
        }
        report
    }
}

#[cfg(test)]
mod tests;
