//! The state of a trail at its end, which a new session continues from.
//!
//! Pure: [`TrailState`] takes one event after the other, and its whole state can be written to a snapshot
//! and restored, one section per state machine. [`crate::recall()`] reads a trail into one,
//! [`crate::follower`] keeps one up to date.

use crate::definitions::Definitions;
use crate::difference::Difference;
use crate::regeneration::{Interruption, Regeneration, RegenerationError};
use crate::submission::StrategySubmission;
use stele_bus::Timers;
use stele_journal::TrailError;
use stele_journal::snapshot::SnapshotSection;
use stele_risk::Risk;
use stele_strategies::registry::Registry;
use stele_strategies::{Host, RestoreError, SnapshotReader};
use stele_venue::{LastIds, OpenOrder, OpenOrders};
use stele_wire::Frame;

/// The end of a trail, as far as a new session needs it.
pub struct ResumedSession {
    /// The strategies after every recorded event: positions, open orders, their own state.
    pub host: Host,
    /// What the strategies sent and the trail does not have, because the process ended before it was
    /// durable. Submit it in the new epoch, in this order, before anything else of the strategies.
    pub unsent: Vec<StrategySubmission>,
    /// Orders that are neither refused nor done, oldest first.
    /// [`stele_venue::paper_exchange::PaperExchange::resume`] cancels them; a real venue is asked about
    /// each, see [`stele_venue::OrderInDoubt`].
    pub open_orders: Vec<OpenOrder>,
    /// The last ids that the paper exchange used.
    pub numbers: LastIds,
    /// The definitions on the trail.
    pub known: Definitions,
    /// The risk checks: limits, kill switches, positions, open orders and credit.
    pub risk: Risk,
    /// Timers of strategies that have not fired yet.
    pub timers: Timers,
    /// The number of events of the trail, including those that a snapshot replaces.
    pub events: u64,
    /// The sequence of the last event; 0 when there is none.
    pub last_sequence: u64,
    /// The time of the last event in nanoseconds UTC; 0 when there is none.
    pub last_timestamp: u64,
    /// The epoch of the last event; 0 when there is none.
    pub epoch: u32,
    /// Whether the last session ended in order.
    pub has_ended: bool,
}

/// Why a session cannot continue from a trail.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The trail cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Its strategies cannot be run.
    #[error(transparent)]
    Strategies(#[from] RegenerationError),
    /// This program's strategies send something other than the recorded ones, so their state cannot be
    /// rebuilt.
    #[error(
        "the strategies of this program do not send what the trail has: {0}; start them without their state instead"
    )]
    Difference(Box<Difference>),
    /// The first segments of the trail have expired, and no snapshot replaces them.
    #[error(
        "the trail begins at segment {segment} (sequence {sequence}): earlier segments have expired, and no snapshot \
         can be used{}; restore a snapshot or the expired segments from a copy, or choose another directory",
        list_of(refused)
    )]
    NoBeginning {
        /// The first segment of the trail.
        segment: u64,
        /// The sequence of its first event.
        sequence: u64,
        /// Every snapshot, and why it cannot be used.
        refused: Vec<String>,
    },
}

fn list_of(refused: &[String]) -> String {
    match refused {
        [] => " (there is none)".into(),
        refused => format!(" ({})", refused.join("; ")),
    }
}

/// Why an undamaged snapshot cannot be loaded by this program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// It has no state of one of this program's state machines.
    #[error("it has no state of the {machine}")]
    Missing {
        /// The state machine.
        machine: &'static str,
    },
    /// The state of a state machine has another layout.
    #[error("the state of the {machine} is of version {found}, this program loads {known}")]
    Version {
        /// The state machine.
        machine: &'static str,
        /// The version in the snapshot.
        found: u32,
        /// The version that this program loads.
        known: u32,
    },
    /// A state machine of the bus rejects its state.
    #[error("the {machine} cannot be loaded: {source}")]
    BusState {
        /// The state machine.
        machine: &'static str,
        /// What is wrong with the state.
        source: stele_risk::RestoreError,
    },
    /// A state machine rejects its state.
    #[error("the {machine} cannot be loaded: {source}")]
    State {
        /// The state machine.
        machine: &'static str,
        /// What is wrong with the state.
        source: RestoreError,
    },
}

/// The names of the state machines in a snapshot.
pub mod machines {
    /// [`super::Definitions`].
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

/// The state of a trail, as a function of its events: everything that a new session needs.
pub struct TrailState {
    pub(crate) regeneration: Regeneration,
    pub(crate) open_orders: OpenOrders,
    known: Definitions,
    pub(crate) risk: Risk,
    timers: Timers,
}

impl TrailState {
    /// Creates a state that has seen no event.
    pub fn new(registry: Registry) -> Self {
        Self {
            regeneration: Regeneration::new(registry),
            open_orders: OpenOrders::default(),
            known: Definitions::default(),
            risk: Risk::follower(),
            timers: Timers::new(),
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`ResumeError`]; the state cannot be used after it.
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

    /// The number of events taken, including those that a snapshot replaces.
    pub fn events(&self) -> u64 {
        self.regeneration.events()
    }

    /// The sequence of the last event; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.regeneration.last_sequence()
    }

    /// The timestamp of the last event in nanoseconds UTC; 0 before the first.
    pub fn last_timestamp(&self) -> u64 {
        self.regeneration.last_timestamp()
    }

    /// Returns the whole state, one section per state machine. A state that is restored from it and takes
    /// the later events equals, byte for byte, one that took all events.
    pub fn snapshot(&self) -> Vec<SnapshotSection> {
        let section = |name, version, write: &dyn Fn(&mut Vec<u8>)| {
            let mut body = Vec::new();
            write(&mut body);
            SnapshotSection { name, version, body }
        };
        let host = self.regeneration.host();
        vec![
            section(machines::DEFINITIONS, Definitions::STATE_VERSION, &|out| self.known.snapshot(out)),
            section(machines::RISK, Risk::STATE_VERSION, &|out| self.risk.snapshot(out)),
            section(machines::TIMERS, Timers::STATE_VERSION, &|out| self.timers.snapshot(out)),
            section(machines::OPEN_ORDERS, OpenOrders::STATE_VERSION, &|out| self.open_orders.snapshot(out)),
            section(machines::STRATEGIES, Host::STATE_VERSION, &|out| host.snapshot(out)),
            section(machines::SUBMISSIONS, Regeneration::STATE_VERSION, &|out| {
                self.regeneration.snapshot(out);
            }),
        ]
    }

    /// Restores the state that [`TrailState::snapshot`] returned. `section` returns the version and the
    /// state of a state machine by its name.
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
        let known = load(
            machines::DEFINITIONS,
            |machine| state(machine, Definitions::STATE_VERSION),
            Definitions::restore,
        )?;
        let open_orders = load(
            machines::OPEN_ORDERS,
            |machine| state(machine, OpenOrders::STATE_VERSION),
            OpenOrders::restore,
        )?;
        let machine = machines::RISK;
        let risk = Risk::restore_follower(state(machine, Risk::STATE_VERSION)?);
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

    /// Returns a copy of the state.
    ///
    /// # Errors
    /// [`LoadError`] when a strategy rejects the state that it wrote itself.
    pub fn fork(&self, registry: Registry) -> Result<Self, LoadError> {
        let sections = self.snapshot();
        Self::restore(registry, |name| {
            let section = sections.iter().find(|section| section.name == name)?;
            Some((section.version, &section.body))
        })
    }

    /// Ends the state at the end of the trail.
    pub fn finish(self) -> ResumedSession {
        let Self { regeneration, open_orders, known, risk, timers } = self;
        let (events, last_sequence) = (regeneration.events(), regeneration.last_sequence());
        let (last_timestamp, epoch) = (regeneration.last_timestamp(), regeneration.epoch());
        let (has_ended, numbers) = (regeneration.has_ended(), open_orders.numbers());
        let (host, unsent) = regeneration.into_parts();
        ResumedSession {
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

/// Restores a state machine from the whole of its section.
fn load<'a, T>(
    machine: &'static str,
    state: impl Fn(&'static str) -> Result<&'a [u8], LoadError>,
    restore: impl FnOnce(&mut SnapshotReader<'_>) -> Result<T, RestoreError>,
) -> Result<T, LoadError> {
    let mut reader = SnapshotReader::new(state(machine)?);
    let loaded = restore(&mut reader).and_then(|loaded| reader.finish().map(|()| loaded));
    loaded.map_err(|source| LoadError::State { machine, source })
}
