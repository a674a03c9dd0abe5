//! What a trail must say to be believed: rules over its frames in the order of the log.
//!
//! [`Rules`] is pure: it owns no thread, reads no file and no clock, and gives the same answer for the same frames.
//! It takes for granted what the journal checks of every frame (CRC, sequence without a gap, time not backwards) and
//! judges what the frames mean together. It allocates for definitions, orders and publishers, never for market data.

mod credit;
mod definitions;
#[cfg(test)]
mod fixture;
mod orders;
mod origins;
mod plan;
mod refusals;
mod releases;
mod schema_text;
mod sessions;

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
use std::fmt;
use stele_journal::format::SegmentHeader;
use stele_wire::frame::PaddingBody;
use stele_wire::messages::{RetentionAct, RetentionKind, SCHEMA_ID, SCHEMA_VERSION, message_name};
use stele_wire::{Frame, Nanos, Position, Sequence};

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident $name:literal $sentence:literal;)*) => {
        /// A rule, by what it is called in messages.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Every rule, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// What it is called.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }

            /// What it says.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$rule => $sentence,)*
                }
            }
        }
    };
}

rules! {
    /// Messages of our schema and a version we know have the block length of their version, and every group and
    /// data lies within the frame. Other schemas' and later messages are counted, not judged.
    MessageWhole "message-whole" "messages of our schema decode whole";
    /// The first event of an epoch, but for the sequencer's own notes on numbering, is `SessionStart` of that epoch
    /// and shard, with the last sequence of the epoch before; there is one in an epoch.
    SessionBegins "session-begins" "every epoch begins with its SessionStart";
    /// Nothing follows `SessionEnd` in its epoch, and it counts the epoch's events, itself included.
    SessionEnds "session-ends" "nothing follows SessionEnd, and it counts the events";
    /// The text of the schema that the segment's header names by its SHA-256 is on the trail before the epoch's first
    /// event that is not control.
    SchemaOnTrail "schema-on-trail" "the schema's text is on the trail and is the one named";
    /// Instruments, sources, strategies and accounts are defined before they are referred to; 0 is none. An order,
    /// cancel or quote, and a refusal of one, may name an instrument or account that nobody defined: that is the
    /// submitter's mistake, which the log must hold as it was; it is counted.
    DefinedBefore "defined-before" "what an event refers to was defined before it";
    /// A publisher's numbering, as its `PublisherProgress` events tell it, never goes back within an epoch, and no two
    /// orders of an epoch have the same number of the same publisher: a retry is recognised.
    OriginNumbering "origin-numbering" "publishers' numbering never goes back in an epoch";
    /// A refused order stands on the log whole, and the next event of the epoch is the refusal of that order.
    RefusalWhole "refusal-whole" "a refused order is told whole, and why it was refused";
    /// The parts of credit that stand on the log as allotted to shards, each until another takes its place, are together
    /// at most what the newest allotment says that the account, or the firm, has.
    CreditAllotted "credit-allotted" "the credit shared out between shards is no more than the firm's";
    /// Causes and every other sequence that an event names lie before it. What an auditor asked for may lie anywhere.
    CauseEarlier "cause-earlier" "causes and other sequences named lie before";
    /// The event that a report says it answers is an order, replacement, cancel or quote.
    AnswersOrder "answers-order" "reports answer orders that are on the log";
    /// A release covers orders of its epoch and gateway only, each once, no more than there are; what it goes through
    /// to is such an order, before it, and grows.
    ReleaseOrder "release-order" "releases cover orders before them, and only grow";
    /// The watermark of a release is at or beyond the end of the order it goes through to, never falls, and is not
    /// beyond the release itself.
    ReleaseWatermark "release-watermark" "an order left when its watermark had passed";
    /// No venue answers an order before its release watermark passed. Releases are told late, so two things can be
    /// claimed. Where a release of kind durable or later covers every order of its range, the padding behind an answer
    /// records the order as durable: the venue had it after the journal said so, and the sequencer, which learnt
    /// of the answer, saw the watermark at least there. And in an epoch that ended in order, no order was answered
    /// that lies beyond every release. What a member refused before it left is no answer.
    ReportAfterRelease "report-after-release" "no venue answered an order before its release";
    /// Padding tells the last event in front of it and a durable watermark that never falls, is not beyond the
    /// padding, and is at or beyond that of any release of kind durable or later in front of it.
    DurableRecorded "durable-recorded" "padding records a durable watermark that can be";
    /// A trail whose first segment is not segment 1 has an event `RetentionAct` of kind `Expired` that names all
    /// segments in front: its beginning did not merely get lost.
    ExpirySaid "expiry-said" "a trail without its beginning says that it expired";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A rule does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleViolation {
    /// Which.
    pub rule: Rule,
    /// The event that shows it; for padding the last event in front.
    pub sequence: Sequence,
    /// Position of the frame.
    pub position: Position,
    /// Name of the message, or `padding`.
    pub message: &'static str,
    /// What had to be.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// A rule that does not hold, before it is known where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Breach {
    rule: Rule,
    expected: String,
    found: String,
}

/// Boxed, so that what is said of every frame stays small.
type Verdict = Result<(), Box<Breach>>;

fn breach(rule: Rule, expected: impl Into<String>, found: impl Into<String>) -> Verdict {
    Err(Box::new(Breach { rule, expected: expected.into(), found: found.into() }))
}

/// How often each rule was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckCounts([u64; Rule::ALL.len()]);

impl Default for CheckCounts {
    fn default() -> Self {
        Self([0; Rule::ALL.len()])
    }
}

impl CheckCounts {
    /// How often `rule` was asked.
    pub fn of(&self, rule: Rule) -> u64 {
        self.0[rule as usize]
    }

    #[inline]
    fn add(&mut self, rule: Rule) {
        self.0[rule as usize] += 1;
    }
}

/// An event and where it stands.
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

/// The rules and what they remember of the frames so far.
#[derive(Debug, Default)]
pub struct Rules {
    plans: Plans,
    counts: CheckCounts,
    segment: Option<SegmentHeader>,
    /// The first sequence that the trail has; what lies before is not there to be looked at.
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
    padding_bytes: u64,
    frame_bytes: u64,
    /// The last segment that a retention act says expired.
    expired: u64,
    unknown: BTreeMap<(u16, u16, u16), u64>,
}

impl Rules {
    /// Rules that have seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A segment begins. Every segment is told, also one without a frame.
    ///
    /// # Errors
    /// [`RuleViolation`]: segments of one epoch name different schemas.
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
        Ok(())
    }

    /// The trail, which begins with the segment of this header, is at its end.
    ///
    /// # Errors
    /// [`RuleViolation`]: it does not say where its beginning is.
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
            expected: format!("a RetentionAct on the trail that says that segment {} expired", index - 1),
            found: format!("the trail begins at segment {index}, and no retention act on it says why"),
        }))
    }

    /// The next frame of the segment, padding included.
    ///
    /// # Errors
    /// [`RuleViolation`], the first rule that does not hold. The rules are of no further use then.
    ///
    /// # Panics
    /// When no segment was told.
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
            let expected = format!("the last event in front, {}", self.last);
            return breach(Rule::DurableRecorded, expected, format!("lastSequence {last}"));
        }
        let durable = Position(padding.durable.get());
        self.releases.on_padding(position, durable, &self.orders)
    }

    #[inline]
    fn on_event(&mut self, site: &Site<'_>) -> Verdict {
        let Self {
            plans,
            counts,
            sessions,
            schemas,
            definitions,
            origins,
            refusals,
            credit,
            orders,
            releases,
            ..
        } = self;
        let (frame, first) = (&site.frame, self.first);
        let segment = self.segment.as_ref().expect("a segment was told");
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
        match plan.role {
            Role::SchemaText => schemas.on_text(frame),
            Role::Progress => origins.on_progress(frame, counts),
            Role::Allotment => credit.on_allotment(frame, counts),
            Role::Refused => refusals.on_refused(frame, counts),
            Role::Report => releases.on_report(plan, block, site, first, orders, counts),
            Role::Released => releases.on_released(site, orders, counts),
            Role::SessionEnd => releases.on_session_end(counts),
            Role::Request => {
                orders.on_request(site);
                origins.on_order(frame, counts)
            }
            Role::Retention => {
                if let Some(act) = frame.message::<RetentionAct>()
                    && act.kind == RetentionKind::EXPIRED
                {
                    self.expired = self.expired.max(act.to_segment.get());
                }
                Ok(())
            }
            Role::SessionStart | Role::Other | Role::Unknown => Ok(()),
        }
    }

    /// How often each rule was asked.
    pub fn counts(&self) -> &CheckCounts {
        &self.counts
    }

    /// The epochs so far, oldest first.
    pub fn epochs(&self) -> Vec<EpochSummary> {
        self.sessions.summaries(self.last, self.last_timestamp)
    }

    /// The last event so far; the one before the trail's first where there is none.
    pub fn last_sequence(&self) -> Sequence {
        self.last
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        if self.segment.is_some() { self.last.0 + 1 - self.first.0 } else { 0 }
    }

    /// Bytes of frames so far, and of padding among them.
    pub fn bytes(&self) -> (u64, u64) {
        (self.frame_bytes, self.padding_bytes)
    }

    /// The highest durable watermark that padding recorded.
    pub fn durable(&self) -> Option<Position> {
        self.releases.durable()
    }

    /// Messages that could not be judged: schema id, schema version, template id, how many.
    pub fn unknown(&self) -> impl Iterator<Item = (u16, u16, u16, u64)> {
        self.unknown.iter().map(|((schema, version, template), count)| (*schema, *version, *template, *count))
    }

    /// Instruments and accounts in orders and refusals that nobody defined.
    pub fn undefined_in_orders(&self) -> u64 {
        self.definitions.undefined_in_orders()
    }

    /// References to what may have been defined in front of the trail's first event.
    pub fn before_the_trail(&self) -> u64 {
        self.definitions.before_the_trail() + self.releases.before_the_trail()
    }
}

/// The root block as it was written.
#[inline]
fn block_of<'a>(frame: &Frame<'a>) -> &'a [u8] {
    let body = frame.body();
    &body[..body.len().min(frame.header().block_length.get().into())]
}

/// The number at `offset`, as long as the block has it.
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
        let found = format!("{} bytes in which they are not", frame.body().len());
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
