//! A self-exciting point process, simulated exactly.
//!
//! The intensity is `λ(t) = μ + Σ α·exp(−β·(t − tᵢ))` over the past arrivals `tᵢ` (A. G. Hawkes, "Spectra of
//! some self-exciting and mutually exciting point processes", Biometrika 58, 1971). Each arrival causes
//! `n = α/β` others on average, the branching ratio, so the mean rate is `μ / (1 − n)`. The times between
//! arrivals are drawn without rejection by the decomposition of A. Dassios and H. Zhao, "Exact simulation of
//! Hawkes process with exponentially decaying intensity", Electronic Communications in Probability 18, 2013,
//! algorithm 3.1: the next arrival is the earlier of one from the base rate and one from what is left of the
//! excitement.

use super::random::Random;

/// One self-exciting process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hawkes {
    base_rate: f64,
    jump: f64,
    decay: f64,
    /// Intensity above the base rate, just after the last arrival.
    excitement: f64,
}

impl Hawkes {
    /// A process of `rate` arrivals a second in the long run. Each arrival causes `branching` others, on
    /// average after `memory` mean times between arrivals.
    pub(super) fn new(rate: f64, branching: f64, memory: f64) -> Self {
        assert!(rate > 0.0 && (0.0..1.0).contains(&branching) && memory > 0.0);
        let decay = rate / memory;
        let base_rate = rate * (1.0 - branching);
        Self { base_rate, jump: branching * decay, decay, excitement: rate - base_rate }
    }

    /// Seconds from the last arrival to the next.
    #[inline]
    pub(super) fn next(&mut self, random: &mut Random) -> f64 {
        let from_base = random.exponential() / self.base_rate;
        // What is left of the excitement brings one more arrival with probability 1 − exp(−excitement/decay).
        let room = 1.0 - random.exponential() * self.decay / self.excitement;
        let (elapsed, left) = if room > 0.0 {
            let from_excitement = -libm::log(room) / self.decay;
            if from_excitement < from_base {
                (from_excitement, room)
            } else {
                (from_base, libm::exp(-self.decay * from_base))
            }
        } else {
            (from_base, libm::exp(-self.decay * from_base))
        };
        self.excitement = self.excitement * left + self.jump;
        elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_the_branching_ratio_are_those_asked_for() {
        let (mut process, mut random) = (Hawkes::new(1_000.0, 0.7, 2.0), Random::seeded(11));
        // The ratio of variance and mean of the counts in windows that are long against the memory is
        // 1 / (1 − n)² (S. J. Hardiman and J.-P. Bouchaud, Physical Review E 90, 2014, equation 5).
        let window = 0.2;
        let (mut time, mut counts) = (0.0, vec![0.0f64; 5_000]);
        loop {
            time += process.next(&mut random);
            match counts.get_mut((time / window) as usize) {
                Some(count) => *count += 1.0,
                None => break,
            }
        }
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        let branching = 1.0 - (mean / variance).sqrt();
        assert!((190.0..210.0).contains(&mean), "{mean} arrivals a window");
        assert!((0.66..0.74).contains(&branching), "branching ratio {branching}");
    }

    #[test]
    fn without_branching_it_is_a_poisson_process() {
        let (mut process, mut random) = (Hawkes::new(10.0, 0.0, 1.0), Random::seeded(3));
        let distances: Vec<f64> = (0..100_000).map(|_| process.next(&mut random)).collect();
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        let squares =
            distances.iter().map(|distance| distance * distance).sum::<f64>() / distances.len() as f64;
        assert!((0.099..0.101).contains(&mean), "{mean}");
        assert!(
            (1.95..2.05).contains(&(squares / (mean * mean))),
            "an exponential's second moment is twice m²"
        );
    }
}
