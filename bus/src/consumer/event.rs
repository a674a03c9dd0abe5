//! An event on the log, as consumers receive it.

use stele_wire::codec::{Message, View};
use stele_wire::{Frame, Nanos, Position, Sequence};

/// An event on the log: its frame and its position.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    frame: Frame<'a>,
    position: Position,
}

impl<'a> Event<'a> {
    /// The event of `frame`, which begins at `position`: for code that reads the log elsewhere than from the
    /// ring.
    #[inline]
    pub fn new(frame: Frame<'a>, position: Position) -> Self {
        Self { frame, position }
    }

    /// The frame as it is on the log.
    #[inline]
    pub fn frame(&self) -> Frame<'a> {
        self.frame
    }

    /// The position where the frame begins.
    #[inline]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The position where the frame ends. The event is durable, for example, once `durable` has reached it.
    #[inline]
    pub fn end(&self) -> Position {
        self.position.plus(self.frame.len() as u64)
    }

    /// The event's sequence.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        self.frame.sequence()
    }

    /// The time at which the event was sequenced, UTC.
    #[inline]
    pub fn timestamp(&self) -> Nanos {
        self.frame.timestamp()
    }

    /// The template id of its message.
    #[inline]
    pub fn template_id(&self) -> u16 {
        self.frame.template_id()
    }

    /// The message as one of type `M`; none when it has another type.
    #[inline]
    pub fn message<M: Message>(&self) -> Option<View<'a, M>> {
        self.frame.message()
    }

    /// The bytes of the message, with the zeros at the end of the frame.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.frame.body()
    }
}
