//! An SBE schema as values: every message with its fields, groups and data, and the offsets of their bytes.
//!
//! The same model has three uses. `stele-codegen` parses a schema's text into a [`Schema`] and generates Rust
//! from it. `stele-wire` has the project's [`Schema`] as a `static`, with which one function prints any
//! message. A trail that an older version wrote is read with the [`Schema`] of the text on that trail.
//! Nothing here allocates once a [`Schema`] exists, and no bytes cause a panic.
#![forbid(unsafe_code)]

pub mod describe;
mod descriptions;
mod numbers;
mod reading;
mod schema;

pub use numbers::{Decimal, Utc};
pub use reading::{Array, MessageReader, ReadError, Value, Visitor};
pub use schema::{
    BlockLayout, ByteOrder, Choice, Composite, Constant, Data, Enum, Field, GroupLayout, Header, Kind, List,
    MessageLayout, Presence, Primitive, Schema, Set, Slot, Text, ValidValue,
};
