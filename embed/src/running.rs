//! A bus on its threads.

use crate::bus::Parts;
use crate::error::BusError;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use stele_bus::{
    Agent, BusDirectory, Clock as _, ConsumerProgress, ControlPublisher, Core, CoreOptions, Counters,
    DutyCycles, EventSink, GateWatch, IdleStrategy, Idler, LogRing, LossyConsumer, NOT_RECEIVED, Publisher,
    Refusal, SessionCloser, UtcClock,
};
use stele_journal::CatchUp;
use stele_wire::codec::Message;
use stele_wire::messages::EndReason;
use stele_wire::{Position, Sequence};

/// How often a wait looks at the clock and at who holds the bus up.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a stop waits for agents that always find something to do.
const QUIET_PATIENCE: Duration = Duration::from_secs(2);

/// A bus whose sequencer and journal run on threads of their own. Any thread may publish, wait and read.
/// Dropping it ends the session as [`RunningBus::stop`] does, and says nothing where that fails; a thread
/// that panics leaves the trail to recovery.
pub struct RunningBus {
    ring: LogRing,
    trail: PathBuf,
    cores: Vec<Core>,
    control: Publisher,
    closer: SessionCloser,
    consumers: Vec<ConsumerProgress>,
    patience: Duration,
    has_agents: bool,
    counters: Option<Counters>,
    /// Where other processes find it, as long as it lives.
    directory: Option<BusDirectory>,
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
        // The journal first: the other thread would find no thread to write what it sequences.
        let journal = Core::spawn(core("journal", threads.journal_cpu), vec![Box::new(journal)])?;
        let sequencer = Core::spawn(core("sequencer", threads.sequencer_cpu), first)?;
        Ok(Self {
            ring,
            trail,
            cores: vec![sequencer, journal],
            control,
            closer,
            consumers,
            patience: options.patience,
            has_agents,
            counters,
            directory: parts.directory,
        })
    }

    /// The ring, with the log's watermarks.
    pub fn ring(&self) -> &LogRing {
        &self.ring
    }

    /// A consumer that reads copies and never holds the bus up: what it is too slow for is lost to it, and it
    /// says which events.
    pub fn lossy_consumer(&self) -> LossyConsumer {
        LossyConsumer::join(&self.ring)
    }

    /// A consumer of everything from event `from` on, also of earlier sessions, which never holds the bus up:
    /// what the ring no longer has it reads from the trail.
    pub fn catch_up_consumer(&self, from: Sequence) -> CatchUp {
        CatchUp::from(&self.ring, &self.trail, from)
    }

    /// For control events of one's own while the bus runs; each waits for room.
    pub fn control(&mut self) -> ControlPublisher<impl EventSink> {
        let (control, patience) = (&mut self.control, self.patience);
        ControlPublisher::new(move |template_id: u16, body: &[u8]| {
            let (since, mut idler) = (Instant::now(), Idler::new(IdleStrategy::BACK_OFF));
            loop {
                match control.offer(template_id, body, NOT_RECEIVED) {
                    Err(refusal) if refusal.is_transient() && since.elapsed() < patience => idler.idle(0),
                    offered => return offered,
                };
            }
        })
    }

    /// Publishes a message without groups and data, of Stele's schema or another, and waits while there is no
    /// room. Returns the publisher's number of it. It is on the log and durable later, see
    /// [`RunningBus::wait_durable`].
    ///
    /// # Errors
    /// [`BusError::Refused`] with a refusal that stays, [`BusError::Poisoned`], [`BusError::ThreadEnded`];
    /// [`BusError::Patience`] where there is no room in time.
    pub fn publish<M: Message>(&self, publisher: &mut Publisher, message: &M) -> Result<u64, BusError> {
        const {
            assert!(
                M::TAIL_MIN == 0,
                "it has groups or data: encode it, and `retry` to `Publisher::offer` it"
            )
        };
        self.retry(|| publisher.offer_message(message, NOT_RECEIVED))?;
        Ok(publisher.next_sequence() - 1)
    }

    /// Offers until it is taken, such as by [`Publisher::offer`] for a message with groups or data.
    ///
    /// # Errors
    /// As [`RunningBus::publish`].
    pub fn retry(&self, mut offer: impl FnMut() -> Result<(), Refusal>) -> Result<(), BusError> {
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
    /// [`BusError::Poisoned`], [`BusError::ThreadEnded`], [`BusError::Patience`].
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

    /// Ends in order: the agents have seen everything, `SessionEnd` is the last event, everything is durable,
    /// the trail is closed and the threads have ended. Publishers that are left are refused from then on;
    /// consumers may read on.
    ///
    /// # Errors
    /// Why a thread failed, [`BusError::Poisoned`], or [`BusError::Patience`]; the trail is then as a crash
    /// leaves it.
    pub fn stop(self) -> Result<(), BusError> {
        self.stop_because(EndReason::FINISHED, "")
    }

    /// As [`RunningBus::stop`], with the reason and a text that `SessionEnd` records.
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
        if let Err(error @ BusError::Patience { .. }) = ended {
            // A thread that is stuck is not waited for.
            self.cores.clear();
            return Err(error);
        }
        let joined: Vec<_> = self.cores.drain(..).map(Core::join).collect();
        if let Some(counters) = &mut self.counters {
            counters.end();
        }
        self.directory = None;
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
        self.control.finish();
        self.ring.request_stop();
        self.wait("the sequencer stops", || Ok(self.ring.is_stopped()))?;
        let marks = self.ring.watermarks();
        self.wait("everything is durable", || Ok(marks.durable() == marks.published()))
    }

    /// Waits until each thread has taken whole turns in which it found nothing to do; agents that always find
    /// something are not waited for longer than [`QUIET_PATIENCE`].
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
                return Ok(since.elapsed() > QUIET_PATIENCE);
            }
            // The first of two was perhaps under way when the count was taken.
            Ok(now.iter().zip(&seen).all(|(now, seen)| now.idle >= seen.idle + 2))
        })
    }

    /// Waits until `is_so`, for as long as the options allow.
    fn wait(
        &self,
        what: &'static str,
        mut is_so: impl FnMut() -> Result<bool, BusError>,
    ) -> Result<(), BusError> {
        if is_so()? {
            return Ok(());
        }
        let (since, mut looked) = (Instant::now(), Instant::now());
        let mut watch = GateWatch::new(&self.ring, self.consumers.clone(), LOOK_INTERVAL);
        let mut idler = Idler::new(IdleStrategy::BACK_OFF);
        while !is_so()? {
            if let Some(reason) = self.ring.poisoned() {
                return Err(BusError::Poisoned(reason.to_owned()));
            }
            if self.cores.iter().any(Core::is_finished) {
                return Err(BusError::ThreadEnded);
            }
            if looked.elapsed() > LOOK_INTERVAL {
                looked = Instant::now();
                let who = watch.check(looked).map(|stuck| stuck.to_string());
                let waited = since.elapsed();
                if waited > self.patience {
                    return Err(BusError::Patience { what, waited, who });
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
