//! Indicators: [operators](crate::operators) for prices, trades and touches.
//!
//! Each says in its documentation which formula it computes, from which source, and how it rounds. All are exact in
//! the wire's fixed point but [`RealisedVolatility`], which has to be an `f64` and says how it stays the same on every
//! machine.
//!
//! | from | indicator | gives |
//! |---|---|---|
//! | any number | [`Sma`], [`Ewma`] | an average |
//! | any number | [`Bollinger`] | [`Bands`] |
//! | any number | [`Rsi`] | 0 to 100, as a [`FixedDecimal`] |
//! | prices | [`RealisedVolatility`] | `f64` |
//! | trades | [`TimeBars`], [`VolumeBars`] | a [`Bar`] |
//! | trades, in any window | [`Ohlcv`], [`Vwap`] | a [`Candle`], a price |
//! | trades | [`TradeSign`] | the side that started the trade |
//! | those sides | [`SignAutocorrelation`] | −1 to 1, as a [`FixedDecimal`] |
//! | touches | [`Microprice`], [`OrderFlowImbalance`] | a price, a quantity with a sign |

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
