//! The wire format: the frame of every event, the SBE messages inside it, and their units.
//!
//! Everything here is a view over bytes or a plain value; nothing owns a thread, reads a clock or allocates.
//! The schema is `wire/schema/stele.xml`. `stele-codegen` generates the modules in [`messages`] from it, and
//! they are committed. [`layout`] has the same schema as values, with which [`describe`] prints any message.
#![deny(unsafe_code)]

pub mod bounds;
#[forbid(unsafe_code)]
pub mod codec;
mod crc;
pub mod frame;
mod items;
#[forbid(unsafe_code)]
pub mod messages;
pub mod units;

pub use frame::{Frame, FrameError, FrameHeader, Identity, Seed};
pub use stele_layout as layout;
pub use stele_layout::describe;
pub use units::{Epoch, Nanos, Position, Price, Quantity, Sequence, ShardId, TrailId};

/// The text of the schema from which this code was generated. Every trail contains it.
pub const SCHEMA_TEXT: &str = include_str!("../schema/stele.xml");
