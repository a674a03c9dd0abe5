//! Changes of the controls on orders, as the sequencer handles them.

use crate::rig::{Rig, START, order, order_body};
use stele_bus::{Grants, Publisher};
use stele_risk::RiskLimits;
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelOrder, CancelScope, Check, Decision, NewOrder, OperatorCancel, OrderRejected, RiskDecision,
    RiskLimit,
};
use stele_wire::{Frame, Nanos};

fn offer<M: Message>(publisher: &mut Publisher, message: &M) {
    publisher.offer_message(message, START).unwrap();
}

/// The events of the trail that are of this kind.
fn found<M: Message>(rig: &Rig) -> Vec<(M, Nanos)> {
    let read = |frame: &Frame<'_>| frame.message::<M>().map(|message| (*message, frame.timestamp()));
    rig.verified_trail().iter().filter_map(|(_, frame)| read(frame)).collect()
}

#[test]
fn a_limit_applies_to_the_next_order_and_a_refused_change_leaves_a_decision() {
    let mut rig = Rig::with_limits(RiskLimits { four_eyes: true, ..RiskLimits::default() });
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    let by = |approved_by: u32, limit: i64| RiskLimit {
        scope: CancelScope::ALL,
        check: Check::ORDER_QUANTITY,
        limit: limit.into(),
        changed_by: 1.into(),
        approved_by: approved_by.into(),
        ..RiskLimit::NULL
    };
    offer(&mut desk, &by(2, 10));
    offer(&mut desk, &by(1, 1_000));
    for (id, quantity) in [(1, 10), (2, 11)] {
        desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(id, quantity)), START).unwrap();
    }
    rig.settle();
    rig.close_batch();
    rig.flush();
    assert_eq!(found::<RiskLimit>(&rig).iter().map(|(limit, _)| limit.limit.get()).collect::<Vec<_>>(), [10]);
    let decisions = found::<RiskDecision>(&rig);
    let [(decision, _)] = &decisions[..] else { panic!("{decisions:?}") };
    assert_eq!((decision.check, decision.decision), (Check::ORDER_QUANTITY, Decision::REFUSED));
    assert_eq!((decision.limit.get(), decision.value.get()), (1_000, 10));
    let orders = found::<NewOrder>(&rig);
    assert_eq!(orders.iter().map(|(order, _)| order.client_order_id.get()).collect::<Vec<_>>(), [1]);
    let rejected = found::<OrderRejected>(&rig);
    let [(rejected, _)] = &rejected[..] else { panic!("{rejected:?}") };
    let terms = (rejected.client_order_id.get(), rejected.limit.get(), rejected.value.get());
    assert_eq!((rejected.check, terms), (Check::ORDER_QUANTITY, (2, 10, 11)));
}

#[test]
fn an_order_is_checked_at_the_time_of_its_event() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    let window = RiskLimit {
        scope: CancelScope::ALL,
        check: Check::DUPLICATE,
        limit: 1_000.into(),
        ..RiskLimit::NULL
    };
    offer(&mut desk, &window);
    for (id, wait) in [(1, 0), (2, 999), (3, 1)] {
        rig.clock.advance(Nanos(wait));
        desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(id, 5)), START).unwrap();
        rig.cycle();
    }
    rig.close_batch();
    rig.flush();
    let times: Vec<u64> = found::<NewOrder>(&rig).iter().map(|(_, time)| time.0 - START.0).collect();
    assert_eq!(times, [0, 1_000]);
    let rejected = found::<OrderRejected>(&rig);
    let [(rejected, time)] = &rejected[..] else { panic!("{rejected:?}") };
    assert_eq!((rejected.limit.get(), rejected.value.get(), time.0 - START.0), (1_000, 999, 999));
}

/// One such order made the trail fail its verification for ever.
#[test]
fn an_order_of_an_undefined_account_is_refused_before_it_is_sequenced() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    for account in [0, 98] {
        let undefined = NewOrder { account: account.into(), ..order(1, 5) };
        desk.offer(NewOrder::TEMPLATE_ID, &order_body(&undefined), START).unwrap();
    }
    rig.settle();
    rig.close_batch();
    rig.flush();
    assert!(found::<NewOrder>(&rig).is_empty());
    let rejected = found::<OrderRejected>(&rig);
    let seen = rejected.iter().map(|(rejected, _)| (rejected.check, rejected.value.get()));
    assert_eq!(seen.collect::<Vec<_>>(), [(Check::UNKNOWN_ACCOUNT, 0), (Check::UNKNOWN_ACCOUNT, 98)]);
}

#[test]
fn an_operators_cancel_is_followed_by_the_cancel_of_its_order() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(7, 5)), START).unwrap();
    rig.settle();
    let sequence = rig.sequencer.next_sequence().0 - 1;
    for order_sequence in [sequence, sequence + 100] {
        let request = OperatorCancel { order_sequence: order_sequence.into(), ..OperatorCancel::NULL };
        offer(&mut desk, &request);
    }
    rig.settle();
    rig.close_batch();
    rig.flush();
    let requests = rig.verified_trail();
    let requests = requests.iter().filter(|(_, frame)| frame.message::<OperatorCancel>().is_some());
    let causes: Vec<u64> = requests.map(|(_, frame)| frame.sequence().0).collect();
    let cancels = found::<CancelOrder>(&rig);
    let cancelled = cancels.iter().map(|(cancel, _)| (cancel.cancelled_order_id.get(), cancel.cause.get()));
    assert_eq!(cancelled.collect::<Vec<_>>(), causes.iter().map(|cause| (7, *cause)).collect::<Vec<_>>());
    assert_eq!(causes.len(), 1);
    assert_eq!(found::<RiskDecision>(&rig)[0].0.check, Check::UNKNOWN_ORDER, "no such order is open");
}
