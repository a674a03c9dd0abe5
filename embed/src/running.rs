//! A bus that runs on threads.

use crate::bus::Parts;
use crate::error::BusError;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use stele_bus::{
    Agent, Clock as _, ConsumerProgress, ControlPublisher, Core, CoreOptions, Counters, DutyCycles,
    EventSink, GateWatch, IdleStrategy, Idler, LogRing, LossyConsumer, NOT_RECEIVED, Publisher, Refusal,
    SessionCloser, UtcClock,
};
use stele_door::DoorServer;
use stele_journal::CatchUp;
use stele_wire::codec::Message;
use stele_wire::messages::EndReason;
use stele_wire::{Position, Sequence};

/// How often a wait checks the time and the consumers.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a stop waits for agents that always find work.
const QUIET_TIMEOUT: Duration = Duration::from_secs(2);

/// A bus whose sequencer and journal run on threads of their own. Any thread can publish, wait and read.
///
/// Dropping a bus ends the session as [`RunningBus::stop`] does, but ignores errors. When a panicking thread
/// drops it, the session does not end in order, and the next [`Bus::open`](crate::Bus::open) recovers the
/// trail.
pub struct RunningBus {
    ring: LogRing,
    trail: PathBuf,
    cores: Vec<Core>,
    /// Used with exclusive access only: the mutex, never locked, makes the bus `Sync`.
    control: Mutex<Publisher>,
    closer: SessionCloser,
    consumers: Vec<ConsumerProgress>,
    timeout: Duration,
    has_agents: bool,
    counters: Option<Counters>,
    /// What other processes connect to, until it stops.
    door: Option<DoorServer>,
}

impl RunningBus {
    pub(crate) fn start(parts: Parts) -> Result<Self, BusError> {
        let Parts { trail, ring, mut sequencer, agents, journal, control, closer, consumers, .. } = parts;
        let (options, counters) = (parts.options, parts.counters);
        if let Some(counters) = &counters {
            sequencer.register_counters(counters, options.journal.shard.0 as u16)?;
        }
        let threads = options.threads;
        let has_agents = !agents.is_empty();
        let core = |name: &str, cpu| CoreOptions { name: name.into(), cpu, idle: threads.idle };
        let sequencer: Box<dyn Agent> = Box::new(sequencer);
        let first = [sequencer].into_iter().chain(agents).collect();
        // The journal starts first, so that it can write what the sequencer sequences.
        let journal = Core::spawn(core("journal", threads.journal_cpu), vec![Box::new(journal)])?;
        let sequencer = Core::spawn(core("sequencer", threads.sequencer_cpu), first)?;
        Ok(Self {
            ring,
            trail,
            cores: vec![sequencer, journal],
            control: Mutex::new(control),
            closer,
            consumers,
            timeout: options.timeout,
            has_agents,
            counters,
            door: parts.door,
        })
    }

    /// Returns the ring, which has the watermarks of the log.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// Creates a consumer that reads copies and never delays the bus. Where it is too slow, it loses events
    /// and reports which ones.
    pub fn lossy_consumer(&self) -> LossyConsumer {
        LossyConsumer::join(&self.ring)
    }

    /// Creates a consumer of everything from event `from` on, also of earlier sessions, which never delays
    /// the bus. It reads from the trail what the ring no longer has.
    pub fn catch_up_consumer(&self, from: Sequence) -> CatchUp {
        CatchUp::from(&self.ring, &self.trail, from)
    }

    /// Returns a publisher of control events while the bus runs. Each publication waits for room.
    pub fn control(&mut self) -> ControlPublisher<impl EventSink> {
        let timeout = self.timeout;
        let control = self.control.get_mut().unwrap_or_else(PoisonError::into_inner);
        ControlPublisher::new(move |template_id: u16, body: &[u8]| {
            let (since, mut idler) = (Instant::now(), Idler::new(IdleStrategy::BACK_OFF));
            loop {
                match control.offer(template_id, body, NOT_RECEIVED) {
                    Err(refusal) if refusal.is_transient() && since.elapsed() < timeout => idler.idle(0),
                    offered => return offered,
                };
            }
        })
    }

    /// Publishes a message without groups and data, of Stele's schema or another, and waits while there is no
    /// room. Returns the publisher's number of the message, which is on the log and durable later, see
    /// [`RunningBus::wait_durable`].
    ///
    /// # Errors
    /// [`BusError::Refused`] where the refusal is not transient, [`BusError::Poisoned`],
    /// [`BusError::ThreadEnded`], and [`BusError::Timeout`] where there is no room in time.
    pub fn publish<M: Message>(&self, publisher: &mut Publisher, message: &M) -> Result<u64, BusError> {
        const {
            assert!(
                M::TAIL_MIN == 0,
                "the message has groups or data: encode it, and pass `Publisher::offer` to `retry`"
            )
        };
        self.retry(|| publisher.offer_message(message, NOT_RECEIVED))?;
        Ok(publisher.next_sequence() - 1)
    }

    /// Calls `offer` until it succeeds, such as [`Publisher::offer`] for a message with groups or data.
    ///
    /// # Errors
    /// As [`RunningBus::publish`].
    pub fn retry(&self, mut offer: impl FnMut() -> Result<(), Refusal>) -> Result<(), BusError> {
        self.check_threads()?;
        self.wait("there is room for a submission", || match offer() {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.is_transient() => Ok(false),
            Err(Refusal::JournalPoisoned) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        })
    }

    /// Waits until everything that `publisher` has submitted is durable.
    ///
    /// # Errors
    /// [`BusError::Poisoned`], [`BusError::ThreadEnded`], [`BusError::Timeout`].
    pub fn wait_durable(&self, publisher: &Publisher) -> Result<(), BusError> {
        self.wait("what was submitted is durable", || Ok(publisher.is_durable()))
    }

    /// Waits until the log is durable up to `position`, such as the end of an event.
    ///
    /// # Errors
    /// As [`RunningBus::wait_durable`].
    pub fn wait_durable_to(&self, position: Position) -> Result<(), BusError> {
        self.wait("the log is durable that far", || Ok(self.ring.watermarks().durable() >= position))
    }

    /// Stops in order: the agents have seen every event, `SessionEnd` is the last event, everything is
    /// durable, the trail is closed and the threads have ended. Publishers are refused from then on;
    /// consumers can continue to read.
    ///
    /// # Errors
    /// The failure of a thread, [`BusError::Poisoned`] or [`BusError::Timeout`]. The trail is then as after a
    /// crash.
    pub fn stop(self) -> Result<(), BusError> {
        self.stop_because(EndReason::FINISHED, "")
    }

    /// Stops as [`RunningBus::stop`] does, with a reason and a text for `SessionEnd`.
    ///
    /// # Errors
    /// As [`RunningBus::stop`].
    pub fn stop_because(mut self, reason: EndReason, text: &str) -> Result<(), BusError> {
        self.end(reason, text)
    }

    fn end(&mut self, reason: EndReason, text: &str) -> Result<(), BusError> {
        let ended = self.end_in_order(reason, text);
        self.ring.request_stop();
        self.cores.iter().for_each(Core::stop);
        if let Err(error @ BusError::Timeout { .. }) = ended {
            // A thread that does not respond is not joined.
            self.cores.clear();
            return Err(error);
        }
        let joined: Vec<_> = self.cores.drain(..).map(Core::join).collect();
        if let Some(counters) = &mut self.counters {
            counters.end();
        }
        self.door = None;
        if let Some(reason) = self.ring.poisoned() {
            return Err(BusError::Poisoned(reason.to_owned()));
        }
        joined.into_iter().collect::<Result<(), _>>()?;
        ended
    }

    fn end_in_order(&mut self, reason: EndReason, text: &str) -> Result<(), BusError> {
        if self.has_agents {
            self.wait_quiet()?;
        }
        self.closer.set(reason, UtcClock::new().now(), text);
        self.control.get_mut().unwrap_or_else(PoisonError::into_inner).finish();
        self.ring.request_stop();
        self.wait("the sequencer stops", || Ok(self.ring.is_stopped()))?;
        let marks = self.ring.watermarks();
        self.wait("everything is durable", || Ok(marks.durable() == marks.published()))
    }

    /// Waits until each thread has finished turns in which it found no work, or until [`QUIET_TIMEOUT`] where
    /// agents always find work.
    fn wait_quiet(&self) -> Result<(), BusError> {
        let turns = || self.cores.iter().map(Core::duty_cycles).collect::<Vec<DutyCycles>>();
        let (since, mut seen) = (Instant::now(), turns());
        self.wait("the agents have nothing to do", || {
            let now = turns();
            let marks = self.ring.watermarks();
            let is_still = now.iter().zip(&seen).all(|(now, seen)| now.working == seen.working)
                && marks.written() == marks.published();
            if !is_still {
                seen = now;
                return Ok(since.elapsed() > QUIET_TIMEOUT);
            }
            // The first of two idle turns may have begun before the count was read.
            Ok(now.iter().zip(&seen).all(|(now, seen)| now.idle >= seen.idle + 2))
        })
    }

    /// Returns an error where a thread has ended: an atomic read for each thread while all of them run.
    fn check_threads(&self) -> Result<(), BusError> {
        if !self.cores.iter().any(Core::is_finished) {
            return Ok(());
        }
        let poisoned = self.ring.poisoned().map(|reason| BusError::Poisoned(reason.to_owned()));
        Err(poisoned.unwrap_or(BusError::ThreadEnded))
    }

    /// Waits until `is_so` returns true, or until the timeout.
    fn wait(
        &self,
        what: &'static str,
        mut is_so: impl FnMut() -> Result<bool, BusError>,
    ) -> Result<(), BusError> {
        if is_so()? {
            return Ok(());
        }
        let (since, mut checked_at) = (Instant::now(), Instant::now());
        let mut watch = GateWatch::new(&self.ring, self.consumers.clone(), CHECK_INTERVAL);
        let mut idler = Idler::new(IdleStrategy::BACK_OFF);
        while !is_so()? {
            if let Some(reason) = self.ring.poisoned() {
                return Err(BusError::Poisoned(reason.to_owned()));
            }
            self.check_threads()?;
            if checked_at.elapsed() > CHECK_INTERVAL {
                checked_at = Instant::now();
                let stalled = watch.check(checked_at).map(|stuck| stuck.to_string());
                let waited = since.elapsed();
                if waited > self.timeout {
                    return Err(BusError::Timeout { what, waited, stalled });
                }
            }
            idler.idle(0);
        }
        Ok(())
    }
}

impl Drop for RunningBus {
    fn drop(&mut self) {
        if self.cores.is_empty() || std::thread::panicking() {
            return;
        }
        let _ = self.end(EndReason::REQUESTED, "the bus was dropped");
    }
}
