//! What a shard is told of others: from the configuration to the links of its forwarder.

use crate::config::{ForwardConfig, ShardPlan, Shards};
use crate::failure::{Failure, nearest};
use std::ops::ControlFlow;
use std::path::PathBuf;
use stele_bus::bounds::FORWARD_EVENTS_MAX;
use stele_bus::forward::{Past, Take, Wanted};
use stele_bus::{AgentError, SequencerStart};
use stele_journal::TrailReader;
use stele_replay::{Known, KnownOrigin};
use stele_wire::messages::{Forwarded, SCHEMA};
use stele_wire::{Epoch, Frame, Sequence, ShardId};

/// A link that is to be made, from one shard to the one that is told.
#[derive(Clone, Debug)]
pub(crate) struct LinkPlan {
    pub(crate) from: ShardId,
    /// The trail of that shard.
    pub(crate) trail: PathBuf,
    /// Its place among the shards of this process.
    pub(crate) place: Option<usize>,
    pub(crate) wanted: Wanted,
    /// The last of its events that was forwarded, by its sequence there; none before the first.
    pub(crate) taken: Option<Sequence>,
}

/// The links of `plan`'s shard, of whose trail `known` is known.
pub(crate) fn links(
    plan: &ShardPlan,
    shards: &Shards,
    known: Option<&Known>,
) -> Result<Vec<LinkPlan>, Failure> {
    plan.forward.iter().map(|forward| link(forward, shards, known)).collect()
}

fn link(forward: &ForwardConfig, shards: &Shards, known: Option<&Known>) -> Result<LinkPlan, Failure> {
    let from = ShardId(forward.from);
    let place = shards.own.iter().position(|plan| plan.id == from);
    let mut all = shards.own.iter().chain(&shards.elsewhere);
    let trail = all.find(|plan| plan.id == from).expect("the configuration was checked").directory.clone();
    let kinds = forward.kinds.iter().map(|kind| template_of(kind)).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = Wanted::new(&forward.instruments, &kinds);
    let origin: Option<&KnownOrigin> = known.and_then(|known| known.origins.get(&forward.from));
    for (instrument, symbol) in origin.into_iter().flat_map(|origin| &origin.instruments) {
        wanted.knows(*instrument, symbol);
    }
    let taken = origin.map(|origin| Sequence(origin.last_sequence));
    Ok(LinkPlan { from, trail, place, wanted, taken })
}

fn template_of(kind: &str) -> Result<u16, Failure> {
    let events = || SCHEMA.messages.iter().filter(|message| message.id != Forwarded::TEMPLATE_ID);
    events().find(|message| message.name == kind).map(|message| message.id).ok_or_else(|| {
        let help = nearest(kind, events().map(|message| &*message.name));
        Failure::usage(format!("forward: `{kind}` is no type of event that can be forwarded")).help(help)
    })
}

impl LinkPlan {
    /// Behind which event of the origin, whose epoch begins at `start`, the link goes on. One that never forwarded
    /// anything begins with the epoch.
    pub(crate) fn taken(&self, start: &SequencerStart) -> Result<Sequence, Failure> {
        let before = Sequence(start.next_sequence.0 - 1);
        match self.taken {
            Some(taken) if taken > before => Err(Failure::not_so(format!(
                "event {taken} of shard {} was forwarded, and its trail {} ends at {before}",
                self.from,
                self.trail.display()
            ))
            .help("bring back the trail that the events came from, or begin both shards in new directories")),
            taken => Ok(taken.unwrap_or(before)),
        }
    }
}

/// The trail of another shard, read from the disk.
pub(crate) struct TrailPast {
    shard: ShardId,
    directory: PathBuf,
    reader: Option<TrailReader>,
    /// An event that was read and not taken.
    waiting: Option<(Epoch, Vec<u8>)>,
}

impl TrailPast {
    pub(crate) fn new(shard: ShardId, directory: PathBuf) -> Self {
        Self { shard, directory, reader: None, waiting: None }
    }

    fn cannot(&self, error: impl std::error::Error + Send + Sync + 'static) -> AgentError {
        let what = format!("the trail of shard {} cannot be read on", self.shard);
        AgentError::caused_by(what, error)
    }

    /// A reader in front of the event behind `after`.
    fn reader_behind(&mut self, after: Sequence) -> Result<TrailReader, AgentError> {
        if let Some(reader) = self.reader.take().filter(|reader| reader.last_sequence() == after) {
            return Ok(reader);
        }
        let mut reader = TrailReader::open(&self.directory).map_err(|error| self.cannot(error))?;
        reader.seek(after.next()).map_err(|error| self.cannot(error))?;
        Ok(reader)
    }
}

impl Past for TrailPast {
    fn read(
        &mut self,
        after: Sequence,
        through: Sequence,
        take: &mut Take<'_>,
    ) -> Result<(usize, Sequence), AgentError> {
        let (mut count, mut last) = (0, after);
        if let Some((epoch, bytes)) = &self.waiting {
            let frame = Frame::read(bytes).expect("it was read as one");
            if take(*epoch, &frame).is_break() {
                return Ok((0, after));
            }
            (count, last) = (1, frame.sequence());
            self.waiting = None;
        }
        let mut reader = self.reader_behind(last)?;
        while count < FORWARD_EVENTS_MAX && last < through {
            let Some(entry) = reader.read_next().map_err(|error| self.cannot(error))? else { break };
            if take(entry.epoch, &entry.frame) == ControlFlow::Break(()) {
                self.waiting = Some((entry.epoch, entry.frame.bytes().to_vec()));
                break;
            }
            (count, last) = (count + 1, entry.frame.sequence());
        }
        self.reader = Some(reader);
        Ok((count, last))
    }
}
