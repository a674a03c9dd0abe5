//! `pairs`: sells the expensive and buys the cheap one of two instruments when their prices diverge, and
//! closes the position when they have converged.
//!
//! The spread is `mid₁ − ratio · mid₂`, sampled every `sample`. A position is opened when the spread is
//! `width` standard deviations or more from its mean over the last `window` samples, and closed when the
//! spread is back at the mean (Gatev, Goetzmann and Rouwenhorst, Pairs trading: performance of a
//! relative-value arbitrage rule, Review of Financial Studies 19, 2006, section 2.2: two standard deviations,
//! closed when the prices meet. They estimate both from an earlier period; this strategy uses a moving
//! window, the one of [`Bollinger`]).
//!
//! Both legs take the best price of the other side until each has its target position, so a leg that was not
//! executed is tried again. The orders of both legs carry the same link on the log (RTS 24, field 46).

use crate::indicators::{Bands, Bollinger, FixedDecimal};
use crate::operators::{Operator, State};
use crate::parameters::{Parameter, ParameterError, Parameters};
use crate::registry::StrategyKind;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Context, Strategy};
use crate::throttle::OrderThrottle;
use stele_wire::{Nanos, Price};

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "pairs",
    about: "trades the spread of two instruments back to its mean",
    parameters: &[
        Parameter::text("first", "", "symbol of the first instrument; empty for the first one of the log"),
        Parameter::text("second", "", "symbol of the second instrument; empty for the second one of the log"),
        Parameter::decimal(
            "ratio",
            Price::SCALE,
            (1_000, 1_000_000 * Price::SCALE),
            "quantity of the second instrument for one of the first",
        ),
        Parameter::integer("window", 50, (2, 65_536), "number of samples for mean and deviation"),
        Parameter::decimal(
            "width",
            2 * Price::SCALE,
            (1_000, 100 * Price::SCALE),
            "distance from the mean that opens a position, in standard deviations",
        ),
        Parameter::duration("sample", 10_000_000, (1_000, 3_600_000_000_000), "interval between samples"),
        Parameter::integer(
            "quantity",
            1,
            (1, 1_000_000_000),
            "position in the first instrument, long or short",
        ),
        Parameter::integer("orders-per-second", 50, (1, 100_000), "limit on orders per second"),
    ],
    make: |parameters| Ok(Box::new(Pairs::new(parameters))),
};

/// The strategy: see the [module documentation](self).
pub struct Pairs {
    symbols: [String; 2],
    ratio: i64,
    window: usize,
    sample: u64,
    quantity: i64,
    throttle: OrderThrottle,
    bands: Bollinger<Price>,
    next_sample: Nanos,
    stance: Stance,
    /// Link of the orders since the position was opened.
    link: u64,
}

/// The position in the first instrument; the second has the opposite one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stance {
    Flat,
    Long,
    Short,
}

impl Stance {
    /// The stance after a spread was observed.
    fn after(self, spread: Price, bands: Bands<Price>) -> Self {
        match self {
            _ if spread > bands.upper => Self::Short,
            _ if spread < bands.lower => Self::Long,
            Self::Short if spread <= bands.middle => Self::Flat,
            Self::Long if spread >= bands.middle => Self::Flat,
            stance => stance,
        }
    }
}

impl Pairs {
    fn new(parameters: &Parameters) -> Self {
        let width = FixedDecimal(parameters.decimal("width"));
        let window = parameters.integer("window") as usize;
        Self {
            symbols: ["first", "second"].map(|name| parameters.text(name).into()),
            ratio: parameters.decimal("ratio"),
            window,
            sample: parameters.duration("sample"),
            quantity: parameters.integer("quantity"),
            throttle: OrderThrottle::new(parameters.integer("orders-per-second") as u64),
            bands: Bollinger::new(window, width),
            next_sample: Nanos(0),
            stance: Stance::Flat,
            link: 0,
        }
    }

    /// The ids of both instruments, once the log has mentioned them.
    fn legs(&self, context: &Context<'_>) -> Option<[u32; 2]> {
        let leg =
            |at: usize| context.market().find_or_nth(&self.symbols[at], at).map(|(instrument, _)| instrument);
        Some([leg(0)?, leg(1)?])
    }

    /// Converts a quantity or price of the first instrument into one of the second: times the ratio, rounded
    /// half away from zero.
    fn weighed(&self, amount: i64) -> i128 {
        let (product, scale) = (i128::from(amount) * i128::from(self.ratio), i128::from(Price::SCALE));
        (product + product.signum() * scale / 2) / scale
    }

    /// Samples the spread, if it is time, and returns the resulting stance.
    fn sample(&mut self, legs: [u32; 2], context: &Context<'_>) -> Option<Stance> {
        if context.now() < self.next_sample {
            return None;
        }
        let [first, second] = legs.map(|leg| context.book(leg).and_then(|book| book.mid()));
        let spread = Price(i64::try_from(i128::from(first?.0) - self.weighed(second?.0)).ok()?);
        self.next_sample = Nanos(context.now().0 + self.sample);
        let (stance, mut next) = (self.stance, None);
        self.bands.on_event(context.now(), spread, &mut |_, bands| next = Some(stance.after(spread, bands)));
        next
    }
}

impl Strategy for Pairs {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        let Some(legs) = self.legs(context).filter(|legs| legs.contains(&instrument)) else { return };
        if let Some(next) = self.sample(legs, context).filter(|next| *next != self.stance) {
            self.stance = next;
            self.link = if next == Stance::Flat { self.link } else { context.new_id() };
        }
        let first = match self.stance {
            Stance::Flat => 0,
            Stance::Long => self.quantity,
            Stance::Short => -self.quantity,
        };
        let second = -self.weighed(first) as i64;
        self.throttle.approach(legs[0], first, self.link, context);
        self.throttle.approach(legs[1], second, self.link, context);
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        parameters.unchanged("first", &self.symbols[0])?;
        parameters.unchanged("second", &self.symbols[1])?;
        let mut new = Self::new(parameters);
        // Another window, or another ratio, measures the spread afresh.
        if (new.window, new.ratio) == (self.window, self.ratio) {
            let mut measured = Vec::new();
            self.bands.snapshot(&mut measured);
            let restored = new.bands.restore(&mut SnapshotReader::new(&measured));
            restored.expect("bands over the same number of samples take their own state");
        }
        let throttle = self.throttle.at_rate(parameters.integer("orders-per-second") as u64);
        let Self { next_sample, stance, link, .. } = *self;
        *self = Self { throttle, next_sample, stance, link, ..new };
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.throttle.snapshot(out);
        self.bands.snapshot(out);
        [self.next_sample.0, self.stance as u64, self.link].into_iter().for_each(|value| out.put_u64(value));
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.throttle.restore(&mut reader)?;
        self.bands.restore(&mut reader)?;
        self.next_sample = Nanos(reader.u64()?);
        self.stance = [Stance::Flat, Stance::Long, Stance::Short][reader.at_most("stance", 2)? as usize];
        self.link = reader.u64()?;
        reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::StrategyTester;
    use proptest::prelude::*;
    use stele_wire::messages::Side;

    const SETTINGS: &str = "ratio = 2\nwindow = 5\nwidth = 1.5\nquantity = 3\nsample = \"1s\"";

    /// Feeds quotes of both instruments, then advances the time by a second.
    fn quote_both(tester: &mut StrategyTester, first: i64, second: i64) {
        tester.quote(1, (first - 1, 9), (first + 1, 9)).quote(2, (second - 1, 9), (second + 1, 9));
        tester.advance(Nanos(1_000_000_000));
    }

    #[test]
    fn it_sells_the_expensive_and_buys_the_cheap_one_and_closes_at_the_mean() {
        let mut tester = StrategyTester::start("pairs", SETTINGS).unwrap();
        for step in 0..6 {
            quote_both(&mut tester, 10_000 + 100 * (step % 2), 4_000);
        }
        assert!(tester.take_orders().is_empty(), "within the bands");
        quote_both(&mut tester, 10_500, 4_000);
        let [sold, bought] = tester.take_orders()[..] else { panic!("both legs") };
        assert_eq!((sold.instrument.get(), sold.side, sold.quantity.get()), (1, Side::SELL, 3));
        assert_eq!((bought.instrument.get(), bought.side, bought.quantity.get()), (2, Side::BUY, 6));
        assert_eq!((sold.limit_price.get(), bought.limit_price.get()), (10_499, 4_001));
        assert_eq!(sold.strategy_link_id, bought.strategy_link_id);
        assert_ne!(sold.strategy_link_id.get(), 0);
        tester.fill(&sold, 10_499, 3).fill(&bought, 4_001, 4).cancelled(&bought);
        quote_both(&mut tester, 10_500, 4_000);
        let [rest] = tester.take_orders()[..] else { panic!("the leg that is short of its quantity") };
        assert_eq!((rest.instrument.get(), rest.quantity.get()), (2, 2));
        tester.fill(&rest, 4_001, 2);
        quote_both(&mut tester, 10_000, 4_000);
        let [back, out] = tester.take_orders()[..] else { panic!("both are closed") };
        assert_eq!(
            (back.side, back.quantity.get(), out.side, out.quantity.get()),
            (Side::BUY, 3, Side::SELL, 6)
        );
        assert_eq!(back.strategy_link_id, sold.strategy_link_id);
    }

    #[test]
    fn legs_are_found_by_symbol_and_other_instruments_are_ignored() {
        let settings = format!("{SETTINGS}\nfirst = \"B\"\nsecond = \"C\"");
        let mut tester = StrategyTester::start("pairs", &settings).unwrap();
        tester.define(7, "A").define(8, "B").define(9, "C");
        for step in 0..8 {
            quote_both(&mut tester, 1_000 + step * step * step, 400);
        }
        assert!(tester.take_orders().is_empty());
        for step in 0i64..8 {
            tester.quote(9, (400, 9), (402, 9)).quote(8, (1_000 + step.pow(3), 9), (1_002 + step.pow(3), 9));
            tester.advance(Nanos(1_000_000_000));
        }
        assert_eq!(tester.take_orders()[0].instrument.get(), 8);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn the_stance_follows_mean_and_deviation_of_the_window(moves in prop::collection::vec(-40i64..40, 6..80)) {
            let mut tester = StrategyTester::start("pairs", "window = 4\nwidth = 1\nsample = \"1s\"").unwrap();
            let (mut spreads, mut held) = (Vec::<f64>::new(), 0);
            quote_both(&mut tester, 10_000, 10_000);
            spreads.push(0.0);
            for change in moves {
                let first = 10_000 + change;
                tester.quote(1, (first - 1, 9), (first + 1, 9));
                for order in tester.take_orders() {
                    tester.fill(&order, order.limit_price.get(), order.quantity.get());
                }
                tester.advance(Nanos(1_000_000_000));
                spreads.push(change as f64);
                if let [.., a, b, c, d] = spreads[..] {
                    let window = [a, b, c, d];
                    let mean = window.iter().sum::<f64>() / 4.0;
                    let deviation = (window.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
                    // Mean and deviation are rounded down before they are compared.
                    let (mean, deviation) = (mean.floor(), deviation.floor());
                    held = match held {
                        _ if d > mean + deviation => -1,
                        _ if d < mean - deviation => 1,
                        -1 if d <= mean => 0,
                        1 if d >= mean => 0,
                        stance => stance,
                    };
                }
                prop_assert_eq!((tester.position(1), tester.position(2)), (held, -held));
            }
        }
    }
}
