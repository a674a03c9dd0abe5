//! Counters that the main thread updates ten times a second from values that exist anyway: watermarks,
//! positions of consumers, duty cycles of cores. They cost the hot threads nothing.

use crate::failure::Failure;
use std::sync::Arc;
use stele_bus::counters::{ConsumerContract, table};
use stele_bus::{
    Backpressure, ConsumerProgress, Core, Counter, CounterError, CounterLabels, Counters, LogRing, Watermark,
};
use stele_journal::SpaceWatch;

/// The gauges of one shard.
pub(crate) struct ShardGauges {
    ring: LogRing,
    marks: [(Watermark, Counter); 5],
    behind: Counter,
    poisoned: Counter,
    consumers: Vec<(ConsumerProgress, Counter)>,
    space: Option<Arc<SpaceWatch>>,
    free_space: Counter,
    space_warnings: Counter,
}

/// The gauges of one core.
struct CoreGauges {
    working: Counter,
    idle: Counter,
    busy: Counter,
    stall_max: Counter,
}

/// The gauges of all cores, in the order of the cores.
pub(crate) struct CoresGauges {
    cores: Vec<CoreGauges>,
}

impl ShardGauges {
    /// Registers the gauges of the shard with this ring and these gating consumers.
    pub(crate) fn register(
        counters: &Counters,
        shard: u16,
        ring: &LogRing,
        consumers: &[ConsumerProgress],
        space: Option<Arc<SpaceWatch>>,
    ) -> Result<Self, Failure> {
        Self::try_register(counters, shard, ring, consumers, space).map_err(Failure::environment)
    }

    fn try_register(
        counters: &Counters,
        shard: u16,
        ring: &LogRing,
        consumers: &[ConsumerProgress],
        space: Option<Arc<SpaceWatch>>,
    ) -> Result<Self, CounterError> {
        let register = |definition| counters.register(definition, CounterLabels::shard(shard));
        let mark = |mark, definition| Ok((mark, register(definition)?));
        register(table::RING_LENGTH)?.set(ring.capacity() as u64);
        let consumer = |(index, progress): (usize, &ConsumerProgress)| {
            let place =
                CounterLabels::consumer(shard, index as u16 + 1, progress.name(), ConsumerContract::Gating);
            Ok((progress.clone(), counters.register(table::CONSUMER_POSITION, place)?))
        };
        Ok(Self {
            ring: ring.clone(),
            marks: [
                mark(Watermark::Published, table::PUBLISHED)?,
                mark(Watermark::Batched, table::BATCHED)?,
                mark(Watermark::Written, table::WRITTEN)?,
                mark(Watermark::Durable, table::DURABLE)?,
                mark(Watermark::Sealed, table::SEALED)?,
            ],
            behind: register(table::BEHIND)?,
            poisoned: register(table::POISONED)?,
            consumers: consumers.iter().enumerate().map(consumer).collect::<Result<_, _>>()?,
            space,
            free_space: register(table::FREE_SPACE)?,
            space_warnings: register(table::FREE_SPACE_WARNINGS)?,
        })
    }

    /// Updates the counters.
    pub(crate) fn show(&mut self) {
        // The last watermark first, so that a reader never sees one ahead of the watermark that it follows.
        let marks = self.ring.watermarks();
        self.marks.iter_mut().rev().for_each(|(mark, counter)| counter.set(marks.get(*mark).0));
        self.behind.set(match self.ring.backpressure() {
            None => 0,
            Some(Backpressure::Journal) => 1,
            Some(Backpressure::Consumer) => 2,
        });
        self.poisoned.set(u64::from(self.ring.poisoned().is_some()));
        for (progress, counter) in &mut self.consumers {
            // A consumer that has ended has the position `u64::MAX`.
            let released = progress.released().0;
            if released != u64::MAX {
                counter.set(released);
            }
        }
        if let Some(space) = &self.space {
            self.free_space.set(Some(space.free()).filter(|free| *free != u64::MAX).unwrap_or(0));
            self.space_warnings.set(space.warnings());
        }
    }
}

impl CoresGauges {
    pub(crate) fn register(
        counters: &Counters,
        cores: &[Core],
        cpus: &[Option<usize>],
    ) -> Result<Self, Failure> {
        let core = |(index, core): (usize, &Core)| {
            let register = |definition| {
                counters.register(definition, CounterLabels::named(0, index as u16, core.name()))
            };
            let cpu = cpus.get(index).copied().flatten();
            register(table::CORE_CPU)?.set(cpu.map_or(u64::MAX, |cpu| cpu as u64));
            Ok(CoreGauges {
                working: register(table::TURNS_WORKING)?,
                idle: register(table::TURNS_IDLE)?,
                busy: register(table::CORE_BUSY)?,
                stall_max: register(table::CORE_STALL_MAX)?,
            })
        };
        let cores: Result<Vec<CoreGauges>, CounterError> = cores.iter().enumerate().map(core).collect();
        Ok(Self { cores: cores.map_err(Failure::environment)? })
    }

    /// Updates the counters of `cores`, which are those that were registered.
    pub(crate) fn show(&mut self, cores: &[Core]) {
        for (gauges, core) in self.cores.iter_mut().zip(cores) {
            let (turns, times) = (core.duty_cycles(), core.duty_cycle_times());
            gauges.working.set(turns.working);
            gauges.idle.set(turns.idle);
            gauges.busy.set(times.busy.0);
            gauges.stall_max.set(times.stall_max.0);
        }
    }
}
