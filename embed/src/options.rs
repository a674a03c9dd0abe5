//! The options of an embedded bus.

use std::time::Duration;
use stele_bus::session::SchemaDocument;
use stele_bus::{Grants, IdleStrategy, RingOptions};
use stele_journal::JournalOptions;
use stele_risk::RiskLimits;
use stele_wire::messages::Check;

/// The options of an embedded bus. The defaults are for a program that shares its CPUs with others.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// The options of the journal: shard, length of segments, engine.
    pub journal: JournalOptions,
    /// The options of the ring, which holds the newest part of the log.
    pub ring: RingOptions,
    /// The limits of the pre-trade checks, until an event on the log changes them.
    pub risk: RiskLimits,
    /// The limits over all accounts at the beginning of the log, each with its check.
    pub limits: Vec<(Check, i64)>,
    /// The text of the configuration that `SessionStart` records.
    pub configuration: String,
    /// The version of the program that `SessionStart` records.
    pub program_version: String,
    /// The schemas of the program's own messages. Their texts are written to the trail unless it has them.
    pub schemas: Vec<SchemaDocument<'static>>,
    /// How other processes of the same user can read the ring and publish; `None` where they cannot.
    pub remote: Option<RemoteAccess>,
    /// The threads that [`crate::Bus::start`] starts.
    pub threads: Threads,
    /// How long publishing, waiting and stopping wait at most.
    pub timeout: Duration,
}

impl Default for BusOptions {
    /// Returns a ring of 64 MiB, segments of the journal's default length, no limits, threads that back off,
    /// and a timeout of 30 s.
    fn default() -> Self {
        Self {
            journal: JournalOptions::default(),
            ring: RingOptions::default(),
            risk: RiskLimits::default(),
            limits: Vec::new(),
            configuration: String::new(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            schemas: Vec::new(),
            remote: None,
            threads: Threads::default(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// How other processes access a bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteAccess {
    /// The name by which they find the bus, see [`stele_door::DoorClient::find`].
    pub name: String,
    /// The publishers in other processes: the id and the name of each, and what it may submit. Ids from 100 on do not collide with
    /// those of [`crate::Bus::publisher`]. Where there are any, opening an existing trail reads all of it for
    /// the last number of each publisher, so that what they send again after a restart is recognised as a
    /// duplicate.
    pub publishers: Vec<(u16, String, Grants)>,
}

/// The threads of a bus: one for the sequencer and the agents, one for the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threads {
    /// The CPU to which the sequencer's thread is pinned; `None` leaves it to the kernel.
    pub sequencer_cpu: Option<usize>,
    /// The CPU to which the journal's thread is pinned; `None` leaves it to the kernel.
    pub journal_cpu: Option<usize>,
    /// What the threads do without work. [`IdleStrategy::Spin`] has the lowest latency and uses a whole CPU
    /// for each thread.
    pub idle: IdleStrategy,
}

impl Default for Threads {
    /// Returns threads that are not pinned and, without work, sleep for at most a millisecond.
    fn default() -> Self {
        Self { sequencer_cpu: None, journal_cpu: None, idle: IdleStrategy::BACK_OFF }
    }
}
