//! The order of things: agents on pinned cores, the ring that the log's tail lies in, the sequencer that is its
//! only writer, and everyone who follows it.
//!
//! What the journal needs: [`LogRing::create`] gives [`RingParts`]. Its [`JournalReader`] lends the bytes of closed
//! batches in place ([`JournalReader::bytes`], `[written .. batched)` of [`Watermarks`]) and moves `written` and
//! `durable`; [`LogRing::memory`] is what to register with io_uring; [`JournalReader::poison`] ends it all with a
//! reason. At the end the sequencer sets [`LogRing::is_stopped`]: `batched == published` is then final.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

pub mod bounds;
mod claims;
mod sync;
pub mod watermarks;

#[cfg(not(loom))]
pub mod health;
#[cfg(not(loom))]
mod mapping;
#[cfg(not(loom))]
pub mod ring;

#[cfg(not(loom))]
pub use health::Behind;
#[cfg(not(loom))]
pub use ring::{JournalReader, LogRing, RingError, RingOptions, RingParts, RingWriter, SealMark};
pub use watermarks::{Watermark, Watermarks};
