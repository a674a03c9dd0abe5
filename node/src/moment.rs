//! Times as users write them: a day, a time in UTC, or a span such as `1h` before the end of the trail.

use crate::failure::Failure;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use std::path::Path;
use std::str::FromStr;
use stele_journal::{TrailError, TrailReader};
use stele_wire::Nanos;
use stele_wire::layout::Utc;

/// Examples of the accepted forms, for help and messages.
pub(crate) const MOMENTS: &str = "2026-11-21, 2026-11-21T09:30:00Z, or a span such as 1h, -90s or 2d";

/// A time as the user wrote it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// A fixed time. A day stands for its first moment in UTC.
    At(Nanos),
    /// A span after the time that spans are counted from, or before it where the span is negative.
    After(Span),
}

impl FromStr for Moment {
    type Err = String;

    /// Parses a time. `1h`, `-1h` and `1h ago` are an hour before, `+1h` is an hour after.
    fn from_str(text: &str) -> Result<Self, String> {
        let day = || Some(text.parse::<jiff::civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
        if let Some(moment) = text.parse::<Timestamp>().ok().or_else(day)
            && let Ok(nanos) = u64::try_from(moment.as_nanosecond())
        {
            return Ok(Self::At(Nanos(nanos)));
        }
        match text.parse::<Span>() {
            Ok(span) if text.starts_with('+') => Ok(Self::After(span)),
            Ok(span) => Ok(Self::After(-span.abs())),
            Err(_) => Err(format!("`{text}` is not a time; write {MOMENTS}")),
        }
    }
}

impl Moment {
    /// Returns the time, with spans counted from `base`. A day has 24 hours; months and years are those of
    /// the calendar.
    ///
    /// # Errors
    /// [`Failure`]: the time is before 1970, or later than an event's timestamp can be (2554).
    pub(crate) fn from(self, base: Nanos) -> Result<Nanos, Failure> {
        let span = match self {
            Self::At(time) => return Ok(time),
            Self::After(span) => span,
        };
        let time = || {
            let base = Timestamp::from_nanosecond(i128::from(base.0)).ok()?.to_zoned(TimeZone::UTC);
            u64::try_from(base.checked_add(span).ok()?.timestamp().as_nanosecond()).ok()
        };
        time().map(Nanos).ok_or_else(|| {
            let (way, span) = if span.is_negative() { ("before", span.abs()) } else { ("after", span) };
            Failure::usage(format!("{span:#} {way} {} is outside the years 1970 to 2554", Utc(base.0)))
        })
    }

    /// Returns the time, with spans counted from the last event of `trail`.
    ///
    /// # Errors
    /// [`Failure`]: as [`Self::from`], or the trail cannot be read.
    pub(crate) fn on(self, trail: &Path) -> Result<Nanos, Failure> {
        match self {
            Self::At(time) => Ok(time),
            Self::After(_) => self.from(end_of(trail).map_err(Failure::environment)?),
        }
    }
}

/// Returns the time of the last frame on the trail.
fn end_of(trail: &Path) -> Result<Nanos, TrailError> {
    let mut reader = TrailReader::open(trail)?;
    reader.seek_time(Nanos(u64::MAX))?;
    Ok(reader.last_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;
    const DAY: u64 = 24 * HOUR;

    fn from(text: &str, base: u64) -> Result<Nanos, String> {
        text.parse::<Moment>()?.from(Nanos(base)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_day_or_a_time_does_not_depend_on_the_base() {
        for base in [0, 100 * DAY] {
            assert_eq!(from("1970-01-02", base), Ok(Nanos(DAY)));
            assert_eq!(from("1970-01-01T00:00:01.5Z", base), Ok(Nanos(1_500_000_000)));
            assert_eq!(from("1970-01-01T01:00:01+01:00", base), Ok(Nanos(1_000_000_000)));
        }
    }

    #[test]
    fn a_span_counts_back_with_or_without_a_sign_and_forward_with_a_plus() {
        for text in ["1h", "-1h", "1h ago", "60m", "PT1H", "-PT1H", "1 hour"] {
            assert_eq!(from(text, 10 * HOUR), Ok(Nanos(9 * HOUR)), "{text}");
        }
        assert_eq!(from("+1h", 10 * HOUR), Ok(Nanos(11 * HOUR)));
        assert_eq!(from("1d 2h", 2 * DAY), Ok(Nanos(22 * HOUR)));
        assert_eq!(from("1mo", 59 * DAY), Ok(Nanos(31 * DAY)), "from March 1st to February 1st");
        assert_eq!(from("250ms", HOUR), Ok(Nanos(HOUR - 250_000_000)));
    }

    #[test]
    fn an_invalid_time_and_one_that_no_event_can_have_are_refused() {
        for wrong in ["soon", "17", "-17", "1", "", "h", "--json", "1969-12-31", "3000-01-01"] {
            let refusal = from(wrong, HOUR).unwrap_err();
            assert!(refusal.contains(&format!("`{wrong}` is not a time; write 2026-11-21")), "{refusal}");
        }
        let refusal = from("2h", HOUR).unwrap_err();
        assert!(refusal.contains("2h before 1970-01-01T01:00:00"), "{refusal}");
        assert!(from("+600y", HOUR).is_err());
    }
}
