//! The report after a run: what happened, how fast, what each strategy earned, and what to try next.

use crate::failure::Failure;
use crate::flush::FlushReport;
use crate::keeper::KeepOutcome;
use crate::readable::{duration, grouped, one_line};
use crate::sealer::SealOutcome;
use crate::session::{EndedSession, EndedShard, ForwardedTotals};
use crate::witnesses::CosignOutcome;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;
use stele_feed::FeedReport;
use stele_replay::summary::{
    LatencyPercentiles, OperatorAct, OrderSummary, StrategySummary, Summary, summarise,
};
use stele_wire::layout::Utc;
use stele_wire::messages::EndReason;

/// The result of a run: what the run measured itself, and a summary of its trails.
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

/// The only shard, whose fields are the run's, or several shards with their total.
#[derive(Serialize)]
#[serde(untagged)]
enum ShardReports {
    One(Box<ShardReport>),
    Several { events: u64, shards: Vec<ShardReport> },
}

/// The result of one shard.
#[derive(Serialize)]
pub(crate) struct ShardReport {
    #[serde(skip_serializing_if = "is_only")]
    shard: u32,
    trail: String,
    log_bytes: u64,
    /// The events that other shards forwarded to it.
    #[serde(rename = "told", skip_serializing_if = "Vec::is_empty")]
    forwarded: Vec<ForwardedReport>,
    /// The last event in the snapshot that the next start resumes from, where one was taken at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_failure: Option<String>,
    /// How far it is sealed, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<SealOutcome>,
    /// What each witness cosigned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    witnesses: Vec<CosignOutcome>,
    /// How many of its closed segments are protected, where `[at_rest]` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<KeepOutcome>,
    tick_to_strategy: LatencyPercentiles,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Serialize)]
struct ForwardedReport {
    from_shard: u32,
    events: u64,
    /// Events that were too long to be forwarded inside another event.
    too_long: u64,
}

/// Whether it is the number of a run's only shard, which is not printed.
fn is_only(shard: &u32) -> bool {
    *shard == 0
}

/// How many of a feed's records were read, and which were not carried over.
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
    /// Summarises the epochs that ended from their trails, and adds what the session measured.
    ///
    /// # Errors
    /// [`Failure`]: a trail cannot be read.
    pub(crate) fn new(ended: &EndedSession, flush: FlushReport) -> Result<Self, Failure> {
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

    /// Why the feed failed before its end, where it did.
    pub(crate) fn feed_failure(&self) -> Option<&str> {
        self.feed.failure.as_deref()
    }

    /// Events of all kinds per second, on all shards.
    pub fn events_per_second(&self) -> f64 {
        self.events_per_second
    }

    fn shards(&self) -> &[ShardReport] {
        match &self.shards {
            ShardReports::One(shard) => std::slice::from_ref(&**shard),
            ShardReports::Several { shards, .. } => shards,
        }
    }

    /// The latencies of the first shard, by name; a run that measures latencies has only one.
    pub fn latencies(&self) -> [(&'static str, LatencyPercentiles); 3] {
        self.shards()[0].latencies()
    }

    /// Returns the report as text.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        let ended = match self.end_reason {
            reason if Some(reason) == EndReason::FINISHED.name() => "the feed ended",
            _ => "stopped on request",
        };
        let (shards, events) = (self.shards(), self.shards().iter().map(|shard| shard.summary.events).sum());
        let _ = writeln!(
            page,
            "{} events{} in {:.1} s ({} per second); {ended}; all events are durable",
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

    /// Returns commands to try next, which can be pasted into a shell.
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
            forwarded: ended.forwarded.iter().map(ForwardedReport::from).collect(),
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
        for ForwardedReport { from_shard, events, too_long } in &self.forwarded {
            let _ = writeln!(page, "received {} events from shard {from_shard}", grouped(*events));
            if *too_long > 0 {
                let _ = writeln!(page, "         {} more were too long to be forwarded", grouped(*too_long));
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
        print_acts(page, &self.summary.acts);
        let _ = writeln!(
            page,
            "\njournal  {} bytes on disk for {} bytes of events",
            grouped(self.log_bytes),
            grouped(self.summary.bytes)
        );
        if let Some(sequence) = self.snapshot_sequence {
            let _ =
                writeln!(page, "snapshot at sequence {}; the next start resumes from it", grouped(sequence));
        }
        if let Some(failure) = &self.snapshot_failure {
            let _ = writeln!(page, "no more snapshots were taken: {failure}");
        }
        if let Some(SealOutcome { sealed, checkpoints, failure }) = &self.seal {
            let _ = writeln!(
                page,
                "sealed   {} events of the trail; {checkpoints} new checkpoints",
                grouped(*sealed)
            );
            if let Some(failure) = failure {
                let _ = writeln!(page, "         NOT sealed to its end: {failure}");
            }
        }
        for CosignOutcome { witness, cosigned, failure } in &self.witnesses {
            let _ = writeln!(page, "witness  {witness} cosigned {} events", grouped(*cosigned));
            if let Some(failure) = failure {
                let _ = writeln!(page, "         the newest checkpoint is NOT cosigned: {failure}");
            }
        }
        if let Some(KeepOutcome { segments, failure }) = &self.kept {
            let _ =
                writeln!(page, "at rest  {} closed segments of the trail are protected", grouped(*segments));
            if let Some(failure) = failure {
                let _ = writeln!(page, "         NOT all of them: {failure}");
            }
        }
        let _ = writeln!(page, "trail    {}", self.trail);
    }
}

/// Returns the commands for `whole`, a trail or the directory of several, and for `one` trail.
fn next_commands(whole: &Path, one: &Path) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "stele".into());
    // A program below the current directory is named by its relative path, which is shorter.
    let here = std::env::current_dir().ok();
    let program =
        here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_path_buf)).unwrap_or(program);
    let program = program.display().to_string();
    let [program, whole, one] =
        [&program, &whole.display().to_string(), &one.display().to_string()].map(|s| quoted(s));
    let commands = [
        ("verify", &whole, "", "check every frame"),
        ("check-strategy", &whole, "", "run the strategies again and compare their orders"),
        ("dump", &one, " --type NewOrder --to 100000", "print the first orders"),
        ("replay", &one, " --speed 10", "print the events at 10 times their speed"),
        ("summary", &whole, "", "print these numbers from the trail alone"),
    ];
    let mut out = String::from("try next\n");
    for (command, trail, flags, meaning) in commands {
        let _ = writeln!(out, "  {program} {command} {trail}{flags}    # {meaning}");
    }
    out
}

/// Quotes a word for a shell, where that is needed.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Returns the page of `stele summary`, which needs only the trail.
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
        if summary.has_ended { "" } else { "; the last one is still running or did not end cleanly" }
    );
    print_types(&mut page, summary);
    let _ = writeln!(
        page,
        "\nlatency                        p50       p90       p99     p99.9       max   samples"
    );
    print_latency(&mut page, "tick_to_sequenced_order", &summary.tick_to_sequenced_order);
    print_latency(&mut page, "tick_to_released_order", &summary.tick_to_released_order);
    summary.strategies.iter().for_each(|strategy| print_strategy(&mut page, strategy));
    print_acts(&mut page, &summary.acts);
    page
}

impl From<&ForwardedTotals> for ForwardedReport {
    fn from(forwarded: &ForwardedTotals) -> Self {
        Self { from_shard: forwarded.shard.0, events: forwarded.events, too_long: forwarded.too_long }
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
            let _ = writeln!(page, "         {} {kind} not carried over: {reason}", grouped(*count));
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
        let _ = writeln!(page, "  {name:<24} no samples");
        return;
    }
    let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(duration);
    let _ =
        writeln!(page, "  {name:<24} {p50:>9} {p90:>9} {p99:>9} {p999:>9} {max:>9} {:>9}", grouped(count));
}

fn print_strategy(page: &mut String, strategy: &StrategySummary) {
    let StrategySummary { strategy: id, name, orders, .. } = strategy;
    let OrderSummary { sent, cancels, accepted, rejected, filled, fills, volume, .. } = orders;
    let paused = if strategy.is_paused { ", paused by an operator" } else { "" };
    let _ = writeln!(page, "\nstrategy {id} {name}{paused}");
    let _ = writeln!(
        page,
        "  orders   {} sent, {} accepted, {} rejected, {} filled, {} executions, volume {}, {} cancels",
        grouped(*sent),
        grouped(*accepted),
        grouped(*rejected),
        grouped(*filled),
        grouped(*fills),
        grouped(*volume),
        grouped(*cancels)
    );
    for (check, count) in &orders.rejected_by_check {
        let _ = writeln!(page, "           {} rejected by {check}", grouped(*count));
    }
    for position in strategy.positions.iter().filter(|position| position.quantity != 0) {
        let price = position.average_price.as_deref().unwrap_or("-");
        let mark = position.mark.as_deref().unwrap_or("-");
        let _ = writeln!(
            page,
            "  position {:>8} {:<10} average price {price}, mark {mark}",
            position.quantity, position.symbol
        );
    }
    let StrategySummary { realised, unrealised, fees, net, .. } = strategy;
    let _ = writeln!(page, "  profit   {net} net: {realised} realised, {unrealised} unrealised, {fees} fees");
}

/// Prints what operators did, who they were, and why.
fn print_acts(page: &mut String, acts: &[OperatorAct]) {
    if acts.is_empty() {
        return;
    }
    let _ = writeln!(page, "\nacts of operators");
    for act in acts {
        let OperatorAct { sequence, timestamp, act: what, by, approved_by, caller_user, .. } = act;
        let approved = approved_by.map_or(String::new(), |party| format!(", approved by party {party}"));
        let caller = caller_user.map_or(", caller not verified".into(), |user| format!(", user {user}"));
        let code = act.reason_code.map_or(String::new(), |code| format!("reason code {code}"));
        let why = if act.reason.is_empty() { code } else { act.reason.clone() };
        let why = if why.is_empty() { "no reason given" } else { &why };
        let (what, why) = (one_line(what), one_line(why));
        let _ = writeln!(page, "  {}  event {sequence}  {what}", Utc(*timestamp));
        let _ = writeln!(page, "    by party {by}{approved}{caller}: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_blank_or_a_quote_is_quoted_for_the_shell() {
        assert_eq!(quoted("/tmp/stele-1/trail"), "/tmp/stele-1/trail");
        assert_eq!(quoted("my trail's"), r"'my trail'\''s'");
    }
}
