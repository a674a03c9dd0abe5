//! The binary `stele`: the program with the built-in strategies.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stele_node::Program::new().main()
}
