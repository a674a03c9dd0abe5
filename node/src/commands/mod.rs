//! The commands, one module each. A command receives parsed arguments and returns `Ok` or a [`Failure`],
//! which holds the exit code.

pub(crate) mod archive;
pub(crate) mod attach;
pub(crate) mod backtest;
pub(crate) mod check_proof;
pub(crate) mod check_strategy;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod controls;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod dump;
pub(crate) mod expire;
pub(crate) mod export_tiles;
pub(crate) mod generate;
pub(crate) mod hold;
pub(crate) mod key;
pub(crate) mod kill_switch_wait;
pub(crate) mod man;
pub(crate) mod new_strategy;
mod operator;
pub(crate) mod order;
pub(crate) mod perf;
mod proposals;
pub(crate) mod prove;
pub(crate) mod publisher;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod seal;
pub(crate) mod snapshot;
pub(crate) mod strategy;
pub(crate) mod summary;
pub(crate) mod top;
pub(crate) mod verify;
pub(crate) mod witness;

use crate::failure::Failure;
use crate::own_name::in_own_name;
use crate::trails::shard_trails;
use serde::Serialize;
use std::io::{self, Write as _, stdout};
use std::path::Path;
use stele_journal::TrailReader;

/// Opens a trail for reading.
///
/// # Errors
/// Usage if the directory holds the trails of several shards; environment if there is no readable trail.
fn open_trail(path: &Path) -> Result<TrailReader, Failure> {
    TrailReader::open(path).map_err(|error| match shard_trails(path).first() {
        Some(first) => Failure::usage(format!("{} contains the trails of several shards", path.display()))
            .help(format!("choose one of them, such as {}", first.path.display())),
        None => {
            Failure::environment(error).help("a trail is a directory written by `stele run` or `stele demo`")
        }
    })
}

/// Prints one JSON document to standard output.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::environment(format!("cannot write to standard output: {error}")))?;
    print(&(text + "\n"))
}

/// Prints text to standard output, with commands named after this program.
fn print_page(page: &str) -> Result<(), Failure> {
    print(&in_own_name(page))
}

/// Prints to standard output. A pipe closed by its reader is not an error.
fn print(page: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    ended_by_reader(out.write_all(page.as_bytes()).and_then(|()| out.flush()))
}

/// Turns the result of a write to standard output into that of the command: a pipe closed by its reader is
/// not an error.
fn ended_by_reader(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
