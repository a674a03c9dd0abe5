//! `stele seal`: signs the root over a trail's events.

use super::key::read_log_signer;
use crate::cli::SealArgs;
use crate::failure::Failure;
use crate::http::{Client, is_url};
use crate::live::grouped;
use crate::progress::Progress;
use crate::submission::NAP;
use crate::wall::WallClock;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_compliance::seal::tiles::SEALS_FOLDER;
use stele_compliance::seal::{SealError, SealPolicy, SealingReport, Signer, seal_trail};
use stele_compliance::timestamp::{QUERY_CONTENT_TYPE, TimestampQuery, timestamp_name, unstamped};
use stele_journal::{Directory, LockError, Storage, WriterLock};
use stele_wire::layout::Utc;

/// Seals a trail up to its durable end and says what is under a signature now.
///
/// # Errors
/// [`Failure`].
pub(crate) fn seal(args: &SealArgs) -> Result<(), Failure> {
    super::open_trail(&args.trail)?;
    let signer = read_log_signer(&args.key, args.passphrase_file.as_deref())?;
    if let Some(url) = args.timestamp.as_deref().filter(|url| !is_url(url)) {
        return Err(Failure::usage(format!("--timestamp {url} is no address of the web")));
    }
    let sealing = seal_waiting(&args.trail, &signer, Duration::ZERO)?;
    let stamped = args.timestamp.as_deref().map(|url| stamp(&args.trail, url)).transpose()?.flatten();
    if args.json {
        return super::print_json(&Report { sealing, stamped });
    }
    let stamped = stamped.map_or_else(String::new, |Stamped { checkpoint, time }| {
        format!("checkpoint {checkpoint} is time-stamped at {time}\n")
    });
    super::print_page(&format!(
        "{} events are sealed, {} of them were before; new checkpoints: {}; {} events behind the last one{}\n{stamped}",
        grouped(sealing.sealed),
        grouped(sealing.before),
        sealing.checkpoints,
        grouped(sealing.unsealed),
        sealing.rotated.map_or(String::new(), |event| format!("; the key handed over by event {event}")),
    ))
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    sealing: SealingReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamped: Option<Stamped>,
}

/// What an authority states of a checkpoint.
#[derive(Serialize)]
struct Stamped {
    checkpoint: u64,
    time: String,
}

/// Has the newest checkpoint stamped, unless it is, and keeps the authority's answer beside it.
fn stamp(trail: &Path, url: &str) -> Result<Option<Stamped>, Failure> {
    let storage = Directory::new(trail);
    let Some((number, bytes)) = unstamped(&storage).map_err(Failure::environment)? else { return Ok(None) };
    let query = TimestampQuery::new(&bytes, WallClock::read().0);
    let body = query.to_der().map_err(Failure::environment)?;
    let answered = Client::new().post(url, QUERY_CONTENT_TYPE, &body);
    let (status, answer) = answered.map_err(|what| {
        Failure::environment(what).help("the trail is sealed; `stele seal --timestamp` asks again")
    })?;
    if status != 200 {
        return Err(Failure::environment(format!("{url} answers with status {status}")));
    }
    let stamp = query.check(&answer).map_err(|why| Failure::not_so(format!("{url}: {why}")))?;
    let name = timestamp_name(number);
    storage
        .keep(&name, &mut &answer[..])
        .map_err(|error| Failure::environment(format!("{}: {error}", storage.describe(&name))))?;
    Ok(Some(Stamped { checkpoint: number, time: Utc(stamp.time * 1_000_000_000).to_string() }))
}

/// Seals a trail; waits up to `patience` for another sealer's end.
///
/// # Errors
/// [`Failure`].
pub(crate) fn seal_waiting(
    trail: &Path,
    signer: &Signer,
    patience: Duration,
) -> Result<SealingReport, Failure> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
    let _lock = lock(&trail.join(SEALS_FOLDER), patience)?;
    let bar = Progress::new("sealing", "events", None);
    let progress = |done, total| bar.set_of(done, total);
    let sealed = seal_trail(&storage, signer, SealPolicy::default(), WallClock::read, &progress);
    drop(bar);
    sealed.map_err(failed)
}

/// Why a trail is not sealed, as this program tells it.
pub(super) fn failed(error: SealError) -> Failure {
    match error {
        SealError::Io { .. } | SealError::Trail(_) => Failure::environment(error),
        SealError::Rotated { .. } => Failure::not_so(error).help("name the file of the key that took over"),
        _ => Failure::not_so(error),
    }
}

/// Keeps a second sealer out. It has nothing to do with the trail's writer: a live trail can be sealed.
pub(super) fn lock(seals: &Path, patience: Duration) -> Result<WriterLock, Failure> {
    let take = || {
        let folder = Directory::new(seals).create().map_err(LockError::Io);
        folder.and_then(|()| WriterLock::take(seals, WallClock::read()))
    };
    let since = Instant::now();
    let mut locked = take();
    while matches!(locked, Err(LockError::Held(_))) && since.elapsed() < patience {
        sleep(NAP);
        locked = take();
    }
    locked.map_err(|error| match error {
        LockError::Held(owner) => {
            Failure::environment(format!("{} is being written by another sealer ({owner})", seals.display()))
                .help("wait until it is done; a second one has nothing to add")
        }
        LockError::Io(error) => Failure::environment(format!("cannot lock {}: {error}", seals.display())),
    })
}
