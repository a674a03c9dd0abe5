//! The definitions on a trail: instruments, sources, schemas, and the progress of publishers and other
//! shards.

mod state;

use std::collections::BTreeMap;
use stele_bus::{RecordedNumbers, RecordedSchemas};
use stele_wire::Frame;
use stele_wire::codec::{View, text};
use stele_wire::messages::{
    CancelScope, Forwarded, InstrumentDefinition, RiskLimit, SourceDefinition, SourceKind, UpdateAction,
};

/// An instrument that is defined on the trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefinedInstrument {
    /// The source that defined it.
    pub source: u16,
    /// The venue's own id of the instrument.
    pub venue_instrument_id: u64,
    /// The venue's symbol.
    pub symbol: String,
}

/// A source that is defined on the trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefinedSource {
    /// Its publisher's id on the bus.
    pub publisher: u16,
    /// What kind of source it is.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
}

/// What another shard has forwarded to this one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OriginProgress {
    /// The sequence, on the other shard's log, of the last event that was forwarded.
    pub last_sequence: u64,
    /// The symbols of its defined instruments, by their ids on the other shard.
    pub instruments: BTreeMap<u32, String>,
}

/// The definitions of a trail by id. Pure: feed it every event in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Definitions {
    /// Instruments that are defined and not deleted.
    pub instruments: BTreeMap<u32, DefinedInstrument>,
    /// Sources.
    pub sources: BTreeMap<u16, DefinedSource>,
    /// Schemas whose complete text is on the trail.
    pub schemas: RecordedSchemas,
    /// The last publisher sequence of each publisher.
    pub numbers: RecordedNumbers,
    /// The last limits of scope `ALL` that come from a configuration and not from a person, by check.
    pub configured: BTreeMap<u8, i64>,
    /// The progress of other shards, by shard.
    pub origins: BTreeMap<u32, OriginProgress>,
}

impl Definitions {
    /// Takes the next event.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        if event.is_padding() {
            return;
        }
        self.schemas.on_event(event);
        self.numbers.on_event(event);
        // No message of Stele's schema has template id 0.
        match if event.is_stele() { event.template_id() } else { 0 } {
            InstrumentDefinition::TEMPLATE_ID => {
                if let Some(message) = event.message::<InstrumentDefinition>() {
                    self.define(&message);
                }
            }
            SourceDefinition::TEMPLATE_ID => {
                if let Some(message) = event.message::<SourceDefinition>() {
                    let (publisher, kind) = (message.publisher.get(), message.kind);
                    let known = DefinedSource { publisher, kind, name: text(&message.name).to_owned() };
                    self.sources.insert(message.source.get(), known);
                }
            }
            Forwarded::TEMPLATE_ID => {
                if let Some(message) = event.message::<Forwarded>() {
                    self.forwarded(&message);
                }
            }
            RiskLimit::TEMPLATE_ID => {
                if let Some(limit) = event.message::<RiskLimit>()
                    && (limit.scope, limit.instrument.get(), limit.changed_by.get())
                        == (CancelScope::ALL, 0, 0)
                {
                    self.configured.insert(limit.check.0, limit.limit.get());
                }
            }
            _ => {}
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
        let known = DefinedInstrument {
            source: message.source.get(),
            venue_instrument_id: message.venue_instrument_id.get(),
            symbol: text(&message.venue_symbol).to_owned(),
        };
        self.instruments.insert(instrument, known);
    }
}
