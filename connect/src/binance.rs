//! Recordings of Binance's spot websocket: one JSON message a line; plain, gzip or zstd.
//!
//! A message may be preceded by the time of its receipt, in nanoseconds since 1970, and a blank. A message is
//! as the websocket gives it, alone or in the envelope of a combined stream (`{"stream":…,"data":…}`).
//! Snapshots of the REST API are on lines of their own between them.
//!
//! | message | event |
//! |---|---|
//! | `depthUpdate` | a `BookLevel` for each level; quantity 0 removes the level |
//! | snapshot (`lastUpdateId`), also of a partial depth stream | `BookClear`, then a `BookLevel` for each level, all with the flag `snapshot` |
//! | `bookTicker` | `TopOfBook` |
//! | `trade` | `Trade` of the aggressor's side |
//! | another stream, a response to a request | none; counted |
//!
//! Binance's own rule decides which updates belong to the book, and what happens at a gap (`depth.rs`).
//! Prices are exact in units of 1e-9, quantities in units of 1e-8, as the instrument's definition says.
//! `updateId` is Binance's update id, `venueSequence` its low 32 bits. The last event of each message has the
//! flag `last`. Not carried are the time of receipt, which becomes the event's due time, and the order ids of
//! a trade.

mod depth;
mod mapping;
mod message;

use crate::file::{FileFeed, Format, FormatFault};
use crate::instruments::InstrumentIds;
use crate::lines::{LineFault, Lines};
use mapping::Mapping;
use stele_feed::{Batch, FeedReport};

/// How a recording is read.
#[derive(Clone, Debug, Default)]
pub struct BinanceOptions {
    /// The source's number on the log.
    pub source: u16,
    /// The symbol of the snapshots, which do not name it; by default, the only symbol in the file.
    pub symbol: Option<String>,
    /// The numbers of the instruments that the trail already has.
    pub ids: InstrumentIds,
}

/// What is wrong with a recording of Binance's streams.
#[derive(Debug, thiserror::Error)]
pub enum BinanceFault {
    /// The file cannot be read as lines of text, or is not complete.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// A line that is not JSON, or whose fields are not those of the message that it claims to be.
    #[error("line {line}: {what}, in `{shown}`")]
    Message {
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
        /// The beginning of the message.
        shown: String,
    },
    /// The number before a message is not a time in nanoseconds.
    #[error("line {line}: `{found}` before the message is not a time of receipt in nanoseconds since 1970")]
    ReceiveTime {
        /// Number of the line, from 1.
        line: u64,
        /// The text found.
        found: String,
    },
    /// A time of the venue that does not fit 64 bits as nanoseconds.
    #[error("line {line}: the time {found} does not fit")]
    Time {
        /// Number of the line, from 1.
        line: u64,
        /// The time.
        found: u64,
    },
    /// An update whose end is before its beginning.
    #[error("line {line}: an update from {first} to {last}")]
    Updates {
        /// Number of the line, from 1.
        line: u64,
        /// The first update id, `U`.
        first: u64,
        /// The last update id, `u`.
        last: u64,
    },
    /// A stream of the futures market, whose updates follow another rule.
    #[error("line {line}: a depth update of the futures market (`pu`); spot streams are read")]
    Futures {
        /// Number of the line, from 1.
        line: u64,
    },
    /// A symbol that is empty or too long.
    #[error("line {line}: `{found}` is not a symbol")]
    Symbol {
        /// Number of the line, from 1.
        line: u64,
        /// The text found.
        found: String,
    },
    /// A snapshot before any message that names a symbol.
    #[error("line {line}: a snapshot, and no message before it names a symbol")]
    NoSymbol {
        /// Number of the line, from 1.
        line: u64,
    },
    /// A snapshot in a file of several symbols.
    #[error("line {line}: a snapshot without a symbol, in a file of several")]
    SeveralSymbols {
        /// Number of the line, from 1.
        line: u64,
    },
}

impl FormatFault for BinanceFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Line(fault) => fault.advice(),
            Self::NoSymbol { .. } => "give the symbol, as in binance:FILE,symbol=BTCUSDT",
            Self::SeveralSymbols { .. } => {
                "what came before is on the log; record each symbol into a file of its own, or give the symbol of the \
                 snapshots, as in binance:FILE,symbol=BTCUSDT"
            }
            _ => {
                "what came before is on the log; check that each line is a message of Binance's spot websocket, and \
                 that the file is not damaged"
            }
        }
    }
}

/// A recording of Binance's streams as a feed.
pub type BinanceFeed = FileFeed<BinanceFormat>;

/// The format of recordings of Binance's streams.
pub struct BinanceFormat {
    source: u16,
    mapping: Mapping,
}

impl Format for BinanceFormat {
    type Records = Lines;
    type Options = BinanceOptions;
    type Fault = BinanceFault;

    fn begin(_lines: &mut Lines, options: BinanceOptions) -> Result<Self, BinanceFault> {
        let BinanceOptions { source, symbol, ids } = options;
        Ok(Self { source, mapping: Mapping::new(source, symbol, ids) })
    }

    #[inline]
    fn put(&mut self, lines: &Lines, batch: &mut Batch) -> Result<(), BinanceFault> {
        self.mapping.put(lines.current(), lines.number(), batch)
    }

    #[inline]
    fn drain(&mut self, batch: &mut Batch) -> bool {
        self.mapping.drain(batch)
    }

    fn end(&mut self) {
        self.mapping.finish();
    }

    fn source(&self) -> u16 {
        self.source
    }

    fn dataset(&self) -> String {
        "Binance spot".into()
    }

    fn content(&self) -> String {
        "Binance spot websocket".into()
    }

    fn record_count(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        self.mapping.report()
    }
}

#[cfg(test)]
mod tests;
