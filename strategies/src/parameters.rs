//! Typed and bounded parameters of strategies, read from TOML or from `key=value`.

mod declaration;
mod error;

pub use declaration::{DefaultValue, Domain, Parameter};
pub use error::ParameterError;

use declaration::Value;
use toml::Value as Toml;

/// The values of a strategy's parameters. Every declared parameter has a value within its range.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameters {
    declared: &'static [Parameter],
    values: Vec<Value>,
}

impl Parameters {
    /// All parameters with their default values.
    pub fn defaults(declared: &'static [Parameter]) -> Self {
        let values = declared.iter().map(|parameter| match parameter.default {
            DefaultValue::Number(number) => Value::Number(number),
            DefaultValue::Boolean(boolean) => Value::Boolean(boolean),
            DefaultValue::Text(text) => Value::Text(text.into()),
        });
        Self { declared, values: values.collect() }
    }

    /// The defaults, overridden by a TOML text of `name = value` lines.
    ///
    /// # Errors
    /// [`ParameterError`] for the first invalid entry.
    pub fn from_toml(declared: &'static [Parameter], text: &str) -> Result<Self, ParameterError> {
        let mut parameters = Self::defaults(declared);
        parameters.merge_toml(text)?;
        Ok(parameters)
    }

    /// Overrides the values that a TOML text names.
    ///
    /// # Errors
    /// [`ParameterError`] for the first invalid entry; the entries before it are applied.
    pub fn merge_toml(&mut self, text: &str) -> Result<(), ParameterError> {
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| ParameterError::Toml(error.message().into()))?;
        table.iter().try_for_each(|(name, value)| match value {
            Toml::String(text) => self.set(name, text),
            other => self.set(name, &other.to_string()),
        })
    }

    /// Overrides one value by a `key=value` text, as on a command line.
    ///
    /// # Errors
    /// [`ParameterError`] when the text is not `key=value`, the name is unknown or the value is invalid.
    pub fn merge_pair(&mut self, pair: &str) -> Result<(), ParameterError> {
        let (name, value) = pair.split_once('=').ok_or_else(|| ParameterError::Pair(pair.into()))?;
        self.set(name.trim(), value.trim())
    }

    /// Overrides one value, given as text.
    ///
    /// # Errors
    /// [`ParameterError`] when the name is unknown or the value is invalid.
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
            None => panic!("parameter `{name}` is not declared by the strategy"),
        }
    }

    fn number(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Number(number) => *number,
            other => panic!("parameter `{name}` is not a number: {other:?}"),
        }
    }

    /// The value of an integer parameter.
    ///
    /// # Panics
    /// When the strategy did not declare a parameter of this name and type. This applies to all getters.
    pub fn integer(&self, name: &str) -> i64 {
        self.number(name)
    }

    /// The value of a decimal parameter, in units of 1e-9.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn decimal(&self, name: &str) -> i64 {
        self.number(name)
    }

    /// The value of a duration parameter, in nanoseconds.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn duration(&self, name: &str) -> u64 {
        self.number(name) as u64
    }

    /// The value of a boolean parameter.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn boolean(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Boolean(boolean) => *boolean,
            other => panic!("parameter `{name}` is not a boolean: {other:?}"),
        }
    }

    /// The value of a text parameter, or the word of a choice.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            other => panic!("parameter `{name}` is not a text: {other:?}"),
        }
    }

    /// Checks that a text parameter, or a choice, still has the value that the strategy runs with.
    ///
    /// # Errors
    /// [`ParameterError::Fixed`] when it has another one.
    ///
    /// # Panics
    /// See [`Parameters::integer`].
    pub fn unchanged(&self, name: &'static str, running: &str) -> Result<(), ParameterError> {
        match self.text(name) == running {
            true => Ok(()),
            false => Err(ParameterError::Fixed { name, running: running.into() }),
        }
    }

    /// All values as TOML, one per line in the order of declaration: the form that the log records.
    pub fn to_toml(&self) -> String {
        self.declared
            .iter()
            .zip(&self.values)
            .map(|(p, value)| format!("{} = {}\n", p.name, p.toml(value)))
            .collect()
    }
}

/// A table of parameters for people, one per line: name, default, range and meaning.
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

/// The known name most similar to `given`, if one is similar enough.
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
    fn values_are_read_from_toml_and_pairs_and_written_as_the_same_toml() {
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
    fn an_unknown_name_is_refused_with_the_most_similar_one() {
        let error = Parameters::from_toml(DECLARED, "fsat = 3").unwrap_err().to_string();
        assert!(error.contains("`fsat`") && error.contains("did you mean `fast`?"), "{error}");
        let error = Parameters::defaults(DECLARED).merge_pair("zzz=1").unwrap_err().to_string();
        assert!(!error.contains("did you mean") && error.contains("fast, fall-percent"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_the_range() {
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
    fn the_table_shows_every_parameter_with_its_range() {
        let table = describe(DECLARED);
        assert_eq!(table.lines().count(), DECLARED.len());
        assert!(table.contains("a whole number from 1 to 100") && table.contains("20ms"), "{table}");
    }
}
