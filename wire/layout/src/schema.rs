//! The model of an SBE schema, all names resolved, all offsets computed.

use std::borrow::Cow;

/// Text of a schema: borrowed in a compiled table, owned when parsed at run time.
pub type Text = Cow<'static, str>;

/// A list of a schema: borrowed in a compiled table, owned when parsed at run time.
pub type List<T> = Cow<'static, [T]>;

/// A whole schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schema {
    /// The schema's package.
    pub package: Text,
    /// The schema's id, as in every message header.
    pub id: u16,
    /// The schema's version.
    pub version: u16,
    /// What the schema says of itself; empty in compiled tables.
    pub description: Text,
    /// Order of the bytes in numbers.
    pub byte_order: ByteOrder,
    /// Where the message header's numbers lie.
    pub header: Header,
    /// Every enumeration, also those declared inside composites, in the schema's order.
    pub enums: List<Enum>,
    /// Every set, also those declared inside composites, in the schema's order.
    pub sets: List<Set>,
    /// Every composite, also those declared inside composites, in the schema's order.
    pub composites: List<Composite>,
    /// Every message, by ascending template id.
    pub messages: List<Message>,
}

/// Order of the bytes in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// A number at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Bytes from the start of what holds it.
    pub offset: u16,
    /// What it is.
    pub primitive: Primitive,
}

/// The SBE message header: which numbers it holds and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes of the header.
    pub length: u16,
    /// The acting length of the root block.
    pub block_length: Slot,
    /// Which message follows.
    pub template_id: Slot,
    /// Of which schema.
    pub schema_id: Slot,
    /// Of which version of it.
    pub version: Slot,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its name.
    pub name: Text,
    /// Its template id.
    pub id: u16,
    /// The schema version that brought it.
    pub since: u16,
    /// The schema version that deprecated it; 0 when none did.
    pub deprecated: u16,
    /// The schema's `semanticType`; in Stele's schema the family of messages it belongs to.
    pub semantic: Text,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
    /// Its fields, groups and data.
    pub block: Block,
}

/// Fields at fixed offsets, then groups, then data: a message's or a group entry's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// Bytes of the fixed part, closing padding included.
    pub length: u16,
    /// The fields, by ascending offset; constants, which have no bytes, stand among them.
    pub fields: List<Field>,
    /// The repeating groups behind the fixed part, in wire order.
    pub groups: List<Group>,
    /// The variable-length data behind the groups, in wire order.
    pub data: List<Data>,
}

/// A field of a block, or a member of a composite.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: Text,
    /// Its id; 0 in a composite.
    pub id: u16,
    /// Bytes from the start of the block or composite.
    pub offset: u16,
    /// The schema version that brought it.
    pub since: u16,
    /// The schema version that deprecated it; 0 when none did.
    pub deprecated: u16,
    /// Whether it may be null.
    pub presence: Presence,
    /// The `semanticType` of the field or, failing that, of its type.
    pub semantic: Text,
    /// What the schema says of it or, failing that, of its type; empty in compiled tables.
    pub description: Text,
    /// What its bytes are.
    pub kind: Kind,
}

/// Whether a field may be null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It always has a value.
    Required,
    /// Its type's null value means that there is none.
    Optional,
    /// Its value is in the schema, not on the wire.
    Constant,
}

/// What a field's bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One number or character.
    Number {
        /// Its encoding.
        primitive: Primitive,
        /// The value that means "none"; not used for floating point, where it is NaN.
        null: i128,
    },
    /// Several numbers, or text when they are characters.
    Array {
        /// Encoding of each.
        primitive: Primitive,
        /// How many.
        length: u16,
    },
    /// One value of an enumeration.
    Enum(Cow<'static, Enum>),
    /// Any values of a set.
    Set(Cow<'static, Set>),
    /// Several fields under one name.
    Composite(Cow<'static, Composite>),
    /// A value of the schema's.
    Constant(Constant),
}

/// A value that the schema fixes and the wire does not carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Constant {
    /// Its encoding, were it on the wire.
    pub primitive: Primitive,
    /// The text, the digits, or the name of the enumeration's value.
    pub text: Text,
    /// The number, where it is a whole one.
    pub value: i128,
    /// The name of the enumeration it is of; empty when of none.
    pub enumeration: Text,
}

/// An enumeration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enum {
    /// Its name.
    pub name: Text,
    /// Encoding of its values.
    pub primitive: Primitive,
    /// The value that means "none".
    pub null: i128,
    /// Its values in the schema's order.
    pub values: List<ValidValue>,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
}

/// One value of an enumeration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidValue {
    /// Its name.
    pub name: Text,
    /// What stands on the wire.
    pub value: i128,
    /// The schema version that brought it.
    pub since: u16,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
}

/// A set of bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// Its name.
    pub name: Text,
    /// Encoding of the bits.
    pub primitive: Primitive,
    /// Its bits in the schema's order.
    pub choices: List<Choice>,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
}

/// One bit of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Its name.
    pub name: Text,
    /// Its place, 0 for the least significant.
    pub bit: u8,
    /// The schema version that brought it.
    pub since: u16,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
}

/// Several fields under one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Composite {
    /// Its name.
    pub name: Text,
    /// Its bytes.
    pub length: u16,
    /// Its members, by ascending offset.
    pub members: List<Field>,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
}

/// A repeating group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its name.
    pub name: Text,
    /// Its id.
    pub id: u16,
    /// The schema version that brought it.
    pub since: u16,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
    /// The composite that precedes the entries.
    pub dimensions: Text,
    /// Bytes of that composite.
    pub dimensions_length: u16,
    /// The acting length of each entry's block.
    pub block_length: Slot,
    /// How many entries follow.
    pub count: Slot,
    /// What each entry is.
    pub block: Block,
}

/// Variable-length data: a length, then that many bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Data {
    /// Its name.
    pub name: Text,
    /// Its id.
    pub id: u16,
    /// The schema version that brought it.
    pub since: u16,
    /// What the schema says of it; empty in compiled tables.
    pub description: Text,
    /// Where the length stands.
    pub length: Slot,
    /// Where the bytes begin.
    pub offset: u16,
    /// Whether the bytes are text (the schema names a character encoding, or they are characters).
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

    /// SBE's name of it.
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

    /// The primitive that SBE calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|primitive| primitive.name() == name)
    }

    /// Its bytes.
    pub const fn size(self) -> u16 {
        match self {
            Self::Char | Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float => 4,
            Self::Int64 | Self::Uint64 | Self::Double => 8,
        }
    }

    /// Whether it is floating point.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether it is a whole number below zero or above.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }

    /// The smallest and the largest whole number that fit its bytes.
    pub const fn range(self) -> (i128, i128) {
        let bits = self.size() as u32 * 8;
        if self.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
    }

    /// SBE's null value where a schema gives none: 0 for characters, the smallest signed, the largest unsigned.
    /// Floating point is null when it is NaN.
    pub const fn null(self) -> i128 {
        match self {
            Self::Char | Self::Float | Self::Double => 0,
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 => self.range().0,
            Self::Uint8 | Self::Uint16 | Self::Uint32 | Self::Uint64 => self.range().1,
        }
    }
}

impl Kind {
    /// Its bytes in a block.
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

    /// A number whose null value is SBE's for its type.
    pub const fn number(primitive: Primitive) -> Self {
        Self::Number { primitive, null: primitive.null() }
    }
}

impl Field {
    /// A field of a compiled table.
    #[expect(clippy::too_many_arguments, reason = "a table has one line a field")]
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

    /// Whether it only fills its place, as bytes called `reserved` do. They are zero.
    pub fn is_reserved(&self) -> bool {
        let is_bytes = matches!(
            self.kind,
            Kind::Array { primitive: Primitive::Uint8, .. }
                | Kind::Number { primitive: Primitive::Uint8, .. }
        );
        is_bytes && self.name.starts_with("reserved")
    }

    /// The first byte behind the field.
    pub fn end(&self) -> u16 {
        self.offset.saturating_add(self.kind.size())
    }
}

impl Block {
    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The data called `name`.
    pub fn data(&self, name: &str) -> Option<&Data> {
        self.data.iter().find(|data| data.name == name)
    }
}

impl Composite {
    /// Mantissa and exponent, when the composite is a decimal number and nothing else.
    pub(crate) fn decimal_parts(&self) -> Option<(&Field, &Field)> {
        match &*self.members {
            [mantissa, exponent] if mantissa.name == "mantissa" && exponent.name == "exponent" => {
                Some((mantissa, exponent))
            }
            _ => None,
        }
    }

    /// Whether it is a mantissa and an exponent: a decimal number.
    pub fn is_decimal(&self) -> bool {
        self.decimal_parts().is_some()
    }
}

impl ValidValue {
    /// A value of a compiled table.
    pub const fn compiled(name: &'static str, value: i128, since: u16) -> Self {
        Self { name: Cow::Borrowed(name), value, since, description: Cow::Borrowed("") }
    }
}

impl Choice {
    /// A bit of a compiled table.
    pub const fn compiled(name: &'static str, bit: u8, since: u16) -> Self {
        Self { name: Cow::Borrowed(name), bit, since, description: Cow::Borrowed("") }
    }
}

impl Enum {
    /// The name of `value`; none when the schema does not know it.
    pub fn name_of(&self, value: i128) -> Option<&str> {
        self.values.iter().find(|valid| valid.value == value).map(|valid| &*valid.name)
    }
}

impl Schema {
    /// The message of template `id`.
    pub fn message(&self, id: u16) -> Option<&Message> {
        self.messages.binary_search_by_key(&id, |message| message.id).ok().map(|index| &self.messages[index])
    }

    /// The message called `name`.
    pub fn message_named(&self, name: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.name == name)
    }
}
