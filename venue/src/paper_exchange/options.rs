//! The options of a paper exchange.

use super::delay::Delay;
use super::fees::FeeSchedule;
use crate::matching::{Phase, SelfTrade};

/// The options of a paper exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaperOptions {
    /// The source id in its reports.
    pub source: u16,
    /// The fees of executions.
    pub fees: FeeSchedule,
    /// The most open orders, of all owners together; the exchange refuses more.
    pub open_orders_max: usize,
    /// What orders trade with.
    pub counterparty: Counterparty,
    /// What a cancel in the replayed market does to the queue ahead of an order.
    pub queue: QueueModel,
    /// What happens when an order without a self-trade mode would meet one of its own account.
    pub self_trade: SelfTrade,
    /// How long an order takes from its release to the exchange.
    pub order_delay: Delay,
    /// How long a report takes from the exchange to the sequencer.
    pub report_delay: Delay,
    /// The seed of the random parts of the delays.
    pub seed: u64,
    /// Phases that the exchange begins by itself, in order of their times.
    pub schedule: Vec<ScheduledPhase>,
    /// Whether it cancels every order of a gateway whose connection is lost.
    pub cancel_on_disconnect: bool,
    /// How it misbehaves.
    pub faults: VenueFaults,
}

/// How a venue misbehaves, so that what follows from it can be tested.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VenueFaults {
    /// It refuses so many cancels of orders that work.
    pub cancels_refused: u32,
    /// It takes requests and does nothing about them, and says nothing, until it is no longer silent.
    pub is_silent: bool,
    /// It takes no request.
    pub is_busy: bool,
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
            cancel_on_disconnect: true,
            faults: VenueFaults::default(),
        }
    }
}

/// The default of [`PaperOptions::open_orders_max`].
pub const OPEN_ORDERS_MAX: usize = 10_000;

/// What orders trade with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Counterparty {
    /// The replayed market, which they do not change.
    #[default]
    Replayed,
    /// One another, in the exchange's own book.
    OwnBook,
}

/// What a cancel in the replayed market does to the queue ahead of an order at the same price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum QueueModel {
    /// Nothing: cancelled quantity counts as queued after the order, until less is displayed than is ahead.
    #[default]
    Conservative,
    /// It shortens the queue in proportion: by quantity × ahead ÷ displayed, rounded down.
    Proportional,
    /// It shortens the queue exactly if the cancelled order was ahead. This needs a book that is kept by
    /// order; other books use the conservative model.
    ByOrder,
}

/// A phase that begins at a set time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduledPhase {
    /// Nanoseconds after the first market event that the exchange received.
    pub after: u64,
    /// The phase that begins then, in every instrument.
    pub phase: Phase,
}
