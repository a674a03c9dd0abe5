//! Where a trail left off: what a new session over it goes on from.
//!
//! Pure: [`Resume`] is fed event by event, and its whole state can be written and read back, machine by machine.
//! [`crate::recall()`] reads a trail into one, [`crate::follower`] follows a live one.

use crate::difference::Difference;
use crate::known::Known;
use crate::regeneration::{Interruption, Regeneration, RegenerationError};
use crate::submission::Submission;
use stele_bus::Timers;
use stele_journal::TrailError;
use stele_journal::snapshot::SnapshotSection;
use stele_risk::{Risk, RiskLimits};
use stele_strategies::registry::Registry;
use stele_strategies::{Host, RestoreError, SnapshotReader};
use stele_venue::{Numbers, OpenOrder, OpenOrders};
use stele_wire::Frame;

/// The end of a trail, as far as a new session needs it.
pub struct Resumed {
    /// The strategies as they are after every recorded event: positions, open orders, their own state.
    pub host: Host,
    /// What they sent and the trail does not have: lost with the process before it was durable. It is to be
    /// submitted in the new epoch, in this order, before anything else of theirs.
    pub unsent: Vec<Submission>,
    /// Orders that are neither refused nor done, oldest first: what
    /// [`stele_venue::paper_exchange::PaperExchange::resume`] cancels and what a real venue is asked for, see
    /// [`stele_venue::InDoubt`].
    pub open_orders: Vec<OpenOrder>,
    /// The last numbers that the paper exchange gave out.
    pub numbers: Numbers,
    /// Instruments, sources and publishers that the trail defines.
    pub known: Known,
    /// Limits, kill switches, positions, open orders and credit as the checks before sequencing know them.
    pub risk: Risk,
    /// Timers of strategies that have not fired.
    pub timers: Timers,
    /// Events of the trail, those that a snapshot stands for included.
    pub events: u64,
    /// Sequence of the last event; 0 when there is none.
    pub last_sequence: u64,
    /// Its time in nanoseconds UTC; 0 when there is none.
    pub last_timestamp: u64,
    /// Its epoch; 0 when there is none.
    pub epoch: u32,
    /// Whether the last session ended in order.
    pub has_ended: bool,
}

/// Why a trail cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The trail could not be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Its strategies could not be run.
    #[error(transparent)]
    Strategies(#[from] RegenerationError),
    /// This program's strategies do not do what the recorded ones did, so their state would be made up.
    #[error("the strategies of this program do not do what the trail has: {0}; start them anew instead")]
    Difference(Box<Difference>),
    /// The trail's first segments have expired, and no snapshot stands for them.
    #[error(
        "the trail begins at segment {segment} (sequence {sequence}), what was in front has expired, and no snapshot \
         can be used{}: bring back a snapshot or the expired segments from a copy, or choose another directory",
        list_of(refused)
    )]
    NoBeginning {
        /// The first segment that is there.
        segment: u64,
        /// Its first event.
        sequence: u64,
        /// Each snapshot that is there, and why it cannot be used.
        refused: Vec<String>,
    },
}

fn list_of(refused: &[String]) -> String {
    match refused {
        [] => " (there is none)".into(),
        refused => format!(" ({})", refused.join("; ")),
    }
}

/// Why a snapshot that is whole cannot be loaded by this program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// It has no state of a machine that this program has.
    #[error("it has no state of the {machine}")]
    Missing {
        /// The machine.
        machine: &'static str,
    },
    /// A machine's state has another layout.
    #[error("the state of the {machine} is of version {found}, this program loads {known}")]
    Version {
        /// The machine.
        machine: &'static str,
        /// In the snapshot.
        found: u32,
        /// Of this program.
        known: u32,
    },
    /// A machine of the bus does not take its state.
    #[error("the {machine} cannot be loaded: {source}")]
    BusState {
        /// The machine.
        machine: &'static str,
        /// What is wrong with it.
        source: stele_risk::RestoreError,
    },
    /// A machine does not take its state.
    #[error("the {machine} cannot be loaded: {source}")]
    State {
        /// The machine.
        machine: &'static str,
        /// What is wrong with it.
        source: RestoreError,
    },
}

/// Machines, as their states are called in a snapshot.
pub mod machines {
    /// [`super::Known`].
    pub const DEFINITIONS: &str = "definitions";
    /// [`stele_risk::Risk`].
    pub const RISK: &str = "risk";
    /// [`stele_bus::Timers`].
    pub const TIMERS: &str = "timers";
    /// [`super::OpenOrders`].
    pub const OPEN_ORDERS: &str = "open orders";
    /// [`super::Host`].
    pub const STRATEGIES: &str = "strategies";
    /// [`super::Regeneration`] without its host.
    pub const SUBMISSIONS: &str = "submissions";
}

/// Everything that a new session needs of a trail, as a function of its events.
pub struct Resume {
    pub(crate) regeneration: Regeneration,
    open_orders: OpenOrders,
    known: Known,
    risk: Risk,
    timers: Timers,
}

impl Resume {
    /// One that has seen nothing.
    pub fn new(registry: Registry) -> Self {
        Self {
            regeneration: Regeneration::new(registry),
            open_orders: OpenOrders::default(),
            known: Known::default(),
            risk: Risk::new(RiskLimits::default()),
            timers: Timers::new(),
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`ResumeError`], after which it is of no further use.
    pub fn on_event(&mut self, event: &Frame<'_>) -> Result<(), ResumeError> {
        self.open_orders.on_event(event);
        self.known.on_event(event);
        self.risk.on_event(event);
        self.timers.on_event(event);
        self.regeneration.on_event(event).map_err(|interruption| match interruption {
            Interruption::Difference(difference) => ResumeError::Difference(difference),
            Interruption::Error(error) => ResumeError::Strategies(error),
        })
    }

    /// Events taken, those that a snapshot stood for included.
    pub fn events(&self) -> u64 {
        self.regeneration.events()
    }

    /// The last event's sequence; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.regeneration.last_sequence()
    }

    /// The last event's timestamp in nanoseconds UTC; 0 before the first.
    pub fn last_timestamp(&self) -> u64 {
        self.regeneration.last_timestamp()
    }

    /// The whole state, a section for each machine: one that is restored from it and fed the events behind it is the
    /// same, byte for byte, as one that was fed all of them.
    pub fn snapshot(&self) -> Vec<SnapshotSection> {
        let section = |name, version, write: &dyn Fn(&mut Vec<u8>)| {
            let mut body = Vec::new();
            write(&mut body);
            SnapshotSection { name, version, body }
        };
        let host = self.regeneration.host();
        vec![
            section(machines::DEFINITIONS, Known::STATE_VERSION, &|out| self.known.snapshot(out)),
            section(machines::RISK, Risk::STATE_VERSION, &|out| self.risk.snapshot(out)),
            section(machines::TIMERS, Timers::STATE_VERSION, &|out| self.timers.snapshot(out)),
            section(machines::OPEN_ORDERS, OpenOrders::STATE_VERSION, &|out| self.open_orders.snapshot(out)),
            section(machines::STRATEGIES, Host::STATE_VERSION, &|out| host.snapshot(out)),
            section(machines::SUBMISSIONS, Regeneration::STATE_VERSION, &|out| {
                self.regeneration.snapshot(out);
            }),
        ]
    }

    /// What [`Resume::snapshot`] told: `section` gives version and state of a machine.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn restore<'a>(
        registry: Registry,
        section: impl Fn(&str) -> Option<(u32, &'a [u8])>,
    ) -> Result<Self, LoadError> {
        let state = |machine, known| match section(machine) {
            None => Err(LoadError::Missing { machine }),
            Some((found, _)) if found != known => Err(LoadError::Version { machine, found, known }),
            Some((_, state)) => Ok(state),
        };
        let known =
            load(machines::DEFINITIONS, |machine| state(machine, Known::STATE_VERSION), Known::restore)?;
        let open_orders = load(
            machines::OPEN_ORDERS,
            |machine| state(machine, OpenOrders::STATE_VERSION),
            OpenOrders::restore,
        )?;
        let machine = machines::RISK;
        let risk = Risk::restore(RiskLimits::default(), state(machine, Risk::STATE_VERSION)?);
        let risk = risk.map_err(|source| LoadError::BusState { machine, source })?;
        let machine = machines::TIMERS;
        let timers = Timers::restore(state(machine, Timers::STATE_VERSION)?);
        let timers = timers.map_err(|source| LoadError::BusState { machine, source })?;
        let mut host = Host::new(registry.clone());
        let strategies = state(machines::STRATEGIES, Host::STATE_VERSION)?;
        let machine = machines::STRATEGIES;
        host.restore(strategies).map_err(|source| LoadError::State { machine, source })?;
        let regeneration = load(
            machines::SUBMISSIONS,
            |machine| state(machine, Regeneration::STATE_VERSION),
            |reader| Regeneration::restore(registry, host, reader),
        )?;
        Ok(Self { regeneration, open_orders, known, risk, timers })
    }

    /// A second one in the same state.
    ///
    /// # Errors
    /// [`LoadError`], when a strategy does not take the state that it told itself.
    pub fn fork(&self, registry: Registry) -> Result<Self, LoadError> {
        let sections = self.snapshot();
        Self::restore(registry, |name| {
            let section = sections.iter().find(|section| section.name == name)?;
            Some((section.version, &section.body))
        })
    }

    /// The trail is at its end.
    pub fn finish(self) -> Resumed {
        let Self { regeneration, open_orders, known, risk, timers } = self;
        let (events, last_sequence) = (regeneration.events(), regeneration.last_sequence());
        let (last_timestamp, epoch) = (regeneration.last_timestamp(), regeneration.epoch());
        let (has_ended, numbers) = (regeneration.has_ended(), open_orders.numbers());
        let (host, unsent) = regeneration.into_parts();
        Resumed {
            host,
            unsent,
            open_orders: open_orders.finish(),
            numbers,
            known,
            risk,
            timers,
            events,
            last_sequence,
            last_timestamp,
            epoch,
            has_ended,
        }
    }
}

/// Reads all of a machine's state.
fn load<'a, T>(
    machine: &'static str,
    state: impl Fn(&'static str) -> Result<&'a [u8], LoadError>,
    restore: impl FnOnce(&mut SnapshotReader<'_>) -> Result<T, RestoreError>,
) -> Result<T, LoadError> {
    let mut reader = SnapshotReader::new(state(machine)?);
    let loaded = restore(&mut reader).and_then(|loaded| reader.finish().map(|()| loaded));
    loaded.map_err(|source| LoadError::State { machine, source })
}
