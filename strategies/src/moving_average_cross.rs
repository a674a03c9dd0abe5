//! `ma-cross`: is long while the fast moving average of the price is above the slow one, and short while it
//! is below.

use crate::by_instrument::ByInstrument;
use crate::indicators::Ewma;
use crate::market::TradePrint;
use crate::order::Order;
use crate::parameters::{Parameter, ParameterError, Parameters};
use crate::price_source::PriceSource;
use crate::registry::StrategyKind;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Context, Strategy};
use crate::throttle::OrderThrottle;
use stele_wire::messages::Side;
use stele_wire::{Price, Quantity};

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "ma-cross",
    about: "long while the fast moving average is above the slow one, short while it is below",
    parameters: &[
        Parameter::integer("fast", 8, (1, 100_000), "number of price changes that the fast average spans"),
        Parameter::integer("slow", 32, (2, 1_000_000), "number of price changes that the slow average spans"),
        Parameter::choice("price", PriceSource::WORDS, "the price to average"),
        Parameter::integer("quantity", 1, (1, 1_000_000_000), "position, long or short"),
        Parameter::integer("max-position", 10, (1, 1_000_000_000), "limit on the position, long or short"),
        Parameter::integer("orders-per-second", 50, (1, 100_000), "limit on orders per second"),
        Parameter::text("symbol", "", "instrument to trade; empty for all"),
    ],
    make: |parameters| Ok(Box::new(MovingAverageCross::new(parameters)?)),
};

/// The strategy: see the [module documentation](self).
pub struct MovingAverageCross {
    fast: usize,
    slow: usize,
    price: PriceSource,
    quantity: u64,
    max_position: Quantity,
    symbol: String,
    throttle: OrderThrottle,
    averages: ByInstrument<Averages>,
}

/// Averages over price changes.
#[derive(Clone, Copy)]
struct Averages {
    last: Price,
    fast: Ewma<Price>,
    slow: Ewma<Price>,
}

impl MovingAverageCross {
    fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let (fast, slow) = (parameters.integer("fast") as usize, parameters.integer("slow") as usize);
        if fast >= slow {
            let text = format!("parameter `fast` is {fast}, but must be below `slow`, which is {slow}");
            return Err(ParameterError::Together(text));
        }
        Ok(Self {
            fast,
            slow,
            price: PriceSource::of(parameters.text("price")),
            quantity: parameters.integer("quantity") as u64,
            max_position: Quantity(parameters.integer("max-position") as u64),
            symbol: parameters.text("symbol").into(),
            throttle: OrderThrottle::new(parameters.integer("orders-per-second") as u64),
            averages: ByInstrument::default(),
        })
    }

    fn on_price(&mut self, instrument: u32, price: Price, context: &mut Context<'_>) {
        let symbol = context.instrument(instrument).map_or("", |known| known.symbol());
        if !self.symbol.is_empty() && self.symbol != symbol {
            return;
        }
        let (fast, slow) = (self.fast, self.slow);
        let averages = self.averages.entry_with(instrument, || Averages::new(fast, slow));
        let Some((fast, slow)) = averages.change(price) else { return };
        let position = context.position(instrument);
        if fast > slow && position <= 0 {
            self.turn(instrument, Side::BUY, context);
        } else if fast < slow && position >= 0 {
            self.turn(instrument, Side::SELL, context);
        }
    }

    /// Trades at the best price of the other side until the position is `quantity` on the other side.
    fn turn(&mut self, instrument: u32, side: Side, context: &mut Context<'_>) {
        let Some(book) = context.book(instrument) else { return };
        let touch = if side == Side::BUY { book.ask() } else { book.bid() };
        let wanted = self.quantity.saturating_add(context.position(instrument).unsigned_abs());
        let quantity = wanted.min(context.room(instrument, side, self.max_position).0);
        let is_waiting = context.orders().iter().any(|order| order.instrument == instrument);
        if let Some(touch) = touch
            && quantity > 0
            && !is_waiting
            && self.throttle.admits(context.now())
        {
            let order = Order::limit(instrument, side, Quantity(quantity), touch.price);
            context.send(order.immediate_or_cancel());
        }
    }
}

impl Averages {
    fn new(fast: usize, slow: usize) -> Self {
        Self { last: Price::UNDEFINED, fast: Ewma::new(fast), slow: Ewma::new(slow) }
    }

    /// Adds a price. Returns the averages when the price differs from the last one and the slow average is
    /// complete.
    fn change(&mut self, price: Price) -> Option<(Price, Price)> {
        if price == self.last {
            return None;
        }
        self.last = price;
        let averages = (self.fast.update(price), self.slow.update(price));
        (self.slow.count() > self.slow.span()).then_some(averages)
    }
}

impl Strategy for MovingAverageCross {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        if let Some(price) = self.price.of_book(instrument, context) {
            self.on_price(instrument, price, context);
        }
    }

    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        if let Some(price) = self.price.of_trade(trade) {
            self.on_price(trade.instrument, price, context);
        }
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        parameters.unchanged("symbol", &self.symbol)?;
        let (new, mut averages) = (Self::new(parameters)?, std::mem::take(&mut self.averages));
        for (_, of) in averages.iter_mut() {
            of.fast = of.fast.with_span(new.fast);
            of.slow = of.slow.with_span(new.slow);
        }
        let throttle = self.throttle.at_rate(parameters.integer("orders-per-second") as u64);
        *self = Self { throttle, averages, ..new };
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.throttle.snapshot(out);
        out.put_u64(self.averages.iter().count() as u64);
        for (instrument, averages) in self.averages.iter() {
            out.put_u64(instrument.into());
            out.put_u64(averages.slow.count());
            let prices = [Some(averages.last), averages.fast.average(), averages.slow.average()];
            prices.into_iter().flatten().for_each(|price| out.put_i64(price.0));
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.throttle.restore(&mut reader)?;
        for _ in 0..reader.count("instruments")? {
            let (instrument, changes) = (reader.id("instrument")?, reader.u64()?);
            let [last, fast, slow] = [reader.i64()?, reader.i64()?, reader.i64()?].map(Price);
            let averages = Averages {
                last,
                fast: Ewma::resume(self.fast, changes, fast),
                slow: Ewma::resume(self.slow, changes, slow),
            };
            *self.averages.entry_with(instrument, || averages) = averages;
        }
        reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::StrategyTester;

    #[test]
    fn it_turns_long_when_the_price_rises_and_short_when_it_falls() {
        let mut tester = StrategyTester::start("ma-cross", "fast = 2\nslow = 5\nquantity = 3").unwrap();
        for step in 0..10 {
            tester.quote(1, (100 + step, 10), (102 + step, 10));
        }
        let orders = tester.take_orders();
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].side, orders[0].quantity.get()), (Side::BUY, 3));
        assert_eq!(orders[0].limit_price.get(), 107);
        tester.fill(&orders[0], 107, 3);
        assert_eq!(tester.position(1), 3);
        for step in 0..10 {
            tester.quote(1, (110 - step, 10), (112 - step, 10));
        }
        let orders = tester.take_orders();
        assert_eq!((orders[0].side, orders[0].quantity.get()), (Side::SELL, 6));
    }

    #[test]
    fn it_waits_for_its_order_and_never_exceeds_its_position_limit() {
        let settings = "fast = 1\nslow = 2\nquantity = 8\nmax-position = 5\nsymbol = \"A\"";
        let mut tester = StrategyTester::start("ma-cross", settings).unwrap();
        tester.define(1, "A").define(2, "B");
        for step in 0..20 {
            tester.quote(1, (100 + step, 10), (102 + step, 10)).quote(2, (100 + step, 10), (102 + step, 10));
        }
        let orders = tester.take_orders();
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].instrument.get(), orders[0].quantity.get()), (1, 5));
        tester.cancelled(&orders[0]);
        tester.quote(1, (150, 10), (152, 10));
        assert_eq!(tester.take_orders().len(), 1);
    }

    #[test]
    fn a_fast_average_that_is_not_shorter_is_refused() {
        let error = KIND.start("fast = 32").map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "parameter `fast` is 32, but must be below `slow`, which is 32");
    }
}
