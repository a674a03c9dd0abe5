//! The one source of chance: everything that a world does follows from its seed.

use stele_strategies::Random;

/// Seeded chance. Each part of a world has dice of its own, so that a change in one leaves the others' throws.
#[derive(Clone, Debug)]
pub struct SeededRandom {
    random: Random,
}

impl SeededRandom {
    /// The dice of `part` in the world of `seed`.
    pub fn new(seed: u64, part: u64) -> Self {
        let mut mixed = Random::new(seed);
        let base = mixed.bits();
        Self { random: Random::new(base ^ part.wrapping_mul(0xA24B_AED4_963E_E407)) }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.random.bits()
    }

    /// A number below `limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.random.below(high - low + 1)
    }

    /// Whether one of `count` throws like this one comes true; never when `count` is 0.
    pub fn one_in(&mut self, count: u64) -> bool {
        count > 0 && self.random.below(count) == 0
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The index of one of `weights`, each as likely as it is heavy.
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

    /// Fills `bytes`.
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
    fn the_same_seed_and_part_throw_the_same_and_others_do_not() {
        let throws = |seed, part| {
            let mut dice = SeededRandom::new(seed, part);
            (0..8).map(|_| dice.bits()).collect::<Vec<_>>()
        };
        assert_eq!(throws(1, 2), throws(1, 2));
        assert_ne!(throws(1, 2), throws(1, 3));
        assert_ne!(throws(1, 2), throws(2, 2));
    }

    #[test]
    fn a_weight_of_nothing_is_never_picked_and_every_other_is() {
        let mut dice = SeededRandom::new(1, 1);
        let mut seen = [0; 4];
        (0..400).for_each(|_| seen[dice.weighted(&[1, 0, 3, 1])] += 1);
        assert_eq!(seen[1], 0);
        assert!(seen[0] > 30 && seen[2] > 150 && seen[3] > 30, "{seen:?}");
    }
}
