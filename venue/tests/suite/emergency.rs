//! When the journal is poisoned, or the gateway is stopped before the bus ended, nothing works on.

use crate::rig::{Rig, START, order, order_body};
use stele_bus::{Agent, Grants, ManualClock, Publisher, Watermark};
use stele_venue::paper_exchange::{Delay, PaperExchange, PaperOptions, VenueFaults};
use stele_venue::{EmergencyControl, OrderGateway, PaperVenue};
use stele_wire::Nanos;
use stele_wire::messages::{EndReason, InstrumentDefinition, NewOrder, OrderType, Side, TimeInForce};

const ORDERS: usize = 500;
const SECOND: Nanos = Nanos(1_000_000_000);
const MILLISECOND: u64 = 1_000_000;

struct Trading {
    rig: Rig,
    gateway: OrderGateway<PaperVenue, ManualClock>,
    strategy: Publisher,
    emergency: EmergencyControl,
}

impl Trading {
    /// 500 orders work at the exchange.
    fn new(options: PaperOptions) -> Self {
        let mut rig = Rig::new();
        let strategy = rig.sequencer.publisher(1, "strategy", 1 << 14, Grants::all());
        let releases = rig.sequencer.publisher(2, "gateway", 1 << 14, Grants::all());
        let reports = rig.sequencer.publisher(3, "exchange", 1 << 14, Grants::all());
        let [consumer, market] = ["gateway", "exchange"].map(|name| rig.sequencer.gating_consumer(name));
        let venue = PaperVenue::new(PaperExchange::new(options), market, reports);
        let clock = rig.clock.clone();
        let gateway = OrderGateway::new("gateway", consumer, releases, Watermark::Durable, venue, clock);
        let emergency = gateway.emergency();
        let mut trading = Self { rig, gateway, strategy, emergency };
        let mut buffer = [0; 1024];
        let definition = InstrumentDefinition { instrument: 1.into(), ..InstrumentDefinition::NULL };
        let body = definition.encode(&mut buffer, []).unwrap();
        trading.strategy.offer(InstrumentDefinition::TEMPLATE_ID, body, START).unwrap();
        for id in 1..=ORDERS as u64 {
            trading.send(id);
        }
        trading.rig.clock.advance(SECOND);
        trading.work();
        assert_eq!(trading.open(), ORDERS);
        assert_eq!(trading.emergency.outcome(), None);
        trading
    }

    fn send(&mut self, id: u64) {
        let order = NewOrder {
            account: 7.into(),
            instrument: 1.into(),
            side: Side::BUY,
            order_type: OrderType::LIMIT,
            time_in_force: TimeInForce::DAY,
            ..order(id, 10)
        };
        self.strategy.offer(NewOrder::TEMPLATE_ID, &order_body(&order), START).unwrap();
        self.work();
    }

    fn work(&mut self) {
        for _ in 0..3 {
            self.rig.settle();
            self.rig.flush();
            self.gateway.do_work().unwrap();
        }
    }

    fn open(&mut self) -> usize {
        self.gateway.venue().exchange().open_orders()
    }

    /// Runs the gateway for a second of the clock.
    fn second(&mut self) {
        for _ in 0..1_000 {
            self.rig.clock.advance(Nanos(MILLISECOND));
            self.gateway.do_work().unwrap();
        }
    }

    fn faults(&mut self, faults: VenueFaults) {
        self.gateway.venue().exchange_mut().set_faults(faults);
    }
}

#[test]
fn a_second_after_the_journal_is_poisoned_none_of_500_orders_works() {
    let delay = Delay { base: 20 * MILLISECOND, jitter: 5 * MILLISECOND };
    let mut trading = Trading::new(PaperOptions { order_delay: delay, ..PaperOptions::default() });
    let poisoned_at = START.0 + SECOND.0;
    trading.rig.journal.poison("sync failed");
    trading.second();
    assert_eq!(trading.open(), 0);
    let outcome = trading.emergency.outcome().unwrap();
    assert_eq!((outcome.reason, outcome.orders), (EndReason::JOURNAL_POISONED, Some(ORDERS as u32)));
    assert!(outcome.is_settled && outcome.answered.unwrap().0 - outcome.requested.0 <= 26 * MILLISECOND);
    assert!(outcome.requested.0 <= poisoned_at + MILLISECOND);
}

#[test]
fn the_venue_is_asked_until_it_answers() {
    let mut trading = Trading::new(PaperOptions::default());
    trading.faults(VenueFaults { is_busy: true, ..VenueFaults::default() });
    trading.rig.journal.poison("sync failed");
    trading.second();
    assert_eq!(trading.open(), ORDERS, "it takes no request");
    trading.faults(VenueFaults { is_silent: true, ..VenueFaults::default() });
    trading.second();
    assert_eq!(trading.open(), ORDERS, "it does nothing about the request");
    let outcome = trading.emergency.outcome().unwrap();
    assert_eq!((outcome.answered, outcome.is_settled), (None, false));
    trading.faults(VenueFaults::default());
    trading.second();
    assert_eq!(trading.open(), 0);
    assert!(trading.emergency.outcome().unwrap().answered.is_some());
}

#[test]
fn nothing_leaves_after_an_emergency_was_demanded() {
    let mut trading = Trading::new(PaperOptions::default());
    trading.emergency.demand(EndReason::AGENT_FAILED);
    trading.second();
    trading.send(ORDERS as u64 + 1);
    trading.second();
    assert_eq!(trading.open(), 0);
    assert_eq!(trading.emergency.outcome().unwrap().reason, EndReason::AGENT_FAILED);
}

#[test]
fn a_gateway_that_is_stopped_without_a_request_to_the_bus_cancels_everything() {
    let mut trading = Trading::new(PaperOptions::default());
    trading.gateway.on_stop().unwrap();
    assert_eq!(trading.open(), 0);
    assert_eq!(trading.emergency.outcome().unwrap().reason, EndReason::AGENT_FAILED);
}

#[test]
fn a_gateway_that_stops_in_order_cancels_nothing() {
    let mut trading = Trading::new(PaperOptions::default());
    trading.rig.ring.request_stop();
    trading.gateway.on_stop().unwrap();
    assert_eq!((trading.open(), trading.emergency.outcome()), (ORDERS, None));
}
