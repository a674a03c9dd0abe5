//! The error type of an embedded bus.

use std::path::PathBuf;
use std::time::Duration;
use stele_bus::{AgentError, ControlError, CoreError, CounterError, GeometryError, Refusal, RingError};
use stele_door::BindError;
use stele_journal::{OpenError, TrailError};

/// Why an embedded bus cannot be opened, continue or stop in order. Everything that was acknowledged as
/// durable is intact; opening the trail again recovers it.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The trail cannot be opened for writing: another process writes it, or it needs repair.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The trail cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The ring cannot be created.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The length of the ring does not fit that of the segments.
    #[error("{}: {source}", trail.display())]
    Geometry {
        /// The trail.
        trail: PathBuf,
        /// The two lengths.
        source: GeometryError,
    },
    /// Other processes cannot be given access.
    #[error(transparent)]
    Remote(#[from] BindError),
    /// The thread that serves other processes cannot be started.
    #[error("cannot serve other processes: {0}")]
    Door(std::io::Error),
    /// The counters cannot be created.
    #[error("cannot create the counters: {0}")]
    Counters(String),
    /// A publisher or consumer cannot be registered: there are too many, or its number is taken.
    #[error("{0}")]
    Registration(String),
    /// A control event was refused.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A submission was refused, and would be refused again.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal failed; no more events become durable.
    #[error("{0}")]
    Poisoned(String),
    /// An agent failed.
    #[error("agent {agent}: {source}")]
    Agent {
        /// The name of the agent.
        agent: String,
        /// The error of the agent.
        source: AgentError,
    },
    /// A thread of the bus cannot be started, or has failed.
    #[error(transparent)]
    Thread(#[from] CoreError),
    /// A thread of the bus ended without being stopped; [`crate::RunningBus::stop`] returns the reason.
    #[error("a thread of the bus has ended: stop the bus to see why")]
    ThreadEnded,
    /// A wait timed out.
    #[error("timed out after {:.1} s, waiting until {what}{}", waited.as_secs_f64(), stalled.as_ref().map(|name| format!(": {name}")).unwrap_or_default())]
    Timeout {
        /// The condition that was waited for.
        what: &'static str,
        /// How long the wait was.
        waited: Duration,
        /// The consumer or thread that has work and does not move, where known.
        stalled: Option<String>,
    },
}

impl From<CounterError> for BusError {
    fn from(error: CounterError) -> Self {
        Self::Counters(error.to_string())
    }
}
