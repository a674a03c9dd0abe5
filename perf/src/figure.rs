//! Figures, and the report that contains them.

use crate::{Machine, Noise};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::borrow::Cow;

/// The minimum number of samples above a percentile. With fewer, the percentile would show a single stall.
const SAMPLES_ABOVE_MIN: u64 = 10;

/// The percentiles of one distribution, in its unit. A percentile with fewer than ten samples above it is
/// missing.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Default)]
pub struct Percentiles {
    /// The number of values.
    pub count: u64,
    /// The median; needs 20 values.
    pub p50: Option<u64>,
    /// The 90th percentile; needs 100 values.
    pub p90: Option<u64>,
    /// The 99th percentile; needs 1,000 values.
    pub p99: Option<u64>,
    /// The 99.9th percentile; needs 10,000 values.
    pub p999: Option<u64>,
    /// The 99.99th percentile; needs 100,000 values.
    pub p9999: Option<u64>,
    /// The largest value.
    pub max: u64,
}

impl Percentiles {
    /// The percentiles `[p50, p90, p99, p99.9, p99.99]` of `count` values with the maximum `max`, without
    /// those that have too few samples.
    pub fn new(count: u64, percentiles: [u64; 5], max: u64) -> Self {
        // The number of values above each percentile, of 10,000.
        let above = [5_000, 1_000, 100, 10, 1];
        let is_given = |above: u64| count.saturating_mul(above) >= SAMPLES_ABOVE_MIN * 10_000;
        let given: [Option<u64>; 5] =
            std::array::from_fn(|at| is_given(above[at]).then_some(percentiles[at]));
        let [p50, p90, p99, p999, p9999] = given;
        Self { count, p50, p90, p99, p999, p9999, max }
    }
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = [0.50, 0.90, 0.99, 0.999, 0.9999].map(|quantile| histogram.value_at_quantile(quantile));
        Self::new(histogram.len(), at, histogram.max())
    }
}

/// Returns a histogram from 1 ns to 10 s with two significant digits, which is small enough for a cache.
pub(crate) fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 2).expect("the bounds are valid")
}

/// Where a figure's time starts and ends, and on which CPUs it is spent.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Route {
    /// The event at which the time starts.
    pub from: &'static str,
    /// The event at which the time ends.
    pub to: &'static str,
    /// The number of handovers from one role to the next.
    pub hops: u32,
    /// The CPU of each role.
    pub cores: String,
    /// Whether publisher and consumer were on one CPU.
    pub publisher_and_consumer_share_a_core: bool,
}

/// One figure: a distribution or a single value, over several repetitions.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Figure {
    /// The stable name.
    pub name: String,
    /// The unit: `ns`, `s`, `events`, `events/s`, `instructions/event`, `bytes` or `bytes/s`.
    pub unit: &'static str,
    /// The distribution of the repetition with the median p50, for latencies.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub percentiles: Option<Percentiles>,
    /// The median of the repetitions, for single values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The name of the figure that it is compared with: a raw limit, a rival, or another side of the same
    /// run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Cow<'static, str>>,
    /// The figure divided by its baseline; empty without one.
    #[serde(flatten)]
    pub ratios: Ratios,
    /// Start, end, hops and CPUs, if the scenario records them.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The number of repetitions.
    pub repeats: usize,
    /// (largest − smallest) / median over the repetitions: of the ratio if there is a baseline, otherwise of
    /// the p50 or the value.
    pub spread: f64,
}

/// A figure divided by its baseline: the median of the ratios of the repetitions.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Default)]
pub struct Ratios {
    /// The ratio of single values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The ratio of the medians.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_p50: Option<f64>,
    /// The ratio of the 99th percentiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_p99: Option<f64>,
    /// The ratio of the 99.99th percentiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_p9999: Option<f64>,
}

impl Figure {
    /// Returns a latency figure in ns from one distribution per repetition. `None` if all are empty.
    pub fn latency(name: &str, repetitions: &[Percentiles]) -> Option<Self> {
        let mut seen: Vec<Percentiles> = repetitions.iter().copied().filter(|p| p.count > 0).collect();
        seen.sort_by_key(|percentiles| percentiles.p50);
        let median = *seen.get(seen.len() / 2)?;
        let [smallest, middle, largest] =
            [seen[0], median, seen[seen.len() - 1]].map(|seen| seen.p50.unwrap_or(0) as f64);
        let spread = spread(smallest, middle, largest);
        Some(Self {
            name: name.into(),
            unit: "ns",
            percentiles: Some(median),
            value: None,
            baseline: None,
            ratios: Ratios::default(),
            route: None,
            repeats: seen.len(),
            spread,
        })
    }

    /// Returns a figure in events/s from one rate per repetition. `None` without repetitions.
    pub fn rate(name: &str, repetitions: &[f64]) -> Option<Self> {
        Self::single(name, "events/s", repetitions)
    }

    /// Returns a figure in `unit` from one value per repetition. `None` without repetitions.
    pub fn single(name: &str, unit: &'static str, repetitions: &[f64]) -> Option<Self> {
        let (value, spread) = median(repetitions)?;
        Some(Self {
            name: name.into(),
            unit,
            percentiles: None,
            value: Some(value),
            baseline: None,
            ratios: Ratios::default(),
            route: None,
            repeats: repetitions.len(),
            spread,
        })
    }

    /// Returns this latency compared with the figure `name`. `own` and `baseline` hold the distributions of
    /// both, in pairs from the same repetition.
    #[must_use]
    pub fn beside(
        mut self,
        name: impl Into<Cow<'static, str>>,
        own: &[Percentiles],
        baseline: &[Percentiles],
    ) -> Self {
        let ratios = |of: fn(&Percentiles) -> Option<u64>| {
            let both = own.iter().zip(baseline).filter_map(|(own, base)| of(own).zip(of(base)));
            let both = both.filter(|(_, base)| *base > 0);
            median(&both.map(|(own, base)| own as f64 / base as f64).collect::<Vec<_>>())
        };
        let (p50, p99, p9999) = (ratios(|at| at.p50), ratios(|at| at.p99), ratios(|at| at.p9999));
        self.baseline = Some(name.into());
        self.spread = p50.map_or(self.spread, |(_, spread)| spread);
        let value = |ratio: Option<(f64, f64)>| ratio.map(|(ratio, _)| ratio);
        self.ratios =
            Ratios { ratio: None, ratio_p50: value(p50), ratio_p99: value(p99), ratio_p9999: value(p9999) };
        self
    }

    /// Returns this figure with its route.
    #[must_use]
    pub fn along(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }

    /// Returns this value compared with the figure `name`, with one ratio per repetition.
    #[must_use]
    pub fn over(mut self, name: impl Into<Cow<'static, str>>, ratios: &[f64]) -> Self {
        if let Some((ratio, spread)) = median(ratios) {
            self.baseline = Some(name.into());
            self.ratios.ratio = Some(ratio);
            self.spread = spread;
        }
        self
    }
}

/// Returns the median and the spread.
fn median(values: &[f64]) -> Option<(f64, f64)> {
    let mut seen = values.to_vec();
    seen.sort_by(f64::total_cmp);
    let median = *seen.get(seen.len() / 2)?;
    Some((median, spread(seen[0], median, seen[seen.len() - 1])))
}

fn spread(smallest: f64, median: f64, largest: f64) -> f64 {
    if median > 0.0 { (largest - smallest) / median } else { 0.0 }
}

/// The report of one run of `stele perf`.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct PerfReport {
    /// The name of the scenario.
    pub scenario: &'static str,
    /// The commit that the program was built from, with `-dirty` if files differed from it; its version if it
    /// was built outside the repository.
    pub revision: &'static str,
    /// The machine.
    pub machine: Machine,
    /// The stalls of the machine itself during the run.
    pub noise: Noise,
    /// The figures.
    pub figures: Vec<Figure>,
}

impl PerfReport {
    /// A report of figures measured on this machine by this program.
    pub fn new(scenario: &'static str, noise: Noise, figures: Vec<Figure>) -> Self {
        Self { scenario, revision: env!("STELE_REVISION"), machine: Machine::read(), noise, figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The percentiles of a distribution around `p50`.
    fn repetition(p50: u64) -> Percentiles {
        Percentiles::new(100_000, [p50, p50, p50 * 2, p50 * 2, p50 * 4], p50 * 4)
    }

    #[test]
    fn a_percentile_with_fewer_than_ten_samples_above_it_is_missing() {
        let given = |count| {
            let Percentiles { p50, p90, p99, p999, p9999, .. } = Percentiles::new(count, [1; 5], 1);
            [p50, p90, p99, p999, p9999].iter().flatten().count()
        };
        let counts = [19, 20, 99, 100, 999, 1_000, 9_999, 10_000, 99_999, 100_000];
        assert_eq!(counts.map(given), [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
        let json = serde_json::to_value(Percentiles::new(150, [1; 5], 9)).unwrap();
        assert!(json["p90"] == 1 && json["p9999"].is_null() && json["max"] == 9, "{json}");
    }

    #[test]
    fn a_latency_figure_is_the_median_repetition_with_the_spread() {
        let figure = Figure::latency("hop", &[repetition(300), repetition(100), repetition(200)]).unwrap();
        assert_eq!(figure.percentiles.unwrap().p99, Some(400));
        assert_eq!(figure.spread, 1.0);
        assert!(Figure::latency("hop", &[Percentiles::default()]).is_none());
    }

    #[test]
    fn a_ratio_is_the_median_of_the_repetitions_own_ratios() {
        let (own, raw) = ([30, 20, 60].map(repetition), [10, 20, 30].map(repetition));
        let figure = Figure::latency("durable", &own).unwrap().beside("raw", &own, &raw);
        assert_eq!((figure.percentiles.unwrap().p50, figure.baseline.as_deref()), (Some(30), Some("raw")));
        assert_eq!((figure.ratios.ratio_p50, figure.ratios.ratio_p99), (Some(2.0), Some(2.0)));
        assert_eq!(figure.spread, 1.0, "of the ratio: from 1 to 3 around 2");
        let rate = Figure::rate("rate", &[1.0]).unwrap().over("raw", &[0.5, 0.9, 0.7]);
        assert_eq!(rate.ratios.ratio, Some(0.7));
    }

    #[test]
    fn a_figure_serializes_only_the_fields_that_it_has() {
        let figure = Figure::rate("throughput", &[2.0, 1.0, 3.0]).unwrap();
        let json = serde_json::to_string(&figure).unwrap();
        assert_eq!(json, r#"{"name":"throughput","unit":"events/s","value":2.0,"repeats":3,"spread":1.0}"#);
    }
}
