//! `stele-perf`: measures this machine, and Stele on it. `stele perf` runs it.
#![forbid(unsafe_code)]

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::main()
}
