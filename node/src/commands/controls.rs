//! `stele kill-switch` and `stele limit set`: changes to the controls on orders, recorded as events.
//!
//! On a running bus, a change is submitted through its own ring in shared memory, and the log is read until
//! the outcome is on it: the event itself, durable, or the `RiskDecision` that refused it. On a stopped
//! trail, the command writes the event itself, and the next session applies it.

use crate::act::{Act, Purpose};
use crate::cli::{ChangeArgs, KillSwitchArgs, LimitArgs, LimitCommand, LimitSetArgs, ScopeArgs};
use crate::failure::Failure;
use crate::numbering::publishers;
use crate::people::different_people;
use crate::submission;
use serde::Serialize;
use stele_bus::{FoundBus, RemotePublisher, ShardDirectory};
use stele_strategies::Registry;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, WriteError, Writer};
use stele_wire::messages::{CancelScope, Check, EndReason, KillSwitch, RiskDecision, RiskLimit, SwitchState};
use zerocopy::little_endian::{I64, U16, U32};

/// A change of a control, encoded for submission.
pub(super) struct Change<'a> {
    template_id: u16,
    body: Vec<u8>,
    /// The texts after the block, in the order of the schema.
    texts: Vec<&'a str>,
    by: u32,
    approved_by: u32,
    check: Check,
}

/// A change that took effect on one shard or trail.
#[derive(Serialize)]
pub(super) struct Entered {
    pub(super) shard: Option<u32>,
    /// The sequence of its event; none if the event was accepted but overwritten before it could be read.
    pub(super) sequence: Option<u64>,
}

#[derive(Serialize)]
struct EnteredReport {
    entered: Vec<Entered>,
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
    let change = Change::new(&switch, &[&change.reason], change, Check::KILL_SWITCH)?;
    let entered = enter(&args.change, &change, &switch, "stele kill-switch")?;
    print_entered(&args.change, entered, what)
}

/// Sets, removes, proposes or approves a limit.
pub(crate) fn limit(args: &LimitArgs, strategies: &Registry) -> Result<(), Failure> {
    match &args.command {
        LimitCommand::Set(args) => set(args),
        LimitCommand::Propose(args) => super::proposals::propose(args, strategies),
        LimitCommand::Approve(args) => super::proposals::approve(args, strategies),
    }
}

fn set(args: &LimitSetArgs) -> Result<(), Failure> {
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
    let change = Change::new(&block, &[], change, block.check)?;
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
    /// Encodes a change: its block, and the texts after it. A refusal names `check`.
    pub(super) fn new<M: Message>(
        block: &M,
        texts: &[&'a str],
        args: &ChangeArgs,
        check: Check,
    ) -> Result<Self, Failure> {
        let mut buffer = vec![0; BODY_LENGTH_MAX];
        let mut writer = Writer::new(&mut buffer);
        let written = writer.block(block).and_then(|()| write_texts(texts, &mut writer));
        written.map_err(|error| Failure::usage(format!("the reason is too long for an event: {error}")))?;
        let body = writer.finish().to_vec();
        let (by, approved_by) = (args.people.by, args.people.approved_by.unwrap_or(0));
        Ok(Self { template_id: M::TEMPLATE_ID, body, texts: texts.to_vec(), by, approved_by, check })
    }

    /// The body of the event.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether this decision refuses the change.
    fn is_refused_by(&self, decision: &RiskDecision) -> bool {
        let people = (decision.verified_by.get(), decision.authorised_by.get());
        people == (self.by, self.approved_by) && [self.check, Check::MALFORMED].contains(&decision.check)
    }
}

fn write_texts(texts: &[&str], writer: &mut Writer<'_>) -> Result<(), WriteError> {
    texts.iter().try_for_each(|text| writer.data::<U16>(text.as_bytes()))
}

/// Logs the change on each chosen shard of the running bus, or on the stopped trail, and waits until it is
/// durable.
///
/// # Errors
/// [`Failure`]: the change was refused, or there is no such bus, shard or trail.
pub(super) fn enter<M: Message>(
    args: &ChangeArgs,
    change: &Change<'_>,
    block: &M,
    command: &str,
) -> Result<Vec<Entered>, Failure> {
    let Some(trail) = &args.trail else { return enter_live(args, change) };
    let purpose = Purpose { command, reason: &args.reason, ..Purpose::default() };
    let mut act = Act::begin(trail, &purpose)?;
    let sequence = act.enter(block, |writer| write_texts(&change.texts, writer))?;
    act.end(EndReason::FINISHED, "")?;
    Ok(vec![Entered { shard: None, sequence: Some(sequence.0) }])
}

fn enter_live(args: &ChangeArgs, change: &Change<'_>) -> Result<Vec<Entered>, Failure> {
    shards(args)?.iter().map(|shard| submit(shard, change)).collect()
}

/// Returns the chosen shards of the running bus, at least one.
pub(super) fn shards(args: &ChangeArgs) -> Result<Vec<ShardDirectory>, Failure> {
    let bus = FoundBus::find(args.bus.as_deref()).map_err(|error| {
        Failure::environment(error).help("to change a stopped trail instead, give --trail DIR")
    })?;
    let shards = bus.shards().map_err(Failure::environment)?;
    let numbers: Vec<String> = shards.iter().map(|shard| shard.number().to_string()).collect();
    let is_chosen = |shard: &ShardDirectory| args.shard.is_none_or(|number| number == shard.number());
    let chosen: Vec<ShardDirectory> = shards.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        return Err(Failure::usage(format!("bus {} has no shard with this number", bus.name()))
            .help(format!("available: {}", numbers.join(", "))));
    }
    Ok(chosen)
}

/// Submits the change to one shard and reads its log until the outcome is on it.
fn submit(shard: &ShardDirectory, change: &Change<'_>) -> Result<Entered, Failure> {
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

fn print_entered(args: &ChangeArgs, entered: Vec<Entered>, what: &str) -> Result<(), Failure> {
    if args.output.json {
        return super::print_json(&EnteredReport { entered });
    }
    super::print_page(&entered.iter().map(|entered| entered.line(what)).collect::<String>())
}

impl Entered {
    /// Returns what became of the change, as a line.
    pub(super) fn line(&self, what: &str) -> String {
        let shard = self.shard.map_or(String::new(), |shard| format!(" on shard {shard}"));
        let place =
            self.sequence.map_or("durable".into(), |sequence| format!("durable at sequence {sequence}"));
        format!("{what}{shard}: {place}\n")
    }
}
