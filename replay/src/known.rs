//! What a trail has defined: instruments, sources, publishers and how far they got.

mod state;

use std::collections::{BTreeMap, BTreeSet};
use stele_wire::Frame;
use stele_wire::codec::{View, text};
use stele_wire::messages::{
    CancelOrder, CancelScope, Forwarded, InstrumentDefinition, MassCancel, NewOrder, PublisherProgress,
    Quote, QuoteCancel, RefusedOrder, ReplaceOrder, RiskLimit, SchemaText, SourceDefinition, SourceKind,
    TimerSet, UpdateAction,
};

/// An instrument that is defined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownInstrument {
    /// The source that defined it.
    pub source: u16,
    /// The venue's own number.
    pub venue_instrument_id: u64,
    /// The venue's symbol.
    pub symbol: String,
}

/// A source that is defined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownSource {
    /// Its publisher on the bus.
    pub publisher: u16,
    /// What it is.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
}

/// What another shard has told this one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownOrigin {
    /// The last of its events that was forwarded, by the sequence that it has there.
    pub last_sequence: u64,
    /// Symbols of its instruments that are defined, by the numbers that they have there.
    pub instruments: BTreeMap<u32, String>,
}

/// Definitions by number. Pure; feed it every event in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// Instruments that are defined and not deleted.
    pub instruments: BTreeMap<u32, KnownInstrument>,
    /// Sources.
    pub sources: BTreeMap<u16, KnownSource>,
    /// Schemas of which the whole text is on the trail, by hash.
    pub schemas: BTreeSet<[u8; 32]>,
    /// A text that is being told: its hash and the part that comes next.
    telling: Option<([u8; 32], u16)>,
    /// The last number of each publisher that the trail tells: in the messages that carry one, refused ones
    /// included, or in the `PublisherProgress` that stands in front of one that does not.
    pub publishers: BTreeMap<u16, u64>,
    /// The publisher whose number was told last, if nothing has followed: the next event is its, unless that one tells
    /// a number itself.
    announced: Option<u16>,
    /// The last limits over all that nobody changed by name: those of a configuration, by check.
    pub configured: BTreeMap<u8, i64>,
    /// Other shards.
    pub origins: BTreeMap<u32, KnownOrigin>,
}

impl Known {
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
            InstrumentDefinition::TEMPLATE_ID => {
                if let Some(message) = event.message::<InstrumentDefinition>() {
                    self.define(&message);
                }
            }
            SourceDefinition::TEMPLATE_ID => {
                if let Some(message) = event.message::<SourceDefinition>() {
                    let (publisher, kind) = (message.publisher.get(), message.kind);
                    let known = KnownSource { publisher, kind, name: text(&message.name).to_owned() };
                    self.sources.insert(message.source.get(), known);
                }
            }
            SchemaText::TEMPLATE_ID => {
                if let Some(message) = event.message::<SchemaText>() {
                    self.tell(&message);
                }
            }
            Forwarded::TEMPLATE_ID => {
                if let Some(message) = event.message::<Forwarded>() {
                    self.forwarded(&message);
                }
            }
            PublisherProgress::TEMPLATE_ID => {
                numbered!(PublisherProgress);
                self.announced = event.message::<PublisherProgress>().map(|message| message.publisher.get());
                return;
            }
            RefusedOrder::TEMPLATE_ID => return numbered!(RefusedOrder),
            Quote::TEMPLATE_ID => return numbered!(Quote),
            QuoteCancel::TEMPLATE_ID => return numbered!(QuoteCancel),
            RiskLimit::TEMPLATE_ID => {
                if let Some(limit) = event.message::<RiskLimit>()
                    && (limit.scope, limit.instrument.get(), limit.changed_by.get())
                        == (CancelScope::ALL, 0, 0)
                {
                    self.configured.insert(limit.check.0, limit.limit.get());
                }
            }
            NewOrder::TEMPLATE_ID => return numbered!(NewOrder),
            ReplaceOrder::TEMPLATE_ID => return numbered!(ReplaceOrder),
            CancelOrder::TEMPLATE_ID => return numbered!(CancelOrder),
            MassCancel::TEMPLATE_ID => return numbered!(MassCancel),
            TimerSet::TEMPLATE_ID => return numbered!(TimerSet),
            _ => {}
        }
        if let Some(last) = announced.and_then(|publisher| self.publishers.get_mut(&publisher)) {
            *last += 1;
        }
    }

    /// A publisher has got so far. The sequencer's own events, publisher 0, have no numbers.
    fn reached(&mut self, publisher: u16, number: u64) {
        if publisher != 0 && number != u64::MAX {
            let last = self.publishers.entry(publisher).or_default();
            *last = number.max(*last);
        }
    }

    /// Parts count only in their order from the first: a kill may have cut a telling short.
    fn tell(&mut self, message: &SchemaText) {
        let (hash, part) = (message.schema_hash, message.part.get());
        let is_next = part == 0 || self.telling == Some((hash, part));
        self.telling = is_next.then_some((hash, part + 1));
        if is_next && part + 1 == message.parts.get() {
            self.schemas.insert(hash);
        }
    }

    fn forwarded(&mut self, message: &View<'_, Forwarded>) {
        let origin = self.origins.entry(message.origin_shard.get()).or_default();
        origin.last_sequence = message.origin_sequence.get();
        if message.template_id.get() == InstrumentDefinition::TEMPLATE_ID {
            let (block_length, version) = (message.block_length.get(), message.schema_version.get());
            if let Some(definition) =
                View::<InstrumentDefinition>::read(block_length, version, message.body())
            {
                let symbol = text(&definition.venue_symbol).to_owned();
                origin.instruments.insert(definition.instrument.get(), symbol);
            }
        }
    }

    fn define(&mut self, message: &InstrumentDefinition) {
        let instrument = message.instrument.get();
        if message.action == UpdateAction::DELETE {
            self.instruments.remove(&instrument);
            return;
        }
        let known = KnownInstrument {
            source: message.source.get(),
            venue_instrument_id: message.venue_instrument_id.get(),
            symbol: text(&message.venue_symbol).to_owned(),
        };
        self.instruments.insert(instrument, known);
    }
}
