//! LOBSTER message files: the order flow of one NASDAQ stock and day as CSV, made from ITCH by
//! lobsterdata.com.
//!
//! A line has six fields, and the file has no header: seconds after midnight US Eastern, type, order id,
//! size, price in 1e-4 dollars, direction (1 is a buy order, -1 a sell order). Source: LOBSTER, *Output
//! structure* (lobsterdata.com/info).
//!
//! | type | event |
//! |---|---|
//! | 1 submission | `BookAdd` |
//! | 2 cancellation of a part | `BookCancel` of that part |
//! | 3 deletion | `BookCancel` of its size; of all that is left, where the file showed more |
//! | 4 execution of a visible order | `BookExecute` with its price; the quantity leaves the book |
//! | 5 execution of a hidden order | `Trade`, hidden, of the aggressor's side, which is the other side |
//! | 6 cross trade | `Trade`, cross |
//! | 7 trading halt | `TradingStatus`: price -1 halted, 0 quoting again, 1 trading again |
//!
//! Symbol and day are in the name that LOBSTER gives the file:
//! `SYMBOL_YYYY-MM-DD_START_END_message_LEVELS.csv`. `venueSequence` is the number of the line, from 1. Each
//! line is an event of its own and has the flag `last`.
//!
//! **What such a file leaves out.** It has the messages of orders while they are within the best LEVELS
//! prices, and nothing about the orders that were in the book when it begins. So an order from before the
//! beginning is unknown to the book. An order that left the book while it was further away is removed when a
//! later message shows that it cannot be there any more: the visible book is never crossed, and in a file of
//! one level every message is about the best price.
//!
//! Such an order leaves by a `BookCancel` of all of it, just before the message that shows it and as part of
//! the same event. Without it the book would stay crossed, or show a best price that the message contradicts.
//! The cancel is inferred, and its flags say so: they are `maybeBadBook` alone, a flag that no line of the
//! file gets, so that a reader can leave the inferred events out. Its `venueSequence` is the line that showed
//! it. Inferred cancels are not records; the report counts them separately. On the day of AMZN in LOBSTER's
//! sample with one level, they are 9,066 beside 57,515 lines.

mod mapping;
mod window;

use crate::csv::{RowFault, Splitter};
use crate::file::{FileFeed, Format, FormatFault};
use crate::instruments::InstrumentIds;
use crate::itch::day;
use crate::lines::{LineFault, Lines};
use jiff::civil::Date;
use mapping::Mapping;
use std::path::Path;
use stele_feed::{Batch, FeedReport};

/// How a LOBSTER file is read.
#[derive(Clone, Debug, Default)]
pub struct LobsterOptions {
    /// The source's number on the log.
    pub source: u16,
    /// The stock; by default, the one in the file's name.
    pub symbol: Option<String>,
    /// The trading day; by default, the one in the file's name.
    pub date: Option<Date>,
    /// How many price levels of each side the file covers; by default, the number in the file's name.
    pub levels: Option<u32>,
    /// The numbers of the instruments that the trail already has.
    pub ids: InstrumentIds,
}

/// What is wrong with a LOBSTER file.
#[derive(Debug, thiserror::Error)]
pub enum LobsterFault {
    /// The file cannot be read as lines of text, or is not complete.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// A line that is not a message.
    #[error(transparent)]
    Row(#[from] RowFault),
    /// The stock is neither in the options nor in the file's name.
    #[error("does not say which stock it is of")]
    NoSymbol,
    /// The trading day is before 1970.
    #[error("the trading day {0} is before 1970")]
    Day(Date),
    /// The file is LOBSTER's order book, not its messages.
    #[error("is an orderbook file")]
    OrderbookFile,
}

impl FormatFault for LobsterFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Line(fault) => fault.advice(),
            Self::Row(_) => {
                "what came before is on the log; check that this is LOBSTER's message file, with six fields a line"
            }
            Self::NoSymbol => "give the stock, as in lobster:FILE,symbol=AMZN",
            Self::Day(_) => "give the day as date=YYYYMMDD",
            Self::OrderbookFile => "give the message file beside it",
        }
    }
}

/// What the name of a file says, where it has the form of LOBSTER's names.
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
pub type LobsterFeed = FileFeed<LobsterFormat>;

/// The format of LOBSTER's message files.
pub struct LobsterFormat {
    source: u16,
    content: String,
    splitter: Splitter,
    mapping: Mapping,
    notices: Vec<String>,
}

impl Format for LobsterFormat {
    type Records = Lines;
    type Options = LobsterOptions;
    type Fault = LobsterFault;

    fn with_name(options: LobsterOptions, path: &Path) -> Result<LobsterOptions, LobsterFault> {
        let name = NameParts::of(path);
        if name.is_orderbook {
            return Err(LobsterFault::OrderbookFile);
        }
        Ok(LobsterOptions {
            symbol: options.symbol.or(name.symbol),
            date: options.date.or(name.date),
            levels: options.levels.or(name.levels),
            ..options
        })
    }

    fn begin(_lines: &mut Lines, options: LobsterOptions) -> Result<Self, LobsterFault> {
        let LobsterOptions { source, symbol, date, levels, ids } = options;
        let symbol = symbol.ok_or(LobsterFault::NoSymbol)?;
        let mut notices = Vec::new();
        let midnight = day::midnight_or_epoch(date, &mut notices).map_err(LobsterFault::Day)?;
        let within = levels.map_or("the file's levels".into(), |levels| match levels {
            1 => "the best price".to_owned(),
            _ => format!("the best {levels} prices"),
        });
        notices.push(format!(
            "the file has orders within {within} only: orders that were in the book before it begins, and what \
             happens further away, are missing"
        ));
        let day = date.map_or("day not known".into(), |date| date.to_string());
        Ok(Self {
            source,
            content: format!("LOBSTER messages of {symbol}, {day}"),
            splitter: Splitter::new(),
            mapping: Mapping::new(source, midnight, &symbol, levels, ids),
            notices,
        })
    }

    #[inline]
    fn put(&mut self, lines: &Lines, _batch: &mut Batch) -> Result<(), LobsterFault> {
        let row = self.splitter.split(lines.current(), lines.number())?;
        Ok(self.mapping.put(row, lines.number())?)
    }

    #[inline]
    fn drain(&mut self, batch: &mut Batch) -> bool {
        self.mapping.drain(batch)
    }

    fn source(&self) -> u16 {
        self.source
    }

    fn mic(&self) -> [u8; 4] {
        *b"XNAS"
    }

    fn dataset(&self) -> String {
        "LOBSTER".into()
    }

    fn content(&self) -> String {
        self.content.clone()
    }

    fn record_count(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        let mut report = self.mapping.report();
        report.notices.splice(..0, self.notices.iter().cloned());
        report
    }
}

#[cfg(test)]
mod tests;
