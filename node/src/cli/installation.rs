//! Arguments of the commands that install completions and manual pages.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete for
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Directory to write to; created if it does not exist, and existing pages are replaced
    pub(crate) dir: PathBuf,
}
