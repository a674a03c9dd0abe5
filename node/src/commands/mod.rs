//! One module a command. A command parses nothing and decides no exit code: it returns a [`Failure`] or not.

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
pub(crate) mod man;
pub(crate) mod new_strategy;
pub(crate) mod perf;
pub(crate) mod prove;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod seal;
pub(crate) mod snapshot;
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
fn open_trail(path: &Path) -> Result<TrailReader, Failure> {
    TrailReader::open(path).map_err(|error| match shard_trails(path).first() {
        Some(first) => Failure::usage(format!("{} holds the trails of several shards", path.display()))
            .help(format!("name one of them, such as {}", first.path.display())),
        None => Failure::environment(error)
            .help("a trail is the directory that `stele run --dir` or `stele demo` wrote"),
    })
}

/// Prints one JSON document to standard output.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::environment(format!("cannot print: {error}")))?;
    print(&(text + "\n"))
}

/// Prints a page for a person to standard output, in which commands are this program's.
fn print_page(page: &str) -> Result<(), Failure> {
    print(&in_own_name(page))
}

/// Prints to standard output. A reader that closes the pipe has seen enough.
fn print(page: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    ended_by_reader(out.write_all(page.as_bytes()).and_then(|()| out.flush()))
}

/// What became of writing to a reader who may leave at any time.
fn ended_by_reader(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}
