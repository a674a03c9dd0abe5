//! A program with every command of `stele`, which knows the strategy of this crate by its name.

mod strategy;

use std::process::ExitCode;

fn main() -> ExitCode {
    stele::Program::new().strategy(strategy::KIND).main()
}
