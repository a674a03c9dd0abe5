//! `stele kill-switch` and `stele limit set`: changes to the controls on orders, recorded as events.
//!
//! On a running bus, a change is submitted through its own ring in shared memory, and the log is read until
//! the outcome is on it: the event itself, durable, or the `RiskDecision` that refused it. On a stopped
//! trail, the command writes the event itself, and the next session applies it.

use super::kill_switch_wait::{self, Engaged, KilledReport};
use crate::act::{Act, Purpose};
use crate::cli::{ChangeArgs, KillSwitchArgs, LimitArgs, LimitCommand, LimitSetArgs, ScopeArgs};
use crate::failure::Failure;
use crate::numbering::publishers;
use crate::people::different_people;
use crate::signals::StopRequest;
use crate::submission;
use serde::Serialize;
use stele_bus::{FoundBus, RemotePublisher, ShardDirectory};
use stele_wire::Sequence;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, Writer};
use stele_wire::messages::{CancelScope, Check, EndReason, KillSwitch, RiskDecision, RiskLimit, SwitchState};
use zerocopy::little_endian::{I64, U16, U32};

/// A change of a control, encoded for submission.
struct Change {
    template_id: u16,
    body: Vec<u8>,
    by: u32,
    approved_by: u32,
    check: Check,
}

/// A change that took effect on one shard or trail.
#[derive(Serialize)]
struct Entered {
    shard: Option<u32>,
    /// The sequence of its event; none if the event was accepted but overwritten before it could be read.
    sequence: Option<u64>,
}

#[derive(Serialize)]
struct EnteredReport {
    entered: Vec<Entered>,
    /// What became of the orders in the scope of a kill switch, by shard, where it was waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    killed: Vec<KilledReport>,
}

/// Engages or releases a kill switch.
pub(crate) fn kill_switch(args: &KillSwitchArgs) -> Result<(), Failure> {
    let change = &args.change;
    different_people(change.people.by, change.people.approved_by)?;
    let (scope, id, _) = scope(&args.scope, false)?;
    if args.all != (scope == CancelScope::ALL) {
        return Err(Failure::usage("a kill switch needs exactly one scope")
            .help("give one of --all, --account, --algorithm, --instrument or --strategy"));
    }
    let switch = KillSwitch {
        scope_id: U32::new(id),
        party: U32::new(change.people.by),
        approved_by: U32::new(change.people.approved_by.unwrap_or(0)),
        scope,
        state: if args.release { SwitchState::RELEASED } else { SwitchState::ENGAGED },
        ..KillSwitch::NULL
    };
    let what = if args.release { "released" } else { "engaged" };
    let change = Change::new(&switch, Some(&change.reason), change, Check::KILL_SWITCH)?;
    // Before the switch is submitted: a signal from then on ends the wait, not the command.
    let stop = args.wait.then(StopRequest::listen).transpose()?;
    let entered = enter(&args.change, &change, &switch, "stele kill-switch")?;
    let Some(stop) = stop else { return print_entered(&args.change, entered, Vec::new(), what) };
    let killed = entered.iter().map(|entered| {
        let (Some(shard), Some(sequence)) = (entered.shard, entered.sequence) else {
            return Err(Failure::environment(
                "the switch is engaged, but its event was overwritten on the ring before it was read",
            )
            .help("give the same command again"));
        };
        let engaged = Engaged { scope, id, sequence: Sequence(sequence) };
        kill_switch_wait::wait(args.change.bus.as_deref(), shard, &engaged, &stop)
    });
    let killed = killed.collect::<Result<Vec<_>, _>>()?;
    let is_done = killed.iter().all(KilledReport::is_done);
    print_entered(&args.change, entered, killed, what)?;
    if is_done { Ok(()) } else { Err(Failure::not_so("orders in the scope of the switch may still work")) }
}

/// Sets or removes a limit.
pub(crate) fn limit(args: &LimitArgs) -> Result<(), Failure> {
    let LimitCommand::Set(args) = &args.command;
    set(args)
}

fn set(args: &LimitSetArgs) -> Result<(), Failure> {
    let change = &args.change;
    different_people(change.people.by, change.people.approved_by)?;
    let (scope, id, instrument) = scope(&args.scope, true)?;
    let limit = match args.limit.as_str() {
        "none" => RiskLimit::NULL.limit,
        number => I64::new(number.parse().ok().filter(|limit| *limit >= 0).ok_or_else(|| {
            Failure::usage(format!("`{number}` is not a limit"))
                .help("give a whole number of at least 0, or `none`")
        })?),
    };
    let block = RiskLimit {
        scope_id: U32::new(id),
        instrument: U32::new(instrument),
        check: check(&args.check)?,
        scope,
        changed_by: U32::new(change.people.by),
        approved_by: U32::new(change.people.approved_by.unwrap_or(0)),
        limit,
        ..RiskLimit::NULL
    };
    let change = Change::new(&block, None, change, block.check)?;
    let entered = enter(&args.change, &change, &block, "stele limit set")?;
    print_entered(&args.change, entered, Vec::new(), "set")
}

/// Returns the scope, its id, and the instrument that a limit also depends on (0 for none).
fn scope(args: &ScopeArgs, with_pairs: bool) -> Result<(CancelScope, u32, u32), Failure> {
    let ScopeArgs { account, algorithm, instrument, strategy } = args;
    let named = [
        (CancelScope::ACCOUNT, account),
        (CancelScope::ALGORITHM, algorithm),
        (CancelScope::STRATEGY, strategy),
    ];
    let mut named = named.into_iter().filter_map(|(scope, id)| Some((scope, (*id)?)));
    let (first, instrument) = (named.next(), *instrument);
    if named.next().is_some() || (!with_pairs && first.is_some() && instrument.is_some()) {
        return Err(
            Failure::usage("a control has exactly one scope").help("change each scope with its own command")
        );
    }
    Ok(match (first, instrument) {
        (Some((scope, id)), instrument) => (scope, id, instrument.unwrap_or(0)),
        (None, Some(instrument)) => (CancelScope::INSTRUMENT, instrument, 0),
        (None, None) => (CancelScope::ALL, 0, 0),
    })
}

/// Returns the check with this name in kebab case.
fn check(name: &str) -> Result<Check, Failure> {
    let with_limits = (Check::ORDER_QUANTITY.0..=Check::SELF_MATCH.0).map(Check);
    let kebab = |check: Check| {
        let mut name = String::new();
        for letter in check.name().unwrap_or_default().chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    };
    let found = with_limits.clone().find(|check| kebab(*check) == name);
    found.ok_or_else(|| {
        let names: Vec<String> = with_limits.map(kebab).collect();
        Failure::usage(format!("`{name}` is not the name of a limit"))
            .help(format!("available: {}", names.join(", ")))
    })
}

impl Change {
    fn new<M: Message>(
        block: &M,
        text: Option<&str>,
        args: &ChangeArgs,
        check: Check,
    ) -> Result<Self, Failure> {
        let mut buffer = vec![0; BODY_LENGTH_MAX];
        let mut writer = Writer::new(&mut buffer);
        let written = writer.block(block).and_then(|()| match text {
            Some(text) => writer.data::<U16>(text.as_bytes()),
            None => Ok(()),
        });
        written.map_err(|error| Failure::usage(format!("the reason is too long for an event: {error}")))?;
        let body = writer.finish().to_vec();
        let approved_by = args.people.approved_by.unwrap_or(0);
        Ok(Self { template_id: M::TEMPLATE_ID, body, by: args.people.by, approved_by, check })
    }

    /// Whether this decision refuses the change.
    fn is_refused_by(&self, decision: &RiskDecision) -> bool {
        let people = (decision.verified_by.get(), decision.authorised_by.get());
        people == (self.by, self.approved_by) && [self.check, Check::MALFORMED].contains(&decision.check)
    }
}

fn enter<M: Message>(
    args: &ChangeArgs,
    change: &Change,
    block: &M,
    command: &str,
) -> Result<Vec<Entered>, Failure> {
    let Some(trail) = &args.trail else { return enter_live(args, change) };
    let purpose = Purpose { command, reason: &args.reason, ..Purpose::default() };
    let mut act = Act::begin(trail, &purpose)?;
    let with_text = M::TEMPLATE_ID == KillSwitch::TEMPLATE_ID;
    let sequence = act.enter(block, |writer| match with_text {
        true => writer.data::<U16>(args.reason.as_bytes()),
        false => Ok(()),
    })?;
    act.end(EndReason::FINISHED, "")?;
    Ok(vec![Entered { shard: None, sequence: Some(sequence.0) }])
}

fn enter_live(args: &ChangeArgs, change: &Change) -> Result<Vec<Entered>, Failure> {
    let bus = FoundBus::find(args.bus.as_deref()).map_err(|error| {
        Failure::environment(error).help("to change a stopped trail instead, give --trail DIR")
    })?;
    let shards = bus.shards().map_err(Failure::environment)?;
    let chosen: Vec<&ShardDirectory> =
        shards.iter().filter(|shard| args.shard.is_none_or(|number| number == shard.number())).collect();
    if chosen.is_empty() {
        let numbers: Vec<String> = shards.iter().map(|shard| shard.number().to_string()).collect();
        return Err(Failure::usage(format!("bus {} has no shard with this number", bus.name()))
            .help(format!("available: {}", numbers.join(", "))));
    }
    chosen.into_iter().map(|shard| submit(shard, change)).collect()
}

/// Submits the change to one shard and reads its log until the outcome is on it.
fn submit(shard: &ShardDirectory, change: &Change) -> Result<Entered, Failure> {
    let publisher = RemotePublisher::attach(shard, publishers::CONTROLS).map_err(Failure::environment)?;
    let (mut sequence, mut refused) = (None, None);
    submission::submit(publisher, shard.number(), change.template_id, &change.body, |event| {
        let frame = event.frame();
        if frame.template_id() == change.template_id && event.body().starts_with(&change.body) {
            sequence = Some(event.sequence().0);
        }
        if let Some(decision) = frame.message::<RiskDecision>().filter(|it| change.is_refused_by(it)) {
            refused = Some((decision.limit.get(), decision.value.get()));
        }
    })?;
    match (sequence, refused) {
        (None, Some((asked, in_force))) => Err(Failure::not_so(format!(
            "shard {} refused the change: {asked} was requested, {in_force} is in force",
            shard.number()
        ))
        .help("if [risk] four_eyes is set, a change needs two different people: --by and --approved-by")),
        _ => Ok(Entered { shard: Some(shard.number()), sequence }),
    }
}

fn print_entered(
    args: &ChangeArgs,
    entered: Vec<Entered>,
    killed: Vec<KilledReport>,
    what: &str,
) -> Result<(), Failure> {
    if args.output.json {
        return super::print_json(&EnteredReport { entered, killed });
    }
    let line = |entered: &Entered| {
        let shard = entered.shard.map_or(String::new(), |shard| format!(" on shard {shard}"));
        let place =
            entered.sequence.map_or("durable".into(), |sequence| format!("durable at sequence {sequence}"));
        format!("{what}{shard}: {place}\n")
    };
    let entered: String = entered.iter().map(line).collect();
    let killed: String = killed.iter().map(KilledReport::to_string).collect();
    super::print_page(&format!("{entered}{killed}"))
}
