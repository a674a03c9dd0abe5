//! Finds the instrument of an event; sets of instruments.

use std::collections::BTreeSet;
use stele_wire::messages::SCHEMA;

/// Instruments with a lower number are in tables; the numbers begin with 1.
pub(crate) const DENSE: u32 = 64 << 10;

/// The offset of the instrument in each message, by template id.
#[derive(Clone, Debug)]
pub(crate) struct InstrumentFields(Box<[u16]>);

const NONE: u16 = u16::MAX;

impl Default for InstrumentFields {
    fn default() -> Self {
        let last = SCHEMA.messages.iter().map(|message| message.id).max().unwrap_or(0);
        let mut offsets = vec![NONE; usize::from(last) + 1];
        for message in SCHEMA.messages.iter() {
            let field = message.block.fields.iter().find(|field| field.name == "instrument");
            offsets[usize::from(message.id)] = field.map_or(NONE, |field| field.offset);
        }
        Self(offsets.into())
    }
}

impl InstrumentFields {
    /// The instrument of a message; 0 is the whole market. `None` if the message has no such field.
    #[inline]
    pub(crate) fn of(&self, template_id: u16, body: &[u8]) -> Option<u32> {
        let at = *self.0.get(usize::from(template_id))?;
        let field = body.get(usize::from(at)..)?.first_chunk()?;
        Some(u32::from_le_bytes(*field))
    }
}

/// A set of instruments, by their numbers.
#[derive(Clone, Debug)]
pub(crate) struct InstrumentSet {
    dense: Box<[u64]>,
    sparse: BTreeSet<u32>,
}

impl Default for InstrumentSet {
    fn default() -> Self {
        Self { dense: vec![0; DENSE as usize / 64].into(), sparse: BTreeSet::new() }
    }
}

impl InstrumentSet {
    #[inline]
    pub(crate) fn contains(&self, instrument: u32) -> bool {
        match self.dense.get(instrument as usize / 64) {
            Some(word) => word & 1 << (instrument % 64) != 0,
            None => self.sparse.contains(&instrument),
        }
    }

    pub(crate) fn insert(&mut self, instrument: u32) {
        match self.dense.get_mut(instrument as usize / 64) {
            Some(word) => *word |= 1 << (instrument % 64),
            None => {
                self.sparse.insert(instrument);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::messages::{BookAdd, FeedStatus, InstrumentDefinition, OrderFilled};
    use zerocopy::IntoBytes;

    #[test]
    fn an_instrument_is_found_wherever_its_message_has_it() {
        let fields = InstrumentFields::default();
        let add = BookAdd { instrument: 7.into(), ..BookAdd::NULL };
        let definition = InstrumentDefinition { instrument: 8.into(), ..InstrumentDefinition::NULL };
        let fill = OrderFilled { instrument: 9.into(), ..OrderFilled::NULL };
        assert_eq!(fields.of(BookAdd::TEMPLATE_ID, add.as_bytes()), Some(7));
        assert_eq!(fields.of(InstrumentDefinition::TEMPLATE_ID, definition.as_bytes()), Some(8));
        assert_eq!(fields.of(OrderFilled::TEMPLATE_ID, fill.as_bytes()), Some(9));
        assert_eq!(fields.of(FeedStatus::TEMPLATE_ID, FeedStatus::NULL.as_bytes()), None);
        assert_eq!(fields.of(BookAdd::TEMPLATE_ID, &[0; 8]), None);
        assert_eq!(fields.of(u16::MAX, add.as_bytes()), None);
    }

    #[test]
    fn an_instrument_is_in_the_set_once_it_is_inserted() {
        let mut set = InstrumentSet::default();
        for instrument in [1, 63, 64, DENSE - 1, DENSE, u32::MAX] {
            assert!(!set.contains(instrument));
            set.insert(instrument);
            assert!(set.contains(instrument) && !set.contains(instrument ^ 1));
        }
    }
}
