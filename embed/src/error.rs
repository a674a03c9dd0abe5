//! What can go wrong with an embedded bus.

use std::path::PathBuf;
use std::time::Duration;
use stele_bus::{
    AgentError, ControlError, CoreError, CounterError, DirectoryError, GeometryError, Refusal, RingError,
};
use stele_journal::{OpenError, TrailError};

/// Why an embedded bus cannot be opened, go on, or stop in order. What was acknowledged as durable is intact;
/// opening the trail again recovers it.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The trail cannot be opened for writing: another process writes it, or it needs repair.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The trail cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The ring cannot be made.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The lengths of ring and segments do not go together.
    #[error("{}: {source}", trail.display())]
    Geometry {
        /// The trail.
        trail: PathBuf,
        /// Which do not.
        source: GeometryError,
    },
    /// Other processes cannot be given access.
    #[error(transparent)]
    Remote(#[from] DirectoryError),
    /// There is no memory for the ring of a publisher in another process.
    #[error("cannot make {}: {source}", path.display())]
    RemotePublisher {
        /// Its file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The counters cannot be made.
    #[error("cannot make the counters: {0}")]
    Counters(String),
    /// There is no place for one more publisher or consumer, or its number is taken.
    #[error("{0}")]
    Place(String),
    /// A control event was not taken.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A submission was not taken, and would not be later.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal failed: nothing more becomes durable.
    #[error("{0}")]
    Poisoned(String),
    /// An agent cannot go on.
    #[error("agent {agent}: {source}")]
    Agent {
        /// Its name.
        agent: String,
        /// What it said.
        source: AgentError,
    },
    /// A thread of the bus cannot be started, or has failed.
    #[error(transparent)]
    Thread(#[from] CoreError),
    /// A thread of the bus has ended although it was not asked to; [`crate::RunningBus::stop`] says why.
    #[error("a thread of the bus has ended: stop the bus to see why")]
    ThreadEnded,
    /// Something did not happen in time.
    #[error("waited {:.1} s until {what}{}", waited.as_secs_f64(), who.as_ref().map(|who| format!(": {who}")).unwrap_or_default())]
    Patience {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        waited: Duration,
        /// Who has something to do and does not move, where that is known.
        who: Option<String>,
    },
}

impl From<CounterError> for BusError {
    fn from(error: CounterError) -> Self {
        Self::Counters(error.to_string())
    }
}
