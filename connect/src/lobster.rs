//! LOBSTER message files: the order flow of one NASDAQ stock and day as CSV, made of ITCH by lobsterdata.com.
//!
//! Six fields a line and no header: seconds after midnight US Eastern, type, order id, size, price in 1e-4 dollars,
//! direction (1 a buy order, -1 a sell order). Source: LOBSTER, *Output structure* (lobsterdata.com/info).
//!
//! | type | event |
//! |---|---|
//! | 1 submission | `BookAdd` |
//! | 2 cancellation of a part | `BookCancel` of that part |
//! | 3 deletion | `BookCancel` of its size; of all that is left, where the file told of more |
//! | 4 execution of a visible order | `BookExecute` with its price, the quantity leaves the book |
//! | 5 execution of a hidden order | `Trade`, hidden, of the aggressor's side: the other one |
//! | 6 cross trade | `Trade`, cross |
//! | 7 trading halt | `TradingStatus`: price -1 halted, 0 quoting again, 1 trading again |
//!
//! Symbol and day stand in the name that LOBSTER gives the file, `SYMBOL_YYYY-MM-DD_START_END_message_LEVELS.csv`.
//! `venueSequence` is the number of the line, from 1. Each line is an event of its own and carries the flag `last`.
//!
//! **What such a file leaves out.** It tells of orders while they stand within the best LEVELS prices, and nothing
//! of what stood there when it begins. So an order that was there before is unknown to the book; and one that left
//! while it stood further away is taken out when a later message shows that it cannot be there any more: the visible
//! book is never crossed, and in a file of one level every message is about the best price.
//!
//! Such an order leaves by a `BookCancel` of all of it, just before the message that shows it and as part of the same
//! event: without it the book would stay crossed, or show a best price that the message contradicts, from there on. It
//! is inferred and says so: its flags are `maybeBadBook` alone, its `venueSequence` is the line that showed it, and
//! none of the file's own lines has that flag, so that whoever wants the file's words alone leaves these events out.
//! They are no records; the report counts them apart. On the day of AMZN's best price they are 9,066 beside 57,515 lines.

mod mapping;
mod window;

use crate::csv::{RowFault, Splitter};
use crate::instruments::InstrumentIds;
use crate::itch::day;
use crate::lines::{LineFault, Lines};
use jiff::civil::Date;
use mapping::Mapping;
use std::io::Read;
use std::path::Path;
use stele_feed::{Batch, Description, Feed, FeedError, FeedReport, Step};
use stele_wire::messages::SourceKind;
use stele_wire::units::Nanos;

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The source's number on the log.
    pub source: u16,
    /// The stock; where it is not given, the one in the file's name.
    pub symbol: Option<String>,
    /// The trading day; where it is not given, the one in the file's name.
    pub date: Option<Date>,
    /// Numbers of instruments that the trail knows already.
    pub ids: InstrumentIds,
}

/// What is wrong with a LOBSTER file.
#[derive(Debug, thiserror::Error)]
pub enum LobsterFault {
    /// No text file, or not a whole one.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// A line that is no message.
    #[error(transparent)]
    Row(#[from] RowFault),
    /// The stock cannot be told.
    #[error("does not say which stock it is of")]
    NoSymbol,
    /// The day cannot be told.
    #[error("the trading day {0} is before 1970")]
    Day(Date),
    /// The book's file in place of the messages'.
    #[error("is an orderbook file")]
    OrderbookFile,
}

impl LobsterFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Line(fault) => fault.advice(),
            Self::Row(_) => {
                "what came before is on the log; check that this is LOBSTER's message file, six fields a line"
            }
            Self::NoSymbol => "give the stock, as in lobster:FILE,symbol=AMZN",
            Self::Day(_) => "give the day as date=YYYYMMDD",
            Self::OrderbookFile => "give the message file beside it",
        }
    }
}

/// What the name of a file says, as far as it is one of LOBSTER's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct NameParts {
    symbol: Option<String>,
    date: Option<Date>,
    levels: Option<u32>,
    is_orderbook: bool,
}

impl NameParts {
    fn of(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let parts: Vec<&str> = name.split('_').collect();
        let [symbol, date, _, _, kind @ ("message" | "orderbook"), rest] = parts[..] else {
            return Self::default();
        };
        Self {
            symbol: Some(symbol.to_owned()).filter(|symbol| !symbol.is_empty()),
            date: day::parse_date(date),
            levels: rest.split('.').next().and_then(|levels| levels.parse().ok()),
            is_orderbook: kind == "orderbook",
        }
    }
}

/// A LOBSTER message file as a feed.
pub struct LobsterFeed {
    name: String,
    description: String,
    source: u16,
    lines: Lines,
    splitter: Splitter,
    has_ended: bool,
    mapping: Mapping,
    notices: Vec<String>,
}

impl LobsterFeed {
    /// Opens a file.
    ///
    /// # Errors
    /// [`FeedError`] with a [`LobsterFault`].
    pub fn open(path: &Path, options: Options) -> Result<Self, FeedError> {
        let name = path.display().to_string();
        let parts = NameParts::of(path);
        if parts.is_orderbook {
            return Err(failure(&name, 0, 0, LobsterFault::OrderbookFile));
        }
        let lines = Lines::open(path).map_err(|error| failure(&name, 0, 0, LineFault::Io(error).into()))?;
        let options =
            Options { symbol: options.symbol.or(parts.symbol), date: options.date.or(parts.date), ..options };
        Self::begin(&name, lines, options, parts.levels)
    }

    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`LobsterFeed::open`].
    pub fn from_reader(
        name: &str,
        reader: Box<dyn Read + Send>,
        options: Options,
    ) -> Result<Self, FeedError> {
        let lines = Lines::new(reader).map_err(|error| failure(name, 0, 0, LineFault::Io(error).into()))?;
        Self::begin(name, lines, options, None)
    }

    fn begin(name: &str, lines: Lines, options: Options, levels: Option<u32>) -> Result<Self, FeedError> {
        let symbol = options.symbol.ok_or_else(|| failure(name, 0, 0, LobsterFault::NoSymbol))?;
        let mut notices = Vec::new();
        let midnight = match options.date {
            Some(date) => day::midnight(date).ok_or_else(|| failure(name, 0, 0, LobsterFault::Day(date)))?,
            None => {
                notices.push(
                    "the trading day is not known: times count from 1970-01-01; give it as date=YYYYMMDD"
                        .into(),
                );
                Nanos(0)
            }
        };
        let within = levels.map_or("the file's levels".into(), |levels| match levels {
            1 => "the best price".to_owned(),
            _ => format!("the best {levels} prices"),
        });
        notices.push(format!(
            "the file tells of orders within {within} only: what stood there before it begins, and what happens \
             further away, is not told"
        ));
        let day = options.date.map_or("day not known".into(), |date| date.to_string());
        Ok(Self {
            name: name.into(),
            description: format!("LOBSTER messages of {symbol}, {day}"),
            source: options.source,
            lines,
            splitter: Splitter::new(),
            has_ended: false,
            mapping: Mapping::new(options.source, midnight, &symbol, levels, options.ids),
            notices,
        })
    }

    fn take(&mut self, batch: &mut Batch) -> Result<Step, LobsterFault> {
        while self.mapping.drain(batch) && batch.has_room() {
            if !self.lines.advance()? {
                return Ok(Step::End);
            }
            let row = self.splitter.split(self.lines.current(), self.lines.number())?;
            self.mapping.put(row, self.lines.number())?;
        }
        Ok(Step::More)
    }
}

fn failure(name: &str, good_records: u64, offset: u64, fault: LobsterFault) -> FeedError {
    let advice = fault.advice();
    FeedError { source: name.into(), good_records, offset, fault: Box::new(fault), advice }
}

impl Feed for LobsterFeed {
    fn describe(&self) -> Description {
        Description {
            source: self.source,
            kind: SourceKind::FILE,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: *b"XNAS",
            dataset: "LOBSTER".into(),
            name: self.name.rsplit('/').next().unwrap_or_default().into(),
            description: format!("{}: {}", self.name, self.description),
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<Step, FeedError> {
        if self.has_ended {
            return Ok(Step::End);
        }
        let taken = self.take(batch);
        self.has_ended = !matches!(taken, Ok(Step::More));
        taken.map_err(|fault| failure(&self.name, self.records(), self.lines.offset(), fault))
    }

    fn records(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        let mut report = self.mapping.report();
        report.notices.splice(..0, self.notices.iter().cloned());
        report
    }

    fn content_hash(&self) -> Option<[u8; 32]> {
        self.lines.hash()
    }
}

#[cfg(test)]
mod tests;
