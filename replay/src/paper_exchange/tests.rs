mod order_types;
mod own_book;
mod phases;

use super::*;
use crate::fixture::{
    self, Log, add, cancel, clear, definition_body, execute, level, limit_order, order_body, trade,
};
use crate::open_orders::OpenOrders;
use proptest::prelude::*;
use std::collections::BTreeMap;
use stele_strategies::book::BookSide;
use stele_wire::codec::Message;
use stele_wire::messages::{
    InstrumentDefinition, Liquidity, MarketFlags, OrderAttributes, OrderType, SelfTradePrevention,
    TimeInForce,
};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// An exchange and the log that it is fed from; its reports go back onto the log.
struct Bench {
    log: Log,
    exchange: PaperExchange,
}

impl Bench {
    fn new(fees: FeeSchedule) -> Self {
        Self::with(PaperOptions { fees, ..PaperOptions::default() })
    }

    fn with(options: PaperOptions) -> Self {
        let options = PaperOptions { source: 9, ..options };
        let mut bench = Self { log: Log::default(), exchange: PaperExchange::new(options) };
        let body = definition_body(1);
        bench.log.push_body(InstrumentDefinition::TEMPLATE_ID, InstrumentDefinition::BLOCK_LENGTH, &body);
        bench.exchange.on_market(&bench.log.last());
        bench
    }

    fn market<M: Message>(&mut self, message: &M) -> Vec<String> {
        self.log.push(message);
        self.exchange.on_market(&self.log.last());
        self.reports()
    }

    fn order(&mut self, order: &NewOrder) -> Vec<String> {
        self.log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &order_body(order));
        self.exchange.on_order(&self.log.last());
        self.reports()
    }

    fn buy(&mut self, id: u64, price: i64, quantity: u64) -> Vec<String> {
        self.order(&limit_order(1, id, Side::BUY, price, quantity))
    }

    fn replace(&mut self, id: u64, replaced: u64, side: Side, price: i64, quantity: u64) -> Vec<String> {
        let order =
            NewOrder { replaced_order_id: U64::new(replaced), ..limit_order(1, id, side, price, quantity) };
        self.log.push_body(ReplaceOrder::TEMPLATE_ID, ReplaceOrder::BLOCK_LENGTH, &order_body(&order));
        self.exchange.on_order(&self.log.last());
        self.reports()
    }

    fn cancel(&mut self, id: u64, quantity: u64) -> Vec<String> {
        self.log.push(&CancelOrder {
            strategy: U16::new(1),
            account: U32::new(7),
            instrument: U32::new(1),
            client_order_id: U64::new(id + 1_000),
            cancelled_order_id: U64::new(id),
            quantity: U64::new(quantity),
            ..CancelOrder::NULL
        });
        self.exchange.on_order(&self.log.last());
        self.reports()
    }

    /// Puts the waiting reports on the log and tells them in words.
    fn reports(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(report) = self.exchange.pop_report() {
            let mut buffer = [0; REPORT_LENGTH_MAX];
            let block_length = stele_wire::messages::block_length(report.template_id()).unwrap();
            let body = report.encode(&mut buffer);
            self.log.push_body(report.template_id(), block_length, body);
            told.push(tell(&report));
        }
        told
    }
}

fn tell(report: &Report) -> String {
    match report {
        Report::Accepted(r) => format!("accepted {} leaves {}", r.client_order_id, r.leaves_quantity),
        Report::Rejected(r, text) => format!("rejected {} {}: {text}", r.client_order_id, r.check),
        Report::Cancelled(r) => format!(
            "cancelled {} {} leaves {} {}",
            r.client_order_id, r.cancelled_quantity, r.leaves_quantity, r.event
        ),
        Report::Replaced(r) => {
            format!("replaced {} by {} leaves {}", r.replaced_order_id, r.client_order_id, r.leaves_quantity)
        }
        Report::Filled(r) => format!(
            "filled {} {} @ {} leaves {} {}",
            r.client_order_id, r.last_quantity, r.last_price, r.leaves_quantity, r.liquidity
        ),
        Report::CancelRejected(r, text) => format!("not cancelled {} {}: {text}", r.client_order_id, r.check),
        Report::ReplaceRejected(r, text) => format!("not replaced {} {}: {text}", r.client_order_id, r.check),
        Report::Triggered(r) => format!("triggered {}", r.client_order_id),
        Report::Restated(r) => format!("restated {} shows {}", r.client_order_id, r.displayed_quantity),
        Report::Expired(r) => format!("expired {} {}", r.client_order_id, r.quantity),
        Report::Traded(r) => format!("traded {} @ {}", r.quantity, r.price),
        Report::Status(r) => format!("status {} {}", r.state, r.phase),
    }
}

fn bench() -> Bench {
    let mut bench = Bench::new(FeeSchedule::FREE);
    bench.market(&add(1, 1, Side::BUY, 99, 10));
    bench.market(&add(1, 2, Side::SELL, 101, 5));
    bench.market(&add(1, 3, Side::SELL, 102, 5));
    bench
}

#[test]
fn an_order_takes_the_levels_it_reaches_and_the_rest_waits() {
    let mut bench = bench();
    assert_eq!(
        bench.buy(7, 102, 12),
        ["accepted 7 leaves 12", "filled 7 5 @ 101 leaves 7 Taker", "filled 7 5 @ 102 leaves 2 Taker"]
    );
    assert_eq!(bench.exchange.open_orders(), 1);
    assert_eq!(bench.buy(8, 102, 1), ["accepted 8 leaves 1"], "the same liquidity is not there twice");
    assert_eq!(bench.market(&add(1, 4, Side::SELL, 102, 2)), ["filled 7 2 @ 102 leaves 0 Maker"]);
}

#[test]
fn what_cannot_wait_is_cancelled_by_the_market() {
    let mut bench = bench();
    let order = limit_order(1, 7, Side::BUY, 101, 8);
    let immediate = NewOrder { time_in_force: TimeInForce::IMMEDIATE_OR_CANCEL, ..order };
    assert_eq!(
        bench.order(&immediate),
        [
            "accepted 7 leaves 8",
            "filled 7 5 @ 101 leaves 3 Taker",
            "cancelled 7 3 leaves 0 CancelledByMarket"
        ]
    );
    let kill = NewOrder { time_in_force: TimeInForce::FILL_OR_KILL, limit_price: I64::new(102), ..order };
    assert_eq!(bench.order(&kill), ["accepted 7 leaves 8", "cancelled 7 8 leaves 0 CancelledByMarket"]);
    let kill = NewOrder { quantity: U64::new(5), ..kill };
    assert_eq!(bench.order(&kill), ["accepted 7 leaves 5", "filled 7 5 @ 102 leaves 0 Taker"]);
    let market = NewOrder { order_type: OrderType::MARKET, limit_price: I64::new(i64::MAX), ..order };
    assert_eq!(bench.order(&market), ["accepted 7 leaves 8", "cancelled 7 8 leaves 0 CancelledByMarket"]);
    assert_eq!(bench.exchange.open_orders(), 0);
}

#[test]
fn a_resting_order_waits_for_the_queue_ahead_of_it() {
    let mut bench = bench();
    assert_eq!(bench.buy(7, 99, 4), ["accepted 7 leaves 4"]);
    bench.market(&add(1, 4, Side::BUY, 99, 20));
    assert_eq!(bench.market(&execute(1, 1, 9)), [""; 0]);
    assert_eq!(bench.market(&execute(1, 1, 1)), [""; 0], "ten were ahead");
    assert_eq!(bench.market(&execute(1, 4, 3)), ["filled 7 3 @ 99 leaves 1 Maker"]);
    assert_eq!(bench.market(&execute(1, 4, 17)), ["filled 7 1 @ 99 leaves 0 Maker"]);
}

#[test]
fn cancels_shorten_a_queue_only_when_the_level_gets_shorter_than_it() {
    let mut bench = bench();
    bench.market(&add(1, 4, Side::BUY, 99, 10));
    bench.buy(7, 99, 4);
    bench.market(&add(1, 5, Side::BUY, 99, 10));
    bench.market(&cancel(1, 1, 10));
    assert_eq!(bench.market(&execute(1, 4, 10)), [""; 0], "20 were ahead and 10 are executed");
    assert_eq!(bench.market(&execute(1, 5, 1)), [""; 0]);
    assert_eq!(bench.market(&cancel(1, 5, 8)), [""; 0]);
    assert_eq!(bench.market(&execute(1, 5, 1)), [""; 0], "the one ahead was executed");
    bench.market(&add(1, 6, Side::BUY, 99, 10));
    assert_eq!(bench.market(&execute(1, 6, 2)), ["filled 7 2 @ 99 leaves 2 Maker"]);
}

#[test]
fn an_execution_through_an_order_fills_it_at_its_limit() {
    let mut bench = bench();
    bench.buy(7, 100, 4);
    assert_eq!(bench.market(&execute(1, 1, 3)), ["filled 7 3 @ 100 leaves 1 Maker"]);
}

#[test]
fn trades_count_where_the_book_is_kept_by_price() {
    let mut bench = Bench::new(FeeSchedule::FREE);
    bench.market(&level(1, Side::BUY, 99, 10));
    bench.market(&level(1, Side::SELL, 101, 5));
    bench.buy(7, 99, 4);
    assert_eq!(bench.market(&trade(1, Side::SELL, 99, 10)), [""; 0]);
    assert_eq!(bench.market(&trade(1, Side::BUY, 99, 10)), [""; 0], "the taker bought");
    assert_eq!(bench.market(&trade(1, Side::NONE, 99, 1)), ["filled 7 1 @ 99 leaves 3 Maker"]);
    assert_eq!(bench.market(&trade(1, Side::SELL, 98, 50)), ["filled 7 3 @ 99 leaves 0 Maker"]);
    let mut bench = self::bench();
    bench.buy(7, 99, 4);
    assert_eq!(
        bench.market(&trade(1, Side::SELL, 98, 50)),
        [""; 0],
        "the execution that goes with it counts"
    );
}

#[test]
fn a_cleared_book_gives_nobody_a_better_place() {
    let mut bench = bench();
    bench.buy(7, 99, 4);
    bench.market(&clear(1));
    let snapshot = |order| {
        let flags = MarketFlags::SNAPSHOT | MarketFlags::LAST;
        stele_wire::messages::BookAdd { flags, ..order }
    };
    bench.market(&snapshot(add(1, 11, Side::SELL, 99, 3)));
    bench.market(&snapshot(add(1, 1, Side::BUY, 99, 10)));
    assert_eq!(bench.market(&cancel(1, 11, 3)), [""; 0]);
    assert_eq!(bench.market(&execute(1, 1, 9)), [""; 0]);
}

#[test]
fn a_replacement_keeps_its_place_only_for_the_same_price_and_no_more() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    bench.market(&add(1, 4, Side::BUY, 99, 20));
    assert_eq!(bench.replace(8, 7, Side::BUY, 99, 4), ["replaced 7 by 8 leaves 4"]);
    assert_eq!(bench.market(&execute(1, 1, 10)), [""; 0]);
    assert_eq!(bench.market(&execute(1, 4, 1)), ["filled 8 1 @ 99 leaves 3 Maker"]);
    assert_eq!(bench.replace(9, 8, Side::BUY, 99, 8), ["replaced 8 by 9 leaves 8"]);
    assert_eq!(bench.market(&execute(1, 4, 1)), [""; 0], "behind what is displayed");
    assert_eq!(
        bench.replace(10, 9, Side::BUY, 101, 8),
        ["replaced 9 by 10 leaves 8", "filled 10 5 @ 101 leaves 3 Taker"]
    );
    assert_eq!(bench.exchange.open_orders(), 1);
}

#[test]
fn a_replacement_that_cannot_be_is_refused_and_the_order_stays() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    bench.buy(8, 98, 6);
    let refused = |told: Vec<String>| told.join("\n");
    assert!(refused(bench.replace(9, 6, Side::BUY, 99, 4)).starts_with("not replaced 6 UnknownOrder"));
    assert!(refused(bench.replace(9, 7, Side::SELL, 99, 4)).contains("keeps the side"));
    assert!(refused(bench.replace(8, 7, Side::BUY, 99, 4)).starts_with("not replaced 7 Duplicate"));
    assert!(refused(bench.replace(9, 7, Side::BUY, 99, 0)).contains("the quantity is 0"));
    assert_eq!(bench.exchange.open_orders(), 2);
}

#[test]
fn a_cancel_takes_off_what_it_names() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    assert_eq!(bench.cancel(7, 2), ["cancelled 7 2 leaves 4 CancelledByMember"]);
    assert_eq!(bench.cancel(7, u64::MAX), ["cancelled 7 4 leaves 0 CancelledByMember"]);
    assert_eq!(bench.cancel(7, u64::MAX), ["not cancelled 7 UnknownOrder: no such order is working"]);
}

#[test]
fn a_mass_cancel_of_a_strategy_leaves_others_alone() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    bench.order(&limit_order(1, 8, Side::SELL, 105, 6));
    bench.order(&NewOrder { strategy: U16::new(2), ..limit_order(1, 7, Side::BUY, 98, 1) });
    let mut all = |strategy, side| {
        bench.log.push(&MassCancel {
            strategy: U16::new(strategy),
            scope: CancelScope::ALL,
            side,
            ..MassCancel::NULL
        });
        bench.exchange.on_order(&bench.log.last());
        bench.reports()
    };
    assert_eq!(all(1, Side::SELL), ["cancelled 8 6 leaves 0 CancelledByMember"]);
    assert_eq!(all(1, Side::NONE), ["cancelled 7 6 leaves 0 CancelledByMember"]);
    assert_eq!(all(0, Side::NONE), ["cancelled 7 1 leaves 0 CancelledByMember"]);
    assert_eq!(bench.exchange.open_orders(), 0);
}

#[test]
fn an_order_that_cannot_be_is_refused_with_its_check() {
    let mut bench = bench();
    let order = limit_order(1, 7, Side::BUY, 99, 6);
    let table = [
        (NewOrder { instrument: U32::new(2), ..order }, "UnknownInstrument"),
        (NewOrder { side: Side::NONE, ..order }, "Malformed"),
        (NewOrder { limit_price: I64::new(i64::MAX), ..order }, "Malformed"),
        (NewOrder { quantity: U64::new(0), ..order }, "Malformed"),
        (NewOrder { quantity: U64::new(u64::MAX), ..order }, "Malformed"),
        (NewOrder { order_type: OrderType::PEGGED, ..order }, "Venue"),
        (NewOrder { order_type: OrderType::STOP, ..order }, "Malformed"),
        (NewOrder { time_in_force: TimeInForce::GOOD_TILL_DATE, ..order }, "Venue"),
        (NewOrder { minimum_quantity: U64::new(1), ..order }, "Venue"),
        (NewOrder { displayed_quantity: U64::new(0), ..order }, "Venue"),
        (NewOrder { attributes: OrderAttributes::POST_ONLY, limit_price: I64::new(101), ..order }, "Venue"),
    ];
    for (order, check) in table {
        let told = bench.order(&order);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("rejected 7 {check}:")), "{told:?}");
    }
    assert_eq!(bench.order(&order), ["accepted 7 leaves 6"]);
    assert!(bench.order(&order)[0].starts_with("rejected 7 Duplicate"));
    bench.exchange.options.open_orders_max = 1;
    assert!(bench.buy(8, 99, 1)[0].starts_with("rejected 8 OpenOrders"));
}

#[test]
fn makers_and_takers_pay_by_the_schedule() {
    let fees = FeeSchedule { maker: FeeRate::PerUnit(-2_000_000), taker: FeeRate::PerUnit(3_000_000) };
    let mut bench = Bench::new(fees);
    bench.market(&add(1, 2, Side::SELL, 101, 5));
    bench.log.push_body(
        NewOrder::TEMPLATE_ID,
        NewOrder::BLOCK_LENGTH,
        &order_body(&limit_order(1, 7, Side::BUY, 101, 6)),
    );
    bench.exchange.on_order(&bench.log.last());
    bench.log.push(&add(1, 3, Side::SELL, 101, 5));
    bench.exchange.on_market(&bench.log.last());
    let fees: Vec<_> = std::iter::from_fn(|| bench.exchange.pop_report())
        .filter_map(|report| match report {
            Report::Filled(fill) => Some((fill.fee.get(), fill.fee_currency, fill.execution_id.get())),
            _ => None,
        })
        .collect();
    assert_eq!(fees, [(15_000_000, *b"USD", 1), (-2_000_000, *b"USD", 2)]);
}

#[test]
fn reports_carry_the_market_events_time_and_the_order_they_answer() {
    let mut bench = Bench::new(FeeSchedule::FREE);
    let venue_time = U64::new(fixture::START - 5);
    bench.market(&stele_wire::messages::BookAdd { venue_time, ..add(1, 2, Side::SELL, 101, 5) });
    let body = order_body(&limit_order(1, 7, Side::BUY, 101, 5));
    let sequence = bench.log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &body);
    bench.exchange.on_order(&bench.log.last());
    let Some(Report::Accepted(accepted)) = bench.exchange.pop_report() else { panic!("not accepted") };
    let Some(Report::Filled(filled)) = bench.exchange.pop_report() else { panic!("not filled") };
    assert_eq!((accepted.venue_time, filled.venue_time), (venue_time, venue_time));
    assert_eq!((accepted.order_sequence.get(), filled.order_sequence.get()), (sequence, sequence));
    assert_eq!((accepted.strategy.get(), filled.account.get(), filled.source.get()), (1, 7, 9));
    assert_eq!((filled.side, filled.instrument.get()), (Side::BUY, 1));
}

#[test]
fn a_new_session_cancels_what_worked_and_refuses_what_was_never_answered() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    bench.buy(8, 101, 7);
    let pending = limit_order(1, 9, Side::BUY, 90, 3);
    bench.log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &order_body(&pending));
    let replacement = NewOrder { replaced_order_id: U64::new(7), ..limit_order(1, 10, Side::BUY, 98, 6) };
    bench.log.push_body(ReplaceOrder::TEMPLATE_ID, ReplaceOrder::BLOCK_LENGTH, &order_body(&replacement));
    let mut open = OpenOrders::default();
    bench.log.frames().for_each(|event| open.on_event(&event));
    let numbers = open.numbers();
    assert_eq!(numbers, Numbers { order: 2, execution: 1 });
    bench.exchange = PaperExchange::resume(PaperOptions::default(), &open.finish(), numbers);
    assert_eq!(
        bench.reports(),
        [
            "cancelled 7 6 leaves 0 CancelledByMarket",
            "cancelled 8 2 leaves 0 CancelledByMarket",
            "rejected 9 InDoubt: the paper exchange was restarted before it answered",
            "not replaced 7 InDoubt: the paper exchange was restarted before it answered",
        ]
    );
    let mut open = OpenOrders::default();
    bench.log.frames().for_each(|event| open.on_event(&event));
    assert_eq!(open.finish(), [], "nothing is open after that");
}

/// What a random test does.
#[derive(Clone, Debug)]
enum Act {
    Add(u64, bool, i64, u64),
    Cancel(u64, u64),
    Execute(u64, u64),
    Level(bool, i64, u64),
    Trade(bool, i64, u64),
    Clear,
    Order {
        strategy: u16,
        is_buy: bool,
        price: i64,
        quantity: u64,
        time_in_force: u8,
        is_market: bool,
        extra: u8,
    },
    Replace(u64, i64, u64),
    Withdraw(u64, u64),
}

fn act(by_order: bool) -> impl Strategy<Value = Act> {
    let (price, quantity) = (90..110i64, 1..20u64);
    let market = if by_order {
        prop_oneof![
            6 => (1..60u64, any::<bool>(), price.clone(), quantity.clone()).prop_map(|(id, bid, price, quantity)| {
                // Bids below 100 and offers above it, now and then crossed.
                let price = if bid { price.min(101) } else { price.max(99) };
                Act::Add(id, bid, price, quantity)
            }),
            3 => (1..60u64, quantity.clone()).prop_map(|(id, quantity)| Act::Cancel(id, quantity)),
            3 => (1..60u64, quantity.clone()).prop_map(|(id, quantity)| Act::Execute(id, quantity)),
            1 => Just(Act::Clear),
        ]
        .boxed()
    } else {
        prop_oneof![
            6 => (any::<bool>(), price.clone(), 0..20u64).prop_map(|(bid, price, quantity)| Act::Level(bid, price, quantity)),
            4 => (any::<bool>(), price.clone(), quantity.clone()).prop_map(|(buy, price, quantity)| Act::Trade(buy, price, quantity)),
            1 => Just(Act::Clear),
        ]
        .boxed()
    };
    prop_oneof![
        12 => market,
        6 => (1..3u16, any::<bool>(), price.clone(), quantity.clone(), 0..4u8, any::<u8>(), any::<u8>()).prop_map(
            |(strategy, is_buy, price, quantity, time_in_force, market, extra)| Act::Order {
                strategy, is_buy, price, quantity, time_in_force, is_market: market < 25, extra,
            }
        ),
        2 => (1..40u64, price, quantity.clone()).prop_map(|(id, price, quantity)| Act::Replace(id, price, quantity)),
        2 => (1..40u64, quantity).prop_map(|(id, quantity)| Act::Withdraw(id, quantity)),
    ]
}

/// What the tests know of an order: nothing of it is the exchange's own bookkeeping.
#[derive(Clone, Copy, Debug)]
struct Known {
    is_buy: bool,
    limit: Option<i64>,
    quantity: u64,
    filled: u64,
    cancelled: u64,
    is_answered: bool,
}

struct Checker {
    bench: Bench,
    known: BTreeMap<(u16, u64), Known>,
    next_id: u64,
}

impl Checker {
    fn run(acts: &[Act]) -> Vec<Report> {
        let mut checker = Self { bench: Bench::new(FeeSchedule::FREE), known: BTreeMap::new(), next_id: 1 };
        let mut all = Vec::new();
        for act in acts {
            let taken = checker.act(act);
            checker.check(&taken);
            all.extend(taken);
        }
        checker.check_conserved();
        all
    }

    fn act(&mut self, act: &Act) -> Vec<Report> {
        let side = |is_buy| if is_buy { Side::BUY } else { Side::SELL };
        let is_order = matches!(act, Act::Order { .. } | Act::Replace(..) | Act::Withdraw(..));
        let log = &mut self.bench.log;
        match *act {
            Act::Add(id, bid, price, quantity) => log.push(&add(1, id, side(bid), price, quantity)),
            Act::Cancel(id, quantity) => log.push(&cancel(1, id, quantity)),
            Act::Execute(id, quantity) => log.push(&execute(1, id, quantity)),
            Act::Level(bid, price, quantity) => log.push(&level(1, side(bid), price, quantity)),
            Act::Trade(buy, price, quantity) => log.push(&trade(1, side(buy), price, quantity)),
            Act::Clear => log.push(&clear(1)),
            Act::Order { strategy, is_buy, price, quantity, time_in_force, is_market, extra } => {
                let mut order = limit_order(1, self.next_id, side(is_buy), price, quantity);
                order.strategy = U16::new(strategy);
                order.time_in_force = [
                    TimeInForce::DAY,
                    TimeInForce::GOOD_TILL_CANCEL,
                    TimeInForce::IMMEDIATE_OR_CANCEL,
                    TimeInForce::FILL_OR_KILL,
                ][usize::from(time_in_force)];
                let limit = if is_market { None } else { Some(price) };
                if is_market {
                    order.order_type = OrderType::MARKET;
                }
                if extra >= 200 {
                    order.order_type = if is_market { OrderType::STOP } else { OrderType::STOP_LIMIT };
                    order.stop_price = I64::new(price + i64::from(extra % 7) - 3);
                } else if extra < 60 && !is_market && time_in_force < 2 {
                    order.displayed_quantity = U64::new(1 + u64::from(extra % 4));
                }
                order.self_trade_prevention = SelfTradePrevention(extra % 5);
                let known = Known { is_buy, limit, quantity, filled: 0, cancelled: 0, is_answered: false };
                self.known.insert((strategy, self.next_id), known);
                self.next_id += 1;
                log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &order_body(&order))
            }
            Act::Replace(id, price, quantity) => {
                let Some(old) = self.known.get(&(1, id)).copied() else { return Vec::new() };
                let mut order = limit_order(1, self.next_id, side(old.is_buy), price, quantity);
                order.replaced_order_id = U64::new(id);
                let known = Known {
                    limit: Some(price),
                    quantity,
                    filled: 0,
                    cancelled: 0,
                    is_answered: false,
                    ..old
                };
                self.known.insert((1, self.next_id), known);
                self.next_id += 1;
                log.push_body(ReplaceOrder::TEMPLATE_ID, ReplaceOrder::BLOCK_LENGTH, &order_body(&order))
            }
            Act::Withdraw(id, quantity) => log.push(&CancelOrder {
                strategy: U16::new(1),
                account: U32::new(7),
                instrument: U32::new(1),
                cancelled_order_id: U64::new(id),
                quantity: U64::new(quantity),
                ..CancelOrder::NULL
            }),
        };
        let exchange = &mut self.bench.exchange;
        if is_order {
            exchange.on_order(&self.bench.log.last());
        } else {
            exchange.on_market(&self.bench.log.last());
        }
        let reports: Vec<Report> = std::iter::from_fn(|| exchange.pop_report()).collect();
        // An order changes nothing of the market, and a stop is worked behind the event that reached it.
        let displayed = displayed_in_all(exchange);
        for owner in [1, 2] {
            let taken: u64 = reports
                .iter()
                .filter_map(|report| match report {
                    Report::Filled(fill)
                        if fill.liquidity == Liquidity::TAKER && fill.strategy.get() == owner =>
                    {
                        Some(fill.last_quantity.get())
                    }
                    _ => None,
                })
                .sum();
            assert!(taken <= displayed, "{taken} taken of {displayed} displayed");
        }
        reports
    }

    fn check(&mut self, reports: &[Report]) {
        for report in reports {
            match report {
                Report::Accepted(r) => self.known(r.strategy, r.client_order_id).is_answered = true,
                Report::Rejected(r, _) => {
                    self.known.remove(&(r.strategy.get(), r.client_order_id.get()));
                }
                Report::Replaced(r) => {
                    let old = *self.known(r.strategy, r.replaced_order_id);
                    let new = self.known(r.strategy, r.client_order_id);
                    assert_eq!(r.leaves_quantity.get(), new.quantity);
                    *new = Known {
                        quantity: new.quantity + old.filled,
                        filled: old.filled,
                        is_answered: true,
                        ..*new
                    };
                    self.known.remove(&(r.strategy.get(), r.replaced_order_id.get()));
                }
                Report::ReplaceRejected(r, _) => {
                    self.known.remove(&(r.strategy.get(), r.request_order_id.get()));
                }
                Report::Filled(r) => {
                    let known = self.known(r.strategy, r.client_order_id);
                    known.filled += r.last_quantity.get();
                    assert!(known.is_answered, "filled before it was taken");
                    assert!(r.last_quantity.get() > 0);
                    let price = r.last_price.get();
                    let is_within = known
                        .limit
                        .is_none_or(|limit| if known.is_buy { price <= limit } else { price >= limit });
                    assert!(is_within, "{price} is worse than {:?}", known.limit);
                    let leaves = known.quantity - known.filled - known.cancelled;
                    assert_eq!(
                        (r.leaves_quantity.get(), r.cumulative_quantity.get()),
                        (leaves, known.filled)
                    );
                }
                Report::Cancelled(r) => {
                    let known = self.known(r.strategy, r.client_order_id);
                    known.cancelled += r.cancelled_quantity.get();
                    let leaves = known.quantity - known.filled - known.cancelled;
                    assert_eq!(
                        (r.leaves_quantity.get(), r.cumulative_quantity.get()),
                        (leaves, known.filled)
                    );
                }
                Report::CancelRejected(..) => {}
                Report::Triggered(r) => {
                    let known = *self.known(r.strategy, r.client_order_id);
                    assert_eq!(r.leaves_quantity.get(), known.quantity - known.filled - known.cancelled);
                }
                Report::Restated(r) => {
                    assert!(r.displayed_quantity.get() > 0 && r.displayed_quantity <= r.leaves_quantity);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn known(&mut self, strategy: U16, id: U64) -> &mut Known {
        self.known.get_mut(&(strategy.get(), id.get())).expect("a report about an order that there is")
    }

    /// Every order that is not done rests, with what the reports leave of it; a mass cancel lets all go.
    fn check_conserved(&mut self) {
        let open: u64 =
            self.known.values().map(|known| known.quantity - known.filled - known.cancelled).sum();
        let count =
            self.known.values().filter(|known| known.quantity > known.filled + known.cancelled).count();
        assert_eq!(self.bench.exchange.open_orders(), count);
        assert!(self.known.values().all(|known| known.is_answered));
        self.bench.log.push(&MassCancel { scope: CancelScope::ALL, side: Side::NONE, ..MassCancel::NULL });
        self.bench.exchange.on_order(&self.bench.log.last());
        let gone: u64 = std::iter::from_fn(|| self.bench.exchange.pop_report())
            .map(|report| match report {
                Report::Cancelled(r) => r.cancelled_quantity.get(),
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(gone, open);
        assert_eq!(self.bench.exchange.open_orders(), 0);
    }
}

/// Everything that both sides display.
fn displayed_in_all(exchange: &PaperExchange) -> u64 {
    [BookSide::Bid, BookSide::Ask]
        .into_iter()
        .flat_map(|side| market::levels(exchange.market.book(1), side))
        .map(|(_, quantity)| quantity)
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_order_is_lost_quantities_conserve_and_no_fill_is_worse_than_the_limit(
        by_order in any::<bool>().prop_flat_map(|by_order| prop::collection::vec(act(by_order), 1..150))
    ) {
        let first = Checker::run(&by_order);
        let second = Checker::run(&by_order);
        prop_assert_eq!(first, second, "the same input gives the same reports");
    }

    #[test]
    fn an_owner_never_takes_more_of_a_level_than_ever_came_to_it(
        quantities in prop::collection::vec((0..30u64, 1..30u64), 1..60)
    ) {
        let mut bench = Bench::new(FeeSchedule::FREE);
        let (mut came, mut taken, mut shown) = (0u64, 0u64, 0u64);
        for (id, (quantity, wanted)) in (1..).zip(quantities) {
            bench.market(&level(1, Side::SELL, 101, quantity));
            came += quantity.saturating_sub(shown);
            shown = quantity;
            let order = limit_order(1, id, Side::BUY, 101, wanted);
            bench.log.push_body(
                NewOrder::TEMPLATE_ID,
                NewOrder::BLOCK_LENGTH,
                &order_body(&NewOrder { time_in_force: TimeInForce::IMMEDIATE_OR_CANCEL, ..order }),
            );
            bench.exchange.on_order(&bench.log.last());
            let mut now = 0;
            while let Some(report) = bench.exchange.pop_report() {
                if let Report::Filled(fill) = report {
                    now += fill.last_quantity.get();
                }
            }
            taken += now;
            prop_assert!(now <= shown && taken <= came, "{now} of {shown}, {taken} of {came}");
        }
    }
}
