//! `stele verify`: every frame of a trail, and what the events say of each other.

use crate::cli::TrailArgs;
use crate::failure::Failure;
use crate::progress::Progress;
use stele_compliance::verify::{VerifyError, VerifyOptions, verify as verify_trail};

/// Checks the trail and prints what holds.
///
/// # Errors
/// [`Failure`]: not so, with the first thing wrong and what is intact in front of it.
pub(crate) fn verify(args: &TrailArgs) -> Result<(), Failure> {
    super::open_trail(&args.trail)?;
    let progress = Progress::new("verifying", "bytes", None);
    let show = |done, total| progress.set_of(done, total);
    let verified = verify_trail(&args.trail, &VerifyOptions { threads: 0, progress: Some(&show) });
    drop(progress);
    let verified = verified.map_err(|error| match error {
        VerifyError::Broken(broken) => Failure::not_so(broken),
        VerifyError::Unreadable(error) => Failure::environment(error),
    })?;
    if args.json {
        return super::print_json(&verified);
    }
    super::print_page(&format!("{verified}\n"))
}
