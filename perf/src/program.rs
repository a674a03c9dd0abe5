//! The program: runs one scenario and prints its report as text or JSON. The exit codes are those of `stele`.

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

/// Runs the scenario that the arguments choose, and prints errors to standard error.
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
        return Err(Failure::usage("--repeats must be at least 1"));
    }
    match arguments.scenario {
        Scenario::Pipeline => pipeline::pipeline(arguments),
        Scenario::Journal => journal::journal(arguments),
        Scenario::Bus => bus::bus(arguments),
        Scenario::Strategies => strategies::strategies(arguments),
        Scenario::Seal => seal::seal(arguments),
    }
}
