//! Commands for operators of a bus.

use super::flags::{AccessArgs, ActArgs, OutputArgs, PeopleArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Name of the bus; without it, the only one that runs
    pub(crate) name: Option<String>,
    /// Print the figures once as text, and end
    #[arg(long, conflicts_with = "json")]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    /// Name of the bus, `[bus]` name of its configuration or its trail's; without it, the only one that runs
    pub(crate) name: Option<String>,
    /// Shard, where there are several
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Option<u32>,
    /// First event, by its sequence; without it, what comes from now on
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "lossy")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: Option<u64>,
    /// Read the ring alone and report which events it overwrote before they were read; without it those are
    /// read from the trail, and none is missing
    #[arg(long)]
    pub(crate) lossy: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Args, Debug)]
pub(crate) struct KillSwitchArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Stop everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Let trading go on again. What was cancelled stays cancelled
    #[arg(long)]
    pub(crate) release: bool,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LimitArgs {
    #[command(subcommand)]
    pub(crate) command: LimitCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum LimitCommand {
    /// Set a limit, or take one away, from the next order on
    Set(LimitSetArgs),
}

#[derive(Args, Debug)]
pub(crate) struct LimitSetArgs {
    /// Which: order-quantity, notional, price-collar, duplicate, message-rate, open-orders, position, credit,
    /// restricted, self-match
    pub(crate) check: String,
    /// In the unit of the check: a mantissa, 1e-9 of the currency or of the price, nanoseconds, a count; 0
    /// forbids; `none` takes the limit away
    pub(crate) limit: String,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// What a control is on.
#[derive(Args, Debug)]
pub(crate) struct ScopeArgs {
    /// One account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<u32>,
    /// One algorithm
    #[arg(long, value_name = "ID")]
    pub(crate) algorithm: Option<u32>,
    /// One instrument; of a limit also together with an account or a strategy
    #[arg(long, value_name = "ID")]
    pub(crate) instrument: Option<u32>,
    /// One strategy
    #[arg(long, value_name = "ID")]
    pub(crate) strategy: Option<u32>,
}

/// Who changes a control, where, and why.
#[derive(Args, Debug)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
    /// Why; of a kill switch it goes on the trail
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// The running bus, where there are several
    #[arg(long, value_name = "NAME", conflicts_with = "trail")]
    pub(crate) bus: Option<String>,
    /// One shard of the bus; all of them without it
    #[arg(long, value_name = "NUMBER", conflicts_with = "trail")]
    pub(crate) shard: Option<u32>,
    /// A stopped trail in place of a running bus: the change is in force from the next session on
    #[arg(long, value_name = "DIR")]
    pub(crate) trail: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    /// Closed segments that stay as they are, the newest ones
    #[arg(long, default_value_t = 0, value_name = "SEGMENTS")]
    pub(crate) keep_raw: usize,
    /// Level of compression, 1 to 22: higher is smaller and slower
    #[arg(long, default_value_t = stele_journal::archive::ARCHIVE_LEVEL_DEFAULT,
          value_parser = clap::value_parser!(i32).range(1..=22))]
    pub(crate) level: i32,
}

#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    /// Replace damaged segments by intact copies, from a segment file or a directory of them
    #[arg(long, value_name = "COPY", conflicts_with = "cut")]
    pub(crate) restore: Option<PathBuf>,
    /// Set aside everything from the first damage on, and go on before it
    #[arg(long, requires = "reason", requires = "by")]
    pub(crate) cut: bool,
    /// Why; it goes on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who, by the number of the party; it goes on the trail
    #[arg(long, value_name = "ID")]
    pub(crate) by: Option<u32>,
}
