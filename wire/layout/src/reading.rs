//! Reads any message with its layout: one walk over its fields, groups and data, without generated code.
//!
//! Invalid bytes are safe to read. A length or a count that exceeds the bytes stops the walk with
//! [`ReadError::Truncated`], an unknown value of an enumeration is returned as its number, and a field that
//! the message's version does not have yet is null.

use crate::numbers::{Decimal, Utc};
use crate::schema::{
    BlockLayout, ByteOrder, Composite, Data, Enum, Field, GroupLayout, Kind, MessageLayout, Presence,
    Primitive, Schema, Set, Slot,
};
use std::fmt;

/// Reads a message with its layout: the message's bytes and the [`MessageLayout`] that describes them.
///
/// [`Schema::read`] and [`Schema::read_with_header`] return it.
#[derive(Clone, Copy, Debug)]
pub struct MessageReader<'a> {
    message: &'a MessageLayout,
    order: ByteOrder,
    version: u16,
    block: &'a [u8],
    tail: &'a [u8],
}

/// Why bytes could not be read as a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadError {
    /// The schema does not have a message with that template id.
    UnknownTemplate(u16),
    /// The message is of another schema.
    OtherSchema {
        /// The id of the schema.
        expected: u16,
        /// The schema id in the message's header.
        found: u16,
    },
    /// A block, a group or data exceeds the bytes.
    Truncated,
    /// The writer or visitor of the message failed.
    Format,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTemplate(id) => write!(f, "the schema has no message with template id {id}"),
            Self::OtherSchema { expected, found } => {
                write!(f, "the message is of schema {found}, not of schema {expected}")
            }
            Self::Truncated => f.write_str("the message is shorter than the lengths in it require"),
            Self::Format => f.write_str("the message could not be printed"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<fmt::Error> for ReadError {
    fn from(_: fmt::Error) -> Self {
        Self::Format
    }
}

/// The value of a field.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// No value: null, or a field of a later version than the message's.
    Null,
    /// A whole number.
    Integer(i128),
    /// A floating-point number.
    Float(f64),
    /// A number of `semanticType` "Price", or a composite of mantissa and exponent.
    Decimal(Decimal),
    /// A number of `semanticType` "Time" or "UTCTimestamp": nanoseconds since the epoch.
    Time(Utc),
    /// Characters, without the zeros and blanks after them.
    Text(&'a [u8]),
    /// Bytes that are not text.
    Bytes(&'a [u8]),
    /// Several numbers.
    Array(Array<'a>),
    /// A value of an enumeration; the schema may not know it.
    Enum(&'a Enum, i128),
    /// The bits of a set; the schema may not know them.
    Set(&'a Set, u64),
    /// The name of an enumeration's value that the schema fixes as a constant.
    Name(&'a str),
}

/// An array of numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Array<'a> {
    primitive: Primitive,
    order: ByteOrder,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// Returns the numbers, each a [`Value::Integer`] or a [`Value::Float`].
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (primitive, order) = (self.primitive, self.order);
        self.bytes.chunks_exact(usize::from(primitive.size())).map(move |bytes| {
            if primitive.is_float() {
                Value::Float(float(bytes, order))
            } else {
                Value::Integer(integer(bytes, primitive, order))
            }
        })
    }
}

/// The receiver of the parts of a message in wire order, see [`MessageReader::walk`]. By default the methods
/// do nothing.
#[expect(unused_variables, reason = "the defaults do nothing")]
pub trait Visitor {
    /// A field. A composite is a field only where it is null or a decimal.
    ///
    /// # Errors
    /// An error of any method ends the walk.
    fn field(&mut self, field: &Field, value: Value<'_>) -> fmt::Result {
        Ok(())
    }
    /// A composite begins; its members follow as fields.
    fn begin_composite(&mut self, field: &Field) -> fmt::Result {
        Ok(())
    }
    /// The composite ends.
    fn end_composite(&mut self) -> fmt::Result {
        Ok(())
    }
    /// A group of `count` entries begins.
    fn begin_group(&mut self, group: &GroupLayout, count: u32) -> fmt::Result {
        Ok(())
    }
    /// An entry begins; its fields, groups and data follow.
    fn begin_entry(&mut self) -> fmt::Result {
        Ok(())
    }
    /// The entry ends.
    fn end_entry(&mut self) -> fmt::Result {
        Ok(())
    }
    /// The group ends.
    fn end_group(&mut self) -> fmt::Result {
        Ok(())
    }
    /// Variable-length data.
    fn data(&mut self, data: &Data, bytes: &[u8]) -> fmt::Result {
        Ok(())
    }
}

impl Schema {
    /// Returns a reader of the message in `body`, with the template id, the block length and the version that
    /// its header has. Bytes after the message are ignored.
    ///
    /// # Errors
    /// [`ReadError::UnknownTemplate`]; [`ReadError::Truncated`] when `body` is shorter than `block_length`.
    pub fn read<'a>(
        &'a self,
        template_id: u16,
        block_length: u16,
        version: u16,
        body: &'a [u8],
    ) -> Result<MessageReader<'a>, ReadError> {
        let message = self.message(template_id).ok_or(ReadError::UnknownTemplate(template_id))?;
        let (block, tail) = body.split_at_checked(usize::from(block_length)).ok_or(ReadError::Truncated)?;
        Ok(MessageReader { message, order: self.byte_order, version, block, tail })
    }

    /// Returns a reader of the message in `bytes`, which begin with the schema's message header.
    ///
    /// # Errors
    /// Those of [`Schema::read`], and [`ReadError::OtherSchema`].
    pub fn read_with_header<'a>(&'a self, bytes: &'a [u8]) -> Result<MessageReader<'a>, ReadError> {
        let (header, body) =
            bytes.split_at_checked(usize::from(self.header.length)).ok_or(ReadError::Truncated)?;
        let number = |slot| unsigned(header, slot, self.byte_order).map(|number| number as u16);
        let found = number(self.header.schema_id)?;
        if found != self.id {
            return Err(ReadError::OtherSchema { expected: self.id, found });
        }
        let (template_id, version) = (number(self.header.template_id)?, number(self.header.version)?);
        self.read(template_id, number(self.header.block_length)?, version, body)
    }
}

impl<'a> MessageReader<'a> {
    /// Returns the layout of the message.
    pub fn message(&self) -> &'a MessageLayout {
        self.message
    }

    /// Returns the schema version of the message.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Returns the value of the field called `name` in the root block, or of `composite.member`; `None` when
    /// there is no such field.
    pub fn value(&self, name: &str) -> Option<Value<'a>> {
        let (name, member) = name.split_once('.').map_or((name, None), |(name, rest)| (name, Some(rest)));
        let mut field = self.message.block.field(name)?;
        let mut bytes = self.block;
        if let Some(member) = member {
            let Kind::Composite(composite) = &field.kind else { return None };
            bytes = bytes.get(usize::from(field.offset)..).unwrap_or_default();
            field = composite.members.iter().find(|inner| inner.name == member)?;
        }
        Some(value(field, bytes, self.order, self.version))
    }

    /// Passes the fields, groups and data of the message to `visitor`, in wire order.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] when a group or data exceeds the bytes, [`ReadError::Format`] when the
    /// visitor fails. The visitor has then received what precedes the error.
    pub fn walk(&self, visitor: &mut impl Visitor) -> Result<(), ReadError> {
        let mut walk = Walk { order: self.order, version: self.version, tail: self.tail, visitor };
        walk.block(&self.message.block, self.block)
    }
}

struct Walk<'a, 'v, V> {
    order: ByteOrder,
    version: u16,
    tail: &'a [u8],
    visitor: &'v mut V,
}

impl<'a, V: Visitor> Walk<'a, '_, V> {
    fn block(&mut self, layout: &BlockLayout, bytes: &'a [u8]) -> Result<(), ReadError> {
        let version = self.version;
        self.fields(&layout.fields, bytes)?;
        for group in layout.groups.iter().filter(|group| group.since <= version) {
            self.group(group)?;
        }
        for data in layout.data.iter().filter(|data| data.since <= version) {
            let length = unsigned(self.tail, data.length, self.order)?;
            self.take(data.offset.into())?;
            let bytes = self.take(length)?;
            self.visitor.data(data, bytes)?;
        }
        Ok(())
    }

    fn fields(&mut self, fields: &[Field], bytes: &'a [u8]) -> Result<(), ReadError> {
        for field in fields {
            let here = value(field, bytes, self.order, self.version);
            match &field.kind {
                Kind::Composite(composite)
                    if !composite.is_decimal() && is_present(field, bytes, self.version) =>
                {
                    self.visitor.begin_composite(field)?;
                    self.fields(
                        &composite.members,
                        bytes.get(usize::from(field.offset)..).unwrap_or_default(),
                    )?;
                    self.visitor.end_composite()?;
                }
                _ => self.visitor.field(field, here)?,
            }
        }
        Ok(())
    }

    fn group(&mut self, group: &GroupLayout) -> Result<(), ReadError> {
        let block_length = unsigned(self.tail, group.block_length, self.order)?;
        let count = unsigned(self.tail, group.count, self.order)?;
        self.take(group.dimensions_length.into())?;
        let bytes_min = count.saturating_mul(block_length + least_tail(&group.block, self.version));
        if count > 0 && bytes_min == 0 || bytes_min > self.tail.len() as u64 {
            return Err(ReadError::Truncated);
        }
        self.visitor.begin_group(group, count as u32)?;
        for _ in 0..count {
            let block = self.take(block_length)?;
            self.visitor.begin_entry()?;
            self.block(&group.block, block)?;
            self.visitor.end_entry()?;
        }
        Ok(self.visitor.end_group()?)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], ReadError> {
        let length = usize::try_from(length).map_err(|_| ReadError::Truncated)?;
        let (taken, tail) = self.tail.split_at_checked(length).ok_or(ReadError::Truncated)?;
        self.tail = tail;
        Ok(taken)
    }
}

/// The smallest length of an entry's groups and data in bytes: that of their dimensions and lengths. With the
/// block length it limits a count by the number of bytes, so that no count makes a walk long.
fn least_tail(layout: &BlockLayout, version: u16) -> u64 {
    let groups = layout.groups.iter().filter(|group| group.since <= version);
    let data = layout.data.iter().filter(|data| data.since <= version);
    groups.map(|group| u64::from(group.dimensions_length)).sum::<u64>()
        + data.map(|data| u64::from(data.offset)).sum::<u64>()
}

fn is_present(field: &Field, bytes: &[u8], version: u16) -> bool {
    field.since <= version && usize::from(field.end()) <= bytes.len()
}

fn value<'a>(field: &'a Field, bytes: &'a [u8], order: ByteOrder, version: u16) -> Value<'a> {
    if let Kind::Constant(constant) = &field.kind {
        return constant_value(constant);
    }
    if !is_present(field, bytes, version) {
        return Value::Null;
    }
    let bytes = &bytes[usize::from(field.offset)..usize::from(field.end())];
    match &field.kind {
        Kind::Number { primitive, .. } if primitive.is_float() => {
            let number = float(bytes, order);
            if number.is_nan() { Value::Null } else { Value::Float(number) }
        }
        Kind::Number { primitive: Primitive::Char, .. } => text(bytes),
        Kind::Number { primitive, null } => {
            let number = integer(bytes, *primitive, order);
            if field.presence == Presence::Optional && number == *null {
                return Value::Null;
            }
            match &*field.semantic {
                "Price" => decimal(number, PRICE_EXPONENT),
                "Time" | "UTCTimestamp" => {
                    u64::try_from(number).map_or(Value::Integer(number), |time| Value::Time(Utc(time)))
                }
                _ => Value::Integer(number),
            }
        }
        Kind::Array { primitive: Primitive::Char, .. } => text(bytes),
        Kind::Array { primitive: Primitive::Uint8, .. } => Value::Bytes(bytes),
        Kind::Array { primitive, .. } => Value::Array(Array { primitive: *primitive, order, bytes }),
        Kind::Enum(layout) => match integer(bytes, layout.primitive, order) {
            raw if raw == layout.null && layout.name_of(raw).is_none() => Value::Null,
            raw => Value::Enum(layout, raw),
        },
        Kind::Set(layout) => Value::Set(layout, integer(bytes, layout.primitive, order) as u64),
        Kind::Composite(composite) => composite_value(composite, bytes, order, version),
        Kind::Constant(_) => Value::Null,
    }
}

/// Prices are in units of 1e-9.
const PRICE_EXPONENT: i8 = -9;

fn text(bytes: &[u8]) -> Value<'_> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    Value::Text(bytes[..end].trim_ascii_end())
}

fn decimal(mantissa: i128, exponent: i8) -> Value<'static> {
    i64::try_from(mantissa)
        .map_or(Value::Integer(mantissa), |mantissa| Value::Decimal(Decimal { mantissa, exponent }))
}

fn constant_value(constant: &crate::schema::Constant) -> Value<'_> {
    match constant.primitive {
        _ if !constant.enumeration.is_empty() => Value::Name(&constant.text),
        Primitive::Char => Value::Text(constant.text.as_bytes()),
        primitive if primitive.is_float() => constant.text.parse().map_or(Value::Null, Value::Float),
        _ => Value::Integer(constant.value),
    }
}

fn composite_value<'a>(layout: &'a Composite, bytes: &'a [u8], order: ByteOrder, version: u16) -> Value<'a> {
    let Some((mantissa, exponent)) = layout.decimal_parts() else { return Value::Null };
    match (value(mantissa, bytes, order, version), value(exponent, bytes, order, version)) {
        (Value::Integer(mantissa), Value::Integer(exponent)) => match i8::try_from(exponent) {
            Ok(exponent) => decimal(mantissa, exponent),
            Err(_) => Value::Null,
        },
        _ => Value::Null,
    }
}

fn unsigned(bytes: &[u8], slot: Slot, order: ByteOrder) -> Result<u64, ReadError> {
    let start = usize::from(slot.offset);
    let bytes = bytes.get(start..start + usize::from(slot.primitive.size())).ok_or(ReadError::Truncated)?;
    u64::try_from(integer(bytes, slot.primitive, order)).map_err(|_| ReadError::Truncated)
}

/// Returns `bytes`, at most 8, as a whole number.
fn integer(bytes: &[u8], primitive: Primitive, order: ByteOrder) -> i128 {
    let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
    let raw = match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, fold),
        ByteOrder::Big => bytes.iter().fold(0, fold),
    };
    let unused_bits = 64 - u32::from(primitive.size()) * 8;
    if primitive.is_signed() {
        i128::from(((raw << unused_bits) as i64) >> unused_bits)
    } else {
        i128::from(raw)
    }
}

fn float(bytes: &[u8], order: ByteOrder) -> f64 {
    let raw = integer(bytes, Primitive::Uint64, order) as u64;
    if bytes.len() == 4 { f32::from_bits(raw as u32).into() } else { f64::from_bits(raw) }
}
