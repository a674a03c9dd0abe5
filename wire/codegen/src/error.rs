//! The errors of the parser (where the fault is, what it is, and how to correct it) and of the generator.

use std::fmt;

/// The first fault in a schema text, and where it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct SchemaError {
    /// The included file that has the fault; `None` for the schema's own text.
    pub file: Option<String>,
    /// The line of the faulty element, from 1.
    pub line: u32,
    /// What is wrong.
    pub fault: SchemaFault,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}, line {}: {}", self.line, self.fault),
            None => write!(f, "line {}: {}", self.line, self.fault),
        }
    }
}

/// What is wrong with a schema.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants")]
pub enum SchemaFault {
    #[error("this is not well-formed XML: {0}")]
    Xml(String),
    #[error("the root element is <{0}>: give a file whose root is <messageSchema>")]
    NotASchema(String),
    #[error("included file {0:?} could not be read: put it beside the schema")]
    Include(String),
    #[error("files include one another more than {0} times: break the cycle")]
    IncludeCircle(usize),
    #[error("<{element}> has no {attribute}: write {attribute}=\"…\"")]
    Missing { element: String, attribute: &'static str },
    #[error("{attribute}=\"{found}\" is impossible: write {expected}")]
    Attribute { attribute: String, found: String, expected: String },
    #[error("{0:?} is not a name: use letters, digits and _, and do not begin with a digit")]
    Name(String),
    #[error("there are two {what} {name:?}: rename or renumber one")]
    Duplicate { what: &'static str, name: String },
    #[error("no type is called {0:?}: declare it under <types>, or correct the spelling")]
    UnknownType(String),
    #[error("{name:?} is {found}: {needed} is needed here")]
    WrongType { name: String, found: &'static str, needed: &'static str },
    #[error("type {0:?} contains itself: remove one reference of the cycle")]
    TypeCircle(String),
    #[error("constant {0:?} has no value: write it between the tags, or give the field a valueRef")]
    NoConstant(String),
    #[error("valueRef {0:?} names no value: write Enumeration.Value")]
    ValueRef(String),
    #[error("value {value:?} of {name:?} does not fit {primitive}: choose a wider type")]
    DoesNotFit { name: String, value: String, primitive: &'static str },
    #[error("value {value:?} of {name:?} is its null value: give it another number")]
    NullIsAValue { name: String, value: String },
    #[error("{name:?} begins at {offset}, inside what ends at {end}: move it to {end} or later")]
    Overlap { name: String, offset: u16, end: u16 },
    #[error("blockLength {found} of {name:?} is shorter than its fields: write {needed} or more")]
    BlockLength { name: String, found: u16, needed: u16 },
    #[error("{0:?} is longer than 65,535 bytes: make it shorter, or declare it as <data>")]
    TooLong(String),
    #[error("{name:?} comes after {before}: the order is fields, groups, data")]
    Order { name: String, before: &'static str },
    #[error("numInGroup of {0:?} can exceed 2^31 - 1: give it maxValue=\"2147483647\" or a narrower type")]
    GroupCount(String),
    #[error(
        "sinceVersion {since} of {name:?} is later than the schema's version {version}: raise the schema's"
    )]
    Since { name: String, since: u16, version: u16 },
    #[error("groups or composites are nested deeper than {0}: flatten them")]
    TooDeep(usize),
}

/// Why Rust cannot be generated from a valid schema.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodegenError {
    /// Two types would have the same name in Rust.
    #[error("two Rust types would be called {0}: rename one in the schema")]
    SameName(String),
    /// The length of variable-length data is not directly before the bytes, or has 64 bits.
    #[error("data {0}: its length must have 8, 16 or 32 bits and be directly before the bytes")]
    Data(String),
    /// A group's block length or number of entries has 64 bits.
    #[error("group {0}: its dimensions have 64 bits: give them narrower types")]
    Dimensions(String),
    /// Two members of one type would have the same name in Rust.
    #[error("two members of {0} would have the same name in Rust: rename one")]
    Member(String),
}
