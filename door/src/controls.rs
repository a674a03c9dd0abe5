//! The messages that the door submits for others: which part of the message says who asked, and what the
//! caller must be allowed to do.

use crate::credentials::Caller;
use crate::people::{People, Permission, Person};
use std::mem::offset_of;
use stele_wire::codec::Message;
use stele_wire::messages::{
    AccessRecorded, AlertAction, CreditAllotment, KeyRotated, KillSwitch, LegalHold, LimitProposed,
    OperatorCancel, PublisherReset, RetentionAct, RiskLimit, StrategyAct, StrategyCommand, SwitchState,
};
use zerocopy::FromBytes as _;

/// Which of the door's publishers submits a message. They do not wait for one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Desk {
    /// Changes of controls on trading, and other acts.
    Controls,
    /// Records of who reads.
    Auditors,
}

/// The layout of a message that the door submits, as far as the door is concerned. Offsets are in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    template_id: u16,
    name: &'static str,
    block_length: usize,
    /// Where the user of the operating system is; its process follows.
    caller: usize,
    /// Where the person who asks is.
    by: Option<usize>,
    /// Where the person who approved is.
    approved_by: Option<usize>,
    pub(crate) desk: Desk,
    permission: fn(&[u8]) -> Permission,
}

/// Why a message is not submitted for a caller.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// Messages of this template are not submitted for others.
    #[error("messages of template {0} do not come through the door")]
    NotAControl(u16),
    /// The body is shorter than the message's block.
    #[error("{name} has {needed} bytes in this version of the schema, and {found} came")]
    TooShort {
        /// The message.
        name: &'static str,
        /// The length of its block.
        needed: usize,
        /// The length of the body.
        found: usize,
    },
    /// The configuration has people, and the user is none of them.
    #[error("user {0} is not a [[person]] of the configuration")]
    Stranger(u32),
    /// No role of the person allows it.
    #[error("person {number} ({code}) may not {permission}")]
    Role {
        /// The person.
        number: u32,
        /// The person's code.
        code: String,
        /// What it needs.
        permission: Permission,
    },
    /// The message names another person than the caller.
    #[error("the message names person {named} and the caller is person {caller}")]
    Another {
        /// The person in the message.
        named: u32,
        /// The person that the caller's user is.
        caller: u32,
    },
    /// The message names an approval that cannot be one.
    #[error("person {0} cannot have approved it: an approval needs another [[person]] who may do it, too")]
    Approval(u32),
    /// A limit that no person has proposed is set.
    #[error("with [[person]] a limit is proposed by one person and approved by another")]
    NotProposed,
}

macro_rules! control {
    ($message:ident, $desk:ident, $by:expr, $approved:expr, $permission:expr) => {
        Control {
            template_id: $message::TEMPLATE_ID,
            name: <$message as Message>::NAME,
            block_length: size_of::<$message>(),
            caller: offset_of!($message, caller_user),
            by: $by,
            approved_by: $approved,
            desk: Desk::$desk,
            permission: $permission,
        }
    };
}

/// Every message that the door submits for others.
const CONTROLS: [Control; 12] = [
    control!(
        KillSwitch,
        Controls,
        Some(offset_of!(KillSwitch, party)),
        Some(offset_of!(KillSwitch, approved_by)),
        |body| match KillSwitch::read_from_prefix(body) {
            Ok((switch, _)) if switch.state == SwitchState::ENGAGED => Permission::StopTrading,
            _ => Permission::AllowTrading,
        }
    ),
    control!(
        RiskLimit,
        Controls,
        Some(offset_of!(RiskLimit, changed_by)),
        Some(offset_of!(RiskLimit, approved_by)),
        |_| Permission::SetLimits
    ),
    control!(LimitProposed, Controls, Some(offset_of!(LimitProposed, proposed_by)), None, |_| {
        Permission::SetLimits
    }),
    control!(
        CreditAllotment,
        Controls,
        Some(offset_of!(CreditAllotment, changed_by)),
        Some(offset_of!(CreditAllotment, approved_by)),
        |_| Permission::SetLimits
    ),
    control!(
        StrategyCommand,
        Controls,
        Some(offset_of!(StrategyCommand, party)),
        Some(offset_of!(StrategyCommand, approved_by)),
        |body| match StrategyCommand::read_from_prefix(body) {
            Ok((command, _)) if command.act == StrategyAct::PAUSE => Permission::StopTrading,
            _ => Permission::RunStrategies,
        }
    ),
    control!(
        OperatorCancel,
        Controls,
        Some(offset_of!(OperatorCancel, party)),
        Some(offset_of!(OperatorCancel, approved_by)),
        |_| Permission::StopTrading
    ),
    control!(
        PublisherReset,
        Controls,
        Some(offset_of!(PublisherReset, party)),
        Some(offset_of!(PublisherReset, approved_by)),
        |_| Permission::Administer
    ),
    control!(
        LegalHold,
        Controls,
        Some(offset_of!(LegalHold, placed_by)),
        Some(offset_of!(LegalHold, approved_by)),
        |_| Permission::KeepRecords
    ),
    control!(
        AlertAction,
        Controls,
        Some(offset_of!(AlertAction, person)),
        Some(offset_of!(AlertAction, approved_by)),
        |_| Permission::KeepRecords
    ),
    control!(
        RetentionAct,
        Controls,
        Some(offset_of!(RetentionAct, person)),
        Some(offset_of!(RetentionAct, approved_by)),
        |_| Permission::Administer
    ),
    control!(
        KeyRotated,
        Controls,
        Some(offset_of!(KeyRotated, person)),
        Some(offset_of!(KeyRotated, approved_by)),
        |_| Permission::Administer
    ),
    control!(AccessRecorded, Auditors, None, None, |_| Permission::Read),
];

fn word(body: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes"))
}

impl Control {
    /// The control with this template and a body of at least its length.
    pub(crate) fn of(template_id: u16, body: &[u8]) -> Result<&'static Self, Denied> {
        let found = CONTROLS.iter().find(|control| control.template_id == template_id);
        let control = found.ok_or(Denied::NotAControl(template_id))?;
        let Self { name, block_length: needed, .. } = *control;
        match body.len() {
            found if found < needed => Err(Denied::TooShort { name, needed, found }),
            _ => Ok(control),
        }
    }

    /// Checks that the caller may submit the message, and as whom. Without people everyone may.
    pub(crate) fn check(&self, body: &[u8], caller: Caller, people: &People) -> Result<(), Denied> {
        if people.is_empty() {
            return Ok(());
        }
        let permission = (self.permission)(body);
        let person = allowed(people, caller, permission)?;
        let (by, approved_by) = self.people(body);
        let is_limit = self.template_id == RiskLimit::TEMPLATE_ID;
        if is_limit && RiskLimit::read_from_prefix(body).is_ok_and(|(limit, _)| limit.proposal.get() == 0) {
            return Err(Denied::NotProposed);
        }
        // A limit in force names who proposed it; the caller is the one who approves it.
        let (own, other) = if is_limit { (approved_by, by) } else { (by, approved_by) };
        match own {
            Some(named) if named != person.number => {
                return Err(Denied::Another { named, caller: person.number });
            }
            _ => {}
        }
        match other.filter(|other| *other != 0) {
            Some(other) => {
                let is_other = |found: &&Person| found.user != person.user && found.may(permission);
                people.numbered(other).filter(is_other).map(|_| ()).ok_or(Denied::Approval(other))
            }
            None => Ok(()),
        }
    }

    /// Writes who calls into the message, over what the client sent.
    pub(crate) fn stamp(&self, body: &mut [u8], caller: Caller) {
        let process = caller.process.unwrap_or(u32::MAX);
        body[self.caller..self.caller + 4].copy_from_slice(&caller.user.to_le_bytes());
        body[self.caller + 4..self.caller + 8].copy_from_slice(&process.to_le_bytes());
    }

    /// Whether an event is the message that was submitted with this body, whatever else was filled in: the
    /// door submits one at a time of each caller.
    pub(crate) fn is_same(&self, event: &[u8], body: &[u8]) -> bool {
        let range = self.caller..self.caller + 8;
        event.len() >= self.block_length
            && event[range.clone()] == body[range]
            && self.people(event) == self.people(body)
    }

    /// The person who asks, and the one who approved, as far as the message has them.
    pub(crate) fn people(&self, body: &[u8]) -> (Option<u32>, Option<u32>) {
        (self.by.map(|at| word(body, at)), self.approved_by.map(|at| word(body, at)))
    }

    pub(crate) fn template_id(&self) -> u16 {
        self.template_id
    }
}

/// The person that calls, if a role allows what is asked.
pub(crate) fn allowed(people: &People, caller: Caller, permission: Permission) -> Result<&Person, Denied> {
    let person = people.of_user(caller.user).ok_or(Denied::Stranger(caller.user))?;
    if person.may(permission) {
        return Ok(person);
    }
    Err(Denied::Role { number: person.number, code: person.code.clone(), permission })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Role;
    use zerocopy::IntoBytes as _;

    const ANNA: Caller = Caller { user: 1000, process: Some(77) };

    fn people() -> People {
        let person = |number, user, roles: &[Role]| Person {
            number,
            code: format!("p{number}"),
            user,
            roles: roles.to_vec(),
        };
        People::new(vec![
            person(1, 1000, &[Role::Trader]),
            person(2, 1001, &[Role::Risk]),
            person(3, 1002, &[Role::Risk]),
            person(4, 1003, &[Role::Examiner]),
        ])
        .unwrap()
    }

    fn check<M: Message>(message: &M, user: u32) -> Result<(), Denied> {
        let body = message.as_bytes();
        let caller = Caller { user, process: None };
        Control::of(M::TEMPLATE_ID, body).unwrap().check(body, caller, &people())
    }

    fn switch(by: u32, approved_by: u32, state: SwitchState) -> KillSwitch {
        KillSwitch { party: by.into(), approved_by: approved_by.into(), state, ..KillSwitch::NULL }
    }

    #[test]
    fn the_caller_is_written_over_what_the_client_sent() {
        let forged = KillSwitch {
            caller_user: 4711.into(),
            caller_process: 1.into(),
            ..switch(1, 0, SwitchState::ENGAGED)
        };
        let mut body = forged.as_bytes().to_vec();
        body.extend(b"a text");
        let control = Control::of(KillSwitch::TEMPLATE_ID, &body).unwrap();
        control.stamp(&mut body, ANNA);
        let (stamped, rest) = KillSwitch::read_from_prefix(&body).unwrap();
        assert_eq!((stamped.caller_user.get(), stamped.caller_process.get()), (1000, 77));
        assert_eq!((stamped.party, rest), (forged.party, &b"a text"[..]));
        assert!(control.is_same(&body, &body) && !control.is_same(forged.as_bytes(), &body));
        control.stamp(&mut body, Caller { user: 0, process: None });
        let (stamped, _) = KillSwitch::read_from_prefix(&body).unwrap();
        assert_eq!((stamped.caller_user.get(), stamped.caller_process), (0, KillSwitch::NULL.caller_process));
    }

    #[test]
    fn with_people_a_message_names_its_caller_and_a_role_allows_it() {
        let (on, off) = (SwitchState::ENGAGED, SwitchState::RELEASED);
        assert_eq!(check(&switch(1, 0, on), 1000), Ok(()));
        assert_eq!(check(&switch(2, 0, on), 1000), Err(Denied::Another { named: 2, caller: 1 }));
        assert_eq!(check(&switch(1, 0, on), 0), Err(Denied::Stranger(0)), "not even root");
        let released = check(&switch(1, 0, off), 1000).unwrap_err().to_string();
        assert_eq!(released, "person 1 (p1) may not release a kill switch");
        assert_eq!(check(&switch(2, 0, off), 1001), Ok(()));
        assert_eq!(check(&switch(2, 3, off), 1001), Ok(()));
        assert_eq!(check(&switch(2, 2, off), 1001), Err(Denied::Approval(2)), "not oneself");
        assert_eq!(check(&switch(2, 1, off), 1001), Err(Denied::Approval(1)), "not who may not");
        assert_eq!(check(&switch(2, 9, off), 1001), Err(Denied::Approval(9)), "not a stranger");
        assert!(matches!(check(&switch(4, 0, on), 1003), Err(Denied::Role { number: 4, .. })));
        assert_eq!(check(&AccessRecorded::NULL, 1003), Ok(()));
        let none = People::default();
        let (body, caller) = (switch(9, 0, off), Caller { user: 5, process: None });
        let control = Control::of(KillSwitch::TEMPLATE_ID, body.as_bytes()).unwrap();
        assert_eq!(control.check(body.as_bytes(), caller, &none), Ok(()), "without people all may");
    }

    #[test]
    fn with_people_a_limit_is_proposed_by_one_and_set_by_another_who_approves_it() {
        let limit = |proposal: u64, changed_by: u32, approved_by: u32| RiskLimit {
            proposal: proposal.into(),
            changed_by: changed_by.into(),
            approved_by: approved_by.into(),
            ..RiskLimit::NULL
        };
        assert_eq!(check(&limit(0, 2, 0), 1001), Err(Denied::NotProposed));
        assert_eq!(check(&limit(0, 2, 3), 1001), Err(Denied::NotProposed));
        let proposed = LimitProposed { proposed_by: 2.into(), ..LimitProposed::NULL };
        assert_eq!(check(&proposed, 1001), Ok(()));
        assert_eq!(check(&proposed, 1002), Err(Denied::Another { named: 2, caller: 3 }));
        assert_eq!(check(&limit(7, 2, 3), 1002), Ok(()));
        assert_eq!(check(&limit(7, 2, 3), 1001), Err(Denied::Another { named: 3, caller: 2 }));
        assert_eq!(check(&limit(7, 3, 3), 1002), Err(Denied::Approval(3)));
    }

    #[test]
    fn other_messages_and_cut_ones_are_denied() {
        let denied = |template, length: usize| Control::of(template, &vec![0; length]).unwrap_err();
        assert_eq!(denied(1, 100), Denied::NotAControl(1));
        let cut = Denied::TooShort { name: "KillSwitch", needed: 24, found: 16 };
        assert_eq!(denied(KillSwitch::TEMPLATE_ID, 16), cut);
    }
}
