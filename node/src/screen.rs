//! Formats [`BusStats`] as lines of text, for a terminal or for printing.

use crate::bus_stats::{BusStats, ShardStats};
use crate::readable::grouped;
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};

/// Returns all lines, from the top.
pub(crate) fn lines(stats: &BusStats) -> Vec<Line<'static>> {
    let mut lines = vec![title(stats)];
    for shard in &stats.shards {
        lines.push(Line::default());
        shard_lines(shard, &mut lines);
    }
    lines.push(Line::default());
    lines.push(heading(format!(
        "{:<20} {:>5} {:>8} {:>14} {:>26}",
        "core", "CPU", "busy", "turns/s", "longest 16 turns, ns"
    )));
    for core in &stats.cores {
        let cpu = core.cpu.map_or("any".into(), |cpu| cpu.to_string());
        lines.push(Line::raw(format!(
            "{:<20} {cpu:>5} {:>6.0} % {:>14} {:>26}",
            core.name,
            core.busy * 100.0,
            whole(core.turns_per_second),
            grouped(core.stall_ns_max)
        )));
    }
    lines
}

fn title(stats: &BusStats) -> Line<'static> {
    let state = match stats.state {
        "running" => Span::raw("running"),
        "ended" => Span::styled("ended", Style::new().fg(Color::Yellow).bold()),
        died => Span::styled(died, alarm()),
    };
    let about = format!("   process {}   {:.1} s   ", stats.process, stats.seconds);
    Line::from(vec![Span::raw("bus "), Span::raw(stats.bus.clone()).bold(), Span::raw(about), state])
}

fn shard_lines(shard: &ShardStats, lines: &mut Vec<Line<'static>>) {
    lines.push(heading(format!(
        "shard {}   {} events   {} events/s   {} batches/s   {} writes/s",
        shard.shard,
        grouped(shard.events),
        whole(shard.events_per_second),
        whole(shard.batches_per_second),
        whole(shard.journal_writes_per_second)
    )));
    lines.push(Line::raw(format!("  {:<22} {:>20} {:>20}", "watermark", "position", "bytes behind")));
    for mark in &shard.watermarks {
        lines.push(Line::raw(format!(
            "  {:<22} {:>20} {:>20}",
            mark.name,
            grouped(mark.position),
            grouped(mark.lag)
        )));
    }
    lines.push(Line::raw(format!(
        "  orders   {} at the venue   {} fills   {} released   {} waiting   {} refused{}",
        grouped(shard.venue_orders),
        grouped(shard.venue_fills),
        grouped(shard.released),
        grouped(shard.release_waiting),
        grouped(shard.orders_refused),
        reasons(&shard.refusals)
    )));
    if !shard.risk_tables.is_empty() {
        lines.push(Line::raw(risk_line(shard)));
    }
    let refused = shard.refused_submissions.iter().map(|(_, count)| count).sum();
    lines.push(Line::raw(format!(
        "  intake   {} not accepted{}   {} waits for room   {} timers fired",
        grouped(refused),
        reasons(&shard.refused_submissions),
        grouped(shard.waits),
        grouped(shard.timers)
    )));
    lines.push(Line::raw(format!(
        "  disk     {} MiB free   {} waits for a segment   {} snapshots, {} segments behind",
        grouped(shard.free_space >> 20),
        grouped(shard.segment_waits),
        grouped(shard.snapshots),
        grouped(shard.segments_behind)
    )));
    alarms(shard, lines);
    latency_lines(shard, lines);
    queue_lines(shard, lines);
}

/// How much of the tables of the risk checks is in use.
fn risk_line(shard: &ShardStats) -> String {
    let tables = shard.risk_tables.iter().map(|table| {
        format!("{} of {} {}", grouped(table.used), grouped(table.size), table.name.replace('_', " "))
    });
    format!("  checks   {}", tables.collect::<Vec<_>>().join("   "))
}

fn reasons(refusals: &[(String, u64)]) -> String {
    if refusals.is_empty() {
        return String::new();
    }
    let refusals = refusals.iter().map(|(reason, count)| format!("{reason} {}", grouped(*count)));
    format!(" ({})", refusals.collect::<Vec<_>>().join(", "))
}

fn alarms(shard: &ShardStats, lines: &mut Vec<Line<'static>>) {
    let mut alarm_line = |text: String| lines.push(Line::styled(format!("  {text}"), alarm()));
    if shard.is_poisoned {
        alarm_line("the journal failed: nothing more is accepted".into());
    }
    if let Some(who) = shard.behind {
        alarm_line(format!("no room for new orders: the {who} is behind"));
    }
    for strategy in shard.strategies.iter().filter(|strategy| strategy.is_paused) {
        let (id, name) = (strategy.id, &strategy.name);
        alarm_line(format!(
            "strategy {id} {name} is paused: {} orders not sent",
            grouped(strategy.suppressed)
        ));
    }
    if shard.commands_ignored > 0 {
        alarm_line(format!("{} commands of operators did not apply", grouped(shard.commands_ignored)));
    }
    if shard.free_space_warnings > 0 {
        alarm_line(format!("free space became scarce {} times", shard.free_space_warnings));
    }
}

fn latency_lines(shard: &ShardStats, lines: &mut Vec<Line<'static>>) {
    if shard.latencies.is_empty() {
        return;
    }
    lines.push(heading(format!(
        "  {:<22} {:>12} {:>12} {:>12} {:>12}",
        "latency, ns", "p50", "p99", "p99.9", "values"
    )));
    for latency in &shard.latencies {
        let shown = |value: Option<u64>| value.map_or("-".into(), grouped);
        lines.push(Line::raw(format!(
            "  {:<22} {:>12} {:>12} {:>12} {:>12}",
            latency.name,
            shown(latency.p50),
            shown(latency.p99),
            shown(latency.p999),
            grouped(latency.count)
        )));
    }
}

fn queue_lines(shard: &ShardStats, lines: &mut Vec<Line<'static>>) {
    lines.push(heading(format!(
        "  {:<22} {:>12} {:>12} {:>16}",
        "publisher", "bytes queued", "of", "submissions/s"
    )));
    for publisher in &shard.publishers {
        lines.push(Line::raw(format!(
            "  {:<22} {:>12} {:>12} {:>16}",
            format!("{} {}", publisher.id, publisher.name),
            grouped(publisher.queue),
            grouped(publisher.queue_length),
            whole(publisher.submissions_per_second)
        )));
    }
    lines.push(heading(format!(
        "  {:<22} {:>12} {:>12} {:>16}",
        "consumer", "contract", "bytes behind", "events lost"
    )));
    for consumer in &shard.consumers {
        lines.push(Line::raw(format!(
            "  {:<22} {:>12} {:>12} {:>16}",
            consumer.name,
            consumer.contract,
            grouped(consumer.lag),
            grouped(consumer.lost)
        )));
    }
}

fn heading(text: String) -> Line<'static> {
    Line::styled(text, Style::new().bold())
}

fn alarm() -> Style {
    Style::new().fg(Color::Red).bold()
}

fn whole(rate: f64) -> String {
    grouped(rate.round() as u64)
}
