//! Flags of `new-strategy`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct NewStrategyArgs {
    /// Name of the crate, the program and the strategy, such as mean-reversion
    pub(crate) name: String,
    /// Directory to write; one that exists must be empty
    pub(crate) dir: PathBuf,
    /// Directory of Stele's sources that the crate depends on; without it, those that this program was built
    /// from
    #[arg(long, value_name = "PATH")]
    pub(crate) stele: Option<PathBuf>,
    /// Print what was written as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
