//! Commands for compliance officers: searching and keeping records.

use super::flags::{ActArgs, ConfigArgs, OutputArgs, PeopleArgs, ReadArgs, ReportArgs};
use crate::moment::Moment;
use crate::place::PlaceArg;
use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// First event: its sequence, a time such as 2026-11-21 or 2026-11-21T09:30:00Z, or a span: 1h, as well
    /// as
    /// -1h, is an hour before the trail's last event
    #[arg(long, value_name = "SEQUENCE|TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<PlaceArg>,
    /// Last event: its sequence, a time, or a span before the trail's last event
    #[arg(long, value_name = "SEQUENCE|TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<PlaceArg>,
    /// Go on printing what is written, also by another process, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only events of this type, e.g. NewOrder; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Print comma-separated values, with a header line for each type of event
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

#[derive(Args, Debug)]
pub(crate) struct HoldArgs {
    #[command(subcommand)]
    pub(crate) command: HoldCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum HoldCommand {
    /// Keep records of a time until the hold is released
    Place(HoldPlaceArgs),
    /// Release every hold of a case
    Release(HoldReleaseArgs),
    /// List the holds that are in force
    List(ReportArgs),
}

/// A case, and why something is done in it.
#[derive(Args, Debug)]
pub(crate) struct CaseArgs {
    /// Number of the case
    #[arg(long, value_name = "ID")]
    pub(crate) case: u64,
    /// Why; it goes on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Args, Debug)]
pub(crate) struct HoldPlaceArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    #[command(flatten)]
    pub(crate) case: CaseArgs,
    /// Records from this time on: 2026-11-21, 2026-11-21T09:30:00Z, or a span such as 90d before the trail's
    /// last event
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<Moment>,
    /// Records up to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<Moment>,
    /// Instrument that the case names; every segment of the time is kept all the same
    #[arg(long, value_name = "ID")]
    pub(crate) instrument: Option<u32>,
    /// Account that the case names; every segment of the time is kept all the same
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<u32>,
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
}

#[derive(Args, Debug)]
pub(crate) struct HoldReleaseArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    #[command(flatten)]
    pub(crate) case: CaseArgs,
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExpireArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print what would be removed, and why each of the others stays; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Decide as if it were this time: 2033-11-21, 2033-11-21T09:30:00Z, or a span from now: +7y is in seven
    /// years, 1h was an hour ago
    #[arg(long, value_name = "TIME", requires = "dry_run", allow_hyphen_values = true)]
    pub(crate) now: Option<Moment>,
    /// Who, by the number of the party
    #[arg(long, value_name = "ID")]
    pub(crate) person: Option<u32>,
    /// Why; it goes on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}
