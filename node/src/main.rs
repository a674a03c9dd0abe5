//! `stele`: the program. Parses the command line, runs one command, turns its failure into a message and an exit
//! code.
//!
//! | thread | what it does | made by |
//! |---|---|---|
//! | main | commands, the live line, stopping | the operating system |
//! | sequencer, feed, journal (hot, pinned) | the jobs that [`layout`] gives them | [`topology`], nobody else |
//! | the journal's pool | prepares segments | `stele_journal` |
//! | snapshots | follows the trail, takes a snapshot at each roll | [`topology`] |
//! | sealer | follows the trails, signs checkpoints, where `[seal]` names a key | [`topology`] |
//! | witness, one each | asks a witness for its cosignatures, where `[seal] witness` names one | [`session`] |
//! | keeper | makes closed segments immutable, copies them, where `[at_rest]` says so | [`session`] |
//! | metrics | answers over HTTP, where [metrics] says so | [`session`] |
//! | runs of a backtest | play a market, one a CPU | [`commands::backtest`] |
//! | executors of a scan | read a trail, one a CPU | `stele_journal` |
#![forbid(unsafe_code)]

mod access;
mod act;
mod cli;
mod commands;
mod config;
mod doctor;
mod event_text;
mod failure;
mod feeds;
mod flush;
mod foreign_schemas;
mod forwarding;
mod gauges;
mod http;
mod keeper;
mod keys;
mod layout;
mod live;
mod look;
mod metrics;
mod moment;
mod numbering;
mod people;
mod place;
mod prelude;
mod progress;
mod readable;
mod report;
mod screen;
mod sealer;
mod sealing;
mod session;
mod shown;
mod signals;
mod snapshots;
mod submission;
mod survey;
mod topology;
mod trails;
mod wall;
mod witnesses;

use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match &Cli::from_process().command {
        Command::Demo(args) => commands::demo::demo(args),
        Command::Run(args) => commands::run::run(args),
        Command::Backtest(args) => commands::backtest::backtest(args),
        Command::Config(args) => commands::config::config(args),
        Command::Doctor(args) => commands::doctor::doctor(args),
        Command::Top(args) => commands::top::top(args),
        Command::Generate(args) => commands::generate::generate_file(args),
        Command::Verify(args) => commands::verify::verify(args),
        Command::CheckStrategy(args) => commands::check_strategy::check_strategy(args),
        Command::Replay(args) => commands::replay::replay(args),
        Command::Dump(args) => commands::dump::dump(args),
        Command::Snapshot(args) => commands::snapshot::snapshot(args),
        Command::Summary(args) => commands::summary::summary(args),
        Command::Archive(args) => commands::archive::archive(args),
        Command::Repair(args) => commands::repair::repair(args),
        Command::KillSwitch(args) => commands::controls::kill_switch(args),
        Command::Limit(args) => commands::controls::limit(args),
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
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}
