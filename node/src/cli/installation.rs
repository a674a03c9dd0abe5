//! Commands that set up the shell and the manual.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Directory to write to, which is made where it does not exist; pages that exist are replaced
    pub(crate) dir: PathBuf,
}
