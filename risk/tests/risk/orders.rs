//! The life of open orders, and its effect on positions and credit.

use super::rig::*;
use stele_risk::bounds::RISK_RECENT_ORDERS_MAX;
use stele_risk::{Risk, RiskLimits};
use stele_wire::messages::{
    AccountDefinition, Check, NewOrder, OpeningPosition, OrderExpired, OrderRestated, OrderStatus,
    OrderTriggered, OrderType, ReplaceOrder, ReplaceRejected, Side, TradeBusted, TradeCorrected,
};
use stele_wire::{Frame, frame};
use zerocopy::IntoBytes;

#[test]
fn an_order_and_its_replacement_count_as_the_larger_of_the_two_until_the_venue_answers() {
    let mut rig = Rig::with(&[(Check::POSITION, 100)]);
    rig.put(&buy(1, 80, 5));
    rig.put(&replace(2, 1, Side::BUY, 100, 6));
    assert_eq!(rig.risk.credit_used(ACCOUNT), 600);
    assert_eq!(rig.submit(&buy(3, 1, 5)), refused(Check::POSITION, 100, 101));
    let mut refused_by_venue = rig.clone();
    let rejected = report!(ReplaceRejected { client_order_id: 1.into(), request_order_id: 2.into() });
    refused_by_venue.put(&rejected);
    assert_eq!(refused_by_venue.risk.credit_used(ACCOUNT), 400);
    refused_by_venue.put(&buy(4, 20, 5));
    rig.put(&replaced(2, 1, 90, 6));
    assert_eq!((rig.risk.open_orders(), rig.risk.credit_used(ACCOUNT)), (1, 540));
    rig.put(&buy(4, 10, 5));
    assert_eq!(rig.submit(&replace(5, 4, Side::BUY, 11, 5)), refused(Check::POSITION, 100, 101));
    rig.put(&replace(5, 4, Side::BUY, 1, 5));
}

#[test]
fn a_replacement_that_was_not_requested_takes_over_the_order() {
    let mut rig = Rig::with(&[(Check::SELF_MATCH, 0)]);
    rig.put(&buy(1, 80, 5));
    rig.put(&replaced(2, 1, 70, 7));
    assert_eq!((rig.risk.open_orders(), rig.risk.credit_used(ACCOUNT)), (1, 490));
    assert_eq!(rig.submit(&sell(3, 1, 7)), refused(Check::SELF_MATCH, 7, 7));
    rig.put(&cancelled(2));
    assert_eq!((rig.risk.open_orders(), rig.risk.credit_used(ACCOUNT)), (0, 0));
}

#[test]
fn every_end_of_an_order_releases_what_it_used() {
    let expired = report!(OrderExpired { client_order_id: 1.into() });
    let mut rejected = our_rejection(1);
    rejected.check = Check::VENUE;
    let suspended = accepted(1, 0);
    let ends: [&dyn Fn(&mut Rig); 5] = [
        &|rig| rig.put(&expired),
        &|rig| assert_eq!(rig.submit_bytes(402, &[rejected.as_bytes(), &[0, 0]].concat()), Answer::Passed),
        &|rig| rig.put(&cancelled(1)),
        &|rig| rig.put(&suspended),
        &|rig| rig.put(&filled(1, Side::NONE, 10, 5, 0)),
    ];
    for end in ends {
        let mut rig = Rig::with(&[(Check::OPEN_ORDERS, 1)]);
        rig.put(&buy(1, 10, 5));
        assert_eq!((rig.risk.open_orders(), rig.risk.credit_used(ACCOUNT)), (1, 50));
        end(&mut rig);
        assert_eq!((rig.risk.open_orders(), rig.risk.credit_used(ACCOUNT)), (0, 0));
        rig.put(&buy(2, 10, 5));
    }
}

#[test]
fn a_refusal_by_the_sequencer_does_not_end_an_open_order() {
    let mut rig = Rig::with(&[]);
    rig.put(&buy(1, 10, 5));
    let body = [our_rejection(1).as_bytes(), &[0, 0]].concat();
    assert_eq!(rig.submit_bytes(402, &body), Answer::Passed);
    assert_eq!(rig.risk.open_orders(), 1);
}

#[test]
fn a_stop_rests_once_it_is_triggered_and_a_restated_order_at_its_new_price() {
    let mut rig = Rig::with(&[(Check::SELF_MATCH, 0)]);
    let mut stop = sell(1, 10, 95);
    (stop.order_type, stop.stop_price) = (OrderType::STOP_LIMIT, 97.into());
    rig.put(&stop);
    rig.put(&buy(2, 1, 94));
    let triggered = report!(OrderTriggered { client_order_id: 1.into(), leaves_quantity: 10.into() });
    rig.put(&triggered);
    assert_eq!(rig.submit(&buy(3, 1, 95)), refused(Check::SELF_MATCH, 95, 95));
    let restated =
        report!(OrderRestated { client_order_id: 1.into(), leaves_quantity: 4.into(), price: 99.into() });
    rig.put(&restated);
    rig.put(&buy(3, 1, 98));
    assert_eq!(rig.submit(&buy(4, 1, 99)), refused(Check::SELF_MATCH, 99, 99));
}

#[test]
fn quotes_end_side_by_side() {
    let mut rig = Rig::with(&[]);
    rig.put(&quote(1, 0, 10, 5, 6));
    rig.put(&filled(1, Side::SELL, 10, 6, 0));
    assert_eq!((rig.risk.open_orders(), rig.risk.position(ACCOUNT, INSTRUMENT)), (1, -10));
    rig.put(&quote(2, 1, 10, 5, 6));
    rig.put(&replaced(2, 1, 10, i64::MAX));
    assert_eq!(rig.risk.open_orders(), 2);
    rig.put(&cancelled(2));
    assert_eq!(rig.risk.open_orders(), 0);
}

#[test]
fn executions_are_reversed_and_corrected() {
    let mut rig = Rig::with(&[]);
    rig.put(&buy(1, 100, 5));
    rig.put(&filled(1, Side::BUY, 60, 5, 40));
    rig.put(&filled(1, Side::BUY, 40, 5, 0));
    let (first, second) = (rig.sequence - 1, rig.sequence);
    assert_eq!((rig.risk.position(ACCOUNT, INSTRUMENT), rig.risk.credit_used(ACCOUNT)), (100, 500));
    let bust =
        report!(TradeBusted { fill_sequence: first.into(), side: Side::BUY, last_quantity: 60.into() });
    rig.put(&bust);
    assert_eq!((rig.risk.position(ACCOUNT, INSTRUMENT), rig.risk.credit_used(ACCOUNT)), (40, 200));
    let correction = report!(TradeCorrected {
        fill_sequence: second.into(),
        last_quantity: 30.into(),
        last_price: 4.into(),
    });
    rig.put(&correction);
    assert_eq!((rig.risk.position(ACCOUNT, INSTRUMENT), rig.risk.credit_used(ACCOUNT)), (30, 120));
    let unknown = report!(TradeCorrected { fill_sequence: 9_999.into(), last_quantity: 30.into() });
    rig.put(&unknown);
    assert_eq!((rig.risk.position(ACCOUNT, INSTRUMENT), rig.risk.untracked()), (30, 1));
}

#[test]
fn a_trail_may_begin_with_a_position() {
    let mut rig = Rig::with(&[(Check::POSITION, 100)]);
    rig.put(&OpeningPosition {
        account: ACCOUNT.into(),
        instrument: INSTRUMENT.into(),
        quantity: (-90).into(),
        average_price: 10.into(),
        ..OpeningPosition::NULL
    });
    assert_eq!((rig.risk.position(ACCOUNT, INSTRUMENT), rig.risk.credit_used(ACCOUNT)), (-90, 900));
    assert_eq!(rig.submit(&sell(1, 11, 1)), refused(Check::POSITION, 100, 101));
}

#[test]
fn new_orders_beyond_the_room_for_the_window_are_refused() {
    let mut rig = Rig::with(&[(Check::DUPLICATE, SECOND as i64)]);
    for id in 1..=RISK_RECENT_ORDERS_MAX as u64 {
        rig.put(&buy(id, id, 1));
        rig.put(&cancelled(id));
        rig.now += 1;
    }
    let most = RISK_RECENT_ORDERS_MAX as i64;
    assert_eq!(rig.submit(&buy(1 << 40, 1 << 40, 1)), refused(Check::CAPACITY, most, most + 1));
    rig.now += SECOND - RISK_RECENT_ORDERS_MAX as u64;
    rig.put(&buy(1 << 40, 1 << 40, 1));
}

#[test]
fn the_frames_of_a_log_give_the_state_that_its_sequencer_had() {
    let mut rig = Rig::with(&[(Check::POSITION, 100), (Check::MESSAGE_RATE, 50), (Check::DUPLICATE, 9)]);
    rig.put(&trade(50, 1));
    rig.put(&buy(1, 60, 50));
    rig.put(&filled(1, Side::BUY, 20, 50, 40));
    rig.put(&sell(2, 70, 51));
    rig.submit(&sell(3, 70, 51));
    let mut replayed = Risk::new(RiskLimits::default());
    for (template_id, body, sequence, time) in &rig.log {
        let mut bytes = vec![0_u64; (32 + body.len()).div_ceil(8)];
        let header = frame::FrameHeader {
            crc: 0.into(),
            length: (bytes.len() as u16 * 8).into(),
            flags: 0,
            version: stele_wire::bounds::FRAME_VERSION,
            sequence: (*sequence).into(),
            timestamp: (*time).into(),
            block_length: block_length(*template_id).into(),
            template_id: (*template_id).into(),
            schema_id: stele_wire::messages::SCHEMA_ID.into(),
            schema_version: stele_wire::messages::SCHEMA_VERSION.into(),
        };
        bytes.as_mut_bytes()[..32].copy_from_slice(header.as_bytes());
        bytes.as_mut_bytes()[32..32 + body.len()].copy_from_slice(body);
        replayed.on_event(&Frame::read(bytes.as_bytes()).unwrap());
    }
    let mut bytes = Vec::new();
    replayed.snapshot(&mut bytes);
    assert_eq!(bytes, rig.snapshot());
    assert_eq!(replayed.open_orders(), 2);
}

#[test]
fn an_order_with_the_status_done_is_closed_whatever_the_report_states_as_left() {
    let mut rig = Rig::with(&[]);
    rig.put(&buy(1, 10, 5));
    let mut done = cancelled(1);
    done.leaves_quantity = 7.into();
    assert_eq!(done.status, OrderStatus::DONE);
    rig.put(&done);
    assert_eq!(rig.risk.open_orders(), 0);
}

#[test]
fn an_order_does_not_match_one_of_another_account_with_the_same_beneficial_owner() {
    let mut rig = Rig::with(&[(Check::SELF_MATCH, 0)]);
    let owned = |account: u32, owner: u32| AccountDefinition {
        account: account.into(),
        beneficial_owner: owner.into(),
        ..AccountDefinition::NULL
    };
    rig.put(&owned(1, 70));
    rig.put(&NewOrder { account: 1.into(), ..sell(1, 10, 100) });
    let answer = |rig: &Rig, account: u32| {
        let crossing = NewOrder { account: account.into(), ..buy(2, 10, 100) };
        rig.clone().submit(&crossing)
    };
    let own = refused(Check::SELF_MATCH, 100, 100);
    assert_eq!(answer(&rig, 1), own);
    assert_eq!(answer(&rig, 2), Answer::Passed, "the accounts have no common owner");
    rig.put(&owned(2, 70));
    rig.put(&owned(3, 71));
    assert_eq!(answer(&rig, 2), own, "although that account holds nothing yet");
    assert_eq!(answer(&rig, 3), Answer::Passed, "another owner's");
    let restored = Risk::restore(RiskLimits::default(), &rig.snapshot()).unwrap();
    assert_eq!(answer(&Rig { risk: restored, ..rig.clone() }, 2), own);
    let same_number =
        ReplaceOrder { account: 2.into(), replaced_order_id: 1.into(), ..replace(3, 1, Side::BUY, 1, 100) };
    let expected = refused(Check::UNKNOWN_ORDER, 0, 1);
    assert_eq!(rig.clone().submit(&same_number), expected, "another account's order of that number");
    rig.put(&owned(3, 70));
    rig.put(&owned(1, 72));
    assert_eq!(answer(&rig, 2), Answer::Passed, "the account has another owner now");
    assert_eq!(answer(&rig, 3), Answer::Passed);
    assert_eq!(answer(&rig, 1), own);
    rig.put(&owned(2, 72));
    assert_eq!(answer(&rig, 2), own);
    rig.put(&owned(2, 0));
    assert_eq!(answer(&rig, 2), Answer::Passed);
}
