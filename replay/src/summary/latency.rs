//! Latencies of a trail's orders, and their percentiles.

use crate::pacer::received_delta;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::VecDeque;
use stele_venue::Releases;
use stele_wire::messages::{
    CancelOrder, CancelReleased, NewOrder, OrderDropped, OrderReleased, ReplaceOrder,
};
use stele_wire::{Frame, Sequence};

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
    releases: Releases,
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
            releases: Releases::default(),
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
        self.releases.on_event(event);
        match event.template_id() {
            NewOrder::TEMPLATE_ID | ReplaceOrder::TEMPLATE_ID | CancelOrder::TEMPLATE_ID => {
                let origin = crate::regeneration::origin(event.template_id(), event.body());
                self.on_order(sequence, timestamp, origin.map_or(0, |(_, cause)| cause));
            }
            OrderReleased::TEMPLATE_ID => {
                let Some(message) = event.message::<OrderReleased>() else { return };
                self.on_released(message.through_sequence.get(), message.released_time.get());
            }
            CancelReleased::TEMPLATE_ID => {
                let Some(message) = event.message::<CancelReleased>() else { return };
                if let Some(received) = self.take_unreleased(message.cancel_sequence.get()) {
                    record(&mut self.released, message.released_time.get().saturating_sub(received));
                }
            }
            OrderDropped::TEMPLATE_ID => {
                let Some(message) = event.message::<OrderDropped>() else { return };
                let order = message.order_sequence.get();
                self.take_unreleased(order);
                self.releases.forget(Sequence(order));
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
        while let Some((order, received)) = self.unreleased.pop_front_if(|(sequence, _)| *sequence <= through)
        {
            if self.releases.has_left(Sequence(order)) == Some(true) {
                record(&mut self.released, time.saturating_sub(received));
            }
        }
    }

    /// Removes an order that waits for its release, and returns when its cause was received.
    fn take_unreleased(&mut self, order: u64) -> Option<u64> {
        let index = self.unreleased.binary_search_by_key(&order, |(sequence, _)| *sequence).ok()?;
        self.unreleased.remove(index).map(|(_, received)| received)
    }
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.record(nanos).expect("the histogram resizes itself");
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::bounds::FRAME_VERSION;
    use stele_wire::codec::Message;
    use stele_wire::frame::{FrameHeader, frame_length};
    use stele_wire::messages::{DropReason, SCHEMA_ID, SCHEMA_VERSION, SessionStart};
    use zerocopy::{FromZeros, IntoBytes};

    /// Passes one event to `latencies`; it is timestamped a microsecond after its sequence.
    fn pass<M: Message>(latencies: &mut Latencies, sequence: u64, message: &M) {
        let length = frame_length(size_of::<M>());
        let header = FrameHeader {
            length: (length as u16).into(),
            version: FRAME_VERSION,
            sequence: sequence.into(),
            timestamp: (sequence * 1_000).into(),
            block_length: M::BLOCK_LENGTH.into(),
            template_id: M::TEMPLATE_ID.into(),
            schema_id: SCHEMA_ID.into(),
            schema_version: SCHEMA_VERSION.into(),
            ..FrameHeader::new_zeroed()
        };
        let mut frame = header.as_bytes().to_vec();
        frame.extend_from_slice(message.as_bytes());
        frame.resize(length, 0);
        latencies.on_event(&Frame::read(&frame).unwrap());
    }

    fn waiting(latencies: &Latencies) -> Vec<u64> {
        latencies.unreleased.iter().map(|(order, _)| *order).collect()
    }

    #[test]
    fn a_cancel_that_left_early_counts_once_and_what_was_dropped_does_not_count() {
        let mut latencies = Latencies::default();
        for order in [2, 3, 4, 5] {
            latencies.unreleased.push_back((order, order * 1_000));
        }
        let early =
            CancelReleased { cancel_sequence: 4.into(), released_time: 4_500.into(), ..CancelReleased::NULL };
        pass(&mut latencies, 6, &early);
        assert_eq!((latencies.released.len(), latencies.released.max()), (1, 500));
        let dropped =
            OrderDropped { order_sequence: 3.into(), reason: DropReason::CANCELLED, ..OrderDropped::NULL };
        pass(&mut latencies, 7, &dropped);
        assert_eq!(waiting(&latencies), [2, 5]);
        let released =
            OrderReleased { through_sequence: 5.into(), released_time: 9_000.into(), ..OrderReleased::NULL };
        pass(&mut latencies, 8, &released);
        assert_eq!((latencies.released.len(), waiting(&latencies).len()), (3, 0));
    }

    #[test]
    fn an_order_of_an_earlier_epoch_is_not_counted_as_released_by_a_later_one() {
        let mut latencies = Latencies::default();
        latencies.unreleased.push_back((2, 2_000));
        pass(&mut latencies, 3, &SessionStart::NULL);
        let released =
            OrderReleased { through_sequence: 4.into(), released_time: 9_000.into(), ..OrderReleased::NULL };
        pass(&mut latencies, 5, &released);
        assert_eq!((latencies.released.len(), waiting(&latencies).len()), (0, 0));
    }
}
