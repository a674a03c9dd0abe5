//! What earlier sessions left on the log for the next one to go on from: the schemas whose text is there, and
//! how far each publisher's numbering got. Pure; fed events in the order of the log.

use std::collections::{BTreeMap, BTreeSet};
use stele_wire::Frame;
use stele_wire::messages::{
    CancelOrder, MassCancel, NewOrder, PublisherProgress, Quote, QuoteCancel, RefusedOrder, ReplaceOrder,
    SchemaText, TimerSet,
};

/// Schemas whose whole text is on the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordedSchemas {
    /// SHA-256 of each text.
    pub hashes: BTreeSet<[u8; 32]>,
    /// A text of which some parts are there: its hash and the part that comes next.
    pub partial: Option<([u8; 32], u16)>,
}

impl RecordedSchemas {
    /// Takes the next event. Parts count only in their order from the first: a kill may have cut a text
    /// short.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        let Some(message) = event.message::<SchemaText>() else { return };
        let (hash, part) = (message.schema_hash, message.part.get());
        let is_next = part == 0 || self.partial == Some((hash, part));
        self.partial = is_next.then_some((hash, part + 1));
        if is_next && part + 1 == message.parts.get() {
            self.hashes.insert(hash);
        }
    }
}

/// How far the numbering of each publisher got.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordedNumbers {
    /// The last number of each publisher that the log has: in the messages that carry one, refused ones
    /// included, or in the `PublisherProgress` before one that does not.
    pub last: BTreeMap<u16, u64>,
    /// The publisher whose number came last, if nothing has followed: the next event is its, unless that one
    /// carries a number itself.
    pub announced: Option<u16>,
}

impl RecordedNumbers {
    /// Takes the next event.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        macro_rules! numbered {
            ($message:ident) => {
                if let Some(message) = event.message::<$message>() {
                    self.reached(message.publisher.get(), message.publisher_sequence.get());
                }
            };
        }
        if event.is_padding() {
            return;
        }
        let announced = self.announced.take();
        // 0 is no message of Stele's: one of another schema counts for its publisher's numbering alone.
        match if event.is_stele() { event.template_id() } else { 0 } {
            PublisherProgress::TEMPLATE_ID => {
                numbered!(PublisherProgress);
                self.announced = event.message::<PublisherProgress>().map(|message| message.publisher.get());
            }
            RefusedOrder::TEMPLATE_ID => numbered!(RefusedOrder),
            Quote::TEMPLATE_ID => numbered!(Quote),
            QuoteCancel::TEMPLATE_ID => numbered!(QuoteCancel),
            NewOrder::TEMPLATE_ID => numbered!(NewOrder),
            ReplaceOrder::TEMPLATE_ID => numbered!(ReplaceOrder),
            CancelOrder::TEMPLATE_ID => numbered!(CancelOrder),
            MassCancel::TEMPLATE_ID => numbered!(MassCancel),
            TimerSet::TEMPLATE_ID => numbered!(TimerSet),
            _ => {
                if let Some(last) = announced.and_then(|publisher| self.last.get_mut(&publisher)) {
                    *last += 1;
                }
            }
        }
    }

    /// A publisher has got so far. The sequencer's own events, publisher 0, have no numbers.
    fn reached(&mut self, publisher: u16, number: u64) {
        if publisher != 0 && number != u64::MAX {
            let last = self.last.entry(publisher).or_default();
            *last = number.max(*last);
        }
    }
}
