//! After start, publisher, sequencer and consumers neither allocate nor free memory.

use stele_bus::bounds::RING_LENGTH_MIN;
use stele_bus::{
    Agent, Counters, Grants, LogRing, LossyConsumer, RingOptions, RingParts, Sequencer, SequencerStart,
    UtcClock,
};
use stele_risk::{Risk, RiskLimits, SequencedEvent};
use stele_testkit::allocator_calls;
use stele_wire::messages::{
    BookAdd, CancelScope, Check, NewOrder, OrderCancelled, OrderStatus, RiskLimit, Side, Trade,
};
use stele_wire::{Identity, Nanos, Position, Sequence};

/// Sets limits so that every table of the risk checks is in use.
fn limit_everything(risk: &mut Risk) {
    let limits = [
        (Check::DUPLICATE, 1_000),
        (Check::MESSAGE_RATE, 1_000_000),
        (Check::OPEN_ORDERS, 1_000),
        (Check::POSITION, 1_000),
        (Check::CREDIT, 1_000_000),
        (Check::SELF_MATCH, 0),
    ];
    for (check, limit) in limits {
        let change = RiskLimit { check, limit: limit.into(), scope: CancelScope::ALL, ..RiskLimit::NULL };
        risk.on_sequenced(&SequencedEvent::of(&change, Sequence(1), Nanos(1)));
    }
}

#[test]
fn nothing_on_the_hot_path_allocates() {
    let options = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };
    let RingParts { ring, writer, mut journal, .. } = LogRing::create(&options, Position(0)).unwrap();
    let start = SequencerStart {
        identity: Identity::default(),
        next_sequence: Sequence(1),
        position: Position(0),
        last_timestamp: Nanos(0),
        segment_length: 1 << 20,
        block_length: 4096,
    };
    let mut risk =
        crate::rig::defined(RiskLimits { order_notional_max: Some(1_000), ..RiskLimits::default() });
    limit_everything(&mut risk);
    let mut sequencer = Sequencer::new(&start, writer, UtcClock::new(), risk).unwrap();
    let mut feed = sequencer.publisher(1, "feed", 4096, Grants::all());
    let mut strategy = sequencer.publisher(2, "strategy", 4096, Grants::all());
    let counters = Counters::create().unwrap();
    sequencer.register_counters(&counters, 0).unwrap();
    let mut consumer = sequencer.gating_consumer("reader");
    let mut lossy = LossyConsumer::join(&ring);
    let market = BookAdd { order_id: 1.into(), instrument: 1.into(), ..BookAdd::NULL };
    let orders = [10, 10_000].map(|price| {
        let (side, limit_price) = (Side::BUY, price.into());
        let order = NewOrder { limit_price, side, ..crate::rig::order(1, 1) };
        let mut buffer = [0; 512];
        order.encode(&mut buffer, [], b"", b"").unwrap().to_vec()
    });

    let done = OrderCancelled {
        client_order_id: 1.into(),
        account: 1.into(),
        status: OrderStatus::DONE,
        ..OrderCancelled::NULL
    };

    let before = allocator_calls();
    let mut seen = 0;
    for round in 0..20_000 {
        for _ in 0..5 {
            feed.offer_message(&market, Nanos(1)).unwrap();
        }
        feed.offer_message(&Trade { instrument: 1.into(), price: 10.into(), ..Trade::NULL }, Nanos(1))
            .unwrap();
        feed.offer_message(&done, Nanos(1)).unwrap();
        strategy.offer(NewOrder::TEMPLATE_ID, &orders[round % 2], Nanos(1)).unwrap();
        sequencer.do_work().unwrap();
        consumer.poll(100, |event| seen += u64::from(!event.body().is_empty()));
        if round % 50 != 0 {
            lossy.poll(10, |_| ());
        }
        let (from, batched) = (ring.watermarks().written(), ring.watermarks().batched());
        let to = journal.contiguous_end(from, batched);
        seen += journal.bytes(from, to).len() as u64 & 1;
        journal.advance_written(to);
        journal.advance_durable(to);
    }
    assert_eq!(allocator_calls() - before, 0, "calls to the allocator");
    assert!(seen >= 120_000);
}
