//! The life cycle of strategies in a host, event by event.

use stele_strategies::tester::TEST_STRATEGY;
use stele_strategies::{
    Context, Order, OrderReport, OrderState, Parameter, ParameterError, Parameters, Registry, ReportKind,
    RestoreError, SnapshotReader, SnapshotWrite, Strategy, StrategyKind, StrategyState, StrategyTester,
    TradePrint,
};
use stele_wire::messages::*;
use stele_wire::{Epoch, Frame, Nanos, Price, Quantity};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// Performs one action for each price of a trade (send, replace, cancel, set a timer, panic) and records what
/// it was called with.
struct Puppet {
    last: u64,
    calls: Vec<u64>,
}

const PUPPET: StrategyKind = StrategyKind {
    name: "puppet",
    about: "acts by the price of a trade",
    parameters: &[Parameter::integer("unused", 1, (0, 9), "nothing")],
    make: |_: &Parameters| -> Result<Box<dyn Strategy>, ParameterError> {
        Ok(Box::new(Puppet { last: 0, calls: Vec::new() }))
    },
};

impl Strategy for Puppet {
    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        let instrument = trade.instrument;
        let order = Order::limit(instrument, Side::BUY, trade.quantity, Price(100));
        match trade.price.0 {
            1 => self.last = context.send(order).unwrap(),
            2 => assert!(context.cancel(self.last)),
            3 => self.last = context.replace(self.last, Price(101), Quantity(4)).unwrap(),
            4 => self.calls.push(context.set_timer(Nanos(context.now().0 + 50)).unwrap()),
            5 => panic!("the price is 5"),
            6 => assert_eq!((0..100).filter_map(|_| context.send(order)).count(), 16),
            7 => self.calls.push(context.random().bits()),
            8 => assert!(context.cancel_timer(*self.calls.last().unwrap())),
            9 => while context.set_timer(Nanos(context.now().0 + 50)).is_some() {},
            10 => {
                let order = order.displayed(Quantity(6)).post_only().good_till_cancel().child_of(77);
                self.last = context.send(order).unwrap();
            }
            11 => self.last = context.send(order.stop(Price(95))).unwrap(),
            12 => {
                let order = Order::market(instrument, Side::BUY, trade.quantity).stop(Price(95));
                self.last = context.send(order).unwrap();
            }
            _ => {}
        }
    }

    fn on_definition(&mut self, instrument: u32, context: &mut Context<'_>) {
        context.send(Order::limit(instrument, Side::BUY, Quantity(1), Price(100)));
    }

    fn on_status(&mut self, status: &TradingStatus, context: &mut Context<'_>) {
        let side = if status.state == TradingState::HALTED { Side::SELL } else { Side::BUY };
        context.send(Order::limit(status.instrument.get(), side, Quantity(2), Price(100)));
    }

    fn on_timer(&mut self, timer_id: u64, context: &mut Context<'_>) {
        self.calls.extend([timer_id, context.now().0]);
    }

    fn on_report(&mut self, report: &OrderReport, _: &mut Context<'_>) {
        self.calls.push(u64::from(report.kind == ReportKind::Filled));
    }

    fn on_event(&mut self, _: &Frame<'_>, _: &mut Context<'_>) {}

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.last);
        out.put_u64(self.calls.len() as u64);
        self.calls.iter().for_each(|value| out.put_u64(*value));
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.last = reader.u64()?;
        for _ in 0..reader.count("values")? {
            self.calls.push(reader.u64()?);
        }
        reader.finish()
    }
}

fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.register(PUPPET).unwrap();
    registry
}

fn puppet() -> StrategyTester {
    StrategyTester::start_of(registry(), "puppet", "").unwrap()
}

/// Feeds a kill switch without a text.
fn switch(tester: &mut StrategyTester, scope: CancelScope, scope_id: u32, state: SwitchState) {
    let switch = KillSwitch { scope, scope_id: U32::new(scope_id), state, ..KillSwitch::NULL };
    let mut body = [0; 32];
    let body = switch.encode(&mut body, &[]).unwrap();
    tester.body(KillSwitch::TEMPLATE_ID, KillSwitch::BLOCK_LENGTH, body);
}

#[test]
fn an_order_says_who_sent_it_and_why() {
    let mut tester = puppet();
    tester.trade(1, 1, 9);
    let cause = tester.sequence().0 - 1;
    let orders = tester.take_orders();
    let order = &orders[0];
    assert_eq!((order.cause.get(), order.decision_time.get()), (cause, tester.now().0));
    assert_eq!(
        (order.strategy.get(), order.publisher.get(), order.publisher_sequence.get()),
        (TEST_STRATEGY, 3, 1)
    );
    assert_eq!(order.client_order_id.get(), 7 << 48 | 1 << 32 | 1);
    assert_eq!((order.account.get(), order.executor.get(), order.investment_decision.get()), (4, 5, 5));
    assert_eq!(
        (order.order_type, order.time_in_force, order.side),
        (OrderType::LIMIT, TimeInForce::DAY, Side::BUY)
    );
    assert_eq!(
        (order.limit_price.get(), order.stop_price.get(), order.displayed_quantity.get()),
        (100, i64::MAX, u64::MAX)
    );
}

#[test]
fn a_strategy_that_panics_is_stopped_by_a_kill_switch_with_the_reason() {
    let mut tester = puppet();
    tester.trade(1, 1, 9).trade(1, 1, 9);
    let orders = tester.take_orders();
    tester.accept(&orders[0]).trade(1, 5, 1);
    assert_eq!(tester.strategy().state, StrategyState::Failed);
    assert_eq!(tester.host().failures()[0].reason, "puppet panicked: the price is 5");
    assert!(tester.take_cancels().is_empty(), "the sequencer cancels for a kill switch");
    let others = tester.take_others();
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].0, KillSwitch::TEMPLATE_ID);
    assert!(others[0].1.ends_with(b"puppet panicked: the price is 5"));
    tester.fill(&orders[1], 100, 2).trade(1, 1, 9);
    assert_eq!(tester.position(1), 2, "positions are updated");
    assert!(tester.take_orders().is_empty(), "it is not called any more");
}

#[test]
fn a_kill_switch_halts_and_releases_what_it_covers() {
    let mut tester = puppet();
    tester.trade(1, 1, 9);
    switch(&mut tester, CancelScope::STRATEGY, 99, SwitchState::ENGAGED);
    switch(&mut tester, CancelScope::INSTRUMENT, 1, SwitchState::ENGAGED);
    assert_eq!(tester.strategy().state, StrategyState::Running);
    switch(&mut tester, CancelScope::ACCOUNT, 4, SwitchState::ENGAGED);
    assert_eq!(tester.strategy().state, StrategyState::Halted);
    assert!(tester.take_cancels().is_empty(), "the sequencer cancels for a kill switch");
    let order = tester.take_orders()[0];
    tester.event(&CancelOrder {
        strategy: U16::new(TEST_STRATEGY),
        publisher: U16::new(0),
        cancelled_order_id: order.client_order_id,
        ..CancelOrder::NULL
    });
    let open = tester.strategy().record.orders().get(order.client_order_id.get()).copied();
    assert_eq!(open.unwrap().state, OrderState::Cancelling);
    tester.trade(1, 1, 9);
    assert!(tester.take_orders().is_empty());
    switch(&mut tester, CancelScope::ALL, 0, SwitchState::RELEASED);
    tester.trade(1, 1, 9);
    assert_eq!(tester.take_orders().len(), 1);
}

#[test]
fn a_definition_starts_a_new_instance_or_resumes_one_and_reports_errors() {
    let mut tester = puppet();
    tester.trade(1, 1, 9);
    let order = tester.take_orders()[0];
    tester.fill(&order, 100, 9);
    tester.begin_session(Epoch(2));
    assert_eq!(tester.strategy().state, StrategyState::Suspended);
    tester.trade(1, 1, 9);
    assert!(tester.take_orders().is_empty(), "it is not called between the epochs");
    tester.define_strategy("puppet", "", true).trade(1, 1, 9);
    let order = tester.take_orders()[0];
    assert_eq!(order.client_order_id.get(), 7 << 48 | 2 << 32 | 1);
    assert_eq!((tester.position(1), order.publisher_sequence.get()), (9, 2), "its numbering continues");
    tester.define_strategy("puppet", "", false);
    assert_eq!(tester.position(1), 0, "a new instance holds nothing");
    assert_eq!(tester.take_cancels().len(), 1, "the old one's orders are cancelled");
    tester.define_strategy("pupet", "", false).define_strategy("puppet", "unused = 10", false);
    let reasons: Vec<_> = tester.host().failures().iter().map(|failure| failure.reason.as_str()).collect();
    assert!(reasons[0].contains("did you mean `puppet`?"), "{reasons:?}");
    assert!(reasons[1].contains("must be a whole number from 0 to 9"), "{reasons:?}");
}

#[test]
fn replacing_and_cancelling_follow_the_venues_answers() {
    let mut tester = puppet();
    tester.trade(1, 1, 9).trade(1, 3, 1);
    let (orders, replacements) = (tester.take_orders(), tester.take_replacements());
    let (old, new) = (&orders[0], &replacements[0]);
    assert_eq!((new.replaced_order_id, new.original_order_id), (old.client_order_id, old.client_order_id));
    assert_eq!((new.limit_price.get(), new.quantity.get()), (101, 4));
    assert_eq!(tester.strategy().record.orders().working(1, Side::BUY), Quantity(13));
    tester.event(&OrderReplaced {
        instrument: U32::new(1),
        side: Side::BUY,
        client_order_id: new.client_order_id,
        replaced_order_id: old.client_order_id,
        strategy: U16::new(TEST_STRATEGY),
        leaves_quantity: U64::new(4),
        price: I64::new(101),
        ..OrderReplaced::NULL
    });
    assert_eq!(tester.working(old), None);
    assert_eq!(tester.strategy().record.orders().working(1, Side::BUY), Quantity(4));
    tester.trade(1, 2, 1);
    assert_eq!(tester.take_cancels()[0].cancelled_order_id, new.client_order_id);
}

#[test]
fn a_replacement_keeps_every_other_term_of_the_order() {
    let mut tester = puppet();
    tester.trade(1, 10, 9).trade(1, 3, 1);
    let (old, new) = (tester.take_orders()[0], tester.take_replacements()[0]);
    assert_eq!((new.limit_price.get(), new.quantity.get()), (101, 4));
    assert_eq!(
        (old.displayed_quantity.get(), new.displayed_quantity.get()),
        (6, 4),
        "no more than all of it"
    );
    assert!(new.attributes.contains(OrderAttributes::POST_ONLY));
    assert_eq!((new.attributes, new.time_in_force), (old.attributes, TimeInForce::GOOD_TILL_CANCEL));
    assert_eq!((new.parent_order_id.get(), new.cause.get()), (77, old.cause.get() + 2));

    tester.trade(1, 11, 9).trade(1, 3, 1).trade(1, 12, 9).trade(1, 3, 1);
    let prices = |order: &ReplaceOrder| (order.limit_price.get(), order.stop_price.get());
    let [limited, unlimited] = tester.take_replacements()[..] else { panic!("two") };
    assert_eq!((limited.order_type, prices(&limited)), (OrderType::STOP_LIMIT, (101, 95)));
    assert_eq!((unlimited.order_type, prices(&unlimited)), (OrderType::STOP, (i64::MAX, 101)));
}

#[test]
fn the_replacement_of_a_triggered_stop_works_at_once_also_after_a_snapshot() {
    let mut tester = puppet();
    tester.trade(1, 11, 9);
    let order = tester.take_orders()[0];
    tester.accept(&order).event(&OrderTriggered {
        instrument: order.instrument,
        side: order.side,
        client_order_id: order.client_order_id,
        strategy: order.strategy,
        leaves_quantity: order.quantity,
        ..OrderTriggered::NULL
    });
    let mut state = Vec::new();
    tester.host().snapshot(&mut state);
    *tester.host_mut() = stele_strategies::Host::new(registry());
    tester.host_mut().restore(&state).unwrap();
    tester.trade(1, 3, 1);
    let new = tester.take_replacements()[0];
    assert_eq!(
        (new.order_type, new.stop_price.get(), new.limit_price.get()),
        (OrderType::LIMIT, i64::MAX, 101)
    );
}

#[test]
fn definitions_and_halts_reach_the_strategy() {
    let mut tester = puppet();
    tester.define(3, "X").event(&TradingStatus {
        instrument: U32::new(3),
        state: TradingState::HALTED,
        ..TradingStatus::NULL
    });
    let [defined, halted] = tester.take_orders()[..] else { panic!("one order for each") };
    assert_eq!((defined.instrument.get(), defined.side, defined.quantity.get()), (3, Side::BUY, 1));
    assert_eq!((halted.instrument.get(), halted.side, halted.quantity.get()), (3, Side::SELL, 2));
}

#[test]
fn one_event_leads_to_at_most_the_limit_of_submissions() {
    let mut tester = puppet();
    tester.trade(1, 6, 1);
    assert_eq!(tester.take_orders().len(), 16);
    assert_eq!(tester.strategy().record.withheld(), 84);
}

#[test]
fn a_timer_fires_at_its_time() {
    let mut tester = puppet();
    let start = tester.now().0;
    tester.trade(1, 4, 1).advance(Nanos(49));
    let mut state = Vec::new();
    tester.host().snapshot(&mut state);
    tester.advance(Nanos(100));
    let mut later = Vec::new();
    tester.host().snapshot(&mut later);
    let woken = (start + 50).to_le_bytes();
    let contains = |bytes: &[u8]| bytes.windows(8).any(|window| window == woken);
    assert!(!contains(&state) && contains(&later));
}

#[test]
fn a_snapshot_and_the_later_events_equal_all_events() {
    let walk = |tester: &mut StrategyTester, from: i64, to: i64| {
        let mut sent = Vec::new();
        for step in from..to {
            let price = 1_000 + (step * 37) % 101;
            tester.quote(1, (price, 5), (price + 2, 5 + step as u64 % 3)).trade(2, 1 + step % 7 * 2 % 5, 3);
            tester.quote(2, (price / 2, 5), (price / 2 + 3, 4)).trade(1, price, 1);
            for order in tester.take_orders() {
                sent.push(order);
                if step % 3 > 0 {
                    tester.fill(&order, order.limit_price.get(), order.quantity.get());
                } else {
                    tester.cancelled(&order);
                }
            }
            tester.take_cancels();
            tester.take_replacements();
            tester.advance(Nanos(3_000_000));
        }
        sent
    };
    for StrategyKind { name, .. } in Registry::built_in().kinds() {
        let settings = match *name {
            "pairs" => "window = 5\nwidth = 1\nsample = \"3ms\"",
            "flow-momentum" => "interval = \"9ms\"\nenter = 0.1\nexit = 0.01",
            "market-maker" => "sample = \"3ms\"\nhorizon = \"1s\"",
            "twap" | "vwap" => "duration = \"1800ms\"",
            _ => "",
        };
        let mut whole = StrategyTester::start_of(registry(), name, settings).unwrap();
        let mut restored = StrategyTester::start_of(registry(), name, settings).unwrap();
        walk(&mut whole, 0, 300);
        walk(&mut restored, 0, 300);
        let mut state = Vec::new();
        restored.host().snapshot(&mut state);
        *restored.host_mut() = stele_strategies::Host::new(registry());
        restored.host_mut().restore(&state).unwrap();
        assert!(restored.host_mut().restore(&state[..state.len() - 1]).is_err());
        let (a, b) = (walk(&mut whole, 300, 600), walk(&mut restored, 300, 600));
        assert!(a.len() > 3, "{name}: {}", a.len());
        assert_eq!(a, b);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        whole.host().snapshot(&mut x);
        restored.host().snapshot(&mut y);
        assert_eq!(x, y);
    }
}

#[test]
fn a_book_is_shown_only_when_the_venue_event_is_complete() {
    let mut tester = StrategyTester::start("ma-cross", "fast = 1\nslow = 2\nprice = \"mid\"").unwrap();
    let add = |id: u64, side, price: i64, flags| BookAdd {
        instrument: U32::new(1),
        source: U16::new(5),
        side,
        order_id: U64::new(id),
        price: I64::new(price),
        quantity: U64::new(1),
        flags,
        ..BookAdd::NULL
    };
    let none = MarketFlags::EMPTY;
    tester.event(&add(1, Side::BUY, 100, MarketFlags::SNAPSHOT)).event(&add(
        2,
        Side::SELL,
        200,
        MarketFlags::SNAPSHOT,
    ));
    for (id, price) in [(3, 110), (4, 120), (5, 130)] {
        tester.event(&add(id, Side::BUY, price, MarketFlags::LAST));
    }
    assert_eq!(tester.take_orders().len(), 1, "three mids are enough");
    let order = tester.strategy().record.orders().iter().next().copied().unwrap();
    assert_eq!(order.price, Some(Price(200)));
    tester.event(&add(6, Side::SELL, 131, none));
    let feed = |state| FeedStatus { source: U16::new(5), state, ..FeedStatus::NULL };
    assert_eq!(tester.host().market().book(1).unwrap().levels(stele_strategies::BookSide::Ask).len(), 2);
    let mut body = [0; 128];
    let body = feed(FeedState::STARTED).encode(&mut body, &[]).unwrap();
    tester.body(FeedStatus::TEMPLATE_ID, FeedStatus::BLOCK_LENGTH, body);
    assert!(tester.host().market().book(1).unwrap().is_empty());
}

#[test]
fn a_cancelled_timer_does_not_call_the_strategy_even_if_it_fired_already() {
    let mut tester = puppet();
    tester.trade(1, 4, 1).trade(1, 8, 1);
    let state = |tester: &StrategyTester| {
        let mut state = Vec::new();
        tester.host().snapshot(&mut state);
        state
    };
    let before = state(&tester);
    let fired = TimerFired {
        timer_id: U64::new(7 << 48 | 1 << 32 | 1),
        strategy: U16::new(TEST_STRATEGY),
        ..TimerFired::NULL
    };
    tester.advance(Nanos(1_000)).event(&fired);
    assert_eq!(state(&tester), before, "the strategy was not called");
    tester.trade(1, 4, 1).advance(Nanos(50));
    assert_ne!(state(&tester), before);
    let mut again = puppet();
    again.host_mut().restore(&state(&tester)).unwrap();
    assert_eq!(state(&again), state(&tester));
}

#[test]
fn a_strategy_cannot_have_more_pending_timers_than_the_limit() {
    let mut tester = puppet();
    for _ in 0..5 {
        tester.trade(1, 9, 1);
    }
    let asked = tester.strategy().record.withheld();
    assert_eq!(asked, 5, "one request of each round is refused");
    tester.advance(Nanos(49)).trade(1, 9, 1);
    assert_eq!(tester.strategy().record.withheld(), asked + 1);
    tester.advance(Nanos(1)).trade(1, 4, 1);
    assert_eq!(tester.strategy().record.withheld(), asked + 1, "they have fired");
}
