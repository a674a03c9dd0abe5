//! The counters of an order gateway.

use stele_bus::counters::table;
use stele_bus::{Counter, CounterError, Counters, Histogram, Place};
use stele_wire::Nanos;

/// The counters of an order gateway.
#[derive(Debug)]
pub(crate) struct GatewayCounters {
    released: Counter,
    waiting: Counter,
    latency: Histogram,
}

impl GatewayCounters {
    pub(crate) fn register(counters: &Counters, shard: u16) -> Result<Self, CounterError> {
        let place = Place::shard(shard);
        Ok(Self {
            released: counters.register(table::RELEASED, place)?,
            waiting: counters.register(table::RELEASE_WAITING, place)?,
            latency: counters.histogram(table::SEQUENCED_TO_RELEASED, place)?,
        })
    }

    /// Counts an order that was sequenced at `sequenced` and leaves now.
    #[inline]
    pub(crate) fn on_left(&mut self, sequenced: Nanos, now: Nanos) {
        self.released.add(1);
        self.latency.record(now.0.saturating_sub(sequenced.0));
    }

    /// Sets how many orders wait.
    #[inline]
    pub(crate) fn on_waiting(&mut self, count: usize) {
        if self.waiting.get() != count as u64 {
            self.waiting.set(count as u64);
        }
    }
}
