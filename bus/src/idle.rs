//! What a core does when its agents found nothing to do.

use std::time::Duration;

/// How a core idles. The configuration names one per core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdleStrategy {
    /// Never leaves the processor: the shortest reaction, a whole core at 100 %.
    Spin,
    /// Spins this many times, then offers the processor at each turn: lets a kernel worker in.
    SpinYield {
        /// Turns without work before the first yield.
        spins: u32,
    },
    /// Spins, yields, then sleeps, twice as long each time.
    BackOff {
        /// Turns without work before the first yield.
        spins: u32,
        /// Yields before the first sleep.
        yields: u32,
        /// The first sleep.
        park_min: Duration,
        /// The longest sleep.
        park_max: Duration,
    },
    /// Sleeps this long at each turn without work.
    Park(Duration),
}

impl IdleStrategy {
    /// Back-off that costs little when nothing happens and wakes within a millisecond.
    pub const BACK_OFF: Self = Self::BackOff {
        spins: 100,
        yields: 100,
        park_min: Duration::from_micros(1),
        park_max: Duration::from_millis(1),
    };
}

/// What to do at one turn without work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Spin,
    Yield,
    Sleep(Duration),
}

/// An idle strategy with its place in it.
#[derive(Debug)]
pub struct Idler {
    strategy: IdleStrategy,
    turns: u32,
    sleep: Duration,
}

impl Idler {
    /// At the strategy's beginning.
    pub fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, turns: 0, sleep: Duration::ZERO }
    }

    /// Rests when `work` is 0, else begins anew. Whether it slept.
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
    fn back_off_spins_then_yields_then_sleeps_longer_and_begins_anew_after_work() {
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
