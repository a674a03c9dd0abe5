//! `twap`: buys or sells a quantity in equal parts over equal intervals.
//!
//! It aims at the time-weighted average price of its duration. An order that is executed evenly in time has
//! that price on average (Almgren and Chriss, Optimal execution of portfolio transactions, Journal of Risk 3,
//! 2001, section 2.2: the strategy of a trader without risk aversion). [`crate::execution`] describes how the
//! parts are executed.

use crate::execution::SlicedExecution;
use crate::parameters::{Parameter, Parameters};
use crate::registry::StrategyKind;

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "twap",
    about: "executes a quantity in equal parts over equal intervals",
    parameters: &[
        Parameter::choice("side", &["buy", "sell"], "side of the parent order"),
        Parameter::integer("quantity", 100, (1, 1_000_000_000_000), "quantity of the parent order"),
        Parameter::duration(
            "duration",
            10_000_000_000,
            (1_000_000, 86_400_000_000_000),
            "duration, from the first book on",
        ),
        Parameter::integer("slices", 20, (1, 10_000), "number of parts"),
        Parameter::integer("orders-per-second", 50, (1, 100_000), "limit on child orders per second"),
        Parameter::text("symbol", "", "instrument to trade; empty for the instrument of the first book"),
    ],
    make: |parameters| {
        let equal = |parameters: &Parameters| Ok(vec![1; parameters.integer("slices") as usize]);
        Ok(Box::new(SlicedExecution::new(parameters, equal)?))
    },
};

#[cfg(test)]
mod tests {
    use crate::tester::StrategyTester;
    use stele_wire::Nanos;
    use stele_wire::messages::{Side, TimeInForce};

    const SETTINGS: &str = "quantity = 10\nduration = \"4s\"\nslices = 4";
    const SLICE: Nanos = Nanos(1_000_000_000);

    #[test]
    fn each_part_rests_at_the_touch_and_its_remainder_takes_the_other_side() {
        let mut tester = StrategyTester::start("twap", SETTINGS).unwrap();
        tester.quote(1, (100, 50), (102, 50)).quote(2, (7, 50), (9, 50));
        let [first] = tester.take_orders()[..] else { panic!("one child") };
        assert_eq!((first.instrument.get(), first.side, first.quantity.get()), (1, Side::BUY, 2));
        assert_eq!((first.limit_price.get(), first.time_in_force), (100, TimeInForce::DAY));
        tester.accept(&first).fill(&first, 100, 1).advance(SLICE);
        assert_eq!(tester.take_cancels()[0].cancelled_order_id, first.client_order_id);
        assert!(tester.take_orders().is_empty(), "the cancel is not answered");
        tester.cancelled(&first);
        let [overdue] = tester.take_orders()[..] else { panic!("what the first slice lacks") };
        assert_eq!((overdue.quantity.get(), overdue.limit_price.get()), (1, 102));
        assert_eq!(overdue.time_in_force, TimeInForce::IMMEDIATE_OR_CANCEL);
        tester.fill(&overdue, 102, 1);
        let [second] = tester.take_orders()[..] else { panic!("the second slice") };
        assert_eq!((second.quantity.get(), second.limit_price.get()), (3, 100), "5 by the end of it");
        assert_eq!(first.parent_order_id, second.parent_order_id);
        assert_eq!(overdue.parent_order_id, second.parent_order_id);
        assert!(![0, first.client_order_id.get()].contains(&first.parent_order_id.get()));
    }

    #[test]
    fn exactly_the_quantity_is_executed_in_any_market() {
        let mut tester =
            StrategyTester::start("twap", &format!("{SETTINGS}\nside = \"sell\"\nsymbol = \"B\"")).unwrap();
        tester.define(1, "A").define(2, "B").quote(1, (100, 50), (102, 50));
        assert!(tester.take_orders().is_empty(), "it is the other instrument's");
        for step in 0..200 {
            tester.quote(2, (100, 50), (102, 50)).advance(Nanos(50_000_000));
            for order in tester.take_orders() {
                assert_eq!((order.instrument.get(), order.side), (2, Side::SELL));
                match (order.time_in_force, step % 3) {
                    (TimeInForce::DAY, 0) => tester.accept(&order).fill(&order, 102, 1),
                    (TimeInForce::DAY, _) => tester.accept(&order),
                    (_, 0) => tester.fill(&order, 100, 1).cancelled(&order),
                    _ => tester.cancelled(&order),
                };
            }
            for cancel in tester.take_cancels() {
                let order = stele_wire::messages::NewOrder {
                    instrument: cancel.instrument,
                    side: cancel.side,
                    client_order_id: cancel.cancelled_order_id,
                    strategy: cancel.strategy,
                    ..stele_wire::messages::NewOrder::NULL
                };
                tester.cancelled(&order);
            }
        }
        assert_eq!(tester.position(2), -10);
    }

    #[test]
    fn it_continues_from_its_snapshot() {
        let run = |is_restored: bool| {
            let mut tester = StrategyTester::start("twap", SETTINGS).unwrap();
            tester.quote(1, (100, 50), (102, 50));
            if is_restored {
                let mut state = Vec::new();
                tester.host().snapshot(&mut state);
                tester.host_mut().restore(&state).unwrap();
            }
            let first = tester.take_orders()[0];
            tester.accept(&first).advance(SLICE).cancelled(&first);
            tester.take_orders()
        };
        assert_eq!(run(true), run(false));
    }
}
