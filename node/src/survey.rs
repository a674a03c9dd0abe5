//! What a trail holds, for commands that keep or expire its records.

use crate::act::segments_of;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::read_method::read_method;
use std::path::Path;
use stele_journal::Directory;
use stele_journal::retention::{TrailRecords, survey_records};
use stele_journal::scan::ScanOptions;

/// Reads the whole trail, verified: an index could hide a hold.
///
/// # Errors
/// [`Failure`]: there is no trail, it cannot be read, or a segment is damaged.
pub(crate) fn survey(trail: &Path) -> Result<TrailRecords, Failure> {
    let segments = segments_of(trail)?;
    let progress = Progress::new("reading", "bytes", None);
    let show = |done, total| progress.set_of(done, total);
    let options = ScanOptions { progress: Some(&show), method: read_method(), ..ScanOptions::default() };
    let surveyed = survey_records(&Directory::new(trail), &segments, &options);
    drop(progress);
    let surveyed = surveyed.map_err(Failure::environment)?;
    match surveyed.damaged {
        None => Ok(surveyed),
        Some(index) => {
            let help = format!("`stele repair {}` says what can be done", trail.display());
            Err(Failure::not_so(format!("segment {index} is damaged: holds may be hidden in it")).help(help))
        }
    }
}
