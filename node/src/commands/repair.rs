//! `stele repair`: shows the damage on a trail and, on request, repairs it without destroying any bytes.

mod pending;

use crate::act::{Act, Purpose};
use crate::cli::RepairArgs;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::readable::grouped;
use pending::PendingRepair;
use serde::Serialize;
use stele_bus::{Clock as _, UtcClock};
use stele_journal::repair::{Damage, DamageKind, Diagnosis, RepairError, RepairPlan, diagnose, perform};
use stele_journal::repair::{plan_cut, plan_restore};
use stele_journal::{Directory, LockError, TrailError, WriterLock};
use stele_wire::messages::{EndReason, RecoveryReport, RepairKind};
use zerocopy::little_endian::{U16, U32, U64};

#[derive(Serialize)]
struct RepairReport {
    /// Whether the trail was undamaged when it was examined.
    whole: bool,
    first_segment: u64,
    last_segment: u64,
    damage: Vec<DamageReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<PerformedRepair>,
}

#[derive(Serialize)]
struct DamageReport {
    segment: u64,
    file: String,
    what: String,
    offset: u64,
    position: Option<u64>,
    intact_up_to: u64,
    intact_again_from: Option<u64>,
}

/// A repair that was performed and recorded on the trail.
#[derive(Serialize)]
struct PerformedRepair {
    restored: Vec<u64>,
    set_aside: Vec<pending::SetAsideFile>,
    /// Sequences of the `RecoveryReport` events that record it.
    acts: Vec<u64>,
}

/// Prints the damage, or repairs it.
pub(crate) fn repair(args: &RepairArgs) -> Result<(), Failure> {
    let directory = Directory::new(&args.act.trail);
    let lock = lock(args)?;
    let is_asked = args.cut || args.restore.is_some();
    if let Some(pending) = PendingRepair::load(&directory)? {
        if !is_asked {
            let what = format!("an earlier repair of {} was interrupted", args.act.trail.display());
            return Err(Failure::not_so(what).help(format!("run `{}` again to complete it", pending.command)));
        }
        return finish(args, &directory, lock, &pending, None);
    }
    let progress = Progress::new("examining", "bytes", None);
    let mut bytes = 0;
    let diagnosis = diagnose(&directory, &mut |more| {
        bytes += more;
        progress.set(bytes);
    });
    drop(progress);
    let diagnosis = diagnosis.map_err(|error| match error {
        TrailError::NoTrail(_) => {
            Failure::environment(error).help("a trail is a directory written by `stele run` or `stele demo`")
        }
        error => Failure::environment(error),
    })?;
    if !is_asked || diagnosis.damage.is_empty() {
        return print_diagnosis(args, &diagnosis);
    }
    let plan = match &args.restore {
        Some(copies) => plan_restore(&directory, &diagnosis, copies),
        None => plan_cut(&directory, &diagnosis),
    };
    let plan: RepairPlan = plan.map_err(|error| match error {
        RepairError::Trail(_) => Failure::environment(error),
        error => Failure::not_so(error),
    })?;
    let pending = PendingRepair::new(args, &diagnosis, &plan);
    pending.store(&directory)?;
    finish(args, &directory, lock, &pending, Some(&diagnosis))
}

/// Takes the writer's lock. A trail on a read-only medium can be examined without it.
fn lock(args: &RepairArgs) -> Result<Option<WriterLock>, Failure> {
    let path = args.act.trail.display();
    match WriterLock::take(&args.act.trail, UtcClock::new().now()) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held(owner)) => {
            Err(Failure::environment(format!("{path} is being written by another process ({owner})"))
                .help("stop that process first: bytes that it has not written yet would look like damage"))
        }
        Err(LockError::Io(_)) if args.act.trail.is_dir() && !args.cut && args.restore.is_none() => Ok(None),
        Err(LockError::Io(error)) => Err(Failure::environment(format!("cannot lock {path}: {error}"))
            .help("a trail is a directory written by `stele run` or `stele demo`")),
    }
}

/// Performs the stored plan, then records the repair on the trail.
fn finish(
    args: &RepairArgs,
    directory: &Directory,
    lock: Option<WriterLock>,
    pending: &PendingRepair,
    diagnosis: Option<&Diagnosis>,
) -> Result<(), Failure> {
    perform(directory, &pending.steps()).map_err(Failure::environment)?;
    drop(lock);
    let purpose = Purpose {
        command: &pending.command,
        reason: &pending.reason,
        later_than: pending.later_than,
        ..Purpose::default()
    };
    let mut act = Act::begin(&args.act.trail, &purpose)?;
    let recorded = pending.recorded(directory, act.epoch())?;
    let mut acts = Vec::new();
    for aside in pending.set_aside.iter().filter(|aside| !recorded.contains(&aside.kept)) {
        let block = RecoveryReport {
            end: U64::new(pending.end.unwrap_or(act.recovery.end.0)),
            segment: U64::new(aside.segment),
            offset: U64::new(aside.offset),
            cut_bytes: U64::new(aside.bytes),
            cut_events: aside.events.map_or(RecoveryReport::NULL.cut_events, U64::new),
            set_aside_hash: aside.hash()?,
            person: U32::new(pending.person),
            kind: if pending.restored.is_empty() { RepairKind::SET_ASIDE } else { RepairKind::RESTORED },
            ..RecoveryReport::NULL
        };
        acts.push(act.enter(&block, |writer| writer.data::<U16>(aside.kept.as_bytes()))?.0);
    }
    for &segment in pending.restored.iter().filter(|segment| !pending.keeps(**segment)) {
        let block = RecoveryReport {
            end: U64::new(act.recovery.end.0),
            segment: U64::new(segment),
            cut_bytes: U64::new(0),
            person: U32::new(pending.person),
            kind: RepairKind::RESTORED,
            ..RecoveryReport::NULL
        };
        acts.push(act.enter(&block, |writer| writer.data::<U16>(b""))?.0);
    }
    act.end(EndReason::FINISHED, &pending.reason)?;
    PendingRepair::remove(directory)?;
    let done =
        PerformedRepair { restored: pending.restored.clone(), set_aside: pending.set_aside.clone(), acts };
    if args.act.output.json {
        let report = diagnosis.map(|diagnosis| RepairReport::new(diagnosis, None));
        let report = report.unwrap_or(RepairReport {
            whole: false,
            first_segment: 0,
            last_segment: 0,
            damage: Vec::new(),
            done: None,
        });
        return super::print_json(&RepairReport { done: Some(done), ..report });
    }
    super::print_page(&done.page())
}

fn print_diagnosis(args: &RepairArgs, diagnosis: &Diagnosis) -> Result<(), Failure> {
    let report = RepairReport::new(diagnosis, None);
    if args.act.output.json {
        super::print_json(&report)?;
    } else {
        super::print_page(&page(args, diagnosis))?;
    }
    match diagnosis.damage.len() {
        0 => Ok(()),
        1 => Err(Failure::not_so("1 segment is damaged").help(options(args))),
        count => Err(Failure::not_so(format!("{count} segments are damaged")).help(options(args))),
    }
}

fn options(args: &RepairArgs) -> String {
    let trail = args.act.trail.display();
    format!(
        "`stele repair {trail} --restore COPY` replaces damaged segments with intact copies; \
         `stele repair {trail} --cut --reason TEXT --by ID` sets aside the damage and everything after it"
    )
}

fn page(args: &RepairArgs, diagnosis: &Diagnosis) -> String {
    let (first, last) = (diagnosis.first, diagnosis.last);
    let Some(front) = diagnosis.damage.first() else {
        return format!(
            "nothing to repair: segments {first} to {last} of {} are intact, up to sequence {}\n",
            args.act.trail.display(),
            diagnosis.last_sequence
        );
    };
    let mut page = format!("segments {first} to {last} of trail {}\n", diagnosis.identity.trail);
    for damage in &diagnosis.damage {
        page += &describe(damage);
    }
    let needed: Vec<String> = diagnosis.damage.iter().map(|damage| damage.index.to_string()).collect();
    let lost = diagnosis.last_sequence.0.saturating_sub(front.after.0);
    page + &format!(
        "options\n  --restore  needs intact copies of segments {}; loses nothing\n  --cut      keeps the log up to \
         sequence {}, and sets aside everything after it: {} events\n",
        needed.join(", "),
        front.after,
        grouped(lost)
    )
}

fn describe(damage: &Damage) -> String {
    let Damage { file, offset, position, after, beyond, what, .. } = damage;
    let place = match (damage.kind, position) {
        (DamageKind::Content, Some(position)) => format!(", offset {offset} (position {position})"),
        _ => String::new(),
    };
    let beyond = beyond
        .map_or("nothing intact after it".to_owned(), |beyond| format!("and again from sequence {beyond}"));
    format!("  {file}{place}: {what}\n    intact up to sequence {after}, {beyond}\n")
}

impl RepairReport {
    fn new(diagnosis: &Diagnosis, done: Option<PerformedRepair>) -> Self {
        let damage = diagnosis.damage.iter().map(|damage| DamageReport {
            segment: damage.index,
            file: damage.file.clone(),
            what: damage.what.clone(),
            offset: damage.offset,
            position: damage.position.map(|position| position.0),
            intact_up_to: damage.after.0,
            intact_again_from: damage.beyond.map(|beyond| beyond.0),
        });
        Self {
            whole: diagnosis.damage.is_empty(),
            first_segment: diagnosis.first,
            last_segment: diagnosis.last,
            damage: damage.collect(),
            done,
        }
    }
}

impl PerformedRepair {
    fn page(&self) -> String {
        let mut page = String::new();
        for segment in &self.restored {
            page += &format!("segment {segment}: restored from a verified copy\n");
        }
        for pending::SetAsideFile { kept, bytes, sha256, .. } in &self.set_aside {
            page += &format!("set aside {} bytes in {kept}, SHA-256 {sha256}\n", grouped(*bytes));
        }
        let acts: Vec<String> = self.acts.iter().map(u64::to_string).collect();
        page + &format!("recorded on the trail as RecoveryReport, sequence {}\n", acts.join(", "))
    }
}
