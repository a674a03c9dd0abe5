//! The real publisher, sequencer, consumers and ring, with a journal that writes nothing.

use super::load::{LOAD_TEMPLATES_MAX, Parcel};
use std::io;
use stele_bus::bounds::PUBLISHER_WORDS_DEFAULT;
use stele_bus::{
    Agent, AgentError, Event, GatingConsumer, Grants, JournalReader, Liveness, LogRing, LossyConsumer,
    Observed, Publisher, RemotePort, RemotePublisher, RingError, RingOptions, RingParts, RingView, Sequencer,
    SequencerStart, UtcClock,
};
use stele_risk::{Risk, RiskLimits};
use stele_wire::{Identity, Nanos, Position, Sequence};
use zerocopy::FromBytes;

/// A bus with one publisher and several gating consumers.
pub(crate) struct Rig {
    pub(crate) ring: LogRing,
    pub(crate) publisher: Publisher,
    pub(crate) sequencer: Sequencer<UtcClock>,
    pub(crate) consumers: Vec<GatingConsumer>,
    pub(crate) journal: NoJournal,
}

impl Rig {
    /// Creates the bus. `capacity` is the length of the ring in bytes.
    pub(crate) fn new(capacity: usize, consumers: usize) -> io::Result<Self> {
        let options = RingOptions { capacity, ..RingOptions::default() };
        let (mut sequencer, journal) = on_ring(LogRing::create(&options, Position(0)))?;
        let publisher = sequencer.publisher(1, "load", PUBLISHER_WORDS_DEFAULT, Grants::all());
        let consumers = (0..consumers).map(|_| sequencer.gating_consumer("reader")).collect();
        Ok(Self { ring: sequencer.ring().clone(), publisher, sequencer, consumers, journal })
    }
}

/// A bus in shared memory. Its publisher and its reader map the memory themselves, as another process does.
pub(crate) struct SharedRig {
    pub(crate) publisher: RemotePublisher,
    pub(crate) sequencer: Sequencer<UtcClock>,
    pub(crate) reader: LossyConsumer,
    pub(crate) journal: NoJournal,
    /// The publisher's port, which keeps its lane.
    pub(crate) port: RemotePort,
}

/// The id of a publisher in another process.
const OUTSIDE_ID: u16 = 100;

impl SharedRig {
    /// Creates the bus. `capacity` is the length of the ring in bytes.
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        let options = RingOptions { capacity, ..RingOptions::default() };
        let (mut sequencer, journal) = on_ring(LogRing::create_shared(&options, Position(0)))?;
        let mut port = sequencer.remote_publisher(OUTSIDE_ID, "load", PUBLISHER_WORDS_DEFAULT, Grants::all());
        let view = || {
            let memory = sequencer.ring().descriptor().expect("it is shared").try_clone_to_owned()?;
            RingView::attach(memory, Liveness::Process).map_err(io::Error::other)
        };
        let lane = port.open().map_err(io::Error::other)?;
        let publisher = RemotePublisher::attach(view()?, lane).map_err(io::Error::other)?;
        let reader = LossyConsumer::join(&view()?);
        Ok(Self { publisher, sequencer, reader, journal, port })
    }
}

/// Creates the sequencer and the journal of a ring.
fn on_ring(parts: Result<RingParts, RingError>) -> io::Result<(Sequencer<UtcClock>, NoJournal)> {
    let RingParts { writer, journal, .. } = parts.map_err(io::Error::other)?;
    let start = SequencerStart {
        identity: Identity::default(),
        next_sequence: Sequence(1),
        position: Position(0),
        last_timestamp: Nanos(0),
        segment_length: 256 << 20,
        block_length: 512,
    };
    let risk = Risk::new(RiskLimits::default());
    let sequencer = Sequencer::new(&start, writer, UtcClock::new(), risk).map_err(io::Error::other)?;
    Ok((sequencer, NoJournal(journal)))
}

/// A journal without a device: moves `written` and `durable` to the last closed batch at once.
pub(crate) struct NoJournal(pub(crate) JournalReader);

impl NoJournal {
    #[inline]
    pub(crate) fn turn(&mut self) -> usize {
        let marks = self.0.ring().watermarks();
        let (written, batched) = (marks.written(), marks.batched());
        if written == batched {
            return 0;
        }
        self.0.advance_written(batched);
        self.0.advance_durable(batched);
        1
    }
}

impl Agent for NoJournal {
    fn name(&self) -> &str {
        "no journal"
    }

    fn do_work(&mut self) -> Result<usize, AgentError> {
        Ok(self.turn())
    }
}

/// Calls `on_word` with the first word of up to `limit` events of the load, and skips the sequencer's own
/// events. Returns how many there were.
#[inline]
pub(crate) fn poll(consumer: &mut GatingConsumer, limit: usize, mut on_word: impl FnMut(u64)) -> u64 {
    let mut count = 0;
    consumer.poll(limit, |event| {
        if let Some(word) = first_word(&event) {
            on_word(word);
            count += 1;
        }
    });
    count
}

/// Like [`poll`], for a reader that copies.
///
/// # Panics
/// If the reader is overrun, because the lost events would be missing from the figure.
#[inline]
pub(crate) fn observe(reader: &mut LossyConsumer, limit: usize, mut on_word: impl FnMut(u64)) -> u64 {
    let mut count = 0;
    reader.poll(limit, |observed| match observed {
        Observed::Event(event) => {
            if let Some(word) = first_word(&event) {
                on_word(word);
                count += 1;
            }
        }
        Observed::Lost { first, last } => panic!("the reader was overrun and lost events {first} to {last}"),
    });
    count
}

#[inline]
fn first_word(event: &Event<'_>) -> Option<u64> {
    let is_load = event.template_id() <= LOAD_TEMPLATES_MAX;
    is_load.then(|| u64::read_from_prefix(event.body()).expect("a body begins with the venue's time").0)
}

/// Publishes up to `count` of `parcels`, in turn, as far as the publisher's ring has room, and returns how
/// many.
#[inline]
pub(crate) fn publish(publisher: &mut Publisher, parcels: &[Parcel], next: &mut usize, count: u64) -> u64 {
    for _ in 0..count {
        let parcel = &parcels[*next];
        if publisher.stage(parcel.template_id, parcel.body(), Nanos(1)).is_err() {
            break;
        }
        *next = if *next + 1 < parcels.len() { *next + 1 } else { 0 };
    }
    publisher.commit()
}

/// Runs one duty cycle and returns how many events were sequenced.
#[inline]
pub(crate) fn sequence(sequencer: &mut Sequencer<UtcClock>) -> u64 {
    let before = sequencer.next_sequence().0;
    sequencer.do_work().expect("a journal that writes nothing cannot fail");
    sequencer.next_sequence().0 - before
}
