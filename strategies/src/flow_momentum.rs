//! `flow-momentum`: trades in the direction of the side that adds more quantity at the best prices and takes
//! more from the other side.
//!
//! Cont, Kukanov and Stoikov, The Price Impact of Order Book Events, Journal of Financial Econometrics 12,
//! 2014: over an interval, the mid moves by `OFI / 2D` ticks (section 2.2), where `OFI` is the sum of
//! [`OrderFlowImbalance`] over the interval and `D` is the mean quantity at the best bid and offer, averaged
//! over both sides and the book updates (section 3.2). That is the move of the same interval. The strategy
//! assumes that flow persists, as the signs of orders do (Lillo and Farmer, The long memory of the efficient
//! market, Studies in Nonlinear Dynamics & Econometrics 8, 2004).
//!
//! At the end of each interval the strategy is long when that move is `enter` ticks or more upwards, short
//! when it is as much downwards, and flat when it is less than `exit` in either direction; otherwise it keeps
//! its position.

use crate::by_instrument::ByInstrument;
use crate::indicators::{OrderFlowImbalance, Touch};
use crate::operators::{Operator, State};
use crate::parameters::{Parameter, ParameterError, Parameters};
use crate::registry::StrategyKind;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Context, Strategy};
use crate::throttle::OrderThrottle;
use stele_wire::{Nanos, Price};

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "flow-momentum",
    about: "follows the order-flow imbalance of an interval (Cont, Kukanov and Stoikov)",
    parameters: &[
        Parameter::duration("interval", 100_000_000, (1_000, 3_600_000_000_000), "length of an interval"),
        Parameter::decimal(
            "enter",
            Price::SCALE,
            (1_000, 1_000 * Price::SCALE),
            "impact that opens a position, in ticks",
        ),
        Parameter::decimal(
            "exit",
            Price::SCALE / 4,
            (0, 1_000 * Price::SCALE),
            "impact below which the position is closed, in ticks",
        ),
        Parameter::integer("quantity", 1, (1, 1_000_000_000), "position, long or short"),
        Parameter::integer("orders-per-second", 50, (1, 100_000), "limit on orders per second"),
        Parameter::text("symbol", "", "instrument to trade; empty for all"),
    ],
    make: |parameters| Ok(Box::new(FlowMomentum::new(parameters)?)),
};

/// The strategy: see the [module documentation](self).
pub struct FlowMomentum {
    interval: u64,
    enter: i128,
    exit: i128,
    quantity: i64,
    symbol: String,
    throttle: OrderThrottle,
    flows: ByInstrument<Flow>,
}

/// The order flow of one instrument in the current interval.
#[derive(Default)]
struct Flow {
    imbalance: OrderFlowImbalance,
    ends: Nanos,
    sum: i128,
    /// Quantity at the best bid and offer, summed over the updates.
    depth: i128,
    updates: i128,
    target: i64,
}

impl Flow {
    /// Adds a best bid and offer.
    fn add(&mut self, now: Nanos, touch: Touch) {
        let sum = &mut self.sum;
        self.imbalance.on_event(now, touch, &mut |_, imbalance| *sum += i128::from(imbalance));
        let levels = [touch.bid, touch.ask];
        self.depth += levels.iter().flatten().map(|level| i128::from(level.quantity.0)).sum::<i128>();
        self.updates += 1;
    }

    /// `OFI / 2D` in units of 1e-9 ticks, where `D` is the summed quantity divided by twice the number of
    /// updates.
    fn impact(&self) -> i128 {
        let product = self.sum.saturating_mul(self.updates).saturating_mul(Price::SCALE.into());
        product.checked_div(self.depth).unwrap_or(0)
    }
}

impl FlowMomentum {
    fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let (enter, exit) = (parameters.decimal("enter"), parameters.decimal("exit"));
        if exit > enter {
            let (enter, exit) = (Price(enter), Price(exit));
            let text = format!("parameter `exit` is {exit}, but must be at most `enter`, which is {enter}");
            return Err(ParameterError::Together(text));
        }
        Ok(Self {
            interval: parameters.duration("interval"),
            enter: enter.into(),
            exit: exit.into(),
            quantity: parameters.integer("quantity"),
            symbol: parameters.text("symbol").into(),
            throttle: OrderThrottle::new(parameters.integer("orders-per-second") as u64),
            flows: ByInstrument::default(),
        })
    }
}

impl Strategy for FlowMomentum {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        let Some(known) = context.instrument(instrument) else { return };
        if !self.symbol.is_empty() && self.symbol != known.symbol() {
            return;
        }
        let (now, flow) = (context.now(), self.flows.entry(instrument));
        flow.add(now, Touch::of(known.book()));
        if now >= flow.ends {
            let impact = flow.impact();
            flow.target = match impact.abs() {
                _ if flow.ends == Nanos(0) => 0,
                size if size >= self.enter => self.quantity * impact.signum() as i64,
                size if size < self.exit => 0,
                _ => flow.target,
            };
            (flow.sum, flow.depth, flow.updates) = (0, 0, 0);
            flow.ends = Nanos(now.0 + self.interval);
        }
        self.throttle.approach(instrument, flow.target, 0, context);
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        parameters.unchanged("symbol", &self.symbol)?;
        let (new, flows) = (Self::new(parameters)?, std::mem::take(&mut self.flows));
        let throttle = self.throttle.at_rate(parameters.integer("orders-per-second") as u64);
        *self = Self { throttle, flows, ..new };
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.throttle.snapshot(out);
        out.put_u64(self.flows.iter().count() as u64);
        for (instrument, flow) in self.flows.iter() {
            out.put_u64(instrument.into());
            flow.imbalance.snapshot(out);
            out.put_u64(flow.ends.0);
            [flow.sum, flow.depth, flow.updates].into_iter().for_each(|value| out.put_i128(value));
            out.put_i64(flow.target);
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.throttle.restore(&mut reader)?;
        for _ in 0..reader.count("instruments")? {
            let flow = self.flows.entry(reader.id("instrument")?);
            flow.imbalance.restore(&mut reader)?;
            flow.ends = Nanos(reader.u64()?);
            (flow.sum, flow.depth, flow.updates) = (reader.i128()?, reader.i128()?, reader.i128()?);
            flow.target = reader.i64()?;
        }
        reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::StrategyTester;
    use proptest::prelude::*;
    use stele_wire::messages::Side;

    const SETTINGS: &str = "interval = \"1s\"\nenter = 0.5\nexit = 0.1\nquantity = 3";
    const SECOND: Nanos = Nanos(1_000_000_000);

    #[test]
    fn it_follows_the_flow_of_an_interval_and_is_flat_when_there_is_little() {
        let mut tester = StrategyTester::start("flow-momentum", SETTINGS).unwrap();
        tester.quote(1, (100, 10), (102, 10)).quote(1, (100, 20), (102, 10)).quote(1, (100, 20), (102, 4));
        assert!(tester.take_orders().is_empty(), "the interval is not over");
        // Bids gained 10 and offers lost 6, at a mean depth of (30 + 24 + 24) / 6 = 13: 16 / 26 = 0.6 ticks.
        tester.advance(SECOND).quote(1, (100, 20), (102, 4));
        let [bought] = tester.take_orders()[..] else { panic!("one order") };
        assert_eq!((bought.side, bought.quantity.get(), bought.limit_price.get()), (Side::BUY, 3, 102));
        tester.fill(&bought, 102, 3);
        tester.advance(SECOND).quote(1, (100, 24), (102, 4));
        assert!(tester.take_orders().is_empty(), "4 / 28 = 0.14 ticks: it stays as it is");
        tester.advance(SECOND).quote(1, (100, 24), (102, 4));
        let [sold] = tester.take_orders()[..] else { panic!("nothing moved") };
        assert_eq!((sold.side, sold.quantity.get(), sold.limit_price.get()), (Side::SELL, 3, 100));
        tester.fill(&sold, 100, 3);
        tester.advance(SECOND).quote(1, (99, 24), (102, 4));
        let [short] = tester.take_orders()[..] else { panic!("a bid is gone") };
        assert_eq!((short.side, short.quantity.get()), (Side::SELL, 3));
    }

    #[test]
    fn contradicting_thresholds_are_refused() {
        let error = KIND.start("exit = 2").map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "parameter `exit` is 2, but must be at most `enter`, which is 1");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn the_impact_agrees_with_the_formula_of_the_paper(touches in prop::collection::vec((90i64..95, 1u64..30, 95i64..99, 1u64..30), 2..60)) {
            let (mut flow, mut imbalance, mut depth) = (Flow::default(), 0.0, 0.0);
            for (at, (bid, bid_size, ask, ask_size)) in touches.iter().copied().enumerate() {
                let level = |price, quantity| {
                    let quantity = stele_wire::Quantity(quantity);
                    Some(crate::book::Level { price: Price(price), quantity, orders: 1 })
                };
                flow.add(Nanos(0), Touch { bid: level(bid, bid_size), ask: level(ask, ask_size) });
                depth += (bid_size + ask_size) as f64 / 2.0 / touches.len() as f64;
                if let Some((b, qb, a, qa)) = at.checked_sub(1).map(|before| touches[before]) {
                    let [size_b, size_a, qb, qa] = [bid_size, ask_size, qb, qa].map(|size| size as f64);
                    imbalance += if bid >= b { size_b } else { 0.0 } - if bid <= b { qb } else { 0.0 };
                    imbalance += if ask >= a { qa } else { 0.0 } - if ask <= a { size_a } else { 0.0 };
                }
            }
            prop_assert!((flow.impact() as f64 / 1e9 - imbalance / (2.0 * depth)).abs() < 1e-8);
        }
    }
}
