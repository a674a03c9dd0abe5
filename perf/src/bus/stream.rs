//! Passes a stream of events at full speed through a publisher, a relay and consumers.

use super::load::Stopwatch;
use super::seats::{Seats, Sharing};
use crate::cpu::on_cpu;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use stele_bus::Idler;

/// One turn of a role. Returns how many events it handled.
pub(crate) type Turn<'a> = Box<dyn FnMut() -> u64 + Send + 'a>;

/// The roles of one stream.
pub(crate) struct Roles<'a> {
    /// Publishes up to the given number of events and returns how many; called with 0 once all are published.
    pub(crate) publish: Box<dyn FnMut(u64) -> u64 + Send + 'a>,
    /// The role between publisher and consumers.
    pub(crate) relay: Turn<'a>,
    pub(crate) consumers: Vec<Turn<'a>>,
}

/// The number of events that are published at once.
pub(crate) const BATCH: u64 = 64;

/// The result of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed {
    /// Events per second, from the first publication until every consumer has seen the last event or, without
    /// consumers, until it has been relayed.
    pub(crate) rate: f64,
    /// Nanoseconds until the consumers on the first consumer's thread have seen the last event; 0 without
    /// one.
    pub(crate) first_ns: u64,
}

/// Passes `count` events through the roles.
pub(crate) fn stream(count: u64, seats: &Seats, roles: Roles<'_>) -> Streamed {
    let Roles { mut publish, relay, consumers } = roles;
    let watch = Stopwatch::start();
    let (is_done, end, first) = (&AtomicBool::new(false), &AtomicU64::new(0), &AtomicU64::new(0));
    let mut relay = Last { turn: relay, left: if consumers.is_empty() { count } else { u64::MAX } };
    let groups = grouped(consumers, seats, count);
    let has_consumers = groups.iter().any(|(_, group)| !group.is_empty());
    let finish = |at: u64| end.fetch_max(at, Ordering::AcqRel);
    std::thread::scope(|scope| {
        let watch = &watch;
        scope.spawn(move || {
            on_cpu(seats.sequencer, || {
                let mut idle = Idler::new(seats.idle());
                while !is_done.load(Ordering::Relaxed) {
                    idle.idle(relay.turn() as usize);
                    if relay.left == 0 {
                        finish(watch.now());
                        is_done.store(true, Ordering::Relaxed);
                    }
                }
            });
        });
        let mut groups = groups.into_iter();
        let mut own = if seats.sharing == Sharing::PublisherAndConsumer { groups.next() } else { None };
        let apart: Vec<_> = groups
            .enumerate()
            .map(|(index, (cpu, mut group))| {
                scope.spawn(move || {
                    on_cpu(cpu, || {
                        let mut idle = Idler::new(seats.idle());
                        while group.iter().any(|last| last.left > 0) {
                            let work: u64 = group.iter_mut().map(Last::turn).sum();
                            idle.idle(work as usize);
                        }
                        let now = watch.now();
                        if index == 0 {
                            first.store(now, Ordering::Release);
                        }
                        finish(now);
                    });
                })
            })
            .collect();
        on_cpu(seats.publisher, || {
            let mut idle = Idler::new(seats.idle());
            let mut left = count;
            loop {
                let sent = publish(left.min(BATCH));
                left -= sent;
                let group = own.iter_mut().flat_map(|(_, group)| group);
                let seen: u64 = group.map(Last::turn).sum();
                let is_seen = own.iter().flat_map(|(_, group)| group).all(|last| last.left == 0);
                if left == 0 && is_seen {
                    break;
                }
                idle.idle((sent + seen) as usize);
            }
            if own.is_some() && has_consumers {
                first.store(watch.now(), Ordering::Release);
                finish(watch.now());
            }
        });
        for thread in apart {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        if has_consumers {
            is_done.store(true, Ordering::Relaxed);
        }
    });
    let rate = count as f64 * 1e9 / end.load(Ordering::Acquire) as f64;
    Streamed { rate, first_ns: first.load(Ordering::Acquire) }
}

/// A role with the number of events that are still to come.
struct Last<'a> {
    turn: Turn<'a>,
    left: u64,
}

impl Last<'_> {
    fn turn(&mut self) -> u64 {
        let seen = (self.turn)();
        // The sequencer also counts the few events that it publishes itself.
        self.left = self.left.saturating_sub(seen);
        seen
    }
}

/// Groups the consumers by CPU.
fn grouped<'a>(consumers: Vec<Turn<'a>>, seats: &Seats, count: u64) -> Vec<(Option<usize>, Vec<Last<'a>>)> {
    let cpus: Vec<Option<usize>> = match seats.sharing {
        Sharing::Apart => seats.consumers.iter().copied().map(Some).collect(),
        Sharing::PublisherAndConsumer => vec![seats.publisher],
        Sharing::SequencerAndConsumer => {
            unreachable!("consumers of a stream are on the publisher's CPU or on their own")
        }
    };
    let mut groups: Vec<_> = cpus.into_iter().map(|cpu| (cpu, Vec::new())).collect();
    let places = groups.len();
    for (index, turn) in consumers.into_iter().enumerate() {
        groups[index % places].1.push(Last { turn, left: count });
    }
    groups
}
