//! The cost of a second and a third consumer to the first one and to the writer, which should be zero.
//!
//! ```text
//!  publisher ──> sequencer ──> ring ──┬─> the first consumer   counted: this one or the writer
//!                                     ├─> a second one
//!                                     └─> a third one
//! ```
//!
//! `first_consumer_instructions_1` … `3` and `writer_instructions_1` … `3` are counted with callgrind, in a
//! separate process in which all roles take turns on one thread. The schedule is always the same, so the
//! counts are exact. `first_consumer_time_ratio_2` and `_3` are measured where each role has its own CPU: the
//! first consumer's time with two or three consumers divided by its time alone, the median of pairs.
//! `…_upper` is the upper end of the 95 % confidence interval.

use super::load::parcels;
use super::rig::{self, Rig};
use super::seats::Seats;
use super::{BusSetup, fan_out};
use crate::MessageMix;
use crate::sheet::Sheet;
use std::ffi::OsString;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use stele_bus::bounds::{RING_LENGTH_DEFAULT, RING_LENGTH_MIN};

/// The number of events of a counted run.
const COUNTED: u64 = 100_000;
/// The maximum number of events that a counted role handles in one turn.
const BATCH: u64 = 64;
/// The number of pairs of timed runs.
const PAIRS: usize = 20;

/// The command that calls [`take_turns`] in a separate process; the number of consumers follows its
/// arguments.
#[derive(Clone, Debug)]
pub struct CountingCommand {
    /// The path of the program.
    pub program: PathBuf,
    /// The arguments.
    pub arguments: Vec<OsString>,
}

/// Passes events through a publisher, a sequencer and `consumers` consumers, which take turns on this thread,
/// for callgrind to count.
///
/// # Errors
/// If the ring cannot be allocated.
pub fn take_turns(consumers: usize) -> io::Result<()> {
    let Rig { mut publisher, mut sequencer, mut consumers, mut journal, .. } =
        Rig::new(RING_LENGTH_MIN, consumers)?;
    let parcels = parcels(&MessageMix::of_64_bytes());
    let (mut next, mut seen) = (0, 0);
    while seen < COUNTED {
        let count = rig::publish(&mut publisher, &parcels, &mut next, BATCH.min(COUNTED - seen));
        black_box(turn_of_the_writer(&mut sequencer));
        let (first, others) = consumers.split_first_mut().expect("there is a first consumer");
        seen += turn_of_the_first(first);
        others.iter_mut().for_each(|other| {
            rig::poll(other, usize::MAX, |word| {
                black_box(word);
            });
        });
        journal.turn();
        assert!(count > 0 || seen == COUNTED, "no role makes progress");
    }
    Ok(())
}

/// Runs one duty cycle of the sequencer. Callgrind finds it by this name.
#[inline(never)]
fn turn_of_the_writer(sequencer: &mut stele_bus::Sequencer<stele_bus::UtcClock>) -> u64 {
    rig::sequence(sequencer)
}

/// Polls the first consumer once. Callgrind finds it by this name.
#[inline(never)]
fn turn_of_the_first(consumer: &mut stele_bus::GatingConsumer) -> u64 {
    rig::poll(consumer, usize::MAX, |word| {
        black_box(word);
    })
}

/// Counts instructions per event with callgrind. `on_line` receives the commands, or why they cannot run.
pub(crate) fn instructions(
    sheet: &mut Sheet,
    worker: &CountingCommand,
    mut on_line: impl FnMut(&str),
) -> io::Result<()> {
    for (name, function) in
        [("first_consumer_instructions", "turn_of_the_first"), ("writer_instructions", "turn_of_the_writer")]
    {
        for consumers in 1..=3 {
            let mut command = Command::new("valgrind");
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
            command.arg(format!("--toggle-collect=*{function}*"));
            command.arg(&worker.program).args(&worker.arguments).arg(consumers.to_string());
            on_line(&format!("instructions: {command:?}"));
            let output = match command.output() {
                Ok(output) => output,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    on_line("skipping instruction counts: valgrind is not installed");
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let text = String::from_utf8_lossy(&output.stderr);
            let counted =
                text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
            let Some(counted) = counted.filter(|count| output.status.success() && *count > 0) else {
                return Err(io::Error::other(format!("callgrind reported no instructions: {text}")));
            };
            let name = |consumers| format!("{name}_{consumers}");
            let per_event = counted as f64 / COUNTED as f64;
            sheet.single(&name(consumers), "instructions/event", per_event, None);
            if consumers > 1 {
                sheet.beside(&name(consumers), &name(1));
            }
        }
    }
    Ok(())
}

/// Measures the first consumer's time with others divided by its time alone, if there are enough CPUs.
pub(crate) fn times(
    sheet: &mut Sheet,
    setup: &BusSetup,
    events: u64,
    mut on_line: impl FnMut(&str),
) -> io::Result<()> {
    let parcels = parcels(&MessageMix::of_64_bytes());
    for consumers in 2..=3 {
        if setup.cpus.len() < 2 + consumers {
            on_line(&format!(
                "skipping the time of {consumers} consumers: {} CPUs are too few for each role to have its own",
                setup.cpus.len()
            ));
            continue;
        }
        let seats = Seats::of_many(&setup.cpus, consumers);
        let alone = Seats { consumers: seats.consumers[..1].to_vec(), ..seats.clone() };
        let mut ratios = Vec::with_capacity(PAIRS);
        for _ in 0..PAIRS {
            let one = fan_out::ours(&parcels, events, &alone, RING_LENGTH_DEFAULT, 1)?;
            let many = fan_out::ours(&parcels, events, &seats, RING_LENGTH_DEFAULT, consumers)?;
            ratios.push(many.first_ns as f64 / one.first_ns as f64);
        }
        let (median, upper) = median_and_upper_end(&mut ratios);
        let name = format!("first_consumer_time_ratio_{consumers}");
        sheet.single(&name, "ratio", median, None);
        sheet.single(&format!("{name}_upper"), "ratio", upper, None);
    }
    Ok(())
}

/// Returns the median and the upper end of its distribution-free 95 % confidence interval: the order
/// statistic from the binomial distribution (Conover, Practical Nonparametric Statistics, 3.2).
fn median_and_upper_end(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let (mut below, mut term, mut rank) = (0.0, 0.5_f64.powi(count as i32), 0);
    while below + term <= 0.025 {
        below += term;
        term *= (count - rank) as f64 / (rank + 1) as f64;
        rank += 1;
    }
    (values[count / 2], values[count - rank.max(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_twenty_values_the_sixth_from_above_bounds_the_median() {
        let mut values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(median_and_upper_end(&mut values), (11.0, 15.0));
    }

    #[test]
    fn every_consumer_of_a_counted_run_sees_every_event() {
        for consumers in 1..=3 {
            take_turns(consumers).unwrap();
        }
    }
}
