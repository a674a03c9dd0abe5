//! The time until an event is written and until it is durable: orders at random times, idle and under load.
//!
//! ```text
//!  load (sequencer's CPU)                                       journal's core
//!  order due ─> publisher ─> sequencer ─> ring, published ────────> journal ─> device
//!                                          └ sees written, durable <── watermarks
//! ```
//!
//! The time starts with the sequencer's Release store of `published` (at the end of its duty cycle, about 100
//! ns later) and ends when the thread of the load, on another CPU than the journal, sees the watermark pass
//! the order. The loop is open: the lateness of the thread is added, so a stall counts for every order that
//! was due during it.

use super::rig::{Pool, Rig, Running};
use super::{JournalSetup, ScenarioError};
use crate::Percentiles;
use crate::arrivals::Arrivals;
use crate::cpu::on_cpu;
use crate::figure::latency_histogram;
use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::NOT_RECEIVED;
use stele_wire::bounds::PADDING_LENGTH_MIN;
use stele_wire::frame::frame_length;
use stele_wire::messages::{NewOrder, Side};
use stele_wire::units::Position;

/// The latencies of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) written: Percentiles,
    pub(crate) durable: Percentiles,
    /// The bytes that one order takes on the device.
    pub(crate) block: usize,
}

/// The number of turns of the loop between two checks that the journal is still running.
const CHECK_EVERY: u32 = 1 << 20;

/// Publishes an order at each arrival for `length`, and measures its latencies.
pub(crate) fn publish_latency(
    trail: &Path,
    setup: &JournalSetup,
    arrivals: Arrivals,
    length: Duration,
) -> Result<Seen, ScenarioError> {
    let running = Rig::open(trail, setup, setup.segment_length, Pool::Meanwhile)?.start(setup)?;
    on_cpu(setup.sequencer_cpu, move || measure(running, arrivals, length))
}

/// A published order: the end of its frame, and the time of its publication minus its lateness.
struct Waiting {
    end: Position,
    start: Duration,
}

fn measure(mut running: Running, mut arrivals: Arrivals, length: Duration) -> Result<Seen, ScenarioError> {
    let (mut unwritten, mut undurable) = (VecDeque::with_capacity(1 << 16), VecDeque::with_capacity(1 << 16));
    let (mut written, mut durable) = (latency_histogram(), latency_histogram());
    let mut order = order();
    let mut turns = 0u32;
    let begin = Instant::now();
    loop {
        let now = begin.elapsed();
        let is_due = arrivals.next_due() <= now && arrivals.next_due() < length;
        if is_due {
            order.client_order_id.set(order.client_order_id.get() + 1);
            running.publisher.offer_message(&order, NOT_RECEIVED).map_err(std::io::Error::other)?;
        }
        running.turn()?;
        if is_due {
            let end = running.ring.watermarks().published();
            let published = begin.elapsed();
            let late = now - arrivals.take();
            let start = published.saturating_sub(late);
            unwritten.push_back(Waiting { end, start });
            undurable.push_back(Waiting { end, start });
        } else if arrivals.next_due() >= length && undurable.is_empty() {
            break;
        }
        let marks = running.ring.watermarks();
        for (mark, waiting, seen) in
            [(marks.written(), &mut unwritten, &mut written), (marks.durable(), &mut undurable, &mut durable)]
        {
            while let Some(order) = waiting.pop_front_if(|order: &mut Waiting| order.end <= mark) {
                seen.saturating_record((begin.elapsed() - order.start).as_nanos() as u64);
            }
        }
        turns = turns.wrapping_add(1);
        if turns.is_multiple_of(CHECK_EVERY) {
            running.check()?;
        }
    }
    assert_eq!(
        running.sequencer.statistics().orders_refused,
        0,
        "a refusal does not close its batch at once"
    );
    let length = frame_length(size_of::<NewOrder>()) + PADDING_LENGTH_MIN;
    let block = length.next_multiple_of(running.block_length);
    running.stop()?;
    Ok(Seen { written: (&written).into(), durable: (&durable).into(), block })
}

/// Returns an order that passes every check. Its batch closes at once, because the order waits for its
/// release.
fn order() -> NewOrder {
    let mut order = NewOrder { side: Side::BUY, ..NewOrder::NULL };
    order.account.set(1);
    order.instrument.set(1);
    order.quantity.set(1);
    order.limit_price.set(1_000_000_000);
    order
}
