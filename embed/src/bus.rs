//! A bus that is open and not running on threads: what is given out before it starts, and driving it by hand.

use crate::earlier::Earlier;
use crate::error::BusError;
use crate::options::{BusOptions, RemoteAccess};
use crate::running::RunningBus;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stele_bus::bounds::{GATING_CONSUMERS_MAX, PUBLISHER_WORDS_DEFAULT, PUBLISHERS_MAX};
use stele_bus::session::{ProgramIdentity, Schema};
use stele_bus::{
    Agent, BusDirectory, Clock as _, ClockStatus, ConsumerProgress, ControlPublisher, Counters, EventSink,
    GatingConsumer, LogRing, LossyConsumer, NOT_RECEIVED, Publisher, Refusal, Sequencer, SequencerStart,
    SessionBeginning, SessionCloser, UtcClock,
};
use stele_journal::{CatchUp, Journal, Notice, RecoveryReport};
use stele_risk::Risk;
use stele_wire::codec::Message;
use stele_wire::messages::EndReason;
use stele_wire::{Epoch, Nanos, Position, Sequence};

/// The publisher of the session's own events.
const CONTROL_PUBLISHER: u16 = 1;
/// Turns without work and with everything durable after which nothing more is on its way.
const QUIET_TURNS: u32 = 3;
/// How long the caller's thread sleeps in a turn without work, while it waits.
const NAP: Duration = Duration::from_micros(50);

/// A bus on a trail, driven by the thread that has it: each [`Bus::turn`] is a duty cycle of the sequencer,
/// the agents and the journal. [`Bus::start`] gives them threads instead. Dropping it ends the session as
/// [`Bus::stop`] does, and says nothing where that fails; a thread that panics leaves the trail to recovery.
pub struct Bus {
    parts: Option<Parts>,
}

/// What a bus consists of.
pub(crate) struct Parts {
    pub(crate) trail: PathBuf,
    pub(crate) ring: LogRing,
    pub(crate) sequencer: Sequencer<UtcClock>,
    pub(crate) agents: Vec<Box<dyn Agent>>,
    pub(crate) journal: Journal,
    pub(crate) control: Publisher,
    pub(crate) closer: SessionCloser,
    pub(crate) consumers: Vec<ConsumerProgress>,
    pub(crate) options: BusOptions,
    pub(crate) counters: Option<Counters>,
    /// Where other processes find it, as long as it lives.
    pub(crate) directory: Option<BusDirectory>,
    start: SequencerStart,
    recovery: RecoveryReport,
    notices: Vec<Notice>,
    publishers: BTreeSet<u16>,
    has_turned: bool,
}

impl Bus {
    /// Opens the trail in the directory `trail`, which is made where it is missing, and begins a session:
    /// when this returns, the session's beginning is on the log. What an earlier session left is recovered,
    /// never overwritten.
    ///
    /// # Errors
    /// [`BusError`]; [`BusError::Open`] where another process writes the trail, or where it needs repair.
    pub fn open(trail: impl AsRef<Path>, options: BusOptions) -> Result<Self, BusError> {
        let (trail, mut clock) = (trail.as_ref(), UtcClock::new());
        let now = clock.now();
        let opened = Journal::open(trail, &options.journal, now)?;
        let with_numbers = options.remote.as_ref().is_some_and(|remote| !remote.publishers.is_empty());
        let earlier = match opened.recovery.epoch {
            Epoch(0) => Earlier::default(),
            _ => Earlier::read(trail, with_numbers)?,
        };
        let (start, recovery) = (opened.start, opened.recovery.clone());
        let directory =
            options.remote.as_ref().map(|remote| BusDirectory::create(&remote.name)).transpose()?;
        let shard =
            directory.as_ref().map(|directory| directory.shard(start.identity.shard.0)).transpose()?;
        let ring = match &shard {
            Some(shard) => {
                shard.set_trail(trail)?;
                LogRing::create_at(&shard.ring(), &options.ring, start.position)?
            }
            None => LogRing::create(&options.ring, start.position)?,
        };
        let sequencer = Sequencer::new(&start, ring.writer, clock, Risk::new(options.risk));
        let mut sequencer =
            sequencer.map_err(|source| BusError::Geometry { trail: trail.to_owned(), source })?;
        sequencer.continue_numbering(earlier.numbers.clone());
        let control = sequencer.publisher(CONTROL_PUBLISHER, "session", PUBLISHER_WORDS_DEFAULT);
        let (mut journal, notices) = opened.attach(ring.journal)?;
        let counters = match &directory {
            Some(directory) => Some(Counters::create_at(&directory.counters()).map_err(no_counters)?),
            None => None,
        };
        if let Some(counters) = &counters {
            journal.register_counters(counters, start.identity.shard.0 as u16)?;
        }
        let mut parts = Parts {
            trail: trail.to_owned(),
            ring: ring.ring,
            closer: sequencer.session_closer(),
            sequencer,
            agents: Vec::new(),
            journal,
            control,
            consumers: Vec::new(),
            options,
            counters,
            directory,
            start,
            recovery,
            notices,
            publishers: BTreeSet::from([CONTROL_PUBLISHER]),
            has_turned: false,
        };
        parts.make_places()?;
        parts.begin(&earlier, now)?;
        Ok(Self { parts: Some(parts) })
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("taken by `start` and `stop` alone, which take the bus")
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.parts.as_mut().expect("taken by `start` and `stop` alone, which take the bus")
    }

    /// A publisher of this process: its number is the lowest from 2 on that is free. Publishers that are
    /// asked for in the same order have the same numbers in every session.
    ///
    /// # Errors
    /// [`BusError::Place`].
    pub fn publisher(&mut self, name: &str) -> Result<Publisher, BusError> {
        let taken = &self.parts().publishers;
        let id = (CONTROL_PUBLISHER..).find(|id| !taken.contains(id)).expect("there are few");
        self.publisher_of(id, name)
    }

    /// A publisher of this process with the number `id`, not 0 or 1.
    ///
    /// # Errors
    /// [`BusError::Place`].
    pub fn publisher_of(&mut self, id: u16, name: &str) -> Result<Publisher, BusError> {
        let parts = self.parts_mut();
        parts.take_publisher(id)?;
        Ok(parts.sequencer.publisher(id, name, PUBLISHER_WORDS_DEFAULT))
    }

    /// A consumer that reads in place: of the whole session, from its `SessionStart` on, when it is asked for
    /// before the bus is first driven, otherwise of everything published from now on. While it does not read,
    /// publishers are refused in the end: drop it when it is done. `name` says who it is when it is stuck.
    ///
    /// # Errors
    /// [`BusError::Place`].
    pub fn gating_consumer(&mut self, name: &str) -> Result<GatingConsumer, BusError> {
        let parts = self.parts_mut();
        if parts.consumers.len() == GATING_CONSUMERS_MAX {
            return Err(BusError::Place(format!("more than {GATING_CONSUMERS_MAX} gating consumers")));
        }
        let consumer = if parts.has_turned {
            parts.sequencer.gating_consumer(name)
        } else {
            parts.sequencer.gating_consumer_from(name, parts.start.position)
        };
        parts.consumers.push(consumer.progress());
        Ok(consumer)
    }

    /// A consumer that reads copies and never holds the bus up: what it is too slow for is lost to it, and it
    /// says which events.
    pub fn lossy_consumer(&self) -> LossyConsumer {
        LossyConsumer::join(&self.parts().ring)
    }

    /// A consumer of everything from event `from` on, also of earlier sessions, which never holds the bus up:
    /// what the ring no longer has it reads from the trail.
    pub fn catch_up_consumer(&self, from: Sequence) -> CatchUp {
        CatchUp::from(&self.parts().ring, &self.parts().trail, from)
    }

    /// Adds an agent, which takes its turn after the sequencer, on its thread. It ends with the bus.
    ///
    /// # Panics
    /// When the bus has been driven by hand already.
    pub fn add_agent(&mut self, agent: impl Agent + 'static) {
        let parts = self.parts_mut();
        assert!(!parts.has_turned, "agents start together: add them before the first turn");
        parts.agents.push(Box::new(agent));
    }

    /// For control events of one's own, such as definitions of sources and instruments: each is on the log
    /// when it has been published.
    pub fn control(&mut self) -> ControlPublisher<impl EventSink> {
        let parts = self.parts_mut();
        ControlPublisher::new(|template_id: u16, body: &[u8]| parts.submit_control(template_id, body))
    }

    /// The ring, with the log's watermarks.
    pub fn ring(&self) -> &LogRing {
        &self.parts().ring
    }

    /// Where the log went on: trail, shard, epoch, first sequence.
    pub fn session(&self) -> &SequencerStart {
        &self.parts().start
    }

    /// What opening the trail found and did.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.parts().recovery
    }

    /// What a person should know of how the journal writes: that it works, but not at its best.
    pub fn notices(&self) -> &[Notice] {
        &self.parts().notices
    }

    /// Starts the threads: from here on nothing is left to do for the caller but to publish, to read and to
    /// stop.
    ///
    /// # Errors
    /// [`BusError::Thread`] where one cannot be started.
    ///
    /// # Panics
    /// When there are agents and they have been driven by hand already.
    pub fn start(mut self) -> Result<RunningBus, BusError> {
        let parts = self.parts.take().expect("taken by `start` and `stop` alone, which take the bus");
        assert!(!parts.has_turned || parts.agents.is_empty(), "agents start on their thread");
        RunningBus::start(parts)
    }

    /// One duty cycle of the sequencer, each agent and the journal. Returns how much was done, 0 when there
    /// was nothing.
    ///
    /// # Errors
    /// [`BusError::Agent`], [`BusError::Poisoned`].
    pub fn turn(&mut self) -> Result<usize, BusError> {
        self.parts_mut().turn()
    }

    /// Turns until nothing is left to do and everything is durable.
    ///
    /// # Errors
    /// As [`Bus::turn`]; [`BusError::Patience`] where it does not come to that.
    pub fn settle(&mut self) -> Result<(), BusError> {
        self.parts_mut().settle()
    }

    /// Publishes a message without groups and data, of Stele's schema or another, and turns while there is no
    /// room. Returns the publisher's number of it.
    ///
    /// # Errors
    /// [`BusError::Refused`], and as [`Bus::settle`].
    pub fn publish<M: Message>(&mut self, publisher: &mut Publisher, message: &M) -> Result<u64, BusError> {
        const {
            assert!(
                M::TAIL_MIN == 0,
                "it has groups or data: encode it, and `retry` to `Publisher::offer` it"
            )
        };
        self.retry(|| publisher.offer_message(message, NOT_RECEIVED))?;
        Ok(publisher.next_sequence() - 1)
    }

    /// Offers until it is taken, and turns while there is no room.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub fn retry(&mut self, mut offer: impl FnMut() -> Result<(), Refusal>) -> Result<(), BusError> {
        let parts = self.parts_mut();
        parts.wait("there is room for a submission", |_| match offer() {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.is_transient() => Ok(false),
            Err(refusal) => Err(refusal.into()),
        })
    }

    /// Turns until everything that `publisher` has submitted is durable.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn wait_durable(&mut self, publisher: &Publisher) -> Result<(), BusError> {
        self.parts_mut().wait("what was submitted is durable", |_| Ok(publisher.is_durable()))
    }

    /// Turns until the log is durable up to `position`, such as the end of an event.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn wait_durable_to(&mut self, position: Position) -> Result<(), BusError> {
        let is_so = |parts: &Parts| Ok(parts.ring.watermarks().durable() >= position);
        self.parts_mut().wait("the log is durable that far", is_so)
    }

    /// Ends in order: the agents have seen everything, `SessionEnd` is the last event, everything is durable,
    /// and the trail is closed. Publishers that are left are refused from then on.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn stop(self) -> Result<(), BusError> {
        self.stop_because(EndReason::FINISHED, "")
    }

    /// As [`Bus::stop`], with the reason and a text that `SessionEnd` records.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn stop_because(mut self, reason: EndReason, text: &str) -> Result<(), BusError> {
        let parts = self.parts.take().expect("taken by `start` and `stop` alone, which take the bus");
        parts.stop(reason, text)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take().filter(|_| !std::thread::panicking()) {
            let _ = parts.stop(EndReason::REQUESTED, "the bus was dropped");
        }
    }
}

impl Parts {
    /// Places for publishers in other processes.
    fn make_places(&mut self) -> Result<(), BusError> {
        let Some(RemoteAccess { publishers, .. }) = self.options.remote.clone() else { return Ok(()) };
        let directory = self.directory.as_ref().expect("made where there is access");
        let shard = directory.shard(self.start.identity.shard.0)?;
        for (id, name) in publishers {
            self.take_publisher(id)?;
            let path = shard.publisher(id);
            let made = self.sequencer.remote_publisher(&path, id, &name, PUBLISHER_WORDS_DEFAULT);
            made.map_err(|source| BusError::RemotePublisher { path, source })?;
        }
        Ok(())
    }

    fn take_publisher(&mut self, id: u16) -> Result<(), BusError> {
        if self.publishers.len() == PUBLISHERS_MAX {
            return Err(BusError::Place(format!("more than {PUBLISHERS_MAX} publishers")));
        }
        if id == 0 || !self.publishers.insert(id) {
            return Err(BusError::Place(format!("publisher number {id} is taken: choose another")));
        }
        Ok(())
    }

    /// Puts what the session begins with on the log.
    fn begin(&mut self, earlier: &Earlier, now: Nanos) -> Result<(), BusError> {
        let (options, recovery) = (self.options.clone(), self.recovery.clone());
        let own = Schema { hash: options.journal.schema, ..Schema::stele() };
        let is_missing = |schema: &Schema<'_>| !earlier.schemas.hashes.contains(&schema.hash);
        let session = SessionBeginning::new(&self.start.identity, now)
            .following(recovery.last_sequence, recovery.ended_cleanly())
            .run_by(&ProgramIdentity::of_this_process(&options.program_version))
            .of_schema(&own)
            .configured(&options.configuration);
        let session = SessionBeginning {
            schemas: [own].into_iter().chain(options.schemas.iter().copied()).filter(is_missing).collect(),
            recovered: recovery.events(),
            clock: Some(ClockStatus::default()),
            limits: options.limits.clone(),
            ..session
        };
        let sink = |template_id: u16, body: &[u8]| self.submit_control(template_id, body);
        Ok(ControlPublisher::new(sink).begin(&session)?)
    }

    /// Submits a control event and sequences everything.
    fn submit_control(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        self.control.offer(template_id, body, NOT_RECEIVED)?;
        while self.sequencer.do_work().expect("a sequencer has no way to fail") > 0 {}
        Ok(())
    }

    fn turn(&mut self) -> Result<usize, BusError> {
        let is_first = !std::mem::replace(&mut self.has_turned, true);
        let mut work = self.sequencer.do_work().map_err(|source| of_agent("sequencer", source))?;
        for agent in &mut self.agents {
            if is_first {
                agent.on_start().map_err(|source| of_agent(agent.name(), source))?;
            }
            work += agent.do_work().map_err(|source| of_agent(agent.name(), source))?;
        }
        let written = self.journal.do_work();
        Ok(work + written.map_err(|failure| BusError::Poisoned(failure.to_string()))?)
    }

    /// Turns until `is_so`, for as long as the options allow.
    fn wait(
        &mut self,
        what: &'static str,
        mut is_so: impl FnMut(&Self) -> Result<bool, BusError>,
    ) -> Result<(), BusError> {
        let since = Instant::now();
        while !is_so(self)? {
            if self.turn()? > 0 {
                continue;
            }
            let waited = since.elapsed();
            if waited > self.options.patience {
                return Err(BusError::Patience { what, waited, who: None });
            }
            std::thread::sleep(NAP);
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), BusError> {
        let (since, mut quiet) = (Instant::now(), 0);
        while quiet < QUIET_TURNS {
            let work = self.turn()?;
            let marks = self.ring.watermarks();
            quiet = if work == 0 && marks.durable() == marks.published() { quiet + 1 } else { 0 };
            let waited = since.elapsed();
            if waited > self.options.patience {
                return Err(BusError::Patience { what: "nothing is left to do", waited, who: None });
            }
            if work == 0 {
                std::thread::sleep(NAP);
            }
        }
        Ok(())
    }

    fn stop(mut self, reason: EndReason, text: &str) -> Result<(), BusError> {
        self.settle()?;
        self.closer.set(reason, UtcClock::new().now(), text);
        self.control.finish();
        self.ring.request_stop();
        self.wait("the sequencer stops", |parts| Ok(parts.ring.is_stopped()))?;
        while let Some(mut agent) = self.agents.pop() {
            agent.on_stop().map_err(|source| of_agent(agent.name(), source))?;
        }
        self.journal.stop().map_err(|failure| BusError::Poisoned(failure.to_string()))
    }
}

fn of_agent(name: &str, source: stele_bus::AgentError) -> BusError {
    BusError::Agent { agent: name.to_owned(), source }
}

fn no_counters(error: std::io::Error) -> BusError {
    BusError::Counters(error.to_string())
}
