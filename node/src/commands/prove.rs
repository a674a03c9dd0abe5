//! `stele prove`: an event with the path to a signed root, for somebody who has nothing but the key.

use crate::access::{Access, record};
use crate::cli::ProveArgs;
use crate::failure::Failure;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;
use stele_compliance::seal::proof::ProveError;
use stele_compliance::seal::{SealError, VerifierKey, prove as prove_event};
use stele_journal::{Directory, Storage};
use stele_wire::Sequence;
use stele_wire::messages::AccessKind;

/// Writes the proof.
///
/// # Errors
/// [`Failure`].
pub(crate) fn prove(args: &ProveArgs) -> Result<(), Failure> {
    let reader = super::open_trail(&args.trail)?;
    let key = read_key(&args.key)?;
    let (from, to) = (args.sequence, args.sequence);
    let access = Access { trail: &args.trail, kind: AccessKind::PROVE, from, to };
    record(&args.access, &access, &reader)?.tell();
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(&args.trail));
    let proof = prove_event(&storage, Sequence(args.sequence), &key).map_err(|error| match error {
        ProveError::Tile(_) | ProveError::Seal(SealError::Io { .. } | SealError::Trail(_)) => {
            Failure::environment(error)
        }
        _ => Failure::not_so(error),
    })?;
    let Some(file) = &args.output else { return super::print_page(&proof.to_string()) };
    let unwritten = |error| Failure::environment(format!("{}: {error}", file.display()));
    let mut to = OpenOptions::new().write(true).create_new(true).open(file).map_err(unwritten)?;
    to.write_all(proof.to_string().as_bytes()).and_then(|()| to.sync_all()).map_err(unwritten)
}

/// A public key as a command takes it.
///
/// # Errors
/// [`Failure`]: the text is no key.
pub(super) fn read_key(text: &str) -> Result<VerifierKey, Failure> {
    let key = text.parse::<VerifierKey>();
    key.map_err(|error| Failure::usage(format!("--key: {error}")).help("`stele key show FILE` prints it"))
}
