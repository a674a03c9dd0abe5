//! The order of things: the ring that the newest events are in, the sequencer that is its only writer,
//! publishers and consumers, in this process and in others.
//!
//! [`LogRing::create`] gives the [`RingParts`]; [`Sequencer::new`] takes the writer of them and gives out the
//! ends of [publishers](Sequencer::publisher) and [gating consumers](Sequencer::gating_consumer) before it
//! moves to its [`Core`]. A [`LossyConsumer`] joins at any time. Other processes map the ring with
//! [`RingView::attach`] and publish through a [`RemotePublisher`].

pub use stele_bus::{
    Acknowledgement, Agent, AgentError, AttachError, BusDirectory, Clock, ClockQuality, Conflated,
    Conflation, ConsumerProgress, Core, CoreError, CoreOptions, Counter, CounterError, CounterReader,
    Counters, DirectoryError, Event, Fold, FoundBus, GateWatch, GatingConsumer, IdleStrategy, Invoker,
    JoinError, JournalReader, LogRing, LossyConsumer, ManualClock, MessageClass, NOT_RECEIVED, Observed,
    Overrun, Publisher, Refusal, RemotePublisher, RingError, RingOptions, RingParts, RingView, RingWriter,
    Sequencer, SequencerStart, SequencerStatistics, ShardDirectory, StalledConsumer, Timers, UtcClock,
    Watermark, Watermarks, WriterState,
};
pub use stele_bus::{bounds, counters};
