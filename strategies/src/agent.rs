//! The strategy host as an agent of the bus: it reads the log in place and submits what the strategies send.

use crate::host::{Host, StrategyFailure, StrategyResult};
use crate::strategy::SUBMISSION_LENGTH_MAX;
use hdrhistogram::Histogram;
use std::sync::{Arc, OnceLock};
use stele_bus::counters::table;
use stele_bus::{
    Agent, AgentError, Clock, Counter, CounterError, CounterLabels, Counters, Event, GatingConsumer,
    NOT_RECEIVED, Publisher, Refusal, template,
};
use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

/// Options of a [`StrategyAgent`].
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Name of the agent.
    pub name: String,
    /// The number of events that one duty cycle handles at most.
    pub events_per_cycle: usize,
    /// Measure the latency of one in this many events from outside; 0 measures none.
    pub sample_every: u32,
}

impl Default for AgentOptions {
    /// 64 events per duty cycle; one in 16 is measured.
    fn default() -> Self {
        Self { name: "strategies".into(), events_per_cycle: 64, sample_every: 16 }
    }
}

/// The results of a [`StrategyAgent`], available when it has stopped.
#[derive(Clone, Debug)]
pub struct StrategyResults {
    /// Latency from the receipt of an event to the call of the first strategy, in nanoseconds, with two
    /// significant digits. Values above [`LATENCY_NS_MAX`] are recorded as that.
    pub tick_to_strategy: Histogram<u64>,
    /// One in this many events was measured.
    pub sample_every: u32,
    /// Each strategy with its positions and profit.
    pub strategies: Vec<StrategyResult>,
    /// The strategies that failed, and why.
    pub failures: Vec<StrategyFailure>,
    /// Submissions that the bus refused because it was stopping.
    pub unsent: u64,
}

/// Receives the results when the agent stops.
pub type StrategyResultsSlot = Arc<OnceLock<StrategyResults>>;

/// The upper bound of recorded latencies, in nanoseconds: one second.
pub const LATENCY_NS_MAX: u64 = 1_000_000_000;

/// A [`Host`] that runs on the bus. The books and all strategies in it run on the thread of its core; the
/// agent owns everything that it touches.
///
/// An event is handled only after everything that the earlier events led to has been submitted. While the
/// publisher's ring is full, submissions wait in preallocated memory and the agent reads no further event; it
/// gates the log. No submission is lost, and a strategy cannot observe the wait.
pub struct StrategyAgent<C> {
    options: AgentOptions,
    host: Host,
    consumer: GatingConsumer,
    outbox: Outbox,
    probe: Probe<C>,
    shown: ShownStrategies,
    results: StrategyResultsSlot,
}

impl<C: Clock> StrategyAgent<C> {
    /// Makes an agent that feeds `host` with the events of `consumer` and submits through `publisher`.
    /// Nothing else may use that publisher, because its numbering continues that of the host
    /// ([`Host::submitted`]).
    pub fn new(
        options: AgentOptions,
        host: Host,
        consumer: GatingConsumer,
        publisher: Publisher,
        clock: C,
    ) -> Self {
        let probe = Probe::new(clock, options.sample_every);
        let outbox = Outbox::new(publisher, host.submissions_max());
        let (shown, results) = (ShownStrategies::default(), StrategyResultsSlot::default());
        Self { options, host, consumer, outbox, probe, shown, results }
    }

    /// Publishes in `counters`, as counters of `shard`, the latency of events to the strategies, and for each
    /// of `strategies`, by number and name, whether it is paused.
    ///
    /// # Errors
    /// [`CounterError`] when the counters are registered already or the table is full.
    pub fn register_counters(
        &mut self,
        counters: &Counters,
        shard: u16,
        strategies: &[(u16, String)],
    ) -> Result<(), CounterError> {
        self.probe.shown = Some(counters.histogram(table::TICK_TO_STRATEGY, CounterLabels::shard(shard))?);
        let ignored = counters.register(table::COMMANDS_IGNORED, CounterLabels::shard(shard))?;
        self.shown.ignored_commands = Some(ignored);
        for (id, name) in strategies {
            let labels = CounterLabels::named(shard, *id, name);
            self.shown.strategies.push(ShownStrategy {
                id: *id,
                paused: counters.register(table::STRATEGY_PAUSED, labels)?,
                suppressed: counters.register(table::ORDERS_SUPPRESSED, labels)?,
            });
        }
        self.shown.store(&self.host);
        Ok(())
    }

    /// Submits again what a strategy had sent in an earlier session and what its log does not have. Call it
    /// before the agent starts, in the order in which it was sent: the publisher numbers it anew.
    ///
    /// # Errors
    /// [`Refusal`]: it was not submitted.
    pub fn resubmit(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        self.outbox.publisher.offer(template_id, body, NOT_RECEIVED)
    }

    /// The slot that receives the results when the agent stops.
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
        let message = format!(
            "the strategies' publisher continues at submission {next}, but the strategies continue at {}",
            submitted + 1
        );
        Err(AgentError::new(message + ": give each strategy agent its own publisher"))
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        let Self { options, host, consumer, outbox, probe, shown, .. } = self;
        // Waiting submissions count as work, even while there is no room for them.
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
        if handled > 0 {
            shown.store(host);
        }
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
        // A second stop keeps the results of the first.
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

/// The counters about commands of operators. They are stored once in each duty cycle that had work.
#[derive(Default)]
struct ShownStrategies {
    strategies: Vec<ShownStrategy>,
    ignored_commands: Option<Counter>,
}

struct ShownStrategy {
    id: u16,
    paused: Counter,
    suppressed: Counter,
}

impl ShownStrategies {
    fn store(&mut self, host: &Host) {
        let Some(ignored) = &mut self.ignored_commands else { return };
        ignored.set(host.ignored_commands());
        for hosted in host.strategies() {
            if let Some(shown) = self.strategies.iter_mut().find(|shown| shown.id == hosted.id) {
                shown.paused.set(hosted.standing.paused_at.is_some().into());
                shown.suppressed.set(hosted.record.suppressed());
            }
        }
    }
}

/// Passes submissions to the publisher. Those that its ring has no room for wait here, in order.
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

/// The number of strategies, beyond those known at the start, whose submissions fit before the outbox
/// allocates.
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

    /// Returns whether the submission is done with: submitted, or refused for good.
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

    /// Submits waiting submissions as far as there is room.
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

/// Measures the latency from the receipt of events to the strategies.
struct Probe<C> {
    clock: C,
    every: u32,
    until_next: u32,
    latency: Histogram<u64>,
    /// The same histogram in the counters of the bus.
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

/// The time of receipt of an event that came from outside: the event's time minus the delta that the
/// sequencer wrote.
fn received(event: &Event<'_>) -> Option<u64> {
    if !event.frame().is_stele() || !template(event.template_id())?.stamped {
        return None;
    }
    let stamp = event.body().get(stele_bus::templates::RECEIVED_DELTA_OFFSET..)?;
    let (delta, _) = U32::ref_from_prefix(stamp).ok()?;
    (delta.get() != u32::MAX).then(|| event.timestamp().0 - u64::from(delta.get()))
}
