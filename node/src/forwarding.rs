//! What a shard is told of others: from the configuration to the links of its forwarder.

use crate::config::{ForwardConfig, ShardPlan, Shards};
use crate::failure::{Failure, nearest};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use stele_bus::{AgentError, SequencerStart};
use stele_feed::bounds::FORWARD_EVENTS_MAX;
use stele_feed::forward::{Origin, Past, Take, Wanted};
use stele_journal::{TrailError, TrailReader};
use stele_replay::{Definitions, OriginProgress};
use stele_wire::messages::{Forwarded, SCHEMA};
use stele_wire::{Epoch, Frame, Position, Sequence, ShardId};

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
    known: Option<&Definitions>,
) -> Result<Vec<LinkPlan>, Failure> {
    plan.forward.iter().map(|forward| link(forward, shards, known)).collect()
}

fn link(forward: &ForwardConfig, shards: &Shards, known: Option<&Definitions>) -> Result<LinkPlan, Failure> {
    let from = ShardId(forward.from);
    let place = shards.own.iter().position(|plan| plan.id == from);
    let mut all = shards.own.iter().chain(&shards.elsewhere);
    let trail = all.find(|plan| plan.id == from).expect("the configuration was checked").directory.clone();
    let kinds = forward.kinds.iter().map(|kind| template_of(kind)).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = Wanted::new(&forward.instruments, &kinds);
    let origin: Option<&OriginProgress> = known.and_then(|known| known.origins.get(&forward.from));
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

/// How often another process's trail is looked at; its journal says within a millisecond what is durable.
const LOOK: Duration = Duration::from_millis(1);
/// For this long a trail may be unreadable: its process may be starting, and cutting what was not durable.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shard of another process, read from its trail alone: the padding of each batch says how far the trail is durable.
pub(crate) struct TrailOrigin {
    shard: ShardId,
    directory: PathBuf,
    /// The last event taken; none begins with the newest epoch that is there at the first look.
    taken: Option<Sequence>,
    reader: Option<TrailReader>,
    /// Read, and not taken or not known to be durable.
    held: VecDeque<Held>,
    durable: Position,
    looked: Option<Instant>,
    unreadable_since: Option<Instant>,
}

struct Held {
    epoch: Epoch,
    end: Position,
    frame: Vec<u8>,
}

impl Held {
    fn frame(&self) -> Frame<'_> {
        Frame::read(&self.frame).expect("it was read as one")
    }
}

impl TrailOrigin {
    pub(crate) fn new(shard: ShardId, directory: PathBuf, taken: Option<Sequence>) -> Self {
        let (held, durable) = (VecDeque::new(), Position(0));
        Self { shard, directory, taken, reader: None, held, durable, looked: None, unreadable_since: None }
    }

    /// Whether there is room for more. What is read and not durable yet always has: its own padding is behind it, and no
    /// more than the other shard's ring is ever in that state.
    fn has_room(&self) -> bool {
        self.held.len() < FORWARD_EVENTS_MAX || self.held.front().is_some_and(|held| held.end > self.durable)
    }

    /// Reads on, as far as there is something and room for it.
    fn look(&mut self) -> Result<(), TrailError> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let mut reader = TrailReader::open(&self.directory)?;
                let taken = *self.taken.get_or_insert_with(|| before_the_newest_epoch(&reader));
                reader.seek(taken.next())?;
                self.durable = Position(0);
                self.held.clear();
                reader
            }
        };
        while self.has_room() {
            let Some(entry) = reader.read_next_frame()? else { break };
            let end = entry.position.plus(entry.frame.len() as u64);
            if let Some(padding) = entry.frame.padding() {
                self.durable = self.durable.max(Position(padding.durable.get()));
            } else {
                if self.held.back().is_some_and(|held| held.epoch < entry.epoch) {
                    // What a later epoch goes on behind was kept by its start, which made it durable.
                    self.durable = self.durable.max(entry.position);
                }
                self.held.push_back(Held { epoch: entry.epoch, end, frame: entry.frame.bytes().to_vec() });
            }
        }
        self.reader = Some(reader);
        Ok(())
    }

    /// Begins anew behind the last event taken when the trail is not as it was; that lasts while a start cuts it.
    fn not_readable(&mut self, error: TrailError) -> Result<(), AgentError> {
        self.held.clear();
        let since = *self.unreadable_since.get_or_insert_with(Instant::now);
        if matches!(error, TrailError::NoTrail(_)) || since.elapsed() < PATIENCE {
            return Ok(());
        }
        Err(AgentError::caused_by(format!("the trail of shard {} cannot be read", self.shard), error))
    }
}

/// The sequence in front of the newest epoch's first event.
fn before_the_newest_epoch(reader: &TrailReader) -> Sequence {
    let newest = reader.segments().last().map(|segment| segment.header.identity.epoch);
    let mut segments = reader.segments().iter();
    let first = segments.find(|segment| Some(segment.header.identity.epoch) == newest);
    Sequence(first.map_or(0, |segment| segment.header.base_sequence.0 - 1))
}

impl Origin for TrailOrigin {
    fn poll(&mut self, take: &mut Take<'_>) -> Result<usize, AgentError> {
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if is_due && self.has_room() {
            self.looked = Some(Instant::now());
            match self.look() {
                Ok(()) => self.unreadable_since = None,
                Err(error) => self.not_readable(error)?,
            }
        }
        let mut count = 0;
        while let Some(held) = self.held.front().filter(|held| held.end <= self.durable) {
            let frame = held.frame();
            if take(held.epoch, &frame).is_break() {
                break;
            }
            self.taken = Some(frame.sequence());
            self.held.pop_front();
            count += 1;
        }
        if count > 0 {
            // There may be more at once.
            self.looked = None;
        }
        Ok(count)
    }
}
