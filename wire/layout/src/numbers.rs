//! Prints numbers for people: decimals without rounding, times in UTC.

use std::fmt;

/// The number `mantissa` × 10^`exponent`. It prints every digit and no trailing zeros: `5214.25`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decimal {
    /// The mantissa.
    pub mantissa: i64,
    /// The exponent of ten.
    pub exponent: i8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs();
        if self.mantissa < 0 {
            f.write_str("-")?;
        }
        if self.exponent >= 0 || digits == 0 {
            write!(f, "{digits}")?;
            let zeros = if digits == 0 { 0 } else { self.exponent };
            return (0..zeros).try_for_each(|_| f.write_str("0"));
        }
        let places = usize::from(self.exponent.unsigned_abs());
        let scale = 10u64.checked_pow(places as u32);
        let (whole, mut fraction) = scale.map_or((0, digits), |scale| (digits / scale, digits % scale));
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let mut width = places;
        while fraction.is_multiple_of(10) {
            (fraction, width) = (fraction / 10, width - 1);
        }
        write!(f, "{whole}.{fraction:0width$}")
    }
}

/// A time in nanoseconds since the Unix epoch. It prints as in RFC 3339, in UTC:
/// `2026-11-20T14:30:00.000000001Z`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Utc(pub u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
    }
}

/// Returns year, month and day of the `days`th day after 1970-01-01 in the Gregorian calendar, counted in
/// eras of 400 years that begin on 1 March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_prints_every_digit_and_no_more() {
        let print = |mantissa, exponent| Decimal { mantissa, exponent }.to_string();
        assert_eq!(print(5_214_250_000_000, -9), "5214.25");
        assert_eq!(print(-1, -9), "-0.000000001");
        assert_eq!(print(i64::MIN, -9), "-9223372036.854775808");
        assert_eq!(print(0, -9), "0");
        assert_eq!(print(17_560, -3), "17.56");
        assert_eq!(print(3, 2), "300");
        assert_eq!(print(0, 2), "0");
        assert_eq!(print(7, -30), "0.000000000000000000000000000007");
        assert_eq!(print(-70, -1), "-7");
    }

    #[test]
    fn a_time_prints_in_utc_to_the_nanosecond() {
        assert_eq!(Utc(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Utc(1_502_401_500_001_346_819).to_string(), "2017-08-10T21:45:00.001346819Z");
        assert_eq!(Utc(951_782_400_000_000_000).to_string(), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(Utc(u64::MAX).to_string(), "2554-07-21T23:34:33.709551615Z");
    }
}
