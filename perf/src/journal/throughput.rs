//! The throughput of the journal with everything that the sequencer can publish, compared with the bandwidth
//! of the device.
//!
//! ```text
//!  load (sequencer's CPU): publisher ─> sequencer ─> ring ──> journal (its CPU) ─> device
//!  raw (journal's CPU):    requests as long and as many as those of the journal at full load ──> device
//! ```
//!
//! The time starts with the first submission and ends when the watermark (`written`, `durable`) has passed
//! the last event. `journal_drain` is the journal alone: its thread empties a ring that was filled before.

use super::raw::Style;
use super::rig::{Pool, Rig, Running, wait_or_fail};
use super::{JournalSetup, JournalWorkload, ScenarioError, in_folder, raw_beside_spinning};
use crate::Figure;
use crate::cpu::on_cpu;
use crate::mix::{Message, MessageMix};
use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::Agent as _;
use stele_bus::NOT_RECEIVED;
use stele_bus::bounds::RING_LENGTH_DEFAULT;
use stele_journal::bounds::{IN_FLIGHT_MAX, WRITE_LENGTH_MAX};
use stele_wire::units::Position;

/// The number of turns of a loop between two checks that the journal is still running.
const CHECK_EVERY: u32 = 1 << 12;

/// The result of one run.
#[derive(Clone, Copy, Debug)]
struct Sustained {
    events: u64,
    bytes: u64,
    written: Duration,
    durable: Duration,
}

/// One figure, with one entry per repetition: events per second, and bytes per second divided by those of the
/// raw device.
#[derive(Default)]
struct Rates {
    events: Vec<f64>,
    ratios: Vec<f64>,
}

impl Rates {
    fn push(&mut self, events: u64, bytes: u64, took: Duration, raw: f64) {
        let seconds = took.as_secs_f64();
        self.events.push(events as f64 / seconds);
        self.ratios.push(bytes as f64 / seconds / raw);
    }

    fn figure(&self, name: &str, baseline: &'static str) -> Option<Figure> {
        Some(Figure::rate(name, &self.events)?.over(baseline, &self.ratios))
    }
}

/// All throughput figures, with one entry per repetition.
#[derive(Default)]
pub(crate) struct Streams {
    raw_write: Vec<f64>,
    raw_flushed: Vec<f64>,
    written: Rates,
    durable: Rates,
    while_zeroing: Rates,
    drain: Rates,
    mixes: Vec<(&'static str, Rates, Rates)>,
    waits: Vec<f64>,
}

const RAW_WRITE: &str = "raw_sequential_write";
const RAW_FLUSHED: &str = "raw_flushed_sequential_write";

impl Streams {
    pub(crate) fn measure(
        &mut self,
        setup: &JournalSetup,
        workload: &JournalWorkload,
        mixes: &[MessageMix],
    ) -> Result<(), ScenarioError> {
        let raw = |flushed| {
            raw_beside_spinning(setup, workload.throughput_bytes.min(4 * setup.segment_length), |device| {
                let style = Style { flushed, yields: setup.yields };
                let (request, depth) = (WRITE_LENGTH_MAX as usize, IN_FLIGHT_MAX);
                device.write_rate(workload.throughput_bytes, request, depth, style)
            })
        };
        let (raw_write, raw_flushed) = (raw(false)?, raw(true)?);
        self.raw_write.push(raw_write);
        self.raw_flushed.push(raw_flushed);
        let bytes = workload.throughput_bytes;
        // The ring may hold events beyond the requested bytes.
        let segments = (bytes + RING_LENGTH_DEFAULT as u64) / setup.segment_length;
        let stock = Pool::Before(segments as usize + 2);
        let events = MessageMix::of_64_bytes();
        let (seen, _) = in_folder(setup, |folder| sustain(folder, setup, &events, bytes, stock))?;
        self.written.push(seen.events, seen.bytes, seen.written, raw_write);
        self.durable.push(seen.events, seen.bytes, seen.durable, raw_flushed);
        let (seen, waits) =
            in_folder(setup, |folder| sustain(folder, setup, &events, bytes, Pool::Meanwhile))?;
        self.while_zeroing.push(seen.events, seen.bytes, seen.written, raw_write);
        self.waits.push(waits as f64);
        let (events, bytes, took) = in_folder(setup, |folder| drain(folder, setup, &events, bytes, stock))?;
        self.drain.push(events, bytes, took, raw_write);
        self.mixes.resize_with(mixes.len(), Default::default);
        for (mix, (name, written, durable)) in mixes.iter().zip(&mut self.mixes) {
            let (seen, _) =
                in_folder(setup, |folder| sustain(folder, setup, mix, workload.throughput_bytes, stock))?;
            *name = mix.name;
            written.push(seen.events, seen.bytes, seen.written, raw_write);
            durable.push(seen.events, seen.bytes, seen.durable, raw_flushed);
        }
        Ok(())
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![
            Figure::single(RAW_WRITE, "bytes/s", &self.raw_write),
            Figure::single(RAW_FLUSHED, "bytes/s", &self.raw_flushed),
            self.written.figure("journal_throughput", RAW_WRITE),
            self.durable.figure("durable_throughput", RAW_FLUSHED),
            self.while_zeroing.figure("journal_throughput_while_zeroing", RAW_WRITE),
            Figure::single("waits_for_segment_while_zeroing", "duty cycles", &self.waits),
            self.drain.figure("journal_drain", RAW_WRITE),
        ];
        for (name, written, durable) in &self.mixes {
            figures.push(written.figure(&format!("journal_throughput_{name}"), RAW_WRITE));
            figures.push(durable.figure(&format!("durable_throughput_{name}"), RAW_FLUSHED));
        }
        figures.into_iter().flatten().collect()
    }
}

/// Journals the messages of `mix` repeatedly until `bytes` of log are published, and stops. Also returns how
/// often the journal waited for a segment.
fn sustain(
    trail: &Path,
    setup: &JournalSetup,
    mix: &MessageMix,
    bytes: u64,
    pool: Pool,
) -> Result<(Sustained, u64), ScenarioError> {
    let mut running = Rig::open(trail, setup, setup.segment_length, pool)?.start(setup)?;
    on_cpu(setup.sequencer_cpu, move || {
        let seen = feed(&mut running, mix, bytes)?;
        Ok((seen, running.stop()?.waits_for_segment))
    })
}

/// Writes a trail of the messages of `mix` and closes it.
pub(crate) fn write_trail(
    trail: &Path,
    setup: &JournalSetup,
    mix: &MessageMix,
    bytes: u64,
) -> Result<(), ScenarioError> {
    sustain(trail, setup, mix, bytes, Pool::Meanwhile).map(|_| ())
}

/// Writes a trail and leaves it as a killed writer would.
pub(crate) fn abandon_trail(
    trail: &Path,
    setup: &JournalSetup,
    mix: &MessageMix,
    bytes: u64,
) -> Result<(), ScenarioError> {
    let mut rig = Rig::open(trail, setup, setup.segment_length, Pool::Meanwhile)?;
    on_cpu(setup.journal_cpu, || fill_and_empty(&mut rig, mix, bytes)).map(|_| ())
}

fn feed(running: &mut Running, mix: &MessageMix, bytes: u64) -> Result<Sustained, ScenarioError> {
    let ring = running.ring.clone();
    let base = ring.base();
    let mut messages = mix.messages.iter().cycle().peekable();
    let mut turns = 0u32;
    let start = Instant::now();
    while ring.watermarks().published().0 - base.0 < bytes {
        while let Some(message) = messages.peek() {
            match running.publisher.stage(message.template_id, &message.body, NOT_RECEIVED) {
                Ok(()) => messages.next(),
                Err(refusal) => {
                    wait_or_fail(refusal)?;
                    break;
                }
            };
        }
        running.publisher.commit();
        while running.turn()? > 0 {}
        turns = turns.wrapping_add(1);
        if turns.is_multiple_of(CHECK_EVERY) {
            running.check()?;
        }
    }
    running.publisher.commit();
    // The open batch closes by itself when it reaches its maximum age.
    while running.turn()? > 0 || ring.watermarks().batched() < ring.watermarks().published() {}
    let end = ring.watermarks().batched();
    let events = running.sequencer.next_sequence().0 - 1;
    let written = wait(running, start, |marks| marks.written() >= end)?;
    let durable = wait(running, start, |marks| marks.durable() >= end)?;
    Ok(Sustained { events, bytes: end.0 - base.0, written, durable })
}

fn wait(
    running: &Running,
    start: Instant,
    is_so: impl Fn(&stele_bus::Watermarks) -> bool,
) -> Result<Duration, ScenarioError> {
    while !is_so(running.ring.watermarks()) {
        running.check()?;
        std::hint::spin_loop();
    }
    Ok(start.elapsed())
}

/// Fills the ring and lets the journal empty it, on one thread on the journal's CPU, until `bytes` are
/// written. Only the emptying is timed. Returns events, bytes and time.
fn drain(
    trail: &Path,
    setup: &JournalSetup,
    mix: &MessageMix,
    bytes: u64,
    pool: Pool,
) -> Result<(u64, u64, Duration), ScenarioError> {
    let mut rig = Rig::open(trail, setup, setup.segment_length, pool)?;
    on_cpu(setup.journal_cpu, move || {
        let took = fill_and_empty(&mut rig, mix, bytes)?;
        let events = rig.sequencer.next_sequence().0 - 1;
        let bytes = rig.ring.watermarks().written().0 - rig.ring.base().0;
        rig.journal.stop().map_err(|failure| std::io::Error::other(failure.to_string()))?;
        Ok((events, bytes, took))
    })
}

/// Runs the loop of [`drain`] and returns how long the emptying took.
fn fill_and_empty(rig: &mut Rig, mix: &MessageMix, bytes: u64) -> Result<Duration, ScenarioError> {
    let (base, mut took) = (rig.ring.base(), Duration::ZERO);
    while rig.ring.watermarks().written().0 - base.0 < bytes {
        let batched = fill(rig, &mix.messages[0])?;
        let start = Instant::now();
        while rig.ring.watermarks().written() < batched {
            rig.journal.do_work().map_err(|failure| std::io::Error::other(failure.to_string()))?;
        }
        took += start.elapsed();
    }
    Ok(took)
}

/// Publishes until the ring is full, closes the batch, and returns its end.
fn fill(rig: &mut Rig, message: &Message) -> Result<Position, ScenarioError> {
    loop {
        while rig.publisher.stage(message.template_id, &message.body, NOT_RECEIVED).is_ok() {}
        rig.publisher.commit();
        let before = rig.ring.watermarks().published();
        while rig.sequencer.do_work().map_err(std::io::Error::other)? > 0 {}
        if rig.ring.watermarks().published() > before {
            continue;
        }
        // The open batch closes by itself when it reaches its maximum age.
        while rig.ring.watermarks().batched() < rig.ring.watermarks().published() {
            rig.sequencer.do_work().map_err(std::io::Error::other)?;
        }
        return Ok(rig.ring.watermarks().batched());
    }
}
