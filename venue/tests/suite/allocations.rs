//! The order gateway never allocates. The paper exchange does not allocate once it is warm: against the
//! replayed market and in its own book, with and without delays.

use stele_bus::bounds::RING_LENGTH_MIN;
use stele_bus::{
    Agent, Counters, Event, Grants, LogRing, RingOptions, RingParts, Sequencer, SequencerStart, UtcClock,
    Watermark,
};
use stele_risk::RiskLimits;
use stele_strategies::Random;
use stele_testkit::allocations;
use stele_venue::paper_exchange::{Counterparty, Delay, PaperExchange, PaperOptions, QueueModel};
use stele_venue::{OrderGateway, Venue, VenueBusy};
use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH};
use stele_wire::codec::Message;
use stele_wire::frame::{FrameHeader, frame_length};
use stele_wire::messages::{
    BookAdd, BookCancel, BookExecute, Boolean, CancelOrder, CancelScope, InstrumentDefinition, MarketFlags,
    MassCancel, NewOrder, OrderCancelled, OrderDropped, OrderStatus, OrderType, ReplaceOrder, SCHEMA_ID,
    SCHEMA_VERSION, Side, TimeInForce,
};
use stele_wire::{Frame, Identity, Nanos, Position, Sequence};
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromZeros, IntoBytes};

const START: u64 = 1_700_000_000_000_000_000;
/// The price around which orders are placed, and one price step.
const MID: i64 = 100_000_000_000;
const TICK: i64 = 10_000_000;
/// The number of newest orders that requests refer to.
const NEWEST: u64 = 200;

/// An exchange that is fed from the memory of one frame.
struct Bench {
    exchange: PaperExchange,
    frame: Vec<u8>,
    random: Random,
    sequence: u64,
    orders: u64,
    reports: u64,
}

impl Bench {
    fn new(options: PaperOptions) -> Self {
        // A small limit, so that it is reached while the exchange warms up.
        let exchange = PaperExchange::new(PaperOptions { source: 9, open_orders_max: 500, ..options });
        let frame = Vec::with_capacity(2_048);
        let mut bench = Self { exchange, frame, random: Random::new(7), sequence: 0, orders: 0, reports: 0 };
        for instrument in 1..=3_u32 {
            let definition = InstrumentDefinition {
                instrument: instrument.into(),
                source: 1.into(),
                currency: *b"USD",
                ..InstrumentDefinition::NULL
            };
            let mut body = [0; 512];
            let body = definition.encode(&mut body, []).unwrap();
            bench.write::<InstrumentDefinition>(body);
            bench.exchange.on_market(&Frame::read(&bench.frame).unwrap());
        }
        bench
    }

    fn write<M: Message>(&mut self, body: &[u8]) {
        self.sequence += 1;
        let length = frame_length(body.len());
        let header = FrameHeader {
            length: U16::new(length as u16),
            version: FRAME_VERSION,
            sequence: U64::new(self.sequence),
            timestamp: U64::new(START + self.sequence * 1_000),
            block_length: U16::new(M::BLOCK_LENGTH),
            template_id: U16::new(M::TEMPLATE_ID),
            schema_id: U16::new(SCHEMA_ID),
            schema_version: U16::new(SCHEMA_VERSION),
            ..FrameHeader::new_zeroed()
        };
        self.frame.clear();
        self.frame.resize(length, 0);
        self.frame[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
        self.frame[HEADER_LENGTH..HEADER_LENGTH + body.len()].copy_from_slice(body);
    }

    fn market<M: Message>(&mut self, message: &M) {
        self.write::<M>(message.as_bytes());
        self.exchange.on_market(&Frame::read(&self.frame).unwrap());
    }

    fn submit<M: Message>(&mut self, body: &[u8]) {
        self.write::<M>(body);
        self.exchange.on_order(&Frame::read(&self.frame).unwrap());
    }

    fn side(&mut self) -> Side {
        if self.random.below(2) == 0 { Side::BUY } else { Side::SELL }
    }

    /// Returns a price of `side` up to `below` steps below the mid, or `beyond` steps past it.
    fn price(&mut self, side: Side, below: u64, beyond: i64) -> i64 {
        let steps = self.random.below(below) as i64 - beyond;
        if side == Side::BUY { MID - steps * TICK } else { MID + TICK + steps * TICK }
    }

    /// Makes a market event: an order is added, cancelled or executed.
    fn market_moves(&mut self) {
        let (id, side) = (1 + self.random.below(400), self.side());
        let (instrument, source, flags) = ((1 + id as u32 % 3).into(), 1.into(), MarketFlags::LAST);
        let quantity = (1 + self.random.below(9)).into();
        match self.random.below(3) {
            0 => {
                let price = self.price(side, 20, 0).into();
                let order_id = id.into();
                self.market(&BookAdd {
                    instrument,
                    source,
                    flags,
                    side,
                    order_id,
                    price,
                    quantity,
                    ..BookAdd::NULL
                });
            }
            1 => self.market(&BookCancel {
                instrument,
                source,
                flags,
                order_id: id.into(),
                quantity,
                ..BookCancel::NULL
            }),
            _ => self.market(&BookExecute {
                instrument,
                source,
                flags,
                order_id: id.into(),
                quantity,
                book_effect: Boolean::TRUE,
                ..BookExecute::NULL
            }),
        }
    }

    fn order(&mut self, id: u64) -> NewOrder {
        let side = self.side();
        let kind = self.random.below(10);
        NewOrder {
            strategy: (1 + id as u16 % 4).into(),
            account: (7 + id as u32 % 2).into(),
            instrument: (1 + id as u32 % 3).into(),
            client_order_id: id.into(),
            side,
            order_type: if kind == 0 { OrderType::MARKET } else { OrderType::LIMIT },
            time_in_force: if kind < 3 { TimeInForce::IMMEDIATE_OR_CANCEL } else { TimeInForce::DAY },
            limit_price: if kind == 0 { i64::MAX } else { self.price(side, 20, 3) }.into(),
            quantity: (1 + self.random.below(20)).into(),
            ..NewOrder::NULL
        }
    }

    /// Sends an order, or a replacement or cancel of one of the newest orders.
    fn somebody_acts(&mut self) {
        let mut body = [0; 512];
        let old = 1 + self.orders.saturating_sub(1 + self.random.below(NEWEST));
        match self.random.below(10) {
            0..5 => {
                self.orders += 1;
                let order = self.order(self.orders);
                let body = order.encode(&mut body, [], &[], &[]).unwrap();
                self.submit::<NewOrder>(body);
            }
            5..7 => {
                self.orders += 1;
                let new = NewOrder {
                    replaced_order_id: old.into(),
                    order_type: OrderType::LIMIT,
                    limit_price: MID.into(),
                    time_in_force: TimeInForce::DAY,
                    strategy: (1 + old as u16 % 4).into(),
                    account: (7 + old as u32 % 2).into(),
                    instrument: (1 + old as u32 % 3).into(),
                    ..self.order(self.orders)
                };
                let body = new.encode(&mut body, [], &[], &[]).unwrap();
                self.submit::<ReplaceOrder>(body);
            }
            _ => {
                let cancel = CancelOrder {
                    strategy: (1 + old as u16 % 4).into(),
                    account: (7 + old as u32 % 2).into(),
                    instrument: (1 + old as u32 % 3).into(),
                    client_order_id: (1 << 40 | self.sequence).into(),
                    cancelled_order_id: old.into(),
                    ..CancelOrder::NULL
                };
                self.submit::<CancelOrder>(cancel.as_bytes());
            }
        }
    }

    /// Runs `rounds` events of each kind. Returns how often anything was allocated.
    fn run(&mut self, rounds: u64) -> u64 {
        let before = allocations();
        for _ in 0..rounds {
            self.market_moves();
            self.somebody_acts();
            self.exchange.advance(Nanos(START + self.sequence * 1_000));
            while self.exchange.pop_report().is_some() {
                self.reports += 1;
            }
        }
        allocations() - before
    }
}

fn assert_quiet(what: &str, options: PaperOptions) {
    let mut bench = Bench::new(options);
    let warming = bench.run(60_000);
    assert!(warming > 0, "the allocator counts");
    let before = bench.reports;
    let warm = bench.run(60_000);
    assert_eq!(warm, 0, "{what}: allocations once it is warm");
    let reports = bench.reports - before;
    assert!(reports > 20_000, "{what}: {reports} reports, {} open orders", bench.exchange.open_orders());
}

#[test]
fn against_the_replayed_market_no_event_allocates_once_the_exchange_is_warm() {
    for queue in [QueueModel::Conservative, QueueModel::Proportional, QueueModel::ByOrder] {
        assert_quiet(&format!("{queue:?}"), PaperOptions { queue, ..PaperOptions::default() });
    }
}

#[test]
fn in_a_book_of_its_own_no_event_allocates_once_the_exchange_is_warm() {
    assert_quiet("own book", PaperOptions { counterparty: Counterparty::OwnBook, ..PaperOptions::default() });
}

#[test]
fn delays_in_both_directions_allocate_nothing_once_the_exchange_is_warm() {
    let delay = Delay { base: 20_000, jitter: 10_000 };
    for counterparty in [Counterparty::Replayed, Counterparty::OwnBook] {
        let options =
            PaperOptions { counterparty, order_delay: delay, report_delay: delay, ..PaperOptions::default() };
        assert_quiet(&format!("{counterparty:?}, delayed"), options);
    }
}

/// Counts what it gets; it may take cancels only.
#[derive(Default)]
struct Sink {
    orders: u64,
    cancels: u64,
    takes_cancels_only: bool,
}

impl Venue for Sink {
    fn submit(&mut self, order: Event<'_>, _now: Nanos) -> Result<(), VenueBusy> {
        match order.template_id() {
            NewOrder::TEMPLATE_ID if self.takes_cancels_only => return Err(VenueBusy),
            NewOrder::TEMPLATE_ID => self.orders += 1,
            _ => self.cancels += 1,
        }
        Ok(())
    }
}

#[test]
fn orders_leave_cancels_overtake_them_and_what_waits_is_dropped_without_an_allocation() {
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
    let risk = crate::rig::defined(RiskLimits::default());
    let mut sequencer = Sequencer::new(&start, writer, UtcClock::new(), risk).unwrap();
    let mut strategy = sequencer.publisher(1, "strategy", 4096, Grants::all());
    let released = sequencer.publisher(2, "gateway", 4096, Grants::all());
    let mut reports = sequencer.publisher(3, "venue", 4096, Grants::all());
    let orders = sequencer.gating_consumer("gateway");
    let counters = Counters::create().unwrap();
    let mut gateway =
        OrderGateway::new("gateway", orders, released, Watermark::Durable, Sink::default(), UtcClock::new());
    gateway.register_counters(&counters, 0).unwrap();
    let mut observer = sequencer.gating_consumer("observer");
    let mut buffer = [0; 512];
    let mut dropped = 0;

    let before = allocations();
    for step in 1..=20_000_u64 {
        let order = crate::rig::order(step, 1);
        let order = order.encode(&mut buffer, [], b"", b"").unwrap();
        strategy.offer(NewOrder::TEMPLATE_ID, order, Nanos(1)).unwrap();
        // An order that left long ago, and every fourth time the order that was just sent.
        let cancelled = if step % 4 == 0 { step } else { step.saturating_sub(40) };
        let cancel = CancelOrder { cancelled_order_id: cancelled.into(), ..CancelOrder::NULL };
        strategy.offer_message(&cancel, Nanos(1)).unwrap();
        if step % 32 == 0 {
            let mass = MassCancel { scope: CancelScope::ALL, side: Side::NONE, ..MassCancel::NULL };
            strategy.offer_message(&mass, Nanos(1)).unwrap();
        }
        // The venue has long answered: otherwise the orders would stay open until there is no room.
        let done = OrderCancelled {
            client_order_id: step.saturating_sub(1_000).into(),
            account: 1.into(),
            status: OrderStatus::DONE,
            ..OrderCancelled::NULL
        };
        reports.offer_message(&done, Nanos(1)).unwrap();
        gateway.venue().takes_cancels_only = step % 64 < 32;
        sequencer.do_work().unwrap();
        let (from, batched) = (ring.watermarks().written(), ring.watermarks().batched());
        let to = journal.contiguous_end(from, batched);
        journal.advance_written(to);
        journal.advance_durable(to);
        gateway.do_work().unwrap();
        observer.poll(1_000, |event| dropped += u64::from(event.message::<OrderDropped>().is_some()));
    }
    assert_eq!(allocations() - before, 0, "calls to the allocator");
    let Sink { orders, cancels, .. } = *gateway.venue();
    assert!(orders > 5_000 && cancels > 10_000 && dropped > 10_000, "{orders}, {cancels}, {dropped}");
}
