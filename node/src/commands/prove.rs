//! `stele prove`: writes an event with its path to a signed root, which anyone with the public key can check.

use crate::access::{Access, record};
use crate::cli::ProveArgs;
use crate::failure::Failure;
use crate::keys::read_key;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;
use stele_compliance::seal::proof::ProveError;
use stele_compliance::seal::{SealError, prove as prove_event};
use stele_journal::{Directory, Storage};
use stele_wire::Sequence;
use stele_wire::messages::AccessKind;

/// Writes the proof to a new file, or to standard output.
pub(crate) fn prove(args: &ProveArgs) -> Result<(), Failure> {
    let reader = super::open_trail(&args.read.trail)?;
    let key = read_key(&args.key.key)?;
    let (from, to) = (args.sequence, args.sequence);
    let access = Access { trail: &args.read.trail, kind: AccessKind::PROVE, from, to };
    record(&args.read.access, &access, &reader)?.print();
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(&args.read.trail));
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
