//! An event of the log that is not in a frame, or no longer.

use stele_wire::codec::{Message, View};
use stele_wire::{Nanos, Sequence};

/// An event as it got its place on the log.
#[derive(Clone, Copy, Debug)]
pub struct SequencedEvent<'a> {
    /// Which message.
    pub template_id: u16,
    /// Bytes of its root block as they were written.
    pub block_length: u16,
    /// The version of the schema that they were written by.
    pub schema_version: u16,
    /// Its number.
    pub sequence: Sequence,
    /// Its time.
    pub timestamp: Nanos,
    /// Block, groups and data.
    pub body: &'a [u8],
}

impl<'a> SequencedEvent<'a> {
    /// The message, when the block is long enough for the fields of its first version. The caller has looked
    /// at the template id.
    #[inline]
    pub fn message<M: Message>(&self) -> Option<View<'a, M>> {
        View::read(self.block_length, self.schema_version, self.body)
    }
}
