//! The strategy host as an agent of the bus: reads the log in place, submits what strategies send.

use crate::host::{Host, StrategyFailure, StrategyResult};
use crate::strategy::SUBMISSION_LENGTH_MAX;
use hdrhistogram::Histogram;
use std::sync::{Arc, OnceLock};
use stele_bus::counters::table;
use stele_bus::{
    Agent, AgentError, Clock, CounterError, Counters, Event, GatingConsumer, NOT_RECEIVED, Place, Publisher,
    Refusal, template,
};
use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

/// How a [`StrategyAgent`] works.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The agent's name.
    pub name: String,
    /// Events handled in one duty cycle at most.
    pub events_per_cycle: usize,
    /// Of how many events from outside the latency of one is measured; 0 measures none.
    pub sample_every: u32,
}

impl Default for AgentOptions {
    /// 64 events a cycle, every 16th measured.
    fn default() -> Self {
        Self { name: "strategies".into(), events_per_cycle: 64, sample_every: 16 }
    }
}

/// What a [`StrategyAgent`] leaves behind when it stops.
#[derive(Clone, Debug)]
pub struct StrategyResults {
    /// From our receipt of an event to the call of the first strategy with it, in nanoseconds, to two digits;
    /// anything above [`LATENCY_NS_MAX`] counts as that.
    pub tick_to_strategy: Histogram<u64>,
    /// Of how many events one was measured.
    pub sample_every: u32,
    /// Each strategy with its positions and profit.
    pub strategies: Vec<StrategyResult>,
    /// What went wrong with strategies.
    pub failures: Vec<StrategyFailure>,
    /// Submissions that the bus did not take because it was stopping.
    pub unsent: u64,
}

/// Where the results is put when the agent stops.
pub type StrategyResultsSlot = Arc<OnceLock<StrategyResults>>;

/// The longest latency that is told from longer ones, in nanoseconds: a second.
pub const LATENCY_NS_MAX: u64 = 1_000_000_000;

/// A [`Host`] on the bus. It runs on the thread that its core is on, as do the books and every strategy in it; it
/// owns all that it touches.
///
/// An event is handled only when everything that the events before it led to has been submitted: where the
/// publisher's ring is full, submissions wait in memory that was set aside at the start, and the log waits with
/// them (the consumer gates it). Nothing a strategy sends is lost and no strategy can tell whether it waited.
pub struct StrategyAgent<C> {
    options: AgentOptions,
    host: Host,
    consumer: GatingConsumer,
    outbox: Outbox,
    probe: Probe<C>,
    results: StrategyResultsSlot,
}

impl<C: Clock> StrategyAgent<C> {
    /// An agent that shows `host` what `consumer` reads and submits through `publisher`, which must be used by
    /// nobody else: its numbers go on where the host's do ([`Host::submitted`]).
    pub fn new(
        options: AgentOptions,
        host: Host,
        consumer: GatingConsumer,
        publisher: Publisher,
        clock: C,
    ) -> Self {
        let probe = Probe::new(clock, options.sample_every);
        let outbox = Outbox::new(publisher, host.submissions_max());
        Self { options, host, consumer, outbox, probe, results: StrategyResultsSlot::default() }
    }

    /// Shows in `counters` from now on, as those of `shard`, how long events take to reach the strategies.
    ///
    /// # Errors
    /// When they are registered already or there is no slot.
    pub fn register_counters(&mut self, counters: &Counters, shard: u16) -> Result<(), CounterError> {
        self.probe.shown = Some(counters.histogram(table::TICK_TO_STRATEGY, Place::shard(shard))?);
        Ok(())
    }

    /// Where the results will be.
    pub fn results(&self) -> StrategyResultsSlot {
        self.results.clone()
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl<C: Clock> Agent for StrategyAgent<C> {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn on_start(&mut self) -> Result<(), AgentError> {
        let publisher = &mut self.outbox.publisher;
        let (next, submitted) = (publisher.next_sequence(), self.host.submitted(publisher.id()));
        if next <= submitted + 1 {
            publisher.continue_after(submitted);
            return Ok(());
        }
        let message =
            format!("the publisher of the strategies is at submission {next}, they are at {}", submitted + 1);
        Err(AgentError::new(message + ": give each strategy agent a publisher of its own"))
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let Self { options, host, consumer, outbox, probe, .. } = self;
        // What waits is work, also while there is no room for it.
        let mut handled = outbox.waiting.len();
        outbox.drain();
        // An error stops the poll with the event unread.
        let _ = consumer.try_poll(options.events_per_cycle, |event| {
            if !outbox.is_drained() {
                return Err(());
            }
            let change = host.observe(&event.frame());
            probe.measure(&event);
            host.decide(&event.frame(), change, &mut |template_id: u16, body: &[u8]| {
                outbox.submit(template_id, body);
            });
            outbox.publisher.commit();
            handled += 1;
            Ok(())
        });
        match outbox.failed {
            None => Ok(handled),
            Some(refusal) => Err(AgentError::caused_by("an order could not be submitted", refusal)),
        }
    }

    fn on_stop(&mut self) -> Result<(), AgentError> {
        self.outbox.drain();
        self.outbox.publisher.finish();
        let results = StrategyResults {
            tick_to_strategy: self.probe.latency.clone(),
            sample_every: self.options.sample_every,
            strategies: self.host.summaries(),
            failures: self.host.failures().to_vec(),
            unsent: self.outbox.unsent + self.outbox.waiting.len() as u64,
        };
        // A second stop leaves what the first has put there.
        let _ = self.results.set(results);
        Ok(())
    }

    fn snapshot(&self, into: &mut Vec<u8>) -> Result<(), AgentError> {
        self.host.snapshot(into);
        Ok(())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), AgentError> {
        let restored = self.host.restore(state);
        restored.map_err(|error| AgentError::caused_by("the strategies' snapshot cannot be loaded", error))
    }
}

/// Hands submissions to the publisher; those that its ring has no room for wait here, in their order.
struct Outbox {
    publisher: Publisher,
    waiting: Vec<Waiting>,
    bytes: Vec<u8>,
    failed: Option<Refusal>,
    unsent: u64,
}

struct Waiting {
    template_id: u16,
    length: usize,
}

/// Strategies whose submissions the outbox has room for before it allocates, beyond those known at the start.
const STRATEGIES_TO_COME: usize = 8;

impl Outbox {
    fn new(publisher: Publisher, submissions_max: usize) -> Self {
        let count = submissions_max + STRATEGIES_TO_COME * crate::host::SUBMISSIONS_PER_STRATEGY_MAX;
        let (waiting, bytes) = (Vec::with_capacity(count), Vec::with_capacity(count * SUBMISSION_LENGTH_MAX));
        Self { publisher, waiting, bytes, failed: None, unsent: 0 }
    }

    fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.failed.is_none()
    }

    #[inline]
    fn submit(&mut self, template_id: u16, body: &[u8]) {
        if self.is_drained() && self.stage(template_id, body) {
            return;
        }
        self.waiting.push(Waiting { template_id, length: body.len() });
        self.bytes.extend_from_slice(body);
    }

    /// Says whether the submission is dealt with, for good or bad.
    fn stage(&mut self, template_id: u16, body: &[u8]) -> bool {
        match self.publisher.stage(template_id, body, NOT_RECEIVED) {
            Ok(()) => true,
            Err(refusal) if refusal.is_transient() => false,
            Err(Refusal::Stopped) => {
                self.unsent += 1;
                true
            }
            Err(refusal) => {
                self.failed = Some(refusal);
                self.unsent += 1;
                true
            }
        }
    }

    /// Submits what waits, as far as there is room.
    fn drain(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let (mut done, mut at) = (0, 0);
        while let Some(Waiting { template_id, length }) = self.waiting.get(done) {
            let (template_id, end) = (*template_id, at + length);
            if !self.stage(template_id, &bytes[at..end]) {
                break;
            }
            (done, at) = (done + 1, end);
        }
        self.publisher.commit();
        self.bytes = bytes;
        self.bytes.drain(..at);
        self.waiting.drain(..done);
    }
}

/// Measures how long events take from our receipt to the strategies.
struct Probe<C> {
    clock: C,
    every: u32,
    until_next: u32,
    latency: Histogram<u64>,
    /// The same for whoever watches.
    shown: Option<stele_bus::Histogram>,
}

impl<C: Clock> Probe<C> {
    fn new(clock: C, every: u32) -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 2).expect("the bounds are in order");
        Self { clock, every, until_next: every, latency, shown: None }
    }

    #[inline]
    fn measure(&mut self, event: &Event<'_>) {
        if self.until_next > 1 {
            self.until_next -= 1;
        } else if self.every > 0
            && let Some(received) = received(event)
        {
            self.until_next = self.every;
            let latency = self.clock.now().0.saturating_sub(received).max(1);
            self.latency.saturating_record(latency);
            if let Some(shown) = &mut self.shown {
                shown.record(latency);
            }
        }
    }
}

/// When an event reached us, if it came from outside: its time less the delta that the sequencer wrote.
fn received(event: &Event<'_>) -> Option<u64> {
    if !event.frame().is_stele() || !template(event.template_id())?.stamped {
        return None;
    }
    let stamp = event.body().get(stele_bus::templates::RECEIVED_DELTA_OFFSET..)?;
    let (delta, _) = U32::ref_from_prefix(stamp).ok()?;
    (delta.get() != u32::MAX).then(|| event.timestamp().0 - u64::from(delta.get()))
}
