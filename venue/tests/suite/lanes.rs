//! Cancels have a lane of their own; what has not left can be dropped; and a venue that takes nothing delays
//! its own orders only.

use crate::rig::{BLOCK, Rig, START, notice, order, order_body};
use proptest::prelude::*;
use std::collections::BTreeSet;
use stele_bus::{Agent, Event, GatingConsumer, Grants, ManualClock, Publisher, Watermark};
use stele_venue::bounds::RELEASE_QUEUE_MAX;
use stele_venue::paper_exchange::{PaperExchange, PaperOptions, VenueFaults};
use stele_venue::{Departure, OrderGateway, PaperVenue, Releases, Venue, VenueBusy};
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelOrder, CancelRejected, CancelReleased, CancelScope, Check, DropReason, InstrumentDefinition,
    KillSwitch, MassCancel, NewOrder, OrderCancelled, OrderDropped, OrderRejected, OrderReleased, OrderType,
    Originator, ReleaseWatermark, ReplaceOrder, ReplaceRejected, Side, SwitchState, TimeInForce, VenueNotice,
};
use stele_wire::{Frame, Nanos, Sequence};

/// What a venue got: a new order, a replacement, the cancel of an order, a mass cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Got {
    Order(u64),
    Replacement(u64),
    Cancel(u64),
    MassCancel,
}
use Got::{Cancel, Order, Replacement};

#[derive(Default)]
struct Recorder {
    got: Vec<(u64, Got)>,
    refuses_orders: bool,
    refuses_all: bool,
}

impl Venue for Recorder {
    fn submit(&mut self, order: Event<'_>, _now: Nanos) -> Result<(), VenueBusy> {
        let got = if let Some(new) = order.message::<NewOrder>() {
            Got::Order(new.client_order_id.get())
        } else if let Some(replacement) = order.message::<ReplaceOrder>() {
            Got::Replacement(replacement.client_order_id.get())
        } else if let Some(cancel) = order.message::<CancelOrder>() {
            Got::Cancel(cancel.cancelled_order_id.get())
        } else {
            Got::MassCancel
        };
        let is_cancel = matches!(got, Got::Cancel(_) | Got::MassCancel);
        if self.refuses_all || (self.refuses_orders && !is_cancel) {
            return Err(VenueBusy);
        }
        self.got.push((order.sequence().0, got));
        Ok(())
    }
}

struct Run {
    rig: Rig,
    strategy: Publisher,
    gateway: OrderGateway<Recorder, ManualClock>,
    observer: GatingConsumer,
    log: Vec<Vec<u8>>,
}

const ACCOUNT: u32 = 7;

fn new_order(id: u64) -> NewOrder {
    NewOrder { account: ACCOUNT.into(), instrument: 1.into(), side: Side::BUY, ..order(id, 10) }
}

fn sealed(id: u64) -> NewOrder {
    NewOrder { release_watermark: ReleaseWatermark::SEALED, ..new_order(id) }
}

fn cancel(named: u64) -> CancelOrder {
    CancelOrder {
        account: ACCOUNT.into(),
        instrument: 1.into(),
        cancelled_order_id: named.into(),
        client_order_id: (1_000 + named).into(),
        ..CancelOrder::NULL
    }
}

impl Run {
    fn new() -> Self {
        let mut rig = Rig::new();
        let strategy = rig.sequencer.publisher(1, "strategy", 1 << 16, Grants::all());
        let publisher = rig.sequencer.publisher(2, "gateway", 4096, Grants::all());
        let consumer = rig.sequencer.gating_consumer("gateway");
        let observer = rig.sequencer.gating_consumer("observer");
        let (venue, clock) = (Recorder::default(), rig.clock.clone());
        let gateway = OrderGateway::new("gateway", consumer, publisher, Watermark::Durable, venue, clock);
        Self { rig, strategy, gateway, observer, log: Vec::new() }
    }

    fn order(&mut self, order: &NewOrder) -> u64 {
        self.strategy.offer(NewOrder::TEMPLATE_ID, &order_body(order), START).unwrap();
        self.settle();
        self.at::<NewOrder>()
    }

    fn replace(&mut self, replaced: u64, id: u64, release: ReleaseWatermark) -> u64 {
        self.try_replace(replaced, id, release).expect("the replaced order is open")
    }

    /// None when the checks refuse it, because no such order is open.
    fn try_replace(&mut self, replaced: u64, id: u64, release: ReleaseWatermark) -> Option<u64> {
        let before = self.count::<ReplaceOrder>();
        let replacement = ReplaceOrder {
            account: ACCOUNT.into(),
            instrument: 1.into(),
            side: Side::BUY,
            quantity: 5.into(),
            client_order_id: id.into(),
            replaced_order_id: replaced.into(),
            release_watermark: release,
            ..ReplaceOrder::NULL
        };
        let mut buffer = [0; 512];
        let body = replacement.encode(&mut buffer, [], b"", b"").unwrap();
        self.strategy.offer(ReplaceOrder::TEMPLATE_ID, body, START).unwrap();
        self.settle();
        (self.count::<ReplaceOrder>() > before).then(|| self.at::<ReplaceOrder>())
    }

    fn count<M: Message>(&self) -> usize {
        self.log.iter().filter(|bytes| Frame::read(bytes).unwrap().template_id() == M::TEMPLATE_ID).count()
    }

    fn say<M: Message>(&mut self, message: &M) -> u64 {
        self.strategy.offer_message(message, START).unwrap();
        self.settle();
        self.at::<M>()
    }

    fn switch(&mut self, scope: CancelScope, id: u32) -> u64 {
        let state = SwitchState::ENGAGED;
        let switch = KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL };
        let mut buffer = [0; 64];
        let body = switch.encode(&mut buffer, b"").unwrap();
        self.strategy.offer(KillSwitch::TEMPLATE_ID, body, START).unwrap();
        self.settle();
        self.at::<KillSwitch>()
    }

    /// The sequence of the last event of this type.
    fn at<M: Message>(&self) -> u64 {
        let frames = self.log.iter().rev().map(|bytes| Frame::read(bytes).unwrap());
        frames.into_iter().find(|frame| frame.template_id() == M::TEMPLATE_ID).unwrap().sequence().0
    }

    /// Lets the sequencer run, and reads the log.
    fn settle(&mut self) {
        self.rig.settle();
        let log = &mut self.log;
        self.observer.poll(1 << 20, |event| log.push(event.frame().bytes().to_vec()));
    }

    /// Everything is durable, and the gateway and the sequencer run until nothing happens.
    fn work(&mut self) {
        for _ in 0..4 {
            self.rig.flush();
            self.gateway.do_work().unwrap();
            self.settle();
        }
    }

    fn got(&mut self) -> Vec<Got> {
        self.gateway.venue().got.iter().map(|(_, got)| *got).collect()
    }

    fn messages<M: Message + Copy>(&self) -> Vec<M> {
        let frames = self.log.iter().map(|bytes| Frame::read(bytes).unwrap());
        frames.filter_map(|frame| frame.message::<M>().map(|message| *message)).collect()
    }

    /// Sequence and reason of everything that was dropped, in the order of the log.
    fn dropped(&self) -> Vec<(u64, DropReason, u64)> {
        let dropped = self.messages::<OrderDropped>().into_iter();
        dropped.map(|it| (it.order_sequence.get(), it.reason, it.cause.get())).collect()
    }

    fn releases(&self) -> Releases {
        let mut releases = Releases::default();
        self.log.iter().for_each(|bytes| releases.on_event(&Frame::read(bytes).unwrap()));
        releases
    }
}

#[test]
fn a_cancel_does_not_wait_for_an_order_that_waits_to_be_sealed() {
    let mut run = Run::new();
    let first = run.order(&new_order(1));
    run.work();
    let held = run.order(&sealed(2));
    let cancel = run.say(&cancel(1));
    run.gateway.do_work().unwrap();
    assert_eq!(run.got(), [Order(1)], "the cancel is not durable");
    run.work();
    assert_eq!(run.got(), [Order(1), Cancel(1)]);
    let early: Vec<u64> =
        run.messages::<CancelReleased>().iter().map(|it| it.cancel_sequence.get()).collect();
    assert_eq!(early, [cancel]);
    let left = |run: &Run, sequence| run.releases().has_left(Sequence(sequence));
    assert_eq!([first, held, cancel].map(|it| left(&run, it)), [Some(true), None, Some(true)]);

    let durable = run.rig.ring.watermarks().durable();
    run.rig.seal.advance_sealed(durable);
    run.work();
    assert_eq!(run.got(), [Order(1), Cancel(1), Order(2)], "the cancel is not sent twice");
    let last = *run.messages::<OrderReleased>().last().unwrap();
    assert_eq!((last.through_sequence.get(), last.count.get()), (held, 1));
}

#[test]
fn an_order_does_not_overtake_a_cancel() {
    let mut run = Run::new();
    run.order(&new_order(1));
    run.work();
    run.say(&MassCancel { scope: CancelScope::ALL, side: Side::NONE, ..MassCancel::NULL });
    run.order(&NewOrder { release_watermark: ReleaseWatermark::PUBLISHED, ..new_order(2) });
    run.gateway.venue().refuses_all = true;
    run.work();
    run.gateway.venue().refuses_all = false;
    run.gateway.venue().refuses_orders = true;
    run.work();
    assert_eq!(run.got(), [Order(1), Got::MassCancel]);
    run.gateway.venue().refuses_orders = false;
    run.work();
    assert_eq!(run.got(), [Order(1), Got::MassCancel, Order(2)]);
}

#[test]
fn a_cancel_of_an_order_that_has_not_left_drops_both_and_both_are_logged() {
    let mut run = Run::new();
    let order = run.order(&new_order(1));
    let cancel = run.say(&cancel(1));
    run.work();
    assert_eq!(run.got(), [], "neither leaves");
    assert_eq!(
        run.dropped(),
        [(order, DropReason::CANCELLED, cancel), (cancel, DropReason::NOTHING_TO_CANCEL, cancel)]
    );
    let cancelled = run.messages::<OrderCancelled>()[0];
    assert_eq!(cancelled.client_order_id.get(), 1);
    assert_eq!((cancelled.order_sequence.get(), cancelled.request_sequence.get()), (order, cancel));
    assert_eq!((cancelled.leaves_quantity.get(), cancelled.cancelled_quantity.get()), (0, 10));
    assert_eq!(cancelled.originator, Originator::MEMBER);
    let last = &run.log[run.log.len() - 3..];
    let order_of_log: Vec<u16> = last.iter().map(|it| Frame::read(it).unwrap().template_id()).collect();
    let expected = [OrderDropped::TEMPLATE_ID, OrderCancelled::TEMPLATE_ID, OrderDropped::TEMPLATE_ID];
    assert_eq!(order_of_log, expected);
    assert_eq!(run.gateway.waiting(), 0);
}

#[test]
fn a_cancel_that_was_sequenced_before_the_drop_of_its_order_was_logged_is_dropped_too() {
    let mut run = Run::new();
    run.order(&new_order(1));
    run.say(&cancel(1));
    run.gateway.do_work().unwrap();
    // The drop is in the publisher's ring; the next cancel may come first.
    let again = cancel(1);
    run.strategy.offer_message(&again, START).unwrap();
    run.work();
    assert_eq!(run.got(), []);
    let reasons: Vec<DropReason> = run.dropped().iter().map(|it| it.1).collect();
    assert_eq!(
        reasons,
        [DropReason::CANCELLED, DropReason::NOTHING_TO_CANCEL, DropReason::NOTHING_TO_CANCEL]
    );
    // Its end is on the log now, so the id may be used again.
    run.order(&new_order(1));
    run.work();
    run.say(&again);
    run.work();
    assert_eq!(run.got(), [Order(1), Cancel(1)]);
}

/// An order, which may have left; replacements that wait; the cancel; what the venue gets, what is dropped.
fn check_chain(has_left: bool, replacements: &[(u64, u64)], named: u64, got: &[Got], dropped: &[u64]) {
    let mut run = Run::new();
    let mut sequences = vec![run.order(&if has_left { new_order(1) } else { sealed(1) })];
    run.work();
    for (replaced, id) in replacements {
        sequences.push(run.replace(*replaced, *id, ReleaseWatermark::SEALED));
    }
    let other = run.order(&sealed(50));
    sequences.push(run.say(&cancel(named)));
    run.work();
    let at = |index: &u64| sequences[*index as usize];
    let found: BTreeSet<u64> = run.dropped().iter().map(|it| it.0).collect();
    assert_eq!(found, dropped.iter().map(at).collect(), "{has_left} {replacements:?} {named}");
    assert_eq!(run.got(), got, "{has_left} {replacements:?} {named}");
    assert_eq!(run.releases().has_left(Sequence(other)), None, "another order is not touched");
    let ends = run.messages::<OrderCancelled>().len() + run.messages::<ReplaceRejected>().len();
    let cancel = sequences.len() as u64 - 1;
    assert_eq!(ends, dropped.iter().filter(|index| **index != cancel).count(), "each has one end");
}

#[test]
fn a_cancel_reaches_the_order_that_works_whatever_replacements_of_it_wait() {
    let one: &[(u64, u64)] = &[(1, 2)];
    let two: &[(u64, u64)] = &[(1, 2), (2, 3)];
    let sent = &[Order(1), Cancel(1)];
    for named in [1, 2] {
        check_chain(true, one, named, sent, &[1]);
        check_chain(false, one, named, &[], &[0, 1, 2]);
    }
    for named in [1, 2, 3] {
        check_chain(true, two, named, sent, &[1, 2]);
        check_chain(false, two, named, &[], &[0, 1, 2, 3]);
    }
    check_chain(true, &[], 1, sent, &[]);
    check_chain(false, &[], 1, &[], &[0, 1]);
}

#[test]
fn the_end_of_a_dropped_replacement_says_whether_the_order_still_works() {
    let mut run = Run::new();
    run.order(&new_order(1));
    run.work();
    let replacement = run.replace(1, 2, ReleaseWatermark::SEALED);
    run.switch(CancelScope::ACCOUNT, ACCOUNT);
    run.work();
    let rejected = run.messages::<ReplaceRejected>()[0];
    assert_eq!((rejected.client_order_id.get(), rejected.request_order_id.get()), (1, 2));
    assert_eq!(rejected.request_sequence.get(), replacement);
    assert_eq!((rejected.check, rejected.leaves_quantity.get()), (Check::KILL_SWITCH, u64::MAX));
}

#[test]
fn a_cancel_of_a_part_waits_with_the_orders_and_is_dropped_with_its_order() {
    let mut run = Run::new();
    run.order(&sealed(1));
    let part = run.say(&CancelOrder { quantity: 4.into(), ..cancel(1) });
    run.work();
    assert_eq!((run.got(), run.dropped()), (vec![], vec![]));
    let whole = run.say(&cancel(1));
    run.work();
    assert_eq!(run.got(), []);
    let dropped: Vec<u64> = run.dropped().iter().map(|it| it.0).collect();
    assert_eq!((dropped.contains(&part), dropped.contains(&whole), dropped.len()), (true, true, 3));
    // Where nothing waits that it concerns, it is like any other cancel.
    run.order(&new_order(5));
    run.work();
    run.order(&sealed(6));
    run.say(&CancelOrder { quantity: 4.into(), ..cancel(5) });
    run.work();
    assert_eq!(run.got(), [Order(5), Cancel(5)]);
}

#[test]
fn a_kill_switch_drops_everything_in_its_scope_that_has_not_left_and_nothing_else() {
    let mut run = Run::new();
    run.order(&new_order(1));
    run.work();
    let ours = run.order(&sealed(2));
    let theirs = run.order(&NewOrder { account: 8.into(), ..sealed(3) });
    let switch = run.switch(CancelScope::ACCOUNT, ACCOUNT);
    run.work();
    assert_eq!(run.got(), [Order(1), Cancel(1)], "what works is cancelled by the sequencer's cancel");
    let dropped = run.dropped();
    assert_eq!(dropped[0], (ours, DropReason::KILL_SWITCH, switch));
    assert_eq!(
        (dropped[1].1, dropped.len()),
        (DropReason::NOTHING_TO_CANCEL, 2),
        "the sequencer's cancel of it"
    );
    let cancelled = run.messages::<OrderCancelled>()[0];
    assert_eq!((cancelled.order_sequence.get(), cancelled.request_sequence.get()), (ours, 0));
    assert_eq!(run.releases().has_left(Sequence(theirs)), None);
    run.rig.seal.advance_sealed(run.rig.ring.watermarks().durable());
    run.work();
    assert_eq!(run.got(), [Order(1), Cancel(1), Order(3)]);
}

#[test]
fn a_mass_cancel_drops_what_waits_in_its_scope_and_goes_to_the_venue() {
    let mut run = Run::new();
    let ours = run.order(&sealed(1));
    run.order(&NewOrder { instrument: 2.into(), ..sealed(2) });
    let mass = run.say(&MassCancel {
        scope: CancelScope::INSTRUMENT,
        instrument: 1.into(),
        side: Side::NONE,
        ..MassCancel::NULL
    });
    run.work();
    assert_eq!(run.got(), [Got::MassCancel]);
    assert_eq!(run.dropped(), [(ours, DropReason::CANCELLED, mass)]);
    assert_eq!(run.gateway.waiting(), 1);
}

#[test]
fn a_venue_that_takes_no_orders_gets_the_cancels() {
    let mut run = Run::new();
    run.order(&new_order(1));
    run.work();
    run.gateway.venue().refuses_orders = true;
    run.order(&new_order(2));
    run.say(&cancel(1));
    run.work();
    assert_eq!(run.got(), [Order(1), Cancel(1)]);
}

#[test]
fn a_venue_that_takes_nothing_delays_its_own_orders_and_never_market_data() {
    let mut run = Run::new();
    run.gateway.venue().refuses_all = true;
    assert!(run.rig.ring.capacity() == 512 << 10);
    let mut last = 0;
    for id in 1..=RELEASE_QUEUE_MAX as u64 + 3 {
        last = run.order(&new_order(id));
        // Several times the ring in market data.
        run.strategy.offer(VenueNotice::TEMPLATE_ID, &notice(id as u32, 968), START).unwrap();
        run.work();
    }
    let notices =
        run.log.iter().filter(|it| Frame::read(it).unwrap().template_id() == VenueNotice::TEMPLATE_ID);
    assert_eq!(notices.count(), RELEASE_QUEUE_MAX + 3, "no market data was refused");
    assert_eq!(run.strategy.refused(), 0);
    // What has no room is refused, typed and logged.
    let refused: Vec<(u64, Check)> =
        run.messages::<OrderRejected>().iter().map(|it| (it.client_order_id.get(), it.check)).collect();
    let first = RELEASE_QUEUE_MAX as u64 + 1;
    assert_eq!(refused, [first, first + 1, first + 2].map(|id| (id, Check::CAPACITY)));
    let dropped = run.releases().departure(Sequence(last));
    assert_eq!(dropped, Some(Departure::Dropped { cause: Sequence(0), reason: DropReason::NO_ROOM }));
    run.gateway.venue().refuses_all = false;
    run.work();
    let expected: Vec<Got> = (1..=RELEASE_QUEUE_MAX as u64).map(Order).collect();
    assert_eq!(run.got(), expected, "the others leave, unchanged and in order");
}

#[test]
fn a_venue_that_refuses_a_cancel_gets_it_again_and_honours_it() {
    let mut rig = Rig::new();
    let mut strategy = rig.sequencer.publisher(1, "strategy", 4096, Grants::all());
    let releases = rig.sequencer.publisher(2, "gateway", 4096, Grants::all());
    let reports = rig.sequencer.publisher(3, "exchange", 4096, Grants::all());
    let [consumer, market, mut observer] = ["a", "b", "c"].map(|name| rig.sequencer.gating_consumer(name));
    let faults = VenueFaults { cancels_refused: 1, ..VenueFaults::default() };
    let exchange = PaperExchange::new(PaperOptions { faults, ..PaperOptions::default() });
    let venue = PaperVenue::new(exchange, market, reports);
    let clock = rig.clock.clone();
    let mut gateway = OrderGateway::new("gateway", consumer, releases, Watermark::Durable, venue, clock);
    let mut work = |rig: &mut Rig| {
        for _ in 0..4 {
            rig.settle();
            rig.flush();
            gateway.do_work().unwrap();
        }
        gateway.venue().exchange().open_orders()
    };
    let mut buffer = [0; 1024];
    let definition = InstrumentDefinition { instrument: 1.into(), ..InstrumentDefinition::NULL };
    let body = definition.encode(&mut buffer, []).unwrap();
    strategy.offer(InstrumentDefinition::TEMPLATE_ID, body, START).unwrap();
    let order = NewOrder { order_type: OrderType::LIMIT, time_in_force: TimeInForce::DAY, ..new_order(1) };
    strategy.offer(NewOrder::TEMPLATE_ID, &order_body(&order), START).unwrap();
    assert_eq!(work(&mut rig), 1);
    strategy.offer_message(&cancel(1), START).unwrap();
    assert_eq!(work(&mut rig), 1, "the venue refused");
    strategy.offer_message(&CancelOrder { client_order_id: 2_001.into(), ..cancel(1) }, START).unwrap();
    assert_eq!(work(&mut rig), 0, "the same cancel again");
    let mut refused = Vec::new();
    observer.poll(1_000, |event| {
        refused.extend(event.message::<CancelRejected>().map(|it| (it.check, it.leaves_quantity.get())));
    });
    assert_eq!(refused, [(Check::VENUE, 10)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The log alone says what left: compared with what the venue got.
    #[test]
    fn the_log_says_exactly_what_left_and_what_never_will(
        steps in prop::collection::vec((0_u8..12, 1_u64..9, any::<bool>()), 1..120)
    ) {
        let mut run = Run::new();
        let (mut next, mut all) = (1, Vec::new());
        for (step, target, is_sealed) in steps {
            let target = next - target.min(next);
            let wanted = if is_sealed { ReleaseWatermark::SEALED } else { ReleaseWatermark::NULL };
            match step {
                0..=2 => {
                    all.push(run.order(&NewOrder { release_watermark: wanted, ..new_order(next) }));
                    next += 1;
                }
                3 => {
                    all.extend(run.try_replace(target, next, wanted));
                    next += 1;
                }
                4..=5 => all.push(run.say(&cancel(target))),
                6 => all.push(run.say(&CancelOrder { quantity: 1.into(), ..cancel(target) })),
                7 => {
                    let venue = run.gateway.venue();
                    (venue.refuses_orders, venue.refuses_all) = (is_sealed, target % 2 == 0);
                }
                8 => run.rig.seal.advance_sealed(run.rig.ring.watermarks().durable()),
                9 => run.rig.flush(),
                10 => drop(run.gateway.do_work().unwrap()),
                _ => run.settle(),
            }
        }
        run.gateway.venue().refuses_all = false;
        run.gateway.venue().refuses_orders = false;
        for _ in 0..3 {
            run.work();
            run.rig.seal.advance_sealed(run.rig.ring.watermarks().durable());
        }
        let got: Vec<u64> = run.gateway.venue().got.iter().map(|(sequence, _)| *sequence).collect();
        let once: BTreeSet<u64> = got.iter().copied().collect();
        prop_assert_eq!(once.len(), got.len(), "nothing is sent twice");
        let releases = run.releases();
        for sequence in all {
            prop_assert_eq!(releases.has_left(Sequence(sequence)), Some(once.contains(&sequence)));
        }
        prop_assert_eq!(run.gateway.waiting(), 0);
        // Each dropped order has one end, and its drop precedes it on the log.
        let mut dropped = BTreeSet::new();
        for frame in run.log.iter().map(|bytes| Frame::read(bytes).unwrap()) {
            if let Some(drop) = frame.message::<OrderDropped>() {
                prop_assert!(dropped.insert(drop.order_sequence.get()), "dropped once");
            }
            let ended = frame.message::<OrderCancelled>().map(|it| it.order_sequence.get());
            let ended = ended.or(frame.message::<ReplaceRejected>().map(|it| it.request_sequence.get()));
            prop_assert!(ended.is_none_or(|order| dropped.contains(&order)), "an end without a drop");
        }
        // An order never overtakes a cancel.
        let mut highest_order = 0;
        for (sequence, what) in &run.gateway.venue().got {
            match what {
                Order(_) | Replacement(_) => highest_order = highest_order.max(*sequence),
                Cancel(_) | Got::MassCancel => prop_assert!(*sequence > highest_order),
            }
        }
    }
}

#[test]
fn nothing_of_the_lanes_needs_more_than_a_block_of_the_device() {
    // The frames that the lanes are sized for.
    let order = stele_wire::frame::frame_length(order_body(&new_order(1)).len());
    let cancel = stele_wire::frame::frame_length(size_of::<CancelOrder>());
    assert!(order <= stele_venue::bounds::RELEASE_QUEUE_BYTES / RELEASE_QUEUE_MAX, "{order}");
    assert!(cancel <= stele_venue::bounds::CANCEL_QUEUE_BYTES / stele_venue::bounds::CANCEL_QUEUE_MAX);
    assert!(order <= BLOCK);
}
