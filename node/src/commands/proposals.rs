//! `stele limit propose` and `stele limit approve`: a limit that one person proposes is in force when another
//! one approves it.

use super::controls::{Change, Entries, check, enter, scope, shards, value};
use super::operator::{OperatedLog, logs, on_log, only_log, reason};
use crate::cli::{ChangeArgs, LimitApproveArgs, LimitProposeArgs, OutputArgs, PeopleArgs};
use crate::failure::Failure;
use crate::people::different_people;
use crate::wall::WallClock;
use serde::Serialize;
use stele_strategies::Registry;
use stele_wire::layout::Utc;
use stele_wire::messages::{LimitProposed, RiskLimit, message_name};
use stele_wire::{Nanos, Sequence};
use zerocopy::little_endian::{I64, U16, U32, U64};

#[derive(Serialize)]
struct ProposalReport {
    /// Until when they can be approved, in nanoseconds UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// The proposal that was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<u64>,
    #[serde(flatten)]
    entries: Entries,
}

/// How long a proposal can be approved where nothing else is said, in nanoseconds: a day.
const EXPIRES_AFTER: u64 = 86_400_000_000_000;

/// Proposes a limit on each chosen log.
///
/// # Errors
/// [`Failure`]: the limit, its scope or the log does not exist, or the limit is in force already.
pub(super) fn propose(args: &LimitProposeArgs, strategies: &Registry) -> Result<(), Failure> {
    let (scope, id, instrument) = scope(&args.scope, true)?;
    let (check, limit) = (check(&args.check)?, value(&args.limit)?);
    let now = WallClock::read();
    let expires = args.expires.map_or(Ok(Nanos(now.0 + EXPIRES_AFTER)), |moment| moment.from(now))?;
    if expires <= now {
        let what = format!("the proposal would have expired at {}", Utc(expires.0));
        return Err(Failure::usage(what).help("give a later time, such as --expires +8h"));
    }
    let log = &args.log;
    let change = ChangeArgs {
        people: PeopleArgs { by: args.by, approved_by: None },
        reason: args.reason.clone(),
        bus: log.bus.clone(),
        shard: log.shard,
        trail: None,
        output: log.output,
    };
    let asked = RiskLimit {
        scope_id: U32::new(id),
        instrument: U32::new(instrument),
        check,
        scope,
        limit,
        ..RiskLimit::NULL
    };
    propose_limit(&asked, &change, expires, strategies)
}

/// Proposes the limit that `stele limit set` was asked for, on a bus where one person proposes a limit and
/// another one approves it.
///
/// # Errors
/// [`Failure`]: as [`propose`], or somebody is named as the approver.
pub(super) fn propose_instead(
    asked: &RiskLimit,
    change: &ChangeArgs,
    strategies: &Registry,
) -> Result<(), Failure> {
    if change.people.approved_by.is_some() {
        let what = "with [[person]] only the person who approves a limit can say so";
        return Err(Failure::usage(what).help(
            "leave out --approved-by: the other person approves the proposal with `stele limit approve`",
        ));
    }
    let expires = Nanos(WallClock::read().0 + EXPIRES_AFTER);
    propose_limit(asked, change, expires, strategies)
}

fn propose_limit(
    asked: &RiskLimit,
    change: &ChangeArgs,
    expires: Nanos,
    strategies: &Registry,
) -> Result<(), Failure> {
    different_people(change.people.by, None)?;
    let (code, why) = reason(&change.reason)?;
    let mut entries: Option<Entries> = None;
    for log in logs(change)? {
        let previous = log.controls(strategies)?.limit_in_force(asked);
        if previous == asked.limit.get() {
            let what = format!("{}: the limit is in force already", log.name());
            return Err(Failure::not_so(what).help("nothing was proposed there"));
        }
        let block = LimitProposed {
            limit: asked.limit,
            previous: I64::new(previous),
            scope_id: asked.scope_id,
            instrument: asked.instrument,
            check: asked.check,
            scope: asked.scope,
            reason: U16::new(code),
            proposed_by: U32::new(change.people.by),
            expires: U64::new(expires.0),
            ..LimitProposed::NULL
        };
        let place = on_log(change, &log);
        let encoded = Change::new(&block, &[why])?;
        let entered = enter(&place, &encoded, &block, "stele limit propose")?;
        match &mut entries {
            Some(entries) => entries.extend(entered),
            None => entries = Some(entered),
        }
    }
    let entries = entries.expect("at least one log was chosen");
    if change.output.json {
        let expires = Some(expires.0);
        return super::print_json(&ProposalReport { expires, proposal: None, entries });
    }
    let mut page = entries.page("proposed", change.people.by);
    let example = entries.sequence();
    page += &format!(
        "  another person can approve it until {}: stele limit approve {example} --by ID\n",
        Utc(expires.0)
    );
    super::print_page(&page)
}

/// Approves a proposed limit.
///
/// # Errors
/// [`Failure`]: the proposal does not exist, or cannot be approved any more.
pub(super) fn approve(args: &LimitApproveArgs, strategies: &Registry) -> Result<(), Failure> {
    let mut change = change_of(args, 0);
    let log = only_log(&change)?;
    let proposal = find(&log, args.proposal)?;
    let proposed_by = proposal.proposed_by.get();
    different_people(proposed_by, Some(args.by))?;
    different_users(&change, args.proposal, proposal.caller_user.get())?;
    let block = RiskLimit {
        effective: proposal.effective,
        scope_id: proposal.scope_id,
        instrument: proposal.instrument,
        check: proposal.check,
        scope: proposal.scope,
        reason: proposal.reason,
        changed_by: proposal.proposed_by,
        approved_by: U32::new(args.by),
        limit: proposal.limit,
        previous: proposal.previous,
        proposal: U64::new(args.proposal),
        ..RiskLimit::NULL
    };
    let in_force = log.controls(strategies)?.limit_in_force(&block);
    if in_force != proposal.previous.get() {
        let what = format!("proposal {} cannot be approved: the limit has changed since", args.proposal);
        let help = format!("{} is in force now; propose it again", shown(in_force));
        return Err(Failure::not_so(what).help(help));
    }
    change.people.by = proposed_by;
    let place = on_log(&change, &log);
    let encoded = Change::new(&block, &[])?;
    let entries = enter(&place, &encoded, &block, "stele limit approve")?;
    if args.log.output.json {
        let proposal = Some(args.proposal);
        return super::print_json(&ProposalReport { expires: None, proposal, entries });
    }
    let what = format!("approved proposal {} of party {proposed_by}", args.proposal);
    super::print_page(&entries.page(&what, args.by))
}

fn change_of(args: &LimitApproveArgs, proposed_by: u32) -> ChangeArgs {
    let log = &args.log;
    ChangeArgs {
        people: PeopleArgs { by: proposed_by, approved_by: Some(args.by) },
        reason: String::new(),
        bus: log.bus.clone(),
        shard: log.shard,
        trail: None,
        output: OutputArgs { json: log.output.json },
    }
}

/// Checks that another user of the operating system made the proposal than the one who approves it.
fn different_users(change: &ChangeArgs, proposal: u64, proposed_by: u32) -> Result<(), Failure> {
    let (shards, _) = shards(change)?;
    let is_same = shards.iter().any(|shard| shard.door.welcome().caller.user == proposed_by);
    match is_same {
        false => Ok(()),
        true => Err(Failure::not_so(format!("proposal {proposal} was made by the same user, {proposed_by}"))
            .help("two different people approve a limit, as two users of the operating system")),
    }
}

fn shown(limit: i64) -> String {
    if limit == i64::MAX { "no limit".into() } else { limit.to_string() }
}

/// Returns the proposal, which has not expired and has not been approved.
fn find(log: &OperatedLog, number: u64) -> Result<LimitProposed, Failure> {
    const LIST: &str =
        "`stele dump --type LimitProposed` lists the proposals of a trail, with their sequences";
    let mut reader = super::open_trail(&log.trail)?;
    let missing = || Failure::usage(format!("{} has no event {number}", log.name())).help(LIST);
    reader.seek(Sequence(number)).map_err(|_| missing())?;
    let proposal = {
        let entry = reader.read_next().map_err(Failure::not_so)?.ok_or_else(missing)?;
        let found = entry.frame.message::<LimitProposed>();
        *found.ok_or_else(|| {
            let what = message_name(entry.frame.template_id()).filter(|_| entry.frame.is_stele());
            let what = what.unwrap_or("message of another schema");
            Failure::usage(format!("event {number} of {} is not a proposal but a {what}", log.name()))
                .help(LIST)
        })?
    };
    let expires = proposal.expires.get();
    if expires != u64::MAX && expires <= WallClock::read().0 {
        let what = format!("proposal {number} expired at {}", Utc(expires));
        return Err(Failure::not_so(what).help("propose it again"));
    }
    while let Some(entry) = reader.read_next().map_err(Failure::not_so)? {
        if entry.frame.message::<RiskLimit>().is_some_and(|limit| limit.proposal.get() == number) {
            let what = format!("proposal {number} was approved already, by event {}", entry.frame.sequence());
            return Err(Failure::not_so(what).help("the limit is in force unless a later event changed it"));
        }
    }
    Ok(proposal)
}
