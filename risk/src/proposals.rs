//! Limits that a person proposed and another person has not approved yet.

use crate::bounds::RISK_PROPOSALS_MAX;
use crate::limits::Target;
use stele_wire::messages::{Check, LimitProposed, RiskLimit};

/// A proposed limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Proposal {
    /// The number of the proposal: the sequence of its event.
    pub(crate) number: u64,
    pub(crate) target: Target,
    pub(crate) check: Check,
    pub(crate) limit: i64,
    /// The limit in force when it was proposed.
    pub(crate) previous: i64,
    pub(crate) effective: u64,
    /// It can be approved before this time; `u64::MAX` for always.
    pub(crate) expires: u64,
    pub(crate) proposed_by: u32,
    pub(crate) caller_user: u32,
}

/// The null value of a user of the operating system: not verified.
const UNVERIFIED: u32 = u32::MAX;

impl Proposal {
    /// The proposal of an event; none when limits have no such scope.
    pub(crate) fn of(event: &LimitProposed, number: u64) -> Option<Self> {
        Some(Self {
            number,
            target: Target::of(&as_limit(event))?,
            check: event.check,
            limit: event.limit.get(),
            previous: event.previous.get(),
            effective: event.effective.get(),
            expires: event.expires.get(),
            proposed_by: event.proposed_by.get(),
            caller_user: event.caller_user.get(),
        })
    }

    /// Whether the limit is the proposed one, and was approved in time by another person who is another user
    /// of the operating system (RTS 6 Art. 15(6); SEC 15c3-5(d)). A user that is not verified is not another
    /// one.
    pub(crate) fn is_approved_by(&self, change: &RiskLimit, now: u64) -> bool {
        let (proposer, approver) = (change.changed_by.get(), change.approved_by.get());
        let users = [self.caller_user, change.caller_user.get()];
        let effective = change.effective.get();
        let is_at_once = self.effective == u64::MAX && effective <= now;
        let is_same = Target::of(change) == Some(self.target)
            && (change.check, change.limit.get()) == (self.check, self.limit)
            && (effective == self.effective || is_at_once);
        let are_two = proposer == self.proposed_by
            && ![0, proposer].contains(&approver)
            && users[0] != users[1]
            && !users.contains(&UNVERIFIED);
        is_same && are_two && now < self.expires
    }
}

/// The limit that an event proposes.
pub(crate) fn as_limit(event: &LimitProposed) -> RiskLimit {
    RiskLimit {
        effective: event.effective,
        scope_id: event.scope_id,
        instrument: event.instrument,
        check: event.check,
        scope: event.scope,
        reason: event.reason,
        changed_by: event.proposed_by,
        limit: event.limit,
        previous: event.previous,
        caller_user: event.caller_user,
        caller_process: event.caller_process,
        ..RiskLimit::NULL
    }
}

/// The proposals that can still be approved, in the order of their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Proposals {
    rows: Vec<Proposal>,
}

impl Default for Proposals {
    fn default() -> Self {
        Self { rows: Vec::with_capacity(RISK_PROPOSALS_MAX) }
    }
}

impl Proposals {
    pub(crate) fn get(&self, number: u64) -> Option<&Proposal> {
        self.rows.iter().find(|row| row.number == number)
    }

    /// Whether there is room for one more, once those that have expired by `now` are removed.
    pub(crate) fn has_room(&self, now: u64) -> bool {
        self.rows.len() < RISK_PROPOSALS_MAX || self.rows.iter().any(|row| row.expires <= now)
    }

    /// Adds a proposal if there is room. Those that have expired by `now` are removed.
    pub(crate) fn add(&mut self, proposal: Proposal, now: u64) {
        self.rows.retain(|row| row.expires > now);
        if self.rows.len() < RISK_PROPOSALS_MAX {
            self.rows.push(proposal);
        }
    }

    /// Removes a proposal that was approved.
    pub(crate) fn remove(&mut self, number: u64) {
        self.rows.retain(|row| row.number != number);
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Proposal> {
        self.rows.iter()
    }
}
