//! The result for a trail that verifies: its contents, and what was checked.

use crate::rules::{EpochEnding, EpochSummary};
use crate::seal::SealReport;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt;

/// A trail that verifies, and what was checked of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct VerifiedTrail {
    /// Directory of the trail.
    pub directory: String,
    /// Id of the trail, hexadecimal.
    pub trail: String,
    /// Shard of the trail.
    pub shard: u32,
    /// Number of segments.
    pub segments: u64,
    /// Epochs, oldest first.
    pub epochs: Vec<EpochSummary>,
    /// Number of events.
    pub events: u64,
    /// Sequence of the first event.
    pub first_sequence: u64,
    /// Sequence of the last event.
    pub last_sequence: u64,
    /// Time at which the first epoch's writer started, in nanoseconds since 1970 UTC.
    pub began: u64,
    /// Time of the last event, in nanoseconds since 1970 UTC.
    pub ended: u64,
    /// Number of bytes of frames.
    pub log_bytes: u64,
    /// Number of bytes of padding among them.
    pub padding_bytes: u64,
    /// The highest position that the log itself records as durable; `None` without padding.
    pub durable: Option<u64>,
    /// The end of the log, if it is in a segment that its writer did not close.
    pub open_end: Option<OpenEnd>,
    /// The rules, all of which hold: those of the storage, then those of [`crate::rules::Rule::ALL`].
    pub rules: Vec<RuleCount>,
    /// Messages that could not be checked.
    pub unknown: Vec<UnknownMessages>,
    /// The number of undefined instruments and accounts in orders and refusals.
    pub undefined_in_orders: u64,
    /// The number of refused orders that the checks, with the limits on the log, would not have refused so.
    pub unexplained_refusals: u64,
    /// The number of references to definitions, orders or releases before the trail's first event; its
    /// beginning has expired.
    pub before_the_trail: u64,
    /// The result for the seals, if they were checked.
    pub seals: Option<SealReport>,
    /// What was not checked, one sentence each.
    pub not_checked: Vec<String>,
    /// Speed of the verification.
    pub speed: ReadSpeed,
}

/// The end of the log in a segment that its writer did not close: it is being written, or was cut short.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OpenEnd {
    /// File of the segment.
    pub file: String,
    /// Offset in the file at which the log ends.
    pub offset: u64,
    /// Whether there are bytes after it: a batch that was being written and never acknowledged.
    pub torn: bool,
}

/// A rule that holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RuleCount {
    /// Name of the rule.
    pub rule: &'static str,
    /// The rule in one sentence.
    pub sentence: &'static str,
    /// How often it was applied.
    pub checked: u64,
}

/// Messages of another schema, or of a later version of Stele's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UnknownMessages {
    /// Schema id.
    pub schema: u16,
    /// Version of the schema.
    pub version: u16,
    /// Template id.
    pub template: u16,
    /// Number of messages.
    pub count: u64,
}

/// Speed and resources of a verification.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReadSpeed {
    /// Duration in seconds.
    pub seconds: f64,
    /// Events per second.
    pub events_per_second: f64,
    /// Bytes of segment files per second; each is read once.
    pub bytes_per_second: f64,
    /// Threads that checked the storage, in addition to the one that applied the rules.
    pub threads: usize,
    /// How whole segment files were read: glommio, io_uring or plain.
    pub method: &'static str,
    /// Why they were not read by a method that would have come first, a sentence each.
    pub refusals: Vec<String>,
}

impl fmt::Display for VerifiedTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} verifies", self.directory)?;
        writeln!(f)?;
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<11} {value}");
        row("trail", format!("{}, shard {}", self.trail, self.shard))?;
        row(
            "events",
            format!("{} ({} to {})", number(self.events), self.first_sequence, self.last_sequence),
        )?;
        row("time", format!("{} to {}", time(self.began), time(self.ended)))?;
        let padding = percent(self.padding_bytes, self.log_bytes);
        row("log", format!("{} in {} segments, {padding} padding", bytes(self.log_bytes), self.segments))?;
        if let Some(durable) = self.durable {
            row("durable", format!("up to position {durable}, as recorded by the log"))?;
        }
        if let Some(open) = &self.open_end {
            let torn = if open.torn { "; followed by a batch that was never acknowledged" } else { "" };
            row("open end", format!("{}, offset {}{torn}", open.file, open.offset))?;
        }
        self.write_epochs(f)?;
        self.write_rules(f)?;
        self.write_seals(f)?;
        for what in &self.not_checked {
            writeln!(f, "  not checked: {what}")?;
        }
        let ReadSpeed { seconds, events_per_second, bytes_per_second, threads, .. } = &self.speed;
        write!(
            f,
            "  {seconds:.2} s, {} events/s, {}/s, {threads} + 1 threads",
            number(*events_per_second as u64),
            bytes(*bytes_per_second as u64)
        )?;
        match self.speed.refusals.as_slice() {
            [] => Ok(()),
            refusals => write!(f, ", read by {} ({})", self.speed.method, refusals.join("; ")),
        }
    }
}

/// The sentence in `not_checked` for a trail whose seals were not checked.
pub(crate) const SEALS_NOT_CHECKED: &str = "seals: a rewrite of an event and everything after it, CRCs and links included, is not detected; \
     --key checks them";

/// The number of latest epochs that are printed one by one.
const EPOCHS_SHOWN: usize = 8;

impl VerifiedTrail {
    /// Adds the result for seals that were checked and hold.
    #[must_use]
    pub fn with_seals(mut self, seals: SealReport) -> Self {
        self.not_checked.retain(|sentence| sentence != SEALS_NOT_CHECKED);
        self.seals = Some(seals);
        self
    }

    fn write_seals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(seals) = &self.seals else { return Ok(()) };
        let (sealed, checkpoints) = (number(seals.sealed), number(seals.checkpoints));
        writeln!(
            f,
            "  sealed      events up to {sealed}, checkpoints: {checkpoints}; all signed, all roots hold"
        )?;
        if seals.keys > 1 {
            writeln!(
                f,
                "  keys        {}, each handed over to the next by an event signed with it",
                seals.keys
            )?;
        }
        if seals.against == Some(0) {
            writeln!(
                f,
                "  extends     the checkpoint kept elsewhere, which covers no events and proves nothing"
            )?;
        } else if let Some(size) = seals.against {
            writeln!(f, "  extends     the checkpoint of {} events kept elsewhere", number(size))?;
        }
        let unsealed = number(seals.unsealed);
        writeln!(f, "  unsealed    {unsealed} events after the last checkpoint, under no signature")
    }

    fn write_epochs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let earlier = self.epochs.len().saturating_sub(EPOCHS_SHOWN);
        if earlier > 0 {
            let cut =
                self.epochs[..earlier].iter().filter(|epoch| epoch.ending == EpochEnding::CutShort).count();
            writeln!(f, "  epochs      {earlier} earlier ones, {cut} of them cut short")?;
        }
        for epoch in &self.epochs[earlier..] {
            let ending = match &epoch.ending {
                EpochEnding::InOrder(reason) => format!("ended in order ({reason})"),
                EpochEnding::CutShort => "cut short".to_owned(),
                EpochEnding::Open => "without an end: being written, or cut short".to_owned(),
            };
            let (name, events) = (format!("epoch {}", epoch.epoch), number(epoch.events()));
            writeln!(f, "  {name:<11} {events} events from {}, {ending}", time(epoch.began))?;
        }
        Ok(())
    }

    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for rule in &self.rules {
            writeln!(f, "  {:>15}  {}", number(rule.checked), rule.sentence)?;
        }
        for UnknownMessages { schema, version, template, count } in &self.unknown {
            let count = number(*count);
            writeln!(
                f,
                "  {count:>15}  not checked: template {template} of schema {schema}, version {version}"
            )?;
        }
        if self.first_sequence > 1 {
            let count = number(self.before_the_trail);
            writeln!(f, "  {count:>15}  defined before the trail's first event")?;
        }
        if self.undefined_in_orders > 0 {
            let count = number(self.undefined_in_orders);
            writeln!(
                f,
                "  {count:>15}  undefined instruments and accounts in orders and refusals, as submitted"
            )?;
        }
        if self.unexplained_refusals > 0 {
            let count = number(self.unexplained_refusals);
            writeln!(f, "  {count:>15}  refusals of orders that the limits on the log do not explain")?;
        }
        writeln!(f)
    }
}

/// Formats a number with commas between thousands.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

fn time(nanos: u64) -> String {
    match Timestamp::from_nanosecond(nanos.into()) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{nanos} ns"),
    }
}
