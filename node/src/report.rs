//! What a person reads after a run: what happened, how fast, who earned what, and what to try next.

use crate::failure::Failure;
use crate::flush::FlushReport;
use crate::keeper::KeepOutcome;
use crate::readable::{duration, grouped};
use crate::sealer::SealOutcome;
use crate::session::{Ended, EndedShard, Told};
use crate::witnesses::CosignOutcome;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;
use stele_feed::FeedReport;
use stele_replay::summary::{LatencyPercentiles, OrderSummary, StrategySummary, Summary, summarise};
use stele_wire::messages::EndReason;

/// A run's result: what the run itself saw, and what its trails say.
#[derive(Serialize)]
pub struct RunReport {
    end_reason: &'static str,
    seconds: f64,
    events_per_second: f64,
    flush: FlushReport,
    feed: FeedOutcome,
    #[serde(flatten)]
    shards: ShardReports,
}

/// One shard stands for the run; several stand beside their total.
#[derive(Serialize)]
#[serde(untagged)]
enum ShardReports {
    One(Box<ShardReport>),
    Several { events: u64, shards: Vec<ShardReport> },
}

/// What a run has left of one shard.
#[derive(Serialize)]
pub(crate) struct ShardReport {
    #[serde(skip_serializing_if = "is_only")]
    shard: u32,
    trail: String,
    log_bytes: u64,
    /// What it was told of other shards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    told: Vec<ToldReport>,
    /// The snapshot that the next start goes on from, where one was taken at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_failure: Option<String>,
    /// What came of sealing it, where it is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<SealOutcome>,
    /// What each witness cosigned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    witnesses: Vec<CosignOutcome>,
    /// What became of its closed segments, where something is done with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<KeepOutcome>,
    tick_to_strategy: LatencyPercentiles,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Serialize)]
struct ToldReport {
    from_shard: u32,
    events: u64,
    /// Events that were too long to go in another.
    too_long: u64,
}

/// A run's one shard has no number.
fn is_only(shard: &u32) -> bool {
    *shard == 0
}

/// What became of a feed's records.
#[derive(Serialize)]
struct FeedOutcome {
    records: Vec<(String, u64)>,
    not_carried: Vec<NotCarried>,
    notices: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

#[derive(Serialize)]
struct NotCarried {
    kind: String,
    reason: &'static str,
    count: u64,
}

impl RunReport {
    /// Reads the epochs that ended from their trails and puts what the run saw beside them.
    pub(crate) fn new(ended: &Ended, flush: FlushReport) -> Result<Self, Failure> {
        let seconds = ended.elapsed.as_secs_f64();
        let mut shards = ended.shards.iter().map(ShardReport::new).collect::<Result<Vec<_>, _>>()?;
        let events = shards.iter().map(|shard| shard.summary.events).sum::<u64>();
        let shards = match shards.len() {
            1 => ShardReports::One(Box::new(shards.remove(0))),
            _ => ShardReports::Several { events, shards },
        };
        Ok(Self {
            end_reason: ended.reason.name().unwrap_or("Unknown"),
            seconds,
            events_per_second: events as f64 / seconds,
            flush,
            feed: FeedOutcome::new(&ended.feed, ended.feed_failure.clone()),
            shards,
        })
    }

    /// Why the feed ended before its end, where it did.
    pub(crate) fn feed_failure(&self) -> Option<&str> {
        self.feed.failure.as_deref()
    }

    /// Events of all kinds a second, on all shards.
    pub fn events_per_second(&self) -> f64 {
        self.events_per_second
    }

    fn shards(&self) -> &[ShardReport] {
        match &self.shards {
            ShardReports::One(shard) => std::slice::from_ref(&**shard),
            ShardReports::Several { shards, .. } => shards,
        }
    }

    /// Of the first shard, and the only one where the latencies of a run are asked for.
    pub fn latencies(&self) -> [(&'static str, LatencyPercentiles); 3] {
        self.shards()[0].latencies()
    }

    /// The page.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        let ended = match self.end_reason {
            reason if Some(reason) == EndReason::FINISHED.name() => "the feed came to its end",
            _ => "it was asked to stop",
        };
        let (shards, events) = (self.shards(), self.shards().iter().map(|shard| shard.summary.events).sum());
        let _ = writeln!(
            page,
            "{} events{} in {:.1} s ({} a second); {ended}; everything is durable",
            grouped(events),
            if shards.len() == 1 { String::new() } else { format!(" in {} shards", shards.len()) },
            self.seconds,
            grouped(self.events_per_second as u64)
        );
        self.feed.print(&mut page);
        for shard in shards {
            if shards.len() > 1 {
                let _ = writeln!(page, "\nshard {}: {} events", shard.shard, grouped(shard.summary.events));
            }
            shard.print(&mut page);
        }
        page
    }

    /// What to try next, as it can be pasted.
    pub(crate) fn next_commands(&self, directory: &Path) -> String {
        match &self.shards {
            ShardReports::One(shard) => next_commands(Path::new(&shard.trail), Path::new(&shard.trail)),
            ShardReports::Several { shards, .. } => next_commands(directory, Path::new(&shards[0].trail)),
        }
    }
}

impl ShardReport {
    fn new(ended: &EndedShard) -> Result<Self, Failure> {
        let summary = summarise(&ended.directory, Some(ended.epoch)).map_err(Failure::not_so)?;
        Ok(Self {
            shard: ended.id.0,
            trail: ended.directory.display().to_string(),
            log_bytes: ended.log_bytes,
            told: ended.told.iter().map(ToldReport::from).collect(),
            snapshot_sequence: ended.snapshots.taken.last().map(|taken| taken.standing.last_sequence.0),
            snapshot_failure: ended.snapshots.failure.clone(),
            seal: ended.seal.clone(),
            witnesses: ended.cosigned.clone(),
            kept: ended.kept.clone(),
            tick_to_strategy: LatencyPercentiles::of(&ended.strategies.tick_to_strategy),
            summary,
        })
    }

    fn latencies(&self) -> [(&'static str, LatencyPercentiles); 3] {
        [
            ("tick_to_strategy", self.tick_to_strategy),
            ("tick_to_sequenced_order", self.summary.tick_to_sequenced_order),
            ("tick_to_released_order", self.summary.tick_to_released_order),
        ]
    }

    fn print(&self, page: &mut String) {
        for ToldReport { from_shard, events, too_long } in &self.told {
            let _ = writeln!(page, "told     {} events of shard {from_shard}", grouped(*events));
            if *too_long > 0 {
                let _ = writeln!(
                    page,
                    "         {} more were too long to go in another event",
                    grouped(*too_long)
                );
            }
        }
        print_types(page, &self.summary);
        let _ = writeln!(
            page,
            "\nlatency                        p50       p90       p99     p99.9       max   samples"
        );
        for (name, percentiles) in self.latencies() {
            print_latency(page, name, &percentiles);
        }
        self.summary.strategies.iter().for_each(|strategy| print_strategy(page, strategy));
        let _ = writeln!(
            page,
            "\njournal  {} bytes on disk for {} bytes of events",
            grouped(self.log_bytes),
            grouped(self.summary.bytes)
        );
        if let Some(sequence) = self.snapshot_sequence {
            let _ =
                writeln!(page, "snapshot of sequence {}: the next start goes on from it", grouped(sequence));
        }
        if let Some(failure) = &self.snapshot_failure {
            let _ = writeln!(page, "snapshots ended early: {failure}");
        }
        if let Some(SealOutcome { sealed, checkpoints, failure }) = &self.seal {
            let _ = writeln!(
                page,
                "sealed   {} events of the trail; new checkpoints: {checkpoints}",
                grouped(*sealed)
            );
            if let Some(failure) = failure {
                let _ = writeln!(page, "         NOT to its end: {failure}");
            }
        }
        for CosignOutcome { witness, cosigned, failure } in &self.witnesses {
            let _ = writeln!(page, "witness  {witness} cosigned {} events", grouped(*cosigned));
            if let Some(failure) = failure {
                let _ = writeln!(page, "         NOT the newest checkpoint: {failure}");
            }
        }
        if let Some(KeepOutcome { segments, failure }) = &self.kept {
            let _ = writeln!(page, "at rest  {} closed segments of the trail", grouped(*segments));
            if let Some(failure) = failure {
                let _ = writeln!(page, "         NOT all: {failure}");
            }
        }
        let _ = writeln!(page, "trail    {}", self.trail);
    }
}

/// Of `whole`, a trail or the folder of several, and of `one` trail.
fn next_commands(whole: &Path, one: &Path) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "stele".into());
    // Below the current directory the shorter path is the one to paste.
    let here = std::env::current_dir().ok();
    let program =
        here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_path_buf)).unwrap_or(program);
    let program = program.display().to_string();
    let [program, whole, one] =
        [&program, &whole.display().to_string(), &one.display().to_string()].map(|s| quoted(s));
    let commands = [
        ("verify", &whole, "", "check every frame"),
        ("check-strategy", &whole, "", "run the strategies again: the same orders?"),
        ("dump", &one, " --type NewOrder --to 100000", "see the first orders"),
        ("replay", &one, " --speed 10", "watch the market again"),
        ("summary", &whole, "", "these numbers, from the trail alone"),
    ];
    let mut out = String::from("try next\n");
    for (command, trail, flags, meaning) in commands {
        let _ = writeln!(out, "  {program} {command} {trail}{flags}    # {meaning}");
    }
    out
}

/// Quoted for a shell where that is needed.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The page of `stele summary`: what the trail alone says.
pub(crate) fn summary_page(trail: &Path, summary: &Summary) -> String {
    let mut page = String::new();
    let sessions = if summary.sessions == 1 { "session" } else { "sessions" };
    let _ = writeln!(
        page,
        "{}: {} events (sequence {} to {}) in {} {sessions}{}",
        trail.display(),
        grouped(summary.events),
        summary.first_sequence,
        summary.last_sequence,
        summary.sessions,
        if summary.has_ended { "" } else { "; the last one was cut short or is running" }
    );
    print_types(&mut page, summary);
    let _ = writeln!(
        page,
        "\nlatency                        p50       p90       p99     p99.9       max   samples"
    );
    print_latency(&mut page, "tick_to_sequenced_order", &summary.tick_to_sequenced_order);
    print_latency(&mut page, "tick_to_released_order", &summary.tick_to_released_order);
    summary.strategies.iter().for_each(|strategy| print_strategy(&mut page, strategy));
    page
}

impl From<&Told> for ToldReport {
    fn from(told: &Told) -> Self {
        Self { from_shard: told.shard.0, events: told.events, too_long: told.too_long }
    }
}

impl FeedOutcome {
    fn new(report: &FeedReport, failure: Option<String>) -> Self {
        let not_carried = report.not_carried.iter().map(|kind| NotCarried {
            kind: kind.kind.clone(),
            reason: kind.reason,
            count: kind.count,
        });
        Self {
            records: report.records.clone(),
            not_carried: not_carried.collect(),
            notices: report.notices.clone(),
            failure,
        }
    }

    fn print(&self, page: &mut String) {
        let total: u64 = self.records.iter().map(|(_, count)| count).sum();
        let kinds: Vec<String> =
            self.records.iter().map(|(kind, count)| format!("{} {kind}", grouped(*count))).collect();
        let _ = writeln!(page, "feed     {} records: {}", grouped(total), kinds.join(", "));
        for NotCarried { kind, reason, count } in &self.not_carried {
            let _ = writeln!(page, "         {} {kind} became no event: {reason}", grouped(*count));
        }
        for notice in &self.notices {
            let _ = writeln!(page, "         {notice}");
        }
    }
}

fn print_types(page: &mut String, summary: &Summary) {
    let _ = writeln!(page, "\nevents");
    for kind in &summary.types {
        let _ = writeln!(
            page,
            "  {:<22} {:>12} {:>16} bytes",
            kind.name,
            grouped(kind.count),
            grouped(kind.bytes)
        );
    }
}

fn print_latency(page: &mut String, name: &str, percentiles: &LatencyPercentiles) {
    let LatencyPercentiles { count, p50, p90, p99, p999, max, .. } = *percentiles;
    if count == 0 {
        let _ = writeln!(page, "  {name:<24} none measured");
        return;
    }
    let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(duration);
    let _ =
        writeln!(page, "  {name:<24} {p50:>9} {p90:>9} {p99:>9} {p999:>9} {max:>9} {:>9}", grouped(count));
}

fn print_strategy(page: &mut String, strategy: &StrategySummary) {
    let StrategySummary { strategy: id, name, orders, .. } = strategy;
    let OrderSummary { sent, cancels, accepted, rejected, filled, fills, volume, .. } = orders;
    let _ = writeln!(page, "\nstrategy {id} {name}");
    let _ = writeln!(
        page,
        "  orders   {} sent, {} accepted, {} rejected, {} filled in {} executions of {}, {} cancels",
        grouped(*sent),
        grouped(*accepted),
        grouped(*rejected),
        grouped(*filled),
        grouped(*fills),
        grouped(*volume),
        grouped(*cancels)
    );
    for (check, count) in &orders.rejected_by_check {
        let _ = writeln!(page, "           {} refused by {check}", grouped(*count));
    }
    for position in strategy.positions.iter().filter(|position| position.quantity != 0) {
        let price = position.average_price.as_deref().unwrap_or("-");
        let mark = position.mark.as_deref().unwrap_or("-");
        let _ = writeln!(
            page,
            "  position {:>8} {:<10} at {price}, marked at {mark}",
            position.quantity, position.symbol
        );
    }
    let StrategySummary { realised, unrealised, fees, net, .. } = strategy;
    let _ = writeln!(page, "  profit   {net} net: {realised} realised, {unrealised} unrealised, {fees} fees");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_blank_can_still_be_pasted() {
        assert_eq!(quoted("/tmp/stele-1/trail"), "/tmp/stele-1/trail");
        assert_eq!(quoted("my trail's"), r"'my trail'\''s'");
    }
}
