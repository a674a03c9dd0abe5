//! The order gateway: an order leaves the host when its release watermark has passed.
//!
//! The gateway reads ahead of the watermark and keeps the positions of the orders that it saw. The orders
//! themselves stay on the ring, protected by the gateway's own gate. Orders leave in the order of the log.
//! After a restart nothing leaves before the venue was asked about every order [in doubt](OrderInDoubt).

use crate::bounds::{GATEWAY_SCAN_MAX, RELEASE_QUEUE_MAX};
use crate::counters::GatewayCounters;
use crate::doubt::{ANSWER_LENGTH_MAX, OrderInDoubt, Reconciliation};
use std::collections::VecDeque;
use stele_bus::{
    Agent, AgentError, Class, Clock, CounterError, Counters, Event, GatingConsumer, NOT_RECEIVED, Publisher,
    Refusal, Watermark, Watermarks, template,
};
use stele_wire::messages::{
    CancelOrder, MassCancel, NewOrder, OrderReleased, Quote, ReleaseWatermark, ReplaceOrder,
};
use stele_wire::{Nanos, Position, Sequence};

/// Where released orders go.
pub trait Venue: Send {
    /// Takes one order, replacement, cancel or quote that leaves the host at `now`.
    ///
    /// # Errors
    /// [`VenueBusy`]: the gateway offers the same event again in its next duty cycle, and nothing after it.
    fn submit(&mut self, order: Event<'_>, now: Nanos) -> Result<(), VenueBusy>;

    /// Returns the state of an order that an earlier session left open. The gateway asks about each such
    /// order until it is answered, before it submits anything. By then the venue must have reported what
    /// happened to the order since. The default suits a venue that loses its orders with the process: every
    /// order is unknown.
    ///
    /// # Errors
    /// [`VenueBusy`]: the gateway asks again in its next duty cycle, and submits nothing before that.
    fn reconcile(&mut self, order: &OrderInDoubt, now: Nanos) -> Result<Reconciliation, VenueBusy> {
        let _ = (order, now);
        Ok(Reconciliation::Unknown)
    }

    /// Whether `order` goes to this venue. The gateway skips orders for other venues.
    fn takes(&self, order: &Event<'_>) -> bool {
        let _ = order;
        true
    }

    /// Runs one duty cycle of the venue, after the gateway's. Returns how much work was done.
    ///
    /// # Errors
    /// What makes it impossible for the venue to continue.
    fn do_work(&mut self, now: Nanos) -> Result<usize, AgentError> {
        let _ = now;
        Ok(0)
    }
}

/// The error of a venue that cannot take anything at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueBusy;

/// An order that has not left yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waiting {
    sequence: Sequence,
    position: Position,
    end: Position,
    release: Watermark,
}

/// The positions of the orders that have not left yet, in the order of the log. Pure and bounded; allocates
/// only when it is created.
#[derive(Clone, Debug)]
pub struct ReleaseQueue {
    waiting: VecDeque<Waiting>,
    /// The earliest watermark that an order waits for.
    least: Watermark,
}

impl ReleaseQueue {
    /// Creates an empty queue. Each order waits for `least` or a later watermark.
    pub fn new(least: Watermark) -> Self {
        Self { waiting: VecDeque::with_capacity(RELEASE_QUEUE_MAX), least }
    }

    /// Whether the queue has no room for another order.
    pub fn is_full(&self) -> bool {
        self.waiting.len() == RELEASE_QUEUE_MAX
    }

    /// The number of waiting orders.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no order waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds an order. `asked` is the watermark that the order asks for; it counts only if it is later than
    /// the queue's own.
    ///
    /// # Panics
    /// When the queue is full.
    pub fn on_order(&mut self, order: &Event<'_>, asked: Option<Watermark>) {
        assert!(!self.is_full(), "ask `is_full` first");
        let release = asked.map_or(self.least, |asked| asked.max(self.least));
        let (sequence, position, end) = (order.sequence(), order.position(), order.end());
        self.waiting.push_back(Waiting { sequence, position, end, release });
    }

    /// Returns the position of the first order if it may leave now.
    pub fn first_released(&self, marks: &Watermarks) -> Option<Position> {
        let first = self.waiting.front()?;
        (first.end <= marks.get(first.release)).then_some(first.position)
    }

    /// Removes the first order, which has left. Returns its sequence.
    ///
    /// # Panics
    /// When the queue is empty.
    pub fn on_left(&mut self) -> Sequence {
        self.waiting.pop_front().expect("an order waits").sequence
    }

    /// Returns the position of the first order that has not left.
    pub fn first(&self) -> Option<Position> {
        self.waiting.front().map(|first| first.position)
    }
}

/// Orders that left and are not logged as released yet.
#[derive(Clone, Copy, Debug, Default)]
struct Released {
    through: Sequence,
    count: u32,
}

/// The agent that hands orders to a venue when they may leave, and logs that they left (`OrderReleased`).
#[derive(Debug)]
pub struct OrderGateway<V, C> {
    name: String,
    consumer: GatingConsumer,
    publisher: Publisher,
    queue: ReleaseQueue,
    venue: V,
    clock: C,
    left: Released,
    /// Orders in doubt that the venue still has to answer; the next one is the last element.
    doubts: Vec<OrderInDoubt>,
    /// The venue's answer for the next one, while it waits to be logged.
    answer: Option<Reconciliation>,
    counters: Option<GatewayCounters>,
}

impl<V: Venue, C: Clock> OrderGateway<V, C> {
    /// Creates a gateway to `venue`. Each order waits for `release` or a later watermark; use
    /// [`Watermark::Durable`] unless there is a reason not to.
    pub fn new(
        name: impl Into<String>,
        consumer: GatingConsumer,
        publisher: Publisher,
        release: Watermark,
        venue: V,
        clock: C,
    ) -> Self {
        let (queue, left) = (ReleaseQueue::new(release), Released::default());
        let (doubts, answer, counters) = (Vec::new(), None, None);
        Self { name: name.into(), consumer, publisher, queue, venue, clock, left, doubts, answer, counters }
    }

    /// Registers counters of `shard` in `counters`: orders released, orders waiting, and how long they
    /// waited.
    ///
    /// # Errors
    /// When they are registered already, or `counters` has no free slot.
    pub fn register_counters(&mut self, counters: &Counters, shard: u16) -> Result<(), CounterError> {
        self.counters = Some(GatewayCounters::register(counters, shard)?);
        Ok(())
    }

    /// Makes the gateway ask the venue about `orders`, oldest first, before anything leaves.
    #[must_use]
    pub fn with_orders_in_doubt(mut self, mut orders: Vec<OrderInDoubt>) -> Self {
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.sequence));
        self.doubts = orders;
        self
    }

    /// The number of orders in doubt that the venue has not answered.
    pub fn in_doubt(&self) -> usize {
        self.doubts.len()
    }

    /// Returns the venue.
    pub fn venue(&mut self) -> &mut V {
        &mut self.venue
    }

    /// The number of orders that were read and have not left.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Reads ahead and queues the positions of orders while there is room.
    fn scan_ahead(&mut self) -> usize {
        let Self { consumer, queue, venue, .. } = self;
        let mut seen = 0;
        // Stopping at a full queue is not an error: the next scan reads the event again.
        let _ = consumer.try_scan(GATEWAY_SCAN_MAX, |event| {
            let class = template(event.template_id()).map(|template| template.class);
            let is_order = matches!(class, Some(Class::NewOrder | Class::OrderCancel));
            if is_order && event.frame().is_stele() && venue.takes(&event) {
                if queue.is_full() {
                    return Err(());
                }
                queue.on_order(&event, asked_release(&event));
            }
            seen += 1;
            Ok(())
        });
        seen
    }

    /// Asks the venue about the orders in doubt and logs what follows. Returns how many were settled.
    #[cold]
    fn reconcile(&mut self, now: Nanos) -> Result<usize, AgentError> {
        let mut settled = 0;
        while let Some(order) = self.doubts.last() {
            let answer = match self.answer {
                Some(answer) => answer,
                None => match self.venue.reconcile(order, now) {
                    Ok(answer) => answer,
                    Err(VenueBusy) => break,
                },
            };
            self.answer = Some(answer);
            let mut buffer = [0; ANSWER_LENGTH_MAX];
            let offered = match order.answer(answer, &mut buffer) {
                Some((template_id, body)) => self.publisher.offer(template_id, body, now),
                None => Ok(()),
            };
            match offered {
                Ok(()) => {}
                Err(refusal) if refusal.is_transient() => break,
                Err(Refusal::JournalPoisoned | Refusal::Stopped) => break,
                Err(refusal) => {
                    return Err(AgentError::caused_by(
                        "cannot publish the outcome of an order in doubt",
                        refusal,
                    ));
                }
            }
            self.answer = None;
            self.doubts.pop();
            settled += 1;
        }
        Ok(settled)
    }

    /// Submits every order that may leave, until the venue is busy.
    fn submit_released(&mut self, now: Nanos) -> usize {
        let mut count = 0;
        while let Some(position) = self.queue.first_released(self.consumer.ring().watermarks()) {
            let order = self.consumer.event_at(position);
            if self.venue.submit(order, now).is_err() {
                break;
            }
            if let Some(counters) = &mut self.counters {
                counters.on_left(order.timestamp(), now);
            }
            self.left.through = self.queue.on_left();
            self.left.count += 1;
            count += 1;
        }
        count
    }

    /// Logs which orders left. While the publisher is refused for a moment, released orders add up and the
    /// next event covers them all.
    fn report_released(&mut self, now: Nanos) -> Result<(), AgentError> {
        if self.left.count == 0 {
            return Ok(());
        }
        let marks = self.consumer.ring().watermarks();
        let released = OrderReleased {
            through_sequence: self.left.through.0.into(),
            watermark: marks.get(self.queue.least).0.into(),
            released_time: now.0.into(),
            count: self.left.count.into(),
            gateway: self.publisher.id().into(),
            kind: release_kind(self.queue.least),
            ..OrderReleased::NULL
        };
        match self.publisher.offer_message(&released, NOT_RECEIVED) {
            Ok(()) => self.left.count = 0,
            Err(refusal) if refusal.is_transient() => (),
            Err(Refusal::JournalPoisoned | Refusal::Stopped) => (),
            Err(refusal) => {
                return Err(AgentError::caused_by("cannot publish that orders were released", refusal));
            }
        }
        Ok(())
    }
}

impl<V: Venue, C: Clock> Agent for OrderGateway<V, C> {
    fn name(&self) -> &str {
        &self.name
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let seen = self.scan_ahead();
        if self.consumer.ring().poisoned().is_some() {
            // No further order becomes durable, so none may leave.
            return Ok(seen);
        }
        let now = self.clock.now();
        let settled = if self.doubts.is_empty() { 0 } else { self.reconcile(now)? };
        let left = if self.doubts.is_empty() { self.submit_released(now) } else { 0 };
        self.consumer.release(self.queue.first().unwrap_or(self.consumer.scanned()));
        let unreported = usize::from(self.left.count > 0);
        self.report_released(now)?;
        if let Some(counters) = &mut self.counters {
            counters.on_waiting(self.queue.len());
        }
        Ok(seen + settled + left + unreported + self.venue.do_work(now)?)
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.publisher.finish();
        Ok(())
    }
}

/// Returns the watermark that an order asks for; none leaves it to the gateway.
fn asked_release(order: &Event<'_>) -> Option<Watermark> {
    let frame = order.frame();
    let (asked, is_cancel) = match frame.template_id() {
        NewOrder::TEMPLATE_ID => (frame.message::<NewOrder>()?.release_watermark, false),
        ReplaceOrder::TEMPLATE_ID => (frame.message::<ReplaceOrder>()?.release_watermark, false),
        Quote::TEMPLATE_ID => (frame.message::<Quote>()?.release_watermark, false),
        CancelOrder::TEMPLATE_ID => (frame.message::<CancelOrder>()?.release_watermark, true),
        MassCancel::TEMPLATE_ID => (frame.message::<MassCancel>()?.release_watermark, true),
        _ => return None,
    };
    match asked {
        ReleaseWatermark::PUBLISHED => Some(Watermark::Published),
        ReleaseWatermark::WRITTEN => Some(Watermark::Written),
        // A cancel reduces risk, so it does not wait for a seal or a replica. The sequencer refuses orders
        // that ask for a watermark that this system does not have.
        ReleaseWatermark::SEALED if !is_cancel => Some(Watermark::Sealed),
        ReleaseWatermark::DURABLE | ReleaseWatermark::REPLICATED | ReleaseWatermark::SEALED => {
            Some(Watermark::Durable)
        }
        _ => None,
    }
}

fn release_kind(mark: Watermark) -> ReleaseWatermark {
    match mark {
        Watermark::Published => ReleaseWatermark::PUBLISHED,
        // The device gets a batch only when it is written.
        Watermark::Batched | Watermark::Written => ReleaseWatermark::WRITTEN,
        Watermark::Durable => ReleaseWatermark::DURABLE,
        Watermark::Sealed => ReleaseWatermark::SEALED,
    }
}
