//! The figures of a backtest. `docs/backtest.md` defines each.

use crate::summary::{LatencyPercentiles, decimal};
use serde::Serialize;
use stele_strategies::Money;

/// Trading days in a year, for annualised ratios.
pub const TRADING_DAYS: f64 = 252.0;

/// The figures of one run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BacktestFigures {
    /// Realised and unrealised profit, less fees.
    #[serde(serialize_with = "decimal")]
    pub net: Money,
    /// Profit of closed positions.
    #[serde(serialize_with = "decimal")]
    pub realised: Money,
    /// Profit of open positions, at the mid of the book or else at the last trade.
    #[serde(serialize_with = "decimal")]
    pub unrealised: Money,
    /// Fees paid; negative when more was received.
    #[serde(serialize_with = "decimal")]
    pub fees: Money,
    /// The largest drawdown of the equity below its highest value until then.
    #[serde(serialize_with = "decimal")]
    pub drawdown_max: Money,
    /// The sum of price × quantity over all executions.
    #[serde(serialize_with = "decimal")]
    pub turnover: Money,
    /// The annualised Sharpe ratio of the equity's changes from second to second; none when the equity
    /// never changed.
    pub sharpe: Option<f64>,
    /// The annualised Sortino ratio: like `sharpe`, over the deviation of the losses only; none when there
    /// were no losses.
    pub sortino: Option<f64>,
    /// New orders sent, refused ones included.
    pub orders: u64,
    /// Replacements requested.
    pub replacements: u64,
    /// Cancels requested, mass cancels included.
    pub cancels: u64,
    /// New orders refused by the risk checks or by the exchange.
    pub rejected: u64,
    /// Executions.
    pub fills: u64,
    /// Executions of resting orders.
    pub maker_fills: u64,
    /// The share of new orders that were executed at least in part; none without orders.
    pub fill_ratio: Option<f64>,
    /// The cost of executions against the mid when the order was sent, in basis points of the value;
    /// negative when better than the mid.
    pub slippage_bp: Option<f64>,
    /// How far the mid moved against the executions within one second, in basis points of the value.
    pub adverse_1s_bp: Option<f64>,
    /// How far the mid moved against the executions within ten seconds, in basis points of the value.
    pub adverse_10s_bp: Option<f64>,
    /// The time from the sequencing of a new order to that of its first report, in the market's time, in
    /// nanoseconds.
    pub order_to_report: LatencyPercentiles,
}

/// Changes of the equity from second to second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Changes {
    count: f64,
    sum: f64,
    squares: f64,
    losses: f64,
}

impl Changes {
    /// Adds a change, in units of the currency.
    pub(super) fn push(&mut self, change: f64) {
        self.count += 1.0;
        self.sum += change;
        self.squares += change * change;
        let loss = change.min(0.0);
        self.losses += loss * loss;
    }

    /// Returns the annualised mean over the standard deviation, for a year of [`TRADING_DAYS`] days.
    pub(super) fn sharpe(&self, days: usize) -> Option<f64> {
        self.ratio(self.squares - self.sum * self.sum / self.count, days)
    }

    /// Returns the annualised mean over the deviation of the losses from zero.
    pub(super) fn sortino(&self, days: usize) -> Option<f64> {
        self.ratio(self.losses, days)
    }

    /// Returns `sum / count` over `sqrt(squares / count)`, times the square root of the number of changes
    /// in a year.
    fn ratio(&self, squares: f64, days: usize) -> Option<f64> {
        // A sum of squares that is only a rounding error counts as no deviation.
        let is_some = squares > self.squares * 1e-12;
        let yearly = (TRADING_DAYS / days as f64).sqrt();
        (is_some && days > 0).then(|| self.sum / squares.sqrt() * yearly)
    }
}

/// A mean in basis points, weighted by value.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct BasisPoints {
    moved: f64,
    value: f64,
}

impl BasisPoints {
    /// Adds a move of `move_against` on a price of `price`, for `quantity`.
    pub(super) fn push(&mut self, move_against: i64, price: i64, quantity: u64) {
        self.moved += move_against as f64 * quantity as f64;
        self.value += price.unsigned_abs() as f64 * quantity as f64;
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.value > 0.0).then(|| self.moved / self.value * 10_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(of: &[f64]) -> Changes {
        let mut changes = Changes::default();
        of.iter().for_each(|change| changes.push(*change));
        changes
    }

    #[test]
    fn ratios_match_their_definition() {
        let of = [1.0, -0.5, 2.0, 0.0, -1.5, 3.0];
        let count = of.len() as f64;
        let mean = of.iter().sum::<f64>() / count;
        let variance = of.iter().map(|change| (change - mean).powi(2)).sum::<f64>() / count;
        let downside = of.iter().map(|change| change.min(0.0).powi(2)).sum::<f64>() / count;
        // A year has 252 days. One day of six changes gives six a day, two days give three a day.
        for days in [1, 2] {
            let yearly = (252.0 * count / days as f64).sqrt();
            let sharpe = changes(&of).sharpe(days).unwrap();
            assert!((sharpe - mean / variance.sqrt() * yearly).abs() < 1e-9, "{sharpe}");
            let sortino = changes(&of).sortino(days).unwrap();
            assert!((sortino - mean / downside.sqrt() * yearly).abs() < 1e-9, "{sortino}");
        }
    }

    #[test]
    fn idle_seconds_leave_the_sortino_ratio_alone_and_hardly_change_the_sharpe_ratio() {
        let of = [1.0, -0.5, 2.0, 0.0, -1.5, 3.0];
        let mut quiet = of.to_vec();
        quiet.extend([0.0; 10_000]);
        assert_eq!(changes(&of).sortino(1), changes(&quiet).sortino(1));
        let (busy, quiet) = (changes(&of).sharpe(1).unwrap(), changes(&quiet).sharpe(1).unwrap());
        assert!((busy / quiet - 1.0).abs() < 0.1, "{busy} and {quiet}");
    }

    #[test]
    fn an_equity_that_never_changes_has_no_ratio() {
        assert_eq!(changes(&[]).sharpe(1), None);
        assert_eq!(changes(&[0.0; 9]).sharpe(1), None);
        assert_eq!(changes(&[0.1; 9]).sharpe(1), None, "no deviation");
        assert_eq!(changes(&[1.0, 2.0]).sortino(1), None, "no loss");
        assert_eq!(changes(&[1.0, 2.0]).sharpe(0), None, "no day");
    }

    #[test]
    fn basis_points_are_weighted_by_value() {
        let mut mean = BasisPoints::default();
        assert_eq!(mean.mean(), None);
        mean.push(1, 1_000, 3);
        mean.push(-2, 2_000, 1);
        assert_eq!(mean.mean(), Some((3.0 - 2.0) / 5_000.0 * 10_000.0));
    }
}
