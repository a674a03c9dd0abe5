//! How an exchange is set up.

use super::delay::Delay;
use super::fees::FeeSchedule;
use crate::matching::{Phase, SelfTrade};

/// How an exchange is set up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaperOptions {
    /// The source that its reports name.
    pub source: u16,
    /// What executions cost.
    pub fees: FeeSchedule,
    /// Resting orders at most, of all owners together; one more is refused.
    pub open_orders_max: usize,
    /// What orders trade with.
    pub counterparty: Counterparty,
    /// What a cancel in the replayed market does to the queue ahead of an order.
    pub queue: QueueModel,
    /// What happens when an order that does not say would meet one of its own account.
    pub self_trade: SelfTrade,
    /// How long an order takes from its release to the exchange.
    pub order_delay: Delay,
    /// How long a report takes from the exchange to the sequencer.
    pub report_delay: Delay,
    /// Decides the delays.
    pub seed: u64,
    /// Phases that the exchange goes through by itself, in order of their times.
    pub schedule: Vec<ScheduledPhase>,
}

impl Default for PaperOptions {
    fn default() -> Self {
        Self {
            source: 0,
            fees: FeeSchedule::FREE,
            open_orders_max: OPEN_ORDERS_MAX,
            counterparty: Counterparty::Replayed,
            queue: QueueModel::Conservative,
            self_trade: SelfTrade::Allowed,
            order_delay: Delay::NONE,
            report_delay: Delay::NONE,
            seed: 0,
            schedule: Vec::new(),
        }
    }
}

/// Resting orders that an exchange takes unless told otherwise.
pub const OPEN_ORDERS_MAX: usize = 10_000;

/// What orders trade with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Counterparty {
    /// The market that is replayed, which never learns of them.
    #[default]
    Replayed,
    /// One another, in a book of the exchange's own.
    OwnBook,
}

/// What a cancel in the replayed market does to the queue ahead of an order at the same price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum QueueModel {
    /// Nothing: what leaves was behind, until no more is displayed than is ahead.
    #[default]
    Conservative,
    /// What leaves was ahead in the proportion of the queue that was: it shortens it by quantity × ahead ÷ displayed,
    /// rounded down.
    Proportional,
    /// What leaves was ahead exactly if the order that it belongs to stood there. Only books that are kept by order
    /// tell; others are conservative.
    ByOrder,
}

/// A phase that begins by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduledPhase {
    /// Nanoseconds after the first market event that the exchange saw.
    pub after: u64,
    /// What begins then, in every instrument.
    pub phase: Phase,
}
