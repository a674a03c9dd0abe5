mod order_types;
mod own_book;
mod phases;
mod random_flow;

use super::*;
use crate::fixture::{
    self, Log, add, cancel, clear, definition_body, execute, level, limit_order, order_body, trade,
};
use crate::open_orders::OpenOrders;
use stele_strategies::book::BookSide;
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelScope, InstrumentDefinition, Liquidity, MarketFlags, OrderAttributes, OrderType,
    SelfTradePrevention, Side, TimeInForce,
};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// An exchange and the log that feeds it; its reports are appended to the log.
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

    /// Appends the waiting reports to the log and returns them as text.
    fn reports(&mut self) -> Vec<String> {
        let mut reports = Vec::new();
        while let Some(report) = self.exchange.pop_report() {
            let mut buffer = [0; REPORT_LENGTH_MAX];
            let block_length = stele_wire::messages::block_length(report.template_id()).unwrap();
            let body = report.encode(&mut buffer);
            self.log.push_body(report.template_id(), block_length, body);
            reports.push(describe(&report));
        }
        reports
    }
}

fn describe(report: &PaperReport) -> String {
    match report {
        PaperReport::Accepted(r) => format!("accepted {} leaves {}", r.client_order_id, r.leaves_quantity),
        PaperReport::Rejected(r, text) => format!("rejected {} {}: {text}", r.client_order_id, r.check),
        PaperReport::Cancelled(r) => format!(
            "cancelled {} {} leaves {} {}",
            r.client_order_id, r.cancelled_quantity, r.leaves_quantity, r.event
        ),
        PaperReport::Replaced(r) => {
            format!("replaced {} by {} leaves {}", r.replaced_order_id, r.client_order_id, r.leaves_quantity)
        }
        PaperReport::Filled(r) => format!(
            "filled {} {} @ {} leaves {} {}",
            r.client_order_id, r.last_quantity, r.last_price, r.leaves_quantity, r.liquidity
        ),
        PaperReport::CancelRejected(r, text) => {
            format!("not cancelled {} {}: {text}", r.client_order_id, r.check)
        }
        PaperReport::ReplaceRejected(r, text) => {
            format!("not replaced {} {}: {text}", r.client_order_id, r.check)
        }
        PaperReport::Triggered(r) => format!("triggered {}", r.client_order_id),
        PaperReport::Restated(r) => format!("restated {} shows {}", r.client_order_id, r.displayed_quantity),
        PaperReport::Expired(r) => format!("expired {} {}", r.client_order_id, r.quantity),
        PaperReport::Traded(r) => format!("traded {} @ {}", r.quantity, r.price),
        PaperReport::Status(r) => format!("status {} {}", r.state, r.phase),
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
    assert_eq!(bench.buy(8, 102, 1), ["accepted 8 leaves 1"], "the same liquidity is not available twice");
    assert_eq!(bench.market(&add(1, 4, Side::SELL, 102, 2)), ["filled 7 2 @ 102 leaves 0 Maker"]);
}

#[test]
fn orders_that_cannot_rest_are_cancelled_by_the_market() {
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
        "the execution of the same trade counts"
    );
}

#[test]
fn a_cleared_book_does_not_improve_a_queue_position() {
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
fn a_replacement_keeps_its_place_only_at_the_same_price_and_for_no_more_quantity() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    bench.market(&add(1, 4, Side::BUY, 99, 20));
    assert_eq!(bench.replace(8, 7, Side::BUY, 99, 4), ["replaced 7 by 8 leaves 4"]);
    assert_eq!(bench.market(&execute(1, 1, 10)), [""; 0]);
    assert_eq!(bench.market(&execute(1, 4, 1)), ["filled 8 1 @ 99 leaves 3 Maker"]);
    assert_eq!(bench.replace(9, 8, Side::BUY, 99, 8), ["replaced 8 by 9 leaves 8"]);
    assert_eq!(bench.market(&execute(1, 4, 1)), [""; 0], "after what is displayed");
    assert_eq!(
        bench.replace(10, 9, Side::BUY, 101, 8),
        ["replaced 9 by 10 leaves 8", "filled 10 5 @ 101 leaves 3 Taker"]
    );
    assert_eq!(bench.exchange.open_orders(), 1);
}

#[test]
fn an_invalid_replacement_is_refused_and_the_order_stays() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    bench.buy(8, 98, 6);
    let refused = |reports: Vec<String>| reports.join("\n");
    assert!(refused(bench.replace(9, 6, Side::BUY, 99, 4)).starts_with("not replaced 6 UnknownOrder"));
    assert!(refused(bench.replace(9, 7, Side::SELL, 99, 4)).contains("must keep the side"));
    assert!(refused(bench.replace(8, 7, Side::BUY, 99, 4)).starts_with("not replaced 7 Duplicate"));
    assert!(refused(bench.replace(9, 7, Side::BUY, 99, 0)).contains("the quantity is 0"));
    assert_eq!(bench.exchange.open_orders(), 2);
}

#[test]
fn a_cancel_removes_the_quantity_that_it_names() {
    let mut bench = bench();
    bench.buy(7, 99, 6);
    assert_eq!(bench.cancel(7, 2), ["cancelled 7 2 leaves 4 CancelledByMember"]);
    assert_eq!(bench.cancel(7, u64::MAX), ["cancelled 7 4 leaves 0 CancelledByMember"]);
    assert_eq!(bench.cancel(7, u64::MAX), ["not cancelled 7 UnknownOrder: no such order is open"]);
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
fn an_invalid_order_is_refused_with_its_check() {
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
        let reports = bench.order(&order);
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].starts_with(&format!("rejected 7 {check}:")), "{reports:?}");
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
            PaperReport::Filled(fill) => Some((fill.fee.get(), fill.fee_currency, fill.execution_id.get())),
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
    let Some(PaperReport::Accepted(accepted)) = bench.exchange.pop_report() else { panic!("not accepted") };
    let Some(PaperReport::Filled(filled)) = bench.exchange.pop_report() else { panic!("not filled") };
    assert_eq!((accepted.venue_time, filled.venue_time), (venue_time, venue_time));
    assert_eq!((accepted.order_sequence.get(), filled.order_sequence.get()), (sequence, sequence));
    assert_eq!((accepted.strategy.get(), filled.account.get(), filled.source.get()), (1, 7, 9));
    assert_eq!((filled.side, filled.instrument.get()), (Side::BUY, 1));
}

#[test]
fn a_new_session_cancels_working_orders_and_refuses_unanswered_ones() {
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
    assert_eq!(numbers, LastIds { order: 2, execution: 1 });
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
