//! `stele verify`: every frame of a trail, what the events say of each other, and with a key the seals.

use super::prove::read_key;
use crate::cli::VerifyArgs;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::trails::{OfShard, OfShards, ShardTrail, first_failure, shard_trails};
use std::path::Path;
use std::sync::Arc;
use stele_compliance::Verified;
use stele_compliance::seal::{
    SealBroken, SealReport, SignedCheckpoint, VerifierKey, check, sealing::SealError,
};
use stele_compliance::verify::{VerifyError, VerifyOptions, verify as verify_trail};
use stele_journal::scan::ScanOptions;
use stele_journal::{Directory, Storage};

/// Checks the trail, or the trail of each shard, and prints what holds.
///
/// # Errors
/// [`Failure`]: not so, with the first thing wrong and what is intact in front of it.
pub(crate) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let key = args.key.as_deref().map(read_key).transpose()?;
    let against = args.against.as_deref().map(read_checkpoint).transpose()?;
    let shards = shard_trails(&args.trail);
    if shards.is_empty() {
        let (verified, broken) = verify_one(&args.trail, key.as_ref(), against.as_ref())?;
        if args.json {
            super::print_json(&verified)?;
        } else {
            super::print_page(&format!("{verified}\n"))?;
        }
        return broken.map_or(Ok(()), Err);
    }
    if against.is_some() {
        return Err(Failure::usage("--against is of one trail").help("name the trail of one shard"));
    }
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for ShardTrail { shard, path } in shards {
        match verify_one(&path, key.as_ref(), None) {
            Ok((verified, broken)) => {
                if !args.json {
                    super::print_page(&format!("shard {shard}: {verified}\n"))?;
                }
                all.push(OfShard { shard, said: verified });
                failures.extend(broken.map(|broken| (shard, broken)));
            }
            Err(failure) => failures.push((shard, failure)),
        }
    }
    if args.json {
        super::print_json(&OfShards { shards: all })?;
    }
    first_failure(failures)
}

/// What holds of one trail, and what is wrong with its seals.
fn verify_one(
    trail: &Path,
    key: Option<&VerifierKey>,
    against: Option<&(String, SignedCheckpoint)>,
) -> Result<(Verified, Option<Failure>), Failure> {
    super::open_trail(trail)?;
    let progress = Progress::new("verifying", "bytes", None);
    let show = |done, total| progress.set_of(done, total);
    let verified = verify_trail(trail, &VerifyOptions { threads: 0, progress: Some(&show) });
    drop(progress);
    let verified = verified.map_err(|error| match error {
        VerifyError::Broken(broken) => Failure::not_so(broken),
        VerifyError::Unreadable(error) => Failure::environment(error),
    })?;
    Ok(match key.map(|key| check_seals(trail, key, against)) {
        None => (verified, None),
        Some(Ok(seals)) => (verified.with_seals(seals), None),
        Some(Err(broken)) => (verified, Some(broken)),
    })
}

/// A checkpoint kept elsewhere, with its file's name.
fn read_checkpoint(file: &Path) -> Result<(String, SignedCheckpoint), Failure> {
    let name = file.display().to_string();
    let read = std::fs::read(file);
    let bytes = read.map_err(|error| Failure::environment(format!("{name}: {error}")))?;
    let checkpoint = SignedCheckpoint::parse(&String::from_utf8_lossy(&bytes))
        .map_err(|error| Failure::not_so(format!("{name}: {error}")))?;
    Ok((name, checkpoint))
}

fn check_seals(
    trail: &Path,
    key: &VerifierKey,
    against: Option<&(String, SignedCheckpoint)>,
) -> Result<SealReport, Failure> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
    let against = against.map(|(name, checkpoint)| (name.as_str(), checkpoint));
    let progress = Progress::new("checking the seals", "bytes", None);
    let show = |done, total| progress.set_of(done, total);
    let options = ScanOptions { progress: Some(&show), ..ScanOptions::default() };
    check(&storage, key, against, &options).map_err(|error| match error {
        SealBroken::Begins { .. } | SealBroken::Seal(SealError::Io { .. } | SealError::Trail(_)) => {
            Failure::environment(error)
        }
        SealBroken::NotSealed(_) => Failure::not_so(error).help("`stele seal` seals a trail"),
        _ => Failure::not_so(error),
    })
}
