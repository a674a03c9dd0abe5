//! The declaration of a parameter, and how its values are read and printed.

use super::error::ParameterError;
use std::fmt;
use toml::Value as Toml;

/// The declaration of one parameter. It consists of constants, so that a strategy can list its parameters at
/// the top of its file.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Parameter {
    /// The name, in kebab case.
    pub name: &'static str,
    /// The type and range of its values.
    pub domain: Domain,
    /// The value when none is given.
    pub default: DefaultValue,
    /// What the parameter controls, in one phrase.
    pub meaning: &'static str,
}

/// The type and range of a parameter's values; bounds are inclusive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Domain {
    /// Integers.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Numbers with up to nine decimals, in units of 1e-9.
    Decimal {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Nanoseconds, written `250ns`, `50us`, `20ms`, `3s` or `1m`.
    Duration {
        /// The shortest.
        min: u64,
        /// The longest.
        max: u64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of several words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
}

/// The default value of a parameter, as a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultValue {
    /// For [`Domain::Integer`], [`Domain::Decimal`] (units of 1e-9) and [`Domain::Duration`] (nanoseconds).
    Number(i64),
    /// For [`Domain::Boolean`].
    Boolean(bool),
    /// For [`Domain::Choice`] and [`Domain::Text`].
    Text(&'static str),
}

impl Parameter {
    /// Declares an integer parameter; `bounds` is the inclusive range.
    pub const fn integer(
        name: &'static str,
        default: i64,
        bounds: (i64, i64),
        meaning: &'static str,
    ) -> Self {
        assert!(bounds.0 <= default && default <= bounds.1);
        let domain = Domain::Integer { min: bounds.0, max: bounds.1 };
        Self { name, domain, default: DefaultValue::Number(default), meaning }
    }

    /// Declares a decimal parameter; default and bounds are in units of 1e-9.
    pub const fn decimal(
        name: &'static str,
        default: i64,
        bounds: (i64, i64),
        meaning: &'static str,
    ) -> Self {
        assert!(bounds.0 <= default && default <= bounds.1);
        let domain = Domain::Decimal { min: bounds.0, max: bounds.1 };
        Self { name, domain, default: DefaultValue::Number(default), meaning }
    }

    /// Declares a duration parameter; default and bounds are in nanoseconds.
    pub const fn duration(
        name: &'static str,
        default: u64,
        bounds: (u64, u64),
        meaning: &'static str,
    ) -> Self {
        assert!(bounds.0 <= default && default <= bounds.1 && bounds.1 <= i64::MAX as u64);
        let domain = Domain::Duration { min: bounds.0, max: bounds.1 };
        Self { name, domain, default: DefaultValue::Number(default as i64), meaning }
    }

    /// Declares a boolean parameter.
    pub const fn boolean(name: &'static str, default: bool, meaning: &'static str) -> Self {
        Self { name, domain: Domain::Boolean, default: DefaultValue::Boolean(default), meaning }
    }

    /// Declares a choice of words, of which the first is the default.
    pub const fn choice(name: &'static str, words: &'static [&'static str], meaning: &'static str) -> Self {
        Self { name, domain: Domain::Choice(words), default: DefaultValue::Text(words[0]), meaning }
    }

    /// Declares a text parameter.
    pub const fn text(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { name, domain: Domain::Text, default: DefaultValue::Text(default), meaning }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Number(i64),
    Boolean(bool),
    Text(String),
}

impl Parameter {
    pub(super) fn read(&self, text: &str) -> Result<Value, ParameterError> {
        let wrong_kind = || ParameterError::Kind {
            name: self.name,
            found: format!("`{text}`"),
            expected: self.expected(),
        };
        let (number, min, max) = match self.domain {
            Domain::Boolean => return text.parse().map(Value::Boolean).map_err(|_| wrong_kind()),
            Domain::Text => return Ok(Value::Text(text.into())),
            Domain::Choice(words) => {
                return if words.contains(&text) { Ok(Value::Text(text.into())) } else { Err(wrong_kind()) };
            }
            Domain::Integer { min, max } => (text.parse().ok(), min, max),
            Domain::Decimal { min, max } => (read_decimal(text), min, max),
            Domain::Duration { min, max } => (read_duration(text), min as i64, max as i64),
        };
        let number = number.ok_or_else(wrong_kind)?;
        if !(min..=max).contains(&number) {
            return Err(ParameterError::Range {
                name: self.name,
                found: self.show(number),
                expected: self.expected(),
            });
        }
        Ok(Value::Number(number))
    }

    /// The expected type and range, in words.
    pub(super) fn expected(&self) -> String {
        match self.domain {
            Domain::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Domain::Decimal { min, max } => format!("a number from {} to {}", self.show(min), self.show(max)),
            Domain::Duration { min, max } => {
                format!("a duration from {} to {}", self.show(min as i64), self.show(max as i64))
            }
            Domain::Boolean => "true or false".into(),
            Domain::Choice(words) => format!("one of {}", words.join(", ")),
            Domain::Text => "a text".into(),
        }
    }

    pub(super) fn show(&self, number: i64) -> String {
        match self.domain {
            Domain::Decimal { .. } => Decimal(number).to_string(),
            Domain::Duration { .. } => show_duration(number as u64),
            _ => number.to_string(),
        }
    }

    pub(super) fn toml(&self, value: &Value) -> String {
        match (value, self.domain) {
            (Value::Number(number), Domain::Duration { .. }) => format!("\"{}\"", self.show(*number)),
            (Value::Number(number), _) => self.show(*number),
            (Value::Boolean(boolean), _) => boolean.to_string(),
            (Value::Text(text), _) => Toml::String(text.clone()).to_string(),
        }
    }
}

/// A number in units of 1e-9, printed exactly.
struct Decimal(i64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            i64::MAX => f.write_str("9223372036.854775807"),
            number => stele_wire::Price(number).fmt(f),
        }
    }
}

/// Reads a decimal exactly, without floating point. Returns `None` when it has more than nine decimals or
/// does not fit.
fn read_decimal(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let number = format!("{whole}{fraction:0<9}").parse::<i128>().ok()?;
    i64::try_from(if negative { -number } else { number }).ok()
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000)];

fn read_duration(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" if number == "0" => 1,
        unit => DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    i64::try_from(number.parse::<u64>().ok()?.checked_mul(factor)?).ok()
}

fn show_duration(nanos: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| nanos != 0 && nanos.is_multiple_of(*factor);
    let (unit, factor) = DURATION_UNITS.iter().rfind(fits).unwrap_or(&DURATION_UNITS[0]);
    format!("{}{unit}", nanos / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_or_refused() {
        assert_eq!(read_decimal("0.123456789"), Some(123_456_789));
        assert_eq!(read_decimal("-3"), Some(-3_000_000_000));
        assert_eq!(read_decimal("1.50"), Some(1_500_000_000));
        for wrong in ["", ".", ".5", "1e3", "0.1234567891", "9999999999999", "1.-5", "--1"] {
            assert_eq!(read_decimal(wrong), None, "{wrong}");
        }
    }
}
