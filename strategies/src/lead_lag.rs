//! `lead-lag`: watches the trades of one instrument and follows its moves with another instrument. The leader
//! may belong to another shard, whose events are then forwarded.

use crate::market::TradePrint;
use crate::order::Order;
use crate::parameters::{Parameter, ParameterError, Parameters};
use crate::registry::StrategyKind;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Context, Strategy};
use crate::throttle::OrderThrottle;
use stele_wire::messages::Side;
use stele_wire::{Price, Quantity};

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "lead-lag",
    about: "buys one instrument when another has risen, sells it when the other has fallen",
    parameters: &[
        Parameter::text(
            "leader",
            "",
            "symbol to watch, of this shard or a forwarded one; empty for the first instrument of the log",
        ),
        Parameter::text("follower", "", "symbol to trade; empty for the second instrument of the log"),
        Parameter::decimal(
            "move-percent",
            50_000_000,
            (1, 100_000_000_000),
            "move of the leader that triggers an order, in per cent",
        ),
        Parameter::integer("quantity", 1, (1, 1_000_000_000), "quantity of one order"),
        Parameter::integer("max-position", 10, (1, 1_000_000_000), "limit on the position, long or short"),
        Parameter::integer("orders-per-second", 50, (1, 100_000), "limit on orders per second"),
    ],
    make: |parameters| Ok(Box::new(LeadLag::new(parameters))),
};

/// 100 in units of 1e-9.
const HUNDRED: i128 = 100_000_000_000;

/// The strategy: see the [module documentation](self).
pub struct LeadLag {
    leader: String,
    follower: String,
    distance: i64,
    quantity: u64,
    max_position: Quantity,
    throttle: OrderThrottle,
    /// The leader's price from which moves are measured.
    reference: Option<Price>,
}

impl LeadLag {
    fn new(parameters: &Parameters) -> Self {
        Self {
            leader: parameters.text("leader").into(),
            follower: parameters.text("follower").into(),
            distance: parameters.decimal("move-percent"),
            quantity: parameters.integer("quantity") as u64,
            max_position: Quantity(parameters.integer("max-position") as u64),
            throttle: OrderThrottle::new(parameters.integer("orders-per-second") as u64),
            reference: None,
        }
    }

    /// The side to trade after the leader moved to `price`, if the move is large enough.
    fn moved(&mut self, price: Price) -> Option<Side> {
        let Some(reference) = self.reference else {
            self.reference = Some(price);
            return None;
        };
        let distance = i128::from(reference.0.unsigned_abs()) * i128::from(self.distance) / HUNDRED;
        let change = i128::from(price.0) - i128::from(reference.0);
        if change == 0 || change.abs() < distance {
            return None;
        }
        self.reference = Some(price);
        Some(if change > 0 { Side::BUY } else { Side::SELL })
    }
}

impl Strategy for LeadLag {
    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        let is_leaders = match self.leader.as_str() {
            "" => context.market().find_or_nth("", 0).is_some_and(|(first, _)| first == trade.instrument),
            // Instruments of different shards may have the same symbol.
            leader => context.instrument(trade.instrument).is_some_and(|known| known.symbol() == leader),
        };
        let Some(side) = is_leaders.then(|| self.moved(trade.price)).flatten() else { return };
        let Some((follower, known)) = context.market().find_or_nth(&self.follower, 1) else { return };
        let touch = if side == Side::BUY { known.book().ask() } else { known.book().bid() };
        let quantity = Quantity(self.quantity).min(context.room(follower, side, self.max_position));
        let is_idle = context.orders().iter().all(|order| order.instrument != follower);
        if let Some(touch) = touch
            && is_idle
            && quantity.0 > 0
            && self.throttle.admits(context.now())
        {
            context.send(Order::limit(follower, side, quantity, touch.price).immediate_or_cancel());
        }
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        parameters.unchanged("leader", &self.leader)?;
        parameters.unchanged("follower", &self.follower)?;
        let throttle = self.throttle.at_rate(parameters.integer("orders-per-second") as u64);
        *self = Self { throttle, reference: self.reference, ..Self::new(parameters) };
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.throttle.snapshot(out);
        out.put_i64(self.reference.unwrap_or(Price::UNDEFINED).0);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.throttle.restore(&mut reader)?;
        self.reference = Some(Price(reader.i64()?)).filter(|price| price.is_defined());
        reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::StrategyTester;

    const SETTINGS: &str =
        "leader = \"A\"\nfollower = \"B\"\nmove-percent = 1\nquantity = 3\nmax-position = 4";

    #[test]
    fn it_follows_a_move_up_and_a_move_down_and_never_exceeds_its_position() {
        let mut tester = StrategyTester::start("lead-lag", SETTINGS).unwrap();
        tester
            .define(1, "A")
            .define(2, "B")
            .quote(2, (499, 9), (501, 9))
            .trade(1, 1_000, 1)
            .trade(1, 1_009, 1);
        assert!(tester.take_orders().is_empty(), "less than a hundredth");
        tester.trade(1, 1_010, 1);
        let bought = tester.take_orders();
        assert_eq!((bought[0].side, bought[0].instrument.get(), bought[0].quantity.get()), (Side::BUY, 2, 3));
        assert_eq!(bought[0].limit_price.get(), 501);
        tester.fill(&bought[0], 501, 3).trade(1, 1_050, 1);
        let more = tester.take_orders();
        assert_eq!(more[0].quantity.get(), 1, "what the position has room for");
        tester.fill(&more[0], 501, 1).trade(1, 1_000, 1);
        let sold = tester.take_orders();
        assert_eq!((sold[0].side, sold[0].limit_price.get()), (Side::SELL, 499));
    }

    #[test]
    fn trades_of_other_instruments_are_ignored() {
        let mut tester = StrategyTester::start("lead-lag", SETTINGS).unwrap();
        tester.define(1, "A").define(2, "B").quote(2, (499, 9), (501, 9)).trade(2, 500, 1).trade(2, 600, 1);
        assert!(tester.take_orders().is_empty());
    }
}
