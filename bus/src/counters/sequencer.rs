//! What the sequencer shows: set once for each duty cycle in which it had something to do.

use super::{Counter, CounterError, CounterLabels, Counters, Histogram, table};
use crate::refusals::Refusals;
use crate::sequencer::statistics::SequencerStatistics;
use crate::submission::NOT_RECEIVED;
use stele_wire::Nanos;
use stele_wire::messages::Check;

/// Checks that refusals are counted by: as many as a byte of the wire can say without waste.
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
}

/// A publisher's ring as the sequencer sees it.
#[derive(Debug)]
pub(crate) struct IntakeCounters {
    depth: Counter,
    submissions: Counter,
}

impl SequencerCounters {
    pub(crate) fn register(counters: &Counters, shard: u16) -> Result<Self, CounterError> {
        let register = |definition| counters.register(definition, CounterLabels::shard(shard));
        let checks = (1..CHECKS_MAX as u8).map(Check).filter_map(|check| Some((check, check.name()?)));
        let refusals = checks.map(|(check, name)| {
            let place = CounterLabels::named(shard, u16::from(check.0), name);
            counters.register(table::REFUSALS, place).map(|counter| (check, counter))
        });
        let shown = Refusals::default();
        let refused = shown.iter().map(|(reason, _)| {
            let place = CounterLabels::named(shard, u16::from(reason.0), reason.name().unwrap_or_default());
            counters.register(table::REFUSED_SUBMISSIONS, place)
        });
        Ok(Self {
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

    /// Shows what was done until now.
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

    /// What seldom changes.
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

    /// Counts how long an event took from its receipt to its place on the log.
    #[inline]
    pub(crate) fn on_sequenced(&mut self, received: Nanos, sequenced: Nanos) {
        if received != NOT_RECEIVED {
            self.tick_to_sequenced.record(sequenced.0.saturating_sub(received.0));
        }
    }
}

impl IntakeCounters {
    /// Of the publisher `id`, whose ring takes `capacity` words.
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

    /// `taken` more submissions are through; `left` words wait.
    #[inline]
    pub(crate) fn on_chunk(&mut self, taken: usize, left: usize) {
        self.submissions.add(taken as u64);
        self.depth.set(8 * left as u64);
    }
}
