//! Databento CSV of the schema `mbo`: single orders, as the tool `dbn` and the vendor's batch downloads write
//! them.
//!
//! Each line becomes what the same record of DBN becomes (see the [parent module](super)). The header names
//! the columns, which may be in any order. `ts_in_delta` is not carried; nor is a column that the schema does
//! not have, and the report says which. Prices are decimals, or whole numbers in units of 1e-9, as the vendor
//! writes them without `pretty_px`. Times are RFC 3339, or nanoseconds since 1970. Source:
//! databento.com/docs, *MBO* schema.

use super::DbnOptions;
use super::mapping::Mapping;
use super::symbols::Symbols;
use crate::csv::{Row, RowFault, Splitter};
use crate::decimal::{NotDecimal, signed, unsigned};
use crate::file::{FileFeed, Format, FormatFault, RecordReader};
use crate::instruments::InstrumentIds;
use crate::lines::{LineFault, Lines};
use dbn::{FlagSet, MboMsg, RecordHeader, RecordRef, Schema, rtype};
use stele_feed::{Batch, FeedReport};

/// What is wrong with a CSV file of Databento's.
#[derive(Debug, thiserror::Error)]
pub enum CsvFault {
    /// The file cannot be read as lines of text, or is not complete.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// A line that is not a record.
    #[error(transparent)]
    Row(#[from] RowFault),
    /// The file has no header, or the header of another schema.
    #[error("is not Databento's CSV of the schema mbo: its first line has no column {0}")]
    NotMbo(String),
    /// The file has the columns of mbo and those of a book, so its schema records both.
    #[error(
        "is not Databento's CSV of the schema mbo: its column {OF_A_BOOK} belongs to a book, as in mbp-N and tbbo"
    )]
    OfABook,
    /// The file is empty.
    #[error("is empty: it does not even have a header")]
    Empty,
    /// A record of another schema in a file of `mbo`.
    #[error("line {line}: a record of type {found}, not {} (mbo)", rtype::MBO)]
    RecordType {
        /// Number of the line, from 1.
        line: u64,
        /// The type.
        found: u64,
    },
}

impl FormatFault for CsvFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Line(fault) => fault.advice(),
            Self::Row(_) | Self::RecordType { .. } => {
                "what came before is on the log; check that the file is not damaged"
            }
            Self::NotMbo(_) | Self::OfABook | Self::Empty => {
                "download the schema mbo as CSV with a header, or give DBN as dbn:FILE"
            }
        }
    }
}

/// Columns that every file has.
const NEEDED: [&str; 11] = [
    "ts_recv",
    "ts_event",
    "publisher_id",
    "instrument_id",
    "action",
    "side",
    "price",
    "size",
    "order_id",
    "flags",
    "sequence",
];
/// Further columns that a file may have.
const OPTIONAL: [&str; 4] = ["channel_id", "symbol", "rtype", "ts_in_delta"];

/// The first column of a book, in every schema that has one.
const OF_A_BOOK: &str = "bid_px_00";
/// How many of the columns that are not carried the report names.
const OTHERS_NAMED_MAX: usize = 5;

/// The index of each column.
#[derive(Debug)]
struct Columns {
    needed: [usize; NEEDED.len()],
    channel: Option<usize>,
    symbol: Option<usize>,
    record_type: Option<usize>,
    count: usize,
    others: Vec<String>,
}

impl Columns {
    fn of(header: &Row<'_>) -> Result<Self, CsvFault> {
        let find = |name: &str| (0..header.len()).find(|at| header.field(*at) == name.as_bytes());
        let missing: Vec<&str> = NEEDED.into_iter().filter(|name| find(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(CsvFault::NotMbo(missing.join(", ")));
        }
        if find(OF_A_BOOK).is_some() {
            return Err(CsvFault::OfABook);
        }
        let is_known = |name: &[u8]| NEEDED.iter().chain(&OPTIONAL).any(|known| known.as_bytes() == name);
        let others = (0..header.len()).map(|at| header.field(at)).filter(|name| !is_known(name));
        Ok(Self {
            needed: NEEDED.map(|name| find(name).expect("none is missing")),
            channel: find("channel_id"),
            symbol: find("symbol"),
            record_type: find("rtype"),
            count: header.len(),
            others: others.map(|name| format!("`{}`", name.escape_ascii())).collect(),
        })
    }

    /// The record of a line.
    fn record(&self, row: Row<'_>, line: u64) -> Result<MboMsg, CsvFault> {
        let row = row.of(self.count)?;
        if let Some(at) = self.record_type {
            let found = whole(&row, at, "rtype", u64::MAX)?;
            if found != u64::from(rtype::MBO) {
                return Err(CsvFault::RecordType { line, found });
            }
        }
        let [received, event, publisher, instrument, action, side, price, size, order, flags, sequence] =
            self.needed;
        let publisher = whole(&row, publisher, "publisher_id", u16::MAX.into())? as u16;
        let instrument = whole(&row, instrument, "instrument_id", u32::MAX.into())? as u32;
        let channel = self.channel.map_or(Ok(0), |at| whole(&row, at, "channel_id", u8::MAX.into()))?;
        let venue_time = time(&row, event, "ts_event")?;
        Ok(MboMsg {
            hd: RecordHeader::new::<MboMsg>(rtype::MBO, publisher, instrument, venue_time),
            order_id: whole(&row, order, "order_id", u64::MAX)?,
            price: row.number(price, "price", read_price)?,
            size: whole(&row, size, "size", u32::MAX.into())? as u32,
            flags: FlagSet::new(whole(&row, flags, "flags", u8::MAX.into())? as u8),
            channel_id: channel as u8,
            action: letter(&row, action, "action", b"AMCRTFN", "one of A, M, C, R, T, F and N")?,
            side: letter(&row, side, "side", b"ABN", "one of A, B and N")?,
            ts_recv: time(&row, received, "ts_recv")?,
            ts_in_delta: 0,
            sequence: whole(&row, sequence, "sequence", u32::MAX.into())? as u32,
        })
    }
}

/// Reads a whole number up to `max`.
#[inline]
fn whole(row: &Row<'_>, at: usize, name: &'static str, max: u64) -> Result<u64, RowFault> {
    row.number(at, name, |text| {
        let value = unsigned(text, 0)?;
        if value <= max { Ok(value) } else { Err(NotDecimal::TooLarge) }
    })
}

fn letter(
    row: &Row<'_>,
    at: usize,
    name: &'static str,
    known: &[u8],
    expected: &'static str,
) -> Result<std::ffi::c_char, RowFault> {
    match row.field(at) {
        [letter] if known.contains(letter) => Ok(*letter as std::ffi::c_char),
        _ => Err(row.wrong(at, name, expected)),
    }
}

/// Reads a decimal, or a whole number in units of 1e-9. An empty text and the vendor's undefined price mean
/// none.
fn read_price(text: &[u8]) -> Result<i64, NotDecimal> {
    match text {
        b"" | b"9223372036854775807" => Ok(dbn::UNDEF_PRICE),
        text => signed(text, if text.contains(&b'.') { 9 } else { 0 }),
    }
}

/// Reads RFC 3339, or nanoseconds since 1970. An empty text means none.
fn time(row: &Row<'_>, at: usize, name: &'static str) -> Result<u64, RowFault> {
    let text = row.field(at);
    if text.is_empty() {
        return Ok(dbn::UNDEF_TIMESTAMP);
    }
    let nanos = if text.iter().all(u8::is_ascii_digit) {
        unsigned(text, 0).ok()
    } else {
        let time = str::from_utf8(text).ok().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        time.and_then(|time| u64::try_from(time.as_nanosecond()).ok())
    };
    nanos.ok_or_else(|| {
        row.wrong(at, name, "a time such as 2025-07-17T07:05:09.035793433Z, or nanoseconds since 1970")
    })
}

/// A CSV file of Databento's as a feed.
pub type CsvFeed = FileFeed<CsvFormat>;

impl CsvFeed {
    /// The numbers of the instruments, for a feed that continues after this one.
    pub fn ids(&self) -> &InstrumentIds {
        self.format.mapping.ids()
    }
}

/// The format of Databento's CSV files of the schema `mbo`.
pub struct CsvFormat {
    source: u16,
    splitter: Splitter,
    columns: Columns,
    /// The vendor's number and the symbol of the previous record.
    last: (u32, String),
    mapping: Mapping,
}

impl Format for CsvFormat {
    type Records = Lines;
    type Options = DbnOptions;
    type Fault = CsvFault;

    fn begin(lines: &mut Lines, options: DbnOptions) -> Result<Self, CsvFault> {
        if !lines.advance()? {
            return Err(CsvFault::Empty);
        }
        let mut splitter = Splitter::new();
        let columns = Columns::of(&splitter.split(lines.current(), lines.number())?)?;
        let DbnOptions { source, ids } = options;
        let mapping = Mapping::new(source, ids, Symbols::default(), Some(Schema::Mbo));
        Ok(Self { source, splitter, columns, last: (0, String::with_capacity(72)), mapping })
    }

    fn put(&mut self, lines: &Lines, batch: &mut Batch) -> Result<(), CsvFault> {
        let line = lines.number();
        let row = self.splitter.split(lines.current(), line)?;
        let record = self.columns.record(row, line)?;
        if let Some(at) = self.columns.symbol {
            let number = record.hd.instrument_id;
            let symbol =
                str::from_utf8(row.field(at)).map_err(|_| row.wrong(at, "symbol", "a text in UTF-8"))?;
            if self.last.0 != number || self.last.1 != symbol {
                self.mapping.name(number, symbol);
                self.last.0 = number;
                self.last.1.clear();
                self.last.1.push_str(symbol);
            }
        }
        self.mapping.put(RecordRef::from(&record), batch).expect("a record of type mbo is one");
        Ok(())
    }

    fn source(&self) -> u16 {
        self.source
    }

    fn dataset(&self) -> String {
        "Databento CSV".into()
    }

    fn content(&self) -> String {
        "Databento CSV, mbo".into()
    }

    fn record_count(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        let mut report = self.mapping.report();
        if !self.columns.others.is_empty() {
            let (named, rest) = self.columns.others.split_at(OTHERS_NAMED_MAX.min(self.columns.others.len()));
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            report.notices.push(format!(
                "columns that the schema mbo does not have are not carried: {}{more}",
                named.join(", ")
            ));
        }
        report
    }
}

#[cfg(test)]
mod tests;
