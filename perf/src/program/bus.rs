//! `stele perf bus`: the bus beside `rtrb` and the `disruptor`, with the journal that a run would have
//! underneath.

use super::bench::Bench;
use super::cli::Arguments;
use super::page::print_report;
use stele_bus::allowed_cpus;
use stele_node::measuring::Failure;
use stele_perf::bus::{Extent, Place, Worker, run, take_turns};

/// Measures and prints.
pub(crate) fn bus(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(consumers) = arguments.consumers {
        return take_turns(consumers.into()).map_err(Failure::environment);
    }
    let program = std::env::current_exe().map_err(Failure::environment)?;
    let call = ["bus", "--consumers"].map(Into::into).into();
    let worker = (!arguments.quick).then_some(Worker { program, arguments: call });
    let report = Bench::measure(arguments, |bench| {
        let extent =
            if arguments.quick { Extent::quick() } else { Extent::full(arguments.repeats, bench.latency) };
        let first = [bench.place.sequencer_cpu, bench.place.journal_cpu];
        let mut cpus: Vec<usize> = first.into_iter().flatten().collect();
        cpus.dedup();
        let others: Vec<usize> = allowed_cpus().into_iter().filter(|cpu| !cpus.contains(cpu)).collect();
        cpus.extend(others);
        let place = Place { journal: bench.place.clone(), cpus, worker };
        run(&place, &extent, &bench.mixes, |stage| eprintln!("{stage}")).map_err(Failure::environment)
    })?;
    print_report(&report, arguments.json)
}
