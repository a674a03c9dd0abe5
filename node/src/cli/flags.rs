//! Groups of arguments that several commands have.

use clap::Args;
use std::path::PathBuf;

/// The form of what is printed.
#[derive(Args, Debug, Clone, Copy, Default)]
pub(crate) struct OutputArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// A configuration.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct ConfigArgs {
    /// Configuration file; flags win over it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A trail that is read, and the record of that.
#[derive(Args, Debug)]
pub(crate) struct ReadArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// A trail that is read for a report on it.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A stopped trail that something is done to.
#[derive(Args, Debug)]
pub(crate) struct ActArgs {
    /// Directory of the trail, which no process may be writing
    pub(crate) trail: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Who does something.
#[derive(Args, Debug)]
pub(crate) struct PeopleArgs {
    /// Who, by the number of the party
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Who approved it: another party
    #[arg(long, value_name = "ID")]
    pub(crate) approved_by: Option<u32>,
}

/// What the arguments of [`AccessArgs`] are listed under.
const ACCESS: &str = "Record of this access";

/// How the reading of a trail is recorded.
#[derive(Args, Debug, Default)]
pub(crate) struct AccessArgs {
    /// Why the trail is read; it goes on the record
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = ACCESS)]
    pub(crate) reason: String,
    /// Leave no record; the output says so
    #[arg(long, conflicts_with_all = ["reason", "access_trail"], help_heading = ACCESS)]
    pub(crate) unlogged: bool,
    /// Trail to record it on, in place of the running bus's log or TRAIL.access
    #[arg(long, value_name = "DIR", help_heading = ACCESS)]
    pub(crate) access_trail: Option<PathBuf>,
    /// Private key that the access trail is sealed with after each record
    #[arg(long, value_name = "FILE", env = "STELE_ACCESS_KEY", help_heading = ACCESS)]
    pub(crate) access_key: Option<PathBuf>,
}

/// The private key that a trail is sealed with.
#[derive(Args, Debug)]
pub(crate) struct PrivateKeyArgs {
    /// File of the private key that the trail is sealed with
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// File whose first line is the key's passphrase, for its owner only; without it, asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// The public key that a trail is sealed with.
#[derive(Args, Debug)]
pub(crate) struct PublicKeyArgs {
    /// Public key that the trail is sealed with, name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: String,
}
