//! The program: one scenario a run, its report on a page or as JSON. Exit codes are those of `stele`.

mod bench;
mod bus;
mod cli;
mod journal;
mod page;
mod pipeline;
mod seal;
mod strategies;

use clap::Parser as _;
use cli::{Arguments, Scenario};
use std::process::ExitCode;
use stele_node::measuring::Failure;

/// Measures what the arguments ask for. Prints why where it fails.
pub(crate) fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.repeats == 0 {
        return Err(Failure::usage("no repetitions").help("give --repeats 1 or more"));
    }
    match arguments.scenario {
        Scenario::Pipeline => pipeline::pipeline(arguments),
        Scenario::Journal => journal::journal(arguments),
        Scenario::Bus => bus::bus(arguments),
        Scenario::Strategies => strategies::strategies(arguments),
        Scenario::Seal => seal::seal(arguments),
    }
}
