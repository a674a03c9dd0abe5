//! The order gateway: an order leaves the host when its release watermark has passed.
//!
//! The gateway reads ahead of the watermark and keeps the places of the orders it saw; the orders themselves stay
//! on the ring, which the gateway's own gate keeps. Orders leave in the order of the log. After a restart nothing
//! leaves before the venue was asked for every order [in doubt](InDoubt).

use crate::bounds::{GATEWAY_SCAN_MAX, RELEASE_QUEUE_MAX};
use crate::counters::GatewayCounters;
use crate::doubt::{ANSWER_LENGTH_MAX, Answer, InDoubt};
use std::collections::VecDeque;
use stele_bus::{
    Agent, AgentError, Clock, CounterError, Counters, Event, GatingConsumer, MessageClass, NOT_RECEIVED,
    Publisher, Refusal, Watermark, Watermarks, template,
};
use stele_wire::messages::{
    CancelOrder, MassCancel, NewOrder, OrderReleased, Quote, ReleaseWatermark, ReplaceOrder,
};
use stele_wire::{Nanos, Position, Sequence};

/// Where orders go when they leave.
pub trait Venue: Send {
    /// Takes one order, replacement, cancel or quote that may leave the host at `now`.
    ///
    /// # Errors
    /// [`VenueBusy`]: the gateway offers the same event again at its next duty cycle, and nothing after it.
    fn submit(&mut self, order: Event<'_>, now: Nanos) -> Result<(), VenueBusy>;

    /// Says what became of an order that an earlier session left open. Asked before anything is submitted, for each
    /// such order until it is answered; what happened to the order since is to be on its way as the venue's own
    /// reports by then. A venue that forgets with the process what it had knows of none.
    ///
    /// # Errors
    /// [`VenueBusy`]: the gateway asks again at its next duty cycle, and submits nothing before.
    fn reconcile(&mut self, order: &InDoubt, now: Nanos) -> Result<Answer, VenueBusy> {
        let _ = (order, now);
        Ok(Answer::Unknown)
    }

    /// Whether this venue is the one that `order` goes to. Others' orders are passed over.
    fn takes(&self, order: &Event<'_>) -> bool {
        let _ = order;
        true
    }

    /// One duty cycle of the venue's own, after the gateway's. Returns how much was done.
    ///
    /// # Errors
    /// What keeps the venue from going on.
    fn do_work(&mut self, now: Nanos) -> Result<usize, AgentError> {
        let _ = now;
        Ok(0)
    }
}

/// The venue can take nothing at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueBusy;

/// An order that has not left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waiting {
    sequence: Sequence,
    position: Position,
    end: Position,
    release: Watermark,
}

/// The places of the orders that have not left, in the order of the log. Pure, bounded, never allocates.
#[derive(Clone, Debug)]
pub struct ReleaseQueue {
    waiting: VecDeque<Waiting>,
    /// What an order must wait for at least.
    least: Watermark,
}

impl ReleaseQueue {
    /// An empty queue of orders that wait for `least` at least.
    pub fn new(least: Watermark) -> Self {
        Self { waiting: VecDeque::with_capacity(RELEASE_QUEUE_MAX), least }
    }

    /// Whether another order can be kept.
    pub fn is_full(&self) -> bool {
        self.waiting.len() == RELEASE_QUEUE_MAX
    }

    /// Orders kept.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no order is kept.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps the place of an order that asks for `asked`; later watermarks only, never earlier ones, than the
    /// queue's own are granted.
    ///
    /// # Panics
    /// When the queue is full.
    pub fn on_order(&mut self, order: &Event<'_>, asked: Option<Watermark>) {
        assert!(!self.is_full(), "ask `is_full` first");
        let release = asked.map_or(self.least, |asked| asked.max(self.least));
        let (sequence, position, end) = (order.sequence(), order.position(), order.end());
        self.waiting.push_back(Waiting { sequence, position, end, release });
    }

    /// The place of the first order, if it may leave now.
    pub fn first_released(&self, marks: &Watermarks) -> Option<Position> {
        let first = self.waiting.front()?;
        (first.end <= marks.get(first.release)).then_some(first.position)
    }

    /// The first order has left. Returns its number.
    ///
    /// # Panics
    /// When there is none.
    pub fn on_left(&mut self) -> Sequence {
        self.waiting.pop_front().expect("an order was there to leave").sequence
    }

    /// Where the first order that has not left stands.
    pub fn first(&self) -> Option<Position> {
        self.waiting.front().map(|first| first.position)
    }
}

/// What left and has not been told of.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    through: Sequence,
    count: u32,
}

/// An agent that hands orders to a venue when they may leave, and says so on the log (`OrderReleased`).
#[derive(Debug)]
pub struct OrderGateway<V, C> {
    name: String,
    consumer: GatingConsumer,
    publisher: Publisher,
    queue: ReleaseQueue,
    venue: V,
    clock: C,
    left: Left,
    /// Orders that the venue is to be asked for, the next one last.
    doubts: Vec<InDoubt>,
    /// What the venue said of the next one; the log is still to be told.
    answer: Option<Answer>,
    counters: Option<GatewayCounters>,
}

impl<V: Venue, C: Clock> OrderGateway<V, C> {
    /// A gateway to `venue` whose orders wait for `release` at least; [`Watermark::Durable`] is the sane choice.
    pub fn new(
        name: impl Into<String>,
        consumer: GatingConsumer,
        publisher: Publisher,
        release: Watermark,
        venue: V,
        clock: C,
    ) -> Self {
        let (queue, left) = (ReleaseQueue::new(release), Left::default());
        let (doubts, answer, counters) = (Vec::new(), None, None);
        Self { name: name.into(), consumer, publisher, queue, venue, clock, left, doubts, answer, counters }
    }

    /// Shows in `counters` from now on, as those of `shard`, what leaves, what waits, and for how long it waited.
    ///
    /// # Errors
    /// When they are registered already or there is no slot.
    pub fn register_counters(&mut self, counters: &Counters, shard: u16) -> Result<(), CounterError> {
        self.counters = Some(GatewayCounters::register(counters, shard)?);
        Ok(())
    }

    /// Asks the venue for `orders`, oldest first, before anything leaves.
    #[must_use]
    pub fn with_doubts(mut self, mut orders: Vec<InDoubt>) -> Self {
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.sequence));
        self.doubts = orders;
        self
    }

    /// Orders of earlier sessions that the venue has not answered for.
    pub fn in_doubt(&self) -> usize {
        self.doubts.len()
    }

    /// The venue.
    pub fn venue(&mut self) -> &mut V {
        &mut self.venue
    }

    /// Orders seen that have not left.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Reads ahead and keeps the places of orders, as long as there is room for them.
    fn look_ahead(&mut self) -> usize {
        let Self { consumer, queue, venue, .. } = self;
        let mut seen = 0;
        // Stopping at a full queue is no failure: the event comes again.
        let _ = consumer.try_scan(GATEWAY_SCAN_MAX, |event| {
            let class = template(event.template_id()).map(|template| template.class);
            let is_order = matches!(class, Some(MessageClass::NewOrder | MessageClass::OrderCancel));
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

    /// Asks the venue for the orders in doubt and tells the log what follows. Returns how many were settled.
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
                    return Err(AgentError::caused_by("cannot tell of an order in doubt", refusal));
                }
            }
            self.answer = None;
            self.doubts.pop();
            settled += 1;
        }
        Ok(settled)
    }

    /// Hands over every order that may leave, as far as the venue takes them.
    fn let_go(&mut self, now: Nanos) -> usize {
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

    /// Says on the log what left. Where the publisher is refused for the moment, the next event tells it with
    /// what leaves until then.
    fn tell(&mut self, now: Nanos) -> Result<(), AgentError> {
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
            Err(refusal) => return Err(AgentError::caused_by("cannot say that orders left", refusal)),
        }
        Ok(())
    }
}

impl<V: Venue, C: Clock> Agent for OrderGateway<V, C> {
    fn name(&self) -> &str {
        &self.name
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let seen = self.look_ahead();
        if self.consumer.ring().poisoned().is_some() {
            // Nothing more is acknowledged, so nothing more leaves.
            return Ok(seen);
        }
        let now = self.clock.now();
        let settled = if self.doubts.is_empty() { 0 } else { self.reconcile(now)? };
        let left = if self.doubts.is_empty() { self.let_go(now) } else { 0 };
        self.consumer.release(self.queue.first().unwrap_or(self.consumer.scanned()));
        let untold = usize::from(self.left.count > 0);
        self.tell(now)?;
        if let Some(counters) = &mut self.counters {
            counters.on_waiting(self.queue.len());
        }
        Ok(seen + settled + left + untold + self.venue.do_work(now)?)
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.publisher.finish();
        Ok(())
    }
}

/// What an order asks to wait for; none leaves it to the gateway.
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
        // What takes risk away is not held back for a seal or a replica. Orders that ask for what the system does
        // not have are refused before they get a sequence.
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
        // A closed batch is not in the device's hands before it is written.
        Watermark::Batched | Watermark::Written => ReleaseWatermark::WRITTEN,
        Watermark::Durable => ReleaseWatermark::DURABLE,
        Watermark::Sealed => ReleaseWatermark::SEALED,
    }
}
