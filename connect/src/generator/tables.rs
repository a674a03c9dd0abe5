//! Distributions that are drawn by one table look-up: the quantiles of 1,024 equal parts.

use super::random::Random;

const PARTS: usize = 1024;

/// A distribution over small whole numbers.
#[derive(Clone, Debug)]
pub(super) struct Table(Box<[u16; PARTS]>);

impl Table {
    /// Distances in ticks from the best price of a limit order's own side, 0 to `farthest`: proportional to
    /// `(offset + Δ)^−(1 + exponent)`.
    pub(super) fn distances(offset: f64, exponent: f64, farthest: u16) -> Self {
        let weight = |distance: u16| libm::pow(offset + f64::from(distance), -(1.0 + exponent));
        let total: f64 = (0..=farthest).map(weight).sum();
        let (mut distance, mut below) = (0, weight(0) / total);
        Self(Box::new(std::array::from_fn(|part| {
            while (part as f64 + 0.5) / PARTS as f64 > below && distance < farthest {
                distance += 1;
                below += weight(distance) / total;
            }
            distance
        })))
    }

    /// Order sizes in lots, 1 to `largest`: at least `s` with probability `s^−exponent`.
    pub(super) fn sizes(exponent: f64, largest: u16) -> Self {
        Self(Box::new(std::array::from_fn(|part| {
            let above = 1.0 - (part as f64 + 0.5) / PARTS as f64;
            (libm::pow(above, -1.0 / exponent) as u16).clamp(1, largest)
        })))
    }

    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        self.0[(random.bits() >> (64 - PARTS.ilog2())) as usize].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_tail_asked_for() {
        let (table, mut random) = (Table::sizes(1.7, 200), Random::seeded(5));
        let drawn: Vec<u32> = (0..200_000).map(|_| table.draw(&mut random)).collect();
        let share = |least| drawn.iter().filter(|size| **size >= least).count() as f64 / drawn.len() as f64;
        for least in [2, 4, 8, 16] {
            let expected = f64::from(least).powf(-1.7);
            assert!((share(least) / expected - 1.0).abs() < 0.1, "{least}: {} not {expected}", share(least));
        }
    }

    #[test]
    fn distances_fall_off_as_asked_for_and_end() {
        let (table, mut random) = (Table::distances(3.0, 0.6, 48), Random::seeded(6));
        let drawn: Vec<u32> = (0..200_000).map(|_| table.draw(&mut random)).collect();
        let count = |distance| drawn.iter().filter(|drawn| **drawn == distance).count() as f64;
        assert!((count(0) / count(3) / 2f64.powf(1.6) - 1.0).abs() < 0.1);
        assert!(drawn.iter().all(|distance| *distance <= 48) && count(48) > 0.0);
    }
}
