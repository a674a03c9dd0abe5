//! The order gateway: an order leaves the host when its release watermark has passed.
//!
//! The gateway reads ahead of the watermark and copies orders and cancels off the ring, into a bounded
//! [queue](ReleaseQueue): however long the venue takes nothing, the gateway never holds the ring. After a
//! restart nothing leaves before the venue was asked about every order [in doubt](OrderInDoubt).
//!
//! When the journal is poisoned, or when the gateway is stopped although the end of the bus was not
//! requested, it asks the venue to [cancel everything](Venue::cancel_all).

use crate::bounds::{EARLY_CANCELS_MAX, EMERGENCY_TRIES_MAX, GATEWAY_SCAN_MAX};
use crate::counters::GatewayCounters;
use crate::doubt::{ANSWER_LENGTH_MAX, OrderInDoubt, Reconciliation};
use crate::emergency::{EmergencyAnswer, EmergencyControl};
use crate::release_queue::{ReleaseLane, ReleaseQueue};
use std::collections::VecDeque;
use std::time::Duration;
use stele_bus::{
    Agent, AgentError, Clock, CounterError, Counters, Event, GatingConsumer, MessageClass, NOT_RECEIVED,
    Publisher, Refusal, Watermark, template,
};
use stele_wire::messages::{
    CancelReleased, EndReason, KillSwitch, OrderDropped, OrderReleased, ReleaseWatermark, StrategyDefinition,
};
use stele_wire::{Nanos, Position, Sequence};

/// Where released orders go.
pub trait Venue: Send {
    /// Takes one order, replacement, cancel or quote that leaves the host at `now`.
    ///
    /// # Errors
    /// [`VenueBusy`]: the gateway offers the same event again in its next duty cycle. Until then it offers no
    /// other order, and no order after a cancel that was refused; cancels still come.
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

    /// Cancels every order that this gateway has sent and that still works, without the log: an emergency,
    /// when the journal is poisoned or the process ends because a part of it failed (RTS 6 Art. 12(1)). The
    /// gateway submits nothing afterwards. It calls this until it has an answer, so a venue that has the
    /// request already only looks for its answer. The default suits a venue without such a request.
    ///
    /// # Errors
    /// [`VenueBusy`]: there is no answer yet; the gateway calls again.
    fn cancel_all(&mut self, now: Nanos) -> Result<EmergencyAnswer, VenueBusy> {
        let _ = now;
        Ok(EmergencyAnswer::Unsupported)
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

/// Orders that left and are not logged as released yet.
#[derive(Clone, Copy, Debug, Default)]
struct Released {
    through: Sequence,
    count: u32,
}

/// A cancel that left before an order that precedes it.
#[derive(Clone, Copy, Debug)]
struct EarlyCancel {
    cancel: Sequence,
    watermark: Position,
    time: Nanos,
}

/// The agent that hands orders to a venue when they may leave, and logs that they left (`OrderReleased`,
/// `CancelReleased`) or never will (`OrderDropped`).
#[derive(Debug)]
pub struct OrderGateway<V, C> {
    name: String,
    consumer: GatingConsumer,
    publisher: Publisher,
    queue: ReleaseQueue,
    venue: V,
    clock: C,
    left: Released,
    /// Cancels that left early and are not logged as released yet.
    early: VecDeque<EarlyCancel>,
    /// Orders in doubt that the venue still has to answer; the next one is the last element.
    doubts: Vec<OrderInDoubt>,
    /// The venue's answer for the next one, while it waits to be logged.
    answer: Option<Reconciliation>,
    emergency: EmergencyControl,
    counters: Option<GatewayCounters>,
}

impl<V: Venue, C: Clock> OrderGateway<V, C> {
    /// Creates a gateway to `venue`. Each order waits for `release` or a later watermark; use
    /// [`Watermark::Durable`] unless there is a reason not to. A cancel waits for nothing later than
    /// `durable`.
    pub fn new(
        name: impl Into<String>,
        consumer: GatingConsumer,
        publisher: Publisher,
        release: Watermark,
        venue: V,
        clock: C,
    ) -> Self {
        Self {
            name: name.into(),
            consumer,
            publisher,
            queue: ReleaseQueue::new(release),
            venue,
            clock,
            left: Released::default(),
            early: VecDeque::with_capacity(EARLY_CANCELS_MAX),
            doubts: Vec::new(),
            answer: None,
            emergency: EmergencyControl::new(),
            counters: None,
        }
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

    /// The number of orders and cancels that were read and have not left, or were dropped and are not logged
    /// as such.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.queue.unlogged()
    }

    /// Returns the handle with which a supervising thread demands an emergency mass cancel and reads what
    /// became of one.
    pub fn emergency(&self) -> EmergencyControl {
        self.emergency.clone()
    }

    /// Reads ahead and copies orders and cancels into the queue.
    fn scan_ahead(&mut self) -> usize {
        let Self { consumer, queue, venue, publisher, .. } = self;
        let mut seen = 0;
        // A full queue is not an error: the next scan reads the event again.
        let _ = consumer.try_scan(GATEWAY_SCAN_MAX, |event| {
            let class = template(event.template_id()).map(|template| template.class);
            let is_order = matches!(class, Some(MessageClass::NewOrder | MessageClass::OrderCancel));
            let is_control =
                matches!(event.template_id(), KillSwitch::TEMPLATE_ID | StrategyDefinition::TEMPLATE_ID);
            if event.frame().is_stele() {
                if is_control || (is_order && venue.takes(&event)) {
                    queue.on_event(&event)?;
                } else if event.template_id() == OrderDropped::TEMPLATE_ID
                    && let Some(dropped) = event.message::<OrderDropped>()
                    && dropped.gateway.get() == publisher.id()
                {
                    queue.drops.on_logged(Sequence(dropped.order_sequence.get()));
                }
            }
            seen += 1;
            Ok::<(), crate::release_queue::QueueFull>(())
        });
        seen
    }

    /// Settles the orders in doubt: what never left is logged as cancelled, and the venue is asked about the
    /// others. Returns how many were settled.
    #[cold]
    fn reconcile(&mut self, now: Nanos) -> Result<usize, AgentError> {
        let mut settled = 0;
        while let Some(order) = self.doubts.last() {
            let answer = match self.answer {
                Some(answer) => answer,
                None if order.is_dropped => Reconciliation::Unknown,
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
            if !is_published(offered, "cannot publish the outcome of an order in doubt")? {
                break;
            }
            self.answer = None;
            self.doubts.pop();
            settled += 1;
        }
        Ok(settled)
    }

    /// Submits everything that may leave, until the venue is busy.
    fn submit_released(&mut self, now: Nanos) -> usize {
        let (mut count, mut is_busy) = (0, false);
        while self.early.len() < EARLY_CANCELS_MAX
            && let Some(lane) = self.queue.next(self.consumer.ring().watermarks(), is_busy)
        {
            let order = self.queue.first(lane);
            if self.venue.submit(order, now).is_err() {
                // A venue that takes no orders may take cancels.
                if is_busy || lane == ReleaseLane::Cancels {
                    break;
                }
                is_busy = true;
                continue;
            }
            if let Some(counters) = &mut self.counters {
                counters.on_left(order.timestamp(), now);
            }
            self.on_left(lane, now);
            count += 1;
        }
        count
    }

    #[inline]
    fn on_left(&mut self, lane: ReleaseLane, now: Nanos) {
        let left = self.queue.on_left(lane);
        if left.has_overtaken {
            let watermark = self.consumer.ring().watermarks().get(Watermark::Durable);
            self.early.push_back(EarlyCancel { cancel: left.sequence, watermark, time: now });
        } else {
            self.left.through = left.sequence;
            self.left.count += 1;
        }
    }

    /// Logs what was dropped, and the reports that follow from it.
    #[cold]
    fn report_drops(&mut self, now: Nanos) -> Result<(), AgentError> {
        let (drops, id) = (&mut self.queue.drops, self.publisher.id());
        let mut buffer = [0; ANSWER_LENGTH_MAX];
        while let Some((template_id, body)) = drops.message(id, now, &mut buffer) {
            let staged = self.publisher.stage(template_id, body, NOT_RECEIVED);
            if !is_published(staged, "cannot publish that an order was dropped")? {
                // What is staged belongs to a group that is longer than the room.
                self.publisher.commit();
                return Ok(());
            }
            if drops.on_staged() {
                self.publisher.commit();
            }
        }
        Ok(())
    }

    /// Logs which cancels overtook orders.
    #[cold]
    fn report_early_cancels(&mut self) -> Result<(), AgentError> {
        while let Some(early) = self.early.front() {
            let released = CancelReleased {
                cancel_sequence: early.cancel.0.into(),
                watermark: early.watermark.0.into(),
                released_time: early.time.0.into(),
                cancelled_sequence: 0.into(),
                gateway: self.publisher.id().into(),
                kind: release_kind(self.queue.least().min(Watermark::Durable)),
                ..CancelReleased::NULL
            };
            let offered = self.publisher.offer_message(&released, NOT_RECEIVED);
            if !is_published(offered, "cannot publish that a cancel was released")? {
                break;
            }
            self.early.pop_front();
        }
        Ok(())
    }

    /// Logs what left and what was dropped. While the publisher is refused for a moment, released orders add
    /// up and the next event covers them all. It comes after the drops that it does not cover.
    fn report(&mut self, now: Nanos) -> Result<(), AgentError> {
        if self.queue.unlogged() > 0 {
            self.report_drops(now)?;
        }
        if !self.early.is_empty() {
            self.report_early_cancels()?;
        }
        if self.left.count == 0 || self.queue.unlogged() > 0 || !self.early.is_empty() {
            return Ok(());
        }
        let marks = self.consumer.ring().watermarks();
        let released = OrderReleased {
            through_sequence: self.left.through.0.into(),
            watermark: marks.get(self.queue.least()).0.into(),
            released_time: now.0.into(),
            count: self.left.count.into(),
            gateway: self.publisher.id().into(),
            kind: release_kind(self.queue.least()),
            ..OrderReleased::NULL
        };
        let offered = self.publisher.offer_message(&released, NOT_RECEIVED);
        if is_published(offered, "cannot publish that orders were released")? {
            self.left.count = 0;
        }
        Ok(())
    }

    /// Asks the venue to cancel everything, unless it has answered. Returns whether it has.
    #[cold]
    fn cancel_all(&mut self, reason: EndReason) -> bool {
        if self.emergency.is_settled() {
            return true;
        }
        let now = self.clock.now();
        self.emergency.on_requested(reason, now);
        match self.venue.cancel_all(now) {
            Ok(answer) => self.emergency.on_answer(answer, now),
            Err(VenueBusy) => return false,
        }
        true
    }

    /// Why everything has to be cancelled without the log, if it has to.
    fn emergency_reason(&self) -> Option<EndReason> {
        let is_poisoned = self.consumer.ring().poisoned().is_some();
        is_poisoned.then_some(EndReason::JOURNAL_POISONED).or_else(|| self.emergency.demanded())
    }
}

/// Whether a message was published; if not, it is offered again.
fn is_published(offered: Result<(), Refusal>, failure: &'static str) -> Result<bool, AgentError> {
    match offered {
        Ok(()) => Ok(true),
        Err(Refusal::JournalPoisoned | Refusal::Stopped) => Ok(false),
        Err(refusal) if refusal.is_transient() => Ok(false),
        Err(refusal) => Err(AgentError::caused_by(failure, refusal)),
    }
}

impl<V: Venue, C: Clock> Agent for OrderGateway<V, C> {
    fn name(&self) -> &str {
        &self.name
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let seen = self.scan_ahead();
        if let Some(reason) = self.emergency_reason() {
            // No further order becomes durable, so none may leave.
            self.consumer.release(self.consumer.scanned());
            let asks = usize::from(!self.cancel_all(reason));
            let now = self.clock.now();
            return Ok(seen + asks + self.venue.do_work(now)?);
        }
        let now = self.clock.now();
        let settled = if self.doubts.is_empty() { 0 } else { self.reconcile(now)? };
        let left = if self.doubts.is_empty() { self.submit_released(now) } else { 0 };
        let unreported = usize::from(self.left.count > 0) + self.queue.unlogged() + self.early.len();
        self.report(now)?;
        if let Some(counters) = &mut self.counters {
            counters.on_waiting(self.queue.len() + self.queue.unlogged());
        }
        // After the counter: a thread that sees that everything was read also sees what waits.
        self.consumer.release(self.consumer.scanned());
        Ok(seen + settled + left + unreported + self.venue.do_work(now)?)
    }

    /// Ends in order when the end of the bus was requested. Otherwise the run failed, and everything is
    /// cancelled at the venue.
    #[allow(clippy::disallowed_methods, reason = "the run has failed, and a venue needs time to answer")]
    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.publisher.finish();
        let failed = (!self.consumer.ring().is_stopping()).then_some(EndReason::AGENT_FAILED);
        let Some(reason) = self.emergency_reason().or(failed) else { return Ok(()) };
        for _ in 0..EMERGENCY_TRIES_MAX {
            if self.cancel_all(reason) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            let now = self.clock.now();
            self.venue.do_work(now)?;
        }
        Ok(())
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
