//! `stele`: the program with the strategies that come with Stele.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stele_node::Program::new().main()
}
