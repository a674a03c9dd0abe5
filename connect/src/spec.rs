//! Which feed a person asks for: `dbn:PATH`, `itch:PATH`, `generator` or `trail:PATH`.

use crate::itch::day::parse_date;
use jiff::civil::Date;
use std::fmt;
use std::path::PathBuf;
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
    /// `generator`, or `generator:SEED`.
    Generator {
        /// The seed; 1 where none is given.
        seed: u64,
    },
    /// `trail:PATH`: the market data of another trail, which is opened elsewhere.
    Trail(PathBuf),
}

const ACCEPTED: &str = "dbn:PATH, itch:PATH[,date=YYYYMMDD], generator[:SEED] and trail:PATH";
const KINDS: [&str; 4] = ["dbn", "itch", "generator", "trail"];

/// Why a text is no feed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpecError {
    /// No kind of feed is called so.
    #[error("`{found}` is no kind of feed{}; accepted are {ACCEPTED}", nearest_text(.nearest))]
    Kind {
        /// What was given.
        found: String,
        /// The nearest kind there is.
        nearest: Option<&'static str>,
    },
    /// The path is missing.
    #[error("`{0}:` needs the path of a file behind the colon; accepted are {ACCEPTED}")]
    NoPath(&'static str),
    /// The seed is no number.
    #[error("`{0}` is no seed: give a whole number from 0 to 18446744073709551615")]
    Seed(String),
    /// The date is none.
    #[error("`{0}` is no date: give it as YYYYMMDD")]
    Date(String),
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
            "itch" => Self::itch(path("itch")?),
            "generator" if rest.is_empty() => Ok(Self::Generator { seed: 1 }),
            "generator" => {
                rest.parse().map(|seed| Self::Generator { seed }).map_err(|_| SpecError::Seed(rest.into()))
            }
            _ => Err(SpecError::Kind { found: kind.into(), nearest: nearest(kind) }),
        }
    }

    fn itch(path: PathBuf) -> Result<Self, SpecError> {
        let text = path.to_string_lossy();
        let Some((file, date)) = text.rsplit_once(",date=") else {
            return Ok(Self::Itch { path, date: None });
        };
        let date = parse_date(date).ok_or_else(|| SpecError::Date(date.into()))?;
        Ok(Self::Itch { path: file.into(), date: Some(date) })
    }
}

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
            Self::Itch { path, date: None } => write!(f, "itch:{}", path.display()),
            Self::Itch { path, date: Some(date) } => {
                write!(f, "itch:{},date={}", path.display(), date.strftime("%Y%m%d"))
            }
            Self::Generator { seed } => write!(f, "generator:{seed}"),
            Self::Trail(path) => write!(f, "trail:{}", path.display()),
        }
    }
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
        for text in ["dbn:a/b.dbn.zst", "itch:c:d.itch50", "itch:x,date=20200130", "generator:42", "trail:t/"]
        {
            assert_eq!(FeedSpec::parse(text).unwrap().to_string(), text);
        }
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
    }
}
