//! Idle strategies: what a core does when its agents find nothing to do.

use std::time::Duration;

/// How a core idles. The configuration chooses one for each core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdleStrategy {
    /// Never yields the CPU: it reacts fastest and keeps a whole CPU busy.
    Spin,
    /// Spins for some duty cycles, then yields the CPU in each: a kernel worker can run.
    SpinYield {
        /// The duty cycles without work before the first yield.
        spins: u32,
    },
    /// Spins, yields, then sleeps, each time twice as long.
    BackOff {
        /// The duty cycles without work before the first yield.
        spins: u32,
        /// The yields before the first sleep.
        yields: u32,
        /// The first sleep.
        park_min: Duration,
        /// The longest sleep.
        park_max: Duration,
    },
    /// Sleeps this long in each duty cycle without work.
    Park(Duration),
}

impl IdleStrategy {
    /// A back-off that uses little CPU when nothing happens and reacts within a millisecond.
    pub const BACK_OFF: Self = Self::BackOff {
        spins: 100,
        yields: 100,
        park_min: Duration::from_micros(1),
        park_max: Duration::from_millis(1),
    };
}

/// What to do in one duty cycle without work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Spin,
    Yield,
    Sleep(Duration),
}

/// Runs an idle strategy.
#[derive(Debug)]
pub struct Idler {
    strategy: IdleStrategy,
    turns: u32,
    sleep: Duration,
}

impl Idler {
    /// An idler at the beginning of `strategy`.
    pub fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, turns: 0, sleep: Duration::ZERO }
    }

    /// Idles once when `work` is 0; otherwise starts the strategy again. Returns whether it slept.
    #[inline]
    pub fn idle(&mut self, work: usize) -> bool {
        if work > 0 {
            self.turns = 0;
            return false;
        }
        match self.rest() {
            Rest::Spin => std::hint::spin_loop(),
            Rest::Yield => std::thread::yield_now(),
            Rest::Sleep(length) => {
                std::thread::sleep(length);
                return true;
            }
        }
        false
    }

    fn rest(&mut self) -> Rest {
        let turn = self.turns;
        self.turns = self.turns.saturating_add(1);
        match self.strategy {
            IdleStrategy::Spin => Rest::Spin,
            IdleStrategy::SpinYield { spins } if turn < spins => Rest::Spin,
            IdleStrategy::SpinYield { .. } => Rest::Yield,
            IdleStrategy::BackOff { spins, .. } if turn < spins => Rest::Spin,
            IdleStrategy::BackOff { spins, yields, .. } if turn - spins < yields => Rest::Yield,
            IdleStrategy::BackOff { spins, yields, park_min, park_max } => {
                let first = turn - spins == yields;
                self.sleep = if first { park_min } else { (self.sleep * 2).min(park_max) };
                Rest::Sleep(self.sleep)
            }
            IdleStrategy::Park(length) => Rest::Sleep(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_spins_then_yields_then_sleeps_longer_and_starts_again_after_work() {
        let micros = Duration::from_micros;
        let strategy =
            IdleStrategy::BackOff { spins: 2, yields: 1, park_min: micros(10), park_max: micros(30) };
        let mut idler = Idler::new(strategy);
        let rests: Vec<Rest> = (0..6).map(|_| idler.rest()).collect();
        let sleeps = [10, 20, 30].map(|length| Rest::Sleep(micros(length)));
        assert_eq!(rests, [[Rest::Spin, Rest::Spin, Rest::Yield], sleeps].concat());
        idler.idle(1);
        assert_eq!(idler.rest(), Rest::Spin);
    }

    #[test]
    fn spin_then_yield_never_sleeps() {
        let mut idler = Idler::new(IdleStrategy::SpinYield { spins: 3 });
        assert_eq!((0..3).map(|_| idler.rest()).collect::<Vec<_>>(), [Rest::Spin; 3]);
        assert!((0..1000).all(|_| idler.rest() == Rest::Yield));
    }
}
