//! Buses that run in other processes, reached through their doors.

use crate::failure::Failure;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use stele_bus::RingView;
use stele_door::protocol::Code;
use stele_door::{Caller, ClientError, DoorClient, Outcome};
use stele_wire::{Identity, TrailId};

/// One shard of a running bus.
#[derive(Clone, Debug)]
pub(crate) struct BusShard {
    pub(crate) door: DoorClient,
    number: u32,
    trail: PathBuf,
    trail_id: String,
}

/// Finds the running bus named `name`, or the only one.
///
/// # Errors
/// [`Failure`]: the bus does not exist, or does not answer.
pub(crate) fn find(name: Option<&str>) -> Result<DoorClient, Failure> {
    DoorClient::find(name).map_err(failed)
}

/// The shards of a running bus, by number.
pub(crate) fn shards(door: &DoorClient) -> Vec<BusShard> {
    let shards = door.shards().iter().map(|shard| BusShard {
        door: door.clone(),
        number: shard.shard,
        trail: PathBuf::from(&shard.directory),
        trail_id: shard.trail.clone(),
    });
    shards.collect()
}

/// Finds the running shard that writes the trail in `trail` with this identity; none where no bus that this
/// process may connect to writes it.
pub(crate) fn writer_of(trail: &Path, identity: Identity) -> Option<BusShard> {
    let whole = fs::canonicalize(trail).ok()?;
    let writes = |shard: &BusShard| {
        shard.trail_id == hexadecimal(identity.trail)
            && fs::canonicalize(&shard.trail).is_ok_and(|trail| trail == whole)
    };
    DoorClient::running().iter().flat_map(shards).find(writes)
}

fn hexadecimal(trail: TrailId) -> String {
    trail.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The failure that an error of the door is.
pub(crate) fn failed(error: ClientError) -> Failure {
    match &error {
        ClientError::Refused { code: Code::Denied, .. } => Failure::not_so(error),
        _ => Failure::environment(error),
    }
}

impl BusShard {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The directory of its trail, as its process names it.
    pub(crate) fn trail(&self) -> &Path {
        &self.trail
    }

    /// Maps its ring.
    ///
    /// # Errors
    /// [`Failure`]: the ring is private, or the caller may not read it.
    pub(crate) fn ring(&self) -> Result<RingView, Failure> {
        self.door.ring(self.number).map_err(failed)
    }

    /// Submits a message and waits until it is durable or refused. Returns its sequence.
    ///
    /// # Errors
    /// [`Failure`]: it was refused, or the bus did not answer in time.
    pub(crate) fn submit(&self, template_id: u16, body: &[u8]) -> Result<u64, Failure> {
        match self.door.submit(self.number, template_id, body).map_err(failed)? {
            Outcome::Sequenced(sequence) => Ok(sequence),
            Outcome::Refused { what, .. } => {
                Err(Failure::not_so(format!("shard {} refused the change: {what}", self.number)))
            }
        }
    }
}

/// Who made a change, for people and for `--json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Made {
    /// The user and the process that the kernel named; none where no bus was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    /// Whether the configuration of the bus says which person that user is. If not, the number of the person
    /// is only what the command said.
    verified: bool,
}

impl Made {
    /// On a running bus.
    pub(crate) fn through(door: &DoorClient) -> Self {
        let welcome = door.welcome();
        Self { caller: Some(welcome.caller), verified: welcome.person.is_some() }
    }

    /// On a trail that no process writes.
    pub(crate) fn on_a_trail() -> Self {
        Self { caller: None, verified: false }
    }

    /// A line about the person with the number `by`.
    pub(crate) fn line(&self, by: u32) -> String {
        match (&self.caller, self.verified) {
            (Some(caller), true) => format!("by person {by}: {caller}\n"),
            (Some(caller), false) => {
                format!("person {by} is not verified: the bus has no [[person]]; the caller is {caller}\n")
            }
            (None, _) => format!("person {by} is not verified: no running bus was asked\n"),
        }
    }
}
