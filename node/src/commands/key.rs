//! `stele key`: the keys that checkpoints are signed with.

mod rotate;

use crate::cli::{KeyAction, KeyArgs};
use crate::failure::Failure;
use std::io;
use std::path::Path;
use stele_compliance::seal::Signer;
use stele_compliance::seal::key::{KeyError, generate, read, read_passphrase, read_public, write};
use stele_compliance::seal::note::KeyKind;

/// Makes a key, shows the public part of one, or has one hand over to another.
///
/// # Errors
/// [`Failure`].
pub(crate) fn key(args: &KeyArgs) -> Result<(), Failure> {
    match &args.action {
        KeyAction::New { file, name, witness, passphrase } => {
            let kind = if *witness { KeyKind::Witness } else { KeyKind::Log };
            let signer = generate(name, kind).map_err(failed)?;
            let passphrase = if *passphrase { Some(ask_twice()?) } else { None };
            write(file, &signer, passphrase.as_deref()).map_err(failed)?;
            super::print_page(&format!("{}\n", signer.public()))
        }
        KeyAction::Show { file } => {
            let public = read_public(file).map_err(failed)?;
            super::print_page(&format!("{public}\n"))
        }
        KeyAction::Rotate(args) => rotate::rotate(args),
    }
}

/// The private key in a file. Where it has a passphrase, that is the first line of `passphrase`, a file for its owner
/// only, or asked for.
///
/// # Errors
/// [`Failure`].
pub(crate) fn read_signer(file: &Path, passphrase: Option<&Path>) -> Result<Signer, Failure> {
    let given = passphrase.map(|path| read_passphrase(path).map_err(failed)).transpose()?;
    read(file, || given.map_or_else(|| ask(&format!("passphrase of {}: ", file.display())), Ok))
        .map_err(failed)
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

fn ask_twice() -> Result<String, Failure> {
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

fn failed(error: KeyError) -> Failure {
    match error {
        KeyError::Name(_) => Failure::usage(error),
        KeyError::Io { ref source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            Failure::environment(error).help("a key is never overwritten: name a new file")
        }
        _ => Failure::environment(error),
    }
}
