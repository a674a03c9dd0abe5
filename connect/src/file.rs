//! A file of market data as a feed, whatever its format.
//!
//! A [`FileFeed`] does what is the same for every format: it opens the file, decompresses it, fills batches,
//! reports errors with their place in the file, and ends. A [`Format`] adds what differs: the
//! [`RecordReader`] that splits the file into records, and the events that a record becomes.
//!
//! ```text
//!  file ──> Unpacked ──> RecordReader ──> Format ──> Batch
//!           bytes        one record       its events
//! ```
//!
//! A format of your own implements [`Format`]; [`Lines`](crate::Lines) is the reader of text formats.

use crate::source;
use std::error::Error;
use std::io::{self, Read};
use std::path::Path;
use stele_feed::{Batch, Feed, FeedError, FeedReport, FeedStep, SourceDescription};
use stele_wire::messages::SourceKind;

pub use crate::source::Unpacked;

/// Splits the bytes of a file into records.
pub trait RecordReader: Sized + Send {
    /// Why a file cannot be read further.
    type Fault: From<io::Error>;

    /// Begins to read, up to the first record.
    ///
    /// # Errors
    /// The input cannot be read, or does not begin as the format does.
    fn new(input: Unpacked) -> Result<Self, Self::Fault>;

    /// Reads the next record, which is then the current one. Returns false at the end of the file.
    ///
    /// # Errors
    /// The input cannot be read, or ends inside a record, or is damaged.
    fn advance(&mut self) -> Result<bool, Self::Fault>;

    /// The offset of the current record's first byte, in the file after decompression. After an error: of the
    /// first byte that was not read well.
    fn offset(&self) -> u64;

    /// The bytes that are read.
    fn input(&self) -> &Unpacked;
}

/// What is wrong with a file of one format.
pub trait FormatFault: Error + Send + Sync + 'static {
    /// What the user can do about it.
    fn advice(&self) -> &'static str;
}

/// A format of files: which events its records become.
pub trait Format: Sized + Send {
    /// Reads the records.
    type Records: RecordReader;
    /// What the caller may choose.
    type Options;
    /// What may be wrong with a file.
    type Fault: FormatFault + From<<Self::Records as RecordReader>::Fault>;

    /// Completes `options` with what the name of the file says. It is called before the file is opened.
    ///
    /// # Errors
    /// The name is that of another kind of file.
    fn with_name(options: Self::Options, _path: &Path) -> Result<Self::Options, Self::Fault> {
        Ok(options)
    }

    /// Begins a file; may read its header from `records`.
    ///
    /// # Errors
    /// The header is wrong, or the options do not suffice.
    fn begin(records: &mut Self::Records, options: Self::Options) -> Result<Self, Self::Fault>;

    /// Puts the events of the current record into `batch`, which has room for one record, or keeps them for
    /// [`Format::drain`].
    ///
    /// # Errors
    /// The record is wrong.
    fn put(&mut self, records: &Self::Records, batch: &mut Batch) -> Result<(), Self::Fault>;

    /// Puts events that were kept into `batch`, as far as it has room. Returns true when none are left. For
    /// formats whose records may become more events than a batch takes.
    fn drain(&mut self, _batch: &mut Batch) -> bool {
        true
    }

    /// Ends: no record follows, because the file is at its end or cannot be read further.
    fn end(&mut self) {}

    /// The source's number on the log.
    fn source(&self) -> u16;

    /// The market identifier code (ISO 10383) of the venue; zeros where the file has several or none.
    fn mic(&self) -> [u8; 4] {
        [0; 4]
    }

    /// The name of the data set.
    fn dataset(&self) -> String;

    /// What the file holds, in a few words.
    fn content(&self) -> String;

    /// The number of records read whole; cheap.
    fn record_count(&self) -> u64;

    /// What was read so far, and what became of it.
    fn report(&self) -> FeedReport;
}

/// A file of the format `F` as a feed.
pub struct FileFeed<F: Format> {
    name: String,
    records: F::Records,
    pub(crate) format: F,
    has_ended: bool,
}

impl<F: Format> FileFeed<F> {
    /// Opens the file at `path` and reads its beginning.
    ///
    /// # Errors
    /// [`FeedError`] with the format's fault.
    pub fn open(path: &Path, options: F::Options) -> Result<Self, FeedError> {
        let name = path.display().to_string();
        let options = F::with_name(options, path).map_err(|fault| failure(&name, 0, 0, fault))?;
        match source::open(path) {
            Ok(file) => Self::from_reader(&name, Box::new(file), options),
            Err(error) => Err(failure(&name, 0, 0, unreadable::<F>(error))),
        }
    }

    /// Reads from `reader`; `name` names it in messages.
    ///
    /// # Errors
    /// As [`FileFeed::open`].
    pub fn from_reader(
        name: &str,
        reader: Box<dyn Read + Send>,
        options: F::Options,
    ) -> Result<Self, FeedError> {
        let mut records = Unpacked::new(reader)
            .map_err(unreadable::<F>)
            .and_then(|input| Ok(F::Records::new(input)?))
            .map_err(|fault| failure(name, 0, 0, fault))?;
        let format =
            F::begin(&mut records, options).map_err(|fault| failure(name, 0, records.offset(), fault))?;
        Ok(Self { name: name.into(), records, format, has_ended: false })
    }

    fn read(&mut self, batch: &mut Batch) -> Result<FeedStep, F::Fault> {
        while self.format.drain(batch) && batch.has_room() {
            if !self.records.advance()? {
                return Ok(FeedStep::End);
            }
            self.format.put(&self.records, batch)?;
        }
        Ok(FeedStep::More)
    }
}

fn unreadable<F: Format>(error: io::Error) -> F::Fault {
    <F::Records as RecordReader>::Fault::from(error).into()
}

fn failure(name: &str, good_records: u64, offset: u64, fault: impl FormatFault) -> FeedError {
    let advice = fault.advice();
    FeedError { source: name.into(), good_records, offset, fault: Box::new(fault), advice }
}

impl<F: Format> Feed for FileFeed<F> {
    fn describe(&self) -> SourceDescription {
        SourceDescription {
            source: self.format.source(),
            kind: SourceKind::FILE,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: self.format.mic(),
            dataset: self.format.dataset(),
            name: self.name.rsplit('/').next().unwrap_or_default().into(),
            description: format!("{}: {}", self.name, self.format.content()),
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<FeedStep, FeedError> {
        if self.has_ended {
            return Ok(FeedStep::End);
        }
        let step = self.read(batch);
        self.has_ended = !matches!(step, Ok(FeedStep::More));
        if self.has_ended {
            self.format.end();
        }
        step.map_err(|fault| failure(&self.name, self.records(), self.records.offset(), fault))
    }

    fn records(&self) -> u64 {
        self.format.record_count()
    }

    fn report(&self) -> FeedReport {
        self.format.report()
    }

    fn content_hash(&self) -> Option<[u8; 32]> {
        self.records.input().hash()
    }
}
