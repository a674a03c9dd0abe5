//! The generator's flow as a file that others' readers take, and ours: ITCH 5.0 or DBN.
//!
//! What the formats cannot say is written as they would say it:
//!
//! | flow | ITCH 5.0 | DBN, schema mbo |
//! |---|---|---|
//! | add | A | add |
//! | modify | U, with a new order number | modify |
//! | cancel | X of a part, D of all | cancel |
//! | trade | nothing: the execution tells it | trade |
//! | execution | E | fill, and a cancel of the quantity |
//!
//! An ITCH file begins and ends with the system events of a day, and defines its instruments with R and H. It does
//! not say of which day it is: put [`GeneratedFile::day`] as `YYYYMMDD` into its name.

mod dbn_file;
mod itch_file;

use crate::generator::{Flow, GeneratorConfig, GeneratorConfigError};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use stele_wire::units::Nanos;

/// Which format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileFormat {
    /// NASDAQ TotalView-ITCH 5.0, each message behind a big-endian `u16` of its length.
    Itch,
    /// Databento Binary Encoding, version 3; compressed with zstd where the file's name ends in `.zst`.
    Dbn,
}

impl FromStr for FileFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "itch" => Ok(Self::Itch),
            "dbn" => Ok(Self::Dbn),
            _ => Err(format!("`{text}` is no file format: give itch or dbn")),
        }
    }
}

/// Why a file could not be made. What of it was written is removed.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The flow cannot be made.
    #[error(transparent)]
    Config(#[from] GeneratorConfigError),
    /// The flow has no end.
    #[error("the flow has no end: say how many events, or how long")]
    Endless,
    /// The file is there already.
    #[error("{} is there already: give another name or remove it", .0.display())]
    Exists(PathBuf),
    /// The flow does not fit the format.
    #[error("{what} does not fit the format at message {message}: {advice}")]
    DoesNotFit {
        /// The quantity that does not fit.
        what: &'static str,
        /// Number of the flow's message.
        message: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The file could not be written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The encoder refused a record.
    #[error("the DBN encoder: {0}")]
    Encoder(#[from] dbn::Error),
}

/// What a made file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GeneratedFile {
    /// Messages of the flow.
    pub flow_messages: u64,
    /// Records in the file.
    pub records: u64,
    /// Time of the flow's last message.
    pub last: Nanos,
    /// The day on which the flow begins, US Eastern, as `YYYYMMDD`.
    pub day: u32,
}

/// Writes the flow of `config` to a new file at `path`.
///
/// # Errors
/// [`GenerateError`]; no file is left then, and one that was there is not touched.
pub fn generate(
    config: &GeneratorConfig,
    format: FileFormat,
    path: &Path,
) -> Result<GeneratedFile, GenerateError> {
    config.check()?;
    if config.events.is_none() && config.duration.is_none() {
        return Err(GenerateError::Endless);
    }
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => GenerateError::Exists(path.into()),
        _ => GenerateError::Io { path: path.into(), error },
    };
    let mut file = BufWriter::with_capacity(1 << 20, File::create_new(path).map_err(failed)?);
    let compressed = path.extension().is_some_and(|extension| extension == "zst");
    let written = write(config, format, compressed, &mut file)
        .and_then(|written| file.flush().map(|()| written).map_err(Failure::Io));
    written.map_err(|failure| {
        // The error that is told is the first one; a file that cannot be removed either is named in it.
        let _ = std::fs::remove_file(path);
        match failure {
            Failure::Io(error) => failed(error),
            Failure::Other(error) => error,
        }
    })
}

/// What went wrong within a file.
#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Other(GenerateError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<dbn::Error> for Failure {
    fn from(error: dbn::Error) -> Self {
        match error {
            dbn::Error::Io { source, .. } => Self::Io(source),
            other => Self::Other(other.into()),
        }
    }
}

fn does_not_fit(what: &'static str, message: u64, advice: &'static str) -> Failure {
    Failure::Other(GenerateError::DoesNotFit { what, message, advice })
}

fn write(
    config: &GeneratorConfig,
    format: FileFormat,
    compressed: bool,
    into: &mut impl Write,
) -> Result<GeneratedFile, Failure> {
    let flow = Flow::new(config);
    match format {
        FileFormat::Itch => itch_file::write(config, flow, into),
        FileFormat::Dbn if compressed => {
            let mut encoder = zstd::Encoder::new(into, 0)?;
            let written = dbn_file::write(config, flow, &mut encoder)?;
            encoder.finish()?;
            Ok(written)
        }
        FileFormat::Dbn => dbn_file::write(config, flow, into),
    }
}

#[cfg(test)]
mod tests;
