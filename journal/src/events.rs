//! A trail as an iterator of events that own their bytes: for tools that take their time. A loop over
//! [`TrailReader::read_next`] lends each event instead and allocates nothing.

use crate::error::TrailError;
use crate::reader::{Entry, TrailReader};
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
    fn copy_of(entry: &Entry<'_>) -> Self {
        let Entry { position, epoch, segment, frame } = entry;
        Self { bytes: frame.bytes().into(), position: *position, epoch: *epoch, segment: *segment }
    }

    /// The message as one of type `M`; none when it is another.
    pub fn message<M: Message>(&self) -> Option<View<'_, M>> {
        self.frame().message()
    }

    /// The message's name in Stele's schema; none of one of another schema, or of a later version.
    pub fn name(&self) -> Option<&'static str> {
        let frame = self.frame();
        message_name(frame.template_id()).filter(|_| frame.is_stele())
    }

    /// The frame as it is on the trail.
    pub fn frame(&self) -> Frame<'_> {
        Frame::read(&self.bytes).expect("it was copied from a frame")
    }

    /// The event's number.
    pub fn sequence(&self) -> Sequence {
        self.frame().sequence()
    }

    /// When it was sequenced, UTC.
    pub fn timestamp(&self) -> Nanos {
        self.frame().timestamp()
    }

    /// Position of the frame's first byte.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The epoch that wrote it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Index of the segment that holds it.
    pub fn segment(&self) -> u64 {
        self.segment
    }
}

/// The events of a trail from the cursor of its reader on, see [`TrailReader::events`].
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
    /// The events from the cursor on, each a copy. It ends at the end of what is there now; at the end of a
    /// trail that is being written it may be asked again. After an error it gives the same error again.
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
