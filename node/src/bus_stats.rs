//! The state of a running bus, computed from its counters: totals, and rates since the sample before.

use serde::Serialize;
use std::time::Instant;
use stele_bus::counters::histogram::Distribution;
use stele_bus::counters::table::{self, CounterDefinition};
use stele_bus::counters::{CounterReader, CounterReading, CounterWriterState};

/// All counters of a bus at one moment.
#[derive(Clone)]
pub(crate) struct CounterSample {
    at: Instant,
    readings: Vec<CounterReading>,
    /// Nanoseconds since the counters were created.
    age_ns: u64,
    pid: u32,
    writer: CounterWriterState,
}

/// The state of a bus, for the screen and for `--json`.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct BusStats {
    pub(crate) bus: String,
    pub(crate) process: u32,
    /// `running`, `ended` or `died`.
    pub(crate) state: &'static str,
    /// Seconds since the counters were created.
    pub(crate) seconds: f64,
    pub(crate) shards: Vec<ShardStats>,
    pub(crate) cores: Vec<CoreStats>,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct ShardStats {
    pub(crate) shard: u16,
    pub(crate) events: u64,
    pub(crate) events_per_second: f64,
    pub(crate) batches: u64,
    pub(crate) batches_per_second: f64,
    pub(crate) watermarks: Vec<WatermarkStats>,
    pub(crate) ring_length: u64,
    pub(crate) malformed: u64,
    pub(crate) duplicates: u64,
    pub(crate) waits: u64,
    /// Submissions that were not accepted, by reason.
    pub(crate) refused_submissions: Vec<(String, u64)>,
    pub(crate) orders_refused: u64,
    /// Orders that were refused, by check.
    pub(crate) refusals: Vec<(String, u64)>,
    /// The tables of the risk checks.
    pub(crate) risk_tables: Vec<TableStats>,
    pub(crate) repeated_executions: u64,
    pub(crate) venue_orders: u64,
    pub(crate) venue_fills: u64,
    pub(crate) released: u64,
    pub(crate) release_waiting: u64,
    pub(crate) timers: u64,
    pub(crate) strategies: Vec<StrategyStats>,
    /// Commands of operators on the log that did not apply to a strategy.
    pub(crate) commands_ignored: u64,
    /// What new orders must wait for, `journal` or `consumer`; none where they need not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) behind: Option<&'static str>,
    pub(crate) is_poisoned: bool,
    pub(crate) journal_writes_per_second: f64,
    pub(crate) segment_waits: u64,
    pub(crate) free_space: u64,
    pub(crate) free_space_warnings: u64,
    pub(crate) snapshots: u64,
    pub(crate) segments_behind: u64,
    pub(crate) latencies: Vec<LatencyStats>,
    pub(crate) publishers: Vec<PublisherStats>,
    pub(crate) consumers: Vec<ConsumerStats>,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct StrategyStats {
    pub(crate) id: u16,
    pub(crate) name: String,
    /// Whether an operator has paused it.
    pub(crate) is_paused: bool,
    /// Orders and replacements that were not sent because it was paused.
    pub(crate) suppressed: u64,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct TableStats {
    pub(crate) name: String,
    pub(crate) used: u64,
    pub(crate) size: u64,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct WatermarkStats {
    pub(crate) name: &'static str,
    pub(crate) position: u64,
    /// Bytes between it and `published`.
    pub(crate) lag: u64,
}

/// A latency: quantiles, in nanoseconds, of the values since the sample before, or of all values at the
/// first.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct LatencyStats {
    pub(crate) name: &'static str,
    pub(crate) count: u64,
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
    pub(crate) p999: Option<u64>,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct PublisherStats {
    pub(crate) id: u16,
    pub(crate) name: String,
    /// Bytes in its ring that are not sequenced yet.
    pub(crate) queue: u64,
    pub(crate) queue_length: u64,
    pub(crate) submissions: u64,
    pub(crate) submissions_per_second: f64,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct ConsumerStats {
    pub(crate) name: String,
    pub(crate) contract: &'static str,
    pub(crate) position: u64,
    /// Bytes between it and `published`.
    pub(crate) lag: u64,
    pub(crate) lost: u64,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct CoreStats {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<u64>,
    /// The share of time in duty cycles that did work, from 0 to 1.
    pub(crate) busy: f64,
    pub(crate) turns_per_second: f64,
    pub(crate) stall_ns_max: u64,
}

const WATERMARKS: [&CounterDefinition; 5] =
    [table::PUBLISHED, table::BATCHED, table::WRITTEN, table::DURABLE, table::SEALED];
const LATENCIES: [&CounterDefinition; 4] = [
    table::TICK_TO_SEQUENCED,
    table::TICK_TO_STRATEGY,
    table::PUBLISH_TO_DURABLE,
    table::SEQUENCED_TO_RELEASED,
];

impl CounterSample {
    /// Reads every counter; `now_ns` is the time in nanoseconds since the epoch.
    pub(crate) fn take(reader: &CounterReader, now_ns: u64) -> Self {
        Self {
            at: Instant::now(),
            // Read first, so that the readings of a bus that has ended are final.
            writer: reader.writer(),
            readings: reader.readings().collect(),
            age_ns: now_ns.saturating_sub(reader.created().0),
            pid: reader.process().id,
        }
    }

    pub(crate) fn writer(&self) -> CounterWriterState {
        self.writer
    }

    fn find(
        &self,
        definition: &'static CounterDefinition,
        shard: u16,
        instance: u16,
    ) -> Option<&CounterReading> {
        let wanted = (definition, shard, instance);
        self.readings.iter().find(|found| (found.definition, found.shard, found.instance) == wanted)
    }

    fn value(&self, definition: &'static CounterDefinition, shard: u16, instance: u16) -> u64 {
        self.find(definition, shard, instance).map_or(0, |found| found.value)
    }

    fn all<'a>(
        &'a self,
        definition: &'static CounterDefinition,
        shard: u16,
    ) -> impl Iterator<Item = &'a CounterReading> {
        let is_of = move |found: &&CounterReading| (found.definition, found.shard) == (definition, shard);
        self.readings.iter().filter(is_of)
    }

    /// Computes the state of the bus `name`, with rates since `before`, or since its start.
    pub(crate) fn stats(&self, name: &str, before: Option<&Self>) -> BusStats {
        let seconds = self.age_ns as f64 / 1e9;
        let since = match before {
            Some(before) => self.at.duration_since(before.at).as_secs_f64(),
            None => seconds,
        };
        let span = Span { now: self, before, seconds: since.max(1e-6) };
        let mut shards: Vec<u16> = self
            .readings
            .iter()
            .filter(|found| found.definition == table::EVENTS)
            .map(|found| found.shard)
            .collect();
        shards.sort_unstable();
        let cores = self.readings.iter().filter(|found| found.definition == table::TURNS_WORKING);
        BusStats {
            bus: name.into(),
            process: self.pid,
            state: match self.writer {
                CounterWriterState::Running => "running",
                CounterWriterState::Ended => "ended",
                CounterWriterState::Died => "died",
            },
            seconds,
            shards: shards.into_iter().map(|shard| span.shard(shard)).collect(),
            cores: cores.map(|core| span.core(core)).collect(),
        }
    }
}

/// Two samples, and the seconds between them.
struct Span<'a> {
    now: &'a CounterSample,
    before: Option<&'a CounterSample>,
    seconds: f64,
}

impl Span<'_> {
    /// Returns how much a counter grew.
    fn growth(&self, definition: &'static CounterDefinition, shard: u16, instance: u16) -> u64 {
        let before = self.before.map_or(0, |before| before.value(definition, shard, instance));
        self.now.value(definition, shard, instance).saturating_sub(before)
    }

    fn rate(&self, definition: &'static CounterDefinition, shard: u16, instance: u16) -> f64 {
        self.growth(definition, shard, instance) as f64 / self.seconds
    }

    fn shard(&self, shard: u16) -> ShardStats {
        let value = |definition| self.now.value(definition, shard, 0);
        let rate = |definition| self.rate(definition, shard, 0);
        let published = value(table::PUBLISHED);
        let watermarks = WATERMARKS.into_iter().filter(|mark| self.now.find(mark, shard, 0).is_some());
        let reasons = |definition| {
            let some = self.now.all(definition, shard).filter(|refusal| refusal.value > 0);
            some.map(|refusal| (refusal.label.clone(), refusal.value)).collect()
        };
        ShardStats {
            shard,
            events: value(table::EVENTS),
            events_per_second: rate(table::EVENTS),
            batches: value(table::BATCHES),
            batches_per_second: rate(table::BATCHES),
            watermarks: watermarks
                .map(|mark| WatermarkStats {
                    name: mark.name,
                    position: value(mark),
                    lag: published.saturating_sub(value(mark)),
                })
                .collect(),
            ring_length: value(table::RING_LENGTH),
            malformed: value(table::MALFORMED),
            duplicates: value(table::DUPLICATES),
            waits: value(table::WAITS),
            orders_refused: value(table::ORDERS_REFUSED),
            refused_submissions: reasons(table::REFUSED_SUBMISSIONS),
            refusals: reasons(table::REFUSALS),
            risk_tables: self.risk_tables(shard),
            repeated_executions: value(table::REPEATED_EXECUTIONS),
            venue_orders: value(table::VENUE_ORDERS),
            venue_fills: value(table::VENUE_FILLS),
            released: value(table::RELEASED),
            release_waiting: value(table::RELEASE_WAITING),
            timers: value(table::TIMERS),
            strategies: self.strategies(shard),
            commands_ignored: value(table::COMMANDS_IGNORED),
            behind: match value(table::BEHIND) {
                0 => None,
                1 => Some("journal"),
                _ => Some("consumer"),
            },
            is_poisoned: value(table::POISONED) > 0,
            journal_writes_per_second: rate(table::JOURNAL_WRITES),
            segment_waits: value(table::JOURNAL_SEGMENT_WAITS),
            free_space: value(table::FREE_SPACE),
            free_space_warnings: value(table::FREE_SPACE_WARNINGS),
            snapshots: value(table::SNAPSHOTS),
            segments_behind: value(table::SEGMENTS_BEHIND),
            latencies: LATENCIES.into_iter().filter_map(|latency| self.latency(latency, shard)).collect(),
            publishers: self.publishers(shard),
            consumers: self.consumers(shard, published),
        }
    }

    fn risk_tables(&self, shard: u16) -> Vec<TableStats> {
        let tables = self.now.all(table::RISK_TABLE_SIZE, shard).map(|size| TableStats {
            name: size.label.clone(),
            used: self.now.value(table::RISK_TABLE_USED, shard, size.instance),
            size: size.value,
        });
        tables.collect()
    }

    fn latency(&self, definition: &'static CounterDefinition, shard: u16) -> Option<LatencyStats> {
        let distribution = |check: &CounterSample| -> Option<Distribution> {
            check.find(definition, shard, 0)?.distribution.clone()
        };
        let now = distribution(self.now)?;
        let seen = match self.before.and_then(distribution) {
            Some(before) => now.since(&before),
            None => now,
        };
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| seen.quantile(quantile));
        Some(LatencyStats { name: definition.name, count: seen.count(), p50, p99, p999 })
    }

    fn strategies(&self, shard: u16) -> Vec<StrategyStats> {
        let strategies = self.now.all(table::STRATEGY_PAUSED, shard).map(|paused| StrategyStats {
            id: paused.instance,
            name: paused.label.clone(),
            is_paused: paused.value != 0,
            suppressed: self.now.value(table::ORDERS_SUPPRESSED, shard, paused.instance),
        });
        strategies.collect()
    }

    fn publishers(&self, shard: u16) -> Vec<PublisherStats> {
        let publishers = self.now.all(table::QUEUE_LENGTH, shard).map(|length| PublisherStats {
            id: length.instance,
            name: length.label.clone(),
            queue: self.now.value(table::QUEUE_DEPTH, shard, length.instance),
            queue_length: length.value,
            submissions: self.now.value(table::SUBMISSIONS, shard, length.instance),
            submissions_per_second: self.rate(table::SUBMISSIONS, shard, length.instance),
        });
        publishers.collect()
    }

    fn consumers(&self, shard: u16, published: u64) -> Vec<ConsumerStats> {
        let consumers = self.now.all(table::CONSUMER_POSITION, shard).map(|consumer| ConsumerStats {
            name: consumer.label.clone(),
            contract: consumer.contract.name(),
            position: consumer.value,
            lag: published.saturating_sub(consumer.value),
            lost: self.now.value(table::CONSUMER_LOST, shard, consumer.instance),
        });
        consumers.collect()
    }

    fn core(&self, core: &CounterReading) -> CoreStats {
        let (shard, instance) = (core.shard, core.instance);
        let turns = self.growth(table::TURNS_WORKING, shard, instance)
            + self.growth(table::TURNS_IDLE, shard, instance);
        let busy = self.growth(table::CORE_BUSY, shard, instance) as f64 / (self.seconds * 1e9);
        CoreStats {
            name: core.label.clone(),
            cpu: Some(self.now.value(table::CORE_CPU, shard, instance)).filter(|cpu| *cpu != u64::MAX),
            busy: busy.min(1.0),
            turns_per_second: turns as f64 / self.seconds,
            stall_ns_max: self.now.value(table::CORE_STALL_MAX, shard, instance),
        }
    }
}
