//! Reads the keys that commands and configurations name: private keys from files, public keys from text.

use crate::failure::Failure;
use std::io;
use std::path::Path;
use stele_compliance::seal::key::{KeyError, read, read_passphrase};
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::{Signer, VerifierKey};

/// Reads the private key in `file`. Its passphrase, where it has one, is the first line of the file
/// `passphrase`, which only its owner may read, or is asked for on the terminal.
///
/// # Errors
/// [`Failure`]: the key or the passphrase cannot be read, or the passphrase is wrong.
pub(crate) fn read_signer(file: &Path, passphrase: Option<&Path>) -> Result<Signer, Failure> {
    let given = passphrase.map(|path| read_passphrase(path).map_err(key_failed)).transpose()?;
    read(file, || given.map_or_else(|| ask(&format!("passphrase of {}: ", file.display())), Ok))
        .map_err(key_failed)
}

/// As [`read_signer`], for a key that signs the checkpoints of a log.
///
/// # Errors
/// [`Failure`]: as [`read_signer`], or the key is a witness's.
pub(crate) fn read_log_signer(file: &Path, passphrase: Option<&Path>) -> Result<Signer, Failure> {
    let signer = read_signer(file, passphrase)?;
    match signer.public().kind() {
        KeyKind::Log => Ok(signer),
        KeyKind::Witness => Err(Failure::usage(format!("{} is a witness's key", file.display()))
            .help("`stele key new` without --witness makes the key that seals a log")),
    }
}

/// Parses the public key that `--key` gives.
///
/// # Errors
/// [`Failure`]: the text is not a key.
pub(crate) fn read_key(text: &str) -> Result<VerifierKey, Failure> {
    let key = text.parse::<VerifierKey>();
    key.map_err(|error| Failure::usage(format!("--key: {error}")).help("`stele key show FILE` prints it"))
}

/// Asks for a new passphrase, twice, on the terminal.
///
/// # Errors
/// [`Failure`]: there is no terminal, or the two differ.
pub(crate) fn ask_twice() -> Result<String, Failure> {
    let asked = ask("passphrase: ").and_then(|first| Ok((first, ask("once more: ")?)));
    let (first, second) = asked.map_err(|error| Failure::environment(format!("no passphrase: {error}")))?;
    if first != second {
        return Err(Failure::usage("the two passphrases differ; no key was made"));
    }
    Ok(first)
}

fn ask(prompt: &str) -> io::Result<String> {
    rpassword::prompt_password(prompt)
}

/// Converts the error of reading or writing a key to a failure of the command.
pub(crate) fn key_failed(error: KeyError) -> Failure {
    match error {
        KeyError::Name(_) => Failure::usage(error),
        KeyError::Io { ref source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            Failure::environment(error).help("a key is never overwritten: name a new file")
        }
        _ => Failure::environment(error),
    }
}
