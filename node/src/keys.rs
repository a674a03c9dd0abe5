//! Keys that commands and configurations name: private ones read from their files, public ones from text.

use crate::failure::Failure;
use std::io;
use std::path::Path;
use stele_compliance::seal::key::{KeyError, read, read_passphrase};
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::{Signer, VerifierKey};

/// The private key in a file. Where it has a passphrase, that is the first line of `passphrase`, a file for
/// its owner only, or asked for.
///
/// # Errors
/// [`Failure`].
pub(crate) fn read_signer(file: &Path, passphrase: Option<&Path>) -> Result<Signer, Failure> {
    let given = passphrase.map(|path| read_passphrase(path).map_err(key_failed)).transpose()?;
    read(file, || given.map_or_else(|| ask(&format!("passphrase of {}: ", file.display())), Ok))
        .map_err(key_failed)
}

/// As [`read_signer`], of a key that signs checkpoints of a log's own.
///
/// # Errors
/// [`Failure`]: also when it is a witness's.
pub(crate) fn read_log_signer(file: &Path, passphrase: Option<&Path>) -> Result<Signer, Failure> {
    let signer = read_signer(file, passphrase)?;
    match signer.public().kind() {
        KeyKind::Log => Ok(signer),
        KeyKind::Witness => Err(Failure::usage(format!("{} is a witness's key", file.display()))
            .help("a log is sealed with a key of `stele key new` without --witness")),
    }
}

/// A public key as a command takes it.
///
/// # Errors
/// [`Failure`]: the text is not a key.
pub(crate) fn read_key(text: &str) -> Result<VerifierKey, Failure> {
    let key = text.parse::<VerifierKey>();
    key.map_err(|error| Failure::usage(format!("--key: {error}")).help("`stele key show FILE` prints it"))
}

/// A new passphrase, typed twice on the terminal.
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

/// Why a key is not read or written, as this program reports it.
pub(crate) fn key_failed(error: KeyError) -> Failure {
    match error {
        KeyError::Name(_) => Failure::usage(error),
        KeyError::Io { ref source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            Failure::environment(error).help("a key is never overwritten: name a new file")
        }
        _ => Failure::environment(error),
    }
}
