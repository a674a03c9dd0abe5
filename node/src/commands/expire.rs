//! `stele expire`: removes the segments that the retention policy no longer keeps, oldest first, after
//! recording the removal on the trail.

use crate::act::{Act, Purpose, segments_of};
use crate::cli::ExpireArgs;
use crate::config::{Config, RetentionConfig};
use crate::failure::Failure;
use crate::prelude::snapshot_taken;
use crate::readable::grouped;
use crate::survey::survey;
use crate::wall::WallClock;
use serde::Serialize;
use std::collections::BTreeMap;
use stele_journal::retention::{
    RecordClass, RetentionPolicy, RetentionVerdict, TrailRecords, content_hash, decide,
};
use stele_journal::snapshot::{self, Snapshot, snapshot_name};
use stele_journal::{Directory, Segment, Storage as _};
use stele_wire::messages::{EndReason, RetentionAct, RetentionKind};
use zerocopy::little_endian::{U16, U32, U64};

const DAY: u64 = 24 * 3600 * 1_000_000_000;

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    /// Segments that were removed, or would be in a dry run.
    expired: Vec<u64>,
    stays: Vec<Stay>,
    /// Uncompressed bytes of the segments that stay, and the maximum of the configuration.
    bytes: u64,
    bytes_max: Option<u64>,
    /// Sequences of the `RetentionAct` events that record it.
    acts: Vec<u64>,
}

#[derive(Serialize)]
struct Stay {
    segment: u64,
    because: Vec<String>,
}

/// Decides which segments expire, removes them unless it is a dry run, and prints a report.
pub(crate) fn expire(args: &ExpireArgs) -> Result<(), Failure> {
    let retention = Config::retention(args.config.config.as_deref())?;
    let clock = WallClock::read();
    let now = args.now.map_or(Ok(clock), |moment| moment.from(clock))?;
    let surveyed = survey(&args.act.trail)?;
    let directory = Directory::new(&args.act.trail);
    let segments = segments_of(&args.act.trail)?;
    let snapshot = snapshot::newest(&directory, &segments).map_err(Failure::environment)?.snapshot;
    let after = snapshot.as_ref().map(|snapshot| snapshot.origin.segment);
    let verdicts = decide(&policy(&retention), &surveyed.segments, &surveyed.holds, after, now);
    let acts = if args.dry_run {
        Vec::new()
    } else {
        carry_out(args, &directory, &surveyed, snapshot.as_ref(), &verdicts)?
    };
    let report = Report::new(args.dry_run, &retention, &surveyed, &verdicts, acts);
    if args.act.output.json { super::print_json(&report) } else { super::print_page(&report.page()) }
}

fn policy(retention: &RetentionConfig) -> RetentionPolicy {
    let days = |class: RecordClass| match class {
        RecordClass::MarketData => retention.market_data_days,
        RecordClass::Reference => retention.reference_days,
        RecordClass::Orders => retention.orders_days,
        RecordClass::Control => retention.control_days,
    };
    let age = |class| (class, days(class).unwrap_or(retention.keep_days).saturating_mul(DAY));
    RetentionPolicy { ages: RecordClass::ALL.map(age).into_iter().collect::<BTreeMap<_, _>>() }
}

/// Records the acts, makes them durable, and only then removes the expired segments, oldest first.
fn carry_out(
    args: &ExpireArgs,
    directory: &Directory,
    surveyed: &TrailRecords,
    snapshot: Option<&Snapshot>,
    verdicts: &[RetentionVerdict],
) -> Result<Vec<u64>, Failure> {
    let expired: Vec<u64> = expired(verdicts);
    let held: Vec<u64> =
        verdicts.iter().filter(|verdict| verdict.is_held_back()).map(|verdict| verdict.index).collect();
    if expired.is_empty() && held.is_empty() {
        return Ok(Vec::new());
    }
    let reason = args.reason.as_deref().unwrap_or_default();
    let purpose =
        Purpose { command: "stele expire", reason, repeat_schema: !expired.is_empty(), ..Purpose::default() };
    let mut act = Act::begin(&args.act.trail, &purpose)?;
    let segments = segments_of(&args.act.trail)?;
    // The snapshot that replaces the expired segments must be recorded before they are removed.
    if let Some(Snapshot { origin, digest, .. }) = snapshot
        && !expired.is_empty()
        && !surveyed.snapshots.contains(&(digest.hash, digest.length))
    {
        act.enter(&snapshot_taken(origin, digest), |_| Ok(()))?;
    }
    let mut acts = Vec::new();
    // Segments that an earlier act declared expired, but a crash left in place, need no second act.
    let new: Vec<u64> = expired.iter().copied().filter(|index| *index > surveyed.expired_to).collect();
    for (run, kind) in runs(&new, RetentionKind::EXPIRED).chain(runs(&held, RetentionKind::HELD_BACK)) {
        let block = retention_act(&segments, run, kind, args.person.unwrap_or_default());
        acts.push(act.enter(&block, |writer| writer.data::<U16>(reason.as_bytes()))?.0);
    }
    let removed = remove(directory, &expired);
    let ending = if removed.is_ok() { EndReason::FINISHED } else { EndReason::AGENT_FAILED };
    act.end(ending, "")?;
    removed.map(|()| acts)
}

fn expired(verdicts: &[RetentionVerdict]) -> Vec<u64> {
    verdicts.iter().filter(|verdict| verdict.keep.is_empty()).map(|verdict| verdict.index).collect()
}

/// Splits sorted indexes into runs of consecutive ones.
fn runs(indexes: &[u64], kind: RetentionKind) -> impl Iterator<Item = (&[u64], RetentionKind)> {
    indexes.chunk_by(|one, next| one + 1 == *next).map(move |run| (run, kind))
}

fn retention_act(segments: &[Segment], run: &[u64], kind: RetentionKind, person: u32) -> RetentionAct {
    let at = |index: u64| {
        let at = segments.iter().position(|segment| segment.header.index == index);
        at.expect("every segment with a verdict exists")
    };
    let (first, last) = (at(run[0]), at(run[run.len() - 1]));
    RetentionAct {
        from_segment: U64::new(segments[first].header.index),
        to_segment: U64::new(segments[last].header.index),
        from_sequence: U64::new(segments[first].header.base_sequence.0),
        to_sequence: U64::new(segments[last + 1].header.base_sequence.0 - 1),
        content_hash: content_hash(&segments[first..=last + 1]),
        person: U32::new(person),
        kind,
        ..RetentionAct::NULL
    }
}

/// Removes segments, oldest first, with their index files and snapshots. The snapshot of the last one stays:
/// the rest of the trail starts from it.
fn remove(directory: &Directory, expired: &[u64]) -> Result<(), Failure> {
    let names =
        directory.list().map_err(|error| Failure::environment(format!("cannot list the trail: {error}")))?;
    for index in expired {
        let is_last = Some(index) == expired.last();
        let segment = stele_journal::format::segment_name(*index);
        let index_file = format!("{index:010}.index");
        let snapshot = snapshot_name(*index);
        let mine = names
            .iter()
            .filter(|name| **name == segment || **name == index_file || (**name == snapshot && !is_last));
        for name in mine {
            directory.remove(name).map_err(|error| {
                Failure::environment(format!("cannot remove {}: {error}", directory.describe(name)))
            })?;
        }
    }
    Ok(())
}

impl Report {
    fn new(
        dry_run: bool,
        retention: &RetentionConfig,
        surveyed: &TrailRecords,
        verdicts: &[RetentionVerdict],
        acts: Vec<u64>,
    ) -> Self {
        let expired = expired(verdicts);
        let staying = surveyed.segments.iter().filter(|segment| !expired.contains(&segment.index));
        let stays = verdicts.iter().filter(|verdict| !verdict.keep.is_empty());
        Self {
            dry_run,
            bytes: staying.map(|segment| segment.bytes).sum(),
            bytes_max: retention.size_max_gib.map(|gib| gib << 30),
            stays: stays
                .map(|verdict| Stay {
                    segment: verdict.index,
                    because: verdict.keep.iter().map(ToString::to_string).collect(),
                })
                .collect(),
            expired,
            acts,
        }
    }

    fn page(&self) -> String {
        let mut page = String::new();
        let goes = if self.dry_run { "would be removed" } else { "removed" };
        for segment in &self.expired {
            page += &format!("segment {segment}: {goes}\n");
        }
        for Stay { segment, because } in &self.stays {
            page += &format!("segment {segment}: kept: {}\n", because.join("; "));
        }
        if self.expired.is_empty() {
            page += "nothing to remove\n";
        }
        if let Some(most) = self.bytes_max.filter(|most| *most < self.bytes) {
            page += &format!(
                "{} bytes are kept, more than the configured maximum of {}: minimum ages take precedence\n",
                grouped(self.bytes),
                grouped(most)
            );
        }
        if !self.acts.is_empty() {
            let acts: Vec<String> = self.acts.iter().map(u64::to_string).collect();
            page += &format!("recorded on the trail as RetentionAct, sequence {}\n", acts.join(", "));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{ActArgs, ConfigArgs, OutputArgs};
    use std::path::Path;
    use stele_journal::TrailReader;
    use stele_wire::messages::{LegalHold, SchemaText, SwitchState};

    /// A trail of several segments, with a snapshot after segment 2 that is not recorded on it yet.
    fn trail(folder: &Path) {
        let mut config = Config::default();
        config.trail.dir = folder.to_owned();
        config.journal.segment_mib = 1;
        config.journal.engine = "plain".into();
        config.feed.seconds = Some(1.5);
        config.snapshots.every = "never".into();
        crate::commands::run::session_report(&config, &stele_strategies::Registry::built_in(), 1, false)
            .unwrap();
        let segments = segments_of(folder).unwrap();
        assert!(segments.len() > 3);
        let directory = Directory::new(folder);
        let standing = snapshot::read_end(&directory, &segments[1]).unwrap();
        snapshot::write(&directory, &standing, "a test", &[]).unwrap();
    }

    fn args(folder: &Path, days: u64) -> ExpireArgs {
        let config = folder.join("../policy.toml");
        std::fs::write(&config, format!("[retention]\nkeep_days = {days}\n")).unwrap();
        let trail = folder.to_owned();
        ExpireArgs {
            act: ActArgs { trail, output: OutputArgs::default() },
            config: ConfigArgs { config: Some(config) },
            dry_run: false,
            now: None,
            person: Some(7),
            reason: Some("policy".into()),
        }
    }

    fn indexes(folder: &Path) -> Vec<u64> {
        segments_of(folder).unwrap().iter().map(|segment| segment.header.index).collect()
    }

    fn acts(folder: &Path) -> Vec<(RetentionKind, u64, u64, u32)> {
        let mut reader = TrailReader::open(folder).unwrap();
        let mut acts = Vec::new();
        while let Some(entry) = reader.read_next().unwrap() {
            if entry.frame.template_id() == RetentionAct::TEMPLATE_ID {
                let act = entry.frame.message::<RetentionAct>().unwrap();
                acts.push((act.kind, act.from_segment.get(), act.to_segment.get(), act.person.get()));
            }
        }
        acts
    }

    fn hold(folder: &Path, id: u64, state: SwitchState) {
        let mut act = Act::begin(folder, &Purpose::default()).unwrap();
        let block = LegalHold { hold_id: U64::new(id), case_id: U64::new(5), state, ..LegalHold::NULL };
        act.enter(&block, |writer| writer.data::<U16>(b"inquiry")).unwrap();
        act.end(EndReason::FINISHED, "").unwrap();
    }

    #[test]
    fn segments_that_are_old_enough_expire_up_to_the_snapshot_and_the_trail_records_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("trail");
        trail(&folder);
        let before = indexes(&folder);
        expire(&args(&folder, 2557)).unwrap();
        assert_eq!((indexes(&folder), acts(&folder)), (before.clone(), vec![]), "everything is too young");
        expire(&ExpireArgs { dry_run: true, ..args(&folder, 0) }).unwrap();
        assert_eq!(indexes(&folder), before);
        expire(&args(&folder, 0)).unwrap();
        let after = indexes(&folder);
        assert_eq!((after[0], after.len()), (3, before.len() - 1), "two were removed, and the act added one");
        assert_eq!(acts(&folder), [(RetentionKind::EXPIRED, 1, 2, 7)]);
        assert!(folder.join(snapshot_name(2)).exists(), "the rest of the trail starts from it");
        let mut reader = TrailReader::open(&folder).unwrap();
        let mut texts = 0;
        while let Some(entry) = reader.read_next().unwrap() {
            texts += u32::from(entry.frame.template_id() == SchemaText::TEMPLATE_ID);
        }
        assert!(texts > 0, "the schema text is still on the trail");
        // Nothing more expires: a second run changes nothing.
        expire(&args(&folder, 0)).unwrap();
        assert_eq!(indexes(&folder), after);
    }

    #[test]
    fn a_removal_interrupted_by_a_crash_is_completed_without_another_act() {
        let folder = tempfile::tempdir().unwrap();
        let (copy, folder) = (folder.path().join("copy"), folder.path().join("trail"));
        trail(&folder);
        std::fs::create_dir(&copy).unwrap();
        for index in [1, 2] {
            let name = stele_journal::format::segment_name(index);
            std::fs::copy(folder.join(&name), copy.join(&name)).unwrap();
        }
        expire(&args(&folder, 0)).unwrap();
        // The crash came after the first removal.
        let name = stele_journal::format::segment_name(2);
        std::fs::copy(copy.join(&name), folder.join(&name)).unwrap();
        assert_eq!(indexes(&folder)[0], 2);
        expire(&args(&folder, 0)).unwrap();
        assert_eq!(indexes(&folder)[0], 3);
        assert_eq!(acts(&folder), [(RetentionKind::EXPIRED, 1, 2, 7)]);
    }

    #[test]
    fn a_hold_keeps_expired_segments_and_the_trail_records_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("trail");
        trail(&folder);
        hold(&folder, 77, SwitchState::ENGAGED);
        let before = indexes(&folder);
        expire(&args(&folder, 0)).unwrap();
        assert_eq!(indexes(&folder)[..2], before[..2]);
        assert_eq!(acts(&folder), [(RetentionKind::HELD_BACK, 1, 2, 7)]);
        hold(&folder, 77, SwitchState::RELEASED);
        expire(&args(&folder, 0)).unwrap();
        assert_eq!(indexes(&folder)[0], 3);
    }

    #[test]
    fn a_damaged_snapshot_does_not_allow_expiry() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("trail");
        trail(&folder);
        let path = folder.join(snapshot_name(2));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let before = indexes(&folder);
        expire(&args(&folder, 0)).unwrap();
        assert_eq!(indexes(&folder), before);
    }
}
