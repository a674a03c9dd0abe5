//! Indicators: [operators](crate::operators) on prices, trades and best bids and offers.
//!
//! The documentation of each indicator states its formula, the source of the formula and how it rounds. All
//! are exact in the wire's fixed-point format, except [`RealisedVolatility`], which has to be an `f64` and
//! explains how it stays the same on every machine.
//!
//! | input | indicator | output |
//! |---|---|---|
//! | any number | [`Sma`], [`Ewma`] | an average |
//! | any number | [`Bollinger`] | [`Bands`] |
//! | any number | [`Rsi`] | 0 to 100, as a [`FixedDecimal`] |
//! | prices | [`RealisedVolatility`] | `f64` |
//! | trades | [`TimeBars`], [`VolumeBars`] | a [`Bar`] |
//! | trades, in any window | [`Ohlcv`], [`Vwap`] | a [`Candle`], a price |
//! | trades | [`TradeSign`] | the side that initiated the trade |
//! | sides of trades | [`SignAutocorrelation`] | −1 to 1, as a [`FixedDecimal`] |
//! | best bid and offer | [`Microprice`], [`OrderFlowImbalance`] | a price, a signed quantity |
//!
//! # Examples
//!
//! ```
//! use stele_strategies::indicators::Sma;
//! use stele_strategies::operators::{Operator, stream};
//! use stele_wire::{Nanos, Price};
//!
//! let mut pipeline = stream::<Price>().then(Sma::new(3));
//! let mut averages = Vec::new();
//! for price in [1, 2, 6, 7] {
//!     pipeline.on_event(Nanos(0), Price(price), &mut |_, average| averages.push(average));
//! }
//! assert_eq!(averages, [Price(3), Price(5)]);
//! ```

mod average;
mod bars;
mod decimal;
mod rsi;
mod signs;
mod touch;
mod volatility;

pub use average::{Ewma, Sma};
pub use bars::{Bar, Candle, Ohlcv, TimeBars, VolumeBars, Vwap};
pub use decimal::FixedDecimal;
pub use rsi::Rsi;
pub use signs::{SignAutocorrelation, TradeSign};
pub use touch::{Microprice, OrderFlowImbalance, Touch};
pub use volatility::{Bands, Bollinger, RealisedVolatility};
