//! The trading day of a file, and the time at which that day began.
//!
//! ITCH counts nanoseconds from midnight, US Eastern time. The offset from UTC follows the rule of the Energy
//! Policy Act of 2005: daylight saving time from the second Sunday in March to the first Sunday in November.
//! The rule is in force since 2007, and so on every day of ITCH 5.0, which began in 2014. It is written here
//! as a POSIX rule, so no time zone database is needed.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::path::Path;
use stele_wire::units::Nanos;

pub(crate) const EASTERN: &str = "EST5EDT,M3.2.0,M11.1.0";

/// Returns midnight at the start of `date`, US Eastern time, or `None` before 1970.
pub fn midnight(date: Date) -> Option<Nanos> {
    let zone = TimeZone::posix(EASTERN).expect("a POSIX rule");
    let start = date.to_zoned(zone).ok()?.timestamp().as_nanosecond();
    u64::try_from(start).ok().map(Nanos)
}

/// Midnight of a day that may be unknown; times then count from 1970-01-01, and a notice says so.
///
/// # Errors
/// The day, where it is before 1970.
pub(crate) fn midnight_or_epoch(date: Option<Date>, notices: &mut Vec<String>) -> Result<Nanos, Date> {
    let Some(date) = date else {
        notices.push(
            "the trading day is not known: times count from 1970-01-01; give it as date=YYYYMMDD".into(),
        );
        return Ok(Nanos(0));
    };
    midnight(date).ok_or(date)
}

/// Returns the date in a file's name: the first run of eight digits that is a date as `YYYYMMDD` or, as
/// NASDAQ names its own files, as `MMDDYYYY`.
pub fn date_in_name(path: &Path) -> Option<Date> {
    let name = path.file_name()?.to_str()?;
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| digits.len() == 8)
        .find_map(|digits| date_of(digits, 0..4, 4..6, 6..8).or_else(|| date_of(digits, 4..8, 0..2, 2..4)))
}

type Span = std::ops::Range<usize>;

fn date_of(digits: &str, year: Span, month: Span, day: Span) -> Option<Date> {
    let year: i16 = digits[year].parse().ok()?;
    if !(1990..2100).contains(&year) {
        return None;
    }
    Date::new(year, digits[month].parse().ok()?, digits[day].parse().ok()?).ok()
}

/// Reads a date written as `YYYYMMDD` or `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Option<Date> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let is_whole = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| date_of(&digits, 0..4, 4..6, 6..8)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn midnight_is_five_hours_after_utc_in_winter_and_four_in_summer() {
        assert_eq!(midnight(date(2020, 1, 30)), Some(Nanos(1_580_360_400_000_000_000)));
        assert_eq!(midnight(date(2020, 7, 30)), Some(Nanos(1_596_081_600_000_000_000)));
        assert_eq!(midnight(date(1960, 1, 1)), None);
    }

    #[test]
    fn the_date_is_found_in_either_notation() {
        let found = |name: &str| date_in_name(Path::new(name));
        assert_eq!(found("data/aapl-20200130-10000.itch50"), Some(date(2020, 1, 30)));
        assert_eq!(found("01302019.NASDAQ_ITCH50"), Some(date(2019, 1, 30)));
        assert_eq!(found("nasdaq-day-start-1000.itch50"), None);
        assert_eq!(found("20201399.itch50"), None);
    }

    #[test]
    fn a_date_is_written_with_or_without_hyphens() {
        assert_eq!(parse_date("2020-01-30"), Some(date(2020, 1, 30)));
        assert_eq!(parse_date("20200130"), Some(date(2020, 1, 30)));
        assert_eq!(parse_date("30.01.2020"), None);
    }
}
