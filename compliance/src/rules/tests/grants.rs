//! What publishers may send, and resets of their numbering.

use super::*;
use stele_wire::messages::{
    CancelScope, GrantGroups, PublisherGrant, PublisherGrantScopes, PublisherReset, TimerSet,
};

/// Pushes a grant of this publisher.
pub(super) fn grant(trail: &mut Trail, publisher: u16, groups: GrantGroups, scopes: &[(CancelScope, u32)]) {
    let block = PublisherGrant { publisher: U16::new(publisher), groups, ..PublisherGrant::NULL };
    let scopes = scopes.iter().map(|(kind, id)| PublisherGrantScopes {
        id: U32::new(*id),
        kind: *kind,
        reserved: [0; 3],
    });
    let mut buffer = [0; 256];
    let body = block.encode(&mut buffer, scopes).unwrap();
    trail.push_body(PublisherGrant::TEMPLATE_ID, PublisherGrant::BLOCK_LENGTH, body).unwrap();
}

fn order_of(trail: &mut Trail, publisher: u16) -> Verdict {
    let order = NewOrder {
        publisher: U16::new(publisher),
        publisher_sequence: U64::new(trail.sequence),
        ..trail.order()
    };
    trail.push_order(&order)
}

#[test]
fn an_order_of_a_publisher_without_a_grant_for_it_is_found() {
    type Case = (GrantGroups, &'static [(CancelScope, u32)], bool);
    let cases: &[Case] = &[
        (GrantGroups::ORDERS, &[], true),
        (GrantGroups::ORDERS.with(GrantGroups::MARKET), &[(CancelScope::STRATEGY, 1)], true),
        (GrantGroups::ORDERS, &[(CancelScope::ACCOUNT, 99), (CancelScope::ACCOUNT, ACCOUNT)], true),
        (GrantGroups::MARKET, &[], false),
        (GrantGroups::ORDERS, &[(CancelScope::STRATEGY, 2)], false),
        (GrantGroups::ORDERS, &[(CancelScope::ACCOUNT, 99)], false),
    ];
    for (groups, scopes, is_granted) in cases {
        let mut trail = Trail::begun();
        grant(&mut trail, 9, *groups, scopes);
        let verdict = order_of(&mut trail, 9);
        if *is_granted {
            verdict.unwrap();
        } else {
            assert_eq!(broken(verdict), (Rule::Granted, trail.sequence), "{groups} {scopes:?}");
        }
    }
}

#[test]
fn an_order_without_a_publisher_or_with_a_grant_of_an_earlier_epoch_is_found() {
    let mut trail = Trail::begun();
    grant(&mut trail, 9, GrantGroups::ORDERS, &[]);
    order_of(&mut trail, 9).unwrap();
    assert_eq!(broken(order_of(&mut trail, 8)).0, Rule::Granted);
    let mut trail = Trail::begun();
    grant(&mut trail, 9, GrantGroups::ORDERS, &[]);
    assert_eq!(broken(order_of(&mut trail, 0)).0, Rule::Granted);
    let mut trail = Trail::begun();
    grant(&mut trail, 9, GrantGroups::ORDERS, &[]);
    trail.next_epoch();
    grant(&mut trail, 1, GrantGroups::SESSION, &[]);
    trail.begin_session().unwrap();
    assert_eq!(broken(order_of(&mut trail, 9)).0, Rule::Granted);
}

#[test]
fn the_sequencers_own_cancels_need_no_grant_and_timers_and_releases_do() {
    let begun = |groups| {
        let mut trail = Trail::begun();
        grant(&mut trail, 4, groups, &[]);
        grant(&mut trail, 9, GrantGroups::ORDERS, &[]);
        let order = order_of(&mut trail, 9).unwrap();
        (trail, order)
    };
    let (mut trail, order) = begun(GrantGroups::RELEASE);
    let own = trail.cancel(order);
    trail.push(&own).unwrap();
    trail.push(&trail.released(order, 1)).unwrap();
    let (mut trail, order) = begun(GrantGroups::MARKET);
    assert_eq!(broken(trail.push(&trail.released(order, 1))).0, Rule::Granted);
    let (mut trail, _) = begun(GrantGroups::RELEASE);
    let set = TimerSet { publisher: U16::new(9), strategy: U16::new(1), ..TimerSet::NULL };
    assert_eq!(broken(trail.push(&set)).0, Rule::Granted);
}

#[test]
fn a_reset_lets_a_publisher_use_its_numbers_again_and_states_its_last_one() {
    let reset = |last: u64| PublisherReset {
        publisher: U16::new(9),
        last_number: U64::new(last),
        new_number: U64::new(0),
        ..PublisherReset::NULL
    };
    let push = |trail: &mut Trail, reset: PublisherReset| {
        let mut buffer = [0; 64];
        let body = reset.encode(&mut buffer, b"").unwrap();
        trail.push_body(PublisherReset::TEMPLATE_ID, PublisherReset::BLOCK_LENGTH, body)
    };
    let numbered = |trail: &mut Trail, number: u64| {
        let order =
            NewOrder { publisher: U16::new(9), publisher_sequence: U64::new(number), ..trail.order() };
        trail.push_order(&order)
    };
    let mut trail = Trail::begun();
    numbered(&mut trail, 50).unwrap();
    push(&mut trail, reset(50)).unwrap();
    let mut trail = Trail::begun();
    numbered(&mut trail, 50).unwrap();
    assert_eq!(broken(push(&mut trail, reset(49))).0, Rule::NumberReset);
    let mut trail = Trail::begun();
    trail.push(&progress(9, 50)).unwrap();
    push(&mut trail, reset(50)).unwrap();
    trail.push(&progress(9, 3)).unwrap();
}
