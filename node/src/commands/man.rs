//! `stele man`: writes a manual page for the program and for each command.

use crate::cli::{ManArgs, command};
use crate::failure::Failure;
use crate::own_name::name_command;
use std::fs;

/// Writes `stele.1`, `stele-run.1` and so on.
///
/// # Errors
/// [`Failure`]: the directory cannot be created or written to.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let failed = |error| Failure::environment(format!("cannot write {}: {error}", args.dir.display()));
    fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(name_command(command()), &args.dir).map_err(failed)
}
