//! A trail as an iterator of events that own their bytes: convenient, at the price of an allocation for each
//! event. A loop over [`TrailReader::read_next`] borrows each event instead and allocates nothing.

use crate::error::TrailError;
use crate::reader::{TrailEntry, TrailReader};
use stele_wire::codec::{Message, View};
use stele_wire::frame::Frame;
use stele_wire::messages::message_name;
use stele_wire::units::{Epoch, Nanos, Position, Sequence};

/// An event of a trail, copied from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedEvent {
    bytes: Box<[u8]>,
    position: Position,
    epoch: Epoch,
    segment: u64,
}

impl RecordedEvent {
    fn copy_of(entry: &TrailEntry<'_>) -> Self {
        let TrailEntry { position, epoch, segment, frame } = entry;
        Self { bytes: frame.bytes().into(), position: *position, epoch: *epoch, segment: *segment }
    }

    /// Returns the message as one of type `M`; `None` when it has another type.
    pub fn message<M: Message>(&self) -> Option<View<'_, M>> {
        self.frame().message()
    }

    /// Returns the message's name in Stele's schema; `None` when it belongs to another schema or a later
    /// version.
    pub fn name(&self) -> Option<&'static str> {
        let frame = self.frame();
        message_name(frame.template_id()).filter(|_| frame.is_stele())
    }

    /// Returns the frame as it is on the trail.
    pub fn frame(&self) -> Frame<'_> {
        Frame::read(&self.bytes).expect("it was copied from a frame")
    }

    /// Returns the event's sequence number.
    pub fn sequence(&self) -> Sequence {
        self.frame().sequence()
    }

    /// Returns when it was sequenced, UTC.
    pub fn timestamp(&self) -> Nanos {
        self.frame().timestamp()
    }

    /// Returns the position of the frame's first byte.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the epoch that wrote it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns the index of the segment that holds it.
    pub fn segment(&self) -> u64 {
        self.segment
    }
}

/// The events of a trail from its reader's cursor on; see [`TrailReader::events`].
pub struct Events<'a> {
    reader: &'a mut TrailReader,
}

impl Iterator for Events<'_> {
    type Item = Result<RecordedEvent, TrailError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.reader.read_next() {
            Ok(entry) => entry.map(|entry| Ok(RecordedEvent::copy_of(&entry))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl TrailReader {
    /// Returns an iterator of the events from the cursor on, each a copy. It ends at the current end of the
    /// trail; on a trail that is being written it can be continued later. After an error it returns the same
    /// error again.
    ///
    /// ```
    /// use stele_journal::TrailReader;
    /// use stele_wire::messages::Trade;
    ///
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/trail.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let trail = folder.path();
    /// # write_trades(trail, 100);
    /// let mut reader = TrailReader::open(trail)?;
    /// let mut quantity = 0;
    /// for event in reader.events() {
    ///     quantity += event?.message::<Trade>().map_or(0, |trade| trade.quantity.get());
    /// }
    /// assert_eq!(quantity, 1_000);
    /// # Ok(()) }
    /// ```
    pub fn events(&mut self) -> Events<'_> {
        Events { reader: self }
    }
}
