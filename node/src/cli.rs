//! The command line: every command, flag, default and example of `stele --help` and `docs/commands.md`.

mod examples;
mod flags;
mod groups;
mod installation;
mod latency;
mod operation;
#[cfg(test)]
mod page;
mod proof;
mod records;
mod strategies;

pub(crate) use flags::{AccessArgs, ActArgs, ReportArgs};
#[cfg(test)]
pub(crate) use flags::{ConfigArgs, OutputArgs};
pub(crate) use installation::{CompletionsArgs, ManArgs};
pub(crate) use latency::{DoctorArgs, PerfArgs};
pub(crate) use operation::{
    ArchiveArgs, AttachArgs, ChangeArgs, KillSwitchArgs, LimitArgs, LimitCommand, LimitSetArgs, RepairArgs,
    ScopeArgs, TopArgs,
};
pub(crate) use proof::{
    CheckProofArgs, ExportTilesArgs, KeyAction, KeyArgs, KeyRotateArgs, ProveArgs, SealArgs, VerifyArgs,
    WitnessArgs,
};
pub(crate) use records::{DumpArgs, ExpireArgs, HoldArgs, HoldCommand, HoldPlaceArgs, HoldReleaseArgs};
pub(crate) use strategies::{BacktestArgs, DemoArgs, GenerateArgs, NewStrategyArgs, ReplayArgs, RunArgs};

use clap::{CommandFactory as _, Parser, Subcommand};

/// A trading event bus whose log is an audit trail that can be proved
#[derive(Parser, Debug)]
#[command(name = "stele", version, max_term_width = 110, arg_required_else_help = true)]
#[command(after_help = "`stele COMMAND --help` explains a command and shows examples.\n\
    Exit codes: 0 good, 1 the thing checked is not so, 2 usage, 3 environment or I/O.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Trade a generated market for ten seconds, nothing to configure
    Demo(DemoArgs),
    /// Write a crate with a strategy of your own and its tests
    NewStrategy(NewStrategyArgs),
    /// Write a generated market to a file in an exchange's format
    Generate(GenerateArgs),
    /// Run strategies on a feed and journal every event
    Run(RunArgs),
    /// Run a strategy over recorded data, or sweep its parameters
    ///
    /// It runs in the market's own time, on the paper exchange.
    Backtest(BacktestArgs),
    /// Replay a trail: do its strategies send the same orders?
    ///
    /// The recorded events are fed to the recorded strategies. Every order must be the same, byte for byte,
    /// and have the same cause.
    CheckStrategy(ReportArgs),
    /// Play a recorded market again, to the terminal or into a run
    Replay(ReplayArgs),
    /// Print orders, fills, latencies and profit of a trail
    Summary(ReportArgs),
    /// Print the configuration in force, with comments, for `run -c`
    Config(RunArgs),
    /// Watch a running bus: rates, queues, latencies, consumers
    Top(TopArgs),
    /// Print the events of a running bus as they are published
    Attach(AttachArgs),
    /// Stop trading in a scope and cancel its orders, or release it
    KillSwitch(KillSwitchArgs),
    /// Change a limit on orders
    Limit(LimitArgs),
    /// Save the state at the end of a stopped trail
    ///
    /// The snapshot is of the last closed segment. A start goes on from it, and what is before it may expire.
    Snapshot(ActArgs),
    /// Compress the closed segments of a trail
    ///
    /// Every command reads compressed segments as it reads others.
    Archive(ArchiveArgs),
    /// Show what is damaged on a trail, and repair it
    ///
    /// Nothing is destroyed: what a repair takes out of a trail is kept beside it.
    Repair(RepairArgs),
    /// Check every frame of a trail, what its events say, its seals
    ///
    /// Frames: CRC, sequence, time, the chain of segments. Events: an order has a known account and
    /// instrument, a fill has an order. Seals: with --key.
    Verify(VerifyArgs),
    /// Print the events of a trail
    Dump(DumpArgs),
    /// Place, release or list legal holds, which stop expiry
    Hold(HoldArgs),
    /// Remove records that the retention policy no longer keeps
    ///
    /// The trail says what is removed before it is. Records under a legal hold stay.
    Expire(ExpireArgs),
    /// Make, show or rotate the keys that sign checkpoints
    Key(KeyArgs),
    /// Sign the root over a trail's events, up to its durable end
    Seal(SealArgs),
    /// Prove that an event is on a sealed trail
    ///
    /// Anyone who has the proof and the public key can check it without the trail.
    Prove(ProveArgs),
    /// Check such a proof and print its event
    CheckProof(CheckProofArgs),
    /// Cosign other parties' checkpoints over HTTP
    ///
    /// A checkpoint is cosigned after a proof that it extends the one before.
    Witness(WitnessArgs),
    /// Export a sealed trail as C2SP tlog-tiles, events included
    ExportTiles(ExportTilesArgs),
    /// Check this machine for what makes latencies unsteady
    ///
    /// It prints the layout of threads on CPUs, the reason for it, and a remedy for each warning.
    Doctor(DoctorArgs),
    /// Measure this machine and this program on it
    ///
    /// The measurements are a program of their own, `stele-perf`. Where it is beside this one or on PATH, it
    /// is run with the same arguments, and `stele perf --help` lists all that it takes. `cargo build
    /// --release -p stele-perf` builds it in a checkout of Stele.
    Perf(PerfArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// Every command with its group, its examples, and negative numbers taken as values.
pub(crate) fn command() -> clap::Command {
    let command = Cli::command();
    let listed = groups::help_template(&command);
    with_negative_numbers(examples::with_examples(command)).help_template(listed)
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| match arg.get_action().takes_values() {
            true => arg.allow_negative_numbers(true),
            false => arg,
        })
        .mut_subcommands(with_negative_numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::from_arg_matches(&command().try_get_matches_from(line.split(' '))?)
    }

    #[test]
    fn the_definitions_fit_each_other() {
        command().debug_assert();
    }

    #[test]
    fn the_flags_of_a_trails_reader_have_a_heading_and_no_others_are_under_it() {
        let mut command = command();
        let verify = command.find_subcommand_mut("verify").unwrap().render_help().to_string();
        let (own, headed) = verify.split_once("Record of this access:").unwrap();
        assert!(["--key", "--quorum", "--json"].iter().all(|flag| own.contains(flag)), "{verify}");
        assert!(headed.contains("--unlogged") && !headed.contains("--key <"), "{verify}");
    }

    #[test]
    fn a_negative_number_or_time_is_a_value_and_not_an_option() {
        let Command::Dump(dump) = parse("stele dump trail --from -1h --to -30m").unwrap().command else {
            panic!("it is a dump")
        };
        assert!(dump.from.is_some() && dump.to.is_some() && dump.types.is_empty());
        let Command::Limit(limit) = parse("stele limit set notional -5 --by 1").unwrap().command else {
            panic!("it is a limit")
        };
        let LimitCommand::Set(set) = limit.command;
        assert_eq!(set.limit, "-5");
        assert!(parse("stele hold place trail --case 7 --reason x --by 1 --from -2d --to -1d").is_ok());
        assert!(parse("stele expire trail --dry-run --now -1h").is_ok());
        let Command::Replay(replay) = parse("stele replay trail --speed -1").unwrap().command else {
            panic!("it is a replay")
        };
        assert_eq!(replay.speed, -1.0);
    }
}
