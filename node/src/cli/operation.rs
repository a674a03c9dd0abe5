//! Arguments of the commands for operators.

use super::flags::{AccessArgs, ActArgs, OutputArgs, PeopleArgs};
use super::operator::{LimitApproveArgs, LimitProposeArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Name of the bus, or path of its socket; not needed if only one is running
    pub(crate) name: Option<String>,
    /// Print the figures once as text and exit
    #[arg(long, conflicts_with = "json")]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    /// Name of the bus, set by `name` in [bus] or else by its trail's directory, or path of its socket; not
    /// needed if only one is running
    pub(crate) name: Option<String>,
    /// Shard, if the bus has several
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Option<u32>,
    /// First event to print, by sequence; without it, the next one published
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "lossy")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: Option<u64>,
    /// Read only from the ring in memory, and report events that were overwritten before they could be
    /// read; without it, those events are read from the trail
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
    /// Apply to all trading
    #[arg(long)]
    pub(crate) all: bool,
    /// Release the kill switch; cancelled orders stay cancelled
    #[arg(long)]
    pub(crate) release: bool,
    /// Wait until no order in the scope may still be executed, and print what became of each; exit code 1
    /// when interrupted before that
    #[arg(long, conflicts_with_all = ["release", "trail"])]
    pub(crate) wait: bool,
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
    /// Set or remove a limit, from the next order on
    ///
    /// On a bus whose configuration has [[person]], this proposes the limit.
    Set(LimitSetArgs),
    /// Propose a limit, which is in force when another person approves it
    Propose(LimitProposeArgs),
    /// Approve a proposed limit, from the next order on
    Approve(LimitApproveArgs),
}

#[derive(Args, Debug)]
pub(crate) struct LimitSetArgs {
    /// Limit to set: order-quantity, notional, price-collar, duplicate, message-rate, open-orders, position,
    /// credit, restricted or self-match
    pub(crate) check: String,
    /// Value in the unit of the limit: the mantissa of a quantity, 1e-9 of the currency or price,
    /// nanoseconds, or a count; 0 forbids, `none` removes the limit
    pub(crate) limit: String,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PublisherArgs {
    #[command(subcommand)]
    pub(crate) command: PublisherCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum PublisherCommand {
    /// Set the number after which a publisher of another process continues
    ///
    /// A publisher's numbers only grow, and each is taken once. After a reset to a lower number, a number
    /// that was used before is taken as new.
    Reset(PublisherResetArgs),
}

#[derive(Args, Debug)]
pub(crate) struct PublisherResetArgs {
    /// Name or number of the publisher
    #[arg(value_name = "NAME|ID")]
    pub(crate) publisher: String,
    /// Number after which it continues; 0: from the first
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to: u64,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// What a control applies to.
#[derive(Args, Debug)]
pub(crate) struct ScopeArgs {
    /// Apply to this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<u32>,
    /// Apply to this algorithm
    #[arg(long, value_name = "ID")]
    pub(crate) algorithm: Option<u32>,
    /// Apply to this instrument; for a limit, may be combined with an account, algorithm or strategy
    #[arg(long, value_name = "ID")]
    pub(crate) instrument: Option<u32>,
    /// Apply to this strategy
    #[arg(long, value_name = "ID")]
    pub(crate) strategy: Option<u32>,
}

/// Who changes a control, why, and on which bus or trail.
#[derive(Args, Debug, Clone)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
    /// Reason, recorded on the trail where the event has a text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Name of the running bus, or path of its socket, if there are several
    #[arg(long, value_name = "NAME", conflicts_with = "trail")]
    pub(crate) bus: Option<String>,
    /// Shard of the bus; without it, all of them
    #[arg(long, value_name = "NUMBER", conflicts_with = "trail")]
    pub(crate) shard: Option<u32>,
    /// Change a stopped trail instead of a running bus; takes effect in the next run
    #[arg(long, value_name = "DIR")]
    pub(crate) trail: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    /// Number of the newest closed segments to leave uncompressed
    #[arg(long, default_value_t = 0, value_name = "SEGMENTS")]
    pub(crate) keep_raw: usize,
    /// Compression level, 1 to 22; higher is smaller and slower
    #[arg(long, default_value_t = stele_journal::archive::ARCHIVE_LEVEL_DEFAULT,
          value_parser = clap::value_parser!(i32).range(1..=22))]
    pub(crate) level: i32,
}

#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    /// Replace damaged segments with intact copies from a segment file or a directory of them
    #[arg(long, value_name = "COPY", conflicts_with = "cut")]
    pub(crate) restore: Option<PathBuf>,
    /// Cut the log at the first damage and set aside everything after it
    #[arg(long, requires = "reason", requires = "by")]
    pub(crate) cut: bool,
    /// Reason, recorded on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who repairs the trail, by party number; recorded on the trail
    #[arg(long, value_name = "ID")]
    pub(crate) by: Option<u32>,
}
