//! The model of an SBE schema, with all names resolved and all offsets computed.

use std::borrow::Cow;

/// A text in a schema: borrowed in a compiled table, owned when parsed at run time.
pub type Text = Cow<'static, str>;

/// A list in a schema: borrowed in a compiled table, owned when parsed at run time.
pub type List<T> = Cow<'static, [T]>;

/// An SBE schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schema {
    /// The package of the schema.
    pub package: Text,
    /// The id of the schema, as in every message header.
    pub id: u16,
    /// The version of the schema.
    pub version: u16,
    /// The description of the schema; empty in compiled tables.
    pub description: Text,
    /// The order of the bytes in numbers.
    pub byte_order: ByteOrder,
    /// The layout of the message header.
    pub header: Header,
    /// Every enumeration in the schema's order, also those declared inside composites.
    pub enums: List<Enum>,
    /// Every set in the schema's order, also those declared inside composites.
    pub sets: List<Set>,
    /// Every composite in the schema's order, also those declared inside composites.
    pub composites: List<Composite>,
    /// Every message, by ascending template id.
    pub messages: List<MessageLayout>,
}

/// The order of the bytes in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// The offset and type of an unsigned number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// The offset in bytes from the start of the enclosing composite.
    pub offset: u16,
    /// The type of the number.
    pub primitive: Primitive,
}

/// The layout of the SBE message header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The length of the header in bytes.
    pub length: u16,
    /// The length of the root block, as the message was written.
    pub block_length: Slot,
    /// The template id.
    pub template_id: Slot,
    /// The schema id.
    pub schema_id: Slot,
    /// The schema version.
    pub version: Slot,
}

/// The layout of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageLayout {
    /// The name.
    pub name: Text,
    /// The template id.
    pub id: u16,
    /// The schema version that added it.
    pub since: u16,
    /// The schema version that deprecated it; 0 when none did.
    pub deprecated: u16,
    /// The `semanticType` of the message.
    pub semantic: Text,
    /// The description; empty in compiled tables.
    pub description: Text,
    /// The fields, groups and data.
    pub block: BlockLayout,
}

/// The layout of a message or of a group's entry: fields at fixed offsets, then groups, then data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockLayout {
    /// The length of the fixed part in bytes, with the padding at its end.
    pub length: u16,
    /// The fields by ascending offset, with the constants, which have no bytes.
    pub fields: List<Field>,
    /// The repeating groups after the fixed part, in wire order.
    pub groups: List<GroupLayout>,
    /// The variable-length data after the groups, in wire order.
    pub data: List<Data>,
}

/// A field of a block, or a member of a composite.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// The name.
    pub name: Text,
    /// The id; 0 in a composite.
    pub id: u16,
    /// The offset in bytes from the start of the block or composite.
    pub offset: u16,
    /// The schema version that added it.
    pub since: u16,
    /// The schema version that deprecated it; 0 when none did.
    pub deprecated: u16,
    /// Whether it may be null.
    pub presence: Presence,
    /// The `semanticType` of the field or, where it has none, of its type.
    pub semantic: Text,
    /// The description of the field or, where it has none, of its type; empty in compiled tables.
    pub description: Text,
    /// The kind of value, which gives the number of bytes.
    pub kind: Kind,
}

/// Whether a field may be null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// The field always has a value.
    Required,
    /// The null value of its type means that there is no value.
    Optional,
    /// The value is in the schema and not in the message.
    Constant,
}

/// The kind of a field's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One number or character.
    Number {
        /// The encoding.
        primitive: Primitive,
        /// The null value; unused for floating point, whose null value is NaN.
        null: i128,
    },
    /// Several numbers, or text when they are characters.
    Array {
        /// The encoding of each.
        primitive: Primitive,
        /// The number of elements.
        length: u16,
    },
    /// A value of an enumeration.
    Enum(Cow<'static, Enum>),
    /// The bits of a set.
    Set(Cow<'static, Set>),
    /// Several fields under one name.
    Composite(Cow<'static, Composite>),
    /// A value that the schema fixes.
    Constant(Constant),
}

/// A value that the schema fixes and that is not in the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Constant {
    /// The encoding that the schema declares.
    pub primitive: Primitive,
    /// The text, the digits, or the name of the enumeration's value.
    pub text: Text,
    /// The number, where the constant is a whole number; otherwise 0.
    pub value: i128,
    /// The name of its enumeration; empty where it has none.
    pub enumeration: Text,
}

/// An enumeration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enum {
    /// The name.
    pub name: Text,
    /// The encoding of the values.
    pub primitive: Primitive,
    /// The null value.
    pub null: i128,
    /// The values in the schema's order.
    pub values: List<ValidValue>,
    /// The description; empty in compiled tables.
    pub description: Text,
}

/// A value of an enumeration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidValue {
    /// The name.
    pub name: Text,
    /// The number in the message.
    pub value: i128,
    /// The schema version that added it.
    pub since: u16,
    /// The description; empty in compiled tables.
    pub description: Text,
}

/// A set of bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// The name.
    pub name: Text,
    /// The encoding of the bits.
    pub primitive: Primitive,
    /// The bits in the schema's order.
    pub choices: List<Choice>,
    /// The description; empty in compiled tables.
    pub description: Text,
}

/// A bit of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The name.
    pub name: Text,
    /// The number of the bit, 0 for the least significant.
    pub bit: u8,
    /// The schema version that added it.
    pub since: u16,
    /// The description; empty in compiled tables.
    pub description: Text,
}

/// Several fields under one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Composite {
    /// The name.
    pub name: Text,
    /// The length in bytes.
    pub length: u16,
    /// The members by ascending offset.
    pub members: List<Field>,
    /// The description; empty in compiled tables.
    pub description: Text,
}

/// The layout of a repeating group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupLayout {
    /// The name.
    pub name: Text,
    /// The id.
    pub id: u16,
    /// The schema version that added it.
    pub since: u16,
    /// The description; empty in compiled tables.
    pub description: Text,
    /// The name of the composite that precedes the entries.
    pub dimensions: Text,
    /// The length of that composite in bytes.
    pub dimensions_length: u16,
    /// The length of each entry's block, as the message was written.
    pub block_length: Slot,
    /// The number of entries.
    pub count: Slot,
    /// The layout of each entry.
    pub block: BlockLayout,
}

/// Variable-length data: a length, then that many bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Data {
    /// The name.
    pub name: Text,
    /// The id.
    pub id: u16,
    /// The schema version that added it.
    pub since: u16,
    /// The description; empty in compiled tables.
    pub description: Text,
    /// The length of the data.
    pub length: Slot,
    /// The offset of the bytes from the start of the length's composite.
    pub offset: u16,
    /// Whether the bytes are text: whether the schema gives a character encoding, or they are characters.
    pub is_text: bool,
}

/// SBE's primitive types.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are SBE's")]
pub enum Primitive {
    Char,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Float,
    Double,
}

impl Primitive {
    /// Every primitive type.
    pub const ALL: [Self; 11] = [
        Self::Char,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Float,
        Self::Double,
    ];

    /// Returns SBE's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Char => "char",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Float => "float",
            Self::Double => "double",
        }
    }

    /// Returns the type that SBE calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|primitive| primitive.name() == name)
    }

    /// Returns the size in bytes.
    pub const fn size(self) -> u16 {
        match self {
            Self::Char | Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float => 4,
            Self::Int64 | Self::Uint64 | Self::Double => 8,
        }
    }

    /// Whether the type is a floating-point number.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether the type is a signed whole number.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }

    /// Returns the smallest and the largest whole number of the type's size.
    pub const fn range(self) -> (i128, i128) {
        let bits = self.size() as u32 * 8;
        if self.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
    }

    /// Returns SBE's default null value: 0 for characters, the smallest signed number, the largest unsigned
    /// number. For floating point, whose null value is NaN, it is 0.
    pub const fn null(self) -> i128 {
        match self {
            Self::Char | Self::Float | Self::Double => 0,
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 => self.range().0,
            Self::Uint8 | Self::Uint16 | Self::Uint32 | Self::Uint64 => self.range().1,
        }
    }
}

impl Kind {
    /// Returns the size in a block in bytes.
    pub fn size(&self) -> u16 {
        match self {
            Self::Number { primitive, .. } => primitive.size(),
            Self::Array { primitive, length } => primitive.size().saturating_mul(*length),
            Self::Enum(layout) => layout.primitive.size(),
            Self::Set(layout) => layout.primitive.size(),
            Self::Composite(layout) => layout.length,
            Self::Constant(_) => 0,
        }
    }

    /// Returns a number with SBE's default null value.
    pub const fn number(primitive: Primitive) -> Self {
        Self::Number { primitive, null: primitive.null() }
    }
}

impl Field {
    /// Creates a field of a compiled table.
    #[expect(clippy::too_many_arguments, reason = "a table has one line for each field")]
    pub const fn compiled(
        name: &'static str,
        id: u16,
        offset: u16,
        since: u16,
        deprecated: u16,
        presence: Presence,
        semantic: &'static str,
        kind: Kind,
    ) -> Self {
        let (name, semantic, description) = (Cow::Borrowed(name), Cow::Borrowed(semantic), Cow::Borrowed(""));
        Self { name, id, offset, since, deprecated, presence, semantic, description, kind }
    }

    /// Whether the field is reserved: whether it is bytes and its name begins with `reserved`. They are zero.
    pub fn is_reserved(&self) -> bool {
        let is_bytes = matches!(
            self.kind,
            Kind::Array { primitive: Primitive::Uint8, .. }
                | Kind::Number { primitive: Primitive::Uint8, .. }
        );
        is_bytes && self.name.starts_with("reserved")
    }

    /// Returns the offset of the first byte after the field.
    pub fn end(&self) -> u16 {
        self.offset.saturating_add(self.kind.size())
    }
}

impl BlockLayout {
    /// Returns the field called `name`.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Returns the group called `name`.
    pub fn group(&self, name: &str) -> Option<&GroupLayout> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Returns the data called `name`.
    pub fn data(&self, name: &str) -> Option<&Data> {
        self.data.iter().find(|data| data.name == name)
    }
}

impl Composite {
    /// Returns the mantissa and the exponent, when the composite is a decimal number.
    pub(crate) fn decimal_parts(&self) -> Option<(&Field, &Field)> {
        match &*self.members {
            [mantissa, exponent] if mantissa.name == "mantissa" && exponent.name == "exponent" => {
                Some((mantissa, exponent))
            }
            _ => None,
        }
    }

    /// Whether the composite is a decimal number: a mantissa and an exponent.
    pub fn is_decimal(&self) -> bool {
        self.decimal_parts().is_some()
    }
}

impl ValidValue {
    /// Creates a value of a compiled table.
    pub const fn compiled(name: &'static str, value: i128, since: u16) -> Self {
        Self { name: Cow::Borrowed(name), value, since, description: Cow::Borrowed("") }
    }
}

impl Choice {
    /// Creates a bit of a compiled table.
    pub const fn compiled(name: &'static str, bit: u8, since: u16) -> Self {
        Self { name: Cow::Borrowed(name), bit, since, description: Cow::Borrowed("") }
    }
}

impl Enum {
    /// Returns the name of `value`; `None` when the schema does not know it.
    pub fn name_of(&self, value: i128) -> Option<&str> {
        self.values.iter().find(|valid| valid.value == value).map(|valid| &*valid.name)
    }
}

impl Schema {
    /// Returns the message with template `id`.
    pub fn message(&self, id: u16) -> Option<&MessageLayout> {
        self.messages.binary_search_by_key(&id, |message| message.id).ok().map(|index| &self.messages[index])
    }

    /// Returns the message called `name`.
    pub fn message_named(&self, name: &str) -> Option<&MessageLayout> {
        self.messages.iter().find(|message| message.name == name)
    }
}
