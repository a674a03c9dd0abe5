//! Arguments of the acts of an operator on strategies, orders and proposed limits.

use super::flags::OutputArgs;
use super::operation::{ChangeArgs, ScopeArgs};
use crate::moment::Moment;
use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct StrategyArgs {
    #[command(subcommand)]
    pub(crate) command: StrategyCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum StrategyCommand {
    /// Send no more orders of a strategy; its cancels and timers go on
    ///
    /// The strategy still sees every event. Its working orders are not cancelled: `stele kill-switch
    /// --strategy` does that. The pause holds until it is resumed, also over a restart.
    Pause(StrategyPauseArgs),
    /// Let a paused strategy send orders again
    Resume(StrategyPauseArgs),
    /// Change parameters of a strategy while it runs
    ///
    /// The parameters hold until the configuration of the strategy changes, also over a restart.
    Set(StrategySetArgs),
}

#[derive(Args, Debug)]
pub(crate) struct StrategyPauseArgs {
    /// Name or number of the strategy
    #[arg(value_name = "STRATEGY")]
    pub(crate) strategy: String,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct StrategySetArgs {
    /// Name or number of the strategy
    #[arg(value_name = "STRATEGY")]
    pub(crate) strategy: String,
    /// Parameters to change; the others stay as they are
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub(crate) parameters: Vec<String>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct OrderArgs {
    #[command(subcommand)]
    pub(crate) command: OrderCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum OrderCommand {
    /// Cancel one working order, whichever strategy sent it
    Cancel(OrderCancelArgs),
}

#[derive(Args, Debug)]
pub(crate) struct OrderCancelArgs {
    /// Sequence of the order on the log
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sequence: u64,
    /// Who cancels it, by party number
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Who approved the cancel, by party number; must be someone else
    #[arg(long, value_name = "ID")]
    pub(crate) approved_by: Option<u32>,
    /// Reason, as text or as the number of a reason code; recorded on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Name of the running bus, if there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) bus: Option<String>,
    /// Shard of the order, if the bus has several
    #[arg(long, value_name = "NUMBER")]
    pub(crate) shard: Option<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The bus that a proposal is on. Only a running bus verifies who proposes and who approves.
#[derive(Args, Debug)]
pub(crate) struct ProposalLogArgs {
    /// Name of the running bus, if there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) bus: Option<String>,
    /// Shard of the bus; a proposal without it is made on all of them
    #[arg(long, value_name = "NUMBER")]
    pub(crate) shard: Option<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LimitProposeArgs {
    /// Limit to propose, as in `limit set`
    pub(crate) check: String,
    /// Value in the unit of the limit, as in `limit set`
    pub(crate) limit: String,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Until when it can be approved: 2026-11-21, 2026-11-21T09:30:00Z, or a span from now, such as +8h;
    /// without it, for a day
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) expires: Option<Moment>,
    /// Who proposes it, by party number
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Reason, as text or as the number of a reason code; recorded on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) log: ProposalLogArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LimitApproveArgs {
    /// Number of the proposal: the sequence of its event
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) proposal: u64,
    /// Who approves it, by party number; must be another person, and another user of the operating system,
    /// than the one who proposed it
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    #[command(flatten)]
    pub(crate) log: ProposalLogArgs,
}
