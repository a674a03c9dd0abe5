//! One shard that the door serves: its ring, its publishers, and the controls on their way.

use crate::controls::Desk;
use crate::pending::{Pending, Submission};
use crate::protocol::{Answer, Code, PublisherReport, ShardReport};
use crate::trail::TrailFiles;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use stele_bus::{LogRing, PortError, Publisher, RemotePort};
use stele_journal::{Directory, Storage};

/// What the door serves of a shard.
#[derive(Debug)]
pub struct ServedShard {
    /// Its number.
    pub id: u32,
    /// Its ring, which other processes can map if it is in shared memory.
    pub ring: LogRing,
    /// The directory of its trail.
    pub trail: PathBuf,
    /// The publisher of the controls that others submit; none where the bus takes no controls.
    pub controls: Option<Publisher>,
    /// The publisher of the records of who reads; none where the bus records none.
    pub auditors: Option<Publisher>,
    /// The publishers that other processes can be.
    pub ports: Vec<RemotePort>,
}

/// A shard that is served.
pub(crate) struct Shard {
    id: u32,
    pub(crate) ring: LogRing,
    directory: PathBuf,
    pub(crate) files: TrailFiles,
    trail: Arc<dyn Storage>,
    controls: Option<Queue>,
    auditors: Option<Queue>,
    ports: Vec<RemotePort>,
}

/// A publisher of the door, which submits one message at a time.
struct Queue {
    publisher: Publisher,
    pending: Option<Pending>,
    waiting: VecDeque<Submission>,
}

impl Queue {
    fn new(publisher: Publisher) -> Self {
        Self { publisher, pending: None, waiting: VecDeque::new() }
    }

    /// Goes on with the message that is on its way, and with the next ones.
    fn progress(&mut self, trail: &Arc<dyn Storage>, now: Instant, answers: &mut Vec<(u64, Answer)>) {
        loop {
            if let Some(pending) = &mut self.pending {
                let Some(answer) = pending.progress(&self.publisher, now) else { return };
                answers.push((pending.client(), answer));
                self.pending = None;
            }
            let Some(next) = self.waiting.pop_front() else { return };
            match Pending::submit(&mut self.publisher, trail, next) {
                Ok(pending) => self.pending = Some(pending),
                Err(refused) => answers.push(refused),
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.pending.is_none() && self.waiting.is_empty()
    }
}

fn refused(code: Code, what: impl Into<String>) -> Answer {
    Answer::Refused { code, what: what.into(), decision: None }
}

impl Shard {
    pub(crate) fn new(served: ServedShard) -> Self {
        let directory = std::path::absolute(&served.trail).unwrap_or(served.trail);
        Self {
            id: served.id,
            ring: served.ring,
            files: TrailFiles::new(&directory),
            trail: Arc::new(Directory::new(&directory)),
            directory,
            controls: served.controls.map(Queue::new),
            auditors: served.auditors.map(Queue::new),
            ports: served.ports,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn report(&self) -> ShardReport {
        let identity = self.ring.identity().unwrap_or_default();
        let trail = identity.trail.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let publishers = self.ports.iter().map(|port| PublisherReport {
            id: port.id(),
            name: port.name(),
            is_taken: port.is_taken(),
        });
        ShardReport {
            shard: self.id,
            trail,
            epoch: identity.epoch.0,
            directory: self.directory.to_string_lossy().into_owned(),
            has_ring: self.ring.descriptor().is_some(),
            publishers: publishers.collect(),
        }
    }

    /// The memory of the ring.
    pub(crate) fn memory(&self) -> Result<OwnedFd, Answer> {
        let none = || refused(Code::Unavailable, format!("the ring of shard {} is private", self.id));
        let memory = self.ring.descriptor().ok_or_else(none)?;
        memory.try_clone_to_owned().map_err(|error| refused(Code::Unavailable, error.to_string()))
    }

    /// The memory of the ring and of a new lane of the publisher.
    pub(crate) fn claim(&mut self, publisher: u16) -> Result<[OwnedFd; 2], Answer> {
        let ring = self.memory()?;
        let Some(port) = self.ports.iter_mut().find(|port| port.id() == publisher) else {
            let ids: Vec<String> = self.ports.iter().map(|port| port.id().to_string()).collect();
            let known = if ids.is_empty() { "none".into() } else { ids.join(", ") };
            let what = format!("shard {} has no publisher {publisher}; available: {known}", self.id);
            return Err(refused(Code::NotFound, what));
        };
        let lane = port.open().map_err(|error| {
            let code = match error {
                PortError::Taken => Code::Taken,
                PortError::Busy => Code::Busy,
                PortError::SequencerGone | PortError::Memory(_) => Code::Unavailable,
            };
            refused(code, format!("publisher {publisher}: {error}"))
        })?;
        Ok([ring, lane])
    }

    /// Takes back a publisher whose connection has ended.
    pub(crate) fn release(&mut self, publisher: u16) {
        if let Some(port) = self.ports.iter_mut().find(|port| port.id() == publisher) {
            port.close();
        }
    }

    /// Puts a message into the queue of its publisher.
    pub(crate) fn submit(&mut self, submission: Submission) -> Result<(), Answer> {
        let queue = match submission.control.desk {
            Desk::Controls => &mut self.controls,
            Desk::Auditors => &mut self.auditors,
        };
        let none = || refused(Code::Unavailable, "this bus takes no such message from other processes");
        queue.as_mut().ok_or_else(none)?.waiting.push_back(submission);
        Ok(())
    }

    /// Drops what a client that is gone has not submitted yet.
    pub(crate) fn forget(&mut self, client: u64) {
        for queue in [&mut self.controls, &mut self.auditors].into_iter().flatten() {
            queue.waiting.retain(|waiting| waiting.client != client);
        }
    }

    /// Goes on with what is on its way. Returns the answers to connections.
    pub(crate) fn progress(&mut self, now: Instant, answers: &mut Vec<(u64, Answer)>) {
        for queue in [&mut self.controls, &mut self.auditors].into_iter().flatten() {
            queue.progress(&self.trail, now, answers);
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        [&self.controls, &self.auditors].into_iter().flatten().all(Queue::is_idle)
    }
}
