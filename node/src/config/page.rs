//! Writes the configuration as TOML: sections, keys, and a comment with the meaning of each.

use std::fmt::Write as _;

/// The writer of a commented TOML file.
pub(super) struct Page<'a> {
    pub(super) out: &'a mut String,
}

impl Page<'_> {
    /// Writes the head of a section, after a comment.
    pub(super) fn section(&mut self, name: &str, meaning: &str) {
        let gap = if self.out.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.out, "{gap}# {meaning}\n[{name}]");
    }

    /// Writes a key with its value and a comment.
    pub(super) fn key(&mut self, name: &str, value: impl Into<Scalar>, meaning: &str) {
        let _ = writeln!(self.out, "{name} = {}  # {meaning}", value.into().0);
    }

    /// Writes a key that may be absent; where it is, as a comment with an example.
    pub(super) fn optional<T: Clone + Into<Scalar>>(
        &mut self,
        name: &str,
        value: &Option<T>,
        example: impl Into<Scalar>,
        meaning: &str,
    ) {
        match value {
            Some(value) => self.key(name, value.clone(), meaning),
            None => self.example(name, &example.into().0.to_string(), meaning),
        }
    }

    /// Writes the head of an array's table.
    pub(super) fn list(&mut self, name: &str) {
        let _ = writeln!(self.out, "\n[[{name}]]");
    }

    /// Writes a key that is not set, as a comment.
    pub(super) fn example(&mut self, name: &str, value: &str, meaning: &str) {
        let _ = writeln!(self.out, "# {name} = {value}  # {meaning}");
    }
}

/// A TOML value.
pub(super) struct Scalar(toml::Value);

impl From<toml::Value> for Scalar {
    fn from(value: toml::Value) -> Self {
        Self(value)
    }
}
impl From<&String> for Scalar {
    fn from(value: &String) -> Self {
        Self(toml::Value::String(value.clone()))
    }
}
impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self(toml::Value::String(value))
    }
}
impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self(toml::Value::String(value.into()))
    }
}
impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self(toml::Value::Boolean(value))
    }
}
impl From<f64> for Scalar {
    fn from(value: f64) -> Self {
        Self(toml::Value::Float(value))
    }
}
impl From<i32> for Scalar {
    fn from(value: i32) -> Self {
        Self(toml::Value::Integer(value.into()))
    }
}
impl From<u64> for Scalar {
    fn from(value: u64) -> Self {
        Self(toml::Value::Integer(value as i64))
    }
}
impl From<usize> for Scalar {
    fn from(value: usize) -> Self {
        Self(toml::Value::Integer(value as i64))
    }
}
