//! A program with every command of `stele` and the strategy of this crate.

mod strategy;

use std::process::ExitCode;

fn main() -> ExitCode {
    stele::Program::new().strategy(strategy::KIND).main()
}
