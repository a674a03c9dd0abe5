//! A limit that one person proposes is in force when another one approves it.

use super::rig::*;
use stele_risk::bounds::RISK_PROPOSALS_MAX;
use stele_risk::{Risk, RiskLimits};
use stele_wire::messages::{CancelScope, Check, LimitProposed, RiskLimit};

const PROPOSER: u32 = 11;
const APPROVER: u32 = 12;

fn proposed(limit: i64, previous: i64) -> LimitProposed {
    LimitProposed {
        scope: CancelScope::ACCOUNT,
        scope_id: ACCOUNT.into(),
        check: Check::ORDER_QUANTITY,
        limit: limit.into(),
        previous: previous.into(),
        proposed_by: PROPOSER.into(),
        caller_user: 1_001.into(),
        ..LimitProposed::NULL
    }
}

fn approved(proposal: u64, max: i64) -> RiskLimit {
    RiskLimit {
        proposal: proposal.into(),
        changed_by: PROPOSER.into(),
        approved_by: APPROVER.into(),
        caller_user: 1_002.into(),
        ..limit(CancelScope::ACCOUNT, ACCOUNT, Check::ORDER_QUANTITY, max)
    }
}

/// The check and the limit in force of a refused change.
#[track_caller]
fn kept(answer: Answer) -> (Check, i64) {
    match answer {
        Answer::Kept(decision) => (decision.check, decision.value.get()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_approved_proposal_is_in_force_and_is_used_up() {
    let mut rig = Rig::new(RiskLimits { four_eyes: true, ..RiskLimits::default() });
    rig.put(&proposed(10, i64::MAX));
    let number = rig.sequence;
    rig.put(&buy(1, 11, 1));
    rig.risk =
        Risk::restore(RiskLimits { four_eyes: true, ..RiskLimits::default() }, &rig.snapshot()).unwrap();
    rig.put(&approved(number, 10));
    assert_eq!(rig.submit(&buy(2, 11, 1)), refused(Check::ORDER_QUANTITY, 10, 11));
    assert_eq!(kept(rig.submit(&approved(number, 10))), (Check::ORDER_QUANTITY, 10), "used");
}

#[test]
fn an_approval_needs_another_person_another_verified_user_and_the_same_terms() {
    let mut rig = Rig::new(RiskLimits::default());
    rig.put(&proposed(10, i64::MAX));
    let number = rig.sequence;
    let right = approved(number, 10);
    let wrong = [
        RiskLimit { approved_by: PROPOSER.into(), ..right },
        RiskLimit { approved_by: 0.into(), ..right },
        RiskLimit { changed_by: 13.into(), ..right },
        RiskLimit { caller_user: 1_001.into(), ..right },
        RiskLimit { caller_user: u32::MAX.into(), ..right },
        RiskLimit { limit: 11.into(), ..right },
        RiskLimit { check: Check::POSITION, ..right },
        RiskLimit { scope_id: 8.into(), ..right },
        RiskLimit { effective: (rig.now + 5).into(), ..right },
        RiskLimit { proposal: (number + 1).into(), ..right },
    ];
    for change in wrong {
        assert!(matches!(rig.submit(&change), Answer::Kept(_)), "{change:?}");
    }
    rig.put(&RiskLimit { effective: rig.now.into(), ..right });
}

#[test]
fn a_proposal_expires_and_is_refused_when_the_limit_in_force_has_changed() {
    let mut rig = Rig::new(RiskLimits::default());
    rig.put(&LimitProposed { expires: (rig.now + 10).into(), ..proposed(10, i64::MAX) });
    let expiring = rig.sequence;
    rig.put(&proposed(20, i64::MAX));
    let overtaken = rig.sequence;
    rig.put(&limit(CancelScope::ACCOUNT, ACCOUNT, Check::ORDER_QUANTITY, 30));
    assert_eq!(kept(rig.submit(&approved(overtaken, 20))), (Check::ORDER_QUANTITY, 30));
    rig.put(&limit(CancelScope::ACCOUNT, ACCOUNT, Check::ORDER_QUANTITY, i64::MAX));
    let mut in_time = rig.clone();
    in_time.now += 9;
    in_time.put(&approved(expiring, 10));
    rig.now += 10;
    assert_eq!(kept(rig.submit(&approved(expiring, 10))), (Check::ORDER_QUANTITY, i64::MAX));
    rig.put(&approved(overtaken, 20));
}

#[test]
fn a_proposal_that_cannot_be_approved_is_refused() {
    let mut rig = Rig::new(RiskLimits::default());
    let malformed = [
        LimitProposed { check: Check::KILL_SWITCH, ..proposed(1, i64::MAX) },
        LimitProposed { scope: CancelScope::VENUE, ..proposed(1, i64::MAX) },
        LimitProposed { proposed_by: 0.into(), ..proposed(1, i64::MAX) },
        proposed(-1, i64::MAX),
    ];
    for proposal in malformed {
        assert_eq!(kept(rig.submit(&proposal)).0, Check::MALFORMED);
    }
    assert_eq!(kept(rig.submit(&proposed(10, 5))), (Check::ORDER_QUANTITY, i64::MAX), "not in force");
    for _ in 0..RISK_PROPOSALS_MAX {
        rig.put(&LimitProposed { expires: (rig.now + 1).into(), ..proposed(10, i64::MAX) });
    }
    assert_eq!(kept(rig.submit(&proposed(10, i64::MAX))).0, Check::CAPACITY);
    rig.now += 1;
    rig.put(&proposed(10, i64::MAX));
    rig.put(&approved(rig.sequence, 10));
}
