//! How the reading of a trail is recorded: the arguments that every command which reads one for a person takes.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Record of this access")]
pub(crate) struct AccessArgs {
    /// Why the trail is read; it goes on the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Leave no record; the output says so
    #[arg(long, conflicts_with_all = ["reason", "access_trail"])]
    pub(crate) unlogged: bool,
    /// Trail to record it on, in place of the running bus's log or TRAIL.access
    #[arg(long, value_name = "DIR")]
    pub(crate) access_trail: Option<PathBuf>,
    /// Private key that the access trail is sealed with after each record
    #[arg(long, value_name = "FILE", env = "STELE_ACCESS_KEY")]
    pub(crate) access_key: Option<PathBuf>,
}
