//! What a trail has defined: instruments, sources, publishers and how far they got.

mod state;

use std::collections::BTreeMap;
use stele_bus::{RecordedNumbers, RecordedSchemas};
use stele_wire::Frame;
use stele_wire::codec::{View, text};
use stele_wire::messages::{
    CancelScope, Forwarded, InstrumentDefinition, RiskLimit, SourceDefinition, SourceKind, UpdateAction,
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
    /// Schemas of which the whole text is on the trail.
    pub schemas: RecordedSchemas,
    /// How far the numbering of each publisher got.
    pub numbers: RecordedNumbers,
    /// The last limits over all that nobody changed by name: those of a configuration, by check.
    pub configured: BTreeMap<u8, i64>,
    /// Other shards.
    pub origins: BTreeMap<u32, KnownOrigin>,
}

impl Known {
    /// Takes the next event.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        if event.is_padding() {
            return;
        }
        self.schemas.on_event(event);
        self.numbers.on_event(event);
        // 0 is no message of Stele's.
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
        let known = KnownInstrument {
            source: message.source.get(),
            venue_instrument_id: message.venue_instrument_id.get(),
            symbol: text(&message.venue_symbol).to_owned(),
        };
        self.instruments.insert(instrument, known);
    }
}
