//! Places on a trail as a person writes them: a sequence, or a time.

use std::str::FromStr;
use stele_journal::{TrailError, TrailReader};
use stele_wire::{Frame, Nanos, Sequence};

/// An event's number, or a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Sequence(Sequence),
    Time(Nanos),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(sequence) => Ok(Self::Sequence(Sequence(sequence))),
            Err(_) => {
                time(text).map(Self::Time).map_err(|what| format!("neither a sequence nor a time: {what}"))
            }
        }
    }
}

impl Place {
    /// The event's number, where it is one.
    pub(crate) fn sequence(self) -> Option<Sequence> {
        match self {
            Self::Sequence(sequence) => Some(sequence),
            Self::Time(_) => None,
        }
    }

    /// Moves the reader in front of the first event at this place or behind it.
    pub(crate) fn seek(self, reader: &mut TrailReader) -> Result<(), TrailError> {
        match self {
            Self::Sequence(Sequence(0 | 1)) => Ok(()),
            Self::Sequence(sequence) => reader.seek(sequence),
            Self::Time(time) => reader.seek_time(time),
        }
    }

    /// Whether this event lies behind the place.
    pub(crate) fn is_passed_by(self, event: &Frame<'_>) -> bool {
        match self {
            Self::Sequence(sequence) => event.sequence() > sequence,
            Self::Time(time) => event.timestamp() > time,
        }
    }

    /// Whether no event behind this one can be at the place or in front of it.
    pub(crate) fn ends_with(self, event: &Frame<'_>) -> bool {
        self == Self::Sequence(event.sequence())
    }
}

/// A day, which is its first moment in UTC, or a moment.
pub(crate) fn time(text: &str) -> Result<Nanos, String> {
    let day =
        || Some(text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(day);
    let nanos = moment.and_then(|moment| u64::try_from(moment.as_nanosecond()).ok());
    nanos.map(Nanos).ok_or_else(|| format!("`{text}` is no time; write 2026-11-21, or 2026-11-21T09:30:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_sequence_and_anything_else_a_day_or_a_moment() {
        assert_eq!("17".parse(), Ok(Place::Sequence(Sequence(17))));
        assert_eq!("1970-01-02".parse(), Ok(Place::Time(Nanos(86_400_000_000_000))));
        assert_eq!("1970-01-01T00:00:01.5Z".parse(), Ok(Place::Time(Nanos(1_500_000_000))));
        assert_eq!("1970-01-01T01:00:01+01:00".parse(), Ok(Place::Time(Nanos(1_000_000_000))));
        let refusal = "soon".parse::<Place>().unwrap_err();
        assert!(refusal.contains("`soon` is no time; write 2026-11-21"), "{refusal}");
    }
}
