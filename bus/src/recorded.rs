//! What earlier sessions recorded on the log and the next session continues from: the schemas whose text is
//! on the log, and the last number of each publisher. Both are pure state machines that are fed the log's
//! events in order.

use crate::refusals::USED_UP;
use std::collections::{BTreeMap, BTreeSet};
use stele_wire::Frame;
use stele_wire::messages::{
    CancelOrder, MassCancel, NewOrder, PublisherGrant, PublisherProgress, PublisherReset, Quote, QuoteCancel,
    RefusedOrder, ReplaceOrder, SchemaText, SubmissionRefused, TimerSet,
};

/// Schemas whose whole text is on the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordedSchemas {
    /// SHA-256 of each text.
    pub hashes: BTreeSet<[u8; 32]>,
    /// The text of which only the first parts are on the log: its hash and the number of the next part.
    pub partial: Option<([u8; 32], u16)>,
}

impl RecordedSchemas {
    /// Handles the next event. Parts count only in order from the first, because a kill may have cut a text
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

/// The last number of each publisher that the log contains.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordedNumbers {
    /// The last number by publisher. It is in the messages that carry one, including refused ones, in the
    /// `PublisherProgress` before a message that does not, in the `SubmissionRefused` of one that was dropped
    /// for what it contained, or in the `PublisherGrant` of a later session. A `PublisherReset` sets it.
    pub last: BTreeMap<u16, u64>,
    /// The publisher of a `PublisherProgress` that was the last event. The next event is from that publisher,
    /// unless it carries a number itself.
    pub announced: Option<u16>,
}

impl RecordedNumbers {
    /// Handles the next event.
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
        // 0 is not a template id of Stele's: a message of another schema only counts for its publisher's
        // numbering.
        match if event.is_stele() { event.template_id() } else { 0 } {
            PublisherProgress::TEMPLATE_ID => {
                numbered!(PublisherProgress);
                self.announced = event.message::<PublisherProgress>().map(|message| message.publisher.get());
            }
            PublisherGrant::TEMPLATE_ID => {
                if let Some(grant) = event.message::<PublisherGrant>() {
                    self.reached(grant.publisher.get(), grant.last_number.get());
                }
            }
            PublisherReset::TEMPLATE_ID => {
                if let Some(reset) = event.message::<PublisherReset>() {
                    self.last.insert(reset.publisher.get(), reset.new_number.get());
                    self.counted(announced.filter(|publisher| *publisher != reset.publisher.get()));
                }
            }
            SubmissionRefused::TEMPLATE_ID => {
                if let Some(refused) = event.message::<SubmissionRefused>()
                    && USED_UP.contains(&refused.reason)
                {
                    self.reached(refused.publisher.get(), refused.last_publisher_sequence.get());
                }
            }
            RefusedOrder::TEMPLATE_ID => numbered!(RefusedOrder),
            Quote::TEMPLATE_ID => numbered!(Quote),
            QuoteCancel::TEMPLATE_ID => numbered!(QuoteCancel),
            NewOrder::TEMPLATE_ID => numbered!(NewOrder),
            ReplaceOrder::TEMPLATE_ID => numbered!(ReplaceOrder),
            CancelOrder::TEMPLATE_ID => numbered!(CancelOrder),
            MassCancel::TEMPLATE_ID => numbered!(MassCancel),
            TimerSet::TEMPLATE_ID => numbered!(TimerSet),
            _ => self.counted(announced),
        }
    }

    /// The event is from the publisher that was announced.
    fn counted(&mut self, announced: Option<u16>) {
        if let Some(last) = announced.and_then(|publisher| self.last.get_mut(&publisher)) {
            *last += 1;
        }
    }

    /// Records a publisher's number. The sequencer's own events, of publisher 0, have none.
    fn reached(&mut self, publisher: u16, number: u64) {
        if publisher != 0 && number != u64::MAX {
            let last = self.last.entry(publisher).or_default();
            *last = number.max(*last);
        }
    }
}
