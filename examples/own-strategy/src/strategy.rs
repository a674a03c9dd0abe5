//! `imbalance`: trades in the direction of the heavier side of the best bid and offer.

use stele::prelude::*;

/// Its name, what it does, and its parameters with their defaults and ranges.
pub const KIND: StrategyKind = StrategyKind {
    name: "imbalance",
    about: "buys when far more is bid than offered, sells when far more is offered",
    parameters: &[
        Parameter::integer("ratio", 4, (2, 1_000), "times that one side must be the other"),
        Parameter::integer("quantity", 1, (1, 1_000_000), "quantity of one order"),
        Parameter::integer("max-position", 5, (1, 1_000_000), "position never exceeded, long or short"),
    ],
    make: |parameters| Ok(Box::new(Imbalance::new(parameters))),
};

struct Imbalance {
    ratio: u64,
    quantity: Quantity,
    max_position: Quantity,
}

impl Imbalance {
    fn new(parameters: &Parameters) -> Self {
        Self {
            ratio: parameters.integer("ratio") as u64,
            quantity: Quantity(parameters.integer("quantity") as u64),
            max_position: Quantity(parameters.integer("max-position") as u64),
        }
    }
}

impl Strategy for Imbalance {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        let Some(book) = context.book(instrument) else { return };
        let (Some(bid), Some(ask)) = (book.bid(), book.ask()) else { return };
        let side = match (bid.quantity.0, ask.quantity.0) {
            (bid, ask) if bid >= ask.saturating_mul(self.ratio) => Side::BUY,
            (bid, ask) if ask >= bid.saturating_mul(self.ratio) => Side::SELL,
            _ => return,
        };
        let quantity = self.quantity.min(context.room(instrument, side, self.max_position));
        if quantity.0 > 0 && !context.is_working(instrument) {
            context.take(instrument, side, quantity);
        }
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        *self = Self::new(parameters);
        Ok(())
    }

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele::strategies::StrategyTester;

    #[test]
    fn it_takes_the_offer_when_far_more_is_bid_and_stops_at_its_position() {
        let mut tester = StrategyTester::of(KIND, "ratio = 3\nquantity = 4\nmax-position = 5").unwrap();
        tester.quote(1, (100, 8), (102, 3));
        assert!(tester.take_orders().is_empty());
        tester.quote(1, (100, 9), (102, 3));
        let orders = tester.take_orders();
        assert_eq!((orders[0].side, orders[0].quantity.get()), (Side::BUY, 4));
        tester.fill(&orders[0], 102, 4).quote(1, (100, 9), (102, 3));
        assert_eq!(tester.take_orders()[0].quantity.get(), 1);
    }
}
