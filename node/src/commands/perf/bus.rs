//! `stele perf bus`: the bus beside `rtrb` and the `disruptor`, with the journal that a run would have underneath.

use super::bench::Bench;
use crate::cli::PerfArgs;
use crate::commands::{perf, print_json, print_page};
use crate::failure::Failure;
use crate::layout::allowed_cpus;
use stele_perf::bus::{Extent, Place, Worker, run, take_turns};

/// Measures and prints.
pub(super) fn bus(args: &PerfArgs) -> Result<(), Failure> {
    if let Some(consumers) = args.consumers {
        return take_turns(consumers.into()).map_err(Failure::environment);
    }
    let program = std::env::current_exe().map_err(Failure::environment)?;
    let arguments = ["perf", "bus", "--consumers"].map(Into::into).into();
    let worker = (!args.quick).then_some(Worker { program, arguments });
    let report = Bench::measure(args, |bench| {
        let extent = if args.quick { Extent::quick() } else { Extent::full(args.repeats, bench.latency) };
        let first = [bench.place.sequencer_cpu, bench.place.journal_cpu];
        let mut cpus: Vec<usize> = first.into_iter().flatten().collect();
        cpus.dedup();
        let others: Vec<usize> = allowed_cpus().into_iter().filter(|cpu| !cpus.contains(cpu)).collect();
        cpus.extend(others);
        let place = Place { journal: bench.place.clone(), cpus, worker };
        run(&place, &extent, &bench.mixes, |stage| eprintln!("{stage}")).map_err(Failure::environment)
    })?;
    if args.json { print_json(&report) } else { print_page(&perf::page(&report)) }
}
