//! `stele config`: prints the effective configuration, with comments.

use crate::cli::RunArgs;
use crate::config::Config;
use crate::failure::Failure;

/// Prints the configuration as a file for `stele run -c`, or as JSON.
pub(crate) fn config(args: &RunArgs) -> Result<(), Failure> {
    let config = Config::effective(args)?;
    if args.output.json { super::print_json(&config) } else { super::print_page(&config.render()) }
}
