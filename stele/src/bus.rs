//! The bus: the ring that holds the newest events, the sequencer, which is its only writer, and publishers
//! and consumers, in this process and in others.
//!
//! [`LogRing::create`] returns the [`RingParts`], whose writer [`Sequencer::new`] takes. Before the sequencer
//! moves to its [`Core`], it creates [publishers](Sequencer::publisher) and [gating
//! consumers](Sequencer::gating_consumer). A [`LossyConsumer`] can join at any time. Other processes get a
//! [`RingView`] and a [`RemotePublisher`] from the bus's [door](crate::door).

pub use stele_bus::{
    Acknowledgement, Agent, AgentError, AttachError, Clock, ClockQuality, Conflated, Conflation,
    ConsumerProgress, Core, CoreError, CoreOptions, Counter, CounterError, CounterReader, Counters, Event,
    Fold, GateWatch, GatingConsumer, IdleStrategy, Invoker, JournalReader, Liveness, LogRing, LossyConsumer,
    ManualClock, MessageClass, NOT_RECEIVED, Observed, Overrun, PortError, Publisher, Refusal, RemotePort,
    RemotePublisher, RingError, RingOptions, RingParts, RingView, RingWriter, Sequencer, SequencerStart,
    SequencerStatistics, StalledConsumer, Timers, UtcClock, Watermark, Watermarks, WriterState,
};
pub use stele_bus::{bounds, counters};
