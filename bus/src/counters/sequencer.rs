//! The sequencer's counters, set once in each duty cycle that had work.

use super::{Counter, CounterError, CounterLabels, Counters, Histogram, table};
use crate::refusals::Refusals;
use crate::sequencer::statistics::SequencerStatistics;
use crate::submission::NOT_RECEIVED;
use stele_risk::Risk;
use stele_wire::Nanos;
use stele_wire::messages::Check;

/// The most checks with a counter of their own.
pub(crate) const CHECKS_MAX: usize = 64;

/// The sequencer's counters.
#[derive(Debug)]
pub(crate) struct SequencerCounters {
    events: Counter,
    orders_refused: Counter,
    malformed: Counter,
    duplicates: Counter,
    timers: Counter,
    waits: Counter,
    batches: Counter,
    cancels: Counter,
    refusals: Vec<(Check, Counter)>,
    /// By reason, in the order of [`Refusals::iter`].
    refused: Vec<Counter>,
    shown: Refusals,
    tick_to_sequenced: Histogram,
    /// The entries in use of each table of the risk checks, in the order of [`Risk::table_use`].
    tables: Vec<Counter>,
    repeated_executions: Counter,
}

/// The counters of a publisher's ring.
#[derive(Debug)]
pub(crate) struct IntakeCounters {
    depth: Counter,
    submissions: Counter,
}

impl SequencerCounters {
    pub(crate) fn register(counters: &Counters, shard: u16, risk: &Risk) -> Result<Self, CounterError> {
        let tables = (1..).zip(risk.table_use()).map(|(number, table)| {
            let labels = CounterLabels::named(shard, number, table.name);
            counters.register(table::RISK_TABLE_SIZE, labels)?.set(table.capacity as u64);
            counters.register(table::RISK_TABLE_USED, labels)
        });
        let tables = tables.collect::<Result<_, _>>()?;
        let register = |definition| counters.register(definition, CounterLabels::shard(shard));
        let checks = (1..CHECKS_MAX as u8).map(Check).filter_map(|check| Some((check, check.name()?)));
        let refusals = checks.map(|(check, name)| {
            let labels = CounterLabels::named(shard, u16::from(check.0), name);
            counters.register(table::REFUSALS, labels).map(|counter| (check, counter))
        });
        let shown = Refusals::default();
        let refused = shown.iter().map(|(reason, _)| {
            let labels = CounterLabels::named(shard, u16::from(reason.0), reason.name().unwrap_or_default());
            counters.register(table::REFUSED_SUBMISSIONS, labels)
        });
        Ok(Self {
            tables,
            repeated_executions: register(table::REPEATED_EXECUTIONS)?,
            refused: refused.collect::<Result<_, _>>()?,
            shown,
            cancels: register(table::SWITCH_CANCELS)?,
            events: register(table::EVENTS)?,
            orders_refused: register(table::ORDERS_REFUSED)?,
            malformed: register(table::MALFORMED)?,
            duplicates: register(table::DUPLICATES)?,
            timers: register(table::TIMERS)?,
            waits: register(table::WAITS)?,
            batches: register(table::BATCHES)?,
            refusals: refusals.collect::<Result<_, _>>()?,
            tick_to_sequenced: counters.histogram(table::TICK_TO_SEQUENCED, CounterLabels::shard(shard))?,
        })
    }

    /// Sets the counters to `statistics`.
    pub(crate) fn show(&mut self, statistics: &SequencerStatistics) {
        self.events.set(statistics.events);
        self.orders_refused.set(statistics.orders_refused);
        self.malformed.set(statistics.malformed);
        self.duplicates.set(statistics.duplicates);
        self.timers.set(statistics.timers_fired);
        self.waits.set(statistics.waits);
        self.batches.set(statistics.batches);
        self.cancels.set(statistics.cancels);
        if statistics.refused != self.shown {
            self.show_refusals(statistics);
        }
    }

    /// Sets the counters of the risk checks.
    #[cold]
    pub(crate) fn show_risk(&mut self, risk: &Risk) {
        for (counter, table) in self.tables.iter_mut().zip(risk.table_use()) {
            counter.set(table.used as u64);
        }
        self.repeated_executions.set(risk.repeated_executions());
    }

    /// Sets the counters that rarely change.
    #[cold]
    fn show_refusals(&mut self, statistics: &SequencerStatistics) {
        for (counter, (_, count)) in self.refused.iter_mut().zip(statistics.refused.iter()) {
            counter.set(count);
        }
        self.shown = statistics.refused;
    }

    /// Counts a refusal by this check.
    #[cold]
    pub(crate) fn on_refusal(&mut self, check: Check) {
        if let Some((_, counter)) = self.refusals.iter_mut().find(|(own, _)| *own == check) {
            counter.add(1);
        }
    }

    /// Records the time from an event's receipt to its sequencing.
    #[inline]
    pub(crate) fn on_sequenced(&mut self, received: Nanos, sequenced: Nanos) {
        if received != NOT_RECEIVED {
            self.tick_to_sequenced.record(sequenced.0.saturating_sub(received.0));
        }
    }
}

impl IntakeCounters {
    /// Registers the counters of the publisher `id`, whose ring has `capacity` words.
    pub(crate) fn register(
        counters: &Counters,
        shard: u16,
        (id, name): (u16, &str),
        capacity: usize,
    ) -> Result<Self, CounterError> {
        let register = |definition| counters.register(definition, CounterLabels::named(shard, id, name));
        register(table::QUEUE_LENGTH)?.set(8 * capacity as u64);
        Ok(Self { depth: register(table::QUEUE_DEPTH)?, submissions: register(table::SUBMISSIONS)? })
    }

    /// Counts `taken` more submissions; `left` words wait in the ring.
    #[inline]
    pub(crate) fn on_chunk(&mut self, taken: usize, left: usize) {
        self.submissions.add(taken as u64);
        self.depth.set(8 * left as u64);
    }
}
