mod acts;
mod checks;
mod docs;
mod grants;
mod releases;
mod reports;
mod whole;

use super::fixture::{ACCOUNT, INSTRUMENT, Trail, Verdict, broken};
use super::*;
use stele_journal::format::SegmentHeader;
use stele_wire::SCHEMA_TEXT;
use stele_wire::messages::{
    AccessRecorded, CancelRejected, CreditAllotment, NewOrder, OrderCancelled, OrderFilled, OrderRejected,
    Originator, PublisherProgress, RefusedOrder, ReleaseWatermark, SessionEnd, TimerFired, Trade,
};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{I64, U16, U32, U64};

fn trade(instrument: u32, source: u16) -> Trade {
    Trade { instrument: U32::new(instrument), source: U16::new(source), ..Trade::NULL }
}

fn progress(publisher: u16, sequence: u64) -> PublisherProgress {
    let (publisher, publisher_sequence) = (U16::new(publisher), U64::new(sequence));
    PublisherProgress { publisher, publisher_sequence, ..PublisherProgress::NULL }
}

fn rejected(trail: &mut Trail, rejected: OrderRejected) -> Verdict {
    let mut buffer = [0; 256];
    let body = rejected.encode(&mut buffer, b"no").unwrap();
    trail.push_body(OrderRejected::TEMPLATE_ID, OrderRejected::BLOCK_LENGTH, body)
}

/// A refused order with this number.
fn refuse(trail: &mut Trail, client_order_id: u64) -> Verdict {
    let order = NewOrder { client_order_id: U64::new(client_order_id), ..trail.order() };
    let mut buffer = [0; 512];
    let order = order.encode(&mut buffer, [], &[], &[]).unwrap();
    let refused = RefusedOrder {
        template_id: U16::new(NewOrder::TEMPLATE_ID),
        block_length: U16::new(NewOrder::BLOCK_LENGTH),
        ..RefusedOrder::NULL
    };
    let mut buffer = [0; 600];
    let body = refused.encode(&mut buffer, order).unwrap();
    trail.push_body(RefusedOrder::TEMPLATE_ID, RefusedOrder::BLOCK_LENGTH, body)
}

/// The sequencer's refusal of an order.
fn own_refusal() -> OrderRejected {
    OrderRejected {
        instrument: U32::new(INSTRUMENT),
        account: U32::new(ACCOUNT),
        strategy: U16::new(1),
        source: U16::new(0),
        originator: Originator::MEMBER,
        ..OrderRejected::NULL
    }
}

/// A part of 100, in a unit that is enough for a few orders.
fn part(account: u32, shard: u32, amount: i64) -> CreditAllotment {
    const UNIT: i64 = 1_000_000_000_000;
    CreditAllotment {
        account: U32::new(account),
        shard: U32::new(shard),
        amount: I64::new(amount * UNIT),
        firm_limit: I64::new(100 * UNIT),
        ..CreditAllotment::NULL
    }
}

#[test]
fn credit_shared_out_beyond_the_firms_is_found() {
    let mut trail = Trail::begun();
    trail.push(&part(0, 1, 60)).unwrap();
    trail.push(&part(0, 2, 40)).unwrap();
    trail.push(&part(ACCOUNT, 1, 100)).unwrap();
    trail.push(&part(0, 1, 10)).unwrap();
    trail.push(&part(0, 2, 90)).unwrap();
    assert_eq!(broken(trail.push(&part(0, 3, 1))).0, Rule::CreditAllotted);
    let mut trail = Trail::begun();
    assert_eq!(broken(trail.push(&part(0, 1, -1))).0, Rule::CreditAllotted);
}

#[test]
fn a_refused_order_without_its_own_refusal_is_found() {
    let begun = || {
        let mut trail = Trail::begun();
        let at = refuse(&mut trail, 5).unwrap();
        (trail, at)
    };
    let (mut trail, at) = begun();
    assert_eq!(broken(trail.push(&trade(INSTRUMENT, 1))), (Rule::RefusalWhole, at + 1));
    let (mut trail, at) = begun();
    let others = OrderRejected { client_order_id: U64::new(6), ..own_refusal() };
    assert_eq!(broken(rejected(&mut trail, others)), (Rule::RefusalWhole, at + 1));
    let (mut trail, at) = begun();
    let sequenced =
        OrderRejected { client_order_id: U64::new(5), order_sequence: U64::new(at), ..own_refusal() };
    assert_eq!(broken(rejected(&mut trail, sequenced)), (Rule::RefusalWhole, at + 1));
    let (mut trail, _) = begun();
    rejected(&mut trail, OrderRejected { client_order_id: U64::new(5), ..own_refusal() }).unwrap();
    let none = RefusedOrder { template_id: U16::new(Trade::TEMPLATE_ID), ..RefusedOrder::NULL };
    let mut buffer = [0; 64];
    let body = none.encode(&mut buffer, b"no order").unwrap();
    let verdict = trail.push_body(RefusedOrder::TEMPLATE_ID, RefusedOrder::BLOCK_LENGTH, body);
    assert_eq!(broken(verdict).0, Rule::RefusalWhole);
    let (mut trail, _) = begun();
    trail.next_epoch();
    trail.begin_session().unwrap();
}

#[test]
fn an_order_that_a_publisher_sent_twice_is_found() {
    let mut trail = Trail::begun();
    let numbered = |trail: &Trail, number: u64| NewOrder {
        publisher: U16::new(3),
        publisher_sequence: U64::new(number),
        ..trail.order()
    };
    for number in [1, 2, 5] {
        let order = numbered(&trail, number);
        trail.push_order(&order).unwrap();
    }
    let again = numbered(&trail, 2);
    assert_eq!(broken(trail.push_order(&again)).0, Rule::OriginNumbering);
}

#[test]
fn two_sessions_with_orders_that_were_released_and_answered_hold() {
    let mut trail = Trail::begun();
    trail.push(&part(0, 2, 100)).unwrap();
    trail.push(&trade(INSTRUMENT, 1)).unwrap();
    refuse(&mut trail, 77).unwrap();
    rejected(&mut trail, OrderRejected { client_order_id: U64::new(77), ..own_refusal() }).unwrap();
    let (first, second) = (trail.submit(), trail.submit());
    let durable = trail.position.0;
    trail.pad(0).unwrap();
    // The answer is recorded before the release, and both before padding records that the orders are durable.
    trail.push(&trail.accepted(first)).unwrap();
    trail.push(&trail.released(second, 2)).unwrap();
    trail.pad(trail.position.0).unwrap();
    let fill = OrderFilled { order_sequence: U64::new(second), ..OrderFilled::NULL };
    trail.push(&fill).unwrap();
    trail.end().unwrap();
    trail.pad(trail.position.0).unwrap();
    assert!(durable < trail.position.0);

    trail.next_epoch();
    trail.begin_session().unwrap();
    // The schema and the definitions are on the trail; the new session cancels what was open.
    trail.push(&trade(INSTRUMENT, 1)).unwrap();
    trail.push(&OrderCancelled { order_sequence: U64::new(first), ..OrderCancelled::NULL }).unwrap();
    let last = trail.end().unwrap();

    let epochs = trail.rules.epochs();
    assert_eq!(epochs.len(), 2);
    assert!(
        epochs.iter().all(|epoch| epoch.ending == EpochEnding::InOrder("Finished".to_owned())),
        "{epochs:?}"
    );
    assert_eq!(epochs.iter().map(EpochSummary::events).sum::<u64>(), last);
    assert_eq!((trail.rules.events(), trail.rules.last_sequence()), (last, Sequence(last)));
    trail.rules.on_end(&SegmentHeader { index: 1, ..trail.header }).unwrap();
}

#[test]
fn a_message_whose_block_or_data_do_not_fit_is_found() {
    let mut trail = Trail::begun();
    let short = trade(INSTRUMENT, 1);
    let verdict = trail.push_body(
        Trade::TEMPLATE_ID,
        Trade::BLOCK_LENGTH - 8,
        &short.as_bytes()[..Trade::BLOCK_LENGTH as usize - 8],
    );
    assert_eq!(broken(verdict), (Rule::MessageWhole, trail.sequence));

    let mut trail = Trail::begun();
    let end = SessionEnd { epoch: U32::new(1), ..SessionEnd::NULL };
    let mut body = end.as_bytes().to_vec();
    body.extend_from_slice(&40_u16.to_le_bytes());
    let verdict = trail.push_body(SessionEnd::TEMPLATE_ID, SessionEnd::BLOCK_LENGTH, &body);
    assert_eq!(broken(verdict), (Rule::MessageWhole, trail.sequence));
}

#[test]
fn messages_of_other_schemas_and_later_versions_are_counted_and_not_checked() {
    let mut trail = Trail::begun();
    trail.schema = (77, 1);
    trail.push_body(NewOrder::TEMPLATE_ID, 8, &[1; 8]).unwrap();
    trail.schema = (SCHEMA_ID, SCHEMA_VERSION + 1);
    trail.push_body(9_999, 8, &[1; 8]).unwrap();
    trail.push_body(9_999, 8, &[1; 8]).unwrap();
    let unknown: Vec<_> = trail.rules.unknown().collect();
    assert_eq!(unknown, [(SCHEMA_ID, SCHEMA_VERSION + 1, 9_999, 2), (77, 1, NewOrder::TEMPLATE_ID, 1)]);
}

#[test]
fn an_epoch_that_does_not_begin_with_its_session_is_found() {
    let mut trail = Trail::starting_at(1);
    trail.push(&progress(1, 0)).unwrap();
    assert_eq!(broken(trail.push(&trade(0, 0))), (Rule::SessionBegins, 2));

    let wrong: [fn(&mut stele_wire::messages::SessionStart); 3] = [
        |start| start.epoch = U32::new(2),
        |start| start.shard = U32::new(1),
        |start| start.previous_sequence = U64::new(4),
    ];
    for change in wrong {
        let mut trail = Trail::starting_at(1);
        let mut start = trail.session_start();
        change(&mut start);
        assert_eq!(broken(trail.push_start(&start)), (Rule::SessionBegins, 1));
    }
}

#[test]
fn a_second_session_start_in_an_epoch_is_found() {
    let mut trail = Trail::begun();
    assert_eq!(broken(trail.begin_session()), (Rule::SessionBegins, trail.sequence));
}

#[test]
fn an_event_after_the_end_of_its_session_is_found() {
    let mut trail = Trail::begun();
    trail.end().unwrap();
    trail.pad(0).unwrap();
    assert_eq!(broken(trail.push(&progress(2, 0))), (Rule::SessionEnds, trail.sequence));
}

#[test]
fn a_session_end_that_miscounts_or_names_another_epoch_is_found() {
    let mut trail = Trail::begun();
    let events = trail.sequence + 1;
    assert_eq!(broken(trail.push_end(1, events - 1)), (Rule::SessionEnds, trail.sequence));
    let mut trail = Trail::begun();
    assert_eq!(broken(trail.push_end(2, events)), (Rule::SessionEnds, trail.sequence));
}

#[test]
fn an_epoch_without_an_end_is_cut_short_and_not_an_error() {
    let mut trail = Trail::begun();
    assert_eq!(trail.rules.epochs()[0].ending, EpochEnding::Open);
    trail.next_epoch();
    trail.next_epoch();
    trail.begin_session().unwrap();
    let endings: Vec<_> =
        trail.rules.epochs().iter().map(|epoch| (epoch.events(), epoch.ending.clone())).collect();
    let first = trail.sequence - 1;
    assert_eq!(endings, [(first, EpochEnding::CutShort), (0, EpochEnding::CutShort), (1, EpochEnding::Open)]);
}

#[test]
fn a_trail_without_its_schema_or_with_another_text_is_found() {
    let mut trail = Trail::starting_at(1);
    trail.begin_session().unwrap();
    assert_eq!(broken(trail.push(&trade(0, 0))), (Rule::SchemaOnTrail, 2));

    let mut trail = Trail::starting_at(1);
    trail.begin_session().unwrap();
    let hash = trail.header.schema;
    let mut text = stele_wire::SCHEMA_TEXT.as_bytes().to_vec();
    text[1_000] ^= 1;
    assert_eq!(broken(trail.schema_text(&text, hash)), (Rule::SchemaOnTrail, trail.sequence));
}

#[test]
fn a_session_or_segment_that_names_another_schema_is_found() {
    let mut trail = Trail::starting_at(1);
    let start = stele_wire::messages::SessionStart { schema_hash: [1; 32], ..trail.session_start() };
    assert_eq!(broken(trail.push_start(&start)), (Rule::SchemaOnTrail, 1));

    let mut trail = Trail::begun();
    let mut header = trail.header;
    (header.index, header.schema) = (2, [1; 32]);
    assert_eq!(trail.rules.on_segment(&header).unwrap_err().rule, Rule::SchemaOnTrail);
}

#[test]
fn a_schema_text_that_was_cut_short_is_written_again() {
    let mut trail = Trail::starting_at(1);
    trail.begin_session().unwrap();
    let (text, hash) = (stele_wire::SCHEMA_TEXT.as_bytes(), trail.header.schema);
    let block = stele_wire::messages::SchemaText {
        part: U16::new(0),
        parts: U16::new(9),
        schema_hash: hash,
        ..stele_wire::messages::SchemaText::NULL
    };
    let mut buffer = [0; 128];
    let body = block.encode(&mut buffer, &text[..20]).unwrap();
    trail
        .push_body(stele_wire::messages::SchemaText::TEMPLATE_ID, block.as_bytes().len() as u16, body)
        .unwrap();
    trail.next_epoch();
    trail.begin_session().unwrap();
    trail.schema_text(text, hash).unwrap();
    trail.push(&trade(0, 0)).unwrap();
}

#[test]
fn a_reference_to_an_undefined_id_is_found() {
    for (instrument, source) in [(INSTRUMENT + 1, 1), (INSTRUMENT, 2)] {
        let mut trail = Trail::begun();
        assert_eq!(broken(trail.push(&trade(instrument, source))), (Rule::DefinedBefore, trail.sequence));
    }
    let mut trail = Trail::begun();
    trail.push(&trade(0, 0)).unwrap();
    let accepted =
        stele_wire::messages::OrderAccepted { account: U32::new(ACCOUNT + 1), ..trail.accepted(0) };
    assert_eq!(broken(trail.push(&accepted)), (Rule::DefinedBefore, trail.sequence));
    let mut trail = Trail::begun();
    let order = NewOrder { strategy: U16::new(2), ..trail.order() };
    assert_eq!(broken(trail.push_order(&order)), (Rule::DefinedBefore, trail.sequence));
}

#[test]
fn an_order_of_version_1_for_an_undefined_instrument_is_counted_and_not_an_error() {
    let mut trail = Trail::begun();
    trail.schema.1 = 1;
    let order = NewOrder { instrument: U32::new(99), account: U32::new(98), ..trail.order() };
    trail.push_order(&order).unwrap();
    assert_eq!(trail.rules.undefined_in_orders(), 2);
}

#[test]
fn a_trail_without_its_beginning_may_refer_to_earlier_definitions() {
    let mut trail = Trail::starting_at(1_000);
    trail.begin_session().unwrap();
    trail.push(&trade(INSTRUMENT, 1)).unwrap();
    trail
        .push(&stele_wire::messages::OrderAccepted {
            order_sequence: U64::new(7),
            ..stele_wire::messages::OrderAccepted::NULL
        })
        .unwrap();
    assert_eq!(trail.rules.before_the_trail(), 3);
}

#[test]
fn a_publisher_whose_numbering_goes_back_in_an_epoch_is_found() {
    let mut trail = Trail::begun();
    trail.push(&progress(2, 10)).unwrap();
    trail.push(&progress(3, 5)).unwrap();
    trail.push(&progress(2, 10)).unwrap();
    assert_eq!(broken(trail.push(&progress(2, 9))), (Rule::OriginNumbering, trail.sequence));

    let mut trail = Trail::begun();
    trail.push(&progress(2, 10)).unwrap();
    trail.next_epoch();
    trail.push(&progress(2, 0)).unwrap();
}

#[test]
fn a_cause_that_is_not_earlier_is_found() {
    for ahead in [1, 5] {
        let mut trail = Trail::begun();
        let order = NewOrder { cause: U64::new(trail.sequence + ahead), ..trail.order() };
        assert_eq!(broken(trail.push_order(&order)), (Rule::CauseEarlier, trail.sequence));
    }
    let mut trail = Trail::begun();
    let fired = TimerFired { set_sequence: U64::new(trail.sequence + 1), ..TimerFired::NULL };
    assert_eq!(broken(trail.push(&fired)), (Rule::CauseEarlier, trail.sequence));
}

#[test]
fn an_auditor_may_ask_for_sequences_that_do_not_exist() {
    let mut trail = Trail::begun();
    let access = AccessRecorded { to_sequence: U64::new(1 << 40), ..AccessRecorded::NULL };
    let mut buffer = [0; 128];
    let body = access.encode(&mut buffer, b"", b"").unwrap();
    trail.push_body(AccessRecorded::TEMPLATE_ID, AccessRecorded::BLOCK_LENGTH, body).unwrap();
}

#[test]
fn a_report_on_an_event_that_is_not_an_order_is_found() {
    let mut trail = Trail::begun();
    let event = trail.push(&trade(INSTRUMENT, 1)).unwrap();
    assert_eq!(broken(trail.push(&trail.accepted(event))), (Rule::AnswersOrder, trail.sequence));
}

#[test]
fn a_release_of_an_event_that_is_not_an_order_of_the_epoch_is_found() {
    let mut trail = Trail::begun();
    let order = trail.submit();
    assert_eq!(broken(trail.push(&trail.released(order - 1, 1))), (Rule::ReleaseOrder, trail.sequence));

    let mut trail = Trail::begun();
    let order = trail.submit();
    trail.next_epoch();
    trail.begin_session().unwrap();
    assert_eq!(broken(trail.push(&trail.released(order, 1))), (Rule::ReleaseOrder, trail.sequence));
}

#[test]
fn a_release_that_does_not_grow_or_covers_more_orders_than_there_are_is_found() {
    let mut trail = Trail::begun();
    let (first, second) = (trail.submit(), trail.submit());
    trail.push(&trail.released(second, 2)).unwrap();
    assert_eq!(broken(trail.push(&trail.released(second, 1))), (Rule::ReleaseOrder, trail.sequence));
    for count in [0, 2] {
        let mut trail = Trail::begun();
        trail.submit();
        trail.submit();
        assert_eq!(broken(trail.push(&trail.released(first, count))), (Rule::ReleaseOrder, trail.sequence));
    }
}

#[test]
fn a_release_before_its_watermark_passed_is_found() {
    let change: [fn(&Trail, u64) -> u64; 2] = [|_, end| end - 1, |trail, _| trail.position.0 + 1];
    for watermark in change {
        let mut trail = Trail::begun();
        let order = trail.submit();
        let end = trail.position.0;
        trail.push(&trade(INSTRUMENT, 1)).unwrap();
        let mut released = trail.released(order, 1);
        released.watermark = U64::new(watermark(&trail, end));
        assert_eq!(broken(trail.push(&released)), (Rule::ReleaseWatermark, trail.sequence));
    }
}

#[test]
fn a_watermark_of_a_gateway_that_falls_is_found() {
    let mut trail = Trail::begun();
    let (first, second) = (trail.submit(), trail.submit());
    let end = trail.position.0;
    trail.push(&trade(INSTRUMENT, 1)).unwrap();
    trail.push(&trail.released(first, 1)).unwrap();
    let mut released = trail.released(second, 1);
    released.watermark = U64::new(end);
    assert_eq!(broken(trail.push(&released)), (Rule::ReleaseWatermark, trail.sequence));
}

/// The release claims durable, but the journal's record after the answer does not: one of them is wrong.
#[test]
fn an_answer_to_an_order_that_was_not_durable_is_found() {
    for is_released_late in [true, false] {
        let mut trail = Trail::begun();
        let order = trail.submit();
        let released = OrderReleasedAt { order, end: trail.position.0 };
        if !is_released_late {
            trail.push(&released.as_written(&trail)).unwrap();
        }
        trail.push(&trail.accepted(order)).unwrap();
        let verdict = trail.pad(released.end - 8);
        if is_released_late {
            verdict.unwrap();
            assert_eq!(broken(trail.push(&trail.released(order, 1))).0, Rule::ReportAfterRelease);
        } else {
            // A gateway that releases orders after an earlier watermark is responsible for that.
            verdict.unwrap();
            trail.end().unwrap();
        }
    }
}

struct OrderReleasedAt {
    order: u64,
    end: u64,
}

impl OrderReleasedAt {
    fn as_written(&self, trail: &Trail) -> stele_wire::messages::OrderReleased {
        let mut released = trail.released(self.order, 1);
        (released.kind, released.watermark) = (ReleaseWatermark::WRITTEN, U64::new(self.end));
        released
    }
}

#[test]
fn a_durable_watermark_below_that_of_an_earlier_release_is_found() {
    let mut trail = Trail::begun();
    let order = trail.submit();
    let end = trail.position.0;
    trail.push(&trail.released(order, 1)).unwrap();
    assert_eq!(broken(trail.pad(end - 8)), (Rule::DurableRecorded, trail.sequence));
}

#[test]
fn an_order_that_was_answered_and_never_released_is_found_at_the_end_of_its_session() {
    let mut trail = Trail::begun();
    let order = trail.submit();
    trail.push(&trail.accepted(order)).unwrap();
    assert_eq!(broken(trail.end()), (Rule::ReportAfterRelease, trail.sequence));
}

#[test]
fn a_refusal_before_the_order_left_is_not_an_answer() {
    let mut trail = Trail::begun();
    let order = trail.submit();
    let ours = OrderRejected {
        order_sequence: U64::new(order),
        originator: Originator::MEMBER,
        ..OrderRejected::NULL
    };
    rejected(&mut trail, ours).unwrap();
    trail.end().unwrap();

    let mut trail = Trail::begun();
    trail.submit();
    let theirs = OrderRejected { originator: Originator::MARKET, ..ours };
    rejected(&mut trail, theirs).unwrap();
    assert_eq!(broken(trail.end()).0, Rule::ReportAfterRelease);
}

#[test]
fn an_answer_to_a_cancel_is_one_too() {
    let mut trail = Trail::begun();
    let order = trail.submit();
    let refused = CancelRejected { request_sequence: U64::new(order), ..CancelRejected::NULL };
    let mut buffer = [0; 256];
    let body = refused.encode(&mut buffer, b"").unwrap();
    trail.push_body(CancelRejected::TEMPLATE_ID, CancelRejected::BLOCK_LENGTH, body).unwrap();
    assert_eq!(broken(trail.end()).0, Rule::ReportAfterRelease);
}

#[test]
fn padding_with_a_wrong_last_event_or_durable_watermark_is_found() {
    let mut trail = Trail::begun();
    let last = Sequence(trail.sequence - 1);
    assert_eq!(broken(trail.push_padding(0, last)).0, Rule::DurableRecorded);
    let mut trail = Trail::begun();
    assert_eq!(broken(trail.pad(trail.position.0 + 1)).0, Rule::DurableRecorded);
    let mut trail = Trail::begun();
    trail.pad(100).unwrap();
    assert_eq!(broken(trail.pad(99)).0, Rule::DurableRecorded);
}
