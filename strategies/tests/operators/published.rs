//! Published values.

use super::{results, run};
use stele_strategies::indicators::{Ewma, FixedDecimal, Rsi};
use stele_strategies::operators::{Cusum, Operator, Shift};
use stele_wire::{Nanos, Price};

fn prices<const N: usize>(values: [f64; N]) -> [Price; N] {
    values.map(|value| Price((value * 10_000.0).round() as i64 * 100_000))
}

/// The worked example of StockCharts' ChartSchool (Relative Strength Index: closes of QQQQ from 14 December
/// 2009 on and the 14-day RSI by Wilder's method, printed with two decimals).
#[test]
fn rsi_is_that_of_the_worked_example() {
    let closes = prices([
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
        46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521,
        45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
    ]);
    let published = [
        70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46,
        41.87, 45.46, 37.30, 33.08, 37.77,
    ];
    let to_two_places = |rsi: FixedDecimal| (rsi.0 as f64 / 1e7).round() / 100.0;
    let given: Vec<_> = results(&mut Rsi::new(14), closes).into_iter().map(to_two_places).collect();
    assert_eq!(given, published);
}

/// Table 9.1 of Montgomery, Introduction to Statistical Quality Control: 20 values with mean 10, then 10 with
/// mean 11, all with standard deviation 1.
const MONTGOMERY: [f64; 30] = [
    9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08, 9.37,
    10.62, 10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52,
];

/// Table 9.2 of the same book: the upper sum with a slack of 0.5, which exceeds 5 in period 29.
#[test]
fn cumulative_sums_are_those_of_the_textbook() {
    let published = [
        0.0, 0.0, 0.0, 1.16, 2.82, 2.50, 0.04, 1.00, 0.0, 0.0, 0.0, 0.97, 0.98, 0.0, 0.0, 0.0, 0.12, 0.0,
        0.0, 0.34, 0.74, 0.0, 1.79, 2.79, 2.89, 3.47, 3.35, 4.47, 5.28,
    ];
    let [target, slack, threshold] = prices([10.0, 0.5, 5.0]);
    let values = prices(MONTGOMERY);
    let mut sums = Cusum::new(target, slack, Price(i64::MAX));
    for (value, published) in values.iter().zip(prices(published)) {
        sums.on_event(Nanos(0), *value, &mut |_, shift| panic!("{shift:?}"));
        assert_eq!(sums.sums().0, published.0.into());
    }
    let events: Vec<_> = values.into_iter().zip(1..).map(|(value, period)| (period, value)).collect();
    assert_eq!(run(&mut Cusum::new(target, slack, threshold), &events), [(29, Shift::Up)]);
    let mirrored: Vec<_> = events.iter().map(|(at, value)| (*at, Price(2 * target.0 - value.0))).collect();
    assert_eq!(run(&mut Cusum::new(target, slack, threshold), &mirrored), [(29, Shift::Down)]);
}

/// Section 9.2.1 of the same book: the average of the same values with a weight of 0.1, starting at 10, is at
/// first 9.945 and 9.7495.
#[test]
fn the_exponential_average_is_that_of_the_textbook() {
    let values = prices([10.0, MONTGOMERY[0], MONTGOMERY[1]]);
    assert_eq!(results(&mut Ewma::new(19), values), prices([10.0, 9.945, 9.7495]));
}
