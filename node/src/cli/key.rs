//! Keys, and what they seal.

use super::AccessArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) action: KeyAction,
}

#[derive(Subcommand, Debug)]
pub(crate) enum KeyAction {
    /// Make a key in a new file for its owner only, and print its public part
    New {
        /// File to write; one that exists is not overwritten
        file: PathBuf,
        /// Name of the key, such as bank.example/stele
        #[arg(long)]
        name: String,
        /// A witness's key: it signs a time with each checkpoint
        #[arg(long)]
        witness: bool,
        /// Ask for a passphrase and encrypt the file with it
        #[arg(long)]
        passphrase: bool,
    },
    /// Print the public part of a key
    Show {
        /// File of the key
        file: PathBuf,
    },
    /// Hand over from the key that a trail is sealed with to another one, by an event on the trail that it signs
    Rotate(KeyRotateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct KeyRotateArgs {
    /// Directory of the trail, or of those of all shards, which nobody may be writing
    pub(crate) trail: PathBuf,
    /// File of the private key that hands over
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// File that its passphrase is the first line of, for its owner only; without it, asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// File of the key that takes over; where there is none, it is made
    #[arg(long, value_name = "FILE")]
    pub(crate) new: PathBuf,
    /// Ask for a passphrase and encrypt the new file with it
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// Who, by the number of the party
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Who approved it, somebody else
    #[arg(long, value_name = "ID")]
    pub(crate) approved_by: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SealArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// File of the private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// File that its passphrase is the first line of, for its owner only; without it, asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Time-stamp the newest checkpoint: where an authority answers by RFC 3161 over HTTP
    #[arg(long, value_name = "URL")]
    pub(crate) timestamp: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExportTilesArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// Directory to write to, which is made and must not be there yet
    pub(crate) to: PathBuf,
    /// Public key that the newest checkpoint must be signed with, name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
