//! `stele seal`: signs a checkpoint over a trail's events.

use crate::cli::SealArgs;
use crate::failure::Failure;
use crate::http::{Client, is_url};
use crate::keys::read_log_signer;
use crate::readable::grouped;
use crate::sealing::seal_waiting;
use crate::wall::WallClock;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use stele_compliance::seal::SealingReport;
use stele_compliance::timestamp::{QUERY_CONTENT_TYPE, TimestampQuery, timestamp_name, unstamped};
use stele_journal::{Directory, Storage};
use stele_wire::layout::Utc;

/// Seals a trail up to its durable end, and prints how many events are sealed.
pub(crate) fn seal(args: &SealArgs) -> Result<(), Failure> {
    super::open_trail(&args.trail)?;
    let signer = read_log_signer(&args.key.key, args.key.passphrase_file.as_deref())?;
    if let Some(url) = args.timestamp.as_deref().filter(|url| !is_url(url)) {
        return Err(Failure::usage(format!("--timestamp {url} is not an HTTP URL")));
    }
    let sealing = seal_waiting(&args.trail, &signer, Duration::ZERO)?;
    let stamped = args.timestamp.as_deref().map(|url| stamp(&args.trail, url)).transpose()?.flatten();
    if args.output.json {
        return super::print_json(&Report { sealing, stamped });
    }
    let stamped = stamped.map_or_else(String::new, |Stamped { checkpoint, time }| {
        format!("checkpoint {checkpoint} time-stamped at {time}\n")
    });
    super::print_page(&format!(
        "{} events are sealed, {} of them already were; new checkpoints: {}; events after the last one: {}{}\n{stamped}",
        grouped(sealing.sealed),
        grouped(sealing.before),
        sealing.checkpoints,
        grouped(sealing.unsealed),
        sealing.rotated.map_or(String::new(), |event| format!("; event {event} rotated the key")),
    ))
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    sealing: SealingReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamped: Option<Stamped>,
}

/// A checkpoint with the time that an authority signed.
#[derive(Serialize)]
struct Stamped {
    checkpoint: u64,
    time: String,
}

/// Time-stamps the newest checkpoint, unless it has a time stamp, and stores the authority's response next to
/// it.
fn stamp(trail: &Path, url: &str) -> Result<Option<Stamped>, Failure> {
    let storage = Directory::new(trail);
    let Some((number, bytes)) = unstamped(&storage).map_err(Failure::environment)? else { return Ok(None) };
    let query = TimestampQuery::new(&bytes, WallClock::read().0);
    let body = query.to_der().map_err(Failure::environment)?;
    let answered = Client::new().post(url, QUERY_CONTENT_TYPE, &body);
    let (status, answer) = answered.map_err(|what| {
        Failure::environment(what).help("the trail is sealed; run `stele seal --timestamp` again to retry")
    })?;
    if status != 200 {
        return Err(Failure::environment(format!("{url} responded with status {status}")));
    }
    let stamp = query.check(&answer).map_err(|why| Failure::not_so(format!("{url}: {why}")))?;
    let name = timestamp_name(number);
    storage
        .keep(&name, &mut &answer[..])
        .map_err(|error| Failure::environment(format!("{}: {error}", storage.describe(&name))))?;
    Ok(Some(Stamped { checkpoint: number, time: Utc(stamp.time * 1_000_000_000).to_string() }))
}
