//! The rules that a trail must satisfy: checks over its frames in the order of the log.
//!
//! [`Rules`] is pure: it has no thread, reads no file and no clock, and gives the same result for the same
//! frames. It relies on the journal's checks of every frame (CRC, sequence without a gap, time not going
//! backwards), and checks what the frames mean together. It allocates for definitions, orders and publishers,
//! never for market data.
//!
//! | module | rules |
//! |---|---|
//! | `rule` | the list of all rules |
//! | `sessions`, `schema_text`, `definitions` | epochs, the schema's text, definitions |
//! | `origins`, `grants` | publishers: their numbering, its resets, and what they may send |
//! | `checks`, `configuration`, `refusals` | the pre-trade checks, run again over the log; refused orders |
//! | `credit`, `proposals` | credit of shards; limits that need two people |
//! | `orders`, `releases` | orders, and when they left: `releases/early`, `releases/dropped` |
//! | `working`, `reports` | orders that work, and what venues report about them |
//! | `timers`, `acts` | timers; acts of operators |
//! | `plan`, `trading` | what is checked in each message; which rule takes which event |
//!
//! A trail without its beginning is judged by what is known: [`Rule::reach`] says what that leaves of a rule.
//! Events of an earlier version of the schema are judged by what that version promised: [`Rule::since`].

mod acts;
mod checks;
mod configuration;
mod credit;
mod definitions;
#[cfg(test)]
mod fixture;
mod grants;
mod orders;
mod origins;
mod plan;
mod proposals;
mod refusals;
mod releases;
mod reports;
mod rule;
mod schema_text;
mod sessions;
mod timers;
mod trading;
mod working;

pub use rule::{Reach, Rule};
pub use sessions::{EpochEnding, EpochSummary};

use credit::Credit;
use definitions::Definitions;
use orders::Orders;
use origins::Origins;
use plan::{Plan, Plans, Role};
use refusals::Refusals;
use releases::Releases;
use schema_text::SchemaTexts;
use sessions::Sessions;
use std::collections::BTreeMap;
use stele_journal::format::SegmentHeader;
use stele_wire::frame::PaddingBody;
use stele_wire::messages::{RetentionAct, RetentionKind, SCHEMA_ID, SCHEMA_VERSION, message_name};
use stele_wire::{Frame, Nanos, Position, Sequence};
use trading::{Shared, Trading};

/// A broken rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleViolation {
    /// The rule.
    pub rule: Rule,
    /// Sequence of the event that breaks it; for padding, of the last event before it.
    pub sequence: Sequence,
    /// Position of the frame.
    pub position: Position,
    /// Name of the message, or `padding`.
    pub message: &'static str,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// A broken rule, before its place is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Breach {
    rule: Rule,
    expected: String,
    found: String,
}

/// Boxed, to keep the result of every frame small.
type Verdict = Result<(), Box<Breach>>;

fn breach(rule: Rule, expected: impl Into<String>, found: impl Into<String>) -> Verdict {
    Err(Box::new(Breach { rule, expected: expected.into(), found: found.into() }))
}

/// How often each rule was applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckCounts([u64; Rule::ALL.len()]);

impl Default for CheckCounts {
    fn default() -> Self {
        Self([0; Rule::ALL.len()])
    }
}

impl CheckCounts {
    /// How often `rule` was applied.
    pub fn of(&self, rule: Rule) -> u64 {
        self.0[rule as usize]
    }

    #[inline]
    fn add(&mut self, rule: Rule) {
        self.0[rule as usize] += 1;
    }
}

/// What the rules know of the trail and of the epoch around an event.
#[derive(Clone, Copy, Debug)]
struct Setting {
    /// The first sequence of the trail.
    first: Sequence,
    /// The version of the schema that the event was written with.
    version: u16,
    /// The epoch began before the trail.
    is_partial: bool,
}

impl Setting {
    fn has_beginning(&self) -> bool {
        self.first == Sequence(1)
    }

    /// Whether the rule judges the event.
    fn judges(&self, rule: Rule) -> bool {
        self.version >= rule.since() && (self.has_beginning() || rule.reach() != Reach::Nothing)
    }
}

/// An event and its place.
#[derive(Clone, Copy)]
struct Site<'a> {
    position: Position,
    frame: Frame<'a>,
}

impl Site<'_> {
    fn sequence(&self) -> Sequence {
        self.frame.sequence()
    }

    fn end(&self) -> Position {
        self.position.plus(self.frame.len() as u64)
    }
}

/// The rules, and what they remember of the frames so far.
#[derive(Debug, Default)]
pub struct Rules {
    plans: Plans,
    counts: CheckCounts,
    segment: Option<SegmentHeader>,
    /// The first sequence of the trail; earlier events are not available.
    first: Sequence,
    last: Sequence,
    last_timestamp: Nanos,
    sessions: Sessions,
    schemas: SchemaTexts,
    definitions: Definitions,
    origins: Origins,
    refusals: Refusals,
    credit: Credit,
    orders: Orders,
    releases: Releases,
    trading: Trading,
    padding_bytes: u64,
    frame_bytes: u64,
    /// The last segment that a retention act names as expired.
    expired: u64,
    unknown: BTreeMap<(u16, u16, u16), u64>,
    /// The earliest version of Stele's schema that an event was written with.
    earliest_version: Option<u16>,
}

impl Rules {
    /// Makes rules that have seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a segment. The caller passes every segment, including one without a frame.
    ///
    /// # Errors
    /// [`RuleViolation`] when segments of one epoch name different schemas.
    pub fn on_segment(&mut self, header: &SegmentHeader) -> Result<(), Box<RuleViolation>> {
        let previous = self.segment.replace(*header);
        if previous.is_none() {
            self.first = header.base_sequence;
            self.last = Sequence(header.base_sequence.0 - 1);
        }
        if let Some(previous) = previous
            && previous.identity.epoch == header.identity.epoch
        {
            self.counts.add(Rule::SchemaOnTrail);
            let verdict = schema_text::same_schema(&previous.schema, &header.schema);
            return self.judge(verdict, header.base_position, "segment header");
        }
        let may_be_begun = previous.is_none() && header.index > 1;
        self.sessions.on_epoch(header.identity.epoch, self.last, header.created, may_be_begun);
        self.schemas.on_epoch();
        self.origins.on_epoch();
        self.refusals.on_epoch();
        self.orders.on_epoch();
        self.releases.on_epoch(self.last, may_be_begun);
        self.trading.on_epoch();
        Ok(())
    }

    /// Ends the trail; `first` is the header of its first segment.
    ///
    /// # Errors
    /// [`RuleViolation`] when the trail has no beginning and does not record its expiry.
    pub fn on_end(&mut self, first: &SegmentHeader) -> Result<(), Box<RuleViolation>> {
        self.counts.add(Rule::ExpirySaid);
        if self.expired + 1 >= first.index {
            return Ok(());
        }
        let index = first.index;
        Err(Box::new(RuleViolation {
            rule: Rule::ExpirySaid,
            sequence: Sequence(first.base_sequence.0 - 1),
            position: first.base_position,
            message: "segment header",
            expected: format!("a RetentionAct on the trail that names segment {} as expired", index - 1),
            found: format!("the trail begins at segment {index}, and no retention act on it says why"),
        }))
    }

    /// Checks the next frame of the segment, including padding.
    ///
    /// # Errors
    /// [`RuleViolation`] for the first broken rule. The rules cannot be used after that.
    ///
    /// # Panics
    /// When no segment was begun.
    #[inline]
    pub fn on_frame(&mut self, position: Position, frame: &Frame<'_>) -> Result<(), Box<RuleViolation>> {
        self.frame_bytes += frame.len() as u64;
        if let Some(padding) = frame.padding() {
            self.padding_bytes += frame.len() as u64;
            self.counts.add(Rule::DurableRecorded);
            let verdict = self.on_padding(position, padding);
            return self.judge(verdict, position, "padding");
        }
        (self.last, self.last_timestamp) = (frame.sequence(), frame.timestamp());
        match self.on_event(&Site { position, frame: *frame }) {
            Ok(()) => Ok(()),
            verdict => self.judge(verdict, position, message_name(frame.template_id()).unwrap_or("unknown")),
        }
    }

    fn judge(
        &self,
        verdict: Verdict,
        position: Position,
        message: &'static str,
    ) -> Result<(), Box<RuleViolation>> {
        verdict.map_err(|breach| {
            let Breach { rule, expected, found } = *breach;
            Box::new(RuleViolation { rule, sequence: self.last, position, message, expected, found })
        })
    }

    fn on_padding(&mut self, position: Position, padding: &PaddingBody) -> Verdict {
        let last = Sequence(padding.last_sequence.get());
        if last != self.last {
            let expected = format!("the last event before it, {}", self.last);
            return breach(Rule::DurableRecorded, expected, format!("lastSequence {last}"));
        }
        let durable = Position(padding.durable.get());
        self.releases.on_padding(position, durable, &self.orders)
    }

    #[inline]
    fn on_event(&mut self, site: &Site<'_>) -> Verdict {
        let Self { plans, counts, sessions, schemas, definitions, refusals, .. } = self;
        let (frame, first) = (&site.frame, self.first);
        let segment = self.segment.as_ref().expect("a segment was begun");
        let header = frame.header();
        let plan = plans.get(frame.template_id()).filter(|_| header.schema_id.get() == SCHEMA_ID);
        sessions.on_event(frame, plan.map_or(Role::Unknown, |plan| plan.role), segment, counts)?;
        refusals.on_event(frame, counts)?;
        let Some(plan) = plan else {
            let key = (header.schema_id.get(), header.schema_version.get(), header.template_id.get());
            *self.unknown.entry(key).or_default() += 1;
            return Ok(());
        };
        counts.add(Rule::MessageWhole);
        check_whole(plan, frame)?;
        if !plan.is_control && !schemas.is_settled() {
            schemas.settle(&segment.schema, first == Sequence(1), counts)?;
        }
        let block = block_of(frame);
        definitions.on_event(plan, block, frame, first, counts)?;
        for &offset in &plan.sequences {
            check_earlier(block, offset, site.sequence(), counts)?;
        }
        let (id, is_followed) = (plan.id, plan.is_followed);
        if plan.is_trading {
            self.on_trading(id, block, site)?;
        }
        if is_followed {
            self.trading.follow(site);
        }
        Ok(())
    }

    /// Judges an event that is not market data. `id` is its template.
    fn on_trading(&mut self, id: u16, block: &[u8], site: &Site<'_>) -> Verdict {
        let Self { plans, counts, sessions, schemas, origins, refusals, credit, orders, releases, .. } = self;
        let (plan, frame, first) = (plans.get(id).expect("the caller has it"), &site.frame, self.first);
        let version = frame.header().schema_version.get();
        let earliest = self.earliest_version.get_or_insert(version);
        *earliest = version.min(*earliest);
        match plan.role {
            Role::Progress => origins.on_progress(frame, counts)?,
            Role::Allotment => credit.on_allotment(frame, counts)?,
            Role::Refused => refusals.on_refused(frame, counts)?,
            Role::Report => releases.on_report(plan, block, site, first, orders, counts)?,
            Role::Released => releases.on_released(site, orders, counts)?,
            Role::SessionEnd => releases.on_session_end(counts)?,
            Role::SchemaText => schemas.on_text(frame)?,
            Role::Request => {
                orders.on_request(site);
                origins.on_order(frame, counts)?;
            }
            Role::Retention => {
                if let Some(act) = frame.message::<RetentionAct>()
                    && act.kind == RetentionKind::EXPIRED
                {
                    self.expired = self.expired.max(act.to_segment.get());
                }
            }
            _ => {}
        }
        let setting = Setting { first, version, is_partial: sessions.is_partial() };
        let shared = &mut Shared { orders, releases, origins, epochs: sessions.epochs() };
        self.trading.on_event(plan, site, &setting, shared, counts)
    }

    /// How often each rule was applied.
    pub fn counts(&self) -> &CheckCounts {
        &self.counts
    }

    /// The epochs so far, oldest first.
    pub fn epochs(&self) -> Vec<EpochSummary> {
        self.sessions.summaries(self.last, self.last_timestamp)
    }

    /// The sequence of the last event so far; when there is none, the one before the trail's first.
    pub fn last_sequence(&self) -> Sequence {
        self.last
    }

    /// The number of events so far.
    pub fn events(&self) -> u64 {
        if self.segment.is_some() { self.last.0 + 1 - self.first.0 } else { 0 }
    }

    /// The number of bytes of frames so far, and of padding among them.
    pub fn bytes(&self) -> (u64, u64) {
        (self.frame_bytes, self.padding_bytes)
    }

    /// The highest durable watermark that padding recorded.
    pub fn durable(&self) -> Option<Position> {
        self.releases.durable()
    }

    /// Messages that could not be checked: schema id, schema version, template id, count.
    pub fn unknown(&self) -> impl Iterator<Item = (u16, u16, u16, u64)> {
        self.unknown.iter().map(|((schema, version, template), count)| (*schema, *version, *template, *count))
    }

    /// The number of undefined instruments and accounts in orders and refusals.
    pub fn undefined_in_orders(&self) -> u64 {
        self.definitions.undefined_in_orders()
    }

    /// The number of references that may lead to a definition before the trail's first event.
    pub fn before_the_trail(&self) -> u64 {
        self.definitions.before_the_trail()
            + self.releases.before_the_trail()
            + self.trading.before_the_trail()
    }

    /// The number of refused orders that the checks, with the limits on the log, would have let pass or would
    /// have refused for another reason. A program may have limits that it does not record.
    pub fn unexplained_refusals(&self) -> u64 {
        self.trading.unexplained_refusals()
    }

    /// The rules that did not judge events of an earlier version of the schema.
    pub fn not_of_earlier_versions(&self) -> impl Iterator<Item = Rule> {
        let earliest = self.earliest_version.unwrap_or(SCHEMA_VERSION);
        Rule::ALL.iter().copied().filter(move |rule| rule.since() > earliest)
    }
}

/// The root block as it was written.
#[inline]
fn block_of<'a>(frame: &Frame<'a>) -> &'a [u8] {
    let body = frame.body();
    &body[..body.len().min(frame.header().block_length.get().into())]
}

/// The bytes at `offset`, if the block is long enough.
#[inline]
fn field<const N: usize>(block: &[u8], offset: u16) -> Option<[u8; N]> {
    block.get(offset.into()..)?.first_chunk().copied()
}

fn check_whole(plan: &Plan, frame: &Frame<'_>) -> Verdict {
    let header = frame.header();
    let (found, expected) = (header.block_length.get(), plan.block_length);
    if header.schema_version.get() == SCHEMA_VERSION && found != expected {
        let expected = format!("a block of {expected} bytes in version {SCHEMA_VERSION}");
        return breach(Rule::MessageWhole, expected, format!("a block of {found}"));
    }
    if !(plan.is_whole)(frame) {
        let found = format!("a frame body of {} bytes that ends before them", frame.body().len());
        return breach(Rule::MessageWhole, "block, groups and data within the frame", found);
    }
    Ok(())
}

#[inline]
fn check_earlier(block: &[u8], offset: u16, own: Sequence, counts: &mut CheckCounts) -> Verdict {
    let named = u64::from_le_bytes(field(block, offset).unwrap_or_default());
    if named == 0 {
        return Ok(());
    }
    counts.add(Rule::CauseEarlier);
    if named >= own.0 {
        return breach(
            Rule::CauseEarlier,
            format!("a sequence before {own}"),
            format!("{named} at byte {offset}"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
