//! The bus: the ring that holds the newest events, the sequencer, which is its only writer, and publishers
//! and consumers, in this process and in others.
//!
//! [`LogRing::create`] returns the [`RingParts`], whose writer [`Sequencer::new`] takes. Before the sequencer
//! moves to its [`Core`], it creates [publishers](Sequencer::publisher) and [gating
//! consumers](Sequencer::gating_consumer). A [`LossyConsumer`] can join at any time. Other processes map the
//! ring with [`RingView::attach`] and publish with a [`RemotePublisher`].

pub use stele_bus::{
    Acknowledged, Agent, AgentError, AttachError, BusDirectory, Class, Clock, ClockStatus, Conflated,
    Conflation, ConsumerProgress, Core, CoreError, CoreOptions, Counter, CounterError, CounterReader,
    Counters, DirectoryError, Event, Fold, FoundBus, GateWatch, GatingConsumer, Idle, Invoker, JoinError,
    JournalReader, LogRing, LossyConsumer, ManualClock, NOT_RECEIVED, Observed, Overrun, Publisher, Refusal,
    RemotePublisher, RingError, RingOptions, RingParts, RingView, RingWriter, Sequencer, SequencerStart,
    SequencerStatistics, ShardDirectory, Stuck, Timers, UtcClock, Watermark, Watermarks, WriterState,
};
pub use stele_bus::{bounds, counters};
