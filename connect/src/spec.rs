//! The text by which a user names a feed: `dbn:PATH`, `itch:PATH` and so on, as [`FEEDS`] lists them.

use crate::binance::{BinanceFeed, BinanceOptions};
use crate::dbn::csv::CsvFeed;
use crate::dbn::{DbnFeed, DbnOptions};
use crate::generator::{Generator, GeneratorConfig, GeneratorConfigError};
use crate::instruments::InstrumentIds;
use crate::itch::day::parse_date;
use crate::itch::{ItchFeed, ItchOptions};
use crate::lobster::{LobsterFeed, LobsterOptions};
use jiff::civil::Date;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use stele_feed::{Feed, FeedError};

/// A feed as named on a command line or in a configuration.
///
/// ```
/// use stele_connect::FeedSpec;
/// use stele_connect::spec::FeedOptions;
/// use stele_feed::{Batch, FeedStep};
///
/// let spec: FeedSpec = "generator:42".parse()?;
/// let mut feed = spec.open(FeedOptions { events: Some(1_000), ..FeedOptions::default() })?;
///
/// let mut batch = Batch::new();
/// while feed.fill(&mut batch)? == FeedStep::More {
///     batch.clear();
/// }
/// assert_eq!(feed.records(), 1_000);
///
/// let error = FeedSpec::parse("ich:FILE").unwrap_err();
/// assert!(error.to_string().contains("did you mean `itch`?"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeedSpec {
    /// `dbn:PATH`.
    Dbn(PathBuf),
    /// `itch:PATH`, or `itch:PATH,date=YYYYMMDD` where the file's name does not give the day.
    Itch {
        /// The file.
        path: PathBuf,
        /// The trading day.
        date: Option<Date>,
    },
    /// `databento-csv:PATH`.
    DatabentoCsv(PathBuf),
    /// `lobster:PATH`, with `,symbol=SYMBOL` and `,date=YYYYMMDD` where the file's name does not give them.
    Lobster {
        /// The file.
        path: PathBuf,
        /// The stock.
        symbol: Option<String>,
        /// The trading day.
        date: Option<Date>,
    },
    /// `binance:PATH`, with `,symbol=SYMBOL` where the file has several symbols and the snapshots of one.
    Binance {
        /// The file.
        path: PathBuf,
        /// The symbol of the snapshots.
        symbol: Option<String>,
    },
    /// `generator`, or `generator:SEED`.
    Generator {
        /// The seed; 1 by default.
        seed: u64,
    },
    /// `trail:PATH`: the market data of another trail. The crate `stele-replay` opens it.
    Trail(PathBuf),
}

/// The accepted texts, for messages and help.
pub const FEEDS: &str = "dbn:PATH, databento-csv:PATH, itch:PATH[,date=YYYYMMDD], \
    lobster:PATH[,symbol=SYMBOL][,date=YYYYMMDD], binance:PATH[,symbol=SYMBOL], generator[:SEED] and trail:PATH";
const KINDS: [&str; 7] = ["dbn", "databento-csv", "itch", "lobster", "binance", "generator", "trail"];

/// Why a text does not name a feed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpecError {
    /// There is no kind of feed of this name.
    #[error("`{found}` is not a kind of feed{}; accepted are {FEEDS}", nearest_text(.nearest))]
    Kind {
        /// The name found.
        found: String,
        /// The kind whose name is nearest, if one is near.
        nearest: Option<&'static str>,
    },
    /// The path is missing.
    #[error("`{0}:` needs the path of a file after the colon; accepted are {FEEDS}")]
    NoPath(&'static str),
    /// The seed is not a number.
    #[error("`{0}` is not a seed: give a whole number from 0 to 18446744073709551615")]
    Seed(String),
    /// The date is not valid.
    #[error("`{0}` is not a date: give it as YYYYMMDD")]
    Date(String),
    /// The symbol is empty or too long.
    #[error("`symbol=` needs a symbol after it, of at most 72 bytes")]
    Symbol,
}

fn nearest_text(nearest: &Option<&str>) -> String {
    nearest.map_or(String::new(), |nearest| format!(", did you mean `{nearest}`?"))
}

impl FeedSpec {
    /// Reads the text of a user.
    ///
    /// # Errors
    /// [`SpecError`], which names the accepted texts and the nearest kind.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let path = |kind: &'static str| match rest {
            "" => Err(SpecError::NoPath(kind)),
            path => Ok(PathBuf::from(path)),
        };
        match kind {
            "dbn" => Ok(Self::Dbn(path("dbn")?)),
            "trail" => Ok(Self::Trail(path("trail")?)),
            "databento-csv" => Ok(Self::DatabentoCsv(path("databento-csv")?)),
            "itch" => {
                let (path, [date]) = keys(&path("itch")?, ["date"]);
                Ok(Self::Itch { path, date: date.map(read_date).transpose()? })
            }
            "lobster" => {
                let (path, [symbol, date]) = keys(&path("lobster")?, ["symbol", "date"]);
                let (symbol, date) = (symbol.map(read_symbol).transpose()?, date.map(read_date).transpose()?);
                Ok(Self::Lobster { path, symbol, date })
            }
            "binance" => {
                let (path, [symbol]) = keys(&path("binance")?, ["symbol"]);
                Ok(Self::Binance { path, symbol: symbol.map(read_symbol).transpose()? })
            }
            "generator" if rest.is_empty() => Ok(Self::Generator { seed: 1 }),
            "generator" => {
                rest.parse().map(|seed| Self::Generator { seed }).map_err(|_| SpecError::Seed(rest.into()))
            }
            _ => Err(SpecError::Kind { found: kind.into(), nearest: nearest(kind) }),
        }
    }
}

/// What opening a feed needs beside its spec.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// The source's number on the log.
    pub source: u16,
    /// The numbers of the instruments that the trail already has.
    pub ids: InstrumentIds,
    /// The trading day of a file whose spec does not give it; by default, the one in the file's name.
    pub date: Option<Date>,
    /// The generator's messages a second.
    pub events_per_second: f64,
    /// How many messages the generator makes; without end if `None`.
    pub events: Option<u64>,
}

impl Default for FeedOptions {
    /// Source 1, no known instruments, and the generator's own defaults.
    fn default() -> Self {
        let GeneratorConfig { source, events_per_second, events, .. } = GeneratorConfig::default();
        Self { source, ids: InstrumentIds::default(), date: None, events_per_second, events }
    }
}

/// Why a feed cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read, or is not of the format.
    #[error(transparent)]
    File(#[from] FeedError),
    /// The generator's options are wrong.
    #[error(transparent)]
    Generator(#[from] GeneratorConfigError),
    /// The feed is a trail, which this crate cannot read.
    #[error("trail:{} is opened by `TrailFeed` of the crate stele-replay", .0.display())]
    Trail(PathBuf),
}

impl FeedSpec {
    /// Opens the feed, and reads the first block of its file.
    ///
    /// # Errors
    /// [`OpenError`]; always for [`FeedSpec::Trail`].
    pub fn open(&self, options: FeedOptions) -> Result<Box<dyn Feed>, OpenError> {
        let FeedOptions { source, ids, date: day, events_per_second, events } = options;
        Ok(match self {
            Self::Dbn(path) => Box::new(DbnFeed::open(path, DbnOptions { source, ids })?),
            Self::DatabentoCsv(path) => Box::new(CsvFeed::open(path, DbnOptions { source, ids })?),
            Self::Itch { path, date } => {
                Box::new(ItchFeed::open(path, ItchOptions { source, date: date.or(day), ids })?)
            }
            Self::Lobster { path, symbol, date } => {
                let (symbol, date) = (symbol.clone(), date.or(day));
                Box::new(LobsterFeed::open(path, LobsterOptions { source, symbol, date, levels: None, ids })?)
            }
            Self::Binance { path, symbol } => {
                Box::new(BinanceFeed::open(path, BinanceOptions { source, symbol: symbol.clone(), ids })?)
            }
            Self::Generator { seed } => {
                let config = GeneratorConfig {
                    seed: *seed,
                    events_per_second,
                    events,
                    source,
                    ..GeneratorConfig::default()
                };
                Box::new(Generator::new(config)?)
            }
            Self::Trail(path) => return Err(OpenError::Trail(path.clone())),
        })
    }

    /// Whether [`FeedOptions::date`] matters: the format has no date of its own, and the spec does not give
    /// one.
    pub fn needs_date(&self) -> bool {
        matches!(self, Self::Itch { date: None, .. } | Self::Lobster { date: None, .. })
    }
}

/// Splits off the `,key=value` parts after a path, in any order. If a key of `known` is given twice, the last
/// counts.
fn keys<const N: usize>(path: &Path, known: [&str; N]) -> (PathBuf, [Option<String>; N]) {
    let mut values = [const { None }; N];
    let text = path.to_string_lossy();
    let mut rest: &str = &text;
    while let Some((before, last)) = rest.rsplit_once(',')
        && let Some((key, value)) = last.split_once('=')
        && let Some(at) = known.iter().position(|name| *name == key)
    {
        values[at].get_or_insert_with(|| value.to_owned());
        rest = before;
    }
    (if rest.len() == text.len() { path.into() } else { rest.into() }, values)
}

fn read_date(text: String) -> Result<Date, SpecError> {
    parse_date(&text).ok_or(SpecError::Date(text))
}

fn read_symbol(text: String) -> Result<String, SpecError> {
    if text.is_empty() || text.len() > SYMBOL_LENGTH_MAX { Err(SpecError::Symbol) } else { Ok(text) }
}

/// Bytes of a symbol on the log at most.
const SYMBOL_LENGTH_MAX: usize = 72;

impl FromStr for FeedSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::parse(text)
    }
}

impl fmt::Display for FeedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dbn(path) => write!(f, "dbn:{}", path.display()),
            Self::DatabentoCsv(path) => write!(f, "databento-csv:{}", path.display()),
            Self::Itch { path, date } => {
                write!(f, "itch:{}", path.display())?;
                write_keys(f, &None, date)
            }
            Self::Lobster { path, symbol, date } => {
                write!(f, "lobster:{}", path.display())?;
                write_keys(f, symbol, date)
            }
            Self::Binance { path, symbol } => {
                write!(f, "binance:{}", path.display())?;
                write_keys(f, symbol, &None)
            }
            Self::Generator { seed } => write!(f, "generator:{seed}"),
            Self::Trail(path) => write!(f, "trail:{}", path.display()),
        }
    }
}

fn write_keys(f: &mut fmt::Formatter<'_>, symbol: &Option<String>, date: &Option<Date>) -> fmt::Result {
    if let Some(symbol) = symbol {
        write!(f, ",symbol={symbol}")?;
    }
    date.map_or(Ok(()), |date| write!(f, ",date={}", date.strftime("%Y%m%d")))
}

fn nearest(found: &str) -> Option<&'static str> {
    KINDS
        .into_iter()
        .map(|kind| (strsim::damerau_levenshtein(found, kind), kind))
        .filter(|(distance, kind)| *distance <= kind.len() / 2)
        .min()
        .map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_text_is_displayed_as_it_was_written() {
        for text in [
            "dbn:a/b.dbn.zst",
            "databento-csv:mbo.csv.zst",
            "itch:c:d.itch50",
            "itch:x,date=20200130",
            "lobster:AMZN_2012-06-21_34200000_57600000_message_1.csv",
            "lobster:a,b.csv,symbol=AMZN,date=20120621",
            "binance:btc.gz",
            "binance:btc.gz,symbol=BTCUSDT",
            "generator:42",
            "trail:t/",
        ] {
            assert_eq!(FeedSpec::parse(text).unwrap().to_string(), text);
        }
        let turned = FeedSpec::parse("lobster:a,date=20120621,symbol=AMZN").unwrap();
        assert_eq!(turned.to_string(), "lobster:a,symbol=AMZN,date=20120621");
        assert_eq!(FeedSpec::parse("generator"), Ok(FeedSpec::Generator { seed: 1 }));
    }

    #[test]
    fn a_text_that_is_not_accepted_is_refused_with_those_that_are_and_the_nearest() {
        let said = |text| FeedSpec::parse(text).unwrap_err().to_string();
        assert!(said("ich:file").contains("did you mean `itch`?"), "{}", said("ich:file"));
        assert!(said("ich:file").contains("dbn:PATH"));
        assert!(!said("kafka:topic").contains("did you mean"));
        assert!(said("dbn").contains("needs the path"));
        assert!(said("generator:x").contains("`x` is not a seed"));
        assert!(said("itch:f,date=1").contains("YYYYMMDD"));
        assert!(said("binanse:f").contains("did you mean `binance`?"));
        assert!(said("lobster:f,symbol=").contains("needs a symbol"));
        assert!(said("databento-csv:").contains("needs the path"));
    }
}
