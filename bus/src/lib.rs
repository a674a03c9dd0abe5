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
pub mod agent;
#[cfg(not(loom))]
pub mod appender;
#[cfg(not(loom))]
pub mod clock;
#[cfg(not(loom))]
pub mod consumer;
#[cfg(not(loom))]
pub mod core;
#[cfg(not(loom))]
pub mod counters;
#[cfg(not(loom))]
pub mod feed;
#[cfg(not(loom))]
pub mod gateway;
#[cfg(not(loom))]
mod head;
#[cfg(not(loom))]
pub mod health;
#[cfg(not(loom))]
pub mod idle;
#[cfg(not(loom))]
mod mapping;
#[cfg(not(loom))]
pub mod player;
#[cfg(not(loom))]
pub mod publisher;
#[cfg(not(loom))]
pub mod ring;
#[cfg(not(loom))]
pub mod risk;
#[cfg(not(loom))]
pub mod sequencer;
#[cfg(not(loom))]
pub mod templates;

pub use watermarks::{Watermark, Watermarks};
#[cfg(not(loom))]
pub use {
    agent::{Agent, AgentError, Invoker},
    appender::{Appender, Geometry, GeometryError},
    clock::{Clock, ClockStatus, ManualClock, UtcClock},
    consumer::{Event, GatingConsumer, LossyConsumer, Observed},
    core::{Core, CoreError, CoreOptions, allowed_cpus},
    counters::{Counter, CounterError, Counters, Reading},
    gateway::{OrderGateway, ReleaseQueue, Venue, VenueBusy},
    health::Behind,
    idle::{Idle, Idler},
    publisher::{NOT_RECEIVED, Publisher, Refusal},
    ring::{JournalReader, LogRing, RingError, RingOptions, RingParts, RingWriter, SealMark},
    risk::{Breach, OrderTerms, Risk, RiskLimits},
    sequencer::{Sequencer, SequencerStart, SequencerStatistics},
    templates::{Class, Template, template},
};
