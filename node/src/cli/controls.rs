//! The arguments of `stele kill-switch` and `stele limit`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct KillSwitchArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Stop everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Let it go on again. What was cancelled stays cancelled
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
    /// In the unit of the check: a mantissa, 1e-9 of the currency or of the price, nanoseconds, a count; 0 forbids;
    /// `none` takes the limit away
    pub(crate) limit: String,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// For what a control holds.
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
    /// Who, by the number of the party
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Who approved it, somebody else
    #[arg(long, value_name = "ID")]
    pub(crate) approved_by: Option<u32>,
    /// Why; of a kill switch it goes on the trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// The running bus, where there are several
    #[arg(long, value_name = "NAME", conflicts_with = "trail")]
    pub(crate) bus: Option<String>,
    /// One shard of the bus; all of them unless it is named
    #[arg(long, value_name = "NUMBER", conflicts_with = "trail")]
    pub(crate) shard: Option<u32>,
    /// A trail that nobody writes, in place of a running bus: it holds from the next session on
    #[arg(long, value_name = "DIR")]
    pub(crate) trail: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
