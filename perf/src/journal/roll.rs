//! The cost of a segment roll to a publisher: the same stream of events with and without rolls.
//!
//! ```text
//!  load (sequencer's CPU): event due ─> publisher ─> sequencer ─> ring, published
//!                                                                 └─> journal ─> segments of 4 MiB, or one
//! ```
//!
//! The time starts when an event was due and ends with the sequencer's Release store of `published`; the loop
//! is open. With rolls, the pool prepares the next segments during the run, as in production; without rolls,
//! it is idle.

use super::rig::{Pool, Rig, wait_or_fail};
use super::{JournalSetup, JournalWorkload, ScenarioError, in_folder};
use crate::cpu::on_cpu;
use crate::figure::latency_histogram;
use crate::{Figure, HiccupMeter, MessageMix, Percentiles};
use std::time::{Duration, Instant};
use stele_bus::NOT_RECEIVED;

/// Data bytes of a segment in the runs with rolls.
const SHORT: u64 = 4 << 20;
/// Events of 64 bytes per second.
const RATE: u64 = 500_000;
const WITHOUT: &str = "publish_without_rolls";

/// Both sides, with one entry per repetition.
#[derive(Default)]
pub(crate) struct Rolls {
    with: Vec<Percentiles>,
    without: Vec<Percentiles>,
    rolls: Vec<f64>,
    gaps: Vec<f64>,
}

impl Rolls {
    pub(crate) fn measure(
        &mut self,
        setup: &JournalSetup,
        workload: &JournalWorkload,
    ) -> Result<(), ScenarioError> {
        let bytes = u64::from(workload.rolls) * SHORT;
        let (seen, _) = in_folder(setup, |folder| {
            measure(Rig::open(folder, setup, 2 * bytes, Pool::Before(0))?, setup, bytes)
        })?;
        self.without.push(seen);
        let (seen, rolls) = in_folder(setup, |folder| {
            measure(Rig::open(folder, setup, SHORT, Pool::Meanwhile)?, setup, bytes)
        })?;
        self.with.push(seen);
        self.rolls.push(rolls as f64);
        let mut meter = HiccupMeter::new();
        on_cpu(setup.sequencer_cpu, || meter.watch(Duration::from_millis(200)));
        self.gaps.push(meter.noise().hiccup_max_ns as f64);
        Ok(())
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let figures = [
            Figure::latency("roll", &self.with)
                .map(|figure| figure.beside(WITHOUT, &self.with, &self.without)),
            Figure::latency(WITHOUT, &self.without),
            Figure::single("rolls", "rolls", &self.rolls),
            Figure::single("machine_gap_max", "ns", &self.gaps),
        ];
        figures.into_iter().flatten().collect()
    }
}

/// Publishes `bytes` of log at [`RATE`]. Returns the latencies and the number of rolls.
fn measure(rig: Rig, setup: &JournalSetup, bytes: u64) -> Result<(Percentiles, u64), ScenarioError> {
    let mut running = rig.start(setup)?;
    on_cpu(setup.sequencer_cpu, move || {
        let (mix, mut seen) = (MessageMix::of_64_bytes(), latency_histogram());
        let (message, base, ring) = (&mix.messages[0], running.ring.base(), running.ring.clone());
        let due = |event: u64| Duration::from_nanos(event * 1_000_000_000 / RATE);
        let (mut offered, mut published) = (0, 0);
        let begin = Instant::now();
        while ring.watermarks().published().0 - base.0 < bytes {
            while due(offered) <= begin.elapsed() {
                match running.publisher.offer(message.template_id, &message.body, NOT_RECEIVED) {
                    Ok(()) => offered += 1,
                    Err(refusal) => {
                        wait_or_fail(refusal)?;
                        break;
                    }
                }
            }
            running.turn()?;
            // The first events are the sequencer's: the grants of the publisher, and its numbering.
            let sequenced = (running.sequencer.next_sequence().0 - 1).saturating_sub(2);
            if sequenced > published {
                let now = begin.elapsed();
                (published..sequenced)
                    .for_each(|event| seen.saturating_record((now - due(event)).as_nanos() as u64));
                published = sequenced;
            } else {
                running.check()?;
            }
        }
        Ok((Percentiles::from(&seen), running.stop()?.rolls))
    })
}
