//! Databento Binary Encoding (DBN) from a file: versions 1 to 3; plain, zstd or gzip.
//!
//! Every kind of record becomes an event, or is counted as not carried. The schema has no field for these
//! values: `ts_recv` (it is the event's due time; the log's receive time is that of our own receipt),
//! `ts_in_delta`, `ts_out`, the publishers of each side of a consolidated quote, and those fields of a
//! definition that describe display, decay, delivery, matching algorithm and the second ratio of a leg.
//!
//! [`csv`] reads the same records from CSV.
//!
//! | record | event |
//! |---|---|
//! | mbo: add, modify, cancel, clear | `BookAdd`, `BookModify`, `BookCancel` (of the quantity given), `BookClear` |
//! | mbo: trade | `Trade` of the aggressor's side; the book does not change |
//! | mbo: fill | `BookExecute` with `bookEffect` False, since a cancel or modify follows, and `nonPrintable`, since the trade counts in the volume |
//! | mbo: none, or another letter | `VenueNotice` with the record |
//! | trades | `Trade` |
//! | mbp-1, tbbo, bbo, cmbp-1, tcbbo, cbbo | `TopOfBook`; before it a `Trade` where the record is one |
//! | mbp-10 | `BookDepth`; before it a `Trade` where the record is one |
//! | ohlcv | `Bar`, due when its interval is over |
//! | definition, symbol mapping | `InstrumentDefinition`; each record of a spread's leg gives it with the legs so far |
//! | statistics | `Statistic` |
//! | status | `TradingStatus` |
//! | imbalance | `AuctionImbalance` |
//! | error, system | `VenueNotice` with the text |
//!
//! The volume of a source is the quantity of its `Trade`s and `BookExecute`s that are not `nonPrintable`. The
//! first publisher and channel of a file have the feed's source number. Others get the numbers after it, and
//! each is defined by a `SourceDefinition` before its first event.

pub mod csv;
mod definition;
mod letters;
mod mapping;
mod records;
mod sources;
mod symbols;

use crate::file::{FileFeed, Format, FormatFault};
use crate::instruments::InstrumentIds;
use dbn::Metadata;
use mapping::Mapping;
use std::io;
use stele_feed::{Batch, FeedReport};
use symbols::Symbols;

pub use records::DbnRecords;

/// The greatest length of a file's metadata, in bytes.
pub const METADATA_LENGTH_MAX: usize = 64 * 1024 * 1024;

/// How a DBN file, or Databento's CSV, is read.
#[derive(Clone, Debug, Default)]
pub struct DbnOptions {
    /// The source's number on the log; further publishers in the file get the numbers after it.
    pub source: u16,
    /// The numbers of the instruments that the trail already has.
    pub ids: InstrumentIds,
}

/// What is wrong with a DBN file.
#[derive(Debug, thiserror::Error)]
pub enum DbnFault {
    /// The file cannot be read or decompressed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file does not begin with the letters DBN.
    #[error("is not DBN: it begins with {0:02x?}")]
    NotDbn([u8; 3]),
    /// A version of DBN that is not supported.
    #[error("is DBN version {0}; versions 1 to 3 are known")]
    Version(u8),
    /// Metadata longer than [`METADATA_LENGTH_MAX`].
    #[error("its metadata are {0} bytes long, more than the {METADATA_LENGTH_MAX} allowed")]
    MetadataLength(usize),
    /// The file ends inside the metadata or a record.
    #[error("the file ends inside {inside}: {found} bytes of it are there")]
    Truncated {
        /// The metadata, or a record.
        inside: &'static str,
        /// Bytes that are there.
        found: usize,
    },
    /// A record whose length is too short for its kind, or not a multiple of 8 bytes.
    #[error("a record of kind 0x{kind:02x} has an impossible length of {found} bytes")]
    RecordLength {
        /// The record's type.
        kind: u8,
        /// Bytes according to its header.
        found: usize,
    },
    /// Any other error of the decoder.
    #[error(transparent)]
    Decoder(#[from] dbn::Error),
}

impl FormatFault for DbnFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => "check the path",
            Self::Io(_) | Self::Truncated { .. } => {
                "what came before is on the log; get a complete copy of the file for the rest"
            }
            Self::NotDbn(_) => "give a .dbn or .dbn.zst file",
            Self::Version(_) => "convert it to version 3 with Databento's `dbn` tool",
            _ => "what came before is on the log; check that the file is not damaged",
        }
    }
}

/// A DBN file as a feed.
pub type DbnFeed = FileFeed<DbnFormat>;

impl DbnFeed {
    /// The metadata at the beginning of the file.
    pub fn metadata(&self) -> &Metadata {
        &self.format.metadata
    }

    /// The numbers of the instruments, for a feed that continues after this one.
    pub fn ids(&self) -> &InstrumentIds {
        self.format.mapping.ids()
    }
}

/// The format of DBN files.
pub struct DbnFormat {
    source: u16,
    version: u8,
    metadata: Metadata,
    mapping: Mapping,
}

impl Format for DbnFormat {
    type Records = DbnRecords;
    type Options = DbnOptions;
    type Fault = DbnFault;

    fn begin(records: &mut DbnRecords, options: DbnOptions) -> Result<Self, DbnFault> {
        let DbnOptions { source, ids } = options;
        let metadata = records.metadata().clone();
        let mapping = Mapping::new(source, ids, Symbols::new(&metadata), metadata.schema);
        Ok(Self { source, version: records.version(), metadata, mapping })
    }

    #[inline]
    fn put(&mut self, records: &DbnRecords, batch: &mut Batch) -> Result<(), DbnFault> {
        self.mapping.put(records.current(), batch)
    }

    fn source(&self) -> u16 {
        self.source
    }

    fn dataset(&self) -> String {
        self.metadata.dataset.clone()
    }

    fn content(&self) -> String {
        let Metadata { dataset, schema, symbols, .. } = &self.metadata;
        let schema = schema.map_or("several schemas".into(), |schema| schema.to_string());
        let shown = symbols.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(" ");
        format!("DBN {} of {dataset}, {schema}, {shown}", self.version)
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
