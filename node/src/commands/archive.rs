//! `stele archive`: compresses closed segments, verifies the result, and only then removes the originals.

use crate::act::{Act, Purpose, segments_of};
use crate::cli::ArchiveArgs;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::readable::grouped;
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use stele_journal::archive::{ArchiveError, ArchivedSegment, archive_segment, is_archived, release_raw};
use stele_journal::retention::content_hash;
use stele_journal::{Directory, Segment};
use stele_wire::messages::{EndReason, RetentionAct, RetentionKind};
use zerocopy::little_endian::U64;

#[derive(Serialize, Default)]
struct Report {
    /// Segments archived by this command.
    segments: usize,
    /// Segments archived earlier.
    archived_before: usize,
    /// Closed segments left uncompressed.
    raw: usize,
    bytes_before: u64,
    bytes_after: u64,
    ratio: f64,
    /// Sequences of the `RetentionAct` events that record it.
    acts: Vec<u64>,
}

/// Archives the segments that `args` selects, and prints a report.
pub(crate) fn archive(args: &ArchiveArgs) -> Result<(), Failure> {
    let directory = Directory::new(&args.act.trail);
    let segments = segments_of(&args.act.trail)?;
    let closed = &segments[..segments.len() - 1];
    let report = if wanted(&directory, closed, args.keep_raw).is_empty() {
        Report::over(&directory, closed, &[], Vec::new())
    } else {
        archive_over(args, &directory)?
    };
    if args.act.output.json { super::print_json(&report) } else { super::print_page(&report.page()) }
}

/// Opens the trail as its writer, which closes the last segment by starting a new epoch, and archives.
fn archive_over(args: &ArchiveArgs, directory: &Directory) -> Result<Report, Failure> {
    let mut act = Act::begin(&args.act.trail, &Purpose { command: "stele archive", ..Purpose::default() })?;
    let segments = segments_of(&args.act.trail)?;
    let count = segments.len() - 1;
    let wanted = wanted(directory, &segments[..count], args.keep_raw);
    let archived = match pack_all(directory, &segments, &wanted, args.level) {
        Ok(archived) => archived,
        Err(error) => {
            act.end(EndReason::AGENT_FAILED, &error.to_string())?;
            return Err(match error {
                ArchiveError::Trail(_) => Failure::environment(error),
                _ => Failure::not_so(error),
            });
        }
    };
    let mut acts = Vec::new();
    for run in wanted.chunk_by(|one, next| one + 1 == *next) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let block = RetentionAct {
            from_segment: U64::new(segments[first].header.index),
            to_segment: U64::new(segments[last].header.index),
            from_sequence: U64::new(segments[first].header.base_sequence.0),
            to_sequence: U64::new(segments[last + 1].header.base_sequence.0 - 1),
            content_hash: content_hash(&segments[first..=last + 1]),
            kind: RetentionKind::ARCHIVED,
            ..RetentionAct::NULL
        };
        acts.push(act.enter(&block, |writer| writer.data::<zerocopy::little_endian::U16>(b""))?.0);
    }
    for archived in &archived {
        release_raw(directory, archived.index).map_err(|error| {
            Failure::environment(format!("cannot remove the original of segment {}: {error}", archived.index))
        })?;
    }
    act.end(EndReason::FINISHED, "")?;
    Ok(Report::over(directory, &segments[..count], &archived, acts))
}

/// Returns the indexes in `closed` of the uncompressed segments to archive.
fn wanted(directory: &Directory, closed: &[Segment], keep_raw: usize) -> Vec<usize> {
    let count = closed.len().saturating_sub(keep_raw);
    (0..count).filter(|&at| !is_archived(directory, closed[at].header.index)).collect()
}

/// Compresses segments, one per CPU at a time, and returns them in order.
fn pack_all(
    directory: &Directory,
    segments: &[Segment],
    wanted: &[usize],
    level: i32,
) -> Result<Vec<ArchivedSegment>, ArchiveError> {
    let total = wanted.iter().map(|&at| segments[at].file_length).sum();
    let progress = Progress::new("archiving", "bytes", Some(total));
    let (next, packed) = (AtomicUsize::new(0), AtomicU64::new(0));
    let results = Mutex::new(Vec::with_capacity(wanted.len()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&at) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut seen = 0;
                    let mut show = |done: u64| {
                        progress.set(packed.fetch_add(done - seen, Ordering::Relaxed) + done - seen);
                        seen = done;
                    };
                    let link = &segments[at + 1].header.link;
                    let result = archive_segment(directory, &segments[at], link, level, &mut show);
                    if result.is_err() {
                        next.store(wanted.len(), Ordering::Relaxed);
                    }
                    results.lock().expect("no thread panicked").push(result);
                }
            });
        }
    });
    let results = results.into_inner().expect("no thread panicked");
    let mut archived = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    archived.sort_unstable_by_key(|archived| archived.index);
    Ok(archived)
}

impl Report {
    fn over(directory: &Directory, closed: &[Segment], archived: &[ArchivedSegment], acts: Vec<u64>) -> Self {
        let held = closed.iter().filter(|segment| is_archived(directory, segment.header.index)).count();
        let bytes_before = archived.iter().map(|archived| archived.raw_bytes).sum();
        let bytes_after = archived.iter().map(|archived| archived.packed_bytes).sum();
        let ratio = if bytes_after == 0 { 1.0 } else { bytes_before as f64 / bytes_after as f64 };
        Self {
            segments: archived.len(),
            archived_before: held - archived.len(),
            raw: closed.len() - held,
            bytes_before,
            bytes_after,
            ratio: (ratio * 100.0).round() / 100.0,
            acts,
        }
    }

    fn page(&self) -> String {
        let Self { segments, archived_before, raw, ratio, .. } = self;
        if self.segments == 0 {
            return format!(
                "nothing to archive: {archived_before} segments were archived earlier, {raw} closed segments stay uncompressed\n"
            );
        }
        let [before, after] = [self.bytes_before, self.bytes_after].map(grouped);
        let acts: Vec<String> = self.acts.iter().map(u64::to_string).collect();
        format!(
            "archived and verified {segments} segments: {before} bytes compressed to {after}, {ratio:.2} to 1\n\
             {archived_before} segments were archived earlier, {raw} closed segments stay uncompressed\n\
             recorded on the trail as RetentionAct, sequence {}\n",
            acts.join(", ")
        )
    }
}
