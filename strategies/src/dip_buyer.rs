//! `dip-buyer`: buys when the price has fallen by a given percentage below its recent high, and sells the
//! whole position at a profit or a loss of given percentages.

use crate::by_instrument::ByInstrument;
use crate::market::TradePrint;
use crate::order::Order;
use crate::parameters::{Parameter, ParameterError, Parameters};
use crate::price_source::PriceSource;
use crate::registry::StrategyKind;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Context, Strategy};
use crate::throttle::OrderThrottle;
use std::collections::VecDeque;
use stele_wire::messages::Side;
use stele_wire::{Price, Quantity};

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "dip-buyer",
    about: "buys when the price falls below its recent high, sells at a profit or a loss",
    parameters: &[
        Parameter::decimal(
            "fall-percent",
            400_000,
            (1, HUNDRED),
            "fall below the recent high that triggers a purchase, in per cent",
        ),
        Parameter::decimal(
            "profit-percent",
            50_000_000,
            (1, HUNDRED),
            "gain that triggers a sale, in per cent",
        ),
        Parameter::decimal(
            "loss-percent",
            50_000_000,
            (1, HUNDRED),
            "loss that triggers a sale, in per cent",
        ),
        Parameter::integer("window", 256, (2, 65_536), "number of price changes that the recent high spans"),
        Parameter::choice("price", PriceSource::WORDS, "the price to watch"),
        Parameter::integer("quantity", 1, (1, 1_000_000_000), "quantity of one purchase"),
        Parameter::integer("max-position", 10, (1, 1_000_000_000), "limit on the position"),
        Parameter::integer("orders-per-second", 50, (1, 100_000), "limit on orders per second"),
        Parameter::text("symbol", "", "instrument to trade; empty for all"),
    ],
    make: |parameters| Ok(Box::new(DipBuyer::new(parameters))),
};

/// 100 in units of 1e-9.
const HUNDRED: i64 = 100_000_000_000;

/// The strategy: see the [module documentation](self).
pub struct DipBuyer {
    fall: i64,
    profit: i64,
    loss: i64,
    window: usize,
    price: PriceSource,
    quantity: u64,
    max_position: Quantity,
    symbol: String,
    throttle: OrderThrottle,
    highs: ByInstrument<RecentHigh>,
}

impl DipBuyer {
    fn new(parameters: &Parameters) -> Self {
        Self {
            fall: parameters.decimal("fall-percent"),
            profit: parameters.decimal("profit-percent"),
            loss: parameters.decimal("loss-percent"),
            window: parameters.integer("window") as usize,
            price: PriceSource::of(parameters.text("price")),
            quantity: parameters.integer("quantity") as u64,
            max_position: Quantity(parameters.integer("max-position") as u64),
            symbol: parameters.text("symbol").into(),
            throttle: OrderThrottle::new(parameters.integer("orders-per-second") as u64),
            highs: ByInstrument::default(),
        }
    }

    fn on_price(&mut self, instrument: u32, price: Price, context: &mut Context<'_>) {
        let symbol = context.instrument(instrument).map_or("", |known| known.symbol());
        if !self.symbol.is_empty() && self.symbol != symbol {
            return;
        }
        let window = self.window;
        let recent = self.highs.entry_with(instrument, || RecentHigh::new(window));
        if !recent.change(price.0, window)
            || context.orders().iter().any(|order| order.instrument == instrument)
        {
            return;
        }
        let high = recent.high();
        let average = context.account().holding(instrument).and_then(|holding| holding.average_price());
        let position = context.position(instrument).max(0) as u64;
        if average.is_some_and(|paid| price >= moved(paid, self.profit) || price <= moved(paid, -self.loss)) {
            self.take(instrument, Side::SELL, position, context);
        } else if price <= moved(high, -self.fall) {
            let room = context.room(instrument, Side::BUY, self.max_position).0;
            if self.take(instrument, Side::BUY, self.quantity.min(room), context) {
                self.highs.entry_with(instrument, || RecentHigh::new(window)).restart();
            }
        }
    }

    /// Sends an immediate-or-cancel order at the best price of the other side. Returns whether it was sent.
    fn take(&mut self, instrument: u32, side: Side, quantity: u64, context: &mut Context<'_>) -> bool {
        let Some(book) = context.book(instrument) else { return false };
        let touch = if side == Side::BUY { book.ask() } else { book.bid() };
        match touch {
            Some(touch) if quantity > 0 && self.throttle.admits(context.now()) => {
                let order = Order::limit(instrument, side, Quantity(quantity), touch.price);
                context.send(order.immediate_or_cancel()).is_some()
            }
            _ => false,
        }
    }
}

/// `price` moved by a percentage (in units of 1e-9), up if it is positive whatever the sign of the price,
/// rounded down.
fn moved(price: Price, percent: i64) -> Price {
    let distance = (i128::from(price.0.unsigned_abs()) * i128::from(percent)).div_euclid(i128::from(HUNDRED));
    Price((i128::from(price.0) + distance).clamp(i64::MIN.into(), (i64::MAX - 1).into()) as i64)
}

/// The maximum of the latest prices: keeps the prices that are higher than all later ones (Lemire, Streaming
/// maximum-minimum filter using no more than three comparisons per element, Nordic Journal of Computing 13,
/// 2006).
struct RecentHigh {
    last: Option<i64>,
    changes: u64,
    falling: VecDeque<(u64, i64)>,
}

impl RecentHigh {
    fn new(window: usize) -> Self {
        Self { last: None, changes: 0, falling: VecDeque::with_capacity(window + 1) }
    }

    /// Adds a price; returns whether it differs from the last one.
    fn change(&mut self, price: i64, window: usize) -> bool {
        if self.last == Some(price) {
            return false;
        }
        while self.falling.back().is_some_and(|(_, lower)| *lower <= price) {
            self.falling.pop_back();
        }
        self.changes += 1;
        self.falling.push_back((self.changes, price));
        while self.falling.front().is_some_and(|(at, _)| at + window as u64 <= self.changes) {
            self.falling.pop_front();
        }
        self.last = Some(price);
        true
    }

    fn high(&self) -> Price {
        Price(self.falling.front().expect("the last price is in it").1)
    }

    /// Continues with another window; prices that are no longer in it are dropped.
    fn resize(&mut self, window: usize) {
        self.falling.retain(|(at, _)| at + window as u64 > self.changes);
        self.falling.reserve((window + 1).saturating_sub(self.falling.len()));
    }

    /// Drops all prices before the last one.
    fn restart(&mut self) {
        self.falling.drain(..self.falling.len() - 1);
    }
}

impl Strategy for DipBuyer {
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
        let (new, mut highs) = (Self::new(parameters), std::mem::take(&mut self.highs));
        highs.iter_mut().for_each(|(_, recent)| recent.resize(new.window));
        let throttle = self.throttle.at_rate(parameters.integer("orders-per-second") as u64);
        *self = Self { throttle, highs, ..new };
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.throttle.snapshot(out);
        out.put_u64(self.highs.iter().count() as u64);
        for (instrument, recent) in self.highs.iter() {
            out.put_u64(instrument.into());
            out.put_u64(recent.changes);
            out.put_u64(recent.falling.len() as u64);
            for (at, price) in &recent.falling {
                out.put_u64(*at);
                out.put_i64(*price);
            }
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.throttle.restore(&mut reader)?;
        for _ in 0..reader.count("instruments")? {
            let window = self.window;
            let recent = self.highs.entry_with(reader.id("instrument")?, || RecentHigh::new(window));
            recent.changes = reader.u64()?;
            for _ in 0..reader.at_most("prices", window as u64)? {
                recent.falling.push_back((reader.u64()?, reader.i64()?));
            }
            recent.last = recent.falling.back().map(|(_, price)| *price);
        }
        reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::StrategyTester;
    use proptest::prelude::*;

    #[test]
    fn it_buys_after_a_fall_and_sells_at_a_profit() {
        let settings =
            "fall-percent = 1\nprofit-percent = 2\nloss-percent = 3\nquantity = 2\nprice = \"mid\"";
        let mut tester = StrategyTester::start("dip-buyer", settings).unwrap();
        tester.quote(1, (999, 5), (1001, 5)).quote(1, (990, 5), (992, 5));
        assert!(tester.take_orders().is_empty());
        tester.quote(1, (989, 5), (991, 5));
        let orders = tester.take_orders();
        assert_eq!(
            (orders[0].side, orders[0].quantity.get(), orders[0].limit_price.get()),
            (Side::BUY, 2, 991)
        );
        tester.fill(&orders[0], 991, 2);
        tester.quote(1, (1008, 5), (1010, 5));
        assert!(tester.take_orders().is_empty());
        tester.quote(1, (1010, 5), (1012, 5));
        let orders = tester.take_orders();
        assert_eq!(
            (orders[0].side, orders[0].quantity.get(), orders[0].limit_price.get()),
            (Side::SELL, 2, 1010)
        );
        tester.fill(&orders[0], 1010, 2);
        assert_eq!(tester.position(1), 0);
    }

    #[test]
    fn it_sells_at_a_loss_and_never_exceeds_its_position() {
        let settings =
            "fall-percent = 1\nprofit-percent = 50\nloss-percent = 10\nquantity = 3\nmax-position = 4";
        let mut tester = StrategyTester::start("dip-buyer", settings).unwrap();
        let mut bought = Vec::new();
        for price in [1000, 985, 970, 955, 940] {
            tester.quote(1, (price - 1, 5), (price + 1, 5));
            for order in tester.take_orders() {
                tester.fill(&order, order.limit_price.get(), order.quantity.get());
                bought.push(order.quantity.get());
            }
        }
        assert_eq!(bought, [3, 1]);
        tester.quote(1, (870, 5), (872, 5));
        let orders = tester.take_orders();
        assert_eq!((orders[0].side, orders[0].quantity.get()), (Side::SELL, 4));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn the_recent_high_is_the_greatest_of_the_window(prices in prop::collection::vec(0i64..50, 1..300), window in 2usize..40) {
            let (mut recent, mut seen) = (RecentHigh::new(window), Vec::new());
            for price in prices {
                if recent.change(price, window) {
                    seen.push(price);
                }
                let naive = seen.iter().rev().take(window).max().unwrap();
                prop_assert_eq!(recent.high(), Price(*naive));
            }
        }
    }
}
