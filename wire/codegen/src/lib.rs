//! SBE schemas: read into a [`stele_layout::Schema`], printed as Rust for `stele-wire`.
//!
//! `cargo run -p stele-codegen -- wire/schema/stele.xml wire/src/messages` writes the project's codecs anew. The
//! same [`parse`] reads the schema text that stands on an old trail.
#![forbid(unsafe_code)]

mod emit;
mod error;
mod names;
mod parse;
mod rust;
mod tables;
mod tails;
mod types;

pub use emit::{GenerateError, Options, generate};
pub use error::{Fault, SchemaError};
pub use parse::parse;
