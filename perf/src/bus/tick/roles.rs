//! The roles of the load: ticks, a strategy, a witness on the sequencer's thread, and a venue.

use super::super::load::Stopwatch;
use super::{RATE, Seen};
use crate::Percentiles;
use crate::arrivals::Arrivals;
use crate::bus::checks::REFERENCE;
use crate::figure::latency_histogram;
use crate::journal::ScenarioError;
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use stele_bus::{Agent, AgentError, Event, GatingConsumer, Publisher};
use stele_strategies::parameters::{Parameter, Parameters};
use stele_strategies::registry::StrategyKind;
use stele_strategies::{Context, Order, RestoreError, Strategy};
use stele_venue::{Venue, VenueBusy};
use stele_wire::messages::{
    NewOrder, OrderCancelled, OrderRejected, OrderStatus, ReleaseWatermark, RiskDecision, Side, Trade,
};
use stele_wire::{Frame, Nanos, Price, Quantity};

/// The number of ticks per order.
pub(super) const EVERY: u64 = 100;
/// The delay between the start of the threads and the first arrival.
const SETTLING: Duration = Duration::from_millis(20);
/// The maximum number of ticks that are published in one turn.
const BURST: usize = 64;
/// The maximum number of events that the witness reads in one turn.
const POLL_MAX: usize = 256;

/// The results that the threads of a run share with the thread that waits for them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) ticks: AtomicU64,
    pub(super) is_over: AtomicBool,
    pub(super) released: AtomicU64,
    refused: AtomicU64,
    sequenced: OnceLock<Percentiles>,
    left: OnceLock<Percentiles>,
}

impl Tally {
    /// Returns the latencies, once every thread has ended.
    pub(super) fn seen(&self) -> Result<Seen, ScenarioError> {
        let refused = self.refused.load(Ordering::Relaxed);
        if refused > 0 {
            return Err(
                io::Error::other(format!("the risk checks refused {refused} orders or limits")).into()
            );
        }
        match (self.sequenced.get(), self.left.get()) {
            (Some(sequenced), Some(released)) => Ok(Seen { sequenced: *sequenced, released: *released }),
            _ => Err(io::Error::other("a thread reported no results").into()),
        }
    }
}

/// Publishes the ticks that are due.
pub(super) struct Ticks {
    publisher: Publisher,
    arrivals: Arrivals,
    end: Duration,
    watch: Stopwatch,
    tick: Trade,
    sent: u64,
    tally: Arc<Tally>,
}

impl Ticks {
    pub(super) fn new(
        publisher: Publisher,
        arrivals: Arrivals,
        end: Duration,
        watch: Stopwatch,
        tally: Arc<Tally>,
    ) -> Self {
        debug_assert!(end.as_secs_f64() * RATE >= EVERY as f64);
        let tick = Trade {
            instrument: 1.into(),
            price: REFERENCE.into(),
            quantity: 1.into(),
            source: 1.into(),
            ..Trade::NULL
        };
        Self { publisher, arrivals, end, watch, tick, sent: 0, tally }
    }
}

impl Agent for Ticks {
    fn name(&self) -> &str {
        "ticks"
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let mut count = 0;
        while count < BURST && self.arrivals.next_due() < self.end {
            let due = (SETTLING + self.arrivals.next_due()).as_nanos() as u64;
            self.tick.venue_time.set(due);
            if due > self.watch.now() || self.publisher.offer_message(&self.tick, Nanos(1)).is_err() {
                return Ok(count);
            }
            self.arrivals.take();
            self.sent += 1;
            count += 1;
        }
        if count == 0 && !self.tally.is_over.load(Ordering::Relaxed) {
            self.tally.ticks.store(self.sent, Ordering::Relaxed);
            self.tally.is_over.store(true, Ordering::Relaxed);
        }
        Ok(count)
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.publisher.finish();
        Ok(())
    }
}

/// A strategy that sends an order for every hundredth tick; the order carries the time when the tick was due.
pub(super) const KIND: StrategyKind = StrategyKind {
    name: "every-hundredth-tick",
    about: "sends an order for every hundredth trade",
    parameters: &[Parameter::choice(
        "release",
        &["durable", "written", "published"],
        "the watermark that its orders wait for",
    )],
    make: |parameters| Ok(Box::new(EveryHundredth::new(parameters))),
};

struct EveryHundredth {
    release: ReleaseWatermark,
    ticks: u64,
    orders: u64,
    /// Ticks whose orders wait for an open order to end, because the maximum is reached.
    unsent: VecDeque<u64>,
}

impl EveryHundredth {
    fn new(parameters: &Parameters) -> Self {
        let release = match parameters.text("release") {
            "published" => ReleaseWatermark::PUBLISHED,
            "written" => ReleaseWatermark::WRITTEN,
            _ => ReleaseWatermark::DURABLE,
        };
        Self { release, ticks: 0, orders: 0, unsent: VecDeque::with_capacity(1 << 16) }
    }

    /// Returns an order that differs from all others in the window of the duplicate check.
    fn order(&self, due: u64) -> Order {
        let number = self.orders as i64;
        let (quantity, price) =
            (Quantity(1 + self.orders % 100), Price(REFERENCE - 1 - number % 97 * 1_000_000));
        Order::limit(1, Side::BUY, quantity, price)
            .linked(due)
            .with(|block| block.release_watermark = self.release)
    }
}

impl Strategy for EveryHundredth {
    fn on_event(&mut self, event: &Frame<'_>, context: &mut Context<'_>) {
        if let Some(tick) = event.message::<Trade>() {
            self.ticks += 1;
            if self.ticks.is_multiple_of(EVERY) {
                self.unsent.push_back(tick.venue_time.get());
            }
        }
        while let Some(due) = self.unsent.front() {
            if context.send(self.order(*due)).is_none() {
                break;
            }
            self.orders += 1;
            self.unsent.pop_front();
        }
    }

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

/// Reads the clock when an order has been published on the log.
pub(super) struct Witness {
    consumer: GatingConsumer,
    watch: Stopwatch,
    seen: Histogram<u64>,
    tally: Arc<Tally>,
}

impl Witness {
    pub(super) fn new(consumer: GatingConsumer, watch: Stopwatch, tally: Arc<Tally>) -> Self {
        Self { consumer, watch, seen: latency_histogram(), tally }
    }
}

impl Agent for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let Self { consumer, watch, seen, tally } = self;
        let count = consumer.poll(POLL_MAX, |event| {
            let frame = event.frame();
            match frame.template_id() {
                NewOrder::TEMPLATE_ID => {
                    let due = frame.message::<NewOrder>().map_or(0, |order| order.strategy_link_id.get());
                    seen.saturating_record(watch.now().saturating_sub(due).max(1));
                }
                OrderRejected::TEMPLATE_ID | RiskDecision::TEMPLATE_ID => {
                    tally.refused.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
        });
        Ok(count)
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.tally.sequenced.get_or_init(|| (&self.seen).into());
        Ok(())
    }
}

/// A venue that reports the end of each order at once.
pub(super) struct Exchange {
    publisher: Publisher,
    watch: Stopwatch,
    seen: Histogram<u64>,
    tally: Arc<Tally>,
}

impl Exchange {
    pub(super) fn new(publisher: Publisher, watch: Stopwatch, tally: Arc<Tally>) -> Self {
        Self { publisher, watch, seen: latency_histogram(), tally }
    }
}

impl Venue for Exchange {
    fn submit(&mut self, order: Event<'_>, _: Nanos) -> Result<(), VenueBusy> {
        let frame = order.frame();
        let sent = frame.message::<NewOrder>().expect("the strategy sends only new orders");
        let end = OrderCancelled {
            instrument: sent.instrument,
            venue_sequence: 0.into(),
            source: 2.into(),
            side: sent.side,
            client_order_id: sent.client_order_id,
            venue_order_id: sent.client_order_id,
            order_sequence: order.sequence().0.into(),
            account: sent.account,
            strategy: sent.strategy,
            leaves_quantity: 0.into(),
            cumulative_quantity: 0.into(),
            status: OrderStatus::DONE,
            ..OrderCancelled::NULL
        };
        let released = self.watch.now();
        self.publisher.offer_message(&end, Nanos(1)).map_err(|_| VenueBusy)?;
        self.seen.saturating_record(released.saturating_sub(sent.strategy_link_id.get()).max(1));
        self.tally.released.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.tally.left.get_or_init(|| (&self.seen).into());
    }
}
