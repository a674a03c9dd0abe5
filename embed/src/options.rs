//! How an embedded bus is made.

use std::time::Duration;
use stele_bus::session::SchemaDocument;
use stele_bus::{IdleStrategy, RingOptions};
use stele_journal::Options;
use stele_risk::RiskLimits;
use stele_wire::messages::Check;

/// How an embedded bus is made. The defaults are for a program that shares its CPUs with others.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// How the trail is written: shard, lengths of segments, engine.
    pub journal: Options,
    /// The ring that the log's newest part is in.
    pub ring: RingOptions,
    /// What orders are checked against before anything on the log says otherwise.
    pub risk: RiskLimits,
    /// Limits over all accounts that the log begins with.
    pub limits: Vec<(Check, i64)>,
    /// The configuration, as text, that the log records for this session.
    pub configuration: String,
    /// The program's version, which the log records for this session.
    pub program_version: String,
    /// Schemas of one's own whose messages will be published: their text goes on the trail unless it is there.
    pub schemas: Vec<SchemaDocument<'static>>,
    /// Whether other processes of the same user can read the ring, and publish; none keeps the bus to this process.
    pub remote: Option<RemoteAccess>,
    /// The threads that [`crate::Bus::start`] makes.
    pub threads: Threads,
    /// How long publishing, waiting and stopping wait for something that does not happen before they give up.
    pub patience: Duration,
}

impl Default for BusOptions {
    /// A ring of 64 MiB, segments of the journal's default length, no limits, threads that back off, 30 s of
    /// patience.
    fn default() -> Self {
        Self {
            journal: Options::default(),
            ring: RingOptions::default(),
            risk: RiskLimits::default(),
            limits: Vec::new(),
            configuration: String::new(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            schemas: Vec::new(),
            remote: None,
            threads: Threads::default(),
            patience: Duration::from_secs(30),
        }
    }
}

/// What other processes find of a bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteAccess {
    /// The name that they find it by, see [`stele_bus::FoundBus::find`].
    pub name: String,
    /// Places for publishers in other processes: the id of each, and a name. Ids from 100 on do not meet
    /// those that [`crate::Bus::publisher`] gives out. Where there are any, opening an existing trail reads
    /// it once, for the numbers that they have got to: what they send again after a restart is recognised.
    pub publishers: Vec<(u16, String)>,
}

/// The threads of a bus: one for the sequencer and the agents of one's own, one for the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threads {
    /// The CPU that the sequencer is pinned to; none leaves it to the kernel.
    pub sequencer_cpu: Option<usize>,
    /// The CPU that the journal is pinned to.
    pub journal_cpu: Option<usize>,
    /// What both do when there is nothing to do. [`IdleStrategy::Spin`] reacts soonest and takes a whole CPU each.
    pub idle: IdleStrategy,
}

impl Default for Threads {
    /// Not pinned; threads that find nothing to do sleep, and wake within a millisecond.
    fn default() -> Self {
        Self { sequencer_cpu: None, journal_cpu: None, idle: IdleStrategy::BACK_OFF }
    }
}
