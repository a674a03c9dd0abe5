//! Verifies a trail: storage and meaning, in one read.
//!
//! ```text
//!    n threads        one segment each: CRC, sequence, time (direct I/O)           ──┐ verified frames
//!  one thread           combines their results: chain of segments                   │ in log order
//!  the caller's thread  applies the rules  <────────────────────────────────────────┘
//! ```
//!
//! The rules depend on the order of the log; the amount that is read ahead of them is limited.

use crate::broken::{BrokenTrail, Finding, IntactPrefix};
use crate::rules::{Reach, Rule, RuleViolation, Rules};
use crate::verified::{OpenEnd, ReadSpeed, RuleCount, SEALS_NOT_CHECKED, UnknownMessages, VerifiedTrail};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use stele_journal::scan::{ScanOptions, SegmentVisitor, scan};
use stele_journal::verify::{LogVisitor, VerifyReport, verify_with};
use stele_journal::{Directory, ReadMethod, Segment, Storage, TrailError, find_segments};
use stele_wire::{Frame, Position, Sequence};

/// Options of a verification.
#[derive(Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// Number of threads that read and check the storage, in addition to the one that applies the rules; 0
    /// means one less than the CPUs available to this process, and at least 1.
    pub threads: usize,
    /// Called from any thread with the number of bytes read and the total number of bytes.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// How whole segment files are read; without it, as the journal reads them.
    pub method: Option<&'a dyn ReadMethod>,
}

/// Why a trail does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no trail, or it cannot be read: this is not an error of the trail.
    #[error(transparent)]
    Unreadable(#[from] TrailError),
    /// The trail is not what its writer left.
    #[error("{0}")]
    Broken(Box<BrokenTrail>),
}

/// The rules about the bytes, which the journal checks: name and sentence. A header that cannot be read is
/// reported as `header`.
pub const STORAGE_RULES: &[(&str, &str)] = &[
    ("frame", "every frame has the CRC of its bytes, seeded with trail, shard and epoch"),
    ("no-gap", "sequences have no gap"),
    ("time", "time does not go backwards"),
    ("link", "every segment names the SHA-256 of the previous one"),
];

/// Verifies the trail in `directory`. If it is being written, it is verified up to its current end.
///
/// # Errors
/// [`VerifyError::Broken`] with the first error and what is intact before it; [`VerifyError::Unreadable`]
/// when there is no trail, or it cannot be read.
///
/// # Examples
///
/// ```
/// use stele_compliance::{VerifyError, VerifyOptions, verify};
///
/// let directory = std::env::temp_dir().join("there-is-no-trail-here");
/// let error = verify(&directory, &VerifyOptions::default()).unwrap_err();
/// assert!(matches!(error, VerifyError::Unreadable(_)));
/// ```
pub fn verify(directory: &Path, options: &VerifyOptions<'_>) -> Result<VerifiedTrail, VerifyError> {
    let begun = Instant::now();
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1),
        threads => threads,
    };
    let mut meaning = Meaning::default();
    let scan = ScanOptions { threads, progress: options.progress, method: options.method, plain: false };
    let medium = verify_with(storage.as_ref(), &scan, &mut meaning);
    if medium.is_ok() {
        meaning.end();
    }
    let Meaning { rules, segments, violation } = meaning;
    match (medium, violation) {
        (Ok(report), None) => {
            let speed = |events| speed(begun, events, &report);
            Ok(verified(storage.as_ref(), &report, &rules, &segments, speed))
        }
        (medium, violation) => Err(broken(storage.as_ref(), medium.err(), violation, &rules, &segments)),
    }
}

/// The rules applied to a trail, up to the first violation.
#[derive(Default)]
struct Meaning {
    rules: Rules,
    segments: Vec<Segment>,
    violation: Option<(RuleViolation, Segment)>,
}

impl Meaning {
    fn judge(&mut self, verdict: Result<(), Box<RuleViolation>>, segment: Segment) -> ControlFlow<()> {
        let Err(violation) = verdict else { return ControlFlow::Continue(()) };
        self.violation = Some((*violation, segment));
        ControlFlow::Break(())
    }

    /// Ends the trail, whose storage has no errors.
    fn end(&mut self) {
        if self.violation.is_none()
            && let Some(first) = self.segments.first().copied()
        {
            let verdict = self.rules.on_end(&first.header);
            let _ = self.judge(verdict, first);
        }
    }
}

impl LogVisitor for Meaning {
    fn on_segment(&mut self, segment: &Segment) -> ControlFlow<()> {
        self.segments.push(*segment);
        let verdict = self.rules.on_segment(&segment.header);
        self.judge(verdict, *segment)
    }

    #[inline]
    fn on_frame(&mut self, position: Position, frame: &Frame<'_>) -> ControlFlow<()> {
        match self.rules.on_frame(position, frame) {
            Ok(()) => ControlFlow::Continue(()),
            verdict => self.judge(verdict, *self.segments.last().expect("a segment was begun")),
        }
    }
}

fn verified(
    storage: &dyn Storage,
    report: &VerifyReport,
    rules: &Rules,
    segments: &[Segment],
    speed: impl FnOnce(u64) -> ReadSpeed,
) -> VerifiedTrail {
    let header = &segments[0].header;
    let (last, events) = (report.last_sequence, report.events);
    let epochs = rules.epochs();
    let (log_bytes, padding_bytes) = rules.bytes();
    let links = (report.segments as u64).saturating_sub(1);
    let medium = STORAGE_RULES.iter().map(|(rule, sentence)| RuleCount {
        rule,
        sentence,
        checked: if *rule == "link" { links } else { events },
    });
    let meant = Rule::ALL.iter().map(|rule| RuleCount {
        rule: rule.name(),
        sentence: rule.sentence(),
        checked: rules.counts().of(*rule),
    });
    let unknown = |(schema, version, template, count)| UnknownMessages { schema, version, template, count };
    let ended = epochs.last().map_or(0, |epoch| epoch.ended);
    VerifiedTrail {
        directory: storage.describe("").trim_end_matches('/').to_owned(),
        trail: header.identity.trail.to_string(),
        shard: header.identity.shard.0,
        segments: report.segments as u64,
        began: header.created.0,
        ended,
        epochs,
        events,
        first_sequence: report.first_sequence.0,
        last_sequence: last.0,
        log_bytes,
        padding_bytes,
        durable: rules.durable().map(|durable| durable.0),
        open_end: report.open_tail.as_ref().map(|tail| OpenEnd {
            file: tail.file.clone(),
            offset: tail.offset,
            torn: tail.torn,
        }),
        rules: medium.chain(meant).collect(),
        unknown: rules.unknown().map(unknown).collect(),
        undefined_in_orders: rules.undefined_in_orders(),
        unexplained_refusals: rules.unexplained_refusals(),
        before_the_trail: rules.before_the_trail(),
        seals: None,
        not_checked: not_checked(report, rules),
        speed: speed(events),
    }
}

fn not_checked(report: &VerifyReport, rules: &Rules) -> Vec<String> {
    let mut sentences = vec![
        SEALS_NOT_CHECKED.to_owned(),
        "that parties, desks, algorithms and codes were defined before events name them".to_owned(),
        "that the strategies would send these orders: `stele check-strategy` does".to_owned(),
    ];
    if report.first_sequence > Sequence(1) {
        let references = rules.before_the_trail();
        sentences.push(format!(
            "definitions before the trail's first event, {}: {references} references may lead there",
            report.first_sequence
        ));
    }
    let names = |rules: &mut dyn Iterator<Item = Rule>| rules.map(Rule::name).collect::<Vec<_>>().join(", ");
    if report.first_sequence > Sequence(1) {
        let of_reach =
            |reach| names(&mut Rule::ALL.iter().copied().filter(move |rule| rule.reach() == reach));
        sentences.push(format!(
            "on this trail without its beginning: {}; and of {} only what refers to events on the trail",
            of_reach(Reach::Nothing),
            of_reach(Reach::WhatIsKnown)
        ));
    }
    let later = names(&mut rules.not_of_earlier_versions());
    if !later.is_empty() {
        sentences
            .push(format!("events of an earlier version of the schema by the rules since then: {later}"));
    }
    if rules.unknown().next().is_some() {
        sentences.push("messages of other schemas and later versions".to_owned());
    }
    sentences
}

fn speed(begun: Instant, events: u64, report: &VerifyReport) -> ReadSpeed {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = |count: u64| count as f64 / seconds.max(1e-9);
    ReadSpeed {
        seconds,
        events_per_second: rate(events),
        bytes_per_second: rate(report.scan.bytes),
        threads: report.scan.threads,
        method: report.scan.method,
        refusals: report.scan.refusals.clone(),
    }
}

/// Returns the first error, and what is intact before it.
fn broken(
    storage: &dyn Storage,
    medium: Option<TrailError>,
    violation: Option<(RuleViolation, Segment)>,
    rules: &Rules,
    segments: &[Segment],
) -> VerifyError {
    let meant = violation.as_ref().map(|(violation, segment)| {
        Finding::of_violation(violation, &segment.header, storage.describe(&segment.name()))
    });
    let Some(error) = medium else {
        let (violation, segment) = violation.expect("one of the two is wrong");
        let first = meant.expect("made of the violation");
        let intact = before_violation(&violation, &segment, segments);
        return VerifyError::Broken(Box::new(BrokenTrail { first, also: None, intact }));
    };
    let Some(found) = Finding::of_medium(&error) else { return error.into() };
    let intact = match before_damage(storage, &error, rules) {
        Ok(intact) => intact,
        Err(error) => return error.into(),
    };
    let comes_first = |violation: &RuleViolation, segment: &Segment| match &error {
        // The link shows that the previous segment was changed: a broken rule in it shows where.
        TrailError::Link { file, .. } => storage.describe(&segment.name()) < *file,
        _ => violation.sequence.0 <= intact.last_sequence,
    };
    let broken = match (violation, meant) {
        (Some((violation, segment)), Some(first)) if comes_first(&violation, &segment) => {
            BrokenTrail { first, also: Some(found), intact: before_violation(&violation, &segment, segments) }
        }
        (_, also) => BrokenTrail { first: found, also, intact },
    };
    VerifyError::Broken(Box::new(broken))
}

fn before_violation(violation: &RuleViolation, segment: &Segment, segments: &[Segment]) -> IntactPrefix {
    let first = segments[0].header.base_sequence.0;
    // The violating event is not intact; padding and headers come after the last intact event.
    let is_event = !matches!(violation.message, "padding" | "segment header");
    let last = violation.sequence.0 - u64::from(is_event);
    IntactPrefix {
        segments: segment.header.index - segments[0].header.index,
        events: (last + 1).saturating_sub(first),
        last_sequence: last,
        has_meaning: true,
    }
}

/// Determines what is intact before an error of the storage. If the error is in a header, nothing was read
/// yet, and the segments before it are read now.
fn before_damage(
    storage: &dyn Storage,
    error: &TrailError,
    rules: &Rules,
) -> Result<IntactPrefix, TrailError> {
    let (file, last) = match error {
        TrailError::Frame { file, after, .. } => (file, Some(*after)),
        TrailError::Link { file, .. }
        | TrailError::Chain { file, .. }
        | TrailError::Header { file, .. }
        | TrailError::Blank { file }
        | TrailError::Missing { file } => (file, None),
        _ => return Ok(IntactPrefix::default()),
    };
    let found = find_segments(storage)?;
    let first =
        found.first().and_then(|first| first.state.header()).map_or(1, |header| header.base_sequence.0);
    let mut front: Vec<Segment> = Vec::new();
    for found in found {
        let name = stele_journal::format::segment_name(found.index);
        let Some(header) = found.state.header().filter(|_| storage.describe(&name) < *file) else { break };
        front.push(Segment { header: *header, file_length: found.file_length });
    }
    if matches!(error, TrailError::Link { .. }) {
        // The link shows that one of the two segments was changed, but not which.
        front.pop();
    }
    let (segments, last) = match last {
        Some(last) => (front.len() as u64, last),
        None => whole(storage, &front)?,
    };
    let has_meaning = rules.last_sequence() >= last && rules.events() > 0;
    let events = (last.0 + 1).saturating_sub(first);
    Ok(IntactPrefix { segments, events, last_sequence: last.0, has_meaning })
}

struct Nothing;

impl SegmentVisitor for Nothing {
    type Output = ();

    fn on_frame(&mut self, _: Position, _: &Frame<'_>) {}

    fn finish(self) {}
}

/// The number of these segments that hold nothing but frames, and the last event in them.
fn whole(storage: &dyn Storage, segments: &[Segment]) -> Result<(u64, Sequence), TrailError> {
    let (mut count, mut last) = (0, Sequence(0));
    scan(
        storage,
        segments,
        &ScanOptions::default(),
        |_| Nothing,
        |scan| {
            last = scan.last_sequence;
            if scan.fault.is_some() {
                return ControlFlow::Break(());
            }
            count += 1;
            ControlFlow::Continue(())
        },
    )?;
    Ok((count, last))
}
