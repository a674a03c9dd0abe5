//! `stele kill-switch` and `stele limit set`: changes to the controls on orders, recorded as events.
//!
//! On a running bus, a change is submitted through its door, which answers with the outcome: the event
//! itself, durable, or the `RiskDecision` that refused it. On a stopped trail, the command writes the event
//! itself, and the next session applies it.

use crate::act::{Act, Purpose};
use crate::cli::{ChangeArgs, KillSwitchArgs, LimitArgs, LimitCommand, LimitSetArgs, ScopeArgs};
use crate::failure::Failure;
use crate::people::different_people;
use crate::running_bus::{self, BusShard, Made};
use serde::Serialize;
use stele_door::DoorClient;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, Writer};
use stele_wire::messages::{CancelScope, Check, EndReason, KillSwitch, RiskLimit, SwitchState};
use zerocopy::little_endian::{I64, U16, U32};

/// A change of a control, encoded for submission.
struct Change {
    template_id: u16,
    body: Vec<u8>,
}

/// A change that took effect on one shard or trail.
#[derive(Serialize)]
struct Entered {
    shard: Option<u32>,
    /// The sequence of its event.
    sequence: u64,
}

#[derive(Serialize)]
struct EnteredReport {
    entered: Vec<Entered>,
    #[serde(flatten)]
    made: Made,
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
    let change = Change::new(&switch, Some(&change.reason))?;
    let entered = enter(&args.change, &change, &switch, "stele kill-switch")?;
    print_entered(&args.change, entered, what)
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
    let change = Change::new(&block, None)?;
    let entered = enter(&args.change, &change, &block, "stele limit set")?;
    print_entered(&args.change, entered, "set")
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
    fn new<M: Message>(block: &M, text: Option<&str>) -> Result<Self, Failure> {
        let mut buffer = vec![0; BODY_LENGTH_MAX];
        let mut writer = Writer::new(&mut buffer);
        let written = writer.block(block).and_then(|()| match text {
            Some(text) => writer.data::<U16>(text.as_bytes()),
            None => Ok(()),
        });
        written.map_err(|error| Failure::usage(format!("the reason is too long for an event: {error}")))?;
        let body = writer.finish().to_vec();
        Ok(Self { template_id: M::TEMPLATE_ID, body })
    }
}

fn enter<M: Message>(
    args: &ChangeArgs,
    change: &Change,
    block: &M,
    command: &str,
) -> Result<(Vec<Entered>, Made), Failure> {
    let Some(trail) = &args.trail else { return enter_live(args, change) };
    let purpose = Purpose { command, reason: &args.reason, ..Purpose::default() };
    let mut act = Act::begin(trail, &purpose)?;
    let with_text = M::TEMPLATE_ID == KillSwitch::TEMPLATE_ID;
    let sequence = act.enter(block, |writer| match with_text {
        true => writer.data::<U16>(args.reason.as_bytes()),
        false => Ok(()),
    })?;
    act.end(EndReason::FINISHED, "")?;
    Ok((vec![Entered { shard: None, sequence: sequence.0 }], Made::on_a_trail()))
}

fn enter_live(args: &ChangeArgs, change: &Change) -> Result<(Vec<Entered>, Made), Failure> {
    let door = DoorClient::find(args.bus.as_deref()).map_err(|error| {
        running_bus::failed(error).help("to change a stopped trail instead, give --trail DIR")
    })?;
    let shards = running_bus::shards(&door);
    let numbers: Vec<String> = shards.iter().map(|shard| shard.number().to_string()).collect();
    let is_chosen = |shard: &BusShard| args.shard.is_none_or(|number| number == shard.number());
    let chosen: Vec<BusShard> = shards.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        return Err(Failure::usage(format!("bus {} has no shard with this number", door.welcome().bus))
            .help(format!("available: {}", numbers.join(", "))));
    }
    let entered: Vec<Entered> =
        chosen.iter().map(|shard| submit(shard, change)).collect::<Result<_, Failure>>()?;
    Ok((entered, Made::through(&door)))
}

/// Submits the change to one shard.
fn submit(shard: &BusShard, change: &Change) -> Result<Entered, Failure> {
    let sequence = shard.submit(change.template_id, &change.body).map_err(|failure| {
        failure.help("if [risk] four_eyes is set, a change needs two different people: --by and --approved-by")
    })?;
    Ok(Entered { shard: Some(shard.number()), sequence })
}

fn print_entered(
    args: &ChangeArgs,
    (entered, made): (Vec<Entered>, Made),
    what: &str,
) -> Result<(), Failure> {
    if args.output.json {
        return super::print_json(&EnteredReport { entered, made });
    }
    let line = |entered: &Entered| {
        let shard = entered.shard.map_or(String::new(), |shard| format!(" on shard {shard}"));
        format!("{what}{shard}: durable at sequence {}\n", entered.sequence)
    };
    let lines: String = entered.iter().map(line).collect();
    super::print_page(&(lines + &made.line(args.people.by)))
}
