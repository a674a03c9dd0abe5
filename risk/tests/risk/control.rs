//! Changes of limits, credit and kill switches: only by events, and by two people where that is required.

use super::rig::*;
use proptest::prelude::*;
use stele_risk::RiskLimits;
use stele_wire::messages::{
    AlgorithmDefinition, CancelScope, Check, DeciderKind, Decision, KillSwitch, NewOrder, RiskDecision,
    RiskLimit, SessionStart, StrategyDefinition, SwitchState,
};

fn switch(scope: CancelScope, id: u32, state: SwitchState) -> KillSwitch {
    KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL }
}

fn kept(answer: Answer) -> RiskDecision {
    match answer {
        Answer::Kept(decision) => *decision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kill_switch_stops_its_scope_until_it_is_released() {
    let of_algorithm = NewOrder {
        executor_kind: DeciderKind::ALGORITHM,
        executor: 11.into(),
        desk: 12.into(),
        trader: 13.into(),
        client: 14.into(),
        ..buy(1, 1, 1)
    };
    let scopes = [
        (CancelScope::ALL, 0, 0),
        (CancelScope::ACCOUNT, ACCOUNT, 8),
        (CancelScope::ALGORITHM, 11, 12),
        (CancelScope::INSTRUMENT, INSTRUMENT, 99),
        (CancelScope::STRATEGY, STRATEGY.into(), 9),
        (CancelScope::DESK, 12, 9),
        (CancelScope::TRADER, 13, 9),
        (CancelScope::CLIENT, 14, 9),
        (CancelScope::VENUE, 1, 1),
    ];
    for (scope, id, other) in scopes {
        let mut rig = Rig::new(RiskLimits::default());
        let again = NewOrder { client_order_id: 2.into(), ..of_algorithm };
        if other != id {
            rig.put(&switch(scope, other, SwitchState::ENGAGED));
            assert_eq!(rig.submit(&of_algorithm), Answer::Passed, "{scope:?}: another");
        }
        rig.put(&switch(scope, id, SwitchState::ENGAGED));
        assert_eq!(rig.submit(&again), refused(Check::KILL_SWITCH, 0, id.into()), "{scope:?}");
        rig.put(&switch(scope, id, SwitchState::RELEASED));
        assert_eq!(rig.submit(&again), Answer::Passed, "{scope:?}: released");
    }
}

#[test]
fn a_switch_covers_unknown_owners_and_the_algorithm_of_a_strategys_definition() {
    let mut rig = Rig::new(RiskLimits::default());
    rig.put(&switch(CancelScope::ALGORITHM, 11, SwitchState::ENGAGED));
    assert_eq!(rig.submit(&buy(1, 1, 1)), refused(Check::KILL_SWITCH, 0, 11), "untold");
    let by_person = NewOrder {
        executor_kind: DeciderKind::PERSON,
        investment_decision_kind: DeciderKind::CLIENT,
        ..buy(1, 1, 1)
    };
    rig.put(&by_person);
    let define = |algorithm: u32| StrategyDefinition {
        strategy: STRATEGY.into(),
        algorithm: algorithm.into(),
        ..StrategyDefinition::NULL
    };
    rig.put(&AlgorithmDefinition::NULL);
    rig.put(&define(12));
    rig.put(&buy(2, 1, 1));
    rig.put(&define(11));
    assert_eq!(rig.submit(&buy(3, 1, 1)), refused(Check::KILL_SWITCH, 0, 11));
}

#[test]
fn more_switches_than_there_is_room_for_stop_everything() {
    let mut rig = Rig::new(RiskLimits::default());
    for account in 100..=100 + stele_risk::bounds::KILL_SWITCHES_MAX as u32 {
        rig.put(&switch(CancelScope::ACCOUNT, account, SwitchState::ENGAGED));
    }
    assert_eq!(rig.submit(&buy(1, 1, 1)), refused(Check::KILL_SWITCH, 0, 0));
    rig.put(&switch(CancelScope::ALL, 0, SwitchState::RELEASED));
    rig.put(&buy(1, 1, 1));
}

#[test]
fn a_limit_takes_effect_at_its_time() {
    let mut rig = Rig::with(&[(Check::ORDER_QUANTITY, 10)]);
    let at = |seconds: u64, max| RiskLimit {
        effective: (seconds * SECOND).into(),
        ..limit(CancelScope::ALL, 0, Check::ORDER_QUANTITY, max)
    };
    rig.put(&at(1_010, 30));
    rig.put(&at(1_005, 20));
    assert_eq!(rig.submit(&buy(1, 11, 1)), refused(Check::ORDER_QUANTITY, 10, 11));
    rig.now = 1_005 * SECOND;
    assert_eq!(rig.submit(&buy(1, 21, 1)), refused(Check::ORDER_QUANTITY, 20, 21));
    rig.now = 1_010 * SECOND;
    rig.put(&buy(1, 30, 1));
    rig.put(&at(1_000, 5));
    assert_eq!(rig.submit(&buy(2, 6, 1)), refused(Check::ORDER_QUANTITY, 5, 6), "a time that has passed");
}

#[test]
fn a_limit_of_a_scope_or_a_check_that_does_not_exist_is_refused() {
    let mut rig = Rig::new(RiskLimits::default());
    let nonsense = [
        limit(CancelScope::VENUE, 1, Check::ORDER_QUANTITY, 5),
        limit(CancelScope::ALL, 0, Check::KILL_SWITCH, 5),
        limit(CancelScope::ALL, 0, Check::RESTRICTED, 0),
        limit(CancelScope::STRATEGY, 1, Check::CREDIT, 5),
        limit(CancelScope::STRATEGY, 1 << 16, Check::ORDER_QUANTITY, 5),
        limit(CancelScope::INSTRUMENT, 1, Check::MESSAGE_RATE, 5),
        limit(CancelScope::ALL, 0, Check::ORDER_QUANTITY, -5),
    ];
    for change in nonsense {
        let decision = kept(rig.submit(&change));
        assert_eq!((decision.check, decision.decision), (Check::MALFORMED, Decision::REFUSED));
        assert_eq!(decision.limit, change.limit);
    }
    rig.put(&buy(1, 1, 1));
}

#[test]
fn with_four_eyes_only_two_people_change_a_limit() {
    let mut rig = Rig::new(RiskLimits { four_eyes: true, ..RiskLimits::default() });
    let by = |one: u32, other: u32, max| RiskLimit {
        changed_by: one.into(),
        approved_by: other.into(),
        ..limit(CancelScope::ACCOUNT, ACCOUNT, Check::ORDER_QUANTITY, max)
    };
    rig.put(&by(1, 2, 10));
    for (one, other) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let decision = kept(rig.submit(&by(one, other, 20)));
        let expected = (Check::ORDER_QUANTITY, Decision::REFUSED, 20, 10, one, other, ACCOUNT);
        let (limit, value) = (decision.limit.get(), decision.value.get());
        let (changed, approved) = (decision.verified_by.get(), decision.authorised_by.get());
        let account = decision.account.get();
        assert_eq!((decision.check, decision.decision, limit, value, changed, approved, account), expected);
    }
    assert_eq!(rig.submit(&buy(1, 11, 1)), refused(Check::ORDER_QUANTITY, 10, 11));
    rig.put(&by(0, 0, 10));
    rig.put(&by(1, 2, 20));
    rig.put(&buy(1, 11, 1));
}

#[test]
fn with_four_eyes_one_person_stops_and_two_release() {
    let mut rig = Rig::new(RiskLimits { four_eyes: true, ..RiskLimits::default() });
    let by = |one: u32, other: u32, state| KillSwitch {
        party: one.into(),
        approved_by: other.into(),
        ..switch(CancelScope::ALL, 0, state)
    };
    rig.put(&by(1, 0, SwitchState::RELEASED));
    rig.put(&by(1, 0, SwitchState::ENGAGED));
    let decision = kept(rig.submit(&by(1, 1, SwitchState::RELEASED)));
    assert_eq!((decision.check, decision.decision), (Check::KILL_SWITCH, Decision::REFUSED));
    assert_eq!(rig.submit(&buy(1, 1, 1)), refused(Check::KILL_SWITCH, 0, 0));
    rig.put(&by(1, 2, SwitchState::RELEASED));
    rig.put(&buy(1, 1, 1));
}

#[test]
fn the_sum_of_what_is_allotted_never_exceeds_the_firms_credit() {
    let mut rig = Rig::new(RiskLimits::default());
    rig.put(&SessionStart { shard: 2.into(), ..SessionStart::NULL });
    rig.put(&allotment(0, 1, 600, 1_000));
    rig.put(&allotment(0, 2, 400, 1_000));
    let decision = kept(rig.submit(&allotment(0, 2, 401, 1_000)));
    assert_eq!((decision.check, decision.limit.get(), decision.value.get()), (Check::CREDIT, 1_000, 1_001));
    assert_eq!(
        kept(rig.submit(&allotment(0, 1, 600, 999))).value.get(),
        1_000,
        "the firm's credit cannot be lowered below the sum"
    );
    assert_eq!(kept(rig.submit(&allotment(0, 3, -1, 1_000))).value.get(), 999);
    rig.put(&allotment(5, 2, 9_000, 9_000));
    rig.put(&buy(1, 400, 1));
    assert_eq!(rig.submit(&buy(2, 1, 1)), refused(Check::CREDIT, 400, 401), "this shard's part");
    rig.put(&allotment(0, 1, 500, 1_000));
    rig.put(&allotment(0, 2, 500, 1_000));
    rig.put(&buy(2, 100, 1));
    rig.put(&allotment(ACCOUNT, 2, 100, 100));
    assert_eq!(rig.submit(&buy(3, 1, 1)), refused(Check::CREDIT, 100, 501), "the account's part");
}

#[test]
fn with_four_eyes_credit_is_allotted_by_two_people() {
    let mut rig = Rig::new(RiskLimits { four_eyes: true, ..RiskLimits::default() });
    let mut change = allotment(0, 0, 10, 10);
    assert_eq!(kept(rig.submit(&change)).check, Check::CREDIT);
    (change.changed_by, change.approved_by) = (1.into(), 2.into());
    rig.put(&change);
}

#[derive(Clone, Copy, Debug)]
enum Move {
    /// Shard, amount, the firm's credit.
    Allot(usize, i64, i64),
    /// Shard, quantity.
    Buy(usize, u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let allot = (0_usize..3, 0_i64..700, prop_oneof![Just(1_000_i64), 400_i64..1_200]);
    let buy = (0_usize..3, 1_u64..300);
    let step = prop_oneof![
        allot.prop_map(|(shard, amount, firm)| Move::Allot(shard, amount, firm)),
        buy.prop_map(|(shard, quantity)| Move::Buy(shard, quantity)),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Three shards that get the same allotments in the same order. The model is a table of three amounts.
    #[test]
    fn however_the_firms_credit_is_moved_between_shards_the_sum_never_exceeds_it(steps in moves()) {
        let mut shards: Vec<Rig> = (0..3).map(|_| Rig::new(small_limits())).collect();
        for (number, shard) in (0_u32..).zip(&mut shards) {
            shard.put(&SessionStart { shard: number.into(), ..SessionStart::NULL });
        }
        let mut model: [Option<i64>; 3] = [None; 3];
        let mut next_id = 1;
        for step in steps {
            match step {
                Move::Allot(to, amount, firm) => {
                    let others = (0..3).filter(|other| *other != to).filter_map(|other| model[other]);
                    let is_within = others.sum::<i64>() + amount <= firm;
                    for shard in &mut shards {
                        let answer = shard.submit(&allotment(0, to as u32, amount, firm));
                        prop_assert_eq!(answer == Answer::Passed, is_within, "{:?}", answer);
                    }
                    if is_within {
                        model[to] = Some(amount);
                        prop_assert!(model.iter().flatten().sum::<i64>() <= firm);
                    }
                }
                Move::Buy(at, quantity) => {
                    let before = shards[at].risk.credit_used(ACCOUNT);
                    let passed = shards[at].submit(&buy(next_id, quantity, 1)) == Answer::Passed;
                    next_id += 1;
                    // A shard without an allotment has no credit when others have all of it.
                    let is_shared = model.iter().any(Option::is_some);
                    let allowed = model[at].unwrap_or(if is_shared { 0 } else { i64::MAX });
                    let within = before + i128::from(quantity) <= allowed.into();
                    prop_assert_eq!(passed, within);
                }
            }
        }
    }
}
