//! A bus that is open and does not run on threads: it hands out publishers and consumers, and the caller's
//! thread drives it.

use crate::earlier::Earlier;
use crate::error::BusError;
use crate::options::{BusOptions, RemoteAccess};
use crate::running::RunningBus;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stele_bus::bounds::{GATING_CONSUMERS_MAX, PUBLISHER_WORDS_DEFAULT, PUBLISHERS_MAX};
use stele_bus::session::{ProgramIdentity, SchemaDocument};
use stele_bus::{
    Agent, Clock as _, ClockQuality, ConsumerProgress, ControlPublisher, Counters, EventSink, GatingConsumer,
    Grants, LogRing, LossyConsumer, NOT_RECEIVED, Publisher, Refusal, Sequencer, SequencerStart,
    SessionBeginning, SessionCloser, UtcClock,
};
use stele_door::{BindError, DoorListener, DoorServer, People, ServedBus, ServedShard, SocketAddress};
use stele_journal::{CatchUp, EngineNotice, Journal, RecoveryReport};
use stele_risk::Risk;
use stele_wire::codec::Message;
use stele_wire::messages::EndReason;
use stele_wire::{Epoch, Nanos, Position, Sequence};

/// The number of the publisher of the session's own events.
const CONTROL_PUBLISHER: u16 = 1;
/// The number of successive turns without work, with everything durable, after which the bus is idle.
const QUIET_TURNS: u32 = 3;
/// How long the caller's thread sleeps after a turn without work while it waits.
const IDLE_SLEEP: Duration = Duration::from_micros(50);

/// A bus on a trail, driven by the thread that owns it: each [`Bus::turn`] is a duty cycle of the sequencer,
/// the agents and the journal. [`Bus::start`] gives them threads instead.
///
/// Dropping a bus ends the session as [`Bus::stop`] does, but ignores errors. When a panicking thread drops
/// it, the session does not end in order, and the next [`Bus::open`] recovers the trail.
pub struct Bus {
    parts: Option<Parts>,
}

/// The parts of a bus.
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
    /// What other processes connect to, until it is dropped.
    pub(crate) door: Option<DoorServer>,
    start: SequencerStart,
    recovery: RecoveryReport,
    notices: Vec<EngineNotice>,
    publishers: BTreeSet<u16>,
    has_turned: bool,
}

impl Bus {
    /// Opens the trail in the directory `trail`, which is created where it is missing, and begins a session.
    /// When this returns, the beginning of the session is on the log. The events of earlier sessions are
    /// recovered and never overwritten.
    ///
    /// # Errors
    /// [`BusError::Open`] where another process writes the trail or where the trail needs repair; another
    /// [`BusError`] where a part of the bus cannot be created.
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
        let listener = options.remote.as_ref().map(|remote| listen(&remote.name)).transpose()?;
        let ring = match &listener {
            Some(_) => LogRing::create_shared(&options.ring, start.position)?,
            None => LogRing::create(&options.ring, start.position)?,
        };
        let sequencer = Sequencer::new(&start, ring.writer, clock, Risk::new(options.risk));
        let mut sequencer =
            sequencer.map_err(|source| BusError::Geometry { trail: trail.to_owned(), source })?;
        sequencer.continue_numbering(earlier.numbers.clone());
        let control =
            sequencer.publisher(CONTROL_PUBLISHER, "session", PUBLISHER_WORDS_DEFAULT, Grants::session());
        let (mut journal, notices) = opened.attach(ring.journal)?;
        let counters = listener.is_some().then(Counters::create_shared).transpose().map_err(no_counters)?;
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
            door: None,
            start,
            recovery,
            notices,
            publishers: BTreeSet::from([CONTROL_PUBLISHER]),
            has_turned: false,
        };
        if let Some(listener) = listener {
            parts.serve(listener)?;
        }
        parts.begin(&earlier, now)?;
        Ok(Self { parts: Some(parts) })
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("only `start` and `stop` take the parts, and they consume the bus")
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.parts.as_mut().expect("only `start` and `stop` take the parts, and they consume the bus")
    }

    /// Creates a publisher for this process, which may submit what `grants` says. Its number is the lowest free one from 2 on, so publishers that
    /// are created in the same order have the same numbers in every session.
    ///
    /// # Errors
    /// [`BusError::Registration`] where the number is taken, or where the bus has no place for another one.
    pub fn publisher(&mut self, name: &str, grants: impl Into<Grants>) -> Result<Publisher, BusError> {
        let taken = &self.parts().publishers;
        let id = (CONTROL_PUBLISHER..)
            .find(|id| !taken.contains(id))
            .expect("there are more numbers than publishers");
        self.publisher_with_id(id, name, grants)
    }

    /// As [`Bus::publisher`], with the number `id`, which must not be 0 or 1.
    ///
    /// # Errors
    /// [`BusError::Registration`] where the number is taken, or where the bus has no place for another one.
    pub fn publisher_with_id(
        &mut self,
        id: u16,
        name: &str,
        grants: impl Into<Grants>,
    ) -> Result<Publisher, BusError> {
        let parts = self.parts_mut();
        parts.take_publisher(id)?;
        Ok(parts.sequencer.publisher(id, name, PUBLISHER_WORDS_DEFAULT, grants))
    }

    /// Creates a consumer that reads in place. Before the first turn it consumes the whole session, from its
    /// `SessionStart` on; afterwards, everything that is published from now on. While it does not read, the
    /// ring fills, and publishers are refused in the end: drop it when it is done. Errors show its `name`
    /// where it does not move.
    ///
    /// # Errors
    /// [`BusError::Registration`] where the number is taken, or where the bus has no place for another one.
    pub fn gating_consumer(&mut self, name: &str) -> Result<GatingConsumer, BusError> {
        let parts = self.parts_mut();
        if parts.consumers.len() == GATING_CONSUMERS_MAX {
            return Err(BusError::Registration(format!("more than {GATING_CONSUMERS_MAX} gating consumers")));
        }
        let consumer = if parts.has_turned {
            parts.sequencer.gating_consumer(name)
        } else {
            parts.sequencer.gating_consumer_from(name, parts.start.position)
        };
        parts.consumers.push(consumer.progress());
        Ok(consumer)
    }

    /// Creates a consumer that reads copies and never delays the bus. Where it is too slow, it loses events
    /// and reports which ones.
    pub fn lossy_consumer(&self) -> LossyConsumer {
        LossyConsumer::join(&self.parts().ring)
    }

    /// Creates a consumer of everything from event `from` on, also of earlier sessions, which never delays
    /// the bus. It reads from the trail what the ring no longer has.
    pub fn catch_up_consumer(&self, from: Sequence) -> CatchUp {
        CatchUp::from(&self.parts().ring, &self.parts().trail, from)
    }

    /// Adds an agent, which runs after the sequencer, on the sequencer's thread, until the bus stops.
    ///
    /// # Panics
    /// Panics when the bus has already been driven by hand.
    pub fn add_agent(&mut self, agent: impl Agent + 'static) {
        let parts = self.parts_mut();
        assert!(!parts.has_turned, "agents start together: add them before the first turn");
        parts.agents.push(Box::new(agent));
    }

    /// Returns a publisher of control events, such as definitions of sources and instruments. Each event is
    /// on the log when its publication returns.
    pub fn control(&mut self) -> ControlPublisher<impl EventSink> {
        let parts = self.parts_mut();
        ControlPublisher::new(|template_id: u16, body: &[u8]| parts.submit_control(template_id, body))
    }

    /// Returns the ring, which has the watermarks of the log.
    pub fn ring(&self) -> &LogRing {
        &self.parts().ring
    }

    /// Returns where the session began: trail, shard, epoch, position and first sequence.
    pub fn session(&self) -> &SequencerStart {
        &self.parts().start
    }

    /// Returns what the recovery of the trail found and did.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.parts().recovery
    }

    /// Returns notices about the journal: why it works, but not at its best.
    pub fn notices(&self) -> &[EngineNotice] {
        &self.parts().notices
    }

    /// Starts the threads. From then on the caller publishes, reads and stops; the threads do the rest.
    ///
    /// # Errors
    /// [`BusError::Thread`] where a thread cannot be started.
    ///
    /// # Panics
    /// Panics when there are agents and the bus has already been driven by hand.
    pub fn start(mut self) -> Result<RunningBus, BusError> {
        let parts =
            self.parts.take().expect("only `start` and `stop` take the parts, and they consume the bus");
        assert!(
            !parts.has_turned || parts.agents.is_empty(),
            "agents must start on their thread: do not drive the bus before it starts"
        );
        RunningBus::start(parts)
    }

    /// Runs one duty cycle of the sequencer, each agent and the journal. Returns the amount of work done, 0
    /// when there was none.
    ///
    /// # Errors
    /// [`BusError::Agent`], [`BusError::Poisoned`].
    pub fn turn(&mut self) -> Result<usize, BusError> {
        self.parts_mut().turn()
    }

    /// Runs turns until nothing is left to do and everything is durable.
    ///
    /// # Errors
    /// As [`Bus::turn`], and [`BusError::Timeout`].
    pub fn settle(&mut self) -> Result<(), BusError> {
        self.parts_mut().settle()
    }

    /// Publishes a message without groups and data, of Stele's schema or another, and runs turns while there
    /// is no room. Returns the publisher's number of the message.
    ///
    /// # Errors
    /// [`BusError::Refused`], and as [`Bus::settle`].
    pub fn publish<M: Message>(&mut self, publisher: &mut Publisher, message: &M) -> Result<u64, BusError> {
        const {
            assert!(
                M::TAIL_MIN == 0,
                "the message has groups or data: encode it, and pass `Publisher::offer` to `retry`"
            )
        };
        self.retry(|| publisher.offer_message(message, NOT_RECEIVED))?;
        Ok(publisher.next_sequence() - 1)
    }

    /// Calls `offer` until it succeeds, and runs turns while there is no room.
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

    /// Runs turns until everything that `publisher` has submitted is durable.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn wait_durable(&mut self, publisher: &Publisher) -> Result<(), BusError> {
        self.parts_mut().wait("what was submitted is durable", |_| Ok(publisher.is_durable()))
    }

    /// Runs turns until the log is durable up to `position`, such as the end of an event.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn wait_durable_to(&mut self, position: Position) -> Result<(), BusError> {
        let is_so = |parts: &Parts| Ok(parts.ring.watermarks().durable() >= position);
        self.parts_mut().wait("the log is durable that far", is_so)
    }

    /// Stops in order: the agents have seen every event, `SessionEnd` is the last event, everything is
    /// durable, and the trail is closed. Publishers are refused from then on.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn stop(self) -> Result<(), BusError> {
        self.stop_because(EndReason::FINISHED, "")
    }

    /// Stops as [`Bus::stop`] does, with a reason and a text for `SessionEnd`.
    ///
    /// # Errors
    /// As [`Bus::settle`].
    pub fn stop_because(mut self, reason: EndReason, text: &str) -> Result<(), BusError> {
        let parts =
            self.parts.take().expect("only `start` and `stop` take the parts, and they consume the bus");
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
    /// Serves other processes.
    fn serve(&mut self, listener: DoorListener) -> Result<(), BusError> {
        let remote = self.options.remote.clone();
        let RemoteAccess { name, publishers } = remote.expect("there is a listener where there is access");
        let mut ports = Vec::with_capacity(publishers.len());
        for (id, name, grants) in publishers {
            self.take_publisher(id)?;
            ports.push(self.sequencer.remote_publisher(id, &name, PUBLISHER_WORDS_DEFAULT, grants));
        }
        let shard = ServedShard {
            id: self.start.identity.shard.0,
            ring: self.ring.clone(),
            trail: self.trail.clone(),
            controls: None,
            auditors: None,
            ports,
        };
        let (people, shards, cpus) = (People::default(), vec![shard], Vec::new());
        let served = ServedBus { name, counters: self.counters.clone(), people, shards, cpus };
        self.door = Some(DoorServer::serve(listener, served).map_err(BusError::Door)?);
        Ok(())
    }

    fn take_publisher(&mut self, id: u16) -> Result<(), BusError> {
        if self.publishers.len() == PUBLISHERS_MAX {
            let most = PUBLISHERS_MAX - 1;
            return Err(BusError::Registration(format!(
                "more than {most} publishers besides the session's own"
            )));
        }
        if id == 0 || !self.publishers.insert(id) {
            return Err(BusError::Registration(format!("publisher number {id} is taken: choose another")));
        }
        Ok(())
    }

    /// Publishes the events with which the session begins.
    fn begin(&mut self, earlier: &Earlier, now: Nanos) -> Result<(), BusError> {
        let (options, recovery) = (self.options.clone(), self.recovery.clone());
        let own = SchemaDocument { hash: options.journal.schema, ..SchemaDocument::stele() };
        let is_missing = |schema: &SchemaDocument<'_>| !earlier.schemas.hashes.contains(&schema.hash);
        let session = SessionBeginning::new(&self.start.identity, now)
            .following(recovery.last_sequence, recovery.ended_cleanly())
            .run_by(&ProgramIdentity::of_this_process(&options.program_version))
            .of_schema(&own)
            .configured(&options.configuration);
        let session = SessionBeginning {
            schemas: [own].into_iter().chain(options.schemas.iter().copied()).filter(is_missing).collect(),
            recovered: recovery.events(),
            clock: Some(ClockQuality::default()),
            limits: options.limits.clone(),
            ..session
        };
        let sink = |template_id: u16, body: &[u8]| self.submit_control(template_id, body);
        Ok(ControlPublisher::new(sink).begin(&session)?)
    }

    /// Submits a control event and runs the sequencer until nothing is left.
    fn submit_control(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        self.control.offer(template_id, body, NOT_RECEIVED)?;
        while self.sequencer.do_work().expect("the sequencer does not fail") > 0 {}
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

    /// Runs turns until `is_so` returns true, or until the timeout.
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
            if waited > self.options.timeout {
                return Err(BusError::Timeout { what, waited, stalled: None });
            }
            std::thread::sleep(IDLE_SLEEP);
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
            if waited > self.options.timeout {
                return Err(BusError::Timeout { what: "nothing is left to do", waited, stalled: None });
            }
            if work == 0 {
                std::thread::sleep(IDLE_SLEEP);
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

/// Takes the name of the bus, so that other processes of this user can connect.
fn listen(name: &str) -> Result<DoorListener, BindError> {
    DoorListener::bind(&SocketAddress::of_bus(name, None, false)?)
}
