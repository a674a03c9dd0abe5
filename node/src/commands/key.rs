//! `stele key`: the keys that checkpoints are signed with.

mod rotate;

use crate::cli::{KeyAction, KeyArgs};
use crate::failure::Failure;
use crate::keys::{ask_twice, key_failed};
use stele_compliance::seal::key::{generate, read_public, write};
use stele_compliance::seal::note::KeyKind;

/// Makes a key, shows the public part of one, or has one hand over to another.
///
/// # Errors
/// [`Failure`].
pub(crate) fn key(args: &KeyArgs) -> Result<(), Failure> {
    match &args.action {
        KeyAction::New { file, name, witness, passphrase } => {
            let kind = if *witness { KeyKind::Witness } else { KeyKind::Log };
            let signer = generate(name, kind).map_err(key_failed)?;
            let passphrase = if *passphrase { Some(ask_twice()?) } else { None };
            write(file, &signer, passphrase.as_deref()).map_err(key_failed)?;
            super::print_page(&format!("{}\n", signer.public()))
        }
        KeyAction::Show { file } => {
            let public = read_public(file).map_err(key_failed)?;
            super::print_page(&format!("{public}\n"))
        }
        KeyAction::Rotate(args) => rotate::rotate(args),
    }
}
