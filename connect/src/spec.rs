//! Which feed a person asks for: `dbn:PATH`, `itch:PATH` and so on, as [`FEEDS`] lists them.

use crate::itch::day::parse_date;
use jiff::civil::Date;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A feed as it is written on a command line or in a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeedSpec {
    /// `dbn:PATH`.
    Dbn(PathBuf),
    /// `itch:PATH`, or `itch:PATH,date=YYYYMMDD` where the file's name does not say the day.
    Itch {
        /// The file.
        path: PathBuf,
        /// The trading day.
        date: Option<Date>,
    },
    /// `databento-csv:PATH`.
    DatabentoCsv(PathBuf),
    /// `lobster:PATH`, with `,symbol=SYMBOL` and `,date=YYYYMMDD` where the file's name does not say them.
    Lobster {
        /// The file.
        path: PathBuf,
        /// The stock.
        symbol: Option<String>,
        /// The trading day.
        date: Option<Date>,
    },
    /// `binance:PATH`, with `,symbol=SYMBOL` where its snapshots are of one of several symbols.
    Binance {
        /// The file.
        path: PathBuf,
        /// The symbol of its snapshots.
        symbol: Option<String>,
    },
    /// `generator`, or `generator:SEED`.
    Generator {
        /// The seed; 1 where none is given.
        seed: u64,
    },
    /// `trail:PATH`: the market data of another trail, which is opened elsewhere.
    Trail(PathBuf),
}

/// What is accepted, for people.
pub const FEEDS: &str = "dbn:PATH, databento-csv:PATH, itch:PATH[,date=YYYYMMDD], \
    lobster:PATH[,symbol=SYMBOL][,date=YYYYMMDD], binance:PATH[,symbol=SYMBOL], generator[:SEED] and trail:PATH";
const KINDS: [&str; 7] = ["dbn", "databento-csv", "itch", "lobster", "binance", "generator", "trail"];

/// Why a text is no feed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpecError {
    /// No kind of feed is called so.
    #[error("`{found}` is no kind of feed{}; accepted are {FEEDS}", nearest_text(.nearest))]
    Kind {
        /// What was given.
        found: String,
        /// The nearest kind there is.
        nearest: Option<&'static str>,
    },
    /// The path is missing.
    #[error("`{0}:` needs the path of a file behind the colon; accepted are {FEEDS}")]
    NoPath(&'static str),
    /// The seed is no number.
    #[error("`{0}` is no seed: give a whole number from 0 to 18446744073709551615")]
    Seed(String),
    /// The date is none.
    #[error("`{0}` is no date: give it as YYYYMMDD")]
    Date(String),
    /// The symbol is none.
    #[error("`symbol=` needs a symbol behind it, of 72 bytes at most")]
    Symbol,
}

fn nearest_text(nearest: &Option<&str>) -> String {
    nearest.map_or(String::new(), |nearest| format!(", did you mean `{nearest}`?"))
}

impl FeedSpec {
    /// Reads what a person wrote.
    ///
    /// # Errors
    /// [`SpecError`], which names what is accepted and what is nearest.
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

/// A path and what `,key=value` behind it say of each of `known`, in any order; the last of a key counts.
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

/// Bytes of a symbol on the log.
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
    fn what_is_accepted_reads_as_it_is_written() {
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
    fn what_is_not_accepted_is_told_with_what_is_and_the_nearest() {
        let said = |text| FeedSpec::parse(text).unwrap_err().to_string();
        assert!(said("ich:file").contains("did you mean `itch`?"), "{}", said("ich:file"));
        assert!(said("ich:file").contains("dbn:PATH"));
        assert!(!said("kafka:topic").contains("did you mean"));
        assert!(said("dbn").contains("needs the path"));
        assert!(said("generator:x").contains("`x` is no seed"));
        assert!(said("itch:f,date=1").contains("YYYYMMDD"));
        assert!(said("binanse:f").contains("did you mean `binance`?"));
        assert!(said("lobster:f,symbol=").contains("needs a symbol"));
        assert!(said("databento-csv:").contains("needs the path"));
    }
}
