//! Arguments of the commands for latency engineers.

use super::flags::{ConfigArgs, OutputArgs};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Directory of the trail; overrides the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct PerfArgs {
    /// Benchmark to run, with its options: pipeline, journal, bus, strategies or seal
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}
