//! `stele summary`: prints the report of a run, computed from its trail.

use crate::access::{Access, WithAccess, record};
use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::readable::grouped;
use crate::report::summary_page;
use crate::trails::{OfShard, OfShards, ShardTrail, shard_trails};
use serde::Serialize;
use std::path::Path;
use stele_replay::summary::{Summary, summarise};
use stele_wire::messages::AccessKind;

/// Prints the summary of the trail, or of the trail of each shard with a total.
pub(crate) fn summary(args: &ReportArgs) -> Result<(), Failure> {
    let shards = shard_trails(&args.read.trail);
    if shards.is_empty() {
        let summary = summarise_one(args, &args.read.trail)?;
        if args.output.json {
            return super::print_json(&summary);
        }
        return super::print_page(&page(&args.read.trail, &summary));
    }
    let of_shard = |ShardTrail { shard, path }: ShardTrail| {
        let said = summarise_one(args, &path).map_err(|failure| failure.of(&format!("shard {shard}")))?;
        Ok((path, OfShard { shard, said }))
    };
    let all = shards.into_iter().map(of_shard).collect::<Result<Vec<_>, Failure>>()?;
    let events = all.iter().map(|(_, shard)| shard.said.said.events).sum();
    if args.output.json {
        let shards = all.into_iter().map(|(_, shard)| shard).collect();
        return super::print_json(&Total { events, shards: OfShards { shards } });
    }
    let pages =
        all.iter().map(|(path, OfShard { shard, said })| format!("shard {shard}: {}\n", page(path, said)));
    let pages: String = pages.collect();
    super::print_page(&format!("{pages}{} events in {} shards\n", grouped(events), all.len()))
}

#[derive(Serialize)]
struct Total {
    events: u64,
    #[serde(flatten)]
    shards: OfShards<WithAccess<Summary>>,
}

fn summarise_one(args: &ReportArgs, trail: &Path) -> Result<WithAccess<Summary>, Failure> {
    let reader = super::open_trail(trail)?;
    let access =
        record(&args.read.access, &Access { trail, kind: AccessKind::SEARCH, from: 0, to: 0 }, &reader)?;
    drop(reader);
    let summary = summarise(trail, None).inspect_err(|_| access.print());
    let said = summary.map_err(|error| Failure::not_so(error).help("`stele verify` shows what is intact"))?;
    Ok(WithAccess { said, access })
}

fn page(trail: &Path, WithAccess { said, access }: &WithAccess<Summary>) -> String {
    format!("{}{access}\n", summary_page(trail, said))
}
