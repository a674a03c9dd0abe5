//! What the rules check in each message, derived once from the schema.

use stele_bus::{MessageClass, template};
use stele_wire::Frame;
use stele_wire::codec::Message;
use stele_wire::layout;
use stele_wire::messages::{
    self, AccessRecorded, CancelRejected, CancelReleased, CreditAllotment, EmergencyCancel, KillSwitch,
    LimitProposed, OperatorCancel, OrderDropped, OrderRejected, OrderReleased, PublisherGrant,
    PublisherProgress, PublisherReset, RefusedOrder, ReplaceRejected, RetentionAct, RiskLimit, RouteRejected,
    SCHEMA, SchemaText, SessionEnd, SessionStart, TimerSet,
};

/// The role of a message in the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Of another schema, or of a later version of Stele's.
    Unknown,
    SessionStart,
    SessionEnd,
    SchemaText,
    Progress,
    Refused,
    Allotment,
    Request,
    Report,
    Released,
    CancelReleased,
    Dropped,
    Limit,
    Switch,
    Proposal,
    Grant,
    Reset,
    OperatorCancel,
    Emergency,
    Retention,
    Other,
}

/// Things that are defined and referred to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Instrument,
    Source,
    Strategy,
    Account,
}

/// A field that refers to a definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) kind: Kind,
    pub(super) offset: u16,
}

/// What is checked in one message.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: u16,
    pub(super) role: Role,
    pub(super) block_length: u16,
    pub(super) is_control: bool,
    /// A rule takes it that most messages, such as market data, are not subject to.
    pub(super) is_trading: bool,
    /// It changes the state of the pre-trade checks, or that of the timers.
    pub(super) is_followed: bool,
    pub(super) is_timer: bool,
    /// It states the publisher that submitted it.
    pub(super) names_publisher: bool,
    /// The ids it names may be the submitter's mistake.
    pub(super) is_claim: bool,
    /// A refusal, which may have been made before the order left the host.
    pub(super) is_refusal: bool,
    pub(super) is_whole: fn(&Frame<'_>) -> bool,
    pub(super) references: Vec<Reference>,
    /// Offsets of the sequences that must be before the event.
    pub(super) sequences: Vec<u16>,
    /// In a report: offsets of the sequences that must be those of orders.
    pub(super) answers: Vec<u16>,
    /// In a report: offset of the originator.
    pub(super) originator: Option<u16>,
}

/// A plan for every message, by template id.
#[derive(Debug)]
pub(super) struct Plans(Vec<Option<Plan>>);

impl Plans {
    #[inline]
    pub(super) fn get(&self, template_id: u16) -> Option<&Plan> {
        self.0.get(usize::from(template_id))?.as_ref()
    }
}

impl Default for Plans {
    fn default() -> Self {
        let last = SCHEMA.messages.iter().map(|message| message.id).max().unwrap_or(0);
        let mut plans: Vec<_> = (0..=last).map(|_| None).collect();
        for message in SCHEMA.messages.iter() {
            plans[usize::from(message.id)] = Some(plan(message));
        }
        Self(plans)
    }
}

fn plan(message: &layout::MessageLayout) -> Plan {
    let id = message.id;
    let fields = || message.block.fields.iter();
    let role = role(id);
    let is_control = template(id).is_some_and(|template| template.class == MessageClass::Control);
    let references = fields().filter_map(|field| {
        let kind = match &*field.semantic {
            "Instrument" => Kind::Instrument,
            "Source" => Kind::Source,
            "Strategy" => Kind::Strategy,
            "Account" => Kind::Account,
            _ => return None,
        };
        Some(Reference { kind, offset: field.offset })
    });
    let named = |name: &str| fields().find(|field| field.name == name).map(|field| field.offset);
    let sequences =
        fields().filter(|field| field.semantic == "Sequence" && id != AccessRecorded::TEMPLATE_ID);
    let is_report = role == Role::Report;
    let answers = ["orderSequence", "requestSequence"].into_iter().filter_map(named).filter(|_| is_report);
    let is_refusal = [
        OrderRejected::TEMPLATE_ID,
        CancelRejected::TEMPLATE_ID,
        ReplaceRejected::TEMPLATE_ID,
        RouteRejected::TEMPLATE_ID,
    ]
    .contains(&id);
    let is_release = matches!(role, Role::Released | Role::CancelReleased | Role::Dropped);
    let (is_timer, names_publisher) =
        (super::timers::is_followed(id), is_release || role == Role::Request || id == TimerSet::TEMPLATE_ID);
    Plan {
        id,
        role,
        block_length: message.block.length,
        is_control,
        is_trading: is_timer || names_publisher || role != Role::Other,
        is_followed: stele_risk::affects_risk(id),
        is_timer,
        names_publisher,
        is_claim: role == Role::Request || is_refusal,
        is_refusal,
        is_whole: whole(id),
        references: references.collect(),
        sequences: sequences.map(|field| field.offset).collect(),
        answers: answers.collect(),
        originator: named("originator").filter(|_| is_report),
    }
}

fn role(id: u16) -> Role {
    match id {
        SessionStart::TEMPLATE_ID => Role::SessionStart,
        SessionEnd::TEMPLATE_ID => Role::SessionEnd,
        SchemaText::TEMPLATE_ID => Role::SchemaText,
        PublisherProgress::TEMPLATE_ID => Role::Progress,
        RefusedOrder::TEMPLATE_ID => Role::Refused,
        CreditAllotment::TEMPLATE_ID => Role::Allotment,
        OrderReleased::TEMPLATE_ID => Role::Released,
        CancelReleased::TEMPLATE_ID => Role::CancelReleased,
        OrderDropped::TEMPLATE_ID => Role::Dropped,
        RiskLimit::TEMPLATE_ID => Role::Limit,
        KillSwitch::TEMPLATE_ID => Role::Switch,
        LimitProposed::TEMPLATE_ID => Role::Proposal,
        PublisherGrant::TEMPLATE_ID => Role::Grant,
        PublisherReset::TEMPLATE_ID => Role::Reset,
        OperatorCancel::TEMPLATE_ID => Role::OperatorCancel,
        EmergencyCancel::TEMPLATE_ID => Role::Emergency,
        RetentionAct::TEMPLATE_ID => Role::Retention,
        _ => match template(id).map(|template| template.class) {
            Some(MessageClass::NewOrder | MessageClass::OrderCancel) => Role::Request,
            Some(MessageClass::Report) => Role::Report,
            Some(MessageClass::MarketData | MessageClass::Control) | None => Role::Other,
        },
    }
}

fn is_whole<M: Message>(frame: &Frame<'_>) -> bool {
    frame.message::<M>().is_some_and(|view| view.is_whole())
}

macro_rules! whole_by_id {
    ($($message:ident,)*) => {
        fn whole(id: u16) -> fn(&Frame<'_>) -> bool {
            match id {
                $(messages::$message::TEMPLATE_ID => is_whole::<messages::$message>,)*
                _ => unreachable!("a message of the schema"),
            }
        }
    };
}
stele_wire::for_each_stele_message!(whole_by_id);

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::messages::{BookAdd, NewOrder, OrderFilled};

    #[test]
    fn references_and_sequences_are_found_in_the_schema() {
        let plans = Plans::default();
        let add = plans.get(BookAdd::TEMPLATE_ID).unwrap();
        assert_eq!(add.references.len(), 2);
        assert!(add.references.iter().any(|at| at.kind == Kind::Instrument && at.offset == 8));
        assert!(add.sequences.is_empty() && add.role == Role::Other);
        let order = plans.get(NewOrder::TEMPLATE_ID).unwrap();
        let cause = std::mem::offset_of!(NewOrder, cause) as u16;
        assert_eq!((order.sequences.as_slice(), order.role), ([cause].as_slice(), Role::Request));
        assert_eq!(order.references.len(), 3);
        let fill = plans.get(OrderFilled::TEMPLATE_ID).unwrap();
        assert_eq!(fill.originator, Some(std::mem::offset_of!(OrderFilled, originator) as u16));
        assert_eq!(fill.answers, [std::mem::offset_of!(OrderFilled, order_sequence) as u16]);
        assert!(plans.get(0).is_none() && plans.get(u16::MAX).is_none());
    }
}
