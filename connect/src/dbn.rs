//! Databento Binary Encoding from a file: versions 1 to 3, compressed with zstd, gzip or not, as its beginning says.
//!
//! Every kind of record becomes an event, or is counted as not carried. What the schema has no field for:
//! `ts_recv` (it is the event's due time; what the log calls received is our own receipt), `ts_in_delta`,
//! `ts_out`, the publishers of each side of a consolidated quote, and of a definition those fields that describe
//! display, decay, delivery, matching algorithm and the second ratio of a leg.
//!
//! The same records as CSV are read by [`csv`].
//!
//! | record | event |
//! |---|---|
//! | mbo: add, modify, cancel, clear | `BookAdd`, `BookModify`, `BookCancel` (of the quantity given), `BookClear` |
//! | mbo: trade | `Trade` of the aggressor's side; the book does not change |
//! | mbo: fill | `BookExecute` with `bookEffect` False, since a cancel or modify follows, and `nonPrintable`, since the trade stands for it in the volume |
//! | mbo: none, or another letter | `VenueNotice` with the record |
//! | trades | `Trade` |
//! | mbp-1, tbbo, bbo, cmbp-1, tcbbo, cbbo | `TopOfBook`; before it a `Trade` where the record is one |
//! | mbp-10 | `BookDepth`; before it a `Trade` where the record is one |
//! | ohlcv | `Bar`, due when its interval is over |
//! | definition, symbol mapping | `InstrumentDefinition`; a spread's record of each leg tells it with the legs so far |
//! | statistics | `Statistic` |
//! | status | `TradingStatus` |
//! | imbalance | `AuctionImbalance` |
//! | error, system | `VenueNotice` with the text |
//!
//! The volume of a source is the quantity of its `Trade`s and `BookExecute`s that are not `nonPrintable`.
//! The first publisher and channel of a file have the feed's source number, others the numbers after it, each
//! told by a `SourceDefinition` before its first event.

pub mod csv;
mod definition;
mod letters;
mod mapping;
mod sources;
mod symbols;

use crate::instruments::InstrumentIds;
use crate::source::{self, Unpacked};
use dbn::decode::dbn::fsm::{DbnFsm, ProcessResult};
use dbn::{Metadata, VersionUpgradePolicy, v1, v2, v3};
use mapping::Mapping;
use std::io::{self, Read};
use std::path::Path;
use stele_feed::{Batch, Description, Feed, FeedError, FeedReport, Step};
use stele_wire::messages::SourceKind;
use symbols::Symbols;

/// Bytes of the metadata of a file at most.
pub const METADATA_LENGTH_MAX: usize = 64 * 1024 * 1024;

/// Bytes read and decompressed at once.
const BUFFER_LENGTH: usize = 128 * 1024;

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The source's number on the log; further publishers in the file take the numbers after it.
    pub source: u16,
    /// Numbers of instruments that the trail knows already.
    pub ids: InstrumentIds,
}

/// What is wrong with a DBN file.
#[derive(Debug, thiserror::Error)]
pub enum DbnFault {
    /// The file cannot be read or decompressed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file does not begin as DBN does.
    #[error("is not DBN: it begins with {0:02x?}")]
    NotDbn([u8; 3]),
    /// A version that is not known.
    #[error("is DBN version {0}; versions 1 to 3 are known")]
    Version(u8),
    /// Metadata of an impossible length.
    #[error("its metadata of {0} bytes are longer than the {METADATA_LENGTH_MAX} allowed")]
    MetadataLength(usize),
    /// The file ends inside the metadata or a record.
    #[error("the file ends inside {inside}: {found} bytes of it are there")]
    Truncated {
        /// The metadata, or a record.
        inside: &'static str,
        /// Bytes there.
        found: usize,
    },
    /// A record that is shorter than its kind, or no multiple of 8 bytes.
    #[error("a record of kind 0x{kind:02x} has an impossible length of {found} bytes")]
    RecordLength {
        /// The record's type.
        kind: u8,
        /// Bytes that it says it has.
        found: usize,
    },
    /// What else the decoder says.
    #[error(transparent)]
    Decoder(#[from] dbn::Error),
}

impl DbnFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => "check the path",
            Self::Io(_) | Self::Truncated { .. } => {
                "what came before is on the log; get a whole copy of the file for the rest"
            }
            Self::NotDbn(_) => "give a .dbn or .dbn.zst file",
            Self::Version(_) => "convert it to version 3 with Databento's `dbn` tool",
            _ => "what came before is on the log; check that the file is not damaged",
        }
    }
}

/// A DBN file as a feed.
pub struct DbnFeed {
    name: String,
    metadata: Metadata,
    version: u8,
    input: Unpacked,
    fsm: DbnFsm,
    /// Bytes given to the decoder.
    fed: u64,
    has_ended: bool,
    mapping: Mapping,
    source: u16,
}

impl DbnFeed {
    /// Opens a file and reads its metadata.
    ///
    /// # Errors
    /// [`FeedError`] with a [`DbnFault`].
    pub fn open(path: &Path, options: Options) -> Result<Self, FeedError> {
        let name = path.display().to_string();
        match source::open(path) {
            Ok(file) => Self::from_reader(&name, Box::new(file), options),
            Err(error) => Err(failure(&name, 0, 0, error.into())),
        }
    }

    /// Reads from anything; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`DbnFeed::open`].
    pub fn from_reader(
        name: &str,
        reader: Box<dyn Read + Send>,
        options: Options,
    ) -> Result<Self, FeedError> {
        Self::begin(name, reader, options).map_err(|(fault, offset)| failure(name, 0, offset, fault))
    }

    fn begin(name: &str, reader: Box<dyn Read + Send>, options: Options) -> Result<Self, (DbnFault, u64)> {
        let mut input = Unpacked::new(reader).map_err(|error| (error.into(), 0))?;
        let mut fsm = DbnFsm::builder()
            .upgrade_policy(VersionUpgradePolicy::UpgradeToV3)
            .buffer_size(BUFFER_LENGTH)
            .build()
            .map_err(|error| (error.into(), 0))?;
        let mut prelude = [0; 8];
        let found = source::read_full(&mut input, &mut prelude).map_err(|error| (error.into(), 0))?;
        let version = check_prelude(&prelude[..found]).map_err(|fault| (fault, 0))?;
        fsm.write_all(&prelude);
        let mut fed = prelude.len() as u64;
        let metadata = loop {
            match fsm.process() {
                ProcessResult::Metadata(metadata) => break metadata,
                ProcessResult::ReadMore(_) => match read_more(&mut input, &mut fsm) {
                    Ok(0) => {
                        let found = fed as usize;
                        return Err((DbnFault::Truncated { inside: "the metadata", found }, 0));
                    }
                    Ok(read) => fed += read as u64,
                    Err(error) => return Err((error.into(), fed)),
                },
                ProcessResult::Err(error) => return Err((error.into(), 0)),
                ProcessResult::Record(()) => unreachable!("the decoder gives the metadata first"),
            }
        };
        let mapping = Mapping::new(options.source, options.ids, Symbols::new(&metadata), metadata.schema);
        let (name, source) = (name.to_owned(), options.source);
        Ok(Self { name, metadata, version, input, fsm, fed, has_ended: false, mapping, source })
    }

    /// What the file says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The numbers that instruments have, for a feed that goes on after this one.
    pub fn ids(&self) -> &InstrumentIds {
        self.mapping.ids()
    }

    fn take(&mut self, batch: &mut Batch) -> Result<Step, DbnFault> {
        while batch.has_room() {
            if let Some((kind, found)) = self.impossible_record() {
                return Err(DbnFault::RecordLength { kind, found });
            }
            match self.fsm.process() {
                ProcessResult::Record(()) => {
                    let record = self.fsm.last_record().expect("the decoder just said so");
                    self.mapping.put(record, batch)?;
                }
                ProcessResult::ReadMore(_) => {
                    let read = read_more(&mut self.input, &mut self.fsm)?;
                    self.fed += read as u64;
                    match self.fsm.data().len() {
                        0 if read == 0 => return Ok(Step::End),
                        found if read == 0 => return Err(DbnFault::Truncated { inside: "a record", found }),
                        _ => {}
                    }
                }
                ProcessResult::Err(error) => return Err(error.into()),
                ProcessResult::Metadata(_) => unreachable!("the metadata were read when the file was opened"),
            }
        }
        Ok(Step::More)
    }

    /// Type and length of the record that comes next, where its length cannot be right: the decoder trusts it.
    #[inline]
    fn impossible_record(&self) -> Option<(u8, usize)> {
        let [words, kind, ..] = *self.fsm.data() else { return None };
        let length = usize::from(words) * 4;
        let least = least_length(self.version, kind) + if self.metadata.ts_out { 8 } else { 0 };
        (length < least || !length.is_multiple_of(8)).then_some((kind, length))
    }

    /// Where the record that comes next begins.
    fn offset(&self) -> u64 {
        self.fed - self.fsm.data().len() as u64
    }
}

fn failure(name: &str, good_records: u64, offset: u64, fault: DbnFault) -> FeedError {
    let advice = fault.advice();
    FeedError { source: name.into(), good_records, offset, fault: Box::new(fault), advice }
}

fn check_prelude(prelude: &[u8]) -> Result<u8, DbnFault> {
    let [d, b, n, version, length @ ..] = prelude else {
        return Err(DbnFault::Truncated { inside: "the metadata", found: prelude.len() });
    };
    if [*d, *b, *n] != *b"DBN" {
        return Err(DbnFault::NotDbn([*d, *b, *n]));
    }
    if !(1..=3).contains(version) {
        return Err(DbnFault::Version(*version));
    }
    let Ok(length) = <[u8; 4]>::try_from(length) else {
        return Err(DbnFault::Truncated { inside: "the metadata", found: prelude.len() });
    };
    let length = u32::from_le_bytes(length) as usize;
    if length > METADATA_LENGTH_MAX {
        return Err(DbnFault::MetadataLength(length));
    }
    Ok(*version)
}

fn read_more(input: &mut Unpacked, fsm: &mut DbnFsm) -> io::Result<usize> {
    loop {
        match input.read(fsm.space()) {
            Ok(read) => {
                fsm.fill(read);
                return Ok(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Bytes that a record of this type has at least, in this version.
fn least_length(version: u8, kind: u8) -> usize {
    use dbn::rtype;
    match (kind, version) {
        (rtype::MBO, _) => size_of::<v3::MboMsg>(),
        (rtype::MBP_0, _) => size_of::<v3::TradeMsg>(),
        (rtype::MBP_1, _) => size_of::<v3::Mbp1Msg>(),
        (rtype::MBP_10, _) => size_of::<v3::Mbp10Msg>(),
        (rtype::BBO_1S | rtype::BBO_1M, _) => size_of::<v3::BboMsg>(),
        (rtype::CMBP_1 | rtype::TCBBO, _) => size_of::<v3::Cmbp1Msg>(),
        (rtype::CBBO_1S | rtype::CBBO_1M, _) => size_of::<v3::CbboMsg>(),
        (rtype::STATUS, _) => size_of::<v3::StatusMsg>(),
        (rtype::IMBALANCE, _) => size_of::<v3::ImbalanceMsg>(),
        (rtype::INSTRUMENT_DEF, 1) => size_of::<v1::InstrumentDefMsg>(),
        (rtype::INSTRUMENT_DEF, 2) => size_of::<v2::InstrumentDefMsg>(),
        (rtype::INSTRUMENT_DEF, _) => size_of::<v3::InstrumentDefMsg>(),
        (rtype::STATISTICS, 1 | 2) => size_of::<v1::StatMsg>(),
        (rtype::STATISTICS, _) => size_of::<v3::StatMsg>(),
        (rtype::ERROR, 1) => size_of::<v1::ErrorMsg>(),
        (rtype::ERROR, _) => size_of::<v3::ErrorMsg>(),
        (rtype::SYSTEM, 1) => size_of::<v1::SystemMsg>(),
        (rtype::SYSTEM, _) => size_of::<v3::SystemMsg>(),
        (rtype::SYMBOL_MAPPING, 1) => size_of::<v1::SymbolMappingMsg>(),
        (rtype::SYMBOL_MAPPING, _) => size_of::<v3::SymbolMappingMsg>(),
        (
            rtype::OHLCV_1S
            | rtype::OHLCV_1M
            | rtype::OHLCV_1H
            | rtype::OHLCV_1D
            | rtype::OHLCV_EOD
            | OHLCV_OLD,
            _,
        ) => size_of::<v3::OhlcvMsg>(),
        _ => size_of::<v3::RecordHeader>(),
    }
}

/// The type of bars before their interval stood in the type.
const OHLCV_OLD: u8 = 0x11;

impl Feed for DbnFeed {
    fn describe(&self) -> Description {
        let Metadata { dataset, schema, symbols, .. } = &self.metadata;
        let schema = schema.map_or("several schemas".into(), |schema| schema.to_string());
        let shown = symbols.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(" ");
        Description {
            source: self.source,
            kind: SourceKind::FILE,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: [0; 4],
            dataset: dataset.clone(),
            name: self.name.rsplit('/').next().unwrap_or_default().into(),
            description: format!("{}: DBN {} of {dataset}, {schema}, {shown}", self.name, self.version),
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<Step, FeedError> {
        if self.has_ended {
            return Ok(Step::End);
        }
        let taken = self.take(batch);
        self.has_ended = !matches!(taken, Ok(Step::More));
        taken.map_err(|fault| failure(&self.name, self.mapping.counts().total(), self.offset(), fault))
    }

    fn records(&self) -> u64 {
        self.mapping.counts().total()
    }

    fn report(&self) -> FeedReport {
        self.mapping.report()
    }

    fn content_hash(&self) -> Option<[u8; 32]> {
        self.input.hash()
    }
}

#[cfg(test)]
mod tests;
