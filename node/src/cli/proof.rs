//! Commands for compliance officers: verifying, sealing and proving records.

use super::flags::{ActArgs, OutputArgs, PeopleArgs, PrivateKeyArgs, PublicKeyArgs, ReadArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Check the seals too: public key that they must be signed with, name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    /// Public key of a witness: report which checkpoints it cosigned; may be given several times
    #[arg(long = "witness", value_name = "VKEY", requires = "key")]
    pub(crate) witnesses: Vec<String>,
    /// How many of them must have cosigned a checkpoint; all of them without it
    #[arg(long, value_name = "COUNT", requires = "witnesses")]
    pub(crate) quorum: Option<usize>,
    /// A checkpoint that was kept elsewhere: the trail must extend it
    #[arg(long, value_name = "CHECKPOINT", requires = "key")]
    pub(crate) against: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

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
    /// Hand over from the key that a trail is sealed with to another one
    ///
    /// The old key seals the trail to its end and signs an event there that names the new key.
    Rotate(KeyRotateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct KeyRotateArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    #[command(flatten)]
    pub(crate) old: PrivateKeyArgs,
    /// File of the key that takes over; where there is none, it is made
    #[arg(long, value_name = "FILE")]
    pub(crate) new: PathBuf,
    /// Ask for a passphrase and encrypt the new file with it
    #[arg(long)]
    pub(crate) passphrase: bool,
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
}

#[derive(Args, Debug)]
pub(crate) struct SealArgs {
    /// Directory of the trail, which may be that of a running bus
    pub(crate) trail: PathBuf,
    #[command(flatten)]
    pub(crate) key: PrivateKeyArgs,
    /// Time-stamp the newest checkpoint: where an authority answers by RFC 3161 over HTTP
    #[arg(long, value_name = "URL")]
    pub(crate) timestamp: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// The event
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sequence: u64,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    /// File to write, by custom ending in .tlog-proof; without it, the terminal
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct CheckProofArgs {
    /// File of the proof
    pub(crate) proof: PathBuf,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct WitnessArgs {
    /// File of the witness's private key, of `stele key new --witness`
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Address and port to listen at
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: String,
    /// Directory that keeps what was cosigned
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Public key of a log, name+id+base64; may be given several times
    #[arg(long = "log", value_name = "VKEY", required = true)]
    pub(crate) logs: Vec<String>,
    /// What the origin of a log must begin with; may be given several times
    #[arg(long = "origin", value_name = "PREFIX", default_value = "stele.internal/")]
    pub(crate) origins: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExportTilesArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Directory to write to, which is made and must not exist yet
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
