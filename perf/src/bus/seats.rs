//! The assignment of roles to CPUs.

use stele_bus::IdleStrategy;

/// How publisher, sequencer and consumer share CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sharing {
    /// Every role has its own CPU: every handover goes to another CPU.
    Apart,
    /// Publisher and consumer take turns on one thread: every handover still goes to another CPU.
    PublisherAndConsumer,
    /// Sequencer and consumer take turns on one thread, as the sequencer and the strategies of a running
    /// system do.
    SequencerAndConsumer,
}

impl Sharing {
    /// Returns a way to share `cpus` in which every handover goes to another CPU.
    pub(crate) fn none_if_possible(cpus: &[usize]) -> Self {
        if cpus.len() >= 3 { Self::Apart } else { Self::PublisherAndConsumer }
    }
}

/// The CPUs of the roles. The sequencer gets the first of the given CPUs, which should be the quietest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seats {
    pub(crate) publisher: Option<usize>,
    pub(crate) sequencer: Option<usize>,
    /// One CPU and thread for each consumer. If empty, they run on the thread of the publisher or the
    /// sequencer.
    pub(crate) consumers: Vec<usize>,
    pub(crate) sharing: Sharing,
    pub(crate) threads: usize,
    pub(crate) cpus: usize,
}

impl Seats {
    /// The assignment for one consumer.
    pub(crate) fn of_one(cpus: &[usize], sharing: Sharing) -> Self {
        let at = |index: usize| cpus.get(index).or(cpus.first()).copied();
        let consumers = if sharing == Sharing::Apart { at(2).into_iter().collect() } else { Vec::new() };
        let threads = 2 + consumers.len();
        Self { publisher: at(1), sequencer: at(0), consumers, sharing, threads, cpus: cpus.len() }
    }

    /// The assignment for `count` consumers, each on its own CPU as far as possible. With two CPUs, all of
    /// them take turns on the publisher's thread.
    pub(crate) fn of_many(cpus: &[usize], count: usize) -> Self {
        let sharing = Sharing::none_if_possible(cpus);
        let consumers: Vec<usize> = cpus.iter().skip(2).take(count).copied().collect();
        let threads = 2 + consumers.len();
        Self { consumers, threads, ..Self::of_one(cpus, sharing) }
    }

    /// Returns how idle threads wait: they spin if every thread has its own CPU.
    pub(crate) fn idle(&self) -> IdleStrategy {
        if self.threads <= self.cpus { IdleStrategy::Spin } else { IdleStrategy::SpinYield { spins: 0 } }
    }

    /// Returns whether publisher and consumer share a CPU.
    pub(crate) fn shares_a_core(&self) -> bool {
        self.sharing == Sharing::PublisherAndConsumer || self.cpus < 2
    }

    /// Describes the assignment in words.
    pub(crate) fn describe(&self) -> String {
        let cpu = |cpu: Option<usize>| cpu.map_or("any CPU".into(), |cpu| format!("CPU {cpu}"));
        let (publisher, sequencer) = (cpu(self.publisher), cpu(self.sequencer));
        match self.sharing {
            Sharing::PublisherAndConsumer => {
                format!("publisher and consumers in turn on {publisher}, sequencer on {sequencer}")
            }
            Sharing::SequencerAndConsumer => {
                format!("publisher on {publisher}, sequencer and consumer in turn on {sequencer}")
            }
            Sharing::Apart => {
                let consumers: Vec<String> = self.consumers.iter().map(usize::to_string).collect();
                let consumers = consumers.join(", ");
                format!("publisher on {publisher}, sequencer on {sequencer}, consumers on CPU {consumers}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_two_cpus_consumers_share_that_of_the_publisher_and_with_five_each_has_its_own() {
        let two = Seats::of_many(&[1, 0], 3);
        assert_eq!((two.sequencer, two.publisher, two.consumers.len()), (Some(1), Some(0), 0));
        assert!(two.shares_a_core() && two.idle() == IdleStrategy::Spin);
        let five = Seats::of_many(&[0, 1, 2, 3, 4], 3);
        assert_eq!((five.consumers.as_slice(), five.shares_a_core()), ([2, 3, 4].as_slice(), false));
        let four = Seats::of_many(&[0, 1, 2, 3], 3);
        assert_eq!((four.consumers.as_slice(), four.idle()), ([2, 3].as_slice(), IdleStrategy::Spin));
        assert_ne!(
            Seats::of_one(&[0], Sharing::PublisherAndConsumer).idle(),
            IdleStrategy::Spin,
            "one CPU: no spinning"
        );
    }
}
