//! A session in which everything happens that a rule judges.

use super::*;
use crate::rules::fixture::QUANTITY;
use stele_wire::messages::{
    CancelOrder, CancelScope, Check, DropReason, GrantGroups, PublisherReset, SwitchState,
};

#[test]
fn a_session_in_which_everything_happens_holds_and_every_rule_is_asked() {
    let mut trail = Trail::starting_at(1);
    trail.push(&progress(1, 0)).unwrap();
    super::grants::grant(&mut trail, 1, GrantGroups::SESSION, &[]);
    trail.begin_session().unwrap();
    trail.schema_text(SCHEMA_TEXT.as_bytes(), trail.header.schema).unwrap();
    trail.define().unwrap();
    super::grants::grant(&mut trail, 9, GrantGroups::ORDERS.with(GrantGroups::STRATEGY_OWN), &[]);
    super::grants::grant(&mut trail, 4, GrantGroups::RELEASE, &[]);
    trail.push(&part(0, 2, 100)).unwrap();
    trail.push(&trade(INSTRUMENT, 1)).unwrap();

    // A limit that refuses one order, and another limit by two people.
    trail.push(&super::checks::limit(Check::ORDER_QUANTITY, QUANTITY as i64 - 1)).unwrap();
    refuse(&mut trail, 77).unwrap();
    let check = Check::ORDER_QUANTITY;
    rejected(&mut trail, OrderRejected { client_order_id: U64::new(77), check, ..own_refusal() }).unwrap();
    trail.push(&super::checks::limit(Check::ORDER_QUANTITY, 50)).unwrap();
    let proposal = super::checks::propose(&mut trail);
    trail.push(&super::checks::approval(proposal)).unwrap();

    // Of three orders one is executed, one is cancelled before it, and one never leaves.
    let order = |trail: &mut Trail| {
        let number = U64::new(trail.sequence);
        let order = NewOrder { publisher: U16::new(9), publisher_sequence: number, ..trail.order() };
        trail.push_order(&order).unwrap()
    };
    let cancel = |trail: &mut Trail, cancel: CancelOrder| {
        let number = U64::new(trail.sequence);
        trail.push(&CancelOrder { publisher: U16::new(9), publisher_sequence: number, ..cancel }).unwrap()
    };
    let (executed, unsent) = (order(&mut trail), order(&mut trail));
    let asked = super::acts::ask(&mut trail, executed).unwrap();
    let request = CancelOrder { cause: U64::new(asked), ..trail.cancel(executed) };
    let early = cancel(&mut trail, request);
    trail.push(&super::releases::early(&trail, early, executed)).unwrap();
    let request = trail.cancel(unsent);
    let other = cancel(&mut trail, request);
    trail.push(&super::releases::dropped(unsent, other, DropReason::CANCELLED)).unwrap();
    trail.push(&super::releases::ended(unsent, other)).unwrap();
    trail.push(&super::releases::dropped(other, other, DropReason::NOTHING_TO_CANCEL)).unwrap();
    trail.pad(trail.position.0).unwrap();
    trail.push(&trail.released(executed, 1)).unwrap();
    trail.push(&trail.accepted(executed)).unwrap();
    trail.push(&trail.filled(executed, 0, QUANTITY)).unwrap();

    // A timer, a switch, an emergency and a reset.
    let at = trail.push(&super::acts::set(1, 1_005)).unwrap();
    trail.push(&super::acts::fired(1, 1_005, at)).unwrap();
    for state in [SwitchState::ENGAGED, SwitchState::RELEASED] {
        super::checks::switch(&mut trail, CancelScope::ALL, 0, state, [1, 2]).unwrap();
    }
    super::acts::emergency(&mut trail, 1_001, u64::MAX, 1).unwrap();
    let reset = PublisherReset { publisher: U16::new(9), new_number: U64::new(0), ..PublisherReset::NULL };
    let reset = PublisherReset { last_number: U64::new(trail.sequence), ..reset };
    let mut buffer = [0; 64];
    let body = reset.encode(&mut buffer, b"").unwrap();
    trail.push_body(PublisherReset::TEMPLATE_ID, PublisherReset::BLOCK_LENGTH, body).unwrap();
    trail.end().unwrap();
    trail.rules.on_end(&SegmentHeader { index: 1, ..trail.header }).unwrap();

    for rule in Rule::ALL {
        assert!(trail.rules.counts().of(*rule) > 0, "{rule} was never asked");
    }
    assert_eq!((trail.rules.unexplained_refusals(), trail.rules.undefined_in_orders()), (0, 0));
}
