//! `stele verify`: verifies the frames of a trail, the consistency of its events and, with a key, its seals.

use crate::access::{Access, AccessRecord, record};
use crate::cli::VerifyArgs;
use crate::failure::Failure;
use crate::keys::read_key;
use crate::progress::Progress;
use crate::read_method::read_method;
use crate::trails::{OfShard, OfShards, ShardTrail, first_failure, shard_trails};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use stele_compliance::VerifiedTrail;
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::{
    SealCheckError, SealReport, SignedCheckpoint, VerifierKey, check, sealing::SealError,
};
use stele_compliance::timestamp::{self, TimestampReport};
use stele_compliance::verify::{VerifyError, VerifyOptions, verify as verify_trail};
use stele_compliance::witness::{self, WitnessCheckError, WitnessReport};
use stele_journal::scan::ScanOptions;
use stele_journal::{Directory, Storage};
use stele_wire::messages::AccessKind;

/// Verifies the trail, or the trail of each shard, and prints the result.
///
/// # Errors
/// [`Failure`]: not so, with the first error and what is intact before it.
pub(crate) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let key = args.key.as_deref().map(read_key).transpose()?;
    let witnesses = witnesses(args)?;
    let against = args.against.as_deref().map(read_checkpoint).transpose()?;
    let checks = Checks { args, key: key.as_ref(), witnesses: &witnesses };
    let shards = shard_trails(&args.read.trail);
    if shards.is_empty() {
        let (verified, broken) = verify_one(&checks, &args.read.trail, against.as_ref())?;
        if args.output.json {
            super::print_json(&verified)?;
        } else {
            super::print_page(&verified.page())?;
        }
        return broken.map_or(Ok(()), Err);
    }
    if against.is_some() {
        return Err(Failure::usage("--against needs the trail of a single shard")
            .help("choose the trail of one shard"));
    }
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for ShardTrail { shard, path } in shards {
        match verify_one(&checks, &path, None) {
            Ok((verified, broken)) => {
                if !args.output.json {
                    super::print_page(&format!("shard {shard}: {}", verified.page()))?;
                }
                all.push(OfShard { shard, said: verified });
                failures.extend(broken.map(|broken| (shard, broken)));
            }
            Err(failure) => failures.push((shard, failure)),
        }
    }
    if args.output.json {
        super::print_json(&OfShards { shards: all })?;
    }
    first_failure(failures)
}

/// What to check in addition to the trail itself.
struct Checks<'a> {
    args: &'a VerifyArgs,
    key: Option<&'a VerifierKey>,
    witnesses: &'a [VerifierKey],
}

#[derive(Serialize)]
struct VerifyReport {
    #[serde(flatten)]
    verified: VerifiedTrail,
    #[serde(skip_serializing_if = "Option::is_none")]
    witnesses: Option<WitnessReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamps: Option<TimestampReport>,
    access: AccessRecord,
}

impl VerifyReport {
    fn page(&self) -> String {
        let Self { verified, witnesses, timestamps, access } = self;
        let witnesses = witnesses.as_ref().map_or_else(String::new, |report| format!("{report}\n"));
        let stamps = timestamps.as_ref().map_or_else(String::new, |report| format!("{report}\n"));
        format!("{verified}\n{witnesses}{stamps}{access}\n")
    }
}

/// Verifies one trail. Returns the report, and the failure if its seals are wrong.
fn verify_one(
    Checks { args, key, witnesses }: &Checks<'_>,
    trail: &Path,
    against: Option<&(String, SignedCheckpoint)>,
) -> Result<(VerifyReport, Option<Failure>), Failure> {
    let reader = super::open_trail(trail)?;
    let access =
        record(&args.read.access, &Access { trail, kind: AccessKind::VERIFY, from: 0, to: 0 }, &reader)?;
    drop(reader);
    let progress = Progress::new("verifying", "bytes", None);
    let show = |done, total| progress.set_of(done, total);
    let options = VerifyOptions { progress: Some(&show), method: read_method(), ..VerifyOptions::default() };
    let verified = verify_trail(trail, &options);
    drop(progress);
    let verified = verified.inspect_err(|_| access.print()).map_err(|error| match error {
        VerifyError::Broken(broken) => Failure::not_so(broken),
        VerifyError::Unreadable(error) => Failure::environment(error),
    })?;
    let seals = key.map(|key| check_seals(trail, key, against)).transpose();
    let (verified, mut broken) = match seals {
        Ok(None) => (verified, None),
        Ok(Some(seals)) => (verified.with_seals(seals), None),
        Err(failure) => (verified, Some(failure)),
    };
    let mut cosigned = None;
    if broken.is_none() && !witnesses.is_empty() {
        match check_witnesses(trail, witnesses, args.quorum.unwrap_or(witnesses.len())) {
            Ok(report) => cosigned = Some(report),
            Err(failure) => broken = Some(failure),
        }
    }
    let mut stamps = None;
    if broken.is_none() && key.is_some() {
        match timestamp::check(&Directory::new(trail)) {
            Ok(report) => stamps = report,
            Err((file, why)) => broken = Some(Failure::not_so(format!("{file}: {why}"))),
        }
    }
    Ok((VerifyReport { verified, witnesses: cosigned, timestamps: stamps, access }, broken))
}

/// Parses the keys of `--witness`.
fn witnesses(args: &VerifyArgs) -> Result<Vec<VerifierKey>, Failure> {
    let read = |text: &String| {
        let key =
            text.parse::<VerifierKey>().map_err(|error| Failure::usage(format!("--witness: {error}")))?;
        match key.kind() {
            KeyKind::Witness => Ok(key),
            KeyKind::Log => Err(Failure::usage("--witness: this is the key of a log")
                .help("`stele witness` prints the key of a witness when it starts")),
        }
    };
    let keys = args.witnesses.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if (1..keys.len()).any(|at| keys[..at].contains(&keys[at])) {
        return Err(Failure::usage("--witness: the same witness is given twice"));
    }
    match args.quorum {
        Some(quorum) if quorum == 0 || quorum > keys.len() => {
            Err(Failure::usage(format!("--quorum {quorum} is out of range for {} witnesses", keys.len()))
                .help("give a number from 1 to the number of --witness keys"))
        }
        _ => Ok(keys),
    }
}

fn check_witnesses(trail: &Path, keys: &[VerifierKey], quorum: usize) -> Result<WitnessReport, Failure> {
    witness::check(&Directory::new(trail), keys, quorum).map_err(|error| match error {
        WitnessCheckError::Seal(SealError::Io { .. }) => Failure::environment(error),
        _ => Failure::not_so(error),
    })
}

/// Reads a checkpoint that was kept elsewhere. Returns the name of its file, too.
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
    let options = ScanOptions { progress: Some(&show), method: read_method(), ..ScanOptions::default() };
    check(&storage, key, against, &options).map_err(|error| match error {
        SealCheckError::Begins { .. } | SealCheckError::Seal(SealError::Io { .. } | SealError::Trail(_)) => {
            Failure::environment(error)
        }
        SealCheckError::NotSealed(_) => Failure::not_so(error).help("`stele seal` seals a trail"),
        _ => Failure::not_so(error),
    })
}
