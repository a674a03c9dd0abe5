//! The records of a DBN file, by the state machine of the crate `dbn`.

use super::{DbnFault, METADATA_LENGTH_MAX};
use crate::file::{RecordReader, Unpacked};
use crate::source::read_full;
use dbn::decode::dbn::fsm::{DbnFsm, ProcessResult};
use dbn::{Metadata, RecordRef, VersionUpgradePolicy, v1, v2, v3};
use std::io::{self, Read};

/// Bytes read and decompressed at once.
const BUFFER_LENGTH: usize = 128 * 1024;

/// Reads the metadata of a DBN file, then its records, as those of version 3.
pub struct DbnRecords {
    input: Unpacked,
    decoder: DbnFsm,
    /// Bytes given to the decoder.
    fed: u64,
    version: u8,
    metadata: Metadata,
}

impl DbnRecords {
    /// The version of DBN in which the file is written, 1 to 3.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The metadata at the beginning of the file.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The current record.
    ///
    /// # Panics
    /// If [`RecordReader::advance`] was not called before, or did not return true.
    #[inline]
    pub fn current(&self) -> RecordRef<'_> {
        self.decoder.last_record().expect("`advance` decoded a record")
    }

    /// The type and length of the record that comes next, where its length cannot be right: the decoder does
    /// not check it.
    #[inline]
    fn impossible_record(&self) -> Option<(u8, usize)> {
        let [words, kind, ..] = *self.decoder.data() else { return None };
        let length = usize::from(words) * 4;
        let least = least_length(self.version, kind) + if self.metadata.ts_out { 8 } else { 0 };
        (length < least || !length.is_multiple_of(8)).then_some((kind, length))
    }
}

impl RecordReader for DbnRecords {
    type Fault = DbnFault;

    fn new(mut input: Unpacked) -> Result<Self, DbnFault> {
        let mut decoder = DbnFsm::builder()
            .upgrade_policy(VersionUpgradePolicy::UpgradeToV3)
            .buffer_size(BUFFER_LENGTH)
            .build()?;
        let mut prelude = [0; 8];
        let found = read_full(&mut input, &mut prelude)?;
        let version = version_of(&prelude[..found])?;
        decoder.write_all(&prelude);
        let mut fed = prelude.len() as u64;
        let metadata = loop {
            match decoder.process() {
                ProcessResult::Metadata(metadata) => break metadata,
                ProcessResult::ReadMore(_) => match read_more(&mut input, &mut decoder)? {
                    0 => return Err(DbnFault::Truncated { inside: "the metadata", found: fed as usize }),
                    read => fed += read as u64,
                },
                ProcessResult::Err(error) => return Err(error.into()),
                ProcessResult::Record(()) => unreachable!("the decoder gives the metadata first"),
            }
        };
        Ok(Self { input, decoder, fed, version, metadata })
    }

    #[inline]
    fn advance(&mut self) -> Result<bool, DbnFault> {
        loop {
            if let Some((kind, found)) = self.impossible_record() {
                return Err(DbnFault::RecordLength { kind, found });
            }
            match self.decoder.process() {
                ProcessResult::Record(()) => return Ok(true),
                ProcessResult::ReadMore(_) => {
                    let read = read_more(&mut self.input, &mut self.decoder)?;
                    self.fed += read as u64;
                    match self.decoder.data().len() {
                        0 if read == 0 => return Ok(false),
                        found if read == 0 => return Err(DbnFault::Truncated { inside: "a record", found }),
                        _ => {}
                    }
                }
                ProcessResult::Err(error) => return Err(error.into()),
                ProcessResult::Metadata(_) => unreachable!("the metadata were read when the file was opened"),
            }
        }
    }

    fn offset(&self) -> u64 {
        self.fed - self.decoder.data().len() as u64
    }

    fn input(&self) -> &Unpacked {
        &self.input
    }
}

/// The version in the first eight bytes of a file: `DBN`, the version, the length of the metadata as a `u32`.
fn version_of(prelude: &[u8]) -> Result<u8, DbnFault> {
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

fn read_more(input: &mut Unpacked, decoder: &mut DbnFsm) -> io::Result<usize> {
    loop {
        match input.read(decoder.space()) {
            Ok(read) => {
                decoder.fill(read);
                return Ok(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The least length of a record of this type in this version, in bytes.
pub(super) fn least_length(version: u8, kind: u8) -> usize {
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

/// The type of bars from before the type gave their interval.
pub(super) const OHLCV_OLD: u8 = 0x11;
