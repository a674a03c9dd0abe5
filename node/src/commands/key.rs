//! `stele key`: creates, shows and rotates the keys that sign checkpoints.

mod rotate;

use crate::cli::{KeyAction, KeyArgs};
use crate::failure::Failure;
use crate::keys::{ask_twice, key_failed};
use stele_compliance::seal::key::{generate, read_public, write};
use stele_compliance::seal::note::KeyKind;

/// Creates a key, prints a public key, or rotates the key of a trail.
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
