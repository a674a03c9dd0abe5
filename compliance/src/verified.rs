//! What a trail that verifies holds, and what was checked of it.

use crate::rules::{Ending, EpochSummary};
use crate::seal::SealReport;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt;

/// A trail that verifies.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Verified {
    /// Where it is.
    pub directory: String,
    /// What tells it from every other, hexadecimal.
    pub trail: String,
    /// Its shard.
    pub shard: u32,
    /// Segments.
    pub segments: u64,
    /// Epochs, oldest first.
    pub epochs: Vec<EpochSummary>,
    /// Events.
    pub events: u64,
    /// The first event.
    pub first_sequence: u64,
    /// The last event.
    pub last_sequence: u64,
    /// When the first epoch's writer began, ns since 1970 UTC.
    pub began: u64,
    /// Time of the last event, likewise.
    pub ended: u64,
    /// Bytes of frames.
    pub log_bytes: u64,
    /// Bytes of padding among them.
    pub padding_bytes: u64,
    /// The highest position that the log itself records as durable; none without padding.
    pub durable: Option<u64>,
    /// Where the log ends in a segment that its writer did not close.
    pub open_end: Option<OpenEnd>,
    /// The rules that hold, in the order of [`crate::rules::Rule::ALL`], behind those of the medium.
    pub rules: Vec<RuleCount>,
    /// Messages that could not be judged.
    pub unknown: Vec<Unknown>,
    /// Instruments and accounts that orders and refusals name and nobody defined.
    pub undefined_in_orders: u64,
    /// References to what was defined, ordered or released before the trail's first event; its beginning has expired.
    pub before_the_trail: u64,
    /// The seals, where they were checked.
    pub seals: Option<SealReport>,
    /// What this does not say, a sentence each.
    pub not_checked: Vec<String>,
    /// How fast it went.
    pub speed: Speed,
}

/// The end of a segment that its writer did not close: it is being written, or was cut short.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OpenEnd {
    /// The file.
    pub file: String,
    /// Where in it the log ends.
    pub offset: u64,
    /// Whether something stands behind that: a batch on its way, which was never acknowledged.
    pub torn: bool,
}

/// A rule that holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RuleCount {
    /// Its name.
    pub rule: &'static str,
    /// What it says.
    pub sentence: &'static str,
    /// How often it was asked.
    pub checked: u64,
}

/// Messages of another schema, or of a later version of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Unknown {
    /// Schema id.
    pub schema: u16,
    /// Version of the schema.
    pub version: u16,
    /// Template id.
    pub template: u16,
    /// How many.
    pub count: u64,
}

/// How a verification went.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Speed {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Events a second.
    pub events_per_second: f64,
    /// Bytes of segment files a second, each read once.
    pub bytes_per_second: f64,
    /// Threads that checked the medium, beside the one that applied the rules.
    pub threads: usize,
    /// How whole segment files were read: glommio, io_uring or plain.
    pub method: &'static str,
    /// Why they were not read by a method that would have come first, a sentence each.
    pub refusals: Vec<String>,
}

impl fmt::Display for Verified {
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
            row("durable", format!("up to position {durable}, by the log's own record"))?;
        }
        if let Some(open) = &self.open_end {
            let torn = if open.torn { "; behind it a batch that was never acknowledged" } else { "" };
            row("open end", format!("{}, offset {}{torn}", open.file, open.offset))?;
        }
        self.write_epochs(f)?;
        self.write_rules(f)?;
        self.write_seals(f)?;
        for what in &self.not_checked {
            writeln!(f, "  not checked: {what}")?;
        }
        let Speed { seconds, events_per_second, bytes_per_second, threads, .. } = &self.speed;
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

/// What is not said of a trail whose seals were not checked.
pub(crate) const SEALS_NOT_CHECKED: &str = "seals: someone who rewrote an event and everything behind it, CRCs and links included, is not found out; \
     --key checks them";

/// Epochs shown one by one; of more, the last ones.
const EPOCHS_SHOWN: usize = 8;

impl Verified {
    /// The same, with seals that were checked and hold.
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
                "  keys        {}, each handed over to the next by an event that it signed",
                seals.keys
            )?;
        }
        if seals.against == Some(0) {
            writeln!(
                f,
                "  extends     the checkpoint kept elsewhere, which is over no event and proves nothing"
            )?;
        } else if let Some(size) = seals.against {
            writeln!(f, "  extends     the checkpoint of {} events kept elsewhere", number(size))?;
        }
        let unsealed = number(seals.unsealed);
        writeln!(f, "  unsealed    {unsealed} events behind the last checkpoint, under no signature")
    }

    fn write_epochs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let earlier = self.epochs.len().saturating_sub(EPOCHS_SHOWN);
        if earlier > 0 {
            let cut = self.epochs[..earlier].iter().filter(|epoch| epoch.ending == Ending::CutShort).count();
            writeln!(f, "  epochs      {earlier} earlier ones, {cut} of them cut short")?;
        }
        for epoch in &self.epochs[earlier..] {
            let ending = match &epoch.ending {
                Ending::InOrder(reason) => format!("ended in order ({reason})"),
                Ending::CutShort => "cut short".to_owned(),
                Ending::Open => "without an end: being written, or cut short".to_owned(),
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
        for Unknown { schema, version, template, count } in &self.unknown {
            let count = number(*count);
            writeln!(
                f,
                "  {count:>15}  not judged: template {template} of schema {schema}, version {version}"
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
        writeln!(f)
    }
}

/// With commas between thousands.
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
