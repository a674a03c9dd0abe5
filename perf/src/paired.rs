//! The cost of a feature, measured in pairs of runs with it and without it.

use serde::Serialize;

/// Quantiles of Student's distribution for a two-sided interval of 95 %, by degrees of freedom from 1 on
/// (NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2). For more degrees of freedom, the
/// last one is an upper bound.
const STUDENT_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The ratio of two measurements over several pairs: the geometric mean with its 95 % confidence interval,
/// which assumes that the logarithms of the pairs' ratios are normally distributed.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct PairedRatio {
    /// The name of the measurement.
    pub name: String,
    /// The measurement with the feature divided by that without it.
    pub ratio: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// The number of pairs.
    pub pairs: usize,
}

impl PairedRatio {
    /// Returns the ratio of pairs of (with, without), all above 0; `None` for fewer than two pairs.
    pub fn of(name: &str, pairs: &[(f64, f64)]) -> Option<Self> {
        let logs: Vec<f64> = pairs.iter().map(|(with, without)| (with / without).ln()).collect();
        let quantile = STUDENT_95[logs.len().checked_sub(2)?.min(STUDENT_95.len() - 1)];
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = quantile * (variance / count).sqrt();
        let [ratio, low, high] = [mean, mean - half, mean + half].map(f64::exp);
        Some(Self { name: name.into(), ratio, low, high, pairs: logs.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_students_test_on_the_logarithms() {
        let pairs = [(1.10, 1.0), (2.04, 2.0), (0.53, 0.5), (1.2, 1.25)];
        let found = PairedRatio::of("p50", &pairs).unwrap();
        // Logarithms 0.09531, 0.01980, 0.05827, −0.04082: mean 0.03314, deviation 0.05816, t 3.182 of three
        // degrees.
        let near = |value: f64, expected: f64| (value - expected).abs() < 5e-4;
        assert!(near(found.ratio, 0.03314f64.exp()), "{found:?}");
        assert!(near(found.low, (0.03314f64 - 3.182 * 0.05816 / 2.0).exp()), "{found:?}");
        assert!(near(found.high, (0.03314f64 + 3.182 * 0.05816 / 2.0).exp()), "{found:?}");
    }

    #[test]
    fn one_pair_has_no_interval_and_equal_pairs_have_an_empty_one() {
        assert_eq!(PairedRatio::of("p50", &[(1.0, 1.0)]), None);
        let equal = PairedRatio::of("p50", &[(3.0, 2.0); 40]).unwrap();
        assert!((equal.low - 1.5).abs() < 1e-12 && (equal.high - 1.5).abs() < 1e-12 && equal.pairs == 40);
    }
}
