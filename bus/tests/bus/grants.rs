//! What a publisher may submit, and as whom: grants, stamped identity, and bounded numbering.

use crate::rig::{Rig, START, cancel, defined, notice, order, order_body};
use stele_bus::{Grants, Publisher, RecordedNumbers, RemotePublisher};
use stele_risk::RiskLimits;
use stele_wire::Frame;
use stele_wire::codec::Message;
use stele_wire::messages::{
    Boolean, CancelOrder, CancelScope, Check, Decision, EndReason, GrantGroups, KillSwitch, NewOrder,
    OrderFilled, OrderRejected, OrderReleased, PublisherGrant, PublisherProgress, PublisherReset,
    RefusalReason, RefusedOrder, RiskDecision, SessionEnd, SubmissionRefused, SwitchState, TimerFired,
    TimerSet, VenueNotice,
};

const NOTICE: u16 = VenueNotice::TEMPLATE_ID;
/// The number of a publisher in another process.
const OUTSIDE: u16 = 7;

/// The events of the trail that are of this kind.
fn found<M: Message>(rig: &Rig) -> Vec<M> {
    let read = |frame: &Frame<'_>| frame.message::<M>().map(|message| *message);
    rig.verified_trail().iter().filter_map(|(_, frame)| read(frame)).collect()
}

fn on_disk(rig: &mut Rig) {
    rig.settle();
    rig.close_batch();
    rig.flush();
}

fn switch(publisher: &mut Publisher, scope: CancelScope, id: u32, state: SwitchState) {
    let switch = KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL };
    let mut buffer = [0; 64];
    publisher.offer(KillSwitch::TEMPLATE_ID, switch.encode(&mut buffer, b"").unwrap(), START).unwrap();
}

fn not_granted(rig: &Rig) -> u64 {
    rig.sequencer.statistics().refused.of(RefusalReason::NOT_GRANTED)
}

#[test]
fn a_feed_cannot_release_a_kill_switch_report_a_fill_or_end_the_session() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(2, "feed", 4096, Grants::market());
    let mut desk = rig.sequencer.publisher(3, "desk", 4096, Grants::all());
    feed.offer(NOTICE, &notice(1, 40), START).unwrap();
    switch(&mut desk, CancelScope::ALL, 0, SwitchState::ENGAGED);
    rig.settle();
    switch(&mut feed, CancelScope::ALL, 0, SwitchState::RELEASED);
    let fill = OrderFilled { last_quantity: 1_000_000.into(), ..OrderFilled::NULL };
    feed.offer_message(&fill, START).unwrap();
    let end = SessionEnd { reason: EndReason::FINISHED, ..SessionEnd::NULL };
    let mut buffer = [0; 64];
    feed.offer(SessionEnd::TEMPLATE_ID, end.encode(&mut buffer, b"over").unwrap(), START).unwrap();
    feed.offer_message(&OrderReleased::NULL, START).unwrap();
    feed.offer(NewOrder::TEMPLATE_ID, &order_body(&order(1, 1)), START).unwrap();
    feed.offer(NOTICE, &notice(2, 40), START).unwrap();
    rig.settle();
    desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(2, 1)), START).unwrap();
    on_disk(&mut rig);
    assert_eq!(not_granted(&rig), 5);
    assert_eq!(found::<KillSwitch>(&rig).len(), 1);
    assert_eq!(found::<OrderFilled>(&rig).len() + found::<SessionEnd>(&rig).len(), 0);
    assert_eq!(found::<OrderRejected>(&rig)[0].check, Check::KILL_SWITCH, "it is still engaged");
    assert_eq!(found::<VenueNotice>(&rig).len(), 2);
    let reported = found::<SubmissionRefused>(&rig);
    let [refused] = &reported[..] else { panic!("{reported:?}") };
    assert_eq!((refused.reason, refused.publisher.get()), (RefusalReason::NOT_GRANTED, 2));
    let numbers = (refused.first_publisher_sequence.get(), refused.last_publisher_sequence.get());
    assert_eq!((refused.count.get(), numbers), (5, (2, 6)));
}

#[test]
fn what_only_the_sequencer_writes_is_refused_from_everybody() {
    let mut rig = Rig::new();
    let mut all = rig.sequencer.publisher(1, "all", 4096, Grants::all());
    all.offer_message(&TimerFired::NULL, START).unwrap();
    all.offer_message(&PublisherProgress { publisher: 2.into(), ..PublisherProgress::NULL }, START).unwrap();
    all.offer_message(&RiskDecision::NULL, START).unwrap();
    all.offer_message(&SubmissionRefused::NULL, START).unwrap();
    let mut buffer = [0; 128];
    let refused = RefusedOrder { publisher: 2.into(), ..RefusedOrder::NULL };
    all.offer(RefusedOrder::TEMPLATE_ID, refused.encode(&mut buffer, b"").unwrap(), START).unwrap();
    let grant = PublisherGrant { publisher: 2.into(), groups: GrantGroups::OPERATOR, ..PublisherGrant::NULL };
    all.offer(PublisherGrant::TEMPLATE_ID, grant.encode(&mut buffer, []).unwrap(), START).unwrap();
    all.offer(NOTICE, &notice(1, 40), START).unwrap();
    on_disk(&mut rig);
    assert_eq!(not_granted(&rig), 6);
    let granted: Vec<u16> = found::<PublisherGrant>(&rig).iter().map(|grant| grant.publisher.get()).collect();
    assert_eq!(granted, [1], "its own");
    assert_eq!(found::<RefusedOrder>(&rig).len() + found::<TimerFired>(&rig).len(), 0);
}

#[test]
fn an_order_outside_the_scope_is_answered_by_its_refusal_and_a_cancel_is_dropped() {
    let mut rig = Rig::new();
    let grants = Grants::from(GrantGroups::ORDERS).for_accounts([1]);
    let mut desk = rig.sequencer.publisher(3, "desk", 4096, grants);
    for (id, account) in [(1, 1_u32), (2, 5), (3, 0)] {
        let block = NewOrder { account: account.into(), ..order(id, 1) };
        desk.offer(NewOrder::TEMPLATE_ID, &order_body(&block), START).unwrap();
    }
    for account in [5_u32, 1] {
        desk.offer_message(&CancelOrder { account: account.into(), ..cancel(1) }, START).unwrap();
    }
    on_disk(&mut rig);
    let accounts: Vec<u32> = found::<NewOrder>(&rig).iter().map(|order| order.account.get()).collect();
    assert_eq!(accounts, [1]);
    let rejected = found::<OrderRejected>(&rig);
    let terms: Vec<_> = rejected
        .iter()
        .map(|it| (it.check, it.client_order_id.get(), it.limit.get(), it.value.get()))
        .collect();
    assert_eq!(terms, [(Check::NOT_GRANTED, 2, 0, 5), (Check::NOT_GRANTED, 3, 0, 0)]);
    let refused = found::<RefusedOrder>(&rig);
    assert_eq!(refused.iter().map(|it| it.publisher_sequence.get()).collect::<Vec<_>>(), [2, 3]);
    let accounts: Vec<u32> = found::<CancelOrder>(&rig).iter().map(|cancel| cancel.account.get()).collect();
    assert_eq!((accounts, not_granted(&rig)), (vec![1], 3));
}

#[test]
fn a_strategy_host_may_stop_a_strategy_and_nothing_more() {
    let mut rig = Rig::new();
    let grants = GrantGroups::ORDERS | GrantGroups::STRATEGY_OWN;
    let mut host = rig.sequencer.publisher(3, "strategies", 4096, grants);
    switch(&mut host, CancelScope::STRATEGY, 8, SwitchState::ENGAGED);
    switch(&mut host, CancelScope::STRATEGY, 8, SwitchState::RELEASED);
    switch(&mut host, CancelScope::ALL, 0, SwitchState::ENGAGED);
    on_disk(&mut rig);
    let switches: Vec<_> = found::<KillSwitch>(&rig).iter().map(|it| (it.scope, it.state)).collect();
    assert_eq!(switches, [(CancelScope::STRATEGY, SwitchState::ENGAGED)]);
    assert_eq!(not_granted(&rig), 2);
}

#[test]
fn the_identity_in_a_body_is_not_believed() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(6, "desk", 60, Grants::all());
    // Bodies wrap in a ring of 60 words, so every way of writing them is used.
    for number in 1..=40_u64 {
        let claimed = NewOrder {
            publisher: 1.into(),
            publisher_sequence: (u64::MAX - number).into(),
            ..order(number, 1)
        };
        desk.offer(NewOrder::TEMPLATE_ID, &order_body(&claimed), START).unwrap();
        rig.settle();
    }
    let timer = TimerSet { publisher: 1.into(), strategy: 5.into(), ..TimerSet::NULL };
    desk.offer_message(&timer, START).unwrap();
    desk.offer_message(&OrderReleased { gateway: 1.into(), ..OrderReleased::NULL }, START).unwrap();
    on_disk(&mut rig);
    let orders = found::<NewOrder>(&rig);
    let signed: Vec<_> = orders.iter().map(|it| (it.publisher.get(), it.publisher_sequence.get())).collect();
    assert_eq!(signed, (1..=40).map(|number| (6, number)).collect::<Vec<_>>());
    let fields = orders.iter().map(|it| (it.client_order_id.get(), it.strategy.get(), it.quantity.get()));
    assert!(fields.eq((1..=40).map(|number| (number, 0, 1))), "nothing else changes");
    let timer = found::<TimerSet>(&rig)[0];
    assert_eq!((timer.publisher.get(), timer.publisher_sequence.get(), timer.strategy.get()), (6, 41, 5));
    assert_eq!(found::<OrderReleased>(&rig)[0].gateway.get(), 6);
    // Nobody else is shut out.
    let mut numbers = RecordedNumbers::default();
    rig.verified_trail().iter().for_each(|(_, frame)| numbers.on_event(frame));
    assert_eq!(numbers.last.get(&1), None);
}

#[test]
fn a_number_far_ahead_is_refused_and_does_not_shut_its_publisher_out() {
    let mut rig = Rig::shared();
    let grants = Grants::all().with_number_step_max(Some(100));
    let mut port = rig.sequencer.remote_publisher(OUTSIDE, "outside", 1 << 10, grants);
    let mut client = rig.connect(&mut port);
    for last in [u64::MAX - 2, 100] {
        client.continue_after(last);
        client.offer(NOTICE, &notice(1, 40), START).unwrap();
    }
    client.continue_after(99);
    client.offer(NOTICE, &notice(2, 40), START).unwrap();
    rig.settle();
    drop(client);
    port.close();
    rig.settle();
    let mut client = rig.connect(&mut port);
    assert_eq!(client.next_sequence(), 101);
    client.offer(NOTICE, &notice(3, 40), START).unwrap();
    on_disk(&mut rig);
    let tags: Vec<u32> = found::<VenueNotice>(&rig).iter().map(|notice| notice.instrument.get()).collect();
    assert_eq!(tags, [2, 3]);
    let reported = found::<SubmissionRefused>(&rig);
    let terms: Vec<_> = reported.iter().map(|it| (it.reason, it.count.get())).collect();
    assert_eq!(terms, [(RefusalReason::NUMBER_JUMP, 2)]);
    assert_eq!(rig.sequencer.statistics().refused.of(RefusalReason::NUMBER_JUMP), 2);
}

/// What a client in another process sends is recognised after a restart, whatever became of it.
#[test]
fn after_a_restart_a_retry_of_an_order_without_a_number_and_of_refused_submissions_is_recognised() {
    let mut rig = Rig::shared();
    let grants = || {
        let groups = GrantGroups::MARKET | GrantGroups::ORDERS;
        Grants::from(groups).for_accounts([1, 2])
    };
    let mut port = rig.sequencer.remote_publisher(OUTSIDE, "outside", 1 << 12, grants());
    let mut client = rig.connect(&mut port);
    let send = |client: &mut RemotePublisher| {
        client.continue_after(0);
        for account in [1, 9] {
            let order = NewOrder { account: account.into(), ..order(u64::from(account), 1) };
            client.offer(NewOrder::TEMPLATE_ID, &order_body(&order), START).unwrap();
        }
        client.offer(NOTICE, &notice(1, 40), START).unwrap();
        client.offer_message(&OrderFilled::NULL, START).unwrap();
    };
    send(&mut client);
    rig.settle();
    assert_eq!(client.acknowledged().sequence, 4);
    rig.close_batch();
    rig.flush();
    assert!(client.acknowledged().position <= rig.ring.watermarks().durable());
    let mut numbers = RecordedNumbers::default();
    rig.verified_trail().iter().for_each(|(_, frame)| numbers.on_event(frame));
    assert_eq!(numbers.last[&OUTSIDE], 4);
    drop((client, rig));

    let mut rig = Rig::shared();
    rig.sequencer.continue_numbering(numbers.last);
    let mut port = rig.sequencer.remote_publisher(OUTSIDE, "outside", 1 << 12, grants());
    let mut client = rig.connect(&mut port);
    assert_eq!(client.next_sequence(), 5);
    send(&mut client);
    client.offer(NOTICE, &notice(5, 40), START).unwrap();
    on_disk(&mut rig);
    assert_eq!(rig.sequencer.statistics().duplicates, 4);
    assert_eq!(found::<NewOrder>(&rig).len() + found::<OrderRejected>(&rig).len(), 0);
    let grants = found::<PublisherGrant>(&rig);
    assert_eq!((grants[0].last_number.get(), grants[0].is_outside), (4, Boolean::TRUE));
}

#[test]
fn grants_are_logged_before_the_first_event_of_each_publisher_and_of_each_claim() {
    let mut rig = Rig::shared();
    let grants = Grants::market().for_venues([3, 4]).with_number_step_max(Some(50));
    let mut port = rig.sequencer.remote_publisher(OUTSIDE, "outside", 1 << 10, grants);
    let mut own = rig.sequencer.publisher(2, "own", 1024, GrantGroups::MARKET);
    for _ in 0..2 {
        own.offer(NOTICE, &notice(1, 40), START).unwrap();
        rig.settle();
    }
    let notice = VenueNotice { source: 4.into(), ..VenueNotice::NULL };
    let mut client = rig.connect(&mut port);
    for _ in 0..2 {
        client.offer_message(&notice, START).unwrap();
        rig.settle();
    }
    on_disk(&mut rig);
    let trail = rig.verified_trail();
    let events: Vec<_> = trail.iter().map(|(_, frame)| frame).filter(|frame| !frame.is_padding()).collect();
    let ids: Vec<u16> = events.iter().map(|frame| frame.template_id()).collect();
    assert_eq!(ids, [527, 510, NOTICE, NOTICE, 527, 510, NOTICE, 510, NOTICE]);
    let grant = events[4].message::<PublisherGrant>().unwrap();
    assert_eq!((grant.publisher.get(), grant.number_step_max.get()), (OUTSIDE, 50));
    assert_eq!(grant.groups, GrantGroups::MARKET | GrantGroups::DEFINITIONS);
    let scopes: Vec<_> = grant.scopes().map(|scope| (scope.kind, scope.id.get())).collect();
    assert_eq!(scopes, [(CancelScope::VENUE, 3), (CancelScope::VENUE, 4)]);
}

fn reset(publisher: u16, new: u64, party: u32, approved_by: u32) -> Vec<u8> {
    let reset = PublisherReset {
        new_number: new.into(),
        party: party.into(),
        approved_by: approved_by.into(),
        publisher: publisher.into(),
        ..PublisherReset::NULL
    };
    let mut buffer = [0; 128];
    reset.encode(&mut buffer, b"it lost its count").unwrap().to_vec()
}

#[test]
fn a_person_resets_a_numbering_and_the_act_is_on_the_log_with_the_number_before() {
    let limits = RiskLimits { four_eyes: true, ..RiskLimits::default() };
    let mut rig = Rig::with_risk(defined(limits));
    let mut desk = rig.sequencer.publisher(3, "desk", 4096, GrantGroups::ORDERS);
    let mut control = rig.sequencer.publisher(6, "controls", 4096, GrantGroups::OPERATOR);
    desk.continue_after(500);
    desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(1, 1)), START).unwrap();
    rig.settle();
    let bodies = [
        reset(3, 10, 1, 0),
        reset(3, 10, 1, 1),
        reset(3, u64::MAX - 1, 1, 2),
        reset(44, 10, 1, 2),
        reset(3, 10, 0, 2),
        reset(3, 10, 1, 2),
        reset(3, 20, 1, 2),
    ];
    for body in &bodies {
        control.offer(PublisherReset::TEMPLATE_ID, body, START).unwrap();
    }
    rig.settle();
    assert_eq!(desk.acknowledged().sequence, 20);
    for (last, id) in [(10, 2), (20, 3)] {
        desk.continue_after(last);
        desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(id, 1)), START).unwrap();
    }
    on_disk(&mut rig);
    let decisions = found::<RiskDecision>(&rig);
    let checks: Vec<_> = decisions.iter().map(|it| (it.decision, it.check)).collect();
    let (people, terms) = ((Decision::REFUSED, Check::DUPLICATE), (Decision::REFUSED, Check::MALFORMED));
    assert_eq!(checks, [people, people, terms, terms, terms]);
    let resets = found::<PublisherReset>(&rig);
    let numbers: Vec<_> = resets.iter().map(|it| (it.last_number.get(), it.new_number.get())).collect();
    assert_eq!(numbers, [(501, 10), (10, 20)]);
    let orders = found::<NewOrder>(&rig);
    let signed: Vec<_> =
        orders.iter().map(|it| (it.client_order_id.get(), it.publisher_sequence.get())).collect();
    assert_eq!(signed, [(1, 501), (3, 21)], "the risk checks follow the reset, too");
    let mut recorded = RecordedNumbers::default();
    rig.verified_trail().iter().for_each(|(_, frame)| recorded.on_event(frame));
    assert_eq!(recorded.last[&3], 21);
}

#[test]
fn a_reset_applies_to_what_is_admitted_after_it_and_only_the_operator_may_submit_it() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(2, "feed", 4096, Grants::market());
    let mut control = rig.sequencer.publisher(6, "controls", 4096, GrantGroups::OPERATOR);
    feed.offer(NOTICE, &notice(1, 40), START).unwrap();
    feed.offer(PublisherReset::TEMPLATE_ID, &reset(6, 1 << 40, 1, 2), START).unwrap();
    rig.settle();
    control.offer(PublisherReset::TEMPLATE_ID, &reset(6, 1 << 40, 1, 2), START).unwrap();
    // In the same chunk, so its number is below the new one.
    control.offer(PublisherReset::TEMPLATE_ID, &reset(2, 1 << 40, 1, 2), START).unwrap();
    on_disk(&mut rig);
    assert_eq!(found::<PublisherReset>(&rig).len(), 1);
    assert_eq!((not_granted(&rig), rig.sequencer.statistics().duplicates), (1, 1));
}
