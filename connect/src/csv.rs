//! Splits a line of CSV into its fields, quoted or not: RFC 4180, except that no field spans lines.

use crate::decimal::NotDecimal;
use crate::lines::excerpt;
use csv_core::{ReadRecordResult, Reader};

/// Fields of a line at most.
const FIELDS_MAX: usize = 128;
/// Bytes of all fields of a line at most.
const FIELDS_LENGTH_MAX: usize = 8 * 1024;

/// What is wrong with a line of CSV.
#[derive(Debug, thiserror::Error)]
pub enum RowFault {
    /// The number of fields is not that of the format.
    #[error("line {line} has {found} fields, not {expected}")]
    Fields {
        /// Number of the line, from 1.
        line: u64,
        /// Fields that it has.
        found: usize,
        /// Fields that it should have.
        expected: usize,
    },
    /// Too many fields, too long ones, or a quotation mark that is not closed.
    #[error(
        "line {line} is not CSV: more than {FIELDS_MAX} fields or {FIELDS_LENGTH_MAX} bytes, or an open quotation mark"
    )]
    NotCsv {
        /// Number of the line, from 1.
        line: u64,
    },
    /// A field that is not a number, or whose number does not fit.
    #[error("line {line}: {name} `{found}` {fault}")]
    Number {
        /// Number of the line, from 1.
        line: u64,
        /// The field's name.
        name: &'static str,
        /// The text found.
        found: String,
        /// What is wrong with it.
        fault: NotDecimal,
    },
    /// A field whose value the format does not have.
    #[error("line {line}: {name} `{found}` is not {expected}")]
    Value {
        /// Number of the line, from 1.
        line: u64,
        /// The field's name.
        name: &'static str,
        /// The text found.
        found: String,
        /// What is expected.
        expected: &'static str,
    },
}

/// Splits lines. It allocates once.
pub(crate) struct Splitter {
    parser: Reader,
    text: Box<[u8]>,
    ends: [usize; FIELDS_MAX],
}

/// The fields of one line.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    line: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl Splitter {
    pub(crate) fn new() -> Self {
        Self {
            parser: Reader::new(),
            text: vec![0; FIELDS_LENGTH_MAX].into_boxed_slice(),
            ends: [0; FIELDS_MAX],
        }
    }

    /// Splits `text`, which is line `line` of its file without the line end.
    pub(crate) fn split(&mut self, text: &[u8], line: u64) -> Result<Row<'_>, RowFault> {
        let (result, _, length, count) = self.parser.read_record(text, &mut self.text, &mut self.ends);
        if result == ReadRecordResult::InputEmpty {
            let (result, _, more, last) =
                self.parser.read_record(b"\n", &mut self.text[length..], &mut self.ends[count..]);
            if result == ReadRecordResult::Record {
                return Ok(Row { line, text: &self.text[..length + more], ends: &self.ends[..count + last] });
            }
        }
        self.parser.reset();
        Err(RowFault::NotCsv { line })
    }
}

impl<'a> Row<'a> {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Checks that the row has as many fields as `expected`.
    pub(crate) fn of(self, expected: usize) -> Result<Self, RowFault> {
        let Self { line, .. } = self;
        let found = self.len();
        if found == expected { Ok(self) } else { Err(RowFault::Fields { line, found, expected }) }
    }

    /// Returns field `at`, without the white space at both ends.
    ///
    /// # Panics
    /// If the row has no field `at`.
    #[inline]
    pub(crate) fn field(&self, at: usize) -> &'a [u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text[start..self.ends[at]].trim_ascii()
    }

    /// Reads the number in field `at` by `read`.
    #[inline]
    pub(crate) fn number<T>(
        &self,
        at: usize,
        name: &'static str,
        read: impl FnOnce(&[u8]) -> Result<T, NotDecimal>,
    ) -> Result<T, RowFault> {
        read(self.field(at)).map_err(|fault| RowFault::Number {
            line: self.line,
            name,
            found: excerpt(self.field(at)),
            fault,
        })
    }

    /// The fault that field `at` is not as expected.
    #[cold]
    pub(crate) fn wrong(&self, at: usize, name: &'static str, expected: &'static str) -> RowFault {
        RowFault::Value { line: self.line, name, found: excerpt(self.field(at)), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(splitter: &mut Splitter, line: &str) -> Option<Vec<String>> {
        let row = splitter.split(line.as_bytes(), 1).ok()?;
        Some((0..row.len()).map(|at| String::from_utf8(row.field(at).to_vec()).unwrap()).collect())
    }

    #[test]
    fn fields_are_split_at_commas_outside_quotation_marks() {
        let mut splitter = Splitter::new();
        assert_eq!(fields(&mut splitter, "a,,c").unwrap(), ["a", "", "c"]);
        assert_eq!(
            fields(&mut splitter, r#"1,"x, y","say ""no""",4"#).unwrap(),
            ["1", "x, y", "say \"no\"", "4"]
        );
        assert_eq!(fields(&mut splitter, "one").unwrap(), ["one"]);
    }

    #[test]
    fn a_line_that_is_not_csv_is_refused_and_the_next_one_is_read() {
        let mut splitter = Splitter::new();
        for wrong in ["a,\"open".to_owned(), "1,".repeat(FIELDS_MAX + 1), "x".repeat(FIELDS_LENGTH_MAX + 1)] {
            assert_eq!(fields(&mut splitter, &wrong), None);
            assert_eq!(fields(&mut splitter, "a,b").unwrap(), ["a", "b"]);
        }
    }
}
