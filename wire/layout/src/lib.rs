//! What a schema says, as values: every message with its fields, groups and data, and where their bytes lie.
//!
//! One model serves three readers. `stele-codegen` parses a schema text into a [`Schema`] and prints Rust from
//! it; `stele-wire` holds the same [`Schema`] as a `static`, so that one function prints any message; and an old
//! trail is read with the [`Schema`] parsed from the text that stands on it. Nothing here allocates once a
//! [`Schema`] exists, and no bytes make it panic.
#![forbid(unsafe_code)]

pub mod describe;
mod descriptions;
mod numbers;
mod reading;
mod schema;

pub use numbers::{Decimal, Utc};
pub use reading::{Array, ReadError, Reading, Value, Visitor};
pub use schema::{
    Block, ByteOrder, Choice, Composite, Constant, Data, Enum, Field, Group, Header, Kind, List, Message,
    Presence, Primitive, Schema, Set, Slot, Text, ValidValue,
};
