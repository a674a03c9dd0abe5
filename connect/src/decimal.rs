//! Decimal text as a fixed-point number, without rounding.

/// Why a text cannot be read as a fixed-point number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotDecimal {
    /// Not `[-]digits[.digits]`.
    #[error("is not a decimal number")]
    Malformed,
    /// Has more decimals than the unit, and they are not zeros.
    #[error("has more than {0} decimals")]
    TooFine(u32),
    /// Does not fit 64 bits, or is the value that means "none".
    #[error("is too large")]
    TooLarge,
}

/// Reads `[-]digits[.digits]` in units of 10^-`decimals`.
///
/// # Errors
/// [`NotDecimal`]; a number is never rounded. `i64::MAX`, which means "none" on the log, is too large.
#[inline]
pub(crate) fn signed(text: &[u8], decimals: u32) -> Result<i64, NotDecimal> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = i64::try_from(magnitude(digits, decimals)?).map_err(|_| NotDecimal::TooLarge)?;
    if magnitude == i64::MAX {
        return Err(NotDecimal::TooLarge);
    }
    Ok(if is_negative { -magnitude } else { magnitude })
}

/// Reads `digits[.digits]` in units of 10^-`decimals`.
///
/// # Errors
/// As [`signed`]; `u64::MAX` is too large.
#[inline]
pub(crate) fn unsigned(text: &[u8], decimals: u32) -> Result<u64, NotDecimal> {
    magnitude(text, decimals)
        .and_then(|value| if value == u64::MAX { Err(NotDecimal::TooLarge) } else { Ok(value) })
}

#[inline]
fn magnitude(text: &[u8], decimals: u32) -> Result<u64, NotDecimal> {
    let (mut value, mut has_digits, mut point, mut fraction) = (0u64, false, false, 0);
    for letter in text {
        match letter {
            b'.' if !point => point = true,
            b'0' if point && fraction == decimals => {}
            b'0'..=b'9' if point && fraction == decimals => return Err(NotDecimal::TooFine(decimals)),
            b'0'..=b'9' => {
                has_digits = true;
                fraction += u32::from(point);
                value = value
                    .checked_mul(10)
                    .and_then(|value| value.checked_add(u64::from(letter - b'0')))
                    .ok_or(NotDecimal::TooLarge)?;
            }
            _ => return Err(NotDecimal::Malformed),
        }
    }
    if !has_digits {
        return Err(NotDecimal::Malformed);
    }
    10u64
        .checked_pow(decimals - fraction)
        .and_then(|scale| value.checked_mul(scale))
        .ok_or(NotDecimal::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_that_is_not_a_decimal_is_refused_with_the_reason() {
        for text in ["", "-", ".", "1.2.3", "1e5", "+1", " 1", "0x1", "NaN", "--1"] {
            assert_eq!(signed(text.as_bytes(), 9), Err(NotDecimal::Malformed), "{text:?}");
        }
        assert_eq!(unsigned(b"-1", 0), Err(NotDecimal::Malformed));
        assert_eq!(signed(b"0.1234567891", 9), Err(NotDecimal::TooFine(9)));
        assert_eq!(unsigned(b"1.5", 0), Err(NotDecimal::TooFine(0)));
        assert_eq!(signed(b"9223372036854775807", 0), Err(NotDecimal::TooLarge));
        assert_eq!(unsigned(b"18446744073709551615", 0), Err(NotDecimal::TooLarge));
        assert_eq!(unsigned(b"99999999999999999999999", 0), Err(NotDecimal::TooLarge));
    }

    #[test]
    fn zeros_after_the_last_decimal_are_accepted() {
        assert_eq!(signed(b"-5.5100000000000", 9), Ok(-5_510_000_000));
        assert_eq!(unsigned(b"7.000", 0), Ok(7));
        assert_eq!(unsigned(b".5", 1), Ok(5));
        assert_eq!(unsigned(b"5.", 1), Ok(50));
    }

    proptest! {
        #[test]
        fn a_number_written_out_reads_as_it_was(value in -(i64::MAX - 1)..i64::MAX, decimals in 0u32..19) {
            let scale = 10u64.pow(decimals);
            let (whole, part) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
            let sign = if value < 0 { "-" } else { "" };
            let text = match decimals {
                0 => format!("{sign}{whole}"),
                _ => format!("{sign}{whole}.{part:0width$}", width = decimals as usize),
            };
            prop_assert_eq!(signed(text.as_bytes(), decimals), Ok(value));
        }

        #[test]
        fn any_bytes_are_a_number_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40), decimals in 0u32..19) {
            let _ = (signed(&bytes, decimals), unsigned(&bytes, decimals));
        }
    }
}
