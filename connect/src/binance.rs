//! Binance's spot websocket as it was recorded: one message of JSON a line, gzip, zstd or plain.
//!
//! In front of a message may stand the time of its receipt in nanoseconds since 1970 and a blank. A message is as
//! the websocket gives it, alone or in the envelope of a combined stream (`{"stream":…,"data":…}`); snapshots of the
//! REST API lie between them.
//!
//! | message | event |
//! |---|---|
//! | `depthUpdate` | a `BookLevel` for each level; quantity 0 takes it away |
//! | snapshot (`lastUpdateId`), also of a partial depth stream | `BookClear`, then a `BookLevel` for each level, all with the flag `snapshot` |
//! | `bookTicker` | `TopOfBook` |
//! | `trade` | `Trade` of the aggressor's side |
//! | another stream, an answer to a request | none; counted |
//!
//! Which updates make the book, and what happens at a gap, follows Binance's own rule (`depth.rs`). Prices are
//! exact in units of 1e-9, quantities in units of 1e-8, which the definition says. `updateId` carries Binance's update
//! id, `venueSequence` its low 32 bits. The last event of each message carries the flag `last`. What is not carried:
//! the time of receipt, which is the event's due time, and the order ids of a trade.

mod depth;
mod mapping;
mod message;

use crate::instruments::InstrumentIds;
use crate::lines::{LineFault, Lines};
use mapping::Mapping;
use std::io::Read;
use std::path::Path;
use stele_feed::{Batch, Description, Feed, FeedError, FeedReport, Step};
use stele_wire::messages::SourceKind;

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The source's number on the log.
    pub source: u16,
    /// The symbol of snapshots, which do not name it; where it is not given, the only one of the file.
    pub symbol: Option<String>,
    /// Numbers of instruments that the trail knows already.
    pub ids: InstrumentIds,
}

/// What is wrong with a recording of Binance's streams.
#[derive(Debug, thiserror::Error)]
pub enum BinanceFault {
    /// No text file, or not a whole one.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// Not JSON, or not the message that it says it is.
    #[error("line {line}: {what}, in `{shown}`")]
    Message {
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
        /// How the message begins.
        shown: String,
    },
    /// What stands in front of a message is no time in nanoseconds.
    #[error("line {line}: `{found}` in front of the message is no time of receipt in nanoseconds since 1970")]
    ReceiveTime {
        /// Number of the line, from 1.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// A time of the venue that does not fit.
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
    /// A symbol that is none.
    #[error("line {line}: `{found}` is no symbol")]
    Symbol {
        /// Number of the line, from 1.
        line: u64,
        /// What stands there.
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

impl BinanceFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Line(fault) => fault.advice(),
            Self::NoSymbol { .. } => "give the symbol, as in binance:FILE,symbol=BTCUSDT",
            Self::SeveralSymbols { .. } => {
                "what came before is on the log; record each symbol into a file of its own, or give the symbol of the \
                 snapshots, as in binance:FILE,symbol=BTCUSDT"
            }
            _ => {
                "what came before is on the log; check that each line is a message of Binance's spot websocket and \
                 the file not damaged"
            }
        }
    }
}

/// A recording of Binance's streams as a feed.
pub struct BinanceFeed {
    name: String,
    source: u16,
    lines: Lines,
    has_ended: bool,
    mapping: Mapping,
}

impl BinanceFeed {
    /// Opens a file.
    ///
    /// # Errors
    /// [`FeedError`] with a [`BinanceFault`].
    pub fn open(path: &Path, options: Options) -> Result<Self, FeedError> {
        let name = path.display().to_string();
        let lines = Lines::open(path).map_err(|error| failure(&name, 0, 0, LineFault::Io(error).into()))?;
        Ok(Self::begin(&name, lines, options))
    }

    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`BinanceFeed::open`].
    pub fn from_reader(
        name: &str,
        reader: Box<dyn Read + Send>,
        options: Options,
    ) -> Result<Self, FeedError> {
        let lines = Lines::new(reader).map_err(|error| failure(name, 0, 0, LineFault::Io(error).into()))?;
        Ok(Self::begin(name, lines, options))
    }

    fn begin(name: &str, lines: Lines, options: Options) -> Self {
        let mapping = Mapping::new(options.source, options.symbol, options.ids);
        Self { name: name.into(), source: options.source, lines, has_ended: false, mapping }
    }

    fn take(&mut self, batch: &mut Batch) -> Result<Step, BinanceFault> {
        while self.mapping.drain(batch) && batch.has_room() {
            if !self.lines.advance()? {
                return Ok(Step::End);
            }
            self.mapping.put(self.lines.current(), self.lines.number(), batch)?;
        }
        Ok(Step::More)
    }
}

fn failure(name: &str, good_records: u64, offset: u64, fault: BinanceFault) -> FeedError {
    let advice = fault.advice();
    FeedError { source: name.into(), good_records, offset, fault: Box::new(fault), advice }
}

impl Feed for BinanceFeed {
    fn describe(&self) -> Description {
        Description {
            source: self.source,
            kind: SourceKind::FILE,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: [0; 4],
            dataset: "Binance spot".into(),
            name: self.name.rsplit('/').next().unwrap_or_default().into(),
            description: format!("{}: Binance spot websocket", self.name),
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<Step, FeedError> {
        if self.has_ended {
            return Ok(Step::End);
        }
        let taken = self.take(batch);
        self.has_ended = !matches!(taken, Ok(Step::More));
        if self.has_ended {
            self.mapping.finish();
        }
        taken.map_err(|fault| failure(&self.name, self.records(), self.lines.offset(), fault))
    }

    fn records(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        self.mapping.report()
    }

    fn content_hash(&self) -> Option<[u8; 32]> {
        self.lines.hash()
    }
}

#[cfg(test)]
mod tests;
