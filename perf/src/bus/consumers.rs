//! What the second and the third consumer cost the first one and the writer: nothing, if it is as it should
//! be.
//!
//! ```text
//!  publisher ──> sequencer ──> ring ──┬─> the first consumer   counted: this one, or the writer
//!                                     ├─> a second one
//!                                     └─> a third one
//! ```
//!
//! `first_consumer_instructions_1` … `3` and `writer_instructions_1` … `3` count with callgrind, in a
//! process of its own in which all of them take turns on one thread: the same schedule each time, so the
//! counts are exact. `first_consumer_time_ratio_2` and `_3` are times, where each has a CPU for itself: the
//! first consumer's with two or three over its time alone, in pairs, the median; `…_upper` is the upper end
//! of its 95 % interval.

use super::load::parcels;
use super::rig::{self, Rig};
use super::seats::Seats;
use super::{Place, fan_out};
use crate::Mix;
use crate::sheet::Sheet;
use std::ffi::OsString;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use stele_bus::bounds::{RING_LENGTH_DEFAULT, RING_LENGTH_MIN};

/// Events of a counted run.
const COUNTED: u64 = 100_000;
/// Events that a counted role handles in one turn.
const BATCH: u64 = 64;
/// Pairs of timed runs.
const PAIRS: usize = 20;

/// How this program is asked to call [`take_turns`] in a process of its own: what to run, and its arguments
/// before the number of consumers.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Passes events through publisher, sequencer and so many consumers, in turns on this thread: for callgrind
/// to count.
///
/// # Errors
/// When there is no memory for the ring.
pub fn take_turns(consumers: usize) -> io::Result<()> {
    let Rig { mut publisher, mut sequencer, mut consumers, mut journal, .. } =
        Rig::new(RING_LENGTH_MIN, consumers)?;
    let parcels = parcels(&Mix::of_64_bytes());
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
        assert!(count > 0 || seen == COUNTED, "a role stands still");
    }
    Ok(())
}

/// One duty cycle of the sequencer, by a name that callgrind finds.
#[inline(never)]
fn turn_of_the_writer(sequencer: &mut stele_bus::Sequencer<stele_bus::UtcClock>) -> u64 {
    rig::sequence(sequencer)
}

/// One poll of the first consumer, by a name that callgrind finds.
#[inline(never)]
fn turn_of_the_first(consumer: &mut stele_bus::GatingConsumer) -> u64 {
    rig::poll(consumer, usize::MAX, |word| {
        black_box(word);
    })
}

/// Instructions an event, by callgrind. What it runs, and what keeps it from running, goes to `on_line`.
pub(crate) fn instructions(
    sheet: &mut Sheet,
    worker: &Worker,
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
                    on_line("instructions are left out: there is no valgrind here");
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let text = String::from_utf8_lossy(&output.stderr);
            let counted =
                text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
            let Some(counted) = counted.filter(|count| output.status.success() && *count > 0) else {
                return Err(io::Error::other(format!("callgrind counted nothing: {text}")));
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

/// The first consumer's time with others over its time alone, where there are CPUs enough.
pub(crate) fn times(
    sheet: &mut Sheet,
    place: &Place,
    events: u64,
    mut on_line: impl FnMut(&str),
) -> io::Result<()> {
    let parcels = parcels(&Mix::of_64_bytes());
    for consumers in 2..=3 {
        if place.cpus.len() < 2 + consumers {
            on_line(&format!(
                "the time of {consumers} consumers is left out: {} CPUs, not enough for each role to have its own",
                place.cpus.len()
            ));
            continue;
        }
        let seats = Seats::of_many(&place.cpus, consumers);
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

/// The median, and the upper end of an interval that holds the true one with 95 % whatever the
/// distribution: the order statistic that a binomial count of a half stays below (Conover, Practical
/// Nonparametric Statistics, 3.2).
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
