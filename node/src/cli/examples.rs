//! Command lines that show what each command is for: the end of its help, and the examples of
//! `docs/commands.md`.
//!
//! A test runs every one of them (`node/tests/program/command_lines.rs`, which says what the names in
//! capitals stand for).

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

/// The examples of each command.
pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "demo",
        &[
            example("stele demo", "Watch a market being sequenced, traded and journaled."),
            example(
                "stele demo --seconds 5 --seed 7 --dir trail",
                "Trade another market, with its trail in a directory of your choice.",
            ),
        ],
    ),
    (
        "new-strategy",
        &[example(
            "stele new-strategy mean-reversion my-strategy",
            "Write the crate into the directory my-strategy; `cargo test` runs there.",
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
                "Write fewer, as Databento's DBN.",
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
                "Trade a file of Databento's DBN, versions 1 to 3.",
            ),
            example(
                "stele run --feed itch:FILE.itch50,date=20260105 --strategy dip-buyer --dir trail",
                "Trade a file of NASDAQ TotalView-ITCH 5.0; the file's name may give the date.",
            ),
            example(
                "stele run --feed databento-csv:FILE.csv --strategy ma-cross --dir trail",
                "Trade Databento's CSV of single orders.",
            ),
            example(
                "stele run --feed lobster:FILE.csv,symbol=AMZN,date=20120621 --strategy ma-cross --dir trail",
                "Trade a LOBSTER file; the file's name may give symbol and date.",
            ),
            example(
                "stele run --feed binance:FILE.gz --strategy dip-buyer --dir trail",
                "Trade JSON lines of Binance's spot websocket.",
            ),
            example(
                "stele run -c stele.toml --strategy dip-buyer",
                "Take everything else from a configuration file.",
            ),
            example(
                "stele run -c examples/shards.toml --seconds 10",
                "Run several sequencers, each with a trail of its own: DIR/shard-1, DIR/shard-2 …",
            ),
        ],
    ),
    (
        "backtest",
        &[
            example(
                "stele backtest --feed itch:FILE.itch50 --strategy ma-cross --param slow=64",
                "Run a strategy over a file once.",
            ),
            example(
                "stele backtest --feed trail:trail --strategy ma-cross --sweep fast=4..8 --html page.html",
                "Run it over a trail once for each value, and draw the most profitable run.",
            ),
        ],
    ),
    (
        "check-strategy",
        &[example(
            "stele check-strategy trail",
            "Compare every order of the recorded strategies with what they send now.",
        )],
    ),
    (
        "replay",
        &[
            example(
                "stele replay trail --speed 10",
                "Print the market's events ten times as fast as they came.",
            ),
            example(
                "stele replay trail --speed 0 --into trail2 --strategy dip-buyer",
                "Play the market to another strategy, and journal that.",
            ),
        ],
    ),
    (
        "summary",
        &[
            example("stele summary trail", "Print what a run printed at its end, from its trail alone."),
            example("stele summary trail --json", "Print the same for a program to read."),
        ],
    ),
    (
        "config",
        &[
            example(
                "stele config > stele.toml",
                "Write a configuration file with every key and its meaning.",
            ),
            example(
                "stele config --feed generator:7 --strategy ma-cross --dir trail > run.toml",
                "Write the flags of a run as a file.",
            ),
        ],
    ),
    (
        "top",
        &[
            example("stele top", "Watch the only bus that runs; `q` ends it."),
            example("stele top BUS --once", "Print the figures of one of several buses once."),
        ],
    ),
    (
        "attach",
        &[
            example("stele attach", "Print events of the only bus that runs, from now on."),
            example(
                "stele attach BUS --from 1 --json",
                "Print all of its events as JSON, and go on with what is published.",
            ),
        ],
    ),
    (
        "kill-switch",
        &[
            example(
                "stele kill-switch --account 1 --by 12",
                "Refuse every order of an account and cancel its open orders.",
            ),
            example("stele kill-switch --account 1 --by 12 --release", "Let the account trade again."),
            example(
                "stele kill-switch --all --by 12 --trail trail",
                "Stop everything from the next start on, where the bus does not run.",
            ),
        ],
    ),
    (
        "limit set",
        &[
            example(
                "stele limit set notional 5000000000000 --by 12 --approved-by 7",
                "Set the largest value of an order, from the next order on.",
            ),
            example(
                "stele limit set open-orders 100 --strategy 1 --by 12",
                "Limit the open orders of one strategy.",
            ),
            example(
                "stele limit set notional none --by 12 --trail trail",
                "Take a limit away where the bus does not run.",
            ),
        ],
    ),
    (
        "snapshot",
        &[example(
            "stele snapshot trail",
            "Save the state after the last closed segment; the next start goes on from it.",
        )],
    ),
    (
        "archive",
        &[
            example(
                "stele archive trail",
                "Compress every closed segment; each is checked before the original is removed.",
            ),
            example(
                "stele archive trail --keep-raw 2 --level 19",
                "Compress harder, except for the two newest closed segments.",
            ),
        ],
    ),
    (
        "repair",
        &[
            example(
                "stele repair trail",
                "Print what is damaged and what can be done about it; change nothing.",
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
            example("stele verify trail", "Check every frame, and what the events say of each other."),
            example(
                "stele verify trail --key VKEY",
                "Check the seals too; VKEY is what `stele key show` prints.",
            ),
            example(
                "stele verify trail --key VKEY --against CHECKPOINT",
                "Check that the trail extends a checkpoint that was kept elsewhere.",
            ),
            example(
                "stele verify trail --key VKEY --witness WVKEY --quorum 1",
                "Report what a witness has cosigned, and when.",
            ),
        ],
    ),
    (
        "dump",
        &[
            example("stele dump trail --type NewOrder --json", "Print the orders, one JSON object a line."),
            example(
                "stele dump trail --from -1m --to -30s --csv",
                "Print half a minute, counted back from the last event, as comma-separated values.",
            ),
            example(
                "stele dump trail --from 2026-11-21T09:30:00Z --reason \"case 17\"",
                "Print what came from a time on, and record why it was read.",
            ),
            example("stele dump trail --follow", "Print what is there and what comes, until interrupted."),
        ],
    ),
    (
        "hold place",
        &[
            example(
                "stele hold place trail --case 7 --reason \"inquiry of 3 March\" --by 12",
                "Keep every record of the trail until the hold is released.",
            ),
            example(
                "stele hold place trail --case 8 --from -90d --reason \"inquiry\" --by 12 --approved-by 7",
                "Keep the records of the last ninety days.",
            ),
        ],
    ),
    (
        "hold release",
        &[example(
            "stele hold release trail --case 7 --reason \"closed\" --by 12",
            "Release the holds of a case.",
        )],
    ),
    ("hold list", &[example("stele hold list trail", "List the holds that are in force.")]),
    (
        "expire",
        &[
            example(
                "stele expire trail --dry-run",
                "Print what the policy would remove, and why each of the others stays.",
            ),
            example("stele expire trail --dry-run --now +7y", "Print what it would remove in seven years."),
            example(
                "stele expire trail -c stele.toml --person 12 --reason \"yearly expiry\"",
                "Remove it; person and reason go on the trail.",
            ),
        ],
    ),
    (
        "key new",
        &[
            example(
                "stele key new seal.key --name bank.example/stele",
                "Make a key for sealing and print its public part.",
            ),
            example(
                "stele key new w.key --name witness.example/stele --witness",
                "Make a key for a witness.",
            ),
        ],
    ),
    ("key show", &[example("stele key show seal.key", "Print the public part of a key.")]),
    (
        "key rotate",
        &[example(
            "stele key rotate trail --key seal.key --new new.key --by 12 --approved-by 7",
            "Hand over to a new key, which is made.",
        )],
    ),
    ("seal", &[example("stele seal trail --key seal.key", "Sign a root over every durable event.")]),
    (
        "prove",
        &[example(
            "stele prove trail --sequence 7 --key VKEY -o 7.tlog-proof",
            "Write the proof of one event, for someone who does not have the trail.",
        )],
    ),
    (
        "check-proof",
        &[example("stele check-proof 7.tlog-proof --key VKEY", "Check the proof and print the event.")],
    ),
    (
        "witness",
        &[example(
            "stele witness --key w.key --listen 0.0.0.0:7380 --state STATE --log VKEY",
            "Cosign the checkpoints of a log, on another party's machine.",
        )],
    ),
    (
        "export-tiles",
        &[example(
            "stele export-tiles trail tiles --key VKEY",
            "Write the tree, its tiles and the events to a new directory.",
        )],
    ),
    (
        "doctor",
        &[example(
            "stele doctor -c stele.toml",
            "Check the machine for the run that a configuration describes.",
        )],
    ),
    (
        "perf",
        &[
            example("stele perf pipeline", "Measure the whole program, from feed to trail."),
            example("stele perf journal", "Measure the journal beside the raw device."),
            example("stele perf bus", "Measure the bus beside rtrb and the disruptor."),
            example("stele perf strategies", "Measure books, windows and backtests."),
            example("stele perf seal", "Measure sealing, verifying and proving."),
        ],
    ),
    (
        "completions",
        &[example("stele completions bash > stele.bash", "Write the script; `source stele.bash` loads it.")],
    ),
    (
        "man",
        &[example("stele man man1", "Write a page for each command; `man -l man1/stele-run.1` shows one.")],
    ),
];

/// The command with the examples of each of its subcommands at the end of their help.
pub(super) fn with_examples(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (path, examples)| {
        let names: Vec<&str> = path.split(' ').collect();
        at(command, &names, &|command| command.after_help(text(examples)))
    })
}

/// Changes the subcommand at the path `names` below `command`.
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

    /// Commands without subcommands, by their paths.
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
    fn every_command_has_examples_of_itself_that_its_definition_takes() {
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
