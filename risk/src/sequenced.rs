//! An event of the log outside of its frame.

use stele_wire::codec::{Message, View};
use stele_wire::messages::SCHEMA_VERSION;
use stele_wire::{Nanos, Sequence};

/// An event that has its sequence, outside of its frame.
#[derive(Clone, Copy, Debug)]
pub struct SequencedEvent<'a> {
    /// The template id of the message.
    pub template_id: u16,
    /// The length of the root block as it was written, in bytes.
    pub block_length: u16,
    /// The version of the schema that it was written with.
    pub schema_version: u16,
    /// The event's sequence.
    pub sequence: Sequence,
    /// The event's time.
    pub timestamp: Nanos,
    /// The root block, groups and data.
    pub body: &'a [u8],
}

impl<'a> SequencedEvent<'a> {
    /// An event of this program's schema version that consists of the root block of `message`.
    #[inline]
    pub fn of<M: Message>(message: &'a M, sequence: Sequence, timestamp: Nanos) -> Self {
        Self {
            template_id: M::TEMPLATE_ID,
            block_length: M::BLOCK_LENGTH,
            schema_version: SCHEMA_VERSION,
            sequence,
            timestamp,
            body: message.as_bytes(),
        }
    }

    /// The message, if the block is long enough for the fields of its first version. The caller has checked
    /// the template id.
    #[inline]
    pub fn message<M: Message>(&self) -> Option<View<'a, M>> {
        View::read(self.block_length, self.schema_version, self.body)
    }
}
