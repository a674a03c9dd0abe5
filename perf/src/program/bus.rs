//! `stele perf bus`: compares the bus with the crates `rtrb` and `disruptor`. The journal is set up as in a
//! run.

use super::bench::Bench;
use super::cli::Arguments;
use super::page::print_report;
use stele_bus::allowed_cpus;
use stele_node::measuring::Failure;
use stele_perf::bus::{BusSetup, BusWorkload, CountingCommand, run, take_turns};

/// Runs the scenario and prints its report.
pub(crate) fn bus(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(consumers) = arguments.consumers {
        return take_turns(consumers.into()).map_err(Failure::environment);
    }
    let program = std::env::current_exe().map_err(Failure::environment)?;
    let call = ["bus", "--consumers"].map(Into::into).into();
    let worker = (!arguments.quick).then_some(CountingCommand { program, arguments: call });
    let report = Bench::measure(arguments, |bench| {
        let workload = if arguments.quick {
            BusWorkload::quick()
        } else {
            BusWorkload::full(arguments.repeats, bench.latency)
        };
        let first = [bench.setup.sequencer_cpu, bench.setup.journal_cpu];
        let mut cpus: Vec<usize> = first.into_iter().flatten().collect();
        cpus.dedup();
        let others: Vec<usize> = allowed_cpus().into_iter().filter(|cpu| !cpus.contains(cpu)).collect();
        cpus.extend(others);
        let setup = BusSetup { journal: bench.setup.clone(), cpus, worker };
        run(&setup, &workload, &bench.mixes, |stage| eprintln!("{stage}")).map_err(Failure::environment)
    })?;
    print_report(&report, arguments.json)
}
