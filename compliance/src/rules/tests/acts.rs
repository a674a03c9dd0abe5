//! Timers, and acts of operators.

use super::*;
use stele_wire::messages::{CancelOrder, EmergencyCancel, OperatorCancel, TimerSet};

pub(super) fn set(timer: u64, due: u64) -> TimerSet {
    TimerSet {
        timer_id: U64::new(timer),
        due: U64::new(due),
        strategy: U16::new(1),
        publisher: U16::new(9),
        cause: U64::new(0),
        ..TimerSet::NULL
    }
}

pub(super) fn fired(timer: u64, due: u64, set_sequence: u64) -> TimerFired {
    TimerFired {
        timer_id: U64::new(timer),
        due: U64::new(due),
        set_sequence: U64::new(set_sequence),
        strategy: U16::new(1),
        ..TimerFired::NULL
    }
}

#[test]
fn timers_that_fire_early_twice_out_of_order_or_without_being_set_are_found() {
    // Event n of the fixture has the time 1,000 + n.
    let begun = || {
        let mut trail = Trail::begun();
        let (first, second) = (trail.push(&set(1, 1_005)).unwrap(), trail.push(&set(2, 1_004)).unwrap());
        (trail, first, second)
    };
    let (mut trail, first, second) = begun();
    trail.push(&fired(2, 1_004, second)).unwrap();
    trail.push(&fired(1, 1_005, first)).unwrap();
    assert_eq!(broken(trail.push(&fired(1, 1_005, first))), (Rule::TimerInOrder, trail.sequence));
    let (mut trail, first, _) = begun();
    assert_eq!(broken(trail.push(&fired(1, 1_005, first))).0, Rule::TimerInOrder, "2 is due before 1");
    let (mut trail, first, _) = begun();
    assert_eq!(broken(trail.push(&fired(2, 1_004, first))).0, Rule::TimerInOrder, "set by another event");
    let mut trail = Trail::begun();
    assert_eq!(broken(trail.push(&fired(1, 1_005, 3))).0, Rule::TimerInOrder);
    let mut trail = Trail::begun();
    let late = trail.push(&set(1, 5_000)).unwrap();
    assert_eq!(broken(trail.push(&fired(1, 5_000, late))).0, Rule::TimerInOrder);
    let mut trail = Trail::begun();
    let at = trail.push(&set(1, 1_005)).unwrap();
    trail.push(&set(1, u64::MAX)).unwrap();
    assert_eq!(broken(trail.push(&fired(1, 1_005, at))).0, Rule::TimerInOrder, "it was cancelled");
}

#[test]
fn a_timer_that_was_set_before_the_trail_is_judged_by_its_time_only() {
    let mut trail = Trail::starting_at(1_000);
    trail.begin_session().unwrap();
    trail.push(&fired(1, 1_500, 20)).unwrap();
    assert_eq!(broken(trail.push(&fired(1, 9_000, 20))).0, Rule::TimerInOrder);
}

pub(super) fn ask(trail: &mut Trail, order: u64) -> Verdict {
    let asked = OperatorCancel { order_sequence: U64::new(order), ..OperatorCancel::NULL };
    let mut buffer = [0; 64];
    let body = asked.encode(&mut buffer, b"").unwrap();
    trail.push_body(OperatorCancel::TEMPLATE_ID, OperatorCancel::BLOCK_LENGTH, body)
}

#[test]
fn an_operators_cancel_of_no_order_or_that_cancels_another_is_found() {
    let mut trail = Trail::begun();
    let (order, other) = (trail.submit(), trail.submit());
    let asked = ask(&mut trail, order).unwrap();
    let follows = CancelOrder { cause: U64::new(asked), ..trail.cancel(order) };
    trail.push(&follows).unwrap();
    let asked = ask(&mut trail, order).unwrap();
    let strays = CancelOrder { cause: U64::new(asked), ..trail.cancel(other) };
    assert_eq!(broken(trail.push(&strays)), (Rule::OperatorCancels, trail.sequence));
    let mut trail = Trail::begun();
    let event = trail.push(&trade(INSTRUMENT, 1)).unwrap();
    assert_eq!(broken(ask(&mut trail, event)).0, Rule::OperatorCancels);
}

pub(super) fn emergency(trail: &mut Trail, requested: u64, answered: u64, epoch: u32) -> Verdict {
    let act = EmergencyCancel {
        requested_time: U64::new(requested),
        answered_time: U64::new(answered),
        epoch: U32::new(epoch),
        last_sequence: U64::new(1),
        ..EmergencyCancel::NULL
    };
    let mut buffer = [0; 128];
    let body = act.encode(&mut buffer, b"").unwrap();
    trail.push_body(EmergencyCancel::TEMPLATE_ID, EmergencyCancel::BLOCK_LENGTH, body)
}

#[test]
fn an_emergency_cancel_of_no_epoch_or_answered_before_it_was_requested_is_found() {
    for (requested, answered, epoch, is_right) in [
        (1_001, 1_002, 1, true),
        (1_001, u64::MAX, 1, true),
        (1_003, 1_002, 1, false),
        (9_000, u64::MAX, 1, false),
        (1_001, 9_000, 1, false),
        (1_001, 1_002, 2, false),
    ] {
        let mut trail = Trail::begun();
        let verdict = emergency(&mut trail, requested, answered, epoch);
        if is_right {
            verdict.unwrap();
        } else {
            assert_eq!(broken(verdict), (Rule::EmergencyRecorded, trail.sequence));
        }
    }
}
