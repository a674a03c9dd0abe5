//! The cancels that follow from kill switches and operators' requests, as the sequencer logs them.

use super::rig::*;
use std::collections::BTreeMap;
use stele_risk::bounds::{
    CANCEL_COMPARISONS_PER_CYCLE, CANCEL_DOUBLINGS_MAX, CANCEL_RETRY_DELAY, CANCEL_SEARCH_INTERVAL,
    CANCEL_SILENCE, OPERATOR_CANCELS_MAX,
};
use stele_risk::{Cancel, PendingCancels, Risk, RiskLimits};
use stele_wire::messages::{
    CancelRejected, CancelScope, Check, Initiator, KillSwitch, NewOrder, OperatorCancel, Side, SwitchState,
};
use stele_wire::{Nanos, Sequence};

/// A sequencer that only follows risk and cancels.
struct Desk {
    rig: Rig,
    cancels: PendingCancels,
}

impl Desk {
    fn new() -> Self {
        Self { rig: Rig::with(&[]), cancels: PendingCancels::default() }
    }

    fn large() -> Self {
        Self { rig: Rig::new(RiskLimits::default()), ..Self::new() }
    }

    fn switch(&mut self, scope: CancelScope, id: u32, state: SwitchState) {
        let switch = KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL };
        self.rig.put(&switch);
        self.cancels.on_switch(&switch, Sequence(self.rig.sequence), &self.rig.risk);
    }

    fn engage(&mut self, scope: CancelScope, id: u32) {
        self.switch(scope, id, SwitchState::ENGAGED);
    }

    fn ask(&mut self, order: u64) {
        self.rig.put(&OperatorCancel { order_sequence: order.into(), ..OperatorCancel::NULL });
        self.cancels.on_operator_cancel(Sequence(order), &self.rig.risk);
    }

    /// One duty cycle, which logs at most `most` cancels: the id of each order, with the cause.
    fn cycle(&mut self, most: usize) -> Vec<(u64, u64)> {
        self.cancels.begin_cycle();
        let mut logged = Vec::new();
        while logged.len() < most {
            let (sequence, now) = (Sequence(self.rig.sequence + 1), Nanos(self.rig.now));
            match self.cancels.next(&self.rig.risk, sequence, now) {
                None => break,
                Some(Cancel::Order(cancel)) => {
                    self.rig.put(&cancel);
                    assert_eq!((cancel.publisher.get(), cancel.initiator), (0, Initiator::FIRM));
                    assert_eq!(cancel.client_order_id.get(), sequence.0);
                    logged.push((cancel.cancelled_order_id.get(), cancel.cause.get()));
                }
                Some(Cancel::Quote(cancel)) => {
                    self.rig.put(&cancel);
                    logged.push((cancel.original_order_id.get(), cancel.cause.get()));
                }
            }
        }
        logged
    }

    /// Duty cycles until there is nothing to do now: the ids of the orders that were cancelled.
    fn settle(&mut self) -> Vec<u64> {
        let mut ids = Vec::new();
        loop {
            ids.extend(self.cycle(64).into_iter().map(|(id, _)| id));
            if !self.cancels.is_due(Nanos(self.rig.now)) {
                return ids;
            }
        }
    }

    fn later(&mut self, time: Nanos) -> Vec<u64> {
        self.rig.now += time.0;
        self.settle()
    }
}

fn reject(id: u64) -> CancelRejected {
    report!(CancelRejected { client_order_id: id.into() })
}

#[test]
fn every_working_order_in_the_scope_is_cancelled_once_with_the_switch_as_the_cause() {
    let mut desk = Desk::new();
    desk.rig.put(&buy(5, 10, 1));
    desk.rig.put(&buy(4, 20, 1));
    desk.rig.put(&quote(9, 0, 3, 1, 2));
    desk.rig.put(&filled(5, Side::BUY, 4, 1, 6));
    desk.rig.put(&cancelled(4));
    desk.rig.put(&NewOrder { account: 8.into(), ..sell(6, 30, 9) });
    desk.engage(CancelScope::ACCOUNT, ACCOUNT);
    let cause = desk.rig.sequence;
    assert_eq!(desk.cycle(64), [(5, cause), (9, cause)]);
    assert_eq!(desk.settle(), []);
    desk.engage(CancelScope::ALL, 0);
    assert_eq!(desk.settle(), [6]);
    for done in [cancelled(5), cancelled(9)] {
        desk.rig.put(&done);
    }
    desk.rig.put(&stele_wire::messages::OrderCancelled { account: 8.into(), ..cancelled(6) });
    assert_eq!(desk.later(CANCEL_SEARCH_INTERVAL), []);
    assert!(desk.cancels.is_empty(), "nothing works in the scope of a switch");
}

/// The venue refused a cancel, and the order worked on for ever.
#[test]
fn a_cancel_is_repeated_after_a_refusal_or_silence_until_the_order_is_done() {
    let mut desk = Desk::new();
    desk.rig.put(&buy(1, 10, 1));
    desk.engage(CancelScope::ALL, 0);
    assert_eq!(desk.settle(), [1]);
    desk.rig.put(&reject(1));
    assert_eq!(desk.later(Nanos(CANCEL_RETRY_DELAY.0 - 1)), []);
    assert_eq!(desk.later(Nanos(1)), [1]);
    let mut delay = CANCEL_RETRY_DELAY.0;
    for _ in 0..CANCEL_DOUBLINGS_MAX + 2 {
        delay = (2 * delay).min(CANCEL_RETRY_DELAY.0 << CANCEL_DOUBLINGS_MAX);
        desk.rig.put(&reject(1));
        assert_eq!(desk.later(Nanos(delay - CANCEL_SEARCH_INTERVAL.0)), []);
        assert_eq!(desk.later(CANCEL_SEARCH_INTERVAL), [1]);
    }
    let mut silent = Desk::new();
    silent.rig.put(&buy(1, 10, 1));
    silent.engage(CancelScope::ALL, 0);
    assert_eq!(silent.settle(), [1]);
    assert_eq!(silent.later(Nanos(CANCEL_SILENCE.0 - 1)), []);
    assert_eq!(silent.later(CANCEL_SEARCH_INTERVAL), [1]);
    silent.rig.put(&cancelled(1));
    assert_eq!(silent.later(CANCEL_SEARCH_INTERVAL), []);
    assert!(silent.cancels.is_empty());
}

#[test]
fn a_released_switch_cancels_what_worked_before_once_and_nothing_later() {
    let mut desk = Desk::new();
    desk.rig.put(&buy(1, 10, 1));
    desk.engage(CancelScope::ALL, 0);
    desk.switch(CancelScope::ALL, 0, SwitchState::RELEASED);
    desk.rig.put(&buy(2, 10, 1));
    assert_eq!(desk.settle(), [1]);
    desk.rig.put(&reject(1));
    assert_eq!(desk.later(CANCEL_SILENCE), []);
    assert!(desk.cancels.is_empty());
    desk.engage(CancelScope::ALL, 0);
    assert_eq!(desk.settle(), [1, 2], "the one that was refused is cancelled at once");
}

#[test]
fn a_duty_cycle_makes_a_bounded_number_of_comparisons() {
    let mut desk = Desk::large();
    for id in 1..=8_192 {
        desk.rig.put(&buy(id, 1, 1));
    }
    for account in 100..160 {
        desk.engage(CancelScope::ACCOUNT, account);
    }
    desk.engage(CancelScope::ACCOUNT, ACCOUNT);
    let slots_per_cycle = CANCEL_COMPARISONS_PER_CYCLE / 61;
    assert_eq!(desk.cycle(usize::MAX).len(), slots_per_cycle);
    assert_eq!(desk.cycle(usize::MAX).len(), slots_per_cycle);
    let mut count = 2 * slots_per_cycle;
    while desk.cancels.is_due(Nanos(desk.rig.now)) {
        count += desk.cycle(usize::MAX).len();
    }
    assert_eq!(count, 8_192);
}

#[test]
fn an_operator_cancels_one_open_order_with_the_request_as_the_cause() {
    let mut desk = Desk::new();
    desk.rig.put(&buy(1, 10, 1));
    desk.rig.put(&buy(2, 10, 1));
    let order = desk.rig.sequence;
    desk.rig.put(&quote(3, 0, 1, 1, 2));
    let quote = desk.rig.sequence;
    desk.ask(order);
    let request = desk.rig.sequence;
    assert_eq!(desk.cycle(64), [(2, request)]);
    desk.ask(quote);
    let request = desk.rig.sequence;
    assert_eq!(desk.cycle(64), [(3, request)]);
    assert!(desk.cancels.is_empty());
    desk.rig.put(&cancelled(2));
    let gone = OperatorCancel { order_sequence: order.into(), ..OperatorCancel::NULL };
    match desk.rig.submit(&gone) {
        Answer::Kept(decision) => {
            assert_eq!((decision.check, decision.order_sequence.get()), (Check::UNKNOWN_ORDER, order));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_beyond_the_room_for_them_and_those_before_a_restart_are_found_by_a_search() {
    let mut desk = Desk::new();
    let count = OPERATOR_CANCELS_MAX as u64 + 10;
    let first = desk.rig.sequence + 1;
    for id in 1..=count {
        desk.rig.put(&buy(id, 10, 1));
    }
    for order in first..first + count {
        desk.ask(order);
    }
    let mut restarted = Desk { rig: desk.rig.clone(), cancels: PendingCancels::default() };
    let mut ids = desk.settle();
    ids.sort_unstable();
    assert_eq!(ids, (1..=count).collect::<Vec<_>>());
    restarted.rig.risk = Risk::restore(RiskLimits::default(), &restarted.rig.snapshot()).unwrap();
    restarted.cancels.resume(&restarted.rig.risk);
    let mut ids = restarted.settle();
    ids.sort_unstable();
    assert_eq!(ids, (1..=count).collect::<Vec<_>>());
    assert!(restarted.cancels.is_empty());
}

/// Orders end, are replaced and are refused cancels while switches of several scopes are engaged.
#[test]
fn whatever_the_venue_answers_nothing_works_in_the_scope_in_the_end() {
    for seed in 0..40_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut desk = Desk::new();
        let mut works: BTreeMap<u64, u32> = BTreeMap::new();
        for id in 1..=60 {
            let account = if next(2) == 0 { ACCOUNT } else { 8 };
            desk.rig.put(&NewOrder { account: account.into(), ..buy(id, 10, 1) });
            works.insert(id, account);
        }
        desk.engage(CancelScope::ACCOUNT, ACCOUNT);
        if next(2) == 0 {
            desk.engage(CancelScope::INSTRUMENT, 99);
        }
        let mut turns = 0;
        while !desk.cancels.is_empty() {
            turns += 1;
            assert!(turns < 20_000, "seed {seed}: {works:?}");
            for (id, _) in desk.cycle(1 + next(8) as usize) {
                assert_eq!(works.get(&id), Some(&ACCOUNT), "seed {seed}");
                match next(4) {
                    0 => desk.rig.put(&reject(id)),
                    1 => {}
                    _ => {
                        works.remove(&id);
                        desk.rig.put(&cancelled(id));
                    }
                }
            }
            desk.rig.now += next(200_000_000);
        }
        assert!(works.values().all(|account| *account == 8), "seed {seed}: {works:?}");
        assert_eq!(desk.rig.risk.open_orders(), works.len());
    }
}
