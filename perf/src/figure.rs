//! Figures and the report that carries them.

use crate::{Machine, Noise};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::borrow::Cow;

/// Samples above a percentile without which it is not given: of fewer it would say what a single stall
/// happened to be.
const SAMPLES_ABOVE_MIN: u64 = 10;

/// The percentiles of one distribution, in its unit. Those that fewer than ten samples are above are not
/// given.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Default)]
pub struct Percentiles {
    /// Values recorded.
    pub count: u64,
    /// Median; of 20 values or more.
    pub p50: Option<u64>,
    /// 90th percentile; of 100 values or more.
    pub p90: Option<u64>,
    /// 99th percentile; of 1,000 values or more.
    pub p99: Option<u64>,
    /// 99.9th percentile; of 10,000 values or more.
    pub p999: Option<u64>,
    /// 99.99th percentile; of 100,000 values or more.
    pub p9999: Option<u64>,
    /// The largest value.
    pub max: u64,
}

impl Percentiles {
    /// Of `count` values up to `max`, of which `[p50, p90, p99, p99.9, p99.99]` are the percentiles.
    pub fn new(count: u64, percentiles: [u64; 5], max: u64) -> Self {
        // How many of 10,000 values each has above it.
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

/// From 1 ns to 10 s in two digits: small enough to stay in a cache.
pub(crate) fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 2).expect("the bounds are a histogram's")
}

/// Where a figure's time begins and ends, and where it is spent.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Route {
    /// The start stamp.
    pub from: &'static str,
    /// The end stamp.
    pub to: &'static str,
    /// Handovers from one role to the next on the way.
    pub hops: u32,
    /// Which role was on which CPU.
    pub cores: String,
    /// Whether publisher and consumer were on one CPU.
    pub publisher_and_consumer_share_a_core: bool,
}

/// One figure: a distribution or a single value, over several repetitions.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Figure {
    /// Stable name.
    pub name: String,
    /// `ns`, `s`, `events`, `events/s`, `instructions/event`, `bytes` or `bytes/s`.
    pub unit: &'static str,
    /// The repetition with the median p50.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub percentiles: Option<Percentiles>,
    /// The median of the repetitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The raw limit, or the rival, that it is compared with: another figure, or another side of the same
    /// run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Cow<'static, str>>,
    /// How it compares; nothing without a baseline.
    #[serde(flatten)]
    pub ratios: Ratios,
    /// Stamps, cores and hops, where the scenario records them.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Repetitions.
    pub repeats: usize,
    /// (largest − smallest) / median over the repetitions: of the ratio where there is a baseline,
    /// otherwise of the p50 or of the value.
    pub spread: f64,
}

/// A figure over its baseline, each the median of the repetitions' own ratios.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Default)]
pub struct Ratios {
    /// Of a single value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Of the medians.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_p50: Option<f64>,
    /// Of the 99th percentiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_p99: Option<f64>,
    /// Of the 99.99th percentiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_p9999: Option<f64>,
}

impl Figure {
    /// A latency, in ns, from one distribution a repetition. `None` when no repetition recorded anything.
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

    /// A rate, in events/s, one a repetition. `None` without repetitions.
    pub fn rate(name: &str, repetitions: &[f64]) -> Option<Self> {
        Self::single(name, "events/s", repetitions)
    }

    /// A single value in `unit`, one a repetition. `None` without repetitions.
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

    /// The same beside the figure `name`, of which each repetition was measured beside the one of the same
    /// number of this figure.
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

    /// The same with its stamps, cores and hops.
    #[must_use]
    pub fn along(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }

    /// The same beside the value `name`; `ratios` has one ratio a repetition.
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

/// The value in the middle, and the spread around it.
fn median(values: &[f64]) -> Option<(f64, f64)> {
    let mut seen = values.to_vec();
    seen.sort_by(f64::total_cmp);
    let median = *seen.get(seen.len() / 2)?;
    Some((median, spread(seen[0], median, seen[seen.len() - 1])))
}

fn spread(smallest: f64, median: f64, largest: f64) -> f64 {
    if median > 0.0 { (largest - smallest) / median } else { 0.0 }
}

/// Everything that one `stele perf` prints.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Report {
    /// What was measured.
    pub scenario: &'static str,
    /// The commit that the program was built from, with `-dirty` where files differed from it; its version
    /// where it was built outside of the repository.
    pub revision: &'static str,
    /// What it was measured on.
    pub machine: Machine,
    /// The machine's own stalls, seen in the same run.
    pub noise: Noise,
    /// The figures.
    pub figures: Vec<Figure>,
}

impl Report {
    /// Of what was measured on this machine by this program.
    pub fn new(scenario: &'static str, noise: Noise, figures: Vec<Figure>) -> Self {
        Self { scenario, revision: env!("STELE_REVISION"), machine: Machine::read(), noise, figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values whose percentiles are those of a distribution around `p50`.
    fn repetition(p50: u64) -> Percentiles {
        Percentiles::new(100_000, [p50, p50, p50 * 2, p50 * 2, p50 * 4], p50 * 4)
    }

    #[test]
    fn a_percentile_that_fewer_than_ten_samples_are_above_is_not_given() {
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
    fn a_latency_figure_is_the_repetition_in_the_middle_with_the_spread() {
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
    fn a_figure_prints_its_percentiles_beside_its_name() {
        let figure = Figure::rate("throughput", &[2.0, 1.0, 3.0]).unwrap();
        let json = serde_json::to_string(&figure).unwrap();
        assert_eq!(json, r#"{"name":"throughput","unit":"events/s","value":2.0,"repeats":3,"spread":1.0}"#);
    }
}
