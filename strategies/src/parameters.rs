//! What a strategy can be told: typed, bounded parameters, from TOML and from `key=value`.

use std::fmt;
use toml::Value as Toml;

/// One parameter as a strategy declares it: constants, so that the list stands at the top of its file.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Parameter {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// Which values it takes.
    pub domain: Domain,
    /// What it is when nobody says.
    pub default: DefaultValue,
    /// What it does, in one sentence.
    pub meaning: &'static str,
}

/// The values that a parameter takes, bounds included.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Domain {
    /// Whole numbers.
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

/// A value that can stand in a constant.
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
    /// A whole number.
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

    /// A decimal; default and bounds in units of 1e-9.
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

    /// A duration; default and bounds in nanoseconds.
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

    /// A truth value.
    pub const fn boolean(name: &'static str, default: bool, meaning: &'static str) -> Self {
        Self { name, domain: Domain::Boolean, default: DefaultValue::Boolean(default), meaning }
    }

    /// One of several words; the first is the default.
    pub const fn choice(name: &'static str, words: &'static [&'static str], meaning: &'static str) -> Self {
        Self { name, domain: Domain::Choice(words), default: DefaultValue::Text(words[0]), meaning }
    }

    /// Any text.
    pub const fn text(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { name, domain: Domain::Text, default: DefaultValue::Text(default), meaning }
    }
}

/// What is wrong with a parameter that somebody gave.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParameterError {
    /// No parameter has that name.
    #[error("there is no parameter `{name}`{}; there are: {known}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name that was given.
        name: String,
        /// The name nearest to it, if one is near.
        nearest: Option<&'static str>,
        /// All names.
        known: String,
    },
    /// The value is of another kind.
    #[error("parameter `{name}` is {found}, but must be {expected}")]
    Kind {
        /// Of the parameter.
        name: &'static str,
        /// What was given.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// The value is out of range.
    #[error("parameter `{name}` is {found}, but must be {expected}")]
    Range {
        /// Of the parameter.
        name: &'static str,
        /// What was given.
        found: String,
        /// The range.
        expected: String,
    },
    /// The parameters do not fit each other.
    #[error("{0}")]
    Together(String),
    /// The text is not TOML.
    #[error("the parameters are not TOML: {0}")]
    Toml(String),
    /// The text is not `key=value`.
    #[error("`{0}` is no parameter: write key=value")]
    Pair(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    Number(i64),
    Boolean(bool),
    Text(String),
}

/// The values of a strategy's parameters: every one has a value within its range.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameters {
    declared: &'static [Parameter],
    values: Vec<Value>,
}

impl Parameters {
    /// Every parameter at its default.
    pub fn defaults(declared: &'static [Parameter]) -> Self {
        let values = declared.iter().map(|parameter| match parameter.default {
            DefaultValue::Number(number) => Value::Number(number),
            DefaultValue::Boolean(boolean) => Value::Boolean(boolean),
            DefaultValue::Text(text) => Value::Text(text.into()),
        });
        Self { declared, values: values.collect() }
    }

    /// The defaults, changed by a TOML text of `name = value` lines.
    ///
    /// # Errors
    /// [`ParameterError`] for the first that is wrong.
    pub fn from_toml(declared: &'static [Parameter], text: &str) -> Result<Self, ParameterError> {
        let mut parameters = Self::defaults(declared);
        parameters.merge_toml(text)?;
        Ok(parameters)
    }

    /// Changes the values that a TOML text names.
    ///
    /// # Errors
    /// [`ParameterError`] for the first that is wrong; those before it are changed.
    pub fn merge_toml(&mut self, text: &str) -> Result<(), ParameterError> {
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| ParameterError::Toml(error.message().into()))?;
        table.iter().try_for_each(|(name, value)| match value {
            Toml::String(text) => self.set(name, text),
            other => self.set(name, &other.to_string()),
        })
    }

    /// Changes one value by a `key=value` text, as on a command line.
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn merge_pair(&mut self, pair: &str) -> Result<(), ParameterError> {
        let (name, value) = pair.split_once('=').ok_or_else(|| ParameterError::Pair(pair.into()))?;
        self.set(name.trim(), value.trim())
    }

    /// Changes one value, given as text.
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ParameterError> {
        let Some(at) = self.declared.iter().position(|parameter| parameter.name == name) else {
            let names = self.declared.iter().map(|parameter| parameter.name);
            return Err(ParameterError::Unknown {
                name: name.into(),
                nearest: nearest(name, names.clone()),
                known: names.collect::<Vec<_>>().join(", "),
            });
        };
        self.values[at] = self.declared[at].read(value)?;
        Ok(())
    }

    fn value(&self, name: &str) -> &Value {
        match self.declared.iter().position(|parameter| parameter.name == name) {
            Some(at) => &self.values[at],
            None => panic!("the strategy asks for parameter `{name}`, which it does not declare"),
        }
    }

    fn number(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Number(number) => *number,
            other => panic!("the strategy asks for `{name}` as a number, but it is {other:?}"),
        }
    }

    /// A whole number.
    ///
    /// # Panics
    /// Like all of these: when the strategy declared no such parameter of this type.
    pub fn integer(&self, name: &str) -> i64 {
        self.number(name)
    }

    /// A decimal, in units of 1e-9.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn decimal(&self, name: &str) -> i64 {
        self.number(name)
    }

    /// A duration in nanoseconds.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn duration(&self, name: &str) -> u64 {
        self.number(name) as u64
    }

    /// A truth value.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn boolean(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Boolean(boolean) => *boolean,
            other => panic!("the strategy asks for `{name}` as a truth value, but it is {other:?}"),
        }
    }

    /// A text, or the word of a choice.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            other => panic!("the strategy asks for `{name}` as text, but it is {other:?}"),
        }
    }

    /// All values as TOML, one a line in the order of declaration: what goes on the log.
    pub fn to_toml(&self) -> String {
        self.declared
            .iter()
            .zip(&self.values)
            .map(|(p, value)| format!("{} = {}\n", p.name, p.toml(value)))
            .collect()
    }
}

/// A table of parameters for a person: name, type, default, range and meaning, one a line.
pub fn describe(declared: &[Parameter]) -> String {
    let defaults = declared.iter().map(|parameter| match parameter.default {
        DefaultValue::Number(number) => parameter.show(number),
        DefaultValue::Boolean(boolean) => boolean.to_string(),
        DefaultValue::Text(text) => format!("\"{text}\""),
    });
    let lines: Vec<_> =
        declared.iter().zip(defaults).map(|(p, default)| (p, p.expected(), default)).collect();
    let width = |of: fn(&(&Parameter, String, String)) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let (names, defaults, ranges) = (width(|l| l.0.name.len()), width(|l| l.2.len()), width(|l| l.1.len()));
    lines
        .iter()
        .map(|(p, range, default)| {
            format!("{:names$}  {default:defaults$}  {range:ranges$}  {}\n", p.name, p.meaning)
        })
        .collect()
}

impl Parameter {
    fn read(&self, text: &str) -> Result<Value, ParameterError> {
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

    /// Type and range in words.
    fn expected(&self) -> String {
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

    fn show(&self, number: i64) -> String {
        match self.domain {
            Domain::Decimal { .. } => Decimal(number).to_string(),
            Domain::Duration { .. } => show_duration(number as u64),
            _ => number.to_string(),
        }
    }

    fn toml(&self, value: &Value) -> String {
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

/// Exactly, without a float between; none when it has more than nine decimals or does not fit.
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

/// The name most like `given`, if one is near enough to have been meant.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &[Parameter] = &[
        Parameter::integer("fast", 8, (1, 100), "spans"),
        Parameter::decimal("fall-percent", 50_000_000, (1_000, 100_000_000_000), "fall"),
        Parameter::duration("pause", 20_000_000, (0, 60_000_000_000), "pause"),
        Parameter::boolean("short", true, "may sell short"),
        Parameter::choice("price", &["mid", "trade"], "price"),
        Parameter::text("symbol", "", "instrument"),
    ];

    #[test]
    fn values_come_from_toml_and_pairs_and_go_back_to_the_same_toml() {
        let text = "fast = 9\nfall-percent = 0.1\npause = \"3s\"\nshort = false\nprice = \"trade\"\nsymbol = \"A \\\"B\"";
        let mut parameters = Parameters::from_toml(DECLARED, text).unwrap();
        assert_eq!(parameters.integer("fast"), 9);
        assert_eq!(parameters.decimal("fall-percent"), 100_000_000);
        assert_eq!(parameters.duration("pause"), 3_000_000_000);
        assert!(!parameters.boolean("short"));
        assert_eq!((parameters.text("price"), parameters.text("symbol")), ("trade", "A \"B"));
        parameters.merge_pair("fall-percent = 12.000000001").unwrap();
        assert_eq!(parameters.decimal("fall-percent"), 12_000_000_001);
        assert_eq!(Parameters::from_toml(DECLARED, &parameters.to_toml()), Ok(parameters));
        let defaults = Parameters::defaults(DECLARED);
        assert_eq!(Parameters::from_toml(DECLARED, &defaults.to_toml()), Ok(defaults));
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        let error = Parameters::from_toml(DECLARED, "fsat = 3").unwrap_err().to_string();
        assert!(error.contains("`fsat`") && error.contains("did you mean `fast`?"), "{error}");
        let error = Parameters::defaults(DECLARED).merge_pair("zzz=1").unwrap_err().to_string();
        assert!(!error.contains("did you mean") && error.contains("fast, fall-percent"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_answered_with_the_range() {
        let mut parameters = Parameters::defaults(DECLARED);
        for (pair, expected) in [
            ("fast=101", "parameter `fast` is 101, but must be a whole number from 1 to 100"),
            ("fast=x", "parameter `fast` is `x`, but must be a whole number from 1 to 100"),
            ("pause=2m", "parameter `pause` is 2m, but must be a duration from 0ns to 1m"),
            ("fall-percent=-1", "parameter `fall-percent` is -1, but must be a number from 0.000001 to 100"),
            ("price=last", "parameter `price` is `last`, but must be one of mid, trade"),
            ("short=yes", "parameter `short` is `yes`, but must be true or false"),
        ] {
            assert_eq!(parameters.merge_pair(pair).unwrap_err().to_string(), expected);
        }
        assert_eq!(parameters, Parameters::defaults(DECLARED));
        assert!(matches!(parameters.merge_pair("fast"), Err(ParameterError::Pair(_))));
        assert!(matches!(parameters.merge_toml("fast ="), Err(ParameterError::Toml(_))));
    }

    #[test]
    fn a_decimal_is_read_exactly_or_not_at_all() {
        assert_eq!(read_decimal("0.123456789"), Some(123_456_789));
        assert_eq!(read_decimal("-3"), Some(-3_000_000_000));
        assert_eq!(read_decimal("1.50"), Some(1_500_000_000));
        for wrong in ["", ".", ".5", "1e3", "0.1234567891", "9999999999999", "1.-5", "--1"] {
            assert_eq!(read_decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_table_shows_every_parameter_with_its_range() {
        let table = describe(DECLARED);
        assert_eq!(table.lines().count(), DECLARED.len());
        assert!(table.contains("a whole number from 1 to 100") && table.contains("20ms"), "{table}");
    }
}
