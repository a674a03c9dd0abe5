//! Delays of orders to the exchange and of its reports back.

use std::collections::VecDeque;
use stele_strategies::random::Random;

/// How long a message is in flight: `base`, plus a random part between 0 and `jitter`, uniformly
/// distributed. No message overtakes the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delay {
    /// The shortest time, in nanoseconds.
    pub base: u64,
    /// The most that is added to it, in nanoseconds.
    pub jitter: u64,
}

impl Delay {
    /// No delay.
    pub const NONE: Self = Self { base: 0, jitter: 0 };
}

/// Messages in flight, in the order in which they were sent.
#[derive(Clone, Debug)]
pub(super) struct Line<T> {
    delay: Delay,
    random: Random,
    now: u64,
    last_due: u64,
    waiting: VecDeque<(u64, T)>,
}

/// The number of messages that fit before anything is allocated.
const CAPACITY: usize = 256;

impl<T> Line<T> {
    /// Creates a line without delay.
    pub(super) fn at_once() -> Self {
        Self::new(Delay::NONE, 0)
    }

    pub(super) fn new(delay: Delay, seed: u64) -> Self {
        let waiting = VecDeque::with_capacity(CAPACITY);
        Self { delay, random: Random::new(seed), now: 0, last_due: 0, waiting }
    }

    /// Sets the delay of messages that are sent from now on.
    pub(super) fn set_delay(&mut self, delay: Delay, seed: u64) {
        (self.delay, self.random) = (delay, Random::new(seed));
    }

    /// Advances the time to `now`, in nanoseconds since the epoch; it never goes back.
    pub(super) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// Sends a message now.
    pub(super) fn push(&mut self, message: T) {
        let due = if self.delay == Delay::NONE {
            self.now
        } else {
            let more = if self.delay.jitter == 0 { 0 } else { self.random.below(self.delay.jitter + 1) };
            self.now.saturating_add(self.delay.base).saturating_add(more)
        };
        self.last_due = self.last_due.max(due);
        self.waiting.push_back((self.last_due, message));
    }

    /// Loses every message in flight.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Returns when the first message arrives.
    pub(super) fn due(&self) -> Option<u64> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Returns the first message if it has arrived.
    pub(super) fn front(&self) -> Option<&T> {
        self.waiting.front().filter(|(due, _)| *due <= self.now).map(|(_, message)| message)
    }

    /// Removes and returns the first message if it has arrived.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.front()?;
        self.waiting.pop_front().map(|(_, message)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_message_arrives_within_its_delay_and_none_overtakes_another(
            base in 0u64..300, jitter in 0u64..300, seed: u64, gaps in prop::collection::vec(0u64..50, 1..50)
        ) {
            let play = || {
                let mut line = Line::new(Delay { base, jitter }, seed);
                let (mut left, mut arrived) = (Vec::new(), Vec::new());
                let departures: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
                for now in 0..=departures.last().unwrap() + base + jitter {
                    line.advance(now);
                    while departures.get(left.len()) == Some(&now) {
                        line.push(left.len());
                        left.push(now);
                    }
                    while let Some(message) = line.pop() {
                        assert_eq!(message, arrived.len(), "none overtakes another");
                        arrived.push(now);
                    }
                }
                (left, arrived)
            };
            let (left, arrived) = play();
            prop_assert_eq!(left.len(), arrived.len());
            for (left, arrived) in left.iter().zip(&arrived) {
                prop_assert!((left + base..=left + base + jitter).contains(arrived));
            }
            prop_assert_eq!((left, arrived), play(), "the seed decides");
        }
    }
}
