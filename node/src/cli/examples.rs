//! The example command lines at the end of each command's help and in `docs/commands.md`.
//!
//! A test runs all of them (`node/tests/program/command_lines.rs`, which documents the names in capitals).

use clap::Command;
use clap::builder::StyledStr;
use std::fmt::Write as _;

/// A command line and what it does, in one sentence.
pub(super) struct Example {
    pub(super) line: &'static str,
    pub(super) does: &'static str,
}

const fn example(line: &'static str, does: &'static str) -> Example {
    Example { line, does }
}

/// The examples of each command, by its path.
pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "demo",
        &[
            example("stele demo", "Watch a market being sequenced, traded and journaled."),
            example(
                "stele demo --seconds 5 --seed 7 --dir trail",
                "Trade another market for five seconds, and write the trail to the directory trail.",
            ),
        ],
    ),
    (
        "new-strategy",
        &[example(
            "stele new-strategy mean-reversion my-strategy",
            "Create the crate in the directory my-strategy.",
        )],
    ),
    (
        "generate",
        &[
            example(
                "stele generate --format itch flow.itch50",
                "Write a million events as NASDAQ TotalView-ITCH 5.0.",
            ),
            example(
                "stele generate --format dbn --events 50000 flow.dbn",
                "Write 50,000 events in Databento's DBN format.",
            ),
        ],
    ),
    (
        "run",
        &[
            example("stele run --strategy help", "List the strategies and their parameters."),
            example(
                "stele run --feed generator --pace real-time --seconds 10 --strategy ma-cross --dir trail",
                "Trade a generated market for ten seconds.",
            ),
            example(
                "stele run --feed dbn:FILE.dbn.zst --strategy ma-cross --param fast=8 --dir trail",
                "Trade a Databento DBN file, version 1 to 3.",
            ),
            example(
                "stele run --feed itch:FILE.itch50,date=20260105 --strategy dip-buyer --dir trail",
                "Trade a NASDAQ TotalView-ITCH 5.0 file; its name may contain the date instead.",
            ),
            example(
                "stele run --feed databento-csv:FILE.csv --strategy ma-cross --dir trail",
                "Trade a Databento CSV file with market-by-order data.",
            ),
            example(
                "stele run --feed lobster:FILE.csv,symbol=AMZN,date=20120621 --strategy ma-cross --dir trail",
                "Trade a LOBSTER file; its name may contain the symbol and date instead.",
            ),
            example(
                "stele run --feed binance:FILE.gz --strategy dip-buyer --dir trail",
                "Trade messages recorded from Binance's spot WebSocket, one JSON object per line.",
            ),
            example(
                "stele run -c stele.toml --strategy dip-buyer",
                "Read all other settings from a configuration file.",
            ),
            example(
                "stele run -c examples/shards.toml --seconds 10",
                "Run several sequencers, each with its own trail: DIR/shard-1, DIR/shard-2.",
            ),
        ],
    ),
    (
        "backtest",
        &[
            example(
                "stele backtest --feed itch:FILE.itch50 --strategy ma-cross --param slow=64",
                "Run a strategy once over a file.",
            ),
            example(
                "stele backtest --feed trail:trail --strategy ma-cross --sweep fast=4..8 --html page.html",
                "Run it over a trail once for each value, and plot the most profitable run.",
            ),
        ],
    ),
    (
        "check-strategy",
        &[example(
            "stele check-strategy trail",
            "Compare every recorded order with the one that the strategy sends now.",
        )],
    ),
    (
        "replay",
        &[
            example(
                "stele replay trail --speed 10",
                "Print the market events at ten times the recorded speed.",
            ),
            example(
                "stele replay trail --speed 0 --into trail2 --strategy dip-buyer",
                "Replay the market to another strategy, and journal the new run.",
            ),
        ],
    ),
    (
        "summary",
        &[
            example("stele summary trail", "Print the report of a finished run again, from its trail."),
            example("stele summary trail --json", "Print the same as JSON."),
        ],
    ),
    (
        "config",
        &[
            example(
                "stele config > stele.toml",
                "Write a configuration file with every key, its default and its meaning.",
            ),
            example(
                "stele config --feed generator:7 --strategy ma-cross --dir trail > run.toml",
                "Turn the flags of a run into a configuration file.",
            ),
        ],
    ),
    (
        "top",
        &[
            example("stele top", "Watch the only running bus; press `q` to quit."),
            example("stele top BUS --once", "Print the figures of the bus BUS once."),
        ],
    ),
    (
        "attach",
        &[
            example("stele attach", "Print the events of the only running bus, from now on."),
            example(
                "stele attach BUS --from 1 --json",
                "Print all events of a bus so far as JSON, then new ones as they are published.",
            ),
        ],
    ),
    (
        "kill-switch",
        &[
            example(
                "stele kill-switch --account 1 --by 12",
                "Reject every new order of an account and cancel its open orders.",
            ),
            example(
                "stele kill-switch --account 1 --by 12 --wait",
                "The same, and return when none of its orders works, with what became of each.",
            ),
            example("stele kill-switch --account 1 --by 12 --release", "Let the account trade again."),
            example(
                "stele kill-switch --all --by 12 --trail trail",
                "Halt all trading from the next run on, when the bus is not running.",
            ),
        ],
    ),
    (
        "limit set",
        &[
            example(
                "stele limit set notional 5000000000000 --by 12 --approved-by 7",
                "Set the maximum value of an order to 5,000 units of the currency.",
            ),
            example(
                "stele limit set open-orders 100 --strategy 1 --by 12",
                "Limit the number of open orders of one strategy.",
            ),
            example(
                "stele limit set notional none --by 12 --trail trail",
                "Remove a limit from the next run on, when the bus is not running.",
            ),
        ],
    ),
    (
        "publisher reset",
        &[
            example(
                "stele publisher reset desk --to 0 --by 12 --approved-by 7 --reason \"counter lost\"",
                "Let a publisher that has lost its count number its submissions from 1 again.",
            ),
            example(
                "stele publisher reset 100 --to 5000 --by 12 --reason \"jumped\" --trail trail",
                "Set the numbering when the bus is not running.",
            ),
        ],
    ),
    (
        "limit propose",
        &[example(
            "stele limit propose notional 6000000000000 --by 12 --reason \"more capital\"",
            "Propose a maximum value of an order; it is not in force yet.",
        )],
    ),
    (
        "limit approve",
        &[example(
            "stele limit approve 184467 --by 7",
            "Approve the limit that event 184467 proposes, as another person and another user.",
        )],
    ),
    (
        "strategy pause",
        &[example(
            "stele strategy pause dip-buyer --by 12 --reason \"news\"",
            "Let a running strategy send no more orders.",
        )],
    ),
    (
        "strategy resume",
        &[example(
            "stele strategy resume 1 --by 12 --reason \"checked\" --trail trail",
            "Let a paused strategy send orders from the next run on, when the bus is not running.",
        )],
    ),
    (
        "strategy set",
        &[example(
            "stele strategy set ma-cross fast=4 slow=16 --by 12 --reason \"a quicker market\"",
            "Change two parameters of a running strategy.",
        )],
    ),
    (
        "order cancel",
        &[example(
            "stele order cancel 184467 --by 12 --reason \"a wrong price\"",
            "Cancel the order that is event 184467 of the log.",
        )],
    ),
    (
        "snapshot",
        &[example(
            "stele snapshot trail",
            "Save the state after the last closed segment; the next run starts from it.",
        )],
    ),
    (
        "archive",
        &[
            example(
                "stele archive trail",
                "Compress every closed segment; each is verified before the original is removed.",
            ),
            example(
                "stele archive trail --keep-raw 2 --level 19",
                "Compress more strongly, and leave the two newest closed segments uncompressed.",
            ),
        ],
    ),
    (
        "repair",
        &[
            example(
                "stele repair trail",
                "Print the damage and the ways to repair it, without changing anything.",
            ),
            example(
                "stele repair trail --restore COPY",
                "Replace damaged segments from a copy of the trail.",
            ),
        ],
    ),
    (
        "verify",
        &[
            example("stele verify trail", "Verify every frame, and that the events are consistent."),
            example("stele verify trail --key VKEY", "Verify the seals too; `stele key show` prints VKEY."),
            example(
                "stele verify trail --key VKEY --against CHECKPOINT",
                "Verify that the trail extends a checkpoint that was kept elsewhere.",
            ),
            example(
                "stele verify trail --key VKEY --witness WVKEY --quorum 1",
                "Report what a witness cosigned and when, and fail if it cosigned nothing.",
            ),
        ],
    ),
    (
        "dump",
        &[
            example(
                "stele dump trail --type NewOrder --json",
                "Print the orders as JSON, one object per line.",
            ),
            example(
                "stele dump trail --from -1m --to -30s --csv",
                "Print 30 seconds of events as CSV, from a minute before the last event.",
            ),
            example(
                "stele dump trail --from 2026-11-21T09:30:00Z --reason \"case 17\"",
                "Print the events since a time, and record the reason for reading them.",
            ),
            example(
                "stele dump trail --follow",
                "Print all events, and new ones as they are written, until interrupted.",
            ),
        ],
    ),
    (
        "hold place",
        &[
            example(
                "stele hold place trail --case 7 --reason \"inquiry of 3 March\" --by 12",
                "Keep all records of the trail until the hold is released.",
            ),
            example(
                "stele hold place trail --case 8 --from -90d --reason \"inquiry\" --by 12 --approved-by 7",
                "Keep the records of the trail's last 90 days.",
            ),
        ],
    ),
    (
        "hold release",
        &[example(
            "stele hold release trail --case 7 --reason \"closed\" --by 12",
            "Release all holds of a case.",
        )],
    ),
    ("hold list", &[example("stele hold list trail", "List the holds in force.")]),
    (
        "expire",
        &[
            example(
                "stele expire trail --dry-run",
                "Print which segments would be removed, and why the others are kept.",
            ),
            example(
                "stele expire trail --dry-run --now +7y",
                "Print which segments would be removed in seven years.",
            ),
            example(
                "stele expire trail -c stele.toml --person 12 --reason \"yearly expiry\"",
                "Remove them; the person and the reason are recorded on the trail.",
            ),
        ],
    ),
    (
        "key new",
        &[
            example(
                "stele key new seal.key --name bank.example/stele",
                "Create a key that seals trails, and print its public key.",
            ),
            example(
                "stele key new w.key --name witness.example/stele --witness",
                "Create a key for a witness.",
            ),
        ],
    ),
    ("key show", &[example("stele key show seal.key", "Print the public key.")]),
    (
        "key rotate",
        &[example(
            "stele key rotate trail --key seal.key --new new.key --by 12 --approved-by 7",
            "Create a new key and replace the old one with it.",
        )],
    ),
    ("seal", &[example("stele seal trail --key seal.key", "Sign a checkpoint over all durable events.")]),
    (
        "prove",
        &[example(
            "stele prove trail --sequence 7 --key VKEY -o 7.tlog-proof",
            "Write a proof of event 7 for someone who does not have the trail.",
        )],
    ),
    (
        "check-proof",
        &[example("stele check-proof 7.tlog-proof --key VKEY", "Check the proof and print its event.")],
    ),
    (
        "witness",
        &[example(
            "stele witness --key w.key --listen 0.0.0.0:7380 --state STATE --log VKEY",
            "Cosign the checkpoints of a log, on a machine of another party.",
        )],
    ),
    (
        "export-tiles",
        &[example(
            "stele export-tiles trail tiles --key VKEY",
            "Write the tiles, the events and the checkpoint to a new directory.",
        )],
    ),
    (
        "doctor",
        &[example("stele doctor -c stele.toml", "Check the machine for a run with this configuration.")],
    ),
    (
        "perf",
        &[
            example("stele perf pipeline", "Benchmark the whole program, from feed to trail."),
            example("stele perf journal", "Compare the journal with the raw device."),
            example("stele perf bus", "Compare the bus with the crates rtrb and disruptor."),
            example("stele perf strategies", "Benchmark order books, windows and backtests."),
            example("stele perf seal", "Benchmark sealing, verifying and proving."),
        ],
    ),
    (
        "completions",
        &[example(
            "stele completions bash > stele.bash",
            "Write the script for bash; `source stele.bash` loads it.",
        )],
    ),
    (
        "man",
        &[example(
            "stele man man1",
            "Write a manual page for each command; `man -l man1/stele-run.1` shows one.",
        )],
    ),
];

/// Adds the examples of each subcommand to the end of its help.
pub(super) fn with_examples(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (path, examples)| {
        let names: Vec<&str> = path.split(' ').collect();
        at(command, &names, &|command| command.after_help(text(examples)))
    })
}

/// Applies `change` to the subcommand of `command` with the path `names`.
fn at(command: Command, names: &[&str], change: &dyn Fn(Command) -> Command) -> Command {
    match names {
        [] => change(command),
        [name, rest @ ..] => command.mut_subcommand(*name, |command| at(command, rest, change)),
    }
}

fn text(examples: &[Example]) -> StyledStr {
    let mut text = String::from("Examples:");
    for Example { line, does } in examples {
        let _ = write!(text, "\n  {line}\n      {does}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends the paths of all commands without subcommands.
    fn leaves(command: &Command, path: &str, into: &mut Vec<String>) {
        for command in command.get_subcommands() {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                leaves(command, &path, into);
            } else {
                into.push(path.trim_start().to_owned());
            }
        }
    }

    #[test]
    fn every_command_has_examples_of_its_own() {
        let mut paths = Vec::new();
        leaves(&crate::cli::command(), "", &mut paths);
        let listed: Vec<&str> = EXAMPLES.iter().map(|(path, _)| *path).collect();
        for path in &paths {
            assert!(listed.contains(&&**path), "{path} has no example");
        }
        for (path, examples) in EXAMPLES {
            assert!(paths.iter().any(|known| known == path), "{path} is not a command");
            for Example { line, does } in *examples {
                assert!(
                    line.starts_with(&format!("stele {path} ")) || *line == format!("stele {path}"),
                    "{line}"
                );
                assert!(does.ends_with('.') && line.len() <= 95, "{line}");
            }
        }
    }

    #[test]
    fn the_help_of_a_command_ends_with_its_examples() {
        let mut command = crate::cli::command();
        let place = command.find_subcommand_mut("hold").and_then(|hold| hold.find_subcommand_mut("place"));
        let help = place.unwrap().render_help().to_string();
        assert!(help.contains("Examples:\n  stele hold place trail --case 7"), "{help}");
    }
}
