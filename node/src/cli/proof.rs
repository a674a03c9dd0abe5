//! Arguments of the commands for compliance officers that verify, seal and prove records.

use super::flags::{ActArgs, OutputArgs, PeopleArgs, PrivateKeyArgs, PublicKeyArgs, ReadArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Verify the seals too, with this public key, as name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    /// Report the checkpoints that this witness cosigned, by its public key; may be given several times
    #[arg(long = "witness", value_name = "VKEY", requires = "key")]
    pub(crate) witnesses: Vec<String>,
    /// Number of witnesses that must have cosigned a checkpoint; without it, all of them
    #[arg(long, value_name = "COUNT", requires = "witnesses")]
    pub(crate) quorum: Option<usize>,
    /// File with a checkpoint that was kept elsewhere; the trail must extend it
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
    /// Create a key file, readable only by its owner, and print the public key
    New {
        /// File to create; an existing file is not overwritten
        file: PathBuf,
        /// Name of the key, such as bank.example/stele
        #[arg(long)]
        name: String,
        /// Create a key for a witness, which signs a time with each checkpoint
        #[arg(long)]
        witness: bool,
        /// Prompt for a passphrase and encrypt the file with it
        #[arg(long)]
        passphrase: bool,
    },
    /// Print the public key of a key file
    Show {
        /// Key file
        file: PathBuf,
    },
    /// Replace the key that seals a trail
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
    /// File with the new key; created if it does not exist
    #[arg(long, value_name = "FILE")]
    pub(crate) new: PathBuf,
    /// Prompt for a passphrase and encrypt the new key file with it
    #[arg(long)]
    pub(crate) passphrase: bool,
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
}

#[derive(Args, Debug)]
pub(crate) struct SealArgs {
    /// Directory of the trail; the bus may be running
    pub(crate) trail: PathBuf,
    #[command(flatten)]
    pub(crate) key: PrivateKeyArgs,
    /// Time-stamp the newest checkpoint at this RFC 3161 time-stamping authority
    #[arg(long, value_name = "URL")]
    pub(crate) timestamp: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Sequence of the event
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sequence: u64,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    /// File to create, usually with the extension .tlog-proof; without it, print the proof
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct CheckProofArgs {
    /// Proof file
    pub(crate) proof: PathBuf,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct WitnessArgs {
    /// File with the witness's private key, created by `stele key new --witness`
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: String,
    /// Directory to store the cosigned checkpoints in
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Public key of a log to cosign, as name+id+base64; may be given several times
    #[arg(long = "log", value_name = "VKEY", required = true)]
    pub(crate) logs: Vec<String>,
    /// Accept only logs whose origin has this prefix; may be given several times
    #[arg(long = "origin", value_name = "PREFIX", default_value = "stele.internal/")]
    pub(crate) origins: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExportTilesArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Directory to create; it must not exist
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
