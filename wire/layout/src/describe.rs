//! Prints any message as JSON, as a row of CSV or as a line for people, with its layout alone.
//!
//! | value | JSON | CSV | line for people |
//! |---|---|---|---|
//! | whole numbers, times | number (times: nanoseconds since the epoch) | the same | number; times as in RFC 3339 |
//! | prices and other decimals | string with every digit: `"5214.25"` | `5214.25` | `5214.25` |
//! | enumerations | the value's name, or the number when the schema does not know it | the same | the same |
//! | sets | array of names; bits the schema does not know as one number | names joined by a vertical bar | the same |
//! | text | string; bytes that are not UTF-8 become U+FFFD | the same | the same, quoted when not one word |
//! | bytes and data that are not text | string of hexadecimal digits | the same | the same |
//! | null | `null` | an empty cell | omitted, like empty text |
//! | bytes called `reserved` | omitted | omitted | omitted |
//! | groups | array of objects | that array in one cell | `name=[{…} {…}]` |

use crate::reading::{MessageReader, ReadError, Value, Visitor};
use crate::schema::{Data, Field, GroupLayout, Kind, MessageLayout, Set};
use std::fmt::{self, Write};

/// Writes the message as one JSON object, in wire order.
///
/// # Errors
/// Those of [`MessageReader::walk`]. What was written before an error is not valid JSON.
pub fn json(reading: &MessageReader<'_>, out: &mut impl Write) -> Result<(), ReadError> {
    out.write_char('{')?;
    json_members(reading, out)?;
    Ok(out.write_char('}')?)
}

/// Writes the members of that object without its braces, so that the caller can add members of its own.
///
/// # Errors
/// As [`json`].
pub fn json_members(reading: &MessageReader<'_>, out: &mut impl Write) -> Result<(), ReadError> {
    reading.walk(&mut Json { out, is_first: true })
}

/// Writes a line for people: the message's name and every field that is not null.
///
/// # Errors
/// As [`json`].
pub fn line(reading: &MessageReader<'_>, out: &mut impl Write) -> Result<(), ReadError> {
    out.write_str(&reading.message().name)?;
    reading.walk(&mut Line { out, wants_space: true })
}

/// Writes the names of the columns of [`csv_row`], separated by commas: `field`, `composite.member`, `group`,
/// `data`.
///
/// # Errors
/// Those of the writer.
pub fn csv_columns(message: &MessageLayout, out: &mut impl Write) -> fmt::Result {
    let mut separator = "";
    let mut column =
        |path: fmt::Arguments<'_>| write!(out, "{}{path}", std::mem::replace(&mut separator, ","));
    for field in message.block.fields.iter().filter(|field| !field.is_reserved()) {
        match members(field) {
            Some(members) => members
                .iter()
                .try_for_each(|member| column(format_args!("{}.{}", field.name, member.name)))?,
            None => column(format_args!("{}", field.name))?,
        }
    }
    message.block.groups.iter().try_for_each(|group| column(format_args!("{}", group.name)))?;
    message.block.data.iter().try_for_each(|data| column(format_args!("{}", data.name)))
}

/// Writes the message's values in the order of [`csv_columns`], in the format of RFC 4180. A group is a JSON
/// array in one cell, and a composite inside a composite is a JSON object in one cell.
///
/// # Errors
/// As [`json`].
pub fn csv_row(reading: &MessageReader<'_>, out: &mut impl Write) -> Result<(), ReadError> {
    reading.walk(&mut Csv { out, wants_comma: false, depth: 0, is_first_inside: true })?;
    let version = reading.version();
    let block = &reading.message().block;
    let absent = block.groups.iter().filter(|group| group.since > version).count()
        + block.data.iter().filter(|data| data.since > version).count();
    Ok((0..absent).try_for_each(|_| out.write_char(','))?)
}

/// The members of a composite that is not a decimal.
fn members(field: &Field) -> Option<&[Field]> {
    match &field.kind {
        Kind::Composite(composite) if !composite.is_decimal() => Some(&composite.members),
        _ => None,
    }
}

struct Json<'w, W> {
    out: &'w mut W,
    is_first: bool,
}

impl<W: Write> Json<'_, W> {
    fn comma(&mut self) -> fmt::Result {
        if std::mem::take(&mut self.is_first) { Ok(()) } else { self.out.write_char(',') }
    }

    fn key(&mut self, name: &str) -> fmt::Result {
        self.comma()?;
        write!(self.out, "\"{name}\":")
    }

    fn open(&mut self, bracket: char) -> fmt::Result {
        self.is_first = true;
        self.out.write_char(bracket)
    }

    fn close(&mut self, bracket: char) -> fmt::Result {
        self.is_first = false;
        self.out.write_char(bracket)
    }
}

impl<W: Write> Visitor for Json<'_, W> {
    fn field(&mut self, field: &Field, value: Value<'_>) -> fmt::Result {
        if field.is_reserved() {
            return Ok(());
        }
        self.key(&field.name)?;
        json_value(self.out, value)
    }

    fn begin_composite(&mut self, field: &Field) -> fmt::Result {
        self.key(&field.name)?;
        self.open('{')
    }

    fn end_composite(&mut self) -> fmt::Result {
        self.close('}')
    }

    fn begin_group(&mut self, group: &GroupLayout, _: u32) -> fmt::Result {
        self.key(&group.name)?;
        self.open('[')
    }

    fn begin_entry(&mut self) -> fmt::Result {
        self.comma()?;
        self.open('{')
    }

    fn end_entry(&mut self) -> fmt::Result {
        self.close('}')
    }

    fn end_group(&mut self) -> fmt::Result {
        self.close(']')
    }

    fn data(&mut self, data: &Data, bytes: &[u8]) -> fmt::Result {
        self.key(&data.name)?;
        match data.is_text {
            true => json_text(self.out, bytes),
            false => write!(self.out, "\"{}\"", Hex(bytes)),
        }
    }
}

fn json_value(out: &mut impl Write, value: Value<'_>) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Float(number) if !number.is_finite() => out.write_str("null"),
        Value::Decimal(number) => write!(out, "\"{number}\""),
        Value::Time(time) => write!(out, "{}", time.0),
        Value::Text(text) => json_text(out, text),
        Value::Bytes(bytes) => write!(out, "\"{}\"", Hex(bytes)),
        Value::Array(array) => {
            out.write_char('[')?;
            separated(out, ',', array.values(), json_value)?;
            out.write_char(']')
        }
        Value::Enum(layout, raw) => match layout.name_of(raw) {
            Some(name) => write!(out, "\"{name}\""),
            None => write!(out, "{raw}"),
        },
        Value::Set(set, bits) => {
            out.write_char('[')?;
            separated(out, ',', Bits::of(set, bits), |out, bit| match bit {
                Bit::Named(name) => write!(out, "\"{name}\""),
                Bit::Unknown(bits) => write!(out, "{bits}"),
            })?;
            out.write_char(']')
        }
        Value::Name(name) => write!(out, "\"{name}\""),
        Value::Integer(number) => write!(out, "{number}"),
        Value::Float(number) => write!(out, "{number}"),
    }
}

fn json_text(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    out.write_char('"')?;
    each_char(bytes, |char| match char {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        control if control < ' ' => write!(out, "\\u{:04x}", control as u32),
        char => out.write_char(char),
    })?;
    out.write_char('"')
}

struct Line<'w, W> {
    out: &'w mut W,
    wants_space: bool,
}

impl<W: Write> Line<'_, W> {
    fn space(&mut self) -> fmt::Result {
        if std::mem::replace(&mut self.wants_space, true) { self.out.write_char(' ') } else { Ok(()) }
    }

    fn open(&mut self, name: &str, bracket: &str) -> fmt::Result {
        self.space()?;
        self.wants_space = false;
        write!(self.out, "{name}{bracket}")
    }

    fn close(&mut self, bracket: char) -> fmt::Result {
        self.wants_space = true;
        self.out.write_char(bracket)
    }
}

impl<W: Write> Visitor for Line<'_, W> {
    fn field(&mut self, field: &Field, value: Value<'_>) -> fmt::Result {
        if field.is_reserved() || matches!(value, Value::Null | Value::Text([])) {
            return Ok(());
        }
        self.space()?;
        write!(self.out, "{}=", field.name)?;
        match value {
            Value::Time(time) => write!(self.out, "{time}"),
            Value::Text(text) => word(self.out, text),
            value => plain_value(self.out, value),
        }
    }

    fn begin_composite(&mut self, field: &Field) -> fmt::Result {
        self.open(&field.name, "={")
    }

    fn end_composite(&mut self) -> fmt::Result {
        self.close('}')
    }

    fn begin_group(&mut self, group: &GroupLayout, _: u32) -> fmt::Result {
        self.open(&group.name, "=[")
    }

    fn begin_entry(&mut self) -> fmt::Result {
        self.open("", "{")
    }

    fn end_entry(&mut self) -> fmt::Result {
        self.close('}')
    }

    fn end_group(&mut self) -> fmt::Result {
        self.close(']')
    }

    fn data(&mut self, data: &Data, bytes: &[u8]) -> fmt::Result {
        if bytes.is_empty() {
            return Ok(());
        }
        self.space()?;
        write!(self.out, "{}=", data.name)?;
        if data.is_text { word(self.out, bytes) } else { write!(self.out, "{}", Hex(bytes)) }
    }
}

fn word(out: &mut impl Write, text: &[u8]) -> fmt::Result {
    let is_word = !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
    if is_word { each_char(text, |char| out.write_char(char)) } else { json_text(out, text) }
}

/// Writes a value as in CSV and in the line for people; times as numbers.
fn plain_value(out: &mut impl Write, value: Value<'_>) -> fmt::Result {
    match value {
        Value::Null => Ok(()),
        Value::Integer(number) => write!(out, "{number}"),
        Value::Float(number) => write!(out, "{number}"),
        Value::Decimal(number) => write!(out, "{number}"),
        Value::Time(time) => write!(out, "{}", time.0),
        Value::Text(text) => each_char(text, |char| out.write_char(char)),
        Value::Bytes(bytes) => write!(out, "{}", Hex(bytes)),
        Value::Array(array) => separated(out, '|', array.values(), plain_value),
        Value::Enum(layout, raw) => match layout.name_of(raw) {
            Some(name) => out.write_str(name),
            None => write!(out, "{raw}"),
        },
        Value::Set(set, bits) => separated(out, '|', Bits::of(set, bits), |out, bit| match bit {
            Bit::Named(name) => out.write_str(name),
            Bit::Unknown(bits) => write!(out, "{bits}"),
        }),
        Value::Name(name) => out.write_str(name),
    }
}

struct Csv<'w, W> {
    out: &'w mut W,
    wants_comma: bool,
    /// The number of groups and composites that enclose the current value.
    depth: u32,
    is_first_inside: bool,
}

impl<W: Write> Csv<'_, W> {
    fn comma(&mut self) -> fmt::Result {
        if std::mem::replace(&mut self.wants_comma, true) { self.out.write_char(',') } else { Ok(()) }
    }

    /// Writes the content of a cell as JSON.
    fn inside(&mut self, write: impl FnOnce(&mut Json<'_, Quoted<'_, W>>) -> fmt::Result) -> fmt::Result {
        let mut json = Json { out: &mut Quoted(self.out), is_first: self.is_first_inside };
        let result = write(&mut json);
        self.is_first_inside = json.is_first;
        result
    }
}

impl<W: Write> Visitor for Csv<'_, W> {
    fn field(&mut self, field: &Field, value: Value<'_>) -> fmt::Result {
        if field.is_reserved() {
            return Ok(());
        }
        if self.depth > IN_COMPOSITE {
            return self.inside(|json| json.field(field, value));
        }
        let cells = if self.depth == 0 { members(field).map_or(1, <[Field]>::len) } else { 1 };
        for _ in 0..cells {
            self.comma()?;
        }
        match value {
            Value::Text(text) => csv_text(self.out, text),
            value => plain_value(self.out, value),
        }
    }

    fn begin_composite(&mut self, field: &Field) -> fmt::Result {
        self.depth += 1;
        match self.depth {
            IN_COMPOSITE => Ok(()),
            2 => {
                self.comma()?;
                self.is_first_inside = true;
                self.out.write_str("\"{")
            }
            _ => self.inside(|json| json.begin_composite(field)),
        }
    }

    fn end_composite(&mut self) -> fmt::Result {
        self.depth -= 1;
        match self.depth {
            0 => Ok(()),
            IN_COMPOSITE => self.out.write_str("}\""),
            _ => self.inside(|json| json.end_composite()),
        }
    }

    fn begin_group(&mut self, group: &GroupLayout, count: u32) -> fmt::Result {
        if self.depth > 0 {
            self.depth += 1;
            return self.inside(|json| json.begin_group(group, count));
        }
        self.comma()?;
        self.depth = IN_GROUP;
        self.is_first_inside = true;
        self.out.write_str("\"[")
    }

    fn begin_entry(&mut self) -> fmt::Result {
        self.inside(|json| json.begin_entry())
    }

    fn end_entry(&mut self) -> fmt::Result {
        self.inside(|json| json.end_entry())
    }

    fn end_group(&mut self) -> fmt::Result {
        if self.depth > IN_GROUP {
            self.depth -= 1;
            return self.inside(|json| json.end_group());
        }
        self.depth = 0;
        self.out.write_str("]\"")
    }

    fn data(&mut self, data: &Data, bytes: &[u8]) -> fmt::Result {
        if self.depth > 0 {
            return self.inside(|json| json.data(data, bytes));
        }
        self.comma()?;
        if data.is_text { csv_text(self.out, bytes) } else { write!(self.out, "{}", Hex(bytes)) }
    }
}

/// The depth at which a composite's members have cells of their own.
const IN_COMPOSITE: u32 = 1;
/// The depth of the JSON in a group's cell, which is that of a composite inside a composite.
const IN_GROUP: u32 = 2;

fn csv_text(out: &mut impl Write, text: &[u8]) -> fmt::Result {
    if !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return each_char(text, |char| out.write_char(char));
    }
    out.write_char('"')?;
    each_char(text, |char| Quoted(out).write_char(char))?;
    out.write_char('"')
}

/// Doubles the quotation marks of what it writes into a quoted cell.
struct Quoted<'w, W>(&'w mut W);

impl<W: Write> Write for Quoted<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut parts = text.split('"');
        self.0.write_str(parts.next().unwrap_or_default())?;
        parts.try_for_each(|part| write!(self.0, "\"\"{part}"))
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

enum Bit<'a> {
    Named(&'a str),
    Unknown(u64),
}

struct Bits<'a> {
    set: &'a Set,
    next: usize,
    left: u64,
}

impl<'a> Bits<'a> {
    fn of(set: &'a Set, bits: u64) -> Self {
        Self { set, next: 0, left: bits }
    }
}

impl<'a> Iterator for Bits<'a> {
    type Item = Bit<'a>;

    fn next(&mut self) -> Option<Bit<'a>> {
        while let Some(choice) = self.set.choices.get(self.next) {
            self.next += 1;
            let bit = 1u64.checked_shl(choice.bit.into()).unwrap_or(0);
            if self.left & bit != 0 {
                self.left &= !bit;
                return Some(Bit::Named(&choice.name));
            }
        }
        (self.left != 0).then(|| Bit::Unknown(std::mem::take(&mut self.left)))
    }
}

fn separated<W: Write, T>(
    out: &mut W,
    separator: char,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut W, T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.write_char(separator)?;
        }
        write(out, item)?;
    }
    Ok(())
}

/// Passes the characters of `bytes` to `write`; what is not UTF-8 becomes U+FFFD.
fn each_char(bytes: &[u8], mut write: impl FnMut(char) -> fmt::Result) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().try_for_each(&mut write)?;
        if !chunk.invalid().is_empty() {
            write(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}
