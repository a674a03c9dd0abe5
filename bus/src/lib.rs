//! The order of things: a ring of memory that holds the newest part of the log, the sequencer that is its
//! only writer, and the consumers that read it.
//!
//! ```text
//! Publisher ──rtrb──┐                                    ┌─> GatingConsumer   in place, never overrun
//! Publisher ──rtrb──┼─> Sequencer ─> ring ─ published ───┼─> LossyConsumer    by copy, learns what it lost
//! Publisher ──rtrb──┘   (RingWriter)                     └─> JournalReader    closed batches, written, durable
//! ```
//!
//! # How a bus is put together
//!
//! [`LogRing::create`] gives [`RingParts`]. [`Sequencer::new`] takes the writer and a [`SequencerStart`].
//! [`Sequencer::publisher`] and [`Sequencer::gating_consumer`] give out the ends before the sequencer moves
//! to its [`Core`]. [`LossyConsumer::join`] needs the ring alone and may be called at any time.
//!
//! # What the journal needs
//!
//! [`JournalReader`] lends the bytes of closed batches in place ([`JournalReader::bytes`], from `written` to
//! `batched` of [`Watermarks`]) and moves `written` and `durable`. [`LogRing::memory`] is what to register
//! with io_uring. [`JournalReader::poison`] ends the log with a reason.
//!
//! # How a bus stops
//!
//! 1. Publishers [finish](Publisher::finish) or are dropped. [`SessionCloser::set`] makes `SessionEnd` the
//!    last event.
//! 2. [`LogRing::request_stop`] asks the sequencer to stop. It puts what it has accepted on the log, closes
//!    the last batch and sets [`RingView::is_stopped`]. From then on `batched == published` is final.
//! 3. The journal goes on until `durable` has reached `published`: then everything is on disk.
//! 4. [`Core::stop`] asks each core to end, and [`Core::join`] waits for it. `join` alone waits for ever,
//!    because a core does not end when its agents have nothing left to do. A core stops its agents in reverse
//!    order.
//!
//! # What other processes see and do
//!
//! [`BusDirectory`] gives files their places, [`LogRing::create_at`] puts the ring in one,
//! [`RingView::attach`] maps it to read, and [`Sequencer::remote_publisher`] makes a place that a
//! [`RemotePublisher`] takes.
//!
//! # Modules and threads
//!
//! | module | what is in it | which thread runs it |
//! |---|---|---|
//! | [`sequencer`], `head`, [`appender`] | the log's only writer: numbering, checks, batches | the sequencer's |
//! | [`publisher`], `submission`, `intake` | a publisher's ring: its two ends, and what lies in it | the publisher's; the sequencer's |
//! | [`consumer`], [`conflate`] | reading in place, by copy, and the newest state of each instrument | the consumer's |
//! | [`ring`], `mapping`, `claims`, [`watermarks`], [`health`] | the memory of the log and what everybody reads of it | any |
//! | [`gates`] | which gating consumer does not move | one that watches, off the hot path |
//! | [`agent`], [`core`], [`idle`] | jobs, the threads that run them in turns, and what they do without work | |
//! | [`clock`], [`clock_sync`], [`timers`] | time, and the timers of strategies | the sequencer's |
//! | [`counters`] | counters in shared memory | written by their owner, read by any process |
//! | [`shared`] | the files of a bus and the publishers of other processes | theirs; the sequencer's |
//! | [`session`], [`recorded`] | what a session begins and ends with; what earlier ones left on the log | any, off the hot path |
//! | [`templates`], [`refusals`], [`bounds`], [`memory`] | class of each message, counted refusals, bounds, locked memory | any |
//!
//! The crate `stele-embed` does all of this in two calls. Pre-trade checks are in the crate `stele-risk`, feeds
//! and forwarding in `stele-feed`, the order gateway in `stele-venue`, the journal in `stele-journal`.
//!
//! Unsafe code is in `mapping` (the memory), in `ring` and `consumer` where they borrow from it, and in the
//! boards of `shared`, which promise their layout. The words of the ring are atomics, so that reading by copy
//! is not a data race; loom checks the protocols:
//! `RUSTFLAGS="--cfg loom" cargo test -p stele-bus --release --lib loom`.
#![deny(unsafe_code)]
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
pub mod gates;
#[cfg(not(loom))]
mod head;
#[cfg(not(loom))]
pub mod health;
#[cfg(not(loom))]
pub mod idle;
#[cfg(not(loom))]
mod intake;
#[cfg(not(loom))]
mod mapping;
#[cfg(not(loom))]
pub mod memory;
#[cfg(not(loom))]
pub mod publisher;
#[cfg(not(loom))]
pub mod recorded;
#[cfg(not(loom))]
pub mod refusals;
#[cfg(not(loom))]
pub mod ring;
#[cfg(not(loom))]
pub mod sequencer;
#[cfg(not(loom))]
pub mod session;
pub mod shared;
#[cfg(not(loom))]
mod submission;
#[cfg(not(loom))]
pub mod templates;
#[cfg(not(loom))]
pub mod timers;

pub use watermarks::{Watermark, Watermarks};
#[cfg(not(loom))]
pub use {
    agent::{Agent, AgentError, Invoker},
    appender::{Appender, Geometry, GeometryError},
    clock::{Clock, ClockQuality, ManualClock, UtcClock},
    conflate::{Conflated, Conflation, Fold, TooManyInstruments},
    consumer::{ConsumerProgress, Event, GatingConsumer, LossyConsumer, Observed, Overrun},
    core::{Core, CoreError, CoreOptions, DutyCycleTimes, DutyCycles, allowed_cpus, set_affinity},
    counters::{Counter, CounterError, CounterLabels, CounterReader, Counters, Histogram},
    gates::{GateWatch, StalledConsumer},
    head::SequencerStart,
    health::Backpressure,
    idle::{IdleStrategy, Idler},
    publisher::{Acknowledgement, Publisher},
    recorded::{RecordedNumbers, RecordedSchemas},
    refusals::Refusals,
    ring::{
        AttachError, JournalReader, LogRing, RingError, RingOptions, RingParts, RingView, RingWriter,
        SealMark, WriterState,
    },
    sequencer::{Sequencer, statistics::SequencerStatistics},
    session::{ControlError, ControlPublisher, EventSink, SessionBeginning, SessionCloser},
    shared::{
        directory::{BusDirectory, DirectoryError, FoundBus, ShardDirectory},
        process::Process,
        publisher::{JoinError, RemotePublisher},
    },
    submission::{FOREIGN_LENGTH_MAX, NOT_RECEIVED, Refusal},
    templates::{MessageClass, Template, template},
    timers::Timers,
};
