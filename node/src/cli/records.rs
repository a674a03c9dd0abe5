//! Arguments of the commands for compliance officers that search and retain records.

use super::flags::{ActArgs, ConfigArgs, OutputArgs, PeopleArgs, ReadArgs, ReportArgs};
use crate::moment::Moment;
use crate::place::PlaceArg;
use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// First event to print: a sequence, a time such as 2026-11-21 or 2026-11-21T09:30:00Z, or a span before
    /// the trail's last event, such as 1h or -1h (they mean the same)
    #[arg(long, value_name = "SEQUENCE|TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<PlaceArg>,
    /// Last event to print: a sequence, a time, or a span before the trail's last event
    #[arg(long, value_name = "SEQUENCE|TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<PlaceArg>,
    /// Keep printing events as they are written, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    /// Print only events of this type, such as NewOrder; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Print CSV, with a header line for each type of event
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
    /// Keep records until the hold is released
    Place(HoldPlaceArgs),
    /// Release all holds of a case
    Release(HoldReleaseArgs),
    /// List the holds in force
    List(ReportArgs),
}

/// A case, and the reason for a change to its holds.
#[derive(Args, Debug)]
pub(crate) struct CaseArgs {
    /// Case number
    #[arg(long, value_name = "ID")]
    pub(crate) case: u64,
    /// Reason, recorded on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Args, Debug)]
pub(crate) struct HoldPlaceArgs {
    #[command(flatten)]
    pub(crate) act: ActArgs,
    #[command(flatten)]
    pub(crate) case: CaseArgs,
    /// Keep records from this time on: 2026-11-21, 2026-11-21T09:30:00Z, or a span before the trail's last
    /// event, such as 90d; without it, from the beginning
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<Moment>,
    /// Keep records up to this time; without it, all later ones too
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<Moment>,
    /// Instrument of the case, for the record: the hold keeps every event of its time range
    #[arg(long, value_name = "ID")]
    pub(crate) instrument: Option<u32>,
    /// Account of the case, for the record: the hold keeps every event of its time range
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
    /// Print which segments would be removed and why the others are kept, without removing anything
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Decide as of this time: 2033-11-21, 2033-11-21T09:30:00Z, or a span from now, such as +7y (in seven
    /// years) or 1h (an hour ago)
    #[arg(long, value_name = "TIME", requires = "dry_run", allow_hyphen_values = true)]
    pub(crate) now: Option<Moment>,
    /// Who runs the expiry, by party number; recorded on the trail
    #[arg(long, value_name = "ID")]
    pub(crate) person: Option<u32>,
    /// Reason, recorded on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}
