//! Limits that one person proposed and another approved.

use super::{CheckCounts, Rule, Setting, Site, Verdict, breach};
use std::collections::BTreeMap;
use stele_wire::messages::{CancelScope, Check, LimitProposed, RiskLimit};

/// A scope's limit for one check: check, scope, id, instrument.
type Target = (u8, u8, u32, u32);

#[derive(Clone, Copy, Debug)]
struct Proposal {
    target: Target,
    limit: i64,
    previous: i64,
    expires: u64,
    proposed_by: u32,
    user: u32,
    /// The event that approved it; 0 while it is open.
    used_by: u64,
}

/// Null values of the schema.
const NO_LIMIT: i64 = i64::MAX;
const NO_TIME: u64 = u64::MAX;
const NOT_VERIFIED: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Proposals {
    proposals: BTreeMap<u64, Proposal>,
    /// The limits in force; none while a change of the limit waits for its time.
    in_force: BTreeMap<Target, Option<i64>>,
    before_the_trail: u64,
}

/// The scope, in one form where there are two.
fn target(check: Check, scope: CancelScope, id: u32, instrument: u32) -> Target {
    let (scope, id, instrument) = match (scope, instrument) {
        (CancelScope::ALL, 0) => (scope, 0, 0),
        (CancelScope::ALL, instrument) => (CancelScope::INSTRUMENT, instrument, 0),
        (CancelScope::INSTRUMENT, _) => (scope, id, 0),
        _ => (scope, id, instrument),
    };
    (check.0, scope.0, id, instrument)
}

impl Proposals {
    pub(super) fn on_proposed(&mut self, site: &Site<'_>) {
        let Some(proposed) = site.frame.message::<LimitProposed>() else { return };
        let target =
            target(proposed.check, proposed.scope, proposed.scope_id.get(), proposed.instrument.get());
        let proposal = Proposal {
            target,
            limit: proposed.limit.get(),
            previous: proposed.previous.get(),
            expires: proposed.expires.get(),
            proposed_by: proposed.proposed_by.get(),
            user: proposed.caller_user.get(),
            used_by: 0,
        };
        self.proposals.insert(site.sequence().0, proposal);
    }

    pub(super) fn on_limit(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let Some(change) = site.frame.message::<RiskLimit>() else { return Ok(()) };
        if change.proposal.get() != 0 && setting.judges(Rule::LimitApproved) {
            self.judge(&change, site, setting, counts)?;
        }
        let target = target(change.check, change.scope, change.scope_id.get(), change.instrument.get());
        let effective = change.effective.get();
        let is_later = effective != NO_TIME && effective > site.frame.timestamp().0;
        self.in_force.insert(target, (!is_later).then(|| change.limit.get()));
        Ok(())
    }

    fn judge(
        &mut self,
        change: &RiskLimit,
        site: &Site<'_>,
        setting: &Setting,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let number = change.proposal.get();
        if number < setting.first.0 {
            self.before_the_trail += 1;
            return Ok(());
        }
        counts.add(Rule::LimitApproved);
        let Some(proposal) = self.proposals.get_mut(&number) else {
            let expected = format!("event {number} to be a LimitProposed");
            return breach(Rule::LimitApproved, expected, "another event");
        };
        let used_by = std::mem::replace(&mut proposal.used_by, site.sequence().0);
        let proposal = *proposal;
        let differs = |expected: String, found: String| breach(Rule::LimitApproved, expected, found);
        if used_by != 0 {
            return differs(format!("proposal {number}, not used yet"), format!("event {used_by} used it"));
        }
        let own = target(change.check, change.scope, change.scope_id.get(), change.instrument.get());
        let terms = |target: Target, limit: i64| {
            let (check, scope, id, instrument) = target;
            let (check, scope) = (Check(check), CancelScope(scope));
            format!("{check} of {scope} {id}, instrument {instrument}: {limit}")
        };
        if (own, change.limit.get()) != (proposal.target, proposal.limit) {
            let expected = terms(proposal.target, proposal.limit);
            return differs(expected, terms(own, change.limit.get()));
        }
        by_two(change, &proposal)?;
        let now = site.frame.timestamp().0;
        if proposal.expires != NO_TIME && now >= proposal.expires {
            return differs(format!("an approval before {}", proposal.expires), format!("one at {now}"));
        }
        let stated = change.previous.get();
        let in_force = self.in_force.get(&own).copied().flatten();
        let previous = in_force.or(Some(stated).filter(|stated| *stated != NO_LIMIT));
        match previous {
            Some(found) if found != proposal.previous => {
                differs(format!("a limit in force of {}", proposal.previous), found.to_string())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn before_the_trail(&self) -> u64 {
        self.before_the_trail
    }
}

/// Checks that one person proposed the limit and another approved it.
fn by_two(change: &RiskLimit, proposal: &Proposal) -> Verdict {
    let (by, approver) = (change.changed_by.get(), change.approved_by.get());
    if by != proposal.proposed_by {
        let expected = format!("changedBy {}, who proposed it", proposal.proposed_by);
        return breach(Rule::LimitApproved, expected, format!("changedBy {by}"));
    }
    if approver == 0 || approver == by {
        let expected = format!("the approval of another person than {by}");
        return breach(Rule::LimitApproved, expected, format!("approvedBy {approver}"));
    }
    let user = change.caller_user.get();
    if user == proposal.user && user != NOT_VERIFIED {
        let expected = format!("the approval by another user than {user}, who proposed it");
        return breach(Rule::LimitApproved, expected, format!("callerUser {user}"));
    }
    Ok(())
}
