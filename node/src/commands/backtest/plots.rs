//! The plots of a backtest's page, as SVG.

use crate::readable::duration;
use plotters::coord::Shift;
use plotters::prelude::*;
use stele_replay::backtest::{BacktestSeries, ExecutionSample, InstrumentSeries};
use stele_strategies::Money;

const SIZE: (u32, u32) = (960, 280);
const BLUE_LINE: RGBColor = RGBColor(33, 84, 166);
const RED_LINE: RGBColor = RGBColor(178, 34, 34);
const GREEN_MARK: RGBColor = RGBColor(0, 128, 64);
const MARK_SIZE: i32 = 4;

/// A plot with its title.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) svg: String,
}

/// Returns the plots: equity and drawdown, price and position of each instrument, and latency if there were
/// orders.
pub(super) fn plots(series: &BacktestSeries) -> Vec<Plot> {
    let samples = series.equity.points();
    let start = samples.first().map_or(0, |sample| sample.time);
    let curve = |value: fn(&stele_replay::backtest::EquitySample) -> Money| {
        let point = |sample| (since(start, time_of(sample)), units(value(sample)));
        samples.iter().map(point).collect::<Vec<_>>()
    };
    let mut plots = vec![
        plot("Equity (units of the currency)".into(), |area| {
            line(area, &curve(|sample| sample.equity), BLUE_LINE, false)
        }),
        plot("Drawdown (units of the currency)".into(), |area| {
            line(area, &curve(|sample| sample.drawdown), RED_LINE, true)
        }),
    ];
    for traded in &series.instruments {
        let InstrumentSeries { instrument, symbol, quotes, executions } = traded;
        let name = if symbol.is_empty() { format!("instrument {instrument}") } else { symbol.clone() };
        let prices = quotes.points().iter().map(|at| (since(start, at.time), at.price as f64 / 1e9));
        let prices = prices.collect::<Vec<_>>();
        let title = format!("{name}: price and executions (▲ bought, ▼ sold)");
        plots.push(plot(title, |area| price(area, &prices, executions.points(), start)));
        let held = quotes.points().iter().map(|at| (since(start, at.time), at.position as f64));
        let held = held.collect::<Vec<_>>();
        plots.push(plot(format!("{name}: position (mantissa)"), |area| line(area, &held, BLUE_LINE, true)));
    }
    if !series.order_to_report.is_empty() {
        let title = "Time from an order to its first report (market time)".into();
        plots.push(plot(title, |area| histogram(area, &series.order_to_report)));
    }
    plots
}

fn time_of(sample: &stele_replay::backtest::EquitySample) -> u64 {
    sample.time
}

/// Returns the seconds from `start` to `time`.
fn since(start: u64, time: u64) -> f64 {
    time.saturating_sub(start) as f64 / 1e9
}

fn units(money: Money) -> f64 {
    money.0 as f64 / 1e9
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn plot(title: String, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Plot {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?)).expect("drawing to an SVG in memory cannot fail");
    }
    Plot { title, svg }
}

/// Returns the smallest and the largest value with a margin; the two always differ.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let margin = ((high - low) * 0.05).max(high.abs() * 1e-6).max(1e-9);
    (low - margin, high + margin)
}

/// Formats seconds since the start.
fn clock(seconds: &f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..100 => format!("{seconds:.0} s"),
        100..6_000 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02} h", whole / 3_600, whole / 60 % 60),
    }
}

macro_rules! chart {
    ($area:expr, $x:expr, $y:expr) => {{
        $area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on($area)
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(90)
            .build_cartesian_2d($x.0..$x.1, $y.0..$y.1)?;
        chart.configure_mesh().light_line_style(WHITE).x_label_formatter(&clock).y_labels(6).draw()?;
        chart
    }};
}

fn line(area: &Area<'_>, points: &[(f64, f64)], colour: RGBColor, is_filled: bool) -> Drawn {
    let x = span(points.iter().map(|point| point.0));
    let y = span(points.iter().map(|point| point.1).chain(is_filled.then_some(0.0)));
    let mut chart = chart!(area, x, y);
    if is_filled {
        let filled = AreaSeries::new(points.iter().copied(), 0.0, colour.mix(0.15));
        chart.draw_series(filled.border_style(colour))?;
    } else {
        chart.draw_series(LineSeries::new(points.iter().copied(), colour))?;
    }
    Ok(())
}

fn price(area: &Area<'_>, prices: &[(f64, f64)], executions: &[ExecutionSample], start: u64) -> Drawn {
    let done = executions.iter().map(|at| (since(start, at.time), at.price as f64 / 1e9, at.is_buy));
    let done = done.collect::<Vec<_>>();
    let x = span(prices.iter().map(|point| point.0).chain(done.iter().map(|point| point.0)));
    let y = span(prices.iter().map(|point| point.1).chain(done.iter().map(|point| point.1)));
    let mut chart = chart!(area, x, y);
    chart.draw_series(LineSeries::new(prices.iter().copied(), BLACK.mix(0.6)))?;
    let mark = |is_buy: bool| done.iter().filter(move |point| point.2 == is_buy);
    chart.draw_series(
        mark(true).map(|(x, y, _)| TriangleMarker::new((*x, *y), MARK_SIZE, GREEN_MARK.filled())),
    )?;
    chart.draw_series(
        mark(false).map(|(x, y, _)| TriangleMarker::new((*x, *y), -MARK_SIZE, RED_LINE.filled())),
    )?;
    Ok(())
}

/// Draws bars of equal width on a logarithmic scale.
fn histogram(area: &Area<'_>, counted: &[(u64, u64)]) -> Drawn {
    const BARS_A_DECADE: f64 = 10.0;
    let place = |nanos: u64| ((nanos.max(1) as f64).log10() * BARS_A_DECADE).floor();
    let x = (
        counted.first().map_or(0.0, |first| place(first.0)) - 1.0,
        counted.last().map_or(1.0, |last| place(last.0)) + 2.0,
    );
    let mut bars = std::collections::BTreeMap::<i64, u64>::new();
    counted.iter().for_each(|(nanos, count)| *bars.entry(place(*nanos) as i64).or_default() += count);
    let highest = bars.values().max().copied().unwrap_or(1) as f64;
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(90)
        .build_cartesian_2d(x.0..x.1, 0.0..highest * 1.05)?;
    let label = |place: &f64| duration(10_f64.powf(place / BARS_A_DECADE) as u64);
    chart.configure_mesh().light_line_style(WHITE).x_label_formatter(&label).y_labels(6).draw()?;
    chart.draw_series(bars.iter().map(|(place, count)| {
        let left = *place as f64;
        Rectangle::new([(left, 0.0), (left + 1.0, *count as f64)], BLUE_LINE.mix(0.6).filled())
    }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_trades_still_has_its_plots() {
        let plots = plots(&BacktestSeries::default());
        assert_eq!(plots.len(), 2);
        assert!(plots.iter().all(|plot| plot.svg.starts_with("<svg") && plot.svg.ends_with("</svg>\n")));
    }

    #[test]
    fn a_span_is_never_empty() {
        assert_eq!(span([].into_iter()), (0.0, 1.0));
        let (low, high) = span([5.0, 5.0].into_iter());
        assert!(low < 5.0 && high > 5.0);
    }

    #[test]
    fn seconds_are_formatted_as_minutes_and_hours() {
        assert_eq!([5.0, 125.0, 7_260.0].map(|seconds| clock(&seconds)), ["5 s", "2:05", "2:01 h"]);
    }
}
