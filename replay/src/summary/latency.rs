//! Latencies of a trail's orders, and their percentiles.

use crate::pacer::received_delta;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::VecDeque;
use stele_wire::Frame;
use stele_wire::messages::{CancelOrder, NewOrder, OrderReleased, ReplaceOrder};

/// The number of events whose receive times are kept.
pub const RECEIVED_WINDOW: usize = 1 << 18;

/// The most orders that wait for their release; beyond that the oldest counts as untimed.
pub const UNRELEASED_MAX: usize = 1 << 16;

const _: () = assert!(RECEIVED_WINDOW.is_power_of_two());

/// The percentiles of a latency, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct LatencyPercentiles {
    /// The number of measurements; with 0 the other fields have no meaning.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The 99.99th percentile.
    pub p9999: u64,
    /// The maximum.
    pub max: u64,
}

impl LatencyPercentiles {
    /// Returns the percentiles of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            p9999: histogram.value_at_quantile(0.9999),
            max: histogram.max(),
        }
    }
}

/// Latencies from the receipt of a cause to its effects.
pub(super) struct Latencies {
    /// Receive times by sequence, in a ring indexed by the sequence modulo the length.
    received: Vec<(u64, u64)>,
    /// Orders that have not been released: sequence, and the receive time of the cause.
    unreleased: VecDeque<(u64, u64)>,
    pub(super) sequenced: Histogram<u64>,
    pub(super) released: Histogram<u64>,
    pub(super) untimed: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = || Histogram::new(3).expect("three digits are possible");
        Self {
            received: vec![(0, 0); RECEIVED_WINDOW],
            unreleased: VecDeque::new(),
            sequenced: histogram(),
            released: histogram(),
            untimed: 0,
        }
    }
}

impl Latencies {
    pub(super) fn on_event(&mut self, event: &Frame<'_>) {
        let (sequence, timestamp) = (event.sequence().0, event.timestamp().0);
        if let Some(delta) = received_delta(event) {
            self.received[sequence as usize % RECEIVED_WINDOW] =
                (sequence, timestamp.saturating_sub(delta.into()));
        }
        match event.template_id() {
            NewOrder::TEMPLATE_ID | ReplaceOrder::TEMPLATE_ID | CancelOrder::TEMPLATE_ID => {
                let origin = crate::regeneration::origin(event.template_id(), event.body());
                self.on_order(sequence, timestamp, origin.map_or(0, |(_, cause)| cause));
            }
            OrderReleased::TEMPLATE_ID => {
                let Some(message) = event.message::<OrderReleased>() else { return };
                self.on_released(message.through_sequence.get(), message.released_time.get());
            }
            _ => {}
        }
    }

    fn on_order(&mut self, sequence: u64, timestamp: u64, cause: u64) {
        let (of, received) = self.received[cause as usize % RECEIVED_WINDOW];
        if cause == 0 || of != cause {
            self.untimed += 1;
            return;
        }
        record(&mut self.sequenced, timestamp.saturating_sub(received));
        if self.unreleased.len() == UNRELEASED_MAX {
            self.unreleased.pop_front();
            self.untimed += 1;
        }
        self.unreleased.push_back((sequence, received));
    }

    fn on_released(&mut self, through: u64, time: u64) {
        while let Some((_, received)) = self.unreleased.pop_front_if(|(sequence, _)| *sequence <= through) {
            record(&mut self.released, time.saturating_sub(received));
        }
    }
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.record(nanos).expect("the histogram resizes itself");
}
