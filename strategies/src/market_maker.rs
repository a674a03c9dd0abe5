//! `market-maker`: quotes both sides around a price that is skewed against its inventory.
//!
//! Avellaneda and Stoikov, High-frequency trading in a limit order book, Quantitative Finance 8, 2008,
//! section 3.2: with mid `s`, inventory `q`, risk aversion `γ`, variance `σ²` per second, remaining time `T −
//! t`, and order arrivals that decrease with the distance `δ` from the mid as `exp(−kδ)`,
//!
//! - the reservation price is `r = s − qγσ²(T − t)`,
//! - the spread around it is `γσ²(T − t) + (2/γ) ln(1 + γ/k)`.
//!
//! `q` counts orders: the position divided by `quantity`. `σ²` is measured as an exponentially weighted
//! average of the mid's squared moves per time. At `T` the next horizon begins. Bids are rounded down to the
//! tick, offers up, and neither takes liquidity. All arithmetic is in integers except `(2/γ) ln(1 + γ/k)`,
//! which is computed from the parameters alone by the `libm` crate and rounded to 1e-9, so it is the same on
//! every machine.

use crate::by_instrument::ByInstrument;
use crate::order::{Order, OrderState};
use crate::parameters::{Parameter, ParameterError, Parameters};
use crate::registry::StrategyKind;
use crate::report::{OrderReport, ReportKind};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Context, Strategy};
use crate::throttle::OrderThrottle;
use stele_wire::messages::Side;
use stele_wire::{Price, Quantity};

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "market-maker",
    about: "quotes both sides, skewed against its inventory (Avellaneda and Stoikov)",
    parameters: &[
        Parameter::decimal(
            "risk-aversion",
            50_000_000,
            (1_000, 1_000 * ONE),
            "risk aversion γ, per unit of price",
        ),
        Parameter::decimal(
            "arrival-decay",
            100 * ONE,
            (1_000_000, 1_000_000 * ONE),
            "decay k of order arrivals, per unit of price",
        ),
        Parameter::duration(
            "horizon",
            10 * SECOND,
            (SECOND, 86_400 * SECOND),
            "horizon T, after which the next one begins",
        ),
        Parameter::duration(
            "sample",
            SECOND / 20,
            (1_000, 60 * SECOND),
            "interval between measurements of the mid",
        ),
        Parameter::integer("span", 20, (1, 100_000), "number of moves that the variance is averaged over"),
        Parameter::integer(
            "tolerance",
            1,
            (1, 1_000),
            "deviation from the target price that replaces a quote, in ticks",
        ),
        Parameter::integer("quantity", 1, (1, 1_000_000_000), "quantity of each quote"),
        Parameter::integer("max-position", 10, (1, 1_000_000_000), "limit on the position, long or short"),
        Parameter::integer(
            "orders-per-second",
            50,
            (1, 100_000),
            "limit on orders and replacements per second",
        ),
        Parameter::text("symbol", "", "instrument to quote; empty for all"),
    ],
    make: |parameters| Ok(Box::new(MarketMaker::new(parameters))),
};

const ONE: i64 = Price::SCALE;
const SECOND: u64 = 1_000_000_000;

/// The strategy: see the [module documentation](self).
pub struct MarketMaker {
    model: Model,
    horizon: u64,
    sample: u64,
    span: i128,
    tolerance: i64,
    quantity: u64,
    max_position: Quantity,
    symbol: String,
    throttle: OrderThrottle,
    mids: ByInstrument<Mid>,
}

/// The formulas. Prices and amounts are in 1e-9, variances in 1e-18 per second.
#[derive(Clone, Copy)]
struct Model {
    gamma: i64,
    /// `(2/γ) ln(1 + γ/k)`.
    liquidity: i128,
}

impl Model {
    fn new(gamma: i64, k: i64) -> Self {
        let liquidity = 2.0 * ONE as f64 / gamma as f64 * libm::log1p(gamma as f64 / k as f64);
        Self { gamma, liquidity: libm::round(liquidity * ONE as f64) as i128 }
    }

    /// `γσ²(T − t)`, rounded down.
    fn risk(self, variance: i128, left: u64) -> i128 {
        let over_horizon = variance.saturating_mul(left.into()) / i128::from(SECOND);
        over_horizon.saturating_mul(self.gamma.into()) / i128::from(ONE).pow(2)
    }

    /// Bid and offer for a position, where one order is `quantity`.
    fn quotes(self, mid: Price, position: i64, quantity: u64, risk: i128) -> (i128, i128) {
        let skew = risk.saturating_mul(position.into()) / i128::from(quantity);
        let reservation = i128::from(mid.0) - skew;
        let half = (risk + self.liquidity) / 2;
        (reservation - half, reservation + half)
    }
}

/// The measurements of one instrument.
#[derive(Clone, Copy, Default)]
struct Mid {
    horizon_ends: u64,
    sampled_at: u64,
    sampled: i64,
    variance: Option<i128>,
}

impl Mid {
    /// Updates the variance with the current mid, every `sample`; the first measured move is the first
    /// variance.
    fn measure(&mut self, now: u64, mid: Price, sample: u64, span: i128) {
        let took = now.saturating_sub(self.sampled_at);
        if took < sample {
            return;
        }
        if self.sampled_at > 0 {
            let squared = i128::from(mid.0 - self.sampled).pow(2);
            let a_second = squared.saturating_mul(SECOND.into()) / i128::from(took);
            let variance = self.variance.unwrap_or(a_second);
            self.variance = Some(variance + (a_second - variance) * 2 / (span + 1));
        }
        (self.sampled_at, self.sampled) = (now, mid.0);
    }
}

impl MarketMaker {
    fn new(parameters: &Parameters) -> Self {
        Self {
            model: Model::new(parameters.decimal("risk-aversion"), parameters.decimal("arrival-decay")),
            horizon: parameters.duration("horizon"),
            sample: parameters.duration("sample"),
            span: parameters.integer("span").into(),
            tolerance: parameters.integer("tolerance"),
            quantity: parameters.integer("quantity") as u64,
            max_position: Quantity(parameters.integer("max-position") as u64),
            symbol: parameters.text("symbol").into(),
            throttle: OrderThrottle::new(parameters.integer("orders-per-second") as u64),
            mids: ByInstrument::default(),
        }
    }

    fn requote(&mut self, instrument: u32, context: &mut Context<'_>) {
        let Some(known) = context.instrument(instrument) else { return };
        let (Some(bid), Some(ask)) = (known.book().bid(), known.book().ask()) else { return };
        let Some(mid) = known.book().mid() else { return };
        if !self.symbol.is_empty() && self.symbol != known.symbol() {
            return;
        }
        let (now, tick) = (context.now().0, known.tick().map_or(1, |tick| tick.0.max(1)));
        let measured = self.mids.entry(instrument);
        measured.measure(now, mid, self.sample, self.span);
        if now >= measured.horizon_ends {
            measured.horizon_ends = now + self.horizon;
        }
        let Some(variance) = measured.variance else { return };
        let risk = self.model.risk(variance, measured.horizon_ends - now);
        let (buy, sell) = self.model.quotes(mid, context.position(instrument), self.quantity, risk);
        let tick = i128::from(tick);
        let buy = buy.div_euclid(tick) * tick;
        let sell = -((-sell).div_euclid(tick) * tick);
        self.maintain_quote(instrument, Side::BUY, buy.min(i128::from(ask.price.0) - tick), tick, context);
        self.maintain_quote(instrument, Side::SELL, sell.max(i128::from(bid.price.0) + tick), tick, context);
    }

    /// Places or replaces the order of one side so that it is at `price`, within the tolerance.
    fn maintain_quote(
        &mut self,
        instrument: u32,
        side: Side,
        price: i128,
        tick: i128,
        context: &mut Context<'_>,
    ) {
        let Ok(price) = i64::try_from(price) else { return };
        let room = context.room(instrument, side, self.max_position).0;
        let mut of_side =
            context.orders().iter().filter(|order| (order.instrument, order.side) == (instrument, side));
        let (order, other) = (of_side.next().copied(), of_side.next().copied());
        drop(of_side);
        match (order, other) {
            (None, _) => {
                let quantity = Quantity(self.quantity.min(room));
                if quantity.0 > 0 && self.throttle.admits(context.now()) {
                    context.send(Order::limit(instrument, side, quantity, Price(price)).post_only());
                }
            }
            (Some(order), None) if order.state == OrderState::Working => {
                let off = i128::from(order.price.map_or(0, |at| at.0.abs_diff(price)));
                if off >= tick * i128::from(self.tolerance) && self.throttle.admits(context.now()) {
                    context.replace(order.client_order_id, Price(price), order.leaves);
                }
            }
            // A request is pending.
            _ => {}
        }
    }
}

impl Strategy for MarketMaker {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        self.requote(instrument, context);
    }

    fn on_report(&mut self, report: &OrderReport, context: &mut Context<'_>) {
        if report.kind == ReportKind::Filled {
            self.requote(report.instrument, context);
        }
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        parameters.unchanged("symbol", &self.symbol)?;
        let (new, mids) = (Self::new(parameters), std::mem::take(&mut self.mids));
        let throttle = self.throttle.at_rate(parameters.integer("orders-per-second") as u64);
        *self = Self { throttle, mids, ..new };
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.throttle.snapshot(out);
        out.put_u64(self.mids.iter().count() as u64);
        for (instrument, mid) in self.mids.iter() {
            [instrument.into(), mid.horizon_ends, mid.sampled_at]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            out.put_i64(mid.sampled);
            out.put_i128(mid.variance.unwrap_or(-1));
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.throttle.restore(&mut reader)?;
        for _ in 0..reader.count("instruments")? {
            let instrument = reader.id("instrument")?;
            *self.mids.entry(instrument) = Mid {
                horizon_ends: reader.u64()?,
                sampled_at: reader.u64()?,
                sampled: reader.i64()?,
                variance: Some(reader.i128()?).filter(|variance| *variance >= 0),
            };
        }
        reader.finish()
    }
}

#[cfg(test)]
mod tests;
