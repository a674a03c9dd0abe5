//! Groups of arguments that several commands share.

use clap::Args;
use std::path::PathBuf;

/// The output format.
#[derive(Args, Debug, Clone, Copy, Default)]
pub(crate) struct OutputArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// A configuration file.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct ConfigArgs {
    /// Configuration file; flags override it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A trail to read, and how the access is recorded.
#[derive(Args, Debug)]
pub(crate) struct ReadArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// A trail to read, and the format of the report on it.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A stopped trail that a command changes.
#[derive(Args, Debug)]
pub(crate) struct ActArgs {
    /// Directory of the trail; no process may be writing to it
    pub(crate) trail: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The people who make and approve a change.
#[derive(Args, Debug, Clone)]
pub(crate) struct PeopleArgs {
    /// Who makes the change, by party number
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Who approved the change, by party number; must be someone else
    #[arg(long, value_name = "ID")]
    pub(crate) approved_by: Option<u32>,
}

/// The heading of [`AccessArgs`] in the help.
const ACCESS: &str = "Access record";

/// How an access to a trail is recorded.
#[derive(Args, Debug, Default)]
pub(crate) struct AccessArgs {
    /// Reason for reading the trail, stored in the access record
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = ACCESS)]
    pub(crate) reason: String,
    /// Do not record this access; the output says so
    #[arg(long, conflicts_with_all = ["reason", "access_trail"], help_heading = ACCESS)]
    pub(crate) unlogged: bool,
    /// Trail to record this access on, instead of the running bus's log or TRAIL.access
    #[arg(long, value_name = "DIR", help_heading = ACCESS)]
    pub(crate) access_trail: Option<PathBuf>,
    /// Private key that seals the access trail after each record
    #[arg(long, value_name = "FILE", env = "STELE_ACCESS_KEY", help_heading = ACCESS)]
    pub(crate) access_key: Option<PathBuf>,
}

/// The private key that seals a trail.
#[derive(Args, Debug)]
pub(crate) struct PrivateKeyArgs {
    /// File with the private key that seals the trail
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// File whose first line is the key's passphrase, readable only by its owner; without it, you are
    /// prompted
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// The public key of a trail's seals.
#[derive(Args, Debug)]
pub(crate) struct PublicKeyArgs {
    /// Public key of the trail's seals, as name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: String,
}
