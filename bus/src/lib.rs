//! The core of the bus: a ring in memory that holds the newest part of the log, the sequencer that is its
//! only writer, and the consumers that read it.
//!
//! ```text
//! Publisher ──rtrb──┐                                    ┌─> GatingConsumer  in place, never overrun
//! Publisher ──rtrb──┼─> Sequencer ─> ring ─ published ───┼─> LossyConsumer   by copy, reports what it lost
//! Publisher ──rtrb──┘   (RingWriter)                     └─> JournalReader   closed batches, for the disk
//! ```
//!
//! # How to compose a bus
//!
//! [`LogRing::create`] returns [`RingParts`]. [`Sequencer::new`] takes the writer and a [`SequencerStart`].
//! Create publishers and gating consumers with [`Sequencer::publisher`] and [`Sequencer::gating_consumer`]
//! before the sequencer moves to its [`Core`]. [`LossyConsumer::join`] needs only the ring and may be called
//! at any time.
//!
//! # What the journal uses
//!
//! [`JournalReader::bytes`] returns the bytes of closed batches in place, from `written` to `batched` of
//! [`Watermarks`]. The journal writes them and then advances `written` and `durable`. [`LogRing::memory`] is
//! the memory to register with io_uring. [`JournalReader::poison`] ends the log with a reason.
//!
//! # How a bus stops
//!
//! 1. Publishers [finish](Publisher::finish) or are dropped. [`SessionCloser::set`] makes `SessionEnd` the
//!    last event.
//! 2. [`LogRing::request_stop`] asks the sequencer to stop. It puts what it has accepted on the log, closes
//!    the last batch and sets [`RingView::is_stopped`]. From then on `batched == published` is final.
//! 3. The journal continues until `durable` has reached `published`: then everything is on disk.
//! 4. [`Core::stop`] asks each core to end, and [`Core::join`] waits for it. `join` alone waits for ever,
//!    because a core does not end when its agents have nothing left to do. A core stops its agents in reverse
//!    order.
//!
//! # Other processes
//!
//! [`LogRing::create_shared`] creates the ring in memory that another process may map read-only, with
//! [`RingView::attach`] and the memory's descriptor. [`Sequencer::remote_publisher`] returns the port at
//! which a [`RemotePublisher`] of another process connects. The crate `stele-door` passes the descriptors.
//!
//! # Modules and threads
//!
//! | module | content | thread |
//! |---|---|---|
//! | [`sequencer`], `head`, [`appender`] | the log's only writer: numbering, checks, batches | the sequencer's |
//! | [`publisher`], `submission`, `intake` | a publisher's ring: its two ends and its layout | the publisher's; the sequencer's |
//! | [`grants`] | what a publisher may submit | the sequencer's |
//! | [`consumer`], [`conflate`] | reading in place or by copy; the newest state of each instrument | the consumer's |
//! | [`ring`], `mapping`, `claims`, [`watermarks`], [`health`] | the ring's memory and its shared header | any |
//! | [`gates`] | detection of stalled consumers | any, off the hot path |
//! | [`agent`], [`core`], [`idle`] | jobs, the threads that run them in turns, and how these idle | |
//! | [`clock`], [`clock_sync`], [`timers`] | time, and the timers of strategies | the sequencer's |
//! | [`counters`] | counters in shared memory | written by their owner, read by any process |
//! | [`shared`] | memory for other processes, and publishers there | the publisher's; the sequencer's |
//! | [`session`], [`recorded`] | the events that begin and end a session; what earlier sessions recorded | any, off the hot path |
//! | [`templates`], [`refusals`], [`bounds`], [`memory`] | classes of messages, counts of refusals, bounds, locked memory | any |
//!
//! The crate `stele-embed` composes and stops a bus in two calls. Pre-trade checks are in the crate
//! `stele-risk`, feeds and forwarding in `stele-feed`, the order gateway in `stele-venue`, the journal in
//! `stele-journal`.
//!
//! Unsafe code is in `mapping` (the memory), in `ring` and `consumer` where they borrow from it, in the
//! boards of `shared`, which guarantee their layout, and in `memory` and `clock_sync` for calls of the
//! kernel. The words of the ring are atomics, so reading by copy is not a data race. loom checks the
//! protocols: `RUSTFLAGS="--cfg loom" cargo test -p stele-bus --release --lib loom`.
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
pub mod grants;
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
    grants::Grants,
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
        port::{PortError, RemotePort},
        process::{Liveness, Process},
        publisher::RemotePublisher,
    },
    submission::{FOREIGN_LENGTH_MAX, NOT_RECEIVED, Refusal},
    templates::{MessageClass, OriginFields, Template, template},
    timers::Timers,
};
