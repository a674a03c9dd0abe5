//! The program: its commands and its strategies. It parses the command line, runs one command, and turns a
//! failure into a message and an exit code.

use crate::cli::{Cli, Command, command};
use crate::commands;
use crate::failure::Failure;
use crate::notices::say;
use crate::own_name::{in_own_name, name_command};
use clap::FromArgMatches as _;
use std::process::ExitCode;
use stele_strategies::{RegisterError, Registry, StrategyKind};

/// A program with all commands of `stele` and the strategies that are registered with it.
///
/// The name of its file is its name in help, version and messages, and in the commands that they suggest.
///
/// # Examples
///
/// ```no_run
/// # use stele_strategies::StrategyKind;
/// # const KIND: StrategyKind = stele_strategies::dip_buyer::KIND;
/// fn main() -> std::process::ExitCode {
///     stele_node::Program::new().strategy(KIND).main()
/// }
/// ```
pub struct Program {
    strategies: Registry,
    /// Why the first strategy that could not be registered was refused.
    refused: Option<RegisterError>,
}

impl Default for Program {
    fn default() -> Self {
        Self::new()
    }
}

impl Program {
    /// Returns a program with the built-in strategies.
    pub fn new() -> Self {
        Self { strategies: Registry::built_in(), refused: None }
    }

    /// Adds a strategy. Its name must be valid (see [`StrategyKind::name`]) and must not be taken by another
    /// strategy, built-in ones included; otherwise [`Program::main`] prints why and returns exit code 2.
    #[must_use]
    pub fn strategy(mut self, kind: StrategyKind) -> Self {
        if let Err(error) = self.strategies.register(kind) {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Runs the command that the process's arguments name, prints an error message where it fails, and
    /// returns the exit code: 0 success, 1 a check failed, 2 wrong command line or configuration, 3
    /// environment or I/O.
    ///
    /// Help, version and a command line that does not parse end the process here, as in every program that
    /// uses clap.
    pub fn main(self) -> ExitCode {
        if let Some(error) = self.refused {
            let failure = Failure::usage(error);
            say(&failure);
            return failure.code();
        }
        let matches = name_command(command()).get_matches();
        let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        match self.run(&cli.command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                say(in_own_name(&failure.to_string()));
                failure.code()
            }
        }
    }

    fn run(&self, command: &Command) -> Result<(), Failure> {
        let strategies = &self.strategies;
        match command {
            Command::Demo(args) => commands::demo::demo(args, strategies),
            Command::Run(args) => commands::run::run(args, strategies),
            Command::Backtest(args) => commands::backtest::backtest(args, strategies),
            Command::NewStrategy(args) => commands::new_strategy::new_strategy(args, strategies),
            Command::Config(args) => commands::config::config(args),
            Command::Doctor(args) => commands::doctor::doctor(args),
            Command::Top(args) => commands::top::top(args),
            Command::Generate(args) => commands::generate::generate_file(args),
            Command::Verify(args) => commands::verify::verify(args),
            Command::CheckStrategy(args) => commands::check_strategy::check_strategy(args, strategies),
            Command::Replay(args) => commands::replay::replay(args, strategies),
            Command::Dump(args) => commands::dump::dump(args),
            Command::Snapshot(args) => commands::snapshot::snapshot(args, strategies),
            Command::Summary(args) => commands::summary::summary(args),
            Command::Archive(args) => commands::archive::archive(args),
            Command::Repair(args) => commands::repair::repair(args),
            Command::KillSwitch(args) => commands::controls::kill_switch(args),
            Command::Limit(args) => commands::controls::limit(args, strategies),
            Command::Strategy(args) => commands::strategy::strategy(args, strategies),
            Command::Order(args) => commands::order::order(args, strategies),
            Command::Publisher(args) => commands::publisher::publisher(args),
            Command::Hold(args) => commands::hold::hold(args),
            Command::Expire(args) => commands::expire::expire(args),
            Command::Key(args) => commands::key::key(args),
            Command::Seal(args) => commands::seal::seal(args),
            Command::Prove(args) => commands::prove::prove(args),
            Command::Witness(args) => commands::witness::witness(args),
            Command::CheckProof(args) => commands::check_proof::check_proof(args),
            Command::ExportTiles(args) => commands::export_tiles::export_tiles(args),
            Command::Attach(args) => commands::attach::attach(args),
            Command::Perf(args) => commands::perf::perf(args),
            Command::Completions(args) => commands::completions::completions(args),
            Command::Man(args) => commands::man::man(args),
        }
    }
}
