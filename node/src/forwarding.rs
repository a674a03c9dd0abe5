//! Forwarding between shards: from the configuration to the links of a shard's forwarder.

use crate::config::{ForwardConfig, ShardPlan, Shards};
use crate::failure::{Failure, nearest};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use stele_bus::{AgentError, SequencerStart};
use stele_feed::bounds::FORWARD_EVENTS_MAX;
use stele_feed::forward::{EventSink, ForwardFilter, Origin, OriginTrail};
use stele_journal::{TrailError, TrailReader};
use stele_replay::{Definitions, OriginProgress};
use stele_wire::messages::{Forwarded, SCHEMA};
use stele_wire::{Epoch, Frame, Position, Sequence, ShardId};

/// A planned link, which forwards events of one shard to another.
#[derive(Clone, Debug)]
pub(crate) struct LinkPlan {
    pub(crate) from: ShardId,
    /// The trail of that shard.
    pub(crate) trail: PathBuf,
    /// The index of that shard among the shards of this process; none where another process runs it.
    pub(crate) place: Option<usize>,
    pub(crate) wanted: ForwardFilter,
    /// The sequence, on that shard, of its last event that was forwarded; none before the first.
    pub(crate) taken: Option<Sequence>,
}

/// Returns the links to the shard of `plan`; `known` is what its trail defines, where there is one.
///
/// # Errors
/// [`Failure`]: `forward` names an unknown type of event.
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
    let mut wanted = ForwardFilter::new(&forward.instruments, &kinds);
    let origin: Option<&OriginProgress> = known.and_then(|known| known.origins.get(&forward.from));
    for (instrument, symbol) in origin.into_iter().flat_map(|origin| &origin.instruments) {
        wanted.add_instrument(*instrument, symbol);
    }
    let taken = origin.map(|origin| Sequence(origin.last_sequence));
    Ok(LinkPlan { from, trail, place, wanted, taken })
}

fn template_of(kind: &str) -> Result<u16, Failure> {
    let events = || SCHEMA.messages.iter().filter(|message| message.id != Forwarded::TEMPLATE_ID);
    events().find(|message| message.name == kind).map(|message| message.id).ok_or_else(|| {
        let help = nearest(kind, events().map(|message| &*message.name));
        Failure::usage(format!("forward: events of the type `{kind}` cannot be forwarded")).help(help)
    })
}

impl LinkPlan {
    /// Returns the event of the origin, whose epoch begins at `start`, after which the link continues. A link
    /// that never forwarded anything begins with the epoch.
    ///
    /// # Errors
    /// [`Failure`]: the origin's trail ends before the last event that was forwarded.
    pub(crate) fn taken(&self, start: &SequencerStart) -> Result<Sequence, Failure> {
        let before = Sequence(start.next_sequence.0 - 1);
        match self.taken {
            Some(taken) if taken > before => Err(Failure::not_so(format!(
                "event {taken} of shard {} was forwarded, but its trail {} ends at event {before}",
                self.from,
                self.trail.display()
            ))
            .help("restore the trail that the events came from, or start both shards in new directories")),
            taken => Ok(taken.unwrap_or(before)),
        }
    }
}

/// The earlier events of another shard of this process, read from its trail.
pub(crate) struct TrailPast {
    shard: ShardId,
    directory: PathBuf,
    reader: Option<TrailReader>,
    /// An event that was read and could not be forwarded yet.
    waiting: Option<(Epoch, Vec<u8>)>,
}

impl TrailPast {
    pub(crate) fn new(shard: ShardId, directory: PathBuf) -> Self {
        Self { shard, directory, reader: None, waiting: None }
    }

    fn cannot(&self, error: impl std::error::Error + Send + Sync + 'static) -> AgentError {
        let what = format!("cannot continue to read the trail of shard {}", self.shard);
        AgentError::caused_by(what, error)
    }

    /// Returns a reader whose next event is the one after `after`.
    fn reader_after(&mut self, after: Sequence) -> Result<TrailReader, AgentError> {
        if let Some(reader) = self.reader.take().filter(|reader| reader.last_sequence() == after) {
            return Ok(reader);
        }
        let mut reader = TrailReader::open(&self.directory).map_err(|error| self.cannot(error))?;
        reader.seek(after.next()).map_err(|error| self.cannot(error))?;
        Ok(reader)
    }
}

impl OriginTrail for TrailPast {
    fn read(
        &mut self,
        after: Sequence,
        through: Sequence,
        take: &mut EventSink<'_>,
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
        let mut reader = self.reader_after(last)?;
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

/// How often the trail of another process is read; its journal records within a millisecond what is durable.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// How long a trail may be unreadable: its process may be starting and cutting off what was not durable.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shard of another process, read from its trail alone. The padding frame of each batch says how far the
/// trail is durable.
pub(crate) struct TrailOrigin {
    shard: ShardId,
    directory: PathBuf,
    /// The last event that was forwarded; none: begin with the newest epoch on the trail.
    taken: Option<Sequence>,
    reader: Option<TrailReader>,
    /// Events that were read and are not forwarded yet, or not known to be durable.
    held: VecDeque<Held>,
    durable: Position,
    polled: Option<Instant>,
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
        Self { shard, directory, taken, reader: None, held, durable, polled: None, unreadable_since: None }
    }

    /// Whether another event may be read. While the oldest one that is held is not known to be durable,
    /// reading goes on: the padding frame that says so comes later on the trail. The other shard's ring
    /// bounds how much that can be.
    fn has_room(&self) -> bool {
        self.held.len() < FORWARD_EVENTS_MAX || self.held.front().is_some_and(|held| held.end > self.durable)
    }

    /// Reads the next events, as far as there are any and there is room for them.
    fn read_on(&mut self) -> Result<(), TrailError> {
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
                    // The start of an epoch makes durable what it keeps of the epochs before it.
                    self.durable = self.durable.max(entry.position);
                }
                self.held.push_back(Held { epoch: entry.epoch, end, frame: entry.frame.bytes().to_vec() });
            }
        }
        self.reader = Some(reader);
        Ok(())
    }

    /// Discards what was read, so that the next reading begins after the last forwarded event. The trail may
    /// be unreadable for a while: its process may be starting and cutting off its end.
    fn not_readable(&mut self, error: TrailError) -> Result<(), AgentError> {
        self.held.clear();
        let since = *self.unreadable_since.get_or_insert_with(Instant::now);
        if matches!(error, TrailError::NoTrail(_)) || since.elapsed() < PATIENCE {
            return Ok(());
        }
        Err(AgentError::caused_by(format!("the trail of shard {} cannot be read", self.shard), error))
    }
}

/// Returns the sequence before the first event of the newest epoch.
fn before_the_newest_epoch(reader: &TrailReader) -> Sequence {
    let newest = reader.segments().last().map(|segment| segment.header.identity.epoch);
    let mut segments = reader.segments().iter();
    let first = segments.find(|segment| Some(segment.header.identity.epoch) == newest);
    Sequence(first.map_or(0, |segment| segment.header.base_sequence.0 - 1))
}

impl Origin for TrailOrigin {
    fn poll(&mut self, take: &mut EventSink<'_>) -> Result<usize, AgentError> {
        let is_due = self.polled.is_none_or(|polled| polled.elapsed() >= POLL_INTERVAL);
        if is_due && self.has_room() {
            self.polled = Some(Instant::now());
            match self.read_on() {
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
            // There may be more already.
            self.polled = None;
        }
        Ok(count)
    }
}
