//! The order of things: agents on pinned cores, the ring that the log's tail lies in, the sequencer that is its
//! only writer, and everyone who follows it.
//!
//! ```text
//! Publisher ──rtrb──┐                                    ┌─> GatingConsumer   in place, never overrun
//! Publisher ──rtrb──┼─> Sequencer ─> ring ─ published ───┼─> LossyConsumer    by copy, told what it lost
//! Publisher ──rtrb──┘   (RingWriter)                     ├─> OrderGateway     lets orders go when durable
//!                                                        └─> JournalReader    closed batches, written, durable
//! ```
//!
//! How a bus is put together: [`LogRing::create`] gives [`RingParts`], [`Sequencer::new`] takes the writer and a
//! [`SequencerStart`], [`Sequencer::publisher`] and [`Sequencer::gating_consumer`] give the ends out before the
//! sequencer moves to its [`Core`]. [`LossyConsumer::join`] needs the ring alone and comes at any time.
//!
//! What the journal needs: [`JournalReader`] lends the bytes of closed batches in place
//! ([`JournalReader::bytes`], `[written .. batched)` of [`Watermarks`]) and moves `written` and `durable`;
//! [`LogRing::memory`] is what to register with io_uring; [`JournalReader::poison`] ends it all with a reason.
//!
//! How a bus stops: publishers [finish](Publisher::finish) or are dropped, someone calls
//! [`LogRing::request_stop`], the sequencer puts on the log what it has accepted, closes the last batch and sets
//! [`RingView::is_stopped`]. From then on `batched == published` is final, and everything is on disk when
//! `durable` has reached it.
//!
//! What other processes see and do: [`BusDirectory`] gives files their places, [`LogRing::create_at`] puts the ring in one,
//! [`RingView::attach`] maps it to read, [`Sequencer::remote_publisher`] makes a place that a [`RemotePublisher`] takes.
//!
//! Unsafe code is in `mapping` (the memory), in `ring` and `consumer` where they borrow from it, and in the boards of
//! `shared`, which promise their layout. The words of the ring are atomics, so that reading by copy is no data race;
//! loom checks the protocols:
//! `RUSTFLAGS="--cfg loom" cargo test -p stele-bus --release --lib loom`.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
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
mod cancels;
#[cfg(not(loom))]
pub mod clock;
#[cfg(not(loom))]
pub mod clock_sync;
#[cfg(not(loom))]
pub mod conflate;
#[cfg(not(loom))]
pub mod consumer;
#[cfg(not(loom))]
pub mod core;
#[cfg(not(loom))]
pub mod counters;
#[cfg(not(loom))]
pub mod doubt;
#[cfg(not(loom))]
pub mod feed;
#[cfg(not(loom))]
pub mod forward;
#[cfg(not(loom))]
pub mod gates;
#[cfg(not(loom))]
pub mod gateway;
#[cfg(not(loom))]
mod head;
#[cfg(not(loom))]
pub mod health;
#[cfg(not(loom))]
pub mod idle;
#[cfg(not(loom))]
mod instruments;
#[cfg(not(loom))]
mod mapping;
#[cfg(not(loom))]
pub mod memory;
#[cfg(not(loom))]
pub mod player;
#[cfg(not(loom))]
pub mod publisher;
#[cfg(not(loom))]
pub mod recorded;
#[cfg(not(loom))]
pub mod refusals;
#[cfg(not(loom))]
pub mod ring;
#[cfg(not(loom))]
pub mod risk;
#[cfg(not(loom))]
pub mod router;
#[cfg(not(loom))]
pub mod sequencer;
#[cfg(not(loom))]
pub mod session;
pub mod shared;
#[cfg(not(loom))]
mod state;
#[cfg(not(loom))]
pub mod templates;
#[cfg(not(loom))]
pub mod timers;

pub use watermarks::{Watermark, Watermarks};
#[cfg(not(loom))]
pub use {
    agent::{Agent, AgentError, Invoker},
    appender::{Appender, Geometry, GeometryError},
    clock::{Clock, ClockStatus, ManualClock, UtcClock},
    conflate::{Conflated, Conflation, Fold, TooManyInstruments},
    consumer::{ConsumerProgress, Event, GatingConsumer, LossyConsumer, Observed, Overrun},
    core::{Core, CoreError, CoreOptions, TurnTimes, Turns, allowed_cpus, keep_to},
    counters::{Counter, CounterError, CounterReader, Counters, Histogram, Place},
    doubt::{Answer, InDoubt},
    gates::{GateWatch, Stuck},
    gateway::{OrderGateway, ReleaseQueue, Venue, VenueBusy},
    health::Behind,
    idle::{Idle, Idler},
    publisher::{Acknowledged, FOREIGN_LENGTH_MAX, NOT_RECEIVED, Publisher, Refusal},
    recorded::{RecordedNumbers, RecordedSchemas},
    refusals::Refusals,
    ring::{
        AttachError, JournalReader, LogRing, RingError, RingOptions, RingParts, RingView, RingWriter,
        SealMark, WriterState,
    },
    risk::{Breach, OrderKind, OrderTerms, Risk, RiskLimits, WorkingOrder},
    sequencer::{Sequencer, SequencerStart, SequencerStatistics},
    session::{ControlError, ControlPublisher, EventSink, SessionBeginning, SessionCloser},
    shared::{
        directory::{BusDirectory, DirectoryError, FoundBus, ShardDirectory},
        process::Process,
        publisher::{JoinError, RemotePublisher},
    },
    templates::{Class, Template, template},
    timers::Timers,
};
