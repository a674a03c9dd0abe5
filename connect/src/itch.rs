//! NASDAQ TotalView-ITCH 5.0 from a file: each message behind a big-endian `u16` of its length.
//!
//! Every type of the specification becomes an event or more ([`mapping`](self) below). What the schema has no
//! field for: the tracking number of every message; the attribution of type F, counted in the report's notices;
//! the side of type P, which NASDAQ always gives as a buy; of type R the financial status, authenticity, IPO, LULD
//! tier and ETP fields. The messages L, N, K and O are also carried whole, as a `VenueNotice` with their bytes.
//!
//! | type | event |
//! |---|---|
//! | A, F | `BookAdd` |
//! | E | `BookExecute` at the order's own price, the quantity leaves the book |
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
//! Prices of four decimals become units of 1e-9 exactly. `venueSequence` is the number of the message in the file,
//! from 1. Each message is an event of its own and carries the flag `last`.

pub mod day;
pub mod layout;
mod mapping;

use crate::instruments::InstrumentIds;
use crate::source::{self, Hashed};
use jiff::civil::Date;
use mapping::{Mapping, RETOLD};
use std::io::{self, Read};
use std::path::Path;
use stele_feed::{Batch, Description, Feed, FeedError, FeedReport, Step};
use stele_wire::messages::SourceKind;
use stele_wire::units::Nanos;

/// Bytes read from the file at once.
const BUFFER_LENGTH: usize = 256 * 1024;

const _: () = assert!(BUFFER_LENGTH > u16::MAX as usize + 2);

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The source's number on the log.
    pub source: u16,
    /// The trading day; where it is not given, the one in the file's name.
    pub date: Option<Date>,
    /// Numbers of instruments that the trail knows already.
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
        /// Bytes of the message and its length.
        needed: usize,
        /// Bytes there.
        found: usize,
    },
    /// No type of ITCH 5.0.
    #[error("message {number} is of type {}, which ITCH 5.0 does not have", .letter.escape_ascii())]
    UnknownType {
        /// Number of the message, from 1.
        number: u64,
        /// The type.
        letter: u8,
    },
    /// A message of another length than its type has.
    #[error("message {number} of type {} has {found} bytes, not {expected}", *.letter as char)]
    Length {
        /// Number of the message, from 1.
        number: u64,
        /// The type.
        letter: u8,
        /// Bytes that the type has.
        expected: usize,
        /// Bytes that the length in front of it says.
        found: usize,
    },
    /// Bytes behind the marker that ends a session, a message of length 0.
    #[error("bytes follow the end of the session, behind message {number}")]
    BehindEnd {
        /// Number of the last message.
        number: u64,
    },
    /// A number that has no place on the log.
    #[error("message {number}: {value} as a price with eight decimals does not fit")]
    Value {
        /// Number of the message, from 1.
        number: u64,
        /// The number.
        value: u64,
    },
    /// The file is compressed.
    #[error("is compressed ({0})")]
    Compressed(&'static str),
    /// The trading day cannot be told.
    #[error("the trading day {0} is before 1970")]
    Day(Date),
}

impl ItchFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Io(_) => "check that the file exists, is a file, and may be read",
            Self::Truncated { .. } => {
                "what came before is on the log; get a whole copy of the file for the rest"
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
pub struct ItchFeed {
    name: String,
    description: String,
    source: Hashed<Box<dyn Read + Send>>,
    source_number: u16,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Offset in the file of the byte at `start`.
    offset: u64,
    is_exhausted: bool,
    has_ended: bool,
    mapping: Mapping,
    notices: Vec<String>,
}

impl ItchFeed {
    /// Opens a file and reads its first bytes.
    ///
    /// # Errors
    /// [`FeedError`] with an [`ItchFault`].
    pub fn open(path: &Path, options: Options) -> Result<Self, FeedError> {
        let name = path.display().to_string();
        match source::open(path) {
            Ok(file) => {
                let date = options.date.or_else(|| day::date_in_name(path));
                Self::from_reader(&name, Box::new(file), Options { date, ..options })
            }
            Err(error) => Err(failure(&name, 0, 0, error.into())),
        }
    }

    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`ItchFeed::open`].
    pub fn from_reader(
        name: &str,
        reader: Box<dyn Read + Send>,
        options: Options,
    ) -> Result<Self, FeedError> {
        let mut notices = Vec::new();
        let day = match options.date {
            Some(date) => day::midnight(date).ok_or_else(|| failure(name, 0, 0, ItchFault::Day(date)))?,
            None => {
                notices.push(
                    "the trading day is not known: times count from 1970-01-01; give it as date=YYYYMMDD"
                        .into(),
                );
                Nanos(0)
            }
        };
        let mut feed = Self {
            name: name.into(),
            description: options
                .date
                .map_or("ITCH 5.0, day not known".into(), |date| format!("ITCH 5.0 of {date}")),
            source: Hashed::new(reader),
            source_number: options.source,
            buffer: vec![0; BUFFER_LENGTH].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            is_exhausted: false,
            has_ended: false,
            mapping: Mapping::new(options.source, day, options.ids),
            notices,
        };
        feed.refill().map_err(|error| feed.failure(error.into()))?;
        match &feed.buffer[..feed.end.min(4)] {
            [0x1F, 0x8B, ..] => Err(feed.failure(ItchFault::Compressed("gzip"))),
            [0x28, 0xB5, 0x2F, 0xFD] => Err(feed.failure(ItchFault::Compressed("zstd"))),
            _ => Ok(feed),
        }
    }

    /// The numbers that instruments have, for a feed that goes on after this one.
    pub fn ids(&self) -> &InstrumentIds {
        self.mapping.ids()
    }

    fn failure(&self, fault: ItchFault) -> FeedError {
        failure(&self.name, self.mapping.counts().total(), self.offset, fault)
    }

    /// Moves what is left to the front and reads on.
    fn refill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = source::read_full(&mut self.source, &mut self.buffer[self.end..])?;
        self.is_exhausted = self.end + read < self.buffer.len();
        self.end += read;
        Ok(())
    }

    /// Where the next message lies in the buffer; none at the end.
    #[inline]
    fn next_message(&mut self) -> Result<Option<std::ops::Range<usize>>, ItchFault> {
        loop {
            let held = self.end - self.start;
            let needed = match &self.buffer[self.start..self.end] {
                [high, low, ..] => 2 + usize::from(u16::from_be_bytes([*high, *low])),
                _ => 2,
            };
            if needed <= held && needed > 2 {
                return Ok(Some(self.start + 2..self.start + needed));
            }
            if !self.is_exhausted {
                self.refill()?;
                continue;
            }
            let number = self.mapping.counts().total();
            return match held {
                0 => Ok(None),
                2 if needed == 2 => Ok(None),
                _ if needed == 2 && held > 2 => Err(ItchFault::BehindEnd { number }),
                found => Err(ItchFault::Truncated { number: number + 1, needed, found }),
            };
        }
    }

    fn take(&mut self, batch: &mut Batch) -> Result<Step, ItchFault> {
        while batch.has_room() {
            let Some(place) = self.next_message()? else { return Ok(Step::End) };
            let length = place.len() + 2;
            self.mapping.put(&self.buffer[place], batch)?;
            self.start += length;
            self.offset += length as u64;
        }
        Ok(Step::More)
    }
}

fn failure(name: &str, good_records: u64, offset: u64, fault: ItchFault) -> FeedError {
    let advice = fault.advice();
    FeedError { source: name.into(), good_records, offset, fault: Box::new(fault), advice }
}

impl Feed for ItchFeed {
    fn describe(&self) -> Description {
        Description {
            source: self.source_number,
            kind: SourceKind::FILE,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: *b"XNAS",
            dataset: "ITCH 5.0".into(),
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
        taken.map_err(|fault| self.failure(fault))
    }

    fn records(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        let mut report = self.mapping.counts().report(|letter| char::from(letter).to_string(), |_| RETOLD);
        report.notices.clone_from(&self.notices);
        let attributed = report.records.iter().find(|(kind, _)| kind == "F").map_or(0, |(_, count)| *count);
        if attributed > 0 {
            report.notices.push(format!("{attributed} orders of type F: their attribution is not carried"));
        }
        report
    }

    fn content_hash(&self) -> Option<[u8; 32]> {
        self.source.hash()
    }
}

#[cfg(test)]
mod tests;
