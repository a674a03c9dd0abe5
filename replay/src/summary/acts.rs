//! The acts of operators: who did what, and why.

use serde::Serialize;
use stele_wire::Frame;
use stele_wire::messages::{
    CancelScope, KillSwitch, LimitProposed, OperatorCancel, RiskLimit, StrategyAct, StrategyCommand,
    SwitchState,
};

/// An act of a person, as the log has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OperatorAct {
    /// The sequence of its event.
    pub sequence: u64,
    /// The time of its event, in nanoseconds UTC.
    pub timestamp: u64,
    /// What was done.
    pub act: String,
    /// Who did it, by party number.
    pub by: u32,
    /// Who approved it, by party number; none where no approver is named.
    pub approved_by: Option<u32>,
    /// The user that the operating system named for the process that asked; none where it was not verified.
    pub caller_user: Option<u32>,
    /// The code of the reason; none where there is none.
    pub reason_code: Option<u16>,
    /// The reason as text; empty where none was given.
    pub reason: String,
}

impl OperatorAct {
    /// Returns the act that the event records; none where it records none. What the configuration or the
    /// program itself changed has no party and is not an act of an operator.
    pub(super) fn of(event: &Frame<'_>) -> Option<Self> {
        let act = match event.template_id() {
            KillSwitch::TEMPLATE_ID => Self::of_switch(event),
            RiskLimit::TEMPLATE_ID => Self::of_limit(event),
            LimitProposed::TEMPLATE_ID => Self::of_proposal(event),
            StrategyCommand::TEMPLATE_ID => Self::of_command(event),
            OperatorCancel::TEMPLATE_ID => Self::of_cancel(event),
            _ => None,
        };
        act.filter(|act| act.by != 0)
    }

    fn new(event: &Frame<'_>, act: String, people: [u32; 3], reason: u16, text: &[u8]) -> Self {
        let [by, approved_by, caller] = people;
        Self {
            sequence: event.sequence().0,
            timestamp: event.timestamp().0,
            act,
            by,
            approved_by: Some(approved_by).filter(|party| *party != 0),
            caller_user: Some(caller).filter(|user| *user != u32::MAX),
            reason_code: Some(reason).filter(|code| *code != 0),
            reason: String::from_utf8_lossy(text).into_owned(),
        }
    }

    fn of_switch(event: &Frame<'_>) -> Option<Self> {
        let switch = event.message::<KillSwitch>()?;
        let does = if switch.state == SwitchState::RELEASED { "release" } else { "engage" };
        let act = format!("{does} the kill switch for {}", scope(switch.scope, switch.scope_id.get(), 0));
        let people = [switch.party.get(), switch.approved_by.get(), switch.caller_user.get()];
        Some(Self::new(event, act, people, switch.reason.get(), switch.text()))
    }

    fn of_limit(event: &Frame<'_>) -> Option<Self> {
        let limit = event.message::<RiskLimit>()?;
        let about = limited(limit.check, limit.limit.get());
        let mut act =
            format!("{about} for {}", scope(limit.scope, limit.scope_id.get(), limit.instrument.get()));
        if limit.proposal.get() != 0 {
            act += &format!(", as event {} proposed", limit.proposal.get());
        }
        let people = [limit.changed_by.get(), limit.approved_by.get(), limit.caller_user.get()];
        Some(Self::new(event, act, people, limit.reason.get(), &[]))
    }

    fn of_proposal(event: &Frame<'_>) -> Option<Self> {
        let limit = event.message::<LimitProposed>()?;
        let about = limited(limit.check, limit.limit.get());
        let scope = scope(limit.scope, limit.scope_id.get(), limit.instrument.get());
        let people = [limit.proposed_by.get(), 0, limit.caller_user.get()];
        let act = format!("propose to {about} for {scope}");
        Some(Self::new(event, act, people, limit.reason.get(), limit.text()))
    }

    fn of_command(event: &Frame<'_>) -> Option<Self> {
        let command = event.message::<StrategyCommand>()?;
        let does = match command.act {
            StrategyAct::PAUSE => "pause".into(),
            StrategyAct::RESUME => "resume".into(),
            StrategyAct::SET_PARAMETERS => "set the parameters of".into(),
            StrategyAct(other) => format!("act {other} on"),
        };
        let act = format!("{does} strategy {}", command.strategy.get());
        let people = [command.party.get(), command.approved_by.get(), command.caller_user.get()];
        Some(Self::new(event, act, people, command.reason.get(), command.text()))
    }

    fn of_cancel(event: &Frame<'_>) -> Option<Self> {
        let cancel = event.message::<OperatorCancel>()?;
        let act = format!("cancel order {}", cancel.order_sequence.get());
        let people = [cancel.party.get(), cancel.approved_by.get(), cancel.caller_user.get()];
        Some(Self::new(event, act, people, cancel.reason.get(), cancel.text()))
    }
}

fn limited(check: stele_wire::messages::Check, limit: i64) -> String {
    match limit {
        i64::MAX => format!("remove the limit {check}"),
        limit => format!("set the limit {check} to {limit}"),
    }
}

fn scope(scope: CancelScope, id: u32, instrument: u32) -> String {
    let whole = match scope {
        CancelScope::ALL if instrument != 0 => return format!("instrument {instrument}"),
        CancelScope::ALL => "all trading".into(),
        CancelScope::ACCOUNT => format!("account {id}"),
        CancelScope::ALGORITHM => format!("algorithm {id}"),
        CancelScope::INSTRUMENT => return format!("instrument {id}"),
        CancelScope::STRATEGY => format!("strategy {id}"),
        CancelScope(other) => format!("scope {other}, {id}"),
    };
    if instrument == 0 { whole } else { format!("{whole} in instrument {instrument}") }
}
