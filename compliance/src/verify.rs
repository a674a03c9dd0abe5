//! Verifies a trail: the medium and the meaning, side by side.
//!
//! ```text
//!  caller's thread    every frame in the order of the log ──> rules
//!  a thread           waits for the journal's check; folds its results: chain of segments
//!    n threads        a segment each: CRC, sequence, time (glommio, direct I/O)
//! ```
//!
//! Both read the whole trail: the rules depend on the order of the log, the medium's check does not and takes
//! as many threads as there are.

use crate::broken::{Broken, Finding, Intact};
use crate::rules::{Rule, Rules, Violation};
use crate::verified::{OpenEnd, RuleCount, Speed, Unknown, Verified};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use stele_journal::scan::{ScanOptions, SegmentVisitor, scan};
use stele_journal::verify::VerifyReport;
use stele_journal::{Directory, Segment, Storage, TrailError, TrailReader, find_segments, read_segments};
use stele_wire::{Frame, Position, Sequence};

/// How a verification runs.
#[derive(Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// Threads that check the medium, beside the one that applies the rules; 0 is one less than the CPUs that this
    /// process may use, and 1 at least.
    pub threads: usize,
    /// Called from any thread with the work done and the work in all, in bytes. Each byte is work twice.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

/// Why a trail is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is none, or it cannot be read: that says nothing about it.
    #[error(transparent)]
    Unreadable(#[from] TrailError),
    /// It is not what its writer left.
    #[error("{0}")]
    Broken(Box<Broken>),
}

/// Verifies the trail in `directory`, which may be being written: then up to where it is.
///
/// # Errors
/// [`VerifyError::Broken`] with the first thing wrong and what is intact in front of it; [`VerifyError::Unreadable`]
/// when there is no trail, or no way to read it.
pub fn verify(directory: &Path, options: &VerifyOptions<'_>) -> Result<Verified, VerifyError> {
    let begun = Instant::now();
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
    let work = Work { done: AtomicU64::new(0), total: AtomicU64::new(0), progress: options.progress };
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1),
        threads => threads,
    };
    let (medium, meaning) = std::thread::scope(|scope| {
        let medium = scope.spawn(|| check_medium(storage.as_ref(), threads, &work));
        let meaning = check_meaning(&storage, &work);
        (medium.join().expect("the journal's check does not panic"), meaning)
    });
    let Meaning { rules, segments, violation, stopped } = match (&medium, meaning) {
        (_, Ok(meaning)) => meaning,
        // The same headers keep both from beginning.
        (Err(_), Err(_)) => Meaning::default(),
        (Ok(_), Err(error)) => return Err(error.into()),
    };
    match (medium.and_then(|report| stopped.map_or(Ok(report), Err)), violation) {
        (Ok(report), None) => {
            let speed = |events| speed(begun, events, &report);
            Ok(verified(storage.as_ref(), &report, &rules, &segments, speed))
        }
        (medium, violation) => Err(broken(storage.as_ref(), medium.err(), violation, &rules, &segments)),
    }
}

/// How far both checks are together.
struct Work<'a> {
    done: AtomicU64,
    total: AtomicU64,
    progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

impl Work<'_> {
    fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = self.progress {
            progress(done, self.total.load(Ordering::Relaxed).max(done));
        }
    }
}

fn check_medium(storage: &dyn Storage, threads: usize, work: &Work<'_>) -> Result<VerifyReport, TrailError> {
    let seen = AtomicU64::new(0);
    let progress = |done: u64, total: u64| {
        work.total.store(total * 2, Ordering::Relaxed);
        // Threads may overtake each other between the count and this call; what one leaves out, the other adds.
        let before = seen.fetch_max(done, Ordering::Relaxed);
        work.add(done.saturating_sub(before));
    };
    let options = ScanOptions { threads, progress: Some(&progress), plain: false };
    stele_journal::verify::verify(storage, &options)
}

/// What the rules made of a trail.
#[derive(Default)]
struct Meaning {
    rules: Rules,
    segments: Vec<Segment>,
    violation: Option<(Violation, Segment)>,
    /// What stands in the place of the next frame, where it is no frame.
    stopped: Option<TrailError>,
}

/// Bytes of log between two reports of progress.
const PROGRESS_BYTES: u64 = 4 << 20;

/// Reads the trail in order and applies the rules, up to the first violation, the end, or the first byte that is no
/// frame, which is the medium's to judge.
fn check_meaning(storage: &Arc<dyn Storage>, work: &Work<'_>) -> Result<Meaning, TrailError> {
    let mut reader = TrailReader::over(storage.clone())?;
    let mut meaning = Meaning { segments: reader.segments().to_vec(), ..Meaning::default() };
    let (mut told, mut reported) = (0, 0);
    loop {
        let entry = match reader.read_next_frame() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error @ TrailError::Io { .. }) => return Err(error),
            Err(error) => {
                meaning.stopped = Some(error);
                return Ok(meaning);
            }
        };
        if told == 0 || meaning.segments[told - 1].header.index < entry.segment {
            if meaning.segments.last().is_none_or(|last| last.header.index < entry.segment) {
                meaning.segments = read_segments(storage.as_ref())?;
            }
            if !meaning.begin_segments(&mut told, entry.segment) {
                return Ok(meaning);
            }
        }
        if let Err(violation) = meaning.rules.on_frame(entry.position, &entry.frame) {
            meaning.violation = Some((*violation, meaning.segments[told - 1]));
            return Ok(meaning);
        }
        let (bytes, _) = meaning.rules.bytes();
        if bytes - reported >= PROGRESS_BYTES {
            work.add(bytes - reported);
            reported = bytes;
        }
    }
    work.add(meaning.rules.bytes().0 - reported);
    meaning.begin_segments(&mut told, u64::MAX);
    Ok(meaning)
}

impl Meaning {
    /// Tells the rules of segments up to the one of this index. Whether the rules hold.
    fn begin_segments(&mut self, told: &mut usize, index: u64) -> bool {
        while let Some(segment) = self.segments.get(*told).filter(|segment| segment.header.index <= index) {
            *told += 1;
            if let Err(violation) = self.rules.on_segment(&segment.header) {
                self.violation = Some((*violation, *segment));
                return false;
            }
        }
        true
    }
}

fn verified(
    storage: &dyn Storage,
    report: &VerifyReport,
    rules: &Rules,
    segments: &[Segment],
    speed: impl FnOnce(u64) -> Speed,
) -> Verified {
    let header = &segments[0].header;
    // A live trail may have grown between the two checks: what both have seen is what is said.
    let last = report.last_sequence.min(rules.last_sequence());
    let events = (last.0 + 1).saturating_sub(report.first_sequence.0);
    let epochs = rules.epochs();
    let (log_bytes, padding_bytes) = rules.bytes();
    let medium = [
        ("frame", "every frame has the CRC of its bytes, seeded with trail, shard and epoch"),
        ("no-gap", "sequences have no gap"),
        ("time", "time does not run backwards"),
    ];
    let medium = medium.map(|(rule, sentence)| RuleCount { rule, sentence, checked: events });
    let links = RuleCount {
        rule: "link",
        sentence: "every segment names the SHA-256 of the one in front",
        checked: (report.segments as u64).saturating_sub(1),
    };
    let meant = Rule::ALL.iter().map(|rule| RuleCount {
        rule: rule.name(),
        sentence: rule.sentence(),
        checked: rules.counts().of(*rule),
    });
    let unknown = |(schema, version, template, count)| Unknown { schema, version, template, count };
    let ended = epochs.last().map_or(0, |epoch| epoch.ended);
    Verified {
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
        rules: medium.into_iter().chain([links]).chain(meant).collect(),
        unknown: rules.unknown().map(unknown).collect(),
        undefined_in_orders: rules.undefined_in_orders(),
        not_checked: not_checked(report, rules),
        speed: speed(events),
    }
}

fn not_checked(report: &VerifyReport, rules: &Rules) -> Vec<String> {
    let mut sentences = vec![
        "seals: someone who rewrote an event and everything behind it, CRCs and links included, is not found out"
            .to_owned(),
        "that parties, desks, algorithms and codes were defined before events name them".to_owned(),
        "that the strategies would send these orders: `stele check-strategy` does".to_owned(),
    ];
    if report.first_sequence > Sequence(1) {
        let references = rules.before_the_trail();
        sentences.push(format!(
            "what stands before sequence {}: {references} references may lead there",
            report.first_sequence
        ));
    }
    if rules.unknown().next().is_some() {
        sentences.push("what messages of other schemas and later versions mean".to_owned());
    }
    sentences
}

fn speed(begun: Instant, events: u64, report: &VerifyReport) -> Speed {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = |count: u64| count as f64 / seconds.max(1e-9);
    Speed {
        seconds,
        events_per_second: rate(events),
        bytes_per_second: rate(report.scan.bytes),
        threads: report.scan.threads,
        without_glommio: report.scan.without_glommio.clone(),
    }
}

/// Names the first thing wrong, and counts what is intact in front of it.
fn broken(
    storage: &dyn Storage,
    medium: Option<TrailError>,
    violation: Option<(Violation, Segment)>,
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
        return VerifyError::Broken(Box::new(Broken { first, also: None, intact }));
    };
    let Some(found) = Finding::of_medium(&error) else { return error.into() };
    let intact = match before_damage(storage, &error, rules) {
        Ok(intact) => intact,
        Err(error) => return error.into(),
    };
    let comes_first = |violation: &Violation, segment: &Segment| match &error {
        // The link shows that the segment in front was changed: what breaks a rule there says where.
        TrailError::Link { file, .. } => storage.describe(&segment.name()) < *file,
        _ => violation.sequence.0 <= intact.last_sequence,
    };
    let broken = match (violation, meant) {
        (Some((violation, segment)), Some(first)) if comes_first(&violation, &segment) => {
            Broken { first, also: Some(found), intact: before_violation(&violation, &segment, segments) }
        }
        (_, also) => Broken { first: found, also, intact },
    };
    VerifyError::Broken(Box::new(broken))
}

fn before_violation(violation: &Violation, segment: &Segment, segments: &[Segment]) -> Intact {
    let first = segments[0].header.base_sequence.0;
    // A wrong event is not intact; padding and headers stand behind the last one that is.
    let is_event = !matches!(violation.message, "padding" | "segment header");
    let last = violation.sequence.0 - u64::from(is_event);
    Intact {
        segments: segment.header.index - segments[0].header.index,
        events: (last + 1).saturating_sub(first),
        last_sequence: last,
        has_meaning: true,
    }
}

/// What is intact in front of what the journal found. Where that is a header, nothing was read yet: the segments in
/// front of it are read now.
fn before_damage(storage: &dyn Storage, error: &TrailError, rules: &Rules) -> Result<Intact, TrailError> {
    let (file, last) = match error {
        TrailError::Frame { file, after, .. } => (file, Some(*after)),
        TrailError::Link { file, .. }
        | TrailError::Chain { file, .. }
        | TrailError::Header { file, .. }
        | TrailError::Blank { file }
        | TrailError::Missing { file } => (file, None),
        _ => return Ok(Intact::default()),
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
        // The link tells that one of the two was changed, not which.
        front.pop();
    }
    let (segments, last) = match last {
        Some(last) => (front.len() as u64, last),
        None => whole(storage, &front)?,
    };
    let has_meaning = rules.last_sequence() >= last && rules.events() > 0;
    let events = (last.0 + 1).saturating_sub(first);
    Ok(Intact { segments, events, last_sequence: last.0, has_meaning })
}

struct Nothing;

impl SegmentVisitor for Nothing {
    type Output = ();

    fn on_frame(&mut self, _: Position, _: &Frame<'_>) {}

    fn finish(self) {}
}

/// How many of these segments hold nothing but frames, and the last event there.
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
