//! Orders leave when their watermark has passed, and not earlier.

use crate::rig::{Rig, START, cancel, notice, order, order_body};
use std::collections::BTreeMap;
use stele_bus::{Agent, AgentError, Event, GatingConsumer, Grants, ManualClock, Watermark};
use stele_venue::{OrderGateway, OrderInDoubt, Reconciliation, Venue, VenueBusy};
use stele_wire::messages::{
    CancelOrder, CancelRejected, Check, NewOrder, OrderCancelled, OrderRejected, OrderReleased,
    ReleaseWatermark, ReplaceRejected, Side, VenueNotice,
};
use stele_wire::{Nanos, Position, Sequence};

#[derive(Default)]
struct Recorder {
    taken: Vec<(u64, Position)>,
    is_busy: bool,
}

impl Venue for Recorder {
    fn submit(&mut self, order: Event<'_>, _now: Nanos) -> Result<(), VenueBusy> {
        if self.is_busy {
            return Err(VenueBusy);
        }
        let new = order.frame().message::<NewOrder>().map(|order| order.client_order_id.get());
        let cancel = order.frame().message::<CancelOrder>().map(|cancel| cancel.cancelled_order_id.get());
        self.taken.push((new.or(cancel).unwrap(), order.end()));
        Ok(())
    }
    fn do_work(&mut self, _now: Nanos) -> Result<usize, AgentError> {
        Ok(0)
    }
}

struct Released {
    rig: Rig,
    strategy: stele_bus::Publisher,
    gateway: OrderGateway<Recorder, ManualClock>,
    observer: GatingConsumer,
}

impl Released {
    fn new() -> Self {
        let mut rig = Rig::new();
        let strategy = rig.sequencer.publisher(1, "strategy", 4096, Grants::all());
        let publisher = rig.sequencer.publisher(2, "gateway", 4096, Grants::all());
        let (consumer, observer) =
            (rig.sequencer.gating_consumer("reader"), rig.sequencer.gating_consumer("reader"));
        let (venue, clock) = (Recorder::default(), rig.clock.clone());
        let gateway = OrderGateway::new("paper", consumer, publisher, Watermark::Durable, venue, clock);
        Self { rig, strategy, gateway, observer }
    }

    fn submit(&mut self, order: &NewOrder) {
        self.strategy.offer(NewOrder::TEMPLATE_ID, &order_body(order), START).unwrap();
        self.rig.settle();
    }

    fn taken(&mut self) -> Vec<u64> {
        self.gateway.do_work().unwrap();
        self.gateway.venue().taken.iter().map(|taken| taken.0).collect()
    }

    fn released(&mut self) -> Vec<(u64, u32)> {
        self.rig.settle();
        let mut reports = Vec::new();
        self.observer.poll(1_000, |event| {
            let released = event.frame().message::<OrderReleased>();
            reports.extend(released.map(|released| (released.through_sequence.get(), released.count.get())));
        });
        reports
    }
}

#[test]
fn an_order_leaves_when_it_is_durable_and_the_release_is_logged() {
    let mut run = Released::new();
    run.submit(&order(1, 10));
    assert_eq!(run.taken(), [0; 0], "published is not enough");
    run.rig.write(u64::MAX >> 1);
    assert_eq!(run.taken(), [0; 0], "written is not enough");
    run.rig.flush();
    assert_eq!(run.taken(), [1]);
    let end = run.gateway.venue().taken[0].1;
    assert!(end <= run.rig.ring.watermarks().durable());
    assert_eq!(run.released(), [(1_003, 1)], "the grant of the publisher precedes it");
}

#[test]
fn orders_and_cancels_that_may_leave_at_once_leave_in_the_order_of_the_log() {
    let mut run = Released::new();
    run.submit(&order(1, 10));
    run.rig.flush();
    assert_eq!(run.taken(), [1]);
    run.submit(&order(2, 10));
    run.strategy.offer_message(&cancel(1), START).unwrap();
    run.submit(&order(3, 10));
    run.rig.flush();
    assert_eq!(run.taken(), [1, 2, 1, 3]);
    let released = run.released();
    assert_eq!(released.iter().map(|(_, count)| count).sum::<u32>(), 4, "the cancel overtook nothing");
}

#[test]
fn a_busy_venue_is_offered_the_same_order_again() {
    let mut run = Released::new();
    run.submit(&order(1, 10));
    run.rig.flush();
    run.gateway.venue().is_busy = true;
    assert_eq!(run.taken(), [0; 0]);
    assert_eq!(run.gateway.waiting(), 1);
    run.gateway.venue().is_busy = false;
    assert_eq!(run.taken(), [1]);
}

#[test]
fn an_order_may_ask_for_more_than_the_gateway_but_not_for_less() {
    let mut run = Released::new();
    run.submit(&NewOrder { release_watermark: ReleaseWatermark::PUBLISHED, ..order(1, 10) });
    assert_eq!(run.taken(), [0; 0]);
    run.submit(&NewOrder { release_watermark: ReleaseWatermark::SEALED, ..order(2, 10) });
    run.rig.flush();
    assert_eq!(run.taken(), [1]);
    let durable = run.rig.ring.watermarks().durable();
    run.rig.seal.advance_sealed(durable);
    assert_eq!(run.taken(), [1, 2]);
}

#[test]
fn nothing_leaves_once_the_journal_is_poisoned() {
    let mut run = Released::new();
    run.submit(&order(1, 10));
    run.rig.flush();
    run.rig.journal.poison("sync failed");
    assert_eq!(run.taken(), [0; 0]);
}

#[test]
fn an_order_that_waits_is_unchanged_however_much_market_data_follows_and_holds_none_of_it() {
    let mut run = Released::new();
    run.submit(&order(1, 10));
    run.gateway.do_work().unwrap();
    for tag in 0..5_000 {
        run.strategy.offer(VenueNotice::TEMPLATE_ID, &notice(tag, 968), START).unwrap();
        run.rig.settle();
        run.rig.write(u64::MAX >> 1);
        run.gateway.do_work().unwrap();
        run.observer.poll(100, |_| ());
    }
    assert_eq!(run.gateway.venue().taken.len(), 0);
    run.rig.flush();
    assert_eq!(run.taken(), [1], "it was copied off the ring");
}

/// A venue with its own book, which outlives the process.
#[derive(Default)]
struct Book {
    /// The state of each order that it knows.
    knows: BTreeMap<u64, Reconciliation>,
    asked: Vec<u64>,
    sent: Vec<u64>,
    is_away: bool,
}

impl Venue for Book {
    fn submit(&mut self, order: Event<'_>, _now: Nanos) -> Result<(), VenueBusy> {
        self.sent.push(order.sequence().0);
        Ok(())
    }

    fn reconcile(&mut self, order: &OrderInDoubt, _now: Nanos) -> Result<Reconciliation, VenueBusy> {
        if self.is_away {
            return Err(VenueBusy);
        }
        self.asked.push(order.client_order_id);
        Ok(self.knows.get(&order.client_order_id).copied().unwrap_or(Reconciliation::Unknown))
    }
}

fn doubt(client_order_id: u64) -> OrderInDoubt {
    OrderInDoubt {
        sequence: Sequence(client_order_id),
        strategy: 1,
        account: 2,
        instrument: 3,
        side: Side::BUY,
        client_order_id,
        venue_order_id: 0,
        replaced_order_id: 0,
        quantity: 10,
        cumulative: 4,
        leaves: 6,
        is_acknowledged: false,
        cancel: None,
        is_dropped: false,
    }
}

#[test]
fn nothing_new_leaves_before_the_venue_has_answered_for_every_order_in_doubt() {
    let mut rig = Rig::new();
    let mut strategy = rig.sequencer.publisher(1, "strategy", 4096, Grants::all());
    let publisher = rig.sequencer.publisher(2, "gateway", 4096, Grants::all());
    let (consumer, mut observer) =
        (rig.sequencer.gating_consumer("reader"), rig.sequencer.gating_consumer("reader"));
    let knows = BTreeMap::from([
        (11, Reconciliation::Working),
        (12, Reconciliation::Done),
        (16, Reconciliation::Working),
    ]);
    let venue = Book { knows, is_away: true, ..Book::default() };
    let doubts = vec![
        OrderInDoubt { is_acknowledged: true, ..doubt(13) },
        doubt(11),
        doubt(12),
        doubt(14),
        OrderInDoubt { replaced_order_id: 11, ..doubt(15) },
        OrderInDoubt { is_acknowledged: true, cancel: Some((Sequence(20), 99)), ..doubt(16) },
        OrderInDoubt { is_dropped: true, ..doubt(17) },
    ];
    let clock = rig.clock.clone();
    let mut gateway = OrderGateway::new("book", consumer, publisher, Watermark::Durable, venue, clock)
        .with_orders_in_doubt(doubts);
    strategy.offer(NewOrder::TEMPLATE_ID, &order_body(&order(50, 1)), START).unwrap();
    rig.settle();
    rig.flush();
    for _ in 0..3 {
        gateway.do_work().unwrap();
        rig.settle();
    }
    assert_eq!((gateway.in_doubt(), gateway.venue().sent.len()), (7, 0), "the venue is away");
    gateway.venue().is_away = false;
    gateway.do_work().unwrap();
    assert_eq!(gateway.venue().asked, [11, 12, 13, 14, 15, 16], "each once, oldest first; 17 never left");
    assert_eq!((gateway.in_doubt(), gateway.venue().sent.len()), (0, 1));
    rig.settle();
    let mut reports = Vec::new();
    observer.poll(100, |event| {
        let frame = event.frame();
        let rejected = frame.message::<OrderRejected>().map(|it| (it.client_order_id.get(), it.check));
        let gone = frame.message::<OrderCancelled>().map(|it| (it.client_order_id.get(), Check::NONE));
        let replace = frame.message::<ReplaceRejected>().map(|it| (it.request_order_id.get(), it.check));
        let cancel = frame.message::<CancelRejected>().map(|it| (it.request_order_id.get(), it.check));
        reports.extend([rejected, gone, replace, cancel].into_iter().flatten());
    });
    let in_doubt = Check::IN_DOUBT;
    assert_eq!(reports, [(13, Check::NONE), (14, in_doubt), (15, in_doubt), (99, in_doubt), (17, in_doubt)]);
}
