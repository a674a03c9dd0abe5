//! `stele kill-switch` and `stele limit set`: changes to the controls on orders, recorded as events.
//!
//! On a running bus, a change is submitted through its door, which answers with the outcome: the event
//! itself, durable, or the `RiskDecision` that refused it. On a stopped trail, the command writes the event
//! itself, and the next session applies it.

use super::kill_switch_wait::{self, Engaged};
use crate::act::{Act, Purpose};
use crate::cli::{ChangeArgs, KillSwitchArgs, LimitArgs, LimitCommand, LimitSetArgs, ScopeArgs};
use crate::failure::Failure;
use crate::people::{different_people, runs_with_people};
use crate::running_bus::{self, BusShard, Made};
use crate::signals::StopRequest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use stele_door::DoorClient;
use stele_strategies::Registry;
use stele_wire::Sequence;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, WriteError, Writer};
use stele_wire::messages::{
    CancelScope, Check, EndReason, KillSwitch, RiskLimit, StrategyAct, StrategyCommand, SwitchState,
};
use zerocopy::FromBytes as _;
use zerocopy::little_endian::{I64, U16, U32};

/// A change of a control, encoded for submission.
pub(super) struct Change<'a> {
    template_id: u16,
    body: Vec<u8>,
    /// The texts after the block, in the order of the schema.
    texts: Vec<&'a str>,
    /// The last numbers of the publishers that it may refer to.
    numbers: BTreeMap<u16, u64>,
}

/// A change that took effect on one shard or trail.
#[derive(Serialize)]
pub(super) struct Entered {
    shard: Option<u32>,
    /// The sequence of its event.
    sequence: u64,
}

/// Where a change took effect, and who made it.
#[derive(Serialize)]
pub(super) struct Entries {
    entered: Vec<Entered>,
    #[serde(flatten)]
    made: Made,
}

impl Entries {
    /// The sequence of its event on the first of the logs.
    pub(super) fn sequence(&self) -> u64 {
        self.entered[0].sequence
    }

    /// A line for each log, and one about the person with the number `by`.
    pub(super) fn page(&self, what: &str, by: u32) -> String {
        let line = |entered: &Entered| {
            let shard = entered.shard.map_or(String::new(), |shard| format!(" on shard {shard}"));
            format!("{what}{shard}: durable at sequence {}\n", entered.sequence)
        };
        self.entered.iter().map(line).collect::<String>() + &self.made.line(by)
    }

    /// Adds the logs of another change of the same person.
    pub(super) fn extend(&mut self, other: Self) {
        self.entered.extend(other.entered);
    }
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
    let change = Change::new(&switch, &[&change.reason])?;
    // Before the switch is submitted: a signal from then on ends the wait, not the command.
    let stop = args.wait.then(StopRequest::listen).transpose()?;
    let entered = enter(&args.change, &change, &switch, "stele kill-switch")?;
    let Some(stop) = stop else { return print_entered(&args.change, entered, what) };
    let (shards, _) = shards(&args.change)?;
    let killed = shards.iter().zip(&entered.entered).map(|(shard, entered)| {
        let engaged = Engaged { scope, id, sequence: Sequence(entered.sequence) };
        kill_switch_wait::wait(shard, &engaged, &stop)
    });
    let killed = killed.collect::<Result<Vec<_>, _>>()?;
    kill_switch_wait::print(&entered, killed, what, args)
}

/// Sets, removes, proposes or approves a limit.
pub(crate) fn limit(args: &LimitArgs, strategies: &Registry) -> Result<(), Failure> {
    match &args.command {
        LimitCommand::Set(args) => set(args, strategies),
        LimitCommand::Propose(args) => super::proposals::propose(args, strategies),
        LimitCommand::Approve(args) => super::proposals::approve(args, strategies),
    }
}

fn set(args: &LimitSetArgs, strategies: &Registry) -> Result<(), Failure> {
    let change = &args.change;
    different_people(change.people.by, change.people.approved_by)?;
    let (scope, id, instrument) = scope(&args.scope, true)?;
    let limit = value(&args.limit)?;
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
    if change.trail.is_none() && shards(change)?.0.iter().any(|shard| shard.door.welcome().has_people) {
        return super::proposals::propose_instead(&block, change, strategies);
    }
    let change = Change::new(&block, &[])?;
    let entered = enter(&args.change, &change, &block, "stele limit set")?;
    print_entered(&args.change, entered, "set")
}

/// Returns the value of a limit; the null value removes it.
pub(super) fn value(text: &str) -> Result<I64, Failure> {
    match text {
        "none" => Ok(RiskLimit::NULL.limit),
        number => number.parse().ok().filter(|limit| *limit >= 0).map(I64::new).ok_or_else(|| {
            Failure::usage(format!("`{number}` is not a limit"))
                .help("give a whole number of at least 0, or `none`")
        }),
    }
}

/// Returns the scope, its id, and the instrument that a limit also depends on (0 for none).
pub(super) fn scope(args: &ScopeArgs, with_pairs: bool) -> Result<(CancelScope, u32, u32), Failure> {
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
pub(super) fn check(name: &str) -> Result<Check, Failure> {
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

impl<'a> Change<'a> {
    /// Encodes a change: its block, and the texts after it.
    pub(super) fn new<M: Message>(block: &M, texts: &[&'a str]) -> Result<Self, Failure> {
        let mut buffer = vec![0; BODY_LENGTH_MAX];
        let mut writer = Writer::new(&mut buffer);
        let written = writer.block(block).and_then(|()| write_texts(texts, &mut writer));
        written.map_err(|error| Failure::usage(format!("the reason is too long for an event: {error}")))?;
        let body = writer.finish().to_vec();
        Ok(Self { template_id: M::TEMPLATE_ID, body, texts: texts.to_vec(), numbers: BTreeMap::new() })
    }

    /// Sets the last numbers of the publishers of a stopped trail.
    pub(super) fn referring_to(mut self, numbers: BTreeMap<u16, u64>) -> Self {
        self.numbers = numbers;
        self
    }

    /// Whether it only makes trading less.
    fn stops_trading(&self) -> bool {
        match self.template_id {
            KillSwitch::TEMPLATE_ID => KillSwitch::read_from_prefix(&self.body)
                .is_ok_and(|(switch, _)| switch.state == SwitchState::ENGAGED),
            StrategyCommand::TEMPLATE_ID => StrategyCommand::read_from_prefix(&self.body)
                .is_ok_and(|(command, _)| command.act == StrategyAct::PAUSE),
            _ => false,
        }
    }

    /// The body of the event.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

fn write_texts(texts: &[&str], writer: &mut Writer<'_>) -> Result<(), WriteError> {
    texts.iter().try_for_each(|text| writer.data::<U16>(text.as_bytes()))
}

/// Logs the change on each chosen shard of the running bus, or on the stopped trail, and waits until it is
/// durable.
///
/// # Errors
/// [`Failure`]: the change was refused, or the bus, shard or trail does not exist.
pub(super) fn enter<M: Message>(
    args: &ChangeArgs,
    change: &Change<'_>,
    block: &M,
    command: &str,
) -> Result<Entries, Failure> {
    let Some(trail) = &args.trail else { return enter_live(args, change) };
    if !change.stops_trading() && runs_with_people(&mut super::open_trail(trail)?)? {
        return Err(Failure::not_so(format!(
            "{}: its run has [[person]], and only the running bus can verify who asks",
            trail.display()
        ))
        .help("on the stopped trail a kill switch can be engaged and a strategy paused, nothing else"));
    }
    let purpose = Purpose { command, reason: &args.reason, ..Purpose::default() };
    let mut act = Act::begin(trail, &purpose)?;
    act.continue_numbering(change.numbers.clone());
    let sequence = act.enter(block, |writer| write_texts(&change.texts, writer))?;
    act.end(EndReason::FINISHED, "")?;
    check_logged(trail, sequence, change)?;
    let entered = vec![Entered { shard: None, sequence: sequence.0 }];
    Ok(Entries { entered, made: Made::on_a_trail() })
}

/// Checks that the event on the stopped trail is the change, and not the refusal of it.
fn check_logged(trail: &Path, sequence: Sequence, change: &Change<'_>) -> Result<(), Failure> {
    let mut reader = super::open_trail(trail)?;
    reader.seek(sequence).map_err(Failure::not_so)?;
    let entry = reader.read_next().map_err(Failure::not_so)?;
    match entry.is_some_and(|entry| entry.frame.template_id() == change.template_id) {
        true => Ok(()),
        false => Err(Failure::not_so(format!("the change was refused, by event {sequence}")).help(
            "`stele dump --type RiskDecision` shows the check; limits have no such scope, or no room for it",
        )),
    }
}

fn enter_live(args: &ChangeArgs, change: &Change<'_>) -> Result<Entries, Failure> {
    let (shards, made) = shards(args)?;
    let entered = shards.iter().map(|shard| submit(shard, change)).collect::<Result<_, Failure>>()?;
    Ok(Entries { entered, made })
}

/// Returns the chosen shards of the running bus, at least one, and who asks.
///
/// # Errors
/// [`Failure`]: the bus or the shard does not exist.
pub(super) fn shards(args: &ChangeArgs) -> Result<(Vec<BusShard>, Made), Failure> {
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
    Ok((chosen, Made::through(&door)))
}

/// Submits the change to one shard.
fn submit(shard: &BusShard, change: &Change<'_>) -> Result<Entered, Failure> {
    let sequence = shard.submit(change.template_id, &change.body).map_err(|failure| {
        failure
            .help("if [risk] four_eyes is set, a change needs two different people: --by and --approved-by")
    })?;
    Ok(Entered { shard: Some(shard.number()), sequence })
}

pub(super) fn print_entered(args: &ChangeArgs, entries: Entries, what: &str) -> Result<(), Failure> {
    if args.output.json {
        return super::print_json(&entries);
    }
    super::print_page(&entries.page(what, args.people.by))
}
