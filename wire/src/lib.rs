//! What is said: the frame every event travels in, the SBE messages inside it, and the units they are in.
//!
//! Nothing here owns a thread, reads a clock or allocates; everything is a view over bytes or a plain value.
//! The schema is `wire/schema/stele.xml`; the modules below [`messages`] are generated from it by
//! `stele-codegen` and committed. [`layout`] is the same schema as values, by which [`describe`] prints any
//! message.
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

/// The text of the schema that this code was generated from, as it is put on every trail.
pub const SCHEMA_TEXT: &str = include_str!("../schema/stele.xml");
