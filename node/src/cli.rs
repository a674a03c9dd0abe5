//! The command line: every command, flag, default and example of `stele --help` and `docs/commands.md`.

mod examples;
mod flags;
mod groups;
mod installation;
mod latency;
mod operation;
mod operator;
#[cfg(test)]
mod page;
mod proof;
mod records;
mod strategies;

#[cfg(test)]
pub(crate) use flags::ConfigArgs;
pub(crate) use flags::{AccessArgs, ActArgs, OutputArgs, PeopleArgs, ReportArgs};
pub(crate) use installation::{CompletionsArgs, ManArgs};
pub(crate) use latency::{DoctorArgs, PerfArgs};
pub(crate) use operation::{
    ArchiveArgs, AttachArgs, ChangeArgs, KillSwitchArgs, LimitArgs, LimitCommand, LimitSetArgs,
    PublisherArgs, PublisherCommand, PublisherResetArgs, RepairArgs, ScopeArgs, TopArgs,
};
pub(crate) use operator::{
    LimitApproveArgs, LimitProposeArgs, OrderArgs, OrderCancelArgs, OrderCommand, StrategyArgs,
    StrategyCommand,
};
pub(crate) use proof::{
    CheckProofArgs, ExportTilesArgs, KeyAction, KeyArgs, KeyRotateArgs, ProveArgs, SealArgs, VerifyArgs,
    WitnessArgs,
};
pub(crate) use records::{DumpArgs, ExpireArgs, HoldArgs, HoldCommand, HoldPlaceArgs, HoldReleaseArgs};
pub(crate) use strategies::{BacktestArgs, DemoArgs, GenerateArgs, NewStrategyArgs, ReplayArgs, RunArgs};

use clap::{CommandFactory as _, Parser, Subcommand};

/// A trading event bus whose log is a verifiable audit trail
#[derive(Parser, Debug)]
#[command(name = "stele", version, max_term_width = 110, arg_required_else_help = true)]
#[command(after_help = "Run `stele COMMAND --help` for the options of a command and examples.\n\
    Exit codes: 0 success, 1 a check failed, 2 usage error, 3 environment or I/O error.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Trade a generated market for ten seconds, without any setup
    Demo(DemoArgs),
    /// Create a crate for your own strategy, with tests
    NewStrategy(NewStrategyArgs),
    /// Generate a market-data file in an exchange's format
    Generate(GenerateArgs),
    /// Run strategies on a market-data feed and journal every event
    Run(RunArgs),
    /// Run a strategy over recorded data, or sweep its parameters
    ///
    /// The strategy runs in the market's own time, against the paper exchange.
    Backtest(BacktestArgs),
    /// Check that a trail's strategies still send the same orders
    ///
    /// The recorded events are replayed to the recorded strategies. Every order must match the one on the
    /// trail byte for byte and have the same cause.
    CheckStrategy(ReportArgs),
    /// Replay a recorded market to the terminal or into a new run
    Replay(ReplayArgs),
    /// Print the orders, fills, latencies and profit of a trail
    Summary(ReportArgs),
    /// Print the effective configuration, with comments
    Config(RunArgs),
    /// Watch a running bus: rates, queues, latencies, consumers
    Top(TopArgs),
    /// Print the events of a running bus as they are published
    Attach(AttachArgs),
    /// Halt trading and cancel open orders, or release the halt
    ///
    /// The kill switch applies to one account, algorithm, instrument or strategy, or to everything (--all).
    KillSwitch(KillSwitchArgs),
    /// Change a pre-trade limit
    Limit(LimitArgs),
    /// Reset the numbering of a publisher
    Publisher(PublisherArgs),
    /// Pause, resume or re-parameterise a running strategy
    ///
    /// Each act is an event on the log, with who and why, so a replay and a restart follow it.
    Strategy(StrategyArgs),
    /// Cancel one working order
    Order(OrderArgs),
    /// Save the state at the end of a stopped trail
    ///
    /// The snapshot holds the state after the last closed segment. The next run starts from it, and the
    /// segments before it may expire.
    Snapshot(ActArgs),
    /// Compress the closed segments of a trail
    ///
    /// Every command reads compressed segments like any others.
    Archive(ArchiveArgs),
    /// Show the damage on a trail, or repair it
    ///
    /// Nothing is destroyed: what a repair removes is kept in the folder `cut` of the trail.
    Repair(RepairArgs),
    /// Verify a trail: its frames, its events and its seals
    ///
    /// Frames: the CRC, sequence and time of each, and the chain of segments. Events: every order has a known
    /// account and instrument and passes the checks of its moment, every fill is within a working order.
    /// Seals: only with --key.
    Verify(VerifyArgs),
    /// Print the events of a trail
    Dump(DumpArgs),
    /// Place, release or list legal holds, which prevent expiry
    Hold(HoldArgs),
    /// Remove the segments that the retention policy no longer keeps
    ///
    /// The removal is recorded on the trail before anything is removed. Records under a legal hold are kept.
    Expire(ExpireArgs),
    /// Create, show or rotate the keys that sign checkpoints
    Key(KeyArgs),
    /// Seal a trail: sign a checkpoint over its durable events
    Seal(SealArgs),
    /// Write a proof that an event is on a sealed trail
    ///
    /// Anyone with the proof and the public key can check it without the trail.
    Prove(ProveArgs),
    /// Check a proof and print its event
    CheckProof(CheckProofArgs),
    /// Run a witness that cosigns other parties' checkpoints
    ///
    /// It listens on HTTP, and cosigns a checkpoint only with a proof that it extends the previous one.
    Witness(WitnessArgs),
    /// Export a sealed trail as C2SP tlog-tiles, with its events
    ExportTiles(ExportTilesArgs),
    /// Check this machine for causes of unsteady latency
    ///
    /// Prints how threads are placed on CPUs and why, and a remedy for each warning.
    Doctor(DoctorArgs),
    /// Benchmark Stele on this machine
    ///
    /// The benchmarks are a separate program, `stele-perf`. If it is installed next to this program or on
    /// PATH, it is run with the same arguments, and `stele perf --help` prints its help. To build it, run
    /// `cargo build --release -p stele-perf` in a checkout of Stele.
    Perf(PerfArgs),
    /// Print a shell completion script
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// Returns the command line: the commands in their groups, with examples, and negative numbers accepted as
/// values.
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
    fn the_definitions_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_access_record_flags_have_their_own_heading() {
        let mut command = command();
        let verify = command.find_subcommand_mut("verify").unwrap().render_help().to_string();
        let (own, headed) = verify.split_once("Access record:").unwrap();
        assert!(["--key", "--quorum", "--json"].iter().all(|flag| own.contains(flag)), "{verify}");
        assert!(headed.contains("--unlogged") && !headed.contains("--key <"), "{verify}");
    }

    #[test]
    fn negative_numbers_and_times_are_values_not_options() {
        let Command::Dump(dump) = parse("stele dump trail --from -1h --to -30m").unwrap().command else {
            panic!("not a dump")
        };
        assert!(dump.from.is_some() && dump.to.is_some() && dump.types.is_empty());
        let Command::Limit(limit) = parse("stele limit set notional -5 --by 1").unwrap().command else {
            panic!("not a limit")
        };
        let LimitCommand::Set(set) = limit.command else { panic!("not a limit to set") };
        assert_eq!(set.limit, "-5");
        assert!(parse("stele hold place trail --case 7 --reason x --by 1 --from -2d --to -1d").is_ok());
        assert!(parse("stele expire trail --dry-run --now -1h").is_ok());
        let Command::Replay(replay) = parse("stele replay trail --speed -1").unwrap().command else {
            panic!("not a replay")
        };
        assert_eq!(replay.speed, -1.0);
    }
}
