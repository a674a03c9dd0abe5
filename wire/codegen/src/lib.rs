//! Parses SBE schemas into a [`stele_layout::Schema`] and generates Rust from them.
//!
//! `cargo run -p stele-codegen -- wire/schema/stele.xml wire/src/messages` regenerates the project's codecs.
//! The same [`parse`] reads the schema text of an old trail, which is on the trail itself.
//!
//! The schemas are those of the FIX Simple Binary Encoding, version 1.0.
//!
//! ```
//! let text = r#"<messageSchema package="sensors" id="7" version="0">
//!     <types>
//!         <composite name="messageHeader">
//!             <type name="blockLength" primitiveType="uint16"/>
//!             <type name="templateId" primitiveType="uint16"/>
//!             <type name="schemaId" primitiveType="uint16"/>
//!             <type name="version" primitiveType="uint16"/>
//!         </composite>
//!     </types>
//!     <message name="Temperature" id="1">
//!         <field name="sensor" id="1" type="uint32"/>
//!         <field name="milliKelvin" id="2" type="uint32"/>
//!     </message>
//! </messageSchema>"#;
//! let schema = stele_codegen::parse(text, |_include| None)?;
//! assert_eq!(schema.message(1).unwrap().block.length, 8);
//!
//! let files = stele_codegen::generate(&schema, stele_codegen::CodegenOptions::FOREIGN)?;
//! let (_, source) = files.iter().find(|(name, _)| name == "messages.rs").unwrap();
//! assert!(source.contains("pub struct Temperature {"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod blocks;
mod emit;
mod error;
mod names;
mod options;
mod parse;
mod rust;
mod tables;
mod tails;
mod types;

pub use emit::generate;
pub use error::{CodegenError, SchemaError, SchemaFault};
pub use options::CodegenOptions;
pub use parse::parse;
