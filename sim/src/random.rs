//! The only source of randomness: everything that a world does follows from its seed.

use stele_strategies::Random;

/// A seeded random generator. Each part of a world has its own, so that a change in one part leaves the
/// others' numbers unchanged.
#[derive(Clone, Debug)]
pub struct SeededRandom {
    random: Random,
}

impl SeededRandom {
    /// Creates the generator of `part` in the world of `seed`.
    pub fn new(seed: u64, part: u64) -> Self {
        let mut mixed = Random::new(seed);
        let base = mixed.bits();
        Self { random: Random::new(base ^ part.wrapping_mul(0xA24B_AED4_963E_E407)) }
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.random.bits()
    }

    /// Returns a number below `limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    /// Returns a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.random.below(high - low + 1)
    }

    /// Returns true with probability 1 in `count`; never when `count` is 0.
    pub fn one_in(&mut self, count: u64) -> bool {
        count > 0 && self.random.below(count) == 0
    }

    /// Returns one of `choices`.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Returns the index of one of `weights`, each with a probability proportional to its weight.
    ///
    /// # Panics
    /// When all are 0.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut left = self.random.below(u64::from(total)) as u32;
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        panic!("no weight")
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.bits().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_part_give_the_same_numbers_and_others_do_not() {
        let throws = |seed, part| {
            let mut dice = SeededRandom::new(seed, part);
            (0..8).map(|_| dice.bits()).collect::<Vec<_>>()
        };
        assert_eq!(throws(1, 2), throws(1, 2));
        assert_ne!(throws(1, 2), throws(1, 3));
        assert_ne!(throws(1, 2), throws(2, 2));
    }

    #[test]
    fn a_weight_of_zero_is_never_picked_and_every_other_is() {
        let mut dice = SeededRandom::new(1, 1);
        let mut seen = [0; 4];
        (0..400).for_each(|_| seen[dice.weighted(&[1, 0, 3, 1])] += 1);
        assert_eq!(seen[1], 0);
        assert!(seen[0] > 30 && seen[2] > 150 && seen[3] > 30, "{seen:?}");
    }
}
