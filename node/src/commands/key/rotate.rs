//! `stele key rotate`: replaces the key that seals a trail.
//!
//! ```text
//!  sealed to its end ─> KeyRotated, durable ─> sealed over it ─┐ from here the new key signs
//!       by the old key     signed by the old key     by the old key
//! ```
//!
//! After an interruption at any point, the same command completes the rotation: an event that is already on
//! the trail is not written again, and a run with the new key can start before or after the last step.

use crate::act::{Act, Purpose, segments_of};
use crate::cli::KeyRotateArgs;
use crate::commands::{print_json, print_page};
use crate::failure::Failure;
use crate::keys::{ask_twice, key_failed, read_log_signer};
use crate::people::different_people;
use crate::readable::grouped;
use crate::sealing::{lock, seal_failed};
use crate::trails::shard_trails;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stele_bus::{Clock as _, UtcClock};
use stele_compliance::seal::key::{generate, read_public, write};
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::rotation::{KeyRotation, rotation};
use stele_compliance::seal::sealing::has_signed;
use stele_compliance::seal::tiles::SEALS_FOLDER;
use stele_compliance::seal::{
    SealError, SealPolicy, SealingReport, Signer, VerifierKey, origin_of, seal_trail,
};
use stele_journal::{Directory, Storage, TrailReader};
use stele_wire::Sequence;
use stele_wire::messages::EndReason;

#[derive(Serialize)]
struct Report {
    old: String,
    new: String,
    trails: Vec<Rotated>,
}

/// A trail whose key has been rotated.
#[derive(Serialize)]
struct Rotated {
    trail: PathBuf,
    /// The sequence of the `KeyRotated` event.
    sequence: u64,
    /// Events in the last checkpoint of the old key.
    sealed: u64,
}

/// Rotates the key of the trail, or of the trail of each shard.
pub(super) fn rotate(args: &KeyRotateArgs) -> Result<(), Failure> {
    different_people(args.people.by, args.people.approved_by)?;
    let mut paths: Vec<PathBuf> = shard_trails(&args.act.trail).into_iter().map(|trail| trail.path).collect();
    if paths.is_empty() {
        paths.push(args.act.trail.clone());
    }
    paths.iter().try_for_each(|path| crate::commands::open_trail(path).map(drop))?;
    let old = read_log_signer(&args.old.key, args.old.passphrase_file.as_deref())?;
    let new = successor(args, &old)?;
    let trails = paths.into_iter().map(|path| rotate_trail(path, &old, &new, args));
    let trails = trails.collect::<Result<Vec<_>, _>>()?;
    let report = Report { old: old.public().to_string(), new: new.to_string(), trails };
    if args.act.output.json { print_json(&report) } else { print_page(&page(&report, &args.new)) }
}

fn page(Report { old, new, trails }: &Report, file: &Path) -> String {
    let mut page = format!("{old}\nwas replaced by\n{new}\n");
    for Rotated { trail, sequence, sealed } in trails {
        let (trail, sealed) = (trail.display(), grouped(*sealed));
        page += &format!("{trail}: rotated by event {sequence}; the old key sealed {sealed} events\n");
    }
    page + &format!("to seal with the new key, set `key = \"{}\"` in [seal]\n", file.display())
}

/// Returns the new public key: read from its file, or created if there is none.
fn successor(args: &KeyRotateArgs, old: &Signer) -> Result<VerifierKey, Failure> {
    let name = old.public().name();
    let new = if args.new.exists() {
        read_public(&args.new).map_err(key_failed)?
    } else {
        let signer = generate(name, KeyKind::Log).map_err(key_failed)?;
        let passphrase = if args.passphrase { Some(ask_twice()?) } else { None };
        write(&args.new, &signer, passphrase.as_deref()).map_err(key_failed)?;
        signer.public().clone()
    };
    if new.name() != name || new == *old.public() || new.kind() != KeyKind::Log {
        let what = format!("cannot rotate {name} to {new}");
        return Err(Failure::usage(what).help("the new key must be a different log key with the same name"));
    }
    Ok(new)
}

fn rotate_trail(
    path: PathBuf,
    old: &Signer,
    new: &VerifierKey,
    args: &KeyRotateArgs,
) -> Result<Rotated, Failure> {
    let _lock = lock(&path.join(SEALS_FOLDER), Duration::ZERO)?;
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(&path));
    let clock = || UtcClock::new().now();
    let sealed = || seal_trail(&storage, old, SealPolicy::default(), clock, &|_, _| {});
    let rotated = |sealing: SealingReport| sealing.rotated.map(|sequence| (sequence, sealing.sealed));
    let before = match sealed() {
        Err(SealError::Rotated { sequence, sealed, .. }) => Some((sequence, sealed)),
        sealing => rotated(sealing.map_err(seal_failed)?),
    };
    if let Some((sequence, sealed)) = before {
        check_successor(&storage, sequence, new)?;
        return Ok(Rotated { trail: path, sequence, sealed });
    }
    if has_signed(storage.as_ref(), new).map_err(seal_failed)? {
        let what = format!("{}: the key {new} has already signed this trail", path.display());
        return Err(Failure::usage(what).help("a rotated key cannot be used again: choose a new file"));
    }
    let identity = segments_of(&path)?[0].header.identity;
    let origin = origin_of(identity.trail, identity.shard);
    let mut act = Act::begin(&path, &Purpose { command: "stele key rotate", ..Purpose::default() })?;
    let event = rotation(&origin, old, new, clock(), args.people.by, args.people.approved_by.unwrap_or(0));
    act.enter(&event, |_| Ok(()))?;
    act.end(EndReason::FINISHED, "")?;
    let (sequence, sealed) = rotated(sealed().map_err(seal_failed)?)
        .ok_or_else(|| Failure::environment("the rotation was written but is not in a checkpoint"))?;
    Ok(Rotated { trail: path, sequence, sealed })
}

/// Checks that the rotation that is already on the trail names this new key.
fn check_successor(storage: &Arc<dyn Storage>, sequence: u64, new: &VerifierKey) -> Result<(), Failure> {
    let mut reader = TrailReader::over(storage.clone()).map_err(Failure::environment)?;
    reader.seek(Sequence(sequence)).map_err(Failure::environment)?;
    let entry = reader.read_next().map_err(Failure::environment)?;
    let rotation = entry.and_then(|entry| KeyRotation::read(&entry.frame));
    if rotation.is_some_and(|rotation| rotation.new == new.bytes()) {
        return Ok(());
    }
    Err(Failure::usage(format!("event {sequence} already rotated the key to another one"))
        .help("give --key the key that seals the trail now"))
}
