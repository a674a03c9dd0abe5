//! What is said: the frame every event travels in, the SBE messages inside it, and the units they are in.
//!
//! Nothing here owns a thread, reads a clock or allocates; everything is a view over bytes or a plain value.
//! The schema is `wire/schema/stele.xml`; the modules below [`messages`] are generated from it by
//! `stele-codegen` and committed.
#![forbid(unsafe_code)]

pub mod bounds;
pub mod frame;
pub mod units;

pub use frame::{Frame, FrameError, FrameHeader, Identity, Seed};
pub use units::{Epoch, Nanos, Position, Price, Quantity, Sequence, ShardId, TrailId};
