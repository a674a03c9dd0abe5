//! A kill switch cancels the working orders in its scope under all conditions.

use crate::rig::{Rig, START, fill, notice, order_body};
use std::collections::BTreeMap;
use stele_bus::bounds::OWN_EVENTS_PER_CYCLE_MAX;
use stele_bus::{Grants, Publisher, Sequencer};
use stele_risk::{Risk, RiskLimits};
use stele_wire::Frame;
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelOrder, CancelRejected, CancelScope, KillSwitch, NewOrder, OrderCancelled, OrderStatus, Quote,
    QuoteCancel, Side, SwitchState, VenueNotice,
};

fn order(id: u64, account: u32) -> NewOrder {
    NewOrder { account: account.into(), ..crate::rig::order(id, 10) }
}

fn switch(publisher: &mut Publisher, scope: CancelScope, id: u32, state: SwitchState) {
    let switch = KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL };
    let mut buffer = [0; 64];
    let body = switch.encode(&mut buffer, b"").unwrap();
    publisher.offer(KillSwitch::TEMPLATE_ID, body, START).unwrap();
}

fn send(publisher: &mut Publisher, order: &NewOrder) {
    publisher.offer(NewOrder::TEMPLATE_ID, &order_body(order), START).unwrap();
}

fn done(id: u64, account: u32) -> OrderCancelled {
    OrderCancelled {
        client_order_id: id.into(),
        account: account.into(),
        strategy: 0.into(),
        leaves_quantity: 0.into(),
        status: OrderStatus::DONE,
        ..OrderCancelled::NULL
    }
}

fn found<M: Message>(rig: &Rig) -> Vec<(u64, M)> {
    let read = |frame: &Frame<'_>| Some((frame.sequence().0, *frame.message::<M>()?));
    rig.verified_trail().iter().filter_map(|(_, frame)| read(frame)).collect()
}

/// How often each order was cancelled.
fn cancelled(rig: &Rig) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for (_, cancel) in found::<CancelOrder>(rig) {
        *counts.entry(cancel.cancelled_order_id.get()).or_default() += 1;
    }
    counts
}

fn on_disk(rig: &mut Rig) {
    rig.settle();
    rig.close_batch();
    rig.flush();
}

#[test]
fn every_working_order_in_the_scope_is_cancelled_once_some_in_each_cycle() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 64 << 10, Grants::all());
    for id in 1..=200 {
        send(&mut desk, &order(id, 1 + (id % 2) as u32));
    }
    desk.offer_message(&done(2, 1), START).unwrap();
    rig.settle();
    rig.flush();
    switch(&mut desk, CancelScope::ACCOUNT, 1, SwitchState::ENGAGED);
    let before = rig.sequencer.next_sequence().0;
    rig.cycle();
    let first = rig.sequencer.next_sequence().0 - before;
    assert_eq!(
        first as usize,
        1 + OWN_EVENTS_PER_CYCLE_MAX,
        "the switch, and as many cancels as a cycle takes"
    );
    on_disk(&mut rig);
    let (engaged, _) = found::<KillSwitch>(&rig)[0];
    let cancels = found::<CancelOrder>(&rig);
    assert_eq!(cancels.len(), 99);
    for (sequence, cancel) in &cancels {
        assert_eq!((cancel.publisher.get(), cancel.cause.get(), cancel.account.get()), (0, engaged, 1));
        assert_eq!((cancel.client_order_id.get(), cancel.side), (*sequence, Side::BUY));
    }
    let expected: BTreeMap<u64, u32> =
        (1..=200).filter(|id| id % 2 == 0 && *id != 2).map(|id| (id, 1)).collect();
    assert_eq!(cancelled(&rig), expected);
    assert_eq!(rig.sequencer.statistics().cancels, 99);
}

#[test]
fn a_second_switch_cancels_nothing_twice_except_what_the_venue_did_not_cancel() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    send(&mut desk, &order(1, 1));
    send(&mut desk, &order(2, 2));
    switch(&mut desk, CancelScope::ACCOUNT, 1, SwitchState::ENGAGED);
    rig.settle();
    switch(&mut desk, CancelScope::ALL, 0, SwitchState::ENGAGED);
    rig.settle();
    let too_late = CancelRejected {
        client_order_id: 1.into(),
        account: 1.into(),
        strategy: 0.into(),
        ..CancelRejected::NULL
    };
    desk.offer_message(&too_late, START).unwrap();
    switch(&mut desk, CancelScope::ALL, 0, SwitchState::RELEASED);
    switch(&mut desk, CancelScope::ALL, 0, SwitchState::ENGAGED);
    on_disk(&mut rig);
    assert_eq!(cancelled(&rig), BTreeMap::from([(1, 2), (2, 1)]));
}

#[test]
fn a_quote_is_withdrawn() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    let quote = Quote {
        client_order_id: 5.into(),
        account: 1.into(),
        instrument: 1.into(),
        bid_price: 9.into(),
        ask_price: 11.into(),
        bid_quantity: 1.into(),
        ask_quantity: 1.into(),
        ..Quote::NULL
    };
    desk.offer_message(&quote, START).unwrap();
    switch(&mut desk, CancelScope::ALL, 0, SwitchState::ENGAGED);
    on_disk(&mut rig);
    let withdrawn = found::<QuoteCancel>(&rig);
    assert_eq!(withdrawn.iter().map(|(_, it)| it.original_order_id.get()).collect::<Vec<_>>(), [5]);
}

#[test]
fn cancels_find_room_where_market_data_and_orders_do_not() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 64 << 10, Grants::all());
    let mut desk = rig.sequencer.publisher(2, "desk", 64 << 10, Grants::all());
    let _stuck = rig.sequencer.gating_consumer("reader");
    for id in 1..=300 {
        send(&mut desk, &order(id, 1));
    }
    rig.settle();
    for _ in 0..2_000 {
        fill(&mut feed, VenueNotice::TEMPLATE_ID, &notice(1, 40));
        rig.cycle();
        rig.flush();
    }
    send(&mut desk, &order(999, 1));
    switch(&mut desk, CancelScope::ALL, 0, SwitchState::ENGAGED);
    (0..20).for_each(|_| {
        rig.cycle();
    });
    assert_eq!(rig.sequencer.statistics().orders_refused, 1, "there is no room for an order");
    assert_eq!(rig.sequencer.statistics().cancels, 300);
}

#[test]
fn after_a_restart_the_orders_of_an_engaged_switch_are_cancelled_again() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    send(&mut desk, &order(1, 1));
    send(&mut desk, &order(2, 2));
    switch(&mut desk, CancelScope::ACCOUNT, 2, SwitchState::ENGAGED);
    on_disk(&mut rig);
    let mut risk = Risk::new(RiskLimits::default());
    rig.verified_trail().iter().for_each(|(_, frame)| risk.on_event(frame));
    let mut state = Vec::new();
    risk.snapshot(&mut state);
    let risk = Risk::restore(RiskLimits::default(), &state).unwrap();

    let mut again = Rig::with_risk(risk);
    let mut control = again.sequencer.publisher(1, "control", 4096, Grants::all());
    control.offer_message(&stele_wire::messages::SessionStart::NULL, START).unwrap();
    again.settle();
    Sequencer::cancel_switched_orders(&mut again.sequencer);
    on_disk(&mut again);
    assert_eq!(cancelled(&again), BTreeMap::from([(2, 1)]));
}
