//! `stele-perf`: benchmarks Stele on this machine. `stele perf` runs it.
#![forbid(unsafe_code)]

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::main()
}
