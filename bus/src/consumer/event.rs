//! An event on the log, as a consumer is shown it.

use stele_wire::codec::{Message, View};
use stele_wire::{Frame, Nanos, Position, Sequence};

/// An event on the log: its frame and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    frame: Frame<'a>,
    position: Position,
}

impl<'a> Event<'a> {
    /// The event of `frame`, which begins at `position`: for whoever reads the log elsewhere than on the ring.
    #[inline]
    pub fn new(frame: Frame<'a>, position: Position) -> Self {
        Self { frame, position }
    }

    /// The frame as it stands on the log.
    #[inline]
    pub fn frame(&self) -> Frame<'a> {
        self.frame
    }

    /// Where the frame begins.
    #[inline]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Where the frame ends: what a watermark must have reached for the event to be under it.
    #[inline]
    pub fn end(&self) -> Position {
        self.position.plus(self.frame.len() as u64)
    }

    /// The event's number.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        self.frame.sequence()
    }

    /// When it was sequenced.
    #[inline]
    pub fn timestamp(&self) -> Nanos {
        self.frame.timestamp()
    }

    /// Which message it carries.
    #[inline]
    pub fn template_id(&self) -> u16 {
        self.frame.template_id()
    }

    /// The message as one of type `M`; none when it is another.
    #[inline]
    pub fn message<M: Message>(&self) -> Option<View<'a, M>> {
        self.frame.message()
    }

    /// The message, with the zeros that close the frame.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.frame.body()
    }
}
