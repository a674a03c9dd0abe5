//! `stele completions`: prints a shell completion script.

use crate::cli::{CompletionsArgs, command};
use crate::failure::Failure;
use crate::own_name::{name_command, program_name};

/// Prints the script.
///
/// # Errors
/// [`Failure`]: writing to standard output failed.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut name_command(command()), program_name(), &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
