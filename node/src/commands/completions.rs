//! `stele completions`: what a shell completes commands and flags by.

use crate::cli::{CompletionsArgs, command};
use crate::failure::Failure;

/// Prints the script.
///
/// # Errors
/// [`Failure`]: standard output does not take it.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "stele", &mut script);
    super::print_page(&String::from_utf8_lossy(&script))
}
