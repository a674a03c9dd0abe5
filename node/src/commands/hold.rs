//! `stele hold`: places, releases and lists legal holds, which exist only as events on the trail.

use crate::access::{Access, WithAccess, record};
use crate::act::{Act, Purpose};
use crate::cli::{HoldArgs, HoldCommand, HoldPlaceArgs, HoldReleaseArgs, ReportArgs};
use crate::failure::Failure;
use crate::moment::Moment;
use crate::people::different_people;
use crate::survey::survey;
use serde::Serialize;
use stele_journal::retention::ActiveHold;
use stele_wire::layout::Utc;
use stele_wire::messages::{AccessKind, EndReason, LegalHold, SwitchState};
use zerocopy::little_endian::{U16, U32, U64};

/// A hold in the output.
#[derive(Serialize)]
struct HoldReport {
    hold: u64,
    case: u64,
    from: Option<String>,
    to: Option<String>,
    instrument: Option<u32>,
    account: Option<u32>,
    placed_by: u32,
    approved_by: Option<u32>,
    sequence: u64,
    reason: String,
}

#[derive(Serialize)]
struct HoldsReport {
    holds: Vec<HoldReport>,
}

/// Places, releases or lists holds.
pub(crate) fn hold(args: &HoldArgs) -> Result<(), Failure> {
    match &args.command {
        HoldCommand::Place(args) => place(args),
        HoldCommand::Release(args) => release(args),
        HoldCommand::List(args) => list(args),
    }
}

fn place(args: &HoldPlaceArgs) -> Result<(), Failure> {
    different_people(args.people.by, args.people.approved_by)?;
    let on_trail = |moment: Moment| moment.on(&args.act.trail);
    let (from, to) = (args.from.map(on_trail).transpose()?, args.to.map(on_trail).transpose()?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Failure::usage(format!(
            "the hold covers nothing: it starts at {} and ends at {}",
            Utc(from.0),
            Utc(to.0)
        )));
    }
    if args.case.case == 0 {
        return Err(Failure::usage("a case number must be at least 1"));
    }
    let surveyed = survey(&args.act.trail)?;
    let is_whole = surveyed.segments.first().is_some_and(|first| first.index == 1);
    let unknown = |what: &str, id: u32| {
        Failure::usage(format!("the trail does not define {what} {id}"))
            .help("`stele dump --type InstrumentDefinition --type AccountDefinition` lists them")
    };
    if let Some(id) = args.instrument.filter(|id| is_whole && !surveyed.instruments.contains(id)) {
        return Err(unknown("instrument", id));
    }
    if let Some(id) = args.account.filter(|id| is_whole && !surveyed.accounts.contains(id)) {
        return Err(unknown("account", id));
    }
    let purpose = Purpose { command: "stele hold place", reason: &args.case.reason, ..Purpose::default() };
    let mut act = Act::begin(&args.act.trail, &purpose)?;
    let id = act.next_sequence().0;
    let null = LegalHold::NULL;
    let block = LegalHold {
        hold_id: U64::new(id),
        case_id: U64::new(args.case.case),
        from: from.map_or(null.from, |from| U64::new(from.0)),
        to: to.map_or(null.to, |to| U64::new(to.0)),
        instrument: U32::new(args.instrument.unwrap_or(0)),
        account: U32::new(args.account.unwrap_or(0)),
        placed_by: U32::new(args.people.by),
        approved_by: U32::new(args.people.approved_by.unwrap_or(0)),
        state: SwitchState::ENGAGED,
        ..null
    };
    let sequence = act.enter(&block, |writer| writer.data::<U16>(args.case.reason.as_bytes()))?;
    act.end(EndReason::FINISHED, "")?;
    let placed = survey(&args.act.trail)?.holds.into_iter().find(|hold| hold.sequence == sequence);
    let placed = placed
        .ok_or_else(|| Failure::environment("the hold was written but cannot be found on the trail"))?;
    print_holds(args.act.output.json, &[placed], "placed")
}

fn release(args: &HoldReleaseArgs) -> Result<(), Failure> {
    different_people(args.people.by, args.people.approved_by)?;
    let in_force: Vec<ActiveHold> =
        survey(&args.act.trail)?.holds.into_iter().filter(|hold| hold.case == args.case.case).collect();
    if in_force.is_empty() {
        return Err(Failure::usage(format!("case {} has no hold in force", args.case.case))
            .help(format!("`stele hold list {}` lists the holds in force", args.act.trail.display())));
    }
    let purpose = Purpose { command: "stele hold release", reason: &args.case.reason, ..Purpose::default() };
    let mut act = Act::begin(&args.act.trail, &purpose)?;
    let null = LegalHold::NULL;
    for hold in &in_force {
        let block = LegalHold {
            hold_id: U64::new(hold.id),
            case_id: U64::new(hold.case),
            from: hold.from.map_or(null.from, |from| U64::new(from.0)),
            to: hold.to.map_or(null.to, |to| U64::new(to.0)),
            instrument: U32::new(hold.instrument),
            account: U32::new(hold.account),
            placed_by: U32::new(args.people.by),
            approved_by: U32::new(args.people.approved_by.unwrap_or(0)),
            state: SwitchState::RELEASED,
            ..null
        };
        act.enter(&block, |writer| writer.data::<U16>(args.case.reason.as_bytes()))?;
    }
    act.end(EndReason::FINISHED, "")?;
    print_holds(args.act.output.json, &in_force, "released")
}

fn list(args: &ReportArgs) -> Result<(), Failure> {
    let reader = super::open_trail(&args.read.trail)?;
    let access = Access { trail: &args.read.trail, kind: AccessKind::SEARCH, from: 0, to: 0 };
    let access = record(&args.read.access, &access, &reader)?;
    drop(reader);
    let holds = survey(&args.read.trail).inspect_err(|_| access.print())?.holds;
    if args.output.json {
        return super::print_json(&WithAccess { said: HoldsReport::over(&holds), access });
    }
    match holds.as_slice() {
        [] => super::print_page(&format!("no holds in force\n{access}\n")),
        holds => {
            print_holds(false, holds, "in force").and_then(|()| super::print_page(&format!("{access}\n")))
        }
    }
}

fn print_holds(json: bool, holds: &[ActiveHold], what: &str) -> Result<(), Failure> {
    let report = HoldsReport::over(holds);
    if json {
        return super::print_json(&report);
    }
    let page: String = report.holds.iter().map(|report| line(report, what)).collect();
    super::print_page(&page)
}

impl HoldsReport {
    fn over(holds: &[ActiveHold]) -> Self {
        let some = |id: u32| (id != 0).then_some(id);
        let reports = holds.iter().map(|hold| HoldReport {
            hold: hold.id,
            case: hold.case,
            from: hold.from.map(|from| Utc(from.0).to_string()),
            to: hold.to.map(|to| Utc(to.0).to_string()),
            instrument: some(hold.instrument),
            account: some(hold.account),
            placed_by: hold.placed_by,
            approved_by: some(hold.approved_by),
            sequence: hold.sequence.0,
            reason: hold.reason.clone(),
        });
        Self { holds: reports.collect() }
    }
}

fn line(report: &HoldReport, state: &str) -> String {
    let HoldReport { hold, case, placed_by, sequence, reason, .. } = report;
    let from = report.from.as_deref().unwrap_or("the beginning");
    let to = report.to.as_deref().unwrap_or("the end");
    let about: String = [("instrument", report.instrument), ("account", report.account)]
        .iter()
        .filter_map(|(name, id)| Some(format!(", {name} {}", (*id)?)))
        .collect();
    let approved = report.approved_by.map_or(String::new(), |id| format!(", approved by {id}"));
    format!(
        "hold {hold} of case {case} {state}: records from {from} to {to}{about}; placed by {placed_by}{approved} at \
         sequence {sequence}: {reason}\n"
    )
}
