//! The table of all counters: id, name, kind, unit, scope and meaning.
//!
//! The ids are in the file that other programs read. An id is never reused for another counter.

/// How a counter's value changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterKind {
    /// It only grows.
    Total,
    /// It goes up and down.
    Gauge,
    /// It counts values by size, see [`super::Histogram`].
    Histogram,
}

/// The unit of a counter's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterUnit {
    /// Pieces of what the name states.
    Pieces,
    /// Bytes. A position is the number of bytes of the log before it.
    Bytes,
    /// Nanoseconds.
    Nanoseconds,
}

/// What has one counter each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterScope {
    /// The process.
    Process,
    /// Each shard.
    Shard,
    /// Each publisher of a shard. The instance is its id, the label its name.
    Publisher,
    /// Each consumer of a shard. The instance is its number, the label its name; it also has a contract.
    Consumer,
    /// Each core. The instance is its number, the label its name.
    Core,
    /// Each table of the risk checks, in a shard. The instance is its number, the label its name.
    Table,
    /// Each reason for a refusal, in a shard. The instance is the reason's value on the wire, the label its
    /// name.
    Reason,
    /// Each strategy of a shard. The instance is its number, the label its name.
    Strategy,
}

/// The definition of a counter: one row of the table.
#[derive(PartialEq, Eq, Debug)]
pub struct CounterDefinition {
    /// The id in the file; not 0.
    pub id: u16,
    /// The name in reports, in `snake_case`, without a unit.
    pub name: &'static str,
    /// How its value changes.
    pub kind: CounterKind,
    /// The unit of its value.
    pub unit: CounterUnit,
    /// What has one counter each.
    pub per: CounterScope,
    /// What it counts, without a full stop.
    pub help: &'static str,
}

macro_rules! table {
    ($($constant:ident = $id:literal, $name:literal, $kind:ident, $unit:ident, $per:ident, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: &CounterDefinition = &CounterDefinition {
                id: $id, name: $name, kind: CounterKind::$kind, unit: CounterUnit::$unit, per: CounterScope::$per, help: $help,
            };
        )*

        /// The table, in the order of the ids.
        pub const ALL: &[&CounterDefinition] = &[$($constant),*];
    };
}

table! {
    EVENTS = 101, "events", Total, Pieces, Shard, "Events put on the log, the sequencer's own included";
    ORDERS_REFUSED = 102, "orders_refused", Total, Pieces, Shard, "Orders answered with a refusal";
    MALFORMED = 103, "malformed", Total, Pieces, Shard, "Submissions that are not a message of the schema";
    WAITS = 104, "waits", Total, Pieces, Shard, "Duty cycles in which a publisher's ring waited for room on the log";
    BATCHES = 105, "batches", Total, Pieces, Shard, "Batches closed on a block of the device";
    REFUSALS = 106, "refusals", Total, Pieces, Reason, "Orders refused by this check";
    DUPLICATES = 107, "duplicates", Total, Pieces, Shard, "Submissions dropped as duplicates";
    REFUSED_SUBMISSIONS = 108, "refused_submissions", Total, Pieces, Reason, "Submissions refused for this reason, including those that were offered again";
    SWITCH_CANCELS = 109, "switch_cancels", Total, Pieces, Shard, "Cancels that the sequencer logged, because of a kill switch or an operator's request";
    PUBLISHED = 110, "published", Gauge, Bytes, Shard, "Position up to which consumers may read";
    BATCHED = 111, "batched", Gauge, Bytes, Shard, "Position of the end of the last closed batch";
    WRITTEN = 112, "written", Gauge, Bytes, Shard, "Position up to which the device has the log";
    DURABLE = 113, "durable", Gauge, Bytes, Shard, "Position up to which the log is flushed";
    SEALED = 114, "sealed", Gauge, Bytes, Shard, "Position up to which a signed checkpoint covers the log";
    RING_LENGTH = 115, "ring_length", Gauge, Bytes, Shard, "Length of the ring";
    BEHIND = 116, "behind", Gauge, Pieces, Shard, "What causes backpressure: 0 nothing, 1 the journal, 2 a gating consumer";
    POISONED = 117, "poisoned", Gauge, Pieces, Shard, "1 when the journal has failed and nothing more is accepted";
    RISK_TABLE_USED = 118, "risk_table_used", Gauge, Pieces, Table, "Entries in use of a table of the risk checks";
    RISK_TABLE_SIZE = 119, "risk_table_size", Gauge, Pieces, Table, "Size of a table of the risk checks";
    TICK_TO_SEQUENCED = 120, "tick_to_sequenced", Histogram, Nanoseconds, Shard, "From the receipt of an event to its sequencing, for the first of each chunk";
    REPEATED_EXECUTIONS = 121, "repeated_executions", Total, Pieces, Shard, "Executions reported again with the same execution id, and not counted again";
    VENUE_ORDERS = 201, "venue_orders", Total, Pieces, Shard, "Orders, replacements and cancels that reached the venue";
    VENUE_FILLS = 202, "venue_fills", Total, Pieces, Shard, "Executions that the venue reported";
    RELEASED = 203, "released", Total, Pieces, Shard, "Orders, replacements and cancels that left the gateway";
    RELEASE_WAITING = 204, "release_waiting", Gauge, Pieces, Shard, "Orders that wait for their release watermark";
    SEQUENCED_TO_RELEASED = 205, "sequenced_to_released", Histogram, Nanoseconds, Shard, "From an order's sequencing to its release by the gateway";
    FREE_SPACE_WARNINGS = 301, "free_space_warnings", Total, Pieces, Shard, "Warnings that free space for segments is scarce";
    FREE_SPACE = 302, "free_space", Gauge, Bytes, Shard, "Free on the trail's file system when a segment was last prepared";
    JOURNAL_WRITES = 303, "journal_writes", Total, Pieces, Shard, "Writes submitted to the device";
    JOURNAL_ROLLS = 304, "journal_rolls", Total, Pieces, Shard, "Segments begun since the start";
    JOURNAL_SEGMENT_WAITS = 305, "journal_segment_waits", Total, Pieces, Shard, "Duty cycles in which the journal waited for the next segment";
    PUBLISH_TO_DURABLE = 310, "publish_to_durable", Histogram, Nanoseconds, Shard, "From an event's publication until it is durable, for one batch at a time";
    SEGMENTS_BEHIND = 401, "snapshot_segments_behind", Gauge, Pieces, Shard, "Whole durable segments that the snapshot thread has not read";
    SNAPSHOTS = 402, "snapshots", Total, Pieces, Shard, "Snapshots taken";
    SEALED_EVENTS = 410, "sealed_events", Gauge, Pieces, Shard, "Events under the newest checkpoint";
    CHECKPOINTS = 411, "checkpoints", Total, Pieces, Shard, "Checkpoints signed";
    SEAL_FAILURES = 412, "seal_failures", Total, Pieces, Shard, "Duty cycles in which the sealer could not seal; it tries again where that may help";
    QUEUE_DEPTH = 501, "queue_depth", Gauge, Bytes, Publisher, "Submissions that wait in the publisher's ring";
    QUEUE_LENGTH = 502, "queue_length", Gauge, Bytes, Publisher, "Length of the publisher's ring";
    SUBMISSIONS = 503, "submissions", Total, Pieces, Publisher, "Submissions that the sequencer took from the publisher's ring";
    CONSUMER_POSITION = 601, "consumer_position", Gauge, Bytes, Consumer, "Position up to which the consumer has released the log";
    CONSUMER_LOST = 602, "consumer_lost", Total, Pieces, Consumer, "Events that the consumer lost and was informed of";
    TURNS_WORKING = 701, "turns_working", Total, Pieces, Core, "Duty cycles in which an agent had something to do";
    TURNS_IDLE = 702, "turns_idle", Total, Pieces, Core, "Duty cycles in which no agent had";
    CORE_BUSY = 703, "core_busy", Total, Nanoseconds, Core, "Time in working duty cycles, measured in every sixteenth";
    CORE_STALL_MAX = 704, "core_stall_max", Gauge, Nanoseconds, Core, "Longest time of sixteen duty cycles in a row, which contains the longest stall";
    CORE_CPU = 705, "core_cpu", Gauge, Pieces, Core, "CPU that the core is pinned to; all ones when it is not pinned";
    TICK_TO_STRATEGY = 801, "tick_to_strategy", Histogram, Nanoseconds, Shard, "From the receipt of an event to the first strategy that handles it, sampled";
    TIMERS = 802, "timers_fired", Total, Pieces, Shard, "Timers of strategies that fired";
    STRATEGY_PAUSED = 803, "strategy_paused", Gauge, Pieces, Strategy, "1 while an operator has paused the strategy";
    ORDERS_SUPPRESSED = 804, "orders_suppressed", Total, Pieces, Strategy, "Orders and replacements that were not sent because the strategy was paused";
    COMMANDS_IGNORED = 805, "commands_ignored", Total, Pieces, Shard, "Commands of operators on the log that did not apply to a strategy";
}

impl CounterDefinition {
    /// Returns the definition with this id; none when there is none.
    pub fn find(id: u16) -> Option<&'static Self> {
        ALL.iter().copied().find(|definition| definition.id == id)
    }
}

/// Returns the table as Markdown, as it is in `docs/counters.md`.
pub fn markdown() -> String {
    let mut page = String::from("| id | name | moves | in | one per | says |\n|---:|---|---|---|---|---|\n");
    for CounterDefinition { id, name, kind, unit, per, help } in ALL {
        let (kind, unit, per) = (lower(kind), lower(unit), lower(per));
        page += &format!("| {id} | `{name}` | {kind} | {unit} | {per} | {help} |\n");
    }
    page
}

fn lower(word: &impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_ascend_and_names_are_unique() {
        assert!(ALL[0].id > 0 && ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
        let names: BTreeSet<_> = ALL.iter().map(|definition| definition.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn names_are_words_without_a_unit() {
        for CounterDefinition { name, help, .. } in ALL {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            let units = ["_total", "_bytes", "_seconds", "_ns", "_nanoseconds"];
            assert!(units.iter().all(|unit| !name.ends_with(unit)), "{name}");
            assert!(!help.ends_with('.') && help.len() <= 120 && !help.contains('|'), "{name}: {help}");
        }
    }

    #[test]
    fn the_page_in_the_documents_shows_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/counters.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once("<!-- table -->\n").expect("the page has a place for the table");
        let (shown, after) = rest.split_once("<!-- end -->").expect("the table has an end");
        if std::env::var("STELE_GOLDEN").is_ok_and(|mode| mode == "write") {
            let page = format!("{before}<!-- table -->\n{}<!-- end -->{after}", markdown());
            std::fs::write(path, page).unwrap();
            return;
        }
        assert_eq!(shown, markdown(), "STELE_GOLDEN=write rewrites it");
    }
}
