//! The generator's random numbers: xoshiro256++, whose output depends on its seed alone.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Draws from one seeded stream. The logarithms are `libm`'s, so that a seed gives the same flow on every
/// machine.
#[derive(Clone, Debug)]
pub(super) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    #[inline]
    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number above 0 and at most 1, evenly distributed.
    #[inline]
    pub(super) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// An exponentially distributed number of mean 1.
    #[inline]
    pub(super) fn exponential(&mut self) -> f64 {
        -libm::log(self.unit())
    }

    /// A whole number below `bound`, which is above 0; by multiplication (D. Lemire, "Fast random integer
    /// generation in an interval", 2019), whose bias below 2⁻³² does not matter here.
    #[inline]
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.bits() as u32) * u64::from(bound)) >> 32) as u32
    }

    /// True with a probability of `parts` in 65,536.
    #[inline]
    pub(super) fn chance(&mut self, parts: u32) -> bool {
        (self.bits() >> 48) < u64::from(parts)
    }
}
