//! Writes the generator's flow to a file that other readers take too: ITCH 5.0 or DBN.
//!
//! What a format has no message for is written as the format would express it:
//!
//! | flow | ITCH 5.0 | DBN, schema mbo |
//! |---|---|---|
//! | add | A | add |
//! | modify | U, with a new order number | modify |
//! | cancel | X of a part, D of all | cancel |
//! | trade | nothing: the execution implies it | trade |
//! | execution | E | fill, and a cancel of the quantity |
//!
//! An ITCH file begins and ends with the system events of a day, and defines its instruments by R and H. It
//! does not contain its date: put [`GeneratedFile::day`] as `YYYYMMDD` into its name.

mod dbn_file;
mod itch_file;

use crate::generator::{Flow, GeneratorConfig, GeneratorConfigError};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use stele_wire::units::Nanos;

/// The format of a generated file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileFormat {
    /// NASDAQ TotalView-ITCH 5.0, each message preceded by its length as a big-endian `u16`.
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
            _ => Err(format!("`{text}` is not a file format: give itch or dbn")),
        }
    }
}

/// Why a file could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The configuration of the flow is wrong.
    #[error(transparent)]
    Config(#[from] GeneratorConfigError),
    /// The flow has no end.
    #[error("the flow has no end: give a number of events, or a duration")]
    Endless,
    /// The file exists.
    #[error("{} exists: give another name or remove it", .0.display())]
    Exists(PathBuf),
    /// A value of the flow does not fit the format.
    #[error("{what} does not fit the format at message {message}: {advice}")]
    DoesNotFit {
        /// The value that does not fit.
        what: &'static str,
        /// The number of the flow's message.
        message: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The file could not be written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The encoder refused a record.
    #[error("the DBN encoder: {0}")]
    Encoder(#[from] dbn::Error),
}

/// The content of a generated file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GeneratedFile {
    /// The number of messages of the flow.
    pub flow_messages: u64,
    /// The number of records in the file.
    pub records: u64,
    /// The time of the flow's last message.
    pub last: Nanos,
    /// The day on which the flow begins, US Eastern, as `YYYYMMDD`.
    pub day: u32,
}

/// Writes the flow of `config` to a new file at `path`.
///
/// # Errors
/// [`GenerateError`]. A file that was begun is then removed; a file that existed before is not changed.
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
        // The first error is returned; it names the file, if that cannot be removed either.
        let _ = std::fs::remove_file(path);
        match failure {
            Failure::Io(error) => failed(error),
            Failure::Other(error) => error,
        }
    })
}

/// An error while writing, before the file's name is added.
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
